"""Networks on a line with samples: what is recovered from these, what else fits them, and how many each piece holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal, Self

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param
from neurec_core.style import COLORS, panel_trace, stacked, style

from .engine.competitors import competitor
from .engine.line import as_network, broken, outputs, recover, sample_points, seen, shared_out
from .engine.networks import ShallowNet, relative_error
from .experiments import teachers
from .experiments.setting import BIAS, CITATION

Scores = dict[str, np.ndarray]
ENOUGH = 2  # samples in a piece


def samples(params: Params, problem: Problem, solution: Solution, scores: Scores) -> go.Figure:
    """The function with its samples, a rival that agrees on all of them, and the samples that each piece holds.

    Parameters
    ----------
    params, problem, solution, scores : of one trial of `INSTANCE`
    """
    trace = {name: part[0] for name, part in solution.trace.items()}
    x, f, held = trace["x"], trace["f"], trace["held"]
    kinks = trace["kinks"][np.isfinite(trace["kinks"])]
    ends = np.concatenate([x[:1], kinks, x[-1:]])
    height = np.interp(kinks, x, f)
    place = float(solution.stats["place"][0])
    data = [
        panel_trace(1, x, f, "network", line={"color": COLORS[0], "width": 3}),
        panel_trace(1, x, trace["rival"], "another network that fits", line={"color": COLORS[1], "dash": "dash"}),
        panel_trace(1, x, trace["back"], "recovered from the samples", line={"color": COLORS[4], "dash": "dot"}),
        panel_trace(1, kinks, height, "kinks", mode="markers", marker=_mark("diamond", COLORS[0], 9)),
        panel_trace(1, [place], [np.interp(place, x, f)], "kink that is moved", mode="markers",
                    marker=_mark("diamond-open", COLORS[3], 17)),
        panel_trace(1, problem.X[0, :, 0], problem.y[0], "samples", mode="markers", marker=_mark("circle", "black", 6)),
        _pieces(ends, held, held >= ENOUGH, name="pieces that are seen", color=COLORS[2]),
        _pieces(ends, held, held < ENOUGH, name="pieces that are not", color=COLORS[1]),
        panel_trace(2, [ends[0], ends[-1]], [ENOUGH] * 2, "enough", line={"color": "gray", "dash": "dash", "width": 1}),
    ]  # fmt: skip
    text, small = _words(problem, scores)
    layout: dict[str, Any] = dict(_layout())
    layout["meta"] = {**layout["meta"], "alt": f"A network on a line and its samples: {text}, {small}"}
    layout["title"] = {**layout["title"], "text": f"{text}<br><sup>{small}</sup>"}
    return go.Figure({"data": data, "layout": layout})


def compared(points: np.ndarray, places: np.ndarray, curves: Mapping[str, np.ndarray], title: str) -> go.Figure:
    """Functions on a line, which take the same values on points or do not.

    Parameters
    ----------
    points : (n,) array, marked below the curves
    places : (k,) array at which functions are drawn
    curves : the values of each, ``(k,)``, by its name; those that lie on each other differ in their dashes
    title : may hold a line of small print after ``<br><sup>``
    """
    dashes = ("solid", "dot", "solid", "dash")
    shapes = zip(curves.items(), COLORS, dashes, strict=False)
    data = [
        panel_trace(1, places, values, name, line={"color": color, "dash": dash, "width": 3 if dash == "solid" else 4})
        for (name, values), color, dash in shapes
    ]
    low = min(float(values.min()) for values in curves.values())
    room = 0.08 * (max(float(values.max()) for values in curves.values()) - low)
    marks = {"symbol": "line-ns-open", "color": "black", "size": 9}
    data.append(panel_trace(1, points, np.full(len(points), low - room), "points", mode="markers", marker=marks))
    fig = go.Figure(data)
    fig.update_xaxes(title="input x")
    fig.update_yaxes(title="output f(x)")
    return style(fig, title, alt=f"{title}: {', '.join(curves)} on a line, and {len(points)} points")


def marked(fig: go.Figure, counts: Mapping[str, Sequence[float]], span: tuple[float, float] = (0.0, 1.0)) -> go.Figure:
    """Vertical lines at counts that theory names, in the colours of the curves that they are about.

    Parameters
    ----------
    fig : curves along one parameter, one for each of the counts
    counts : for each name one count per curve, in their order; names differ in their dashes
    span : from where to where the lines go, by default as rates do
    """
    for (name, values), dash in zip(counts.items(), ("dot", "dash"), strict=False):
        for i, (value, color) in enumerate(zip(values, COLORS, strict=False)):
            look = {"color": color, "dash": dash, "width": 2}
            fig.add_scatter(x=[value, value], y=span, mode="lines", line=look, name=name, legendgroup=name,
                            showlegend=i == 0, hoverinfo="skip")  # fmt: skip
    return fig


def _words(problem: Problem, scores: Scores) -> tuple[str, str]:
    n, apart, error = problem.X.shape[1], float(scores["apart"][0]), float(scores["error"][0])
    if scores["identified"][0]:
        return "Identified", f"{n} samples; recovered to {error:.0e}"
    if np.isfinite(apart):
        return "Not identified", f"{n} samples; another fits, {apart:.0%} of max |f| off"
    return "Not proved", f"{n} samples; no other was found that fits"


def _mark(symbol: str, color: str, size: int) -> dict[str, Any]:
    return {"symbol": symbol, "color": color, "size": size, "line": {"width": 2 if "open" in symbol else 0}}


def _pieces(ends: np.ndarray, held: np.ndarray, chosen: np.ndarray, *, name: str, color: str) -> dict[str, Any]:
    """A bar over each chosen piece, as high as the number of its samples."""
    apart = 0.006 * (ends[-1] - ends[0])  # so that equal bars stay two
    bars = [(a + apart, b - apart, n) for a, b, n, own in zip(ends[:-1], ends[1:], held, chosen, strict=False) if own]
    x = [part for a, b, _ in bars for part in (a, b, None)]
    y = [part for _, _, n in bars for part in (n, n, None)]
    return panel_trace(2, x, y, name, line={"color": color, "width": 7})


@lru_cache(maxsize=1)
def _layout() -> dict[str, Any]:
    """The layout without what changes: plotly takes longer over it than over the data."""
    fig = make_subplots(1, 2, subplot_titles=["function", "samples in each piece"], horizontal_spacing=0.14)
    fig.update_xaxes(title="input x")
    fig.update_yaxes(title="output f(x)", col=1)
    fig.update_yaxes(title="number of samples", rangemode="tozero", dtick=1, col=2)
    return style(fig, "", alt="", height=500, narrow=stacked(fig, height=860)).to_plotly_json()["layout"]


PLACES = 301  # at which functions are drawn
AROUND = 1.0  # how far beyond kinks and samples


class SamplesOnLine(Params):
    """A network, samples for it, and one of its kinks moved after the samples were chosen."""

    m: int = param(4, "neurons", ge=1, le=8, slider=(1, 8, 1))
    bias: bool = BIAS
    placement: Literal["pieces", "even"] = param(
        "pieces", "samples: shared among the pieces before the move, or evenly spaced"
    )
    points: int = param(10, "samples", symbol="N", ge=2, le=60, slider=(2, 24, 1))
    moved: int = param(2, "which kink is moved, from the left", symbol="k", ge=1, le=8, slider=(1, 8, 1))
    shift: float = param(0.0, "how far it is moved", symbol="Δ", ge=-10, le=10, slider=(-2, 2, 0.1))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.moved > self.m:
            raise ValueError(
                f"moved (which kink is moved, from the left) must be at most m = {self.m}, got {self.moved}"
            )
        return self


def sample(params: SamplesOnLine, draws: Draws) -> Problem:
    """Samples ``X (B, n, 1)``, values of the network after the move, and the network."""
    nets, X = [], []
    drawn = teachers.relu_on_line(draws, params.m, 0, params.bias)
    for net, lots in zip(drawn, draws.uniform("deal", params.m + 1), strict=True):
        t = -net.b / net.W[:, 0]
        counts = shared_out(params.points, lots)
        ends = np.array([t.min() - AROUND, t.max() + AROUND])
        even = ends[0] + np.ptp(ends) * (np.arange(params.points) + 0.5) / params.points
        X.append(sample_points(t, counts.tolist()) if params.placement == "pieces" else even)
        b = net.b.copy()
        b[params.moved - 1] -= net.W[params.moved - 1, 0] * params.shift
        nets.append(ShallowNet(net.W, b, net.a, net.c))
    points = np.stack(X)[:, :, None]
    return Problem(points, np.stack([net(x) for net, x in zip(nets, points, strict=True)]), nets)


def solve(params: SamplesOnLine, problem: Problem, draws: Draws) -> Solution:
    """What is recovered from the samples and what else fits; the trace has both functions and each piece's samples."""
    trials = zip(problem.X[:, :, 0], problem.y, problem.teacher, strict=True)
    found = [_described(params, *one) for one in trials]
    status = [Status.SOLVED if one["error"] >= 0 else Status.UNSEEN for one in found]
    trace = {name: np.stack([one[name] for one in found]) for name in ("x", "f", "rival", "back", "kinks", "held")}
    stats = {name: np.array([one[name] for one in found]) for name in ("apart", "error", "least", "place")}
    return Solution(problem.teacher, status, stats, trace)


