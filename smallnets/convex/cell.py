"""Least squares of a ReLU network whose units keep their activation patterns: the convex problem of a vertex.

With unit j active on the points of column D_j and outputs sum_j s_j D_j X w_j, s_j = 1 or -1,

    minimise |sum_j s_j D_j X w_j - y|^2 / n  subject to  (2 D_j - I) X w_j >= 0  for all j.

Proximal points: each step adds a little |w - w_before|^2, which makes the problem the projection on a cone, one
non-negative least squares problem over the multipliers. Steps end when the optimality conditions hold without it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, ascending, checked, indices, number, parts, pattern
from ..errors import InvalidInput
from ..geometry.patterns import all_ones

NEAR = (1e-4, 1e-5, 1e-6)  # weights of the proximal term beside the largest singular value; thin cells need small ones
STEPS = 20
SLACK = 1e-8  # of multiplier times slack, over |y|^2
STATIONARY = 1e-12  # the gradient left, over the size of the labels' own
FREE = 1e-10  # columns this close to the span of the free ones, in shares of their norm, lie in it
RAYS_NEAR = 1e-5  # the same, for combinations of rays
LARGEST = 1e8  # coefficients above this are rounding errors, for columns and labels of size 1
OPTIMAL = 1e-11  # largest gradient along a ray, over the sizes of its output and the labels

UNITS = {
    "X": array("points", "n d"),
    "y": array("labels", "n"),
    "D": pattern("patterns", "n m", empty=False),
    "signs": array("signs of the units' outputs", "m"),
}


class Fitted(NamedTuple):
    """The optimum of a cell, with what proves it.

    W : (d, m), hidden weights in the closed cells; unit j says s_j max(0, x . w_j)
    loss : the mean squared error
    residual : (n,) y less the outputs
    multipliers : (n, m) >= 0, for points of norm 1; positive where a point keeps a unit from a smaller loss
    stationarity : the largest entry of F^T residual + C^T multipliers, over that of F^T y
    slackness : sum of multiplier times slack, over |y|^2; loss is within 2 / n |y|^2 of it of the optimum
    converged : whether stationarity is below 1e-11 and slackness below 1e-8; else the cell is too thin for rounding
    """

    W: np.ndarray
    loss: float
    residual: np.ndarray
    multipliers: np.ndarray
    stationarity: float
    slackness: float
    converged: bool


@checked(**UNITS)
def fit(X: np.ndarray, y: np.ndarray, D: np.ndarray, signs: np.ndarray) -> Fitted:
    """The best weights of a network with given patterns and output signs.

    Parameters
    ----------
    X : (n, d) array
    y : (n,) labels
    D : (n, m) bool, each column the pattern of some direction
    signs : (m,) of 1 and -1

    Raises
    ------
    InvalidInput : "D (patterns) must be cells: no direction is active on just the points of column 3", labels that are
        not finite, shapes that do not fit
    """
    n, m = D.shape
    F, C = _stacked(X, y, D, signs)
    # Both are 0 where all units are active nowhere.
    scale, size = float(np.abs(F.T @ y).max()) or 1.0, float(np.linalg.norm(F, 2)) or 1.0
    w = np.zeros(F.shape[1])
    for near in NEAR:
        w, multipliers, moved = _proximal(F, C, y, w, near=near * size, enough=STATIONARY * scale)
        if moved < STATIONARY * scale:
            break
    residual = y - F @ w
    left = float(np.abs(F.T @ residual + C.T @ multipliers).max() / scale)
    slack = float(multipliers @ np.abs(C @ w) / max(y @ y, np.finfo(float).tiny))
    proven = left < 10 * STATIONARY and slack < SLACK
    loss = float(np.mean(residual**2))
    return Fitted(w.reshape(m, -1).T, loss, residual, multipliers.reshape(n, m), left, slack, proven)


@checked(**UNITS, weight=number("weight of the squares", "(0, inf)"))
def ridge(X: np.ndarray, y: np.ndarray, D: np.ndarray, signs: np.ndarray, *, weight: float) -> float:
    """The mean squared error of the weights with the least sum of squared errors plus `weight` |w|^2.

    Least squares is often kept stable in this way. In thin cells, where a fit takes large weights, it is another
    problem: see `fit` for the one without.

    Parameters
    ----------
    X, y, D, signs : as for `fit`
    weight : > 0
    """
    F, C = _stacked(X, y, D, signs)
    w = _proximal(F, C, y, np.zeros(F.shape[1]), near=weight**0.5, enough=np.inf)[0]  # one step from 0
    return float(np.mean((y - F @ w) ** 2))


def _stacked(X: np.ndarray, y: np.ndarray, D: np.ndarray, signs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Outputs F w and walls C w >= 0 of all weights in one vector, unit after unit; walls of points of norm 1."""
    _check(X, D, signs)
    n, d = X.shape
    m = D.shape[1]
    F = np.hstack([s * D[:, [j]] * X for j, s in enumerate(signs)])
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    walls = np.where(D, 1.0, -1.0)[:, :, None] * unit[:, None, :]
    blocks = np.zeros((n, m, m, d))
    blocks[:, np.arange(m), np.arange(m)] = walls
    return F, blocks.reshape(n * m, m * d)


