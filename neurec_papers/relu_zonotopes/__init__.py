"""ReLU networks and zonotopes: what is left of training once the activation pattern is fixed?

Matena and Raffel, "A Combinatorial Perspective on the Optimization of Shallow ReLU Networks", NeurIPS 2022
(arXiv 2210.00176). Only its abstract was at hand: its claims are stated in our words, the mathematics below is derived
here, and no figure or number is theirs.

============================================  ========================================================================
equation                                      function
============================================  ========================================================================
number of cells 2 sum_{k<d} C(n-1, k)         `smallnets.geometry.arrangements.count`
cells, rays, walls of the normal fan          `smallnets.geometry.zonotopes.fan`
vertices, sums of the active points           `smallnets.geometry.zonotopes.vertices`
support function sum_i max(0, w . x_i)        `smallnets.geometry.zonotopes.support`
number of edges                               `smallnets.geometry.zonotopes.walls`
law of a random vertex                        `smallnets.geometry.zonotopes.solid_angles`
least squares in a cell, with multipliers     `smallnets.convex.cell.fit`
the same by the rays of the cells             `smallnets.convex.cell.combine`
sets of m signed cells                        `neurec_papers.relu_zonotopes.theory.signed_sets`
the best vertex of all                        `neurec_papers.relu_zonotopes.engine.search.exhaustive`
greedy local search                           `neurec_papers.relu_zonotopes.engine.search.greedy`
vertex selection with 2 ceil(n / d) neurons     `neurec_papers.relu_zonotopes.engine.selection.select`
its weights, block by block                   `neurec_papers.relu_zonotopes.engine.selection.fit`
least loss before and after a move            `neurec_papers.relu_zonotopes.experiments.sensitivity.least_loss`
optimum at a trained network's vertex         `neurec_papers.relu_zonotopes.engine.descent.own_vertex`
gradient descent                              `smallnets.descent.relu.descend`
============================================  ========================================================================
"""

from __future__ import annotations

from .experiments.local_search import LOCAL_SEARCH
from .experiments.polish import POLISH
from .experiments.random_vertex import RANDOM_VERTEX
from .experiments.sensitivity import SENSITIVITY
from .experiments.vertex_counts import VERTEX_COUNTS
from .experiments.vertex_selection import VERTEX_SELECTION

EXPERIMENTS = (VERTEX_COUNTS, RANDOM_VERTEX, VERTEX_SELECTION, LOCAL_SEARCH, SENSITIVITY, POLISH)
CITED = ("matena2022combinatorial",)
