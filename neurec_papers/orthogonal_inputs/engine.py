"""What only this paper computes: a training with snapshots, and how neurons grow out of zero, derived here."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from smallnets.arguments import array, checked, number, whole

from . import theory

if TYPE_CHECKING:
    from smallnets.descent.relu import Descended

EVEN, GEOMETRIC = 150, 150  # looks at equal steps, and at steps that grow by a factor
PARTS = 32  # into which a span is cut in search of a crossing
SMALL = 1e-5  # of its end: the amplitude up to which a bundle counts as negligible
FINE = 1e-4  # of a step times the growth rate: what is smaller follows the flow


Value = Callable[[np.ndarray, np.ndarray], float]
Run: TypeAlias = "Descended"  # the kernels are imported where they are used


def marks(steps: int, even: int = EVEN, geometric: int = GEOMETRIC) -> np.ndarray:
    """Steps at which to look, 0 and the last among them."""
    powers = np.geomspace(1, steps + 1, geometric).round() - 1
    return np.unique(np.concatenate([np.linspace(0, steps, even + 1), powers]).astype(np.int64))


def outputs(W: np.ndarray, a: np.ndarray, X: np.ndarray) -> np.ndarray:
    """sum_j a_j max(0, <w_j, x>) at X (n, d), ``(n,)``; W (m, d), a (m,)."""
    return a @ np.maximum(W @ X.T, 0)


def mean_square(X: np.ndarray, y: np.ndarray, members: np.ndarray | None = None) -> Value:
    """The mean squared error as a function of the weights; only `members` (n,) of the n points summed, if given."""
    counted = np.ones(len(y)) if members is None else members
    return lambda W, a: float(np.sum(counted * (outputs(W, a, X) - y) ** 2) / len(y))


def values(run: Run, value: Value) -> np.ndarray:
    """Something at each look, ``(L,)``."""
    return np.array([value(W, a) for W, a in zip(run.Ws, run.As, strict=True)])


def first_below(
    X: np.ndarray, y: np.ndarray, run: Run, step: float, levels: Sequence[float], value: Value | None = None
) -> np.ndarray:
    """The first step at which a falling value, the loss if none is given, is below each level; NaN where never.

    Between two looks the training is run again.
    """
    what = value or mean_square(X, y)
    seen = values(run, what)
    return np.array([_first(X, y, run, seen, step, level, what) for level in levels])


def _first(X: np.ndarray, y: np.ndarray, run: Any, seen: np.ndarray, step: float, level: float, value: Value) -> float:
    from smallnets.descent.relu import descend

    if not (seen < level).any() and not value(run.W, run.a) < level:
        return np.nan
    passed = 0
    while not seen[0] < level:
        below = seen < level
        i = int(below.argmax()) if below.any() else len(seen)  # the crossing is before this look, or before the end
        last = run.at[i] if below.any() else run.steps
        passed, gap = passed + int(run.at[i - 1]), int(last - run.at[i - 1])
        if gap <= 1:
            return float(passed + gap)
        log = np.unique(np.linspace(0, gap, PARTS + 1).astype(np.int64))
        run = descend(X, y, run.Ws[i - 1], run.As[i - 1], step=step, steps=gap, log=log)
        seen = values(run, value)
    return float(passed)


# ------------------------------------------------------------------------------------------- growth out of zero


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
    whole = [np.linalg.norm(theory.direction(X, y, own)) for own in theory.classes(y)]
    share = growth.rate / np.where(a > 0, *whole)
    part = (growth.c > 0) & (growth.members.sum(1) < np.where(a > 0, *theory.classes(y).sum(1)))
    return float(share[part].max(initial=0))


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    sign=whole("sign of the class", "[-1, 1]"),
    mass=number("mass of the class", "(0, inf)"),
    step=number("step size", "(0, inf)"),
)
def escape(X: np.ndarray, y: np.ndarray, sign: int, mass: float, step: float) -> float:
    """Steps until the class of one sign has lost half of its loss, if only its extremal neurons grew.

    Parallel balanced neurons act as one. Its |w| grows by 1 + 2 h |D| a step until it is no longer negligible;
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
    return float(waited + taken / step * first_below(X, y, run, scaled, [half])[0])
