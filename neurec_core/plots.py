"""Tables and solutions as plotly figures. A figure is returned, never saved or shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from . import tables
from .experiment import Experiment
from .params import BadInput
from .style import COLORS, SCALE, stacked, style
from .values import word


def plot(table: pd.DataFrame, experiment: Experiment, column: str | None = None) -> go.Figure:
    """The figure that fits what varies in a table.

    Two numeric parameters make a phase diagram, one makes curves with their band, none makes bars; one
    further parameter that varies makes panels, lines or bars. A numeric parameter of two values alone makes lines, too.

    Parameters
    ----------
    table : rows of the experiment
    column : a score; the headline if omitted

    Raises
    ------
    BadInput : more parameters vary than one figure can show
    """
    column = column or headline(experiment)
    declared = experiment.params.declared()
    free = tables.varying(table, declared)
    numeric = [name for name in free if declared[name].kind in ("int", "float")]
    rest = [name for name in free if name not in numeric[:2]]
    if len(rest) > 1:
        raise BadInput(
            f"a figure shows at most three parameters that vary, this table varies {', '.join(free)}; "
            "keep some rows only (neurec plot --where FIELD=VALUES)"
        )
    split = rest[0] if rest else None
    mapped = rest or experiment.guides  # predicted curves are drawn over a plane
    if len(numeric) == 2 and not mapped and (pair := [name for name in numeric if table[name].nunique() == 2]):
        split = pair[-1]
        numeric.remove(split)
    if len(numeric) >= 2:
        return phase_diagram(table, experiment, numeric[0], numeric[1], column=column, panels=split)
    if numeric:
        return curves(table, experiment, numeric[0], column, lines=split)
    return bars(table, experiment, split or next(iter(declared)), column)


def headline(experiment: Experiment) -> str:
    """The first of an experiment's columns."""
    return next(iter(experiment.columns))


def summarise(
    table: pd.DataFrame, experiment: Experiment, column: str, by: Sequence[str], *, average: bool = False
) -> pd.DataFrame:
    """A rate with its Wilson band, or a median with its 80 % band, as ``value``, ``low``, ``high``.

    With `average` a measure's mean with its standard error.
    """
    if experiment.columns[column].kind == "event":
        return tables.rate(table, column, by).rename(columns={"rate": "value"})
    if average:
        return tables.mean(table, column, by).rename(columns={"mean": "value"})
    return tables.spread(table, column, by).rename(columns={"median": "value"})


def parts_of(table: pd.DataFrame, by: str | None) -> list[tuple[str, pd.DataFrame]]:
    """The rows of each value of a parameter, beside the words for it; all rows where there is none."""
    if by is None:
        return [("", table)]
    return [(f"{by} = {word(value)}", rows) for value, rows in table.groupby(by, dropna=False)]


# ---------------------------------------------------------------------------------- tables as figures


def phase_diagram(
    table: pd.DataFrame,
    experiment: Experiment,
    x: str,
    y: str,
    *,
    column: str | None = None,
    panels: str | None = None,
    limits: tuple[float, float] | None = None,
) -> go.Figure:
    """Rate (or median) over two parameters, the measured 50 % points with their band, the predicted curves.

    Values of a `y` whose slider is geometric stand at equal distances. Colours of a logarithmic measure do, too.

    Parameters
    ----------
    x, y : numeric parameters
    column : a score; the headline if omitted
    panels : a parameter whose values get a panel each
    limits : of the colours; by default the 2 and 98 % quantiles of the medians
    """
    column = column or headline(experiment)
    table = tables.with_axis(tables.with_axis(table, experiment, x), experiment, y)
    parts = parts_of(table, panels)
    crowded = len(parts) > 3
    words_alone = crowded and not pd.api.types.is_numeric_dtype(table[panels])
    titles = [title.removeprefix(f"{panels} = ") if words_alone else title for title, _ in parts]
    fig = make_subplots(1, len(parts), shared_yaxes=True, subplot_titles=titles)
    for i, (_, part) in enumerate(parts, start=1):
        fig.add_trace(_heatmap(part, experiment, x=x, y=y, column=column), 1, i)
        for curve in _guides(part, experiment, x, y):
            fig.add_trace(curve.update(showlegend=i == 1), 1, i)
        if experiment.columns[column].kind == "event":
            points = _thresholds(part, column, x, y)
            fig.add_trace(points.update(showlegend=i == 1 and len(points.x) > 0), 1, i)
    declared = experiment.params.axes()
    span = [np.min(table[x]), np.max(table[x])]
    step = _step(table[x])
    fig.update_xaxes(title=declared[x].axis, range=[span[0] - step / 2, span[1] + step / 2])
    fig.update_yaxes(title=declared[y].axis, col=1)
    if declared[y].geometric:
        fig.for_each_trace(lambda trace: trace.update(y=[f"{value:g}" for value in trace.y]))
        fig.update_yaxes(type="category")
    fig.update_xaxes(tickangle=0, nticks=5 if crowded else None)
    fig.update_coloraxes(colorscale=SCALE, colorbar=_colorbar(experiment, column))
    if experiment.columns[column].kind == "event":
        fig.update_coloraxes(cmin=0, cmax=1)
    else:  # a few extreme cells would leave one colour for all others
        medians = np.concatenate([panel.z.ravel() for panel in fig.select_traces({"type": "heatmap"})])
        if limits:
            low, high = np.log10(limits) if experiment.columns[column].logarithmic else limits
            fig.update_coloraxes(cmin=low, cmax=high)
        elif np.isfinite(medians).any():
            low, high = np.nanquantile(medians, [0.02, 0.98])
            fig.update_coloraxes(cmin=low, cmax=high)
    words = f"{experiment.columns[column].label}, over {declared[x].label} and {declared[y].label}"
    return _finish(fig, experiment, column, table, alt=words)


