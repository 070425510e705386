"""Compiled training of nets with one input: numbers in, numbers out, behind the functions of `neurons`.

A net's weights stand in one row theta = (a_1..a_m, b_1..b_m, w_1..w_m, c). On sorted points a neuron is active from
some point on (a >= 0) or up to some point (a < 0). So f is found by adding up changes of slope and intercept from point
to point, and every neuron's gradient is a difference of running sums of residuals; O(m + n) while few neurons change
the points they are active on.

A neuron is active where the computed a x + b is not negative. Vectors may order sums over neurons, hence by m.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from smallnets.descent.compiled import assign, njit

GD, MOMENTUM, ADAM = range(3)
KEPT = 0.9  # of the velocity, and of Adam's first moment
KEPT_SQUARES = 0.999
SMALLEST_ROOT = 1e-8

Row = np.ndarray
Parts = tuple[Row, ...]  # of a row: a, b, w


class KernelCall(NamedTuple):
    """What is trained on and how: ``x, y (B, n)``, ``nu (B, 1 or steps, n)``, ``rate, reach (B,)``, the rest shared."""

    x: np.ndarray
    y: np.ndarray
    nu: np.ndarray
    rate: Row
    reach: Row
    outer: float
    optimizer: int
    done: int
    steps: int
    first_scale: Row  # these two undo the bias of Adam's moments, (steps,)
    root_scale: Row
    at: Row  # steps of snapshots


class Line(NamedTuple):
    """What one net is trained on: ``x, y (n,)``, ``nu (1 or steps, n)``, and the factor of its outputs."""

    x: Row
    y: Row
    nu: np.ndarray
    outer: float


class Tally(NamedTuple):
    """What is noted on the way, (B,) each: largest kink, step at which it reached, step of divergence; snapshots."""

    kink: Row
    reached: Row
    diverged: Row
    shots: np.ndarray


@njit()
def _parts(row: Row) -> Parts:
    m = len(row) // 3
    return row[:m], row[m : 2 * m], row[2 * m : 3 * m]


@njit(fastmath={"contract"})
def _descend(theta: Row, first: Row, g: Row, rate: float, kept: float) -> None:
    for i in range(len(g)):
        first[i] = kept * first[i] + g[i]
        theta[i] -= rate * first[i]
        g[i] = 0.0


@njit(fastmath={"contract"}, error_model="numpy")
def _descend_scaled(theta: Row, first: Row, second: Row, g: Row, rate: float, root_scale: float) -> None:
    for i in range(len(g)):
        first[i] = KEPT * first[i] + (1 - KEPT) * g[i]
        second[i] = KEPT_SQUARES * second[i] + (1 - KEPT_SQUARES) * g[i] * g[i]
        theta[i] -= rate * first[i] / (np.sqrt(second[i]) * root_scale + SMALLEST_ROOT)
        g[i] = 0.0


@njit(error_model="numpy")
def _largest_kink(net: Parts, kink: float) -> float:
    """max(kink, max_i |b_i / a_i|), where 0 / 0 counts as 0."""
    a, b, _ = net
    for start in range(0, len(a), 64):
        block = range(start, min(start + 64, len(a)))
        grown = 0  # counted in whole vectors, without a division; nearly always it stays 0
        for i in block:
            grown += abs(b[i]) > kink * abs(a[i])
        if grown:
            for i in block:
                if abs(b[i]) > kink * abs(a[i]):
                    kink = abs(b[i]) / abs(a[i])
    return kink


@njit()
def _active(a: float, x: float, b: float) -> bool:
    # Compiled without contraction: the rounded sum, which is monotone in x, as the plain loop computes it.
    return a * x + b >= 0


@njit()
def _find_edges(net: Parts, x: Row, edges: Row) -> None:
    """How many points come before the one at which a neuron becomes active (a >= 0) or stops (a < 0)."""
    a, b, _ = net
    for i in range(len(a)):
        low, left, falls = 0, len(x), a[i] < 0
        while left > 0:  # a bisection without a branch to predict
            half = (left + 1) // 2
            low += half * (_active(a[i], x[low + half - 1], b[i]) == falls)
            left -= half
        edges[i] = low


@njit()
def _follow_edge(a: float, b: float, x: Row, edge: int) -> int:
    """The same of one neuron, from where it was a step ago."""
    n, falls = len(x), a < 0
    while edge < n and _active(a, x[edge], b) == falls:
        edge += 1
    while edge > 0 and _active(a, x[edge - 1], b) != falls:
        edge -= 1
    return edge


@njit(fastmath={"contract"})
def _change(net: Parts, x: Row, edges: Row, slope: Row, level: Row) -> tuple[float, float]:
    """Add every neuron's change of slope and intercept at its edge; return both left of all points."""
    a, b, w = net
    slope0 = level0 = 0.0
    for i in range(len(a)):
        edge = _follow_edge(a[i], b[i], x, edges[i])
        edges[i] = edge
        s, e = w[i] * a[i], w[i] * b[i]
        if a[i] < 0:
            slope0 += s
            level0 += e
            s, e = -s, -e
        slope[edge] += s
        level[edge] += e
    return slope0, level0


