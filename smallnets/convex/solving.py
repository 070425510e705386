"""Group-sparse programs solved to a duality gap, with how many solutions there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, checked, number
from . import _conic
from ._graded import Graded
from ._newton import Iterate, proximal_points
from ._points import nearest_power
from ._rounding import EQUAL, independent
from .blocks import BLOCKS, Blocks
from .cones import Cones

GAP = 1e-9  # relative duality gap of `solve`
REACH = 1e-6  # labels that least squares misses by more than this share are out of reach
PROXIMAL_LIMIT = 40
STEPS = 300  # Newton steps after which proximal points are said to have stalled
TINY, NEAR = 2.0**-16, 8.0  # points this much smaller than the largest are enlarged, and all brought this near to 1
SHARED = 1e-11  # by which share labels that are shared out evenly may cost more, at least
TIGHT = 1e-6  # blocks with norms this near to 1 may take part in a solution


class Answer(NamedTuple):
    """A solution of minimise sum_j c_j ||w_j|| s.t. sum_j A_j w_j = y (or of the program with ridge).

    Its ``dual`` is feasible up to rounding to floats: norms may exceed 1 by 2e-16 sum_i |dual_i| |x_i|, which counts
    where inputs are in units that differ by seven powers of ten or more.

    W : (d, p) weights, exactly feasible up to rounding
    dual : (n,) feasible dual vector
    norms : (p,) ||A_j^T dual||, at most 1
    gap : objective at W minus objective at dual, over the former: bounds the distance from the optimum
    unique : whether W is the only solution, as far as the active blocks tell; None where the gap was not closed
    converged : whether the gap was closed
    """

    W: np.ndarray
    dual: np.ndarray
    norms: np.ndarray
    gap: float
    unique: bool | None
    converged: bool


PROGRAM = {
    "blocks": BLOCKS,
    "y": array("labels", "n"),
    "ridge": number("weight decay", "[0, inf)"),
    "gap": number("relative gap", "(-inf, 1)"),
}
WEIGHED = {name: PROGRAM[name] for name in ("blocks", "y", "ridge")} | {"cost": array("costs", "p")}


@checked(**PROGRAM)
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
    InvalidInput : "y (labels) must be finite, got 1 of 12 entries that are not"
    """
    size = float(np.linalg.norm(y))
    W = np.zeros((blocks.X.shape[1], blocks.D.shape[1]))
    nothing = Answer(W, np.zeros_like(y), np.zeros(W.shape[1]), 0.0, True, True)
    if size == 0:
        return nothing
    factors = scaling(blocks, rows=not ridge)
    if (factors != 1).any():
        scaled = solve(blocks.weighed(factors), factors * y, ridge * factors[0] ** 2, gap)
        return scaled._replace(dual=factors * scaled.dual)
    even = blocks.even
    if not ridge and np.linalg.norm(y - even.forward(even.correction(y))) > REACH * size:
        return nothing._replace(gap=np.inf, unique=None, converged=False)
    W, dual, norms, left = _solved(blocks, y / size, ridge=ridge / size, gap=gap)
    if abs(left) > gap:
        return Answer(W * size, dual, norms, abs(left), None, False)
    shared, unique = evenly(blocks, W, dual, norms)
    before, after = (_objective(blocks, y / size, ridge / size, each, dual=dual) for each in (W, shared))
    if after - before > max(gap - abs(left), SHARED) * before:  # where the shares of nearly equal outputs are rounding
        shared = W
    return Answer(shared * size, dual, norms, left, unique, True)


