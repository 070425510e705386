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
FRAME_MS = 120  # of an animation
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


def style(
    fig: go.Figure, title: str, *, alt: str, height: int = 460, narrow: dict[str, Any] | None = None
) -> go.Figure:
    """Give a figure its title, description, colours and layout.

    Parameters
    ----------
    title : may hold a line of small print after ``<br><sup>``
    alt : description for a reader who does not see the figure
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


def panel_trace(panel: int, x: Any, y: Any, name: str, *, mode: str = "lines", **look: Any) -> dict[str, Any]:
    """A line or points in a panel, counted from 1; a plain dictionary, which plotly takes faster than its own."""
    axes = {"xaxis": f"x{panel}", "yaxis": f"y{panel}"} if panel > 1 else {}
    return {"type": "scatter", "mode": mode, "x": x, "y": y, "name": name} | axes | look


def player(fig: go.Figure, title: str, alt: str, label: str = "step") -> go.Figure:
    """Play, pause and a slider, for where plotly draws them itself; the site has its own.

    Parameters
    ----------
    fig : with named frames
    title : may hold a line of small print after ``<br><sup>``
    alt : description for a reader who does not see the figure
    label : what the frames' names count
    """
    at_once = {"mode": "immediate", "frame": {"duration": 0, "redraw": False}, "transition": {"duration": 0}}
    play = {"frame": {"duration": FRAME_MS, "redraw": False}, "transition": {"duration": 0}, "fromcurrent": True}
    buttons = [
        {"label": "▶ play", "method": "animate", "args": [None, play]},
        {"label": "❚❚ pause", "method": "animate", "args": [[None], at_once]},
    ]
    marks = [{"label": frame.name, "method": "animate", "args": [[frame.name], at_once]} for frame in fig.frames]
    current = {"prefix": f"{label} ", "xanchor": "right"}  # away from the buttons
    slider = {"steps": marks, "currentvalue": current, "y": -0.32, "x": 0.2, "len": 0.8}
    menu = {
        "type": "buttons", "direction": "left", "buttons": buttons,
        "x": 0, "y": -0.36, "xanchor": "left", "yanchor": "top",
    }  # fmt: skip
    fig.update_layout(title_text=title, updatemenus=[menu], sliders=[slider], height=640, margin_b=200)
    fig.layout.meta = {**fig.layout.meta, "alt": alt, "frame_ms": FRAME_MS, "frame_label": label}
    return fig
