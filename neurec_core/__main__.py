"""The `neurec` command. Flags of an experiment are generated from its `Params`.

Exit status: 0; 1 for a run that failed; 2 for bad input (one line); 130 when stopped with Ctrl-C.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from . import cli_input, papers
from .cli_input import Whole, grid_from, normalise
from .experiment import Experiment
from .params import BadInput, unknown

if TYPE_CHECKING:
    import pandas as pd

CONTEXT = {"help_option_names": ["-h", "--help"], "token_normalize_func": normalise, "max_content_width": 110}


class RunFailed(Exception):
    """A run that could not do what it was asked; the message is one line."""


@click.group(context_settings=CONTEXT)
def cli() -> None:
    """What small neural networks learn and recover: run and sweep the experiments of papers."""


# --------------------------------------------------------------------------------------------- look up


@cli.command("list")
def list_() -> None:
    """Every experiment: its name, its presets with cells x trials, what it asks."""
    for experiment in papers.experiments().values():
        presets = ", ".join(f"{name} {grid.cells} x {grid.trials}" for name, grid in experiment.presets.items())
        click.echo(f"{experiment.name}  ({presets})\n    {experiment.question}")


@cli.command()
@click.argument("experiment", metavar="PAPER.EXPERIMENT")
def show(experiment: str) -> None:
    """An experiment's parameters, columns, presets and citation."""
    shown = papers.experiment(experiment)
    click.echo(f"{shown.name}\n{shown.question}\n\nParameters")
    for d in shown.params.declared().values():
        unit = f" ({d.unit})" if d.unit else ""
        click.echo(f"  {d.name:<10} {d.label}{unit}\n{'':13}{d.allowed}; default {_word(d.default)}")
    click.echo("\nColumns")
    for name, column in shown.columns.items():
        unit = f" ({column.unit})" if column.unit else ""
        click.echo(f"  {name:<20} {column.label}{unit} [{column.kind}]")
    click.echo("\nPresets")
    for name, grid in shown.presets.items():
        axes = ", ".join(f"{axis} = {cli_input.words(values)}" for axis, values in grid.axes.items())
        click.echo(f"  {name:<10} {axes}; {grid.trials} trials: {grid.cells * grid.trials} rows")
    click.echo(f"\n{shown.citation}")


def _word(value: Any) -> str:
    return "none" if value is None else str(value)


# ------------------------------------------------------------------------------------- run experiments


class PerExperiment(click.Group):
    """A command whose sub-commands are the experiments, each with flags of its own."""

    def __init__(self, build: Callable[[Experiment], click.Command], **settings: Any) -> None:
        super().__init__(**settings, subcommand_metavar="PAPER.EXPERIMENT [OPTIONS]")
        self.build = build

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(papers.experiments())

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        return self.build(papers.experiment(name))


def field_options(experiment: Experiment) -> list[click.Option]:
    """One flag a parameter; its text is read and checked by `Params`."""
    return [
        click.Option(
            [f"--{d.name.replace('_', '-')}", d.name],
            metavar="NAME" if d.kind in ("choice", "text") else d.kind.upper(),
            help=f"{d.label}: {d.allowed}  [default: {_word(d.default)}]",
        )
        for d in experiment.params.declared().values()
    ]


WHERE = "tcp://HOST:PORT of a running Dask scheduler, or slurm"
DIR = click.Path(path_type=Path)
SEED = click.Option(["--seed"], type=Whole("seed of every draw", 0), default=0, show_default=True, help="of every draw")


def _given(values: dict[str, Any], experiment: Experiment) -> dict[str, Any]:
    return {name: values[name] for name in experiment.params.model_fields if values[name] is not None}


def build_run(experiment: Experiment) -> click.Command:
    """`neurec run` of one experiment."""

    def run(trials: int, seed: int, as_json: bool, **values: Any) -> None:
        params = experiment.params(**_given(values, experiment))
        rows = experiment.rows(params, seed, range(trials))
        if as_json:
            for row in rows:
                click.echo(json.dumps({k: None if v != v else v for k, v in row.items()}))
        else:
            _print_rows(experiment, rows)
        if all(row[next(iter(experiment.columns))] is None for row in rows):
            raise RunFailed(f"every trial failed: {rows[0]['status']} {rows[0]['detail']}".rstrip())

    many = Whole("independent draws", 1)
    options = [
        click.Option(["--trials"], type=many, default=5, show_default=True, help="independent draws"),
        SEED,
        click.Option(["--json", "as_json"], is_flag=True, help="JSON lines, one row each"),
    ]
    params: list[click.Parameter] = [*field_options(experiment), *options]
    return click.Command(experiment.name, callback=run, params=params, help=experiment.question)


