"""How likely is it that a kink ever reaches a data point? The paper's Monte-Carlo experiment (figures 5 and 6)."""

from __future__ import annotations

from functools import partial

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.figures import Curves, Theory

from .. import published
from . import claims
from .shared import CITATION, CrossingProbability


def sample(params: CrossingProbability, draws: Draws) -> Problem:
    """The six points of Example 1, their labels shifted; each network has its own shares of them."""
    from ..engine import initial

    return initial.sample(params, draws)


def solve(params: CrossingProbability, problem: Problem, draws: Draws, weights: bool = False) -> Solution:
    """Train until the criterion is met; the value is the `Outcome` of each network, the trace its `weights`."""
    from smallnets.descent.line.data import Outcome

    from ..engine import path, training

    ends, step = training.train(params, problem, draws)
    trained = path.trained(params, problem, draws, ends=ends, h=step) if weights else {}

    # The one place where outcomes become statuses: all others are answers to the question.
    kinds = {Outcome.DIVERGED: Status.DIVERGED, Outcome.UNKNOWN: Status.UNDECIDED}
    status = [kinds.get(Outcome(o), Status.SOLVED) for o in ends.outcome]
    return Solution(ends.outcome, status, {"steps": ends.steps, "left": ends.crossing, "step": step}, trained)


def score(params: CrossingProbability, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """As published, a network counts as affine on either side only if it converged or stopped early."""
    from smallnets.descent.line.data import Outcome

    outcome = solution.value
    left = solution.stats["left"].astype(float)
    return {
        "not_affine": ~np.isin(outcome, [Outcome.CONVERGED, Outcome.STOPPED]),
        "crossed": outcome == Outcome.CROSSED,
        "converged": outcome == Outcome.CONVERGED,
        "stopped_early": outcome == Outcome.STOPPED,
        "degenerate": np.isin(outcome, [Outcome.X_DEGENERATE, Outcome.A_DEGENERATE]),
        "steps": solution.stats["steps"].astype(float),
        "crossing_step": np.where(left > 0, left, np.nan),
    }


# A kink that passes a point within a rounding error: fewer than one network in a thousand.
FEW = Replay(1e-5, chaotic=0.001)
COLUMNS = {
    "not_affine": Column(
        "not affine on either side: neither converged nor stopped before a kink crossed", "event", replay=FEW
    ),
    "crossed": Column("a kink has reached a point", "event", replay=FEW),
    "converged": Column("no kink will ever reach a point", "event", replay=FEW),
    "stopped_early": Column("stopped early, before a kink reached a point", "event", replay=FEW),
    "degenerate": Column("a side with at most one point or without neurons", "event"),
    "steps": Column("steps until the criterion was met", "measure", "steps", replay=FEW),
    "crossing_step": Column(
        "step at which a kink reached a point; NaN if none did", "measure", "steps", optional=True, replay=FEW
    ),
}
PUBLISHED = {"m": list(published.WIDTHS)}
EARLY = {"criterion": "early_stopping"}

CROSSING_PROBABILITY = Experiment(
    name="inconsistency.crossing_probability",
    question="How likely is it that training ever moves a kink to a data point?",
    params=CrossingProbability,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"m": [16, 64], "optimizer": ["gd", "sgd"]}, trials=3, fixed=EARLY),
        "quick": Grid({"m": [16, 32, 64, 128, 256]}, trials=400),
        "paper": Grid({"shift": [0.0, 0.01, 0.1], **PUBLISHED}, trials=10_000, published=10_000),
        "paper_early": Grid(PUBLISHED, trials=10_000, fixed={"criterion": "both"}, published=10_000),
        "paper_sgd": Grid(PUBLISHED, trials=10_000, fixed={"optimizer": "sgd", **EARLY}, published=2000),
        "paper_sgd_small": Grid(
            PUBLISHED,
            trials=10_000,
            fixed={"optimizer": "sgd", "step_rule": "per_width", "step": 0.01, **EARLY},
            published=2000,
        ),
        "published": Grid(
            {"shift": [0.0, 0.01, 0.1], **PUBLISHED},
            10_000,
            {"rng": "published", "constant": "published"},
            published=10_000,
        ),
        "wide": Grid({"m": [2**k for k in range(12, 17)]}, 1000, {"limit": 1_000_000_000}, published=1000),
        "widest": Grid({"m": [2**k for k in range(17, 21)]}, 500, {"limit": 1_000_000_000}, published=500),
        "law": Grid({"m": [10**k for k in range(3, 7)]}, 1000, {"rng": "law", "limit": 1_000_000_000}, published=1000),
        "law_precise": Grid({"m": [1000, 10_000]}, 10_000, {"rng": "law", "limit": 1_000_000_000}, published=10_000),
        # Nearly all of these are certified at the first check; the rest would need ten times m steps and more.
        "law_wide": Grid({"m": [10**8, 10**9]}, 1000, {"rng": "law"}, published=1000),
    },
    figures={
        "shifts": Curves(
            "m",
            "not_affine",
            "shift",
            {"criterion": "sufficient", "rng": "addressed", "limit": 1_000_000},
            "xy",
            theory=Theory("asymptotic law", claims.law),
        )
    },
    claims=(
        Claim(claims.figure_5, 0, 4, "figure 5"),
        Claim(claims.figure_5_stochastic, 0, 4, "figure 5"),
        Claim(claims.figure_6, 0, 4, "figure 6"),
        Claim(claims.law_from_256, 0, 4, "derived here"),
    ),
    citation=CITATION,
    detailed=partial(solve, weights=True),
    batch=500,
)
