"""`neurec run` and `neurec sweep`, whose flags are generated from each experiment's `Params`, and `neurec publish`."""

from __future__ import annotations

import contextlib
import json
import math
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from .. import papers
from ..cluster import WHERE
from ..draws import Draws
from ..experiment import Experiment, Grid
from ..intervals import wilson
from ..params import BadInput
from ..threads import one_thread
from ..values import word
from .inputs import DIR, TRIALS, Flags, RunFailed, Whole, configured, grid_from, say

SWEEPS = "is an option of `neurec sweep`; `neurec run` computes one point"
SEED = click.Option(["--seed"], type=Whole("seed of every draw", 0), help="of every draw  [default: 0]")
CONFIG = click.Option(["--config"], type=DIR, metavar="FILE", help="a configuration of the published program (YAML)")

# Not --log: a package that plotly loads reads the command line, too, and knows options that begin so.
LOG = click.Option(
    ["--published-log", "log"], type=Whole("trial", 0), metavar="TRIAL",
    help="what the published program prints of a trial, instead of rows",
)  # fmt: skip


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
    """One flag per parameter; its text is read and checked by `Params`."""
    return [
        click.Option(
            [f"--{d.name.replace('_', '-')}", d.name],
            metavar="NAME" if d.kind in ("choice", "text") else d.kind.upper(),
            help=f"{d.label}: {d.allowed}  [default: {word(d.default)}]",
        )
        for d in experiment.params.declared().values()
    ]


def _given(values: dict[str, Any], experiment: Experiment) -> dict[str, Any]:
    return {name: values[name] for name in experiment.params.model_fields if values[name] is not None}


def build_run(experiment: Experiment) -> click.Command:
    """`neurec run` of one experiment."""

    def run(
        *,
        trials: int,
        seed: int | None,
        as_json: bool,
        config: Path | None = None,
        history: bool = False,
        log: int | None = None,
        **values: Any,
    ) -> None:
        asked = configured(experiment, config)
        if asked.axes:
            raise BadInput(
                f"config (a file of the published form) {str(config)!r} asks for a sweep: use `neurec sweep`"
            )
        params = experiment.params(**{**asked.fixed, **_given(values, experiment)})
        seed = asked.seed if seed is None else seed
        if log is not None:
            if as_json or history:
                raise BadInput("--published-log (what the program prints) goes with neither --json nor --history")
            experiment.require_memory(params)
            with one_thread():
                _print_log(pkgutil.resolve_name(experiment.log)(params, Draws(seed, [log])))
            return
        experiment.require_rows(trials)
        experiment.require_memory(params, min(trials, experiment.batch))
        with one_thread():
            rows = experiment.rows_together([(params, trial) for trial in range(trials)], seed, detailed=history)
        if history:
            _print_history(experiment, rows, as_json)
        elif as_json:
            _print_json(rows)
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
    if experiment.history:
        words = f"one line per {experiment.history.step}: {', '.join(experiment.history.columns)}"
        options.append(click.Option(["--history"], is_flag=True, help=words))
    published = [*[CONFIG] * bool(experiment.form), *[LOG] * bool(experiment.log)]
    params: list[click.Parameter] = [*field_options(experiment), *options, *published]
    named = dict.fromkeys(("--over", "--preset", "--jobs", "--scheduler", "--out", "--details"), SWEEPS)
    return Flags(experiment.name, callback=run, params=params, help=experiment.question, elsewhere=named)


def _print_log(lines: Iterator[str]) -> None:
    while True:
        try:
            line = next(lines, None)
        except BadInput:
            raise
        except Exception as error:  # whatever an experiment raises
            if getattr(error, "refuses_input", False):
                raise BadInput(str(error)) from error
            raise RunFailed(f"the trial failed: {type(error).__name__}: {error}") from error
        if line is None:
            return
        click.echo(line)


def _print_json(rows: Iterable[Mapping[str, Any]]) -> None:
    for row in rows:
        click.echo(json.dumps({name: _plain(value) for name, value in row.items()}, allow_nan=False))


def _print_history(experiment: Experiment, rows: list[dict[str, Any]], as_json: bool) -> None:
    from .. import history

    recorded = history.table(experiment, history.of_rows(rows))
    there = set(recorded["trial"])
    for row in rows:
        if row["trial"] not in there:
            say(f"trial {row['trial']} has no history: {row['status']} {row['detail']}".rstrip())
    if as_json:
        _print_json({str(name): value for name, value in row.items()} for row in recorded.to_dict("records"))
    else:
        declared = history.declared(experiment)
        shown = recorded[["trial", declared.step, *declared.columns]]
        click.echo(shown.to_string(index=False, float_format=lambda value: f"{value:.4g}"))


