"""Whole trainings of many networks on a line, exactly, at a cost that does not depend on their width.

Networks without biases are stepped side by side. Where a step has carried some neurons from one side of a network to
the other without a stop in between, it goes on by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ...arguments import array, checked, record
from ...errors import InvalidInput
from . import certificate, kernels
from .certificate import certified
from .data import Criterion, HiddenLayer, Outcome, Sample
from .kernels import BOTH, NUMBERS, VECTOR
from .network import NONE, STEP_SIZE, TRACKED, LineNetwork

# (network, step) -> sums (R, 10) over the points of each step up to the next check, as of `data.Sample.rows`.
Minibatches = Callable[[int, int], np.ndarray]
FULL = np.empty((0, 0, 10))


class Endings(NamedTuple):
    """Outcome, step of the check that ended it, step at which a kink reached a point (-1: never), all (B,)."""

    outcome: np.ndarray
    steps: np.ndarray
    crossing: np.ndarray


@checked(
    sample=record(sums=array("moments of the points by side", "B 6 2")),
    layer=record(T=array("second moments of the neurons by side", "B 2 2 2")),
    h=array("step sizes", "B", interval="(0, inf)"),
)
def train(
    sample: Sample,
    layer: HiddenLayer,
    h: np.ndarray,
    criterion: Criterion,
    *,
    validation: Sample | None = None,
    minibatches: Minibatches | None = None,
) -> Endings:
    """Train networks that start without biases until a check says that they are done.

    Parameters
    ----------
    sample : training points
    layer : the networks at the start, from `data.gather`
    h : (B,) step sizes
    criterion : when a network is done
    validation : other shares of the points, which early stopping needs
    minibatches : the sums over the points of the steps to come; None trains on all points

    Raises
    ------
    InvalidInput : early stopping without other shares, or the certificate, which holds for all points only, with
        minibatches

    **Source**: holzmuller2022training and its code: a crossing is seen at the next check, before
    anything else.
    """
    if criterion.sufficient and minibatches is not None:
        raise InvalidInput(
            "criterion.sufficient (whether the certificate ends a training) must be False with minibatches"
        )
    if criterion.patience and validation is None:
        raise InvalidInput(f"validation (other shares) must be given for patience = {criterion.patience}, got None")
    run = _Run.start(sample, h, criterion, validation)
    # Kernels need not know of degenerate draws.
    alone = (layer.size == 0).any(axis=1) | (run.few & criterion.sufficient)
    networks = {int(b): LineNetwork.start(layer, int(b)) for b in np.flatnonzero(alone)}
    ids = np.flatnonzero(~alone)
    numbers = _packed(layer, sample, h, validation, constants=run.constants)[ids]
    if minibatches is None:
        for i in np.flatnonzero(run.side_by_side(ids, numbers)):
            networks[int(ids[i])] = _alone(layer, int(ids[i]), numbers[i])
        for b, one in networks.items():
            while run.goes_on(b):
                run.block(b, one, run.rows[b : b + 1])
        return run.ends
    while len(ids) or networks:
        # All by one check, then all by the next: a published stream is drawn from in this order.
        drawn = {b: minibatches(b, int(run.ends.steps[b])) for b in sorted([*ids.tolist(), *networks])}
        left = run.side_by_side(ids, numbers, drawn)
        networks |= {int(ids[i]): _alone(layer, int(ids[i]), numbers[i]) for i in np.flatnonzero(left)}
        for b, one in networks.items():
            run.block(b, one, drawn[b])
        stay = np.array([run.goes_on(b) and b not in networks for b in ids.tolist()], bool)
        ids, numbers = ids[stay], numbers[stay]
        networks = {b: one for b, one in networks.items() if run.goes_on(b)}
    return run.ends


def _pair(numbers: np.ndarray, row: int) -> np.ndarray:
    """One of the numbers that `kernels` name, on the right and on the left: a view (B, 2) into all of them."""
    return numbers[:, row // VECTOR : row // VECTOR + 2]


def _packed(layer: HiddenLayer, sample: Sample, h: np.ndarray, validation: Any, *, constants: np.ndarray) -> np.ndarray:
    """The numbers of each network at the start."""
    B = len(h)
    nets, numbers = np.arange(B), np.zeros((B, NUMBERS // VECTOR))
    begin: dict[int, Any] = {kernels.A1: 1, kernels.W2: 1, kernels.MARGIN: np.inf, kernels.LOWEST: np.inf}
    begin |= {kernels.T11 + k * BOTH: layer.T[:, :, i, j] for k, (i, j) in enumerate([(0, 0), (0, 1), (1, 1)])}
    begin |= {kernels.XX + k * BOTH: h[:, None] * sample.sums[:, k] for k in range(5)}
    begin |= {kernels.ROOT_XX + k * BOTH: constants[:, k] for k in range(6)}
    if validation is not None:
        begin |= {kernels.VALIDATION + k * BOTH: validation.sums[:, k] for k in range(6)}
    for row, last in ((kernels.LOW, np.zeros_like(layer.known)), (kernels.HIGH, layer.known - 1)):
        a, w = np.moveaxis(layer.ends[nets[:, None], [[0, 1]], np.maximum(last, 0)], 2, 0)
        begin[row] = np.divide(w, a, out=np.zeros((B, 2)), where=layer.size > 0)
    for row, values in {**begin, kernels.REACH: sample.reach[:, None]}.items():
        _pair(numbers, row)[:] = values
    return numbers


def _alone(layer: HiddenLayer, b: int, numbers: np.ndarray) -> LineNetwork:
    """LineNetwork b in the state that its numbers describe."""
    one = LineNetwork.start(layer, b)
    one.state.basis[:, :, 0::2] = _basis(numbers[None])[0]
    one.state.c[0] = numbers[kernels.C // VECTOR]
    return one


def _basis(numbers: np.ndarray) -> np.ndarray:
    """What has become of (1, 0, 0) and (0, 0, 1) on either side, in columns, (B, 2, 3, 2)."""
    return numbers[:, : kernels.C // VECTOR].reshape(-1, 3, 2, 2).transpose(0, 3, 1, 2)


def _extremes(numbers: np.ndarray) -> np.ndarray:
    """The extreme neurons of both sides over their a at the start, (B, 4, 3)."""
    ratios = np.stack([_pair(numbers, kernels.LOW), _pair(numbers, kernels.HIGH)], axis=1)  # (B, 2, side)
    pairs = np.stack([np.ones_like(ratios), ratios], axis=3)
    return np.einsum("bsik,bjsk->bjsi", _basis(numbers), pairs).reshape(-1, 4, 3)


@dataclass
class _Run:
    """Networks in training: what is known of their points, and how they have ended."""

    rows: np.ndarray
    reach: np.ndarray
    few: np.ndarray
    h: np.ndarray
    constants: np.ndarray
    validation: np.ndarray | None
    criterion: Criterion
    ends: Endings
    lowest: np.ndarray
    waited: np.ndarray
    taken: np.ndarray

    @classmethod
    def start(cls, sample: Sample, h: np.ndarray, criterion: Criterion, validation: Sample | None) -> _Run:
        B = len(h)
        ends = Endings(np.zeros(B, np.int64), np.zeros(B, np.int64), np.full(B, -1))
        few = np.less(sample.points, 2).any(axis=1)
        shares = None if validation is None else validation.sums
        wait = np.full(B, np.inf), np.zeros(B, np.int64), np.zeros(B, np.int64)
        return cls(sample.rows, sample.reach, few, h, certificate.constants(sample), shares, criterion, ends, *wait)

    def goes_on(self, b: int) -> bool:
        """Whether network b has not ended."""
        return bool(self.ends.outcome[b] == Outcome.UNFINISHED and self.ends.steps[b] < self.criterion.limit)

    def side_by_side(
        self, ids: np.ndarray, numbers: np.ndarray, drawn: dict[int, np.ndarray] | None = None
    ) -> np.ndarray:
        """Train networks to their ends or, on points `drawn`, to the next check; which of them go on alone.

        These are in the state in which the first of their neurons had changed side.
        """
        outcome = _pair(numbers, kernels.OUTCOME)[:, 0]
        going = np.arange(len(ids))
        while len(going):
            some = numbers[going]
            self._run(ids[going], some, drawn)
            undecided = np.flatnonzero(_pair(some, kernels.OUTCOME)[:, 0] == Outcome.UNDECIDED)
            held = self._certified(ids[going[undecided]], some[undecided])
            _pair(some, kernels.OUTCOME)[undecided] = np.where(held, Outcome.CONVERGED, Outcome.UNFINISHED)[:, None]
            numbers[going] = some
            going = going[undecided[~held & (_pair(some[undecided], kernels.STEPS)[:, 0] < self.criterion.limit)]]
        left = outcome == Outcome.LEFT
        a, b, _ = np.abs(_extremes(numbers).transpose(2, 0, 1))
        finite = np.isfinite(_basis(numbers).sum(axis=(1, 2, 3)) + _pair(numbers, kernels.C)[:, 0])
        crossed = left & finite & (b >= self.reach[ids, None] * a).any(axis=1)
        diverged = left & ~finite
        steps = _pair(numbers, kernels.STEPS)[:, 0].astype(np.int64)
        rest = -steps % self.criterion.interval
        self.ends.outcome[ids] = np.select([crossed, diverged, left], [Outcome.CROSSED, Outcome.DIVERGED, 0], outcome)
        alone = left & ~crossed & ~diverged
        self.ends.steps[ids] = np.where(alone, steps + rest - self.criterion.interval, steps + rest)
        self.ends.crossing[ids[crossed]] = steps[crossed]
        self.lowest[ids], self.waited[ids] = (
            _pair(numbers, kernels.LOWEST)[:, 0],
            _pair(numbers, kernels.WAITED)[:, 0],
        )
        self.taken[ids[alone]] = self.criterion.interval - rest[alone]
        return alone

    def _run(self, ids: np.ndarray, numbers: np.ndarray, drawn: dict[int, np.ndarray] | None) -> None:
        room = np.zeros(NUMBERS), np.full(VECTOR, -1), np.empty((2, certificate.READ)), np.empty((4, 3))
        if drawn is None:
            kernels.train(numbers, FULL, self.criterion, room)
            return
        once = self.criterion._replace(limit=0)
        for some in np.split(np.arange(len(ids)), range(VECTOR, len(ids), VECTOR)):
            part = numbers[some]
            kernels.train(part, np.stack([self.h[b] * drawn[b] for b in ids[some].tolist()]), once, room)
            numbers[some] = part

    def _certified(self, ids: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        basis = _basis(numbers)
        T = np.stack([_pair(numbers, row) for row in (kernels.T11, kernels.T12, kernels.T12, kernels.T22)], axis=2)
        S = basis @ T.reshape(-1, 2, 2, 2) @ basis.mT
        return self._hold(ids, S, _pair(numbers, kernels.C)[:, 0], _extremes(numbers))

    def _hold(self, ids: np.ndarray, S: np.ndarray, c: np.ndarray, neurons: np.ndarray) -> np.ndarray:
        sides, norm = certificate.read(S, c, self.constants[ids]), self.constants[ids, 5, 0]
        return certified(sides, neurons, norm, self.reach[ids], h=self.h[ids], sharp=self.criterion.sharp)

    def block(
        self, b: int, one: LineNetwork, points: np.ndarray, tracked: tuple[np.ndarray, np.ndarray] = NONE
    ) -> None:
        """The steps of one network up to its next check, and the check."""
        taken, reach = int(self.taken[b]), self.reach[b]
        end = one.reassign(reach) if taken else None
        if end is None:
            rest = points[taken:] if len(points) > 1 else points
            end, more = one.advance(rest, self.h[b], reach, self.criterion.interval - taken, tracked=tracked)
            taken += more
        if end is Outcome.CROSSED:
            self.ends.crossing[b] = self.ends.steps[b] + taken
        self.ends.steps[b] += self.criterion.interval
        self.taken[b] = 0
        self.ends.outcome[b] = self.check(b, one) if end is None else end

    def check(self, b: int, one: LineNetwork) -> Outcome:
        """What a check says now of a network that has not crossed: stopped early, degenerate, converged, or neither."""
        if self.criterion.patience and self._has_waited(b, one.lines()):
            return Outcome.STOPPED
        if not self.criterion.sufficient:
            return Outcome.UNFINISHED
        if self.few[b]:
            return Outcome.X_DEGENERATE
        if not all((one.side == s).any() for s in (0, 1)):  # those that are not listed lie between listed ones
            return Outcome.A_DEGENERATE
        held = self._hold(np.array([b]), one.second_moments()[None], one.state.c, one.decisive()[None])
        return Outcome.CONVERGED if held[0] else Outcome.UNFINISHED

    def _has_waited(self, b: int, lines: np.ndarray) -> bool:
        """Whether the validation loss sum nu (y - f)^2 has waited long enough for a new lowest one."""
        assert self.validation is not None
        xx, x, one, xy, y, yy = self.validation[b]
        p, q = lines.T
        loss = float((p * p * xx + 2 * p * q * x + q * q * one + yy - 2 * p * xy - 2 * q * y).sum())
        better = loss < self.lowest[b] - 1e-8
        self.lowest[b], self.waited[b] = (loss, 0) if better else (self.lowest[b], self.waited[b] + 1)
        return bool(self.waited[b] >= self.criterion.patience)


@checked(h=STEP_SIZE, tracked=TRACKED)
def follow(
    network: LineNetwork,
    sample: Sample,
    h: float,
    criterion: Criterion,
    *,
    tracked: tuple[np.ndarray, np.ndarray] = NONE,
) -> Outcome:
    """Train one network on all points, those of ``sample`` with B = 1, until a check says that it is done.

    Its largest kink, and the largest movements of the neurons ``tracked`` as in `LineNetwork.advance`, are then those
    up to that check. It also ends where a neuron has left its side.
    """
    run = _Run.start(sample, np.array([h]), criterion, None)
    while run.goes_on(0) and not network.changed.any():
        run.block(0, network, run.rows, tracked)
    return Outcome(run.ends.outcome[0])
