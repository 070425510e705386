"""What small neural networks learn and recover: experiments of papers, over one thin core.

Importing this package loads neither torch, cvxpy nor plotly.
"""

__version__ = "0.1.0"
