"""Tables: stored whole, read whole, and summarised as textbooks do."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import binomtest
from threadpoolctl import threadpool_info
from toys import FLIP, TOY

from neurec_core import provenance, tables
from neurec_core.experiment import Status
from neurec_core.fingerprint import fingerprint
from neurec_core.params import BadInput


def events(x, outcomes, status=Status.SOLVED):
    heads = pd.array(outcomes, dtype="boolean")
    return pd.DataFrame({"x": x, "heads": heads, "size": np.arange(len(outcomes), dtype=float), "status": status.value})


def test_what_is_true_or_false_is_a_column_of_booleans(tmp_path):
    rows = [row for tails in (True, False) for row in FLIP.rows(FLIP.params(tails=tails), 0, [0, 1])]
    stored = tables.arrow(rows, FLIP)
    assert stored.schema.field("tails").type == pa.bool_()
    data = tables.frame(stored)
    assert data["tails"].dtype == bool, "a parameter is never missing; an event may be"
    assert data["heads"].dtype == "boolean"
    assert (~data["tails"]).tolist() == [False, False, True, True]
    tables.export(data.assign(seed=0), tmp_path / "t.csv")
    assert pd.read_csv(tmp_path / "t.csv")["tails"].tolist() == [True, True, False, False]


@pytest.mark.parametrize("n", [1, 2, 7, 40])
def test_rate_is_the_share_with_wilsons_band(n):
    table = pd.concat([events([k] * n, [True] * k + [False] * (n - k)) for k in range(n + 1)])
    for row in tables.rate(table, "heads", ["x"]).itertuples():
        band = binomtest(row.x, n).proportion_ci(0.95, method="wilson")
        assert (row.rate, row.trials, row.failed) == (row.x / n, n, 0)
        assert (row.low, row.high) == pytest.approx((band.low, band.high), rel=1e-12)


def test_failed_trials_are_counted_apart():
    table = pd.concat([events([1] * 4, [True] * 4), events([1] * 2, [None] * 2, Status.FAILED)])
    (row,) = tables.rate(table, "heads", ["x"]).itertuples()
    assert (row.rate, row.trials, row.failed) == (1.0, 4, 2)
    (row,) = tables.spread(table, "size", ["x"]).itertuples()
    assert (row.trials, row.failed) == (4, 2)
    (row,) = tables.rate(events([1], [None], Status.RAISED), "heads", ["x"]).itertuples()
    assert np.isnan(row.rate)


def test_spread_is_the_median_and_the_middle_80_percent():
    (row,) = tables.spread(events([1] * 11, [True] * 11), "size", []).itertuples()
    assert (row.low, row.median, row.high) == (1.0, 5.0, 9.0)


def test_threshold_interpolates_and_brackets():
    x = np.repeat([10, 20, 30, 40], 50)
    outcomes = np.tile(np.arange(50), 4) < np.repeat([0, 10, 40, 50], 50)
    (row,) = tables.threshold(events(x, outcomes), "heads", "x").itertuples()
    assert row.threshold == pytest.approx(25)  # 0.2 at 20, 0.8 at 30
    assert (row.low, row.high) == (20, 30)


def test_threshold_is_monotone_in_spite_of_noise():
    x = np.repeat([1, 2, 3, 4], 10)
    outcomes = np.tile(np.arange(10), 4) < np.repeat([4, 2, 10, 9], 10)
    (row,) = tables.threshold(events(x, outcomes), "heads", "x").itertuples()
    assert row.threshold == pytest.approx(2 + (0.5 - 0.3) / (0.95 - 0.3))


def test_threshold_beyond_the_grid_is_not_a_number():
    (row,) = tables.threshold(events([1, 1, 2, 2], [True] * 4), "heads", "x").itertuples()
    assert np.isnan(row.threshold)
    assert np.isnan(row.low)


@pytest.fixture
def table():
    rows = TOY.rows(TOY.params(fails=1), 0, range(3))
    data = tables.frame(tables.arrow(rows, TOY))
    data.attrs.update({"experiment": TOY.name, **provenance.provenance(TOY)})
    return data


def test_a_table_comes_back_as_it_was_written(table, tmp_path):
    tables.export(table, tmp_path / "t.parquet")
    back = tables.load(tmp_path / "t.parquet")
    pd.testing.assert_frame_equal(back, table)
    assert back.attrs == table.attrs
    assert back["heads"].dtype == "boolean"
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"], "no temporary file is left"


def test_a_csv_has_its_provenance_beside_it(table, tmp_path):
    tables.export(table, tmp_path / "t.csv")
    assert len(pd.read_csv(tmp_path / "t.csv")) == 3
    about = json.loads((tmp_path / "t.csv-metadata.json").read_text())
    assert about["experiment"] == TOY.name
    assert about["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize("name", ["t.xls", "nowhere/t.csv", "nowhere/t.parquet"])
def test_a_table_that_cannot_be_written_is_refused(table, tmp_path, name):
    with pytest.raises(BadInput, match="FILE"):
        tables.export(table, tmp_path / name)


def test_damaged_and_foreign_tables_are_refused(table, tmp_path):
    path = tmp_path / "t.parquet"
    with pytest.raises(BadInput, match="cannot be read"):
        tables.load(path)
    tables.export(table, path)
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[:-20])
    with pytest.raises(BadInput, match="cannot be read"):
        tables.load(path)
    pd.DataFrame({"a": [1]}).to_parquet(path)
    with pytest.raises(BadInput, match="cannot be read"):
        tables.load(path)


def test_a_flipped_bit_in_the_data_is_seen(table, tmp_path):
    path = tmp_path / "t.parquet"
    tables.export(table, path)
    whole = bytearray(path.read_bytes())
    whole[60] ^= 0x10  # inside the first column's first page
    path.write_bytes(whole)
    with pytest.raises(BadInput, match="cannot be read"):
        tables.load(path)


def test_thresholds_of_falling_rates_are_found_too():
    x = np.repeat([10, 20, 30, 40], 50)
    outcomes = np.tile(np.arange(50), 4) < np.repeat([50, 40, 10, 0], 50)
    (row,) = tables.threshold(events(x, outcomes), "heads", "x").itertuples()
    assert row.threshold == pytest.approx(25)
    assert (row.low, row.high) == (20, 30)


def test_provenance_names_versions_and_code():
    about = provenance.provenance(TOY)
    assert about["versions"]["numpy"] == np.__version__
    assert about["code"] == fingerprint(TOY)


def test_provenance_names_the_processor_and_what_computes_on_it():
    machine = provenance.machine()
    assert machine["processor"]
    cores = {info.get("architecture") for info in threadpool_info() if info["user_api"] == "blas"}
    assert cores - {None}, "numpy brings one"
    assert all(any(core in line for line in machine["blas"]) for core in cores - {None})
