"""Published rows computed again: which of them, and whether what is found is what was published."""

from __future__ import annotations

import itertools
import os
from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from neurec_core import tables
from neurec_core.experiment import Column, Experiment, Replay
from neurec_core.params import Params

ROWS, MOST = 30, 150  # fewer rows say nothing of a distribution; more cost more than they tell
FALSE_ALARM = 1e-6  # of each comparison that is not exact
USUAL = 0.75  # seconds of each table's own computing time
SECONDS = float(os.environ.get("NEUREC_REPLAY_SECONDS", USUAL))  # `inf`: all rows
STEADY = 0.02  # rows that came out the same with five other kernels are chaotic so much less often than is declared


def part(experiment: Experiment, table: pd.DataFrame, seconds: float) -> pd.DataFrame:
    """Rows that take about `seconds` together, in turn from every outcome and at random among those that are cheap.

    Thirty rows at least if they take no more than four times as long; one row in any case.
    """
    if np.isinf(seconds):
        return table
    events = [c for c, d in experiment.columns.items() if d.kind == "event"]
    ceiling = max(seconds / ROWS, table["seconds"].nsmallest(ROWS).max())
    cheap = table[table["seconds"] <= ceiling].sample(frac=1, random_state=0)
    turn = cheap.groupby(["status", *events], dropna=False).cumcount()
    cheap = cheap.iloc[np.argsort(turn.to_numpy(), kind="stable")]
    place, cost = np.arange(len(cheap)), cheap["seconds"].cumsum()
    fits = (place < MOST) & (cost <= seconds) | (place < ROWS) & (cost <= 4 * seconds)
    if not fits.any():
        return table.nsmallest(1, "seconds")
    return cheap[fits].sort_index()


def again(experiment: Experiment, rows: pd.DataFrame) -> pd.DataFrame:
    """The same rows computed here, in the same order; points that differ in what is sampled only go together."""
    fields = list(experiment.params.model_fields)
    places = []
    for position, row in enumerate(rows.to_dict("records")):
        given = {f: None if row[f] is None or row[f] != row[f] else row[f] for f in fields}
        places.append((experiment.params(**given), row["seed"], row["trial"], position))

    def solved_as(place: tuple[Params, int, int, int]) -> tuple[Hashable, ...]:
        return repr(experiment.solved_as(place[0])), place[1], repr(place[0])

    found: dict[int, dict[str, Any]] = {}
    places.sort(key=solved_as)
    for _, group in itertools.groupby(places, key=lambda place: solved_as(place)[:2]):
        together = list(group)
        ends = experiment.rows_together([(p, trial) for p, _, trial, _ in together], together[0][1])
        found |= {position: end for (*_, position), end in zip(together, ends, strict=True)}
    table = tables.frame(tables.arrow([found[i] for i in range(len(rows))], experiment))
    return table.set_index(rows.index)


def fragile_columns(experiment: Experiment) -> dict[str, Column]:
    """The columns in which the last bit may decide some rows, and in which the others are compared one by one."""
    return {name: column for name, column in experiment.columns.items() if 0 < column.replayed.chaotic < 1}


def numbers(values: pd.Series) -> np.ndarray:
    """As floats, NaN where there is none."""
    return values.astype("Float64").to_numpy(float, na_value=np.nan)


def typical(column: Column, table: pd.DataFrame, name: str) -> float:
    """The median size of a column of a table, rounding errors left out."""
    sizes = np.abs(numbers(table[name]))
    sizes = sizes[sizes > column.replayed.floor]  # NaN is not
    return float(np.median(sizes)) if len(sizes) else 0.0


def differ(column: Column, median: float, published: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Which values are not the same to the declared tolerance; `median` is the typical size in the table."""
    replay = column.replayed
    with np.errstate(invalid="ignore", divide="ignore"):
        if replay.decades:
            sizes = [np.maximum(np.abs(values), replay.floor) for values in (published, found)]
            near = np.abs(np.log10(sizes[0]) - np.log10(sizes[1])) <= replay.tolerance
            near &= (published * found >= 0) | (np.maximum(*sizes) <= replay.floor * 10**replay.tolerance)
        else:
            reach = replay.tolerance * np.maximum(np.abs(published), median) + replay.floor
            near = (np.abs(found - published) <= reach) & np.isfinite(published)
    return ~(near | (found == published) | (np.isnan(found) & np.isnan(published)))


def allowed(rows: int, chaotic: float) -> int:
    """How many rows may differ where the last bit decides a share of them."""
    if chaotic in (0, 1):
        return int(chaotic * rows)
    # Of a handful of rows the law alone would let all be chaotic.
    return min(int(stats.binom.isf(FALSE_ALARM, rows, chaotic)), rows // 2)


def refusal(
    column: Column, median: float, published: np.ndarray, found: np.ndarray, steady: np.ndarray | bool = False
) -> str:
    """Why `found` is not what was published; empty where it is. `steady` rows were the same with other kernels."""
    replay, rows = column.replayed, len(published)
    apart, steady = differ(column, median, published, found), np.broadcast_to(steady, rows)
    for some, chaotic in ((steady, STEADY * replay.chaotic), (~steady, replay.chaotic)):
        if (count := int(apart[some].sum())) > (most := allowed(int(some.sum()), chaotic)) and replay.chaotic < 1:
            return f"{count} of {some.sum()} rows differ by more than {replay} allows, {most} may"
    if replay.chaotic and rows >= ROWS and (p := same_law(column, published, found)) < FALSE_ALARM:
        return f"as if from another distribution, p = {p:.1e}"
    return ""


def same_law(column: Column, published: np.ndarray, found: np.ndarray) -> float:
    """The probability that two samples of one law are as far apart: of the events' rate, or of the measures."""
    missing = [np.isnan(values) for values in (published, found)]
    here = [values[~absent] for values, absent in zip((published, found), missing, strict=True)]
    p = stats.fisher_exact([[int(m.sum()), int((~m).sum())] for m in missing]).pvalue
    if not min(map(len, here)):
        return float(p)
    if column.kind == "event":
        return float(min(p, stats.fisher_exact([[int(v.sum()), int((1 - v).sum())] for v in here]).pvalue))
    return float(min(p, stats.ks_2samp(*here, method="asymp").pvalue))


def refusals(experiment: Experiment, table: pd.DataFrame, rows: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """What of `found` is not what `rows` of `table` hold, one sentence for each column."""
    marks = table.attrs.get("fragile", {"tried": [], "rows": []})
    fragile, steady = rows.index.isin(marks["rows"]), rows.index.isin(marks["tried"])
    # How a trial ends is decided by what is measured of it, but by nothing that is compared in distribution only.
    chaotic_columns = fragile_columns(experiment)
    chaotic = max((column.replayed.chaotic for column in chaotic_columns.values()), default=0.0)
    status = Column("status", "event", replay=Replay(chaotic=chaotic))
    alike = (rows["status"] == found["status"]).to_numpy(float)
    columns = {"status": (status, 0.0, np.ones(len(rows)), alike)}
    for name, column in experiment.columns.items():
        columns[name] = column, typical(column, table, name), numbers(rows[name]), numbers(found[name])
    said = []
    for name, (column, median, *values) in columns.items():
        # A mark says that some chaotic column comes out otherwise; all else, and how a trial ended, holds in every row.
        use = ~fragile if name in chaotic_columns else np.ones(len(rows), bool)
        if why := refusal(column, median, *(part[use] for part in values), steady[use]):
            said.append(f"{name}: {why}")
    return said
