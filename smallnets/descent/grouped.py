"""Exact full-batch gradient descent of one two-layer ReLU net, group by group of neurons with one pattern.

The net is f(x) = c + sum_i w_i max(<a_i, x> + b_i, 0), the loss 1/2 sum_j nu_j (f(x_j) - y_j)^2. With the points
x~ = (x, 1), the neurons theta_i = (a_i, b_i), and v_g = -sum nu_j (f(x_j) - y_j) x~_j over the points where the
neurons of group g are active, a step is

    theta_i <- theta_i + h w_i v_g,    w_i <- w_i + h <v_g, theta_i>,    c <- c - h sum_j nu_j (f(x_j) - y_j),

one linear map for the whole group. So a group keeps the product of its maps and the second moments of its neurons,
which is all that the net's outputs need: a step costs nothing that grows with the number of neurons. A neuron whose
pattern changes leaves its group at that very step and takes its steps alone; `_grouped_events` explains how none is
missed. Every so often all neurons are put in their places and grouped anew, which keeps rounding small, too.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, number, record, whole, wholes
from . import _grouped_events as life_
from ._grouped_steps import FEW, LANES, rows

# All neurons are grouped anew after so many steps, or when the drives of the steps add up to this: a propagator is
# then at most exp(2), and its rounding below the margins that are trusted,
MOST, LONGEST = 100_000, 2.0
# or when neurons that left their groups have taken so many steps alone, and so many a neuron: what grouping costs.
WORK, WORK_PER_NEURON = 20_000, 4
# A neuron that is alone joins a group if it has kept its pattern for so many steps.
QUIET = 200
# With many components, a group costs as much as so many neurons that are alone.
CROWD = 4


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


class Descended(NamedTuple):
    """Where gradient descent ended.

    weights : the `Weights`
    steps : steps made
    loss : the loss there, or just before where it is not finite
    losses : the loss at the steps of the schedule, NaN where they were not reached
    changed : first step at which a neuron's pattern is not what it was at the start, -1 if there is none
    below : first step at which the loss is below the threshold, -1 if there is none
    changes : how often a neuron changed its pattern
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
    steps=whole("at most so many"),
    threshold=number("of the loss", "[-inf, inf]"),
    schedule=wholes("steps to note"),
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
) -> Descended:
    """Minimise 1/2 sum_j shares_j (f(x_j) - y_j)^2 by gradient descent with step size h.

    Parameters
    ----------
    X, y, shares : (n, d), (n,) and (n,) arrays; shares >= 0
    start : the `Weights` at step 0
    h : step size, > 0
    steps : at most so many, >= 0
    threshold : of the loss; events are looked for at steps 0, 1, ..., steps, before the update
    stop : end as soon as a pattern has changed and the loss has been below the threshold
    schedule : steps at which to note the loss, in any order

    Returns
    -------
    Descended; exact in exact arithmetic, whatever the patterns do

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (n,) = (33,), got (32,)", entries that are not finite, and the
        like

    **Source**: holzmuller2022training, section 2 for net and step, proposition C.2 for a group's map; differs:
    any dimension, any points, biases and weights of the points, and neurons may change their patterns.
    """
    points, neurons = _read(X, y, shares, start)
    wanted, order = np.unique(np.asarray(schedule, np.int64), return_inverse=True)
    work = WORK + WORK_PER_NEURON * len(neurons)
    run = life_.Run(h, steps, threshold, bool(stop), wanted, LONGEST, MOST, work)
    D = len(points.XT)
    axes = (0,) * D if D <= FEW else np.zeros(D)
    losses, events = np.full(len(wanted), np.nan), np.array([-1, -1, 0, 0])
    ended, k, c, loss, before = life_.REGROUP, 0, start.c, np.nan, None
    while ended == life_.REGROUP:
        life = _grouped(neurons, points, before, k)
        _count_changes(events, before, life, k)
        ended, k, c, loss = life_.live(life, points, run, k, c, losses, events, axes)
        neurons, before = life_.place(life), life
        if not np.isfinite(neurons).all():
            ended = life_.DIVERGED
    end = Weights(neurons[:, : D - 1], neurons[:, D - 1], neurons[:, D], c)
    changed, below, changes, _ = events.tolist()
    return Descended(end, k, loss, losses[order], changed, below, changes, ended == life_.DIVERGED)


def _grouped(neurons: np.ndarray, points: life_.Points, before: life_.Life | None, k: int) -> life_.Life:
    """Look at all neurons; those with one pattern are a group, but for those that changed theirs a moment ago."""
    m, n = len(neurons), len(points.y)
    active, until, group = np.empty((m, n)), np.empty(m), np.full(m, -1)
    life_.survey(neurons, points, active, until)
    changed = np.full(m, -QUIET) if before is None else before.changed
    joins = k - changed >= QUIET
    if len(points.XT) > FEW:
        _, kind = _alike(active)
        joins &= np.bincount(kind, joins)[kind] >= CROWD
    until[~joins] = np.inf
    first, group[joins] = _alike(active[joins])
    patterns = active[joins][first]
    one, cell = _alike(patterns.T)
    T = -(-len(patterns) // LANES)
    member = np.zeros((T * LANES, len(one)))
    member[: len(patterns)] = patterns[:, one]
    life = life_.Life(
        neurons, active, group, until, np.argsort(until), np.zeros(m, np.int64), changed,
        np.zeros((T, rows(neurons.shape[1] - 1) * LANES)), np.zeros(T * LANES, np.int64),
        np.ascontiguousarray(member.reshape(T, LANES, len(one)).swapaxes(1, 2)), cell, np.array([len(patterns), 0]),
    )  # fmt: skip
    life_.gather(life)
    return life


def _alike(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The first of each kind of row of zeros and ones, and the kind of every row."""
    bits = np.zeros((len(rows), 8 + rows.shape[1] // 64 * 8), np.uint8)
    packed = np.packbits(rows > 0, axis=1)
    bits[:, : packed.shape[1]] = packed
    kind = np.zeros(len(rows), np.int64)
    for word in bits.view(np.uint64).T:
        values, place = np.unique(word, return_inverse=True)
        _, first, kind = np.unique(kind * len(values) + place, return_index=True, return_inverse=True)
    return first, kind


def _count_changes(events: np.ndarray, before: life_.Life | None, life: life_.Life, k: int) -> None:
    """Count the neurons whose pattern changed in the step between two lives."""
    if before is None:
        return
    changes = int((before.active != life.active).any(axis=1).sum())
    if changes and events[life_.CHANGED] < 0:
        events[life_.CHANGED] = k
    events[life_.CHANGES] += changes


def _read(X: np.ndarray, y: np.ndarray, shares: np.ndarray, start: Weights) -> tuple[life_.Points, np.ndarray]:
    """The points with a one appended, and the neurons as rows (m, d + 2)."""
    lifted = np.column_stack([X, np.ones(len(X))])
    norms = np.linalg.norm(lifted, axis=1)
    points = life_.Points(np.ascontiguousarray(lifted.T), y, shares, norms)
    return points, np.column_stack([start.a, start.b, start.w])
