"""Neurons that move in the plane while a network is trained, with its loss and, on a line, its function."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from .experiment import Problem, Solution
from .look import COLORS, panel_trace, player, stacked, style
from .params import Params

SIGNS = {1: ("positive output weight", COLORS[1]), -1: ("negative output weight", COLORS[0])}
GRAY = {"color": "gray", "dash": "dash", "width": 1}
SMALLEST = 1e-26  # of what is drawn on a logarithmic axis
PLACES = 161  # of a function
THIN = 3  # looks per step of a neuron's way at rest
MARGIN = 1.0  # of a line, beyond its points


class Curve(NamedTuple):
    """A network on a line, at every look: places x (k,), values f (L, k), and the points it is trained on."""

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
    frames: int = 60,
) -> go.Figure:
    """Animate a training: neurons in the plane, coloured by the sign of their output weight, beside the loss.

    Parameters
    ----------
    at, losses : (L,) steps and losses of the looks
    positions : (L, m, 2), where each neuron is
    signs : (m,), of the output weights
    title : may hold a line of small print after ``<br><sup>``
    axes : what the two coordinates are
    curve : the network's function, in a panel of its own
    still : further traces of the plane (see `look.panel_trace`; the plane is panel 1), behind the neurons
    ranges : of the two coordinates; those of all positions if omitted
    logarithmic : whether steps are drawn on a logarithmic axis
    frames : looks shown at most
    """
    plane, loss = 1, 3 if curve else 2
    steps = at + 1 if logarithmic else at
    data = [
        *still,
        panel_trace(loss, steps, np.maximum(losses, SMALLEST), "loss", line={"color": "gray"}, showlegend=False),
    ]
    if curve:
        data.append(_points(curve))

    def moving(i: int) -> list[dict[str, Any]]:
        now = [_cloud(plane, positions[i][signs == sign], sign) for sign in SIGNS]
        mark = {"size": 11, "color": COLORS[2]}
        here = [max(float(losses[i]), SMALLEST)]
        now.append(panel_trace(loss, steps[i : i + 1], here, "now", "markers", marker=mark, showlegend=False))
        if curve:
            now.append(panel_trace(2, curve.x, curve.f[i], "network", line={"color": COLORS[2]}))
        return now

    apart = np.unique(at, return_index=True)[1]
    shown = apart[np.unique(np.linspace(0, len(apart) - 1, frames).astype(int))].tolist()
    traces = list(range(len(data), len(data) + len(moving(0))))
    pictures = [go.Frame(name=str(at[i]), data=moving(i), traces=traces) for i in shown]
    fig = go.Figure({"data": [*data, *moving(0)], "layout": _layout(axes, curve is not None), "frames": pictures})
    if logarithmic:
        fig.layout[f"xaxis{loss}"].update(type="log", title="step + 1", dtick=1, exponentformat="power")
    for name, span in zip("xy", ranges or _spans(positions), strict=True):
        fig.layout[f"{name}axis"].range = span
    if curve:
        fig.layout.yaxis2.range = _span(np.append(curve.f, curve.labels))
    return player(fig, title, "Neurons of a network in training, its loss, and what it computes")


def _cloud(panel: int, where: np.ndarray, sign: int) -> dict[str, Any]:
    name, color = SIGNS[sign]
    marker = {"size": 8, "color": color, "opacity": 0.7, "symbol": "circle" if sign > 0 else "diamond"}
    return panel_trace(panel, where[:, 0], where[:, 1], name, "markers", marker=marker)


def _points(curve: Curve) -> dict[str, Any]:
    marker = {"size": 9, "color": "black"}
    return panel_trace(2, curve.points, curve.labels, "training points", "markers", marker=marker)


def _span(values: np.ndarray) -> list[float]:
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    more = 0.08 * (high - low) or 1.0
    return [low - more, high + more]


def _spans(positions: np.ndarray) -> tuple[list[float], list[float]]:
    return _span(positions[..., 0]), _span(positions[..., 1])


@lru_cache(maxsize=4)
def _layout(axes: tuple[str, str], curve: bool) -> dict[str, Any]:
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
    return style(fig, "", "", height=500, narrow=narrow).to_plotly_json()["layout"]


# ------------------------------------------------------------------------------- of orthogonal_inputs.instance


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
    return Plane(np.stack([places, a], axis=-1), ("kink -b/w", "output weight a"), (reach, _span(a)))


def projected(W: np.ndarray, onto: np.ndarray | None = None) -> Plane:
    """Neurons by their components along unit vectors ``onto (2, d)``, the last W's first singular ones if omitted."""
    named = "a given direction" if onto is not None else "a singular vector"
    if onto is None:
        onto = np.linalg.svd(W[-1], full_matrices=False)[2][:2]
    positions = W @ onto.T
    return Plane(positions, (f"along {named}", f"along {named.replace('a ', 'another ', 1)}"), _spans(positions))


