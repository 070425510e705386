"""One planted instance of either model, for looking at: not an experiment of the paper, but all of them in one."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import param

from .engine import instance, solutions
from .engine.instance import CITATION, PLANTED, SIGMA, Offered, Plant
from .experiments.isometry import check_model


class Instance(Offered):
    """A linear neuron (skip) or k normalised neurons are planted; the minimal-norm program is solved."""

    model: Literal["skip", "normalized"] = param("skip", "network")
    sigma: float = SIGMA
    plant: Plant = param("random", "what is planted", symbol="w*")
    k: int = PLANTED

    @model_validator(mode="after")
    def _plantable(self) -> Instance:
        check_model(self)
        return self


def sample(params: Instance, draws: Draws) -> Problem:
    """The planted data of the model, with noise of norm about sigma."""
    return instance.SAMPLE[params.model](params, draws, params.sigma)


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """Eq. (15) or (17), or of the exact programs (6) or (16); the value is the net."""
    return solutions.treat(params, problem, draws, solutions.solve)


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Was the plant found, and is what was found the only solution?"""
    names = ("recovered", "unique", "distance", "stray", "all_ones", "isometry_held")
    return solutions.pick(solution, *names)


INSTANCE = Experiment(
    name="convex_recovery.instance",
    question="What does the minimal-norm program make of one planted instance?",
    params=Instance,
    sample=sample,
    solve=solve,
    score=score,
    columns={
        "recovered": Column("recovered: all weights within 1e-4 of the plant", "event"),
        "unique": Column("the solution is the only one", "event"),
        "distance": Column("distance of the planted blocks' weights from the plant", "measure"),
        "stray": Column("norm of the weights of all other blocks", "measure"),
        "all_ones": Column("some direction is active on every point", "event"),
        "isometry_held": Column("isometry condition holds (all norms < 1)", "event"),
    },
    presets={"tiny": Grid({"n": [6, 16], "d": [4], "model": ["skip", "normalized"]}, trials=1)},
    citation=CITATION,
)
