"""How often the isometry conditions hold, without solving anything."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param
from smallnets.convex import certify
from smallnets.geometry import patterns

from ..engine import data, instance
from ..engine.instance import CITATION, DESIGN, DIMENSION, Design, Plant
from .normalized import NECESSARY
from .skip import PUBLISHED

MODELS = {"skip": tuple(data.PLANTS), "plain": tuple(data.NEURONS), "normalized": tuple(data.NEURONS)}


def check_model(params: Any) -> None:
    """Whether the model has such a plant, with that many neurons, and patterns next to it.

    Raises
    ------
    ValueError : "plant (planted neurons) of the skip model is one of random, smallest_singular, got axis"
    """
    if params.plant not in MODELS[params.model]:
        allowed = ", ".join(MODELS[params.model])
        raise ValueError(f"plant (planted neurons) of the {params.model} model is one of {allowed}, got {params.plant}")
    if params.model == "skip" and params.k != 1:
        raise ValueError(f"k (planted neurons) of the skip model is 1, its one linear neuron, got {params.k}")
    if params.model == "skip" and getattr(params, "gates", None) == "adjacent":
        raise ValueError("gates (patterns offered) must not be adjacent where model is skip: no pattern is planted")
    instance.check_plant(params.plant, params.k, params.d)


class Isometry(Params):
    """Planted neurons and sampled patterns; is the least-norm dual vector a certificate?"""

    n: int = param(100, "training points", ge=1, le=100_000, slider=(10, 400, 10))
    d: int = DIMENSION
    model: Literal["skip", "plain", "normalized"] = param("normalized", "network")
    k: int = param(2, "planted neurons", ge=1, le=100, slider=(1, 3, 1))
    design: Design = DESIGN
    plant: Plant = param("random", "planted neurons", symbol="w*")
    patterns: int | None = param(
        None, "sampled gate directions (none: max(2n, 50), as published)", symbol="m", ge=1, le=1_000_000
    )

    @model_validator(mode="after")
    def _plantable(self) -> Isometry:
        check_model(self)
        return self


def sample(params: Isometry, draws: Draws) -> Problem:
    """Inputs and planted neurons; the labels are those of the planted net."""
    return instance.SAMPLE[params.model](params, draws, 0.0)


def check(params: Isometry, problem: Problem, draws: Draws) -> Solution:
    """NIC (linear neuron), NIC-k (plain) or NNIC-k (normalised) over sampled and planted patterns."""
    directions = draws.normal("h", params.d, params.patterns or max(2 * params.n, 50))
    found = patterns.sample(problem.X, np.concatenate([problem.teacher.W, directions], axis=2))
    status, looks = [], []
    for b, p in enumerate(found.sizes):
        planted = [part[b] for part in problem.teacher]
        empty = instance.idle(problem.X[b], planted[0])
        status.append(Status.EMPTY if empty else Status.SOLVED)
        looks.append(
            dict.fromkeys(LOOKS, np.nan) if empty else _check(params, problem.X[b], found.D[b, :, :p], planted)
        )
    return Solution(problem.teacher, status, {name: np.array([look[name] for look in looks]) for name in LOOKS})


LOOKS = ("held", "held_published", "largest", "mean_square", "consistent")


def _check(params: Isometry, X: np.ndarray, D: np.ndarray, planted: list[np.ndarray]) -> dict[str, Any]:
    _, blocks, plant = instance.blocks_of(params.model, X, D, planted)
    condition = certify.isometry(blocks, plant)
    others = np.delete(condition.norms, plant.where)
    return {
        "held": condition.held(plant),
        "held_published": params.n >= params.d and certify.published_isometry(blocks, plant, condition),
        "largest": condition.largest(plant),
        "mean_square": np.nan if blocks.whitened or not len(others) else np.mean(others**2),
        "consistent": condition.consistent,
    }


def score(params: Isometry, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether the condition holds, as defined and as published."""
    stats = solution.stats
    measures = {"largest", "mean_square"}
    return {name: stats[name] if name in measures else stats[name] == 1 for name in LOOKS}


COLUMNS = {
    "held": Column("isometry condition holds: consistent, and all norms < 1", "event"),
    "held_published": Column("the same as published: consistency not asked for, ranks not cut, ties pass", "event"),
    "largest": Column("largest norm (normalised: or a bound on it, if that is below 1)", "measure", optional=True),
    "mean_square": Column("mean squared norm over the patterns (not for normalised)", "measure", optional=True),
    "consistent": Column("the least-norm dual vector meets the planted blocks' equations", "event"),
}

ISOMETRY = Experiment(
    name="convex_recovery.isometry",
    question="How often do the isometry conditions hold, which foretell recovery without solving anything?",
    params=Isometry,
    sample=sample,
    solve=check,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, trials=2),
        "quick": Grid({"n": range(10, 121, 10), "d": [5, 10, 15, 20]}, trials=10),
        "paper": Grid(PUBLISHED, trials=50, published=10),
    },
    citation=CITATION,
    guides=NECESSARY,
    batch=10,
)
