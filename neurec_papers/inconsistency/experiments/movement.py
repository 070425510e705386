"""How far do weights and kinks move in a whole training? Theorem 10 bounds each by a power of the width."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.figures import Curves
from neurec_core.params import Params, param

from . import claims
from .shared import CITATION, INTERVAL, SHIFT, CrossingProbability

MOVED = ("moved_a", "moved_b", "moved_w", "moved_c")


class MovementExponents(Params):
    """Gradient descent with h = step/λmax(H) from He et al.'s initialisation, until no kink will ever reach a point."""

    m: int = param(256, "hidden neurons", ge=2, le=2**20, slider=(16, 2**14, 2), geometric=True)
    shift: float = SHIFT
    step: float = param(1.0, "step size", symbol="h", unit="1/λmax(H)", gt=0, le=1, slider=(0.05, 1, 0.05))
    interval: int = INTERVAL
    limit: int = param(1_000_000_000, "most steps", ge=1, le=1_000_000_000_000)

    def training(self) -> CrossingProbability:
        """The same as parameters of the Monte-Carlo experiment."""
        return CrossingProbability(m=self.m, shift=self.shift, step=self.step)


def sample(params: MovementExponents, draws: Draws) -> Problem:
    """The six points, as in the Monte-Carlo experiment: the same draws give the same networks."""
    from ..engine import initial

    return initial.sample(params.training(), draws)


def solve(params: MovementExponents, problem: Problem, draws: Draws) -> Solution:
    """Train; the value holds the largest movements (B, 4) of a, b, w and c, over all neurons and steps."""
    from ..engine import training

    moved, kink, inside = training.movements(params, problem, draws)
    return Solution(moved, [Status.SOLVED] * len(draws), {"kink": kink, "inside": inside})


def score(params: MovementExponents, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Movements are NaN where a neuron has left its side, to which the theorem does not apply."""
    inside = solution.stats["inside"]
    moved = np.where(inside[:, None], solution.value, np.nan)
    return {
        "stayed": inside,
        **dict(zip(MOVED, moved.T, strict=True)),
        "kink": np.where(inside, solution.stats["kink"], np.nan),
    }


COLUMNS = {
    "kink": Column("largest distance of a kink from 0, over neurons and steps", "measure", optional=True),
    "stayed": Column("no neuron has left its side, and none will", "event"),
    "moved_a": Column("largest movement of a hidden weight", "measure", optional=True),
    "moved_b": Column("largest movement of a hidden bias", "measure", optional=True),
    "moved_w": Column("largest movement of an output weight", "measure", optional=True),
    "moved_c": Column("largest movement of the output bias", "measure", optional=True),
}

MOVEMENT_EXPONENTS = Experiment(
    name="inconsistency.movement_exponents",
    question="How far do weights and kinks move, and how does that depend on the width?",
    params=MovementExponents,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"m": [16, 32]}, trials=3),
        "quick": Grid({"m": [64, 128, 256, 512]}, trials=40),
        "paper": Grid({"m": [2**k for k in range(7, 15)]}, trials=200, published=40),
    },
    figures={"kink": Curves("m", "kink", logarithmic="xy")},
    # Logarithms in the bounds flatten the powers over seven octaves of widths.
    claims=(Claim(claims.exponent_off, 0, 0.2, "theorem 10"),),
    citation=CITATION,
    batch=10,
)
