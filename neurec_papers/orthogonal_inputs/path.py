"""A training with looks on the way, and the step at which something first falls below a level."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

if TYPE_CHECKING:
    from smallnets.descent.relu import Descended

EVEN, GEOMETRIC = 150, 150  # looks at equal steps, and at steps that grow by a factor
PARTS = 32  # into which a span is cut in search of a crossing

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
