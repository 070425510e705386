"""Networks of tanh or logistic neurons from their values at finitely many points: what fits, and what else fits."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Guide, Problem, Replay, Solution, Status
from neurec_core.figures import Curves, matching
from neurec_core.params import Params, param

from .. import theory
from ..engine.analytic import directions, distance, fit, needs_irreducible, outputs
from ..engine.networks import relative_error
from . import teachers
from .setting import BIAS, CITATION, difference

REACH = 3.0  # points lie in [-REACH, REACH] along each direction
FRESH = 400  # points at which fits are compared
MET = 1e-20  # sum of squares, in units of that of y, below which a fit meets the data
SAME = 1e-4  # largest difference of parameters of two networks that are one


class AnalyticRecovery(Params):
    """Values of a random network at points t v, for t along directions v."""

    activation: Literal["tanh", "sigmoid"] = param("tanh", "what neurons compute")
    d: int = param(1, "inputs", ge=1, le=6, slider=(1, 3, 1))
    m: int = param(2, "neurons", ge=1, le=4, slider=(1, 3, 1))
    bias: bool = BIAS
    points: int = param(16, "points along each direction", symbol="N", ge=1, le=400, slider=(2, 64, 2))
    directions: int = param(1, "directions of rays", symbol="K", ge=1, le=200)
    starts: int = param(20, "starts of least squares", ge=1, le=1000, slider=(5, 60, 5))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.d == 1 and self.directions != 1:
            raise ValueError(f"directions (directions of rays) must be 1 where d = 1, got {self.directions}")
        return self


def sample(params: AnalyticRecovery, draws: Draws) -> Problem:
    """Points ``(B, directions * points, d)``, one in each of as many equal parts of a line, and values there."""
    bias = params.bias
    nets = [
        needs_irreducible(params.activation, net, bias=bias) for net in teachers.smooth(draws, params.d, params.m, bias)
    ]
    t = REACH * (2 * (np.arange(params.points) + draws.uniform("points", params.points)) / params.points - 1)
    v = directions(params.directions, params.d)
    X = (t[:, None, :, None] * v[:, None]).reshape(len(draws), -1, params.d)
    return Problem(X, np.stack([outputs(params.activation, net, x) for net, x in zip(nets, X, strict=True)]), nets)


def solve(params: AnalyticRecovery, problem: Problem, draws: Draws) -> Solution:
    """Fit from every start; each fit that meets the data is compared with the teacher."""
    bias, shape = params.bias, (params.starts, params.m)
    W = 1.5 * draws.normal("start", *shape, params.d)
    # A neuron starts with its centre at a point within reach.
    centre = REACH * (2 * draws.uniform("centres", *shape, params.d) - 1)
    starts = np.concatenate([W, -(W * centre).sum(axis=3, keepdims=True)], axis=3)
    fresh = REACH * (2 * draws.uniform("fresh", FRESH, params.d) - 1)
    fits, found = [], []
    for X, y, net, start, new in zip(problem.X, problem.y, problem.teacher, starts, fresh, strict=True):
        fits.append(fit(params.activation, X, y, start, bias=bias))
        met = np.flatnonzero(fits[-1].cost <= MET * (y @ y))
        own, true = [fits[-1].networks[i] for i in met], outputs(params.activation, net, new)
        errors = [relative_error(true, outputs(params.activation, other, new)) for other in own]
        apart = [distance(params.activation, net, other, bias=bias) for other in own]
        cost = float(fits[-1].cost.min() / (y @ y))
        found.append((float(len(met)), cost, max(errors, default=np.nan), max(apart, default=np.nan)))
    stats = dict(zip(("met", "cost", "error", "apart"), np.array(found).T, strict=True))
    status = [Status.SOLVED if count else Status.STALLED for count in stats["met"]]
    return Solution([own.networks[int(own.cost.argmin())] for own in fits], status, stats)


def score(params: AnalyticRecovery, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether all that fits is the teacher, or another network fits as well."""
    s, B = solution.stats, len(problem.X)
    met, total = s["met"] > 0, params.points * params.directions
    recovered = met & (s["apart"] < SAME)
    counts = {
        "samples": total, "parameters": theory.parameters(params.m, params.d, params.bias),
        "sufficient": theory.points_on_line(params.m) * theory.directions_needed(params.m, params.d),
    }  # fmt: skip
    return {
        "recovered": recovered,
        "left_open": met & ~recovered,
        # Which of many networks a fit ends at hangs on the last bit.
        "error": np.where(recovered, s["error"], np.nan),
        "apart": np.where(recovered, s["apart"], np.nan),
        "worst": s["error"],
        "cost": s["cost"],
        **{name: np.full(B, float(count)) for name, count in counts.items()},
    }


