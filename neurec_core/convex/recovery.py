"""Solving group-sparse programs and deciding whether a plant is their only solution, with certificates."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from ..params import BadInput
from .blocks import Blocks, check_finite
from .certify import EQUAL, STRICT, Isometry, Plant, Planted, isometry, largest_other, screened_norms
from .cones import Cones
from .newton import Iterate, proximal_points

GAP = 1e-9  # relative duality gap of `solve`
CHEAPER = 1e-8  # by which share a net must beat the plant to count as cheaper: what fits to `EQUAL` may err by less
# A degenerate dual vector sits on the boundary though others do not. With the other blocks made cheaper by
# this share, an optimal plant has a dual vector that stays clear of the boundary by as much.
DISCOUNTS = (1e-4, 1e-6)
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
    _check_labels(blocks, y)
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


def _check_labels(blocks: Blocks, y: np.ndarray) -> None:
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
    if not len(tight) or _independent(outputs):
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
    unique = np.abs(even - shares).max() < 1e-4 * even.max() and _independent(outputs[:, used])
    if unique:
        return W, True
    W = W.copy()
    W[:, tight] += units * (even - shares)
    return W, False


def _independent(columns: np.ndarray) -> bool:
    if columns.shape[1] > len(columns):
        return False
    values = np.linalg.svd(columns, compute_uv=False)
    return bool(values[-1] > TIGHT * values[0])


# ------------------------------------------------------------------------------------------- decide


class Outcome(StrEnum):
    """What is certain about a plant. A member is the message a user reads."""

    UNIQUE = "the plant is the only solution"
    CHEAPER = "another net fits at a lower cost"
    TIED = "another net fits at the same cost"
    UNDECIDED = "no certificate either way"


class Decision(NamedTuple):
    """An outcome with what proves it.

    outcome : `Outcome`
    margin : how clear it is, as told below
    dual : (n,) UNIQUE: the dual vector
    W : (d, p) CHEAPER, TIED: the other net's weights
    isometry : the isometry condition, tried first

    The margin of UNIQUE is 1 minus the largest norm of a block that is not planted, that of CHEAPER the share of the
    plant's cost that is saved, that of TIED the other net's distance from the plant over the plant's norm.
    """

    outcome: Outcome
    margin: float
    dual: np.ndarray | None
    W: np.ndarray | None
    isometry: Isometry


def decide(blocks: Blocks, y: np.ndarray, plant: Plant) -> Decision:
    """Is the plant the only minimal-norm solution? Stops at the first certificate, of either answer.

    In turn: two equal blocks of which one is planted (a tie by structure); the isometry condition, for an exact
    program with the cones as well; proximal points, each of which is tried as a certificate of both kinds; the
    same with the other blocks discounted.

    Parameters
    ----------
    blocks : of the program
    y : (n,) labels, those of the plant without noise
    plant : the planted blocks; none for labels that are zero

    Raises
    ------
    BadInput : "y (labels) must be what the plant puts out, got labels 0.3 away from it"
    """
    _check_labels(blocks, y)
    size, part = float(np.linalg.norm(y)), blocks.part(plant.where)
    off = float(np.linalg.norm(y - part.forward(plant.units * plant.sizes)))
    if off > REACH * size:
        raise BadInput(f"y (labels) must be what the plant puts out, got labels {off:.3g} away from it")
    # What the gated blocks certify holds with cones as well: they have fewer units.
    relaxed = decide(blocks.gated, y, plant) if isinstance(blocks, Cones) else None
    if relaxed and relaxed.outcome is Outcome.UNIQUE:
        return relaxed
    condition = relaxed.isometry if relaxed else isometry(blocks, plant)
    twin = _twin(blocks, plant)
    if twin is not None:
        return Decision(Outcome.TIED, _apart(twin, plant), None, twin, condition)
    if condition.held(plant):
        return Decision(Outcome.UNIQUE, 1 - condition.largest(plant), condition.dual, None, condition)
    if relaxed and condition.consistent and condition.independent:
        largest = largest_other(screened_norms(blocks, condition.dual), plant)
        if largest < 1 - STRICT:
            return Decision(Outcome.UNIQUE, 1 - largest, condition.dual, None, condition)
    planted = Planted(blocks, plant)
    tie: np.ndarray | None = None
    for discount in (0.0, *DISCOUNTS):
        cost = np.full(blocks.D.shape[1], 1 - discount)
        cost[plant.where] = 1
        for k, point in enumerate(proximal_points(blocks, y / size, cost)):
            dual = planted.corrected(point.dual)
            if planted.independent and planted.consistent(dual):
                largest = largest_other(screened_norms(blocks, dual), plant)
                if largest < 1 - STRICT:
                    return Decision(Outcome.UNIQUE, 1 - largest, dual, None, condition)
            W = (point.W + blocks.correction(y / size - blocks.forward(point.W))) * size
            saved = 1 - float(np.linalg.norm(W, axis=0).sum()) / plant.cost
            feasible = np.linalg.norm(y - blocks.forward(W)) <= EQUAL * size
            if feasible and saved > CHEAPER:
                return Decision(Outcome.CHEAPER, saved, None, W, condition)
            if k == PROXIMAL_LIMIT or _closed(blocks, point, cost, y / size, W / size):
                break
        if feasible and abs(saved) <= EQUAL and _apart(W, plant) > 1e-3:
            tie = W
    if tie is not None:
        return Decision(Outcome.TIED, _apart(tie, plant), None, tie, condition)
    return Decision(Outcome.UNDECIDED, np.nan, None, None, condition)


def _apart(W: np.ndarray, plant: Plant) -> float:
    """Distance of weights from the plant, over the plant's norm."""
    return float(np.linalg.norm(W - plant.weights(W.shape[1])) / np.linalg.norm(plant.sizes))


def _closed(blocks: Blocks, point: Iterate, cost: np.ndarray, y: np.ndarray, W: np.ndarray) -> bool:
    outside = max(1.0, float((blocks.support(point.back) / cost).max()))
    primal = float(cost @ np.linalg.norm(W, axis=0))
    return primal - float(y @ point.dual) / outside <= GAP * primal


def _twin(blocks: Blocks, plant: Plant) -> np.ndarray | None:
    """The plant with one unit shared with a block that can do the same at the same cost; None if no block can."""
    part = blocks.part(plant.where)
    for s, (place, size) in enumerate(zip(plant.where, plant.sizes, strict=True)):
        able = blocks.able(place, plant.units[:, s])
        if able.any():
            other = int(able.argmax())
            W = plant.weights(blocks.D.shape[1])
            output = part.forward(plant.units[:, [s]], np.array([s]))
            unit = blocks.part(np.array([other])).adjoint(output)[:, 0] if blocks.whitened else plant.units[:, s]
            W[:, place] /= 2
            W[:, other] += unit * size / 2
            return W
    return None
