"""The page on the architecture: the three packages, and the modules of each in an order in which they can be read."""

from __future__ import annotations

import ast
import graphlib
from functools import cache
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go

from neurec_core import fingerprint

ROOT = Path(__file__).parents[1]
PACKAGES = {  # in lines that fit a box on a phone
    "neurec_papers": ("experiments", "of a paper,", "theory, figures,", "tables"),
    "neurec_core": ("how any", "experiment is", "run, stored and", "drawn"),
    "smallnets": ("networks,", "patterns, convex", "programs,", "training"),
}
PLACES = {"neurec_papers": (0.5, 0.8), "neurec_core": (0.25, 0.2), "smallnets": (0.75, 0.2)}
WIDE, HIGH = 0.48, 0.38  # of a box, in units of the figure
COLORS = {"neurec_papers": "#CC79A7", "neurec_core": "#0072B2", "smallnets": "#009E73"}


@cache
def files() -> dict[str, Path]:
    """Every module of the three packages by its name, packages included."""
    found = {}
    for path in sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(name: str) -> set[str]:
    """The modules of the three packages that a module imports."""
    return files().keys() & set(fingerprint.imported(files()[name], name)) - {name}


def lines(package: str) -> int:
    """Lines of a package's modules, blank ones and docstrings included."""
    own = (path for name, path in files().items() if name.partition(".")[0] == package)
    return sum(path.read_bytes().count(b"\n") for path in own)


def arrows() -> set[tuple[str, str]]:
    """Which package imports which, as (importing, imported)."""
    pairs = {(name.partition(".")[0], other.partition(".")[0]) for name in files() for other in imported(name)}
    return {(a, b) for a, b in pairs if a != b}


def figure() -> go.Figure:
    """The three packages as boxes, and an arrow for every import that crosses from one into another."""
    fig = go.Figure()
    for package, (x, y) in PLACES.items():
        corners = {"x0": x - WIDE / 2, "x1": x + WIDE / 2, "y0": y - HIGH / 2, "y1": y + HIGH / 2}
        fig.add_shape(type="rect", **corners, line={"color": COLORS[package], "width": 2})
        words = "<br>".join((*PACKAGES[package], f"{lines(package):,} lines"))
        text = f'<b>{package}</b><br><span style="font-size:13px">{words}</span>'
        fig.add_annotation(x=x, y=y, text=text, showarrow=False)
    for importing, other in sorted(arrows()):
        (x0, y0), (x1, y1) = PLACES[importing], PLACES[other]
        side = 0.3 * (x1 - x0)
        fig.add_annotation(
            ax=x0 + side, ay=y0 - HIGH / 2, x=x1 - side, y=y1 + HIGH / 2, axref="x", ayref="y", text="",
            arrowhead=2, arrowwidth=2, arrowcolor=COLORS[other],
        )  # fmt: skip
    hidden = {"visible": False, "fixedrange": True, "range": [0, 1]}
    words = "; ".join(f"{a} imports {b}" for a, b in sorted(arrows()))
    fig.update_layout(
        title="What imports what", template="plotly_white", xaxis=hidden, yaxis=hidden,
        height=440, margin={"l": 8, "r": 8, "t": 48, "b": 8}, meta={"alt": f"Three packages: {words}"},
    )  # fmt: skip
    return fig


def order(package: str) -> pd.DataFrame:
    """The modules of a package, each after those of the package that it imports, with the first line of each.

    The modules of a folder stand together, a folder after those that it imports.
    """
    own = sorted(name for name in files() if name.partition(".")[0] == package and name != package)
    graph = {name: imported(name) & set(own) for name in own}
    folders = {name: name.split(".")[1] for name in own}
    outer = {folder: {folders[o] for n in own if folders[n] == folder for o in graph[n]} - {folder}
             for folder in dict.fromkeys(folders.values())}  # fmt: skip
    inner = list(graphlib.TopologicalSorter(graph).static_order())
    rows = []
    for folder in graphlib.TopologicalSorter(outer).static_order():
        for name in (name for name in inner if folders[name] == folder):
            says = (ast.get_docstring(ast.parse(files()[name].read_bytes())) or "").partition("\n")[0]
            needs = ", ".join(sorted(other.partition(".")[2] for other in graph[name]))
            rows.append({"module": name.partition(".")[2], "what it is": says, "imports of the package": needs})
    return pd.DataFrame(rows).set_index("module")
