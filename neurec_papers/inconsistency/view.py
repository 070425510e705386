"""Networks on a line as figures: one in training, with its kinks; one among many; the points of the star."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.intervals import wilson
from neurec_core.params import param
from neurec_core.style import COLORS, SCALE, panel_trace, player, stacked, style

from .experiments.claims import law
from .experiments.shared import CITATION, CrossingProbability

Scores = dict[str, np.ndarray]
GRAY = {"color": "gray", "dash": "dash"}
SMALLEST = 1e-14  # of what is drawn on a logarithmic axis
ENDS = {3: "a kink reached a point at step {left}", 4: "no kink will ever reach a point", 5: "stopped early",
        1: "a side with one point or none", 2: "a side without neurons", 6: "diverged"}  # fmt: skip
# What may be spent on the crowd, in steps of a network: some tenths of a second.
BUDGET = {"gd": 7e7, "sgd": 6e5, "adam": 1.5e6}
FEWEST = {"gd": 8, "sgd": 1, "adam": 1}  # eight are stepped side by side
TYPICAL = {"gd": 180, "sgd": 0, "adam": 0}  # steps of a training, in units of m
WIDTHS = np.geomspace(16, 1e6, 13)  # at which the law is drawn
DRAWN = 4096  # widths up to which every weight is drawn


class NetworkInCrowd(CrossingProbability):
    """A crowd of networks is trained, and the first of them is followed from step to step."""

    networks: int = param(1000, "networks at most", ge=1, le=100_000, slider=(100, 1000, 100))
    limit: int = param(1_000_000_000, "most steps", ge=1, le=1_000_000_000)

    @model_validator(mode="before")
    @classmethod
    def _by_law(cls, values: Any) -> Any:
        # Beyond some width a crowd is drawn by its law, so that the slider can go on.
        wide = isinstance(values, dict) and isinstance(values.get("m"), int) and values["m"] > DRAWN
        return {**values, "rng": "law"} if wide and values.get("rng", "addressed") == "addressed" else values

    @property
    def crowd(self) -> int:
        """How many networks are trained: fewer where each takes long."""
        steps = 15_000 + TYPICAL[self.optimizer] * self.m
        cost = steps * (1 + self.m / 64 if self.optimizer == "adam" else 1)
        return int(min(self.networks, max(BUDGET[self.optimizer] // cost, FEWEST[self.optimizer])))


class Crowd(Draws):
    """Draws of many networks at once: one address per array, not one per network, which takes ten times as long."""

    def __init__(self, seed: int, trial: int, networks: int) -> None:
        super().__init__(seed, range(networks))
        self.one = Draws(seed, [trial])

    def normal(self, name: str, *shape: int) -> np.ndarray:
        """As of `Draws`."""
        return self.one.normal(name, len(self), *shape)[0]

    def uniform(self, name: str, *shape: int) -> np.ndarray:
        """As of `Draws`."""
        return self.one.uniform(name, len(self), *shape)[0]

    def multinomial(self, name: str, number: int, p: np.ndarray, *shape: int) -> np.ndarray:
        """As of `Draws`, for the same p everywhere."""
        return self.one.multinomial(name, number, p, len(self), *shape)[0]


def sample(params: NetworkInCrowd, draws: Draws) -> Problem:
    """The six points; every network has its own shares of them, and those of the first are given."""
    from .engine import initial

    first = [initial.shares(params, Crowd(draws.seed, t, params.crowd), "weights")[0] for t in draws.trials]
    points = initial.sample(params, draws)
    return Problem(points.X, points.y, weights=np.stack(first))


def solve(params: NetworkInCrowd, problem: Problem, draws: Draws) -> Solution:
    """Outcomes of the crowd, and the way of its first network."""
    from .engine import path

    found = [path.followed(params, Crowd(draws.seed, t, params.crowd)) for t in draws.trials]
    names = ("networks", "not_affine", "outcome", "left")
    stats = {name: np.array([one[name] for one in found]) for name in names}
    trace: dict[str, Any] = {name: [one[name] for one in found] for name in found[0] if name not in names}
    return Solution(stats["outcome"], [Status.SOLVED] * len(draws), stats, trace)


def score(params: NetworkInCrowd, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The share of networks that are not affine on either side, and how many were trained."""
    stats = solution.stats
    return {"probability": stats["not_affine"] / stats["networks"], "networks": stats["networks"].astype(float)}


