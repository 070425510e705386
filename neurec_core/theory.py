"""Thresholds, probabilities and limits in closed form."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom


def all_ones_probability(n: np.ndarray | int, d: np.ndarray | int) -> np.ndarray:
    """Probability that n points in general position, symmetric about 0, lie in one half-space.

    P = 2^-(n-1) sum_{k<d} C(n-1, k), which is exactly 1/2 at n = 2d.

    Parameters
    ----------
    n : points, >= 1
    d : dimension, >= 1

    **Source**: wendel1962problem.
    """
    return binom.cdf(np.asarray(d) - 1, np.asarray(n) - 1, 0.5)


def isometry_mean_square(ratio: np.ndarray | float, plant: str) -> np.ndarray:
    """Mean square of ||X^T D_j X (X^T X)^-1 w|| over a random pattern, Gaussian X, n and d large.

    With r = d/n: 1/4 + r / (4 (1 - r)) for a random unit w, 1/4 + r / (4 (1 - sqrt(r))^2) for the
    direction of the smallest singular value. A pattern passes the isometry condition below 1.

    Parameters
    ----------
    ratio : n/d, > 1
    plant : "random" or "smallest_singular"

    **Source**: derived here: given X, a pattern's entries are close to independent fair coins, so that
    X^T D_j X is X^T X / 2 plus a fluctuation of size ||X (X^T X)^-1 w|| sqrt(d/n) / 2; Marchenko-Pastur
    gives the norm.
    """
    r = 1 / np.asarray(ratio, float)
    spread = {"random": 1 - r, "smallest_singular": (1 - np.sqrt(r)) ** 2}[plant]
    return 0.25 + r / (4 * spread)
