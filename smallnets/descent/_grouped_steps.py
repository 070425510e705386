"""One step of gradient descent for groups of neurons and for free neurons; compiled.

A group is all neurons with one activation pattern. A neuron is a column zeta of D + 1 numbers: its hidden weights
and bias, theta, and its output weight w. A *tile* holds 32 groups side by side in one flat row: for each group
its propagator P and its moments M, (D + 1) x (D + 1) each, the negative gradient times the step size V, and its slope
q, the sum of all w theta, D each. The distance between two rows of a tile is then known when the code is compiled,
which lets the compiler use vector instructions. For the same reason the last argument, `axes`, is a tuple of length D
where D is small: the length of a tuple is part of its type. Where `axes` is an array, the same code serves every D.
Functions take whole arrays, since each view of an array would count references in every step.

Cells are sets of training points that the groups do not separate. Shapes: tiles (T, rows * TILE), member
(T, cells, TILE), slopes and on_cells (cells, D), XT and on_points (D, n).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .compiled import njit

TILE = 32  # groups per tile
# Up to this D, the code is compiled for each D.
FEW = 4

compiled = njit(fastmath={"contract"})
# Sums over groups or points may be reordered to fill the processor's vectors. The order depends only on their number.
summing = njit(fastmath={"contract", "reassoc"})


class Points(NamedTuple):
    """Inputs with a one appended, in columns XT (D, n); labels y (n,), shares nu (n,), norms (n,) of the columns."""

    XT: np.ndarray
    y: np.ndarray
    shares: np.ndarray
    norms: np.ndarray


class Grouping(NamedTuple):
    """All neurons, grouped and free, from one regrouping to the next.

    neurons : (m, D + 1), free neurons now; grouped neurons at the last regrouping
    active : (m, n), their patterns, 1.0 or 0.0
    group : (m,), the group of each, -1 for a free neuron
    safe : (m,), the path length before which a neuron cannot change its pattern
    queue : (m,), the neurons as a heap with the smallest safe path length on top
    free : (m,), the numbers of the free neurons, in its first entries
    changed : (m,), the step of a neuron's last change of its pattern while it was free
    tiles : (T, rows * TILE), the groups
    size : (T * TILE,), how many neurons each group has
    member : (T, cells, TILE), 1.0 where a group is active on a cell
    cell : (n,), the cell of each training point; a cell's points are active for the same groups, so that all groups
        together are affine on it
    counts : (2,), how many groups there are, and how many free neurons
    """

    neurons: np.ndarray
    active: np.ndarray
    group: np.ndarray
    safe: np.ndarray
    queue: np.ndarray
    free: np.ndarray
    changed: np.ndarray
    tiles: np.ndarray
    size: np.ndarray
    member: np.ndarray
    cell: np.ndarray
    counts: np.ndarray


def rows(D: int) -> int:
    """Rows of a tile: P, M, V and q."""
    return 2 * (D + 1) ** 2 + 2 * D


@compiled
def _slope(tile: np.ndarray, groups: int, axes: Any) -> None:
    """q = sum of w theta over the group, a block of P M P^T."""
    D, D1 = len(axes), len(axes) + 1
    M, q = D1 * D1, 2 * D1 * D1 + D
    for i in range(min(groups, TILE)):
        for r in range(D):
            tile[(q + r) * TILE + i] = 0.0
        for b in range(D1):
            s = 0.0
            for a in range(D1):
                s += tile[(M + b * D1 + a) * TILE + i] * tile[(D * D1 + a) * TILE + i]
            for r in range(D):
                tile[(q + r) * TILE + i] += tile[(r * D1 + b) * TILE + i] * s


@summing
def _add_slopes(tile: np.ndarray, member: np.ndarray, groups: int, slopes: np.ndarray, axes: Any) -> None:
    """Add to slopes_k the sum of q over the groups that are active on cell k."""
    D = len(axes)
    q = 2 * (D + 1) ** 2 + D
    for k in range(len(slopes)):
        for r in range(D):
            s = 0.0
            for i in range(min(groups, TILE)):
                s += member[k, i] * tile[(q + r) * TILE + i]
            slopes[k, r] += s


@compiled
def _gradient(tile: np.ndarray, member: np.ndarray, groups: int, h: float, on_cells: np.ndarray, axes: Any) -> float:
    """V = -h times the sum of on_cells over the cells on which the group is active; returns the largest |V|."""
    D, largest = len(axes), 0.0
    V = 2 * (D + 1) ** 2
    for r in range(D):
        for i in range(min(groups, TILE)):
            tile[(V + r) * TILE + i] = 0.0
    for k in range(len(on_cells)):
        row = member[k]
        for i in range(min(groups, TILE)):
            for r in range(D):
                tile[(V + r) * TILE + i] -= row[i] * (h * on_cells[k, r])
    for i in range(min(groups, TILE)):
        s = 0.0
        for r in range(D):
            s += tile[(V + r) * TILE + i] ** 2
        largest = max(largest, s)
    return np.sqrt(largest)


@compiled
def _propagate(tile: np.ndarray, groups: int, axes: Any) -> None:
    """P <- (I + Q) P with Q = [[0, V], [V^T, 0]]: all neurons of the group take their step."""
    D, D1 = len(axes), len(axes) + 1
    V = 2 * D1 * D1
    for i in range(min(groups, TILE)):
        for b in range(D1):
            w = tile[(D * D1 + b) * TILE + i]
            s = w
            for r in range(D):
                v, theta = tile[(V + r) * TILE + i], tile[(r * D1 + b) * TILE + i]
                s += v * theta
                tile[(r * D1 + b) * TILE + i] = theta + v * w
            tile[(D * D1 + b) * TILE + i] = s


@compiled
def slopes_of(state: Grouping, slopes: np.ndarray, axes: Any) -> None:
    """Fill in the slopes: on cell k, the output of all groups together is <slopes_k, x>."""
    tiles, member, groups = state.tiles, state.member, state.counts[0]
    slopes[:] = 0.0
    for t in range(len(tiles)):
        _slope(tiles[t], groups - t * TILE, axes)
        _add_slopes(tiles[t], member[t], groups - t * TILE, slopes, axes)


@compiled
def step_groups(state: Grouping, h: float, on_cells: np.ndarray, axes: Any) -> float:
    """Take one step of all groups; returns the largest |V|."""
    tiles, member, groups, largest = state.tiles, state.member, state.counts[0], 0.0
    for t in range(len(tiles)):
        largest = max(largest, _gradient(tiles[t], member[t], groups - t * TILE, h, on_cells, axes))
        _propagate(tiles[t], groups - t * TILE, axes)
    return largest


@summing
def residuals(
    points: Points, cell: np.ndarray, slopes: np.ndarray, others: np.ndarray, on_points: np.ndarray,
    on_cells: np.ndarray, axes: Any,
) -> tuple[float, float]:  # fmt: skip
    """Fill in the gradients on_points_j = e_j x_j, e_j = nu_j (f_j - y_j), and on_cells, their sums over cells.

    The output is f_j = others_j + <slopes_k, x_j> at a point of cell k. Returns the loss and the sum of all e_j.
    """
    XT, y, shares = points.XT, points.y, points.shares
    on_cells[:] = 0.0
    loss, total = 0.0, 0.0
    for j in range(len(cell)):
        k, left = cell[j], others[j] - y[j]
        for r in range(len(axes)):
            left += XT[r, j] * slopes[k, r]
        e = shares[j] * left
        loss += e * left
        total += e
        for r in range(len(axes)):
            on_points[r, j] = e * XT[r, j]
            on_cells[k, r] += on_points[r, j]
    return 0.5 * loss, total


@summing
def step_free(state: Grouping, on_points: np.ndarray, h: float, axes: Any) -> None:
    """Take one step of each free neuron, with the gradients on the points."""
    neurons, active, free = state.neurons, state.active, state.free
    D = len(axes)
    for s in range(state.counts[1]):
        i = free[s]
        w, shift = neurons[i, D], 0.0
        for r in range(D):
            v = 0.0
            for j in range(on_points.shape[1]):
                v -= active[i, j] * on_points[r, j]
            shift += h * v * neurons[i, r]
            neurons[i, r] += h * v * w
        neurons[i, D] = w + shift


@summing
def free_outputs(state: Grouping, points: Points, first: int, others: np.ndarray, now: int, axes: Any) -> int:
    """Add the outputs of free neurons to `others`, from entry `first` of `free` on; returns how many patterns changed.

    Their patterns are updated in `active`. Where a pattern changed, `changed` is set to `now`.
    """
    neurons, active, free, changed, XT = state.neurons, state.active, state.free, state.changed, points.XT
    changes = 0
    for s in range(first, state.counts[1]):
        i = free[s]
        w, flips = neurons[i, len(axes)], 0.0
        for j in range(len(others)):
            z = 0.0
            for r in range(len(axes)):
                z += XT[r, j] * neurons[i, r]
            on = 1.0 if z > 0 else 0.0
            flips += abs(on - active[i, j])
            active[i, j] = on
            others[j] += w * max(z, 0.0)
        if flips > 0:
            changed[i] = now
            changes += 1
    return changes
