"""Which student neuron matches which teacher neuron, drawn, and an explorer: correlations, winners and losers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots
from pydantic import model_validator

from neurec_core import tables
from neurec_core.draws import Draws
from neurec_core.experiment import Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param
from neurec_core.style import COLORS, SCALE, panel_trace, player, stacked, style

from .engine import specialization
from .engine.outcome import statuses
from .experiments import students
from .experiments.reconstruction import LIVE, RECONSTRUCTION
from .experiments.shared import CITATION, WIDTHS
from .experiments.students import DeepStudents

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet

Scores = dict[str, np.ndarray]
LAYERS = ("lowest layer", "second layer", "third layer", "fourth layer")


# ------------------------------------------------------------------------------------------------------- explorer

STEPS = 100  # between two snapshots
BATCH = 64


class TrainedStudent(Params):
    """What the sliders move; everything else as in the first paper, with new points in every step."""

    node_multi: int = param(2, "student neurons per teacher neuron", ge=1, le=20, slider=(1, 10, 1))
    rate: float = param(0.05, "step size", symbol="h", gt=0, le=100, slider=(0.0125, 6.4, 2), geometric=True)
    data_std: float = param(10.0, "standard deviation of the points", symbol="s", gt=0, le=100, slider=(1, 20, 1))
    outputs: int = param(100, "numbers that a network puts out", symbol="c", ge=1, le=1000, slider=(1, 100, 9))
    steps: int = param(4000, "steps, with a snapshot every 100", ge=0, le=1_000_000, slider=(1000, 20_000, 1000))
    widths: str = WIDTHS

    @model_validator(mode="after")
    def _fits(self) -> Self:
        self.deep_students()
        return self

    def deep_students(self) -> DeepStudents:
        """As a point of the papers' experiments: an epoch is what passes between two snapshots."""
        return DeepStudents(
            node_multi=self.node_multi, rate=repr(self.rate), data_std=self.data_std, outputs=self.outputs,
            widths=self.widths, epochs=-(-self.steps // STEPS), points=STEPS * BATCH, batch=BATCH, fresh=True,
            eval_points=1000, dtype="float32",
        )  # fmt: skip


def sample(params: TrainedStudent, draws: Draws) -> Problem:
    """As in the experiments."""
    return students.sample(params.deep_students(), draws)


def follow(params: TrainedStudent, problem: Problem, draws: Draws) -> Iterator[Solution]:
    """Train, with a snapshot every 100 steps.

    The trace holds ``at`` (T,), numbers of steps; ``best (B, T, layers)``, means over live teacher neurons of the
    largest correlation; ``loss (B, T)``, training losses; ``shown``, the snapshots (0, 1, 2, 4, ... and the last)
    whose ``correlations`` it holds, too: for each of them and each layer (B, m, k).
    """
    from smallnets.descent.deep_relu import states

    deep = params.deep_students()
    start = students.student(deep, draws)
    T = states(problem.teacher, problem.X)[:-1]
    trace: dict[str, Any] = {"at": [], "best": [], "loss": [], "shown": [], "correlations": []}

    def snapshot(number: int, net: DeepNet, finite: np.ndarray, losses: np.ndarray) -> Solution:
        found = [
            np.where(finite[:, None, None], specialization.correlations(t, np.where(np.isfinite(z), z, 0)), 0)
            for t, z in zip(T, states(net, problem.X)[:-1], strict=True)
        ]
        best = [
            specialization.mean_over(specialization.best(C), specialization.live(t))
            for C, t in zip(found, T, strict=True)
        ]
        if number and trace["shown"][-1] & (trace["shown"][-1] - 1):  # no power of two: only until the next one
            del trace["shown"][-1], trace["correlations"][-1]
        new = {"at": STEPS * number, "best": np.stack(best, axis=1), "loss": losses}
        for name, value in {**new, "shown": number, "correlations": found}.items():
            trace[name].append(value)
        arrays: dict[str, Any] = {name: np.stack(trace[name], axis=1) for name in ("best", "loss")}
        arrays["correlations"] = list(trace["correlations"])
        arrays |= {name: np.array(trace[name]) for name in ("at", "shown")}
        return Solution(net, statuses(finite), {}, arrays)

    fine = np.ones(len(draws), dtype=bool)
    yield snapshot(0, start, fine, np.full(len(draws), np.nan))
    for epoch in students.training(deep, problem, start, draws):
        yield snapshot(epoch.number, epoch.net.read(), epoch.finite, epoch.losses)


def solve(params: TrainedStudent, problem: Problem, draws: Draws) -> Solution:
    """The last of `follow`."""
    *_, last = follow(params, problem, draws)
    return last


def score(params: TrainedStudent, problem: Problem, solution: Solution) -> Scores:
    """What the student is like at its last snapshot."""
    best = solution.trace["best"][:, -1]
    wider = np.pad(best, ((0, 0), (0, students.LAYERS - best.shape[1])), constant_values=np.nan)
    return {**dict(zip(LIVE, wider.T, strict=True)), "train_error": solution.trace["loss"][:, -1]}


INSTANCE = Experiment(
    name="multilayer_dynamics.instance",
    question="Which student neurons come to match which teacher neurons?",
    params=TrainedStudent,
    sample=sample,
    solve=solve,
    score=score,
    columns={name: RECONSTRUCTION.columns[name] for name in (*LIVE, "train_error")},
    presets={"tiny": Grid({"node_multi": [1, 2]}, 2, {"steps": 300})},
    citation=CITATION,
    follow=follow,
)


# -------------------------------------------------------------------------------------------------------- figures


def _ordered(last: np.ndarray) -> np.ndarray:
    """Students (k,) in an order in which each teacher neuron's winner comes first, in the teacher's order."""
    winners = last.argmax(axis=1)
    taken = dict.fromkeys(winners.tolist())  # a student may win twice
    others = [j for j in np.argsort(-last.max(axis=0), kind="stable").tolist() if j not in taken]
    return np.array([*taken, *others])


def _panels(layers: int, curves: bool) -> go.Figure:
    if not curves:
        fig = make_subplots(1, layers, subplot_titles=LAYERS[:layers], horizontal_spacing=0.06)
    else:
        # Twice as many columns as layers, so that two panels fit below however many stand above.
        below = [{"colspan": layers}, *[None] * (layers - 1)] * 2
        fig = make_subplots(
            2, 2 * layers, subplot_titles=(*LAYERS[:layers], "largest correlations", "training loss"),
            vertical_spacing=0.2, row_heights=[0.55, 0.45], horizontal_spacing=0.06,
            specs=[[{"colspan": 2}, None] * layers, below],
        )  # fmt: skip
        for k, span in enumerate(([0.0, 0.42], [0.58, 1.0])):  # room for the second axis' words
            fig.layout[f"xaxis{layers + 1 + k}"].domain = span
            fig.layout.annotations[layers + k].x = sum(span) / 2
    fig.update_xaxes(title="student", row=1)
    fig.update_yaxes(autorange="reversed", row=1)
    fig.update_yaxes(title="teacher", row=1, col=1)
    bar = {"title": {"text": "correlation"}, "thickness": 14, "outlinewidth": 0}
    fig.update_layout(coloraxis={"colorscale": SCALE, "cmin": 0, "cmax": 1, "colorbar": bar})
    return fig


def _maps(found: list[np.ndarray], orders: list[np.ndarray]) -> list[dict[str, Any]]:
    """One heat map per layer; numbers to 3 digits, since a page carries many."""
    hover = "teacher %{y}, student %{x}: %{z:.2f}<extra></extra>"
    return [
        {
            "type": "heatmap", "z": np.round(np.maximum(C[0][:, order], 0), 3).tolist(), "coloraxis": "coloraxis",
            "hovertemplate": hover, "xaxis": f"x{i or ''}", "yaxis": f"y{i or ''}",
        }
        for i, (C, order) in zip([0, *range(2, len(found) + 1)], zip(found, orders, strict=True), strict=True)
    ]  # fmt: skip


def in_training(params: Params, problem: Problem, solution: Solution, scores: Scores) -> go.Figure:
    """Correlations now, and how they came about: the figure of the explorer."""
    trace = solution.trace
    found, at = trace["correlations"][-1], trace["at"]
    orders = [_ordered(C[0]) for C in found]
    fig = _panels(len(found), curves=True)
    data = _maps(found, orders)
    for i in range(len(found)):
        best = trace["best"][0, :, i]
        data.append(panel_trace(len(found) + 1, at, best, LAYERS[i], line={"color": COLORS[i]}))
    loss = trace["loss"][0]
    data.append(panel_trace(len(found) + 2, at, loss, "loss", line={"color": "black"}, showlegend=False))
    fig.add_traces(data)
    fig.update_yaxes(range=[0, 1.02], row=2, col=1)
    fig.update_xaxes(title="step", row=2)
    fig.update_yaxes(type="log", title="mean squared error", exponentformat="power", row=2, col=len(found) + 1)
    words = f"after {at[-1]} steps: "
    if solution.status[0].usable:
        lowest, highest = scores["live_1"][0], scores[LIVE[len(found) - 1]][0]
        words += f"correlations {lowest:.3f} in the lowest layer, {highest:.3f} in the highest"
    else:
        words += solution.status[0]
    narrow = stacked(fig, height=160 + 300 * (len(found) + 2))
    return style(
        fig,
        f"A student in training<br><sup>{words}</sup>",
        alt=f"A student in training: {words}",
        height=720,
        narrow=narrow,
    )


def training(solution: Solution) -> go.Figure:
    """Correlations over training, with a slider; students stand in the order of the end."""
    trace = solution.trace
    orders = [_ordered(C[0]) for C in trace["correlations"][-1]]
    fig = _panels(len(orders), curves=False)
    fig.add_traces(_maps(trace["correlations"][0], orders))
    fig.frames = [
        go.Frame(data=_maps(found, orders), name=f"{trace['at'][i]}")
        for i, found in zip(trace["shown"], trace["correlations"], strict=True)
    ]
    words = f"correlations of student with teacher neurons over {trace['at'][-1]} steps of training, layer by layer"
    style(fig, "", alt=words, height=460, narrow=stacked(fig, height=160 + 300 * len(orders)))
    return player(fig, "Best match of each teacher neuron", words)


def falling(noted: dict[str, np.ndarray], title: str) -> go.Figure:
    """Fan-outs of a student's neurons against iterations: winners keep theirs, the others' fall.

    Parameters
    ----------
    noted : of `experiments.matrix_rule.falling`
    """
    fig = go.Figure()
    shown = noted["at"] + 1
    for won, name, color in (
        (False, "other neurons", COLORS[0]),
        (True, "neurons that win a teacher neuron", COLORS[1]),
    ):
        rows = noted["fan_out"][:, noted["won"] == won].T
        x = np.tile([*shown, np.nan], len(rows))
        y = np.hstack([rows, np.full((len(rows), 1), np.nan)]).ravel()
        fig.add_scatter(x=x, y=y, name=name, mode="lines", line={"color": color, "width": 1.2}, opacity=0.7)
    ends = {"x": np.full(len(noted["teacher"]), shown[-1]), "y": noted["teacher"]}
    fig.add_scatter(**ends, name="teacher neurons", mode="markers", marker={"color": "black", "symbol": "line-ew-open"})
    powers = {"type": "log", "dtick": 1, "exponentformat": "power"}
    fig.update_xaxes(title="iteration + 1", **powers)
    fig.update_yaxes(title="fan-out |v<sub>k</sub>|", **powers)
    return style(fig, title, alt=f"{title}: fan-out of each student neuron against iterations")


def by_strength(table: pd.DataFrame, lines: str, title: str) -> go.Figure:
    """Rate at which teacher neuron 1, 2, ... is found, with its 95 % band; a line for each value of `lines`.

    Parameters
    ----------
    table : rows of `multilayer_dynamics.two_layer_specialization`
    """
    names = [name for name in table if str(name).startswith("found_") and table[name].notna().any()]
    rows = table[[lines, "status", *names]].melt([lines, "status"], names, "neuron", "found")
    rows["neuron"] = rows["neuron"].str.removeprefix("found_").astype(int)
    rows["found"] = (rows["found"] > 0.5).astype("boolean")
    cells = tables.rate(rows, "found", [lines, "neuron"])
    fig = go.Figure()
    for i, (value, part) in enumerate(cells.groupby(lines)):
        color = COLORS[i % len(COLORS)]
        band = {"x": [*part["neuron"], *part["neuron"][::-1]], "y": [*part["high"], *part["low"][::-1]]}
        shade = {"fill": "toself", "fillcolor": color, "opacity": 0.15, "line": {"width": 0}}
        fig.add_scatter(**band, **shade, mode="lines", hoverinfo="skip", showlegend=False)
        fig.add_scatter(x=part["neuron"], y=part["rate"], name=f"{lines} = {value}", line={"color": color})
    fig.update_xaxes(title="teacher neuron, the strongest first", dtick=1)
    fig.update_yaxes(title="rate of being found, 95 % band", range=[-0.02, 1.02])
    return style(fig, title, alt=f"{title}: rate against the teacher neuron's number, for each {lines}")
