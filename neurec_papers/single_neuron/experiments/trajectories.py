"""The path from a small start to the teacher, against what the theorems say of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.figures import matching

from .. import engine, theory
from .setup import CITATION, LOG, SingleNeuron, sample, start
from .training import ENERGY, ITERATIONS, LOSS, MIDDLE, data_sets, degrees, solve_noted

# Degrees, and shares of the first singular value, below which rounding has a say.
SHARP_ANGLE, SHARP_RANK = 1e-6, 1e-9


@np.errstate(all="ignore")  # weights that diverged
def score(params: SingleNeuron, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Statements about the whole path, one trial after another."""
    trace = solution.trace
    rows = [_row(params, data, {name: trace[name][b] for name in trace}) for b, data in enumerate(data_sets(problem))]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def _row(params: SingleNeuron, data: engine.DataSet, trace: dict[str, Any]) -> dict[str, Any]:
    X, y, logged, W, a, at = data.X, data.y, trace["measures"], trace["W"], trace["a"], trace["at"]
    coordinates = logged["coordinates"]
    ordered, crossings = theory.crossed_in_order(coordinates)
    half = theory.half_time(1 - coordinates[:, 0] / coordinates[0, 0], at)
    halved = at >= half
    positive, negative = engine.groups(X, W[0], a[0])
    live = W[-1, positive] @ X.T > 0
    time, growth = 2 * params.step * half, np.log1p(2 * params.step * theory.pull(X, y))
    return {
        "ordered": ordered,
        "negative_dead": bool(halved.any() and not (W[halved][:, negative] @ X.T > 0).any()),
        "crossed": float(crossings),
        "half_time": time,
        "half_excess": time + 2 * params.step * np.log(params.scale) / growth,
        "early_angle": float(np.fmin.reduce(logged["early_angle"])),
        "angle_rate": _rate(logged["positive_max_angle"][-1], SHARP_ANGLE, params.scale),
        "rank_rate": _rate(logged["nuclear"][-1] / np.linalg.norm(W[-1], 2) - 1, SHARP_RANK, params.scale),
        "energy": float(logged["energy"][-1]),
        "imbalance": float(theory.imbalance(W, a).max()),
        "gradient_share": theory.gradient_share(X, y, W, a, logged={**logged, "halved": halved}),
        "size_deviation": _deviation(data, W[:, positive], a[:, positive], params.step),
        "gathered": bool(live.size and live.all()),
        "loss": float(logged["loss"][-1]),
        "test": float(logged["middle"][-1]),
        "widest": float(engine.angle(X, data.net.W[0, :, 0]).max()),
        "iterations": float(at[-1]),
    }


def _rate(value: float, sharp: float, scale: float) -> float:
    return float(value / scale) if value >= sharp else np.nan


def _deviation(data: engine.DataSet, W: np.ndarray, a: np.ndarray, step: float) -> float:
    """How far the bundle's neurons are from the yardsticks' sizes, relative, after both are brought to one mean."""
    if not W.shape[1]:
        return np.nan
    wanted = theory.limiting_sizes(data.X, data.y, W[0], a[0], step=step)
    both = (wanted > 0) & (W[-1] @ data.X.T > 0).any(axis=1)
    if not both.any():
        return np.nan
    ratio = np.linalg.norm(W[-1], axis=1)[both] / wanted[both]
    return float(np.abs(ratio / ratio.mean() - 1).max())


def shrinking_steps(params: SingleNeuron, draws: Draws) -> dict[str, list[float]]:
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
    bundles = [end.W[engine.bundled(X, W, a, end.W)] for end in ends]
    return {
        "step": sizes,
        "time": [2 * h * end.steps if end.loss < params.target else np.nan for h, end in zip(sizes, ends, strict=True)],
        "angle": [float(engine.angles(part[None])[0][0]) for part in bundles],
    }


def acute(table: Any) -> Any:
    """The runs in eight dimensions whose points all are within 45 degrees of the teacher, as the theorems assume."""
    rows = matching(table, {"d": 8})
    return rows[rows["widest"] < 45]


def by_scale(table: Any, column: str, scales: Any) -> Any:
    """A column of those runs: one row per trial, one column per scale."""
    return acute(table).pivot_table(column, "trial", "scale", aggfunc="first")[scales]


def phases(table: Any) -> Any:
    """Within 45° each run passes the coordinates in order, loses its negative neurons and gathers the positive ones."""
    return acute(table)[["ordered", "negative_dead", "gathered"]].astype(float).mean().min()


def gradient_bound(table: Any) -> Any:
    """Within 45° the gradient is larger than the bound of Theorem 6 in every run."""
    return (acute(table)["gradient_share"] > 1).mean()


def half_time_span(table: Any) -> Any:
    """The half-time less the time of growth by 1/λ is a constant of the data, from λ = 1e-2 down to 1e-12."""
    found = by_scale(table, "half_excess", [1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-12])
    return (found.max(axis=1) - found.min(axis=1)).max()


def angle_drift(table: Any) -> Any:
    """The largest angle over λ is a constant of the data, from λ = 1e-3 down to 1e-6."""
    found = by_scale(table, "angle_rate", [1e-3, 1e-4, 1e-6])
    return (found.max(axis=1) / found.min(axis=1) - 1).max()


def size_drift(table: Any) -> Any:
    """The sizes of the neurons differ from their limit in proportion to λ, from 1e-3 down to 1e-6."""
    found = by_scale(table, "size_deviation", [1e-3, 1e-6])
    return (found[1e-3] / 1e-3 / (found[1e-6] / 1e-6) - 1).abs().max()


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
    "early_angle": degrees("least angle between bundle and γ on the way"),
    "angle_rate": degrees("largest angle between positive neurons over λ", Replay(1e-4)),
    "rank_rate": Column(
        "singular values but the first over the first, over λ", "measure", None, True, True, replay=Replay(1e-4)
    ),
    "energy": ENERGY,
    "imbalance": Column("largest |a² - |w|²| over the sum of squares", "measure", logarithmic=True),
    "gradient_share": Column(
        "least |∇L|²/L after half-time over its bound", "measure", logarithmic=True, optional=True
    ),
    "size_deviation": Column(
        "sizes of the neurons against the limit's", "measure", None, True, True, replay=Replay(1e-3, floor=1e-9)
    ),
    "loss": LOSS,
    "test": MIDDLE,
    "widest": Column("largest angle between the teacher and a point", "measure", "degrees"),
    "iterations": ITERATIONS,
}
DEEP = [1e-2, 1e-3, 1e-4, 1e-6, 1e-8, 1e-12, 1e-24, 1e-48]

TRAJECTORIES = Experiment(
    name="single_neuron.trajectories",
    question="Does the path to the teacher have the phases that the theorems describe?",
    params=SingleNeuron, sample=sample, solve=solve_noted, score=score, columns=COLUMNS,
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
    claims=(
        Claim(phases, 1, 0, "chistikov2023learning, Theorem 6"),
        Claim(gradient_bound, 1, 0, "chistikov2023learning, Theorem 6"),
        Claim(half_time_span, 0, 0.02, "derived here"),
        Claim(angle_drift, 0, 0.01, "derived here"),
        Claim(size_drift, 0, 0.05, "chistikov2023learning, Lemma 34"),
    ),
    citation=CITATION, log=LOG,
)  # fmt: skip
