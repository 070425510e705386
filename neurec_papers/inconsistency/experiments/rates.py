"""Which step size is the best of a setting, and which ones to try around it."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from neurec_core.experiment import Grid, Status

from .comparison import COLUMNS, COMPARISON, Comparison

SETTING = [name for name in Comparison.model_fields if name != "k"]


def best_rates(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The best step size of every setting: that of the least mean of the least validation errors.

    A step size with which any net diverged is not considered, as in the published code; a setting of which none
    is left is left out.

    Parameters
    ----------
    rows : trials of the comparison, as `Experiment.rows` returns them or ``table.to_dict("records")``

    Returns
    -------
    best : a row a setting: its parameters, the best k, the number of nets, and of every column the mean and,
        as ``column_error``, its standard error (NaN of a single net)

    **Source**: holzmuller2022training, Section 10 and Table L.1; differs: the published standard errors divide
    by the root of one net less, and for d = 64, which ran in two halves, by that of half the nets less one.
    """
    settings: dict[tuple[Any, ...], dict[float, list[Mapping[str, Any]]]] = {}
    for row in rows:
        setting = settings.setdefault(tuple(row[name] for name in SETTING), {})
        setting.setdefault(float(row["k"]), []).append(row)
    found = []
    for values, by_rate in settings.items():
        usable = {k: nets for k, nets in by_rate.items() if all(Status(net["status"]).usable for net in nets)}
        if usable:
            best = min(sorted(usable), key=lambda k: np.mean([net["valid_rmse"] for net in usable[k]]))
            found.append({**dict(zip(SETTING, values, strict=True)), "k": best, **_statistics(usable[best])})
    return found


def _statistics(nets: list[Mapping[str, Any]]) -> dict[str, float]:
    columns = {name: np.array([net[name] for net in nets], float) for name in COLUMNS}
    means = {name: float(values.mean()) for name, values in columns.items()}
    n = len(nets)
    errors = {f"{c}_error": float(v.std(ddof=1) / n**0.5) if n > 1 else np.nan for c, v in columns.items()}
    return {"nets": n, **means, **errors}


def refined(best: Iterable[Mapping[str, Any]], trials: int) -> list[Grid]:
    """The second stage: for every setting a grid of the step sizes best 2^{j/8}, j = -3, ..., 3.

    Parameters
    ----------
    best : rows of `best_rates`
    trials : nets for each step size
    """
    return [
        Grid({"k": [row["k"] + j / 8 for j in range(-3, 4)]}, trials, fixed={name: row[name] for name in SETTING})
        for row in best
    ]


if __name__ == "__main__":  # FOLDER JOBS: the second stage of the published sweep, around what its first has found
    from neurec_core.sweep import sweep

    folder, jobs = sys.argv[1], int(sys.argv[2])
    (coarse,) = COMPARISON.published.values()
    table = sweep(COMPARISON, coarse, out=folder, jobs=jobs)
    best = best_rates({str(name): row[name] for name in row} for row in table.to_dict("records"))
    for grid in refined(best, coarse.trials):
        sweep(COMPARISON, grid, out=folder, jobs=jobs)
