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
# The rows of a lane: of either side the basis vectors, A1 to W2; then c: together the state. Then the margin, of either
# side three second moments of the neurons and h times the points' moments, the smallest |x|, and of either side the two
# extreme ratios w/a.
A1, A2, B1, B2, W1, W2, SIDE = range(7)
C = 2 * SIDE
STATE = MARGIN = C + 1
MOMENTS = MARGIN + 1
CURVATURE = MOMENTS + 6
TARGET = CURVATURE + 6
REACH = TARGET + 4
RATIO = REACH + 1
ROWS = RATIO + 4


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
def _half_step(z, s, i, c):  # type: ignore[no-untyped-def]
    """The step of side s of a lane, but for c: by how much c changes, and the smaller margin of the two extremes."""
    n, side, moments, curvature = LANES, s * SIDE, MOMENTS + 3 * s, CURVATURE + 3 * s
    a1, a2, b1, b2 = z[(side + A1) * n + i], z[(side + A2) * n + i], z[(side + B1) * n + i], z[(side + B2) * n + i]
    w1, w2, t12 = z[(side + W1) * n + i], z[(side + W2) * n + i], z[(moments + 1) * n + i]
    t1 = z[moments * n + i] * w1 + t12 * w2
    t2 = t12 * w1 + z[(moments + 2) * n + i] * w2
    p, q = t1 * a1 + t2 * a2, t1 * b1 + t2 * b2 + c
    xx, x, one = z[curvature * n + i], z[(curvature + 1) * n + i], z[(curvature + 2) * n + i]
    r = z[(TARGET + 2 * s) * n + i] - xx * p - x * q
    q = z[(TARGET + 2 * s + 1) * n + i] - x * p - one * q
    v1, v2 = w1 + r * a1 + q * b1, w2 + r * a2 + q * b2
    a1, a2, b1, b2 = a1 + r * w1, a2 + r * w2, b1 + q * w1, b2 + q * w2
    z[(side + A1) * n + i], z[(side + A2) * n + i], z[(side + B1) * n + i], z[(side + B2) * n + i] = a1, a2, b1, b2
    z[(side + W1) * n + i], z[(side + W2) * n + i] = v1, v2
    low, high, reach = z[(RATIO + 2 * s) * n + i], z[(RATIO + 2 * s + 1) * n + i], z[REACH * n + i]
    return q, min(reach * (a1 + low * a2) - abs(b1 + low * b2), reach * (a1 + high * a2) - abs(b1 + high * b2))


@njit(fastmath=FAST, error_model="numpy")
def _block(z, steps):  # type: ignore[no-untyped-def]
    """`steps` steps of every lane; the margin is the smallest of reach * |a| - |b| over extremes and steps."""
    for _ in range(steps):
        for i in range(LANES):
            c, low = z[C * LANES + i], z[MARGIN * LANES + i]
            right, margin = _half_step(z, 0, i, c)
            left, least = _half_step(z, 1, i, c)
            z[C * LANES + i], z[MARGIN * LANES + i] = c + right + left, min(low, min(margin, least))


@njit()
def _load(z, lane, start, b):  # type: ignore[no-untyped-def]
    for i in range(ROWS):
        z[i * LANES + lane] = start[b, i]


@njit(fastmath=FAST)
def _unpack(z, lane, S, neurons, pulls, M, u, b):  # type: ignore[no-untyped-def]
    """Second moments, extreme neurons and pulls of one lane, for `converged`; the line of either side."""
    c, lines = z[C * LANES + lane], np.empty((2, 2))
    for s in range(2):
        moments = MOMENTS + 3 * s
        t11, t12, t22 = z[moments * LANES + lane], z[(moments + 1) * LANES + lane], z[(moments + 2) * LANES + lane]
        for i in range(3):
            one, two = z[(s * SIDE + 2 * i) * LANES + lane], z[(s * SIDE + 2 * i + 1) * LANES + lane]
            for j in range(2):
                neurons[2 * s + j, i] = one + z[(RATIO + 2 * s + j) * LANES + lane] * two
            for j in range(3):
                other, another = z[(s * SIDE + 2 * j) * LANES + lane], z[(s * SIDE + 2 * j + 1) * LANES + lane]
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
        _block(one, min(steps, 1))  # a literal 1 would have it compiled once more
        if not one[MARGIN * LANES] > 0:
            for s in range(2):
                for j in range(2):
                    ratio = one[(RATIO + 2 * s + j) * LANES]
                    a = one[(s * SIDE + A1) * LANES] + ratio * one[(s * SIDE + A2) * LANES]
                    b = one[(s * SIDE + B1) * LANES] + ratio * one[(s * SIDE + B2) * LANES]
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
            finite = np.isfinite(z[C * LANES + lane] + z[A1 * LANES + lane] + z[(SIDE + A1) * LANES + lane])
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
        rows[:, s * SIDE + A1] = rows[:, s * SIDE + W2] = 1
        rows[:, MOMENTS + 3 * s : MOMENTS + 3 * s + 3] = neurons.T[:, s, [0, 0, 1], [0, 1, 1]]
        rows[:, CURVATURE + 3 * s : CURVATURE + 3 * s + 3] = h[:, None] * sides.M[:, s]
        rows[:, TARGET + 2 * s : TARGET + 2 * s + 2] = h[:, None] * sides.u[:, s]
        there = neurons.size[:, s] > 0
        for j, last in ((0, np.zeros(B, int)), (1, neurons.known[:, s] - 1)):
            a, w = neurons.ends[nets, s, np.maximum(last, 0)].T
            rows[:, RATIO + 2 * s + j] = np.divide(w, a, out=np.zeros(B), where=there)
        rows[~there, C] = np.nan
    rows[:, MARGIN], rows[:, REACH] = np.inf, sides.reach
    return rows
