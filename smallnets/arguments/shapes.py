"""Shapes of arrays, written as letters: a letter that occurs twice is one size."""

from __future__ import annotations

import numpy as np

from ..errors import InvalidInput
from .scalars import Sizes


def shaped(
    name: str, meaning: str, letters: str, got: np.ndarray, *, shape: tuple[int | None, ...], empty: bool = False
) -> None:
    """Refuse an array of another shape (None: any size), or without entries unless it may be `empty`.

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)"
    """
    fits = got.ndim == len(shape) and all(size in (None, here) for size, here in zip(shape, got.shape, strict=True))
    if not fits or (0 in got.shape and not empty):
        wanted = f"({', '.join('any' if size is None else str(size) for size in shape)}{',' * (len(shape) == 1)})"
        raise InvalidInput(f"{name} ({meaning}) must be an array of shape {letters} = {wanted}, got {got.shape}")


class Shape:
    """A shape that an array must have, in letters, as `arguments.array` describes it.

    letters : as error messages show it: () or (n,) or (B, n)
    """

    def __init__(self, written: str) -> None:
        self._shapes = [one.split() for one in written.split("|")]
        self.letters = " or ".join(f"({', '.join(axes)}{',' * (len(axes) == 1)})" for axes in self._shapes)

    def fit(self, name: str, meaning: str, got: np.ndarray, sizes: Sizes, *, empty: bool) -> None:
        """Compare an array with the letters, and note in `sizes` what letters met for the first time stand for.

        Raises
        ------
        InvalidInput : as `shaped`
        """
        axes = next((one for one in self._shapes if len(one) == got.ndim), self._shapes[-1])
        known = tuple(int(axis) if axis.isdigit() else sizes.get(axis) for axis in axes)
        shaped(name, meaning, self.letters, got, shape=known, empty=empty)
        sizes |= {axis: size for axis, size in zip(axes, got.shape, strict=True) if axis != "_"}