def _solved(
    blocks: Blocks, y: np.ndarray, *, ridge: float, gap: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """As `enclosed`, by whatever closes the gap: for inputs in very different units graded coordinates, at last."""
    cost = np.ones(blocks.D.shape[1])
    found = enclosed(blocks, y, ridge, gap, points=points(blocks, y, cost, ridge))
    if abs(found[3]) <= gap or blocks.even is blocks:
        return found
    graded = Graded(blocks, y, ridge)
    program = graded, graded.labels, cost, graded.ridge
    again = chain(newton(*program, start_at=graded.start(found[0], found[1])), newton(*program))
    W, dual, norms, left = enclosed(graded, graded.labels, graded.ridge, gap, points=again)
    return (graded.size * W, graded.dual(dual), norms, left) if abs(left) <= gap else found


def scaling(blocks: Blocks, rows: bool) -> np.ndarray:
    """Powers of two (n,) that bring points to sizes for which the methods are made.

    The same weights fit labels that are multiplied along with their points; for whitened blocks they would cost
    something else, but these are the same in all units of the inputs.

    Parameters
    ----------
    blocks : of the program
    rows : whether points may be multiplied by different factors, which changes what residuals cost
    """
    factors: np.ndarray = np.ones(blocks.n)
    if blocks.whitened:
        return factors
    sizes = blocks.points.lengths
    largest = float(sizes.max())
    if not largest:
        return factors
    tiny = (sizes > 0) & (sizes < TINY * largest)
    if rows and tiny.any():
        factors[tiny] = nearest_power(largest / sizes[tiny])
    spread = float(np.linalg.norm(factors * sizes)) / blocks.X.shape[1] ** 0.5
    if not 1 / NEAR < spread < NEAR:
        factors /= nearest_power(np.array(spread))
    return factors


@checked(**PROGRAM)
def enclosed(
    blocks: Blocks, y: np.ndarray, ridge: float, gap: float, *, points: Iterable[Iterate]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """The best weights and dual vector among points, up to where the gap between them is small enough.

    Parameters
    ----------
    blocks : of the program
    y : (n,) labels, of norm about 1
    ridge : as for `solve`
    gap : relative
    points : one after another, each nearer to the optimum

    Returns
    -------
    weights (d, p), dual vector (n,), its norms (p,), and the gap; the weights cost infinitely much where none fit
    """
    W = np.zeros((blocks.X.shape[1], blocks.D.shape[1]))
    least, most, dual, norms, left = np.inf, -np.inf, np.zeros_like(y), np.zeros(W.shape[1]), np.inf
    for point in points:
        found = blocks.bounds(point) if isinstance(blocks, Graded) else _bounds(blocks, y, ridge, point)
        near, primal, candidate, sizes, bound = found
        if primal < least:
            least, W = primal, near
        if bound > most:
            most, dual, norms = bound, candidate, sizes
        left = (least - most) / least if least < np.inf else np.inf
        if abs(left) <= gap:
            break
    return W, dual, norms, left


@checked(**WEIGHED)
def points(blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float = 0.0) -> Iterator[Iterate]:
    """Points nearer and nearer to the optimum, until nothing is left to be tried.

    Of an exact program first the relaxed solution, which solves it if it lies in the cones; then proximal points,
    unless columns in very different units make projections on cones inexact; and where these stall, the optimum by an
    interior-point method.
    """
    if isinstance(blocks, Cones):
        gated = blocks.gated
        W, dual, *_ = enclosed(gated, y, ridge, GAP, points=newton(gated, y, cost[: gated.D.shape[1]], ridge))
        yield Iterate(blocks.signed(W), dual, blocks.adjoint(dual), 0)
    if blocks.even is blocks or blocks.gated is blocks:
        yield from newton(blocks, y, cost, ridge)
    yield from _conic.optima(blocks, y, cost, ridge)


@checked(**WEIGHED)
def newton(
    blocks: Blocks, y: np.ndarray, cost: np.ndarray, ridge: float = 0.0, *, start_at: Iterate | None = None
) -> Iterator[Iterate]:
    """Proximal points, as long as they are worth their Newton steps."""
    for k, point in enumerate(proximal_points(blocks, y, cost, ridge, start_at=start_at)):
        yield point
        if point.steps > STEPS or k == PROXIMAL_LIMIT:
            break


def _bounds(
    blocks: Blocks, y: np.ndarray, ridge: float, point: Iterate
) -> tuple[np.ndarray, float, np.ndarray, np.ndarray, float]:
    """Feasible weights and their objective; a feasible dual vector, its norms and its objective."""
    norms = blocks.support(point.back)
    outside = max(1.0, float(norms.max()))
    dual, norms = point.dual / outside, norms / outside
    bound = float(y @ dual) - ridge * float(dual @ dual) / 2
    # Labels exactly met; with ridge, left what the dual vector leaves, unless the weights as they are do better.
    W = point.W + blocks.correction(y - blocks.forward(point.W) - ridge * dual)
    primal = _objective(blocks, y, ridge, W, dual=dual)
    if ridge and (as_it_is := _objective(blocks, y, ridge, point.W, dual=dual)) < primal:
        W, primal = point.W, as_it_is
    return W, primal, dual, norms, bound


def _objective(blocks: Blocks, y: np.ndarray, ridge: float, W: np.ndarray, *, dual: np.ndarray) -> float:
    cost, missed = float(np.linalg.norm(W, axis=0).sum()), float(np.linalg.norm(y - blocks.forward(W)))
    if ridge:
        return cost + missed**2 / (2 * ridge)
    # What is missed at the price of a dual vector; inf if out of reach, or too badly conditioned to say.
    return cost + missed * float(np.linalg.norm(dual)) if missed <= EQUAL else np.inf


@checked(blocks=BLOCKS, W=array("weights", "d p"), dual=array("dual vector", "n"), norms=array("norms", "p"))
def evenly(blocks: Blocks, W: np.ndarray, dual: np.ndarray, norms: np.ndarray) -> tuple[np.ndarray, bool]:
    """Of all solutions the one of least Euclidean norm, and whether it is the only one.

    Every solution has w_j = t_j A_j^T l / ||A_j^T l|| with t_j >= 0, and t_j = 0 unless ||A_j^T l|| = 1: a
    solution is unique if the outputs of those units are linearly independent.
    """
    tight = np.flatnonzero(norms > 1 - TIGHT)
    points = blocks.project(blocks.adjoint(dual), np.full(len(norms), 1 - 2 * TIGHT))[1]
    units = points[:, tight] / norms[tight]
    outputs = blocks.D[:, tight] * (blocks.X @ blocks.inputs(units, tight))
    if not len(tight) or independent(outputs, blocks, TIGHT):
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
    if np.abs(even - shares).max() < 1e-4 * even.max() and _only(outputs, used, blocks):
        return W, True
    W = W.copy()
    W[:, tight] += units * (even - shares)
    return W, False


def _only(outputs: np.ndarray, used: np.ndarray, blocks: Blocks) -> bool:
    """Whether non-negative shares of outputs, positive where used, are the only ones with their sum.

    Others would differ by shares that are positive somewhere off the used ones, and there the outputs would have a
    convex combination in the span of the used ones.
    """
    if not independent(outputs[:, used], blocks, TIGHT):
        return False
    units = outputs / np.linalg.norm(outputs, axis=0)
    Q = np.linalg.qr(units[:, used])[0]
    across = units[:, ~used] - Q @ (Q.T @ units[:, ~used])
    last = np.append(np.zeros(len(across)), 1.0)
    return bool(scipy.optimize.nnls(np.vstack([across, np.ones(across.shape[1])]), last)[1] > TIGHT)
