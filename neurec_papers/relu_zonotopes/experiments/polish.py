"""A network trained by gradient descent, and the convex optimum at the vertex where it ended."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Status
from neurec_core.figures import Curves
from neurec_core.params import param
from neurec_core.trials import Draw, each_trial

from ..engine.descent import own_vertex, trained
from .setting import CITATION, GeneralPosition, sample, signs

WORSE = 1e-9  # by which rounding may make the convex optimum worse, of labels of mean square 1
WALL = 1e-3  # cosine of a point and a neuron's weights below which the kink is at the point
NEAR = 1.01  # a loss below this times its vertex's optimum is at the optimum


class Polish(GeneralPosition):
    """One training of both layers, as the local search has it for its peer."""

    n: int = param(30, "training points", ge=2, le=100_000, slider=(4, 60, 1))
    m: int = param(5, "hidden neurons", ge=1, le=100_000, slider=(1, 40, 1))
    step: float = param(0.02, "step size", symbol="h", gt=0, le=10, slider=(0.005, 0.1, 0.005))
    steps: int = param(
        12_000, "most steps", symbol="T", ge=1, le=100_000_000, slider=(100, 1_000_000, 10), geometric=True
    )
    outputs: Literal["alternating", "random"] = param(
        "random", "signs of output weights: in turns, or by chance", symbol="s"
    )


def solve(params: Polish, given: Problem, draw: Draw) -> dict[str, Any] | Status:
    """Train, then solve the convex problem."""
    X, y = given.X, given.y
    W = draw.normal("W", params.m, params.d) / np.sqrt(params.d)
    a = signs(draw, params.outputs, params.m) / np.sqrt(params.m)
    run, own = trained(X, y, W, a, step=params.step, steps=params.steps)
    if not np.isfinite(own):
        return Status.DIVERGED
    return {
        "trained": run.loss, "polished": own, "first": own_vertex(X, y, W, a).loss,
        "flipped": 1 - np.mean((X @ W.T > 0) == (X @ run.W.T > 0)), "crossings": float(len(run.crossings)),
        "on_walls": _on_walls(X, run.W),
    }  # fmt: skip


def _on_walls(X: np.ndarray, W: np.ndarray) -> float:
    """The share of neurons whose kink all but goes through a point; those of a run that diverged may be of any size."""
    largest = np.abs(W).max(axis=1, keepdims=True)
    W = np.divide(W, largest, out=np.zeros(W.shape), where=(largest > 0) & np.isfinite(largest))
    sizes = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(W, axis=1)
    cosines = np.divide(np.abs(X @ W.T), sizes, out=np.zeros(sizes.shape), where=sizes > 0)
    return float(np.mean(cosines.min(axis=0) < WALL))


def score(params: Polish, given: Problem, found: dict[str, Any]) -> dict[str, Any]:
    """What the convex problem gains, and what moving between vertices had gained."""
    trained, polished, first = (found[name] for name in ("trained", "polished", "first"))
    return found | {
        "never_worse": polished <= trained + WORSE,
        "at_optimum": trained <= NEAR * polished + WORSE,
        "better_vertex": polished < first - WORSE,
    }


COLUMNS = {
    "never_worse": Column("the convex optimum is not worse", "event"),
    "at_optimum": Column("descent has reached the optimum of its last vertex, to 1 %", "event"),
    "better_vertex": Column("the last vertex is better than the first", "event"),
    "trained": Column("loss after gradient descent", "measure", "of the labels'", replay=Replay(1e-4, floor=1e-12)),
    "polished": Column("least loss at its last vertex", "measure", "of the labels'", replay=Replay(1e-4, floor=1e-12)),
    "first": Column("least loss at its first vertex", "measure", "of the labels'", replay=Replay(1e-4, floor=1e-12)),
    "flipped": Column("share of active and inactive points that have changed", "measure"),
    "crossings": Column("changes of patterns on the way, up to a million", "measure"),
    "on_walls": Column("share of neurons that end with a kink at a point", "measure"),
}


def never_worse(table: Any) -> Any:
    """The convex optimum of the last vertex is never worse than the trained network."""
    return table["never_worse"].mean()


LOSSES = ["trained", "polished", "first"]
POLISH = Experiment(
    name="relu_zonotopes.polish",
    question="How far from the optimum of its last patterns does gradient descent end?",
    params=Polish, **each_trial(sample, solve, score), columns=COLUMNS,
    presets={
        "tiny": Grid({"m": [1, 4], "steps": [10, 500]}, trials=2, fixed={"n": 6, "d": 2}),
        "quick": Grid({"steps": [100, 1000, 10_000, 100_000]}, trials=10),
        "paper": Grid({"steps": [100, 1000, 10_000, 100_000, 1_000_000], "m": [2, 5, 10]}, trials=20, published=20),
        "wide": Grid({"m": [5, 10, 20, 40]}, trials=10, fixed={"n": 60, "d": 5, "steps": 100_000}, published=10),
    },
    citation=CITATION,
    figures={"vertex": Curves("steps", LOSSES, None, {"m": 5, "n": 30}, "x", title="A trained network and its vertex")},
    claims=(Claim(never_worse, 1, 0, "matena2022combinatorial, in our words"),),
    batch=5,
)  # fmt: skip
