"""Two-layer ReLU networks on a line whose kinks stay away from the data: one linear map per side.

A network f(x) = c + sum_i w_i max(a_i x + b_i, 0) is trained on points x_j with shares nu_j. As long as every kink
-b_i/a_i lies closer to 0 than every point, the neurons with a_i > 0 are active on exactly the points x_j > 0 and
those with a_i < 0 on the others. With p_s, q_s slope and intercept of f on side s, and

    r_s = sum_j nu_j x_j (y_j - p_s x_j - q_s),   s_s = sum_j nu_j (y_j - p_s x_j - q_s)   (over the side's points)

a gradient step of size h is a <- a + h r w, b <- b + h s w, w <- w + h (r a + s b), c <- c + h (s_+ + s_-): the
same linear map for all neurons of a side. All of them are followed by following a basis of the space they span
(two vectors where all biases start at zero) and the second moments of their coordinates.

Whether some kink has reached a point is decided by few neurons. |b| < reach * a is a convex condition on (a, b, w),
so that it holds for all neurons if it holds for the vertices of the convex hull of (b/a, w/a): with zero
biases, for the neurons with the smallest and the largest w/a. The same test sees a neuron whose a changes sign.

**Source**: holzmuller2022training, Prop. C.2 and C.5, Rem. D.1; the test by vertices is derived here.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, whole
from .compiled import njit


class Outcome(IntEnum):
    """How a training of networks on a line has ended; 0 to 5 are the published code's numbers."""

    LEFT = -1  # neurons have left their side: not an end, it must be found out whether a kink has stopped at a point
    UNFINISHED = 0
    X_DEGENERATE = 1  # a side has at most one point
    A_DEGENERATE = 2  # a side has no neurons
    CROSSED = 3
    CONVERGED = 4
    STOPPED = 5
    DIVERGED = 6
    UNKNOWN = 7  # it depends on neurons that are not listed


# Compiled code reads plain numbers.
LEFT, UNFINISHED, CROSSED, CONVERGED, STOPPED, DIVERGED = (
    int(Outcome[name]) for name in ("LEFT", "UNFINISHED", "CROSSED", "CONVERGED", "STOPPED", "DIVERGED")
)

# A step may be contracted to fused multiply-adds; sums keep their order, whatever stands beside a network.
FAST = {"contract"}


class Sides(NamedTuple):
    """What gradient descent sees of weighted points, by side (first x > 0, then x < 0).

    ``M (B, 2, 3)`` holds sum nu x^2, sum nu x, sum nu; ``u (B, 2, 2)`` sum nu x y, sum nu y; ``square (B, 2)`` sum nu
    y^2; ``reach (B,)`` the smallest |x|, whatever its share; ``points (B, 2)`` how many different points with a share.
    """

    M: np.ndarray
    u: np.ndarray
    square: np.ndarray
    reach: np.ndarray
    points: np.ndarray


@checked(x=array("points", "B n"), y=array("labels", "B n"), weights=array("shares of the points", "B n"))
def split(x: np.ndarray, y: np.ndarray, weights: np.ndarray) -> Sides:
    """The moments of each side.

    Parameters
    ----------
    x, y, weights : (B, n) arrays; no x is 0
    """
    sides = np.stack([x > 0, x < 0], axis=1)  # (B, 2, n)
    nu = weights[:, None] * sides
    x_, y_ = x[:, None], y[:, None]
    M = np.stack([(nu * x_**2).sum(2), (nu * x_).sum(2), nu.sum(2)], axis=2)
    u = np.stack([(nu * x_ * y_).sum(2), (nu * y_).sum(2)], axis=2)
    here = np.sort(np.where(nu > 0, x_, np.inf), axis=2)
    points = ((here[..., 1:] > here[..., :-1]) & np.isfinite(here[..., 1:])).sum(2) + np.isfinite(here[..., 0])
    return Sides(M, u, (nu * y_**2).sum(2), np.abs(x).min(1), points)


class Neurons(NamedTuple):
    """Neurons that start without biases, by side (first a > 0, then a < 0).

    ``T (B, 2, 2, 2)`` are the sums over a side of (a, w)^T (a, w). ``ends (B, 2, K, 2)`` are neurons (a, w) in order
    of w/a: all of a side where it has at most K, else K/2 from either end. ``known`` and ``size (B, 2)`` say how many
    are listed and how many there are.
    """

    T: np.ndarray
    ends: np.ndarray
    known: np.ndarray
    size: np.ndarray


