"""A zonotope in perspective and the directions of its vertices as a map: where the neurons of a network are, and go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param
from neurec_core.style import COLORS, SCALE, panel_trace, player, stacked, style

from .engine import search
from .engine.descent import trained
from .engine.landscape import Landscape, cells_of, signed, skeleton
from .experiments import polish, setting
from .experiments.setting import CITATION

TILT = np.radians(24)  # of the eye above the horizon
TURN = 4.0  # degrees per frame
CIRCLE = 120  # places on a great circle, at rest
COARSE = 72  # the same, in a film
UNITS = (COLORS[1], COLORS[2], COLORS[3], COLORS[4])
SIGNS = (("circle", "adds"), ("diamond", "subtracts"))  # of output weights, which take turns
SNAPSHOTS = 48  # of a training
TITLES = ("zonotope: a vertex per pattern", "directions: a region per pattern")


def walk(params: Params, problem: Problem, solution: Solution, scores: dict[str, np.ndarray]) -> go.Figure:
    """The first trial at rest: vertices coloured by their least loss, and a greedy walk along edges.

    Parameters
    ----------
    params, problem, solution, scores : of `relu_zonotopes.instance`
    """
    t = {name: part[0] for name, part in solution.trace.items()}
    eye = _eye(float(t["turn"]))
    data = [*_still(t, eye), *_map(t, problem.X[0], eye)]
    flat, directions = (t["V"] - t["V"].mean(axis=0)) @ eye[:2].T, _disc(t["H"], eye)
    for j in range(len(UNITS)):
        path = t["path"][:, j] if j < t["path"].shape[1] else np.zeros(0, int)
        begin = _disc(t["W"][0, j : j + 1], eye)
        turned = np.concatenate([begin, directions[path]])[: len(path) + 1 if len(path) else 0]
        data += [*_trail(1, flat[path], j), *_trail(2, turned, j)]
    ends = [f"{scores[name][0]:.3f}" for name in ("start", "end")]
    words = f"least loss {ends[0]} at the start (hollow), {ends[1]} after {scores['edges'][0]:.0f} edges (solid)"
    fig = _panels()
    fig.add_traces(data)
    _frame(fig, t)
    alt = f"A zonotope and its normal fan: {words}"
    return style(fig, f"A greedy walk<br><sup>{words}</sup>", alt=alt, height=500, narrow=stacked(fig, 1000))


def training(params: Params, problem: Problem, solution: Solution) -> go.Figure:
    """The first trial in training: as weights move, the vertices of their patterns light up, while all turns.

    Parameters
    ----------
    params, problem, solution : of `relu_zonotopes.instance`
    """
    t = {name: part[0] for name, part in solution.trace.items()}
    X, count = problem.X[0], len(t["at"])
    units = t["W"].shape[1]

    def picture(i: int) -> list[dict[str, Any]]:
        eye = _eye(float(t["turn"]) + TURN * i)
        flat = (t["V"] - t["V"].mean(axis=0)) @ eye[:2].T
        moving = _disc(t["W"][: i + 1], eye)
        traces = [*_still(t, eye, coloured=False), *_map(t, X, eye, coloured=False)]
        for j in range(units):
            lit = t["cells"][i, j : j + 1]
            traces += [_lit(1, flat[lit], j), _path(moving[:, j], j), _lit(2, moving[i : i + 1, j], j, False)]
        now = {"size": 11, "color": COLORS[0]}
        traces.append(panel_trace(3, t["at"][i : i + 1] + 1, t["loss"][i : i + 1], "now", mode="markers", marker=now))
        return [*traces, panel_trace(3, t["at"] + 1, t["loss"], "loss", line={"color": "gray"})]

    first = picture(0)
    frames = [go.Frame(name=str(t["at"][i]), data=picture(i), traces=list(range(len(first)))) for i in range(count)]
    fig = _panels(with_loss=True)
    fig.add_traces(first)
    fig.frames = frames
    _frame(fig, t)
    fig.update_xaxes(title="step + 1", type="log", dtick=1, exponentformat="power", row=2, col=1)
    fig.update_yaxes(rangemode="tozero", row=2, col=1)
    fig.update_traces(showlegend=False, selector={"xaxis": "x3"})
    words = f"{units} neurons, {len(X)} points of the plane and a bias"
    style(fig, "", alt="", height=560, narrow=stacked(fig, height=1320))
    alt = f"A zonotope that turns while a network is trained: {words}"
    return player(fig, f"Training walks over vertices<br><sup>{words}</sup>", alt).update_layout(height=740)


def _eye(turn: float) -> np.ndarray:
    """Rows: right, up, and towards the reader."""
    a = np.radians(turn)
    towards = np.array([np.cos(a) * np.cos(TILT), np.sin(a) * np.cos(TILT), np.sin(TILT)])
    right = np.array([-np.sin(a), np.cos(a), 0.0])
    return np.stack([right, np.cross(towards, right), towards])


def _disc(w: np.ndarray, eye: np.ndarray) -> np.ndarray:
    """Directions (..., 3) on a map of all of them that keeps areas, the eye's in the middle, the opposite as rim."""
    w = w @ eye.T / np.linalg.norm(w, axis=-1, keepdims=True)
    return w[..., :2] * np.sqrt(2 / np.maximum(1 + w[..., 2:], 1e-9))


