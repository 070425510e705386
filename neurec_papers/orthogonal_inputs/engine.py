"""What only this paper computes: trajectories of gradient descent, and how neurons grow out of zero, derived here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from neurec_core.experiment import Problem, Solution, Status
from smallnets.arguments import array, checked, number, whole

from . import theory

if TYPE_CHECKING:
    from smallnets.descent.relu import Descent

EVEN, GEOMETRIC = 150, 150  # snapshots at equal steps, and at steps that grow by a factor
PARTS = 32  # into which a span is cut in search of a crossing
SMALL = 1e-5  # of its end: the amplitude up to which a bundle counts as negligible
FINE = 1e-4  # of a step times the growth rate: what is smaller follows the flow
# Dead neurons are at rest, and networks that die count among the others.
ENDED = {
    "TARGET": Status.SOLVED, "LIMIT": Status.CUTOFF, "STALLED": Status.STALLED, "DEAD": Status.STALLED,
    "DIVERGED": Status.DIVERGED,
}  # fmt: skip


class Trajectory(NamedTuple):
    """Gradient descent on one data set.

    Parameters
    ----------
    X, y : (n, d) and (n,), the training points
    step : the step size
    run : where it ended, with snapshots on the way
    """

    X: np.ndarray
    y: np.ndarray
    step: float
    run: Descent

    def first_below(self, levels: Sequence[float], members: np.ndarray | None = None) -> list[float]:
        """The first step at which a falling loss is below each level; NaN where it never is.

        Between two snapshots the training is run again.

        Parameters
        ----------
        levels : of the mean squared error
        members : (n,) booleans; only these points' squares are summed, all if omitted
        """
        seen, end = self._losses(members), self._loss(self.run.W, self.run.a, members)
        there = [bool((seen < level).any() or end < level) for level in levels]
        return [self._first(level, seen, members) if on else np.nan for level, on in zip(levels, there, strict=True)]

    def flattest(self, begin: float, end: float) -> float:
        """The loss where it falls slowest between two steps, NaN if they are not there or next to one another."""
        if not end - begin > 1:
            return np.nan
        i = int(np.searchsorted(self.run.at, begin, side="right")) - 1
        again = self._again(i, np.unique(np.linspace(begin, end, EVEN).astype(np.int64)) - self.run.at[i])
        slowest = int((np.diff(again.losses) / np.diff(again.at)).argmax())
        return float(again.losses[slowest : slowest + 2].mean())

    def end(self) -> dict[str, float]:
        """Loss, norm and active neurons at the end, the steps that it took, and their share taken by groups."""
        W, a = self.run.W, self.run.a
        return {
            "loss": self.run.loss, "norm": (np.sum(W**2) + np.sum(a**2)) / 2,
            "active": float((W @ self.X.T > 0).any(axis=1).sum()), "taken": float(self.run.steps),
            "grouped": self.run.spent["groups"] / max(self.run.steps, 1),
        }  # fmt: skip

    def _again(self, snapshot: int, log: np.ndarray) -> Descent:
        from smallnets.descent.relu import descend

        W, a = self.run.Ws[snapshot], self.run.As[snapshot]
        return descend(self.X, self.y, W, a, step=self.step, steps=int(log[-1]), log=log)

    def _losses(self, members: np.ndarray | None) -> np.ndarray:
        return np.array([self._loss(W, a, members) for W, a in zip(self.run.Ws, self.run.As, strict=True)])

    def _loss(self, W: np.ndarray, a: np.ndarray, members: np.ndarray | None) -> float:
        counted = np.ones(len(self.y)) if members is None else members
        return float(np.sum(counted * (outputs(W, a, self.X) - self.y) ** 2) / len(self.y))

    def _first(self, level: float, seen: np.ndarray, members: np.ndarray | None) -> float:
        if seen[0] < level:
            return 0.0
        below, at = seen < level, self.run.at
        i = int(below.argmax()) if below.any() else len(seen)  # the crossing is before this snapshot, or before the end
        gap = int((at[i] if below.any() else self.run.steps) - at[i - 1])
        if gap <= 1:
            return float(at[i - 1] + gap)
        log = np.unique(np.linspace(0, gap, PARTS + 1).astype(np.int64))
        finer = self._replace(run=self._again(i - 1, log))
        return float(at[i - 1]) + finer._first(level, finer._losses(members), members)


def marks(steps: int, even: int = EVEN, geometric: int = GEOMETRIC) -> np.ndarray:
    """Steps of the snapshots, 0 and the last among them."""
    powers = np.geomspace(1, steps + 1, geometric).round() - 1
    return np.unique(np.concatenate([np.linspace(0, steps, even + 1), powers]).astype(np.int64))


def outputs(W: np.ndarray, a: np.ndarray, X: np.ndarray) -> np.ndarray:
    """sum_j a_j max(0, <w_j, x>) at X (n, d), ``(n,)``; W (m, d), a (m,)."""
    return a @ np.maximum(W @ X.T, 0)


def train(
    params: Any,
    problem: Problem,
    weights: tuple[np.ndarray, np.ndarray],
    describe: Callable[[Any, Trajectory], dict[str, Any]],
    *,
    log: np.ndarray | None = None,
) -> Solution:
    """Gradient descent, trial by trial; the value is the trained weights (B, m, d) and (B, m).

    Parameters
    ----------
    params : step size, most steps and target
    weights : (B, m, d) and (B, m), at the start
    describe : ``(params, trajectory) -> {name: number}``, collected in ``stats``
    log : steps of the snapshots; `marks` if omitted
    """
    from smallnets.descent.relu import descend

    log, found, runs = marks(params.steps) if log is None else log, [], []
    for X, y, W, a in zip(problem.X, problem.y, *weights, strict=True):
        run = descend(X, y, W, a, step=params.step, steps=params.steps, target=params.target, log=log)
        with np.errstate(all="ignore"):  # weights that diverged
            found.append(describe(params, Trajectory(X, y, params.step, run)))
        runs.append(run)
    value = np.stack([run.W for run in runs]), np.stack([run.a for run in runs])
    stats = {name: np.array([one[name] for one in found]) for name in found[0]}
    return Solution(value, [ENDED[run.ended.name] for run in runs], stats)


class Growth(NamedTuple):
    """Neurons at the end of alignment.

    members (m, n): the points of its own sign on which a neuron is; rate (m,): |D_A|; c (m,): |w_j| ~ c e^{rate t}, the
    scale of the start included.
    """

    members: np.ndarray
    rate: np.ndarray
    c: np.ndarray


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d", empty=True),
    a=array("output weights", "m", empty=True),
)
def aligned(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> Growth:
    """Follow balanced neurons from one point that they leave to the next; X (n, d), y (n,), W (m, d), a (m,).

    With p = s <w, D>/|D| and |a| at such a moment, s <w, D>/|D| is p cosh(|D| t) + |a| sinh(|D| t) from there on.
    """
    norms, s = np.linalg.norm(X, axis=1), np.sign(a)[:, None]
    u, g, alpha = W @ (X / norms[:, None]).T, y * norms / len(y), np.abs(a)
    on, spent = u > 0, np.zeros(len(a))
    own = on & (s * g > 0)
    for _ in range(len(y) + 1):
        rate = np.sqrt((on * g**2).sum(1))
        p = (s * on * g * u).sum(1) / np.where(rate > 0, rate, 1)
        foreign = on & ~own
        # How much p must gain until the neuron leaves a point; the least of these is next.
        gain = np.where(foreign, u * rate[:, None] / np.abs(g), np.inf)
        left = gain.argmin(1)
        delta = gain[np.arange(len(a)), left]
        moving = np.isfinite(delta) & (alpha + p > 0)
        if not moving.any():
            break
        delta, span = np.where(moving, delta, 0), np.where(moving, rate, 1)
        root = np.sqrt(np.maximum((p + delta) ** 2 + alpha**2 - p**2, 0))
        factor = np.where(moving, (p + delta + root) / np.where(moving, alpha + p, 1), 1)
        alpha = np.where(moving, ((alpha + p) * factor + (alpha - p) / factor) / 2, alpha)
        u = u + s * on * g * (delta / span)[:, None]
        spent = spent + np.log(factor) / span
        on[np.flatnonzero(moving), left[moving]] = False
    # A neuron on points of the other sign only shrinks for ever.
    grows = own.any(1) & (alpha + p > 0)
    c = np.where(grows, np.maximum(alpha + p, 0) / 2 * np.exp(-rate * spent), 0)
    return Growth(own & grows[:, None], np.where(grows, rate, 0), c)


def masses(growth: Growth, sets: np.ndarray) -> np.ndarray:
    """C² = sum c_j² over each class's extremal neurons, ``(2,)``; `sets` (2, m) as `theory.extremal` finds them."""
    return (sets * growth.c**2).sum(1)


