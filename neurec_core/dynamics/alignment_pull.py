"""The pull on a neuron, g = sum_i share_i y_i x_i, as points become active, inactive, or slide; compiled.

A share is 1 where the neuron is active and 0 where it is not. In the flow a neuron of output sign s may be driven onto
the boundary <w, x_i> = 0 of a point from both sides; it then slides along it, pulled by the one share between 0 and 1
that keeps <g, x_i> = 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .compiled import njit

# Pulls and speeds are sums. What is below this share of the sum of their terms' sizes is rounding, and counts as 0.
TRUSTED = 1e-14
# Several points on the boundary at once: rounds in which their shares are settled.
ROUNDS = 10_000
# The pull is summed anew after so many changes, and when so much has gone that it could have lost a digit.
OFTEN = 64

compiled = njit(error_model="numpy")  # a quotient by zero is not looked for


class Task(NamedTuple):
    """What holds for all neurons: points X (n, d), labels y, K = X X^T, norms |x_i|, sizes |y_i| |x_i|; c = 2 step / n,
    or 1 / n in the flow; whole: whether time is counted in iterations; the end; times of snapshots; most events."""

    X: np.ndarray
    y: np.ndarray
    K: np.ndarray
    norms: np.ndarray
    sizes: np.ndarray
    c: float
    whole: bool
    until: float
    times: np.ndarray
    most: int


class Neuron(NamedTuple):
    """One neuron where its present move began, in units of 2^exponent.

    w (d,), z (n,) : weights, and pre-activations
    share (n,) : of each point in the pull: 1 active, 0 inactive, between where it slides
    g (d,), v (n,) : the pull, and its products with the points
    since (3,) : changes, and the largest sum of share |y| |x|, since g was summed; the largest |w|^2 since z was
    base (d,) : w where the pattern was last changed
    side (n,) : active, inactive or sliding, as last noted
    """

    w: np.ndarray
    z: np.ndarray
    share: np.ndarray
    g: np.ndarray
    v: np.ndarray
    since: np.ndarray
    base: np.ndarray
    side: np.ndarray


# ------------------------------------------------------------------------------------------------------------ the pull


@compiled
def copy(source: np.ndarray, target: np.ndarray) -> None:
    """Written out, as an assignment of arrays takes many seconds to compile."""
    for k in range(len(source)):
        target[k] = source[k]


@njit(fastmath={"reassoc", "contract"}, error_model="numpy")
def dot(one: np.ndarray, other: np.ndarray, unit: float = 1.0) -> float:
    """<one, other / unit>, summed in the processor's vectors."""
    total = 0.0
    for k in range(len(one)):
        total += one[k] * (other[k] / unit)
    return total


@compiled
def shift(i: int, share: float, task: Task, neuron: Neuron) -> None:
    """Give point i another share in the pull."""
    by = (share - neuron.share[i]) * task.y[i]
    neuron.share[i] = share
    neuron.since[0] += 1
    if by != 0:
        for r in range(len(neuron.g)):
            neuron.g[r] += by * task.X[i, r]
        for k in range(len(neuron.v)):
            neuron.v[k] += by * task.K[i, k]


@compiled
def gather(task: Task, neuron: Neuron) -> None:
    """Sum the pull anew."""
    for r in range(len(neuron.g)):
        neuron.g[r] = 0.0
    for k in range(len(neuron.v)):
        neuron.v[k] = 0.0
    for i in range(len(neuron.share)):
        if neuron.share[i] != 0:
            share, neuron.share[i] = neuron.share[i], 0.0
            shift(i, share, task, neuron)
    neuron.since[0], neuron.since[1] = 0.0, dot(neuron.share, task.sizes)


@compiled
def _place(task: Task, neuron: Neuron) -> None:
    """Compute the pre-activations anew where the neuron has shrunk: their rounding was of the size that it had."""
    size = dot(neuron.w, neuron.w)
    neuron.since[2] = max(neuron.since[2], size)
    if 4 * size < neuron.since[2]:
        neuron.since[2] = size
        for i in range(len(neuron.z)):
            if neuron.z[i] != 0:
                neuron.z[i] = dot(task.X[i], neuron.w)


@compiled
def strength(task: Task, neuron: Neuron) -> float:
    """G, 0 if the pull is rounding; speeds v that are rounding become 0."""
    if neuron.since[0] > OFTEN or 2 * dot(neuron.share, task.sizes) < neuron.since[1]:
        gather(task, neuron)
    _place(task, neuron)
    load, G = dot(neuron.share, task.sizes), math.sqrt(dot(neuron.g, neuron.g))
    neuron.since[1] = max(neuron.since[1], load)
    for i in range(len(neuron.v)):
        if abs(neuron.v[i]) <= TRUSTED * load * task.norms[i] or 0 < neuron.share[i] < 1:
            neuron.v[i] = 0.0
    return G if load > 0 and TRUSTED * load < G else 0.0


@compiled
def settle(s: float, task: Task, neuron: Neuron) -> bool:
    """Which points on the boundary become active, inactive or slide, for a neuron with output sign s in the flow.

    Points with s y < 0 minimise |g| over their shares in [0, 1], coordinate by coordinate: s v > 0 where the share is
    1, < 0 where it is 0, and = 0 between. The others leave to the side to which they are driven.
    """
    at = np.empty(len(neuron.z), np.int64)
    count, small = np.int64(0), max(dot(neuron.share, task.sizes), neuron.since[1])
    for i in range(len(neuron.z)):
        if neuron.z[i] == 0:
            at[count] = i
            count += 1
            small += task.sizes[i]
    speeds, shares = np.empty(count), np.empty(count)
    for k in range(count):
        speeds[k], shares[k] = neuron.v[at[k]], neuron.share[at[k]]
    if not _shares(s, TRUSTED * small, at[:count], speeds, shares, task):
        return False
    for k in range(count):
        if shares[k] != neuron.share[at[k]]:
            shift(at[k], shares[k], task, neuron)
    return True


@compiled
def _shares(s: float, small: float, at: np.ndarray, speeds: np.ndarray, shares: np.ndarray, task: Task) -> bool:
    """Let the points take their shares in turn, until no speed is wrong by more than rounding."""
    for _ in range(ROUNDS):
        still = True
        for k in range(len(at)):
            i, share = at[k], shares[k]
            if abs(speeds[k]) <= small * task.norms[i]:
                continue
            new = 1.0 if s * speeds[k] > 0 else 0.0
            if s * task.y[i] < 0:
                new = share - speeds[k] / (task.y[i] * task.K[i, i])
                rest = small / task.sizes[i]
                new = 0.0 if new <= rest else 1.0 if new >= 1 - rest else new
            if new != share:
                shares[k], by, still = new, (new - share) * task.y[i], False
                for r in range(len(at)):
                    speeds[r] += by * task.K[i, at[r]]
        if still:
            return True
    return False
