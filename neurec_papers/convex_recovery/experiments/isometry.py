"""How often the isometry conditions hold, without solving anything."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Problem, Solution, Status
from neurec_core.params import param
from smallnets.convex import certify
from smallnets.geometry import patterns

from ..engine import instance
from .shared import DESIGN, DIMENSION, PLANT, Design, Plant, PlantedParams


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
    stats = solution.stats
    return {name: stats[name] == 1 if column.kind == "event" else stats[name] for name, column in COLUMNS.items()}


COLUMNS = {
    "held": Column("isometry condition holds: consistent, and all norms < 1", "event"),
    "held_published": Column("the same as published: consistency not asked for, ranks not cut, ties pass", "event"),
    "largest": Column("largest norm (normalised: or a bound on it, if that is below 1)", "measure", optional=True),
    "mean_square": Column("mean squared norm over the patterns (not for normalised)", "measure", optional=True),
    "consistent": Column("the least-norm dual vector meets the planted blocks' equations", "event"),
}
