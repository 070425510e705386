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

from ..errors import InvalidInput, received
from .integers import ascending as ascending
from .integers import indices as indices
from .integers import integers as integers
from .integers import wholes as wholes
from .scalars import Check as Check
from .scalars import Sizes as Sizes
from .scalars import choice as choice
from .scalars import count as count
from .scalars import location as location
from .scalars import number as number
from .scalars import whole as whole
from .scalars import within
from .shapes import Shape
from .shapes import shaped as shaped

P = ParamSpec("P")
R = TypeVar("R")


def checked(**checks: Check) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Convert and check the arguments named, in that order, before the function sees them; a default None may be None.

    Arguments that a function takes as ``*rest`` are checked together, as a tuple. The declaration is kept as the
    attribute ``checks`` of the function.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters
        names = list(parameters)
        rest = next((name for name, p in parameters.items() if p.kind is p.VAR_POSITIONAL), None)
        plan = [(name, names.index(name), check, parameters[name].default is None) for name, check in checks.items()]

        @functools.wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            given, sizes = list(args), Sizes()
            for name, place, check, optional in plan:
                if name == rest:
                    given[place:] = check(name, tuple(given[place:]), sizes)
                elif place < len(given):
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
    InvalidInput : "y (labels) must be an array of shape (n,) = (6,), got (5,)", and the like
    """
    wanted, inside = Shape(shape), interval and within(interval)

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        values = _real(name, meaning, wanted.letters, got)
        wanted.fit(name, meaning, values, sizes, empty=empty)
        if finite and (wrong := int(np.sum(~np.isfinite(values)))):
            raise InvalidInput(f"{name} ({meaning}) must be finite, got {wrong} of {values.size} entries that are not")
        if inside and values.size and not (inside(values.min()) and inside(values.max())):  # NaN is in no interval
            extremes = f"entries from {values.min():g} to {values.max():g}"
            raise InvalidInput(f"{name} ({meaning}) must hold numbers in {interval}, got {extremes}")
        return np.require(values, requirements="C")

    return Check("array" if finite else "array with NaN", check)


def pattern(meaning: str, shape: str, *, empty: bool = True) -> Check:
    """An array of booleans, or of the numbers 0 and 1; handed on as booleans. What else it holds is refused."""
    as_numbers, wanted = array(meaning, shape, empty=empty), Shape(shape)

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        if type(got) is np.ndarray and got.dtype == bool:
            wanted.fit(name, meaning, got, sizes, empty=empty)
            return got
        values = as_numbers(name, got, sizes)
        if not ((values == 0) | (values == 1)).all():
            extremes = f"entries from {values.min():g} to {values.max():g}"
            raise InvalidInput(f"{name} ({meaning}) must hold 0 and 1 only, got {extremes}")
        return values.astype(bool)

    return Check("pattern", check)


def record(**parts: Check) -> Check:
    """A named tuple some of whose entries are checked, such as a network of arrays ``W`` and ``a``.

    An entry whose default is None may be None.

    Raises
    ------
    InvalidInput : "start.W (hidden weights) must be an array of shape (m, d), got (3,)", or no such tuple
    """

    def check(name: str, got: Any, sizes: Sizes) -> Any:
        if not parts.keys() <= set(getattr(got, "_fields", ())):
            raise InvalidInput(f"{name} must be a named tuple with entries {', '.join(parts)}, got {received(got)}")
        new, optional = got._asdict(), [part for part, default in got._field_defaults.items() if default is None]
        for part, one in parts.items():
            if not (part in optional and new[part] is None):
                new[part] = one(f"{name}.{part}", new[part], sizes)
        return got._replace(**new)

    return Check("named tuple", check)


def parts(*checks: Check) -> Check:
    """A tuple or list, checked entry by entry; further entries are like the last one.

    Raises
    ------
    InvalidInput : "weights[1] (output weights) must be an array of shape (B, m) = (1, 4), got (1, 3)", or too few
        entries
    """

    def check(name: str, got: Any, sizes: Sizes) -> tuple[Any, ...]:
        if not isinstance(got, tuple | list) or len(got) < len(checks):
            raise InvalidInput(f"{name} must be a tuple of at least {len(checks)} entries, got {received(got)}")
        each = [*checks, *[checks[-1]] * (len(got) - len(checks))]
        return tuple(one(f"{name}[{i}]", part, sizes) for i, (one, part) in enumerate(zip(each, got, strict=True)))

    return Check("tuple", check)


def sizes_of(**attributes: str) -> Check:
    """An object whose attributes are sizes: ``sizes_of(M="size")`` lets M stand for ``net.size``.

    Raises
    ------
    InvalidInput : "net must have the attributes size, got 3"
    """

    def check(name: str, got: Any, sizes: Sizes) -> Any:
        if not all(hasattr(got, attribute) for attribute in attributes.values()):
            raise InvalidInput(f"{name} must have the attributes {', '.join(attributes.values())}, got {received(got)}")
        sizes |= {letter: getattr(got, attribute) for letter, attribute in attributes.items()}
        return got

    return Check("object", check)


def _real(name: str, meaning: str, letters: str, got: Any) -> np.ndarray:
    """The received as an array of floats, whatever its shape."""
    wanted = f"{name} ({meaning}) must be an array of real numbers of shape {letters}"
    if isinstance(got, np.ma.MaskedArray) and np.ma.is_masked(got):
        raise InvalidInput(f"{wanted}, got masked entries")
    try:
        if got is None or isinstance(got, str | bytes | Mapping | set | frozenset):
            raise TypeError
        values = np.asarray(got)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        ragged = isinstance(got, list | tuple)
        what = "rows of different lengths" if ragged else f"{type(got).__name__} {received(got)}"
        raise InvalidInput(f"{wanted}, got {what}") from None
    if values.dtype.kind == "O" and hasattr(got, "to_numpy"):
        with contextlib.suppress(TypeError, ValueError):  # columns of several kinds of number, or with missing ones
            values = got.to_numpy(dtype=float, na_value=np.nan)
    if values.dtype.kind not in "biuf":
        raise InvalidInput(f"{wanted}, got {f'entries of type {values.dtype}' if values.ndim else received(got)}")
    return values.astype(float, copy=False)