def _broken(parts: np.ndarray) -> np.ndarray:
    """Lines (k, q, 2) one after another, with gaps between them: (k (q + 1), 2)."""
    gaps = np.full((len(parts), 1, 2), np.nan)
    return np.concatenate([parts, gaps], axis=1).reshape(-1, 2).astype(np.float32)  # a film carries sixty of them


def _still(t: dict[str, Any], eye: np.ndarray, coloured: bool = True) -> list[dict[str, Any]]:
    """Faces, edges and vertices of the zonotope, those behind fainter."""
    flat = (t["V"] - t["V"].mean(axis=0)) @ eye[:2].T
    front = t["rays"] @ eye[2] > 0
    seen = front[t["beside"]].any(axis=1)
    visible = np.zeros(len(flat), bool)
    visible[t["faces"][front]] = True
    fill = {"fill": "toself", "fillcolor": "rgba(120,140,160,0.12)"}
    lines = [
        _line(_broken(flat[t["edges"][seen == now]]), {"color": color, "width": width, "dash": dash})
        for now, color, width, dash in ((False, "rgba(128,128,128,0.35)", 1, "dot"), (True, "gray", 1.5, "solid"))
    ]
    faces = t["faces"][front][:, [0, 1, 2, 3, 0]]
    skin = _line(_broken(flat[faces]), {"width": 0}) | fill
    behind, before = (_dots(1, flat, t, part, coloured=coloured) for part in (~visible, visible))
    return [lines[0], behind | {"opacity": 0.45}, skin, lines[1], before]


def _dots(panel: int, xy: np.ndarray, t: dict[str, Any], part: np.ndarray, *, coloured: bool) -> dict[str, Any]:
    """Some vertices, or regions: with their losses and what is active there, or plain for a film."""
    x, y = xy[part].astype(np.float32).T
    if not coloured:
        look = {"size": 5, "color": "gray"}
        return panel_trace(panel, x, y, "patterns", mode="markers", showlegend=False, hoverinfo="skip", marker=look)
    return panel_trace(
        panel, x, y, "patterns", mode="markers", showlegend=False, text=_patterns(t["D"][part]),
        hovertemplate="active: %{text}<extra></extra>",
        marker={"size": 9, "color": t["losses"][part], "coloraxis": "coloraxis"},
    )  # fmt: skip


def _patterns(D: np.ndarray) -> list[str]:
    return [", ".join(str(i + 1) for i in np.flatnonzero(row)) or "none" for row in D]


def _line(xy: np.ndarray, look: dict[str, Any], panel: int = 1) -> dict[str, Any]:
    return panel_trace(panel, xy[:, 0], xy[:, 1], "edges", line=look, hoverinfo="skip", showlegend=False)


