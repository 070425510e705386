"""A net's life in groups: which neuron must be looked at when, and who leaves its group; compiled.

Over steps whose drives |V| sum to S, theta of a neuron (theta, w) moves by at most (cosh S - 1) |theta| + sinh S |w|:
the sizes |theta| and |w| grow no faster than under I + |V| [[0, 1], [1, 0]], and in a product of such matrices the
terms of even and of odd order add up to at most cosh S and sinh S. Until theta has moved as far as the nearest point's
hyperplane, the neuron cannot change its pattern. So one clock adds up the largest drive of each step, every neuron
has a time before which it need not be looked at, and the neurons wait in a heap. Nothing is missed, and almost
nothing is looked at. A neuron that changes its pattern, or may do so soon, leaves its group: it then takes its
steps alone and is looked at in each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ._grouped_steps import LANES, compiled, output_alone, residuals, slopes_of, step_alone, step_groups

# Shares of a neuron's size, and times on the clock, below this are not trusted to rounding.
TRUSTED = 1e-9
# The clock must not lose what is added to it.
ROUND_UP = 1 + 1e-14
# A neuron that may change its pattern within so many steps like the last one leaves its group.
SOON = 16
# How `live` ends.
REGROUP, FINISHED, DIVERGED = 0, 1, 2
# What `live` counts: the first step with a pattern changed and the first with the loss below the threshold (-1 before
# there is one), changes of patterns, losses noted.
CHANGED, BELOW, CHANGES, NOTED = 0, 1, 2, 3


class Points(NamedTuple):
    """Inputs with a one appended, in columns XT (D, n); labels y (n,), shares nu (n,), norms (n,) of the columns."""

    XT: np.ndarray
    y: np.ndarray
    shares: np.ndarray
    norms: np.ndarray


class Life(NamedTuple):
    """All neurons in their groups, from one check of all patterns to the next.

    neurons : (m, D + 1), where they were when this life began; where they are, if they are alone
    active : (m, n), their patterns now, 1.0 or 0.0
    group : (m,), the group of each, -1 if it is alone
    until : (m,), the clock before which it cannot change its pattern
    queue : (m,), the neurons as a heap, the earliest on top
    alone : (m,), those that are alone, first
    changed : (m,), the step of its last change while it was alone
    tiles : (T, rows * LANES), the groups
    size : (T * LANES,), their neurons
    member : (T, cells, LANES), 1.0 where a group is active on a cell
    cell : (n,), the cell of each point; no group separates a cell's points: all groups together are affine on it
    counts : (2,), how many groups there are, and how many neurons are alone
    """

    neurons: np.ndarray
    active: np.ndarray
    group: np.ndarray
    until: np.ndarray
    queue: np.ndarray
    alone: np.ndarray
    changed: np.ndarray
    tiles: np.ndarray
    size: np.ndarray
    member: np.ndarray
    cell: np.ndarray
    counts: np.ndarray


class Run(NamedTuple):
    """What `live` is asked.

    h : step size
    last : number of the last step
    threshold : of the loss
    stop : end once a pattern has changed and the loss has been below the threshold
    schedule : steps at which the loss is noted, increasing
    longest, most, work : clock, steps, and steps of neurons that left, after which all patterns are checked again
    """

    h: float
    last: int
    threshold: float
    stop: bool
    schedule: np.ndarray
    longest: float
    most: int
    work: int


# ------------------------------------------------------------------------------------------------- one neuron


@compiled
def _allowance(zeta: np.ndarray, points: Points, active: np.ndarray) -> float:
    """On which points a neuron is active, and a sum of drives that cannot change that."""
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
    if not margin > 0:
        return 0.0
    # (cosh S - 1) theta + sinh S w = margin, solved for S without cancellation.
    move = margin * (margin + 2 * theta)
    return np.log1p((margin + move / (np.sqrt(move + w * w) + w)) / (theta + w)) / ROUND_UP


@compiled
def survey(neurons: np.ndarray, points: Points, active: np.ndarray, until: np.ndarray) -> None:
    """The patterns (m, n) of all neurons, and from a clock of zero until when they hold (m,)."""
    for i in range(len(neurons)):
        until[i] = _allowance(neurons[i], points, active[i])


@compiled
def _place(life: Life, i: int, zeta: np.ndarray) -> None:
    """Where neuron i is now."""
    g, D1 = life.group[i], len(zeta)
    for a in range(D1):
        zeta[a] = life.neurons[i, a] if g < 0 else 0.0
        for b in range(D1 if g >= 0 else 0):
            zeta[a] += life.tiles[g // LANES, (a * D1 + b) * LANES + g % LANES] * life.neurons[i, b]


@compiled
def place(life: Life) -> np.ndarray:
    """All neurons (m, D + 1) where they are now."""
    now = np.empty_like(life.neurons)
    for i in range(len(now)):
        _place(life, i, now[i])
    return now


@compiled
def _count(life: Life, i: int, sign: int) -> None:
    """Add neuron i's moments to its group, or take them away."""
    neurons, tiles, g = life.neurons, life.tiles, life.group[i]
    D1, t = neurons.shape[1], g // LANES
    life.size[g] += sign
    for a in range(D1):
        for b in range(D1):
            at = (D1 * D1 + a * D1 + b) * LANES + g % LANES
            # An empty group pulls with zero, not with rounding.
            tiles[t, at] = tiles[t, at] + sign * neurons[i, a] * neurons[i, b] if life.size[g] else 0.0


