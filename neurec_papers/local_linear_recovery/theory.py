"""Ranks and sample sizes in closed form."""

from __future__ import annotations

import numpy as np

from neurec_core.params import BadInput
from smallnets.arguments import array, checked, choice, whole

ARCHITECTURES = ("fc", "ns", "ws")


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


@checked(r=array("ranks", "| k | k l", interval="[0, inf)"), d=whole("size of the matrix", "[1, inf)"))
def matrix_rank_size(r: np.ndarray, d: int = 4) -> np.ndarray:
    """The model rank 2 r d - r^2 of a d x d matrix of rank r under factorisation: its optimistic sample size."""
    return 2 * r * d - r**2
