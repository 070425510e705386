"""The least norm at which ReLU networks without biases fit labels, over all activation patterns, with its proof.

Among networks h(x) = sum_j a_j max(0, w_j . x) of any width with h(x_i) = y_i, the least |theta|^2 / 2, half the sum
of all squared weights, is the value of a convex program over the cells in which the patterns are constant:

    minimise sum_j |u_j| + |v_j|  subject to  sum_j D_j X (u_j - v_j) = y,  u_j, v_j in the cone of pattern j.

Its dual is to maximise y . l where |sum_i l_i max(0, u . x_i)| <= 1 for every unit vector u. A network and such an l
enclose the minimum. `programs.min_norm_plain_exact` is the reference.
"""

from __future__ import annotations

from itertools import product
from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, checked
from ..errors import InvalidInput
from ..geometry import arrangements
from . import _conic, recovery
from ._points import uneven
from .blocks import Blocks
from .certify import Plant
from .cones import Cones
from .solving import GAP, enclosed

FAINT = 1e-9  # neurons with a smaller share of the norm may be rounding
PARALLEL = 1 - 1e-10  # neurons of one sign whose directions have a larger cosine are one, if they fit as one
FITS = 1e-10  # labels of norm 1 that are missed by less are met
DEARER = 1e-8  # the share by which a network with fewer neurons may cost more
NEAR = 0.9  # units that reach this share of their limits may take part in a solution
RIGHT = 1e-9  # smaller cosines are 0


class Interpolant(NamedTuple):
    """A network of least norm.

    W : (m, d), hidden weights, one row per neuron; at most n neurons
    a : (m,), output weights, |a_j| = |w_j|
    value : |theta|^2 / 2 of the best network found; W and a, with fewer neurons, have the same but for rounding
    dual : (n,) vector l with |sum_i l_i max(0, u . x_i)| <= 1 for all unit u: no network has less than y . l
    gap : (value - y . l) / value
    converged : whether the gap was closed to `solving.GAP`
    """

    W: np.ndarray
    a: np.ndarray
    value: float
    dual: np.ndarray
    gap: float
    converged: bool


@checked(X=array("points", "n d"), y=array("labels", "n"))
def least_norm(X: np.ndarray, y: np.ndarray) -> Interpolant:
    """The least |theta|^2 / 2 of all networks that fit, and one with as few neurons as its units allow.

    Parameters
    ----------
    X : (n, d) array in general position, as `arrangements.enumerate` asks for; all 2^n patterns where n <= d. Inputs
        may be in different units; where these differ by seven powers of ten or more, the gap may stay above 1e-9
    y : (n,) labels

    Raises
    ------
    InvalidInput : as `arrangements.enumerate` does; "y (labels) must be finite, got 1 of 3 entries that are not", of
        another shape, or not 0 where the point is

    **Source**: chistikov2023learning, Theorem 8, asks; wang2025overparameterized, eq. (11), is the program.
    """
    blocks, scale = _blocks(X)
    _check(y, scale)
    labels = y / np.where(scale > 0, scale, 1)
    size = float(np.linalg.norm(labels))
    if not size:
        return Interpolant(np.zeros((0, X.shape[1])), np.zeros(0), 0.0, np.zeros(len(y)), 0.0, True)
    cost, walls = np.ones(blocks.D.shape[1]), _walls(blocks.gated)[:, blocks.pattern]
    W, dual, _, gap = enclosed(
        blocks, labels / size, 0.0, GAP, points=_conic.optima(blocks, labels / size, cost, walls=walls)
    )
    value = float(np.linalg.norm(W, axis=0).sum())
    W, a = _sparse(blocks, labels / size, W, dual)
    root, dual = size**0.5, dual / np.where(scale > 0, scale, 1)
    return Interpolant(root * W, root * a, size * value, dual, gap, gap <= GAP)