def _heatmap(table: pd.DataFrame, experiment: Experiment, *, x: str, y: str, column: str) -> go.Heatmap:
    cells = summarise(table, experiment, column, [x, y])
    grids = [cells.pivot(index=y, columns=x, values=v) for v in ("value", "low", "high", "trials", "failed")]
    z = grids[0].to_numpy(float)
    return go.Heatmap(
        x=grids[0].columns.to_numpy(float),
        y=grids[0].index.to_numpy(float),
        z=np.log10(z) if experiment.columns[column].logarithmic else z,
        customdata=np.stack([g.to_numpy(float) for g in grids], axis=-1),
        coloraxis="coloraxis",
        hovertemplate=f"{x} = %{{x}}, {y} = %{{y}}<br>%{{customdata[0]:.3g}} [%{{customdata[1]:.3g}}, "
        "%{customdata[2]:.3g}]<br>%{customdata[3]} trials, %{customdata[4]} failed<extra></extra>",
    )


def _guides(table: pd.DataFrame, experiment: Experiment, x: str, y: str) -> list[go.Scatter]:
    lines = []
    for guide in experiment.guides:
        holds = all(table[name].isin(values).all() for name, values in guide.holds.items())
        if (guide.x, guide.y) == (x, y) and holds:
            categories = experiment.params.axes()[y].geometric
            ys = np.unique(table[y]) if categories else np.linspace(table[y].min(), table[y].max(), 50)
            line = {"color": COLORS[3], "width": 3, "dash": "dash"}
            lines.append(go.Scatter(x=guide.curve(ys), y=ys, mode="lines", line=line, name=f"predicted: {guide.label}"))
    return lines


def _thresholds(table: pd.DataFrame, event: str, x: str, y: str) -> go.Scatter:
    points = tables.threshold(table, event, x, [y]).dropna(subset="threshold")
    reach = {"array": points["high"] - points["threshold"], "arrayminus": points["threshold"] - points["low"]}
    return go.Scatter(
        x=points["threshold"],
        y=points[y],
        error_x={"symmetric": False, "color": "#D55E00", "thickness": 1.5, **reach},
        mode="markers",
        marker={"color": "#D55E00", "size": 9, "line": {"color": "white", "width": 1}},
        name="measured 50 % point, 95 % range",
    )


def _step(values: pd.Series) -> float:
    steps = np.diff(np.unique(values.to_numpy(float)))
    return float(steps.min()) if len(steps) else 1.0


def _colorbar(experiment: Experiment, column: str) -> dict[str, Any]:
    declared = experiment.columns[column]
    title = "rate" if declared.kind == "event" else "median" + (f"<br>{declared.unit}" if declared.unit else "")
    powers = {"tickprefix": "10<sup>", "ticksuffix": "</sup>"} if declared.logarithmic else {}
    return {"title": {"text": title}, "thickness": 14, "outlinewidth": 0, **powers}


def curves(
    table: pd.DataFrame,
    experiment: Experiment,
    x: str,
    column: str | None = None,
    *,
    lines: str | None = None,
    average: bool = False,
) -> go.Figure:
    """Rate (or median, or mean) along one parameter, with its band; one line for each value of `lines`."""
    column, table = column or headline(experiment), tables.with_axis(table, experiment, x)
    fig = go.Figure()
    parts = parts_of(table, lines)
    for i, (name, part) in enumerate(parts):
        cells = summarise(part, experiment, column, [x], average=average)
        line(fig, cells, x, name=name or "measured", color=COLORS[i % len(COLORS)], named=lines is not None)
    declared = experiment.params.axes()[x]
    fig.update_layout(hovermode="x unified", xaxis_title=declared.axis)
    fig.update_yaxes(title=_value_axis(experiment, column, average))
    if experiment.columns[column].logarithmic:
        logarithmic(fig, "y")
    return _finish(fig, experiment, column, table, alt=f"{experiment.columns[column].label}, against {declared.label}")


