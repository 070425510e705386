"""How figures look: colours, letters, and the layout on a phone."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go
import plotly.io as pio

# Okabe and Ito's colours stay apart for colour-blind readers, on a light and on a dark page.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SCALE = "Cividis"
FONT = {"family": "system-ui, sans-serif", "size": 14}
# Plotly's bar of buttons offers by default to upload the figure to a company's server.
CONFIG = {"showSendToCloud": False, "displaylogo": False, "responsive": True}
pio.renderers["plotly_mimetype"].config = CONFIG


def stacked(fig: go.Figure, height: int) -> dict[str, Any]:
    """The layout, `height` pixels in all, in which the panels of a row stand one above the other: for a phone.

    Parameters
    ----------
    fig : panels with a title each, as `make_subplots` makes them
    """
    titles = [title.to_plotly_json() for title in fig.layout.annotations]
    gap = 110 / (height - 160)  # for a panel's title and the axis above it
    tall = (1 - gap * (len(titles) - 1)) / len(titles)
    layout: dict[str, Any] = {"height": height, "annotations": []}
    for i, title in enumerate(titles):
        top, axis = 1 - i * (tall + gap), str(i + 1) if i else ""
        layout[f"xaxis{axis}"] = {"domain": [0, 1]}
        layout[f"yaxis{axis}"] = {"domain": [max(top - tall, 0), top], "showticklabels": True}
        layout["annotations"].append({**title, "x": 0.5, "y": top})
    return layout


def style(fig: go.Figure, title: str, alt: str, height: int = 460, narrow: dict[str, Any] | None = None) -> go.Figure:
    """The house's look.

    Parameters
    ----------
    title : may hold a line of small print after ``<br><sup>``
    alt : what a reader who does not see the figure is told
    narrow : the layout that changes on a phone
    """
    meta = {"alt": alt} | ({"narrow": narrow} if narrow else {})
    legend = {"orientation": "h", "y": -0.22, "x": 0, "yanchor": "top"}
    margin = {"l": 64, "r": 24, "t": 96, "b": 64}
    fig.update_layout(
        title={"text": title, "x": 0, "xref": "paper"}, template="plotly_white", font=FONT, height=height,
        legend=legend, margin=margin, colorway=COLORS, meta=meta,
    )  # fmt: skip
    return fig