def _print_rows(experiment: Experiment, rows: list[dict[str, Any]]) -> None:
    from . import tables

    table = tables.frame(tables.arrow(rows, experiment))
    shown = table[["trial", *experiment.columns, "status", "seconds"]]
    click.echo(shown.to_string(index=False, float_format=lambda v: f"{v:.3g}", na_rep="-"))
    for detail in sorted({row["detail"] for row in rows} - {""}):
        click.echo(f"  {detail}")
    for name, column in experiment.columns.items():
        if column.kind == "event":
            r = tables.rate(table, name, []).iloc[0]
            band = f"{r['rate']:.2f}  [{r['low']:.2f}, {r['high']:.2f}] (95 %)" if r["trials"] else "-"
            failed = f", {r['failed']:.0f} failed" if r["failed"] else ""
            click.echo(f"rate of {name}: {band}  of {r['trials']:.0f} trials{failed}")


def build_sweep(experiment: Experiment) -> click.Command:
    """`neurec sweep` of one experiment."""

    def sweep(**values: Any) -> None:
        from . import sweep as sweeps

        grid = grid_from(experiment, values["preset"], values["over"], _given(values, experiment), values["trials"])
        jobs = values["jobs"] or (1 if values["scheduler"] else sweeps.cores())
        if values["jobs"] and values["scheduler"] not in (None, "slurm"):
            raise BadInput("--jobs (processes to start) does not go with the address of a running scheduler")
        options = {"seed": values["seed"], "jobs": jobs, "scheduler": values["scheduler"], "warn": _warn}
        try:
            table = sweeps.sweep(experiment, grid, out=values["out"], **options)
        except sweeps.SweepFailed as error:
            raise RunFailed(str(error)) from None
        except KeyboardInterrupt:
            _warn(f"stopped; finished trials are kept in {values['out']}: run the same command again to go on")
            raise
        _print_statuses(table, values["out"])

    named = f"a named grid: {', '.join(experiment.presets)}"
    axis = "an axis of the grid: n=10:400:10 or design=gaussian,cubic"
    options = [
        click.Option(["--preset"], metavar="NAME", help=named),
        click.Option(["--over"], multiple=True, metavar="FIELD=VALUES", help=axis),
        click.Option(["--trials"], type=Whole("draws a cell", 1), help="draws a cell  [default: the preset's, or 10]"),
        SEED,
        click.Option(["--jobs"], type=Whole("processes", 1), help="processes; 1 stays in this one  [default: cores]"),
        click.Option(["--scheduler"], metavar="WHERE", help=WHERE),
        click.Option(["--out"], type=DIR, required=True, metavar="DIR", help="where results are kept; resumes there"),
    ]
    params: list[click.Parameter] = [*options, *field_options(experiment)]
    return click.Command(experiment.name, callback=sweep, params=params, help=experiment.question)


def _warn(line: str) -> None:
    click.echo(f"neurec: {line}", err=True)


def _print_statuses(table: pd.DataFrame, out: Path) -> None:
    counts = table["status"].value_counts()
    ends = ", ".join(f"{count} {status}" for status, count in counts.items())
    click.echo(f"{len(table)} trials in {out}: {ends}")


cli.add_command(PerExperiment(build_run, name="run", help="Run one point of an experiment."))
cli.add_command(PerExperiment(build_sweep, name="sweep", help="Run an experiment over a grid; resumable."))


# ------------------------------------------------------------------------------------ look at results