def measures(table: pd.DataFrame, experiment: Experiment, x: str, columns: Sequence[str], *, title: str) -> go.Figure:
    """Medians of several measures in one unit along one parameter, with their bands, a line each."""
    fig, table = go.Figure(), tables.with_axis(table, experiment, x)
    for i, column in enumerate(columns):
        cells = summarise(table, experiment, column, [x])
        line(fig, cells, x, name=experiment.columns[column].label, color=COLORS[i % len(COLORS)])
    declared = experiment.params.axes()[x]
    fig.update_layout(hovermode="x unified", xaxis_title=declared.axis)
    fig.update_yaxes(title=_value_axis(experiment, columns[0]))
    return style(fig, title, alt=f"{title}, against {declared.label}")


def line(
    fig: go.Figure, cells: pd.DataFrame, x: str, *, name: str, color: str, named: bool = True, dash: str | None = None
) -> None:
    """Add a line with its band to a figure: columns `x`, ``value``, ``low`` and ``high`` of `cells`.

    Of more than 60 points the line alone is drawn, without a marker at each.
    """
    cells = cells.dropna(subset="value")
    band = {"x": [*cells[x], *cells[x][::-1]], "y": [*cells["high"], *cells["low"][::-1]]}
    shade = {"fill": "toself", "fillcolor": color, "opacity": 0.2, "line": {"width": 0}}
    fig.add_scatter(**band, **shade, mode="lines", hoverinfo="skip", showlegend=False, legendgroup=name)
    fig.add_scatter(
        x=cells[x], y=cells["value"], name=name, legendgroup=name, mode="lines" if len(cells) > 60 else "lines+markers",
        line={"color": color, "dash": dash}, showlegend=named, customdata=cells[["low", "high", "trials"]],
        hovertemplate="%{y:.3g} [%{customdata[0]:.3g}, %{customdata[1]:.3g}], %{customdata[2]} trials",
    )  # fmt: skip


def logarithmic(fig: go.Figure, axes: str = "xy") -> go.Figure:
    """Logarithmic axes, marked at powers of ten; at 2 and 5 in between where they span less than two of them.

    Of more than nine powers some are left out.
    """
    for axis in axes:
        values = np.concatenate([np.asarray(getattr(trace, axis), float) for trace in fig.data])
        values = values[np.isfinite(values) & (values > 0)]
        powers = np.log10(values.max() / values.min()) if len(values) else 9.0
        every = "D2" if powers < 2 else int(np.ceil(powers / 9))
        ticks = {"type": "log", "dtick": every, "exponentformat": "power"}
        fig.update_layout({f"{axis}axis": ticks})
    return fig


def bars(table: pd.DataFrame, experiment: Experiment, x: str, column: str | None = None) -> go.Figure:
    """Rate (or median) of each value of one parameter, with its band."""
    column = column or headline(experiment)
    cells = summarise(table, experiment, column, [x])
    reach = {"array": cells["high"] - cells["value"], "arrayminus": cells["value"] - cells["low"]}
    fig = go.Figure()
    fig.add_bar(
        x=cells[x].map(word), y=cells["value"], error_y={"symmetric": False, **reach}, marker_color=COLORS[0],
        width=0.5, customdata=cells[["trials", "failed"]],
        hovertemplate="%{y:.3g}, %{customdata[0]} trials, %{customdata[1]} failed<extra></extra>",
    )  # fmt: skip
    declared = experiment.params.axes()[x]
    fig.update_xaxes(title=declared.axis)
    fig.update_yaxes(title=_value_axis(experiment, column))
    return _finish(fig, experiment, column, table, alt=f"{experiment.columns[column].label}, for each {declared.label}")


def _value_axis(experiment: Experiment, column: str, average: bool = False) -> str:
    declared = experiment.columns[column]
    if declared.kind == "event":
        return "rate, 95 % band"
    words = "mean, standard error" if average else "median, middle 80 %"
    return words + (f" ({declared.unit})" if declared.unit else "")


def _finish(fig: go.Figure, experiment: Experiment, column: str, table: pd.DataFrame, *, alt: str) -> go.Figure:
    trials = tables.usable(table)
    failed = len(table) - len(trials)
    note = f"{len(table)} trials" + (f", {failed} failed" if failed else "")
    title = f"{experiment.columns[column].label}<br><sup>{note}</sup>"
    panels = len(fig.layout.annotations)
    narrow = stacked(fig, height=160 + 320 * panels) if panels > 1 else None
    return style(fig, title, alt=f"{alt}; {note}", narrow=narrow)
