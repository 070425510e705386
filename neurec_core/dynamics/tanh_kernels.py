"""Compiled steps of two-layer tanh networks: gradients with the points, or the neurons, side by side.

Everything that the inner loops touch stands in one flat array ``u``, and rows of it are named by where they begin,
unsigned: views of arrays would be counted in and out at each call, and signed indices checked for a count from the
end; either takes longer than a row of eight numbers.
"""

from __future__ import annotations

import numpy as np

from .compiled import njit

# Sums over points or neurons are reordered to fill the processor's vectors: always in the same way for one shape.
FAST = {"reassoc", "contract", "nsz", "arcp"}
LANES = 4  # rows come in whole vectors of the processor
LARGEST = 19.1  # beyond, tanh is 1 to rounding


@njit(inline="always")
def _ratio(z):  # type: ignore[no-untyped-def]
    """p, q with p/q close to tanh(z): the ninth convergent of Lambert's continued fraction."""
    v = z * z
    p = z * (34459425.0 + v * (4729725.0 + v * (135135.0 + v * (990.0 + v))))
    return p, 34459425.0 + v * (16216200.0 + v * (945945.0 + v * (13860.0 + v * 45.0)))


@njit(fastmath=FAST, error_model="numpy")
def squash(u, n, z):  # type: ignore[no-untyped-def]
    """tanh of a row in place, to a relative error of some roundings at any size.

    tanh(2z) = 2pq / (p^2 + q^2) doubles the argument, twice. There is no exponential, which the compiler does not
    compute four at a time, and no difference that cancels near 0.
    """
    for j in range(n):
        p, q = _ratio(0.25 * min(max(u[z + j], -LARGEST), LARGEST))
        p, q = 2 * p * q, p * p + q * q
        u[z + j] = 2 * p * q / (p * p + q * q)


# ------------------------------------------------------------------------------------------------------- rows of u


@njit(fastmath=FAST)
def _add4(u, n, out, v0, v1, v2, v3, c0, c1, c2, c3):  # type: ignore[no-untyped-def]
    for j in range(n):
        u[out + j] += c0 * u[v0 + j] + c1 * u[v1 + j] + c2 * u[v2 + j] + c3 * u[v3 + j]


@njit(fastmath=FAST)
def _add1(u, n, out, v, c):  # type: ignore[no-untyped-def]
    for j in range(n):
        u[out + j] += c * u[v + j]


@njit()
def _fill(u, n, out, value):  # type: ignore[no-untyped-def]
    for j in range(n):
        u[out + j] = value


@njit()
def _combine(u, n, out, first, stride, c, k):  # type: ignore[no-untyped-def]
    """Add k rows, a stride apart, times the numbers in c."""
    i = 0
    while i + 4 <= k:
        _add4(
            u, n, out, first, first + stride, first + stride + stride, first + stride + stride + stride,
            c[i], c[i + 1], c[i + 2], c[i + 3],
        )  # fmt: skip
        first += stride + stride + stride + stride
        i += 4
    while i < k:
        _add1(u, n, out, first, c[i])
        first += stride
        i += 1


@njit(fastmath=FAST)
def _copy(u, n, out, v):  # type: ignore[no-untyped-def]
    for j in range(n):
        u[out + j] = u[v + j]


@njit(fastmath=FAST)
def _pull(u, n, q, t, r, a):  # type: ignore[no-untyped-def]
    """q = a r (1 - t^2), with its sum and that of r t."""
    outer, inner = 0.0, 0.0
    for j in range(n):
        rt = u[r + j] * u[t + j]
        outer += rt
        one = a * (u[r + j] - rt * u[t + j])
        u[q + j] = one
        inner += one
    return outer, inner


@njit(fastmath=FAST)
def _spread(u, n, q, t, a, r):  # type: ignore[no-untyped-def]
    """q = a r (1 - t^2) for one r."""
    for k in range(n):
        u[q + k] = r * u[a + k] * (1 - u[t + k] * u[t + k])


@njit(fastmath=FAST)
def _dot4(u, n, q, v0, v1, v2, v3):  # type: ignore[no-untyped-def]
    g0, g1, g2, g3 = 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        g0 += u[q + j] * u[v0 + j]
        g1 += u[q + j] * u[v1 + j]
        g2 += u[q + j] * u[v2 + j]
        g3 += u[q + j] * u[v3 + j]
    return g0, g1, g2, g3


