"""Figures that an experiment declares: what is drawn of its tables, by `neurec plot` and its notebook alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


class Mark(NamedTuple):
    """A vertical line at a value of the horizontal axis, with its words."""

    at: float
    words: str


class Theory(NamedTuple):
    """A curve that theory predicts: a function of the values of the horizontal axis and of the point that is drawn.

    Parameters
    ----------
    words : as the legend names it
    curve : ``(x, at) -> y``, x an array of values and ``at[name]`` the parameters of a line
    """

    words: str
    curve: Callable[[np.ndarray, Any], np.ndarray]


class Curves(NamedTuple):
    """A score along one axis, a line with its band for each value of another parameter.

    Parameters
    ----------
    x : a numeric parameter, or an axis that is derived from parameters
    column : the score, or several measures in one unit with a line each, without `lines`; the headline if omitted
    lines : the parameter whose values get a line each
    where : values of other parameters, a list for several of one; only rows that are `matching` are drawn
    logarithmic : axes, of "x" and "y", that are drawn on a logarithmic scale
    marks : vertical lines
    theory : a predicted curve for each line
    average : whether a measure is drawn as its mean with the standard error, not as its median with the middle 80 %
    title : of a figure of several measures
    """

    x: str
    column: str | list[str] | None = None
    lines: str | None = None
    where: Mapping[str, Any] = {}
    logarithmic: str = ""
    marks: Sequence[Mark] = ()
    theory: Theory | None = None
    average: bool = False
    title: str = ""


class PhaseDiagram(NamedTuple):
    """A score over two parameters, with a panel for each value of a third; ``where`` as in `Curves`.

    ``limits`` are those of the colours, (low, high), where medians are drawn; from the rows if omitted.
    """

    x: str
    y: str
    column: str | None = None
    panels: str | None = None
    where: Mapping[str, Any] = {}
    limits: tuple[float, float] | None = None


class Drawing(NamedTuple):
    """A figure that a function of the paper draws from the rows; ``where`` as in `Curves`.

    Parameters
    ----------
    draw : ``"module:function"``, the function of a table that returns a plotly figure and raises `BadInput` where it
        cannot. It is a name, so that neither an experiment nor the hash of its code holds what only draws
    apart : the parameters that the figure tells apart, one at least; in all others its rows have one value
    """

    draw: str
    apart: tuple[str, ...]
    where: Mapping[str, Any] = {}


class Computed(NamedTuple):
    """A figure of what no table keeps, such as a network on its way: computed whenever it is drawn.

    Parameters
    ----------
    draw : ``"module:function"``, the function without arguments that returns a plotly figure
    """

    draw: str


Figure = Curves | PhaseDiagram | Drawing | Computed


def matching(table: pd.DataFrame, where: Mapping[str, Any]) -> pd.DataFrame:
    """The rows of a table in which parameters have certain values: one, None for where there is none, or a list."""
    for field, value in where.items():
        wanted = value if isinstance(value, list) else [value]
        table = table[table[field].isna() if value is None else table[field].isin(wanted)]
    return table
