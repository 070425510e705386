"""Luck in two layers: does the student neuron that was nearest to a teacher neuron at the start win it?"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution
from neurec_core.params import param

from ..engine import measures
from ..engine.specialization import best, correlations, matches, mean_over, winner_ranks
from .matrix_nets import MatrixNets, Start, sample, solve, start
from .shared import CITATION, node_multi

FOUND = 0.95


class Luck(MatrixNets):
    """A student that starts anywhere."""

    start: Start = start("random")
    node_multi: int = node_multi(5)
    iterations: int = param(4000, "steps of the student", symbol="t", ge=0, le=10**8, slider=(0, 5000, 100))


def score(params: Luck, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Correlations and ranks of the winners, all hidden layers together.

    **Source**: tian2019luck, its code.
    """
    f_star, _ = measures.states(problem.teacher, problem.X)
    f, g = (measures.states(student, problem.X)[0] for student in solution.value)
    rows = measures.fan_out(solution.value[1])
    parts: dict[str, list[np.ndarray]] = defaultdict(list)
    for layer in range(1, len(f)):
        first, last = (correlations(f_star[layer][..., :-1], part[layer][..., :-1]) for part in (f, g))
        won = np.zeros(rows[layer][:, :-1].shape, dtype=bool)
        np.put_along_axis(won, last.argmax(axis=2), True, axis=1)
        parts["initial"].append(best(first))
        parts["final"].append(best(last))
        parts["rank"].append(winner_ranks(first, last))
        parts["share"].append(parts["rank"][-1] / max(last.shape[2] - 1, 1))
        parts["matches"].append(matches(last, FOUND))
        parts["won"].append(np.where(won, rows[layer][:, :-1], np.nan))
        parts["lost"].append(np.where(won, np.nan, rows[layer][:, :-1]))
    whole = {name: np.concatenate(part, axis=1) for name, part in parts.items()}
    return {
        "recovered": (whole["final"] > FOUND).all(axis=1),
        "correlation": whole["final"].mean(axis=1),
        "found": (whole["final"] > FOUND).mean(axis=1),
        "initial": whole["initial"].mean(axis=1),
        "rank": whole["rank"].mean(axis=1),
        "normalized_rank": whole["share"].mean(axis=1),
        "lucky": (whole["rank"] == 0).mean(axis=1),
        "rank_below_3": (whole["rank"] < 3).mean(axis=1),
        "winners": mean_over(whole["won"], ~np.isnan(whole["won"])),
        "losers": mean_over(whole["lost"], ~np.isnan(whole["lost"])),
        "matches": whole["matches"].mean(axis=1),
    }


COLUMNS = {
    "recovered": Column("every teacher neuron has a student neuron of correlation above 0.95", "event"),
    "correlation": Column("best correlation of a teacher neuron at the end, on average", "measure"),
    "found": Column("share of teacher neurons with a correlation above 0.95", "measure"),
    "initial": Column("best correlation of a teacher neuron at the start, on average", "measure"),
    "rank": Column("winners' rank at the start, 0 the nearest, on average", "measure"),
    "normalized_rank": Column("the same over the largest rank; without luck 0.5", "measure"),
    "lucky": Column("share of winners that were the nearest at the start", "measure"),
    "rank_below_3": Column("share of winners that were among the three nearest", "measure"),
    "winners": Column("fan-out of the winners, on average", "measure"),
    "losers": Column("fan-out of the others, on average", "measure", optional=True),
    "matches": Column("student neurons per teacher neuron with a correlation above 0.95", "measure"),
}


def winners_were_near(table: Any) -> float:
    """The winners' normalised rank at the start is far below the half of no luck (largest mean over widths)."""
    rows = table.query("iterations == 4000 and rule == 'matrix'")
    return float(rows.groupby("node_multi")["normalized_rank"].mean().max())


LUCK = Experiment(
    name="multilayer_dynamics.luck",
    question="Does the student neuron that was nearest to a teacher neuron at the start win it?",
    params=Luck,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"node_multi": [1, 3]}, 2, {"d": 4, "widths": "5", "outputs": 6, "iterations": 30, "points": 100}),
        "quick": Grid({"node_multi": [1, 2, 5, 10]}, 4, {"iterations": 2000}),
        "paper": Grid(
            {"rule": ["matrix", "gradient"], "node_multi": [1, 2, 5, 10], "iterations": [1000, 4000, 16_000]},
            8,
            published=8,
        ),
    },
    citation=CITATION,
    batch=8,
    claims=(Claim(winners_were_near, 0.125, 0.125, "derived here"),),
)
