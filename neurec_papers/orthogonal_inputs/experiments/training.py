"""What the experiments share: the citation, how training begins and goes on."""

from __future__ import annotations

from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Replay
from neurec_core.params import Params, param

CITATION = (
    "Boursier, Pillaud-Vivien and Flammarion, Gradient flow dynamics of shallow ReLU networks for square loss and "
    "orthogonal inputs, NeurIPS 2022 (arXiv 2206.00939)"
)
SMALLEST = 1e-100  # scale of weights: squares of much smaller ones are rounded to 0

# How the iterations were taken, of `smallnets.descent.relu.Descended.spent`.
SHARES = {
    "held": Column("share of steps taken by groups of neurons", "measure", replay=Replay(1e-3)),
}


class Training(Params):
    """Full-batch gradient descent on the mean squared error, from small weights.

    All is computed in float64. The published code uses float32, in which losses end near 1e-10.
    """

    m: int = param(60, "hidden neurons", ge=1, le=100_000, slider=(1, 200, 1))
    init: float = param(
        1e-6, "scale of the weights at the start", symbol="λ", ge=SMALLEST, le=10, slider=(1e-10, 1, 10), geometric=True
    )
    balance: Literal["balanced", "unbalanced"] = param(
        "balanced", "output weights at the start: ±‖w‖, or normal of variance λ²/m"
    )
    variance: Literal["corrected", "published"] = param(
        "corrected", "variance of hidden weights: λ²/(m d), or λ²/(m (d - 1)), which leaves out a bias"
    )
    step: float = param(0.001, "step size", symbol="h", gt=0, le=10, slider=(0.001, 0.01, 0.001))
    steps: int = param(20_000, "most steps", ge=1, le=1_000_000_000)
    target: float = param(0.0, "mean squared error at which training ends", ge=0, le=1)


def start(params: Training, draws: Draws, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Hidden weights (B, m, d) and output weights (B, m) at scale λ.

    The normal numbers of the hidden weights and the signs are the same for every λ, balance and variance.
    """
    z, sign = draws.normal("hidden", params.m, d), np.where(draws.uniform("sign", params.m) < 0.5, -1.0, 1.0)
    counted = d - 1 if params.variance == "published" else d
    return scaled(params, z / (params.m * counted) ** 0.5, sign, draws.normal("outer", params.m))


def scaled(params: Training, W: np.ndarray, sign: np.ndarray, outer: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The start from hidden weights and signs of scale 1, and `outer` normals for an unbalanced one."""
    a = np.linalg.norm(W, axis=-1) * sign if params.balance == "balanced" else outer / params.m**0.5
    return params.init * W, params.init * a
