"""The claims of an experiment, decided by its published table."""

from __future__ import annotations

import pandas as pd

from . import tables
from .experiment import Experiment


def decided(table: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """One row per claim of an experiment, decided by its published table.

    Returns
    -------
    ``claim``, the sentence; ``expected``, ``tolerance`` and ``measured``; ``holds``; ``source``
    """
    rows, counted = [], tables.usable(table)
    for axis in experiment.params.axes().keys() - experiment.params.declared():
        counted = tables.with_axis(counted, experiment, axis)
    for one in experiment.claims:
        measured: object = pd.NA if counted.empty else one.measured(counted)  # nothing is shown by no trial
        value = float("nan") if measured is pd.NA else float(measured)  # type: ignore[arg-type]
        holds = abs(value - one.expected) <= one.tolerance  # NaN holds nothing
        rows.append((one.text, one.expected, one.tolerance, value, holds, one.source))
    return pd.DataFrame(rows, columns=["claim", "expected", "tolerance", "measured", "holds", "source"])
