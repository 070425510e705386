"""Networks that learn a neuron, as figures: directions that gather into a bundle, and all that is logged on the way."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.animation import neurons
from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param
from neurec_core.style import COLORS, panel_trace, stacked, style

from . import engine
from .experiments import training as descent
from .experiments.setup import CITATION, SMALLEST, TEACHERS, SingleNeuron, Teachers, sample
from .experiments.sweeps import COLUMNS
from .published import LARGEST

POWERS: dict[str, Any] = {"type": "log", "exponentformat": "power"}
TINY = 1e-5  # coordinates are drawn as arsinh of themselves over this
LEAST = 1e-16  # of what is drawn on a logarithmic axis
AXES = ("along the teacher", "across, along γ")


def training(problem: Problem, solution: Solution, frames: int = 60) -> go.Figure:
    """The first trial, animated: directions of its neurons in the plane of the teacher and γ, and the loss.

    Parameters
    ----------
    problem, solution : of `single_neuron.instance`
    frames : snapshots shown at most
    """
    trace = _first(solution)
    plane, pull = _plane(problem)
    W, signs = trace["W"], np.sign(trace["a"][0])
    positions = _directions(W, plane)
    still = [
        _arrow([1, 0], "teacher", COLORS[2]),
        _arrow(plane @ pull / np.linalg.norm(pull), "γ", COLORS[4]),
    ]
    words = f"{W.shape[1]} neurons, {W.shape[2]} inputs; a point is a direction, on the circle if it is in the plane"
    fig = neurons(
        trace["at"], trace["measures"]["loss"], positions, signs,
        title=f"Directions of the neurons<br><sup>{words}</sup>", axes=AXES, still=still,
        ranges=([-1.1, 1.1], [-1.1, 1.1]), logarithmic=True, frames=frames,
    )  # fmt: skip
    fig.layout.yaxis2.update(POWERS)
    return fig


def paths(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """The first trial at rest: directions on their paths, loss, and angles.

    Parameters
    ----------
    params, problem, solution, scores : of `single_neuron.instance`
    """
    trace = _first(solution)
    logged, steps = trace["measures"], trace["at"] + 1
    plane, pull = _plane(problem)
    where, a = _directions(trace["W"], plane), trace["a"][0]
    groups = engine.groups(problem.X[0], trace["W"][0], a)
    data = [_arrow([1, 0], "teacher", COLORS[2]), _arrow(plane @ pull / np.linalg.norm(pull), "γ", COLORS[4])]
    for group, name, color in zip(groups, ("positive", "negative"), (COLORS[1], COLORS[0]), strict=True):
        along = np.concatenate([where[::4, group], np.full((1, len(group), 2), np.nan)]).swapaxes(0, 1).reshape(-1, 2)
        data += [
            panel_trace(1, along[:, 0], along[:, 1], "path", line={"color": color, "width": 1}, opacity=0.4,
                        showlegend=False),
            panel_trace(1, where[-1, group, 0], where[-1, group, 1], f"{name} neurons", mode="markers",
                        marker={"color": color, "size": 8}),
        ]  # fmt: skip
    data.append(panel_trace(2, steps, _drawn(logged["loss"]), "loss", line={"color": "black"}, showlegend=False))
    for name, label, color in (
        ("positive_max_angle", "largest between positive neurons", COLORS[1]),
        ("negative_max_angle", "largest between negative neurons", COLORS[0]),
        ("early_angle", "bundle to γ", COLORS[4]),
        ("target_angle", "bundle to teacher", COLORS[2]),
    ):
        data.append(panel_trace(3, steps, _drawn(logged[name]), label, line={"color": color}))
    fig = _panels(("directions", "loss", "angles"), ("mean squared error", "degrees"))
    state = f"loss {scores['loss'][0]:.1e} after {scores['iterations'][0]:.0f} iterations"
    words = f"{state}; largest angle between the {len(a[a > 0])} positive neurons {scores['max_angle'][0]:.2g}°"
    fig.add_traces(data)
    fig.update_xaxes(title=AXES[0], range=[-1.1, 1.1], col=1)
    fig.update_yaxes(title=AXES[1], range=[-1.1, 1.1], col=1)
    return style(
        fig,
        f"One training<br><sup>{words}</sup>",
        alt=f"A training: {words}",
        height=500,
        narrow=stacked(fig, height=1140),
    )


def phases(solution: Solution, title: str) -> go.Figure:
    """Figures 3 to 6 in one: coordinates, norms, angles and loss of the first trial against iterations.

    Parameters
    ----------
    solution : of `single_neuron.trajectories`
    """
    trace = _first(solution)
    logged, steps = trace["measures"], trace["at"] + 1
    fig = _panels(
        ("coordinates of v* - v", "sizes", "loss and angles"),
        (f"arsinh(coordinate / {TINY:g})", "norm", "mean squared error; degrees"),
        first=True,
    )
    d = logged["coordinates"].shape[1]
    for k in range(d):
        color = f"hsl({240 - 200 * k / max(d - 1, 1):.0f},60%,45%)"
        y = np.arcsinh(logged["coordinates"][:, k] / TINY)
        fig.add_trace(panel_trace(1, steps, y, f"{k + 1}", line={"color": color, "width": 1}, showlegend=False))
    for i, (name, label) in enumerate(
        (("norm", "|v|"), ("distance", "|v - v*|"), ("nuclear", "nuclear norm"), ("energy", "sum of squares"))
    ):
        fig.add_trace(panel_trace(2, steps, logged[name], label, line={"color": COLORS[i]}))
    for name, label, color in (
        ("loss", "loss", "black"), ("positive_max_angle", "largest angle", COLORS[1]),
        ("early_angle", "v to γ", COLORS[4]), ("target_angle", "v to teacher", COLORS[2]),
    ):  # fmt: skip
        dash = "solid" if name == "loss" else "dot"
        fig.add_trace(panel_trace(3, steps, _drawn(logged[name]), label, line={"color": color, "dash": dash}))
    fig.update_yaxes(type="linear", exponentformat="none", col=2)
    return style(fig, title, alt=f"coordinates, sizes, loss and angles against iterations; {title}", height=500,
                 narrow=stacked(fig, height=1140))  # fmt: skip


def losses(m: int, data: Literal["centred", "uncentred"], title: str) -> go.Figure:
    """Training loss, and loss on standard normal points, of one example from seven scales of the start.

    Parameters
    ----------
    m : neurons; there are 16 inputs
    data : "centred" or "uncentred"
    title : of the figure
    """
    fig = make_subplots(1, 2, subplot_titles=("training points", "64 standard normal points"), horizontal_spacing=0.12)
    for i, power in enumerate(range(2, 9)):
        params = SingleNeuron(d=16, m=m, data=data, scale=4.0**-power, tail=1e-6)
        draws = Draws(0, [0])
        trace = _first(descent.solve_noted(params, sample(params, draws), draws))
        line = {"color": f"hsl({240 - 30 * i},60%,45%)"}
        name = f"λ = 4<sup>-{power}</sup>"
        for panel, steps, measure in ((1, trace["at"] + 1, "loss"), (2, trace["at"], "large")):
            y = _drawn(trace["measures"][measure])
            fig.add_trace(panel_trace(panel, steps, y, name, line=line, showlegend=panel == 1))
    fig.update_xaxes(title="iteration + 1", col=1, **POWERS)
    fig.update_xaxes(title="iteration", col=2)
    fig.update_yaxes(dtick=1, **POWERS)
    fig.update_yaxes(title="mean squared error", col=1)
    words = f"one {data} example, 16 inputs, {m} neurons"
    return style(fig, f"{title}<br><sup>{words}</sup>", alt=f"{title}: {words}", narrow=stacked(fig, height=800))


def losses_centred() -> go.Figure:
    """Figure 2: centred points, 200 neurons."""
    return losses(200, "centred", "Loss over iterations, from smaller and smaller weights")


def losses_uncentred() -> go.Figure:
    """Figure 9: uncentred points, 25 neurons."""
    return losses(25, "uncentred", "Loss over iterations, from smaller and smaller weights")


def two_saddles() -> go.Figure:
    """Figure 11: two teachers; the loss falls twice, each time as the neurons of one sign have come together."""
    params = SingleNeuron(teachers="two", d=16, m=25, scale=4.0**-7, data="uncentred", steps=1_000_000, tail=1e-6)
    draws = Draws(0, [0])
    trace = _first(descent.solve_noted(params, sample(params, draws), draws))
    fig = make_subplots(1, 2, subplot_titles=("loss", "largest angle of either sign"), horizontal_spacing=0.12)
    steps, measures = trace["at"] + 1, trace["measures"]
    loss = _drawn(measures["loss"])
    fig.add_trace(panel_trace(1, steps, loss, "loss", line={"color": "black"}, showlegend=False))
    for group, color in (("positive", COLORS[1]), ("negative", COLORS[0])):
        y = _drawn(measures[f"{group}_max_angle"])
        fig.add_trace(panel_trace(2, steps, y, f"{group} neurons", line={"color": color}))
    fig.update_xaxes(title="iteration + 1", **POWERS)
    fig.update_yaxes(dtick=1, **POWERS)
    fig.update_yaxes(title="mean squared error", col=1)
    fig.update_yaxes(title="degrees", col=2)
    title, words = "Two teachers, two saddles", "uncentred points, 16 inputs, 25 neurons, λ = 4<sup>-7</sup>"
    alt = f"{title}: the loss and the largest angles between neurons of either sign against iterations"
    return style(fig, f"{title}<br><sup>{words.replace('<sup>-7</sup>', '^-7')}</sup>", alt=alt,
                 narrow=stacked(fig, height=800))  # fmt: skip


def _first(solution: Solution) -> dict[str, Any]:
    return {name: part[0] for name, part in solution.trace.items()}


def _plane(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Two unit rows, the teacher and the rest of γ; and γ."""
    v, pull = problem.teacher.net.W[0, :, 0], problem.y[0] @ problem.X[0]
    v = v / np.linalg.norm(v)
    across = pull - (pull @ v) * v
    return np.stack([v, across / np.linalg.norm(across)]), pull


