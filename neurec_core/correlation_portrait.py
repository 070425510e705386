"""Which student neuron stands for which teacher neuron, drawn: correlations layer by layer, winners and losers."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .experiment import Problem, Solution
from .look import COLORS, SCALE, panel_trace, player, stacked, style
from .params import Params

LAYERS = ("lowest layer", "second layer", "third layer", "fourth layer")


def _ordered(last: np.ndarray) -> np.ndarray:
    """Students (k,) in an order in which each teacher neuron's winner comes first, in the teacher's order."""
    winners = last.argmax(axis=1)
    taken = dict.fromkeys(winners.tolist())  # a student may win twice
    others = [j for j in np.argsort(-last.max(axis=0), kind="stable").tolist() if j not in taken]
    return np.array([*taken, *others])


def _panels(layers: int, curves: bool) -> go.Figure:
    if not curves:
        fig = make_subplots(1, layers, subplot_titles=LAYERS[:layers], horizontal_spacing=0.06)
    else:
        fig = make_subplots(
            2, layers, subplot_titles=(*LAYERS[:layers], "largest correlations", "training loss"), vertical_spacing=0.2,
            row_heights=[0.55, 0.45], horizontal_spacing=0.07,
            specs=[[{}] * layers, [{"colspan": layers // 2}, *[None] * (layers // 2 - 1), {"colspan": layers // 2},
                                   *[None] * (layers // 2 - 1)]],
        )  # fmt: skip
        for k, span in enumerate(([0.0, 0.42], [0.58, 1.0])):  # room for the second axis' words
            fig.layout[f"xaxis{layers + 1 + k}"].domain = span
            fig.layout.annotations[layers + k].x = sum(span) / 2
    fig.update_xaxes(title="student neuron", row=1)
    fig.update_yaxes(autorange="reversed", row=1)
    fig.update_yaxes(title="teacher neuron", row=1, col=1)
    bar = {"title": {"text": "correlation"}, "thickness": 14, "outlinewidth": 0}
    fig.update_layout(coloraxis={"colorscale": SCALE, "cmin": 0, "cmax": 1, "colorbar": bar})
    return fig


def _maps(found: list[np.ndarray], orders: list[np.ndarray]) -> list[dict[str, Any]]:
    """A heat map a layer; numbers to 3 digits, since a page carries many."""
    hover = "teacher %{y}, student %{x}: %{z:.2f}<extra></extra>"
    return [
        {
            "type": "heatmap", "z": np.round(np.maximum(C[0][:, order], 0), 3).tolist(), "coloraxis": "coloraxis",
            "hovertemplate": hover, "xaxis": f"x{i or ''}", "yaxis": f"y{i or ''}",
        }
        for i, (C, order) in zip([0, *range(2, len(found) + 1)], zip(found, orders, strict=True), strict=True)
    ]  # fmt: skip


def live(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """Correlations as they stand, and how they came to it: the explorer's view of `multilayer_dynamics`."""
    trace = solution.trace
    found, at = trace["correlations"][-1], trace["at"]
    orders = [_ordered(C[0]) for C in found]
    fig = _panels(len(found), curves=True)
    data = _maps(found, orders)
    for i in range(len(found)):
        best = trace["best"][0, :, i]
        data.append(panel_trace(len(found) + 1, at, best, LAYERS[i], line={"color": COLORS[i]}))
    loss = trace["loss"][0]
    data.append(panel_trace(len(found) + 2, at, loss, "loss", line={"color": "black"}, showlegend=False))
    fig.add_traces(data)
    fig.update_yaxes(range=[0, 1.02], row=2, col=1)
    fig.update_xaxes(title="step", row=2)
    fig.update_yaxes(type="log", title="mean squared error", exponentformat="power", row=2, col=len(found) // 2 + 1)
    words = f"after {at[-1]} steps: "
    if solution.status[0].usable:
        words += (
            f"correlations {scores['lowest'][0]:.3f} in the lowest layer, {scores['highest'][0]:.3f} in the highest"
        )
    else:
        words += solution.status[0]
    narrow = stacked(fig, height=160 + 300 * (len(found) + 2))
    return style(fig, f"A student in training<br><sup>{words}</sup>", f"A student in training: {words}", 720, narrow)


def training(solution: Solution) -> go.Figure:
    """Correlations over training, with a slider; students stand in the order of the end."""
    trace = solution.trace
    orders = [_ordered(C[0]) for C in trace["correlations"][-1]]
    fig = _panels(len(orders), curves=False)
    fig.add_traces(_maps(trace["correlations"][-1], orders))
    fig.frames = [
        go.Frame(data=_maps(found, orders), name=f"{trace['at'][i]}")
        for i, found in zip(trace["kept"], trace["correlations"], strict=True)
    ]
    words = f"correlations of student with teacher neurons over {trace['at'][-1]} steps of training, layer by layer"
    style(fig, "", words, 460, stacked(fig, height=160 + 300 * len(orders)))
    player(fig, "Who stands for whom", words)
    return fig.update_layout(sliders=[{**fig.layout.sliders[0].to_plotly_json(), "active": len(fig.frames) - 1}])
