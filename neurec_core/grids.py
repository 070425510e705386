"""Grids: which points of an experiment are run, and how often."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from .params import BadInput, Params, received
from .values import whole


@dataclass(frozen=True)
class Grid:
    """Every combination of `axes`, the other parameters `fixed`, `trials` independent draws per cell.

    Raises
    ------
    BadInput : "n (axis of the grid) must be a list of values, got 10"
    """

    axes: Mapping[str, Sequence[Any]]
    trials: int
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        whole("trials", "independent draws per cell", self.trials, 1)
        for name, given in (("axes", self.axes), ("fixed", self.fixed)):
            if not isinstance(given, Mapping):
                raise BadInput(f"{name} must be a dictionary of parameters, got {received(given)}")
        for name, values in self.axes.items():
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise BadInput(f"{name} (axis of the grid) must be a list of values, got {received(values)}")

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
