"""What the experiments on the six points share: their parameters, the points and the shares of them."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_core.params import Params, param

from . import published
from .common import POINTS, X_SIX, Y_SIX

WIDEST_DRAWN = 2**22
# What may be spent on the crowd, in steps of a network: some tenths of a second.
BUDGET = {"gd": 7e7, "sgd": 6e5, "adam": 1.5e6}
FEWEST = {"gd": 8, "sgd": 1, "adam": 1}  # eight are stepped side by side
TYPICAL = {"gd": 180, "sgd": 0, "adam": 0}  # steps of a training, in units of m
DRAWN = 4096  # widths up to which every weight is drawn
SHIFT = param(0.0, "shift of all labels", symbol="Δ", ge=-10, le=10, slider=(0, 0.1, 0.01))
INTERVAL = param(1000, "steps between two checks", ge=1, le=1_000_000)


class Training(Params):
    """Two-layer ReLU networks without biases at the start, trained on the six points until a criterion is met."""

    m: int = param(64, "hidden neurons", ge=2, le=1_000_000_000, slider=(16, 2**20, 2), geometric=True)
    shift: float = SHIFT
    optimizer: Literal["gd", "sgd", "adam"] = param("gd", "optimiser; minibatches of 16 but for gd")
    step_rule: Literal["spectral", "per_width"] = param("spectral", "step size in units of 1/λmax(H) or of 1/m")
    step: float = param(1.0, "step size", symbol="h", unit="of the rule", gt=0, le=1e3, slider=(0.05, 1, 0.05))
    criterion: Literal["sufficient", "early_stopping", "both", "limit"] = param("sufficient", "when training ends")
    constant: Literal["sharp", "published"] = param("sharp", "eigenvectors' weight in the sufficient condition")
    init: Literal["he", "swapped"] = param("he", "variances of a and w: 2 and 2/m, or swapped")
    weights: Literal["multinomial", "uniform"] = param("multinomial", "shares of the six points", symbol="ν")
    n: int | None = POINTS
    rng: Literal["addressed", "published", "law"] = param("addressed", "where random numbers come from")
    interval: int = INTERVAL
    limit: int = param(1_000_000, "most steps", ge=1, le=1_000_000_000)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.criterion in ("sufficient", "both") and self.optimizer != "gd":
            raise ValueError(
                f"criterion (when training ends) must be early_stopping or limit where optimizer is {self.optimizer}, "
                f"got {self.criterion!r}: the sufficient condition is one on full gradient steps"
            )
        if self.limit % self.interval:
            raise ValueError(f"limit (most steps) must be a multiple of interval = {self.interval}, got {self.limit}")
        if self.n is None and self.m**2 > 4e18:
            raise ValueError(f"n (training points) must be given for m > 2e9, got m = {self.m}")
        self._check_rng()
        return self

    def _check_rng(self) -> None:
        if self.rng == "addressed" and self.m > WIDEST_DRAWN:
            raise ValueError(f"rng (random numbers) must be law for m > {WIDEST_DRAWN}, got 'addressed'")
        if self.rng == "law" and (self.optimizer == "adam" or self.m < 256):
            raise ValueError(
                "rng (random numbers) = law needs m >= 256 and gd or sgd: Adam moves each neuron its own way"
            )
        if self.rng == "published" and (self.m not in published.WIDTHS or self.n or self.weights == "uniform"):
            widths = ", ".join(map(str, published.WIDTHS))
            raise ValueError(f"rng (random numbers) = published needs m in {widths}, n = none, weights = multinomial")


def sample(params: Training, draws: Draws) -> Problem:
    """The six points of Example 1, their labels shifted; each network has its own shares of them."""
    from . import initial

    B = len(draws)
    X, y = np.tile(X_SIX[:, None], (B, 1, 1)), np.tile(Y_SIX + params.shift, (B, 1))
    return Problem(X, y, weights=initial.shares(params, draws, "weights"))


class MovementExponents(Params):
    """Gradient descent with h = step/λmax(H) from He et al.'s initialisation, until no kink will ever reach a point."""

    m: int = param(256, "hidden neurons", ge=2, le=2**20, slider=(16, 2**14, 2), geometric=True)
    shift: float = SHIFT
    step: float = param(1.0, "step size", symbol="h", unit="1/λmax(H)", gt=0, le=1, slider=(0.05, 1, 0.05))
    interval: int = INTERVAL
    limit: int = param(1_000_000_000, "most steps", ge=1, le=1_000_000_000_000)

    def training(self) -> Training:
        """The same as parameters of the Monte-Carlo experiment."""
        return Training(m=self.m, shift=self.shift, step=self.step)


class Instance(Training):
    """A crowd of networks is trained, and the first of them is followed from step to step."""

    networks: int = param(1000, "networks at most", ge=1, le=100_000, slider=(100, 1000, 100))
    limit: int = param(1_000_000_000, "most steps", ge=1, le=1_000_000_000)

    @model_validator(mode="before")
    @classmethod
    def _by_law(cls, values: Any) -> Any:
        # Beyond some width a crowd is drawn by its law, so that the slider can go on.
        wide = isinstance(values, dict) and isinstance(values.get("m"), int) and values["m"] > DRAWN
        return {**values, "rng": "law"} if wide and values.get("rng", "addressed") == "addressed" else values

    @property
    def crowd(self) -> int:
        """How many networks are trained: fewer where each takes long."""
        steps = 15_000 + TYPICAL[self.optimizer] * self.m
        cost = steps * (1 + self.m / 64 if self.optimizer == "adam" else 1)
        return int(min(self.networks, max(BUDGET[self.optimizer] // cost, FEWEST[self.optimizer])))
