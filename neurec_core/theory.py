"""Thresholds, probabilities and limits in closed form."""

from __future__ import annotations

import numpy as np
from scipy.stats import binom, norm

from .arguments import array, checked, choice, whole
from .params import BadInput

ARCHITECTURES = ("fc", "ns", "ws")


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
    return np.exp(size * norm.logcdf(np.asarray(s)[..., None] * a).sum(axis=-1))


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
    return binom.sf(np.asarray(d) - 1, np.asarray(n), 0.5)


@checked(
    architecture=choice("architecture", ARCHITECTURES),
    d=whole("inputs", "[1, inf)"),
    s=whole("kernel size", "[1, inf)"),
    k=whole("kernels"),
    nulled=whole("output weights that are zero"),
)
def optimistic_sample_size(
    architecture: str,
    d: int,
    s: int,
    k: int,
    *,
    hidden_bias: bool = True,
    output_bias: bool = False,
    image: bool = False,
    nulled: int = 0,
) -> int:
    """Samples from which a two-layer tanh network determines, within a tangent hyperplane, a target of k kernels.

    It is the least rank of the tangent space over all parameters that express the target, whatever the network's
    width. With p = d + 1 - s positions and beta = 1 with hidden biases, 0 without, and with d^2, s^2 and p^2 in the
    place of d, s and p for images: k (s + beta + p) with weight sharing, p k (s + beta + 1) without, and
    p k (d + beta + 1) fully connected; 1 more with an output bias. Without weight sharing, a zero output weight
    takes its whole neuron away.

    Parameters
    ----------
    architecture : "ws" (a convolution), "ns" (without weight sharing) or "fc" (fully connected)
    d, s : inputs and kernel size; of an image, pixels per side; s in [1, d]
    k : kernels, >= 0, in general position: none is, up to sign, a shift of another with the same hidden bias
    hidden_bias, output_bias : which biases the network has
    image : whether inputs are d x d images and kernels s x s
    nulled : output weights that are zero, kernel by kernel; with weight sharing they count where all of a kernel's do

    **Source**: zhang2025local, Theorems 5 and 6, without hidden biases; zhang2022linear, caption of Table 4,
    with them; differs: zero output weights, which the theorems leave out, take s + beta + 1 or d + beta + 1 each
    (zhang2022linear has one less).
    """
    if s > d:
        raise BadInput(f"s (kernel size) must be a whole number in [1, {d}], got {s}")
    inputs, kernel, places = (size**2 if image else size for size in (d, s, d + 1 - s))
    fan_in = (inputs if architecture == "fc" else kernel) + hidden_bias
    if architecture == "ws":
        return (k - nulled // places) * (fan_in + places) + output_bias
    return (k * places - nulled) * (fan_in + 1) + output_bias


@checked(kernels=array("kernels", "K f"), maps=array("output weights", "K p"))
def point_rank(kernels: np.ndarray, maps: np.ndarray) -> int:
    """Rank of a two-layer tanh network's tangent space at given parameters, neurons at p positions sharing a kernel.

    Each class of kernels that are equal up to sign adds p, one for the output weight at each position, and the fan-in
    times the number of independent maps in it. Splitting a kernel into copies whose maps are not proportional hence
    raises the rank. Fully connected, p is 1; without weight sharing, the positions' ranks are added.

    Parameters
    ----------
    kernels : (K, fan-in) array, each row not zero except where its map is; biases are entries like others
    maps : (K, p) array of output weights at the positions

    **Source**: zhang2025local, rank stratification; holds where no kernel is a shift of another.
    """
    lead = np.take_along_axis(kernels, (kernels != 0).argmax(axis=1)[:, None], axis=1)
    signed, used = kernels * np.where(lead < 0, -1, 1) + 0.0, kernels.any(axis=1)
    classes = np.unique(signed[used], axis=0)
    spans = [np.linalg.matrix_rank(maps[used & (signed == one).all(axis=1)]) for one in classes]
    return int(kernels.shape[1] * sum(spans) + maps.shape[1] * len(classes))


@checked(r=whole("distinct weights"), m=whole("neurons"), m0=whole("target's neurons"), weights=whole("a neuron's"))
def separation_sample_size(r: int, m: int, m0: int, weights: int) -> int:
    """Samples from which global minima of two-layer tanh networks are separated from other minima: r + (m + m0 - r) D.

    Parameters
    ----------
    r : distinct input weights among the m neurons, in [m0, m]; fewer of them ask for more samples
    m, m0 : neurons of the network and of the target
    weights : D, weights of a neuron with its bias, without its output weight

    **Source**: zhang2023geometry, Lemma 4.2.
    """
    return r + (m + m0 - r) * weights


@checked(b=array("common coordinate", "|_|_ _", interval="(0, inf)"))
def margin_above(b: np.ndarray | float) -> np.ndarray:
    """cos(chi_2, chi_3) - sin(chi_2, v) of `data.points_above`, which is M from b = 8 on.

    (b - 1)/(b + 1) - sqrt(1 - (9/25) b/(b + 1)).

    Parameters
    ----------
    b : > 0; the sign changes at 91/9

    **Source**: chistikov2023learning, its family with M > 0 beside Theorem 8.
    """
    b = np.asarray(b, float)
    return (b - 1) / (b + 1) - np.sqrt(1 - 0.36 * b / (b + 1))
