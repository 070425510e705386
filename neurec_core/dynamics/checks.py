"""What the doors of this package refuse: names that are not known, arrays that do not fit."""

from __future__ import annotations

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..params import BadInput, unknown


def named(name: str, what: str, known: Mapping[str, Any]) -> Any:
    """What goes by a name.

    Raises
    ------
    BadInput : "unknown optimizer 'adm': did you mean adam? (one of gd, momentum, adam)"
    """
    if name not in known:
        raise BadInput(unknown(what, name, known))
    return known[name]


def shaped(
    name: str, meaning: str, array: np.ndarray, wanted: str, shape: tuple[int | None, ...], *, finite: bool = True
) -> None:
    """Refuse an array of another shape (None: any), without entries, or, if asked to, with any that is not finite.

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)"
    """
    fits = len(array.shape) == len(shape) and all(s in (None, got) for s, got in zip(shape, array.shape, strict=True))
    if not fits or 0 in array.shape:
        letters = f"{wanted} = {shape}".replace("None", "any")
        raise BadInput(f"{name} ({meaning}) must be an array of shape {letters}, got {array.shape}")
    if finite and (wrong := np.sum(~np.isfinite(array))):
        raise BadInput(f"{name} ({meaning}) must be finite, got {wrong} of {array.size} entries that are not")


def network(X: object, y: object, W: object, a: object, meaning: str) -> tuple[np.ndarray, ...]:
    """Points X (n, d), by the meaning told, labels y (n,) and neurons W (m, d), a (m,), as contiguous arrays of floats.

    Raises
    ------
    BadInput : "a (output weights) must be an array of shape (m,) = (25,), got (24,)", and the like
    """
    X, y, W, a = (np.ascontiguousarray(part, dtype=float) for part in (X, y, W, a))
    shaped("X", meaning, X, "(n, d)", (None, None))
    shaped("y", "labels", y, "(n,)", X.shape[:1])
    shaped("W", "hidden weights", W, "(m, d)", (None, X.shape[1]))
    shaped("a", "output weights", a, "(m,)", W.shape[:1])
    return X, y, W, a


def number(
    name: str, meaning: str, got: float, *, above: float | None = None, below: float = np.inf, whole: bool = False
) -> None:
    """Refuse a number that is not in [0, below), or in (above, below) where that is given, or not whole if it must be.

    Raises
    ------
    BadInput : "rate (step size) must be a number in (0, inf), got nan"
    """
    fits = (got >= 0 if above is None else got > above) and got < below
    if whole:
        try:
            operator.index(got)  # type: ignore[arg-type]
        except TypeError:
            fits = False
    if not fits:
        low = "[0" if above is None else f"({above:g}"
        raise BadInput(f"{name} ({meaning}) must be a {'whole ' * whole}number in {low}, {below:g}), got {got!r}")
