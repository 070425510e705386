"""Checks of plain values that users give: whole numbers and paths."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .params import LARGEST, BadInput, received


def whole(name: str, meaning: str, got: Any, low: int = 0) -> int:
    """A whole number from `low` to the largest that a table holds, as an int.

    Raises
    ------
    BadInput : "seed (seed of every draw) must be a whole number in [0, 9223372036854775807], got -1"
    """
    value = _index(got)
    if value is None or not low <= value <= LARGEST:
        raise BadInput(f"{name} ({meaning}) must be a whole number in [{low}, {LARGEST}], got {received(got)}")
    return value


def wholes(name: str, meaning: str, got: Any) -> tuple[int, ...]:
    """Whole numbers from 0 to the largest that a table holds, as a tuple of ints.

    Raises
    ------
    BadInput : "trials (numbers of draws) must be whole numbers in [0, 9223372036854775807], got [-1]"
    """
    several = isinstance(got, Iterable) and not isinstance(got, str | bytes | Mapping)
    values = [_index(one) for one in got] if several else [None]
    if not all(value is not None and 0 <= value <= LARGEST for value in values):
        raise BadInput(f"{name} ({meaning}) must be whole numbers in [0, {LARGEST}], got {received(got)}")
    return tuple(value for value in values if value is not None)


def word(value: Any) -> str:
    """A value as the command line writes it: none, true and false without a capital."""
    return str(value).lower() if value is None or isinstance(value, bool | np.bool) else str(value)


def location(name: str, meaning: str, got: Any) -> Path:
    """A path of a file or folder; ``~`` stands for the home folder, as in ``--out=~/runs``.

    Raises
    ------
    BadInput : "out (folder of the sweep) must be a path, got ''"
    """
    wrong = f"{name} ({meaning}) must be a path, got {received(got)}"
    if not isinstance(got, str | os.PathLike) or not str(got):
        raise BadInput(wrong)
    try:
        return Path(got).expanduser()
    except RuntimeError:
        raise BadInput(f"{wrong}: there is no such user") from None


def _index(got: Any) -> int | None:
    """The received as an int, or None if it is no whole number; a boolean is none."""
    try:
        return None if isinstance(got, bool | np.bool) else operator.index(got)
    except TypeError:
        return None
