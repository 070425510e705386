"""Compiled steps of networks on a line: of many side by side in the processor's vectors, and of one.

A network that starts without biases is a few numbers for either side: what has become of (a, b, w) = (1, 0, 0) and
(0, 0, 1), of which all its neurons are combinations, their second moments, and the two extreme ratios w/a, which decide
whether a kink leaves.
"""

from __future__ import annotations

import numpy as np

from ..compiled import njit
from . import certificate
from .certificate import possible
from .data import Outcome

# A step may be contracted to fused multiply-adds; sums keep their order, whatever stands beside a network.
CONTRACT = {"contract"}

VECTOR = 8  # networks that are stepped side by side
BOTH = 2 * VECTOR  # a number on the right of 0 for each, then one on the left
# Where each number begins. Two basis vectors (a, b, w); the output bias; the smallest of reach * |a| - |b| over extreme
# neurons and steps, positive as long as these are on their side; steps taken; second moments of the neurons; extreme
# ratios; the smallest |x|; h times the sums of nu x^2, nu x, nu, nu x y, nu y over the points.
A1, A2, B1, B2, W1, W2, C, MARGIN, STEPS, T11, T12, T22, LOW, HIGH, REACH, XX, X, ONE, XY, Y = range(0, 20 * BOTH, BOTH)
# What checks read: constants of the points as in `certificate.constants`, and of early stopping the
# validation points' sums of x^2, x, 1, x y, y, y^2, the lowest loss, and the checks since. And what they write.
ROOT_XX, ROOT_X, ROOT_1, SLOPE, INTERCEPT, NORM, VALIDATION, *_, LOWEST, WAITED, OUTCOME, NUMBERS = range(
    20 * BOTH, 36 * BOTH, BOTH
)
LEFT, UNDECIDED, UNFINISHED, STOPPED = (float(Outcome[name]) for name in ("LEFT", "UNDECIDED", "UNFINISHED", "STOPPED"))


@njit(fastmath=CONTRACT, error_model="numpy")
def _half_step(z, j, inside):  # type: ignore[no-untyped-def]
    """One side's part of a step: the change of c, and the smaller margin of the side's extreme neurons."""
    a1, a2, b1, b2, w1, w2, t12 = z[A1 + j], z[A2 + j], z[B1 + j], z[B2 + j], z[W1 + j], z[W2 + j], z[T12 + j]
    t1 = z[T11 + j] * w1 + t12 * w2
    t2 = t12 * w1 + z[T22 + j] * w2
    p, q = t1 * a1 + t2 * a2, t1 * b1 + t2 * b2 + z[C + j]
    x = z[X + j]
    r = z[XY + j] - z[XX + j] * p - x * q
    s = z[Y + j] - x * p - z[ONE + j] * q
    r, s = r if inside else 0.0, s if inside else 0.0
    z[W1 + j], z[W2 + j] = w1 + r * a1 + s * b1, w2 + r * a2 + s * b2
    a1, a2, b1, b2 = a1 + r * w1, a2 + r * w2, b1 + s * w1, b2 + s * w2
    z[A1 + j], z[A2 + j], z[B1 + j], z[B2 + j] = a1, a2, b1, b2
    low, high, reach = z[LOW + j], z[HIGH + j], z[REACH + j]
    return s, min(reach * (a1 + low * a2) - abs(b1 + low * b2), reach * (a1 + high * a2) - abs(b1 + high * b2))


@njit(fastmath=CONTRACT, error_model="numpy")
def _step(z, batches, net, steps):  # type: ignore[no-untyped-def]
    """Steps of all networks side by side; one is left as it is once an extreme neuron has left its side."""
    for k in range(steps):
        if k < batches.shape[1]:
            for i in range(VECTOR):
                for j in range(10 if net[i] >= 0 else 0):
                    z[XX + j * VECTOR + i] = batches[net[i], k, j]
        for i in range(VECTOR):
            margin = z[MARGIN + i]
            inside = margin > 0
            right, one = _half_step(z, i, inside)
            left, other = _half_step(z, i + VECTOR, inside)
            z[C + i] = z[C + i] + right + left
            z[C + i + VECTOR] = z[C + i]
            z[MARGIN + i] = min(margin, min(one, other))
            z[STEPS + i] += 1.0 if inside else 0.0


