"""Exact full-batch gradient descent of one two-layer ReLU network, in groups of neurons with one activation pattern.

The network is f(x) = c + sum_i w_i max(<a_i, x> + b_i, 0), the loss 1/2 sum_j nu_j (f(x_j) - y_j)^2. With the points
x~ = (x, 1), the neurons theta_i = (a_i, b_i), and v_g = -sum nu_j (f(x_j) - y_j) x~_j over the points where the
neurons of group g are active, a step is

    theta_i <- theta_i + h w_i v_g,    w_i <- w_i + h <v_g, theta_i>,    c <- c - h sum_j nu_j (f(x_j) - y_j),

one linear map for the whole group. So a group keeps the product of its maps and the second moments of its neurons,
which determine its part of the outputs: the cost of a step does not grow with the number of neurons. A neuron whose
pattern changes leaves its group at that very step and takes its steps on its own; `_grouped_events` explains why no
change is missed. From time to time the weights of all neurons are computed and all neurons are grouped anew, which
also keeps rounding errors small.

This module is for wide networks on many training points in few dimensions. `relu` is for narrower networks on few
points in any dimension. A matrix for each group is the better state here and preactivations are the better state
there; the docstring of `relu` gives the factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, number, record, whole, wholes
from . import _grouped_events as kernels
from ._grouped_steps import FEW, TILE, Grouping, Points, rows

# All neurons are grouped anew after so many steps, or when the path length has grown to this: a propagator is then at
# most exp(2), and its rounding errors are below the margins that are trusted,
MOST_STEPS, LONGEST_PATH = 100_000, 2.0
# or when neurons that left their groups have taken so many steps, plus so many per neuron: about the cost of grouping.
WORK, WORK_PER_NEURON = 20_000, 4
# A free neuron joins a group if it has not changed its pattern for so many steps.
UNCHANGED = 200
# In more than FEW dimensions a group costs as much as so many free neurons, and smaller groups are not made.
SMALLEST_GROUP = 4


class Weights(NamedTuple):
    """f(x) = c + sum_i w_i max(<a_i, x> + b_i, 0): hidden weights a (m, d), biases b (m,), w (m,), a number c."""

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    c: float = 0.0

    @checked(
        self=record(a=array("hidden weights", "m d", finite=False)), X=array("inputs", "n d", finite=False, empty=True)
    )
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs (n,) at inputs X (n, d)."""
        return self.c + np.maximum(X @ self.a.T + self.b, 0) @ self.w


class Descent(NamedTuple):
    """Where gradient descent ended.

    weights : the `Weights`
    steps : steps made
    loss : the loss there, or just before where it is not finite
    losses : the loss at the steps of the schedule, NaN where a step was not reached
    changed : first step at which the pattern of a neuron is not that of the start, -1 if there is none
    below : first step at which the loss is below the threshold, -1 if there is none
    changes : how many times a neuron changed its pattern
    diverged : whether the loss stopped being finite
    """

    weights: Weights
    steps: int
    loss: float
    losses: np.ndarray
    changed: int
    below: int
    changes: int
    diverged: bool