def _directions(W: np.ndarray, plane: np.ndarray) -> np.ndarray:
    return W / np.linalg.norm(W, axis=2, keepdims=True) @ plane.T


def _arrow(to: Any, name: str, color: str) -> dict[str, Any]:
    return panel_trace(1, [0, to[0]], [0, to[1]], name, line={"color": color, "width": 3})


def _drawn(values: np.ndarray) -> np.ndarray:
    return np.maximum(values, LEAST)


def _panels(titles: tuple[str, str, str], units: tuple[str, ...], first: bool = False) -> go.Figure:
    fig = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.16)
    for col, unit in zip(range(1 if first else 2, 4), units, strict=True):
        fig.update_xaxes(title="iteration + 1", dtick=2, col=col, **POWERS)
        fig.update_yaxes(title=unit, col=col, **({} if first and col == 1 else POWERS))
    return fig


SNAPSHOTS = 120  # of the weights on the way
TAIL = 1e-4  # error of the slow end


class OneNetwork(Params):
    """What the sliders move; everything else as in the paper."""

    scale: float = param(
        4.0**-5, "initial scale of weights", symbol="λ", ge=SMALLEST, le=1e4, slider=(4.0**-9, 16, 4), geometric=True
    )
    m: int = param(25, "hidden neurons", ge=1, le=2000, slider=(5, 100, 5))
    d: int = param(8, "inputs, and points around each teacher", ge=2, le=64, slider=(2, 16, 1))
    spread: float = param(
        1.0, "points' variance over the paper's", symbol="ρ/ρ₀", ge=0.01, le=100, slider=(0.1, 2, 0.1)
    )
    data: Literal["centred", "uncentred"] = param("uncentred", "whether the points' centre is the teacher")
    teachers: Teachers = TEACHERS
    steps: int = param(30_000, "iterations at most", ge=100, le=LARGEST, slider=(10_000, 200_000, 10_000))

    def point(self) -> SingleNeuron:
        """As a point of the paper's experiments."""
        return SingleNeuron(**self.model_dump(), tail=TAIL)


