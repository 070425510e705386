"""Two irreducible networks that no finite set of points distinguishes: how little of the space gives them away."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.figures import Curves, Theory
from neurec_core.params import Params, param

from .. import theory
from ..engine import competitors
from ..engine.irreducibility import irreducible
from ..engine.networks import relative_error
from . import teachers
from .setting import BIAS, CITATION

FRESH = 4000  # points at which the two are compared
BEYOND = 3.0  # how far beyond the kink they are compared, in units of the inputs


class NonIdentifiability(Params):
    """Points, and two networks with a neuron that none of them sees."""

    n: int = param(50, "points", ge=1, le=100_000, slider=(10, 1000, 10))
    m: int = param(4, "neurons", ge=2, le=20, slider=(2, 8, 1))
    d: int = param(2, "inputs", ge=1, le=50, slider=(1, 10, 1))
    design: Literal["normal", "cube", "sphere"] = param("normal", "distribution of the points")
    changed: Literal["kink", "weight"] = param("kink", "what differs in the neuron that no point sees")
    margin: float = param(0.1, "distance of its kink from the farthest point", ge=1e-6, le=10, slider=(0.01, 1, 0.01))
    bias: bool = BIAS

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.design == "sphere" and self.d == 1:
            raise ValueError("design (distribution of the points) must be normal or cube where d = 1, got 'sphere'")
        return self


def _points(params: NonIdentifiability, draws: Draws, name: str, n: int) -> np.ndarray:
    if params.design == "cube":
        return 2 * draws.uniform(name, n, params.d) - 1
    X = draws.normal(name, n, params.d)
    if params.design == "sphere":
        X = X / np.linalg.norm(X, axis=2, keepdims=True)
    return X


def sample(params: NonIdentifiability, draws: Draws) -> Problem:
    """The points S; y are the outputs there of the first network, ``teacher = (core networks, directions)``."""
    bias = params.bias
    cores = teachers.relu_in_space(draws, params.d, params.m - 1, pairs=0, bias=bias)
    direction, X = draws.normal("direction", params.d), _points(params, draws, "points", params.n)
    chosen = zip(X, cores, direction, strict=True)
    nets = [competitors.hidden_pair(x, core, u, margin=params.margin)[0] for x, core, u in chosen]
    return Problem(X, np.stack([net(x) for net, x in zip(nets, X, strict=True)]), (cores, direction))


def solve(params: NonIdentifiability, problem: Problem, draws: Draws) -> Solution:
    """Both networks of each trial, and what distinguishes them."""
    bias, pairs, found = params.bias, [], []
    for X, core, direction in zip(problem.X, *problem.teacher, strict=True):
        pair = competitors.hidden_pair(X, core, direction, margin=params.margin, changed=params.changed)
        pairs.append(pair)
        u, tau = pair[0].W[-1], -pair[0].b[-1]
        beyond = (tau + BEYOND) * u[None]  # in both networks' unseen half-space
        found.append(
            {
                "on_points": float(np.abs(pair[0](X) - pair[1](X)).max()),
                "elsewhere": relative_error(pair[0](beyond), pair[1](beyond)),
                "reach": float(tau),
                "irreducible": float(all(irreducible(net, bias=bias) for net in pair)),
            }
        )
    stats = {name: np.array([one[name] for one in found]) for name in found[0]}
    fresh = _points(params, draws, "fresh", FRESH)
    stats["share"] = np.array([np.mean(net(X) != other(X)) for (net, other), X in zip(pairs, fresh, strict=True)])
    return Solution(pairs, [Status.SOLVED] * len(pairs), stats)


def score(params: NonIdentifiability, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether they are two irreducible networks that are one on the points."""
    s = solution.stats
    fooled = (s["irreducible"] > 0) & (s["on_points"] == 0) & (s["elsewhere"] > 0)
    return {"fooled": fooled, **{name: s[name] for name in ("on_points", "elsewhere", "share", "reach")}}


COLUMNS = {
    "fooled": Column("two irreducible networks, equal on all points, different elsewhere", "event"),
    "on_points": Column("largest difference on the points", "measure", replay=Replay(1e-4, floor=1e-12)),
    "elsewhere": Column("difference 3 units beyond the kink", "measure", "of |f|"),
    "share": Column("share on which the two differ", "measure", "of fresh points"),
    "reach": Column("distance of the unseen kink from the origin, along its normal", "measure"),
}


def fooled(table: Any) -> Any:
    """For every set of points drawn there are two irreducible networks that are equal on it, and not elsewhere."""
    return table["fooled"].mean()


NON_IDENTIFIABILITY = Experiment(
    name="finite_samples.non_identifiability",
    question="Is there a finite set of points that identifies every irreducible ReLU network?",
    params=NonIdentifiability, sample=sample, solve=solve, score=score, columns=COLUMNS,
    presets={
        "tiny": Grid({"changed": ["kink", "weight"]}, trials=2, fixed={"n": 10}),
        "quick": Grid({"n": [10, 30, 100, 300], "d": [1, 2, 5]}, trials=20),
        "paper": Grid(
            {"d": [1, 2, 5, 20], "n": [10, 30, 100, 300, 1000, 3000]}, trials=100,
            fixed={"margin": 1e-6, "changed": "weight"}, published=100,
        ),
        "paper_width": Grid({"design": ["normal", "cube", "sphere"], "m": [2, 4, 8, 16]}, trials=50, published=50),
        "paper_unbiased": Grid({"n": [10, 100, 1000]}, trials=50, fixed={"bias": False}, published=50),
    },
    citation=CITATION,
    figures={
        "share": Curves("n", "share", "d", {"margin": 1e-6}, "xy", [], Theory("1/(n + 1)", theory.unseen_share), True)
    },
    claims=(Claim(fooled, 1, 0, "xia2025finite, in our words"),),
    batch=10,
)  # fmt: skip