def _proximal(
    F: np.ndarray, C: np.ndarray, y: np.ndarray, w: np.ndarray, *, near: float, enough: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Steps of one proximal weight: the weights, their multipliers, and the gradient that the last step left."""
    Q, R = np.linalg.qr(np.vstack([F, near * np.eye(F.shape[1])]))
    rows = scipy.linalg.solve_triangular(R, C.T, trans="T")  # the cell's constraints in the coordinates R w
    for _ in range(STEPS):
        b = Q.T @ np.concatenate([y, near * w])
        multipliers = scipy.optimize.nnls(rows, -b)[0]
        before, w = w, scipy.linalg.solve_triangular(R, b + rows @ multipliers)
        moved = near**2 * np.abs(w - before).max()
        if moved < enough:
            break
    return w, multipliers, float(moved)


@checked(
    G=array("outputs of the rays", "n k"),
    y=array("labels", "n"),
    plus=ascending("rays of positive units"),
    minus=ascending("rays of negative units"),
)
def combine(G: np.ndarray, y: np.ndarray, plus: np.ndarray, minus: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The same optimum by the rays of the cells: nearest y among combinations of what units on rays put out.

    A unit in a cell is a non-negative combination of the cell's rays r, and puts out that of max(0, X r). Rays of cells
    with both signs have a free coefficient; the others are non-negative.

    Parameters
    ----------
    G : (n, k) array, column r is max(0, X r)
    y : (n,) labels
    plus, minus : which columns, increasing, the cells of positive and of negative units have as rays

    Returns
    -------
    coefficients : (k,), >= 0 on rays of positive units alone, <= 0 on rays of negative units alone
    residual : (n,) y less the outputs
    """
    both = np.intersect1d(plus, minus, assume_unique=True)
    one = np.setxor1d(plus, minus, assume_unique=True)
    A = G[:, one] * np.where(np.isin(one, plus), 1.0, -1.0)
    U = _span(G[:, both])
    across = A - U @ (U.T @ A)
    # Along the free columns, the others add nothing.
    adding = np.linalg.norm(across, axis=0) > FREE * np.linalg.norm(A, axis=0)
    coefficients = np.zeros(G.shape[1])
    coefficients[one[adding]] = _nonnegative(across[:, adding], y - U @ (U.T @ y))
    coefficients[minus] *= -1
    rest = y - G @ coefficients
    coefficients[both] = np.linalg.lstsq(G[:, both], rest, rcond=FREE)[0]
    return coefficients, rest - G[:, both] @ coefficients[both]


@checked(
    coefficients=array("coefficients", "k"),
    rays=array("rays", "k d"),
    owned=parts(indices("rays of a cell", "_", "k")),
    signs=array("signs", "m", interval="[-1, 1]"),
)
def weights(coefficients: np.ndarray, rays: np.ndarray, owned: Sequence[np.ndarray], signs: np.ndarray) -> np.ndarray:
    """Units (m, d) that put out what a combination of rays does; of units that could take a ray the first does.

    Parameters
    ----------
    coefficients : (k,) array, as `combine` returns it
    rays : (k, d) array
    owned : m arrays, which rays span the cell of each unit
    signs : (m,) of 1 and -1
    """
    W, left = np.zeros((len(owned), rays.shape[1])), coefficients.copy()
    for j, (own, sign) in enumerate(zip(owned, signs, strict=True)):
        share = np.maximum(sign * left[own], 0)
        W[j] = share @ rays[own]
        left[own[share > 0]] = 0
    return W


def _span(A: np.ndarray) -> np.ndarray:
    """An orthonormal basis of the columns."""
    if not A.any():
        return A[:, :0]
    U, S, _ = np.linalg.svd(A, full_matrices=False)
    return U[:, S / S[0] > FREE]


def _nonnegative(A: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Non-negative least squares for columns that may depend on one another.

    The library's method may then divide by rounding errors, which the optimality conditions tell; proximal points keep
    the columns apart.
    """
    if not A.shape[1]:
        return np.zeros(0)  # the library's method does not survive no columns
    largest = np.linalg.norm(A, axis=0).max()
    found = scipy.optimize.nnls(A, y)[0]
    if largest * found.max() < LARGEST * np.abs(y).max() and _optimal(A, y, found, largest):
        return found
    found, near = np.zeros(A.shape[1]), RAYS_NEAR * largest
    for _ in range(STEPS):
        found = scipy.optimize.nnls(np.vstack([A, near * np.eye(A.shape[1])]), np.append(y, near * found))[0]
        if _optimal(A, y, found, largest):
            break
    return found


def _optimal(A: np.ndarray, y: np.ndarray, found: np.ndarray, largest: float) -> bool:
    return bool((A.T @ (y - A @ found)).max() <= OPTIMAL * largest * np.linalg.norm(y))


@checked(X=UNITS["X"], D=UNITS["D"], signs=UNITS["signs"], residual=array("residual", "n"))
def multipliers(X: np.ndarray, D: np.ndarray, signs: np.ndarray, residual: np.ndarray) -> tuple[np.ndarray, float]:
    """What proves an optimum found another way: multipliers (n, m) >= 0, and how far the proof is off.

    sum_i (2 D_ij - 1) mu_ij x_i = - s_j sum_i D_ij residual_i x_i for every unit j, relative to the size of the right
    side for a residual of norm 1.
    """
    sides, found, off = np.where(D, 1.0, -1.0), np.zeros(D.shape), 0.0
    size = max(np.linalg.norm(X, 2) * np.linalg.norm(residual), np.finfo(float).tiny)
    for j, sign in enumerate(signs):
        found[:, j], left = scipy.optimize.nnls((sides[:, [j]] * X).T, -sign * (D[:, j] * residual) @ X)
        off = max(off, left / size)
    return found, float(off)


def _check(X: np.ndarray, D: np.ndarray, signs: np.ndarray) -> None:
    if not np.isin(signs, (-1, 1)).all():
        raise InvalidInput("signs (of the units' outputs) must be 1 or -1")
    inside = all_ones(np.where(D.T[:, :, None], X, -X))[1]
    if not inside.all():
        column = int(np.flatnonzero(~inside)[0])
        raise InvalidInput(f"D (patterns) must be cells: no direction is active on just the points of column {column}")
