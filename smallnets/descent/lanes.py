"""Many networks of `sides` at once, stepped side by side in the lanes of the processor's vectors.

A side is followed by what becomes of (a, b, w) = (1, 0, 0) and (0, 0, 1), of which all neurons are combinations. Two of
them decide whether a kink leaves: those with the smallest and the largest w/a at the start. A network whose extremes
leave is handed back as it was before the block of steps, to be followed by `sides.advance`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arguments import array, checked
from .certificate import converged
from .compiled import njit
from .sides import CONVERGED, CROSSED, FAST, LEFT, STOPPED, UNFINISHED, Neurons, Sides, pull

LANES = 8
# The rows of a lane. Basis vectors a1 a2 b1 b2 w1 w2 of either side, then c: together the state. Last the two extreme
# ratios w/a of either side.
STATE, MARGIN, MOMENTS, CURVATURE, TARGET, REACH, RATIO, ROWS = 13, 13, 14, 20, 26, 30, 31, 35


class Checks(NamedTuple):
    """When a network is done.

    ``interval`` steps lie between two checks, ``limit`` is the last step; ``sufficient`` asks for the certificate of
    `certificate.converged`, with its ``sharp`` constant; ``patience`` > 0 stops that many checks after the validation
    loss was last lower than its best by 1e-8.
    """

    interval: int
    limit: int
    sufficient: bool
    sharp: bool
    patience: int


@njit(fastmath=FAST, error_model="numpy")
def _block(z, steps):  # type: ignore[no-untyped-def]
    """`steps` steps of every lane; the margin is the smallest of reach * |a| - |b| over extremes and steps."""
    n = LANES
    for _ in range(steps):
        for i in range(n):
            c, low = z[12 * n + i], z[13 * n + i]
            a1, a2, b1, b2, w1, w2 = (
                z[i], z[n + i], z[2 * n + i], z[3 * n + i], z[4 * n + i], z[5 * n + i]
            )  # fmt: skip
            t1 = z[14 * n + i] * w1 + z[15 * n + i] * w2
            t2 = z[15 * n + i] * w1 + z[16 * n + i] * w2
            p, q = t1 * a1 + t2 * a2, t1 * b1 + t2 * b2 + c
            r = z[26 * n + i] - z[20 * n + i] * p - z[21 * n + i] * q
            s = z[27 * n + i] - z[21 * n + i] * p - z[22 * n + i] * q
            v1, v2 = w1 + r * a1 + s * b1, w2 + r * a2 + s * b2
            a1, a2, b1, b2 = a1 + r * w1, a2 + r * w2, b1 + s * w1, b2 + s * w2
            z[i], z[n + i], z[2 * n + i], z[3 * n + i], z[4 * n + i], z[5 * n + i] = a1, a2, b1, b2, v1, v2
            low = min(low, z[30 * n + i] * (a1 + z[31 * n + i] * a2) - abs(b1 + z[31 * n + i] * b2))
            low = min(low, z[30 * n + i] * (a1 + z[32 * n + i] * a2) - abs(b1 + z[32 * n + i] * b2))
            drift = s

            a1, a2, b1, b2, w1, w2 = (
                z[6 * n + i], z[7 * n + i], z[8 * n + i], z[9 * n + i], z[10 * n + i], z[11 * n + i]
            )  # fmt: skip
            t1 = z[17 * n + i] * w1 + z[18 * n + i] * w2
            t2 = z[18 * n + i] * w1 + z[19 * n + i] * w2
            p, q = t1 * a1 + t2 * a2, t1 * b1 + t2 * b2 + c
            r = z[28 * n + i] - z[23 * n + i] * p - z[24 * n + i] * q
            s = z[29 * n + i] - z[24 * n + i] * p - z[25 * n + i] * q
            v1, v2 = w1 + r * a1 + s * b1, w2 + r * a2 + s * b2
            a1, a2, b1, b2 = a1 + r * w1, a2 + r * w2, b1 + s * w1, b2 + s * w2
            z[6 * n + i], z[7 * n + i], z[8 * n + i], z[9 * n + i], z[10 * n + i], z[11 * n + i] = (
                a1, a2, b1, b2, v1, v2
            )  # fmt: skip
            low = min(low, z[30 * n + i] * (a1 + z[33 * n + i] * a2) - abs(b1 + z[33 * n + i] * b2))
            low = min(low, z[30 * n + i] * (a1 + z[34 * n + i] * a2) - abs(b1 + z[34 * n + i] * b2))
            z[12 * n + i], z[13 * n + i] = c + drift + s, low


@njit()
def _load(z, lane, start, b):  # type: ignore[no-untyped-def]
    for i in range(ROWS):
        z[i * LANES + lane] = start[b, i]


@njit(fastmath=FAST)
def _unpack(z, lane, S, neurons, pulls, M, u, b):  # type: ignore[no-untyped-def]
    """Second moments, extreme neurons and pulls of one lane, for `converged`; the line of either side."""
    c, lines = z[12 * LANES + lane], np.empty((2, 2))
    for s in range(2):
        t11, t12, t22 = z[(14 + 3 * s) * LANES + lane], z[(15 + 3 * s) * LANES + lane], z[(16 + 3 * s) * LANES + lane]
        for i in range(3):
            one, two = z[(6 * s + 2 * i) * LANES + lane], z[(6 * s + 2 * i + 1) * LANES + lane]
            for j in range(2):
                neurons[2 * s + j, i] = one + z[(RATIO + 2 * s + j) * LANES + lane] * two
            for j in range(3):
                other, another = z[(6 * s + 2 * j) * LANES + lane], z[(6 * s + 2 * j + 1) * LANES + lane]
                S[s, i, j] = one * (t11 * other + t12 * another) + two * (t12 * other + t22 * another)
        p, q = S[s, 2, 0], S[s, 2, 1] + c
        lines[s, 0], lines[s, 1] = p, q
        pulls[s, 0], pulls[s, 1] = pull(M, u, b, s, p, q)
    return lines


@njit(fastmath=FAST)
def squared_error(V, lines):  # type: ignore[no-untyped-def]
    """sum nu (y - f)^2 from ``V (2, 6)``: sums of x^2, x, 1, x y, y, y^2, weighted, and the line of either side."""
    loss = 0.0
    for s in range(2):
        p, q = lines[s, 0], lines[s, 1]
        loss += p * p * V[s, 0] + 2 * p * q * V[s, 1] + q * q * V[s, 2]
        loss += V[s, 5] - 2 * p * V[s, 3] - 2 * q * V[s, 4]
    return loss


@njit()
def waited(best, wait, loss, patience):  # type: ignore[no-untyped-def]
    """Whether the validation loss has waited long enough for a new best one; both are updated."""
    wait[0] += 1
    if loss < best[0] - 1e-8:
        best[0], wait[0] = loss, 0
    return wait[0] >= patience


@njit()
def _crossing(before, lane, one, steps):  # type: ignore[no-untyped-def]
    """The step at which an extreme neuron's kink stops at a point; 0 where none does, or has jumped to the other side.

    The block is done again, step by step, in the first lane of ``one``: the same arithmetic, to the bit.
    """
    for i in range(len(one)):
        one[i] = before[i + lane] if i % LANES == 0 else 0
    for k in range(steps):
        _block(one, 1)
        if not one[MARGIN * LANES] > 0:
            for s in range(2):
                for j in range(2):
                    ratio = one[(RATIO + 2 * s + j) * LANES]
                    a = one[6 * s * LANES] + ratio * one[(6 * s + 1) * LANES]
                    b = one[(6 * s + 2) * LANES] + ratio * one[(6 * s + 3) * LANES]
                    if abs(b) >= one[REACH * LANES] * abs(a):
                        return k + 1
            return 0
    return 0


@njit()
def run(start, h, sides, validation, checks, outcome, steps, left, state, best, wait):  # type: ignore[no-untyped-def]
    """Train every network of ``start (B, ROWS)`` until it is done or its extremes change sides.

    In place: ``outcome (B,)``, ``steps (B,)``, ``left (B,)``, the step at which a kink reached a point, ``best (B, 1)``
    and ``wait (B, 1)`` of early stopping and ``state (B, STATE)``, which for a network handed back is that at the start
    of the block in which it left. ``sides`` are (M, u, root, inverse, reach), all (B, ...), ``validation (B, 2, 6)``
    weighted sums as in `squared_error`.
    """
    M, u, root, inverse, reach = sides
    z, before, one = np.zeros(ROWS * LANES), np.zeros(ROWS * LANES), np.zeros(ROWS * LANES)
    net = np.full(LANES, -1)
    S, neurons, pulls = np.empty((2, 3, 3)), np.empty((4, 3)), np.empty((2, 2))
    following, active = 0, 0
    for lane in range(min(LANES, len(start))):
        net[lane] = following
        _load(z, lane, start, following)
        following, active = following + 1, active + 1
    while active:
        for i in range(len(z)):
            before[i] = z[i]
        _block(z, checks.interval)
        for lane in range(LANES):
            b = net[lane]
            if b < 0:
                continue
            kept = z
            finite = np.isfinite(z[12 * LANES + lane] + z[lane] + z[6 * LANES + lane])
            if not finite or not z[MARGIN * LANES + lane] > 0:
                outcome[b], kept = LEFT, before
                at = _crossing(before, lane, one, checks.interval)
                if at > 0:
                    outcome[b], left[b] = CROSSED, steps[b] + at
                    steps[b] += checks.interval
            else:
                steps[b] += checks.interval
                lines = _unpack(z, lane, S, neurons, pulls, M, u, b)
                if checks.patience and waited(best[b], wait[b], squared_error(validation[b], lines), checks.patience):
                    outcome[b] = STOPPED
                elif checks.sufficient and converged(
                    M[b], root[b], inverse[b], S, pulls, h[b], reach[b], neurons, checks.sharp
                ):
                    outcome[b] = CONVERGED
                if outcome[b] == UNFINISHED and steps[b] < checks.limit:
                    continue
            for i in range(STATE):
                state[b, i] = kept[i * LANES + lane]
            net[lane] = -1
            if following < len(start):
                net[lane] = following
                _load(z, lane, start, following)
                following += 1
            else:
                active -= 1


@checked(h=array("step sizes", "B"))
def pack(neurons: Neurons, sides: Sides, h: np.ndarray) -> np.ndarray:
    """The lanes' rows at the start, ``(B, ROWS)``; not finite where a side has no neurons, to be handed back."""
    B = len(h)
    rows, nets = np.zeros((B, ROWS)), np.arange(B)
    for s in (0, 1):
        rows[:, 6 * s] = rows[:, 6 * s + 5] = 1
        rows[:, MOMENTS + 3 * s : MOMENTS + 3 * s + 3] = neurons.T[:, s, [0, 0, 1], [0, 1, 1]]
        rows[:, CURVATURE + 3 * s : CURVATURE + 3 * s + 3] = h[:, None] * sides.M[:, s]
        rows[:, TARGET + 2 * s : TARGET + 2 * s + 2] = h[:, None] * sides.u[:, s]
        there = neurons.size[:, s] > 0
        for j, last in ((0, np.zeros(B, int)), (1, neurons.known[:, s] - 1)):
            a, w = neurons.ends[nets, s, np.maximum(last, 0)].T
            rows[:, RATIO + 2 * s + j] = np.divide(w, a, out=np.zeros(B), where=there)
        rows[~there, STATE - 1] = np.nan
    rows[:, MARGIN], rows[:, REACH] = np.inf, sides.reach
    return rows