@compiled
def gather(life: Life) -> None:
    """Begin a life: propagators one, moments summed; those without a group are alone."""
    D1 = life.neurons.shape[1]
    for g in range(life.counts[0]):
        for a in range(D1):
            life.tiles[g // LANES, (a * D1 + a) * LANES + g % LANES] = 1.0
    for i in range(len(life.group)):
        if life.group[i] >= 0:
            _count(life, i, 1)
        else:
            life.alone[life.counts[1]] = i
            life.counts[1] += 1


# ----------------------------------------------------------------------------------------------- who leaves


@compiled
def _leave(life: Life, i: int, zeta: np.ndarray) -> None:
    """Neuron i takes its steps alone from here on."""
    _count(life, i, -1)
    for a in range(len(zeta)):
        life.neurons[i, a] = zeta[a]
    life.group[i] = -1
    life.until[i] = np.inf
    life.alone[life.counts[1]] = i
    life.counts[1] += 1


@compiled
def _sink(life: Life) -> None:
    """Bring the heap in order after the neuron on top has been given more time."""
    queue, until = life.queue, life.until
    at, size = 0, len(queue)
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and until[queue[child + 1]] < until[queue[child]]:
            child += 1
        if until[queue[at]] <= until[queue[child]]:
            return
        queue[at], queue[child] = queue[child], queue[at]
        at = child


@compiled
def _look(life: Life, points: Points, clock: float, step: float) -> None:
    """Look at all neurons whose time has come: give them more, or let them leave."""
    zeta, active = np.empty(life.neurons.shape[1]), np.empty(len(points.y))
    while life.until[life.queue[0]] <= clock:
        i = life.queue[0]
        _place(life, i, zeta)
        allowed = _allowance(zeta, points, active)
        # If its pattern changed in this very step, what could undo that is less than twice the step.
        if allowed <= max(SOON * step, TRUSTED):
            _leave(life, i, zeta)
        else:
            life.until[i] = clock + allowed
        _sink(life)


# ------------------------------------------------------------------------------------------------------ a life


@compiled
def live(
    life: Life, points: Points, run: Run, k: int, c: float, losses: np.ndarray, events: np.ndarray, axes: Any
) -> tuple[int, int, float, float]:
    """Steps from number k on until the run is over or all patterns must be checked again.

    Parameters
    ----------
    k, c : number of the step and the net's offset
    losses : the loss at the steps of `run.schedule`, filled in
    events : (4,) whole numbers, see CHANGED
    axes : a tuple, or an array, of length D

    Returns
    -------
    (ended, k, c, loss)
    """
    neurons, active, alone, changed, tiles, member = (
        life.neurons, life.active, life.alone, life.changed, life.tiles, life.member
    )  # fmt: skip
    until, queue, counts, cell, groups = life.until, life.queue, life.counts, life.cell, life.counts[0]
    XT, y, shares, schedule = points.XT, points.y, points.shares, run.schedule
    D, n, cells = len(axes), len(y), member.shape[1]
    slopes, forces, pulls, others = np.zeros((cells, D)), np.zeros((cells, D)), np.zeros((D, n)), np.full(n, c)
    clock, begun, left, work, z = 0.0, k, counts[1], 0, np.empty(n)
    output_alone(neurons, active, alone, 0, left, XT, others, z, changed, k, axes)
    while True:
        slopes_of(tiles, member, groups, slopes, axes)
        loss, total = residuals(XT, y, shares, cell, slopes, others, pulls, forces, axes)
        if events[NOTED] < len(schedule) and schedule[events[NOTED]] == k:
            losses[events[NOTED]] = loss
            events[NOTED] += 1
        if loss < run.threshold and events[BELOW] < 0:
            events[BELOW] = k
        if not np.isfinite(loss):
            return DIVERGED, k, c, loss
        if k == run.last or (run.stop and events[CHANGED] >= 0 and events[BELOW] >= 0):
            return FINISHED, k, c, loss
        step = step_groups(tiles, member, groups, run.h, forces, axes)
        step_alone(neurons, active, alone, counts[1], pulls, run.h, axes)
        c -= run.h * total
        k += 1
        others[:] = c
        changes = output_alone(neurons, active, alone, 0, counts[1], XT, others, z, changed, k, axes)
        clock, work = (clock + step) * ROUND_UP, work + counts[1] - left
        over = not clock < run.longest or k - begun >= run.most or work > run.work
        if not over and until[queue[0]] <= clock:
            known = counts[1]
            _look(life, points, clock, step)
            changes += output_alone(neurons, active, alone, known, counts[1], XT, others, z, changed, k, axes)
        if changes and events[CHANGED] < 0:
            events[CHANGED] = k
        events[CHANGES] += changes
        if over:
            return REGROUP, k, c, loss
