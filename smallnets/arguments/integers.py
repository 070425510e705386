"""What a public function accepts where it takes several whole numbers: steps, sizes, indices."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import LARGEST, InvalidInput, received
from .scalars import Check, Sizes, index, within
from .shapes import Shape


def ascending(meaning: str) -> Check:
    """Whole numbers from 0 on, each larger than the one before; handed on as an array of int64.

    Raises
    ------
    InvalidInput : "snapshots (steps to note) must be whole numbers that ascend from 0 on, got [3, 1]"
    """

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        values = _wholes(got)
        if values is None or (values < 0).any() or (values > LARGEST).any() or (values[1:] <= values[:-1]).any():
            raise InvalidInput(f"{name} ({meaning}) must be whole numbers that ascend from 0 on, got {received(got)}")
        return values.astype(np.int64)

    return Check("whole numbers", check)


def wholes(meaning: str, interval: str = "[0, inf)", *, empty: bool = True) -> Check:
    """Whole numbers in an interval, in any order; handed on as a tuple of ints.

    Raises
    ------
    InvalidInput : "hidden (neurons of the hidden layers) must be whole numbers in [1, inf), got (2, 2.5)"
    """
    inside = within(interval)

    def check(name: str, got: Any, sizes: Sizes) -> tuple[int, ...]:
        values = _wholes(got)
        if values is None or not (len(values) or empty) or not all(map(inside, values.tolist())):
            raise InvalidInput(f"{name} ({meaning}) must be whole numbers in {interval}, got {received(got)}")
        return tuple(values.tolist())

    return Check("whole numbers", check)


def indices(meaning: str, letter: str, below: str, *, signed: bool = False) -> Check:
    """Whole numbers from 0 on, below the size that the letter `below` stands for; handed on as an array of int64.

    A mask of booleans, one for each index that there is, stands for those that are True. With no `letter` for how many
    there are, a single whole number, handed on as an int. If `signed`, ~i stands beside i: they start at -size.

    Raises
    ------
    InvalidInput : "plant.where (blocks) must be whole numbers in [0, 6), got array([7])"
    """

    def check(name: str, got: Any, sizes: Sizes) -> Any:
        end = sizes.get(below, LARGEST)
        start = -end if signed else 0
        if isinstance(got, np.ndarray) and got.dtype == bool and got.shape == (end,):
            got = np.flatnonzero(got)
        values = _wholes(got if letter else [got])
        if values is None or (values < start).any() or (values >= end).any():
            kind = "whole numbers" if letter else "a whole number"
            raise InvalidInput(f"{name} ({meaning}) must be {kind} in [{start}, {end}), got {received(got)}")
        if not letter:
            return int(values[0])
        Shape(letter).fit(name, meaning, values, sizes, empty=True)
        return values.astype(np.int64)

    return Check("whole numbers" if letter else "whole number", check)


def integers(meaning: str, shape: str) -> Check:
    """Whole numbers in an array of a shape, as for `arguments.array`; handed on as an array of int64.

    Raises
    ------
    InvalidInput : "units (signed cells) must be whole numbers of shape (m,), got [0.5]"
    """
    wanted = Shape(shape)

    def check(name: str, got: Any, sizes: Sizes) -> np.ndarray:
        values = _array(got)
        if values is None:
            raise InvalidInput(
                f"{name} ({meaning}) must be whole numbers of shape {wanted.letters}, got {received(got)}"
            )
        wanted.fit(name, meaning, values, sizes, empty=True)
        return values

    return Check("integers", check)


def _array(got: Any) -> np.ndarray | None:
    """The received as an array of int64, of whatever shape; None if it is none."""
    try:
        values = np.asarray(got)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        return None
    return values.astype(np.int64) if values.dtype.kind in "iu" or not values.size else None


def _wholes(got: Any) -> np.ndarray | None:
    """The received as an array (k,) of whole numbers, of whatever size; None if it is none."""
    try:
        if isinstance(got, Mapping | str | bytes):
            raise TypeError
        values = np.asarray(got if isinstance(got, np.ndarray | range) else [index(one) for one in got])
    except TypeError:
        return None
    if not values.size:  # what is empty has no kind
        values = values.astype(int)
    whole_kinds = "iu" if isinstance(got, np.ndarray) else "iuO"  # a list may hold whole numbers beyond 64 bits
    return values if values.ndim == 1 and values.dtype.kind in whole_kinds else None
