"""`neurec plot` and `neurec export`: what a sweep's folder, or a published table, holds."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import papers
from ..experiment import Experiment
from ..params import BadInput, shortened, unknown
from .inputs import DIR, RunFailed, say

if TYPE_CHECKING:
    import pandas as pd


@click.command()
@click.argument("folder", metavar="DIR", type=DIR)
@click.option("--column", metavar="NAME", help="the score to draw  [default: the headline event]")
@click.option("--html", type=DIR, metavar="FILE", help="an interactive page that needs no network")
@click.option("--png", type=DIR, metavar="FILE", help="a picture (needs Chrome or Chromium)")
def plot(folder: Path, column: str | None, html: Path | None, png: Path | None) -> None:
    """Draw a sweep, finished or running; without a FILE, to DIR/figure.html."""
    from .. import look, plots

    table, experiment = _table(folder)
    if column is not None and column.replace("-", "_") not in experiment.columns:
        raise BadInput(unknown("column", column, experiment.columns))
    fig = plots.plot(table, experiment, column and column.replace("-", "_"))
    if html is None and png is None:
        html = folder / "figure.html" if folder.is_dir() else folder.with_suffix(".html")
    if html:
        page = fig.to_html(include_plotlyjs=True, include_mathjax=False, config=look.CONFIG)
        _save(html, page.encode())
    if png:
        _save(png, _picture(fig))


def _table(folder: Path) -> tuple[pd.DataFrame, Experiment]:
    from .. import store, tables

    table = tables.load(folder) if folder.is_file() else store.read_table(folder, say)
    experiment = papers.experiment(str(table.attrs["experiment"]))
    if lacking := [name for name in tables.schema(experiment).names if name not in table]:
        raise BadInput(f"table (of {experiment.name}) {str(folder)!r} has no column {', '.join(lacking)}")
    return table, experiment


def _picture(fig: Any) -> bytes:
    logging.disable(logging.CRITICAL)  # the browser's driver logs what is said here in one line
    try:
        picture: bytes = fig.to_image("png", width=1000, height=560, scale=2)
    except Exception as error:  # kaleido's errors have no common class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunFailed(f"--png needs Chrome or Chromium ({shortened(reason)}); --html needs neither") from None
    finally:
        logging.disable(logging.NOTSET)
    return picture


def _save(path: Path, content: bytes) -> None:
    from ..files import replacing

    try:
        with replacing(path) as name:
            name.write_bytes(content)
    except OSError as error:
        raise BadInput(f"FILE (where the figure goes) cannot be written, got {str(path)!r}: {error.strerror}") from None
    click.echo(path)


@click.command()
@click.argument("folder", metavar="DIR", type=DIR)
@click.argument("file", metavar="FILE", type=DIR)
def export(folder: Path, file: Path) -> None:
    """Write a sweep's rows to FILE (.parquet or .csv) with their provenance."""
    from .. import tables

    table, _ = _table(folder)
    tables.export(table, file)
    click.echo(f"{len(table)} trials in {file}")