@checked(X=array("points", "n d"), v=array("neuron", "d"))
def decide(X: np.ndarray, v: np.ndarray) -> recovery.Decision:
    """Is the neuron v (with output weight 1, or balanced) the only network of least norm that fits its own labels?

    Parameters
    ----------
    X : (n, d) array, as in `least_norm`
    v : (d,) array with v . x_i != 0 and some v . x_i > 0

    Returns
    -------
    recovery.Decision : UNIQUE with a dual vector for it (of points divided by their lengths), CHEAPER with a network
        of less norm

    Raises
    ------
    InvalidInput : as `least_norm` does; "v (neuron) must be active on some point and meet none at a right angle"
    """
    blocks, scale = _blocks(X)
    seen = scale > 0
    if not seen.all():  # a point at 0 says nothing
        blocks = _blocks(X[seen])[0]
    heights = blocks.X @ v
    if not (heights > 0).any() or not np.abs(heights).min() > RIGHT * np.linalg.norm(v):
        raise InvalidInput("v (neuron) must be active on some point and meet none at a right angle")
    own = np.flatnonzero(((blocks.gated.D.T > 0) == (heights > 0)).all(axis=1))
    return recovery.decide(blocks, np.maximum(heights, 0), Plant.of(own, v[:, None]))


def _blocks(X: np.ndarray) -> tuple[Cones, np.ndarray]:
    """The program's blocks for points of length 1, which have the same networks of least norm; the lengths.

    Lengths are measured where inputs in very different units have been brought to about the same, as the cells are.
    """
    unit, scale = _unit(X)
    units = uneven(unit)
    unit, again = _unit(unit / units)
    cells = arrangements.enumerate(unit[None])
    return Cones(Blocks(unit * units, cells.D[0]), cells.H[0] / units[:, None]), scale * again


def _unit(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows of length 1, or 0, and the lengths that they had."""
    scale = np.linalg.norm(rows, axis=1)
    return rows / np.where(scale > 0, scale, 1)[:, None], scale


def _check(y: np.ndarray, scale: np.ndarray) -> None:
    if wrong := np.sum((scale == 0) & (y != 0)):
        raise InvalidInput(f"y (labels) must be 0 where the point is 0, got {wrong} that are not")


def _walls(gated: Blocks) -> np.ndarray:
    """Which points bound which cells, (n, p), of parallel ones the first: on the other side there is a cell, too."""
    rows = _unit(gated.even.X)[0]
    cosines = np.abs(rows @ rows.T)
    firsts: list[int] = []
    for i in map(int, np.flatnonzero(gated.X.any(axis=1))):
        if not (cosines[i, firsts] > PARALLEL).any():
            firsts.append(i)
    D = gated.D[firsts] > 0
    known, walls = set(map(bytes, D.T.copy())), np.zeros(gated.D.shape, bool)
    for k, i in enumerate(firsts):
        flipped = D.T.copy()
        flipped[:, k] ^= True
        walls[i] = [bytes(pattern) in known for pattern in flipped]
    return walls


def _sparse(blocks: Cones, y: np.ndarray, W: np.ndarray, dual: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A solution's network, with a neuron for each direction, and no more of them than independent outputs.

    Neurons on the boundary of several cells are in several blocks. Any positive sum of its units that fits costs the
    same, so that non-negative least squares, which ends with independent columns, may leave some out. Small units are
    rounding, unless nothing fits without them: first with those that come near to the limit of the dual vector (n,).
    """
    sizes = np.linalg.norm(W, axis=0)
    used = np.flatnonzero(sizes)
    # A minus block holds the negative of a neuron's weights.
    signs = np.where(used < blocks.gated.D.shape[1], 1.0, -1.0)
    units = (signs * W[:, used] / sizes[used]).T
    outputs = np.maximum(blocks.X @ units.T, 0) * signs
    large = sizes[used] > FAINT * sizes.sum()
    turned = signs[:, None] * _unit(units * blocks.units)[0]
    cosines = turned @ turned.T
    for able, cosine in product((large, large | (dual @ outputs > NEAR), sizes[used] > 0), (PARALLEL, 1.0)):
        new = np.flatnonzero([able[k] and not (cosines[k, :k][able[:k]] > cosine).any() for k in range(len(used))])
        shares, missed = scipy.optimize.nnls(outputs[:, new], y) if len(new) else (np.zeros(0), np.inf)
        if missed <= FITS and shares.sum() <= (1 + DEARER) * sizes.sum():
            break
    else:  # units that are in no solution, but not small: of all sums the least
        exact = scipy.optimize.linprog(
            np.ones(len(used)), A_eq=outputs, b_eq=y, method="highs-ds", options=_conic.EXACT
        )
        if exact.status == 0:
            new = np.flatnonzero(exact.x)
            shares = scipy.optimize.nnls(outputs[:, new], y)[0]
    some = shares * np.linalg.norm(outputs[:, new], axis=0) > FITS
    kept, roots = new[some], np.sqrt(shares[some])
    return units[kept] * roots[:, None], signs[kept] * roots
