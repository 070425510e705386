"""Data and solution of each trial are kept beside its row, and read back."""

from __future__ import annotations

import os

import numpy as np
import pytest
from toys import TOGETHER, TOY

from neurec_core import details, papers, store
from neurec_core.__main__ import cli
from neurec_core.draws import Draws
from neurec_core.experiment import Grid, Status
from neurec_core.params import BadInput
from neurec_core.sweep import sweep

GRID = Grid({"x": [0, 5]}, trials=3)


def files(folder):
    return {file: file.stat().st_mtime_ns for file in (folder / details.FOLDER).iterdir()}


@pytest.mark.parametrize(
    "name", ["convex_recovery.skip_recovery", "convex_recovery.convex_training", "random_features.double_descent"]
)
def test_data_and_networks_of_every_trial_are_read_back(name, tmp_path):
    experiment = papers.experiment(name)
    table = sweep(experiment, experiment.preset("tiny"), out=tmp_path, detailed=True, progress=False)
    found = list(store.read_details(tmp_path))
    assert len(found) == len(table)
    for row, arrays in found:
        params = experiment.params(**{field: row[field] for field in experiment.params.model_fields})
        problem, solution, _ = experiment.run(params, Draws(row["seed"], [row["trial"]]))
        assert np.array_equal(arrays["X"], problem.X[0])
        assert np.array_equal(arrays["y"], problem.y[0])
        if problem.teacher is not None:
            for field, planted in problem.teacher._asdict().items():
                assert np.array_equal(arrays[f"teacher.{field}"], planted[0])
        if hasattr(solution.value, "_fields"):
            alone, beside = ({*map(tuple, W.T)} for W in (solution.value.W[0], arrays["found.W"]))
            assert alone <= beside  # blocks are filled up to as many as the trials beside it have


def test_a_convex_program_keeps_its_patterns_and_the_weights_fit(tmp_path):
    experiment = papers.experiment("convex_recovery.skip_distance")
    sweep(experiment, Grid({"n": [20], "d": [4]}, 2, {"sigma": 0.0}), out=tmp_path, detailed=True, progress=False)
    for row, arrays in store.read_details(tmp_path):
        assert row["status"] == Status.SOLVED
        X, W, patterns = arrays["X"], arrays["found.W"], arrays["stats.patterns"]
        assert patterns.dtype == bool
        fitted = np.einsum("nd,dp,np->n", X, W, patterns) + X @ arrays["found.skip"]
        assert np.allclose(fitted, arrays["y"], atol=1e-6)


@pytest.mark.parametrize("experiment", [TOY, TOGETHER], ids=lambda e: e.name)
def test_a_trial_without_its_details_is_computed_again(experiment, tmp_path):
    first = sweep(experiment, GRID, out=tmp_path, progress=False)
    assert not (tmp_path / details.FOLDER).exists()
    sweep(experiment, GRID, out=tmp_path, detailed=True, progress=False)
    kept = files(tmp_path)
    assert len(kept) == len(first)
    gone = details.path(tmp_path, experiment.params(x=5), 0, 1)
    gone.unlink()
    again = sweep(experiment, GRID, out=tmp_path, detailed=True, progress=False)
    assert again["heads"].equals(first["heads"])
    assert {file for file, written in files(tmp_path).items() if kept[file] != written} >= {gone}
    assert files(tmp_path).keys() == kept.keys()


def test_a_damaged_file_is_warned_of_and_its_trial_computed_again(tmp_path):
    experiment, grid = papers.experiment("random_features.double_descent"), Grid({"m": [3, 4]}, 1, {"n": 4})
    sweep(experiment, grid, out=tmp_path, detailed=True, progress=False)
    file = details.path(tmp_path, experiment.params(m=4, n=4), 0, 0)
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    said = []
    assert [row["m"] for row, _ in store.read_details(tmp_path, said.append)] == [3]
    assert len(said) == 1
    assert "cut short or damaged" in said[0]
    sweep(experiment, grid, out=tmp_path, detailed=True, progress=False)
    assert [row["m"] for row, _ in store.read_details(tmp_path, pytest.fail)] == [3, 4]


def test_temporary_files_that_a_killed_sweep_left_are_removed(tmp_path):
    sweep(TOY, GRID, out=tmp_path, detailed=True, progress=False)
    left = tmp_path / details.FOLDER / f".{'0' * 20}.npz.deadbeef.tmp"
    left.touch()
    os.utime(left, (0, 0))
    sweep(TOY, GRID, out=tmp_path, detailed=True, progress=False)
    assert not left.exists()


def test_a_file_belongs_to_the_number_and_not_to_the_sign_of_zero(tmp_path):
    assert len({details.path(tmp_path, TOY.params(z=z), 0, 0) for z in (0.0, -0.0)}) == 1


EXPERIMENTS = [experiment for name in papers.names() for experiment in papers.paper(name).EXPERIMENTS]


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_every_experiment_keeps_its_networks(experiment):
    """Whatever holds arrays is kept: tuples of layers, pairs of networks, lists with an entry per trial."""
    point = experiment.preset("tiny").points(experiment.params)[0]
    problem, solution, _ = experiment.run(point, Draws(0, [0]))
    arrays = details.of_trial(problem, solution, 0)
    assert np.array_equal(arrays["X"], problem.X[0])
    for name, whole in (("teacher", problem.teacher), ("found", solution.value)):
        kept = [key for key in arrays if key.partition(".")[0] == name]
        assert kept or whole is None or whole == [None]  # where nothing was found


def test_a_trial_that_raised_has_no_details_and_the_others_have(tmp_path):
    table = sweep(TOY, Grid({"raises": [1]}, 3), out=tmp_path, detailed=True, progress=False)
    assert (table["status"] == Status.RAISED).sum() == 1
    kept = files(tmp_path)
    assert {details.path(tmp_path, TOY.params(raises=1), 0, trial) for trial in (0, 2)} == kept.keys()


def test_details_need_a_folder_and_a_sweep_that_kept_them(tmp_path):
    with pytest.raises(BadInput, match="needs out"):
        sweep(TOY, GRID, detailed=True, progress=False)
    experiment = papers.experiment("random_features.double_descent")
    sweep(experiment, Grid({}, 1, {"m": 3, "n": 4}), out=tmp_path, progress=False)
    with pytest.raises(BadInput, match="holds none: sweep with --details"):
        next(store.read_details(tmp_path))


def test_the_command_lists_the_files(tmp_path, capsys):
    words = ["random_features.double_descent", "--over", "m=3,5", "--n", "4", "--trials", "1", "--out", str(tmp_path)]
    assert cli.main(["sweep", *words, "--details", "--jobs", "1"], standalone_mode=False) is None
    capsys.readouterr()
    cli.main(["details", str(tmp_path)], standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["m", "trial", "status", "details"]
    assert sorted(line.split()[-1] for line in lines[1:]) == sorted(map(str, files(tmp_path)))


def test_arrays_have_the_paths_of_what_holds_them():
    arrays = details.of_trial(*TOGETHER.run(TOGETHER.params(), Draws(0, [0, 1]))[:2], 1)
    assert arrays["X"].shape == (3, 2)
    assert arrays["y"].shape == (3,)
    assert set(arrays) == {"X", "y", "found"}
