"""What experiments share: the citation, and the parameters of networks that are trained on the six points."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import model_validator

from neurec_core.params import Params, param

from .. import published

CITATION = (
    "Holzmüller and Steinwart, Training Two-Layer ReLU Networks with Gradient Descent is Inconsistent, "
    "JMLR 23(181), 1-82, 2022 (arXiv 2002.04861)"
)
POINTS = param(None, "training points (none: m²)", ge=1, le=4_000_000_000_000_000_000)
WIDEST_DRAWN = 2**22
SHIFT = param(0.0, "shift of all labels", symbol="Δ", ge=-10, le=10, slider=(0, 0.1, 0.01))
INTERVAL = param(1000, "steps between two checks", ge=1, le=1_000_000)


class CrossingProbability(Params):
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
