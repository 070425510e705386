"""The way from a small start to the teacher, against what the theorems say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution

from .. import engine, theory
from .setup import CITATION, sample, start
from .training import Training, bundled, solve_noted

# Degrees, and shares of the first singular value, below which rounding has a say.
SHARP_ANGLE, SHARP_RANK = 1e-6, 1e-9


@np.errstate(all="ignore")  # weights that diverged
def score(params: Training, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Statements about the whole way, one trial after another."""
    trace = solution.trace
    rows = [
        _row(params, X, y, problem.teacher.net.W[b, :, 0], {name: trace[name][b] for name in trace})
        for b, (X, y) in enumerate(zip(problem.X, problem.y, strict=True))
    ]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def _row(params: Training, X: np.ndarray, y: np.ndarray, v: np.ndarray, trace: dict[str, Any]) -> dict[str, Any]:
    logged, W, a, at = trace["measures"], trace["W"], trace["a"], trace["at"]
    coordinates, rate = logged["coordinates"], theory.pull(X, y)
    ordered, crossings = theory.crossed_in_order(coordinates)
    half = theory.half_time(1 - coordinates[:, 0] / coordinates[0, 0], at)
    halved = at >= half
    sides = engine.groups(X, W[0], a[0])
    live = W[-1, sides.positive] @ X.T > 0
    negative = (W[halved][:, sides.negative] @ X.T > 0).any()
    time = 2 * params.step * half
    return {
        "ordered": ordered,
        "negative_dead": bool(not negative and halved.any()),
        "crossed": float(crossings),
        "half_time": time,
        "half_excess": time + 2 * params.step * np.log(params.scale) / np.log1p(2 * params.step * rate),
        "early_angle": float(np.fmin.reduce(logged["early_angle"])),
        "angle_rate": _rate(logged["positive_max_angle"][-1], SHARP_ANGLE, params.scale),
        "rank_rate": _rate(logged["nuclear"][-1] / np.linalg.norm(W[-1], 2) - 1, SHARP_RANK, params.scale),
        "energy": float(logged["energy"][-1]),
        "imbalance": float(theory.imbalance(W, a).max()),
        "gradient_share": theory.gradient_share(X, y, {**logged, "halved": halved}, W, a),
        "size_deviation": _deviation(X, y, W, a, sides.positive, params.step),
        "gathered": bool(live.size and live.all()),
        "loss": float(logged["loss"][-1]),
        "test": float(logged["middle"][-1]),
        "widest": float(engine.angle(X, v).max()),
        "iterations": float(at[-1]),
    }


def _rate(value: float, sharp: float, scale: float) -> float:
    return float(value / scale) if value >= sharp else np.nan


def _deviation(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, positive: np.ndarray, step: float) -> float:
    """How far the bundle's neurons are from the yardsticks' sizes, relative, after both are brought to one mean."""
    if not len(positive):
        return np.nan
    wanted = theory.limiting_sizes(X, y, W[0, positive], a[0, positive], step)
    sizes = np.linalg.norm(W[-1, positive], axis=1)
    both = (wanted > 0) & (W[-1, positive] @ X.T > 0).any(axis=1)
    if not both.any():
        return np.nan
    ratio = sizes[both] / wanted[both]
    return float(np.abs(ratio / ratio.mean() - 1).max())


def shrinking_steps(params: Training, draws: Draws) -> dict[str, list[float]]:
    """Gradient descent with four, two, one and half of the step size, until the loss is reached.

    Parameters
    ----------
    params : of one network
    draws : its randomness; the first trial is taken

    Returns
    -------
    step : the step sizes, (4,)
    time : NaN if the loss was not reached; an iteration passes twice its step
    angle : the largest in the bundle, in degrees; NaN for fewer than two neurons
    """
    from smallnets.descent.relu import descend

    problem, (W, a) = sample(params, draws), (part[0] for part in start(params.m, params.d, params.scale, draws))
    X, y, sizes = problem.X[0], problem.y[0], [params.step * factor for factor in (4, 2, 1, 0.5)]
    ends = [descend(X, y, W, a, step=h, steps=params.steps, target=params.target, tail=params.tail) for h in sizes]
    bundles = [end.W[bundled(X, W, a, end.W)] for end in ends]
    return {
        "step": sizes,
        "time": [2 * h * end.steps if end.loss < params.target else np.nan for h, end in zip(sizes, ends, strict=True)],
        "angle": [float(engine.angles(part[None])[0][0]) for part in bundles],
    }


COLUMNS = {
    "ordered": Column("coordinates pass the teacher's in the order of falling eigenvalues", "event"),
    "negative_dead": Column("no negative neuron is active from half-time on", "event"),
    "gathered": Column("all positive neurons, at least one, are active on all points at the end", "event"),
    "crossed": Column("coordinates that overshoot", "measure"),
    "half_time": Column(
        "time at which the first coordinate is half the teacher's", "measure", "flow time", optional=True
    ),
    "half_excess": Column(
        "that time less the time in which aligned neurons grow by 1/λ", "measure", "flow time", optional=True
    ),
    "early_angle": Column(
        "least angle between bundle and γ on the way",
        "measure",
        "degrees",
        logarithmic=True,
        optional=True,
        replay=Replay(1e-3, floor=1e-4),
    ),
    "angle_rate": Column(
        "largest angle between positive neurons over λ",
        "measure",
        "degrees",
        logarithmic=True,
        optional=True,
        replay=Replay(1e-4),
    ),
    "rank_rate": Column(
        "singular values but the first over the first, over λ",
        "measure",
        logarithmic=True,
        optional=True,
        replay=Replay(1e-4),
    ),
    "energy": Column("sum of squared weights", "measure"),
    "imbalance": Column("largest |a² - |w|²| over the sum of squares", "measure", logarithmic=True),
    "gradient_share": Column(
        "least |∇L|²/L after half-time over its bound", "measure", logarithmic=True, optional=True
    ),
    "size_deviation": Column(
        "sizes of the neurons against the limit's",
        "measure",
        logarithmic=True,
        optional=True,
        replay=Replay(1e-3, floor=1e-9),
    ),
    "loss": Column("training mean squared error", "measure", logarithmic=True),
    "test": Column("mean squared error on standard normal points", "measure", logarithmic=True),
    "widest": Column("largest angle between the teacher and a point", "measure", "degrees"),
    "iterations": Column("iterations", "measure", logarithmic=True),
}
DEEP = [1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-12, 1e-24, 1e-48]

TRAJECTORIES = Experiment(
    name="single_neuron.trajectories",
    question="Does the way to the teacher have the phases that the theorems describe?",
    params=Training,
    sample=sample,
    solve=solve_noted,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"scale": [4.0**-3, 4.0**-5]}, trials=2, fixed={"d": 3, "m": 8, "steps": 20_000, "data": "uncentred"}
        ),
        "quick": Grid({"scale": DEEP}, trials=3, fixed={"d": 8, "data": "uncentred", "spread": 0.3}),
        "paper": Grid(
            {"data": ["centred", "uncentred"], "scale": [4.0**-e for e in range(2, 9)]}, trials=5,
            fixed={"d": 16, "tail": 1e-6}, published=5,
        ),
        "deep": Grid(
            {"scale": DEEP}, trials=20, fixed={"d": 8, "data": "uncentred", "spread": 0.3, "tail": 1e-7}, published=10
        ),
    },
    citation=CITATION,
)  # fmt: skip
