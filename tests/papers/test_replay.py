"""The published tables can be computed again, on this machine to the tolerance that every column declares."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import replays
from toys import TOY

from neurec_core import papers, tables
from neurec_core.experiment import Column, Experiment, Replay

EXPERIMENTS = [experiment for name in papers.names() for experiment in papers.paper(name).EXPERIMENTS]


@pytest.fixture(params=EXPERIMENTS, ids=lambda experiment: experiment.name, scope="module")  # each table is read once
def published(request) -> tuple[Experiment, pd.DataFrame, pd.DataFrame]:
    """An experiment, its table, and the rows of it that are computed again."""
    table = tables.load(tables.published(request.param))
    return request.param, table, replays.part(request.param, table, replays.SECONDS)


def test_published_rows_are_found_again(published):
    experiment, table, rows = published
    assert table.attrs["experiment"] == experiment.name
    assert table.attrs["versions"]["numpy"]
    found = replays.again(experiment, rows)
    refused = replays.refusals(experiment, table, rows, found)
    assert not refused, "\n".join([f"{experiment.name}, {len(rows)} rows:", *refused])


def test_rows_that_hang_on_the_last_bit_are_marked(published):
    experiment, table, rows = published
    columns = replays.fragile_columns(experiment)
    if not columns:
        assert "fragile" not in table.attrs
        return
    marks = table.attrs["fragile"]  # `make fragile` writes them
    assert marks["kernels"] == ["Nehalem", "numba", "numpy", "plain", "torch"]
    usual = rows if replays.SECONDS == replays.USUAL else replays.part(experiment, table, replays.USUAL)
    assert set(usual.index) <= set(marks["tried"])
    assert set(marks["rows"]) <= set(marks["tried"])
    assert len(marks["rows"]) <= len(marks["tried"]) / 5  # more would leave too little to compare


# ------------------------------------------------------------------------ a comparison that cannot refuse shows nothing


def nudged(column: Column, values: np.ndarray, median: float) -> np.ndarray:
    """Every value changed by a little more than what the column declares."""
    replay, more = column.replayed, 1.0001
    if column.kind == "event":
        return np.where(np.isnan(values), 1.0, 1 - values)
    if replay.decades:
        with np.errstate(invalid="ignore"):
            size = np.maximum(np.abs(values), replay.floor) * 10 ** (replay.tolerance * more)
        moved = np.where(values < 0, -size, size)
    else:
        reach = replay.tolerance * np.maximum(np.abs(values), median) + replay.floor
        moved = values + reach * more
    # Equal is equal to the last bit; where there was no value, any value is another.
    moved = np.where(moved == values, np.nextafter(values, np.inf), moved)
    return np.where(np.isnan(values), 1.0, moved)


def as_if_of_another_law(values: np.ndarray) -> np.ndarray:
    """Every value beyond all that the column holds."""
    there = values[~np.isnan(values)]
    return values + (1 + np.ptp(there) if len(there) else 0)


def test_the_comparison_refuses_what_differs_by_more_than_is_declared(published):
    experiment, table, rows = published
    for name, column in experiment.columns.items():
        # A share, or a distribution, is compared over thirty rows only: where the part is smaller, over all.
        chosen = rows if column.replayed.chaotic == 0 or len(rows) >= replays.ROWS else table
        values, median = replays.numbers(chosen[name]), replays.typical(column, table, name)
        assert not replays.refusal(column, median, values, values), name
        if column.replayed.chaotic == 1:
            assert replays.refusal(column, median, values, as_if_of_another_law(values)), name
            continue
        other = nudged(column, values, median)
        assert replays.differ(column, median, values, other).all(), name
        assert replays.refusal(column, median, values, other), name
        if column.replayed.chaotic == 0:
            one = values.copy()
            one[-1] = other[-1]
            assert replays.refusal(column, median, values, one), f"{name}: one row among {len(one)}"


@pytest.mark.parametrize("rows", [1, 2, 5, 29, 40])
def test_more_than_half_of_the_rows_are_never_chaotic(rows):
    column, values = Column("", "measure", replay=Replay(1e-5, chaotic=0.05)), np.linspace(1, 2, rows)
    some = np.where(np.arange(rows) < rows // 2 + 1, 3 * values, values)
    assert replays.refusal(column, 1.0, values, some)


def test_marks_decide_how_many_rows_may_differ():
    """Of sixty rows many may differ where a tenth is chaotic, but few if they were the same with other kernels."""
    column, rows = Column("", "measure", replay=Replay(1e-5, chaotic=0.1)), 60
    values = np.linspace(1, 2, rows)
    most, least = (replays.allowed(rows, share) for share in (0.1, 0.1 * replays.STEADY))
    assert least < most / 4
    for steady, many in ((False, most), (True, least)):
        one = np.where(np.arange(rows) < many, 2 * values, values)
        more = np.where(np.arange(rows) < many + 1, 2 * values, values)
        assert not replays.refusal(column, 1.0, values, one, steady)
        assert replays.refusal(column, 1.0, values, more, steady)


def test_a_marked_row_may_differ_in_its_chaotic_columns_only():
    columns = {"size": TOY.columns["size"]._replace(replay=Replay(1e-5, chaotic=0.1)), "heads": TOY.columns["heads"]}
    toy = dataclasses.replace(TOY, columns=columns)
    rows = pd.DataFrame({"heads": [True] * 4, "size": [1.0] * 4, "status": ["solved"] * 4})
    rows.attrs["fragile"] = {"tried": [0, 1, 2, 3], "rows": [2]}
    assert not replays.refusals(toy, rows, rows, rows.assign(size=[1.0, 1.0, 5.0, 1.0]))
    assert replays.refusals(toy, rows, rows, rows.assign(size=[5.0, 5.0, 1.0, 1.0]))
    assert replays.refusals(toy, rows, rows, rows.assign(heads=[True, True, False, True]))
    several = pd.concat([rows] * 10, ignore_index=True)
    several.attrs["fragile"] = {"tried": list(range(40)), "rows": list(range(20))}
    assert replays.refusals(toy, several, several, several.assign(status=["lost"] * 20 + ["solved"] * 20))


def test_another_status_is_refused():
    rows = pd.DataFrame({"heads": [True], "size": [1.0], "status": ["solved"]}, index=[0])
    assert not replays.refusals(TOY, rows, rows, rows)
    assert "status" in replays.refusals(TOY, rows, rows, rows.assign(status="infeasible"))[0]


@pytest.mark.parametrize(
    ("replay", "published", "found", "why"),
    [
        (Replay(1e-5), 2.0, 2.0 + 1e-5, ""),
        (Replay(1e-5), 2.0, 2.0 + 3e-5, "differ by more"),
        (Replay(1e-5), 1e-9, 9e-6, ""),  # small beside the column's median of 1
        (Replay(1e-5, floor=1e-12), 1e-30, 1e-13, ""),
        (Replay(1e-5, decades=True), 1e-9, 9e-9, "differ by more"),
        (Replay(0.1, decades=True), 1e-9, 1.2e-9, ""),
        (Replay(0.1, floor=1e-12, decades=True), 1e-30, 1e-13, ""),
        (Replay(0.1, floor=1e-12, decades=True), 1e-9, -1e-9, "differ by more"),
        (Replay(0.1, floor=1e-12, decades=True), 1e-30, 1e-9, "differ by more"),
        (Replay(), 0.1 + 0.2, 0.3, "differ by more"),
        (Replay(1e-5), np.nan, np.nan, ""),
        (Replay(1e-5), np.nan, 1.0, "differ by more"),
        (Replay(1e-5), 1.0, np.nan, "differ by more"),
        (Replay(1e-5), np.inf, np.inf, ""),
        (Replay(1e-5), np.inf, 1.0, "differ by more"),
        (Replay(1e-5, decades=True), 0.0, 0.0, ""),
        (Replay(1e-5, decades=True), 0.0, 1e-300, "differ by more"),
    ],
)
def test_what_counts_as_equal(replay, published, found, why):
    column = Column("", "measure", replay=replay)
    assert why in replays.refusal(column, 1.0, np.array([published]), np.array([found]))
    assert bool(why) == bool(replays.refusal(column, 1.0, np.array([published]), np.array([found])))


def test_false_alarms_are_as_rare_as_is_said():
    """A tenth of the rows of two hundred tables is drawn again, as chaos draws them: none is refused."""
    rng = np.random.default_rng(0)
    event, measure = (Column("", kind, replay=Replay(chaotic=0.1)) for kind in ("event", "measure"))
    for _ in range(200):
        again = rng.random(60) < 0.1
        values, others = rng.normal(size=(2, 60))
        assert not replays.refusal(measure, 1.0, values, np.where(again, others, values))
        assert not replays.refusal(event, 1.0, 1.0 * (values > 0), np.where(again, others, values) > 0)


def test_a_kind_decides_what_a_column_does_not_declare():
    assert Column("", "event").replayed == Replay(0, decades=False)
    assert Column("", "measure").replayed == Replay(1e-5, decades=False)
    assert Column("", "measure", logarithmic=True).replayed == Replay(1e-5, decades=True)
    assert Column("", "measure", None, True, replay=Replay(0.1)).replayed == Replay(0.1, decades=True)