@njit(fastmath=CONTRACT, error_model="numpy")
def _read(z, i, sides, neurons):  # type: ignore[no-untyped-def]
    """What `certificate.possible` reads of network i."""
    for s in range(2):
        j = i + s * VECTOR
        a1, a2, b1, b2, w1, w2, t12 = z[A1 + j], z[A2 + j], z[B1 + j], z[B2 + j], z[W1 + j], z[W2 + j], z[T12 + j]
        t11, t22 = z[T11 + j], z[T22 + j]
        u, v = t11 * a1 + t12 * a2, t12 * a1 + t22 * a2
        sides[s, certificate.AA], sides[s, certificate.AB] = u * a1 + v * a2, u * b1 + v * b2
        sides[s, certificate.AW] = u * w1 + v * w2
        u, v = t11 * w1 + t12 * w2, t12 * w1 + t22 * w2
        sides[s, certificate.BW], sides[s, certificate.WW] = u * b1 + v * b2, u * w1 + v * w2
        sides[s, certificate.BB] = (t11 * b1 + t12 * b2) * b1 + (t12 * b1 + t22 * b2) * b2
        for k in range(3):
            sides[s, certificate.ROOT_XX + k] = z[ROOT_XX + k * BOTH + j]
        sides[s, certificate.SLOPE] = z[SLOPE + j] - sides[s, certificate.AW]
        sides[s, certificate.INTERCEPT] = z[INTERCEPT + j] - sides[s, certificate.BW] - z[C + i]
        for k in range(2):
            ratio = z[LOW + k * BOTH + j]
            neurons[2 * s + k, 0], neurons[2 * s + k, 1] = a1 + ratio * a2, b1 + ratio * b2
            neurons[2 * s + k, 2] = w1 + ratio * w2


@njit(fastmath=CONTRACT, error_model="numpy")
def _has_waited(z, i, sides, patience):  # type: ignore[no-untyped-def]
    """Whether the validation loss sum nu (y - f)^2 has waited long enough for a new lowest one."""
    loss = 0.0
    for s in range(2):
        j = VALIDATION + i + s * VECTOR
        p, q = sides[s, certificate.AW], sides[s, certificate.BW] + z[C + i]
        loss += p * p * z[j] + 2 * p * q * z[j + BOTH] + q * q * z[j + 2 * BOTH]
        loss += z[j + 5 * BOTH] - 2 * p * z[j + 3 * BOTH] - 2 * q * z[j + 4 * BOTH]
    z[WAITED + i] += 1
    if loss < z[LOWEST + i] - 1e-8:
        z[LOWEST + i], z[WAITED + i] = loss, 0
    return z[WAITED + i] >= patience


