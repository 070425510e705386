"""How small neurons align: a one-hidden-layer ReLU net while its outputs are negligible, in closed form.

The net is h(x) = sum_j a_j max(0, <w_j, x>) with max'(0) = 0. At tiny weights the residuals are the labels, and every
neuron moves by itself, pulled by g = sum y_i x_i over the points on which it is active:

    flow of 1/(2n) sum_i (h(x_i) - y_i)^2:      dw/dt = a g / n,     da/dt = <w, g> / n
    gradient descent on the mean square:        w <- w + c a g,      a <- a + c <w, g>,     c = 2 step / n

With G = |g| and p = <w, g>/G, the sums p + a and p - a grow by the factors exp(+-G t/n), or (1 +- c G)^k in k steps,
and w changes along g only. So a neuron jumps from one change of its pattern to the next; a run costs what happens in
it, however long it is and however small the weights are: the motion is linear in their scale.

In the flow a neuron may be driven onto the boundary of a point from both sides. It then slides along it, pulled by
the convex combination of both pulls that keeps it there, for as long as the two sides agree; on several boundaries, by
the shortest vector among all combinations. Gradient descent instead crosses to and fro.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, number, short, whole
from ..params import BadInput
from . import alignment_moves as moves
from .alignment_pull import Task


class Aligned(NamedTuple):
    """m neurons after alignment, and what happened to them.

    In an event a neuron becomes active on a point (side 1) or inactive (-1), or starts to slide along its boundary (0);
    in descent, its time is the first iteration that finds it so.

    W, a : (m, d) and (m,), where each was left; infinite where that exceeds the range of numbers
    ended : (m,) time up to which each was followed: `until`, or less if it was given up
    times, neurons, points, sides : (E,) events, sorted by time
    sliding : (m,) time at which each first began to slide, NaN if it never did
    share : (m, n) of each point in the pull at the end: 1 active, 0 inactive, between while the neuron slides
    pull : (m, d), (1/n) sum_i share_i y_i x_i at the end
    apart : (m, d), the part of W orthogonal to the pull, known to many more digits than W holds where W is aligned
    Ws, As : (L, m, d) and (L, m) at the times asked for, NaN after a neuron was given up
    """

    W: np.ndarray
    a: np.ndarray
    ended: np.ndarray
    times: np.ndarray
    neurons: np.ndarray
    points: np.ndarray
    sides: np.ndarray
    sliding: np.ndarray
    share: np.ndarray
    pull: np.ndarray
    apart: np.ndarray
    Ws: np.ndarray
    As: np.ndarray

    @property
    def entered(self) -> np.ndarray:
        """(E,) whether an event made the neuron active on the point."""
        return self.sides > 0


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d"),
    a=array("output weights", "m"),
    times=array("when to note the weights", "L", empty=True, finite=False),
    most=whole("events of a neuron", "[1, inf)"),
)
def align(
    X: np.ndarray,
    y: np.ndarray,
    W: np.ndarray,
    a: np.ndarray,
    *,
    step: float | None,
    until: float,
    times: Sequence[float] | np.ndarray = (),
    most: int = 10_000,
) -> Aligned:
    """Follow every neuron while the net's outputs are negligible.

    Parameters
    ----------
    X, y : (n, d) points and (n,) labels
    W, a : (m, d) and (m,) weights, balanced or not, as small as numbers get
    step : step size of gradient descent on the mean squared error, > 0; None: the flow
    until : how far, >= 0: iterations, or time of the flow, of which an iteration of descent makes 2 step
    times : when to note the weights, in [0, until], ascending
    most : events after which a neuron is given up, >= 1: one that chatters on a boundary in descent has many

    Returns
    -------
    Aligned; exact but for rounding: pulls and speeds below 1e-14 of what they are sums of count as 0

    Raises
    ------
    BadInput : "a (output weights) must be an array of shape (m,) = (25,), got (24,)", "X (points) must have no parallel
        rows in the flow, got 3 of 10 rows that are parallel", and the like

    **Source**: chistikov2023learning, Propositions 13 and 14 (yardsticks); differs: any labels and output weights,
    sliding, and gradient descent as well as the flow.
    """
    n, d = X.shape
    m = len(a)
    task = _task(X, y, step, until, times, most)
    exponent = np.frexp(np.maximum(np.abs(W).max(axis=1), np.abs(a)))[1].astype(np.int64)
    small, L = np.ldexp(W, -exponent[:, None]), len(task.times)
    log = moves.Log(
        np.full((L + 1, m, d), np.nan), np.full((L + 1, m), np.nan), np.tile(exponent, (L + 1, 1)), np.zeros(m),
        np.full(m, np.nan), np.empty((m, n)), np.empty((m, d)), np.empty((m, d)), np.zeros(m, np.int64),
    )  # fmt: skip
    events = moves.follow(task, small, np.ldexp(a, -exponent), small @ X.T, log, np.empty((moves.ROOM, 4)))
    events = events[np.lexsort(events.T[[2, 1, 0]])]
    neurons, points, sides = events[:, 1:].T.astype(np.int64)
    with np.errstate(over="ignore", under="ignore"):
        Ws, As = np.ldexp(log.w, log.exponent[..., None]), np.ldexp(log.a, log.exponent)
        apart = np.ldexp(_orthogonal(log.base, log.pull), log.of_base[:, None])
    kind = float if step is None else np.int64
    return Aligned(
        Ws[L], As[L], log.ended.astype(kind), events[:, 0].astype(kind), neurons, points, sides,
        log.sliding, log.share, log.pull / n, apart, Ws[:L], As[:L],
    )  # fmt: skip


def _orthogonal(W: np.ndarray, pull: np.ndarray) -> np.ndarray:
    """The part of each row orthogonal to its pull, all of it where there is no pull."""
    size = np.linalg.norm(pull, axis=1, keepdims=True)
    unit = pull / np.where(size > 0, size, 1)
    for _ in range(2):  # once leaves a rounding error of the size of W
        W = W - np.sum(W * unit, axis=1, keepdims=True) * unit
    return W


def _task(
    X: np.ndarray, y: np.ndarray, step: float | None, until: float, times: Sequence[float] | np.ndarray, most: int
) -> Task:
    steps = step is not None
    until = (whole("iterations") if steps else number("time of the flow", "[0, inf)"))("until", until, {})
    norms, n = np.linalg.norm(X, axis=1), len(y)
    if step is not None:
        # So long that a step changes a neuron by more than 1e100 of its size: far beyond any use.
        number("step size", f"(0, {1e100 * n / max(np.abs(y) @ norms, 1.0):g})")("step", step, {})
    at = np.asarray(times, float)
    wrong = not ((at >= 0) & (at <= until)).all() or (np.diff(at) < 0).any()
    if wrong or (steps and (at % 1 != 0).any()):
        kind = "whole numbers" if steps else "numbers"
        raise BadInput(
            f"times (when to note the weights) must be {kind} that ascend in [0, {until:g}], got {short(at)}"
        )
    K, c = X @ X.T, 1 / n if step is None else 2 * step / n
    if step is None:
        check_directions(K, norms)
    return Task(X, y, K, norms, np.abs(y) * norms, c, steps, float(until), at, most)


def check_directions(K: np.ndarray, norms: np.ndarray) -> None:
    """Refuse points with parallel rows, of products K = X X^T and these norms."""
    # Parallel points share a boundary: one is met on both at once, and shares of their own would not tell its sides.
    sizes = np.outer(norms, norms)
    parallel = (np.abs(K) >= (1 - 1e-14) * sizes) & (sizes > 0)
    if wrong := np.sum(parallel.sum(axis=1) > 1):
        raise BadInput(
            f"X (points) must have no parallel rows in the flow, got {wrong} of {len(norms)} rows that are parallel"
        )
