"""Deciding whether a plant is the only solution of a group-sparse program, with certificates."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked
from ..errors import InvalidInput
from ._graded import Graded
from ._newton import Iterate, proximal_points
from ._rounding import EQUAL, largest_other, screened_norms, settles
from .blocks import BLOCKS, Blocks
from .certify import PLANT, Isometry, Plant, Planted, isometry
from .cones import Cones
from .solving import GAP, PROXIMAL_LIMIT, REACH, newton, points, scaling

CHEAPER = 1e-8  # by which share a net must beat the plant to count as cheaper: what fits to `EQUAL` may err by less
PRICE = 10.0  # of outputs that are rounding, beside their size
# A degenerate dual vector sits on the boundary though others do not. With the other blocks made cheaper by
# this share, an optimal plant has a dual vector that stays clear of the boundary by as much.
DISCOUNTS = (1e-4, 1e-6)


class Outcome(StrEnum):
    """What is certain about a plant. A member is the message a user reads."""

    UNIQUE = "the plant is the only solution"
    CHEAPER = "another net fits at a lower cost"
    TIED = "another net fits at the same cost"
    UNDECIDED = "no certificate either way"


class Decision(NamedTuple):
    """An outcome with what proves it.

    outcome : `Outcome`
    margin : how clear it is, as defined below
    dual : (n,) UNIQUE: the dual vector, rounded to floats as in `solving.Answer`
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


@checked(blocks=BLOCKS, y=array("labels", "n"), plant=PLANT)
def decide(blocks: Blocks, y: np.ndarray, plant: Plant) -> Decision:
    """Is the plant the only minimal-norm solution? Stops at the first certificate, of either answer.

    In turn: another block that puts out what a planted one does (a tie by structure, whether the plant is optimal or
    not); the isometry condition, for an exact program with the cones as well; proximal points, each of which is tried
    as a certificate of both kinds; the same with the other blocks discounted. Points that are tiny beside others are
    enlarged with their labels first, and all brought to a size of about 1: the answer is the same in all units.

    In plain and skip programs other units of single inputs make other networks cheap, so that a decision holds in the
    units given; inputs in very different units are decided in coordinates of the labels that suit them.

    UNDECIDED is left where another net costs as much to within 1e-8, and where rounding in the plant's own equations
    hides the margin, as with points or inputs that are tiny or nearly dependent, of conditions near 1e9.

    Parameters
    ----------
    blocks : of the program
    y : (n,) labels, those of the plant without noise
    plant : the planted blocks; none for labels that are zero

    Raises
    ------
    InvalidInput : "y (labels) must be what the plant puts out, got labels 0.3 away from it"
    """
    size, part = float(np.linalg.norm(y)), blocks.part(plant.where)
    off = float(np.linalg.norm(y - part.forward(plant.units * plant.sizes)))
    if off > REACH * size:
        raise InvalidInput(f"y (labels) must be what the plant puts out, got labels {off:.3g} away from it")
    condition, factors = isometry(blocks.gated, plant), scaling(blocks, rows=True)
    weighed, labels = blocks if (factors == 1).all() else blocks.weighed(factors), factors * y
    size = float(np.linalg.norm(labels)) or 1.0
    plant = plant._replace(sizes=plant.sizes / size)
    found = _decided(weighed, labels / size, plant, condition, least=condition.dual / factors)
    dual, W = found.dual, found.W
    return found._replace(dual=None if dual is None else factors * dual, W=None if W is None else size * W)


def _decided(blocks: Blocks, y: np.ndarray, plant: Plant, condition: Isometry, *, least: np.ndarray) -> Decision:
    """The decision for blocks of the right size and labels of norm 1; `least` is the dual vector of the condition."""
    # What the gated blocks certify holds with cones as well: they have fewer units.
    relaxed = _decided(blocks.gated, y, plant, condition, least=least) if isinstance(blocks, Cones) else None
    if relaxed and relaxed.outcome is Outcome.UNIQUE:
        return relaxed
    if blocks.even is not blocks and not isinstance(blocks, Graded):
        return _graded(blocks, y, plant, condition)
    twin = _twin(blocks, plant)
    if twin is not None and blocks.rounded_outputs(twin) <= EQUAL:
        saved = _saved(twin, plant)  # by weights that another planted unit takes up, whose own add to them
        if saved > CHEAPER:
            return Decision(Outcome.CHEAPER, saved, None, twin, condition)
        return Decision(Outcome.TIED, _apart(twin, plant), None, twin, condition)
    largest = largest_other(screened_norms(blocks, least), plant.where) if relaxed else condition.largest(plant)
    if settles(largest, condition.off, condition.independent):
        return Decision(Outcome.UNIQUE, 1 - largest, least, None, condition)
    return _searched(blocks, y, plant, Planted(blocks, plant), condition=condition)


