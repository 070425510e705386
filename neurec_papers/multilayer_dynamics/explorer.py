"""One student in training, for looking at: not an experiment of the papers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param

from .engine import specialization
from .engine.outcome import statuses
from .engine.teachers import CITATION
from .experiments import students
from .experiments.students import WIDTHS, Setup

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet

Looks = list[np.ndarray]
STEPS = 100  # between two looks
BATCH = 64


class Instance(Params):
    """What the sliders move; everything else as in the first paper, with new points in every step."""

    node_multi: int = param(2, "student neurons per teacher neuron", ge=1, le=20, slider=(1, 10, 1))
    rate: float = param(0.05, "step size", symbol="h", gt=0, le=100, slider=(0.0125, 6.4, 2), geometric=True)
    data_std: float = param(10.0, "standard deviation of the points", symbol="s", gt=0, le=100, slider=(1, 20, 1))
    outputs: int = param(100, "numbers that a network puts out", symbol="c", ge=1, le=1000, slider=(1, 100, 9))
    steps: int = param(4000, "steps, looked at every 100", ge=0, le=1_000_000, slider=(1000, 20_000, 1000))
    widths: str = WIDTHS

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.setup()
        return self

    def setup(self) -> Setup:
        """As a point of the papers' experiments: an epoch is what passes between two looks."""
        return Setup(
            node_multi=self.node_multi, rate=repr(self.rate), data_std=self.data_std, outputs=self.outputs,
            widths=self.widths, epochs=-(-self.steps // STEPS), points=STEPS * BATCH, batch=BATCH, fresh=True,
            looked_at=1000, dtype="float32",
        )  # fmt: skip


def sample(params: Instance, draws: Draws) -> Problem:
    """As in the experiments."""
    return students.sample(params.setup(), draws)


def follow(params: Instance, problem: Problem, draws: Draws) -> Iterator[Solution]:
    """Train, and look every 100 steps.

    The trace holds ``at`` (looks,), numbers of steps; ``best (B, looks, layers)``, means over live teacher neurons of
    the largest correlation; ``loss (B, looks)``, training losses; ``kept``, the looks (0, 1, 2, 4, ... and the last)
    whose ``correlations`` are there: for each of them and each layer (B, m, k).
    """
    from smallnets.descent.deep_relu import states

    setup = params.setup()
    start = students.student(setup, draws)
    T = states(problem.teacher, problem.X)[:-1]
    there = [specialization.live(t) for t in T]

    def look(net: DeepNet, finite: np.ndarray) -> list[np.ndarray]:
        Z = states(net, problem.X)[:-1]
        return [
            np.where(finite[:, None, None], specialization.correlations(t, np.where(np.isfinite(z), z, 0)), 0)
            for t, z in zip(T, Z, strict=True)
        ]

    def best(found: list[np.ndarray]) -> np.ndarray:
        means = [specialization.mean_over(specialization.best(C), on) for C, on in zip(found, there, strict=True)]
        return np.stack(means, axis=1)

    fine = np.ones(len(draws), dtype=bool)
    first = look(start, fine)
    at, bests, losses = [0], [best(first)], [np.full(len(draws), np.nan)]
    kept, all_kept = [0], [first]
    yield _solution(start, fine, at, bests, losses, kept, all_kept)
    for epoch in students.training(setup, problem, start, draws):
        net = epoch.net.read()
        found = look(net, epoch.finite)
        at.append(STEPS * epoch.number)
        bests.append(best(found))
        losses.append(epoch.losses)
        if kept[-1] & (kept[-1] - 1):  # no power of two: kept only until the next look
            del kept[-1], all_kept[-1]
        kept.append(epoch.number)
        all_kept.append(found)
        yield _solution(net, epoch.finite, at, bests, losses, kept, all_kept)


def _solution(net: DeepNet, finite: np.ndarray, at: list[int], bests: Looks, losses: Looks, kept: list[int],
              found: list[list[np.ndarray]]) -> Solution:  # fmt: skip
    trace: dict[str, Any] = {
        "at": np.array(at), "best": np.stack(bests, axis=1), "loss": np.stack(losses, axis=1),
        "kept": np.array(kept), "correlations": list(found),
    }  # fmt: skip
    return Solution(net, statuses(finite), {}, trace)


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """The last of `follow`."""
    *_, last = follow(params, problem, draws)
    return last


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """What the student is like at its last look."""
    best = solution.trace["best"][:, -1]
    return {"lowest": best[:, 0], "highest": best[:, -1], "loss": solution.trace["loss"][:, -1]}


INSTANCE = Experiment(
    name="multilayer_dynamics.instance",
    question="Which student neurons come to match which teacher neurons?",
    params=Instance,
    sample=sample,
    solve=solve,
    score=score,
    columns={
        "lowest": Column("largest correlation, mean over the lowest layer", "measure"),
        "highest": Column("largest correlation, mean over the highest hidden layer", "measure"),
        "loss": Column("training loss", "measure", logarithmic=True),
    },
    presets={"tiny": Grid({"node_multi": [1, 2]}, trials=2, fixed={"steps": 300})},
    citation=CITATION,
    follow=follow,
)
