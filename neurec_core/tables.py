"""Tables: one row per trial, stored as Parquet with their provenance; and statistics of their rows.

A table is a `pandas.DataFrame` with the parameters, ``seed``, ``trial``, the scores, ``status``,
``detail`` and ``seconds``. Events are nullable booleans: a trial that failed has no measures.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from . import papers
from .experiment import Experiment, Status
from .files import packed, replacing, unpacked
from .intervals import wilson
from .params import BadInput, unknown

# ------------------------------------------------------------------------------------ store and load


def schema(experiment: Experiment) -> pa.Schema:
    """The columns of every table of an experiment and their types."""
    types = {"int": pa.int64(), "float": pa.float64(), "bool": pa.bool_(), "choice": pa.string(), "text": pa.string()}
    fields = [(name, types[d.kind]) for name, d in experiment.params.declared().items()]
    fields += [("seed", pa.int64()), ("trial", pa.int64())]
    kinds = {"event": pa.bool_(), "measure": pa.float64()}
    fields += [(name, kinds[column.kind]) for name, column in experiment.columns.items()]
    return pa.schema([*fields, ("status", pa.string()), ("detail", pa.string()), ("seconds", pa.float64())])


def arrow(rows: Sequence[dict[str, Any]], experiment: Experiment) -> pa.Table:
    """Plain rows as a table."""
    return pa.Table.from_pylist(list(rows), schema=schema(experiment))


def frame(table: pa.Table) -> pd.DataFrame:
    """As a DataFrame; events and optional whole numbers stay nullable, parameters that are true or false are not."""
    nullable = {pa.bool_(): pd.BooleanDtype(), pa.int64(): pd.Int64Dtype()}
    data = table.to_pandas(types_mapper=nullable.get)
    whole = [c for c in data if data[c].dtype == "Int64" and data[c].notna().all()]
    parameters = list(data)[: list(data).index("trial")] if "trial" in data else []
    flags = [c for c in parameters if data[c].dtype == "boolean" and data[c].notna().all()]
    return data.astype(dict.fromkeys(whole, "int64") | dict.fromkeys(flags, "bool"))


def load(path: str | Path) -> pd.DataFrame:
    """A published table (one file), with its provenance in ``.attrs``.

    Raises
    ------
    BadInput : not there, damaged, or not a table of neurec
    """
    try:
        table, about = unpacked(Path(path).read_bytes())
        data = frame(table)
        data.attrs.update(about)
        data.attrs["experiment"], data["status"], data["trial"]  # what every table has
    except Exception as error:  # pyarrow raises dozens of kinds over damaged bytes
        reason = f"it has no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
        what = "table (a Parquet file written by neurec)"
        raise BadInput(f"{what} cannot be read from {path}: {' '.join(reason.split())[:200]}") from None
    return data


def published(experiment: Experiment) -> Path:
    """The table of an experiment on the paper's grids, ``tables/<experiment>.parquet`` beside the paper's modules.

    Raises
    ------
    BadInput : there is no such table
    """
    path = place(experiment)
    if not path.is_file():
        raise BadInput(f"{experiment.name} has no published table: there is no {path}")
    return path


def place(experiment: Experiment) -> Path:
    """Where the published table of an experiment stands, or will: ``tables/<experiment>.parquet`` inside the paper.

    Of a paper that is a single module it is ``tables/<paper>.<experiment>.parquet`` beside that module.
    """
    stem, _, name = experiment.name.partition(".")
    inside = hasattr(papers.paper(stem), "__path__")
    folder = papers.home(stem) / stem if inside else papers.home(stem)
    return folder / "tables" / f"{name if inside else experiment.name}.parquet"


def export(table: pd.DataFrame, path: str | Path) -> None:
    """Write a table to ``.parquet``, or to ``.csv`` with its provenance in ``<name>.csv-metadata.json``.

    Raises
    ------
    BadInput : another ending, or a folder that cannot be written to
    """
    path = Path(path)
    if path.suffix not in (".parquet", ".csv"):
        raise BadInput(f"FILE (where the table goes) must end in .parquet or .csv, got {path.name!r}")
    try:
        if path.suffix == ".parquet":
            whole = pa.Table.from_pandas(table, preserve_index=False)
            with replacing(path) as name:
                name.write_bytes(packed(whole, {str(key): value for key, value in table.attrs.items()}))
        else:
            with replacing(path) as name:
                table.to_csv(name, index=False)
            with replacing(path.with_name(path.name + "-metadata.json")) as name:
                name.write_text(json.dumps(table.attrs, indent=2), encoding="utf-8")
    except OSError as error:
        raise BadInput(f"FILE (where the table goes) cannot be written: {error}") from None


# ---------------------------------------------------------------------------------------- statistics


def usable(table: pd.DataFrame) -> pd.DataFrame:
    """The rows whose measures mean something."""
    return table[_usable(table)]


def with_axis(table: pd.DataFrame, experiment: Experiment, axis: str) -> pd.DataFrame:
    """The table with a column for an axis that is derived from parameters; as it is for a parameter.

    Raises
    ------
    BadInput : "unknown axis 'rato': did you mean ratio? (one of n, m, ratio)"
    """
    if axis not in experiment.params.axes():
        raise BadInput(unknown("axis", axis, experiment.params.axes()))
    if axis in table:
        return table
    return table.assign(**{axis: getattr(experiment.params, axis).fget(table)})


def varying(table: pd.DataFrame, names: Iterable[str]) -> list[str]:
    """Which of the columns `names` take more than one value."""
    return [name for name in names if table[name].nunique(dropna=False) > 1]


def rate(table: pd.DataFrame, event: str, by: Sequence[str]) -> pd.DataFrame:
    """How often an event happens, with its Wilson band.

    Parameters
    ----------
    table : rows of trials
    event : a column of kind "event"
    by : columns whose values distinguish groups

    Returns
    -------
    DataFrame with `by`, ``rate``, ``low``, ``high`` (95 %), ``trials`` (usable) and ``failed``

    **Source**: wilson1927probable.
    """
    happened = table[event].astype("boolean")
    good = _usable(table) & happened.notna().to_numpy()
    hits = good & happened.fillna(False).to_numpy(bool)
    counted = _grouped(table, by, {"good": good, "hits": hits}).sum()
    cells = counted.index.to_frame(index=False)
    found, trials = counted["hits"].to_numpy(int), counted["good"].to_numpy(int)
    cells["rate"] = np.divide(found, trials, out=np.full(len(cells), np.nan), where=trials > 0)
    cells["low"], cells["high"] = wilson(found, trials)
    cells["trials"], cells["failed"] = trials, _sizes(table, by) - trials
    return cells[[*by, "rate", "low", "high", "trials", "failed"]]


def deviations(rates: pd.DataFrame, expected: Sequence[float], trials: float = np.inf) -> np.ndarray:
    """How many standard errors measured rates lie above expected ones.

    Parameters
    ----------
    rates : from `rate`
    expected : probabilities, or rates counted over `trials` trials; 0 and 1 are read as half a trial away from them
    trials : of `expected`
    """
    p, n = np.asarray(expected, float), rates["trials"].to_numpy(float)
    p = np.clip(p, 0.5 / n, 1 - 0.5 / n)
    return (rates["rate"].to_numpy() - p) / np.sqrt(p * (1 - p) * (1 / n + 1 / trials))


def spread(table: pd.DataFrame, measure: str, by: Sequence[str]) -> pd.DataFrame:
    """Median of a measure and the band of its middle 80 %.

    Returns
    -------
    DataFrame with `by`, ``median``, ``low`` (10 %), ``high`` (90 %), ``trials`` and ``failed``
    """
    cells = _values(table, measure, by)
    found = pd.DataFrame({"low": cells.quantile(0.1), "median": cells.median(), "high": cells.quantile(0.9)})
    return _counted(table, cells, found, by)


def mean(table: pd.DataFrame, measure: str, by: Sequence[str]) -> pd.DataFrame:
    """Mean of a measure and its standard error: for a measure whose distribution has no long tail.

    Returns
    -------
    DataFrame with `by`, ``mean``, ``low`` and ``high`` (a standard error away), ``trials`` and ``failed``
    """
    cells = _values(table, measure, by)
    middle, error = cells.mean(), cells.sem()
    return _counted(table, cells, pd.DataFrame({"low": middle - error, "mean": middle, "high": middle + error}), by)


def _values(table: pd.DataFrame, measure: str, by: Sequence[str]) -> Any:
    values = table[measure].astype(float).where(_usable(table))
    return _grouped(table, by, {"value": values.to_numpy()})["value"]


def _counted(table: pd.DataFrame, cells: Any, found: pd.DataFrame, by: Sequence[str]) -> pd.DataFrame:
    """Statistics of cells with how many trials stand behind them."""
    found["trials"] = cells.count().to_numpy()
    found["failed"] = _sizes(table, by) - found["trials"].to_numpy()
    names = [name for name in found if name not in ("low", "high", "trials", "failed")]
    found = found.index.to_frame(index=False).join(found.reset_index(drop=True))
    return found[[*by, *names, "low", "high", "trials", "failed"]]


def threshold(table: pd.DataFrame, event: str, x: str, by: Sequence[str] = ()) -> pd.DataFrame:
    """Where along `x` an event becomes more (or less) likely than not, for rates that only grow (or only fall).

    The rates are made monotone (isotonic regression, weighted by trials, in the direction that fits better)
    and interpolated at 1/2.

    Returns
    -------
    DataFrame with `by`, ``threshold`` and the range that the data leave open: up to ``low`` every rate's
    95 % band lies on one side of 1/2, from ``high`` on every band lies on the other. NaN where the grid
    does not reach that far.
    """
    rates = rate(table, event, [*by, x]).dropna(subset="rate")
    rates["x"] = rates[x].astype(float)
    if not by:
        return pd.DataFrame([_crossing(rates)], columns=["threshold", "low", "high"])
    found = [dict(zip(by, key, strict=True)) | _crossing(r) for key, r in rates.groupby(list(by), dropna=False)]
    return pd.DataFrame(found, columns=[*by, "threshold", "low", "high"])


def _crossing(rates: pd.DataFrame) -> dict[str, float]:
    values, weights = rates["rate"].to_numpy(), rates["trials"].to_numpy()
    from scipy.optimize import isotonic_regression  # the command line need not wait for it

    fits = [isotonic_regression(values, weights=weights, increasing=up).x for up in (True, False)]
    growing = np.sum(weights * (fits[0] - values) ** 2) <= np.sum(weights * (fits[1] - values) ** 2)
    if not growing:  # read from the right, it grows
        rates = rates[::-1]
    fit, xs = (fits[0], rates["x"].to_numpy()) if growing else (fits[1][::-1], rates["x"].to_numpy())
    after = int(np.searchsorted(fit, 0.5))
    crossing = np.nan
    if 0 < after < len(fit):
        share = (0.5 - fit[after - 1]) / (fit[after] - fit[after - 1])
        crossing = xs[after - 1] + share * (xs[after] - xs[after - 1])
    below = np.logical_and.accumulate(rates["high"].to_numpy() < 0.5)
    above = np.logical_and.accumulate(rates["low"].to_numpy()[::-1] > 0.5)[::-1]
    last, first = xs[below][-1] if below.any() else np.nan, xs[above][0] if above.any() else np.nan
    low, high = (last, first) if growing else (first, last)
    return {"threshold": crossing, "low": low, "high": high}


def _usable(table: pd.DataFrame) -> np.ndarray:
    return table["status"].isin([s.value for s in Status if s.usable]).to_numpy()


def _grouped(table: pd.DataFrame, by: Sequence[str], columns: Mapping[str, np.ndarray]) -> Any:
    """Columns grouped by others, in one frame of their own: pandas copies a table's provenance at every step."""
    keys = {name: table[name].to_numpy() for name in by} or {"all": np.zeros(len(table), int)}
    return pd.DataFrame({**keys, **columns}).groupby(list(keys), sort=True, dropna=False)


def _sizes(table: pd.DataFrame, by: Sequence[str]) -> np.ndarray:
    return _grouped(table, by, {}).size().to_numpy()
