"""Exact gradient descent of one-hidden-layer ReLU networks h(x) = sum_j a_j max(0, <w_j, x>), without biases.

On the mean squared error, with residuals r = y - h and c = 2 step / n, a step is

    w_j <- w_j + c a_j g_j,    a_j <- a_j + c <w_j, g_j>,    g_j = sum over {i : <w_j, x_i> > 0} of r_i x_i.

`_relu_steps` takes these steps in terms of preactivations. Neurons with the same pattern whose pattern cannot change
for a while are *held*: at most d + 1 orthonormal combinations of them take their steps. The other neurons are *free*
and look at their pattern in every step; those that are active on no point never move again and take none.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from ..arguments import array, ascending, checked, number, whole
from . import _relu_steps as kernels
from ._relu_trajectory import MOST_CROSSINGS, Course

# Steps until all patterns are looked at again, doubled as long as that leaves no fewer lanes.
PATIENCE, MOST, FEWER = 512, 1 << 24, 0.75
# Iterations after which the tail is tried again.
RETRY = 8192


class End(StrEnum):
    """Why a descent ended."""

    TARGET = "the loss fell below its target"
    LIMIT = "stopped at the limit of iterations"
    STALLED = "the weights have come to rest, up to rounding"
    DEAD = "no neuron is active on any point"
    DIVERGED = "the iterates diverged"


class Descended(NamedTuple):
    """Where gradient descent ended, and what was noted on the way.

    Levels: "neurons" has some neurons free, in "groups" all that move are held, in the "tail" many iterations are taken
    at a time.

    W, a : (m, d) and (m,), the weights
    steps : iterations made; of a network that died, up to its last change of a pattern
    loss : the mean squared error there
    ended : why
    at : (L,), the iterations of the log that were reached
    losses : (L,), the loss there
    Ws, As : (L, m, d) and (L, m), the weights there
    spent : iterations by level, one of "neurons", "groups" and "tail"
    crossings : (C, 3), iteration, neuron and point of each change of a pattern, at most 10^6 of them
    """

    W: np.ndarray
    a: np.ndarray
    steps: int
    loss: float
    ended: End
    at: np.ndarray
    losses: np.ndarray
    Ws: np.ndarray
    As: np.ndarray
    spent: dict[str, int]
    crossings: np.ndarray


@checked(
    X=array("inputs", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d"),
    a=array("output weights", "m"),
    step=number("step size", "(0, inf)"),
    steps=whole("at most so many iterations"),
    target=number("loss to end below", "[0, inf)"),
    log=ascending("iterations to note"),
    tail=number("error of many iterations at a time", "[0, inf)"),
)
@np.errstate(over="ignore", invalid="ignore")  # what diverges ends as such
def descend(
    X: np.ndarray,
    y: np.ndarray,
    W: np.ndarray,
    a: np.ndarray,
    *,
    step: float,
    steps: int,
    target: float = 0.0,
    log: Sequence[int] | np.ndarray = (),
    tail: float = 0.0,
) -> Descended:
    """Minimise 1/n sum_i (h(x_i) - y_i)^2 by full-batch gradient descent; max'(0) = 0.

    Parameters
    ----------
    X, y : (n, d) and (n,) arrays
    W, a : (m, d) and (m,) arrays, the start
    step : step size, > 0
    steps : at most so many iterations, >= 0
    target : end at the first iteration with a smaller loss
    log : iterations, increasing, at which to note loss and weights
    tail : error, over the way gone, for which many iterations may be taken at a time; 0 takes each

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (n,) = (10,), got (9,)", entries that are not finite, and the
        like

    **Source**: chistikov2023learning, Section 1, for the network; differs: gradient descent in place of its flow, which
    passes time 2 step an iteration.
    """
    course = Course(X, y, W, a, 2 * step / len(y), np.asarray(log, np.int64))
    patience, fewest, k = PATIENCE, np.inf, 0
    while True:
        if tail:
            k, patience = course.leap(k, steps, target, tail), min(patience, RETRY)
        lanes, clock = course.arranged()
        if not len(lanes.ids) and not len(lanes.masks):
            return _ended(course, End.LIMIT, k)
        size = lanes.H.shape[1] + lanes.held.shape[1]
        patience, fewest = (PATIENCE, size) if size < FEWER * fewest else (min(2 * patience, MOST), fewest)
        why, k = course.live(lanes, k, min(steps, k + patience), target, clock)
        if why in ENDS or (why == kernels.LAST and k == steps):
            return _ended(course, ENDS.get(why, End.LIMIT), k)


ENDS = {kernels.TARGET: End.TARGET, kernels.DIVERGED: End.DIVERGED, kernels.STALLED: End.STALLED}


def _ended(course: Course, end: End, k: int) -> Descended:
    """The result; of a network that died, up to the iteration in which it did."""
    m, d = course.W.shape
    if end in (End.LIMIT, End.STALLED) and not (course.H > 0).any():
        end, k = End.DEAD, course.crossed
        course.note(k, float((course.data.y**2).mean()))
    none = (np.zeros(0, np.int64), np.zeros(0), np.zeros((0, m, d)), np.zeros((0, m)))
    at, losses, Ws, As = (np.concatenate(part) for part in zip(none, *course.noted, strict=True))
    at, losses, Ws, As = (part[: np.searchsorted(at, k, side="right")] for part in (at, losses, Ws, As))
    crossings = np.concatenate([np.zeros((0, 3), np.int64), *course.crossings])[:MOST_CROSSINGS]
    return Descended(course.W, course.a, k, float(course.loss), end, at, losses, Ws, As, course.spent, crossings)
