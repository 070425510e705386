"""What the command line reads: whole numbers, axes, grids."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np

from .. import foreign
from ..experiment import Experiment, Grid
from ..foreign import Configuration
from ..params import BadInput, received, shortened, unknown
from ..values import location, whole, word

MOST_VALUES = 1_000_000
TRIALS = 10  # trials per cell where neither a preset nor the user says


class RunFailed(Exception):
    """A run that could not do what it was asked; the message is one line."""


def say(line: str) -> None:
    """A line beside the results: to standard error, after the program's name."""
    click.echo(f"neurec: {line}", err=True)


def normalise(word: str) -> str:
    """Dashes and underscores alike."""
    return word.replace("_", "-")


class Whole(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A whole number from `low` on, refused like any parameter of an experiment."""

    name = "INT"

    def __init__(self, meaning: str, low: int) -> None:
        self.meaning, self.low = meaning, low

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        with contextlib.suppress(ValueError):  # what is no number is refused as it was written
            value = int(value)
        return whole((param and param.name) or "value", self.meaning, value, self.low)


class Location(click.ParamType):  # type: ignore[type-arg, unused-ignore]
    """A path of a file or folder."""

    name = "PATH"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        meaning = param.help if isinstance(param, click.Option) else "a file or folder"
        return location(param.human_readable_name if param else "path", meaning or "", value)


DIR = Location()


class Flags(click.Command):
    """A command of options only; what is written in another way is answered with the right one."""

    def __init__(self, *args: Any, elsewhere: Mapping[str, str], **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.elsewhere = elsewhere  # options that users look for here, and where they are

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the options.

        Raises
        ------
        BadInput : "unknown option '-n': did you mean --n?", "unexpected argument 'n=60': did you mean --n 60?"
        """
        ctx.allow_extra_args = True
        written = list(args)
        try:
            super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise BadInput(self._no_option(error.option_name, written)) from None
        if ctx.args:
            name, equals, value = ctx.args[0].partition("=")
            name = self._spelled(name)
            right = f"--over {name[2:]}={value}" if set(value) & set(",:") else f"{name} {value}"
            hint = f": did you mean {shortened(right)}?" if equals and name in self.flags else ""
            raise BadInput(f"unexpected argument {received(ctx.args[0])}{hint}")
        return ctx.args

    @property
    def flags(self) -> list[str]:
        """Every option, with its dashes."""
        return [flag for param in self.params for flag in param.opts if flag.startswith("--")]

    def _spelled(self, word: str) -> str:
        return f"--{normalise(word.lstrip('-'))}"

    def _no_option(self, name: str, written: Sequence[str]) -> str:
        # Of -trials the parser reads -t only.
        word = name if name.startswith("--") else next((w for w in written if w.startswith(name)), name)
        right = self._spelled(word.partition("=")[0])
        if right in self.elsewhere:
            return f"{right} {self.elsewhere[right]}"
        if right in self.flags:
            return f"unknown option {received(word)}: did you mean {right}?"
        return unknown("option", name, self.flags)


def axis(text: str, experiment: Experiment) -> tuple[str, list[Any]]:
    """Read ``FIELD=START:STOP:STEP`` (STOP included) or ``FIELD=A,B,...``.

    Raises
    ------
    BadInput : "over (an axis of the grid) must be FIELD=START:STOP:STEP or FIELD=A,B,..., got 'n'"
    """
    name, equals, values = text.partition("=")
    wrong = f"over (an axis of the grid) must be FIELD=START:STOP:STEP or FIELD=A,B,..., got {received(text)}"
    if not equals or not values:
        raise BadInput(wrong)
    field = experiment.params.name_of(name)
    if ":" not in values:
        return field, list(dict.fromkeys(value.strip() for value in values.split(",")))
    try:
        start, stop, step = (float(word) for word in values.split(":"))
    except ValueError:
        raise BadInput(wrong) from None
    if not np.isfinite([start, stop, step]).all() or step <= 0 or stop < start:
        raise BadInput(f"{wrong}: STEP must be > 0 and STOP >= START")
    if (stop - start) / step >= MOST_VALUES:
        raise BadInput(f"{wrong}: more than {MOST_VALUES} values")
    # Half a step of slack includes STOP in spite of rounding; the rounding takes 0.30000000000000004 back.
    steps = [round(v, 12) for v in np.arange(start, stop + step / 2, step).tolist() if v <= stop + 1e-9 * step]
    return field, [int(v) if v.is_integer() else v for v in steps]


def configured(experiment: Experiment, path: Path | None) -> Configuration:
    """What a configuration of the published program asks for; nothing where none is named."""
    return foreign.read(path, experiment.form) if path and experiment.form else Configuration({}, {}, 0)


def grid_from(
    experiment: Experiment, base: Grid, over: Sequence[str], fixed: dict[str, Any], *, trials: int | None
) -> Grid:
    """The grid that a preset or a configuration, axes and fixed values ask for together; the more particular wins.

    Raises
    ------
    BadInput : an unknown field, or a field both fixed and swept
    """
    axes = dict(axis(text, experiment) for text in over)
    for name in axes:
        if name in fixed:
            flag = f"--{name} {shortened(word(fixed[name]))}"
            raise BadInput(f"{name} is both fixed ({flag}) and an axis (--over {name}=...)")
    kept = {name: values for name, values in base.axes.items() if name not in fixed}
    return Grid({**kept, **axes}, trials or base.trials, {**base.fixed, **fixed})


def words(values: Sequence[Any]) -> str:
    """An axis in short: ``10:400:10`` or ``a, b``."""
    if isinstance(values, range) and len(values) > 2:
        return f"{values[0]}:{values[-1]}:{values.step}"
    return ", ".join(map(word, values))
