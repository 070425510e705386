"""Networks that learn a neuron, as figures: directions that gather into a bundle, and all that is logged on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.animation import neurons
from neurec_core.experiment import Problem, Solution
from neurec_core.params import Params
from neurec_core.style import COLORS, panel_trace, stacked, style

POWERS: dict[str, Any] = {"type": "log", "exponentformat": "power"}
TINY = 1e-5  # coordinates are drawn as arsinh of themselves over this
SMALLEST = 1e-16  # of what is drawn on a logarithmic axis
AXES = ("along the teacher", "across, along γ")


def training(problem: Problem, solution: Solution, frames: int = 60) -> go.Figure:
    """The first trial, animated: directions of its neurons in the plane of the teacher and γ, and the loss.

    Parameters
    ----------
    problem, solution : of `single_neuron.instance`
    frames : looks shown at most
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
    """The first trial at rest: directions on the way, loss, and angles.

    Parameters
    ----------
    params, problem, solution, scores : of `single_neuron.instance`
    """
    trace = _first(solution)
    logged, steps = trace["measures"], trace["at"] + 1
    plane, pull = _plane(problem)
    where, a = _directions(trace["W"], plane), trace["a"][0]
    data = [_arrow([1, 0], "teacher", COLORS[2]), _arrow(plane @ pull / np.linalg.norm(pull), "γ", COLORS[4])]
    for group, name, color in zip(trace["groups"], ("positive", "negative"), (COLORS[1], COLORS[0]), strict=True):
        ways = np.concatenate([where[::4, group], np.full((1, len(group), 2), np.nan)]).swapaxes(0, 1).reshape(-1, 2)
        data += [
            panel_trace(1, ways[:, 0], ways[:, 1], "way", line={"color": color, "width": 1}, opacity=0.4,
                        showlegend=False),
            panel_trace(1, where[-1, group, 0], where[-1, group, 1], f"{name} neurons", "markers",
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
    return style(fig, f"One training<br><sup>{words}</sup>", f"A training: {words}", 500, stacked(fig, height=1140))


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
        fig.add_trace(panel_trace(3, steps, _drawn(logged[name]), label, line={"color": color, "dash": _dash(name)}))
    fig.update_yaxes(type="linear", exponentformat="none", col=2)
    return style(fig, title, f"coordinates, sizes, loss and angles against iterations; {title}", 500,
                 stacked(fig, height=1140))  # fmt: skip


def _dash(name: str) -> str:
    return "solid" if name == "loss" else "dot"


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
    return np.maximum(values, SMALLEST)


def _panels(titles: tuple[str, str, str], units: tuple[str, ...], first: bool = False) -> go.Figure:
    fig = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.16)
    for col, unit in zip(range(1 if first else 2, 4), units, strict=True):
        fig.update_xaxes(title="iteration + 1", dtick=2, col=col, **POWERS)
        fig.update_yaxes(title=unit, col=col, **({} if first and col == 1 else POWERS))
    return fig
