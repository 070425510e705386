"""What several experiments share: parameters, grids and guides."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import field_validator, model_validator

from neurec_core.experiment import Guide
from neurec_core.params import Params, param
from smallnets.geometry import arrangements

from .. import theory
from ..engine import data
from ..engine.solutions import OWN

CITATION = (
    "Wang, Hua, Candes, Pilanci: Overparameterized ReLU Neural Networks Learn the Simplest Models: "
    "Neural Isometry and Exact Recovery. IEEE Trans. Inf. Theory 71(3), 2025. arXiv 2209.15265"
)

# ---------------------------------------------------------------------------------------------------- parameters

Design = Literal["gaussian", "cubic", "whitened", "whitened_cubic"]
Plant = Literal["random", "smallest_singular", "axis", "opposite"]
DIMENSION = param(20, "input dimension", ge=1, le=10_000, slider=(5, 100, 5))
NEURONS = param(1, "planted neurons", ge=1, le=100, slider=(1, 3, 1))
DESIGN = param("gaussian", "distribution of the inputs", symbol="X")
PLANT = param("random", "planted weights", symbol="w*")
GATES = param("sampled", "patterns offered: sampled, with others added on purpose, or all (small n, d)")
SIGMA = param(0.0, "noise level", symbol="σ", unit="‖z‖ ≈ σ", ge=0, le=1e3, slider=(0, 0.5, 0.05))


def check_planted(params: Any) -> None:
    """Refuse a plant that the model does not have, or not with that many neurons.

    Raises
    ------
    ValueError : "plant (planted weights) must be one of random, smallest_singular where model is skip, got axis"
    """
    model, plant, k = params.model, params.plant, getattr(params, "k", 1)
    if plant not in data.PLANTED[model]:
        allowed = f"one of {', '.join(data.PLANTED[model])} where model is {model}"
        raise ValueError(f"plant (planted weights) must be {allowed}, got {plant}")
    if model == "skip" and k != 1:
        raise ValueError(f"k (planted neurons) must be 1 where model is skip, got {k}")
    if plant == "opposite" and k != 2:
        raise ValueError(f"k (planted neurons) must be 2 where plant is opposite, got {k}")
    if plant == "axis" and k > params.d:
        raise ValueError(f"k (planted neurons) must be at most d = {params.d} where plant is axis, got {k}")


class PlantedParams(Params):
    """Parameters with a ``model`` and a ``plant`` that must go together."""

    @model_validator(mode="after")
    def _plantable(self) -> Self:
        check_planted(self)
        return self


class ConvexProgram(PlantedParams):
    """The data's shape, the patterns that a program is offered, and how it is solved."""

    n: int = param(60, "training points", ge=1, le=100_000, slider=(10, 400, 10))
    d: int = DIMENSION
    design: Design = DESIGN
    gates: Literal["sampled", "adjacent", "adversarial", "all"] = GATES
    patterns: int | None = param(
        None, "sampled gate directions (none: max(n, 50), as published)", symbol="m", ge=1, le=1_000_000
    )
    program: Literal["relaxed", "exact"] = param("relaxed", "gates alone (relaxed) or ReLU neurons (exact)")
    solver: str = param(OWN, "newton (ours, with proof) or an installed cone solver")

    @field_validator("solver")
    @classmethod
    def _installed(cls, name: str) -> str:
        return solver_name(name)

    @model_validator(mode="after")
    def _affordable(self) -> Self:
        if self.gates == "all":
            arrangements.check_affordable(self.n, self.d)
        if self.gates == "adjacent" and getattr(self, "model", None) == "skip":
            raise ValueError("gates (patterns offered) must not be adjacent where model is skip: no pattern is planted")
        return self


def solver_name(name: str) -> str:
    """The solver meant, in the spelling of CVXPY unless it is our own.

    Raises
    ------
    ValueError : "must be newton or one of CLARABEL, SCS (those installed here), got 'MOSEK'"
    """
    if name.lower() == OWN:
        return OWN
    from smallnets.convex.programs import solvers

    if name.upper() not in solvers():
        raise ValueError(f"must be {OWN} or one of {', '.join(solvers())} (those installed here), got {name!r}")
    return name.upper()


# ------------------------------------------------------------------------------------------------ grids, guides

PUBLISHED = {"n": range(10, 401, 10), "d": range(10, 101, 10)}
# For distances, which vary slowly over the plane.
EVERY_FOURTH = {"n": range(40, 401, 40), "d": range(20, 101, 20)}
NOISE_LEVELS = [0.0, 0.05, 0.1, 0.2]
# Below n = d a block that is active on every point reaches every label. At n = 2d half of all draws have a direction
# that is active on every point (Wendel). At (1 + 3^(-1/2))^2 the value of `theory.isometry_mean_square` is 1. From
# `theory.consistency_ratio` on at least one of k neurons is active on more than k d points.
RATIOS = (1, 2, (1 + 3**-0.5) ** 2, theory.consistency_ratio(2), theory.consistency_ratio(3))
SAME, TWICE, TYPICAL, TWO, THREE = (partial(np.multiply, ratio) for ratio in RATIOS)
GENERAL = ["random", "axis"]
SHRUNK = {"plant": ["smallest_singular"], "program": ["relaxed"]}
SKIP_GUIDES = (
    Guide("n", "d", TWICE, "n = 2d", {"plant": ["random"], "program": ["relaxed"]}),
    Guide("n", "d", TWICE, "n = 2d", {**SHRUNK, "design": ["whitened", "whitened_cubic"]}),
    Guide("n", "d", TYPICAL, "a typical gate's norm is 1: n = 2.49d", {**SHRUNK, "design": ["gaussian", "cubic"]}),
)
NECESSARY = (
    Guide("n", "d", TWO, "necessary: n = 8d/3", {"k": [2], "plant": GENERAL}),
    Guide("n", "d", THREE, "necessary: n = 24d/7", {"k": [3], "plant": GENERAL}),
    Guide("n", "d", TWICE, "necessary: n = 2d", {"plant": ["opposite"]}),
)
NORMALIZED_GUIDES = (Guide("n", "d", SAME, "n = d", {"k": [1]}), *NECESSARY)
