"""Deep students: do their layers come to match those of their teacher, and what makes it easier?"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution
from neurec_core.figures import Curves, matching
from neurec_core.params import param

from ..engine import specialization
from ..engine.measures import beta_diagonal
from ..engine.outcome import one, order, shares, trained
from . import students
from .shared import CITATION, README, node_multi
from .students import LAYERS, DeepStudents, sample

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet

FOUND = 0.9  # correlation from which a student neuron counts as a match
SOME = 256  # points over which the strength of a neuron is averaged
LOWEST = 0.99  # asked of every neuron of the lowest layer


class Knobs(DeepStudents):
    """As in `reconstruction`, with students of medium width that are trained for eight epochs."""

    node_multi: int = node_multi(5)
    epochs: int = param(8, "passes over the training points", symbol="E", ge=0, le=10_000)


class Specialization(DeepStudents):
    """As the second paper's multilayer program."""

    widths: str = param("50-75-100-125", "neurons of the teacher's hidden layers")
    values: Literal["five", "nine"] = param("nine", "values that a separated weight takes")
    tuned: bool = param(True, "teacher's biases moved so that each hidden neuron is active on half of the points")
    standardized: bool = param(True, "teacher's outputs brought to mean 0 and variance 1")
    rate: str = param("0:0.2,20:0.1", "step size, or from which epoch on which")
    points: int = param(200_000, "training points", symbol="N", ge=1, le=10_000_000)
    epochs: int = param(100, "passes over the training points", symbol="E", ge=0, le=10_000)


def solve(params: DeepStudents, problem: Problem, draws: Draws) -> Solution:
    """Train; the value holds the students at the start and at the end, which for one that diverges is the start."""
    start = students.student(params, draws)
    return trained(start, students.training(params, problem, start, draws), problem.y, params.loss)


def score(params: DeepStudents, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Correlations of each layer's neurons at the end, ranks of the winners at the start."""
    rows = [_row(params, problem, solution, b) for b in range(len(problem.X))]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def _row(params: DeepStudents, problem: Problem, solution: Solution, b: int) -> dict[str, float | bool]:
    from smallnets.descent.deep_relu import states

    X, form = problem.X[b : b + 1], params.form()
    teacher, (start, end) = one(problem.teacher, b), (one(net, b) for net in solution.value)
    T = states(teacher, X, form.teachers)[:-1]
    first, last = (states(net, X, form) for net in (start, end))
    row: dict[str, float | bool] = dict.fromkeys(COLUMNS, np.nan)
    found = [specialization.correlations(t, s) for t, s in zip(T, last[:-1], strict=True)]
    for i, (t, s) in enumerate(zip(T, first[:-1], strict=True)):
        row |= layer(i + 1, t, specialization.correlations(t, s), found[i])
    if params.network == "dense" and params.batch_norm == "without" and not params.slope:
        theirs, ours = (
            [np.sqrt(beta[0, :-1]) for beta in beta_diagonal(net.layers, X[:, :SOME])] for net in (teacher, end)
        )
        for i, C in enumerate(found):
            there = specialization.live(T[i])[0]
            row[f"order_{i + 1}"] = order(theirs[i][there], specialization.best(C)[0, there])
            row[f"fan_out_{i + 1}"] = shares(ours[i], C[0], FOUND)
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


def lowest_layer(table: Any) -> float:
    """After 40 epochs the lowest layer is found (mean of its largest correlations)."""
    return float(table.loc[table["epochs"] == 40, "live_1"].mean())


def second_layer(table: Any) -> float:
    """After 40 epochs the second layer is nearly found (mean of its largest correlations)."""
    return float(table.loc[table["epochs"] == 40, "live_2"].mean())


def less_luck_above(table: Any) -> float:
    """The winners' mean ranks at the start grow from layer to layer (least difference of neighbouring layers)."""
    ranks = table.loc[table["epochs"] == 40, [f"rank_{depth}" for depth in range(1, LAYERS + 1)]].mean()
    return float(ranks.diff().min())


def small_points(table: Any) -> float:
    """Points of standard deviation 1 find the lowest layer, too, at a step size of 4 (mean of its correlations)."""
    usual = {"node_multi": 5, "outputs": 100, "optimizer": "sgd", "batch_norm": "without", "momentum": 0.0}
    rows = matching(table, {**usual, "normalize": False, "fresh": False, "data_std": 1.0, "rate": "4"})
    return float(rows["live_1"].mean())


LIVE = [f"live_{depth}" for depth in range(1, LAYERS + 1)]
SHORT = {"widths": "3-4", "d": 4, "outputs": 5, "node_multi": 2, "points": 256, "eval_points": 200, "rate": "0.005"}
HORIZONS = [0, 1, 2, 3, 5, 8, 20, 40]
RECONSTRUCTION = Experiment(
    name="multilayer_dynamics.reconstruction",
    question="Do student neurons come to match teacher neurons, layer by layer?",
    params=DeepStudents,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"epochs": [0, 3], "batch_norm": ["without", "after"]}, 2, SHORT),
        "quick": Grid({"epochs": [0, 1, 2, 4, 8]}, 2, {"node_multi": 2, "points": 20_000, "eval_points": 1000}),
        "paper": Grid({"epochs": HORIZONS}, 10, published=4),
        "published": Grid({"epochs": [40]}, 10, {"pairs": "shared", "dtype": "float32", "eval_points": 192}),
    },
    citation=CITATION,
    batch=4,
    log="neurec_papers.multilayer_dynamics.progress:log",
    figures={
        "layers": Curves("epochs", LIVE, title="Largest correlation with a student neuron, layer by layer"),
    },
    claims=(
        Claim(lowest_layer, 0.9999, 1e-4, README),
        Claim(second_layer, 0.994, 0.02, README),
        Claim(less_luck_above, 0.08, 0.079, README),
    ),
)
TURNED = {
    "node_multi": Grid({"node_multi": [1, 2, 5, 10]}, 10),
    "outputs": Grid({"outputs": [1, 10, 100]}, 10, published=2),
    "data_std": Grid({"data_std": [1.0, 3.0, 10.0]}, 10, published=2),
    "small_points": Grid({"rate": ["0.05", "0.5", "1.5", "4"]}, 10, {"data_std": 1.0}, published=2),
    "rate": Grid({"rate": ["0.01", "0.05", "0.2", "0.5"]}, 10, published=2),
    "normalize": Grid({"normalize": [False, True]}, 10, published=2),
    "batch_norm": Grid({"batch_norm": ["after", "before"], "affine": [False, True]}, 10, published=2),
    "fresh": Grid({"fresh": [False, True]}, 10, published=2),
    "momentum": Grid({"momentum": [0.0, 0.9]}, 10, {"rate": "0.005"}, published=2),
    "adam": Grid({"optimizer": ["adam"]}, 10, {"rate": "0.001"}, published=2),
    "cross_entropy": Grid({"loss": ["mean", "cross_entropy"]}, 10, {"outputs": 10}, published=2),
    "images": Grid({"data": ["mnist", "cifar10"]}, 2, {"outputs": 10, "rate": "0.01", "epochs": 40}),
    "images_like": Grid(
        {"data": ["mnist_like", "cifar10_like"], "network": ["dense", "convolutional"]}, 2,
        {"outputs": 10, "rate": "0.01", "points": 2000, "eval_points": 200}),
}  # fmt: skip
BRIEF = {"points": 20_000, "eval_points": 1000, "epochs": 4, "node_multi": 2}