def _plain(value: Any) -> Any:
    """JSON has no word for NaN and the infinities."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_rows(experiment: Experiment, rows: list[dict[str, Any]]) -> None:
    # Not by pandas, which takes longer to load than many a run takes.
    columns = {name: [_cell(experiment, name, row[name]) for row in rows] for name in _shown(experiment)}
    widths = {name: max(map(len, (name, *cells))) for name, cells in columns.items()}
    for line in zip(*([name, *cells] for name, cells in columns.items()), strict=True):
        click.echo("  ".join(cell.rjust(width) for cell, width in zip(line, widths.values(), strict=True)))
    for detail in sorted({row["detail"] for row in rows} - {""}):
        click.echo(f"  {detail}")
    for name, column in experiment.columns.items():
        if column.kind == "event":
            happened = [row[name] for row in rows if row[name] is not None]
            low, high = wilson(sum(happened), len(happened))
            band = f"{sum(happened) / len(happened):.2f}  [{low:.2f}, {high:.2f}] (95 %)" if happened else "-"
            failed = f", {len(rows) - len(happened)} failed" if len(happened) < len(rows) else ""
            click.echo(f"rate of {name}: {band}  of {len(happened)} trials{failed}")


def _shown(experiment: Experiment) -> list[str]:
    return ["trial", *experiment.columns, "status", "seconds"]


def _cell(experiment: Experiment, name: str, value: Any) -> str:
    measured = name == "seconds" or (name in experiment.columns and experiment.columns[name].kind == "measure")
    if value is None or value != value:
        return "-"
    return f"{value:.3g}" if measured else str(value)


def build_sweep(experiment: Experiment) -> click.Command:
    """`neurec sweep` of one experiment."""

    def sweep(**values: Any) -> None:
        from .. import cluster

        if values["preset"] is not None and values.get("config"):
            raise BadInput("--preset (a named grid) and --config (a file that names one) do not go together")
        asked = configured(experiment, values.get("config"))
        base = Grid(asked.axes, TRIALS, asked.fixed)
        if values["preset"] is not None:
            base = experiment.preset(values["preset"])
        grid = grid_from(experiment, base, values["over"], _given(values, experiment), trials=values["trials"])
        jobs = values["jobs"] or (1 if values["scheduler"] else cluster.default_jobs())
        if values["jobs"] and values["scheduler"] not in (None, "slurm"):
            raise BadInput("--jobs (processes to start) does not go with the address of a running scheduler")
        seed = asked.seed if values["seed"] is None else values["seed"]
        given = {name: values[name] for name in ("scheduler", "detailed")}
        _swept(experiment, grid, values["out"], jobs=jobs, seed=seed, **given)

    named = f"a named grid: {', '.join(experiment.presets)}"
    axis = "an axis of the grid: n=10:400:10 or design=gaussian,cubic"
    options = [
        click.Option(["--preset"], metavar="NAME", help=named),
        click.Option(["--over"], multiple=True, metavar="FIELD=VALUES", help=axis),
        click.Option(
            ["--trials"], type=Whole("trials per cell", 1), help="trials per cell [default: the preset's, or 10]"
        ),
        SEED,
        click.Option(["--jobs"], type=Whole("processes", 1), help="processes; 1 stays in this one  [default: cores]"),
        click.Option(["--scheduler"], metavar="WHERE", help=WHERE),
        click.Option(["--out"], type=DIR, required=True, metavar="DIR", help="where results are kept; resumes there"),
        click.Option(["--details", "detailed"], is_flag=True, help="keep data and networks, too; `neurec details DIR`"),
    ]
    params: list[click.Parameter] = [*options, *[CONFIG] * bool(experiment.form), *field_options(experiment)]
    named_elsewhere = {"--json": "is an option of `neurec run`; `neurec export DIR FILE` writes the rows of a sweep"}
    return Flags(experiment.name, callback=sweep, params=params, help=experiment.question, elsewhere=named_elsewhere)


def _swept(experiment: Experiment, grid: Grid, out: Path, **options: Any) -> None:
    """Sweep into a folder and print how its trials ended."""
    from .. import sweep as sweeps
    from .. import tables

    try:
        table = sweeps.sweep(experiment, grid, out=out, warn=say, **options)
    except sweeps.SweepFailed as error:
        raise RunFailed(str(error)) from None
    except KeyboardInterrupt:
        say(f"stopped; finished trials are kept in {out}: run the same command again to go on")
        raise
    ends = ", ".join(f"{count} {status}" for status, count in table["status"].value_counts().items())
    click.echo(f"{len(table)} trials in {out}: {ends}")
    if tables.usable(table).empty:
        raise RunFailed("every trial failed")


@click.command()
@click.argument("names", metavar="[PAPER | PAPER.EXPERIMENT]...", nargs=-1)
@click.option("--jobs", type=Whole("processes", 1), help="processes; 1 stays in this one  [default: cores]")
@click.option(
    "--out", type=DIR, required=True, metavar="DIR", help="a folder for each experiment is kept there; resumes"
)
def publish(names: tuple[str, ...], jobs: int | None, out: Path) -> None:
    """Compute published tables again and write them beside their papers; all of them where none is named."""
    from .. import cluster, store, tables

    for experiment in named(names):
        folder = out / experiment.name
        for preset, grid in experiment.published.items():
            say(f"{experiment.name} --preset {preset} --trials {grid.trials}")
            _swept(experiment, grid, folder, jobs=jobs or cluster.default_jobs())
        table, place = store.read_table(folder, say), tables.place(experiment)
        if place.is_file() and len(before := tables.load(place)) > len(table):
            raise BadInput(f"{folder} holds {len(table)} of the {len(before)} trials of {place}, which stays as it is")
        with contextlib.suppress(OSError):  # whatever is wrong, `export` says it
            place.parent.mkdir(exist_ok=True)
        tables.export(table, place)
        click.echo(f"{len(table)} trials in {place}")


def named(names: Sequence[str]) -> list[Experiment]:
    """The experiments with a published table that names of papers and experiments mean; all where there is no name.

    Raises
    ------
    BadInput : "paper.experiment has no published table: no preset says how many of its trials are published"
    """
    chosen: dict[str, Experiment] = {}
    for name in names or papers.names():
        stem, _, own = name.partition(".")
        meant = [papers.experiment(name)] if own else papers.paper(stem).EXPERIMENTS
        found = {experiment.name: experiment for experiment in meant if experiment.published}
        if names and not found:
            raise BadInput(f"{name} has no published table: no preset says how many of its trials are published")
        chosen |= found
    return list(chosen.values())


run = PerExperiment(build_run, name="run", help="Run one point of an experiment.")
sweep = PerExperiment(build_sweep, name="sweep", help="Run an experiment over a grid; resumable.")
