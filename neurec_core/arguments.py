"""What a public function accepts: its arguments declared once, converted and checked before it begins.

A function of arrays says what each argument means and which shape it has; letters stand for sizes, and a letter that
occurs twice is one size::

    @checked(X=array("points", "n d"), y=array("labels", "n"), step=number("step size", "(0, inf)"))
    def descend(X, y, step): ...

Lists, tuples, Series and DataFrames become contiguous arrays; whatever is no array of such numbers is refused in one
line that names the argument, its meaning, what is allowed and what was received.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec, TypeVar

import numpy as np

from .params import LARGEST, BadInput
from .scalars import Check as Check
from .scalars import Sizes as Sizes
from .scalars import choice as choice
from .scalars import count as count
from .scalars import index, within
from .scalars import location as location
from .scalars import number as number
from .scalars import short as short
from .scalars import whole as whole

P = ParamSpec("P")
R = TypeVar("R")


def checked(**checks: Check) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Convert and check the arguments named, in that order, before the function sees them; a default None may be None.

    The declaration is kept as the attribute ``checks`` of the function.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters
        names = list(parameters)
        plan = [(name, names.index(name), check, parameters[name].default is None) for name, check in checks.items()]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given, sizes = list(args), Sizes()
            for name, place, check, optional in plan:
                if place < len(given):
                    if not (optional and given[place] is None):
                        given[place] = check(name, given[place], sizes)
                elif name in kwargs and not (optional and kwargs[name] is None):
                    kwargs[name] = check(name, kwargs[name], sizes)
            return function(*given, **kwargs)

        wrapper.checks = checks  # type: ignore[attr-defined]
        return wrapper

    return decorate


def array(meaning: str, shape: str, *, finite: bool = True, empty: bool = False, interval: str | None = None) -> Check:
    """An array of real numbers, handed on as contiguous float64.

    Parameters
    ----------
    meaning : what it holds, in words
    shape : a letter per axis, as in "n d", or a number, or _ for any size; a bar separates alternatives, as in
        "n | B n", and nothing stands for a single number
    finite : whether NaN and infinite entries are refused
    empty : whether it may have no entries
    interval : the range of every entry, such as "[0, 1]"; None for any

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (n,) = (6,), got (5,)", and the like
    """
    shapes, inside = [one.split() for one in shape.split("|")], interval and within(interval)
    letters = " or ".join(map(_letters, shapes))

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        values = _real(name, meaning, letters, got)
        axes = next((one for one in shapes if len(one) == values.ndim), shapes[-1])
        _fit(name, meaning, letters, axes, values, sizes, empty)
        if finite and (wrong := int(np.sum(~np.isfinite(values)))):
            raise BadInput(f"{name} ({meaning}) must be finite, got {wrong} of {values.size} entries that are not")
        if inside and values.size and not (inside(values.min()) and inside(values.max())):  # NaN is in no interval
            extremes = f"entries from {values.min():g} to {values.max():g}"
            raise BadInput(f"{name} ({meaning}) must hold numbers in {interval}, got {extremes}")
        return np.require(values, requirements="C")

    return check


def ascending(meaning: str) -> Check:
    """Whole numbers from 0 on, each larger than the one before; handed on as an array of int64.

    Raises
    ------
    BadInput : "snapshots (steps to note) must be whole numbers that ascend from 0 on, got [3, 1]"
    """

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        wrong = f"{name} ({meaning}) must be whole numbers that ascend from 0 on, got {short(got)}"
        try:
            values = np.asarray(got if isinstance(got, np.ndarray | range) else [index(one) for one in got])
        except TypeError:
            raise BadInput(wrong) from None
        if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):  # what is empty has no kind
            raise BadInput(wrong)
        if (values < 0).any() or (values > LARGEST).any() or (values[1:] <= values[:-1]).any():
            raise BadInput(wrong)
        return values.astype(np.int64)

    return check


def pattern(meaning: str, shape: str, *, empty: bool = True) -> Check:
    """An array of booleans, or of the numbers 0 and 1; handed on as booleans. What else it holds is refused."""
    as_numbers = array(meaning, shape, empty=empty)

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        values = as_numbers(name, got, sizes)
        if not ((values == 0) | (values == 1)).all():
            extremes = f"entries from {values.min():g} to {values.max():g}"
            raise BadInput(f"{name} ({meaning}) must hold 0 and 1 only, got {extremes}")
        return got if type(got) is np.ndarray and got.dtype == bool else values.astype(bool)

    return check


def record(**parts: Check) -> Check:
    """A named tuple some of whose entries are checked, such as a network of arrays ``W`` and ``a``.

    Raises
    ------
    BadInput : "start.W (hidden weights) must be an array of shape (m, d), got (3,)", or no such tuple
    """

    def check(name: str, got: Any, sizes: Sizes) -> Any:
        if not parts.keys() <= set(getattr(got, "_fields", ())):
            raise BadInput(f"{name} must be a named tuple with entries {', '.join(parts)}, got {short(got)}")
        new = {part: one(f"{name}.{part}", getattr(got, part), sizes) for part, one in parts.items()}
        return got._replace(**new)

    return check


def parts(*checks: Check) -> Check:
    """A tuple or list, checked entry by entry; further entries are like the last one.

    Raises
    ------
    BadInput : "weights[1] (output weights) must be an array of shape (B, m) = (1, 4), got (1, 3)", or too few entries
    """

    def check(name: str, got: Any, sizes: Sizes) -> tuple[Any, ...]:
        if not isinstance(got, tuple | list) or len(got) < len(checks):
            raise BadInput(f"{name} must be a tuple of at least {len(checks)} entries, got {short(got)}")
        each = [*checks, *[checks[-1]] * (len(got) - len(checks))]
        return tuple(one(f"{name}[{i}]", part, sizes) for i, (one, part) in enumerate(zip(each, got, strict=True)))

    return check


def sizes_of(**attributes: str) -> Check:
    """An object whose attributes are sizes: ``sizes_of(M="size")`` lets M stand for ``net.size``.

    Raises
    ------
    BadInput : "net must have the attributes size, got 3"
    """

    def check(name: str, got: Any, sizes: Sizes) -> Any:
        if not all(hasattr(got, attribute) for attribute in attributes.values()):
            raise BadInput(f"{name} must have the attributes {', '.join(attributes.values())}, got {short(got)}")
        sizes |= {letter: getattr(got, attribute) for letter, attribute in attributes.items()}
        return got

    return check


def _real(name: str, meaning: str, letters: str, got: Any) -> np.ndarray:
    """The received as an array of floats, whatever its shape."""
    wanted = f"{name} ({meaning}) must be an array of real numbers of shape {letters}"
    if isinstance(got, np.ma.MaskedArray) and np.ma.is_masked(got):
        raise BadInput(f"{wanted}, got masked entries")
    try:
        if got is None or isinstance(got, str | bytes | Mapping | set | frozenset):
            raise TypeError
        values = np.asarray(got)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        received = (
            "rows of different lengths" if isinstance(got, list | tuple) else f"{type(got).__name__} {short(got)}"
        )
        raise BadInput(f"{wanted}, got {received}") from None
    if values.dtype.kind == "O" and hasattr(got, "to_numpy"):
        with contextlib.suppress(TypeError, ValueError):  # columns of several kinds of number, or with missing ones
            values = got.to_numpy(dtype=float, na_value=np.nan)
    if values.dtype.kind not in "biuf":
        raise BadInput(f"{wanted}, got {f'entries of type {values.dtype}' if values.ndim else short(got)}")
    return values.astype(float, copy=False)


def shaped(
    name: str, meaning: str, letters: str, got: np.ndarray, shape: tuple[int | None, ...], *, empty: bool = False
) -> None:
    """Refuse an array of another shape (None: any size), or without entries unless it may be `empty`.

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)"
    """
    fits = got.ndim == len(shape) and all(size in (None, here) for size, here in zip(shape, got.shape, strict=True))
    if not fits or (0 in got.shape and not empty):
        wanted = f"({', '.join('any' if size is None else str(size) for size in shape)}{',' * (len(shape) == 1)})"
        raise BadInput(f"{name} ({meaning}) must be an array of shape {letters} = {wanted}, got {got.shape}")


def _fit(name: str, meaning: str, letters: str, axes: list[str], got: np.ndarray, sizes: Sizes, empty: bool) -> None:
    """Compare a shape with the letters, and note what letters met for the first time stand for."""
    known = tuple(int(axis) if axis.isdigit() else sizes.get(axis) for axis in axes)
    shaped(name, meaning, letters, got, known, empty=empty)
    sizes |= {axis: size for axis, size in zip(axes, got.shape, strict=True) if axis != "_"}


def _letters(axes: list[str]) -> str:
    return f"({', '.join(axes)}{',' * (len(axes) == 1)})"
