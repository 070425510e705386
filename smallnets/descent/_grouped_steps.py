"""One step of gradient descent for all neurons at once, group by group; compiled.

A group is all neurons with one activation pattern. A neuron is a column zeta of D + 1 numbers: its hidden weights
and bias, theta, and its output weight w. A *tile* holds 32 groups side by side in one flat row: for each group
its propagator P and its moments M, (D + 1) x (D + 1) each, its drive V and its pull q, D each. The distance of two
rows of a tile is then known when the code is compiled, which is what lets it use vector instructions. For the same
reason the last argument, `axes`, is a tuple of length D where D is small: a tuple's length is part of its type.
Where it is an array, the same code serves every D. Functions take whole arrays, since a view costs a count of
references at every step.

Shapes: tiles (T, rows * LANES), member (T, cells, LANES), slopes and forces (cells, D), XT and pulls (D, n).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .compiled import njit

LANES = 32  # groups a tile
# Up to so many components, hidden weights and bias, the code is compiled for their number.
FEW = 4

compiled = njit(fastmath={"contract"})
# A sum over groups or points may follow the order of the vector unit: it depends on nothing but their number.
summing = njit(fastmath={"contract", "reassoc"})


def rows(D: int) -> int:
    """Rows of a tile: P, M, V and q."""
    return 2 * (D + 1) ** 2 + 2 * D


@compiled
def _pull(tile: np.ndarray, groups: int, axes: Any) -> None:
    """q = sum over the group of w theta, a block of P M P^T."""
    D, D1 = len(axes), len(axes) + 1
    M, q = D1 * D1, 2 * D1 * D1 + D
    for i in range(min(groups, LANES)):
        for r in range(D):
            tile[(q + r) * LANES + i] = 0.0
        for b in range(D1):
            s = 0.0
            for a in range(D1):
                s += tile[(M + b * D1 + a) * LANES + i] * tile[(D * D1 + a) * LANES + i]
            for r in range(D):
                tile[(q + r) * LANES + i] += tile[(r * D1 + b) * LANES + i] * s


@summing
def _collect(tile: np.ndarray, member: np.ndarray, groups: int, slopes: np.ndarray, axes: Any) -> None:
    """slopes_k += sum of q over the groups that are active on cell k."""
    D = len(axes)
    q = 2 * (D + 1) ** 2 + D
    for k in range(len(slopes)):
        for r in range(D):
            s = 0.0
            for i in range(min(groups, LANES)):
                s += member[k, i] * tile[(q + r) * LANES + i]
            slopes[k, r] += s


@compiled
def _drive(tile: np.ndarray, member: np.ndarray, groups: int, h: float, forces: np.ndarray, axes: Any) -> float:
    """V = -h times the sum of the forces on the group's cells; returns the largest |V|."""
    D, largest = len(axes), 0.0
    V = 2 * (D + 1) ** 2
    for r in range(D):
        for i in range(min(groups, LANES)):
            tile[(V + r) * LANES + i] = 0.0
    for k in range(len(forces)):
        row = member[k]
        for i in range(min(groups, LANES)):
            for r in range(D):
                tile[(V + r) * LANES + i] -= row[i] * (h * forces[k, r])
    for i in range(min(groups, LANES)):
        s = 0.0
        for r in range(D):
            s += tile[(V + r) * LANES + i] ** 2
        largest = max(largest, s)
    return np.sqrt(largest)


@compiled
def _push(tile: np.ndarray, groups: int, axes: Any) -> None:
    """P <- (I + Q) P with Q = [[0, V], [V^T, 0]]: every neuron of the group takes its step."""
    D, D1 = len(axes), len(axes) + 1
    V = 2 * D1 * D1
    for i in range(min(groups, LANES)):
        for b in range(D1):
            w = tile[(D * D1 + b) * LANES + i]
            s = w
            for r in range(D):
                v, theta = tile[(V + r) * LANES + i], tile[(r * D1 + b) * LANES + i]
                s += v * theta
                tile[(r * D1 + b) * LANES + i] = theta + v * w
            tile[(D * D1 + b) * LANES + i] = s


@compiled
def _pull_wide(tile: np.ndarray, groups: int, D: int) -> None:
    """`_pull` for any D: loops over the groups inside."""
    D1, lanes, row = D + 1, min(groups, LANES), tile.reshape((-1, LANES))
    M, q, s = D1 * D1, 2 * D1 * D1 + D, np.empty(LANES)
    for r in range(D):
        for i in range(lanes):
            row[q + r, i] = 0.0
    for b in range(D1):
        s[:] = 0.0
        for a in range(D1):
            for i in range(lanes):
                s[i] += row[M + b * D1 + a, i] * row[D * D1 + a, i]
        for r in range(D):
            for i in range(lanes):
                row[q + r, i] += row[r * D1 + b, i] * s[i]


@compiled
def _drive_wide(tile: np.ndarray, member: np.ndarray, groups: int, h: float, forces: np.ndarray) -> float:
    """`_drive` for any D."""
    D, lanes, row = forces.shape[1], min(groups, LANES), tile.reshape((-1, LANES))
    V, largest, s = 2 * (D + 1) ** 2, 0.0, np.zeros(LANES)
    for r in range(D):
        for i in range(lanes):
            row[V + r, i] = 0.0
        for k in range(len(forces)):
            force = h * forces[k, r]
            for i in range(lanes):
                row[V + r, i] -= member[k, i] * force
        for i in range(lanes):
            s[i] += row[V + r, i] ** 2
    for i in range(lanes):
        largest = max(largest, s[i])
    return np.sqrt(largest)


