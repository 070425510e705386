"""Networks that are to recover a target, as figures: their errors on the way, and the function they end with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.experiment import Problem, Solution
from neurec_core.params import Params
from neurec_core.style import COLORS, SCALE, stacked, style

SMALLEST = 1e-26  # of what is drawn on a logarithmic axis
POWERS = {"type": "log", "exponentformat": "power"}


def learning(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """One training: errors against steps, and network and target along a line.

    Parameters
    ----------
    params, problem, solution, scores : of `local_linear_recovery.instance`, its first trial drawn
    """
    trace, n, network = solution.trace, problem.y.shape[1], params.network()  # type: ignore[attr-defined]
    fig = _panels(("errors on the way", "network and target along a line"))
    for name, label, color in (("test", "test error", COLORS[1]), ("train", "training error", COLORS[0])):
        fig.add_trace(_way(trace, name, label, {"color": color}), 1, 1)
    fig.add_scatter(
        x=trace["line"][0], y=trace["target"][0], name="target", line={"color": COLORS[2], "dash": "dash"}, row=1, col=2
    )
    fig.add_scatter(
        x=trace["line"][0], y=trace["f"][0], name="network", line={"color": COLORS[1]}, row=1, col=2
    )  # fmt: skip
    fig.update_xaxes(title="position on the line", col=2)
    fig.update_yaxes(title="output", col=2)
    test = scores["test"][0]
    end = f"test error {test:.1e}: " + ("recovered" if scores["recovered"][0] else "not recovered")
    words = f"{network.size} parameters, {n} training points<br><sup>{end} after {scores['taken'][0]:.0f} steps</sup>"
    return _styled(fig, words, f"errors of a network in training, and its outputs beside the target's; {end}")


def losses(runs: Mapping[str, Solution], title: str) -> go.Figure:
    """Errors of several trainings against steps, in two panels.

    Parameters
    ----------
    runs : solutions of `local_linear_recovery.instance` by name, the first trial of each drawn
    """
    fig = _panels(("training error", "test error"))
    for i, (name, solution) in enumerate(runs.items()):
        for column, error in enumerate(("train", "test"), start=1):
            line = {"color": COLORS[i % len(COLORS)]}
            way = _way(solution.trace, error, name, line).update(showlegend=column == 1, legendgroup=name)
            fig.add_trace(way, 1, column)
    fig.update_xaxes(title="steps + 1", dtick=1, col=2, **POWERS)
    fig.update_yaxes(col=2, **POWERS)
    return _styled(fig, title, f"training and test errors against steps; {title}")


def condensation(cosines: Mapping[str, np.ndarray], title: str) -> go.Figure:
    """How parallel the neurons of some networks are: a |cosine| for each pair, neighbours being alike.

    Parameters
    ----------
    cosines : (m, m) arrays by name
    """
    fig = make_subplots(1, len(cosines), subplot_titles=list(cosines))
    for column, similarity in enumerate(cosines.values(), start=1):
        # The second eigenvector of a similarity separates its blocks.
        order = np.argsort(np.linalg.eigh(similarity)[1][:, -2])
        values = similarity[np.ix_(order, order)].astype(np.float32)
        fig.add_trace(go.Heatmap(z=values, coloraxis="coloraxis", hovertemplate="%{z:.2f}<extra></extra>"), 1, column)
    bar = {"title": {"text": "|cosine|"}, "thickness": 14, "outlinewidth": 0}
    fig.update_coloraxes(colorscale=SCALE, cmin=0, cmax=1, colorbar=bar)
    fig.update_xaxes(title="neuron")
    fig.update_yaxes(title="neuron", col=1)
    return _styled(fig, title, f"absolute cosines between the weights of each pair of neurons; {title}")


def _panels(titles: tuple[str, str]) -> go.Figure:
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.12)
    fig.update_xaxes(title="steps + 1", dtick=1, col=1, **POWERS)
    fig.update_yaxes(title="mean squared error", col=1, **POWERS)
    return fig


def _way(trace: Mapping[str, np.ndarray], error: str, name: str, line: dict[str, Any]) -> go.Scatter:
    errors = np.maximum(trace[error][0], SMALLEST)
    return go.Scatter(x=trace["at"][0] + 1, y=errors, name=name, line=line, mode="lines")


def _styled(fig: go.Figure, title: str, alt: str) -> go.Figure:
    return style(fig, title, alt, narrow=stacked(fig, height=800))
