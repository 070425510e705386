"""Training until the loss is below its target, and what the network is like then."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Problem, Replay, Solution, Status
from neurec_core.params import param

from .. import engine
from .setup import Setup, schedule, start

# A neuron that crosses a point's boundary so often slides along it.
OFTEN = 20


class Training(Setup):
    """Gradient descent on the mean squared error, and how angles are measured."""

    angles: Literal["chord", "arccos"] = param("chord", "how angles are measured; arccos is the published way")
    tail: float = param(
        0.0, "error for which the slow end is taken many iterations at a time; 0 takes each", ge=0, le=0.01
    )


def statuses(ended: list[str]) -> list[Status]:
    """A descent's end as the status of its row."""
    from smallnets.descent.relu import End

    known = {
        End.TARGET: Status.SOLVED, End.LIMIT: Status.CUTOFF, End.STALLED: Status.STALLED, End.DEAD: Status.DEAD,
        End.DIVERGED: Status.DIVERGED,
    }  # fmt: skip
    return [known[End(end)] for end in ended]


def solve(params: Training, problem: Problem, draws: Draws) -> Solution:
    """The value holds each network at the start and at the end, (B, 2, m, d) and (B, 2, m)."""
    return _solve(params, problem, draws, noted=False)


def solve_noted(params: Training, problem: Problem, draws: Draws) -> Solution:
    """The same, and the trace holds, trial by trial, every measure at the published iterations."""
    return _solve(params, problem, draws, noted=True)


@np.errstate(all="ignore")  # weights that diverged
def _solve(params: Training, problem: Problem, draws: Draws, noted: bool) -> Solution:
    from smallnets.descent.relu import descend

    W, a = start(params.m, params.d, params.scale, draws)
    log = schedule(params.steps) if noted else ()
    ends = [
        descend(X, y, W[b], a[b], step=params.step, steps=params.steps, target=params.target, log=log, tail=params.tail)
        for b, (X, y) in enumerate(zip(problem.X, problem.y, strict=True))
    ]
    stats = {name: np.array([getattr(end, name) for end in ends], float) for name in ("steps", "loss")}
    stats |= {name: np.array([end.spent[name] for end in ends], float) for name in ends[0].spent}
    stats["slid"] = np.array([_slides(end.crossings) for end in ends])
    value = np.stack([W, [end.W for end in ends]], axis=1), np.stack([a, [end.a for end in ends]], axis=1)
    trace: dict[str, Any] = {}
    if noted:
        trace = {"at": [end.at for end in ends], "W": [end.Ws for end in ends], "a": [end.As for end in ends]}
        trace["measures"] = [
            engine.logged(problem.X[b], problem.y[b], problem.teacher, b, end.Ws, end.As, end.losses)
            for b, end in enumerate(ends)
        ]
    return Solution(value, statuses([end.ended for end in ends]), stats, trace)


def _slides(crossings: np.ndarray) -> bool:
    """Whether a neuron crosses one boundary again and again."""
    pairs = crossings[:, 1] * (crossings[:, 2].max(initial=0) + 1) + crossings[:, 2]
    return bool(np.bincount(pairs).max(initial=0) >= OFTEN)


def bundled(X: np.ndarray, W0: np.ndarray, a0: np.ndarray, W: np.ndarray) -> np.ndarray:
    """Numbers of the positive neurons, of those active at the start W0 (m, d), that are active on a point with W."""
    return np.intersect1d(engine.groups(X, W0, a0).positive, np.flatnonzero((W @ X.T > 0).any(axis=1)))


@np.errstate(all="ignore")  # weights that diverged
def score(params: Training, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Measures of the networks at the end; groups are those of the start."""
    stats, teacher = solution.stats, problem.teacher
    rows = []
    for b, (X, y) in enumerate(zip(problem.X, problem.y, strict=True)):
        W, a = (part[b] for part in solution.value)
        end = engine.logged(X, y, teacher, b, W, a, np.full(2, stats["loss"][b]), params.angles)
        live = bundled(X, W[0], a[0], W[1])
        row = {name: end[name][-1] for name in TAKEN}
        row["max_angle"], row["mean_angle"] = (part[0] for part in engine.angles(W[1:, live], params.angles))
        row["negative_angle"] = end["negative_max_angle"][-1]
        row["gathered"] = bool(len(live) and (W[1, live] @ X.T > 0).all())
        row["bundle"] = float(len(live))
        rows.append(row)
    kept = {name: np.array([row[name] for row in rows]) for name in rows[0]}
    return {
        **kept,
        "interpolated": stats["loss"] < params.target,
        "slid": stats["slid"],
        "iterations": stats["steps"],
        **{name: stats[level] / np.maximum(stats["steps"], 1) for name, level in LEVELS.items()},
    }


LEVELS = {"held": "groups", "leapt": "tail"}
TAKEN = ("loss", "nuclear", "energy", "distance", "target_angle", "inside", "middle")
# The cosine of an angle of 1e-4 degrees differs from 1 by 1e-12, of which double precision keeps three digits.
ANGLE = Replay(1e-3, floor=1e-4)
# Of hundreds of neurons that slide, rounding decides at times which one leaves a boundary first.
SLID = ANGLE._replace(chaotic=0.05)
# Weights at rest are seen when they are looked at, and rounding decides at which look.
REST = Replay(1e-5, chaotic=0.02)
COLUMNS = {
    "max_angle": Column(
        "largest angle between active positive neurons",
        "measure",
        "degrees",
        logarithmic=True,
        optional=True,
        replay=ANGLE,
    ),
    "mean_angle": Column(
        "mean angle between active positive neurons",
        "measure",
        "degrees",
        logarithmic=True,
        optional=True,
        replay=ANGLE,
    ),
    "negative_angle": Column(
        "largest angle between negative neurons", "measure", "degrees", logarithmic=True, optional=True, replay=SLID
    ),
    "nuclear": Column("nuclear norm of the hidden weights", "measure"),
    "energy": Column("sum of squared weights", "measure"),
    "distance": Column(
        "distance of the bundle from the teacher", "measure", logarithmic=True, replay=Replay(1e-5, floor=1e-10)
    ),
    "target_angle": Column(
        "angle between bundle and teacher; NaN without a bundle",
        "measure",
        "degrees",
        logarithmic=True,
        optional=True,
        replay=ANGLE,
    ),
    "loss": Column("training mean squared error", "measure", logarithmic=True),
    "inside": Column("mean squared error on points like the training points", "measure", logarithmic=True),
    "middle": Column("mean squared error on standard normal points", "measure", logarithmic=True),
    "gathered": Column("all active positive neurons, at least one, are active on all points", "event"),
    "interpolated": Column("loss below its target", "event"),
    "slid": Column("a neuron slid along a point's boundary", "event"),
    "bundle": Column("active positive neurons", "measure"),
    "iterations": Column("iterations", "measure", logarithmic=True, replay=REST),
    "held": Column("share of iterations taken by groups of neurons", "measure", replay=REST),
    "leapt": Column("share of iterations taken many at a time", "measure"),
}
