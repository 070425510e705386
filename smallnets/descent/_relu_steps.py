"""Steps of gradient descent of h(x) = sum_j a_j max(0, <w_j, x>) by what the neurons see of the data; compiled.

A neuron is its preactivations H_ij = <w_j, x_i> and its output weight a_j. With residuals r = y - h and the kernel
K = X X^T, a step with c = 2 step / n is

    H_ij <- H_ij + a_j sum_l c K_il r_l A_lj,    a_j <- a_j + c sum_i r_i A_ij H_ij,    A_ij = 1[H_ij > 0],

which costs no more for inputs of many dimensions. Neurons stand in lanes, side by side in memory. *Free* lanes look
at their pattern in every step. *Held* lanes have a pattern that cannot change for a while; those of a group have the
same one, so that the sum over l is one for the group, and so that any orthonormal combination of the group's neurons
obeys the same equations and makes the same output: a few such combinations stand for all of them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .compiled import assign, njit

# Sums may follow the order of the vector unit: it depends on the arrays' shapes alone.
compiled = njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})

U = np.uint64
LANES = 16
# Why `run` came back: asked to, the loss is below its target, not finite, weights at rest, all patterns are to be
# looked at again, no room for further crossings.
LAST, TARGET, DIVERGED, STALLED, REGROUP, FULL = range(6)
# Steps between two looks at whether anything moves. Rounding moves weights that gradients leave alone: they go to and
# fro in their last bits, or drift, and which of these they do differs from machine to machine.
LOOK, ROUNDING = 4096, 2.0**-50


class Data(NamedTuple):
    """Kernel K = X X^T (n, n), labels y (n,) and c = 2 step / n."""

    K: np.ndarray
    y: np.ndarray
    c: float


class Lanes(NamedTuple):
    """Free and held neurons; lanes without one hold zeros.

    H : (n, F), preactivations of the free ones
    a : (F,), their output weights
    on : (n, F), 1.0 where they are active
    ids : (F,), their numbers
    held : (n, L), preactivations of the held combinations
    b : (L,), their output weights
    first : (G + 1,), the first lane of each group
    masks : (G, n), 1.0 where a group is active
    """

    H: np.ndarray
    a: np.ndarray
    on: np.ndarray
    ids: np.ndarray
    held: np.ndarray
    b: np.ndarray
    first: np.ndarray
    masks: np.ndarray


class Notes(NamedTuple):
    """What is noted on the way.

    log : (R,), iterations at which to note all lanes, increasing
    losses : (R,), the loss there
    H, a, held, b : (R, ...), the lanes there
    crossings : (C, 3), iteration, neuron and point of each change of a pattern
    counts : (2,), how many rows of the log and of the crossings are filled in
    """

    log: np.ndarray
    losses: np.ndarray
    H: np.ndarray
    a: np.ndarray
    held: np.ndarray
    b: np.ndarray
    crossings: np.ndarray
    counts: np.ndarray


@compiled
def outputs(lanes: Lanes, out: np.ndarray) -> None:
    """Fill in the outputs h(x_i) of all lanes."""
    H, a, held, b, first, masks = lanes.H, lanes.a, lanes.held, lanes.b, lanes.first, lanes.masks
    for i in range(len(out)):
        s = 0.0
        for j in range(len(a)):
            s += a[j] * (H[i, j] if H[i, j] > 0 else 0.0)
        out[i] = s
        for g in range(len(masks)):
            if masks[g, i] > 0:
                s = 0.0
                for j in range(first[g], first[g + 1]):
                    s += b[j] * held[i, j]
                out[i] += s


# The arrays below are flat, and their offsets unsigned: what the compiler needs to be told to use vectors.


@compiled
def _step_group(
    held: np.ndarray, b: np.ndarray, start: int, stop: int, mask: np.ndarray, at: int, K: np.ndarray, r: np.ndarray,
    c: float, e: np.ndarray, db: np.ndarray, out: np.ndarray,
) -> float:  # fmt: skip
    """One step of the held lanes start, ..., stop - 1, their outputs added to `out`; returns |c g|^2."""
    n, L, drive = U(len(r)), U(len(b)), 0.0
    for p in range(n):
        e[p] = c * r[p] * mask[U(at) + p]
    for j in range(U(start), U(stop)):
        db[j] = b[j]
    for i in range(n):
        if e[i] != 0:
            o = i * L
            for j in range(U(start), U(stop)):
                db[j] += e[i] * held[o + j]
    for i in range(n):
        o, k, pull, s = i * L, i * n, 0.0, 0.0
        for p in range(n):
            pull += K[k + p] * e[p]
        for j in range(U(start), U(stop)):
            h = held[o + j] + pull * b[j]
            held[o + j] = h
            s += db[j] * h
        out[i] += s * mask[U(at) + i]
        drive += e[i] * pull
    for j in range(U(start), U(stop)):
        b[j] = db[j]
    return drive


@compiled
def _step_free(
    H: np.ndarray, a: np.ndarray, on: np.ndarray, K: np.ndarray, r: np.ndarray, c: float, KR: np.ndarray,
    G: np.ndarray, da: np.ndarray, out: np.ndarray, flips: np.ndarray,
) -> float:  # fmt: skip
    """One step of the free lanes, their outputs added to `out`; `flips` counts each row's changes of sign."""
    n, F, all = U(len(r)), U(len(a)), 0.0
    for j in range(F):
        da[j] = a[j]
    for i in range(n):
        e, o, k = c * r[i], i * F, i * n
        for j in range(F):
            h = H[o + j]
            da[j] += e * (h if h > 0 else 0.0)
        for p in range(n):
            KR[k + p] = c * K[k + p] * r[p]
    for i in range(U(0), n, U(2)):
        _pulls(on, KR, i * n, n, F, G)
        for s in range(min(U(2), n - i)):
            o, g, total, changed = (i + s) * F, s * F, 0.0, 0.0
            for j in range(F):
                h = H[o + j] + a[j] * G[g + j]
                H[o + j] = h
                total += da[j] * (h if h > 0 else 0.0)
                changed += abs((1.0 if h > 0 else 0.0) - on[o + j])
            out[i + s] += total
            flips[i + s] = changed
            all += changed
    for j in range(F):
        a[j] = da[j]
    return all


