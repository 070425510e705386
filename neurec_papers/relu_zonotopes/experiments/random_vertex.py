"""The loss at a random vertex: how wide must a network be for its initial patterns to hold a solution?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.params import param
from smallnets.convex import cell

from .setting import CITATION, Points, own_vertex, sample, signs

RIDGE = 1e-8
ZERO = 1e-12  # mean squared error, of labels of mean square 1, that counts as none


class RandomVertex(Points):
    """Directions of the units are normal, so that each vertex has its solid angle as probability."""

    m: int = param(8, "hidden units", ge=1, le=100_000, slider=(1, 40, 1))
    outputs: Literal["alternating", "paired", "random"] = param(
        "alternating", "signs of output weights: in turns, both for each pattern, by chance", symbol="s"
    )
    stabilized: Literal["no", "ridge"] = param(
        "no", "the convex problem as it is, or with the ridge of 1e-8 on all weights that often keeps it stable"
    )

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.outputs == "paired" and self.m % 2:
            raise ValueError(f"m (hidden units) must be even where outputs is paired, got {self.m}")
        return self


def choose(params: RandomVertex, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Directions (B, d, m) and signs (B, m) of the units."""
    m = params.m
    if params.outputs == "paired":
        W = np.repeat(draws.normal("W", params.d, m // 2), 2, axis=2)
    else:
        W = draws.normal("W", params.d, m)
    return W, signs(draws, "random" if params.outputs == "random" else "alternating", m)


def solve(params: RandomVertex, problem: Problem, draws: Draws) -> Solution:
    """The convex optimum of each vertex; the value is its loss (B,)."""
    losses, ranks = [], []
    for X, y, W, s in zip(problem.X, problem.y, *choose(params, draws), strict=True):
        losses.append(SOLVERS[params.stabilized](X, y, W, s))
        patterns = np.unique(X @ W > 0, axis=1)
        ranks.append(np.linalg.matrix_rank(np.hstack([D[:, None] * X for D in patterns.T])))
    stats = {"rank": np.array(ranks, float)}
    return Solution(np.array(losses), [Status.SOLVED] * len(losses), stats)


SOLVERS: dict[str, Callable[[np.ndarray, np.ndarray, np.ndarray, np.ndarray], float]] = {
    "no": lambda X, y, W, s: own_vertex(X, y, W.T, s).loss,
    "ridge": lambda X, y, W, s: cell.ridge(X, y, X @ W > 0, s, RIDGE),
}


def score(params: RandomVertex, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether the vertex holds a network that fits, and how near its best one comes."""
    loss = np.asarray(solution.value)
    full = solution.stats["rank"] == params.n
    return {
        "zero_loss": loss < ZERO,
        "spanning": full,
        "loss": loss,
        "overparameterized": np.full(len(loss), params.m * params.d / params.n),
    }


COLUMNS = {
    "zero_loss": Column("some network at the vertex fits all labels", "event"),
    "spanning": Column("the units' linear maps span all labels", "event"),
    "loss": Column(
        "least mean squared error at the vertex", "measure", "of the labels'", replay=Replay(1e-5, floor=1e-10)
    ),
    "overparameterized": Column("hidden weights for each point", "measure"),
}

RANDOM_VERTEX = Experiment(
    name="relu_zonotopes.random_vertex",
    question="How wide must a network be for its patterns at the start to hold a perfect fit?",
    params=RandomVertex,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"m": [2, 8], "outputs": ["alternating", "paired", "random"], "stabilized": ["no", "ridge"]},
            trials=2, fixed={"n": 6, "d": 2},
        ),
        "quick": Grid({"m": [4, 8, 12, 16, 24, 32]}, trials=30, fixed={"n": 12, "d": 3}),
        "paper": Grid(
            {"m": [4, 8, 12, 16, 20, 24, 28, 32, 40, 48], "outputs": ["alternating", "paired"]},
            trials=200, fixed={"n": 12, "d": 3}, published=200,
        ),
        "ridge": Grid(
            {"m": [4, 8, 12, 16, 24, 32]}, trials=200, fixed={"n": 12, "d": 3, "stabilized": "ridge"}, published=200
        ),
        "paper_20": Grid(
            {"m": [4, 6, 10, 14, 16, 20, 24, 30, 40, 50], "outputs": ["alternating", "paired"]},
            trials=100, fixed={"n": 20, "d": 4}, published=100,
        ),
        "paper_100": Grid(
            {"m": [20, 40, 60, 70, 80, 90, 100, 120, 150]}, trials=20, fixed={"n": 100, "d": 5}, published=20
        ),
        "odd": Grid({"m": [5, 15]}, trials=100, fixed={"n": 20, "d": 4}, published=100),
    },
    citation=CITATION,
    batch=10,
)  # fmt: skip
