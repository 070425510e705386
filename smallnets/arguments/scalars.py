"""What a public function accepts where it takes no array: numbers, whole numbers, names and paths."""

from __future__ import annotations

import contextlib
import numbers
import operator
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import LARGEST, InvalidInput, received, unknown

Sizes = dict[str, int]  # what the letters of one call stand for


@dataclass(frozen=True)
class Check:
    """What an argument may be: called with (name, received, sizes), it returns the converted value or refuses it.

    kind : what is accepted, such as "number", "whole number" or "array"
    convert : the function that converts or refuses
    """

    kind: str
    convert: Callable[[str, Any, Sizes], Any]

    def __call__(self, name: str, got: Any, sizes: Sizes) -> Any:
        """The converted value; InvalidInput where it is refused."""
        return self.convert(name, got, sizes)


def number(meaning: str, interval: str = "(-inf, inf)") -> Check:
    """A real number in an interval, handed on as a float.

    Raises
    ------
    InvalidInput : "step (step size) must be a number in (0, inf), got nan"
    """
    return _in_interval("number", meaning, interval, _real)


def whole(meaning: str, interval: str = "[0, inf)") -> Check:
    """A whole number in an interval, handed on as an int.

    Raises
    ------
    InvalidInput : "steps (iterations) must be a whole number in [0, inf), got 2.5"
    """
    return _in_interval("whole number", meaning, interval, index)


def _in_interval(kind: str, meaning: str, interval: str, convert: Callable[[Any], Any]) -> Check:
    inside = within(interval)

    def check(name: str, got: Any, sizes: Sizes) -> Any:
        with contextlib.suppress(TypeError, OverflowError):
            if inside(value := convert(got)):
                return value
        raise InvalidInput(f"{name} ({meaning}) must be a {kind} in {interval}, got {received(got)}")

    return Check(kind, check)


def _real(got: Any) -> float:
    """A real number as a float; what is none, or a boolean, is a TypeError."""
    got = got[()] if isinstance(got, np.ndarray) else got  # an array of no axes is a number
    if isinstance(got, bool | np.bool) or not isinstance(got, numbers.Real):
        raise TypeError
    return float(got)


def count(meaning: str, low: int = 0) -> Check:
    """A whole number from `low` to the largest that a table holds, handed on as an int."""
    return whole(meaning, f"[{low}, {LARGEST}]")


def location(meaning: str) -> Check:
    """A path of a file or folder, handed on as a `Path`; ``~`` stands for the home folder, as in ``--out=~/runs``.

    Raises
    ------
    InvalidInput : "out (folder of the sweep) must be a path, got ''"
    """

    def check(name: str, got: Any, sizes: Sizes) -> Path:
        wrong = f"{name} ({meaning}) must be a path, got {received(got)}"
        if not isinstance(got, str | os.PathLike) or not str(got):
            raise InvalidInput(wrong)
        try:
            return Path(got).expanduser()
        except RuntimeError:
            raise InvalidInput(f"{wrong}: there is no such user") from None

    return Check("path", check)


def choice(meaning: str, known: Mapping[str, Any] | tuple[str, ...]) -> Check:
    """One of some names; another one is refused with the nearest that is known."""

    def check(name: str, got: Any, sizes: Sizes) -> str:
        if not isinstance(got, str) or got not in known:
            raise InvalidInput(unknown(meaning, got, known))
        return got

    return Check("name", check)


def index(got: Any) -> int:
    """A whole number as an int; what is none, or a boolean, is a TypeError."""
    if isinstance(got, bool | np.bool):
        raise TypeError
    return operator.index(got)


def within(text: str) -> Callable[[Any], bool]:
    """Whether a number is in an interval such as "[0, 1)"; NaN is in none."""
    # Whole bounds as ints: the largest number of a table is no float.
    low, high = (int(b) if b.strip(" -").isdecimal() else float(b) for b in text[1:-1].split(","))
    above = operator.ge if text[0] == "[" else operator.gt
    below = operator.le if text[-1] == "]" else operator.lt
    return lambda value: bool(above(value, low) and below(value, high))