@compiled
def _pulls(on: np.ndarray, KR: np.ndarray, k: int, n: int, F: int, G: np.ndarray) -> None:
    """G_sj = sum_l KR_(k/n + s)l on_lj for s = 0, 1: two rows and four terms at a time, for the registers' sake."""
    one, q, quads = U(1), k + n, n - n % U(4)
    for j in range(U(2) * F):
        G[j] = 0.0
    for p in range(U(0), quads, U(4)):
        p0, p1, p2, p3 = KR[k + p], KR[k + p + one], KR[k + p + U(2)], KR[k + p + U(3)]
        q0, q1, q2, q3 = KR[q + p], KR[q + p + one], KR[q + p + U(2)], KR[q + p + U(3)]
        o = p * F
        for j in range(F):
            a0, a1, a2, a3 = on[o + j], on[o + F + j], on[o + U(2) * F + j], on[o + U(3) * F + j]
            G[j] += p0 * a0 + p1 * a1 + p2 * a2 + p3 * a3
            G[F + j] += q0 * a0 + q1 * a1 + q2 * a2 + q3 * a3
    for p in range(quads, n):
        o = p * F
        for j in range(F):
            G[j] += KR[k + p] * on[o + j]
            G[F + j] += KR[q + p] * on[o + j]


@compiled
def _cross(lanes: Lanes, notes: Notes, k: int, flips: np.ndarray) -> None:
    """Note the crossings of the free lanes, in the rows that have any."""
    H, on, crossings, counts = lanes.H, lanes.on, notes.crossings, notes.counts
    for i in range(H.shape[0]):
        for j in range(H.shape[1] if flips[i] > 0 else 0):
            now = 1.0 if H[i, j] > 0 else 0.0
            if now != on[i, j]:
                crossings[counts[1], 0] = k
                crossings[counts[1], 1] = lanes.ids[j]
                crossings[counts[1], 2] = i
                counts[1] += 1
                on[i, j] = now


