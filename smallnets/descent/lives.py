"""Whole trainings of networks on a line, exactly, at a cost that does not depend on their width.

Networks without biases are stepped in `lanes`. One whose extreme neurons leave is followed by itself with
`sides.advance`: either a kink has reached a point, or a step has carried some neurons from one side to the other
without a stop in between; these are then followed one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy.spatial import ConvexHull, QhullError

from ..arguments import array, checked, number, whole
from . import lanes
from .certificate import converged, roots
from .lanes import Checks, squared_error, waited
from .sides import Group, Neurons, Outcome, Sides, advance, line, pull, track

PART = array("weights", "m")


class Lives(NamedTuple):
    """Outcome, step of the check that ended it, step at which a kink reached a point (-1: never), all (B,)."""

    outcome: np.ndarray
    steps: np.ndarray
    left: np.ndarray


# (network, step) -> moments (R, 2, 3) and (R, 2, 2) of the points in the steps up to the next check.
Minibatches = Callable[[int, int], tuple[np.ndarray, np.ndarray]]


@checked(h=array("step sizes", "B", interval="(0, inf)"))
def live(
    sides: Sides,
    neurons: Neurons,
    h: np.ndarray,
    checks: Checks,
    validation: Sides | None = None,
    minibatches: Minibatches | None = None,
) -> Lives:
    """Train networks that start without biases until a check says that they are done.

    Parameters
    ----------
    sides : training points
    neurons : the networks at the start, from `sides.gather`
    h : (B,) step sizes
    checks : when a network is done
    validation : other shares of the points, for early stopping
    minibatches : the moments of the points of the steps to come; None trains on all points. The certificate holds for
        all points only and must not be asked for

    **Source**: holzmuller2022training and its code: a crossing is seen at the next check, before
    anything else.
    """
    B = len(h)
    ends = Lives(np.zeros(B, np.int64), np.zeros(B, np.int64), np.full(B, -1))
    few = (sides.points < 2).any(axis=1)
    V = _sums(validation) if validation is not None else np.zeros((B, 2, 6))
    best, wait = np.full((B, 1), np.inf), np.zeros((B, 1), int)
    data = Points(sides.M, sides.u, *roots(sides.M), h, sides.reach, few, V, best, wait)
    states: dict[int, np.ndarray] = {}
    # Networks on degenerate draws are followed by themselves: the lanes' checks need not know of them.
    alone = np.asarray(few & checks.sufficient | (minibatches is not None))
    if not alone.all():
        states = _in_lanes(neurons, sides, data, checks, ends, np.flatnonzero(~alone))
        alone[list(states)] = True
    followers = {int(b): Follower.start(neurons, int(b), states.get(int(b))) for b in np.flatnonzero(alone)}
    # All by one check, then all by the next: a published stream is drawn from in this order.
    while followers:
        for b, one in list(followers.items()):
            batch = minibatches(b, int(ends.steps[b])) if minibatches else None
            outcome, at = one.block(data.of(b), checks, batch)
            if outcome is Outcome.CROSSED:
                ends.left[b] = ends.steps[b] + at
            ends.steps[b] += checks.interval
            if outcome is not None or ends.steps[b] >= checks.limit:
                ends.outcome[b] = outcome or Outcome.UNFINISHED
                del followers[b]
    return ends


def _in_lanes(
    neurons: Neurons, sides: Sides, data: Points, checks: Checks, ends: Lives, which: np.ndarray
) -> dict[int, np.ndarray]:
    """Train some networks side by side; those handed back, each with its state."""
    rows = lanes.pack(neurons, sides, data.h)[which]
    some, part = data.of(which), Lives(*(a[which] for a in ends))
    state = np.empty((len(rows), lanes.STATE))
    given = some.M, some.u, some.root, some.inverse, some.reach
    lanes.run(rows, some.h, given, some.V, checks, *part, state, some.best, some.wait)
    for all_, a in zip([*ends, data.best, data.wait], [*part, some.best, some.wait], strict=True):
        all_[which] = a
    back = part.outcome == Outcome.LEFT
    return dict(zip(which[back].tolist(), state[back], strict=True))


def _sums(sides: Sides) -> np.ndarray:
    return np.concatenate([sides.M, sides.u, sides.square[..., None]], axis=2)


class Points(NamedTuple):
    """Points, step sizes and early stopping of networks, as `lanes.run` and `certificate.converged` read them.

    ``few`` says whether a side has at most one point.
    """

    M: np.ndarray
    u: np.ndarray
    root: np.ndarray
    inverse: np.ndarray
    h: Any
    reach: Any
    few: Any
    V: np.ndarray
    best: np.ndarray
    wait: np.ndarray

    def of(self, which: Any) -> Points:
        """Those of some networks or, without the leading axis, of one; of one, ``best`` and ``wait`` are views."""
        return Points(*(part[which] for part in self))


@dataclass
class Follower:
    """One network, its neurons listed by coordinates in the basis of their side.

    ``coordinates`` holds an (N, k) array per side; neurons that end a list beside those that are not listed are marked
    in ``verge``; both lose the neurons that have changed side.
    """

    group: Group
    coordinates: list[np.ndarray]
    verge: list[np.ndarray]

    @classmethod
    @checked(b=whole("network"), state=array("state of a lane", "_", finite=False))
    def start(cls, neurons: Neurons, b: int, state: np.ndarray | None = None) -> Follower:
        """Network b, at the start or in a `state` of its lane."""
        listed = [neurons.ends[b, s, : neurons.known[b, s]] for s in (0, 1)]
        verge = []
        for s in (0, 1):
            half, hidden = neurons.ends.shape[2] // 2, neurons.size[b, s] > neurons.known[b, s]
            verge.append(hidden & np.isin(np.arange(len(listed[s])), [half - 1, half]))
        basis, c = np.zeros((2, 3, 2)), np.zeros(1)
        basis[:, [0, 2], [0, 1]] = 1
        if state is not None and np.isfinite(state).all():
            basis, c = state[:12].reshape(2, 3, 2).copy(), state[12:].copy()
        return cls._watching(Group(basis, neurons.T[b].copy(), c, *_nothing(2)), listed, verge)

    @classmethod
    @checked(a=PART, b=PART, w=PART, c=number("output bias"))
    def of(cls, a: np.ndarray, b: np.ndarray, w: np.ndarray, c: float = 0.0) -> Follower:
        """A network with any weights ``a, b, w (m,)``; its kinks must not reach a point yet."""
        theta = np.stack([a, b, w], axis=1)
        listed = [theta[a > 0], theta[a < 0]]
        T = np.stack([one.T @ one for one in listed])
        group = Group(np.stack([np.eye(3)] * 2), T, np.array([float(c)]), *_nothing(3))
        return cls._watching(group, listed, [np.zeros(len(one), bool) for one in listed])

    @classmethod
    def _watching(cls, group: Group, listed: list[np.ndarray], verge: list[np.ndarray]) -> Follower:
        watched = [one[_corners(one)] for one in listed]
        side = np.repeat([0, 1], [len(one) for one in watched])
        return cls(group._replace(watched=np.concatenate(watched), side=side), listed, verge)

    def neurons(self) -> list[np.ndarray]:
        """The listed neurons of each side now, (N, 3), without those that have changed side."""
        return [one @ basis.T for one, basis in zip(self.coordinates, self.group.basis, strict=True)]

    def block(
        self,
        points: Points,
        checks: Checks,
        batch: tuple[np.ndarray, np.ndarray] | None = None,
    ) -> tuple[Outcome | None, int]:
        """The steps up to the next check, and the check: how it ended if it did, and after how many steps."""
        M, u = batch or (points.M[None], points.u[None])
        ended, at = self.advance(M, u, points.h, points.reach, checks.interval)
        return (self.check(points, checks) if ended is None else ended), at

    def advance(self, M: np.ndarray, u: np.ndarray, h: float, reach: float, steps: int) -> tuple[Outcome | None, int]:
        """Some steps; how it ended if it did, and after how many of them.

        ``M (R, 2, 3)``, ``u (R, 2, 2)``: the points' moments, one row for all steps or one per step.
        """
        done = 0
        while done < steps:
            rest = (M, u) if len(M) == 1 else (M[done:], u[done:])
            end, more = advance(self.group, *rest, h, reach, steps - done)
            done += more
            if end == Outcome.UNFINISHED:
                break
            if end != Outcome.LEFT:
                return Outcome(end), done
            if (why := self._sort_out(reach)) is not None:
                return why, done
        return None, done

    def track(self, points: Points, outer: np.ndarray, side: np.ndarray, moved: np.ndarray, steps: int) -> bool:
        """`advance` by full gradient steps that also keeps the largest movements, as `sides.track` does.

        False where a neuron has left its side or the iterates are not finite.
        """
        data = (points.M[None], points.u[None], points.h, points.reach, steps, outer, side, moved)
        return track(self.group, *data)[0] == Outcome.UNFINISHED

    def _sort_out(self, reach: float) -> Outcome | None:
        """Some neurons have left their side: has one stopped on the way, or are all on the other side by now?"""
        theta = self.neurons()
        out, crossed = [], False
        for s, sign in ((0, 1), (1, -1)):
            a, b = sign * theta[s][:, 0], np.abs(theta[s][:, 1])
            out.append(~(b < reach * a))
            crossed |= bool((out[s] & ~(b < -reach * a)).any())
        singles = self.group.singles
        crossed |= bool((np.abs(singles[:, 1]) >= reach * np.abs(singles[:, 0])).any())
        if crossed:
            return Outcome.CROSSED
        if any((out[s] & self.verge[s]).any() for s in (0, 1)):
            return Outcome.UNKNOWN
        gone = np.concatenate([theta[s][out[s]] for s in (0, 1)])
        T = np.stack([self.group.T[s] - self.coordinates[s][out[s]].T @ self.coordinates[s][out[s]] for s in (0, 1)])
        group = self.group._replace(T=T, singles=np.concatenate([singles, gone]))
        rest = [self.coordinates[s][~out[s]] for s in (0, 1)]
        new = self._watching(group, rest, [self.verge[s][~out[s]] for s in (0, 1)])
        self.group, self.coordinates, self.verge = new.group, new.coordinates, new.verge
        return None

    def check(self, points: Points, checks: Checks) -> Outcome | None:
        """What a check says now of a network that has not crossed: stopped early, degenerate, converged, or neither."""
        group = self.group
        lines = np.array([line(group.basis, group.T, group.c[0], group.singles, s) for s in (0, 1)])
        if checks.patience and waited(points.best, points.wait, squared_error(points.V, lines), checks.patience):
            return Outcome.STOPPED
        if checks.sufficient and points.few:
            return Outcome.X_DEGENERATE
        if checks.sufficient and any(self._empty(s) for s in (0, 1)):
            return Outcome.A_DEGENERATE
        if checks.sufficient:
            pulls = np.array([pull(points.M[None], points.u[None], 0, s, *lines[s]) for s in (0, 1)])
            S = group.basis @ group.T @ group.basis.mT
            for s, sign in ((0, 1), (1, -1)):
                own = group.singles[sign * group.singles[:, 0] > 0]
                S[s] += own.T @ own
            watched = np.einsum("vij,vj->vi", group.basis[group.side], group.watched)
            decide = np.concatenate([watched, group.singles])
            data = (points.M, points.root, points.inverse, S, pulls, points.h, points.reach)
            if converged(*data, decide, checks.sharp):
                return Outcome.CONVERGED
        return None

    def _empty(self, s: int) -> bool:
        """Whether a side has no neurons now; hidden ones lie between listed ones."""
        return not len(self.coordinates[s]) and not ((self.group.singles[:, 0] > 0) == (s == 0)).any()


def _nothing(k: int) -> tuple[Any, ...]:
    return np.empty((0, k)), np.empty(0, np.int64), np.empty((0, 3)), np.zeros(1)


def _corners(coordinates: np.ndarray) -> np.ndarray:
    """Indices of the neurons of one side that decide: the vertices of the convex hull of (b/a, w/a)."""
    ratios = coordinates[:, 1:] / coordinates[:, :1]
    if len(ratios) and (ratios.shape[1] == 1 or not np.ptp(ratios[:, 0])):
        return np.unique([ratios[:, -1].argmin(), ratios[:, -1].argmax()])
    return hull(ratios)


@checked(points=array("points", "N _", empty=True))
def hull(points: np.ndarray) -> np.ndarray:
    """Indices of the vertices of the convex hull of points (N, 2); of all points where they lie on one line."""
    if len(points) < 3:
        return np.arange(len(points))
    try:
        return ConvexHull(points).vertices
    except QhullError:
        return np.arange(len(points))
