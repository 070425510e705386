"""Planted neurons and convex programs: what is sampled, how the programs are solved or decided, and the scores."""

from __future__ import annotations

from functools import partial
from typing import Any, ClassVar, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Problem, Solution
from neurec_core.params import param
from smallnets.nets.two_layer import GatedNet

from ..engine import data, solutions
from . import shared


class SkipRecovery(shared.ConvexProgram):
    """A linear neuron is planted in the skip connection; the program is offered p gates besides."""

    model: ClassVar[str] = "skip"
    plant: Literal["random", "smallest_singular"] = shared.PLANT
    gates: Literal["sampled", "adversarial", "all"] = shared.GATES


class SkipDistance(SkipRecovery):
    """The same with noise on the labels, which the least-norm fit reproduces."""

    plant: Literal["random", "smallest_singular"] = param("smallest_singular", "planted weights", symbol="w*")
    sigma: float = shared.SIGMA


class NormalizedRecovery(shared.ConvexProgram):
    """k neurons are planted behind a normalised layer; the program is offered p gates, the planted ones among them."""

    model: ClassVar[str] = "normalized"
    k: int = shared.NEURONS
    plant: Literal["random", "axis", "opposite"] = shared.PLANT


class NormalizedDistance(NormalizedRecovery):
    """The same with noise on the labels, which the least-norm fit reproduces."""

    sigma: float = shared.SIGMA


class ConvexTraining(shared.ConvexProgram):
    """A linear neuron (skip) or k neurons are planted; the network is trained to global optimality."""

    n: int = param(40, "training points", ge=1, le=100_000, slider=(10, 200, 10))
    d: int = param(10, "input dimension", ge=1, le=10_000, slider=(5, 50, 5))
    program: Literal["relaxed", "exact"] = param("exact", "gates alone (relaxed) or ReLU neurons (exact)")
    model: Literal["skip", "plain", "normalized"] = param("skip", "network and planted neurons")
    k: int = param(1, "planted neurons, 1 for the skip model", ge=1, le=100)
    plant: shared.Plant = shared.PLANT
    beta: float = param(1e-6, "weight decay on the sum of norms, beside the squared residual", symbol="β", gt=0, le=10)
    sigma: float = shared.SIGMA

    @model_validator(mode="after")
    def _solvable(self) -> Self:
        if self.solver != solutions.OWN and self.program == "relaxed":
            allowed = f"{solutions.OWN} where program is relaxed"
            raise ValueError(f"solver (of the program) must be {allowed}, got {self.solver}")
        return self


def decide(params: shared.ConvexProgram, problem: Problem, draws: Draws) -> Solution:
    """Eq. (15) or (17), or (6) or (16) if exact, over sampled patterns: is the plant the only solution?"""
    return solutions.solve_trials(params, problem, draws, solutions.decide)


def solve(params: shared.ConvexProgram, problem: Problem, draws: Draws) -> Solution:
    """The same programs solved, or with weight decay eq. (211) or (212); the value is the net that fits."""
    method = partial(solutions.solve, beta=getattr(params, "beta", 0.0))
    solution = solutions.solve_trials(params, problem, draws, method)
    X_test = data.design(params.design, draws, params.n, params.d, name="X_test")
    return solution._replace(stats={**solution.stats, "X_test": X_test})


def score(names: tuple[str, ...], params: Any, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The columns called `names`: what was found of the plant, how, and how far the outputs are off on fresh points.

    A gated net behind a normalised layer is normalised over the training points alone, so that it has no
    outputs at others: its test distance is NaN.
    """
    found = solutions.scores(solution, *(name for name in names if not name.startswith("test_")))
    if "test_distance" not in names:
        return found
    net, X_test = solution.value, solution.stats["X_test"]
    nets = {"test_distance": net}
    if "test_distance_relu" in names:
        nets["test_distance_relu"] = net.as_relu()
    if params.model == "normalized" and isinstance(net, GatedNet):
        return {**found, "test_distance": np.full(len(problem.y), np.nan)}
    truth = problem.teacher(X_test)
    return {**found, **{name: np.linalg.norm(one(X_test) - truth, axis=1) for name, one in nets.items()}}
