"""Neurons of `orthogonal_inputs.instance` that move in the plane, their network's function and its loss."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import plotly.graph_objects as go

from neurec_core.animation import SIGNS, SMALLEST, Curve, cloud, layout_of, neurons, span, spans, training_points
from neurec_core.draws import Draws
from neurec_core.experiment import Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param
from neurec_core.style import COLORS, panel_trace

from . import engine, published, theory
from .experiments import line, points, saddles
from .experiments.high_dimension import HIGH_DIMENSION
from .experiments.high_dimension import begin as begin_high
from .experiments.training import ACTIVE, CITATION, LOSS, MINIMUM, NORM, TAKEN, GradientDescent, start

GRAY = {"color": "gray", "dash": "dash", "width": 1}
PLACES = 161  # of a function
EVERY = 3  # snapshots from one place of a drawn path to the next
MARGIN = 1.0  # of a line, beyond its points
SNAPSHOTS = 120  # of the weights on the way


class Plane(NamedTuple):
    """Where neurons are drawn: positions (L, m, 2), what the coordinates are, their ranges."""

    positions: np.ndarray
    axes: tuple[str, str]
    ranges: tuple[list[float], list[float]]


def kinks(W: np.ndarray, a: np.ndarray, x: np.ndarray) -> Plane:
    """Neurons of a network on a line, x -> a max(0, w x + b), by the kink -b/w and the output weight; W (L, m, 2)."""
    with np.errstate(all="ignore"):  # a neuron without a slope has no kink
        places = -W[..., 1] / W[..., 0]
    reach = [float(x.min()) - MARGIN, float(x.max()) + MARGIN]
    return Plane(np.stack([places, a], axis=-1), ("kink -b/w", "output weight a"), (reach, span(a)))


def projected(W: np.ndarray) -> Plane:
    """Neurons by their components along the first two right singular vectors of the last W; W (L, m, d)."""
    positions = W @ np.linalg.svd(W[-1], full_matrices=False)[2][:2].T
    return Plane(positions, ("along a singular vector", "along another singular vector"), spans(positions))


def training(problem: Problem, solution: Solution, trial: int = 0, frames: int | np.ndarray = 60) -> go.Figure:
    """One training, animated.

    Parameters
    ----------
    problem, solution : of `orthogonal_inputs.instance`
    trial : which network
    frames : snapshots shown at most, or the steps that are shown
    """
    X, y, trace = problem.X[trial], problem.y[trial], {name: part[trial] for name, part in solution.trace.items()}
    plane, curve = _seen(X, y, trace)
    words = f"{len(y)} points, {trace['a'].shape[1]} neurons; dashed: losses of the saddles for orthogonal inputs"
    levels = [panel_trace(3 if curve else 2, trace["at"][[0, -1]], [level] * 2, "saddle", line=GRAY, showlegend=False)
            for level in trace["saddles"]]  # fmt: skip
    return neurons(
        trace["at"], trace["losses"], plane.positions, np.sign(trace["a"][0]),
        title=f"Gradient descent<br><sup>{words}</sup>", axes=plane.axes, curve=curve, still=levels,
        ranges=plane.ranges, frames=frames,
    )  # fmt: skip


def animated(experiment: Experiment, params: Any, begin: Callable[..., Any], factor: float) -> go.Figure:
    """The training of trial 0 of an experiment, at the steps that the authors' animations show.

    Parameters
    ----------
    params : of the experiment
    begin : ``(params, draws) -> weights`` at the start
    factor : by which the steps of frames grow, see `published.frames`
    """
    draws, shown = Draws(0, [0]), published.frames(params.steps, factor)
    at, problem = np.union1d(shown, engine.marks(params.steps)), experiment.sample(params, draws)
    solution = engine.train(params, problem, begin(params, draws), partial(_described, len(at)), log=at)
    return training(problem, solution._replace(trace=solution.stats), frames=shown)


def toy() -> go.Figure:
    """The authors' first animation: the toy from a start of theirs, in 153 frames."""
    start_of_theirs = {"rng": "published", "variance": "published", "target": 0.0}
    params = saddles.SADDLE_TO_SADDLE.params(data="toy", n=2, d=2, **start_of_theirs)
    return animated(saddles.SADDLE_TO_SADDLE, params, saddles.begin, published.TOY_FRAMES)


