"""The figures that an experiment declares, drawn from a table."""

from __future__ import annotations

import pkgutil

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from . import plots, tables
from .experiment import Experiment
from .figures import Computed, Curves, Drawing, PhaseDiagram, matching
from .params import BadInput, unknown
from .style import COLORS
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