def draw(params: OneNetwork, draws: Draws) -> Problem:
    """As in the experiments."""
    return sample(params.point(), draws)


def solve(params: OneNetwork, problem: Problem, draws: Draws) -> Solution:
    """Train; the trace holds, trial by trial, the weights and the logged measures at growing intervals."""
    log = np.unique(np.geomspace(1, params.steps + 1, SNAPSHOTS).astype(np.int64)) - 1
    return descent.solve(params.point(), problem, draws, log)


def score(params: OneNetwork, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """What the network is like at its last snapshot."""
    measured = {"max_angle": "positive_max_angle"} | {name: name for name in ("nuclear", "energy", "target_angle")}
    last = {name: np.array([end[of][-1] for end in solution.trace["measures"]]) for name, of in measured.items()}
    return last | {"loss": solution.stats["loss"], "iterations": solution.stats["steps"]}


INSTANCE = Experiment(
    name="single_neuron.instance",
    question="How do the neurons of one network move?",
    params=OneNetwork,
    sample=draw,
    solve=solve,
    score=score,
    columns={
        "max_angle": Column("largest angle between positive neurons", "measure"),
        **{name: COLUMNS[name] for name in ("nuclear", "energy", "target_angle", "loss", "iterations")},
    },
    presets={"tiny": Grid({"m": [5, 8]}, trials=2, fixed={"d": 3, "steps": 2000})},
    citation=CITATION,
)