@checked(
    X=array("inputs", "n d"),
    y=array("labels", "n"),
    shares=array("shares of the points", "n", interval="[0, inf)"),
    start=record(
        a=array("hidden weights", "m d"),
        b=array("biases", "m"),
        w=array("output weights", "m"),
        c=number("offset"),
    ),
    h=number("step size", "(0, inf)"),
    steps=whole("maximum number of steps"),
    threshold=number("loss below which to record the step", "[-inf, inf]"),
    schedule=wholes("steps to record"),
)
def descend(
    X: np.ndarray,
    y: np.ndarray,
    shares: np.ndarray,
    start: Weights,
    *,
    h: float,
    steps: int,
    threshold: float = -np.inf,
    stop: bool = False,
    schedule: Sequence[int] | np.ndarray = (),
) -> Descent:
    """Minimise 1/2 sum_j shares_j (f(x_j) - y_j)^2 by gradient descent with step size h.

    Parameters
    ----------
    X, y, shares : (n, d), (n,) and (n,) arrays; shares >= 0
    start : the `Weights` at step 0
    h : step size, > 0
    steps : maximum number of steps, >= 0
    threshold : of the loss; the events are tested at steps 0, 1, ..., steps, before the update
    stop : end as soon as a pattern has changed and the loss has been below the threshold
    schedule : steps at which to record the loss, in any order

    Returns
    -------
    Descent; exact in exact arithmetic, whatever the patterns do

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (n,) = (33,), got (32,)", entries that are not finite, and the
        like

    **Source**: holzmuller2022training, section 2 for net and step, proposition C.2 for a group's map; differs:
    any dimension, any points, biases and weights of the points, and neurons may change their patterns.
    """
    points, neurons = _lifted(X, y, shares, start)
    wanted, order = np.unique(np.asarray(schedule, np.int64), return_inverse=True)
    work = WORK + WORK_PER_NEURON * len(neurons)
    run = kernels.Settings(h, steps, threshold, bool(stop), wanted, LONGEST_PATH, MOST_STEPS, work)
    D = len(points.XT)
    axes = (0,) * D if D <= FEW else np.zeros(D)
    record = kernels.Record(np.full(len(wanted), np.nan), np.array([-1, -1, 0, 0]))
    ended, k, c, loss, before = kernels.REGROUP, 0, start.c, np.nan, None
    while ended == kernels.REGROUP:
        state = _grouped(neurons, points, before, k)
        _count_changes(record.events, before, state, k)
        ended, k, c, loss = kernels.take_steps(state, points, run, record, k, c, axes)
        neurons, before = kernels.current(state), state
        if not np.isfinite(neurons).all():
            ended = kernels.DIVERGED
    end = Weights(neurons[:, : D - 1], neurons[:, D - 1], neurons[:, D], c)
    changed, below, changes, _ = record.events.tolist()
    return Descent(end, k, loss, record.losses[order], changed, below, changes, ended == kernels.DIVERGED)


def _grouped(neurons: np.ndarray, points: Points, before: Grouping | None, k: int) -> Grouping:
    """Group neurons by pattern, without those that changed their pattern a few steps ago."""
    m, n = len(neurons), len(points.y)
    active, safe, group = np.empty((m, n)), np.empty(m), np.full(m, -1)
    kernels.check_all(neurons, points, active, safe)
    changed = np.full(m, -UNCHANGED) if before is None else before.changed
    joins = k - changed >= UNCHANGED
    if len(points.XT) > FEW:
        _, number = _unique_rows(active)
        joins &= np.bincount(number, joins)[number] >= SMALLEST_GROUP
    safe[~joins] = np.inf
    first, group[joins] = _unique_rows(active[joins])
    patterns = active[joins][first]
    one, cell = _unique_rows(patterns.T)
    T = -(-len(patterns) // TILE)
    member = np.zeros((T * TILE, len(one)))
    member[: len(patterns)] = patterns[:, one]
    state = Grouping(
        neurons, active, group, safe, np.argsort(safe), np.zeros(m, np.int64), changed,
        np.zeros((T, rows(neurons.shape[1] - 1) * TILE)), np.zeros(T * TILE, np.int64),
        np.ascontiguousarray(member.reshape(T, TILE, len(one)).swapaxes(1, 2)), cell, np.array([len(patterns), 0]),
    )  # fmt: skip
    kernels.fill_tiles(state)
    return state


def _unique_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first index of each distinct row of zeros and ones, and the number of its distinct row for every row."""
    bits = np.zeros((len(rows), 8 + rows.shape[1] // 64 * 8), np.uint8)
    packed = np.packbits(rows > 0, axis=1)
    bits[:, : packed.shape[1]] = packed
    number = np.zeros(len(rows), np.int64)
    for word in bits.view(np.uint64).T:
        values, place = np.unique(word, return_inverse=True)
        _, first, number = np.unique(number * len(values) + place, return_index=True, return_inverse=True)
    return first, number


def _count_changes(events: np.ndarray, before: Grouping | None, state: Grouping, k: int) -> None:
    """Count the neurons whose pattern changed in the step at which they were grouped anew."""
    if before is None:
        return
    changes = int((before.active != state.active).any(axis=1).sum())
    if changes and events[kernels.CHANGED] < 0:
        events[kernels.CHANGED] = k
    events[kernels.CHANGES] += changes


def _lifted(X: np.ndarray, y: np.ndarray, shares: np.ndarray, start: Weights) -> tuple[Points, np.ndarray]:
    """The points with a one appended, and the neurons as rows (m, d + 2)."""
    lifted = np.column_stack([X, np.ones(len(X))])
    points = Points(np.ascontiguousarray(lifted.T), y, shares, np.linalg.norm(lifted, axis=1))
    return points, np.column_stack([start.a, start.b, start.w])