KNOBS = dataclasses.replace(
    RECONSTRUCTION,
    name="multilayer_dynamics.knobs",
    question="What do width, outputs, the points' size, the step size and normalisation do to a reconstruction?",
    params=Knobs,
    presets={
        "tiny": Grid(
            {"normalize": [False, True], "data_std": [1.0, 10.0]}, 2, {**SHORT, "epochs": 2}
        ),
        "quick": Grid({"data_std": [1.0, 3.0, 10.0], "rate": ["0.05", "0.5"]}, 2, BRIEF),
        "paper": Grid({"node_multi": [1, 2, 5, 10], "outputs": [10, 100]}, 10, published=2),
        **TURNED,
    },
    figures={},
    claims=(Claim(small_points, 1, 0.005, "measured here, against the authors' README"),),
)  # fmt: skip
DEEP_SPECIALIZATION = dataclasses.replace(
    RECONSTRUCTION,
    name="multilayer_dynamics.deep_specialization",
    question="Do wide students specialise from the lowest layer up, and let the others fade?",
    params=Specialization,
    presets={
        "tiny": Grid({"epochs": [0, 2]}, 2, {**SHORT, "widths": "3-4-3"}),
        "quick": Grid({"epochs": [0, 1, 3]}, 1, {"node_multi": 1, "points": 20_000, "eval_points": 1000}),
        "paper": Grid({"node_multi": [1, 2, 5, 10], "epochs": [1, 5, 20, 100]}, 10),
        "part": Grid({"node_multi": [1, 2], "epochs": [1, 5, 20]}, 3, published=2),
        "depth": Grid({"widths": ["50", "50-75", "50-75-100"]}, 10, {"node_multi": 2, "epochs": 5}, published=2),
        "readme": Grid({"epochs": [100]}, 1, {"dtype": "float32"}),
    },
    log="",  # that program prints something else
    figures={},
    claims=(),
)
