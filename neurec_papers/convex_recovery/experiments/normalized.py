"""k ReLU neurons planted behind a normalised layer: when does the least norm find them?"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Guide, Problem, Replay, Solution
from neurec_core.params import param

from .. import theory
from ..engine import instance, solutions
from ..engine.instance import CITATION, PLANTED, SIGMA, Offered
from .skip import EVERY_FOURTH, NOISE_LEVELS, PUBLISHED, twice


class NormalizedRecovery(Offered):
    """k neurons are planted; the program is offered p gates, the planted ones among them."""

    k: int = PLANTED
    plant: Literal["random", "axis", "opposite"] = param("random", "planted neurons", symbol="w*")

    @model_validator(mode="after")
    def _plantable(self) -> NormalizedRecovery:
        instance.check_plant(self.plant, self.k, self.d)
        return self


class NormalizedDistance(NormalizedRecovery):
    """The same with noise on the labels, which the least-norm fit reproduces."""

    sigma: float = SIGMA


def sample_recovery(params: NormalizedRecovery, draws: Draws) -> Problem:
    """y = sum_i (X w_i)_+ / ||(X w_i)_+||."""
    return instance.sample_neurons(params, draws, sigma=0.0)


def sample_distance(params: NormalizedDistance, draws: Draws) -> Problem:
    """The same with noise z ~ N(0, sigma^2/n); X and w do not depend on sigma."""
    return instance.sample_neurons(params, draws, params.sigma)


def decide(params: NormalizedRecovery, problem: Problem, draws: Draws) -> Solution:
    """Eq. (17), or (16) if exact, over sampled and planted patterns: is the plant the only solution?"""
    return solutions.treat(params, problem, draws, solutions.decide)


def solve(params: NormalizedDistance, problem: Problem, draws: Draws) -> Solution:
    """Eq. (17), or (16) if exact, over sampled and planted patterns, solved; the value is the net it fits."""
    return solutions.treat(params, problem, draws, solutions.solve)


def score_recovery(params: NormalizedRecovery, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Was the plant the only solution, by what margin, and did the isometry condition foretell it?"""
    return solutions.pick(solution, *RECOVERY_COLUMNS)


def score_distance(params: NormalizedDistance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """How far off are the weights?"""
    scores = solutions.pick(solution, "distance", "stray", "unique", "gap")
    return {"weight_distance": scores.pop("distance"), **scores}


RECOVERY_COLUMNS = {
    "recovered": Column("recovered: the plant is the only solution", "event"),
    "unique": Column("no other net found that fits at the same cost", "event"),
    "margin": Column(
        "margin of the proof: 1 - largest norm, or the share of the cost saved",
        "measure",
        optional=True,
        replay=Replay(0.01, chaotic=0.3),
    ),
    "isometry": Column(
        "largest norm of the isometry condition; NaN without a consistent dual vector",
        "measure",
        optional=True,
        replay=Replay(1e-4, chaotic=0.2),
    ),
    "isometry_held": Column("isometry condition holds (all norms < 1)", "event"),
}
DISTANCE_COLUMNS = {
    "weight_distance": Column(
        "distance of the planted blocks' weights from the plant", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)
    ),
    "stray": Column("norm of the weights of all other blocks", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)),
    "unique": Column("the solution is the only one; else that of least Euclidean norm is measured", "event"),
    "gap": Column("relative duality gap of the solution", "measure", replay=Replay(1e-4, floor=1e-8)),
}


def same(d: np.ndarray) -> np.ndarray:
    """n = d, below which a block that is active on every point reaches every label."""
    return d


def two(d: np.ndarray) -> np.ndarray:
    """n = 8d/3: the points on which at least one of two random neurons is active outnumber 2d."""
    return theory.consistency_ratio(2) * d


def three(d: np.ndarray) -> np.ndarray:
    """n = 24d/7: the points on which at least one of three random neurons is active outnumber 3d."""
    return theory.consistency_ratio(3) * d


GENERAL = ["random", "axis"]
NECESSARY = (
    Guide("n", "d", two, "necessary: n = 8d/3", {"k": [2], "plant": GENERAL}),
    Guide("n", "d", three, "necessary: n = 24d/7", {"k": [3], "plant": GENERAL}),
    Guide("n", "d", twice, "necessary: n = 2d", {"plant": ["opposite"]}),
)
GUIDES = (Guide("n", "d", same, "n = d", {"k": [1]}), *NECESSARY)

NORMALIZED_RECOVERY = Experiment(
    name="convex_recovery.normalized_recovery",
    question="Does the minimal-norm network with a normalised layer recover k planted neurons?",
    params=NormalizedRecovery,
    sample=sample_recovery,
    solve=decide,
    score=score_recovery,
    columns=RECOVERY_COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, trials=2, fixed={"k": 2}),
        "quick": Grid({"n": range(10, 101, 10), "d": [5, 10, 15, 20]}, trials=10),
        "paper": Grid({"k": [1, 2, 3], **PUBLISHED}, trials=5, published=5),
        "paper_axis": Grid({"k": [2, 3], **PUBLISHED}, trials=5, fixed={"plant": "axis"}, published=5),
        "paper_opposite": Grid({"k": [2], **PUBLISHED}, trials=5, fixed={"plant": "opposite"}, published=5),
    },
    citation=CITATION,
    guides=GUIDES,
    batch=5,
)

NORMALIZED_DISTANCE = Experiment(
    name="convex_recovery.normalized_distance",
    question="How far from k planted neurons is the minimal-norm fit of noisy labels behind a normalised layer?",
    params=NormalizedDistance,
    sample=sample_distance,
    solve=solve,
    score=score_distance,
    columns=DISTANCE_COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, trials=2, fixed={"sigma": 0.1}),
        "quick": Grid({"n": range(10, 101, 10), "d": [10], "sigma": NOISE_LEVELS}, trials=5),
        "part_axis": Grid(
            {"k": [2, 3], "sigma": NOISE_LEVELS, **EVERY_FOURTH}, trials=1, fixed={"plant": "axis"}, published=1
        ),
        "paper": Grid({"k": [1, 2], "sigma": NOISE_LEVELS, **PUBLISHED}, trials=5, published=1),
        "paper_axis": Grid({"k": [2, 3], "sigma": NOISE_LEVELS, **PUBLISHED}, trials=5, fixed={"plant": "axis"}),
        "paper_opposite": Grid(
            {"k": [2], "sigma": NOISE_LEVELS, **PUBLISHED}, trials=5, fixed={"plant": "opposite"}, published=1
        ),
    },
    citation=CITATION,
    guides=GUIDES,
    batch=5,
)
