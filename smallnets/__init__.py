"""Small neural networks: their activation patterns, convex programs and training. Arrays in, arrays out.

=========  =======================================================================================
package    what it holds
=========  =======================================================================================
arguments  what a public function accepts, declared once
nets       networks as named tuples, their outputs, Jacobians and ranks
geometry   activation patterns, arrangements of hyperplanes, zonotopes, dual bases
convex     convex programs over patterns: listings, a solver, decisions with certificates, decoding
descent    training: gradient descent of small ReLU and tanh networks, of networks on a line, in torch
=========  =======================================================================================

Importing this package loads neither torch nor cvxpy.
"""

from .errors import InvalidInput as InvalidInput
