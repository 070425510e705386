"""Two irreducible networks that no finite set of points distinguishes: how little of the space gives them away."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay
from neurec_core.figures import Curves, Theory
from neurec_core.params import Params, param
from neurec_core.trials import Draw, each_trial

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


def _points(params: NonIdentifiability, draw: Draw, name: str, n: int) -> np.ndarray:
    if params.design == "cube":
        return 2 * draw.uniform(name, n, params.d) - 1
    X = draw.normal(name, n, params.d)
    return X / np.linalg.norm(X, axis=1, keepdims=True) if params.design == "sphere" else X


def sample(params: NonIdentifiability, draw: Draw) -> Problem:
    """The points S; y are the outputs there of the first network, ``teacher = (core network, direction)``."""
    (core,) = teachers.relu_in_space(draw.draws, params.d, params.m - 1, pairs=0, bias=params.bias)
    direction, X = draw.normal("direction", params.d), _points(params, draw, "points", params.n)
    net, _ = competitors.hidden_pair(X, core, direction, margin=params.margin)
    return Problem(X, net(X), (core, direction))


def solve(params: NonIdentifiability, given: Problem, draw: Draw) -> dict[str, Any]:
    """What distinguishes the two networks."""
    X, margin = given.X, params.margin
    net, other = competitors.hidden_pair(X, *given.teacher, margin=margin, changed=params.changed)
    u, tau, fresh = net.W[-1], -net.b[-1], _points(params, draw, "fresh", FRESH)
    beyond = (tau + BEYOND) * u[None]  # where the hidden neurons of both are active
    return {
        "on_points": float(np.abs(net(X) - other(X)).max()), "elsewhere": relative_error(net(beyond), other(beyond)),
        "share": np.mean(net(fresh) != other(fresh)), "reach": float(tau),
        "irreducible": all(irreducible(one, bias=params.bias) for one in (net, other)),
    }  # fmt: skip


def score(params: NonIdentifiability, given: Problem, found: dict[str, Any]) -> dict[str, Any]:
    """Whether they are two irreducible networks that are one on the points."""
    fooled = bool(found["irreducible"] and found["on_points"] == 0 and found["elsewhere"] > 0)
    return {"fooled": fooled, **{name: found[name] for name in ("on_points", "elsewhere", "share", "reach")}}


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
    params=NonIdentifiability, **each_trial(sample, solve, score), columns=COLUMNS,
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
