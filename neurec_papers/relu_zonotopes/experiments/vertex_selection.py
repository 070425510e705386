"""The selected vertex fits any labels, with twice as many hidden weights as there are labels."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay
from neurec_core.figures import Curves
from neurec_core.params import Params, param
from neurec_core.trials import Draw, each_trial

from ..engine import selection
from .setting import CITATION, labels, points

SOURCE = "matena2022combinatorial, in our words"
EXACT = 1e-6  # largest error, for labels of mean square 1, that is taken for the rounding of weights up to 10^8


class VertexSelection(Params):
    """Normal points and labels; the direction along which points are cut is drawn, too."""

    n: int = param(200, "training points", ge=2, le=1_000_000, slider=(10, 2000, 10))
    d: int = param(5, "inputs, the constant 1 of the bias included", ge=2, le=1000, slider=(2, 40, 1))
    tries: int = param(
        1, "directions, of which the one with the widest gap at its cuts is taken", symbol="k", ge=1, le=10_000,
        slider=(1, 1024, 2), geometric=True,
    )  # fmt: skip


def sample(params: VertexSelection, draw: Draw) -> Problem:
    """Points that end in a 1, and random labels."""
    return Problem(points(draw, params.n, params.d, "with_bias"), labels(draw, params.n))


def solve(params: VertexSelection, given: Problem, draw: Draw) -> dict[str, Any]:
    """Choose the vertex from the points, then fit the labels in it."""
    X, y = given.X, given.y
    chosen = selection.widest(X, draw.normal("direction", params.tries, params.d - 1))
    W, a = selection.fit(X, y, chosen)
    # Neurons of a pair are active together and large: their difference is what the network says, without rounding.
    together = np.sum(chosen.D * (X @ (W[::2] - W[1::2]).T), axis=1)
    return {
        "error": np.abs(together - y).max(), "rounded": np.abs(np.maximum(X @ W.T, 0) @ a - y).max(),
        "inside": (np.where(np.repeat(chosen.D, 2, axis=1), 1, -1) * (X @ W.T)).min(),
        "largest": np.abs(W).max(), "width": float(chosen.m),
    }  # fmt: skip


def score(params: VertexSelection, given: Problem, found: dict[str, Any]) -> dict[str, Any]:
    """Whether all labels are met with the patterns that were chosen."""
    exact = bool(found["error"] < EXACT and found["inside"] >= 0)
    found |= {"exact": exact, "overparameterized": found["width"] * params.d / params.n}
    return {name: found[name] for name in COLUMNS}


COLUMNS = {
    "exact": Column("all labels met to 1e-6, with the chosen patterns", "event"),
    "error": Column("largest error", "measure", "of a label", logarithmic=True, replay=Replay(3.0)),
    "rounded": Column("largest error, added one by one", "measure", "of a label", logarithmic=True, replay=Replay(3.0)),
    "largest": Column("largest hidden weight", "measure", logarithmic=True),
    "width": Column("hidden neurons", "measure"),
    "overparameterized": Column("hidden weights for each point", "measure"),
}


def fits(table: Any) -> Any:
    """The vertex that is chosen without the labels fits them in every trial."""
    return table["exact"].mean()


def weights(table: Any) -> Any:
    """It has about two hidden weights per label, where there are many blocks."""
    return table.loc[table["n"] >= 10 * table["d"], "overparameterized"].max()


VERTEX_SELECTION = Experiment(
    name="relu_zonotopes.vertex_selection",
    question="Does a vertex chosen without the labels hold a network that fits them?",
    params=VertexSelection, **each_trial(sample, solve, score), columns=COLUMNS,
    presets={
        "tiny": Grid({"n": [7, 20], "d": [2, 4]}, trials=2),
        "quick": Grid({"n": [20, 50, 100, 200, 500], "d": [4, 10]}, trials=10),
        "paper": Grid({"n": [20, 50, 100, 200, 500, 1000, 2000], "d": [4, 6, 10, 20]}, trials=20, published=20),
        "tries": Grid({"tries": [1, 4, 16, 64, 256]}, trials=20, fixed={"n": 1000, "d": 10}, published=20),
        "line": Grid({"n": [20, 50, 100, 200, 500, 1000, 2000]}, trials=20, fixed={"d": 2}, published=20),
    },
    citation=CITATION,
    figures={
        "error": Curves("n", "error", "d", {"tries": 1, "d": [4, 10, 20]}, "xy"),
        "weights": Curves("n", "overparameterized", "d", {"tries": 1}, "x"),
    },
    claims=(Claim(fits, 1, 0, SOURCE), Claim(weights, 2, 0.2, SOURCE)),
    batch=5,
)  # fmt: skip
