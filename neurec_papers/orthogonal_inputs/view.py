"""Neurons of `orthogonal_inputs.instance` that move in the plane, their network's function and its loss."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go

from neurec_core.animation import SIGNS, SMALLEST, Curve, cloud, layout_of, neurons, span, spans, training_points
from neurec_core.experiment import Problem, Solution
from neurec_core.params import Params
from neurec_core.style import COLORS, panel_trace

GRAY = {"color": "gray", "dash": "dash", "width": 1}
PLACES = 161  # of a function
THIN = 3  # looks per step of a neuron's way at rest
MARGIN = 1.0  # of a line, beyond its points


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


def projected(W: np.ndarray, onto: np.ndarray | None = None) -> Plane:
    """Neurons by their components along unit vectors ``onto (2, d)``, the last W's first singular ones if omitted."""
    named = "a given direction" if onto is not None else "a singular vector"
    if onto is None:
        onto = np.linalg.svd(W[-1], full_matrices=False)[2][:2]
    positions = W @ onto.T
    return Plane(positions, (f"along {named}", f"along {named.replace('a ', 'another ', 1)}"), spans(positions))


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
    data += [cloud(1, where[-1][signs == sign], sign) for sign in SIGNS]
    data += [
        training_points(curve),
        panel_trace(2, curve.x, curve.f[-1], "network", "lines" if len(curve.x) == PLACES else "markers",
                    line={"color": COLORS[2]}, marker={"color": COLORS[2]}),
        panel_trace(3, steps, np.maximum(trace["loss"], SMALLEST), "loss", line={"color": "black"}, showlegend=False),
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


def _ways(where: np.ndarray, sign: int) -> dict[str, Any]:
    """All ways as one line with gaps."""
    gap = np.full((1, *where.shape[1:]), np.nan)
    along = np.concatenate([where, gap]).swapaxes(0, 1).reshape(-1, 2)
    line = {"color": SIGNS[sign][1], "width": 1}
    return panel_trace(1, along[:, 0], along[:, 1], "way", line=line, opacity=0.5, showlegend=False)
