"""Points on a line, which are not orthogonal: from small weights, training can stop before it fits them."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.figures import Computed, matching
from neurec_core.params import param

from .. import engine
from . import points, training

SMALL = 1e-3  # of its largest value: a norm or a preactivation that counts as zero
LEVELS = training.below((0.99, 0.75, 0.5), 2)


class NonOrthogonalToy(training.GradientDescent):
    """The published code's other toy, five points of a line, or random points of a line."""

    data: Literal["published", "random"] = param("published", "training points: the published five, or random ones")
    n: int = param(5, "training points, 5 published ones", ge=1, le=1000)
    steps: int = param(3_000_000, "most steps", ge=1, le=1_000_000_000)
    target: float = param(1e-12, "mean squared error at which training ends", ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.data == "published" and self.n != 5:
            raise ValueError(f"n (training points) must be 5 where data is published, got {self.n}")
        return self


def sample(params: NonOrthogonalToy, draws: Draws) -> Problem:
    """The points (x, 1), (B, n, 2), and their labels."""
    if params.data == "random":
        return Problem(*points.line(draws, params.n))
    return Problem(*points.repeated(points.TOY_NON_ORTHOGONAL, len(draws)))


def solve(params: NonOrthogonalToy, problem: Problem, draws: Draws) -> Solution:
    """Gradient descent, trial by trial; the value is the trained weights."""
    return engine.train(params, problem, begin(params, draws), described)


def begin(params: NonOrthogonalToy, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Weights (B, m, 2) and (B, m) at the start."""
    return training.start(params, draws, 2)


def described(params: NonOrthogonalToy, path: engine.Trajectory) -> dict[str, float]:
    """When the loss passes each level, and the end."""
    passed = path.first_below([level * np.mean(path.y**2) for level in LEVELS])
    ends = path.end() | {"patterns": float(patterns(path.run.W, path.X))}
    return dict(zip(LEVELS.values(), passed, strict=True)) | ends


def patterns(W: np.ndarray, X: np.ndarray) -> int:
    """How many different sets of points the neurons that are active at all are active on.

    Only neurons that have grown count. Some slide along the boundary of a point, on either side of it in turns, which
    counts as active.
    """
    norms = np.linalg.norm(W, axis=1)
    reach = -SMALL * np.outer(norms, np.linalg.norm(X, axis=1))
    on = np.unique((reach < W @ X.T)[norms > SMALL * norms.max()], axis=0)
    return int(on.any(axis=1).sum())


def score(params: NonOrthogonalToy, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The loss where training ended, and when it got there."""
    s, start_loss = solution.stats, np.mean(problem.y**2, axis=1)
    columns = {"interpolated": s["loss"] < training.FITTED * start_loss, "share": s["loss"] / start_loss}
    return columns | {name: s[name] for name in COLUMNS if name not in columns}


def unfitted(table: Any) -> Any:
    """From λ = 1e-6 the five points are not fitted: the loss stops at 0.366 of that at the start."""
    return matching(table, {"data": "published", "init": 1e-6})["share"].median()


def fitted_from_large(table: Any) -> Any:
    """From λ = 1 the five points are fitted."""
    return matching(table, {"data": "published", "init": 1.0})["interpolated"].mean()


COLUMNS = {
    "interpolated": training.INTERPOLATED,
    "share": Column("loss at the end", "measure", "of the start's", replay=Replay(1e-4, decades=True)),
    "loss": Column("mean squared error at the end", "measure", replay=Replay(1e-4, decades=True)),
    **training.crossings(LEVELS),
    "patterns": Column("activation patterns at the end", "measure"),
    "active": training.ACTIVE,
    "norm": training.NORM,
    "taken": training.TAKEN._replace(replay=training.ROUNDED),
    "grouped": training.GROUPED,
}

NON_ORTHOGONAL_TOY = Experiment(
    name="orthogonal_inputs.non_orthogonal_toy",
    question="Does descent fit points that are not orthogonal, from small and from large weights?",
    params=NonOrthogonalToy, sample=sample, solve=solve, score=score, columns=COLUMNS,
    presets={
        "tiny": Grid({"init": [1e-2, 1.0]}, trials=2, fixed={"data": "random", "m": 20, "step": 0.01, "steps": 1000}),
        "quick": Grid({"init": [1e-6, 1e-3, 1.0]}, trials=4, fixed={"step": 0.01, "steps": 100_000}),
        "paper": Grid({"init": [1e-6, 1e-4, 1e-2, 1e-1, 1.0]}, trials=10, published=10),
        "paper_random": Grid(
            {"n": [2, 3, 4, 5, 6], "init": [1e-6, 1.0]}, trials=10,
            fixed={"data": "random", "m": 200, "step": 0.01, "steps": 1_000_000}, published=10,
        ),
    },
    figures={
        "training": Computed("neurec_papers.orthogonal_inputs.view:five_points"),
        "training_large": Computed("neurec_papers.orthogonal_inputs.view:five_points_large"),
    },
    claims=(Claim(unfitted, 0.366, 5e-4, "derived here"), Claim(fitted_from_large, 1, 0, "derived here")),
    citation=training.CITATION,
)  # fmt: skip
