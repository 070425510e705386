"""Convex recovery with weight decay: the convex training programs, whose global optimum a wide network shares."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.params import param
from smallnets.nets.two_layer import GatedNet

from ..engine import data, instance, solutions
from ..engine.instance import CITATION, OWN, PLANT, SIGMA, Offered, Plant
from .isometry import check_model
from .skip import NOISE_LEVELS, PUBLISHED


class ConvexTraining(Offered):
    """A linear neuron (skip) or k neurons are planted; the network is trained to global optimality."""

    n: int = param(40, "training points", ge=1, le=100_000, slider=(10, 200, 10))
    d: int = param(10, "input dimension", ge=1, le=10_000, slider=(5, 50, 5))
    program: Literal["relaxed", "exact"] = param("exact", "gates alone (relaxed) or ReLU units (exact)")
    model: Literal["skip", "plain", "normalized"] = param("skip", "network and planted neurons")
    k: int = param(1, "planted neurons, 1 for the skip model", ge=1, le=100)
    plant: Plant = PLANT
    beta: float = param(1e-6, "weight decay on the sum of norms, beside the squared residual", symbol="β", gt=0, le=10)
    sigma: float = SIGMA

    @model_validator(mode="after")
    def _possible(self) -> Self:
        check_model(self)
        if self.solver != OWN and self.program == "relaxed":
            raise ValueError(f"solver (of the program) must be {OWN} where program is relaxed, got {self.solver}")
        return self


def sample(params: ConvexTraining, draws: Draws) -> Problem:
    """y = f*(X) + z with z ~ N(0, sigma^2/n); X and the plant f* do not depend on sigma."""
    return instance.SAMPLE[params.model](params, draws, params.sigma)


def solve(params: ConvexTraining, problem: Problem, draws: Draws) -> Solution:
    """Eq. (211) or (212), or with gates in place of ReLU units; the value is the net that it trains."""

    def trained(posed: instance.Posed, solver: str) -> solutions.Fit:
        return solutions.solve(posed, solver, params.beta)

    solution = solutions.treat(params, problem, draws, trained)
    X_test = data.design(params.design, draws, params.n, params.d, name="X_test")
    return solution._replace(stats={**solution.stats, "X_test": X_test})


def score(params: ConvexTraining, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """How far is the global optimum from the plant, and how well does it fit?

    A gated net behind a normalised layer is normalised over the training points alone, so that it has no
    outputs at others: its test distance is NaN.
    """
    net, X_test = solution.value, solution.stats["X_test"]
    scores = solutions.pick(solution, "distance", "stray", "residual", "unique", "gap")
    if params.model == "normalized" and isinstance(net, GatedNet):
        test_distance = np.full(len(problem.y), np.nan)
    else:
        test_distance = np.linalg.norm(net(X_test) - problem.teacher(X_test), axis=1)
    return {"weight_distance": scores.pop("distance"), "test_distance": test_distance, **scores}


COLUMNS = {
    "weight_distance": Column(
        "distance of the planted blocks' weights from the plant", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)
    ),
    "test_distance": Column(
        "distance from the plant on n fresh points", "measure", "2-norm", optional=True, replay=Replay(1e-4, floor=1e-4)
    ),
    "stray": Column("norm of the weights of all other blocks", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)),
    "residual": Column("distance of the outputs from the labels", "measure", "2-norm", replay=Replay(1e-4, floor=1e-8)),
    "unique": Column("the solution is the only one; else that of least Euclidean norm is measured", "event"),
    "gap": Column("relative duality gap of the solution", "measure", replay=Replay(1e-4, floor=1e-8)),
}

CONVEX_TRAINING = Experiment(
    name="convex_recovery.convex_training",
    question="How far from the planted neurons is a network that is trained to global optimality?",
    params=ConvexTraining,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"model": ["skip", "plain", "normalized"], "n": [6, 14]}, trials=2, fixed={"d": 3}),
        "quick": Grid(
            {"n": range(10, 51, 10), "d": [5, 10], "sigma": [0.0, 0.1]}, trials=5, fixed={"plant": "smallest_singular"}
        ),
        "part": Grid(
            {"sigma": NOISE_LEVELS, "n": range(10, 161, 10), "d": range(10, 41, 10)}, trials=1,
            fixed={"plant": "smallest_singular"}, published=1,
        ),
        "part_normalized": Grid(
            {"sigma": [0.0, 0.1], "n": range(10, 121, 10), "d": range(10, 31, 10)}, trials=1,
            fixed={"model": "normalized", "k": 2}, published=1,
        ),
        "paper": Grid({"sigma": NOISE_LEVELS, **PUBLISHED}, trials=5, fixed={"plant": "smallest_singular"}),
        "paper_normalized": Grid({"sigma": NOISE_LEVELS, **PUBLISHED}, trials=5, fixed={"model": "normalized", "k": 2}),
    },
    citation=CITATION,
    batch=5,
)  # fmt: skip
