"""Compiled arithmetic on rows of one flat array: sums of multiples, products, and tanh.

A row is named by where it begins, unsigned. Views of arrays would be counted in and out at each call, and signed
indices checked for a count from the end; either takes longer than a row of eight numbers.
"""

from __future__ import annotations

from .compiled import njit

# Sums over points or neurons are reordered to fill the processor's vectors: always in the same way for one shape.
FAST = {"reassoc", "contract", "nsz", "arcp"}
VECTOR = 4  # rows come in whole vectors of the processor
LARGEST = 19.1  # beyond, tanh is 1 to rounding


@njit(inline="always")
def _ratio(z):  # type: ignore[no-untyped-def]
    """p, q with p/q close to tanh(z): the ninth convergent of Lambert's continued fraction."""
    v = z * z
    p = z * (34459425.0 + v * (4729725.0 + v * (135135.0 + v * (990.0 + v))))
    return p, 34459425.0 + v * (16216200.0 + v * (945945.0 + v * (13860.0 + v * 45.0)))


@njit(fastmath=FAST, error_model="numpy")
def tanh_row(u, n, z):  # type: ignore[no-untyped-def]
    """tanh of a row in place, to a relative error of some roundings at any size.

    tanh(2z) = 2pq / (p^2 + q^2) doubles the argument, twice. There is no exponential, which the compiler does not
    compute four at a time, and no difference that cancels near 0.
    """
    for j in range(n):
        p, q = _ratio(0.25 * min(max(u[z + j], -LARGEST), LARGEST))
        p, q = 2 * p * q, p * p + q * q
        u[z + j] = 2 * p * q / (p * p + q * q)


@njit(fastmath=FAST)
def add4(u, n, out, v0, v1, v2, v3, c0, c1, c2, c3):  # type: ignore[no-untyped-def]
    """Add multiples of four rows to the row `out`."""
    for j in range(n):
        u[out + j] += c0 * u[v0 + j] + c1 * u[v1 + j] + c2 * u[v2 + j] + c3 * u[v3 + j]


@njit(fastmath=FAST)
def add1(u, n, out, v, c):  # type: ignore[no-untyped-def]
    """Add a multiple of a row to the row `out`."""
    for j in range(n):
        u[out + j] += c * u[v + j]


@njit()
def fill(u, n, out, value):  # type: ignore[no-untyped-def]
    """Fill a row with one value."""
    for j in range(n):
        u[out + j] = value


@njit()
def combine(u, n, out, first, stride, c, k):  # type: ignore[no-untyped-def]
    """Add k rows, a stride apart, times the numbers in c, to the row `out`."""
    i = 0
    while i + 4 <= k:
        add4(
            u, n, out, first, first + stride, first + stride + stride, first + stride + stride + stride,
            c[i], c[i + 1], c[i + 2], c[i + 3],
        )  # fmt: skip
        first += stride + stride + stride + stride
        i += 4
    while i < k:
        add1(u, n, out, first, c[i])
        first += stride
        i += 1


@njit(fastmath=FAST)
def tanh_gradient(u, n, q, t, r, a):  # type: ignore[no-untyped-def]
    """Fill the row q with a r (1 - t^2), the gradient in front of tanh; returns the sums of q and of r t."""
    outer, inner = 0.0, 0.0
    for j in range(n):
        rt = u[r + j] * u[t + j]
        outer += rt
        one = a * (u[r + j] - rt * u[t + j])
        u[q + j] = one
        inner += one
    return outer, inner


@njit(fastmath=FAST)
def dot4(u, n, q, v0, v1, v2, v3):  # type: ignore[no-untyped-def]
    """Inner products of a row with four others."""
    g0, g1, g2, g3 = 0.0, 0.0, 0.0, 0.0
    for j in range(n):
        g0 += u[q + j] * u[v0 + j]
        g1 += u[q + j] * u[v1 + j]
        g2 += u[q + j] * u[v2 + j]
        g3 += u[q + j] * u[v3 + j]
    return g0, g1, g2, g3


@njit(fastmath=FAST)
def dot1(u, n, q, v):  # type: ignore[no-untyped-def]
    """The inner product of two rows."""
    total = 0.0
    for j in range(n):
        total += u[q + j] * u[v + j]
    return total
