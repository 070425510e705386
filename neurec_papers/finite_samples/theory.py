"""How many samples are enough, in closed form; derived here, for every network of a width at once.

Tanh or logistic networks of m neurons: 4^m points of a line, as many on each of (4m - 1)(d - 1) + 1 directions, see
`engine.analytic`. A ReLU network of its own: 2(m + 1) points on each of m(d - 1) + 1 lines; see `engine.space`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from smallnets.arguments import array, checked, whole

NEURONS = array("neurons", "| k", interval="[0, inf)")
INPUTS = whole("inputs", "[1, inf)")


@checked(m=NEURONS)
def points_on_line(m: np.ndarray | int) -> np.ndarray:
    """Distinct points of a line that identify every network of m neurons on it, 4^m."""
    return 4.0 ** np.asarray(m)


@checked(m=NEURONS, d=INPUTS)
def directions_needed(m: np.ndarray | int, d: int) -> np.ndarray:
    """Directions, any d of them independent, that are enough for m neurons in d dimensions: (4m - 1)(d - 1) + 1.

    The difference of two networks is a sum of at most 2m neurons, no two of them equal up to a sign. It vanishes along
    v only if neuron 1 cancels there: w_1.v = 0, or w_1.v = s w_j.v for one of 2m - 1 others with b_1 = s b_j, where
    both signs s are possible if b_1 = b_j = 0. These are at most 4m - 1 hyperplanes of directions, and each of them
    holds at most d - 1 of the directions.

    **Source**: derived here; fewer may do.
    """
    return (4 * np.asarray(m) - 1) * (d - 1) + 1


@checked(m=NEURONS, d=INPUTS)
def parameters(m: np.ndarray | int, d: int, bias: bool = True) -> np.ndarray:
    """Parameters of a network of m neurons, m(d + 2), and an output bias."""
    return np.asarray(m) * (d + 2) + bias


@checked(m=NEURONS)
def points_on_each_line(m: np.ndarray | int) -> np.ndarray:
    """Points that show each piece of a ReLU network on a line twice, 2(m + 1)."""
    return 2 * (np.asarray(m) + 1)


@checked(m=NEURONS, d=INPUTS)
def least_lines(m: np.ndarray | int, d: int) -> np.ndarray:
    """Generic lines that identify a ReLU network of m neurons in d dimensions, m(d - 1) + 1."""
    return np.asarray(m) * (d - 1) + 1


@checked(n=array("points", "| k", interval="[0, inf)"))
def unseen_share(n: np.ndarray, at: Any = None) -> np.ndarray:
    """The expected share of space beyond the farthest of n points: each of n + 1 is the farthest equally often."""
    return 1 / (n + 1)
