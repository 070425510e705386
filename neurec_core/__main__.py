"""The `neurec` command. Flags of an experiment are generated from its `Params`.

Exit status: 0; 1 for a run that failed or a result that standard output did not take (one line); 2 for bad input
(one line); 130 when stopped with Ctrl-C; 141, silently, when the reader of standard output closed the pipe.
Messages that standard error does not take are lost, and nothing else is.
"""

from __future__ import annotations

import errno
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import click

import neurec_core

from . import papers
from .cli import results, runs, streams, studies
from .cli.inputs import DIR, RunFailed, Whole, normalise, say, words
from .cluster import WHERE
from .experiment import Experiment
from .params import BadInput, received, shortened, unknown
from .values import word

CONTEXT = {"help_option_names": ["-h", "--help"], "token_normalize_func": normalise, "max_content_width": 110}


@click.group(context_settings=CONTEXT)
@click.version_option(neurec_core.__version__, prog_name="neurec")
def cli() -> None:
    """What small neural networks learn and recover: run and sweep the experiments of papers."""


@cli.command("list")
@click.argument("paper", required=False)
def list_(paper: str | None) -> None:
    """Every experiment, or those of PAPER: its name, its presets with cells x trials, what it asks."""
    _list(papers.experiments().values() if paper is None else papers.paper(paper.partition(".")[0]).EXPERIMENTS)


def _list(experiments: Iterable[Experiment]) -> None:
    for experiment in experiments:
        presets = ", ".join(f"{name} {grid.cells} x {grid.trials}" for name, grid in experiment.presets.items())
        click.echo(f"{experiment.name}  ({presets})\n    {experiment.question}")


@cli.command()
@click.argument("experiment", metavar="PAPER.EXPERIMENT")
def show(experiment: str) -> None:
    """An experiment's parameters, columns, presets and citation; of a paper, its experiments."""
    if normalise(experiment) in map(normalise, papers.names()):
        _list(papers.paper(experiment).EXPERIMENTS)
        return
    shown = papers.experiment(experiment)
    click.echo(f"{shown.name}\n{shown.question}\n\nParameters")
    for d in shown.params.declared().values():
        unit = f" ({d.unit})" if d.unit else ""
        click.echo(f"  {d.name:<10} {d.label}{unit}\n{'':13}{d.allowed}; default {word(d.default)}")
    click.echo("\nColumns")
    for name, column in shown.columns.items():
        unit = f" ({column.unit})" if column.unit else ""
        click.echo(f"  {name:<20} {column.label}{unit} [{column.kind}]")
    if shown.history:
        click.echo(f"\nHistory (one line per {shown.history.step})")
        for name, column in shown.history.columns.items():
            click.echo(f"  {name:<20} {column.label}")
    click.echo("\nPresets")
    for name, grid in shown.presets.items():
        axes = ", ".join(f"{axis} = {words(values)}" for axis, values in grid.axes.items())
        part = f"; {grid.published} trials in the published table" if grid.published else ""
        click.echo(f"  {name:<10} {axes}; {grid.trials} trials: {grid.cells * grid.trials} rows{part}")
    if shown.figures:
        click.echo(f"\nFigures\n  {', '.join(shown.figures)}")
    for claim in shown.claims:
        click.echo(f"\nClaim\n  {claim.text}")
    click.echo(f"\n{shown.citation}")


for command in (
    runs.run,
    runs.sweep,
    runs.publish,
    results.plot,
    results.export,
    results.details,
    studies.new,
    studies.check,
):
    cli.add_command(command)


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
    *,
    scheduler: str | None,
    out: Path,
) -> None:
    """Execute a paper's notebook through papermill."""
    from .notebook import NotebookFailed, execute

    module = papers.paper(paper)
    if preset is not None:
        for experiment in module.EXPERIMENTS:
            experiment.preset(preset)
    named = {"preset": preset, "jobs": jobs, "scheduler": scheduler}
    chosen = {**dict(pairs), **{k: v for k, v in named.items() if v is not None}}
    try:
        click.echo(execute(module.__name__.rpartition(".")[2], chosen, out))
    except NotebookFailed as error:
        raise RunFailed(str(error)) from None


def main(arguments: list[str] | None = None) -> int:
    """Run the command; every failure is one line on standard error and an exit status."""
    if arguments is None:  # the program itself, not a call
        streams.prepare()
    try:
        cli.main(args=arguments, prog_name="neurec", standalone_mode=False)
        sys.stdout.flush()
    except streams.Unwritten as error:
        return 141 if error.closed_pipe else _end(1, f"standard output cannot be written to: {error}")
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except click.NoSuchOption as error:  # of the other commands; `run` and `sweep` know more to say
        return _end(2, unknown("option", error.option_name, _options(error.ctx)))
    except click.MissingParameter as error:
        return _end(2, _missing(error))
    except (BadInput, click.UsageError) as error:
        message = error.format_message() if isinstance(error, click.UsageError) else str(error)
        return _end(2, re.sub(r"\S{1000,}", lambda found: shortened(found[0]), " ".join(message.split())))
    except RunFailed as error:
        return _end(1, str(error))
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        return _end(2, f"a path must be one that the system can hold, got {received(error.filename)}")
    except (KeyboardInterrupt, click.Abort):
        return 130
    return 0


def _options(ctx: click.Context | None) -> list[str]:
    return [flag for p in (ctx.command.params if ctx else []) for flag in p.opts if flag.startswith("--")]


def _missing(error: click.MissingParameter) -> str:
    parameter = error.param
    if isinstance(parameter, click.Option):
        return f"{parameter.opts[0]} ({parameter.help}) is required, got nothing"
    return f"{parameter.human_readable_name if parameter else 'an argument'} is required, got nothing"


def _end(status: int, message: str) -> int:
    say(message)
    return status


if __name__ == "__main__":
    sys.exit(main())
