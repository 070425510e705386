"""The least norm at which ReLU networks without biases fit labels, over all activation patterns, with its proof.

Among networks h(x) = sum_j a_j max(0, w_j . x) of any width with h(x_i) = y_i, the least |theta|^2 / 2, half the sum
of all squared weights, is the value of a convex program over the cells in which the patterns are constant:

    minimise sum_j |u_j| + |v_j|  subject to  sum_j D_j X (u_j - v_j) = y,  u_j, v_j in the cone of pattern j.

Its dual is to maximise y . l where |sum_i l_i max(0, u . x_i)| <= 1 for every unit vector u. A network and such an l
enclose the minimum. `programs.min_norm_plain_exact` is the reference.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from .. import arrangements
from ..params import BadInput
from . import recovery, solving
from .blocks import Blocks, check_finite
from .certify import Plant
from .cones import Cones

FAINT = 1e-9  # neurons with a smaller share of the norm are rounding
PARALLEL = 1 - 1e-10  # neurons of one sign whose directions have a larger cosine are one
RIGHT = 1e-9  # smaller cosines are 0


class Interpolant(NamedTuple):
    """A network of least norm.

    W : (m, d), hidden weights, a row a neuron; at most n neurons
    a : (m,), output weights, |a_j| = |w_j|
    value : |theta|^2 / 2 of the best network found, which may be another one of the same norm
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


def least_norm(X: np.ndarray, y: np.ndarray) -> Interpolant:
    """The least |theta|^2 / 2 of all networks that fit, and one with as few neurons as its units allow.

    Parameters
    ----------
    X : (n, d) array in general position, as `arrangements.enumerate` asks for; all 2^n patterns where n <= d
    y : (n,) labels

    Raises
    ------
    BadInput : as `arrangements.enumerate` does; "y (labels) must be finite, got 1 of 3 entries that are not", of
        another shape, or not 0 where the point is

    **Source**: chistikov2023learning, Theorem 8, asks; wang2025overparameterized, eq. (11), is the program.
    """
    blocks, scale = _blocks(X)
    _check(y, scale)
    labels = y / np.where(scale > 0, scale, 1)
    answer = solving.solve(blocks, labels)
    W, a = _sparse(blocks, labels, answer)
    value = float(np.linalg.norm(answer.W, axis=0).sum())
    return Interpolant(W, a, value, answer.dual / np.where(scale > 0, scale, 1), answer.gap, answer.converged)


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
    BadInput : as `least_norm` does; "v (neuron) must be active on some point and meet none at a right angle"
    """
    blocks, _ = _blocks(X)
    heights = blocks.X @ v
    if not (heights > 0).any() or not np.abs(heights).min() > RIGHT * np.linalg.norm(v):
        raise BadInput("v (neuron) must be active on some point and meet none at a right angle")
    own = np.flatnonzero(((blocks.gated.D.T > 0) == (heights > 0)).all(axis=1))
    return recovery.decide(blocks, np.maximum(heights, 0), Plant.of(own, v[:, None]))


def _blocks(X: np.ndarray) -> tuple[Cones, np.ndarray]:
    """The program's blocks for points of length 1, which have the same networks of least norm; the lengths."""
    if X.ndim != 2:
        raise BadInput(f"X (points) must be an array of shape (n, d), got {X.shape}")
    check_finite("X", "points", X)
    scale = np.linalg.norm(X, axis=1)
    unit = X / np.where(scale > 0, scale, 1)[:, None]
    cells = arrangements.enumerate(unit[None])
    return Cones(Blocks(unit, cells.D[0]), cells.H[0]), scale


def _check(y: np.ndarray, scale: np.ndarray) -> None:
    if y.shape != scale.shape:
        raise BadInput(f"y (labels) must be an array of shape (n,) = {scale.shape}, got {y.shape}")
    check_finite("y", "labels", y)
    if wrong := np.sum((scale == 0) & (y != 0)):
        raise BadInput(f"y (labels) must be 0 where the point is 0, got {wrong} that are not")


def _sparse(blocks: Cones, y: np.ndarray, answer: solving.Answer) -> tuple[np.ndarray, np.ndarray]:
    """The solution's network, with a neuron for each direction, and no more of them than independent outputs.

    Neurons on the boundary of several cells are in several blocks. Any positive sum of its units that fits costs the
    same, so that non-negative least squares, which ends with independent columns, may leave some out.
    """
    sizes = np.linalg.norm(answer.W, axis=0)
    used = np.flatnonzero(sizes > FAINT * sizes.sum())
    # A minus block holds the negative of a neuron's weights.
    signs = np.where(used < blocks.gated.D.shape[1], 1.0, -1.0)
    units = (signs * answer.W[:, used] / sizes[used]).T
    new = [not (signs[:k] * (units[:k] @ units[k]) * signs[k] > PARALLEL).any() for k in range(len(used))]
    units, signs = units[new], signs[new]
    shares = nnls(np.maximum(blocks.X @ units.T, 0) * signs, y)[0] if len(units) else np.zeros(0)
    kept = shares > FAINT * shares.sum()
    roots = np.sqrt(shares[kept])
    return units[kept] * roots[:, None], signs[kept] * roots
