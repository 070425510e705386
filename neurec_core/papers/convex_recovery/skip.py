"""Convex recovery: when does the minimal-norm ReLU network find the planted model?

Wang, Hua, Candes and Pilanci, "Overparameterized ReLU Neural Networks Learn the Simplest Models: Neural
Isometry and Exact Recovery", IEEE Trans. Inf. Theory 71(3), 1926-1977, 2025 (arXiv 2209.15265).

=====================================  ==============================================
equation                               function
=====================================  ==============================================
eq. (15), relaxed minimal norm, skip   `neurec_core.convex.programs.min_norm_skip`
Definition 2, isometry condition       `neurec_core.convex.certify.isometry`
existence of the all-ones pattern      `neurec_core.patterns.all_ones`
=====================================  ==============================================
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import field_validator

from ... import data, patterns
from ...convex import certify
from ...draws import Draws
from ...experiment import Column, Experiment, Grid, Guide, Problem, Solution
from ...nets import GatedNet
from ...params import Params, param

CITATION = (
    "Wang, Hua, Candes, Pilanci: Overparameterized ReLU Neural Networks Learn the Simplest Models: "
    "Neural Isometry and Exact Recovery. IEEE Trans. Inf. Theory 71(3), 2025. arXiv 2209.15265"
)

# The published test: every weight within 1e-4 of the plant (numpy's relative 1e-5 on top for the skip).
RECOVERY_TOLERANCE = 1e-4


class SkipRecovery(Params):
    """A linear neuron is planted in the skip connection; the program is offered p gates besides."""

    n: int = param(60, "training points", ge=1, le=100_000, slider=(5, 120, 5))
    d: int = param(20, "input dimension", ge=1, le=10_000, slider=(2, 40, 2))
    sigma: float = param(
        0.0, "noise level", symbol="σ", unit="‖z‖ ≈ σ", ge=0, le=1e3,
        slider=(0, 0.5, 0.05),
    )  # fmt: skip
    design: Literal["gaussian", "cubic", "whitened", "whitened_cubic"] = param(
        "gaussian", "distribution of the inputs", symbol="X"
    )
    plant: Literal["random", "smallest_singular"] = param("random", "planted neuron", symbol="w*")
    patterns: int | None = param(
        None, "sampled gate directions (none: max(n, 50), as published)", symbol="m", ge=1, le=1_000_000
    )
    solver: str = param("CLARABEL", "installed cone solver")

    @field_validator("solver")
    @classmethod
    def _installed(cls, name: str) -> str:
        if name == "CLARABEL":  # a requirement of this package; saves the import of cvxpy
            return name
        from ...convex.programs import solvers

        if name.upper() not in solvers():
            raise ValueError(f"must be one of {', '.join(solvers())} (those installed here), got {name!r}")
        return name.upper()


def sample(params: SkipRecovery, draws: Draws) -> Problem:
    """y = X w + z with z ~ N(0, sigma^2/n); X and w do not depend on sigma."""
    X = data.design(params.design, draws, params.n, params.d)
    teacher = data.linear_teacher(params.plant, X, draws)
    noise = params.sigma * data.gaussian(draws.normal("z", params.n, 1))[..., 0]
    return Problem(X, teacher(X) + noise, teacher)


def solve(params: SkipRecovery, problem: Problem, draws: Draws) -> Solution:
    """Eq. (15) over sampled patterns, trial by trial; the value is the gated net it fits."""
    from ...convex import programs

    X, y, _ = problem
    directions = draws.normal("h", params.d, params.patterns or max(params.n, 50))
    found = patterns.sample(X, directions)
    W, skip = np.full(found.H.shape, np.nan), np.full(X.shape[::2], np.nan)
    status = []
    for b, p in enumerate(found.sizes):
        program = programs.min_norm_skip(X[b], found.D[b, :, :p], y[b])
        status.append(programs.solve(program, params.solver))
        if status[b].usable:
            W[b], skip[b] = 0, program.var_dict["w0"].value
            W[b, :, :p] = program.var_dict["W"].value
    norms, consistent = certify.isometry(X, found.D, problem.teacher.skip)
    stats = {"D": found.D, "sizes": found.sizes, "all_ones": found.all_ones}
    stats |= {"isometry": np.where(found.real, norms, np.nan), "consistent": consistent}
    stats["X_test"] = data.design(params.design, draws, params.n, params.d, name="X_test")
    return Solution(GatedNet(W, found.H, skip), status, stats)


def score(params: SkipRecovery, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Was the plant found, how far off, and did the isometry condition foretell it?"""
    net, stats, w = solution.value, solution.stats, problem.teacher.skip
    X_test = stats["X_test"]
    truth = problem.teacher(X_test)
    same_skip = np.isclose(net.skip, w, atol=RECOVERY_TOLERANCE).all(axis=1)
    no_gates = (np.abs(net.W) <= RECOVERY_TOLERANCE).all(axis=(1, 2))
    # A pseudo-inverse always yields norms; without consistency they belong to no dual vector.
    isometry = np.where(stats["consistent"], np.nanmax(stats["isometry"], axis=1), np.nan)
    return {
        "recovered": same_skip & no_gates,
        "weight_distance": np.linalg.norm(net.skip - w, axis=1),
        "test_distance": np.linalg.norm(net(X_test) - truth, axis=1),
        "test_distance_relu": np.linalg.norm(net.as_relu()(X_test) - truth, axis=1),
        "all_ones": stats["all_ones"],
        "isometry": isometry,
        "isometry_held": isometry < 1 - 1e-9,  # strict: a tie at 1 certifies nothing
    }


COLUMNS = {
    "recovered": Column("recovered: all weights within 1e-4 of the plant", "event"),
    "weight_distance": Column("distance of the skip weights from the plant", "measure", "in units of the plant's norm"),
    "test_distance": Column("distance from the plant on n fresh points, gated as fitted", "measure", "2-norm"),
    "test_distance_relu": Column("the same with ReLU in place of the gates, as published", "measure", "2-norm"),
    "all_ones": Column("some direction is active on every point", "event"),
    "isometry": Column("largest norm of the isometry condition; NaN without a consistent dual vector", "measure"),
    "isometry_held": Column("isometry condition holds (all norms < 1)", "event"),
}


def twice(d: np.ndarray) -> np.ndarray:
    """n = 2d, where half of all draws have a direction that is active on every point (Wendel)."""
    return 2 * d


SKIP_RECOVERY = Experiment(
    name="convex_recovery.skip_recovery",
    question="Does the minimal-norm ReLU network with a skip connection recover a planted linear neuron?",
    params=SkipRecovery,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, trials=2),
        "quick": Grid({"n": range(10, 101, 10), "d": range(5, 31, 5)}, trials=5),
        "paper": Grid({"n": range(10, 401, 10), "d": range(10, 101, 10)}, trials=5),
    },
    citation=CITATION,
    guides=(Guide("n", "d", twice, "n = 2d", {"plant": ["random"], "sigma": [0.0]}),),
)

EXPERIMENTS = (SKIP_RECOVERY,)