@checked(a=array("slopes", "B m"), w=array("output weights", "B m"), keep=whole("neurons listed", "[2, inf)"))
def gather(a: np.ndarray, w: np.ndarray, keep: int = 16) -> Neurons:
    """Moments and ends of the neurons of each side.

    Parameters
    ----------
    a, w : (B, m) arrays; a neuron with a = 0 is active nowhere or everywhere and belongs to no side
    keep : how many neurons of a side to list, even
    """
    B = len(a)
    T, ends = np.zeros((B, 2, 2, 2)), np.zeros((B, 2, keep, 2))
    known, size = np.zeros((B, 2), np.int64), np.zeros((B, 2), np.int64)
    _gather(np.ascontiguousarray(a), np.ascontiguousarray(w), T, ends, known, size)
    return Neurons(T, ends, known, size)


@njit()
def _gather(a, w, T, ends, known, size):  # type: ignore[no-untyped-def]
    half = ends.shape[2] // 2
    low, high = np.empty((2, half, 3)), np.empty((2, half, 3))  # ratio, a, w, sorted from the end inwards
    for net in range(a.shape[0]):
        for s in range(2):
            for i in range(half):
                low[s, i, 0], high[s, i, 0] = np.inf, -np.inf
        for i in range(a.shape[1]):
            s = 0 if a[net, i] > 0 else 1
            if a[net, i] == 0:
                continue
            T[net, s, 0, 0] += a[net, i] * a[net, i]
            T[net, s, 0, 1] += a[net, i] * w[net, i]
            T[net, s, 1, 1] += w[net, i] * w[net, i]
            size[net, s] += 1
            ratio = w[net, i] / a[net, i]
            if ratio < low[s, half - 1, 0]:
                # What falls off the lower list may still belong to the upper one of a small side.
                ratio, x, y = _insert(low, s, ratio, a[net, i], w[net, i], 1.0)
            else:
                x, y = a[net, i], w[net, i]
            if ratio > high[s, half - 1, 0] and np.isfinite(ratio):
                _insert(high, s, ratio, x, y, -1.0)
        for s in range(2):
            T[net, s, 1, 0] = T[net, s, 0, 1]
            lower = min(size[net, s], half)
            upper = min(size[net, s] - lower, half)
            known[net, s] = lower + upper
            for j in range(2):
                for i in range(lower):
                    ends[net, s, i, j] = low[s, i, 1 + j]
                for i in range(upper):
                    ends[net, s, lower + i, j] = high[s, upper - 1 - i, 1 + j]


@njit()
def _insert(lists, s, ratio, a, w, sign):  # type: ignore[no-untyped-def]
    """Put a neuron into a sorted list; what falls off the list is returned."""
    i = lists.shape[1] - 1
    off = lists[s, i, 0], lists[s, i, 1], lists[s, i, 2]
    while i > 0 and sign * lists[s, i - 1, 0] > sign * ratio:
        for j in range(3):
            lists[s, i, j] = lists[s, i - 1, j]
        i -= 1
    lists[s, i, 0], lists[s, i, 1], lists[s, i, 2] = ratio, a, w
    return off


# -------------------------------------------------------------------------------------- one network, step by step


class Group(NamedTuple):
    """One network, followed by side.

    ``basis (2, 3, k)`` holds k vectors (a, b, w) per side; ``T (2, k, k)`` second moments of the neurons' coordinates
    in it; ``c (1,)``; ``watched (V, k)`` coordinates of the neurons that decide, on sides ``side (V,)``; ``singles (S,
    3)`` neurons that have changed side, followed apart; ``kink (1,)`` the largest \\|b/a\\| so far.
    """

    basis: np.ndarray
    T: np.ndarray
    c: np.ndarray
    watched: np.ndarray
    side: np.ndarray
    singles: np.ndarray
    kink: np.ndarray


@njit(fastmath=FAST)
def line(basis, T, c, singles, s):  # type: ignore[no-untyped-def]
    """Slope and intercept of the network on one side."""
    k = basis.shape[2]
    p, q = 0.0, c
    for i in range(k):
        t = 0.0
        for j in range(k):
            t += T[s, i, j] * basis[s, 2, j]
        p += t * basis[s, 0, i]
        q += t * basis[s, 1, i]
    for i in range(len(singles)):
        if (singles[i, 0] > 0) == (s == 0):
            p += singles[i, 2] * singles[i, 0]
            q += singles[i, 2] * singles[i, 1]
    return p, q


