"""One training in full, for looking at: not an experiment of the paper."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Experiment, Grid, Problem, Solution
from neurec_core.params import param
from smallnets.nets.tanh_nets import outputs

from .experiments import training
from .experiments.targets import CITATION

LOOKS = 50  # at the weights on the way
WATCHED = 200  # fresh points on which the error is followed
LINE = np.linspace(-4, 4, 161)  # positions on a line through the origin


class Instance(training.Training):
    """A training that a slider can wait for."""

    steps: int = param(20_000, "most steps", ge=0, le=10_000_000)


def marks(steps: int) -> tuple[int, ...]:
    """Steps at which to look, growing geometrically from 0 to the last."""
    return tuple(np.unique(np.geomspace(1, steps + 1, LOOKS).astype(int) - 1).tolist())


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """Train; the trace has errors at ``at (B, S)``, and network and target on a line along ``direction``."""
    at = marks(params.steps)
    solution, shots = training.trained(params, problem, draws, at)
    X, y = training.fresh(params, problem.teacher, draws)
    train, test = (
        np.stack([training.errors(params, shot, *sample) for shot in shots.swapaxes(0, 1)], axis=1)
        for sample in ((problem.X, problem.y), (X[:, :WATCHED], y[:, :WATCHED]))
    )
    direction = draws.normal("direction", params.network().d)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    line = LINE[:, None] * direction[:, None]
    with np.errstate(all="ignore"):  # weights that diverged
        f = outputs(params.network(), solution.value, line)
    # From its end on, a training stays where it is.
    steps, ended = solution.stats["steps"][:, None], np.array(at) >= solution.stats["steps"][:, None]
    train = np.where(ended, solution.stats["train"][:, None], train)
    test = np.where(ended, solution.stats["test"][:, None], test)
    trace = {
        "at": np.minimum(at, steps), "train": train, "test": test,
        "line": np.tile(LINE, (len(draws), 1)), "f": f, "target": problem.teacher(line),
    }  # fmt: skip
    return solution._replace(trace=trace)


INSTANCE = Experiment(
    name="local_linear_recovery.instance",
    question="How does one network learn, and what?",
    params=Instance,
    sample=training.sample,
    solve=solve,
    score=training.score,
    columns=training.COLUMNS,
    presets={"tiny": Grid({"architecture": ["ws"], "n": [6, 7]}, 1, {"steps": 1000})},
    citation=CITATION,
)
