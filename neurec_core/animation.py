"""Neurons that move in the plane while a network is trained, with its loss and, on a line, its function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .style import COLORS, panel_trace, player, stacked, style

SIGNS = {1: ("positive output weight", COLORS[1]), -1: ("negative output weight", COLORS[0])}
SMALLEST = 1e-26  # of what is drawn on a logarithmic axis


class Curve(NamedTuple):
    """A network on a line, at every snapshot: inputs x (k,), values f (L, k), and the points it is trained on."""

    x: np.ndarray
    f: np.ndarray
    points: np.ndarray
    labels: np.ndarray


def neurons(
    at: np.ndarray,
    losses: np.ndarray,
    positions: np.ndarray,
    signs: np.ndarray,
    *,
    title: str,
    axes: tuple[str, str],
    curve: Curve | None = None,
    still: Sequence[dict[str, Any]] = (),
    ranges: tuple[Sequence[float], Sequence[float]] | None = None,
    logarithmic: bool = False,
    frames: int | np.ndarray = 60,
) -> go.Figure:
    """Animate a training: neurons in the plane, coloured by the sign of their output weight, beside the loss.

    Parameters
    ----------
    at, losses : (L,) steps and losses of the snapshots
    positions : (L, m, 2), where each neuron is
    signs : (m,), of the output weights
    title : may hold a line of small print after ``<br><sup>``
    axes : what the two coordinates are
    curve : the network's function, in a panel of its own
    still : further traces of the plane (see `style.panel_trace`; the plane is panel 1), behind the neurons
    ranges : of the two coordinates; those of all positions if omitted
    logarithmic : whether steps are drawn on a logarithmic axis
    frames : snapshots shown at most, or the steps that are shown
    """
    plane, loss = 1, 3 if curve else 2
    steps = at + 1 if logarithmic else at
    data = [
        *still,
        panel_trace(loss, steps, np.maximum(losses, SMALLEST), "loss", line={"color": "gray"}, showlegend=False),
    ]
    if curve:
        data.append(training_points(curve))

    def moving(i: int) -> list[dict[str, Any]]:
        now = [cloud(plane, positions[i][signs == sign], sign) for sign in SIGNS]
        mark = {"size": 11, "color": COLORS[2]}
        here = [max(float(losses[i]), SMALLEST)]
        now.append(panel_trace(loss, steps[i : i + 1], here, "now", mode="markers", marker=mark, showlegend=False))
        if curve:
            now.append(panel_trace(2, curve.x, curve.f[i], "network", line={"color": COLORS[2]}))
        return now

    shown = chosen(at, frames).tolist()
    traces = list(range(len(data), len(data) + len(moving(0))))
    pictures = [go.Frame(name=str(at[i]), data=moving(i), traces=traces) for i in shown]
    fig = go.Figure({"data": [*data, *moving(0)], "layout": layout_of(axes, curve is not None), "frames": pictures})
    if logarithmic:
        fig.layout[f"xaxis{loss}"].update(type="log", title="step + 1", dtick=1, exponentformat="power")
    for name, ends in zip("xy", ranges or spans(positions), strict=True):
        fig.layout[f"{name}axis"].range = ends
    if curve:
        fig.layout.yaxis2.range = span(np.append(curve.f, curve.labels))
    return player(fig, title, "Neurons of a network in training, its loss, and what it computes")


def chosen(at: np.ndarray, frames: int | np.ndarray) -> np.ndarray:
    """Numbers of the snapshots at steps `at` that make a frame: that many at most, or those of certain steps."""
    apart = np.unique(at, return_index=True)[1]
    if isinstance(frames, int):
        return apart[np.unique(np.linspace(0, len(apart) - 1, frames).astype(int))]
    return apart[np.isin(at[apart], frames)]


def cloud(panel: int, where: np.ndarray, sign: int) -> dict[str, Any]:
    """Neurons at ``where (m, 2)`` in a panel, coloured by the sign of their output weight."""
    name, color = SIGNS[sign]
    marker = {"size": 8, "color": color, "opacity": 0.7, "symbol": "circle" if sign > 0 else "diamond"}
    return panel_trace(panel, where[:, 0], where[:, 1], name, mode="markers", marker=marker)


def training_points(curve: Curve) -> dict[str, Any]:
    """The points that a curve was trained on, in panel 2."""
    marker = {"size": 9, "color": "black"}
    return panel_trace(2, curve.points, curve.labels, "training points", mode="markers", marker=marker)


def span(values: np.ndarray) -> list[float]:
    """The range of an axis that shows all values, with a margin."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    more = 0.08 * (high - low) or 1.0
    return [low - more, high + more]


def spans(positions: np.ndarray) -> tuple[list[float], list[float]]:
    """The ranges of both axes for ``positions (..., 2)``."""
    return span(positions[..., 0]), span(positions[..., 1])


@lru_cache(maxsize=4)
def layout_of(axes: tuple[str, str], curve: bool) -> dict[str, Any]:
    """The layout of two panels, or of three with the network's function between them."""
    titles = ["neurons", *(["outputs"] if curve else []), "loss"]
    fig = make_subplots(1, len(titles), subplot_titles=titles, horizontal_spacing=0.16)
    fig.update_xaxes(title=axes[0], col=1)
    fig.update_yaxes(title=axes[1], col=1)
    if curve:
        fig.update_xaxes(title="input x", col=2)
        fig.update_yaxes(title="output h(x)", col=2)
    fig.update_xaxes(title="step", col=len(titles))
    fig.update_yaxes(title="mean squared error", rangemode="tozero", col=len(titles))
    narrow = stacked(fig, height=380 * len(titles))
    return style(fig, "", alt="", height=500, narrow=narrow).to_plotly_json()["layout"]
