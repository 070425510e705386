"""The log that the published program writes of one training: a header of parameters and data, then a table."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem

from . import engine
from .experiments.setup import VARIANCES, SingleNeuron, points, sample
from .experiments.training import data_sets, solve_noted

SIGNS = {"positive": "+", "negative": "-"}
WIDE = 45.0  # degrees to the teacher from which the program counts a point as far
MEASURES = {
    "norm": "norm of combined neuron", "distance": "distance to teacher",
    "early_angle": "angle between combined neuron and early direction target",
    "target_angle": "angle between combined neuron and teacher neuron", "energy": "sum of squared weights",
    "nuclear": "nuclear norm", "predictions": "nonzero predictions", "seen": "average num of points seen (+)",
    "inside": "val loss",
}  # fmt: skip


def log(params: SingleNeuron, draws: Draws) -> Iterator[str]:
    """The file of one trial, line by line: `head` behind ``#``, as JSON, and `table` as CSV.

    Parameters
    ----------
    params : of an experiment of this paper but `single_neuron.min_rank_vs_min_norm`
    draws : of one trial

    **Source**: chistikov2023learning, its code; differs: loss and gradients are of the weights of their row, where the
    program's are an iteration older; eigenvalues are sorted; its hash of the start and names of files are left out.
    """
    problem = sample(params, draws)
    solution = solve_noted(params, problem, draws)
    W, a = (part[0] for part in solution.value)
    for line in json.dumps(head(params, problem, draws, W=W, a=a), indent=4).splitlines():
        yield f"# {line}"
    columns = table(problem, solution.trace["at"][0], solution.trace["measures"][0])
    yield ",".join(columns)
    for row in zip(*columns.values(), strict=True):
        yield ",".join("" if value != value else repr(value) for value in row)


def head(params: SingleNeuron, problem: Problem, draws: Draws, *, W: np.ndarray, a: np.ndarray) -> dict[str, Any]:
    """What the program notes of a training: parameters, data, and weights W (2, m, d), a (2, m) at start and end."""
    X, teachers = problem.X[0], problem.teacher.net.W[0].T
    far, groups = engine.angle(X[: params.points], teachers[0]), engine.groups(X, W[0], a[0])
    masks = {name: np.isin(np.arange(len(a[0])), group) for name, group in groups._asdict().items()}
    found = {
        "d": params.d, "n": params.points, "width": params.m, "init scale": params.scale, "learning rate": params.step,
        "training points noise scale": (params.spread * VARIANCES[params.data]) ** 0.5,
        "uncentered training points": params.data == "uncentred", "two teachers": params.teachers == "two",
        "cutoff": params.steps, "loss target": params.target, "maximum angle to teacher": far.max(),
        "large angle point count": int((far > WIDE).sum()),
        "eigenvalues": engine.eigenbasis(X, teachers[0])[0] * len(X), "teacher neuron": teachers[0],
        "center": points(params, draws)[1][0], "always dead": ~(masks["positive"] | masks["negative"]),
        "positive group": masks["positive"], "negative group": masks["negative"],
        **({"teacher neuron 2": teachers[1]} if len(teachers) > 1 else {}),
        "data points": X, "init weights": W[0], "weights": W[1], "predict weights": a[1:],
    }  # fmt: skip
    return {name: part.tolist() if isinstance(part, np.ndarray | np.generic) else part for name, part in found.items()}


def table(problem: Problem, at: np.ndarray, measures: dict[str, np.ndarray]) -> dict[str, list[Any]]:
    """The columns of the log by their published names, with a row for each iteration noted after the start.

    Parameters
    ----------
    at : (L,), iterations
    measures : of `engine.logged`; a group of neurons that is empty has no columns of gradients
    """
    columns: dict[str, np.ndarray] = {"iteration": at, "loss": measures["loss"]}
    for what, words in (("length", "length grad"), ("direction", "direction grad norm")):
        for group, sign in SIGNS.items():
            for statistic in ("min", "max", "mean"):
                name = f"{group}_{what}_{statistic}"
                if name in measures:
                    columns[f"{statistic} {words} ({sign})"] = measures[name]
    for group in SIGNS:
        for statistic, words in (("mean", "average"), ("max", "maximum")):
            columns[f"{words} angle between {group} neurons"] = measures[f"{group}_{statistic}_angle"]
    columns |= {published: measures[name] for name, published in MEASURES.items()}
    sets = data_sets(problem)[0].sets
    columns |= {f"val loss outside dist {sets[name].shape[1]}": measures[name] for name in ("small", "middle", "large")}
    for k, values in enumerate(measures["coordinates"].T, start=1):
        columns[f"difference to target in dim {k}"] = values
    return {name: values[at > 0].tolist() for name, values in columns.items()}