def competitor(X: np.ndarray, y: np.ndarray, growth: Growth, a: np.ndarray) -> float:
    """The largest |D_A| / |D| over neurons that are on a part of their class only; 0 if there are none."""
    share = growth.rate / np.where(a > 0, *theory.rates(X, y))
    part = (growth.c > 0) & (growth.members.sum(1) < np.where(a > 0, *theory.classes(y).sum(1)))
    return float(share[part].max(initial=0))


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    sign=whole("sign of the class", "[-1, 1]"),
    mass=number("mass of the class", "(0, inf)"),
    step=number("step size", "(0, inf)"),
)
def escape(X: np.ndarray, y: np.ndarray, sign: int, *, mass: float, step: float) -> float:
    """Steps until the class of one sign has lost half of its loss, if only its extremal neurons grew.

    Parallel balanced neurons act as one. Its |w| grows by 1 + 2 h |D| in each step until it is no longer negligible;
    gradient descent on that one neuron gives the rest.
    """
    from smallnets.descent.relu import descend

    own = sign * y > 0
    D = theory.direction(X, y, own)
    rate = float(np.linalg.norm(D))
    size = SMALL * float(np.linalg.norm(theory.ends(X, y)[0 if sign > 0 else 1]))
    waited = np.log(size / mass) / (2 * np.log1p(2 * step * rate))
    # Steps much smaller than the time in which the neuron grows follow the flow: their number is in proportion.
    taken = max(step, FINE / rate)
    X, y, scaled = X[own], y[own], taken * own.sum() / len(own)
    steps = int(40 / (taken * rate))
    begin = (sign * D / rate * size**0.5)[None], np.array([sign * size**0.5])
    half = np.mean(y**2) / 2
    run = descend(X, y, *begin, step=scaled, steps=steps, target=half / 2, log=marks(steps))
    return float(waited + taken / step * Trajectory(X, y, scaled, run).first_below([half])[0])
