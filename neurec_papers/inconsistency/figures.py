"""Figures 3 and 9 to 12 of the paper, drawn from rows: best lines, median nets, errors over the dimension, kinks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_core.style import COLORS, panel_trace, stacked, style

from . import theory, view
from .experiments import comparison, examples

NAMES = {"he": "He", "ntk": "NTK", "gd": "SGD", "momentum": "SGDM", "adam": "Adam"}
BIASES = {
    "zero": "zero", "pytorch": "PyTorch", "uniform": "U", "uniform_positive": "U+", "uniform_negative": "U−",
    "kink_uniform_negative": "Uk−", "kink_point_negative": "Xk−", "he5": "He+5",
}  # fmt: skip
SETUPS = [
    (parameterization, optimizer) for parameterization in ("he", "ntk") for optimizer in ("gd", "momentum", "adam")
]
NETS = [("he", "zero"), ("he", "kink_uniform_negative"), ("ntk", "zero"), ("ntk", "kink_uniform_negative")]
SEED, CANDIDATES, REACH = 5, 11, 1.4  # of figure 9
SHADE: dict[str, Any] = {
    "fill": "toself",
    "opacity": 0.2,
    "line": {"width": 0},
    "hoverinfo": "skip",
    "showlegend": False,
}
# More lines than there are colours: those of the second turn are dotted.
LOOKS = [{"color": color, "dash": dash} for dash in ("solid", "dot") for color in COLORS]
BANDED = 5  # networks, from which on their standard error says something
RATIOS = [0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5]  # marked on the axis
POINT = {"color": "gray", "size": 5}


def best_lines(rows: pd.DataFrame) -> go.Figure:
    """Figure 3: the least-squares line of either side, of the points as drawn and without the lines' intercepts.

    Parameters
    ----------
    rows : of `inconsistency.training_examples`; the published points if they are there, or else those of the first row
    """
    first = rows.iloc[int((rows["rng"] == "published").to_numpy().argmax())]
    params, draws = _point(examples.TrainingExamples, first), Draws(int(first["seed"]), [int(first["trial"])])
    x, raw = (part[0] for part in examples.drawn(params, draws))
    centred = examples.sample(params, draws).y[0]
    fig = make_subplots(1, 2, subplot_titles=["points as drawn", "points that are trained on"], shared_yaxes=True)
    words = []
    for panel, y in enumerate((raw, centred), start=1):
        fig.add_trace(panel_trace(panel, x, y, "points", mode="markers", marker=POINT, showlegend=panel == 1))
        for side, color in ((-1, COLORS[0]), (1, COLORS[1])):
            on = np.sign(x) == side
            if len(np.unique(x[on])) < 2:
                raise BadInput("rows (to draw) must have two points or more on either side of 0, got fewer")
            line = np.polyfit(x[on], y[on], 1)
            name = f"best line for x {'>' if side > 0 else '<'} 0"
            ends = np.array([0, x[on][np.abs(x[on]).argmax()]])
            look: dict[str, Any] = {"line": {"color": color, "width": 3}, "showlegend": panel == 1}
            fig.add_trace(panel_trace(panel, ends, np.polyval(line, ends), name, **look))
            words.append(f"{line[1]:.3f}")
    fig.update_xaxes(title="input x")
    fig.update_yaxes(title="label y", col=1)
    note = f"intercepts {words[0]} and {words[1]}, taken from the labels before training"
    alt = f"Points on a line and the least-squares line of either side; {note}"
    return style(fig, f"Best lines of either side<br><sup>{note}</sup>", alt=alt, narrow=stacked(fig, height=900))


def published_training() -> go.Figure:
    """Figures 1 and 2 as one film: the authors' network, its loss and its kinks from step to step."""
    params, draws = examples.TrainingExamples(rng="published"), Draws(0, [0])
    problem, solution, _ = examples.TRAINING_EXAMPLES.run(params, draws)
    return view.training(problem, solution)


