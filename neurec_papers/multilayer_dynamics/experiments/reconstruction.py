"""Do the layers of a deep student come to match the layers of its teacher, and from where?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution

from ..engine import specialization
from ..engine.measures import beta_diagonal
from ..engine.outcome import one, order, shares, trained
from ..engine.teachers import CITATION
from . import students
from .students import LAYERS, Setup, sample

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet

FOUND = 0.9  # correlation from which a student neuron counts as a match
SOME = 256  # points over which the strength of a neuron is averaged
LOWEST = 0.99  # asked of every neuron of the lowest layer


class Reconstruction(Setup):
    """As the papers' multilayer programs."""


def solve(params: Setup, problem: Problem, draws: Draws) -> Solution:
    """Train; the value holds the students at the start and at the end. One that diverges is kept as it started."""
    start = students.student(params, draws)
    return trained(start, students.training(params, problem, start, draws), problem.y, params.loss)


def score(params: Setup, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Correlations of each layer's neurons at the end, ranks of the winners at the start."""
    rows = [_row(params, problem, solution, b) for b in range(len(problem.X))]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def _row(params: Setup, problem: Problem, solution: Solution, b: int) -> dict[str, float | bool]:
    from smallnets.descent.deep_relu import states

    X, form = problem.X[b : b + 1], params.form()
    wise, (start, end) = one(problem.teacher, b), (one(net, b) for net in solution.value)
    T = states(wise, X, form.teachers)[:-1]
    first, last = (states(net, X, form) for net in (start, end))
    row: dict[str, float | bool] = dict.fromkeys(COLUMNS, np.nan)
    found = [specialization.correlations(t, s) for t, s in zip(T, last[:-1], strict=True)]
    for i, (t, s) in enumerate(zip(T, first[:-1], strict=True)):
        row |= layer(i + 1, t, specialization.correlations(t, s), found[i])
    if params.network == "dense" and params.batch_norm == "without" and not params.slope:
        teachers, students = (
            [np.sqrt(beta[0, :-1]) for beta in beta_diagonal(net.layers, X[:, :SOME])] for net in (wise, end)
        )
        for i, C in enumerate(found):
            there = specialization.live(T[i])[0]
            row[f"order_{i + 1}"] = order(teachers[i][there], specialization.best(C)[0, there])
            row[f"fan_out_{i + 1}"] = shares(students[i], C[0], FOUND)
    row["lowest"] = bool((specialization.best(found[0]) > LOWEST)[specialization.live(T[0])].all())
    row["silent"] = float(sum((~specialization.live(t)).sum() for t in T))
    row["error"] = float(((last[-1] - problem.y[b]) ** 2).mean())
    row["agreement"] = float((last[-1][0].argmax(axis=1) == problem.y[b].argmax(axis=1)).mean())
    row["train_error"] = float(solution.stats["loss"][b])
    row["moved"] = _moved(solution.value, b)
    return row


def layer(depth: int, T: np.ndarray, first: np.ndarray, last: np.ndarray) -> dict[str, float]:
    """Measures of a layer: from its teacher's states (1, n, m), correlations (1, m, k) at the start and the end."""
    there, best = specialization.live(T), specialization.best(last)
    ranks = specialization.winner_ranks(first, last) / max(first.shape[2] - 1, 1)
    return {
        f"best_{depth}": best.mean(),
        f"live_{depth}": specialization.mean_over(best, there)[0],
        f"rank_{depth}": specialization.mean_over(ranks, there)[0],
        f"matches_{depth}": specialization.mean_over(specialization.matches(last, FOUND), there)[0],
    }


def _moved(nets: Sequence[DeepNet], b: int) -> float:
    """Root mean square of what the lowest layer's weights have changed by, over their own at the start."""
    start, end = (net.layers[0].W[b] for net in nets)
    return float(np.linalg.norm(end - start) / np.linalg.norm(start))


ORDINALS = ("lowest", "second", "third", "fourth")[:LAYERS]
LABELS = {
    "best_{}": "largest correlation with a student neuron, 0 for silent teacher neurons, {} layer",
    "live_{}": "largest correlation with a student neuron, {} layer",
    "rank_{}": "rank of the winners at the start over that of the last, {} layer",
    "matches_{}": "student neurons with a correlation of 0.9 or more, per teacher neuron, {} layer",
    "fan_out_{}": "strength of student neurons without a match over that of those with one, {} layer",
    "order_{}": "rank correlation of teacher neurons' strength and their largest correlation, {} layer",
}
COLUMNS = {
    "lowest": Column("each neuron of the lowest layer has a student neuron", "event"),
    **{
        name.format(depth): Column(label.format(ordinal), "measure", optional=True)
        for name, label in LABELS.items()
        for depth, ordinal in enumerate(ORDINALS, start=1)
    },
    "silent": Column("teacher neurons that are active on no point", "measure"),
    "error": Column("mean squared error on new points", "measure", logarithmic=True),
    "agreement": Column("share of new points with the same largest output", "measure"),
    "train_error": Column("training loss over the last epoch", "measure", logarithmic=True, optional=True),
    "moved": Column("change of the lowest layer's weights over their size", "measure"),
}

SHORT = {"widths": "3-4", "d": 4, "outputs": 5, "node_multi": 2, "points": 256, "looked_at": 200, "rate": "0.005"}
HORIZONS = [0, 1, 2, 3, 5, 8, 20, 40]
RECONSTRUCTION = Experiment(
    name="multilayer_dynamics.reconstruction",
    question="Do student neurons come to match teacher neurons, layer by layer?",
    params=Reconstruction,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"epochs": [0, 3], "batch_norm": ["without", "after"]}, trials=2, fixed=SHORT),
        "quick": Grid(
            {"epochs": [0, 1, 2, 4, 8]}, trials=2, fixed={"node_multi": 2, "points": 20_000, "looked_at": 1000}
        ),
        "paper": Grid({"epochs": HORIZONS}, trials=10, published=4),
        "published": Grid({"epochs": [40]}, trials=10, fixed={"pairs": "shared", "dtype": "float32", "looked_at": 192}),
    },
    citation=CITATION,
    batch=4,
)
