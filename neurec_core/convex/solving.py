"""Group-sparse programs solved to a duality gap, with how many solutions there are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from scipy.optimize import nnls

from ..params import BadInput
from .blocks import Blocks, check_finite
from .certify import EQUAL, independent
from .cones import Cones
from .newton import Iterate, proximal_points

GAP = 1e-9  # relative duality gap of `solve`
REACH = 1e-6  # labels that least squares misses by more than this share are out of reach
PROXIMAL_LIMIT, STALLED = 40, 6  # proximal points: in all, and without a smaller gap
TIGHT = 1e-6  # blocks with norms this near to 1 may take part in a solution


class Answer(NamedTuple):
    """A solution of minimise sum_j c_j ||w_j|| s.t. sum_j A_j w_j = y (or of the program with ridge).

    W : (d, p) weights, exactly feasible up to rounding
    dual : (n,) feasible dual vector
    norms : (p,) ||A_j^T dual||, at most 1
    gap : objective at W minus objective at dual, over the former: bounds the distance from the optimum
    unique : whether W is the only solution, as far as the active blocks tell
    converged : whether the gap was closed
    """

    W: np.ndarray
    dual: np.ndarray
    norms: np.ndarray
    gap: float
    unique: bool
    converged: bool


def solve(blocks: Blocks, y: np.ndarray, ridge: float = 0.0, gap: float = GAP) -> Answer:
    """Solve to a relative duality gap.

    Where there are several solutions the labels are shared out evenly: of all optimal weights those of least
    Euclidean norm are returned, and `unique` is False.

    Parameters
    ----------
    blocks : of the program
    y : (n,) labels
    ridge : 0 for minimal norm; beta/2 for training with ||residual||^2 + beta * sum_j ||w_j||
    gap : relative

    Returns
    -------
    Answer; the gap is infinite where the labels are out of reach, and above the one asked for where rounding
    forbids it

    Raises
    ------
    BadInput : "y (labels) must be finite, got 1 of 12 entries that are not"
    """
    check_labels(blocks, y)
    size = float(np.linalg.norm(y))
    W = np.zeros((blocks.X.shape[1], blocks.D.shape[1]))
    nothing = Answer(W, np.zeros_like(y), np.zeros(W.shape[1]), 0.0, True, True)
    if size == 0:
        return nothing
    if not ridge and np.linalg.norm(y - blocks.forward(blocks.correction(y))) > REACH * size:
        return nothing._replace(gap=np.inf, unique=False, converged=False)
    cost = np.ones(blocks.D.shape[1])
    least, W, most, dual, norms, left, since = np.inf, W, -np.inf, nothing.dual, nothing.norms, np.inf, 0
    for k, point in enumerate(_points(blocks, y / size, cost, ridge / size)):
        near, primal, candidate, sizes, bound = _bounds(blocks, y / size, ridge / size, point)
        if primal < least:
            least, W = primal, near
        if bound > most:
            most, dual, norms = bound, candidate, sizes
        last, left = left, (least - most) / least if least < np.inf else np.inf
        since = 0 if left < last else since + 1
        if left <= gap or since == STALLED or k == PROXIMAL_LIMIT:
            break
    W, unique = evenly(blocks, W, dual, norms)
    return Answer(W * size, dual, norms, left, unique, left <= gap)


def _points(blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float) -> Iterator[Iterate]:
    """Proximal points; of an exact program first the relaxed solution, which solves it if it lies in the cones."""
    if isinstance(blocks, Cones):
        relaxed = solve(blocks.gated, y, ridge)
        yield Iterate(blocks.signed(relaxed.W), relaxed.dual, blocks.adjoint(relaxed.dual), 0)
    yield from proximal_points(blocks, y, cost, ridge)


def check_labels(blocks: Blocks, y: np.ndarray) -> None:
    """Whether labels fit the points and can be computed with.

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (n,) = (4,), got (4, 1)", or labels that are not finite
    """
    if y.shape != (n := len(blocks.X),):
        raise BadInput(f"y (labels) must be an array of shape (n,) = ({n},), got {y.shape}")
    check_finite("y", "labels", y)


def _bounds(
    blocks: Blocks, y: np.ndarray, ridge: float, point: Iterate
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray, float]:
    """Feasible weights and their objective; a feasible dual vector, its norms and its objective."""
    norms = blocks.support(point.back)
    outside = max(1.0, float(norms.max()))
    dual, norms = point.dual / outside, norms / outside
    residual = y - blocks.forward(point.W)
    W = point.W if ridge else point.W + blocks.correction(residual)
    residual = y - blocks.forward(W)
    primal = float(np.linalg.norm(W, axis=0).sum())
    if ridge:
        primal += float(residual @ residual) / (2 * ridge)
    elif np.linalg.norm(residual) > EQUAL:
        primal = np.inf  # out of reach, or too badly conditioned to say
    return W, primal, dual, norms, float(y @ dual) - ridge * float(dual @ dual) / 2


def evenly(blocks: Blocks, W: np.ndarray, dual: np.ndarray, norms: np.ndarray) -> tuple[np.ndarray, bool]:
    """Of all solutions the one of least Euclidean norm, and whether it is the only one.

    Every solution has w_j = t_j A_j^T l / ||A_j^T l|| with t_j >= 0, and t_j = 0 unless ||A_j^T l|| = 1: a
    solution is unique if the outputs of those units are linearly independent.
    """
    tight = np.flatnonzero(norms > 1 - TIGHT)
    points = blocks.project(blocks.adjoint(dual), np.full(len(norms), 1 - 2 * TIGHT))[1]
    units = points[:, tight] / norms[tight]
    outputs = blocks.D[:, tight] * (blocks.X @ blocks.inputs(units, tight))
    if not len(tight) or independent(outputs, blocks.X, TIGHT):
        return W, True
    shares = np.linalg.norm(W[:, tight], axis=0)
    target, kept = outputs @ shares, np.ones(len(tight), bool)
    even = shares
    while kept.any():
        even = np.zeros(len(tight))
        even[kept] = np.linalg.lstsq(outputs[:, kept], target, rcond=TIGHT)[0]
        if (even >= -EQUAL).all():
            break
        kept &= even >= -EQUAL
    even = np.maximum(even, 0)
    if np.linalg.norm(outputs @ even - target) > TIGHT * np.linalg.norm(target):
        return W, False  # no even split was found; there is more than one solution all the same
    used = even > TIGHT * even.max()
    if np.abs(even - shares).max() < 1e-4 * even.max() and _only(outputs, used, blocks.X):
        return W, True
    W = W.copy()
    W[:, tight] += units * (even - shares)
    return W, False


def _only(outputs: np.ndarray, used: np.ndarray, X: np.ndarray) -> bool:
    """Whether non-negative shares of outputs, positive where used, are the only ones with their sum.

    Others would differ by shares that are positive somewhere off the used ones, and there the outputs would have a
    convex combination in the span of the used ones.
    """
    if not independent(outputs[:, used], X, TIGHT):
        return False
    units = outputs / np.linalg.norm(outputs, axis=0)
    Q = np.linalg.qr(units[:, used])[0]
    across = units[:, ~used] - Q @ (Q.T @ units[:, ~used])
    last = np.append(np.zeros(len(across)), 1.0)
    return bool(nnls(np.vstack([across, np.ones(across.shape[1])]), last)[1] > TIGHT)
