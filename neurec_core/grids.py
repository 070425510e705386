"""Grids: which points of an experiment are run, and how often."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .params import BadInput, Params, received
from .values import whole


@dataclass(frozen=True)
class Grid:
    """Every combination of `axes`, the other parameters `fixed`, `trials` independent draws per cell.

    The experiment's published table holds the first `published` trials of each cell; with 0 the grid is no part of it.

    Raises
    ------
    BadInput : "n (axis of the grid) must be a list of values, got 10"
    """

    axes: Mapping[str, Sequence[Any]]
    trials: int
    fixed: Mapping[str, Any] = field(default_factory=dict)
    published: int = 0

    def __post_init__(self) -> None:
        whole("trials", "independent draws per cell", self.trials, 1)
        whole("published", "trials per cell of the published table", self.published)
        for name, given in (("axes", self.axes), ("fixed", self.fixed)):
            if not isinstance(given, Mapping):
                raise BadInput(f"{name} must be a dictionary of parameters, got {received(given)}")
        for name, values in self.axes.items():
            if isinstance(values, str) or not hasattr(values, "__len__"):
                raise BadInput(f"{name} (axis of the grid) must be a list of values, got {received(values)}")

    @property
    def cells(self) -> int:
        return math.prod(len(values) for values in self.axes.values())

    @property
    def part(self) -> Grid:
        """The same cells with the trials of the published table."""
        return replace(self, trials=self.published)

    def points(self, params: type[Params]) -> list[Params]:
        """The grid's points, the last axis fastest.

        Raises
        ------
        BadInput : a value or a combination of values that the parameters do not allow
        """
        combinations = itertools.product(*self.axes.values())
        return [params(**{**self.fixed, **dict(zip(self.axes, c, strict=True))}) for c in combinations]
