"""Parameters: declared once, and read from that declaration by flags, sliders, checks, columns and axes."""

from __future__ import annotations

import difflib
import reprlib
import types
import typing
from collections.abc import Callable, Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

LARGEST = 2**63 - 1  # the largest whole number that a table holds
MOST_SHOWN = 100  # characters of a received value that a message repeats
WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
MOST_WRITTEN = 3000  # characters of a message: a list of every experiment fits, a file given as a value does not


# Writes a long list or array no further than its beginning is shown; all else is written whole, and shortened then.
_WRITER = reprlib.Repr()
_WRITER.maxstring = _WRITER.maxlong = _WRITER.maxother = LARGEST


class BadInput(ValueError):
    """Input that is refused: one line with the name, its meaning, what is allowed and what was received.

    Attributes
    ----------
    refuses_input : True. A library's own errors may say the same; a trial that raises one is refused, and not a row
    """

    refuses_input = True

    def __init__(self, message: str) -> None:
        super().__init__(shortened(" ".join(message.split()), MOST_WRITTEN))


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
    geometric: bool = False,
) -> Any:
    """Declare one parameter of a `Params` model.

    Parameters
    ----------
    default : the value where none is given
    label : what it means, in words
    symbol : how the mathematics writes it, plain text; the field's own name if omitted
    unit : the unit, if it has one
    ge, gt, le : the allowed range
    slider : (low, high, step) worth exploring by hand; inside the allowed range
    geometric : whether a step of the slider multiplies
    """
    extra: dict[str, Any] = {"symbol": symbol, "unit": unit, "slider": slider, "geometric": geometric}
    # pydantic takes 1, "t" and much more for true where it is not strict.
    strict = True if isinstance(default, bool) else None
    return Field(default, description=label, ge=ge, gt=gt, le=le, strict=strict, json_schema_extra=extra)


class Derived(property):
    """A number that follows from parameters; made by `derived`."""

    label: str
    symbol: str


def derived(label: str, symbol: str) -> Callable[[Callable[[Any], Any]], Any]:
    """Declare a number that follows from parameters, such as m/n: an axis of figures, and no parameter itself.

    The method below it takes one point, or a table with a column for each parameter, and so consists of arithmetic::

        @derived("features per training point", symbol="m/n")
        def ratio(self):
            return self.m / self.n
    """

    def declare(function: Callable[[Any], Any]) -> Derived:
        made = Derived(function)
        made.label, made.symbol = label, symbol
        return made

    return declare


class Declaration(NamedTuple):
    """What a `Params` field declares, in the form that flags, sliders and axes read."""

    name: str
    kind: Literal["int", "float", "bool", "choice", "text"]
    default: Any
    label: str
    symbol: str
    unit: str | None
    low: float | None
    high: float | None
    open_low: bool
    choices: tuple[str, ...]
    slider: tuple[float, float, float] | None
    geometric: bool
    optional: bool

    @property
    def allowed(self) -> str:
        """The allowed values in words, as in error messages and `neurec show`."""
        if self.kind == "choice":
            return "one of " + ", ".join(self.choices)
        if self.kind == "text":
            return "a name"
        if self.kind == "bool":
            return "true or false"
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
    def _read_words(cls, values: Any) -> Any:
        # The command line and papermill hand over words; "none" is the word for an optional value left out.
        if not isinstance(values, dict):
            return values
        read = {k: None if isinstance(v, str) and v.lower() == "none" else v for k, v in values.items()}
        for name, info in cls.model_fields.items():
            if info.annotation is bool and isinstance(value := read.get(name), str | np.bool):
                read[name] = WORDS.get(str(value).lower(), value)
        return read

    @classmethod
    def declared(cls) -> dict[str, Declaration]:
        """Every field's `Declaration`, in the order of the class."""
        return {name: _declaration(name, info) for name, info in cls.model_fields.items()}

    @classmethod
    def axes(cls) -> dict[str, Declaration]:
        """The fields that are declared, and after them the numbers that are derived from them."""
        found = {name: item for base in reversed(cls.__mro__) for name, item in vars(base).items()}
        return cls.declared() | {n: _of_derived(n, item) for n, item in found.items() if isinstance(item, Derived)}

    @classmethod
    def read_by(cls, axis: str) -> set[str]:
        """The fields that an axis is made of: itself, or those that a derived number reads."""
        item = getattr(cls, axis, None)  # a field is no attribute of the class
        if not isinstance(item, Derived) or item.fget is None:
            return {axis}
        reader = _Reader()
        item.fget(reader)
        return reader.read

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


def shortened(text: str, most: int = MOST_SHOWN) -> str:
    """The text, or its beginning and its length where it is longer than `most` characters."""
    return text if len(text) <= most else f"{text[: most - 25]}... ({len(text)} characters)"


def received(value: object) -> str:
    """A value as messages repeat it: its `repr`, shortened, in one line."""
    try:
        return shortened(" ".join(_WRITER.repr(value).split()))
    except ValueError:  # a whole number of more digits than Python writes
        return "a number too long to write"


def unknown(what: str, got: object, known: Iterable[str]) -> str:
    """One line for a name that is not there, with the nearest one that is."""
    known = list(known)
    plain = {name.replace("-", "_"): name for name in known}
    near = difflib.get_close_matches(str(got)[:MOST_SHOWN].replace("-", "_"), plain, n=1, cutoff=0.5)
    guess = f": did you mean {plain[near[0]]}?" if near else ""
    return f"unknown {what} {received(str(got))}{guess} (one of {', '.join(known)})"


def _declaration(name: str, info: Any) -> Declaration:
    annotation = info.annotation
    optional = isinstance(annotation, types.UnionType) and types.NoneType in annotation.__args__
    if optional:
        (annotation,) = (a for a in annotation.__args__ if a is not types.NoneType)
    choices = typing.get_args(annotation) if typing.get_origin(annotation) is Literal else ()
    bounds = {key: getattr(m, key) for m in info.metadata for key in ("ge", "gt", "le") if hasattr(m, key)}
    extra = info.json_schema_extra or {}
    kinds: dict[Any, Literal["int", "float", "bool", "text"]] = {
        int: "int", float: "float", bool: "bool", str: "text",
    }  # fmt: skip
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
        geometric=extra.get("geometric", False),
        optional=optional,
    )


class _Reader:
    """Ones in the place of all fields; it notes which are read."""

    def __init__(self) -> None:
        self.read: set[str] = set()

    def __getattr__(self, name: str) -> float:
        self.read.add(name)
        return 1.0


def _of_derived(name: str, item: Derived) -> Declaration:
    bounds: Any = (None, None, False, (), None, False, False)
    return Declaration(name, "float", None, item.label, item.symbol, None, *bounds)


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
    near = difflib.get_close_matches(received(got).strip("'"), declared.choices, n=1)
    hint = f": did you mean {near[0]}?" if near else ""
    return f"{name} ({declared.label}) must be {declared.allowed}, got {received(got)}{hint}"