def _described(params: SamplesOnLine, x: np.ndarray, y: np.ndarray, net: ShallowNet) -> dict[str, np.ndarray]:
    truth, bias = broken(net), params.bias
    t = np.array(truth.kinks)
    place = np.linspace(min(t[0], x[0]) - AROUND, max(t[-1], x[-1]) + AROUND, PLACES)
    where = np.sort(np.concatenate([place, t]))
    f = net(where[:, None])
    other, read = competitor(truth, x, bias=bias), recover(x.tolist(), y.tolist(), params.m)
    rival = outputs(other.function, where) if other else np.full(len(where), np.nan)
    back = as_network(read, bias=bias)(where[:, None]) if read else np.full(len(where), np.nan)
    held, nothing = seen(x.tolist(), truth.kinks), params.m - len(t)
    return {
        "x": np.append(where, [where[-1]] * nothing), "f": np.append(f, [f[-1]] * nothing),
        "rival": np.append(rival, [np.nan] * nothing), "back": np.append(back, [np.nan] * nothing),
        "kinks": np.append(t, [np.nan] * nothing), "held": np.append(np.array(held, float), [np.nan] * nothing),
        "apart": np.array(relative_error(f, rival) if other else np.nan),
        "error": np.array(relative_error(f, back) if read else np.nan),
        "least": np.array(float(min(held))),
        "place": np.array(-net.b[params.moved - 1] / net.W[params.moved - 1, 0]),
    }  # fmt: skip


def score(params: SamplesOnLine, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether the samples identify the network; how far another one is off that fits them."""
    s = solution.stats
    identified = (s["least"] >= 2) & np.isfinite(solution.trace["kinks"]).all(axis=1)
    return {"identified": identified, "apart": s["apart"], "error": s["error"], "least": s["least"]}


COLUMNS = {
    "identified": Column("every piece holds two samples, so that no other network of the width fits", "event"),
    "apart": Column("difference from another network that fits, where one was found", "measure", "of max |f|"),
    "error": Column("recovered network's largest difference", "measure", "of max |f|", logarithmic=True),
    "least": Column("samples in the piece that holds fewest", "measure"),
}

INSTANCE = Experiment(
    name="finite_samples.instance",
    question="Which samples see a kink?",
    params=SamplesOnLine,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={"tiny": Grid({"shift": [0.0, 0.5]}, trials=1)},
    citation=CITATION,
)
