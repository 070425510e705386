"""What trials record step by step: as lines, as a table, as a figure."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from toys import TOY, WALK

from neurec_core import drawing, history, papers, store
from neurec_core.__main__ import main
from neurec_core.draws import Draws
from neurec_core.experiment import Grid
from neurec_core.params import BadInput

NAME = "convex_recovery.network_training"
RECORDED = {name: e for name, e in papers.experiments().items() if e.history}


def places(trials, steps):
    """The walk, by a loop."""
    strides = Draws(0, range(trials)).normal("stride", steps)
    return {trial: [sum(strides[trial][: k + 1]) for k in range(steps)] for trial in range(trials)}


def test_one_row_per_step_of_each_trial():
    records = history.record(WALK, Grid({"steps": [1, 7]}, trials=3))
    assert len(records) == 3 * (1 + 7)
    for (steps, trial), part in records.groupby(["steps", "trial"]):
        assert part["seen"].tolist() == pytest.approx(places(3, steps)[trial])
        assert part["hour"].tolist() == [0.5 * (k + 1) for k in range(steps)], "the trace's own numbers"
    counted = dataclasses.replace(WALK, history=WALK.history._replace(step="stride"), detailed=None)
    records = history.record(counted, Grid({}, 2, {"steps": 4}))
    assert records["stride"].tolist() == [0, 1, 2, 3] * 2, "counted where no trace gives numbers"


def test_a_trial_that_fails_has_no_history():
    records = history.record(WALK, Grid({"raises": [-1, 2]}, trials=2))
    assert len(records) == 2 * 3
    assert list(history.record(WALK, Grid({"raises": [2]}, trials=2))) == list(records)


def test_a_figure_holds_medians_with_their_bands():
    records = history.record(WALK, Grid({"steps": [7]}, trials=5))
    band, line = drawing.draw_history(records, WALK).data
    walks = np.array([*places(5, 7).values()])
    assert np.allclose(line.y, np.median(walks, axis=0))
    high, low = band.y[:7], band.y[:6:-1]
    assert np.allclose([low, high], np.quantile(walks, [0.1, 0.9], axis=0))
    assert [*line.x] == [0.5 * (k + 1) for k in range(7)]
    both = drawing.draw_history(history.record(WALK, Grid({"steps": [3, 7]}, trials=5)), WALK)
    assert [trace.name for trace in both.data if trace.showlegend] == ["place, steps = 3", "place, steps = 7"]
    with pytest.raises(BadInput, match=r"one parameter that varies, these trials vary steps, raises"):
        drawing.draw_history(records.assign(steps=range(35), raises=range(35)), WALK)


def test_a_trial_that_means_nothing_has_no_history_and_is_named(capsys, tmp_path):
    words = ["--n", "1", "--d", "1", "--epochs", "1", "--trials", "6", "--model", "normalized", "--seed", "3"]
    assert main(["run", NAME, *words, "--json"]) == 0
    solved = [
        row["trial"] for row in map(json.loads, capsys.readouterr().out.splitlines()) if row["status"] == "solved"
    ]
    assert 0 < len(solved) < 6
    assert main(["run", NAME, *words, "--json", "--history"]) == 0
    out, err = capsys.readouterr()
    assert sorted({json.loads(line)["trial"] for line in out.splitlines()}) == solved
    assert err.count("has no history: a planted neuron is active on no point") == 6 - len(solved)
    with pytest.raises(BadInput, match=r"no trial of toys.walk recorded a history"):
        drawing.draw_history(history.record(WALK, Grid({"raises": [2]}, trials=2)), WALK)


def test_what_records_no_history_says_so(capsys):
    with pytest.raises(BadInput, match=r"toys.coin records no history"):
        history.record(TOY, Grid({}, 1))
    assert main(["run", "convex_recovery.isometry", "--history"]) == 2
    assert "unknown option '--history'" in capsys.readouterr().err
    assert main(["plot", "convex_recovery.isometry", "--history"]) == 2
    assert "convex_recovery.isometry records no history" in capsys.readouterr().err
    assert main(["plot", NAME, "--history"]) == 2
    assert f"--history needs the DIR of a sweep with --details, got '{NAME}'" in capsys.readouterr().err


@pytest.mark.parametrize("name", RECORDED)
def test_rows_are_the_same_with_and_without(name):
    experiment = RECORDED[name]
    for point in experiment.preset("tiny").points(experiment.params):
        plain, recorded = (
            pd.DataFrame(experiment.rows_together([(point, trial) for trial in range(2)], 3, detailed=detailed))
            for detailed in (False, True)
        )
        assert plain.drop(columns="seconds").equals(recorded.drop(columns=["seconds", "details"]))


def test_distances_epoch_by_epoch_are_printed_and_drawn(capsys, tmp_path):
    words = ["--n", "9", "--d", "3", "--epochs", "6", "--trials", "2"]
    assert main(["run", NAME, *words, "--json", "--history"]) == 0
    printed = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["trial"], row["epoch"]) for row in printed] == [(t, e) for t in range(2) for e in range(7)]
    assert main(["run", NAME, *words, "--json"]) == 0
    for row in map(json.loads, capsys.readouterr().out.splitlines()):
        last = printed[7 * row["trial"] + 6]
        assert last["train_distance"] == pytest.approx(row["train_loss"] ** 0.5)
        assert last["test_distance"] == pytest.approx(row["test_distance"])
    assert main(["run", NAME, *words, "--history"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["trial", "epoch", "train_distance", "test_distance"]
    assert len(lines) == 1 + 14

    kept, page = tmp_path / "kept", tmp_path / "page.html"
    assert main(["sweep", NAME, *words, "--out", str(kept), "--jobs", "1"]) == 0
    assert main(["plot", str(kept), "--history", "--html", str(page)]) == 2
    assert "sweep with --details" in capsys.readouterr().err
    assert main(["sweep", NAME, *words, "--out", str(kept), "--jobs", "1", "--details"]) == 0
    assert main(["plot", str(kept), "--history", "--html", str(page)]) == 0
    assert "distance from the training labels" in page.read_text()
    assert main(["plot", str(kept), "--history", "--column", "fitted"]) == 2
    assert "do not go together" in capsys.readouterr().err
    records = history.table(RECORDED[NAME], store.read_details(kept))
    assert records["test_distance"].tolist() == pytest.approx([row["test_distance"] for row in printed])
