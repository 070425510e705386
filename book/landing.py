"""The moving figure of the front page: a half-space for every point, and when it stops to exist."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from neurec_core.draws import Draws
from neurec_papers.convex_recovery.theory import all_ones_probability
from smallnets.geometry.patterns import all_ones

POINTS = 8  # the last frame shows n = 4d in the plane
CLOSES_AT = 6  # which point is to close the wedge: late enough to watch it shrink
DIMENSIONS = {2: "#d99a2b", 10: "#cf6a5d", 50: "#9a67b5", 200: "#4f86c6"}
MOVING, RESTING, ENDING = 10, 4, 16  # frames for a point to arrive, to be looked at, and at the end
REACH = 2.5  # half the width of the left panel
GREY = "rgba(128,140,150,0.55)"
AMBER, AMBER_FILL = "#d99a2b", "rgba(217,154,43,0.30)"


class Wedge(NamedTuple):
    """Directions between two angles, in radians; empty where ``low >= high``."""

    low: float
    high: float


def choose_points(seed: int = 0, trials: int = 200) -> np.ndarray:
    """Points of the first draw whose wedge closes at the sixth point, ``(POINTS, 2)``."""
    X = Draws(seed, range(trials)).normal("landing points", POINTS, 2)
    _, before = all_ones(X[:, : CLOSES_AT - 1])
    _, after = all_ones(X[:, :CLOSES_AT])
    inside = np.abs(X).max(axis=(1, 2)) < REACH - 0.2
    return X[np.flatnonzero(before & ~after & inside)[0]]


def wedges(X: np.ndarray) -> list[Wedge]:
    """The directions h with x_i^T h >= 0 for the first 1, 2, ... points in the plane."""
    angles = np.arctan2(X[:, 1], X[:, 0])
    found = [Wedge(angles[0] - np.pi / 2, angles[0] + np.pi / 2)]
    for angle in angles[1:]:
        found.append(cut(found[-1], angle))
    return found


def cut(wedge: Wedge, angle: float) -> Wedge:
    """What one more point leaves of a wedge; nothing is left as an edge of the old wedge."""
    middle = (wedge.low + wedge.high) / 2
    near = middle + (angle - middle + np.pi) % (2 * np.pi) - np.pi
    low, high = max(wedge.low, near - np.pi / 2), min(wedge.high, near + np.pi / 2)
    if low < high:
        return Wedge(low, high)
    edge = wedge.high if near > middle else wedge.low
    return Wedge(edge, edge)


def sector(wedge: Wedge) -> dict[str, list[float | None]]:
    """The outline of a wedge; nothing where it is empty."""
    if wedge.low >= wedge.high:
        return {"x": [None], "y": [None]}
    arc = np.linspace(wedge.low, wedge.high, 24)
    return {
        "x": [0.0, *(REACH * 0.96 * np.cos(arc)).round(3).tolist(), 0.0],
        "y": [0.0, *(REACH * 0.96 * np.sin(arc)).round(3).tolist(), 0.0],
    }


def boundaries(X: np.ndarray) -> dict[str, list[float | None]]:
    """The line x_i^T h = 0 of each point, with gaps between the lines."""
    normal = np.stack([-X[:, 1], X[:, 0]], axis=1) / np.linalg.norm(X, axis=1, keepdims=True)
    ends = (1.44 * REACH * np.stack([-normal, normal], axis=1)).round(3)
    return {axis: [value for line in ends for value in (*line[:, k].tolist(), None)] for k, axis in enumerate("xy")}


def curve(d: int) -> tuple[np.ndarray, np.ndarray]:
    """n/d and the probability that n points in d dimensions lie in one half-space."""
    n = np.unique(np.linspace(max(1, d // 2), 4 * d, min(4 * d, 70)).round().astype(int))
    return n / d, all_ones_probability(n, d)


def moving_traces(X: np.ndarray, count: int, wedge: Wedge, arrival: float) -> list[dict[str, Any]]:
    """What changes between frames: wedge, lines, points, words, and the marks on the curves."""
    ratio = max(1, count - 1 + arrival) / 2
    shown = X[:count].round(3)
    sizes = [11] * (count - 1) + [round(11 * arrival, 1)]
    heights = [round(float(np.interp(ratio, *curve(d))), 4) for d in DIMENSIONS]
    open_ = wedge.low < wedge.high
    words = f"n = {count}: {'a' if open_ else 'no'} direction is active on all"
    return [
        sector(wedge),
        boundaries(shown),
        {"x": shown[:, 0].tolist(), "y": shown[:, 1].tolist(), "marker": {"size": sizes}},
        {"text": [words]},
        {"x": [ratio] * len(DIMENSIONS), "y": heights},
    ]


def story(X: np.ndarray) -> list[go.Frame]:
    """Every frame, from one point to the last."""
    shapes = wedges(X)
    start = Wedge(shapes[0].low, shapes[0].high)
    frames = []
    for count, (old, new) in enumerate(pairwise([start, *shapes]), start=1):
        hold = ENDING if count == len(X) else RESTING
        for step in range(1, MOVING + hold + 1):
            t = min(1.0, step / MOVING)
            t = t * t * (3 - 2 * t)  # starts and stops softly
            wedge = Wedge(*(a + t * (b - a) for a, b in zip(old, new, strict=True)))
            frames.append(go.Frame(name=str(count), data=moving_traces(X, count, wedge, t), traces=[0, 1, 2, 3, 4]))
    return frames


def panels() -> list[go.Scatter]:
    """The traces in their order: five that move, then the still curves."""
    still = {"hoverinfo": "skip", "showlegend": False}
    right = {"xaxis": "x2", "yaxis": "y2"}
    moving = [
        go.Scatter(fill="toself", fillcolor=AMBER_FILL, line={"color": AMBER, "width": 1.5}, mode="lines", **still),
        go.Scatter(mode="lines", line={"color": GREY, "width": 1}, **still),
        go.Scatter(mode="markers", marker={"color": DIMENSIONS[200]}, **still),
        go.Scatter(x=[-REACH], y=[REACH], mode="text", textposition="top right", cliponaxis=False, **still),
        go.Scatter(mode="markers", marker={"color": list(DIMENSIONS.values()), "size": 12}, **still, **right),
    ]
    curves = []
    for d, colour in DIMENSIONS.items():
        x, y = (values.round(5).tolist() for values in curve(d))
        line = {"color": colour, "width": 2.5}
        curves.append(go.Scatter(x=x, y=y, name=f"d = {d}", mode="lines", line=line, **right))
    return moving + curves


def layout() -> dict[str, Any]:
    """Two panels side by side; one above the other where the page is narrow."""
    plane = {"range": [-REACH, REACH], "tickvals": [-2, 0, 2], "zeroline": True, "fixedrange": True}
    guide = {"type": "line", "xref": "x2", "yref": "y2", "line": {"color": GREY, "dash": "dot", "width": 1.5}}
    return {
        "height": 390,
        "margin": {"l": 50, "r": 10, "t": 40, "b": 52},
        "xaxis": {**plane, "domain": [0, 0.45], "title": "first coordinate"},
        "yaxis": {**plane, "title": "second coordinate", "scaleanchor": "x", "constrain": "domain"},
        "xaxis2": {"domain": [0.56, 1], "range": [0, 4.05], "title": "points per dimension, n / d", "anchor": "y2"},
        "yaxis2": {"range": [-0.03, 1.05], "title": "probability", "anchor": "x2", "tickformat": ".1f"},
        "legend": {"x": 0.99, "y": 0.97, "xanchor": "right", "yanchor": "top", "orientation": "v"},
        "shapes": [{**guide, "x0": 2, "x1": 2, "y0": 0, "y1": 1}, {**guide, "x0": 0, "x1": 4, "y0": 0.5, "y1": 0.5}],
        "annotations": [
            {
                "text": "one half-space holds all n points",
                "showarrow": False,
                "font": {"size": 13},
                "xref": "x2 domain",
                "x": 0,
                "xanchor": "left",
                "yref": "y2 domain",
                "y": 1.01,
                "yanchor": "bottom",
            }
        ],
        "meta": {"alt": ALT, "autoplay": True, "frame_ms": 80, "frame_label": "points", "narrow": NARROW},
    }


ALT = (
    "Left: points arrive one by one in the plane; a shaded wedge of directions that are active on every "
    "point shrinks with each and closes at the sixth. Right: the probability that such a direction exists, "
    "against points per dimension; it passes one half exactly at two points per dimension, and falls more "
    "steeply in 10, 50 and 200 dimensions."
)
NARROW = {
    "height": 760,
    "xaxis": {"domain": [0, 1]},
    "yaxis": {"domain": [0.56, 1]},
    "xaxis2": {"domain": [0, 1]},
    "yaxis2": {"domain": [0, 0.36]},
    "legend": {"y": 0.35},
}


def moving_figure() -> go.Figure:
    """The figure of the front page, with its frames.

    **Source**: the closed form is wendel1962problem; the points are one draw of standard normals.
    """
    frames = story(choose_points())
    data = [trace.update(change) for trace, change in zip(panels(), frames[0].data, strict=False)]
    return go.Figure([*data, *panels()[len(data) :]], layout(), frames)