def high_dimension(steps: int = 200_000) -> go.Figure:
    """The authors' second animation: their run in 150 dimensions, which takes a minute, in 109 frames."""
    params = HIGH_DIMENSION.params(rng="published", steps=steps, published_steps=steps)
    return animated(HIGH_DIMENSION, params, begin_high, published.HIGH_DIMENSION_FRAMES)


def five_points(init: float = 1e-6) -> go.Figure:
    """The toy with five points, from small weights: fifteen times as many steps as the authors' code takes."""
    params = line.NON_ORTHOGONAL_TOY.params(init=init, steps=300_000)
    return animated(line.NON_ORTHOGONAL_TOY, params, line.begin, published.TOY_FRAMES)


def five_points_large() -> go.Figure:
    """The same from weights of scale 1."""
    return five_points(1.0)


def _seen(X: np.ndarray, y: np.ndarray, trace: dict[str, np.ndarray]) -> tuple[Plane, Curve | None]:
    W, a = trace["W"], trace["a"]
    if X.shape[1] != 2 or not (X[:, 1] == 1).all():
        return projected(W), None
    x = np.linspace(X[:, 0].min() - MARGIN, X[:, 0].max() + MARGIN, PLACES)
    hidden = np.maximum(W[..., :1] * x + W[..., 1:], 0)
    return kinks(W, a, X[:, 0]), Curve(x, np.einsum("lm,lmk->lk", a, hidden), X[:, 0], y)