COLUMNS = {
    "recovered": Column("all that fit are the teacher", "event"),
    "left_open": Column("another network fits as well", "event"),
    "error": difference("error of the worst fit, if all are the teacher", Replay(1e-3, floor=1e-9)),
    "apart": Column(
        "largest difference of its parameters, up to symmetry", "measure", None, True, True, Replay(1e-3, floor=1e-8)
    ),
    # Where many fit, the last bit decides which of them each start meets.
    "worst": difference("error of the worst network found that fits", Replay(chaotic=1)),
    "cost": Column(
        "least sum of squares", "measure", "of that of y", True, replay=Replay(0.01, floor=1e-20, chaotic=0.05)
    ),
    "samples": Column("samples", "measure"),
    "parameters": Column("parameters of the network", "measure"),
    "sufficient": Column("samples that are enough for every network of the width", "measure"),
}


ON_LINE = {"d": 1, "activation": "tanh"}


def one_function(table: Any) -> Any:
    """With 4^m points on a line, all that fits the data is the teacher, if any fit is found."""
    rows = table[(table["d"] == 1) & (table["points"] >= theory.points_on_line(table["m"].to_numpy()))]
    return rows["left_open"].mean()


def another(table: Any) -> Any:
    """With as many points as parameters, two neurons can have a second solution."""
    return matching(table, {"d": 1, "m": 2, "points": 7})["left_open"].any()


ANALYTIC_RECOVERY = Experiment(
    name="finite_samples.analytic_recovery",
    question="How many values give a tanh or logistic network back?",
    params=AnalyticRecovery, sample=sample, solve=solve, score=score, columns=COLUMNS,
    presets={
        "tiny": Grid({"points": [3, 4]}, trials=2, fixed={"m": 1, "starts": 2}),
        "quick": Grid({"points": [5, 6, 7, 8, 10, 16]}, trials=5, fixed={"starts": 10}),
        "paper": Grid(
            {"activation": ["tanh", "sigmoid"], "points": [3, 4, 5, 6, 7, 8, 10, 12, 16, 24], "m": [1, 2]}, trials=20,
            published=20,
        ),
        "paper_three": Grid(
            {"points": [8, 9, 10, 11, 12, 16, 32, 64]}, trials=10, fixed={"m": 3, "starts": 60}, published=10
        ),
        "paper_directions": Grid({"directions": [1, 2, 3, 5, 8]}, trials=10, fixed={"d": 2}, published=10),
        "paper_space": Grid(
            {"directions": [2, 3, 9], "activation": ["tanh", "sigmoid"]}, trials=5, fixed={"d": 3}, published=5
        ),
    },
    citation=CITATION,
    figures={
        "recovered": Curves("points", "recovered", "m", ON_LINE, "x"),
        "worst": Curves("points", "worst", "m", ON_LINE, "xy"),
    },
    claims=(Claim(one_function, 0, 0, "derived here"), Claim(another, 1, 0, "derived here")),
    guides=(
        Guide("points", "m", theory.points_on_line, "4^m, for all networks", {"d": [1]}),
        Guide("points", "m", partial(theory.parameters, d=1), "parameters, 3m + 1", {"d": [1], "bias": [True]}),
        Guide("directions", "m", partial(theory.directions_needed, d=2), "4m, enough for all networks", {"d": [2]}),
    ),
    batch=5,
)  # fmt: skip