@compiled
def _push_wide(tile: np.ndarray, groups: int, D: int) -> None:
    """`_push` for any D."""
    D1, lanes, row = D + 1, min(groups, LANES), tile.reshape((-1, LANES))
    V, w = 2 * D1 * D1, np.empty(LANES)
    for b in range(D1):
        for i in range(lanes):
            w[i] = row[D * D1 + b, i]
        for r in range(D):
            for i in range(lanes):
                v, theta = row[V + r, i], row[r * D1 + b, i]
                row[r * D1 + b, i] = theta + v * w[i]
                row[D * D1 + b, i] += v * theta


@compiled
def slopes_of(tiles: np.ndarray, member: np.ndarray, groups: int, slopes: np.ndarray, axes: Any) -> None:
    """Fill in the slopes: on cell k, all groups together make the function <slopes_k, x>."""
    slopes[:] = 0.0
    for t in range(len(tiles)):
        if len(axes) <= FEW:
            _pull(tiles[t], groups - t * LANES, axes)
        else:
            _pull_wide(tiles[t], groups - t * LANES, len(axes))
        _collect(tiles[t], member[t], groups - t * LANES, slopes, axes)


@compiled
def step_groups(tiles: np.ndarray, member: np.ndarray, groups: int, h: float, forces: np.ndarray, axes: Any) -> float:
    """One step of all groups; returns the largest |V|."""
    largest = 0.0
    for t in range(len(tiles)):
        if len(axes) <= FEW:
            largest = max(largest, _drive(tiles[t], member[t], groups - t * LANES, h, forces, axes))
            _push(tiles[t], groups - t * LANES, axes)
        else:
            largest = max(largest, _drive_wide(tiles[t], member[t], groups - t * LANES, h, forces))
            _push_wide(tiles[t], groups - t * LANES, len(axes))
    return largest


@summing
def residuals(
    XT: np.ndarray, y: np.ndarray, shares: np.ndarray, cell: np.ndarray, slopes: np.ndarray, others: np.ndarray,
    pulls: np.ndarray, forces: np.ndarray, axes: Any,
) -> tuple[float, float]:  # fmt: skip
    """With e_j = nu_j (f_j - y_j): the loss, the sum of e_j, pulls_j = e_j x_j, and forces, their sums over cells.

    The net is f_j = others_j + <slopes_k, x_j> at a point of cell k.
    """
    forces[:] = 0.0
    loss, total = 0.0, 0.0
    for j in range(len(cell)):
        k, left = cell[j], others[j] - y[j]
        for r in range(len(axes)):
            left += XT[r, j] * slopes[k, r]
        e = shares[j] * left
        loss += e * left
        total += e
        for r in range(len(axes)):
            pulls[r, j] = e * XT[r, j]
            forces[k, r] += pulls[r, j]
    return 0.5 * loss, total


@summing
def step_alone(
    neurons: np.ndarray, active: np.ndarray, alone: np.ndarray, size: int, pulls: np.ndarray, h: float, axes: Any
) -> None:
    """One step of each of the first `size` neurons of `alone`, from the pulls on the points where it is active."""
    D = len(axes)
    for s in range(size):
        i = alone[s]
        w, shift = neurons[i, D], 0.0
        for r in range(D):
            v = 0.0
            for j in range(pulls.shape[1]):
                v -= active[i, j] * pulls[r, j]
            shift += h * v * neurons[i, r]
            neurons[i, r] += h * v * w
        neurons[i, D] = w + shift


@summing
def _before_relu(neurons: np.ndarray, i: int, XT: np.ndarray, z: np.ndarray, axes: Any) -> None:
    """z_j = <theta_i, x_j>."""
    if len(axes) <= FEW:
        for j in range(len(z)):
            s = 0.0
            for r in range(len(axes)):
                s += XT[r, j] * neurons[i, r]
            z[j] = s
    else:
        z[:] = 0.0
        for r in range(len(axes)):
            theta = neurons[i, r]
            for j in range(len(z)):
                z[j] += XT[r, j] * theta


@summing
def output_alone(
    neurons: np.ndarray, active: np.ndarray, alone: np.ndarray, first: int, size: int, XT: np.ndarray,
    others: np.ndarray, z: np.ndarray, changed: np.ndarray, now: int, axes: Any,
) -> int:  # fmt: skip
    """Add to `others` what neurons first, ..., size - 1 of `alone` put out; how many changed their pattern.

    Their patterns are noted in `active`, and for those whose pattern changed `now` in `changed`; z is scratch.
    """
    changes = 0
    for s in range(first, size):
        i = alone[s]
        _before_relu(neurons, i, XT, z, axes)
        w, flips = neurons[i, len(axes)], 0.0
        for j in range(len(z)):
            on = 1.0 if z[j] > 0 else 0.0
            flips += abs(on - active[i, j])
            active[i, j] = on
            others[j] += w * max(z[j], 0.0)
        if flips > 0:
            changed[i] = now
            changes += 1
    return changes
