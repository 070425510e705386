"""What an experiment declares of its scores: their labels, how closely another machine finds them again, claims."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    import pandas as pd


class Replay(NamedTuple):
    """How closely a published value is found again on a machine that rounds differently.

    Parameters
    ----------
    tolerance : the largest difference, relative to the value or to the median size of the column, whichever is
        larger; in powers of ten where `decades`. With 0 the value must be equal.
    floor : the size of rounding errors, added to what `tolerance` allows; where differences are counted in powers of
        ten, values below it count as this large
    chaotic : the largest share of rows that may differ by more, since the last bit decides them; such a column is
        also compared in distribution, and with 1 in distribution only
    decades : whether differences are counted in powers of ten; None for whether the column is logarithmic
    """

    tolerance: float = 0.0
    floor: float = 0.0
    chaotic: float = 0.0
    decades: bool | None = None


class Column(NamedTuple):
    """A score: an `event` happens or not (drawn as a rate), a `measure` is a number (drawn as a spread).

    A `logarithmic` measure is positive and ranges over powers of ten; an `optional` one may be NaN: it does not apply.
    Without `replay`, events must be equal on every machine and measures agree to five digits.
    """

    label: str
    kind: Literal["event", "measure"]
    unit: str | None = None
    logarithmic: bool = False
    optional: bool = False
    replay: Replay | None = None

    def allows(self, value: Any) -> bool:
        """Whether a trial that counts may have this value: an event any, a measure one that is finite."""
        return self.kind == "event" or value is None or math.isfinite(value) or (self.optional and math.isnan(value))

    @property
    def replayed(self) -> Replay:
        """How closely it is found again, with what holds for its kind where nothing is declared."""
        replay = self.replay or Replay(0.0 if self.kind == "event" else 1e-5)
        return replay if replay.decades is not None else replay._replace(decades=self.logarithmic)


def exceptions(wrong: pd.Series) -> float:
    """How many rows are wrong, for a claim that none is; NaN, which holds nothing, where there is no row at all."""
    return float(wrong.sum()) if len(wrong) else math.nan


class Claim(NamedTuple):
    """A sentence that a number of the published table decides.

    Parameters
    ----------
    measured : a function of the rows that count, with a column for each derived axis; its docstring is the sentence
    expected : what the source or a derivation says it is
    tolerance : the largest difference at which the claim holds, in the unit of the number
    source : where the expected number is from
    """

    measured: Callable[[pd.DataFrame], float]
    expected: float
    tolerance: float
    source: str

    @property
    def text(self) -> str:
        """What is claimed, one line."""
        return " ".join((self.measured.__doc__ or "").split())


class History(NamedTuple):
    """What an experiment records step by step: arrays of `Solution.trace`, (B, steps).

    Parameters
    ----------
    step : what is counted, "epoch"; a trace of this name gives the numbers, which are 0, 1, ... without it
    columns : the traces and what they are
    """

    step: str
    columns: Mapping[str, Column]