@njit(error_model="numpy")
def train(networks, batches, criterion, room):  # type: ignore[no-untyped-def]
    """Train every network until it is done, may be certified, or an extreme neuron has left its side.

    Parameters
    ----------
    networks : (B, NUMBERS / VECTOR) array, changed in place: number by number, on the right and on the left
    batches : (B, R, 10) array of h times the points' sums in each step; R = 0 where they are those of the networks
    criterion : `data.Criterion`
    room : arrays to work in: all numbers of a vector (NUMBERS,), the networks in it (VECTOR,), and of one network what
        a check reads (2, READ) and its extreme neurons (4, 3)
    """
    z, net, sides, neurons = room
    following = 0
    while True:
        active = 0
        for i in range(VECTOR):
            if net[i] < 0 and following < len(networks):
                net[i] = following
                following += 1
                for j in range(networks.shape[1]):
                    z[j * VECTOR + i] = networks[net[i], j]
            active += net[i] >= 0
        if active == 0:
            return
        _step(z, batches, net, criterion.interval)
        for i in range(VECTOR):
            if net[i] < 0:
                continue
            outcome = UNFINISHED
            if not z[MARGIN + i] > 0 or not np.isfinite(z[C + i]):
                outcome = LEFT
            elif criterion.sufficient or criterion.patience:
                _read(z, i, sides, neurons)
                if criterion.patience and _has_waited(z, i, sides, criterion.patience):
                    outcome = STOPPED
                elif criterion.sufficient and possible(sides, neurons, z[NORM + i], z[REACH + i]):
                    outcome = UNDECIDED
            if outcome != UNFINISHED or z[STEPS + i] >= criterion.limit:
                z[OUTCOME + i] = outcome
                for j in range(networks.shape[1]):
                    networks[net[i], j] = z[j * VECTOR + i]
                net[i], z[MARGIN + i] = -1, 0.0


@njit(fastmath=CONTRACT)
def step_one(net, points, h, reach, steps, tracked, tracked_side):  # type: ignore[no-untyped-def]
    """Up to `steps` steps of one `network.State` in place; how many, and whether the last has ended it.

    It ends when a watched neuron has left its side or an iterate is not finite. ``points (R, 10)`` are the sums of nu
    x^2, nu x, nu, nu x y, nu y, each on the right and on the left, in one row for all steps or one per step; ``tracked
    (K, 3)`` and ``tracked_side (K,)`` the coordinates and sides of neurons whose largest movements are kept.
    """
    basis, T, c, largest = net.basis, net.T, net.c, net.largest
    line, pull = np.empty((2, 2)), np.empty((2, 2))
    for k in range(steps):
        for s in range(2):
            p, q = 0.0, c[0]
            for i in range(3):
                t = 0.0
                for j in range(3):
                    t += T[s, i, j] * basis[s, 2, j]
                p += t * basis[s, 0, i]
                q += t * basis[s, 1, i]
            line[s, 0], line[s, 1] = p, q
        row = k if len(points) > 1 else 0
        for s in range(2):
            p, q, x = line[s, 0], line[s, 1], points[row, 2 + s]
            pull[s, 0] = points[row, 6 + s] - points[row, s] * p - x * q
            pull[s, 1] = points[row, 8 + s] - x * p - points[row, 4 + s] * q
            r, q = h * pull[s, 0], h * pull[s, 1]
            for i in range(3):
                a, b, w = basis[s, 0, i], basis[s, 1, i], basis[s, 2, i]
                basis[s, 0, i], basis[s, 1, i], basis[s, 2, i] = a + r * w, b + q * w, w + r * a + q * b
        c[0] += h * (pull[0, 1] + pull[1, 1])
        if not np.isfinite(c[0] + pull[0, 0] + pull[1, 0]):
            return k + 1, True
        kink = 0.0
        for v in range(len(net.side)):
            s, a, b = net.side[v], 0.0, 0.0
            for i in range(3):
                a += basis[s, 0, i] * net.watched[v, i]
                b += basis[s, 1, i] * net.watched[v, i]
            a = a if s == 0 else -a
            if not abs(b) < reach * a:
                return k + 1, True
            kink = max(kink, abs(b) / a)
        largest[4] = max(largest[4], kink)
        for v in range(len(tracked)):
            s, a, w = tracked_side[v], tracked[v, 0], tracked[v, 2]
            largest[0] = max(largest[0], abs((basis[s, 0, 0] - 1) * a + basis[s, 0, 2] * w))
            largest[1] = max(largest[1], abs(basis[s, 1, 0] * a + basis[s, 1, 2] * w))
            largest[2] = max(largest[2], abs(basis[s, 2, 0] * a + (basis[s, 2, 2] - 1) * w))
        largest[3] = max(largest[3], abs(c[0]))
    return steps, False