@cli.command()
@click.argument("folder", metavar="DIR", type=DIR)
@click.option("--column", metavar="NAME", help="the score to draw  [default: the headline event]")
@click.option("--html", type=DIR, metavar="FILE", help="an interactive page that needs no network")
@click.option("--png", type=DIR, metavar="FILE", help="a picture (needs Chrome or Chromium)")
def plot(folder: Path, column: str | None, html: Path | None, png: Path | None) -> None:
    """Draw a sweep, finished or running; without a FILE, to DIR/figure.html."""
    from . import plots

    table, experiment = _table(folder)
    if column is not None and column.replace("-", "_") not in experiment.columns:
        raise BadInput(unknown("column", column, experiment.columns))
    fig = plots.plot(table, experiment, column and column.replace("-", "_"))
    if html is None and png is None:
        html = folder / "figure.html" if folder.is_dir() else folder.with_suffix(".html")
    if html:
        page = fig.to_html(include_plotlyjs=True, include_mathjax=False, config=plots.CONFIG)
        _save(html, page.encode())
    if png:
        _save(png, _picture(fig))


def _table(folder: Path) -> tuple[pd.DataFrame, Experiment]:
    from . import store, tables

    table = tables.load(folder) if folder.is_file() else store.read_table(folder, _warn)
    return table, papers.experiment(table.attrs["experiment"])


def _picture(fig: Any) -> bytes:
    try:
        picture: bytes = fig.to_image("png", width=1000, height=560, scale=2)
    except Exception as error:  # kaleido's errors have no common class
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunFailed(f"--png needs Chrome or Chromium ({reason}); --html needs neither") from None
    return picture


def _save(path: Path, content: bytes) -> None:
    from .tables import replacing

    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise BadInput(f"FILE (where the figure goes) cannot be written, got {str(path)!r}: {error.strerror}") from None
    click.echo(path)


@cli.command()
@click.argument("folder", metavar="DIR", type=DIR)
@click.argument("file", metavar="FILE", type=DIR)
def export(folder: Path, file: Path) -> None:
    """Write a sweep's rows to FILE (.parquet or .csv) with their provenance."""
    from . import tables

    table, _ = _table(folder)
    tables.export(table, file)
    click.echo(f"{len(table)} trials in {file}")


@cli.command()
@click.argument("paper", metavar="PAPER")
@click.option("--preset", metavar="NAME", help="a named grid for the sweeps of the notebook")
@click.option("-p", "pairs", type=(str, str), multiple=True, metavar="NAME VALUE", help="a parameter of the notebook")
@click.option("--jobs", type=Whole("processes", 1), help="processes for its sweeps")
@click.option("--scheduler", metavar="WHERE", help=WHERE)
@click.option("--out", type=DIR, required=True, metavar="DIR", help="folder of the executed notebook")
def notebook(
    paper: str,
    preset: str | None,
    pairs: tuple[tuple[str, str], ...],
    jobs: int | None,
    scheduler: str | None,
    out: Path,
) -> None:
    """Execute a paper's notebook through papermill."""
    from . import batch

    module = papers.paper(paper)
    if preset is not None:
        for experiment in module.EXPERIMENTS:
            experiment.preset(preset)
    named = {"preset": preset, "jobs": jobs, "scheduler": scheduler}
    chosen = {**dict(pairs), **{k: v for k, v in named.items() if v is not None}}
    try:
        click.echo(batch.execute(module.__name__.rpartition(".")[2], chosen, out))
    except batch.NotebookFailed as error:
        raise RunFailed(str(error)) from None


# ------------------------------------------------------------------------------------------- the door


def main(arguments: list[str] | None = None) -> int:
    """Run the command; every failure is one line on standard error and an exit status."""
    try:
        cli.main(args=arguments, prog_name="neurec", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.NoSuchOption as error:
        return _end(2, unknown("option", error.option_name, _options(error.ctx)))
    except (BadInput, click.UsageError) as error:
        message = error.format_message() if isinstance(error, click.UsageError) else str(error)
        return _end(2, " ".join(message.split()))
    except RunFailed as error:
        return _end(1, str(error))
    except (KeyboardInterrupt, click.Abort):
        return 130
    return 0


def _options(ctx: click.Context | None) -> list[str]:
    return [word for p in (ctx.command.params if ctx else []) for word in p.opts if word.startswith("--")]


def _end(status: int, message: str) -> int:
    _warn(message)
    return status


if __name__ == "__main__":
    sys.exit(main())
