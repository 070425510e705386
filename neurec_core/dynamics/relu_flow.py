"""The gradient flow of one-hidden-layer ReLU networks h(x) = sum_j a_j max(0, <w_j, x>), however small its start.

On 1/(2n) sum_i (h(x_i) - y_i)^2, with residuals r = y - h,

    dw_j/dt = a_j g_j,    da_j/dt = <w_j, g_j>,    g_j = (1/n) sum_i share_ji r_i x_i,

the flow is smooth as long as no neuron changes its pattern. It is followed in three ways, each where it is valid:
in closed form while outputs are negligible (`alignment`); by Runge and Kutta, from one change of a pattern to the
next, each located; and, once all neurons that move have one pattern, by exponential steps (`relu_tail`, whose
iterations are here too short to matter), which no stiffness limits. `flow_sides` tells what happens at a boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from scipy.integrate import RK45

from ..params import BadInput
from . import relu_tail as tails
from .alignment import align, check_directions
from .checks import network, number
from .flow_sides import Dense, Motion, Sides, fallen

# Steps without a change of a pattern after which exponential steps are tried; iterations to a step of theirs.
QUIET, FINE = 8, 2.0**40
# Exponential steps shorter than one of Runge and Kutta by this are left to those.
SHORT = 16
# Alignment is looked for as long as it makes this share of the time in which a neuron grows by e.
WORTH = 1e-3
# A boundary counts as met so far behind it, over the tolerance: what meets it at nearly the same time goes together.
BEHIND = 0.1


class Stop(StrEnum):
    """Why a flow ended."""

    TARGET = "the loss fell below its target"
    TIME = "followed to the end of the time"
    DEAD = "no neuron is active on any point"
    STEPS = "stopped at the limit of steps"
    FAILED = "the steps became too short"


class Flowed(NamedTuple):
    """Where the flow ended, and what was noted on the way.

    W, a : (m, d) and (m,), the weights
    time : how far it was followed; gradient descent passes 2 step an iteration
    loss : the mean squared error there
    ended : why
    at : (L,), the times of the log that were reached
    losses : (L,), the loss there
    Ws, As : (L, m, d) and (L, m), the weights there
    spent : time by level, one of "alignment", "steps" and "tail"
    steps : of Runge and Kutta
    events : (E, 4), time, neuron, point, and the neuron's side of it from then on: 1 active, -1 inactive, 0 sliding
    """

    W: np.ndarray
    a: np.ndarray
    time: float
    loss: float
    ended: Stop
    at: np.ndarray
    losses: np.ndarray
    Ws: np.ndarray
    As: np.ndarray
    spent: dict[str, float]
    steps: int
    events: np.ndarray


def flow(
    X: np.ndarray,
    y: np.ndarray,
    W: np.ndarray,
    a: np.ndarray,
    *,
    until: float,
    target: float = 0.0,
    times: Sequence[float] | np.ndarray = (),
    tolerance: float = 1e-6,
    most: int = 100_000,
) -> Flowed:
    """Follow the gradient flow of 1/(2n) sum_i (h(x_i) - y_i)^2; max'(0) = 0.

    Parameters
    ----------
    X, y : (n, d) and (n,) arrays; no two points are parallel
    W, a : (m, d) and (m,) arrays, the start
    until : how far, >= 0
    target : end where the mean squared error falls below it
    times : when to note loss and weights, ascending in [0, until]
    tolerance : of a step, of directions and logarithms of sizes, and of what is neglected elsewhere; in (0, 0.01)
    most : steps of Runge and Kutta at most, which can be no longer than the fastest motion allows

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (n,) = (10,), got (9,)", entries that are not finite, and the like

    **Source**: chistikov2023learning, Section 2; boursier2022gradient, Section 2.
    """
    X, y, W, a = network(X, y, W, a, "points")
    number("until", "time of the flow", until)
    number("target", "loss to end below", target)
    number("tolerance", "error of a step", tolerance, above=0, below=1e-2)
    number("most", "steps at most", most, above=0, whole=True)
    check_directions(X @ X.T, np.linalg.norm(X, axis=1))
    at = np.asarray(times, float)
    if at.ndim != 1 or not ((at >= 0) & (at <= until)).all() or (np.diff(at) <= 0).any():
        raise BadInput(f"times (when to note the weights) must be numbers that ascend in [0, {until:g}], got {times!r}")
    course = _Course(X, y, W, a, float(until), float(target), at, float(tolerance))
    return course.told(course.run(int(most)))


class _Course:
    """A flow under way: weights as unit vectors and logarithms of sizes, and where all neurons are of all points."""

    def __init__(
        self, X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, until: float, target: float,
        times: np.ndarray, tolerance: float,
    ) -> None:  # fmt: skip
        self.points, self.y, self.until, self.target, self.times = X, y, until, target, times
        self.tolerance, self.t, self.steps, self.h, self.failed = tolerance, 0.0, 0, np.nan, False
        self.span = tails.decomposed(X)[2]
        self.X = X @ self.span.T
        self.W, self.a = W.copy(), a.copy()
        self.sides = Sides(self.X, y, (W @ X.T > 0).astype(float))
        self.spent = {"alignment": 0.0, "steps": 0.0, "tail": 0.0}
        self.noted: list[tuple[float, float, np.ndarray, np.ndarray]] = []
        self.events: list[np.ndarray] = [np.zeros((0, 4))]
        self.live = np.zeros(0, np.intp)

    # ---------------------------------------------------------------------------------------------------- all levels

    def run(self, most: int) -> Stop:
        """Follow the flow to its end."""
        self._align()
        quiet, wait = 0, QUIET
        while True:
            self._note(self.t, self.W, self.a)
            self.live = np.flatnonzero(self.sides.live & ((self.W != 0).any(axis=1) | (self.a != 0)))
            if self.loss < self.target:
                return Stop.TARGET
            if self.t >= self.until:
                return Stop.TIME
            if not len(self.live):
                return Stop.DEAD
            if self.failed:
                return Stop.FAILED
            if self.steps >= most:
                return Stop.STEPS
            if quiet >= wait:
                before = self.t
                self._leap()
                quiet, wait = 0, QUIET if self.t > before + QUIET * self.h else 2 * wait
                if self.t > before:
                    continue
            met = self._steps(min(most, self.steps + wait))
            quiet = 0 if met else quiet + wait

    @property
    def loss(self) -> float:
        """The mean squared error."""
        return self._error(self.W, self.a)

    def _error(self, W: np.ndarray, a: np.ndarray) -> float:
        return float(np.mean((self.y - a @ np.maximum(W @ self.points.T, 0)) ** 2))

    def _note(self, t: float, W: np.ndarray, a: np.ndarray) -> None:
        """The weights at time t, if the log asks for it; those of times before are noted by then."""
        k = len(self.noted)
        if k < len(self.times) and self.times[k] <= t:
            self.noted.append((self.times[k], self._error(W, a), W.copy(), a.copy()))

    def told(self, ended: Stop) -> Flowed:
        """What is told in the end."""
        m, d = self.W.shape
        at, losses = (np.array([row[k] for row in self.noted]) for k in (0, 1))
        Ws = np.array([row[2] for row in self.noted]).reshape(-1, m, d)
        As = np.array([row[3] for row in self.noted]).reshape(-1, m)
        events = np.concatenate(self.events)
        return Flowed(self.W, self.a, self.t, self.loss, ended, at, losses, Ws, As, self.spent, self.steps, events)

    # ----------------------------------------------------------------------------------------------------- alignment

    def _align(self) -> None:
        """Go as far as outputs stay below the tolerance, over the smallest label."""
        labels = np.abs(self.y[self.y != 0])
        enough, W, a, reached, kept = self.tolerance * labels.min(initial=np.inf), self.W, self.a, 0.0, None
        while len(labels) and reached < self.until:
            H = np.maximum(W @ self.points.T, 0)
            size = float((np.abs(a) @ H).max())
            pull = float(np.linalg.norm(((H > 0) * self.y) @ self.X, axis=1).max()) / len(self.y)
            room = np.log(enough / size) / (2 * pull) if 0 < size < enough and pull else 0.0
            end = min(reached + room, self.until)
            while (end - reached) * pull > WORTH:
                # From the start each time: weights alone do not tell who slides.
                times = self.times[self.times < end]
                found = align(self.points, self.y, self.W, self.a, step=None, until=end, times=times)
                late = (found.ended < end).any()
                if not late and (np.abs(found.a) @ np.maximum(found.W @ self.points.T, 0)).max() <= enough:
                    break
                end = (reached + end) / 2
            else:
                break
            reached, kept, W, a = end, found, found.W, found.a
        if kept is not None:
            for t, one, other in zip(self.times, kept.Ws, kept.As, strict=False):
                self._note(t, one, other)
            self.events.append(np.column_stack([kept.times, kept.neurons, kept.points, kept.sides]))
            self.W, self.a, self.sides = kept.W, kept.a, Sides(self.X, self.y, kept.share)
            self.t = self.spent["alignment"] = float(reached)

    # --------------------------------------------------------------------------------------------------------- steps

    def _steps(self, last: int) -> bool:
        """Steps up to a number, to the next change of a pattern, or to the target; whether a pattern changed."""
        live, begun, met, done = self.live, self.t, None, False
        neurons = np.column_stack([self.W[live] @ self.span.T, self.a[live]])
        top = np.abs(neurons).max(axis=1)  # as squares of tiny weights are 0
        size = top * np.linalg.norm(neurons / top[:, None], axis=1)
        rest = self.W[live] - neurons[:, :-1] @ self.span
        motion = Motion(self.sides, live, BEHIND * self.tolerance)
        begin = np.concatenate([(neurons / size[:, None]).ravel(), np.log(size)])
        first = None if np.isnan(self.h) else min(self.h, self.until - self.t)
        solver = RK45(
            motion.speed, self.t, begin, self.until, rtol=self.tolerance, atol=self.tolerance, first_step=first
        )

        def place(state: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            units, sizes = motion.parted(state)
            W, a = self.W.copy(), self.a.copy()
            neurons = units * np.exp(sizes)[:, None]
            W[live], a[live] = neurons[:, :-1] @ self.span + rest, neurons[:, -1]
            return W, a

        while not done and solver.status == "running" and self.steps < last:
            solver.step()
            if solver.status == "failed":
                self.failed, t, state = True, solver.t, solver.y
                break
            self.steps, self.h = self.steps + 1, solver.step_size
            dense, t, state = solver.dense_output(), solver.t, solver.y
            met = motion.met(dense, solver.t_old, t)
            if met is not None:
                t = met
                state = dense(t)
            if motion.loss(state) < self.target:
                t, done, met = self._below(motion, dense, solver.t_old, t), True, None
                state = dense(t)
            for at in self.times[len(self.noted) :]:
                if at < t:
                    self._note(at, *place(dense(at)))
            done = done or met is not None
        if met is not None:
            changed, state = motion.crossed(state)
            self.events.append(np.column_stack([np.full(len(changed), t), changed]))
        (self.W, self.a), self.t = place(state), float(t)
        self.spent["steps"] += float(self.t - begun)
        return met is not None

    def _below(self, motion: Motion, dense: Dense, before: float, after: float) -> float:
        """When the loss falls below its target; not a rounding error earlier."""
        t = fallen(lambda t: motion.loss(dense(t)) - self.target, before, after)
        return min(after, t + 1e-9 * (after - before))

    # ---------------------------------------------------------------------------------------------------------- tail

    def _leap(self) -> None:
        """Exponential steps, if all neurons that move have one pattern, as long as they are no shorter than others."""
        seen = self.sides.same(self.live)
        if seen is None:
            return
        live, n, begun, unit = self.live, len(self.y), self.t, float(self.h) / FINE
        at, of, Vt = tails.gathered(self.points, self.y, seen, self.W[live], self.a[live], unit / n)
        norms = np.linalg.norm(self.points, axis=1)
        allowed = tails.allowed(self.W[live] @ self.points.T, self.W[live], self.a[live], norms).min()
        N, R = int(FINE), at.R
        while self.t < self.until:
            stop = min([self.until, *self.times[len(self.noted) :][:1]])
            most = int(min(float(stop - self.t) / unit, 2.0**62))
            found = tails.leap(at, N, most, self.target * n - at.rest, self.tolerance)
            if found is None or found.path > allowed:
                break
            allowed, at = allowed - found.path, at._replace(R=found.R)
            whole = most == found.N and most < 2**62
            self.t = stop if whole else self.t + found.N * unit
            self.W[live] += of @ ((at.R - R)[:, :-1] @ Vt)
            self.a[live], R = of @ at.R[:, -1], at.R
            self._note(self.t, self.W, self.a)
            if self.loss < self.target or (found.N < FINE / SHORT and not whole):
                break
            N = found.longer
        self.spent["tail"] += float(self.t - begun)
