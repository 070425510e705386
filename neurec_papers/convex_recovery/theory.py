"""Thresholds, probabilities and limits in closed form."""

from __future__ import annotations

import numpy as np
import scipy

from smallnets.arguments import array, checked, choice, whole


@checked(n=array("points", "|_|_ _", interval="[1, inf)"), d=array("dimension", "|_|_ _", interval="[1, inf)"))
def all_ones_probability(n: np.ndarray | int, d: np.ndarray | int) -> np.ndarray:
    """Probability that n points in general position, symmetric about 0, lie in one half-space.

    P = 2^-(n-1) sum_{k<d} C(n-1, k), which is exactly 1/2 at n = 2d.

    Parameters
    ----------
    n : points, >= 1
    d : dimension, >= 1

    **Source**: wendel1962problem.
    """
    from scipy.stats import binom  # the command line need not wait for it

    return binom.cdf(np.asarray(d) - 1, np.asarray(n) - 1, 0.5)


@checked(ratio=array("n/d", "|_|_ _", interval="(1, inf)"), plant=choice("plant", ("random", "smallest_singular")))
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


@checked(
    a=array("distances", "2|_ 2|_ _ 2", finite=False),
    s=array("inverse noise level", "|_|_ _", interval="(0, inf)"),
    size=whole("points in each cluster"),
)
def separation_probability(a: np.ndarray, s: np.ndarray | float, size: int) -> np.ndarray:
    """Probability that every point of two Gaussian clusters lies on its own side of a hyperplane.

    P = Phi(s a_1)^size Phi(s a_2)^size for centres at distances a_1, a_2 and noise of standard deviation 1/s.
    Two unit centres at angle arccos(rho), separated midway, have a_1 = a_2 = sqrt((1 - rho)/2).

    Parameters
    ----------
    a : (..., 2) array of distances; -inf where there is no hyperplane
    s : inverse noise level, > 0
    size : points in each cluster

    **Source**: derived here: the points' signed distances are independent normals.
    """
    return np.exp(size * scipy.special.log_ndtr(np.asarray(s)[..., None] * a).sum(axis=-1))


@checked(k=whole("neurons", "[1, inf)"))
def consistency_ratio(k: int) -> float:
    """n/d below which k ReLU neurons in general position cannot be separated: k / (1 - 2^-k).

    Only the points on which some neuron is active count, a share 1 - 2^-k of all, and k d of them are needed
    for [A_s1 .. A_sk] to have rank k d.

    **Source**: derived here.
    """
    return k / (1 - 2.0**-k)


@checked(n=array("points", "|_|_ _", interval="[1, inf)"), d=array("dimension", "|_|_ _", interval="[1, inf)"))
def active_points_probability(n: np.ndarray | int, d: np.ndarray | int) -> np.ndarray:
    """Probability that a random neuron is active on at least d of n points: P[Bin(n, 1/2) >= d].

    It is exactly 1/2 at n = 2d - 1 and 1/2 + C(2d, d) / 2^(2d+1) at n = 2d, where a tie counts. Over all patterns a
    single normalised neuron is the unique solution exactly then: with fewer points some adjacent pattern holds its
    output in its range.

    **Source**: derived here.
    """
    from scipy.stats import binom

    return binom.sf(np.asarray(d) - 1, np.asarray(n), 0.5)
