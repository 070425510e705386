"""The loss at a random vertex: how wide must a network be for its initial patterns to hold a solution?"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay
from neurec_core.figures import Curves, matching
from neurec_core.params import param
from neurec_core.trials import Draw, each_trial
from smallnets.convex import cell

from ..engine.descent import own_vertex
from .setting import CITATION, GeneralPosition, sample, signs

RIDGE = 1e-8
ZERO = 1e-12  # mean squared error, of labels of mean square 1, that counts as none


class RandomVertex(GeneralPosition):
    """Directions of the neurons are normal, so that each vertex has its solid angle as probability."""

    m: int = param(8, "hidden neurons", ge=1, le=100_000, slider=(1, 40, 1))
    outputs: Literal["alternating", "paired", "random"] = param(
        "alternating", "signs of output weights: in turns, both for each pattern, by chance", symbol="s"
    )
    stabilized: Literal["no", "ridge"] = param(
        "no", "the convex problem as it is, or with the ridge of 1e-8 on all weights that often keeps it stable"
    )

    @model_validator(mode="after")
    def _even(self) -> Self:
        if self.outputs == "paired" and self.m % 2:
            raise ValueError(f"m (hidden neurons) must be even where outputs is paired, got {self.m}")
        return self


def solve(params: RandomVertex, given: Problem, draw: Draw) -> tuple[float, int]:
    """The least loss at a random vertex, and the rank of its neurons' linear maps."""
    X, y, pairs = given.X, given.y, 2 if params.outputs == "paired" else 1
    W = np.repeat(draw.normal("W", params.d, params.m // pairs), pairs, axis=1)
    s = signs(draw, "random" if params.outputs == "random" else "alternating", params.m)
    ridge = params.stabilized == "ridge"
    loss = cell.ridge(X, y, X @ W > 0, s, weight=RIDGE) if ridge else own_vertex(X, y, W.T, s).loss
    patterns = np.unique(X @ W > 0, axis=1)
    return loss, int(np.linalg.matrix_rank(np.hstack([D[:, None] * X for D in patterns.T])))


def score(params: RandomVertex, given: Problem, found: tuple[float, int]) -> dict[str, Any]:
    """Whether the vertex holds a network that fits, and how near its best one comes."""
    loss, rank = found
    overparameterized = params.m * params.d / params.n
    return {
        "zero_loss": loss < ZERO,
        "spanning": rank == params.n,
        "loss": loss,
        "overparameterized": overparameterized,
    }


COLUMNS = {
    "zero_loss": Column("some network at the vertex fits all labels", "event"),
    "spanning": Column("the neurons' linear maps span all labels", "event"),
    "loss": Column(
        "least mean squared error at the vertex", "measure", "of the labels'", replay=Replay(1e-5, floor=1e-10)
    ),
    "overparameterized": Column("hidden weights for each point", "measure"),
}

ALTERNATING = {"stabilized": "no", "n": 12, "outputs": "alternating"}


def narrow(table: Any) -> Any:
    """With one hidden weight per label a random vertex hardly ever fits twelve labels."""
    return matching(table, {**ALTERNATING, "m": 4})["zero_loss"].mean()


def wide(table: Any) -> Any:
    """With twelve hidden weights per label nearly every random vertex fits."""
    return matching(table, {**ALTERNATING, "m": 48})["zero_loss"].mean()


RANDOM_VERTEX = Experiment(
    name="relu_zonotopes.random_vertex",
    question="How wide must a network be for its patterns at the start to hold a perfect fit?",
    params=RandomVertex, **each_trial(sample, solve, score), columns=COLUMNS,
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
    figures={
        "twelve": Curves("m", "zero_loss", "outputs", {"stabilized": "no", "n": 12}),
        "twenty": Curves("m", "zero_loss", "outputs", {"stabilized": "no", "n": 20}),
    },
    claims=(Claim(narrow, 0, 0.05, "derived here"), Claim(wide, 1, 0.1, "derived here")),
    batch=10,
)  # fmt: skip
