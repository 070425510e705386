"""A vertex that holds a global optimum for any labels, chosen in polynomial time without looking at them.

Points, the constant 1 of the bias among their inputs, are cut into blocks of d in the order of their places along one
direction. Block b and all after it are a half-space, and two neurons of opposite signs share its pattern: together they
add any linear function to these blocks and nothing to those before. So block after block can be fitted.

Three conditions are needed, each of them: a bias input, without which a half-space need not be a pattern (on a line
f(2x) = 2 f(x) for x > 0); independent points in each block; and output signs that may be chosen, one of either kind for
each block. Without any one of them there are labels that no network with 2 ceil(n / d) neurons fits.

**Source**: matena2022combinatorial claims such a selection with twice the least number of parameters; this one is
derived here.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from neurec_core.params import BadInput
from smallnets.arguments import array, checked

ROOM = 1.01  # by which share weights are farther inside their cell than they must be


class Selected(NamedTuple):
    """A vertex of Z^m with m = 2 ceil(n / d), and how its cells are distinguished.

    order : (n,) points by their place along the direction
    D : (n, m / 2) bool patterns, one per pair of neurons
    inside : (d, m / 2) a direction strictly inside each cell
    """

    order: np.ndarray
    D: np.ndarray
    inside: np.ndarray

    @property
    def m(self) -> int:
        """Neurons, two per pattern."""
        return 2 * self.D.shape[1]


@checked(X=array("points", "n d"), direction=array("direction of the cuts", "_"))
def select(X: np.ndarray, direction: np.ndarray) -> Selected:
    """The vertex, from the points alone.

    Parameters
    ----------
    X : (n, d) array whose last column is 1
    direction : (d - 1,) array, generic

    Raises
    ------
    BadInput : "X (points) must end in a column of ones, the input of the biases"; "X (points) must differ
        along the direction, got 2 that do not"; "direction (of the cuts) must be ..."
    """
    n, d = X.shape
    if d < 2 or not (X[:, -1] == 1).all():
        raise BadInput("X (points) must end in a column of ones, the input of the biases")
    if direction.shape != (d - 1,) or not direction.any():
        raise BadInput(f"direction (of the cuts) must be {d - 1} numbers that are not all 0, got {direction.tolist()}")
    place = X[:, :-1] @ direction
    order = np.argsort(place, kind="stable")
    sorted_places = place[order]
    if equal := int((np.diff(sorted_places) <= 0).sum()):
        raise BadInput(f"X (points) must differ along the direction, got {equal + 1} that do not")
    firsts = np.arange(0, n, d)
    spread = sorted_places[-1] - sorted_places[0] or max(1.0, abs(sorted_places[0]))
    below, above = np.append(sorted_places[0] - 2 * spread, sorted_places[firsts[1:] - 1]), sorted_places[firsts]
    cuts = below + (above - below) / 2
    inside = np.vstack([np.repeat(direction[:, None], len(cuts), axis=1), -cuts])
    D = place[:, None] >= above
    if not np.array_equal(X @ inside > 0, D) or not (X @ inside).all():
        raise BadInput("X (points) must differ along the direction by more than rounding, where they are cut")
    return Selected(order, D, inside)


@checked(X=array("points", "n d"), directions=array("directions of the cuts", "k _"))
def widest(X: np.ndarray, directions: np.ndarray) -> Selected:
    """Of the vertices of some directions (k, d - 1), the one with the widest gap at its cuts: its weights are smallest.

    Raises
    ------
    BadInput : as `select` does
    """
    gaps = []
    for direction in directions:
        places = np.sort(X[:, :-1] @ direction)
        cuts = np.arange(X.shape[1], len(X), X.shape[1])
        gaps.append((places[cuts] - places[cuts - 1]).min(initial=np.inf) / np.linalg.norm(direction))
    return select(X, directions[int(np.argmax(gaps))])


@checked(X=array("points", "n d"), y=array("labels", "n"))
def fit(X: np.ndarray, y: np.ndarray, chosen: Selected) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the selected cells that fit the labels.

    On block b the network is the sum of the linear functions of blocks up to b, which solves d equations there; its
    neurons are the halves of the b-th function, moved along a direction inside the cell until all signs are right.

    Parameters
    ----------
    X, y : (n, d) and (n,) arrays
    chosen : of X

    Returns
    -------
    W : (m, d) weights; neurons 2 b and 2 b + 1 are in cell b
    a : (m,) output weights 1, -1, 1, -1, ...

    Raises
    ------
    BadInput : "X (points) must be in general position: a block of points is dependent"
    """
    d = X.shape[1]
    W, before = [], np.zeros(d)
    for b, inside in enumerate(chosen.inside.T):
        block = chosen.order[b * d : (b + 1) * d]
        # The last block may be short: of all functions that fit, the one nearest to that before it.
        change, _, rank, _ = np.linalg.lstsq(X[block], y[block] - X[block] @ before)
        if rank < len(block):
            raise BadInput("X (points) must be in general position: a block of points is dependent")
        out = ROOM * np.abs(X @ change / (2 * (X @ inside))).max()
        W += [out * inside + change / 2, out * inside - change / 2]
        before = before + (W[-2] - W[-1])  # as rounded, so that the next blocks make up for it
    return np.array(W), np.tile([1.0, -1.0], len(W) // 2)