def training(problem: Problem, solution: Solution, trial: int = 0, frames: int = 60) -> go.Figure:
    """One training, animated.

    Parameters
    ----------
    problem, solution : of `orthogonal_inputs.instance`
    trial : which network
    frames : looks shown at most
    """
    X, y, trace = problem.X[trial], problem.y[trial], {name: part[trial] for name, part in solution.trace.items()}
    plane, curve = _seen(X, y, trace)
    words = f"{len(y)} points, {trace['a'].shape[1]} neurons; dashed: the losses of the saddles"
    ways = [panel_trace(3 if curve else 2, trace["at"][[0, -1]], [level] * 2, "saddle", line=GRAY, showlegend=False)
            for level in trace["saddles"]]  # fmt: skip
    return neurons(
        trace["at"], trace["loss"], plane.positions, np.sign(trace["a"][0]),
        title=f"Gradient descent<br><sup>{words}</sup>", axes=plane.axes, curve=curve, still=ways, ranges=plane.ranges,
        frames=frames,
    )  # fmt: skip


def _seen(X: np.ndarray, y: np.ndarray, trace: dict[str, np.ndarray]) -> tuple[Plane, Curve | None]:
    W, a = trace["W"], trace["a"]
    if X.shape[1] != 2 or not (X[:, 1] == 1).all():
        return projected(W), None
    x = np.linspace(X[:, 0].min() - MARGIN, X[:, 0].max() + MARGIN, PLACES)
    hidden = np.maximum(W[..., :1] * x + W[..., 1:], 0)
    return kinks(W, a, X[:, 0]), Curve(x, np.einsum("lm,lmk->lk", a, hidden), X[:, 0], y)


def paths(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """One training, at rest: the ways of its neurons, its function or outputs at the end, and its loss.

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
    data = [_ways(where[::THIN, signs == sign], sign) for sign in SIGNS]
    data += [_cloud(1, where[-1][signs == sign], sign) for sign in SIGNS]
    data += [
        _points(curve),
        panel_trace(2, curve.x, curve.f[-1], "network", "lines" if len(curve.x) == PLACES else "markers",
                    line={"color": COLORS[2]}, marker={"color": COLORS[2]}),
        panel_trace(3, steps, np.maximum(trace["loss"], SMALLEST), "loss", line={"color": "black"}, showlegend=False),
    ]  # fmt: skip
    data += [
        panel_trace(3, steps[[0, -1]], [level] * 2, "saddle", line=GRAY, showlegend=False) for level in trace["saddles"]
    ]
    state = f"loss {scores['loss'][0]:.1e} after {scores['taken'][0]:.0f} steps; |θ|²/2 = {scores['norm'][0]:.4f}"
    words = f"{state}, least for orthogonal inputs {scores['minimum'][0]:.4f}"
    layout = _layout(plane.axes, True)
    title = {**layout["title"], "text": f"Neurons, outputs and loss<br><sup>{words}</sup>"}
    layout |= {"title": title, "meta": {**layout["meta"], "alt": f"A training: {words}"}}
    on_line = len(curve.x) == PLACES
    layout["xaxis2"] = {**layout["xaxis2"], "title": {"text": "input x" if on_line else "label"}}
    for name, span in zip(("xaxis", "yaxis"), plane.ranges, strict=True):
        layout[name] = {**layout[name], "range": span}
    return go.Figure({"data": data, "layout": layout})


def _ways(where: np.ndarray, sign: int) -> dict[str, Any]:
    """All ways as one line with gaps."""
    gap = np.full((1, *where.shape[1:]), np.nan)
    along = np.concatenate([where, gap]).swapaxes(0, 1).reshape(-1, 2)
    line = {"color": SIGNS[sign][1], "width": 1}
    return panel_trace(1, along[:, 0], along[:, 1], "way", line=line, opacity=0.5, showlegend=False)
