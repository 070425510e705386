"""How often the isometry conditions hold, without solving anything."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.figures import PhaseDiagram
from neurec_core.params import param
from smallnets.convex import certify
from smallnets.geometry import patterns

from ..engine import data, instance
from .shared import CITATION, DESIGN, DIMENSION, NECESSARY, PLANT, PUBLISHED, Design, Plant, PlantedParams, edges


class IsometryCheck(PlantedParams):
    """Planted neurons and sampled patterns; is the least-norm dual vector a certificate?"""

    n: int = param(100, "training points", ge=1, le=100_000, slider=(10, 400, 10))
    d: int = DIMENSION
    model: Literal["skip", "plain", "normalized"] = param("normalized", "network")
    k: int = param(2, "planted neurons", ge=1, le=100, slider=(1, 3, 1))
    design: Design = DESIGN
    plant: Plant = PLANT
    patterns: int | None = param(
        None, "sampled gate directions (none: max(2n, 50), as published)", symbol="m", ge=1, le=1_000_000
    )


def check(params: IsometryCheck, problem: Problem, draws: Draws) -> Solution:
    """NIC (linear neuron), NIC-k (plain) or NNIC-k (normalised) over sampled and planted patterns."""
    directions = draws.normal("h", params.d, params.patterns or max(2 * params.n, 50))
    found = patterns.sample(problem.X, np.concatenate([problem.teacher.W, directions], axis=2))
    status, checks = [], []
    for b, p in enumerate(found.sizes):
        planted = [part[b] for part in problem.teacher]
        empty = instance.idle(problem.X[b], planted[0])
        status.append(Status.EMPTY if empty else Status.SOLVED)
        checks.append({} if empty else _check(params, problem.X[b], found.D[b, :, :p], planted))
    stats = {name: np.array([one.get(name, np.nan) for one in checks]) for name in COLUMNS}
    return Solution(problem.teacher, status, stats)


def _check(params: IsometryCheck, X: np.ndarray, D: np.ndarray, planted: list[np.ndarray]) -> dict[str, Any]:
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


def score(params: IsometryCheck, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether the condition holds, as defined and as published."""
    return {
        name: solution.stats[name] == 1 if column.kind == "event" else solution.stats[name]
        for name, column in COLUMNS.items()
    }


COLUMNS = {
    "held": Column("isometry condition holds: consistent, and all norms < 1", "event"),
    "held_published": Column("the same as published: consistency not asked for, ranks not cut, ties pass", "event"),
    "largest": Column("largest norm (normalised: or a bound on it, if that is below 1)", "measure", optional=True),
    "mean_square": Column("mean squared norm over the patterns (not for normalised)", "measure", optional=True),
    "consistent": Column("the least-norm dual vector meets the planted blocks' equations", "event"),
}


def inconsistent(table: Any) -> float:
    """The isometry condition never holds without a dual vector that meets its equations (exceptions)."""
    return float((table["held"] & ~table["consistent"]).sum())


def condition_edge(table: Any) -> float:
    """For two random normalised neurons the isometry condition holds from n/d = 4.2 to 5.5 on (edge)."""
    return float(edges(table, "held")["threshold"].iloc[0])


ISOMETRY = Experiment(
    name="convex_recovery.isometry",
    question="How often do the isometry conditions hold, which predict recovery without solving anything?",
    params=IsometryCheck,
    sample=data.sample,
    solve=check,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"n": [6, 16], "d": [4]}, 2),
        "quick": Grid({"n": range(10, 121, 10), "d": [5, 10, 15, 20]}, 10),
        "paper": Grid(PUBLISHED, 50, published=10),
    },
    citation=CITATION,
    guides=NECESSARY,
    batch=10,
    figures={"held": PhaseDiagram("n", "d")},
    claims=(
        Claim(inconsistent, 0, 0, "derived here"),
        Claim(condition_edge, 5, 1, "measured by an independent program"),
    ),
)
