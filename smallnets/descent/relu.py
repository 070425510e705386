"""Exact gradient descent of one-hidden-layer ReLU networks h(x) = sum_j a_j max(0, <w_j, x>), without biases.

On the mean squared error, with residuals r = y - h and c = 2 step / n, a step is

    w_j <- w_j + c a_j g_j,    a_j <- a_j + c <w_j, g_j>,    g_j = sum over {i : <w_j, x_i> > 0} of r_i x_i.

`_relu_steps` takes these steps in terms of preactivations. Neurons whose activation pattern cannot change for a while
are *grouped* by pattern, and the steps of at most d + 1 orthonormal combinations of a group stand in for those of all
its neurons. The other neurons are *free*, and their patterns are checked in every step. Neurons that are active on no
training point never move again and take no steps.

There are two modules for exact descent of ReLU networks because no state serves both. This module is for few training
points in any dimension. It keeps preactivations, so that a step of a free neuron costs n^2 multiplications in vectors,
and neurons may cross points often. Groups are formed anew from time to time, and weights can be recorded at any step.
`grouped` is for wide networks on many points in few dimensions. It keeps a matrix for each group, so that the cost of a
step does not grow with the number of neurons, and single neurons may leave a group. On the star of 33 points a step
takes at least 14 times as long here as there; on 10 to 16 points in 4 to 16 dimensions it takes 4 to 25 times as long
there as here. Both use the bound of `_safe_path` on how far a neuron can move.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from ..arguments import array, ascending, checked, number, whole
from . import _relu_steps as kernels
from ._relu_trajectory import MOST_CROSSINGS, Trajectory

# Steps until all neurons are grouped anew. They are doubled, up to a maximum, each time that regrouping does not reduce
# the number of columns to less than this share.
FIRST_REGROUPING, LAST_REGROUPING, FEWER = 512, 1 << 24, 0.75
# Iterations after which the tail is tried again.
RETRY = 8192
# Multiplications of a step, m n d, from which a device that is not the processor is worth its way.
MANY = 10_000_000


class End(StrEnum):
    """Why a descent ended."""

    TARGET = "the loss fell below its target"
    LIMIT = "stopped at the limit of iterations"
    STALLED = "the weights have come to rest, up to rounding"
    DEAD = "no neuron is active on any point"
    DIVERGED = "the iterates diverged"


class Descent(NamedTuple):
    """Where gradient descent ended, and what was recorded during it.

    Iterations are counted by how they were taken: as "neurons" where some neurons were free, as "groups" where all
    neurons that move were grouped, and as "tail" where many iterations were taken at a time.

    W, a : (m, d) and (m,), the weights
    steps : iterations made; where all neurons became inactive, iterations up to the last change of a pattern
    loss : the mean squared error there
    ended : why the descent ended
    at : (L,), the iterations of the log that were reached
    losses : (L,), the loss there
    Ws, As : (L, m, d) and (L, m), the weights there
    spent : iterations taken as "neurons", "groups" and "tail"
    crossings : (C, 3), iteration, neuron and training point of each change of a pattern, at most 10^6 of them
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
    steps=whole("maximum number of iterations"),
    target=number("loss below which to end", "[0, inf)"),
    log=ascending("iterations to record"),
    tail=number("error of many iterations at a time", "[0, inf)"),
)
@np.errstate(over="ignore", invalid="ignore")  # a descent that overflows ends as diverged
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
) -> Descent:
    """Minimise 1/n sum_i (h(x_i) - y_i)^2 by full-batch gradient descent; max'(0) = 0.

    Wide networks, of ten million multiplications m n d in a step, are trained by torch where the environment's
    NEUREC_DEVICE names another device than the CPU; each iteration is taken, and no crossings are noted then.

    Parameters
    ----------
    X, y : (n, d) and (n,), the training points and their labels
    W, a : (m, d) and (m,), the weights at the start
    step : step size, > 0
    steps : maximum number of iterations, >= 0
    target : end at the first iteration with a smaller loss
    log : iterations, increasing, at which to record the loss and the weights
    tail : error, relative to the path length, up to which many iterations are taken at a time; with 0 none are

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (n,) = (10,), got (9,)", entries that are not finite, and the
        like

    **Source**: chistikov2023learning, Section 1, for the network; differs: gradient descent in place of its flow, of
    which an iteration takes time 2 step.
    """
    elsewhere = (os.environ.get("NEUREC_DEVICE") or "cpu").partition(":")[0] != "cpu"
    if elsewhere and W.size * len(y) >= MANY:
        return _in_torch((X, y), (W, a), step=step, steps=steps, target=target, log=np.asarray(log, np.int64))
    run = Trajectory(X, y, W, a, c=2 * step / len(y), log=np.asarray(log, np.int64))
    patience, fewest, k = FIRST_REGROUPING, np.inf, 0
    while True:
        if tail:
            k, patience = run.leap(k, steps, target, tail), min(patience, RETRY)
        neurons, safe = run.regrouped()
        if not len(neurons.ids) and not len(neurons.patterns):
            return _result(run, End.LIMIT, k)
        columns = neurons.H.shape[1] + neurons.H_group.shape[1]
        if columns < FEWER * fewest:
            patience, fewest = FIRST_REGROUPING, columns
        else:
            patience = min(2 * patience, LAST_REGROUPING)
        reason, k = run.advance(neurons, safe, k, min(steps, k + patience), target=target)
        if reason in ENDS or (reason == kernels.LAST and k == steps):
            return _result(run, ENDS.get(reason, End.LIMIT), k)


ENDS = {kernels.TARGET: End.TARGET, kernels.DIVERGED: End.DIVERGED, kernels.STALLED: End.STALLED}


def _in_torch(given: tuple[np.ndarray, np.ndarray], start: tuple[np.ndarray, np.ndarray], **rule: Any) -> Descent:
    from . import _relu_dense

    W, a, k, loss, end, at, losses, Ws, As = _relu_dense.descend(given, start, **rule)
    spent = {"neurons": k, "groups": 0, "tail": 0}
    return Descent(W, a, k, loss, End[end], at, losses, Ws, As, spent, np.zeros((0, 3), np.int64))


def _result(run: Trajectory, end: End, k: int) -> Descent:
    """What `descend` returns; where all neurons became inactive, up to the iteration in which the last one did."""
    m, d = run.W.shape
    if end in (End.LIMIT, End.STALLED) and not (run.H > 0).any():
        end, k = End.DEAD, run.last_crossing
        run.snapshot(k, float((run.data.y**2).mean()))
    empty = (np.zeros(0, np.int64), np.zeros(0), np.zeros((0, m, d)), np.zeros((0, m)))
    at, losses, Ws, As = (np.concatenate(part) for part in zip(empty, *run.snapshots, strict=True))
    at, losses, Ws, As = (part[: np.searchsorted(at, k, side="right")] for part in (at, losses, Ws, As))
    crossings = np.concatenate([np.zeros((0, 3), np.int64), *run.crossings])[:MOST_CROSSINGS]
    return Descent(run.W, run.a, k, float(run.loss), end, at, losses, Ws, As, run.spent, crossings)
