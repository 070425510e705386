"""How the nets of the comparison start: two places for the scale, many laws of the first layer's biases.

All laws read the same random numbers, and both parametrisations the same directions: a pair of settings differs
in nothing but what its names say.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from neurec_core.draws import Draws


class Start(NamedTuple):
    """f(x) = c + alpha_2 sum_i w_i relu(alpha_1 <a_i, x> + b_i): ``a (B, d, m)``, ``b, w (B, m)``, ``c (B,)``."""

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    c: np.ndarray
    scales: tuple[float, float]


class Fitted(NamedTuple):
    """What training ends with: the nets, and mean squared errors.

    ``train_loss (B,)`` is after the last step, ``losses (B, W, E)`` on the W samples watched, E times. What is
    not finite has diverged.
    """

    net: Start
    train_loss: np.ndarray
    losses: np.ndarray


class Given(NamedTuple):
    """What a law of the biases may read: the slopes scaled, alpha_1 a (B, d, m), the inputs, the randomness."""

    slopes: np.ndarray
    X: np.ndarray
    draws: Draws

    @property
    def m(self) -> int:
        """Hidden units."""
        return self.slopes.shape[2]

    def between(self, low: float, high: float) -> np.ndarray:
        """Uniform numbers, (B, m)."""
        return low + (high - low) * self.draws.uniform("b", self.m)

    def lengths(self) -> np.ndarray:
        """||alpha_1 a_i||, (B, m): a bias in units of it is a distance of the kink from the origin."""
        return np.linalg.norm(self.slopes, axis=1)

    def at_points(self, k: int) -> np.ndarray:
        """Pre-activations alpha_1 <a_i, x_J> at k points J of its own for each unit, (B, k, m)."""
        n = self.X.shape[1]
        chosen = np.minimum((n * self.draws.uniform("points", k, self.m)).astype(int), n - 1)
        trial = np.arange(len(self.X))[:, None, None]
        return np.einsum("bkmd,bdm->bkm", self.X[trial, chosen], self.slopes)

    def within_hull(self, k: int) -> np.ndarray:
        """A random convex combination of `at_points`, its weights uniform on the simplex, (B, m)."""
        shares = -np.log1p(-self.draws.uniform("shares", k, self.m))
        return (self.at_points(k) * shares).sum(1) / shares.sum(1)

    def extremes(self) -> tuple[np.ndarray, np.ndarray]:
        """Smallest and largest pre-activation of each unit, (B, m) each."""
        both = [(z.min(0), z.max(0)) for z in (X @ s for X, s in zip(self.X, self.slopes, strict=True))]
        low, high = zip(*both, strict=True)
        return np.stack(low), np.stack(high)


def _between_extremes(given: Given) -> np.ndarray:
    low, high = given.extremes()
    return -(low + (high - low) * given.between(0, 1))


BIASES: dict[str, Callable[[Given], np.ndarray]] = {
    "zero": lambda given: np.zeros((len(given.X), given.m)),
    "pytorch": lambda given: given.between(-1, 1) / given.X.shape[2] ** 0.5,
    "uniform": lambda given: given.between(-(6**0.5), 6**0.5),
    "uniform_positive": lambda given: given.between(0, 6**0.5),
    "uniform_negative": lambda given: given.between(-(6**0.5), 0),
    "kink_uniform_negative": lambda given: given.lengths() * given.between(-(3**0.5), 0),
    "kink_point_negative": lambda given: -np.abs(given.at_points(1)[:, 0]),
    "he5": lambda given: -given.within_hull(5),
    "he1": lambda given: -given.within_hull(1),
    "normal": lambda given: given.draws.normal("b", given.m),
    "narrow": lambda given: given.between(-(3**0.5), 3**0.5),
    "narrow_positive": lambda given: given.between(0, 3**0.5),
    "narrow_negative": lambda given: given.between(-(3**0.5), 0),
    "kink_uniform": lambda given: given.lengths() * given.between(-(3**0.5), 3**0.5),
    "kink_range": _between_extremes,
    "mean": lambda given: -np.einsum("bd,bdm->bm", given.X.mean(1), given.slopes),
}
"""The laws. "kink_point_negative" also turns the slope about where it falls towards its point."""


def start(X: np.ndarray, draws: Draws, width: int, *, parameterization: str, bias: str) -> Start:
    """Initial weights.

    "he": alpha_1 = alpha_2 = 1, a ~ N(0, 2/d), w ~ N(0, 2/m). "ntk": alpha_1 = sqrt(2/d), alpha_2 = sqrt(2/m),
    a, w ~ N(0, 1). Both are the same function where the biases are.

    Parameters
    ----------
    X : inputs as they are trained on, normalised, (B, n, d)
    draws : the randomness
    width : m
    parameterization : "he" or "ntk"
    bias : a key of `BIASES`

    **Source**: holzmuller2022training, Section 10 and its code: pytorch U(+-1/sqrt(d)), uniform U(+-sqrt(6)), narrow
    U(+-sqrt(3)), he5 is He+5, kink_uniform_negative U_k-, kink_point_negative X_k-; differs: there the settings
    share no random numbers.
    """
    d = X.shape[2]
    inner, outer = (2 / d) ** 0.5, (2 / width) ** 0.5
    a, w = draws.normal("a", d, width), draws.normal("w", width)
    given = Given(inner * a, X, draws)
    b = BIASES[bias](given)
    if bias == "kink_point_negative":
        a = np.where(given.at_points(1) < 0, -a, a)
    c = np.zeros(len(X))
    if parameterization == "he":
        return Start(inner * a, b, outer * w, c, (1.0, 1.0))
    return Start(a, b, w, c, (inner, outer))
