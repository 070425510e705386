"""One neuron on its way through the patterns, move by move; compiled.

All along a move the neuron is pulled by one g, so that w changes along g only, and with G = |g| and p = <w, g>/G the
sums p + a and p - a grow by a constant factor each. Every pre-activation is an affine function of p, and p is monotone
as long as a keeps its sign: which point is met first is seen before any exponential is computed. A move ends there, or
where a changes its sign.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from .alignment_pull import Neuron, Task, compiled, copy, dot, gather, settle, shift, strength

# A move also ends when p + a has grown by exp(LONG); numbers beyond LARGE are scaled down.
LONG, LARGE = 250.0, 2.0**400
ACTIVE, SLIDING, INACTIVE = 1, 0, -1
# Events for which there is room at first.
ROOM = 64
# Where a plain 0 is passed on, numba compiles everything once for it and once for other numbers.
NONE = np.int64(0)
Rates = tuple[float, float, float]  # c G, or 0 in the flow; logarithms of the factors of p + a and p - a a unit of time
Events = tuple[np.ndarray, int]  # rows time, neuron, point, side, and how many of them are in use


class Log(NamedTuple):
    """What is noted of all neurons: where they are at the `times` and at the end, the last row, as w (L + 1, m, d),
    a (L + 1, m) in units of 2^exponent (L + 1, m); ended, sliding (m,) times; at the end share (m, n), pull (m, d),
    base (m, d) in units of 2^of_base (m,)."""

    w: np.ndarray
    a: np.ndarray
    exponent: np.ndarray
    ended: np.ndarray
    sliding: np.ndarray
    share: np.ndarray
    pull: np.ndarray
    base: np.ndarray
    of_base: np.ndarray


# ------------------------------------------------------------------------------------------------------------- one move


@compiled
def _grown(k: float, rates: Rates, plus: float, minus: float) -> tuple[float, float, float]:
    """p + a and p - a after time k, and what p has gained."""
    if k == 1 and rates[0] > 0:
        return plus * (1 + rates[0]), minus * (1 - rates[0]), rates[0] * 0.5 * (plus - minus)
    more, less = plus * math.expm1(k * rates[1]), minus * math.expm1(k * rates[2])
    return plus + more, minus + less, 0.5 * (more + less)


@compiled
def _nearest(s: float, neuron: Neuron) -> tuple[float, int]:
    """How far z moves, per unit of v, until the first point changes sides, if p moves towards s; and that point."""
    nearest, point = np.inf, -1
    for i in range(len(neuron.v)):
        speed, share = s * neuron.v[i], neuron.share[i]
        if (share == 1 and speed < 0) or (share == 0 and speed > 0):
            reach = max(-neuron.z[i] / speed, 0.0)
            if reach < nearest:
                nearest, point = reach, i
    return nearest, point


@compiled
def _first_time(gain: float, s: float, rate: float, plus: float, minus: float) -> float:
    """When p has gained s * gain in the flow: e = exp(rate t) - 1 solves s (p + a) e^2 + 2 (s a - gain) e = 2 gain."""
    u, b = s * plus, s * 0.5 * (plus - minus) - gain
    root = b * b + 2 * gain * u
    if root < 0:
        return np.inf
    root = math.sqrt(root)
    if u > 0 and b < 0:
        e = (root - b) / u
    elif b + root > 0:
        e = 2 * gain / (b + root)
    else:
        return np.inf if gain > 0 else 0.0
    return math.log1p(e) / rate


@compiled
def _first_step(z: float, v: float, G: float, most: float, rates: Rates, plus: float, minus: float) -> float:
    """The first iteration in 1, ..., most that finds a point of pre-activation z on its other side, or inf."""
    was, low, high = z > 0, 0.0, 1.0
    while (z + _grown(high, rates, plus, minus)[2] / G * v > 0) == was:
        if high >= most:
            return np.inf
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = np.floor(0.5 * (low + high))
        if (z + _grown(middle, rates, plus, minus)[2] / G * v > 0) == was:
            low = middle
        else:
            high = middle
    return high


@compiled
def _length(left: float, s: float, whole: bool, rates: Rates, plus: float, minus: float) -> tuple[float, bool]:
    """How long to move if nothing is met, at most; whether a changes sign there."""
    if rates[0] >= 1:
        return 1.0, False  # p - a changes sign in every iteration
    length, turn = LONG / rates[1], np.inf
    if s * plus < 0:
        turn = math.log(minus / plus) / (rates[1] - rates[2])
    if whole:
        length, turn = max(np.floor(length), 1.0), max(np.ceil(turn), 1.0) if turn < left else np.inf
    length = min(length, left)
    return min(length, turn), turn <= length


# ---------------------------------------------------------------------------------------------------------- all moves


@compiled
def _shoot(row: int, j: int, moved: float, a: float, exponent: int, neuron: Neuron, log: Log) -> None:
    """Note w + moved g and a."""
    for r in range(len(neuron.w)):
        log.w[row, j, r] = neuron.w[r] + moved * neuron.g[r]
    log.a[row, j] = a
    log.exponent[row, j] += exponent


@compiled
def _rates(G: float, task: Task) -> Rates:
    rate = task.c * G
    if not task.whole:
        return 0.0, rate, -rate
    return rate, math.log1p(rate), math.log1p(-rate) if rate < 1 else np.nan


@compiled
def _meet(
    s: float, G: float, length: float, rates: Rates, plus: float, minus: float, neuron: Neuron
) -> tuple[float, int]:
    """When the first point is met, and which; inf and -1 if none is within this length."""
    reach, i = _nearest(s, neuron)
    if i < 0:
        return np.inf, -1
    if rates[0] > 0:
        time = _first_step(neuron.z[i], neuron.v[i], G, length, rates, plus, minus)
    else:
        time = _first_time(reach * G, s, rates[1], plus, minus)
    return (time, i) if time <= length else (np.inf, -1)


@compiled
def _heading(a: float, neuron: Neuron) -> float:
    """The sign of dp/dt: of a, or of what a is about to become."""
    return np.sign(a) if a != 0 else np.sign(dot(neuron.w, neuron.g))


@compiled
def _change(s: float, task: Task, neuron: Neuron) -> bool:
    """Take over the pattern that the neuron has now; False if its sliding cannot be settled."""
    for i in range(len(neuron.z)):
        if task.whole:
            if (neuron.z[i] > 0) != (neuron.share[i] > 0):
                shift(i, 1.0 - neuron.share[i], task, neuron)
        elif s * task.y[i] > 0 and 0 < neuron.share[i] < 1:
            shift(i, 0.0, task, neuron)  # the boundary repels from now on
    return task.whole or settle(s, task, neuron)


@compiled
def _tell(t: float, j: int, neuron: Neuron, log: Log, events: np.ndarray, used: int) -> Events:
    """Note which points changed sides; the events, moved to where there is room, and how many they are."""
    for i in range(len(neuron.share)):
        side = ACTIVE if neuron.share[i] == 1 else INACTIVE if neuron.share[i] == 0 else SLIDING
        if side != neuron.side[i]:
            neuron.side[i] = side
            if used == len(events):
                room = np.empty((2 * used, 4))
                for k in range(used):
                    for r in range(4):
                        room[k, r] = events[k, r]
                events = room
            events[used, 0], events[used, 1], events[used, 2], events[used, 3] = t, j, i, side
            used += 1
            if side == SLIDING and np.isnan(log.sliding[j]):
                log.sliding[j] = t
    return events, used


@compiled
def _scale(scale: float, array: np.ndarray) -> None:
    for k in range(len(array)):
        array[k] *= scale


@compiled
def _move(moved: float, met: int, task: Task, neuron: Neuron) -> None:
    for r in range(len(neuron.w)):
        neuron.w[r] += moved * neuron.g[r]
    for i in range(len(neuron.z)):
        neuron.z[i] += moved * neuron.v[i]
    if met >= 0 and not task.whole:
        neuron.z[met] = 0.0


@compiled
def _follow(j: int, a: float, task: Task, neuron: Neuron, log: Log, events: np.ndarray, used: int) -> Events:
    """Follow one neuron to the end; where the events are now, and how many."""
    first, row, exponent, t, last = used, NONE, NONE, 0.0, len(task.times)
    fresh, G, plus, minus = True, 0.0, 0.0, 0.0
    while True:
        if fresh:
            if not _change(_heading(a, neuron), task, neuron):
                break
            events, used = _tell(t, j, neuron, log, events, used)
            G = strength(task, neuron)
            p = dot(neuron.w, neuron.g, G) if G > 0 else 0.0
            plus, minus = p + a, p - a
            copy(neuron.w, neuron.base)
            log.of_base[j] = log.exponent[last, j] + exponent
        if G == 0 or (plus == 0 and minus == 0):
            t = task.until
        while row < last and task.times[row] <= t:
            _shoot(row, j, 0.0, a, exponent, neuron, log)
            row += 1
        if t >= task.until or used - first >= task.most:
            break
        s, rates, left = _heading(a, neuron), _rates(G, task), task.until - t
        length, turned = _length(left, s, task.whole, rates, plus, minus)
        time, i = _meet(s, G, length, rates, plus, minus, neuron)
        length = min(time, length)
        while row < last and task.times[row] < t + length:
            more, less, gained = _grown(task.times[row] - t, rates, plus, minus)
            _shoot(row, j, gained / G, 0.5 * (more - less), exponent, neuron, log)
            row += 1
        plus, minus, gained = _grown(length, rates, plus, minus)
        _move(gained / G, i, task, neuron)
        turned = turned and i < 0 and not task.whole
        a = 0.0 if turned else 0.5 * (plus - minus)
        t = task.until if length == left else t + length
        fresh = turned or i >= 0
        if max(abs(plus), abs(minus)) > LARGE:
            down = math.frexp(max(abs(plus), abs(minus)))[1]
            exponent, scale = exponent + down, math.ldexp(1.0, -down)
            a, plus, minus = scale * a, scale * plus, scale * minus
            _scale(scale, neuron.w)
            _scale(scale, neuron.z)
            neuron.since[2] *= scale**2
    _shoot(last, j, 0.0, a, exponent, neuron, log)
    log.ended[j] = t
    return events, used


@compiled
def follow(task: Task, W: np.ndarray, a: np.ndarray, Z: np.ndarray, log: Log, events: np.ndarray) -> np.ndarray:
    """Follow neurons W (m, d), a (m,), with pre-activations Z (m, n), in units of 2^log.exponent: rows time, neuron,
    point, side, neuron by neuron, in `events` (at least 1, 4) or, where these are too few, in a longer array."""
    (m, d), n = W.shape, len(task.y)
    used = NONE
    neuron = Neuron(
        np.empty(d), np.empty(n), np.empty(n), np.empty(d), np.empty(n), np.zeros(3), np.empty(d), np.empty(n)
    )
    for j in range(m):
        copy(W[j], neuron.w)
        copy(Z[j], neuron.z)
        for i in range(n):
            neuron.share[i] = 1.0 if Z[j, i] > 0 else 0.0
            neuron.side[i] = ACTIVE if Z[j, i] > 0 else INACTIVE
        gather(task, neuron)
        neuron.since[2] = 0.0
        events, used = _follow(j, a[j], task, neuron, log, events, used)
        copy(neuron.share, log.share[j])
        copy(neuron.g, log.pull[j])
        copy(neuron.base, log.base[j])
    return events[:used]
