"""The state of a gradient descent: which neurons are free, which are grouped, and which iterations can be skipped."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import _relu_steps as kernels
from . import _relu_tail as tails

# A neuron is grouped only if its pattern cannot change within so many steps of the length of the last one.
LEAST_STEPS = 500
# The cost of a step of a group, and of each of its columns, in free neurons times training points (measured).
GROUP_COST, COLUMN_COST = 40, 2
# Crossings that one call of the kernel has room for, and crossings returned at most.
ROOM, MOST_CROSSINGS = 1 << 11, 1_000_000
# Iterations that the first leap of the tail tries.
FIRST_LEAP = 2000


def _padded(columns: np.ndarray, multiple: int) -> np.ndarray:
    """(N, L) with columns of zeros appended, up to a multiple."""
    size = columns.shape[1]
    wide = np.zeros((len(columns), size + -size % multiple))
    wide[:, :size] = columns
    return wide


class Group(NamedTuple):
    """Neurons with one pattern: their numbers, their coefficients (size, combinations) and the group's columns."""

    ids: np.ndarray
    coefficients: np.ndarray
    columns: slice


class Trajectory:
    """A gradient descent in progress: all neurons at the last regrouping, and what was recorded so far."""

    def __init__(
        self, X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, *, c: float, log: np.ndarray
    ) -> None:
        self.X, self.W, self.a, self.log = X, W.copy(), a.copy(), log
        self.norms = np.linalg.norm(X, axis=1)
        U, S, self.span = tails.compact_svd(X)
        # Weights move within the span of the training points, so that a change of all preactivations determines theirs.
        self.to_weights = U / S @ self.span
        self.data = kernels.Data(X @ X.T, y, c)
        self.H = self.W @ X.T
        self.groups: list[Group] = []
        self.spent = {"neurons": 0, "groups": 0, "tail": 0}
        self.snapshots: list[tuple[np.ndarray, ...]] = []
        self.crossings: list[np.ndarray] = []
        self.loss = np.nan
        self.last_crossing = 0

    def regrouped(self) -> tuple[kernels.Neurons, float]:
        """All neurons that are active anywhere, grouped anew, and the path length that changes no group's pattern."""
        active = self.H > 0
        moving = np.flatnonzero(active.any(axis=1))
        numbers: dict[bytes, int] = {}
        pattern = np.array([numbers.setdefault(row.tobytes(), len(numbers)) for row in active[moving]], np.intp)
        grouped, safe = self._worth_grouping(moving, active, pattern)
        self.groups, parts, first = [], [], [0]
        for g in np.unique(pattern[grouped]):
            ids = moving[grouped & (pattern == g)]
            part, coefficients = self._combined(ids)
            self.groups.append(Group(ids, coefficients, slice(first[-1], first[-1] + part.shape[1])))
            parts.append(_padded(part, 4))
            first.append(first[-1] + parts[-1].shape[1])
        columns = np.concatenate([*parts, np.zeros((len(self.X) + 1, 0))], axis=1)
        patterns = np.array([active[group.ids[0]] for group in self.groups], float).reshape(-1, len(self.X))
        ids = moving[~grouped]
        free = _padded(np.vstack([self.H[ids].T, self.a[ids]]), kernels.VECTOR)
        H, a = free[:-1], free[-1]
        neurons = kernels.Neurons(
            H, a, (H > 0).astype(float), ids, columns[:-1], columns[-1], np.array(first), patterns
        )
        return neurons, safe

    def _worth_grouping(self, moving: np.ndarray, active: np.ndarray, pattern: np.ndarray) -> tuple[np.ndarray, float]:
        """Which of the moving neurons, with patterns by number, are to be grouped, and the path length safe for all."""
        cost = GROUP_COST + COLUMN_COST * min(len(self.span) + 1, len(moving))
        grouped = np.bincount(pattern)[pattern] * len(self.X) > cost
        if grouped.any():
            safe, lengths = self._safe_paths(moving, active)
            grouped &= safe > LEAST_STEPS * lengths.max(initial=0)
            grouped &= np.bincount(pattern, grouped)[pattern] * len(self.X) > cost
            return grouped, safe[grouped].min(initial=np.inf)
        return grouped, np.inf

    def _safe_paths(self, moving: np.ndarray, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Path lengths that cannot change the patterns of the moving neurons, and the lengths of their next steps."""
        r = self.data.y - self.a[moving] @ np.maximum(self.H[moving], 0)
        lengths = self.data.c * np.linalg.norm((active[moving] * r) @ self.X, axis=1)
        return tails.safe_paths(self.H[moving], self.W[moving], self.a[moving], self.norms), lengths

    def _combined(self, ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Columns (n + 1, L) of preactivations and output weights, and the neurons' coefficients in these columns."""
        if len(ids) <= len(self.span) + 1:
            return np.vstack([self.H[ids].T, self.a[ids]]), np.eye(len(ids))
        coefficients, R = np.linalg.qr(np.column_stack([self.W[ids] @ self.span.T, self.a[ids]]))
        return np.vstack([self.X @ self.span.T @ R[:, :-1].T, R[:, -1]]), coefficients

    def advance(self, neurons: kernels.Neurons, safe: float, k: int, last: int, *, target: float) -> tuple[int, int]:
        """Take steps until the kernel gives a reason to return; update all neurons."""
        log = self.log[(self.log >= k) & (self.log <= last)]
        record = self._empty_record(neurons, log)
        H, H_group, begin = neurons.H.copy(), neurons.H_group.copy(), k
        reason, out = kernels.FULL, np.empty(len(self.data.y))
        kernels.outputs(neurons, out)
        while reason == kernels.FULL:
            reason, k, self.loss, safe = kernels.take_steps(neurons, self.data, record, out, k, last, target, safe)
            self._record_crossings(record.crossings[: record.counts[1]].copy())
            record.counts[1] = 0
        self.spent["neurons" if len(neurons.ids) else "groups"] += k - begin
        n = record.counts[0]
        if n:
            moved, moved_group = record.H[:n] - H, record.H_group[:n] - H_group
            W, a = self._weights(neurons.ids, moved, record.a[:n], moved_group, a_group=record.a_group[:n])
            self.snapshots.append((log[:n], record.losses[:n], W, a))
            self.log = self.log[self.log > log[n - 1]]
        moved, moved_group = neurons.H[None] - H, neurons.H_group[None] - H_group
        (self.W,), (self.a,) = self._weights(
            neurons.ids, moved, neurons.a[None], moved_group, a_group=neurons.a_group[None]
        )  # fmt: skip
        self._update_preactivations(neurons, k)
        return reason, k

    def _empty_record(self, neurons: kernels.Neurons, log: np.ndarray) -> kernels.Record:
        """Arrays for the kernel to fill in."""
        rows = len(log)
        return kernels.Record(
            log, np.empty(rows), np.empty((rows, *neurons.H.shape)), np.empty((rows, len(neurons.a))),
            np.empty((rows, *neurons.H_group.shape)), np.empty((rows, len(neurons.a_group))),
            np.empty((ROOM + neurons.H.size, 3), np.int64), np.zeros(2, np.int64),
        )  # fmt: skip

    def _update_preactivations(self, neurons: kernels.Neurons, k: int) -> None:
        """Update H, and record the crossings of grouped neurons in the step that used up the safe path length."""
        self.H[neurons.ids] = neurons.H.T[: len(neurons.ids)]
        for group in self.groups:
            before, self.H[group.ids] = self.H[group.ids] > 0, self.W[group.ids] @ self.X.T
            row, point = np.nonzero((self.H[group.ids] > 0) != before)
            self._record_crossings(np.column_stack([np.full(len(row), k), group.ids[row], point]))

    def _record_crossings(self, crossings: np.ndarray) -> None:
        """Record crossings, as long as there are not too many."""
        if len(crossings):
            self.last_crossing = int(crossings[:, 0].max())
            if sum(map(len, self.crossings)) < MOST_CROSSINGS:
                self.crossings.append(crossings)

    def _weights(
        self, ids: np.ndarray, moved: np.ndarray, a: np.ndarray, moved_group: np.ndarray, *, a_group: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Weights (R, m, d) and (R, m) of all neurons, from R changes of preactivations and R output weights."""
        W, out = np.tile(self.W, (len(a), 1, 1)), np.tile(self.a, (len(a), 1))
        W[:, ids] += moved.swapaxes(1, 2)[:, : len(ids)] @ self.to_weights
        out[:, ids] = a[:, : len(ids)]
        for group in self.groups:
            change = moved_group[:, :, group.columns].swapaxes(1, 2) @ self.to_weights
            W[:, group.ids] += group.coefficients @ change
            out[:, group.ids] = a_group[:, group.columns] @ group.coefficients.T
        return W, out

    def leap(self, k: int, steps: int, target: float, tolerance: float) -> int:
        """Take many iterations at a time while all neurons that move have one pattern that cannot change."""
        active = self.H > 0
        moving = np.flatnonzero(active.any(axis=1))
        if not len(moving) or (active[moving] != active[moving[0]]).any():
            return k
        at, coefficients, Vt = tails.bundle(
            self.X, self.data.y, active[moving[0]], self.W[moving], a=self.a[moving], c=self.data.c
        )
        R, safe = at.R, self._safe_paths(moving, active)[0].min()
        N, begin = FIRST_LEAP, k
        while k < steps:
            ahead = self.log[self.log > k]
            most = int(min(steps, *ahead[:1]) - k) if len(ahead) else steps - k
            leap = tails.leap(at, N, most, target * len(self.X) - at.unreachable, tolerance=tolerance)
            if leap is None or leap.path > safe:
                break
            safe, N, k = safe - leap.path, leap.next_try, k + leap.N
            at = at._replace(R=leap.R)
            self.W[moving] += coefficients @ ((at.R - R)[:, :-1] @ Vt)
            self.a[moving], R = coefficients @ at.R[:, -1], at.R
            self.snapshot(k, float((at.z @ at.z + at.unreachable) / len(self.X)))
            if self.loss < target:
                break
        self.H = self.W @ self.X.T
        self.spent["tail"] += k - begin
        return k

    def snapshot(self, k: int, loss: float) -> None:
        """Set the loss, and record all weights if iteration k is in the log."""
        self.loss = loss
        if len(self.log) and self.log[0] == k:
            self.snapshots.append((self.log[:1], np.array([loss]), self.W[None].copy(), self.a[None].copy()))
            self.log = self.log[1:]