@njit(fastmath={"contract"})
def _gradient(net: Parts, c: float, line: Line, k: int, edges: Row, work: Parts, gradient: Parts) -> float:
    """The gradient, its last entry returned. R[j] and Q[j] are the sums of r and r x over the points before j."""
    x, y, nu, outer = line
    n, (slope, level, R, Q) = len(x), work
    s, e = _change(net, x, edges, slope, level)
    total = moment = 0.0
    for j in range(n + 1):
        s += slope[j]
        e += level[j]
        slope[j] = level[j] = 0.0  # for the next step
        R[j], Q[j] = outer * total, outer * moment
        if j < n:
            residual = nu[k, j] * (outer * (s * x[j] + e) + c - y[j])
            total += residual
            moment += residual * x[j]
    (a, b, w), (ga, gb, gw) = net, gradient
    for i in range(len(a)):
        S, T = R[edges[i]], Q[edges[i]]
        if a[i] >= 0:
            S, T = R[n] - S, Q[n] - T
        ga[i], gb[i], gw[i] = w[i] * T, w[i] * S, a[i] * T + b[i] * S
    return total


@njit()
def train(theta: np.ndarray, first: np.ndarray, second: np.ndarray, task: KernelCall, tally: Tally) -> None:
    """Train every net in place; one whose outputs are not finite is left as it is."""
    for net in range(len(theta)):
        if tally.diverged[net] < 0:
            _train(theta[net], first[net], second[net], net, task, tally)


@njit()
def _train(theta: Row, first: Row, second: Row, net: int, task: KernelCall, tally: Tally) -> None:
    line = Line(task.x[net], task.y[net], task.nu[net], task.outer)
    rate, reach, optimizer, done, steps = task.rate[net], task.reach[net], task.optimizer, task.done, task.steps
    at, first_scale, root_scale, shots = task.at, task.first_scale, task.root_scale, tally.shots[net]
    kink, reached, noted, last, n = tally.kink[net], tally.reached[net], 0, len(line.nu) - 1, len(line.x)
    g, edges = np.zeros(len(theta)), np.empty(len(theta) // 3, np.int64)
    work = (np.zeros(n + 1), np.zeros(n + 1), np.empty(n + 1), np.empty(n + 1))
    parts, gradient = _parts(theta), _parts(g)
    _find_edges(parts, line.x, edges)
    for k in range(steps):
        if noted < len(at) and at[noted] == done + k:
            assign(shots[noted], theta)
            noted += 1
        total = _gradient(parts, theta[-1], line, min(k, last), edges, work, gradient)
        if not np.isfinite(total):
            tally.diverged[net] = done + k
            break
        g[-1] = total
        if optimizer == ADAM:
            _descend_scaled(theta, first, second, g, rate * first_scale[k], root_scale[k])
        else:
            _descend(theta, first, g, rate, KEPT if optimizer == MOMENTUM else 0.0)
        kink = _largest_kink(parts, kink)
        if reached < 0 and kink >= reach:
            reached = done + k + 1
    tally.kink[net], tally.reached[net] = kink, reached


@njit()
def outputs(theta: np.ndarray, x: np.ndarray, outer: float) -> np.ndarray:
    """The nets' outputs at points that ascend, (B, n)."""
    n, edges = x.shape[1], np.empty(theta.shape[1] // 3, np.int64)
    f, slope, level = np.empty((len(theta), n)), np.zeros(n + 1), np.zeros(n + 1)
    for net in range(len(theta)):
        parts = _parts(theta[net])
        _find_edges(parts, x[net], edges)
        s, e = _change(parts, x[net], edges, slope, level)
        for j in range(n):
            s += slope[j]
            e += level[j]
            f[net, j] = outer * (s * x[net, j] + e) + theta[net, -1]
        slope[:], level[:] = 0.0, 0.0
    return f