def _map(t: dict[str, Any], X: np.ndarray, eye: np.ndarray, coloured: bool = True) -> list[dict[str, Any]]:
    """The hyperplanes x_i . w = 0 as circles on the map, its rim, and a dot for each region."""
    angle = np.linspace(0, 2 * np.pi, 1 + (CIRCLE if coloured else COARSE))
    bases = np.linalg.svd(X[:, None, :])[2][:, 1:]
    circles = bases[:, 0, None] * np.cos(angle)[:, None] + bases[:, 1, None] * np.sin(angle)[:, None]
    rim = 2 * np.column_stack([np.cos(angle), np.sin(angle)])
    bounds = np.stack([rim, rim / np.sqrt(2)])  # of all directions, and of those on the reader's side
    return [
        _line(_broken(_disc(circles, eye)), {"color": "gray", "width": 1}, 2),
        _line(_broken(bounds), {"color": "gray", "width": 1, "dash": "dot"}, 2),
        _dots(2, _disc(t["H"], eye), t, np.ones(len(t["H"]), bool), coloured=coloured),
    ]


def _trail(panel: int, path: np.ndarray, j: int) -> list[dict[str, Any]]:
    """A walk of one neuron: its start hollow, its end solid; of no length where there is no such neuron."""
    color = UNITS[j]
    hollow = {"size": 20, "color": color, "symbol": f"{SIGNS[j % 2][0]}-open", "line": {"width": 3}}
    line = panel_trace(panel, path[:, 0], path[:, 1], "walk", line={"color": color, "width": 4})
    begin = panel_trace(panel, path[:1, 0], path[:1, 1], "start", mode="markers", marker=hollow)
    silent = {"showlegend": False, "hoverinfo": "skip"}
    return [line | silent, begin | silent, _lit(panel, path[-1:], j, panel == 1 and len(path) > 0)]


def _lit(panel: int, at: np.ndarray, j: int, named: bool = True) -> dict[str, Any]:
    symbol, does = SIGNS[j % 2]
    look = {"size": 18, "color": UNITS[j], "symbol": symbol, "line": {"color": "black", "width": 1.5}}
    name = f"neuron {j + 1} {does}"
    return panel_trace(panel, at[:, 0], at[:, 1], name, mode="markers", marker=look, showlegend=named)


def _path(path: np.ndarray, j: int) -> dict[str, Any]:
    # A line from rim to rim would cross the map; it is broken there.
    jump = np.flatnonzero(np.linalg.norm(np.diff(path, axis=0), axis=1) > 1) + 1
    return _line(np.insert(path, jump, np.nan, axis=0), {"color": UNITS[j], "width": 3}, 2)


def _panels(with_loss: bool = False) -> go.Figure:
    """Zonotope and map side by side; the loss in a flat panel below."""
    if not with_loss:
        return make_subplots(1, 2, subplot_titles=TITLES, horizontal_spacing=0.06)
    rows: Any = [[{}, {}], [{"colspan": 2}, None]]
    titles = [*TITLES, "mean squared error"]
    return make_subplots(2, 2, specs=rows, row_heights=[0.78, 0.22], subplot_titles=titles, horizontal_spacing=0.06)


def _frame(fig: go.Figure, t: dict[str, Any]) -> None:
    """Equal scales, no axes: neither panel has coordinates of its own."""
    reach = 1.06 * np.linalg.norm(t["V"] - t["V"].mean(axis=0), axis=1).max()
    for col, r in ((1, reach), (2, 2.1)):
        fig.update_xaxes(visible=False, range=[-r, r], constrain="domain", row=1, col=col)
        anchor = "x" if col == 1 else "x2"
        fig.update_yaxes(visible=False, range=[-r, r], scaleanchor=anchor, constrain="domain", row=1, col=col)
    bar = {"title": {"text": "least loss"}, "thickness": 12, "outlinewidth": 0}
    most = max(float(t["losses"].max()), 1e-9)
    fig.update_layout(coloraxis={"colorscale": SCALE, "cmin": 0, "cmax": most, "colorbar": bar})


