"""Compiled steps of gradient descent of h(x) = sum_j a_j max(0, <w_j, x>), in terms of preactivations.

A neuron is given by its preactivations H_ij = <w_j, x_i> and its output weight a_j. With the residuals r = y - h and
the kernel K = X X^T, a step with c = 2 step / n is

    H_ij <- H_ij + a_j sum_l c K_il r_l A_lj,    a_j <- a_j + c sum_i r_i A_ij H_ij,    A_ij = 1[H_ij > 0],

which costs no more for inputs of many dimensions. Neurons are columns that lie side by side in memory. A *free* neuron
has its pattern checked in every step. *Grouped* neurons have patterns that cannot change for a while. All neurons of a
group have one pattern, so that the sum over l is computed once for the group. Any orthonormal combination of the
group's neurons obeys the same equations, and a few combinations make the same output as all its neurons.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .compiled import assign, njit

# Sums may be reordered to fill the processor's vectors. The order depends only on the shapes of the arrays.
compiled = njit(error_model="numpy", fastmath={"contract", "reassoc", "nsz", "arcp"})

U = np.uint64
# The number of free columns is rounded up to a multiple of this.
VECTOR = 16
# Why `take_steps` returned: the last iteration is reached, the loss is below its target, the loss is not finite, the
# weights are at rest, all neurons must be grouped anew, there is no room for further crossings.
LAST, TARGET, DIVERGED, STALLED, REGROUP, FULL = range(6)
# Every so many iterations, a step is checked for whether it moves any weight by more than this share. Rounding moves
# weights on which the gradient is zero: they alternate in their last bits, or drift, and the machine decides which.
REST_EVERY, ROUNDING = 4096, 2.0**-50


class Data(NamedTuple):
    """Kernel K = X X^T (n, n), labels y (n,) and c = 2 step / n."""

    K: np.ndarray
    y: np.ndarray
    c: float


class Neurons(NamedTuple):
    """All neurons that take steps, free and grouped; columns without a neuron hold zeros.

    H : (n, F), preactivations of the free neurons
    a : (F,), their output weights
    active : (n, F), 1.0 where they are active
    ids : (F,), their numbers
    H_group : (n, L), preactivations of the combinations of grouped neurons
    a_group : (L,), their output weights
    first : (G + 1,), the first column of each group
    patterns : (G, n), 1.0 where a group is active
    """

    H: np.ndarray
    a: np.ndarray
    active: np.ndarray
    ids: np.ndarray
    H_group: np.ndarray
    a_group: np.ndarray
    first: np.ndarray
    patterns: np.ndarray


class Record(NamedTuple):
    """Arrays for what is recorded during the steps.

    log : (R,), increasing, the iterations at which the loss and all neurons are recorded
    losses : (R,), the loss there
    H, a, H_group, a_group : (R, ...), the neurons there
    crossings : (C, 3), iteration, neuron and training point of each change of a pattern
    counts : (2,), how many rows of the log and of the crossings are filled in
    """

    log: np.ndarray
    losses: np.ndarray
    H: np.ndarray
    a: np.ndarray
    H_group: np.ndarray
    a_group: np.ndarray
    crossings: np.ndarray
    counts: np.ndarray


@compiled
def outputs(neurons: Neurons, out: np.ndarray) -> None:
    """Fill in the outputs h(x_i) of the network."""
    H, a, H_group, a_group = neurons.H, neurons.a, neurons.H_group, neurons.a_group
    first, patterns = neurons.first, neurons.patterns
    for i in range(len(out)):
        s = 0.0
        for j in range(len(a)):
            s += a[j] * (H[i, j] if H[i, j] > 0 else 0.0)
        out[i] = s
        for g in range(len(patterns)):
            if patterns[g, i] > 0:
                s = 0.0
                for j in range(first[g], first[g + 1]):
                    s += a_group[j] * H_group[i, j]
                out[i] += s


# The arrays below are flat and their offsets unsigned, because the compiler uses vector instructions only then.


@compiled
def _step_group(
    H: np.ndarray, a: np.ndarray, start: int, stop: int, pattern: np.ndarray, at: int, K: np.ndarray, r: np.ndarray,
    c: float, e: np.ndarray, da: np.ndarray, out: np.ndarray,
) -> float:  # fmt: skip
    """Take one step of the group in columns start, ..., stop - 1 and add its outputs to `out`; returns |c g|^2."""
    n, L, squared = U(len(r)), U(len(a)), 0.0
    for p in range(n):
        e[p] = c * r[p] * pattern[U(at) + p]
    for j in range(U(start), U(stop)):
        da[j] = a[j]
    for i in range(n):
        if e[i] != 0:
            o = i * L
            for j in range(U(start), U(stop)):
                da[j] += e[i] * H[o + j]
    for i in range(n):
        o, k, product, s = i * L, i * n, 0.0, 0.0  # the product <c g, x_i>
        for p in range(n):
            product += K[k + p] * e[p]
        for j in range(U(start), U(stop)):
            h = H[o + j] + product * a[j]
            H[o + j] = h
            s += da[j] * h
        out[i] += s * pattern[U(at) + i]
        squared += e[i] * product
    for j in range(U(start), U(stop)):
        a[j] = da[j]
    return squared


@compiled
def _step_free(
    H: np.ndarray, a: np.ndarray, active: np.ndarray, K: np.ndarray, r: np.ndarray, c: float, KR: np.ndarray,
    G: np.ndarray, da: np.ndarray, out: np.ndarray, flips: np.ndarray,
) -> float:  # fmt: skip
    """Take one step of the free neurons and add their outputs to `out`.

    `flips` counts the neurons that cross each training point; their sum is returned.
    """
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
        _gradients(active, KR, i * n, n, F, G)
        for s in range(min(U(2), n - i)):
            o, g, total, changed = (i + s) * F, s * F, 0.0, 0.0
            for j in range(F):
                h = H[o + j] + a[j] * G[g + j]
                H[o + j] = h
                total += da[j] * (h if h > 0 else 0.0)
                changed += abs((1.0 if h > 0 else 0.0) - active[o + j])
            out[i + s] += total
            flips[i + s] = changed
            all += changed
    for j in range(F):
        a[j] = da[j]
    return all


@compiled
def _gradients(active: np.ndarray, KR: np.ndarray, k: int, n: int, F: int, G: np.ndarray) -> None:
    """G_sj = sum_l KR_(k/n + s)l active_lj, s = 0, 1: two rows and four terms at a time, to fill the registers."""
    one, q, quads = U(1), k + n, n - n % U(4)
    for j in range(U(2) * F):
        G[j] = 0.0
    for p in range(U(0), quads, U(4)):
        p0, p1, p2, p3 = KR[k + p], KR[k + p + one], KR[k + p + U(2)], KR[k + p + U(3)]
        q0, q1, q2, q3 = KR[q + p], KR[q + p + one], KR[q + p + U(2)], KR[q + p + U(3)]
        o = p * F
        for j in range(F):
            a0, a1 = active[o + j], active[o + F + j]
            a2, a3 = active[o + U(2) * F + j], active[o + U(3) * F + j]
            G[j] += p0 * a0 + p1 * a1 + p2 * a2 + p3 * a3
            G[F + j] += q0 * a0 + q1 * a1 + q2 * a2 + q3 * a3
    for p in range(quads, n):
        o = p * F
        for j in range(F):
            G[j] += KR[k + p] * active[o + j]
            G[F + j] += KR[q + p] * active[o + j]


@compiled
def _record_crossings(neurons: Neurons, record: Record, k: int, flips: np.ndarray) -> None:
    """Record the crossings of free neurons, of the training points that have any, and update the patterns."""
    H, active, crossings, counts = neurons.H, neurons.active, record.crossings, record.counts
    for i in range(H.shape[0]):
        for j in range(H.shape[1] if flips[i] > 0 else 0):
            now = 1.0 if H[i, j] > 0 else 0.0
            if now != active[i, j]:
                crossings[counts[1], 0] = k
                crossings[counts[1], 1] = neurons.ids[j]
                crossings[counts[1], 2] = i
                counts[1] += 1
                active[i, j] = now


@compiled
def _record_neurons(neurons: Neurons, record: Record, loss: float) -> None:
    """Fill in the next row of the log."""
    row = record.counts[0]
    record.losses[row] = loss
    assign(record.a[row], neurons.a)
    assign(record.a_group[row], neurons.a_group)
    for i in range(len(neurons.H)):
        assign(record.H[row, i], neurons.H[i])
        assign(record.H_group[row, i], neurons.H_group[i])
    record.counts[0] += 1


@compiled
def _at_rest(H: np.ndarray, a: np.ndarray, before: tuple[np.ndarray, np.ndarray], K: np.ndarray, n: int) -> bool:
    """Whether a step has moved no column of (n, L) and (L,) by more than rounding moves |x_i| |w_j| and |a_j|."""
    L = len(a)
    for j in range(L):
        size = 0.0  # a lower bound of |w_j|, from the preactivations
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
def take_steps(
    neurons: Neurons, data: Data, record: Record, out: np.ndarray, k: int, last: int, target: float, safe: float
) -> Any:
    """Take steps from iteration k on, until `last` or until there is another reason to return.

    The next step depends only on the neurons, on `out` and on what is returned, so that a call that continues with them
    takes the steps that this call would have taken.

    Parameters
    ----------
    out : (n,), the outputs at iteration k, replaced by those at the iteration that is returned
    last, target : iteration and mean squared error at which to return
    safe : path length, the sum of the step lengths |c g|, during which no grouped neuron can change its pattern

    Returns
    -------
    (reason, k, loss, safe) : the iteration, its loss, and what is left of the safe path length
    """
    n, F, y, c = len(data.y), len(neurons.a), data.y, data.c
    H, active, K = neurons.H.reshape(-1), neurons.active.reshape(-1), data.K.reshape(-1)
    H_group, patterns = neurons.H_group.reshape(-1), neurons.patterns.reshape(-1)
    a, a_group, first = neurons.a, neurons.a_group, neurons.first
    r, e, KR = np.zeros(n), np.zeros(n), np.zeros((n + 1) * n)
    da, da_group, G, flips = np.zeros(F), np.zeros(len(a_group)), np.zeros(2 * F), np.zeros(n)
    free, grouped, room = (H, a), (H_group, a_group), len(record.crossings) - n * F
    loss = np.nan
    while True:
        if safe < 0:
            return REGROUP, k, loss, safe
        loss = 0.0
        for i in range(n):
            r[i] = y[i] - out[i]
            loss += r[i] * r[i]
        loss /= n
        if record.counts[0] < len(record.log) and record.log[record.counts[0]] == k:
            _record_neurons(neurons, record, loss)
        if loss < target:
            return TARGET, k, loss, safe
        if not np.isfinite(loss):
            return DIVERGED, k, loss, safe
        if k == last:
            return LAST, k, loss, safe
        if record.counts[1] > room:
            return FULL, k, loss, safe
        check = k % REST_EVERY == 0
        if check:
            free, grouped = (H.copy(), a.copy()), (H_group.copy(), a_group.copy())
        out[:] = 0.0
        squared = 0.0
        for g in range(len(first) - 1):
            own = _step_group(H_group, a_group, first[g], first[g + 1], patterns, g * n, K, r, c, e, da_group, out)
            squared = max(squared, own)
        safe -= np.sqrt(squared) * (1 + 1e-14)
        if F and _step_free(H, a, active, K, r, c, KR, G, da, out, flips) > 0:
            _record_crossings(neurons, record, k + 1, flips)
        k += 1
        if check and _at_rest(H, a, free, K, n) and _at_rest(H_group, a_group, grouped, K, n):
            return STALLED, k, loss, safe