def median_nets(rows: pd.DataFrame) -> go.Figure:
    """Figure 9: trained networks on P_ex, of eleven each the one whose validation error is the median.

    The eleven share their training points (seed 5) and take the best step size of the rows. They are trained here, in
    seconds at the published size.

    Parameters
    ----------
    rows : of `inconsistency.comparison`, on P_ex by gradient descent
    """
    best = {(row["parameterization"], row["bias"]): row for row in _best(rows).to_dict("records")}
    if not (there := [net for net in NETS if net in best]):
        raise BadInput("rows (to draw) must hold biases from zero or kink_uniform_negative that converged, got none")
    fig = go.Figure()
    for i, net in enumerate(there):
        params = _point(comparison.Comparison, best[net])
        problem = comparison.sample(params, Draws(SEED, [0] * CANDIDATES))
        solution = comparison.solve(params, problem, Draws(SEED, range(CANDIDATES)))
        errors = comparison.score(params, problem, solution)["valid_rmse"]
        middle = np.argsort(errors)[CANDIDATES // 2]
        x = np.linspace(-REACH, REACH, 500)
        if i == 0:
            marker = {"color": "black", "size": 5, "symbol": "x-thin", "line_width": 1}
            fig.add_scatter(x=problem.X[0, :, 0], y=problem.y[0], mode="markers", name="training points", marker=marker)
        f = solution.value(np.tile(x[:, None], (CANDIDATES, 1, 1)))[middle]
        name = f"{NAMES[net[0]]}, {BIASES[net[1]]}: error {errors[middle]:.2f}"
        fig.add_scatter(x=x, y=f, mode="lines", name=name, line_color=COLORS[i])
    fig.update_xaxes(title="input x")
    fig.update_yaxes(title="label y, output f(x)")
    note = f"gradient descent, the median of {CANDIDATES} networks by validation error"
    alt = f"Training points and the outputs of trained networks, which the legend names with their errors; {note}"
    return style(fig, f"Trained networks on P<sub>ex</sub><br><sup>{note}</sup>", alt=alt)


def over_dimension(rows: pd.DataFrame) -> go.Figure:
    """Figure 10: for each setup the errors of other biases relative to those of zero biases, over the dimension.

    Bands are two standard errors of the mean, as published, where there are five networks or more; each setting has its
    own best step size.

    Parameters
    ----------
    rows : of `inconsistency.comparison`, on the radial distribution
    """
    best = _best(rows)
    titles = [f"{NAMES[p]}, {NAMES[o]}" for p, o in SETUPS]
    options = {"shared_xaxes": True, "shared_yaxes": "all", "vertical_spacing": 0.12, "horizontal_spacing": 0.04}
    fig = make_subplots(2, 3, subplot_titles=titles, **options)
    biases = [bias for bias in BIASES if bias in set(best["bias"])]
    for panel, (parameterization, optimizer) in enumerate(SETUPS, start=1):
        of = best[(best["parameterization"] == parameterization) & (best["optimizer"] == optimizer)]
        zero = of[of["bias"] == "zero"].set_index("d")["test_rmse"]
        for bias in biases:
            look = LOOKS[biases.index(bias)]
            _relative(fig, of[of["bias"] == bias], zero, panel=panel, name=BIASES[bias], line=look, named=panel == 1)
    _dimension_axes(fig, best, "relative error", first=(1, 4), last=range(4, 7))
    note = f"{_nets(best)}; width {best['width'].iloc[0]}, {best['iterations'].iloc[0]} steps"
    title = f"Test error relative to zero biases<br><sup>{note}</sup>"
    alt = f"Errors of other biases over those of zero biases against the input dimension, six setups; {note}"
    return style(fig, title, alt=alt, height=640, narrow=stacked(fig, height=2000))


def zero_over_dimension(rows: pd.DataFrame) -> go.Figure:
    """Figure 11: errors of the six setups with zero biases, relative to those of He's weights and gradient descent.

    Bands are as in `over_dimension`.

    Parameters
    ----------
    rows : of `inconsistency.comparison`, on the radial distribution
    """
    best = _best(rows)
    of = best.set_index(["parameterization", "optimizer"]).sort_index()
    fig = make_subplots(1, 1)
    reference = best[(best["parameterization"] == "he") & (best["optimizer"] == "gd")].set_index("d")["test_rmse"]
    for i, setup in enumerate(SETUPS):
        if setup in of.index:
            name = f"{NAMES[setup[0]]}, {NAMES[setup[1]]}"
            _relative(fig, of.loc[[setup]], reference, panel=1, name=name, line=LOOKS[i], named=True)
    _dimension_axes(fig, best, "error / error of He, SGD", first=(1,), last=(1,))
    note = f"{_nets(best)}; width {best['width'].iloc[0]}, {best['iterations'].iloc[0]} steps"
    alt = f"Errors of six setups with zero biases, relative to one of them, against the input dimension; {note}"
    return style(fig, f"Test error with zero biases<br><sup>{note}</sup>", alt=alt)


def _best(rows: pd.DataFrame) -> pd.DataFrame:
    """The best step size of every setting, of nets of one size: where there are several, that of most dimensions."""
    best = comparison.best_rates(rows)
    if best.empty:
        raise BadInput("rows (to draw) must hold a step size with which every net converged, got none")
    sizes = best.groupby(["width", "points", "held_out", "iterations", "every"])
    return sizes.get_group(sizes["d"].nunique().idxmax())


def _relative(
    fig: go.Figure,
    best: pd.DataFrame,
    reference: pd.Series,
    *,
    panel: int,
    name: str,
    line: dict[str, str],
    named: bool,
) -> None:
    """A line of mean errors in units of others at the same dimension, with two standard errors."""
    best = best[best["d"].isin(reference.index)].sort_values("d")
    unit = reference.loc[best["d"]].to_numpy()
    y, band = best["test_rmse"].to_numpy() / unit, 2 * best["test_rmse_error"].fillna(0).to_numpy() / unit
    x, low = best["d"].to_numpy(), np.maximum(y - band, 1e-3)
    if (best["nets"] >= BANDED).all():
        shade = panel_trace(panel, [*x, *x[::-1]], [*(y + band), *low[::-1]], name, fillcolor=line["color"], **SHADE)
        fig.add_trace({**shade, "legendgroup": name})
    fig.add_trace(panel_trace(panel, x, y, name, mode="lines+markers", line=line, showlegend=named, legendgroup=name))


def _dimension_axes(
    fig: go.Figure, best: pd.DataFrame, words: str, *, first: Sequence[int], last: Sequence[int]
) -> None:
    """Logarithmic axes, marked at the dimensions; titles beside the first panels of rows and below the last ones."""
    at = sorted(int(d) for d in best["d"].unique())
    fig.update_xaxes(type="log", tickvals=at, ticktext=[str(d) for d in at])
    fig.update_yaxes(type="log", tickvals=RATIOS)
    for panel in last:
        fig.layout[f"xaxis{panel if panel > 1 else ''}"].title = {"text": "input dimension d"}
    for panel in first:
        fig.layout[f"yaxis{panel if panel > 1 else ''}"].title = {"text": words}


def _nets(best: pd.DataFrame) -> str:
    low, high = best["nets"].min(), best["nets"].max()
    words = f"{low} networks" if low == high else f"{low} to {high} networks"
    return f"{'two standard errors' if low >= BANDED else 'means'} of {words}"


def kink_distances(rows: pd.DataFrame) -> go.Figure:
    """Figure 12: how far from the origin kinks lie at the start, in closed form, with biases from U- and from Uk-.

    Parameters
    ----------
    rows : of `inconsistency.comparison`; their dimensions are drawn
    """
    t, fig = np.linspace(0, 4, 401), go.Figure()
    for i, d in enumerate(sorted(int(d) for d in rows["d"].unique())):
        y, look = theory.kink_distance_cdf(t, d), LOOKS[i % len(LOOKS)]
        fig.add_scatter(x=t, y=y, mode="lines", name=f"U−, d = {d}", line=look)
    black = {"color": "black", "dash": "dash"}
    fig.add_scatter(x=t, y=np.minimum(t / 3**0.5, 1), mode="lines", name="Uk−, any d", line=black)
    fig.update_xaxes(title="distance of a kink from the origin")
    fig.update_yaxes(title="distribution function", range=[0, 1.02])
    alt = "Distribution functions of the distance of kinks at the start; with growing d those of U- tend to that of Uk-"
    return style(fig, "Kinks at the start<br><sup>as d grows, U− tends to Uk−</sup>", alt=alt)


def _point(model: Any, row: Any) -> Any:
    """The parameters of a row."""
    return model(**{name: None if pd.isna(row[name]) else row[name] for name in model.model_fields})
