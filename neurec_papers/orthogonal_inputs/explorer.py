"""One training in full, for looking at: not an experiment of the paper."""

from __future__ import annotations

from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import param

from . import path, points, theory
from .common import CITATION, Training, start
from .saddles import finish, statuses

LOOKS = 120  # at the weights on the way
REACH = 1.0  # of a line beyond its points
LINE = 201  # places on it


class Instance(Training):
    """A training that a slider can wait for."""

    data: Literal["toy", "toy_non_orthogonal", "orthogonal", "high_dimension"] = param(
        "toy", "training points: two or five on a line, orthogonal or nearly orthogonal ones"
    )
    step: float = param(0.002, "step size", symbol="h", gt=0, le=10, slider=(0.001, 0.01, 0.001))
    steps: int = param(60_000, "most steps", ge=1, le=1_000_000_000)
    target: float = param(1e-8, "mean squared error at which training ends", ge=0, le=1)
    n: int = param(4, "training points, where they are not on a line", ge=2, le=100, slider=(2, 12, 1))
    d: int = param(12, "inputs, where points are not on a line", ge=2, le=200, slider=(2, 40, 1))

    def inputs(self) -> int:
        """How many inputs the chosen points have."""
        return 2 if self.data.startswith("toy") else self.d


def sample(params: Instance, draws: Draws) -> Problem:
    """Points and labels; orthogonal ones are at most as many as there are inputs."""
    chosen = {
        "toy": lambda: points.repeated(points.TOY, len(draws)),
        "toy_non_orthogonal": lambda: points.repeated(points.TOY_NON_ORTHOGONAL, len(draws)),
        "orthogonal": lambda: points.orthogonal(draws, min(params.n, params.d), params.d, 0.0),
        "high_dimension": lambda: points.high_dimension(draws, params.n, params.d),
    }
    return Problem(*chosen[params.data]())


def marks(steps: int) -> np.ndarray:
    """Steps of the looks: even ones, since escapes take a time, and a few that grow by a factor."""
    return path.marks(steps, LOOKS, LOOKS // 4)


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """Train; the trace has weights, losses and the levels of the saddles at steps ``at (B, L)``."""
    from smallnets.descent.relu import descend

    log, runs = marks(params.steps), []
    for X, y, W, a in zip(problem.X, problem.y, *start(params, draws, params.inputs()), strict=True):
        runs.append(descend(X, y, W, a, step=params.step, steps=params.steps, target=params.target, log=log))
    traces = [_trace(run, len(log), X, y) for run, X, y in zip(runs, problem.X, problem.y, strict=True)]
    found = [finish(X, y, run) for run, X, y in zip(runs, problem.X, problem.y, strict=True)]
    stats = {name: np.array([one[name] for one in found]) for name in found[0]}
    trace = {name: np.stack([one[name] for one in traces]) for name in traces[0]}
    return Solution((trace["W"][:, -1], trace["a"][:, -1]), statuses(runs), stats, trace)


def _trace(run: path.Run, looks: int, X: np.ndarray, y: np.ndarray) -> dict[str, np.ndarray]:
    """From its end on, a training stays where it is."""
    rest = looks - len(run.at)

    def longer(seen: np.ndarray, end: np.ndarray | float) -> np.ndarray:
        return np.concatenate([seen, np.repeat(np.asarray(end)[None], rest, axis=0)])

    rates = np.linalg.norm(theory.direction(X, y, theory.classes(y)), axis=1)
    return {
        "at": longer(run.at, run.steps), "loss": longer(run.losses, run.loss),
        "W": longer(run.Ws, run.W), "a": longer(run.As, run.a),
        "saddles": theory.plateaus(y, 1 if rates[0] > rates[1] else -1),
    }  # fmt: skip


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The end, beside the least norm of an interpolator of orthogonal inputs."""
    minimum = [theory.minimum_norm(X, y) for X, y in zip(problem.X, problem.y, strict=True)]
    return {name: solution.stats[name] for name in COLUMNS if name != "minimum"} | {"minimum": np.array(minimum)}


COLUMNS = {
    "loss": Column("mean squared error at the end", "measure", logarithmic=True),
    "norm": Column("|theta|²/2 at the end", "measure"),
    "minimum": Column("least |theta|²/2 of an interpolator of orthogonal inputs", "measure"),
    "active": Column("neurons active on a point at the end", "measure"),
    "taken": Column("steps taken", "measure", "steps", logarithmic=True),
}

INSTANCE = Experiment(
    name="orthogonal_inputs.instance",
    question="How do neurons move?",
    params=Instance,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={"tiny": Grid({"data": ["toy", "orthogonal"]}, trials=1, fixed={"steps": 1000})},
    citation=CITATION,
)
