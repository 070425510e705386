"""Training until the loss is below its target, with every measure of the published log where it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Problem, Replay, Solution, Status

from .. import engine, published
from .setup import SingleNeuron, start

# The cosine of an angle of 1e-4 degrees differs from 1 by 1e-12, of which double precision keeps three digits.
ANGLE = Replay(1e-3, floor=1e-4)
ENDED = {
    "TARGET": Status.SOLVED, "LIMIT": Status.CUTOFF, "STALLED": Status.STALLED, "DEAD": Status.DEAD,
    "DIVERGED": Status.DIVERGED,
}  # fmt: skip
ENERGY = Column("sum of squared weights", "measure")
LOSS = Column("training mean squared error", "measure", logarithmic=True)
MIDDLE = Column("mean squared error on standard normal points", "measure", logarithmic=True)
ITERATIONS = Column("iterations", "measure", logarithmic=True)
NUCLEAR = Column("nuclear norm of the hidden weights", "measure")


def degrees(label: str, replay: Replay = ANGLE) -> Column:
    """A column of angles, which may be missing."""
    return Column(label, "measure", "degrees", logarithmic=True, optional=True, replay=replay)


def data_sets(problem: Problem) -> list[engine.DataSet]:
    """The data of each trial."""
    net, sets = problem.teacher
    return [
        engine.DataSet(X, y, type(net)(*(part[[b]] for part in net)), {k: x[[b]] for k, x in sets._asdict().items()})
        for b, (X, y) in enumerate(zip(problem.X, problem.y, strict=True))
    ]


@np.errstate(all="ignore")  # weights that diverged
def solve(params: SingleNeuron, problem: Problem, draws: Draws, log: Sequence[int] | np.ndarray = ()) -> Solution:
    """The value holds each network at the start and at the end, (B, 2, m, d) and (B, 2, m).

    With a `log` of iterations the trace holds, trial by trial, weights and every measure there.
    """
    from smallnets.descent.relu import descend

    W, a = start(params.m, params.d, params.scale, draws)
    ends = [
        descend(X, y, W[b], a[b], step=params.step, steps=params.steps, target=params.target, log=log, tail=params.tail)
        for b, (X, y) in enumerate(zip(problem.X, problem.y, strict=True))
    ]
    stats = {name: np.array([getattr(end, name) for end in ends], float) for name in ("steps", "loss")}
    stats |= {name: np.array([end.spent[name] for end in ends], float) for name in ends[0].spent}
    stats["slid"] = np.array([engine.slides(end.crossings) for end in ends])
    value = np.stack([W, [end.W for end in ends]], axis=1), np.stack([a, [end.a for end in ends]], axis=1)
    trace: dict[str, Any] = {}
    if len(log):
        trace = {"at": [end.at for end in ends], "W": [end.Ws for end in ends], "a": [end.As for end in ends]}
        trace["measures"] = [
            engine.logged(data, engine.Snapshots(end.Ws, end.As, end.losses))
            for data, end in zip(data_sets(problem), ends, strict=True)
        ]
    return Solution(value, [ENDED[end.ended.name] for end in ends], stats, trace)


def solve_noted(params: SingleNeuron, problem: Problem, draws: Draws) -> Solution:
    """The same with the published log."""
    return solve(params, problem, draws, published.schedule(params.steps))
