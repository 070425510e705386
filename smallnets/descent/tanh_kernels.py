"""Compiled steps of two-layer tanh networks: gradients with the points side by side.

Everything that the inner loops touch stands in rows of one flat array ``u``.
"""

from __future__ import annotations

import numpy as np

from .compiled import assign, njit
from .row_arithmetic import VECTOR, add1, add4, combine, dot1, dot4, fill, tanh_gradient, tanh_row


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
def gradient(u, N, d, theta, g, y, net):  # type: ignore[no-untyped-def]
    """The loss and, in g, its gradient.

    Rows of u, each N numbers: inputs, then outputs, gradients in front of tanh and the neurons.
    """
    inputs, weights, biases, outputs, constant = net
    s, m = weights.shape
    n, f = len(y), np.uint64(d) * N
    q, first = f + N, f + N + N
    z = first
    for k in range(m):
        fill(u, N, z, theta[biases[k]] if len(biases) else 0.0)
        i = 0
        while i + 4 <= s:
            v0, v1 = inputs[i, k] * N, inputs[i + 1, k] * N
            v2, v3 = inputs[i + 2, k] * N, inputs[i + 3, k] * N
            c0, c1, c2, c3 = (
                theta[weights[i, k]], theta[weights[i + 1, k]], theta[weights[i + 2, k]], theta[weights[i + 3, k]]
            )  # fmt: skip
            add4(u, N, z, v0, v1, v2, v3, c0, c1, c2, c3)
            i += 4
        while i < s:
            add1(u, N, z, inputs[i, k] * N, theta[weights[i, k]])
            i += 1
        z += N
    tanh_row(u, z - first, first)
    fill(u, N, f, 0.0)
    combine(u, N, f, first, N, theta[np.int64(outputs[0]) :], m)  # output weights are neighbours
    loss, total = residuals(u, f, n, y, theta[constant] if constant >= 0 else 0.0)
    for j in range(n, np.int64(N)):
        u[np.int64(f) + j] = 0.0
    g[:] = 0
    z = first
    for k in range(m):
        outer, inner = tanh_gradient(u, N, q, z, f, theta[outputs[k]])
        z += N
        g[outputs[k]] += outer
        if len(biases):
            g[biases[k]] += inner
        i = 0
        while i + 4 <= s:
            v0, v1 = inputs[i, k] * N, inputs[i + 1, k] * N
            v2, v3 = inputs[i + 2, k] * N, inputs[i + 3, k] * N
            g0, g1, g2, g3 = dot4(u, N, q, v0, v1, v2, v3)
            g[weights[i, k]] += g0
            g[weights[i + 1, k]] += g1
            g[weights[i + 2, k]] += g2
            g[weights[i + 3, k]] += g3
            i += 4
        while i < s:
            g[weights[i, k]] += dot1(u, N, q, inputs[i, k] * N)
            i += 1
    if constant >= 0:
        g[constant] += total
    return loss


@njit()
def update(theta, g, first, second, t, adam, rate, decay):  # type: ignore[no-untyped-def]
    """Step t of gradient descent or of Adam, as torch takes it; weight decay is added to the gradient."""
    for i in range(len(theta)):
        slope = g[i] + decay * theta[i]
        if adam:
            first[i] = 0.9 * first[i] + 0.1 * slope
            second[i] = 0.999 * second[i] + 0.001 * slope * slope
            root = np.sqrt(second[i]) / np.sqrt(1 - 0.999**t) + 1e-8
            theta[i] -= rate / (1 - 0.9**t) * first[i] / root
        else:
            theta[i] -= rate * slope


@njit()
def train(theta, X, y, net, rule, marks, shots):  # type: ignore[no-untyped-def]
    """Steps until the loss is below a tolerance, is not finite, or all steps are taken.

    ``theta (M,)`` is changed in place; ``X (d, n)``; ``rule`` is (adam, rate, decay, tolerance, steps); weights are
    noted at ``marks``, ascending, in ``shots``. Returns steps taken, the loss after them and the loss when nine tenths
    of all steps were taken.
    """
    adam, rate, decay, tolerance, steps = rule
    d, n, m = len(X), len(y), len(net[3])
    length = -(-n // VECTOR) * VECTOR
    u = np.zeros(length * (d + 2 + m))
    g, first, second = np.zeros(len(theta)), np.zeros(len(theta)), np.zeros(len(theta))
    for i in range(d):
        assign(u[i * length : i * length + n], X[i])
    earlier, noted, t = np.nan, 0, 0
    while True:
        loss = gradient(u, np.uint64(length), d, theta, g, y, net)
        if noted < len(marks) and t == marks[noted]:
            assign(shots[noted], theta)
            noted += 1
        if t == steps - steps // 10:
            earlier = loss
        if t == steps or loss < tolerance or not np.isfinite(loss):
            return t, loss, earlier
        t += 1
        update(theta, g, first, second, t, adam, rate, decay)
