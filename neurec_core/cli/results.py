"""`neurec plot`, `export` and `details`: what a folder of a sweep, or a published table, holds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import papers
from ..experiment import Experiment
from ..figures import Computed
from ..params import BadInput, received, unknown
from ..values import location, word
from .inputs import DIR, axis, normalise, say

if TYPE_CHECKING:
    import pandas as pd


SOURCE = "DIR of a sweep, FILE of a table, or PAPER.EXPERIMENT for its published table"


@click.command()
@click.argument("source", metavar="SOURCE")
@click.option("--column", metavar="NAME", help="the score to draw over whatever varies")
@click.option("--figure", metavar="NAME", help="a declared figure  [default: the first that shows these rows]")
@click.option("--history", is_flag=True, help="what the trials of a sweep with --details recorded step by step")
@click.option("--where", multiple=True, metavar="FIELD=VALUES", help="draw these rows only: sigma=0 or n=10:100:10")
@click.option("--html", type=DIR, metavar="FILE", help="an interactive page that needs no network")
@click.option("--png", type=DIR, metavar="FILE", help="a picture (needs Chrome or Chromium)")
@click.option("--gif", type=DIR, metavar="FILE", help="a film of a figure that moves (needs Chromium and ffmpeg)")
@click.option("--mp4", type=DIR, metavar="FILE", help="the same as MP4")
def plot(
    source: str,
    column: str | None,
    figure: str | None,
    history: bool,
    *,
    where: tuple[str, ...],
    **files: Path | None,
) -> None:
    """Draw SOURCE: DIR of a sweep, finished or running, FILE of a table, or PAPER.EXPERIMENT for its published table.

    Where no file is named, the page goes to DIR/figure.html, beside FILE, or to PAPER.EXPERIMENT.html here.
    """
    from .. import drawing, plots
    from . import pictures

    for kind in ("gif", "mp4"):
        if files[kind]:
            pictures.require_ffmpeg(kind)  # before anything is computed

    table, experiment, page = _table(source)
    if column is not None and column.replace("-", "_") not in experiment.columns:
        raise BadInput(unknown("column", column, experiment.columns))
    if (figure is not None) + (column is not None) + history > 1:
        raise BadInput("--figure, --column and --history do not go together: each says what is drawn")
    if figure and where and isinstance(experiment.figures.get(figure), Computed):
        raise BadInput(f"--where (rows to draw) does not go with figure {figure}, which is computed and shows no rows")
    rows = table if history else _part(table, experiment, where)
    if history:
        fig = _history(source, experiment, where)
    elif column is None and (figure := figure or drawing.fitting(rows, experiment)):
        fig = drawing.draw(rows, experiment, figure)
    else:
        fig = plots.plot(rows, experiment, column and column.replace("-", "_"))
    if not any(files.values()):
        files["html"] = page
    pictures.require_frames(fig, [kind for kind, path in files.items() if path])  # before anything is written
    for kind, path in files.items():
        if path:
            _save(path, pictures.content(fig, kind))


def _table(source: str) -> tuple[pd.DataFrame, Experiment, Path]:
    """The rows that `SOURCE` names, their experiment, and where its figure goes."""
    from .. import store, tables

    path = location("source", SOURCE, source)
    if path.is_file():
        table, page = tables.load(path), path.with_suffix(".html")
    elif path.exists() or normalise(source.partition(".")[0]) not in map(normalise, papers.names()):
        table, page = store.read_table(path, say), path / "figure.html"
    else:
        experiment = papers.experiment(source)
        table, page = tables.load(tables.published(experiment)), Path(f"{experiment.name}.html")
    experiment = papers.experiment(str(table.attrs["experiment"]))
    if lacking := [name for name in tables.schema(experiment).names if name not in table]:
        raise BadInput(f"table (of {experiment.name}) {source!r} has no column {', '.join(lacking)}")
    for name, d in experiment.params.declared().items():
        if d.kind == "bool" and table[name].dtype.kind != "b":  # of a time when it was a word
            old = f"holds {', '.join(map(word, sorted(table[name].unique())))}"
            raise BadInput(f"{name} ({d.label}) must be {d.allowed} in {source!r}, which {old}: compute it again")
    return table, experiment, page


def _part(table: pd.DataFrame, experiment: Experiment, where: Sequence[str]) -> pd.DataFrame:
    """The rows whose parameters have one of the values that each ``FIELD=VALUES`` lists."""
    for text in where:
        field, values = axis(text, experiment)
        allowed = [getattr(experiment.params(**{field: value}), field) for value in values]
        kept = table[field].isin(allowed) | (table[field].isna() if None in allowed else False)
        if not kept.any():
            values = [*sorted(table[field].dropna().unique()), *([None] if table[field].isna().any() else [])]
            there = ", ".join(map(word, values))
            raise BadInput(f"where (rows to draw) leaves none, since {field} is {there} here: got {received(text)}")
        table = table[kept]
    return table


def _history(source: str, experiment: Experiment, where: Sequence[str]) -> Any:
    """The figure of what the trials of a sweep recorded step by step."""
    from .. import drawing, history, store

    history.declared(experiment)
    if not Path(source).is_dir():
        raise BadInput(f"--history needs the DIR of a sweep with --details, got {received(source)}")
    records = history.table(experiment, store.read_details(source, say))
    return drawing.draw_history(_part(records, experiment, where), experiment)


def _save(path: Path, content: bytes) -> None:
    from ..files import replacing

    try:
        with replacing(path) as name:
            name.write_bytes(content)
    except OSError as error:
        raise BadInput(f"FILE (where the result goes) cannot be written, got {str(path)!r}: {error.strerror}") from None
    click.echo(path)


@click.command()
@click.argument("folder", metavar="DIR", type=DIR)
def details(folder: Path) -> None:
    """List the trials of a sweep with --details, and the NumPy file of the data and solution of each.

    `neurec_core.store.read_details(DIR)` reads them one after another.
    """
    from .. import store, tables

    table = store.detailed(folder, say)
    names = [str(name) for name in list(table)[: list(table).index("trial")]]
    shown = table[[*tables.varying(table, names), "trial", "status", "details"]]
    click.echo(shown.to_string(index=False))


@click.command()
@click.argument("source", metavar="SOURCE")
@click.argument("file", metavar="FILE", type=DIR)
def export(source: str, file: Path) -> None:
    """Write the rows of SOURCE to FILE: .parquet or .csv with their provenance, .json in the published program's form.

    SOURCE is the DIR of a sweep, the FILE of a table, or PAPER.EXPERIMENT for its published table.
    """
    from .. import tables

    table, experiment, _ = _table(source)
    if file.suffix.lower() == ".json" and experiment.form:
        _save(file, json.dumps(experiment.form.results(table), indent=1).encode())
        return
    tables.export(table, file)
    click.echo(f"{len(table)} trials in {file}")
