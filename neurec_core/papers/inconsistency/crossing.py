"""How likely is it that a kink ever reaches a data point? The paper's Monte-Carlo experiment (figures 5 and 6)."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from ...draws import Draws
from ...experiment import Column, Experiment, Grid, Problem, Replay, Solution, Status
from ...params import Params, param
from . import published
from .common import CITATION, X_SIX, Y_SIX

WIDEST_DRAWN = 2**22


class Training(Params):
    """Two-layer ReLU networks without biases at the start, trained on the six points until a criterion is met."""

    m: int = param(64, "hidden neurons", ge=2, le=1_000_000_000, slider=(16, 2**20, 2), geometric=True)
    shift: float = param(0.0, "shift of all labels", symbol="Δ", ge=-10, le=10, slider=(0, 0.1, 0.01))
    optimizer: Literal["gd", "sgd", "adam"] = param("gd", "optimiser; minibatches of 16 but for gd")
    step_rule: Literal["spectral", "per_width"] = param("spectral", "step size in units of 1/λmax(H) or of 1/m")
    step: float = param(1.0, "step size", symbol="h", unit="of the rule", gt=0, le=1e3, slider=(0.05, 1, 0.05))
    criterion: Literal["sufficient", "early_stopping", "both", "limit"] = param("sufficient", "when training ends")
    constant: Literal["sharp", "published"] = param("sharp", "eigenvectors' weight in the sufficient condition")
    init: Literal["he", "swapped"] = param("he", "variances of a and w: 2 and 2/m, or swapped")
    weights: Literal["multinomial", "uniform"] = param("multinomial", "shares of the six points", symbol="ν")
    n: int | None = param(None, "training points (none: m²)", ge=1, le=4_000_000_000_000_000_000)
    rng: Literal["addressed", "published", "law"] = param("addressed", "where random numbers come from")
    interval: int = param(1000, "steps between two checks", ge=1, le=1_000_000)
    limit: int = param(1_000_000, "most steps", ge=1, le=1_000_000_000)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.criterion in ("sufficient", "both") and self.optimizer != "gd":
            raise ValueError(
                f"criterion (when training ends) must be early_stopping or limit where optimizer is {self.optimizer}, "
                f"got {self.criterion!r}: the sufficient condition is one on full gradient steps"
            )
        if self.limit % self.interval:
            raise ValueError(f"limit (most steps) must be a multiple of interval = {self.interval}, got {self.limit}")
        if self.n is None and self.m**2 > 4e18:
            raise ValueError(f"n (training points) must be given for m > 2e9, got m = {self.m}")
        self._check_rng()
        return self

    def _check_rng(self) -> None:
        if self.rng == "addressed" and self.m > WIDEST_DRAWN:
            raise ValueError(f"rng (random numbers) must be law for m > {WIDEST_DRAWN}, got 'addressed'")
        if self.rng == "law" and (self.optimizer == "adam" or self.m < 256):
            raise ValueError(
                "rng (random numbers) = law needs m >= 256 and gd or sgd: Adam moves each neuron its own way"
            )
        if self.rng == "published" and (self.m not in published.WIDTHS or self.n or self.weights == "uniform"):
            widths = ", ".join(map(str, published.WIDTHS))
            raise ValueError(f"rng (random numbers) = published needs m in {widths}, n = none, weights = multinomial")


def sample(params: Training, draws: Draws) -> Problem:
    """The six points of Example 1, their labels shifted; each network has its own shares of them."""
    from . import initial

    B = len(draws)
    X, y = np.tile(X_SIX[:, None], (B, 1, 1)), np.tile(Y_SIX + params.shift, (B, 1))
    return Problem(X, y, weights=initial.shares(params, draws, "weights"))


def solve(params: Training, problem: Problem, draws: Draws) -> Solution:
    """Train until the criterion is met; the value is the `Outcome` of each network."""
    from ...dynamics.sides import Outcome
    from . import training

    lives, step = training.train(params, problem, draws)

    kinds = {Outcome.DIVERGED: Status.DIVERGED, Outcome.UNKNOWN: Status.UNDECIDED}
    status = [kinds.get(Outcome(o), Status.SOLVED) for o in lives.outcome]
    return Solution(lives.outcome, status, {"steps": lives.steps, "left": lives.left, "step": step})


def score(params: Training, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """As published, a network counts as affine on either side only if it converged or stopped early."""
    from ...dynamics.sides import Outcome

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
    params=Training,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"m": [16, 64], "optimizer": ["gd", "sgd"]}, trials=3, fixed=EARLY),
        "quick": Grid({"m": [16, 32, 64, 128, 256]}, trials=400),
        "paper": Grid({"shift": [0.0, 0.01, 0.1], **PUBLISHED}, trials=10_000),
        "paper_early": Grid(PUBLISHED, trials=10_000, fixed={"criterion": "both"}),
        "paper_sgd": Grid(PUBLISHED, trials=10_000, fixed={"optimizer": "sgd", **EARLY}),
        "paper_sgd_small": Grid(
            PUBLISHED, trials=10_000, fixed={"optimizer": "sgd", "step_rule": "per_width", "step": 0.01, **EARLY}
        ),
        "published": Grid(
            {"shift": [0.0, 0.01, 0.1], **PUBLISHED}, 10_000, {"rng": "published", "constant": "published"}
        ),
        "wide": Grid({"m": [2**k for k in range(12, 17)]}, 1000, {"limit": 1_000_000_000}),
        "widest": Grid({"m": [2**k for k in range(17, 21)]}, 500, {"limit": 1_000_000_000}),
        "law": Grid({"m": [10**k for k in range(3, 7)]}, 1000, {"rng": "law", "limit": 1_000_000_000}),
        # Nearly all of these are certified at the first check; the rest would need ten times m steps and more.
        "law_wide": Grid({"m": [10**8, 10**9]}, 1000, {"rng": "law"}),
    },
    citation=CITATION,
    batch=500,
)