class OneWalk(Params):
    """Points of the plane with a 1 for the bias, and where the first neuron's weights point."""

    n: int = param(6, "training points", ge=3, le=12, slider=(4, 9, 1))
    m: int = param(2, "hidden neurons", ge=1, le=4, slider=(1, 3, 1))
    longitude: float = param(
        30.0, "neuron 1 points around", symbol="φ", unit="degrees", ge=-360, le=360, slider=(-180, 180, 10)
    )
    latitude: float = param(20.0, "neuron 1 points up", symbol="θ", unit="degrees", ge=-90, le=90, slider=(-80, 80, 10))
    turn: float = param(40.0, "view, around", unit="degrees", ge=-360, le=360, slider=(-180, 180, 10))
    step: float = param(0.05, "step size of gradient descent", symbol="h", gt=0, le=1)
    steps: int = param(4000, "steps of gradient descent", symbol="T", ge=1, le=100_000)


def sample(params: OneWalk, draws: Draws) -> Problem:
    """Points that end in a 1, and random labels."""
    return Problem(setting.points(draws, params.n, 3, "with_bias"), setting.labels(draws, params.n))


def start(params: OneWalk, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Directions (B, m, 3) and output signs (B, m) of the neurons; directions of all but the first are drawn."""
    W = draws.normal("W", params.m, 3)
    W /= np.linalg.norm(W, axis=2, keepdims=True)
    a, b = np.radians([params.longitude, params.latitude])
    W[:, 0] = np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)
    return W, setting.signs(draws, "alternating", params.m)


def solve(params: OneWalk, problem: Problem, draws: Draws) -> Solution:
    """A greedy walk, the loss at every vertex with the first neuron there and the others where they end, a training.

    The trace has the zonotope as `skeleton` returns it, ``losses (B, p)``, ``path (B, K, m)`` of the walk, ending in
    copies of the last, and ``at``, ``W``, ``loss`` and ``cells`` (B, L, ...) of the training.
    """
    starts = zip(*start(params, draws), strict=True)
    found = [_one(params, *trial) for trial in zip(problem.X, problem.y, starts, strict=True)]
    longest = max(len(one["path"]) for one in found)
    for one in found:
        one["path"] = np.concatenate([one["path"], np.repeat(one["path"][-1:], longest - len(one["path"]), axis=0)])
    trace = {name: np.stack([one[name] for one in found]) for name in found[0]}
    return Solution(trace.pop("ends"), [Status.SOLVED] * len(found), {}, trace)


def _one(params: OneWalk, X: np.ndarray, y: np.ndarray, begin: Sequence[np.ndarray]) -> dict[str, Any]:
    (W, signs), land = begin, Landscape(X, y)
    units = signed(land.at(W.T), signs)
    walk = search.greedy(land, units)
    losses = [land.loss(np.append(cell, walk.units[-1, 1:])) for cell in range(land.cells)]
    log = np.unique(np.append(0, np.geomspace(1, params.steps, SNAPSHOTS - 1).astype(int)))
    run, own = trained(X, y, W, signs / np.sqrt(params.m), step=params.step, steps=params.steps, log=log)
    rest = SNAPSHOTS - len(run.at)
    return {
        "turn": np.array(params.turn),
        "ends": np.array([walk.losses[0], walk.losses[-1], run.loss, own, len(walk.losses) - 1]),
        "losses": np.array(losses),
        "path": cells_of(walk.units),
        "at": np.append(run.at, np.repeat(run.steps, rest)),
        "loss": np.append(run.losses, np.repeat(run.loss, rest)),
        "W": np.concatenate([run.Ws, np.repeat(run.W[None], rest, axis=0)]),
        "cells": np.stack([land.at(w.T) for w in [*run.Ws, *[run.W] * rest]]),
        **skeleton(X, land.fan),
    }  # fmt: skip


def score(params: OneWalk, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Losses at the start and the end of the walk, and those of the training."""
    return dict(zip(COLUMNS, np.asarray(solution.value).T, strict=True))


COLUMNS = {
    "start": Column("least loss at the start's vertex", "measure", "of the labels'"),
    "end": Column("least loss at the walk's end", "measure", "of the labels'"),
    "trained": polish.COLUMNS["trained"],
    "polished": polish.COLUMNS["polished"],
    "edges": Column("edges walked", "measure"),
}

INSTANCE = Experiment(
    name="relu_zonotopes.instance",
    question="Where does a network walk on its zonotope?",
    params=OneWalk,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={"tiny": Grid({"n": [4, 5], "m": [1, 2]}, trials=1, fixed={"steps": 100})},
    citation=CITATION,
)