INSTANCE = Experiment(
    name="inconsistency.instance",
    question="What becomes of one network, and of many like it?",
    params=NetworkInCrowd,
    sample=sample,
    solve=solve,
    score=score,
    columns={
        "probability": Column("share of networks that are not affine on either side", "measure"),
        "networks": Column("networks trained", "measure"),
    },
    presets={"tiny": Grid({"m": [16, 32]}, trials=1, fixed={"networks": 3})},
    citation=CITATION,
)


def training(problem: Problem, solution: Solution, trial: int = 0, frames: int = 60) -> go.Figure:
    """One network in training, animated: its function over the data, its loss, and where its kinks are.

    Parameters
    ----------
    problem, solution : of `inconsistency.training_examples`
    trial : which network
    frames : snapshots shown at most
    """
    trace = {name: part[trial] for name, part in solution.trace.items()}
    x, y, steps = problem.X[trial, :, 0], problem.y[trial], trace["steps"]
    excess = np.maximum(trace["loss"] - solution.stats["best"][trial], SMALLEST)
    grid, kinks = np.linspace(1.15 * x.min(), 1.15 * x.max(), 240), -trace["b"] / trace["a"]
    nearest = [x[x < 0].max(), x[x > 0].min()]
    good = _outputs([trace[f"reference_{name}"] for name in "abwc"], grid) if "reference_a" in trace else grid * np.nan

    def moving(i: int) -> list[dict[str, Any]]:
        net = [trace[name][i] for name in "abwc"]
        now, here = [steps[i] + 1, steps[i] + 1], {"color": COLORS[1]}
        return [
            panel_trace(1, grid, _outputs(net, grid), "network", line=here),
            panel_trace(1, kinks[i], _outputs(net, kinks[i]), "its kinks", mode="markers", marker=_diamond()),
            panel_trace(
                2, now[:1], excess[i : i + 1], "now", mode="markers", marker={"size": 10, **here}, showlegend=False
            ),
            panel_trace(3, now, nearest, "now", line=here, showlegend=False),
        ]

    still = [
        panel_trace(1, x, y, "training points", mode="markers", marker={"size": 5, "color": "gray"}),
        panel_trace(1, grid, good, "a network of this width that fits", line={"color": COLORS[2], "dash": "dot"}),
        panel_trace(2, steps + 1, excess, "loss", line={"color": COLORS[1], "width": 1}, showlegend=False),
        *_ways(steps, kinks, nearest),
    ]
    shown = np.unique(np.linspace(0, len(steps) - 1, frames).astype(int))
    first = len(still)
    pictures = [
        go.Frame(name=str(steps[i]), data=moving(i), traces=list(range(first, first + 4))) for i in shown.tolist()
    ]
    ended = "a kink has reached a point" if solution.stats["reached"][trial] >= 0 else "no kink has reached a point"
    words = f"{kinks.shape[1]} hidden neurons, {len(x)} points; {ended}"
    fig = go.Figure({"data": [*still, *moving(0)], "layout": _layout("training"), "frames": pictures})
    alt = "A network's function, loss and kinks in training"
    return player(fig, f"Gradient descent<br><sup>{words}</sup>", alt)


def _outputs(net: Sequence[np.ndarray], x: np.ndarray) -> np.ndarray:
    a, b, w, c = net
    return np.maximum(np.multiply.outer(x, a) + b, 0) @ w + c


def _diamond() -> dict[str, Any]:
    return {"symbol": "diamond", "size": 8, "color": COLORS[0]}


def _ways(steps: np.ndarray, kinks: np.ndarray, nearest: Sequence[float]) -> list[dict[str, Any]]:
    """All kinks' ways as one line with gaps, and the points nearest to 0."""
    gap = np.full((1, kinks.shape[1]), np.nan)
    along = np.tile(np.append(steps + 1.0, np.nan), kinks.shape[1])
    ends = [1, steps[-1] + 1, None, 1, steps[-1] + 1]
    return [
        panel_trace(3, along, np.concatenate([kinks, gap]).T.ravel(), "kinks", line={"color": COLORS[0], "width": 1},
               showlegend=False),
        panel_trace(3, ends, [nearest[0], nearest[0], None, nearest[1], nearest[1]], "nearest points", line=GRAY),
    ]  # fmt: skip


@lru_cache(maxsize=16)
def _law(shift: float) -> np.ndarray:
    return law(WIDTHS, {"shift": shift})