@compiled
def _note(lanes: Lanes, notes: Notes, loss: float) -> None:
    row = notes.counts[0]
    notes.losses[row] = loss
    assign(notes.H[row], lanes.H)
    assign(notes.a[row], lanes.a)
    assign(notes.held[row], lanes.held)
    assign(notes.b[row], lanes.b)
    notes.counts[0] += 1


@compiled
def _still(H: np.ndarray, a: np.ndarray, before: tuple[np.ndarray, np.ndarray], K: np.ndarray, n: int) -> bool:
    """Whether a step has moved no lane of (n, L) and (L,) by more than rounding moves |x_i| |w_j| and |a_j|."""
    L = len(a)
    for j in range(L):
        size = 0.0  # of w_j, as the points show it
        for i in range(n):
            if K[i * n + i] > 0:
                size = max(size, abs(H[i * L + j]) / np.sqrt(K[i * n + i]))
        for i in range(n):
            if abs(H[i * L + j] - before[0][i * L + j]) > ROUNDING * size * np.sqrt(K[i * n + i]):
                return False
        if abs(a[j] - before[1][j]) > ROUNDING * abs(a[j]):
            return False
    return True


@compiled
def run(
    lanes: Lanes, data: Data, notes: Notes, out: np.ndarray, k: int, last: int, target: float, clock: float
) -> Any:  # fmt: skip
    """Steps from iteration k on, until `last` or until there is a reason to come back.

    All that the next step depends on is in the lanes, in `out`, and in what is returned: a call that continues with
    them takes the steps that this one would have taken.

    Parameters
    ----------
    out : (n,), the outputs at iteration k, replaced by those at the iteration returned
    target : of the mean squared error
    clock : sum of drives |c g| during which no held neuron can change its pattern

    Returns
    -------
    (why, k, loss, clock) : the iteration, its loss, and what is left of the clock
    """
    n, F, y, c = len(data.y), len(lanes.a), data.y, data.c
    H, on, held, masks, K = (
        lanes.H.reshape(-1), lanes.on.reshape(-1), lanes.held.reshape(-1), lanes.masks.reshape(-1), data.K.reshape(-1)
    )  # fmt: skip
    a, b, first = lanes.a, lanes.b, lanes.first
    r, e, KR = np.zeros(n), np.zeros(n), np.zeros((n + 1) * n)
    da, db, G, flips = np.zeros(F), np.zeros(len(b)), np.zeros(2 * F), np.zeros(n)
    free, groups, room = (H, a), (held, b), len(notes.crossings) - n * F
    loss = np.nan
    while True:
        if clock < 0:
            return REGROUP, k, loss, clock
        loss = 0.0
        for i in range(n):
            r[i] = y[i] - out[i]
            loss += r[i] * r[i]
        loss /= n
        if notes.counts[0] < len(notes.log) and notes.log[notes.counts[0]] == k:
            _note(lanes, notes, loss)
        if loss < target:
            return TARGET, k, loss, clock
        if not np.isfinite(loss):
            return DIVERGED, k, loss, clock
        if k == last:
            return LAST, k, loss, clock
        if notes.counts[1] > room:
            return FULL, k, loss, clock
        looks = k % LOOK == 0
        if looks:
            free, groups = (H.copy(), a.copy()), (held.copy(), b.copy())
        out[:] = 0.0
        drive = 0.0
        for g in range(len(first) - 1):
            drive = max(drive, _step_group(held, b, first[g], first[g + 1], masks, g * n, K, r, c, e, db, out))
        clock -= np.sqrt(drive) * (1 + 1e-14)
        if F and _step_free(H, a, on, K, r, c, KR, G, da, out, flips) > 0:
            _cross(lanes, notes, k + 1, flips)
        k += 1
        if looks and _still(H, a, free, K, n) and _still(held, b, groups, K, n):
            return STALLED, k, loss, clock
