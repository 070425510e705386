"""What trials record step by step, such as losses epoch by epoch, as a table; `drawing.draw_history` draws it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .columns import History
from .params import BadInput

if TYPE_CHECKING:
    import pandas as pd

    from .experiment import Experiment, Grid


def declared(experiment: Experiment) -> History:
    """The history that an experiment declares.

    Raises
    ------
    BadInput : "paper.experiment records no history"
    """
    if experiment.history is None:
        raise BadInput(f"{experiment.name} records no history")
    return experiment.history


def table(experiment: Experiment, trials: Iterable[tuple[Mapping[str, Any], Mapping[str, np.ndarray]]]) -> pd.DataFrame:
    """One row per step of each trial: parameters, seed, trial, status, the step, and what was recorded there.

    A trial whose measures mean nothing, by its status, has no rows.

    Parameters
    ----------
    experiment : one that declares a history
    trials : rows and arrays, as `store.read_details` yields them and `of_rows` does

    Raises
    ------
    BadInput : the experiment records no history
    """
    import pandas as pd

    from .experiment import Status

    history = declared(experiment)
    parts = []
    for row, arrays in trials:
        if not Status(row["status"]).usable:
            continue
        recorded = {name: arrays[f"trace.{name}"] for name in history.columns}
        steps = arrays.get(f"trace.{history.step}", np.arange(len(next(iter(recorded.values())))))
        fixed = {name: row[name] for name in (*experiment.params.model_fields, "seed", "trial", "status")}
        parts.append(pd.DataFrame({**recorded, history.step: steps}).assign(**fixed))
    names = [*experiment.params.model_fields, "seed", "trial", "status", history.step, *history.columns]
    return pd.concat(parts, ignore_index=True)[names] if parts else pd.DataFrame(columns=names)


def record(experiment: Experiment, grid: Grid, seed: int = 0) -> pd.DataFrame:
    """Run a grid and return what its trials recorded, one row per step.

    Parameters
    ----------
    experiment : one that declares a history
    grid : as for `sweep.sweep`; nothing is kept in a folder
    seed : of every draw

    Raises
    ------
    BadInput : the experiment records no history
    """
    declared(experiment)
    points = grid.points(experiment.params)
    rows = [
        row
        for point in points
        for row in experiment.rows_together([(point, trial) for trial in range(grid.trials)], seed, detailed=True)
    ]
    return table(experiment, of_rows(rows))


def of_rows(rows: Iterable[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], dict[str, np.ndarray]]]:
    """Rows that `Experiment.rows_together` made with details, each beside its arrays; one that raised has none."""
    return ((row, row["details"]) for row in rows if "details" in row)
