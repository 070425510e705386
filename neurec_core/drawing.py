"""The figures that an experiment declares, drawn from a table."""

from __future__ import annotations

import pkgutil

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from . import plots, tables
from .experiment import Experiment
from .figures import Computed, Curves, Drawing, PhaseDiagram, matching
from .history import declared as recorded
from .params import BadInput, unknown
from .style import COLORS, style
from .values import word

GUIDE = {"dash": "dot", "color": "gray"}
PLACES = 400  # of a predicted curve


def draw(table: pd.DataFrame, experiment: Experiment, name: str | None = None) -> go.Figure:
    """A figure that the experiment declares.

    Parameters
    ----------
    table : rows of the experiment; a figure that is computed does not look at them
    name : of the figure; the first that can show the table if omitted

    Raises
    ------
    BadInput : "unknown figure 'peek': did you mean peak? (one of peak, noise)", or rows that it cannot show
    """
    if not experiment.figures:
        raise BadInput(f"{experiment.name} declares no figures")
    if name is None:
        name = fitting(table, experiment) or next(iter(experiment.figures))
    if name not in experiment.figures:
        raise BadInput(unknown("figure", name, experiment.figures))
    figure = experiment.figures[name]
    if isinstance(figure, Computed):
        computed: go.Figure = pkgutil.resolve_name(figure.draw)()
        return computed
    if wrong := misfit(table, experiment, name):
        raise BadInput(f"figure {name} of {experiment.name} {wrong}")
    rows = matching(table, figure.where)
    if isinstance(figure, Drawing):
        drawn: go.Figure = pkgutil.resolve_name(figure.draw)(rows)
        return drawn
    if isinstance(figure, PhaseDiagram):
        return plots.phase_diagram(
            rows, experiment, figure.x, figure.y, column=figure.column, panels=figure.panels, limits=figure.limits
        )
    if isinstance(figure.column, list):
        fig = plots.measures(rows, experiment, figure.x, figure.column, title=figure.title)
    else:
        fig = plots.curves(rows, experiment, figure.x, figure.column, lines=figure.lines, average=figure.average)
    _predict(fig, rows, experiment, figure)
    for mark in figure.marks:
        place = np.log10(mark.at) if "x" in figure.logarithmic else mark.at  # as plotly has it for words, not for lines
        fig.add_vline(mark.at, line=GUIDE)
        fig.add_annotation(x=place, y=1, yref="paper", yanchor="bottom", text=mark.words, showarrow=False)
    return plots.logarithmic(fig, figure.logarithmic)


def fitting(table: pd.DataFrame, experiment: Experiment) -> str | None:
    """The first declared figure that can show a table; None where there is none."""
    return next((name for name in experiment.figures if not misfit(table, experiment, name)), None)


def misfit(table: pd.DataFrame, experiment: Experiment, name: str) -> str:
    """Why a declared figure cannot show a table, in words that follow its name; empty where it can."""
    figure = experiment.figures[name]
    if isinstance(figure, Computed):
        return "is computed and shows no rows"
    rows = matching(table, figure.where)
    if rows.empty:
        kept = ", ".join(f"{field} = {_words(value)}" for field, value in figure.where.items())
        return f"shows rows with {kept}, of which there are none"
    if isinstance(figure, Drawing):
        axes: tuple[str | None, ...] = figure.apart
    else:
        axes = (figure.x, figure.lines) if isinstance(figure, Curves) else (figure.x, figure.y, figure.panels)
    shown = {field for axis in axes if axis for field in experiment.params.read_by(axis)}
    drawn = rows.groupby(sorted(shown), dropna=False)
    rest = [field for field in experiment.params.declared() if field not in shown]
    if pooled := [field for field in rest if (drawn[field].nunique(dropna=False) > 1).any()]:
        return f"would take rows together that differ in {', '.join(pooled)}; keep one value (neurec plot --where)"
    return ""


def draw_history(records: pd.DataFrame, experiment: Experiment) -> go.Figure:
    """What was recorded against the step: medians over trials with their middle 80 %.

    A line for each column and, where a parameter varies, a colour for each of its values.

    Parameters
    ----------
    records : from `history.table` or `history.record`

    Raises
    ------
    BadInput : more than one parameter varies, or there is nothing to draw
    """
    history = recorded(experiment)
    if records.empty:
        raise BadInput(f"no trial of {experiment.name} recorded a history here")
    free = tables.varying(records, experiment.params.model_fields)
    if len(free) > 1:
        raise BadInput(
            f"a history shows one parameter that varies, these trials vary {', '.join(free)}; "
            "keep some of them only (neurec plot --where FIELD=VALUES)"
        )
    fig = go.Figure()
    parts = plots.parts_of(records, free[0] if free else None)
    for i, (words, part) in enumerate(parts):
        for j, (name, column) in enumerate(history.columns.items()):
            cells = tables.spread(part, name, [history.step]).rename(columns={"median": "value"})
            color = COLORS[(i if free else j) % len(COLORS)]
            label = f"{column.label}, {words}" if words else column.label
            plots.line(fig, cells, history.step, name=label, color=color, dash=("solid", "dot", "dash")[j % 3])
    first = next(iter(history.columns.values()))
    unit = f" ({first.unit})" if first.unit else ""
    fig.update_layout(hovermode="x unified", xaxis_title=history.step, yaxis_title=f"median, middle 80 %{unit}")
    if all(column.logarithmic for column in history.columns.values()):
        plots.logarithmic(fig, "y")
    words = " and ".join(column.label for column in history.columns.values())
    trials = len(records.drop_duplicates([*experiment.params.model_fields, "seed", "trial"]))
    note = f"{trials} trials"
    return style(fig, f"{words}<br><sup>{note}</sup>", alt=f"{words}, against the {history.step}; {note}")


def _words(value: object) -> str:
    return " or ".join(map(word, value)) if isinstance(value, list) else word(value)


def _predict(fig: go.Figure, rows: pd.DataFrame, experiment: Experiment, figure: Curves) -> None:
    """A dashed line for each measured one, over the same span."""
    if figure.theory is None:
        return
    fig.update_traces(mode="markers", selector={"mode": "lines+markers"})  # the curves lie below what was measured
    rows = tables.with_axis(rows, experiment, figure.x)
    for i, (_, part) in enumerate(plots.parts_of(rows, figure.lines)):
        ends = part[figure.x].min(), part[figure.x].max()
        x = np.geomspace(*ends, PLACES) if "x" in figure.logarithmic else np.linspace(*ends, PLACES)
        line = {"color": COLORS[i % len(COLORS)], "dash": "dash", "width": 1}
        y = figure.theory.curve(x, part.iloc[0])
        fig.add_scatter(x=x, y=y, mode="lines", line=line, name=figure.theory.words, showlegend=i == 0)
