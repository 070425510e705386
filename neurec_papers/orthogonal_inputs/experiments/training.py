"""What the experiments share: the citation, how training begins and goes on, and measures of its end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Replay
from neurec_core.params import Params, param

CITATION = (
    "Boursier, Pillaud-Vivien and Flammarion, Gradient flow dynamics of shallow ReLU networks for square loss and "
    "orthogonal inputs, NeurIPS 2022 (arXiv 2206.00939)"
)
FITTED = 1e-8  # of the loss at the start: below it a network interpolates
SMALLEST = 1e-100  # scale of weights: squares of much smaller ones are rounded to 0

INTERPOLATED = Column("loss below 1e-8 of that at the start", "event")
LOSS = Column("mean squared error at the end", "measure", logarithmic=True, replay=Replay(0.01, floor=1e-20))
NORM = Column("|theta|²/2 at the end", "measure")
MINIMUM = Column("least |theta|²/2 of an interpolator of orthogonal inputs", "measure")
ACTIVE = Column("neurons active on a point at the end", "measure")
TAKEN = Column("steps taken", "measure", "steps", logarithmic=True)
ROUNDED = Replay(1e-3)  # steps taken where the last ones go where the loss is a rounding error
# How the iterations were taken, of `smallnets.descent.relu.Descent.spent`.
GROUPED = Column("share of steps taken by groups of neurons", "measure", replay=Replay(1e-3))


class GradientDescent(Params):
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


def start(
    params: GradientDescent, draws: Draws, d: int, stream: Callable[[int], Sequence[np.ndarray]] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Hidden weights (B, m, d) and output weights (B, m) at scale λ.

    The normal numbers of the hidden weights and the signs are the same for every λ, balance and variance.

    Parameters
    ----------
    stream : the published random numbers, ``trial -> (..., W, sign)`` at scale 1, where they are asked for
    """
    if stream:
        W, sign = map(np.stack, zip(*(stream(trial)[-2:] for trial in draws.trials), strict=True))
    else:
        counted = d - 1 if params.variance == "published" else d
        W = draws.normal("hidden", params.m, d) / (params.m * counted) ** 0.5
        sign = np.where(draws.uniform("sign", params.m) < 0.5, -1.0, 1.0)
    if params.balance == "balanced":
        return params.init * W, params.init * (np.linalg.norm(W, axis=-1) * sign)
    return params.init * W, params.init * (draws.normal("outer", params.m) / params.m**0.5)


def below(levels: Sequence[float], digits: int) -> dict[float, str]:
    """The column of each level of the loss, as a share of that at the start: ``below_75`` for 0.75 and two digits."""
    return {level: f"below_{level * 10**digits:0{digits}.0f}" for level in levels}


def crossings(names: dict[float, str]) -> dict[str, Column]:
    """When the loss first is below each level."""
    return {
        name: Column(f"loss below {level:g} of the start's", "measure", "steps", logarithmic=True, optional=True)
        for level, name in names.items()
    }