def _graded(blocks: Blocks, y: np.ndarray, plant: Plant, condition: Isometry) -> Decision:
    """As `_decided`, in coordinates of the labels that suit inputs in very different units."""
    graded = Graded(blocks, y, 0.0)
    plant = plant._replace(sizes=plant.sizes / graded.size)
    own = isometry(graded, plant)
    found = _decided(graded, graded.labels, plant, own, least=own.dual)
    dual = None if found.dual is None else graded.dual(found.dual)
    return found._replace(dual=dual, W=None if found.W is None else graded.size * found.W, isometry=condition)


def _tried(blocks: Blocks, y: np.ndarray, cost: np.ndarray) -> Iterable[Iterate]:
    """Points nearer and nearer to the optimum of the program with these costs, in the coordinates of the blocks."""
    if not isinstance(blocks, Graded):
        return islice(proximal_points(blocks, y, cost), PROXIMAL_LIMIT + 1)
    once = (blocks.start(point.W, point.dual) for point in points(*blocks.program, cost))
    return chain(once, newton(blocks, y, cost))


def _searched(blocks: Blocks, y: np.ndarray, plant: Plant, planted: Planted, *, condition: Isometry) -> Decision:
    """The decision by proximal points, each of which is tried as a certificate of both kinds."""
    tie: np.ndarray | None = None
    for discount in (0.0, *DISCOUNTS):
        cost = np.full(blocks.D.shape[1], 1 - discount)
        cost[plant.where] = 1
        for point in _tried(blocks, y, cost):
            dual = planted.corrected(point.dual)
            off = planted.off(dual)
            if planted.independent and off < EQUAL:
                largest = largest_other(screened_norms(blocks, dual), plant.where)
                if settles(largest, off, planted.independent):
                    return Decision(Outcome.UNIQUE, 1 - largest, dual, None, condition)
            W = point.W + blocks.correction(y - blocks.forward(point.W))
            saved = _saved(W, plant)
            rest = y - blocks.forward(W)
            feasible = np.linalg.norm(rest) <= EQUAL
            if feasible and saved > CHEAPER and saved - _price(blocks, W, rest) / plant.cost > CHEAPER:
                return Decision(Outcome.CHEAPER, saved, None, W, condition)
            if _closed(blocks, point, cost, y, W=W):
                break
        if feasible and abs(saved) + blocks.rounded_outputs(W) <= EQUAL and _apart(W, plant) > 1e-3:
            tie = W
    if tie is not None:
        return Decision(Outcome.TIED, _apart(tie, plant), None, tie, condition)
    return Decision(Outcome.UNDECIDED, np.nan, None, None, condition)


def _price(blocks: Blocks, W: np.ndarray, rest: np.ndarray) -> float:
    """What weights may cost that put out what others leave, the rounding of these included."""
    return float(np.linalg.norm(blocks.correction(rest), axis=0).sum()) + PRICE * blocks.rounded_outputs(W)


def _saved(W: np.ndarray, plant: Plant) -> float:
    """The share of the plant's cost that other weights save."""
    return 1 - float(np.linalg.norm(W, axis=0).sum()) / plant.cost


def _apart(W: np.ndarray, plant: Plant) -> float:
    """Distance of weights from the plant, over the plant's norm."""
    return float(np.linalg.norm(W - plant.weights(W.shape[1])) / np.linalg.norm(plant.sizes))


def _closed(blocks: Blocks, point: Iterate, cost: np.ndarray, y: np.ndarray, *, W: np.ndarray) -> bool:
    outside = max(1.0, float((blocks.support(point.back) / cost).max()))
    primal = float(cost @ np.linalg.norm(W, axis=0))
    return primal - float(y @ point.dual) / outside <= GAP * primal


def _twin(blocks: Blocks, plant: Plant) -> np.ndarray | None:
    """The plant with one unit shared with a block that can do the same at the same cost; None if no block can.

    A block that is planted itself may do it for less.
    """
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