@lru_cache(maxsize=2)
def _layout(kind: str) -> dict[str, Any]:
    """The layout without what changes: plotly takes longer over it than over the data."""
    last = {"training": "kinks", "crowd": "how often a kink arrives"}[kind]
    middle = {"training": "excess loss", "crowd": "its outermost kinks"}[kind]
    fig = make_subplots(1, 3, subplot_titles=["function", middle, last], horizontal_spacing=0.12)
    fig.update_xaxes(title="input x", col=1)
    fig.update_yaxes(title="output f(x)", col=1)
    fig.update_xaxes(title="step + 1", type="log", dtick=1, exponentformat="power", col=2)
    if kind == "training":
        fig.update_yaxes(title="above the best half-affine loss", type="log", dtick=4, exponentformat="power", col=2)
        fig.update_xaxes(title="step + 1", type="log", dtick=1, exponentformat="power", col=3)
        fig.update_yaxes(title="position x", col=3)
    else:
        fig.update_yaxes(title="position x", range=[-1.1, 1.1], col=2)
        fig.update_xaxes(title="hidden neurons m", type="log", dtick=1, exponentformat="power", col=3)
        fig.update_yaxes(title="probability, 95 % band", type="log", dtick=1, exponentformat="power", col=3)
    return style(fig, "", alt="", height=500, narrow=stacked(fig, height=1120)).to_plotly_json()["layout"]


def crowd(params: NetworkInCrowd, problem: Problem, solution: Solution, scores: Scores) -> go.Figure:
    """One network's function at the end and its kinks on the way; the share of networks like it that are not affine.

    Parameters
    ----------
    params, problem, solution, scores : of one trial of `INSTANCE`
    """
    trace, stats = {name: part[0] for name, part in solution.trace.items()}, solution.stats
    steps, kinks, networks = trace["steps"], trace["kinks"], int(stats["networks"][0])
    low, high = wilson(int(stats["not_affine"][0]), networks)
    share, chosen = float(scores["probability"][0]), params.model_dump()
    m = chosen["m"]
    predicted = _law(chosen["shift"])
    reach = {"array": [high - share], "arrayminus": [share - low], "symmetric": False, "thickness": 2}
    data = [
        panel_trace(1, problem.X[0, :, 0], problem.y[0], "points", mode="markers", marker={"color": "gray", "size": 8}),
        panel_trace(1, trace["x"], trace["f"], "network at the end", line={"color": COLORS[1]}),
        *(panel_trace(2, steps + 1, kinks[:, i], "outermost kinks", line={"color": COLORS[0]}, showlegend=i == 0)
          for i in range(4)),
        panel_trace(2, [1, steps[-1] + 1, None, 1, steps[-1] + 1], [-1, -1, None, 1, 1], "nearest points", line=GRAY),
        panel_trace(3, WIDTHS, predicted, "asymptotic law, GD", line={"color": COLORS[3], "dash": "dash"}),
        panel_trace(3, [m], [max(share, low, 1e-6)], f"{networks} networks", mode="markers", error_y=reach,
               marker={"size": 10, "color": COLORS[1]}),
    ]  # fmt: skip
    end = ENDS.get(int(stats["outcome"][0]), "not finished").format(left=stats["left"][0])
    shown = f"{share:.3g} [{low:.3g}, {high:.3g}] of {networks} networks are not affine on either side"
    title = f"{end}<br><sup>m = {m}; {shown}</sup>"
    layout = _layout("crowd") | {"meta": {**_layout("crowd")["meta"], "alt": f"One network and many: {end}; {shown}"}}
    return go.Figure({"data": data, "layout": {**layout, "title": {**layout["title"], "text": title}}})


def star(problem: Problem) -> go.Figure:
    """The points of the star data set in the plane, coloured by label (figure 7)."""
    X, y = problem.X[0], problem.y[0]
    marker = {"color": y, "colorscale": SCALE, "size": 9, "showscale": True, "colorbar": {"title": "label y"}}
    fig = go.Figure(go.Scatter(x=X[:, 0], y=X[:, 1], mode="markers", marker=marker, name="points"))
    fig.update_yaxes(title="second input", scaleanchor="x")
    fig.update_xaxes(title="first input")
    return style(fig, "Star data set", alt="Points on rays around the origin, coloured by label")


def grouped(cells: pd.DataFrame, x: str, y: str, lines: str, *, title: str) -> go.Figure:
    """A number ``y`` of each value of ``x`` as dots, one colour for each value of ``lines``; logarithmic."""
    fig = go.Figure()
    for i, (name, part) in enumerate(cells.groupby(lines)):
        look = {"size": 10, "color": COLORS[i % len(COLORS)]}
        fig.add_scatter(x=part[x], y=part[y], mode="markers", marker=look, name=str(name))
    fig.update_yaxes(type="log", title=y, dtick="D2")
    fig.update_xaxes(title=x, tickangle=30)
    style(fig, title, alt=f"{title}, for each {x} and {lines}", height=520)
    return fig.update_layout(legend_y=-0.5)