@njit(fastmath=FAST)
def pull(M, u, row, s, p, q):  # type: ignore[no-untyped-def]
    """r and s of side s, from one row of moments and the side's line."""
    slope = u[row, s, 0] - M[row, s, 0] * p - M[row, s, 1] * q
    return slope, u[row, s, 1] - M[row, s, 1] * p - M[row, s, 2] * q


@njit(fastmath=FAST)
def _turn(basis, group, r, s):  # type: ignore[no-untyped-def]
    for i in range(basis.shape[2]):
        a, b, w = basis[group, 0, i], basis[group, 1, i], basis[group, 2, i]
        basis[group, 0, i], basis[group, 1, i], basis[group, 2, i] = a + r * w, b + s * w, w + r * a + s * b


@njit(fastmath=FAST)
def _largest(group, reach):  # type: ignore[no-untyped-def]
    """The largest kink of the neurons that decide; inf where one has left its side."""
    kink = 0.0
    for v in range(len(group.side)):
        s, a, b = group.side[v], 0.0, 0.0
        for i in range(group.watched.shape[1]):
            a += group.basis[s, 0, i] * group.watched[v, i]
            b += group.basis[s, 1, i] * group.watched[v, i]
        if s == 1:
            a = -a
        if not abs(b) < reach * a:
            return np.inf
        kink = max(kink, abs(b) / a)
    return kink


@njit(fastmath=FAST)
def step(group, M, u, row, h):  # type: ignore[no-untyped-def]
    """One step in place; whether all is finite."""
    basis, singles, c = group.basis, group.singles, group.c
    p, q = line(basis, group.T, c[0], singles, 0)
    r0, s0 = pull(M, u, row, 0, p, q)
    p, q = line(basis, group.T, c[0], singles, 1)
    r1, s1 = pull(M, u, row, 1, p, q)
    for i in range(len(singles)):
        r, s = (h * r0, h * s0) if singles[i, 0] > 0 else (h * r1, h * s1)
        a, b, w = singles[i, 0], singles[i, 1], singles[i, 2]
        singles[i, 0], singles[i, 1], singles[i, 2] = a + r * w, b + s * w, w + r * a + s * b
    _turn(basis, 0, h * r0, h * s0)
    _turn(basis, 1, h * r1, h * s1)
    c[0] += h * (s0 + s1)
    return np.isfinite(c[0] + r0 + r1)


@njit(fastmath=FAST)
def advance(group, M, u, h, reach, steps):  # type: ignore[no-untyped-def]
    """Up to `steps` steps in place; how it ended, and after how many steps.

    The end is `UNFINISHED` after all steps, `LEFT` once a watched neuron has left its side, `CROSSED` once a single has
    reached a point, or `DIVERGED`.

    ``M (R, 2, 3)`` and ``u (R, 2, 2)`` are used in turn: one row for gradient descent, one per step for minibatches.
    """
    for k in range(steps):
        if not step(group, M, u, k % len(M), h):
            return DIVERGED, k + 1
        kink = _largest(group, reach)
        if kink == np.inf:
            return LEFT, k + 1
        for i in range(len(group.singles)):
            kink = max(kink, abs(group.singles[i, 1] / group.singles[i, 0]))
        if kink > group.kink[0]:
            group.kink[0] = kink
        if not kink < reach:
            return CROSSED, k + 1
    return UNFINISHED, steps


@njit(fastmath=FAST)
def track(group, M, u, h, reach, steps, outer, side, moved):  # type: ignore[no-untyped-def]
    """`advance` without singles that keeps the largest movement of any neuron since the start, ``moved (4,)``.

    They are \\|a - a(0)\\|, \\|b\\|, \\|w - w(0)\\| and \\|c\\|. Each is linear in (a(0), w(0)): the vertices of
    the convex hull of these pairs, ``outer (V, 2)`` on sides ``side (V,)``, decide.
    """
    basis = group.basis
    for k in range(steps):
        if not step(group, M, u, 0, h):
            return DIVERGED, k + 1
        kink = _largest(group, reach)
        if kink == np.inf:
            return LEFT, k + 1
        group.kink[0] = max(group.kink[0], kink)
        for v in range(len(side)):
            s, a, w = side[v], outer[v, 0], outer[v, 1]
            moved[0] = max(moved[0], abs((basis[s, 0, 0] - 1) * a + basis[s, 0, 1] * w))
            moved[1] = max(moved[1], abs(basis[s, 1, 0] * a + basis[s, 1, 1] * w))
            moved[2] = max(moved[2], abs(basis[s, 2, 0] * a + (basis[s, 2, 1] - 1) * w))
        moved[3] = max(moved[3], abs(group.c[0]))
    return UNFINISHED, steps
