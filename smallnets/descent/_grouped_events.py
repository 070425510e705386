"""Steps of groups of neurons, and the events at which a neuron's activation pattern changes; compiled.

`_safe_path` says for which path length, the sum of the lengths of the steps, a neuron cannot change its pattern. One
path length serves all neurons: it adds up the longest step of any group. Each grouped neuron has a safe path length up
to which it need not be checked, and a heap keeps the neurons in this order. So no change is missed, and few checks are
made. A neuron that changes its pattern, or may do so soon, leaves its group and is *free*: it takes its
steps on its own, and its pattern is checked in each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from . import _grouped_steps as one_step
from ._grouped_steps import TILE, Grouping, Points, compiled
from ._safe_path import TRUSTED, safe_path

# The path length must not lose what is added to it.
ROUND_UP = 1 + 1e-14
# A neuron that may change its pattern within so many steps of the length of the last one leaves its group.
SOON = 16
# How `take_steps` ends.
REGROUP, FINISHED, DIVERGED = 0, 1, 2
# What `take_steps` counts in `events`: the first step at which a pattern has changed and the first with the loss below
# the threshold (-1 before there is one), changes of patterns, losses recorded.
CHANGED, BELOW, CHANGES, RECORDED = 0, 1, 2, 3

_compiled_safe_path = compiled(safe_path)


class Settings(NamedTuple):
    """How `take_steps` goes on and when it returns.

    h : step size
    last : number of the last step
    threshold : of the loss
    stop : end once a pattern has changed and the loss has been below the threshold
    schedule : steps at which the loss is recorded, increasing
    longest, most, work : path length, steps, and steps of neurons that left, after which all neurons are grouped anew
    """

    h: float
    last: int
    threshold: float
    stop: bool
    schedule: np.ndarray
    longest: float
    most: int
    work: int


class Record(NamedTuple):
    """What `take_steps` records: the losses at the steps of the schedule, and (4,) whole numbers, see CHANGED."""

    losses: np.ndarray
    events: np.ndarray


# ------------------------------------------------------------------------------------------------- one neuron


@compiled
def _check(zeta: np.ndarray, points: Points, active: np.ndarray) -> float:
    """Fill in the points on which a neuron is active; returns a path length that cannot change them."""
    D = len(points.XT)
    theta, margin, w = 0.0, np.inf, abs(zeta[D])
    for r in range(D):
        theta += zeta[r] ** 2
    theta = np.sqrt(theta)
    for j in range(len(active)):
        z = 0.0
        for r in range(D):
            z += points.XT[r, j] * zeta[r]
        active[j] = 1.0 if z > 0 else 0.0
        margin = min(margin, abs(z) / points.norms[j])
    if theta + w == 0:
        return np.inf
    margin -= TRUSTED * (theta + w)
    return _compiled_safe_path(margin, theta, w) / ROUND_UP if margin > 0 else 0.0


@compiled
def check_all(neurons: np.ndarray, points: Points, active: np.ndarray, safe: np.ndarray) -> None:
    """Fill in the patterns (m, n) of all neurons and the path lengths (m,) that cannot change them."""
    for i in range(len(neurons)):
        safe[i] = _check(neurons[i], points, active[i])


@compiled
def _current(state: Grouping, i: int, zeta: np.ndarray) -> None:
    """Fill in neuron i now: its group's propagator applied to it."""
    g, D1 = state.group[i], len(zeta)
    for a in range(D1):
        zeta[a] = state.neurons[i, a] if g < 0 else 0.0
        for b in range(D1 if g >= 0 else 0):
            zeta[a] += state.tiles[g // TILE, (a * D1 + b) * TILE + g % TILE] * state.neurons[i, b]


@compiled
def current(state: Grouping) -> np.ndarray:
    """All neurons (m, D + 1) now."""
    now = np.empty_like(state.neurons)
    for i in range(len(now)):
        _current(state, i, now[i])
    return now


@compiled
def _add_moments(state: Grouping, i: int, sign: int) -> None:
    """Add the moments of neuron i to those of its group, or subtract them."""
    neurons, tiles, g = state.neurons, state.tiles, state.group[i]
    D1, t = neurons.shape[1], g // TILE
    state.size[g] += sign
    for a in range(D1):
        for b in range(D1):
            at = (D1 * D1 + a * D1 + b) * TILE + g % TILE
            # The moments of an empty group are zero, without rounding errors.
            tiles[t, at] = tiles[t, at] + sign * neurons[i, a] * neurons[i, b] if state.size[g] else 0.0


@compiled
def fill_tiles(state: Grouping) -> None:
    """Set propagators to one and sum moments; neurons without a group are free."""
    D1 = state.neurons.shape[1]
    for g in range(state.counts[0]):
        for a in range(D1):
            state.tiles[g // TILE, (a * D1 + a) * TILE + g % TILE] = 1.0
    for i in range(len(state.group)):
        if state.group[i] >= 0:
            _add_moments(state, i, 1)
        else:
            state.free[state.counts[1]] = i
            state.counts[1] += 1


# ------------------------------------------------------------------------------------- neurons that leave their group


@compiled
def _leave_group(state: Grouping, i: int, zeta: np.ndarray) -> None:
    """Make neuron i, which is zeta now, free."""
    _add_moments(state, i, -1)
    for a in range(len(zeta)):
        state.neurons[i, a] = zeta[a]
    state.group[i] = -1
    state.safe[i] = np.inf
    state.free[state.counts[1]] = i
    state.counts[1] += 1


@compiled
def _sift_down(state: Grouping) -> None:
    """Restore the order of the heap after the safe path length of the neuron on top has grown."""
    queue, safe = state.queue, state.safe
    at, size = 0, len(queue)
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and safe[queue[child + 1]] < safe[queue[child]]:
            child += 1
        if safe[queue[at]] <= safe[queue[child]]:
            return
        queue[at], queue[child] = queue[child], queue[at]
        at = child


@compiled
def _check_due(state: Grouping, points: Points, path: float, step: float) -> None:
    """Check all neurons whose safe path length is used up: extend it, or let them leave their group."""
    zeta, active = np.empty(state.neurons.shape[1]), np.empty(len(points.y))
    while state.safe[state.queue[0]] <= path:
        i = state.queue[0]
        _current(state, i, zeta)
        allowed = _check(zeta, points, active)
        # If its pattern changed in this very step, it is within twice the step of where it changes back.
        if allowed <= max(SOON * step, TRUSTED):
            _leave_group(state, i, zeta)
        else:
            state.safe[i] = path + allowed
        _sift_down(state)


# --------------------------------------------------------------------------------------------------------------- steps


@compiled
def take_steps(
    state: Grouping, points: Points, run: Settings, record: Record, k: int, c: float, axes: Any
) -> tuple[int, int, float, float]:
    """Take steps from number k on, until the descent is over or all neurons must be grouped anew.

    Parameters
    ----------
    k, c : number of the step and offset of the network
    axes : a tuple, or an array, of length D

    Returns
    -------
    (ended, k, c, loss)
    """
    safe, queue, counts, schedule = state.safe, state.queue, state.counts, run.schedule
    losses, events = record.losses, record.events
    D, n, cells = len(axes), len(points.y), state.member.shape[1]
    slopes, on_cells, on_points, others = np.empty((cells, D)), np.empty((cells, D)), np.empty((D, n)), np.empty(n)
    others[:] = c
    path, begin, left, work = 0.0, k, counts[1], 0
    one_step.free_outputs(state, points, 0, others, k, axes)
    while True:
        one_step.slopes_of(state, slopes, axes)
        loss, total = one_step.residuals(points, state.cell, slopes, others, on_points, on_cells, axes)
        if events[RECORDED] < len(schedule) and schedule[events[RECORDED]] == k:
            losses[events[RECORDED]] = loss
            events[RECORDED] += 1
        if loss < run.threshold and events[BELOW] < 0:
            events[BELOW] = k
        if not np.isfinite(loss):
            return DIVERGED, k, c, loss
        if k == run.last or (run.stop and events[CHANGED] >= 0 and events[BELOW] >= 0):
            return FINISHED, k, c, loss
        step = one_step.step_groups(state, run.h, on_cells, axes)
        one_step.step_free(state, on_points, run.h, axes)
        c -= run.h * total
        k += 1
        others[:] = c
        changes = one_step.free_outputs(state, points, 0, others, k, axes)
        path, work = (path + step) * ROUND_UP, work + counts[1] - left
        over = not path < run.longest or k - begin >= run.most or work > run.work
        if not over and safe[queue[0]] <= path:
            known = counts[1]
            _check_due(state, points, path, step)
            changes += one_step.free_outputs(state, points, known, others, k, axes)
        if changes and events[CHANGED] < 0:
            events[CHANGED] = k
        events[CHANGES] += changes
        if over:
            return REGROUP, k, c, loss