def paths(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """One training, at rest: the paths of its neurons, its function or outputs at the end, and its loss.

    Parameters
    ----------
    params, problem, solution, scores : of `orthogonal_inputs.instance`, the first trial drawn
    """
    X, y, trace = problem.X[0], problem.y[0], {name: part[0] for name, part in solution.trace.items()}
    plane, curve = _seen(X, y, trace)
    where, signs, steps = plane.positions, np.sign(trace["a"][0]), trace["at"]
    if curve is None:
        f = np.maximum(X @ trace["W"][-1].T, 0) @ trace["a"][-1]
        curve = Curve(y, f[None], y, y)
    data = [_paths(where[::EVERY, signs == sign], sign) for sign in SIGNS]
    data += [cloud(1, where[-1][signs == sign], sign) for sign in SIGNS]
    data += [
        training_points(curve),
        panel_trace(2, curve.x, curve.f[-1], "network", mode="lines" if len(curve.x) == PLACES else "markers",
                    line={"color": COLORS[2]}, marker={"color": COLORS[2]}),
        panel_trace(3, steps, np.maximum(trace["losses"], SMALLEST), "loss", line={"color": "black"}, showlegend=False),
    ]  # fmt: skip
    data += [
        panel_trace(3, steps[[0, -1]], [level] * 2, "saddle", line=GRAY, showlegend=False) for level in trace["saddles"]
    ]
    state = f"loss {scores['loss'][0]:.1e} after {scores['taken'][0]:.0f} steps; |θ|²/2 = {scores['norm'][0]:.4f}"
    words = f"{state}, least for orthogonal inputs {scores['minimum'][0]:.4f}"
    layout = layout_of(plane.axes, True)
    title = {**layout["title"], "text": f"Neurons, outputs and loss<br><sup>{words}</sup>"}
    layout |= {"title": title, "meta": {**layout["meta"], "alt": f"A training: {words}"}}
    on_line = len(curve.x) == PLACES
    layout["xaxis2"] = {**layout["xaxis2"], "title": {"text": "input x" if on_line else "label"}}
    for name, ends in zip(("xaxis", "yaxis"), plane.ranges, strict=True):
        layout[name] = {**layout[name], "range": ends}
    return go.Figure({"data": data, "layout": layout})


def _paths(where: np.ndarray, sign: int) -> dict[str, Any]:
    """All paths as one line with gaps."""
    gap = np.full((1, *where.shape[1:]), np.nan)
    along = np.concatenate([where, gap]).swapaxes(0, 1).reshape(-1, 2)
    line = {"color": SIGNS[sign][1], "width": 1}
    return panel_trace(1, along[:, 0], along[:, 1], "path", line=line, opacity=0.5, showlegend=False)


class OneTraining(GradientDescent):
    """A training that a slider can wait for."""

    data: Literal["toy", "toy_non_orthogonal", "orthogonal", "high_dimension"] = param(
        "toy", "training points: two or five on a line, orthogonal or nearly orthogonal ones"
    )
    step: float = param(0.002, "step size", symbol="h", gt=0, le=10, slider=(0.001, 0.01, 0.001))
    steps: int = param(60_000, "most steps", ge=1, le=1_000_000_000)
    target: float = param(1e-8, "mean squared error at which training ends", ge=0, le=1)
    n: int = param(4, "training points, where they are not on a line", ge=2, le=100, slider=(2, 12, 1))
    d: int = param(12, "inputs, where points are not on a line", ge=2, le=200, slider=(2, 40, 1))


def sample(params: OneTraining, draws: Draws) -> Problem:
    """Points and labels; orthogonal ones are at most as many as there are inputs."""
    if params.data == "orthogonal":
        return Problem(*points.orthogonal(draws, min(params.n, params.d), params.d, 0.0))
    if params.data == "high_dimension":
        return Problem(*points.high_dimension(draws, params.n, params.d))
    chosen = points.TOY if params.data == "toy" else points.TOY_NON_ORTHOGONAL
    return Problem(*points.repeated(chosen, len(draws)))


def solve(params: OneTraining, problem: Problem, draws: Draws) -> Solution:
    """Train; the trace has weights, losses and the levels of the saddles at steps ``at (B, L)``."""
    log = engine.marks(params.steps, SNAPSHOTS, SNAPSHOTS // 4)  # a few grow by a factor, as escapes take a time
    weights = start(params, draws, problem.X.shape[2])
    solution = engine.train(params, problem, weights, partial(_described, len(log)), log=log)
    trace = {name: solution.stats[name] for name in ("at", "losses", "W", "a", "saddles")}
    return solution._replace(trace=trace, stats={name: solution.stats[name] for name in COLUMNS})


def _described(snapshots: int, params: OneTraining, path: engine.Trajectory) -> dict[str, Any]:
    """From its end on, a training stays where it is."""
    run, rest = path.run, snapshots - len(path.run.at)
    lists = {"at": (run.at, run.steps), "losses": (run.losses, run.loss), "W": (run.Ws, run.W), "a": (run.As, run.a)}
    longer = {
        name: np.concatenate([seen, np.repeat(np.asarray(end)[None], rest, axis=0)])
        for name, (seen, end) in lists.items()
    }
    return longer | path.end() | {
        "saddles": theory.plateaus(path.y, theory.ahead(path.X, path.y)),
        "minimum": theory.minimum_norm(path.X, path.y),
    }  # fmt: skip


def score(params: OneTraining, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The end, beside the least norm of an interpolator of orthogonal inputs."""
    return dict(solution.stats)


COLUMNS = {"loss": LOSS, "norm": NORM, "minimum": MINIMUM, "active": ACTIVE, "taken": TAKEN}

INSTANCE = Experiment(
    name="orthogonal_inputs.instance",
    question="How do neurons move?",
    params=OneTraining,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={"tiny": Grid({"data": ["toy", "orthogonal"]}, trials=1, fixed={"steps": 1000})},
    citation=CITATION,
)