@njit(fastmath=FAST)
def _dot1(u, n, q, v):  # type: ignore[no-untyped-def]
    total = 0.0
    for j in range(n):
        total += u[q + j] * u[v + j]
    return total


# --------------------------------------------------------------------------------------------------------- gradients


@njit()
def residuals(u, f, n, y, c):  # type: ignore[no-untyped-def]
    """Outputs in the row f become 2/n (f + c - y); their mean square, and the sum of the new row."""
    loss, total = 0.0, 0.0
    for j in range(n):
        r = u[f + j] + c - y[j]
        loss += r * r
        u[f + j] = 2 * r / n
        total += u[f + j]
    return loss / n, total


@njit()
def by_points(u, N, d, theta, g, y, net):  # type: ignore[no-untyped-def]
    """The loss and, in g, its gradient, with points side by side: for few neurons.

    Rows of u, each N numbers: inputs, then outputs, pulls and the neurons.
    """
    inputs, weights, biases, outputs, constant = net
    s, m = weights.shape
    n, f = len(y), np.uint64(d) * N
    q, first = f + N, f + N + N
    z = first
    for k in range(m):
        _fill(u, N, z, theta[biases[k]] if len(biases) else 0.0)
        i = 0
        while i + 4 <= s:
            v0, v1 = inputs[i, k] * N, inputs[i + 1, k] * N
            v2, v3 = inputs[i + 2, k] * N, inputs[i + 3, k] * N
            c0, c1, c2, c3 = (
                theta[weights[i, k]], theta[weights[i + 1, k]], theta[weights[i + 2, k]], theta[weights[i + 3, k]]
            )  # fmt: skip
            _add4(u, N, z, v0, v1, v2, v3, c0, c1, c2, c3)
            i += 4
        while i < s:
            _add1(u, N, z, inputs[i, k] * N, theta[weights[i, k]])
            i += 1
        z += N
    squash(u, z - first, first)
    _fill(u, N, f, 0.0)
    z, k = first, 0
    while k + 4 <= m:
        _add4(
            u, N, f, z, z + N, z + N + N, z + N + N + N,
            theta[outputs[k]], theta[outputs[k + 1]], theta[outputs[k + 2]], theta[outputs[k + 3]],
        )  # fmt: skip
        z, k = z + N + N + N + N, k + 4
    while k < m:
        _add1(u, N, f, z, theta[outputs[k]])
        z, k = z + N, k + 1
    loss, total = residuals(u, f, n, y, theta[constant] if constant >= 0 else 0.0)
    for j in range(n, np.int64(N)):
        u[np.int64(f) + j] = 0.0
    g[:] = 0
    z = first
    for k in range(m):
        outer, inner = _pull(u, N, q, z, f, theta[outputs[k]])
        z += N
        g[outputs[k]] += outer
        if len(biases):
            g[biases[k]] += inner
        i = 0
        while i + 4 <= s:
            v0, v1 = inputs[i, k] * N, inputs[i + 1, k] * N
            v2, v3 = inputs[i + 2, k] * N, inputs[i + 3, k] * N
            g0, g1, g2, g3 = _dot4(u, N, q, v0, v1, v2, v3)
            g[weights[i, k]] += g0
            g[weights[i + 1, k]] += g1
            g[weights[i + 2, k]] += g2
            g[weights[i + 3, k]] += g3
            i += 4
        while i < s:
            g[weights[i, k]] += _dot1(u, N, q, inputs[i, k] * N)
            i += 1
    if constant >= 0:
        g[constant] += total
    return loss


