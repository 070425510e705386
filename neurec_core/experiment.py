"""The vocabulary of the house: what an experiment is, what it is given and what it returns.

An `Experiment` is three pure functions, ``sample -> solve -> score``, over one point of a `Params`
model. Everything else (command line, sliders, range checks, table columns, axis labels) is derived
from what `Params` and `Column` declare.
"""

from __future__ import annotations

import difflib
import itertools
import math
import time
import types
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .draws import Draws


class BadInput(ValueError):
    """Input refused at the door: one line with name, meaning, what is allowed and what came."""


class Status(StrEnum):
    """How a trial ended. A member *is* the message a user reads."""

    SOLVED = "solved"
    INACCURATE = "solved to reduced accuracy"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "stopped at a limit of the solver"
    FAILED = "the solver failed"
    RAISED = "raised an error"

    @property
    def usable(self) -> bool:
        """Whether the trial's measures mean anything."""
        return self in (Status.SOLVED, Status.INACCURATE)


class Problem(NamedTuple):
    """What is given: inputs ``X (B, n, d)``, labels ``y (B, n)`` and the net that was planted."""

    X: np.ndarray
    y: np.ndarray
    teacher: Any


class Solution(NamedTuple):
    """What is found: a net (or weights) for each trial, its `Status`, figures of the solve, a history."""

    value: Any
    status: Sequence[Status]
    stats: Mapping[str, np.ndarray] = {}
    trace: Mapping[str, np.ndarray] = {}


# --------------------------------------------------------------------------------------- parameters


def param(
    default: Any,
    label: str,
    *,
    symbol: str | None = None,
    unit: str | None = None,
    ge: float | None = None,
    gt: float | None = None,
    le: float | None = None,
    slider: tuple[float, float, float] | None = None,
) -> Any:
    """Declare one parameter of a `Params` model.

    Parameters
    ----------
    default : the value where none is given
    label : what it means, in words
    symbol : LaTeX, for axes and the book; the field's own name if omitted
    unit : the unit, if it has one
    ge, gt, le : the allowed range
    slider : (low, high, step) worth exploring by hand; inside the allowed range
    """
    extra: dict[str, Any] = {"symbol": symbol, "unit": unit, "slider": slider}
    return Field(default, description=label, ge=ge, gt=gt, le=le, json_schema_extra=extra)


class Declaration(NamedTuple):
    """What a `Params` field declares, in the form that flags, sliders and axes read."""

    name: str
    kind: Literal["int", "float", "choice", "text"]
    default: Any
    label: str
    symbol: str
    unit: str | None
    low: float | None
    high: float | None
    open_low: bool
    choices: tuple[str, ...]
    slider: tuple[float, float, float] | None
    optional: bool

    @property
    def allowed(self) -> str:
        """The allowed values in words, as in error messages and `neurec show`."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "text":
            return "a name"
        low = "(-inf" if self.low is None else f"{'(' if self.open_low else '['}{self.low:g}"
        high = "inf)" if self.high is None else f"{self.high:.12g}]"
        number = "a whole number" if self.kind == "int" else "a number"
        return f"{number} in {low}, {high}" + (" or none" if self.optional else "")

    @property
    def axis(self) -> str:
        """Axis title: label, symbol and unit."""
        return f"{self.label} {self.symbol}" + (f" ({self.unit})" if self.unit else "")


class Params(BaseModel):
    """One point of one experiment: science only, never a device, a path or a number of jobs.

    Raises
    ------
    BadInput : "n (training points) must be a whole number in [1, 100000], got 0"
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, validate_default=True)

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise BadInput(_explain(type(self), error)) from None

    @model_validator(mode="before")
    @classmethod
    def _read_none(cls, values: Any) -> Any:
        # The command line and papermill hand over words; "none" is the word for an optional value left out.
        if isinstance(values, dict):
            return {k: None if isinstance(v, str) and v.lower() == "none" else v for k, v in values.items()}
        return values

    @classmethod
    def declared(cls) -> dict[str, Declaration]:
        """Every field's `Declaration`, in the order of the class."""
        return {name: _declaration(name, info) for name, info in cls.model_fields.items()}

    @classmethod
    def name_of(cls, written: str) -> str:
        """The field meant by `written` (dashes or underscores alike).

        Raises
        ------
        BadInput : "unknown parameter 'sigm': did you mean sigma? (one of n, d, sigma)"
        """
        name = written.replace("-", "_")
        if name not in cls.model_fields:
            raise BadInput(unknown("parameter", written, cls.model_fields))
        return name

    def with_(self, **changes: Any) -> typing.Self:
        """A checked copy with some fields changed."""
        return type(self)(**{**self.model_dump(), **changes})


def unknown(what: str, got: object, known: Iterable[str]) -> str:
    """One line for a name that is not there, with the nearest one that is."""
    known = list(known)
    near = difflib.get_close_matches(str(got).replace("-", "_"), known, n=1, cutoff=0.5)
    guess = f"did you mean {near[0]}? " if near else ""
    return f"unknown {what} {str(got)!r}: {guess}(one of {', '.join(known)})"


