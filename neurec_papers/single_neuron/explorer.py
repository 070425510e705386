"""One training in full, for looking at: not an experiment of the paper."""

from __future__ import annotations

from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param

from . import measures, setups
from .setups import CITATION, LARGEST, SMALLEST, TEACHERS, Setup, Teachers, sample
from .training import COLUMNS, statuses

LOOKS = 120  # at the weights on the way
TAIL = 1e-4  # error of the slow end


class Instance(Params):
    """What the sliders move; everything else as in the paper."""

    scale: float = param(
        4.0**-5,
        "scale of the initial weights",
        symbol="λ",
        ge=SMALLEST,
        le=1e4,
        slider=(4.0**-9, 16, 4),
        geometric=True,
    )
    m: int = param(25, "hidden neurons", ge=1, le=2000, slider=(5, 100, 5))
    d: int = param(8, "inputs, and points around each teacher", ge=2, le=64, slider=(2, 16, 1))
    spread: float = param(
        1.0, "points' variance over the paper's", symbol="ρ/ρ₀", ge=0.01, le=100, slider=(0.1, 2, 0.1)
    )
    data: Literal["centred", "uncentred"] = param("uncentred", "whether the points' centre is the teacher")
    teachers: Teachers = TEACHERS
    steps: int = param(30_000, "iterations at most", ge=100, le=LARGEST, slider=(10_000, 200_000, 10_000))

    def setup(self) -> Setup:
        """As a point of the paper's experiments."""
        return Setup(**self.model_dump())


def draw(params: Instance, draws: Draws) -> Problem:
    """As in the experiments."""
    return sample(params.setup(), draws)


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """Train; the trace holds, trial by trial, the weights and the logged measures at growing intervals."""
    from smallnets.descent.relu import descend

    setup = params.setup()
    W, a = setups.start(params.m, params.d, params.scale, draws)
    log = np.unique(np.geomspace(1, params.steps + 1, LOOKS).astype(np.int64)) - 1
    ends = [
        descend(X, y, W[b], a[b], step=setup.step, steps=params.steps, target=setup.target, log=log, tail=TAIL)
        for b, (X, y) in enumerate(zip(problem.X, problem.y, strict=True))
    ]
    trace = {
        "at": [end.at for end in ends],
        "W": [end.Ws for end in ends],
        "a": [end.As for end in ends],
        "groups": [measures.groups(X, W[b], a[b]) for b, X in enumerate(problem.X)],
        "measures": [
            measures.logged(problem.X[b], problem.y[b], problem.teacher, b, end.Ws, end.As, end.losses)
            for b, end in enumerate(ends)
        ],
    }
    stats = {"loss": np.array([end.loss for end in ends]), "steps": np.array([end.steps for end in ends], float)}
    return Solution((W, a), statuses([end.ended for end in ends]), stats, trace)  # type: ignore[arg-type]


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """What the network is like at its last look."""
    ends = solution.trace["measures"]
    last = {name: np.array([end[name][-1] for end in ends]) for name in ("nuclear", "energy", "target_angle")}
    return {
        "max_angle": np.array([end["positive_max_angle"][-1] for end in ends]),
        **last,
        "loss": solution.stats["loss"],
        "iterations": solution.stats["steps"],
    }


INSTANCE = Experiment(
    name="single_neuron.instance",
    question="How do the neurons of one network move?",
    params=Instance,
    sample=draw,
    solve=solve,
    score=score,
    columns={
        name: COLUMNS[name] if name != "max_angle" else Column("largest angle between positive neurons", "measure")
        for name in ("max_angle", "nuclear", "energy", "target_angle", "loss", "iterations")
    },
    presets={"tiny": Grid({"m": [5, 8]}, trials=2, fixed={"d": 3, "steps": 2000})},
    citation=CITATION,
)
