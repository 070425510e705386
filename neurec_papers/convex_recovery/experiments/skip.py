"""A linear neuron planted in the skip connection: when does the least norm find it, and how far off is it?"""

from __future__ import annotations

from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Guide, Problem, Replay, Solution
from neurec_core.params import param

from ..engine import data, instance, solutions
from ..engine.instance import CITATION, SIGMA, Offered


class SkipRecovery(Offered):
    """A linear neuron is planted in the skip connection; the program is offered p gates besides."""

    plant: Literal["random", "smallest_singular"] = param("random", "planted neuron", symbol="w*")
    gates: Literal["sampled", "adversarial", "all"] = param(
        "sampled", "patterns offered: sampled, with others added on purpose, or all (small n, d)"
    )


class SkipDistance(SkipRecovery):
    """The same with noise on the labels, which the least-norm fit reproduces."""

    plant: Literal["random", "smallest_singular"] = param("smallest_singular", "planted neuron", symbol="w*")
    sigma: float = SIGMA


def sample_recovery(params: SkipRecovery, draws: Draws) -> Problem:
    """y = X w."""
    return instance.sample_linear(params, draws, sigma=0.0)


def sample_distance(params: SkipDistance, draws: Draws) -> Problem:
    """y = X w + z with z ~ N(0, sigma^2/n); X and w do not depend on sigma."""
    return instance.sample_linear(params, draws, params.sigma)


def decide(params: SkipRecovery, problem: Problem, draws: Draws) -> Solution:
    """Eq. (15), or (6) if exact, over sampled patterns: is the plant the only solution?"""
    return solutions.treat(params, problem, draws, solutions.decide)


def solve(params: SkipDistance, problem: Problem, draws: Draws) -> Solution:
    """Eq. (15), or (6) if exact, over sampled patterns, solved; the value is the net it fits."""
    solution = solutions.treat(params, problem, draws, solutions.solve)
    X_test = data.design(params.design, draws, params.n, params.d, name="X_test")
    return solution._replace(stats={**solution.stats, "X_test": X_test})


def score_recovery(params: SkipRecovery, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Was the plant the only solution, by what margin, and did the isometry condition foretell it?"""
    names = ("recovered", "unique", "margin", "all_ones", "isometry", "isometry_held")
    return solutions.pick(solution, *names)


def score_distance(params: SkipDistance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """How far off are the weights and the outputs on fresh points?"""
    net, X_test = solution.value, solution.stats["X_test"]
    truth = problem.teacher(X_test)
    scores = solutions.pick(solution, "distance", "stray", "unique", "gap", "all_ones")
    return {
        "weight_distance": scores.pop("distance"),
        "test_distance": np.linalg.norm(net(X_test) - truth, axis=1),
        "test_distance_relu": np.linalg.norm(net.as_relu()(X_test) - truth, axis=1),
        **scores,
    }


RECOVERY_COLUMNS = {
    "recovered": Column("recovered: the plant is the only solution", "event"),
    "unique": Column("no other net found that fits at the same cost", "event"),
    "margin": Column(
        "margin of the proof: 1 - largest norm, or the share of the cost saved",
        "measure",
        optional=True,  # a cone solver proves nothing
        replay=Replay(0.01, chaotic=0.3),
    ),
    "all_ones": Column("some direction is active on every point", "event"),
    "isometry": Column(
        "largest norm of the isometry condition; NaN without a consistent dual vector",
        "measure",
        optional=True,  # a cone solver proves nothing
        replay=Replay(chaotic=0.2, tolerance=1e-4),
    ),
    "isometry_held": Column("isometry condition holds (all norms < 1)", "event"),
}
DISTANCE_COLUMNS = {
    "weight_distance": Column(
        "distance of the skip weights from the plant", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)
    ),
    "test_distance": Column(
        "distance from the plant on n fresh points, gated as fitted",
        "measure",
        "2-norm",
        replay=Replay(1e-4, floor=1e-4),
    ),
    "test_distance_relu": Column(
        "the same with ReLU in place of the gates, as published", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)
    ),
    "stray": Column(
        "norm of all weights outside the skip connection", "measure", "2-norm", replay=Replay(1e-4, floor=1e-4)
    ),
    "unique": Column("the solution is the only one; else that of least Euclidean norm is measured", "event"),
    "gap": Column("relative duality gap of the solution", "measure", replay=Replay(1e-4, floor=1e-8)),
    "all_ones": Column("some direction is active on every point", "event"),
}


def twice(d: np.ndarray) -> np.ndarray:
    """n = 2d, where half of all draws have a direction that is active on every point (Wendel)."""
    return 2 * d


def typical(d: np.ndarray) -> np.ndarray:
    """n = (1 + 3^(-1/2))^2 d = 2.49d, where the mean squared norm of `theory.isometry_mean_square` reaches 1."""
    return (1 + 3**-0.5) ** 2 * d


WHITENED = ["whitened", "whitened_cubic"]
GUIDES = (
    Guide("n", "d", twice, "n = 2d", {"plant": ["random"], "program": ["relaxed"]}),
    Guide("n", "d", twice, "n = 2d", {"plant": ["smallest_singular"], "design": WHITENED, "program": ["relaxed"]}),
    Guide(
        "n", "d", typical, "a typical gate's norm is 1: n = 2.49d",
        {"plant": ["smallest_singular"], "design": ["gaussian", "cubic"], "program": ["relaxed"]},
    ),
)  # fmt: skip
PUBLISHED = {"n": range(10, 401, 10), "d": range(10, 101, 10)}
# For distances, which vary slowly over the plane.
EVERY_FOURTH = {"n": range(40, 401, 40), "d": range(20, 101, 20)}
EVERY_DESIGN = {"design": ["gaussian", "cubic", "whitened", "whitened_cubic"]}
NOISE_LEVELS = [0.0, 0.05, 0.1, 0.2]

SKIP_RECOVERY = Experiment(
    name="convex_recovery.skip_recovery",
    question="Does the minimal-norm ReLU network with a skip connection recover a planted linear neuron?",
    params=SkipRecovery,
    sample=sample_recovery,
    solve=decide,
    score=score_recovery,
    columns=RECOVERY_COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, trials=2),
        "quick": Grid({"n": range(10, 101, 10), "d": range(5, 31, 5)}, trials=10),
        "paper": Grid({**EVERY_DESIGN, "plant": ["random", "smallest_singular"], **PUBLISHED}, trials=5, published=5),
        "paper_exact": Grid(PUBLISHED, trials=5, fixed={"plant": "smallest_singular", "program": "exact"}, published=5),
    },
    citation=CITATION,
    guides=GUIDES,
    batch=5,
)

SKIP_DISTANCE = Experiment(
    name="convex_recovery.skip_distance",
    question="How far from a planted linear neuron is the minimal-norm fit of noisy labels?",
    params=SkipDistance,
    sample=sample_distance,
    solve=solve,
    score=score_distance,
    columns=DISTANCE_COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, trials=2, fixed={"sigma": 0.1}),
        "quick": Grid({"n": range(10, 101, 10), "d": [20], "sigma": NOISE_LEVELS}, trials=10),
        "paper": Grid({"sigma": NOISE_LEVELS, **PUBLISHED}, trials=5, published=5),
        "paper_exact": Grid(PUBLISHED, trials=5, fixed={"program": "exact"}, published=1),
    },
    citation=CITATION,
    guides=GUIDES,
    batch=5,
)
