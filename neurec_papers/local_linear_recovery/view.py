"""Networks in training as figures: their errors, the function that they end with, their neurons; and an explorer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.draws import Draws
from neurec_core.experiment import Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param
from neurec_core.style import COLORS, SCALE, stacked, style
from smallnets.nets.tanh_nets import outputs

from .experiments import training
from .experiments.targets import CITATION

SMALLEST = 1e-26  # of what is drawn on a logarithmic axis
POWERS = {"type": "log", "exponentformat": "power"}


SNAPSHOTS = 50  # of the weights
FRESH = 200  # fresh points on which the error is followed
LINE = np.linspace(-4, 4, 161)  # positions on a line through the origin


class TrainedInstance(training.SampleSweep):
    """A training that a slider can wait for."""

    steps: int = param(20_000, "most steps", ge=0, le=10_000_000)


def snapshots(steps: int) -> tuple[int, ...]:
    """Steps whose weights are shown, growing geometrically from 0 to the last."""
    return tuple(np.unique(np.geomspace(1, steps + 1, SNAPSHOTS).astype(int) - 1).tolist())


def solve(params: TrainedInstance, problem: Problem, draws: Draws) -> Solution:
    """Train; the trace has errors at ``at (B, S)``, and network and target on a line along ``direction``."""
    at = snapshots(params.steps)
    solution, shots = training.trained(params, problem, draws, at)
    X, y = training.fresh(params, problem.teacher, draws)
    train, test = (
        np.stack([training.errors(params, shot, *sample) for shot in shots.swapaxes(0, 1)], axis=1)
        for sample in ((problem.X, problem.y), (X[:, :FRESH], y[:, :FRESH]))
    )
    direction = draws.normal("direction", params.network().d)
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    line = LINE[:, None] * direction[:, None]
    with np.errstate(all="ignore"):  # weights that diverged
        f = outputs(params.network(), solution.value, line)
    # From its end on, a training stays where it is.
    steps, ended = solution.stats["steps"][:, None], np.array(at) >= solution.stats["steps"][:, None]
    train = np.where(ended, solution.stats["train"][:, None], train)
    test = np.where(ended, solution.stats["test"][:, None], test)
    trace = {
        "at": np.minimum(at, steps), "train": train, "test": test,
        "line": np.tile(LINE, (len(draws), 1)), "f": f, "target": problem.teacher(line)
    }  # fmt: skip
    return solution._replace(trace=trace)


INSTANCE = Experiment(
    name="local_linear_recovery.instance",
    question="How does one network learn, and what?",
    params=TrainedInstance,
    sample=training.sample,
    solve=solve,
    score=training.score,
    columns=training.COLUMNS,
    presets={"tiny": Grid({"architecture": ["ws"], "n": [6, 7]}, 1, {"steps": 1000})},
    citation=CITATION,
)


# -------------------------------------------------------------------------------------------------------- figures


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
    fig.add_scatter(x=trace["line"][0], y=trace["f"][0], name="network", line={"color": COLORS[1]}, row=1, col=2)
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
    return style(fig, title, alt=alt, narrow=stacked(fig, height=800))
