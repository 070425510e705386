"""A figure of the published table of greedy walks that no declaration describes."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from neurec_core.style import COLORS, style
from neurec_core.tables import mean, usable


def output_signs(rows: pd.DataFrame) -> go.Figure:
    """Where each method ends, with output signs in turns and with signs by chance: means with their standard errors.

    Parameters
    ----------
    rows : of `relu_zonotopes.local_search`, of one width and number of points
    """
    fig = go.Figure()
    for color, (outputs, part) in zip(COLORS, rows.groupby("outputs"), strict=False):
        ends = mean(part, "end", ["method"])
        error = {"type": "data", "array": ends["high"] - ends["mean"]}
        bars = {"x": ends["method"], "y": ends["mean"], "error_y": error, "customdata": ends["trials"]}
        hover = "%{y:.3g}, %{customdata} trials"
        fig.add_bar(**bars, name=f"output signs {outputs}", marker_color=color, hovertemplate=hover)
    fig.update_yaxes(title="mean loss at the end, standard error")
    fig.update_xaxes(title="method")
    title = f"Loss at the end, by method and output signs<br><sup>{len(usable(rows))} trials</sup>"
    return style(fig, title, alt="Mean loss at the end of each method, with alternating and with random output signs")