@njit()
def by_neurons(u, N, size, theta, g, y, net, groups, X, f):  # type: ignore[no-untyped-def]
    """The same with neurons side by side, those of a group seeing the same inputs: for many neurons.

    Rows of u, each N numbers: activations at each point, pulls at each point. Weights and gradient stand in u, too,
    from ``theta`` and ``g`` on, `size` numbers; there, what neighbours in a group read stands side by side.
    ``groups`` holds each group's first neuron, and m at the end. ``X (d + 1, n)``; ``f (n,)`` is written.
    """
    inputs, weights, biases, outputs, constant = net
    s, m = weights.shape
    n, every = len(y), np.uint64(m)
    pulls, a, x = np.uint64(n) * N, outputs[0], np.empty(s)
    stride = weights[1, 0] - weights[0, 0] if s > 1 else N
    for h in range(len(groups) - 1):
        one = groups[h]
        k, width = np.int64(one), groups[h + 1] - one
        first = theta + weights[0, k]
        for j in range(n):
            z = np.uint64(j) * N + one
            if len(biases):
                _copy(u, width, z, theta + biases[k])
            else:
                _fill(u, width, z, 0.0)
            for i in range(s):
                x[i] = X[inputs[i, k], j]
            _combine(u, width, z, first, stride, x, s)
    squash(u, pulls, np.uint64(0))
    for j in range(n):
        f[j] = _dot1(u, every, np.uint64(j) * N, theta + a)
    loss, pulled = residuals(f, np.uint64(0), n, y, u[theta + np.uint64(constant)] if constant >= 0 else 0.0)
    for j in range(n):
        _spread(u, every, pulls + np.uint64(j) * N, np.uint64(j) * N, theta + a, f[j])
    _fill(u, size, g, 0.0)
    _combine(u, every, g + a, np.uint64(0), N, f, n)
    for h in range(len(groups) - 1):
        one = groups[h]
        k, width = np.int64(one), groups[h + 1] - one
        for i in range(s):
            _combine(u, width, g + weights[i, k], pulls + one, N, X[inputs[i, k]], n)
        if len(biases):
            _combine(u, width, g + biases[k], pulls + one, N, X[len(X) - 1], n)
    if constant >= 0:
        u[g + np.uint64(constant)] = pulled
    return loss


# ------------------------------------------------------------------------------------------------------------ training


@njit()
def update(theta, g, first, second, t, adam, rate, decay):  # type: ignore[no-untyped-def]
    """Step t of gradient descent or of Adam, as torch takes it; weight decay is added to the gradient."""
    for i in range(len(theta)):
        pull = g[i] + decay * theta[i]
        if adam:
            first[i] = 0.9 * first[i] + 0.1 * pull
            second[i] = 0.999 * second[i] + 0.001 * pull * pull
            root = np.sqrt(second[i]) / np.sqrt(1 - 0.999**t) + 1e-8
            theta[i] -= rate / (1 - 0.9**t) * first[i] / root
        else:
            theta[i] -= rate * pull


@njit()
def train(theta, X, y, net, groups, wide, rule, marks, shots):  # type: ignore[no-untyped-def]
    """Steps until the loss is below a tolerance, is not finite, or all steps are taken.

    ``theta (M,)`` is changed in place; ``X (d + 1, n)``, the last row ones; ``wide``: neurons side by side, not points;
    ``rule`` is (adam, rate, decay, tolerance, steps); weights are noted at ``marks``, ascending, in ``shots``.
    Returns steps taken, the loss after them and the loss when nine tenths of all steps were taken.
    """
    adam, rate, decay, tolerance, steps = rule
    d, n, m, M = len(X) - 1, len(y), len(net[3]), len(theta)
    length = -(-(m if wide else n) // LANES) * LANES
    used = length * (2 * n if wide else d + 2 + m)
    u = np.zeros(used + 2 * M)
    weights, g = u[used : used + M], u[used + M :]
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    f = np.empty(n)
    N, at = np.uint64(length), np.uint64(used)
    weights[:] = theta
    for i in range(0 if wide else d):
        u[i * length : i * length + n] = X[i]
    earlier, noted, t = np.nan, 0, 0
    while True:
        if wide:
            loss = by_neurons(u, N, np.uint64(M), at, at + np.uint64(M), y, net, groups, X, f)
        else:
            loss = by_points(u, N, d, weights, g, y, net)
        if noted < len(marks) and t == marks[noted]:
            shots[noted] = weights
            noted += 1
        if t == steps - steps // 10:
            earlier = loss
        if t == steps or loss < tolerance or not np.isfinite(loss):
            theta[:] = weights
            return t, loss, earlier
        t += 1
        update(weights, g, first, second, t, adam, rate, decay)
