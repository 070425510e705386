"""What is known in closed form of gradient flow on orthogonal inputs x_1 ... x_n; derived here if no source is named.

Along coordinate x_k / |x_k| a neuron moves only while it is active on x_k. While outputs are negligible its weights
follow w' = a D_A, a' = <w, D_A>, with D_A = (1/n) sum_{k in A} y_k x_k over the set A of points on which it is active.
A balanced neuron of sign s leaves the points with s y_k < 0 in finite time, and stays on the others.
"""

from __future__ import annotations

import numpy as np

from smallnets.arguments import array, checked, number, pattern, whole


def classes(y: np.ndarray) -> np.ndarray:
    """Which points have positive, which negative labels, ``(2, n)``; y (n,)."""
    return np.stack([y > 0, y < 0])


@checked(X=array("points", "n d"), y=array("labels", "n"), members=pattern("which points", "n | k n"))
def direction(X: np.ndarray, y: np.ndarray, members: np.ndarray) -> np.ndarray:
    """D_A = (1/n) sum_{k in A} y_k x_k, ``(..., d)``; X (n, d), y (n,), members (..., n) of booleans."""
    return (members * y) @ X / len(y)


def rates(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """|D+| and |D-|, at which extremal neurons grow, ``(2,)``."""
    return np.linalg.norm(direction(X, y, classes(y)), axis=1)


def ahead(X: np.ndarray, y: np.ndarray) -> int:
    """The sign of the labels that are fitted first: those with the larger |D|."""
    positive, negative = rates(X, y)
    return 1 if positive > negative else -1


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d", empty=True),
    a=array("output weights", "m", empty=True),
)
def extremal(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> np.ndarray:
    """S+ and S-: neurons of a class's sign that are active on all of its points, ``(2, m)``; W (m, d), a (m,).

    **Source**: boursier2022gradient; the wording is unverified. Differs: active means <w, x> > 0, as max'(0) = 0.
    """
    on = W @ X.T > 0
    return np.stack([(sign * a > 0) & on[:, own].all(1) for sign, own in zip((1, -1), classes(y), strict=True)])


@checked(points=array("positive labels", "| k | k l", interval="[0, inf)"), m=number("neurons", "[0, inf)"))
def none_extremal_probability(points: np.ndarray, m: int) -> np.ndarray:
    """Probability that S+ is empty, (1 - 2^-(n_+ + 1))^m, for n_+ positive labels; of any shape. Likewise for S-."""
    return (1 - 0.5 ** (np.asarray(points) + 1)) ** m


@checked(positive=whole("positive labels"), negative=whole("negative labels"), m=number("neurons", "[0, inf)"))
def both_extremal_probability(positive: int, negative: int, m: float) -> float:
    """Probability that neither S+ nor S- is empty: neurons are independent, and none is in both."""
    p, q = 0.5 ** (positive + 1), 0.5 ** (negative + 1)
    return 1 - (1 - p) ** m - (1 - q) ** m + (1 - p - q) ** m


def half_width(n: float) -> float:
    """The width at which both S+ and S- are there with probability one half, for n labels of alternating sign."""
    from scipy.optimize import brentq

    positive, negative = (int(n) + 1) // 2, int(n) // 2
    wide = 4 * 2.0 ** (positive + 1)  # where either is missing with probability e^-4 at most
    return float(brentq(lambda m: both_extremal_probability(positive, negative, m) - 0.5, 1, wide, xtol=1e-12))


@checked(
    t=array("times", "| k"),
    end=number("limit", "(0, inf)"),
    begin=number("value at time 0", "(0, inf)"),
    rate=number("rate of growth", "[0, inf)"),
)
def logistic(t: np.ndarray, end: float, begin: float, rate: float) -> np.ndarray:
    """The bundle sum a_j |w_j| of a class with one point: q* / (1 + (q*/q0 - 1) e^{-2 |D| t}), q* = |y| / |x|."""
    return end / (1 + (end / begin - 1) * np.exp(-2 * rate * np.asarray(t)))


@checked(y=array("labels", "n"), first=whole("sign of the labels that are fitted first", "[-1, 1]"))
def plateaus(y: np.ndarray, first: int) -> np.ndarray:
    """Mean squared errors at the saddles: nothing fitted, the labels of sign `first` fitted, all fitted."""
    return np.array([np.mean(y**2), np.sum(y[first * y < 0] ** 2) / len(y), 0.0])


@checked(X=array("points", "n d"), y=array("labels", "n"))
def ends(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """w+ and w-: sums of |y_k| x_k / |x_k|² over the positive and the negative labels, ``(2, d)``.

    The interpolator of least norm is max(0, <w+, x>) - max(0, <w-, x>).
    """
    share = np.abs(y) / (X**2).sum(1)
    return (classes(y) * share) @ X


@checked(X=array("points", "n d"), y=array("labels", "n"))
def minimum_norm(X: np.ndarray, y: np.ndarray) -> float:
    """The least |theta|²/2 of an interpolator, or its minimum variation norm: sums of y_k²/|x_k|² over the positive and
    over the negative labels, their square roots added. That is |w+| + |w-|.

    sum |a_j| |w_j| over neurons of one sign is at least the norm of the vector of their outputs / |x_k|, and those of
    the positive neurons cover the positive labels. Inputs that are not orthogonal can do with less or need more.
    """
    return float(np.sqrt(classes(y) @ (y**2 / (X**2).sum(1))).sum())


@checked(ratio=number("ratio of two rates", "[0, inf)"))
def excess_exponent(ratio: float) -> float:
    """The power of λ by which |theta|²/2 exceeds its minimum, 2 (1 - |D_A| / |D|), for the largest such ratio.

    Neurons that are active on a part A of a class grow until the class is fitted, and keep that share of it.
    """
    return 2 * (1 - ratio)
