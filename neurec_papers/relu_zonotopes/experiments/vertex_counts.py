"""How many vertices a zonotope has, how many of them sampling finds, and how thin their cells are."""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
import scipy
from pydantic import model_validator

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem
from neurec_core.figures import Curves, Theory
from neurec_core.params import Params, param
from neurec_core.trials import Draw, each_trial
from smallnets.geometry import arrangements, zonotopes

from .setting import CITATION, INPUTS, Inputs, enumerable, points


class VertexCounts(Params):
    """Points in general position, all cells of their hyperplanes, and a number of sampled directions."""

    n: int = param(10, "training points", ge=2, le=10_000, slider=(3, 40, 1))
    d: int = param(3, "inputs, the constant 1 of the bias included", ge=2, le=20, slider=(2, 5, 1))
    inputs: Inputs = INPUTS
    directions: int = param(
        1000, "random directions", symbol="k", ge=1, le=10_000_000, slider=(10, 1_000_000, 10), geometric=True
    )

    @model_validator(mode="after")
    def _general(self) -> Self:
        enumerable(self.n, self.d)
        return self


def sample(params: VertexCounts, draw: Draw) -> Problem:
    """Points; their labels play no part."""
    return Problem(points(draw, params.n, params.d, params.inputs), np.zeros(params.n))


def solve(params: VertexCounts, given: Problem, draw: Draw) -> dict[str, Any]:
    """All cells, and those that random directions meet."""
    X, directions = given.X, draw.normal("h", params.d, params.directions)
    fan = zonotopes.fan(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zonotopes.MissedCells)  # it is what is counted here
        D, times = zonotopes.sampled(X, directions)
    V, H = zonotopes.vertices(X, fan.D), fan.H
    # A vertex is farther along its own direction than all others: the gap is the room of the closest rival.
    reach = np.sort(V @ H, axis=0) if V.shape[0] < 3000 else None
    angles = zonotopes.solid_angles(X, fan) if X.shape[1] <= zonotopes.EXACT else None
    expected = np.nan if angles is None else np.sum(-np.expm1(directions.shape[1] * np.log1p(-angles)))
    cells = fan.find(D)
    shares = np.bincount(cells, times / times.sum(), fan.D.shape[1])
    return {
        "cells": float(fan.D.shape[1]),
        "walls": np.sum(fan.beyond >= 0) / 2,
        "degree": np.mean(np.sum(fan.beyond >= 0, axis=1)),
        "least_degree": float(np.min(np.sum(fan.beyond >= 0, axis=1))),
        "supported": np.nan if reach is None else float(np.mean(np.isclose((V * H.T).sum(axis=1), reach[-1]))),
        "met": float(len(cells)),
        "expected": expected,
        "law_error": np.nan if angles is None else np.abs(shares - angles).max(),
        "thinnest": np.nan if angles is None else angles.min(),
    }


def score(params: VertexCounts, given: Problem, found: dict[str, Any]) -> dict[str, Any]:
    """Counts beside their formulas."""
    count, walls = arrangements.count(params.n, params.d), zonotopes.walls(params.n, params.d)
    compared = {
        "as_predicted": bool(found["cells"] == count and found["walls"] == walls), "all_met": found["met"] == count,
        "missed": count - found["met"], "missed_expected": count - found["expected"],
    }  # fmt: skip
    return {name: (found | compared)[name] for name in COLUMNS}


COLUMNS = {
    "as_predicted": Column("as many vertices and edges as the formulas say", "event"),
    "all_met": Column("random directions meet all cells", "event"),
    "cells": Column("vertices", "measure", logarithmic=True),
    "missed": Column("vertices that no random direction meets", "measure"),
    "missed_expected": Column("that, expected from solid angles, d ≤ 3", "measure", optional=True),
    "degree": Column("edges at a vertex, mean", "measure"),
    "least_degree": Column("edges at a vertex, least", "measure"),
    "supported": Column("vertices farthest along their own direction, up to 3000 of them", "measure", optional=True),
    "thinnest": Column("least solid angle, d ≤ 3", "measure", "of all directions", logarithmic=True, optional=True),
    "law_error": Column(
        "largest |share of directions - solid angle|, d ≤ 3", "measure", logarithmic=True, optional=True
    ),
}


def counted(table: Any) -> Any:
    """There are as many vertices and edges as the formulas say."""
    return table["as_predicted"].mean()


def supported(table: Any) -> Any:
    """Every vertex is farthest along its own direction."""
    return table["supported"].dropna().min()


MISSED = "Missed vertices, of 92"
FORMULA = "2 Σ<sub>k&lt;d</sub> C(n − 1, k)"


def predicted(n: np.ndarray, at: Any) -> np.ndarray:
    """The number of vertices in general position, as a polynomial of n."""
    return 2 * sum(scipy.special.comb(n - 1, k) for k in range(at["d"]))


VERTEX_COUNTS = Experiment(
    name="relu_zonotopes.vertex_counts",
    question="How many activation patterns are there, and how many does sampling find?",
    params=VertexCounts, **each_trial(sample, solve, score), columns=COLUMNS,
    presets={
        "tiny": Grid({"n": [4, 6], "d": [2, 3]}, trials=2, fixed={"directions": 100}),
        "quick": Grid({"n": [6, 8, 10, 12], "d": [2, 3, 4]}, trials=5, fixed={"directions": 10_000}),
        "paper": Grid(
            {"n": [6, 8, 10, 12, 20, 40], "d": [2, 3, 4]}, trials=5, fixed={"directions": 200_000}, published=5
        ),
        "bias": Grid({"n": [6], "d": [3]}, trials=5, fixed={"inputs": "with_bias", "directions": 200_000}, published=5),
        "sampling": Grid(
            {"directions": [10**k for k in range(1, 7)]}, trials=20, fixed={"n": 10, "d": 3}, published=20
        ),
    },
    citation=CITATION,
    figures={
        "sampling": Curves("directions", ["missed", "missed_expected"], None, {"n": 10, "d": 3}, "x", title=MISSED),
        "cells": Curves(
            "n", "cells", "d", {"inputs": "normal", "directions": 200_000}, "y", theory=Theory(FORMULA, predicted)
        ),
    },
    claims=(Claim(counted, 1, 0, "derived here"), Claim(supported, 1, 0, "derived here")),
    batch=5,
)  # fmt: skip
