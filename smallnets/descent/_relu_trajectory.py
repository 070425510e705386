"""A descent under way: which neurons take their steps alone, which in groups, and which iterations can be skipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import _relu_steps as kernels
from . import _relu_tail as tails

# A neuron is held if it keeps its pattern for so many steps like the last one.
LONG = 500
# A group costs as much as this, and this for each of its lanes, over the number of points, in free neurons (measured).
COST, PER_LANE = 40, 2
# Crossings that one call of the kernel has room for, and crossings returned at most.
ROOM, MOST_CROSSINGS = 1 << 11, 1_000_000
# Iterations that the tail tries at first.
FIRST = 2000


def _padded(lanes: np.ndarray, multiple: int) -> np.ndarray:
    """(N, L) with further lanes of zeros, up to a multiple."""
    size = lanes.shape[1]
    wide = np.zeros((len(lanes), size + -size % multiple))
    wide[:, :size] = lanes
    return wide


class Group(NamedTuple):
    """Held neurons with one pattern: their numbers, and how (size, combinations) they follow from its lanes."""

    ids: np.ndarray
    of: np.ndarray
    lanes: slice


class Course:
    """A descent under way: all neurons where they were at the last look, and what was noted so far."""

    def __init__(self, X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, c: float, log: np.ndarray) -> None:
        self.X, self.W, self.a, self.log = X, W.copy(), a.copy(), log
        self.norms = np.linalg.norm(X, axis=1)
        U, S, self.span = tails.decomposed(X)
        # Weights move within the span of the points: from a change of all preactivations, it is theirs.
        self.back = U / S @ self.span
        self.data = kernels.Data(X @ X.T, y, c)
        self.H = self.W @ X.T
        self.groups: list[Group] = []
        self.spent = {"neurons": 0, "groups": 0, "tail": 0}
        self.noted: list[tuple[np.ndarray, ...]] = []
        self.crossings: list[np.ndarray] = []
        self.loss = np.nan
        self.crossed = 0  # the iteration of the last crossing

    def arranged(self) -> tuple[kernels.Lanes, float]:
        """Lanes for all neurons that are active anywhere; for how long those that are held keep their patterns."""
        on = self.H > 0
        live = np.flatnonzero(on.any(axis=1))
        kinds: dict[bytes, int] = {}
        kind = np.array([kinds.setdefault(row.tobytes(), len(kinds)) for row in on[live]], np.intp)
        keeps, clock = self._kept(live, on, kind)
        self.groups, parts, first = [], [], [0]
        for g in np.unique(kind[keeps]):
            ids = live[keeps & (kind == g)]
            part, of = self._combined(ids)
            self.groups.append(Group(ids, of, slice(first[-1], first[-1] + part.shape[1])))
            parts.append(_padded(part, 4))
            first.append(first[-1] + parts[-1].shape[1])
        held = np.concatenate([*parts, np.zeros((len(self.X) + 1, 0))], axis=1)
        masks = np.array([on[group.ids[0]] for group in self.groups], float).reshape(-1, len(self.X))
        ids = live[~keeps]
        free = _padded(np.vstack([self.H[ids].T, self.a[ids]]), kernels.LANES)
        H, a = free[:-1], free[-1]
        return kernels.Lanes(H, a, (H > 0).astype(float), ids, held[:-1], held[-1], np.array(first), masks), clock

    def _kept(self, live: np.ndarray, on: np.ndarray, kind: np.ndarray) -> tuple[np.ndarray, float]:
        """Which of the live neurons, of a kind of pattern each, are to be held, and for what sum of drives."""
        worth = COST + PER_LANE * min(len(self.span) + 1, len(live))
        keeps = np.bincount(kind)[kind] * len(self.X) > worth
        if keeps.any():
            allowed, drives = self._allowances(live, on)
            keeps &= allowed > LONG * drives.max(initial=0)
            keeps &= np.bincount(kind, keeps)[kind] * len(self.X) > worth
            return keeps, allowed[keeps].min(initial=np.inf)
        return keeps, np.inf

    def _allowances(self, live: np.ndarray, on: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of drives that cannot change the neurons' patterns, and their drives now."""
        r = self.data.y - self.a[live] @ np.maximum(self.H[live], 0)
        drives = self.data.c * np.linalg.norm((on[live] * r) @ self.X, axis=1)
        return tails.allowed(self.H[live], self.W[live], self.a[live], self.norms), drives

    def _combined(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Lanes (n + 1, L) of preactivations and output weights, and how the neurons follow from them."""
        if len(ids) <= len(self.span) + 1:
            return np.vstack([self.H[ids].T, self.a[ids]]), np.eye(len(ids))
        of, rest = np.linalg.qr(np.column_stack([self.W[ids] @ self.span.T, self.a[ids]]))
        return np.vstack([self.X @ self.span.T @ rest[:, :-1].T, rest[:, -1]]), of

    def live(self, lanes: kernels.Lanes, k: int, last: int, target: float, clock: float) -> tuple[int, int]:
        """Take steps until there is a reason to look at all neurons again; put them in their places."""
        log = self.log[(self.log >= k) & (self.log <= last)]
        rows = len(log)
        notes = kernels.Notes(
            log, np.empty(rows), np.empty((rows, *lanes.H.shape)), np.empty((rows, len(lanes.a))),
            np.empty((rows, *lanes.held.shape)), np.empty((rows, len(lanes.b))),
            np.empty((ROOM + lanes.H.size, 3), np.int64), np.zeros(2, np.int64),
        )  # fmt: skip
        H, held, begun = lanes.H.copy(), lanes.held.copy(), k
        why, out = kernels.FULL, np.empty(len(self.data.y))
        kernels.outputs(lanes, out)
        while why == kernels.FULL:
            why, k, self.loss, clock = kernels.run(lanes, self.data, notes, out, k, last, target, clock)
            self._record(notes.crossings[: notes.counts[1]].copy())
            notes.counts[1] = 0
        self.spent["neurons" if len(lanes.ids) else "groups"] += k - begun
        n = notes.counts[0]
        if n:
            W, a = self._placed(lanes.ids, notes.H[:n] - H, notes.a[:n], notes.held[:n] - held, notes.b[:n])
            self.noted.append((log[:n], notes.losses[:n], W, a))
            self.log = self.log[self.log > log[n - 1]]
        (self.W,), (self.a,) = self._placed(
            lanes.ids, lanes.H[None] - H, lanes.a[None], lanes.held[None] - held, lanes.b[None]
        )
        self.H[lanes.ids] = lanes.H.T[: len(lanes.ids)]
        for group in self.groups:
            before, self.H[group.ids] = self.H[group.ids] > 0, self.W[group.ids] @ self.X.T
            who, point = np.nonzero((self.H[group.ids] > 0) != before)  # in the step that used up the clock
            self._record(np.column_stack([np.full(len(who), k), group.ids[who], point]))
        return why, k

    def _record(self, crossings: np.ndarray) -> None:
        """Record crossings, as long as there are not too many."""
        if len(crossings):
            self.crossed = int(crossings[:, 0].max())
            if sum(map(len, self.crossings)) < MOST_CROSSINGS:
                self.crossings.append(crossings)

    def _placed(
        self, ids: np.ndarray, moved: np.ndarray, a: np.ndarray, held: np.ndarray, b: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights (R, m, d) and (R, m) of all neurons, from changes and output weights of lanes in R rows."""
        W, out = np.tile(self.W, (len(a), 1, 1)), np.tile(self.a, (len(a), 1))
        W[:, ids] += moved.swapaxes(1, 2)[:, : len(ids)] @ self.back
        out[:, ids] = a[:, : len(ids)]
        for group in self.groups:
            W[:, group.ids] += group.of @ (held[:, :, group.lanes].swapaxes(1, 2) @ self.back)
            out[:, group.ids] = b[:, group.lanes] @ group.of.T
        return W, out

    def leap(self, k: int, steps: int, target: float, tolerance: float) -> int:
        """Take iterations many at a time, if all neurons that move have one pattern, for as long as they keep it."""
        on = self.H > 0
        live = np.flatnonzero(on.any(axis=1))
        if not len(live) or (on[live] != on[live[0]]).any():
            return k
        at, of, Vt = tails.gathered(self.X, self.data.y, on[live[0]], self.W[live], self.a[live], self.data.c)
        R, allowed = at.R, self._allowances(live, on)[0].min()
        N, begun = FIRST, k
        while k < steps:
            ahead = self.log[self.log > k]
            most = int(min(steps, *ahead[:1]) - k) if len(ahead) else steps - k
            found = tails.leap(at, N, most, target * len(self.X) - at.rest, tolerance)
            if found is None or found.path > allowed:
                break
            allowed, N, k = allowed - found.path, found.longer, k + found.N
            at = at._replace(R=found.R)
            self.W[live] += of @ ((at.R - R)[:, :-1] @ Vt)
            self.a[live], R = of @ at.R[:, -1], at.R
            self.note(k, float((at.z @ at.z + at.rest) / len(self.X)))
            if self.loss < target:
                break
        self.H = self.W @ self.X.T
        self.spent["tail"] += k - begun
        return k

    def note(self, k: int, loss: float) -> None:
        """What all neurons are now, if the log asks for it."""
        self.loss = loss
        if len(self.log) and self.log[0] == k:
            self.noted.append((self.log[:1], np.array([loss]), self.W[None].copy(), self.a[None].copy()))
            self.log = self.log[1:]
