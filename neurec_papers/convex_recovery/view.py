"""One instance as a figure: what was planted, what was found, and why it had to be; and its explorer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core import tables
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param
from neurec_core.style import COLORS, stacked, style
from smallnets.nets.two_layer import GatedNet

from .engine import data
from .experiments import planted, programs, shared

Scores = dict[str, np.ndarray]
GRAY = {"color": "gray", "dash": "dash"}


# ------------------------------------------------------------------------------------------------------- explorer


class PlantedInstance(shared.ConvexProgram):
    """A linear neuron (skip) or k normalised neurons are planted; the minimal-norm program is solved."""

    model: Literal["skip", "normalized"] = param("skip", "network")
    sigma: float = shared.SIGMA
    plant: shared.Plant = shared.PLANT
    k: int = shared.NEURONS


COLUMNS = {
    "recovered": Column("recovered: all weights within 1e-4 of the plant", "event"),
    **{name: programs.DISTANCE[name] for name in ("unique", "weight_distance", "stray")},
    **{name: programs.RECOVERY[name] for name in ("all_ones", "isometry_held")},
}
INSTANCE = Experiment(
    name="convex_recovery.instance",
    question="What does the minimal-norm program make of one planted instance?",
    params=PlantedInstance,
    sample=data.sample,
    solve=planted.solve,
    score=partial(planted.score, tuple(COLUMNS)),
    columns=COLUMNS,
    presets={"tiny": Grid({"n": [6, 16], "d": [4], "model": ["skip", "normalized"]}, 1)},
    citation=shared.CITATION,
)


def beside_edges(skip: pd.DataFrame, normalized: pd.DataFrame) -> Callable[..., go.Figure]:
    """The figure `recovery` with the 50 % points of the published tables of both recoveries in its third panel."""
    skip = skip[skip["program"] == "relaxed"].assign(model="skip", k=1)
    both = pd.concat([skip, normalized.assign(model="normalized")])
    found = tables.threshold(both, "recovered", "n", ["model", "k", "plant", "design", "d"])
    return partial(recovery, edges=found.drop(columns=["low", "high"]).rename(columns={"threshold": "n"}))


# --------------------------------------------------------------------------------------------------------- figure


def recovery(
    params: Params, problem: Problem, solution: Solution, scores: Scores, *, edges: pd.DataFrame | None = None
) -> go.Figure:
    """Planted and found weights; the dual vector's norm at each pattern, against 1; where n and d lie.

    Parameters
    ----------
    params, problem, solution, scores : of one trial, solved
    edges : measured 50 % points for the third panel, with ``n`` and ``d`` and any of the parameters to which
        they belong; those that agree with `params` are drawn
    """
    verdict = _verdict(problem, solution, scores)
    n, d = problem.X.shape[1:]
    blocks = int(np.isfinite(solution.stats["norms"][0]).sum())
    layout = _frame() | {
        "title": {
            **_frame()["title"],
            "text": f"{verdict}<br><sup>n = {n}, d = {d}, n/d = {n / d:.3g}, {blocks} blocks</sup>",
        },
        "xaxis3": {**_frame()["xaxis3"], "range": [0, max(1.05 * n, 410)]},
        "yaxis3": {**_frame()["yaxis3"], "range": [0, max(1.05 * d, 105)]},
        "meta": {
            **_frame()["meta"],
            "alt": f"Weights, norms of the dual vector against 1, place in the plane: {verdict}",
        },
    }
    traces = [*_weights(problem, solution), *_norms(solution), *_place(params, n, d, edges)]
    return go.Figure({"data": traces, "layout": layout})


@lru_cache(maxsize=1)
def _frame() -> dict[str, Any]:
    """The layout without what changes: plotly takes longer over it than over the data."""
    titles = ["weights", "norm at each block", "where this lies"]
    fig = make_subplots(1, 3, subplot_titles=titles, horizontal_spacing=0.09, column_widths=[0.36, 0.36, 0.28])
    fig.update_xaxes(title="coordinate (of one neuron after another)", col=1)
    fig.update_yaxes(title="weight", col=1)
    fig.update_xaxes(title="block, by rank", col=2)
    fig.update_yaxes(title="norm", rangemode="tozero", col=2)
    fig.update_xaxes(title="training points n", col=3)
    fig.update_yaxes(title="input dimension d", col=3)
    return style(fig, "", alt="", height=480, narrow=stacked(fig, height=1080)).to_plotly_json()["layout"]


def _dots(panel: int, x: Any, y: Any, name: str, **options: Any) -> dict[str, Any]:
    axes = {"xaxis": f"x{panel}", "yaxis": f"y{panel}"} if panel > 1 else {}
    return {"type": "scatter", "mode": "markers", "x": x, "y": y, "name": name} | axes | options


def _weights(problem: Problem, solution: Solution) -> list[dict[str, Any]]:
    planted, found = _compared(problem, solution)
    coordinate = np.arange(1, len(planted) + 1)
    ring = {"symbol": "circle-open", "size": 12, "color": COLORS[0], "line": {"width": 2}}
    return [
        _dots(1, coordinate, planted, "planted", marker=ring),
        _dots(1, coordinate, found, "found", marker={"size": 6, "color": COLORS[1]}),
    ]


def _compared(problem: Problem, solution: Solution) -> tuple[np.ndarray, np.ndarray]:
    """Planted and found weights on the inputs, in a row."""
    net, teacher = solution.value, problem.teacher
    if hasattr(teacher, "skip"):
        return teacher.skip[0], net.skip[0]
    X = problem.X[0]
    outputs = np.maximum(X @ teacher.W[0], 0)
    with np.errstate(divide="ignore", invalid="ignore"):  # a neuron that is active on no point
        planted = (teacher.W[0] / np.linalg.norm(outputs, axis=0)).T
    if isinstance(net, GatedNet):
        gates, W = X @ net.gates[0] >= 0, net.W[0]
    else:
        active = net.a[0] > 0
        gates, W = (X @ net.W[0] >= 0)[:, active], (net.W[0] * net.a[0])[:, active]
        W = W / np.linalg.norm(np.maximum(X @ net.W[0][:, active], 0), axis=0)
    same = (gates[:, :, None] == (outputs > 0)[:, None, :]).all(axis=0)
    found = [W[:, which.argmax()] if which.any() else np.zeros(len(W)) for which in same.T]
    return planted.ravel(), np.ravel(found)


def _norms(solution: Solution) -> list[dict[str, Any]]:
    norms, planted = solution.stats["norms"][0], solution.stats["planted"][0] == 1
    order = np.argsort(-np.where(planted, np.inf, norms))[: np.isfinite(norms).sum()]
    rank = np.arange(1, len(order) + 1)
    dots = {"color": np.where(planted[order], *COLORS[:3:2]), "size": np.where(planted[order], 11, 5)}
    others = order[~planted[order]]
    condition = np.sort(solution.stats["isometry_norms"][0][others])[::-1]
    line = {"mode": "lines", "line": {"color": COLORS[4], "width": 1.5}}
    limit = {"mode": "lines", "line": GRAY, "showlegend": False}
    return [
        _dots(2, rank, norms[order], "the solution's dual vector (large: planted)", marker=dots),
        _dots(2, rank[len(order) - len(others) :], condition, "least-norm dual vector (isometry condition)", **line),
        _dots(2, [1, max(len(rank), 2)], [1, 1], "1", **limit),
    ]


def _place(params: Params, n: int, d: int, edges: pd.DataFrame | None) -> list[dict[str, Any]]:
    chosen = params.model_dump()
    edge = pd.DataFrame({"n": [], "d": []})
    if edges is not None:
        same = [edges[name] == chosen[name] for name in edges if name in chosen and name not in ("n", "d")]
        edge = edges[np.logical_and.reduce(same)] if same else edges
    line = {"mode": "lines+markers", "line": {"color": COLORS[1], "width": 2}}
    reach = np.array([0, max(d, 100)])
    star = {"symbol": "star", "size": 16, "color": COLORS[3], "line": {"color": "white", "width": 1}}
    return [
        _dots(3, edge["n"].to_numpy(float), edge["d"].to_numpy(float), "measured 50 % points", **line),
        _dots(3, 2 * reach, reach, "n = 2d", mode="lines", line=GRAY),
        _dots(3, [n], [d], "this instance", marker=star),
    ]


def _verdict(problem: Problem, solution: Solution, scores: Scores) -> str:
    if not solution.status[0].usable:
        return f"no solution: {solution.status[0]}"
    noisy = not np.allclose(problem.y, problem.teacher(problem.X))
    away = f"{scores['weight_distance'][0]:.2g} away"
    if noisy:
        return f"{away}: the noise is fitted, too"
    if scores["recovered"][0] == 1:
        return "recovered" + ("; the isometry condition predicted it" if scores["isometry_held"][0] else "")
    if scores["unique"][0] == 0:
        why = "one direction is active on every point" if scores["all_ones"][0] else "two blocks can do the same"
        return f"not recovered, {away}: there are many solutions ({why})"
    return f"not recovered, {away}: a cheaper net fits"