def _declaration(name: str, info: Any) -> Declaration:
    annotation = info.annotation
    optional = isinstance(annotation, types.UnionType) and types.NoneType in annotation.__args__
    if optional:
        (annotation,) = (a for a in annotation.__args__ if a is not types.NoneType)
    choices = typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()
    bounds = {key: getattr(m, key) for m in info.metadata for key in ("ge", "gt", "le") if hasattr(m, key)}
    extra = info.json_schema_extra or {}
    kinds: dict[Any, Literal["int", "float", "text"]] = {int: "int", float: "float", str: "text"}
    return Declaration(
        name=name,
        kind="choice" if choices else kinds[annotation],
        default=info.default,
        label=info.description or name,
        symbol=extra.get("symbol") or name,
        unit=extra.get("unit"),
        low=bounds.get("ge", bounds.get("gt")),
        high=bounds.get("le"),
        open_low="gt" in bounds,
        choices=choices,
        slider=extra.get("slider"),
        optional=optional,
    )


def _explain(params: type[Params], error: ValidationError) -> str:
    first = error.errors()[0]
    if not first["loc"]:
        return str(first["ctx"]["error"]) if "ctx" in first else first["msg"]
    name, got = str(first["loc"][0]), first["input"]
    if first["type"] == "extra_forbidden":
        return unknown("parameter", name, params.model_fields)
    declared = params.declared()[name]
    if first["type"] == "value_error":
        return f"{name} ({declared.label}) {first['ctx']['error']}"
    near = difflib.get_close_matches(str(got), declared.choices, n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    return f"{name} ({declared.label}) must be {declared.allowed}, got {got!r}{hint}"


# ------------------------------------------------------------------------------ grids and experiments


class Column(NamedTuple):
    """A score: an `event` happens or not (drawn as a rate), a `measure` is a number (drawn as a spread)."""

    label: str
    kind: Literal["event", "measure"]
    unit: str | None = None


class Guide(NamedTuple):
    """A curve that theory predicts, drawn over a figure: `x` as a function of `y`, two parameters' names."""

    x: str
    y: str
    curve: Callable[[np.ndarray], np.ndarray]
    label: str


@dataclass(frozen=True)
class Grid:
    """Every combination of `axes`, the other parameters `fixed`, `trials` independent draws a cell."""

    axes: Mapping[str, Sequence[Any]]
    trials: int
    fixed: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cells(self) -> int:
        return math.prod(len(values) for values in self.axes.values())

    def points(self, params: type[Params]) -> list[Params]:
        """The grid's points, the last axis fastest.

        Raises
        ------
        BadInput : a value or a combination of values that the parameters do not allow
        """
        combinations = itertools.product(*self.axes.values())
        return [params(**{**self.fixed, **dict(zip(self.axes, c, strict=True))}) for c in combinations]


@dataclass(frozen=True)
class Experiment:
    """Three pure functions and what they declare.

    Parameters
    ----------
    name : "paper.experiment"
    question : one line of what is asked
    params : the `Params` model
    sample : ``(params, draws) -> Problem``
    solve : ``(params, problem, draws) -> Solution``
    score : ``(params, problem, solution) -> {column: (B,) array}``
    columns : every score's `Column`; the first event is the headline
    presets : "tiny" (tests, seconds), "quick" (notebook, under a minute), "paper" (the published figure)
    citation : the paper, one line
    guides : predicted curves
    batch : trials solved together, which is also the most that an interrupted sweep loses a worker
    """

    name: str
    question: str
    params: type[Params]
    sample: Callable[[Any, Draws], Problem]
    solve: Callable[[Any, Problem, Draws], Solution]
    score: Callable[[Any, Problem, Solution], dict[str, np.ndarray]]
    columns: Mapping[str, Column]
    presets: Mapping[str, Grid]
    citation: str
    guides: tuple[Guide, ...] = ()
    batch: int = 1

    def preset(self, name: str) -> Grid:
        """The grid called `name`.

        Raises
        ------
        BadInput : "unknown preset 'papr': did you mean paper? (one of tiny, quick, paper)"
        """
        if name not in self.presets:
            raise BadInput(unknown("preset", name, self.presets))
        return self.presets[name]

    def run(self, params: Params, draws: Draws) -> tuple[Problem, Solution, dict[str, np.ndarray]]:
        """Sample, solve and score one point; an error of the experiment is raised."""
        problem = self.sample(params, draws)
        solution = self.solve(params, problem, draws)
        return problem, solution, self.score(params, problem, solution)

    def rows(self, params: Params, seed: int, trials: Sequence[int]) -> list[dict[str, Any]]:
        """One plain row a trial: parameters, seed, trial, scores, status, detail, seconds.

        A trial that raises, or that its solver gives up, is a row with its status and no measures; the
        trials beside it are not touched.
        """
        start = time.perf_counter()
        try:
            _, solution, scores = self.run(params, Draws(seed, trials))
        except Exception as error:  # whatever an experiment raises, the sweep goes on
            if len(trials) > 1:
                return [row for trial in trials for row in self.rows(params, seed, [trial])]
            statuses, details = [Status.RAISED], [f"{type(error).__name__}: {error}"]
            scores = {}
        else:
            statuses, details = list(solution.status), [""] * len(trials)
        seconds = (time.perf_counter() - start) / len(trials)
        rows = []
        for b, (trial, status, detail) in enumerate(zip(trials, statuses, details, strict=True)):
            measures = {
                name: scores[name][b].item() if status.usable else None for name in self.columns
            }
            end = {"status": status.value, "detail": detail, "seconds": seconds}
            rows.append({**params.model_dump(), "seed": seed, "trial": int(trial), **measures, **end})
        return rows
