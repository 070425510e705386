"""The vocabulary of a study: functions of one trial, derived axes, figures and claims; a study of one's own."""

from __future__ import annotations

import pkgutil
import shutil
import subprocess
import sys
from functools import partial

import numpy as np
import pandas as pd
import pytest

from neurec_core import claims, drawing, fingerprint, papers, tables
from neurec_core.__main__ import main
from neurec_core.columns import exceptions
from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Status
from neurec_core.figures import Computed, Curves, Drawing, Mark, PhaseDiagram
from neurec_core.params import BadInput
from neurec_core.trials import Draw, each_trial
from neurec_papers import random_features as study

STUDY = study.RANDOM_FEATURES
EXPERIMENTS = papers.experiments()


@pytest.fixture(params=EXPERIMENTS.values(), ids=EXPERIMENTS, scope="module")
def published(request):
    """An experiment and its published table; the tests of one follow one another, so that it is read once."""
    return request.param, tables.load(tables.published(request.param))


# -------------------------------------------------------------------------------------------------- one trial at a time


def test_a_draw_is_one_trial_of_the_draws():
    draws, one = Draws(7, [3, 5]), Draw(7, 5)
    assert np.array_equal(one.normal("x", 4, 2), draws.normal("x", 4, 2)[1])
    assert np.array_equal(one.uniform("u", 3), draws.uniform("u", 3)[1])
    assert np.array_equal(one.draws.normal("x", 4, 2), draws.normal("x", 4, 2)[1:])


def solve_some(params, problem, draw):
    if problem.y.sum() > 0:
        return Status.INFEASIBLE
    return study.solve(params, problem, draw)


def score_some(params, problem, found):
    scores = study.score(params, problem, found)
    return {**scores, "small": scores["norm"] < 1}


def test_a_trial_may_end_with_a_status_beside_others():
    columns = {**STUDY.columns, "small": Column("a norm below one", "event")}
    some = Experiment(
        **{**vars(STUDY), "batch": 12, "columns": columns, **each_trial(study.sample, solve_some, score_some)}
    )
    params = some.params(n=6, m=3, d=8)
    rows, plain = (pd.DataFrame(e.rows(params, 0, range(12))) for e in (some, STUDY))
    ended = rows["status"] == Status.INFEASIBLE
    assert 0 < ended.sum() < 12
    assert rows.loc[ended, ["test", "small"]].isna().all(axis=None)
    own = [*plain.columns.drop("seconds")]
    pd.testing.assert_frame_equal(rows.loc[~ended, own], plain.loc[~ended, own], check_dtype=False)
    stored = tables.arrow(some.rows(params, 0, range(12)), some).to_pylist()
    assert [row["small"] for row in stored] == [
        None if end else row["norm"] < 1 for end, row in zip(ended, stored, strict=True)
    ]


def test_points_that_differ_in_what_is_drawn_only_are_solved_together():
    together = Experiment(**{**vars(STUDY), "sampled": ("sigma",), "batch": 10})
    points = [STUDY.params(n=6, m=3, d=8, sigma=sigma) for sigma in (0.0, 1.0)]
    rows = together.rows_together([(point, trial) for point in points for trial in (0, 1)], 0)
    alone = [row for point in points for row in STUDY.rows(point, 0, [0, 1])]
    assert [row["test"] for row in rows] == [row["test"] for row in alone]


def test_a_change_in_a_function_of_one_trial_is_another_experiment(tmp_path, monkeypatch):
    source = "def sample(p, draw): ...\ndef score(p, given, found): ...\nclass P: ...\n"
    (tmp_path / "own_trials.py").write_text(source + "def solve(p, given, draw): return 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    import own_trials

    parts = each_trial(own_trials.sample, partial(own_trials.solve, draw=None), own_trials.score)
    made = Experiment(**{**vars(STUDY), "params": own_trials.P, **parts})
    covered = fingerprint.closure({named.__module__ for part in parts.values() for named in fingerprint._named(part)})
    assert {"own_trials", "neurec_core.trials"} <= covered.keys()
    assert "functools" not in covered
    assert fingerprint.fingerprint(made) != fingerprint.fingerprint(STUDY)


# ----------------------------------------------------------------------------------------------------- axes and figures


def test_a_derived_axis_is_a_number_of_a_point_and_a_column_of_a_table():
    assert STUDY.params(m=30, n=20).ratio == 1.5
    axis = STUDY.params.axes()["ratio"]
    assert axis.axis == "features per training point m/n"
    assert "ratio" not in STUDY.params.declared()
    table = tables.with_axis(pd.DataFrame({"m": [10, 30], "n": [20, 20]}), STUDY, "ratio")
    assert table["ratio"].tolist() == [0.5, 1.5]
    with pytest.raises(BadInput, match=r"unknown axis 'ratoi': did you mean ratio\? \(one of m, n, .*, ratio\)"):
        tables.with_axis(table, STUDY, "ratoi")


def test_declared_figures_are_drawn_from_the_published_table(published):
    experiment, table = published
    for name, declared in experiment.figures.items():
        if isinstance(declared, Computed):  # drawn in the tests of its paper
            assert callable(pkgutil.resolve_name(declared.draw))
            continue
        fig = drawing.draw(table, experiment, name)
        assert fig.layout.meta["alt"]
        own = isinstance(declared, Drawing)
        names = declared.apart if own else [name for name in (declared.x, getattr(declared, "lines", None)) if name]
        assert set(names) <= set(experiment.params.axes())


def test_a_figure_shows_the_rows_that_it_declares_and_its_marks():
    rows = [
        {**STUDY.params(m=m, sigma=sigma, features=kind).model_dump(), "seed": 0, "trial": t, "test": float(m + t)}
        for m in (25, 50) for sigma in (0.0, 1.0) for kind in ("relu", "gaussian") for t in range(3)
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(status="solved", train=0.0, norm=1.0, seconds=0.0, detail="")
    figure = Curves("ratio", "test", "sigma", {"features": "relu"}, "x", [Mark(1, "m = n")])
    both = Curves("ratio", ["test", "norm"], where={"features": "relu", "sigma": 0.0}, title="both")
    diagram = PhaseDiagram("m", "sigma", panels="features", limits=(1, 100))
    figures = {"mine": figure, "both": both, "map": diagram}
    own = Experiment(**{**vars(STUDY), "figures": figures})
    fig = drawing.draw(table, own)
    lines = [trace for trace in fig.data if trace.mode == "lines+markers"]
    assert [trace.name for trace in lines] == ["sigma = 0.0", "sigma = 1.0"]
    assert all(list(trace.x) == [0.5, 1] and list(trace.y) == [26, 51] for trace in lines)
    # A line stands at a value, words on a logarithmic axis at its exponent.
    assert (fig.layout.xaxis.type, fig.layout.shapes[0].x0, fig.layout.annotations[0].x) == ("log", 1, 0)
    drawn = [trace for trace in drawing.draw(table, own, "both").data if trace.name]
    assert [trace.name for trace in drawn] == [STUDY.columns[name].label for name in ("test", "norm")]
    assert list(drawn[0].y) == [26, 51], "a median of each width"
    diagram = drawing.draw(table, own, "map")
    assert diagram.data[0].type == "heatmap"
    assert (diagram.layout.coloraxis.cmin, diagram.layout.coloraxis.cmax) == (0, 2), "a logarithmic measure"
    both, neither = (figure._replace(where={"features": names}) for names in (["relu", "gaussian"], ["tanh", "sine"]))
    listed = Experiment(**{**vars(STUDY), "figures": {"both": both._replace(lines="features"), "neither": neither}})
    assert drawing.misfit(table, listed, "both").startswith("would take rows together that differ in sigma")
    assert len(drawing.draw(table[table["sigma"] == 0], listed, "both").data) == 4, "a band and a line for each"
    with pytest.raises(BadInput, match="shows rows with features = tanh or sine, of which there are none"):
        drawing.draw(table, listed, "neither")
    with pytest.raises(BadInput, match=r"unknown figure 'mime': did you mean mine\?"):
        drawing.draw(table, own, "mime")
    with pytest.raises(BadInput, match=r"figure mine of .* shows rows with features = relu, of which there are none"):
        drawing.draw(table[table["features"] == "gaussian"], own, "mine")


def test_a_figure_takes_no_rows_together_that_differ_in_what_it_does_not_show():
    rows = [
        {**STUDY.params(m=m, n=n, d=d).model_dump(), "seed": 0, "trial": 0, "test": 1.0, "status": "solved"}
        for m in (10, 20) for n in (10, 20) for d in (30, 40)
    ]  # fmt: skip
    table = pd.DataFrame(rows).assign(train=0.0, norm=1.0, seconds=0.0, detail="")
    assert STUDY.params.read_by("ratio") == {"m", "n"}
    assert STUDY.params.read_by("sigma") == {"sigma"}
    with pytest.raises(BadInput, match=r"figure peak of .* would take rows together that differ in d; keep one value"):
        drawing.draw(table, STUDY)
    assert len(drawing.draw(table[table["d"] == 30], STUDY).data) == 2
    # What goes with a value of an axis is not pooled: each point has one d.
    assert len(drawing.draw(table[table["d"] == table["m"] + 20], STUDY).data) == 2


# --------------------------------------------------------------------------------------------------------------- claims


def test_claims_hold_on_the_published_table(published):
    experiment, table = published
    found = claims.decided(table, experiment)
    assert found["claim"].tolist() == [claim.text for claim in experiment.claims]
    assert found["claim"].str.endswith(".").all()
    assert found["holds"].all(), found[~found["holds"]]


def nothing(table):
    """Nothing is measured."""
    return np.nan


def largest(table):
    """The ratio is at most one half."""
    return table["ratio"].max()


def test_a_claim_that_is_off_or_undecided_does_not_hold():
    table = pd.DataFrame({"m": [10, 30], "n": [20, 20], "status": ["solved", "infeasible"], "test": [1.0, np.nan]})
    own = (Claim(nothing, 0, 1e9, "none"), Claim(largest, 0.5, 0, "here"), Claim(largest, 0.6, 0.09, "here"))
    found = claims.decided(table, Experiment(**{**vars(STUDY), "claims": own}))
    assert found["holds"].tolist() == [False, True, False]
    assert found["claim"][1] == "The ratio is at most one half."


def test_no_claim_holds_where_no_trial_counts(published):
    experiment, table = published
    found = claims.decided(table.assign(status=Status.RAISED.value), experiment)
    assert not found["holds"].any(), found.loc[found["holds"], "claim"].tolist()


def test_exceptions_are_of_something():
    assert exceptions(pd.Series([True, False, True])) == 2
    assert exceptions(pd.Series([pd.NA, True], dtype="boolean")) == 1
    assert np.isnan(exceptions(pd.Series([], dtype="boolean")))


def test_an_experiment_without_figures_says_so():
    with pytest.raises(BadInput, match=r"random_features\.double_descent declares no figures"):
        drawing.draw(pd.DataFrame(), Experiment(**{**vars(STUDY), "figures": {}}))


# ------------------------------------------------------------------------------------------------------ random features


@pytest.mark.parametrize(("m", "n"), [(3, 9), (9, 9), (20, 9)])
@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_the_second_layer_is_that_of_least_squares(m, n, ridge):
    params = STUDY.params(m=m, n=n, d=6, ridge=ridge)
    given = study.sample(params, Draw(0, 0))
    a = study.solve(params, given, Draw(0, 0))
    if ridge:
        wanted = np.linalg.solve(given.X.T @ given.X + ridge * np.eye(m), given.X.T @ given.y)
    else:
        wanted = np.linalg.lstsq(given.X, given.y, rcond=None)[0]
    assert np.allclose(a, wanted, rtol=1e-8, atol=1e-10)


def test_coordinates_beyond_the_input_change_nothing():
    all_of_them, more = (STUDY.run(STUDY.params(features="gaussian", m=m, n=30, d=5), Draws(0, [0]))[2] for m in (5, 9))
    assert all_of_them["test"] == pytest.approx(more["test"], rel=1e-10)


def test_features_that_are_all_zero_are_fitted_by_zero():
    given = study.sample(STUDY.params(m=2, n=4, d=3), Draw(0, 0))._replace(X=np.zeros((4, 2)))
    assert not study.solve(STUDY.params(m=2, n=4, d=3), given, Draw(0, 0)).any()


# ------------------------------------------------------------------------------------------------- a study of one's own


def test_a_new_study_is_listed_and_is_a_copy_of_the_example(tmp_path, root):
    for name in ("neurec_core", "smallnets", "neurec_papers", "tests/golden"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "notebooks").mkdir()
    for end in (".py", ".ipynb"):
        shutil.copy(root / f"notebooks/random_features{end}", tmp_path / "notebooks")

    def neurec(*words):
        command = [sys.executable, "-m", "neurec_core", *words]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, encoding="utf-8", check=False)

    done = neurec("new", "lazy_training")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("change what they say, and then: neurec check lazy_training\n")
    written = (tmp_path / "neurec_papers/lazy_training/__init__.py").read_text(encoding="utf-8")
    assert "class LazyTraining(Params)" in written
    assert "random_features" not in written + (tmp_path / "notebooks/lazy_training.py").read_text(encoding="utf-8")
    assert "lazy_training.double_descent" in neurec("list").stdout
    assert "solved" in neurec("run", "lazy_training.double_descent", "--n", "8", "--m", "4", "--trials", "1").stdout
    lint = ["check", "--isolated", "--line-length", "120"], ["format", "--isolated", "--line-length", "120", "--check"]
    for words in lint:
        ruff = [sys.executable, "-m", "ruff", *words, str(tmp_path / "neurec_papers/lazy_training")]
        assert not subprocess.run(ruff, check=False).returncode
    (tmp_path / "notebooks/taken.py").touch()
    assert "taken.py exists" in neurec("new", "taken").stderr
    again = neurec("new", "lazy_training")
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    assert "must be free, got 'lazy_training'" in again.stderr


@pytest.mark.parametrize("stem", ["Lazy", "lazy-training", "1st", "", "a__b", "class.x", "class", "import"])
def test_a_stem_is_the_name_of_a_module(stem, capsys):
    assert main(["new", stem]) == 2
    assert "must be lower-case words joined by underscores" in capsys.readouterr().err


def test_check_runs_the_rules_of_structure_beside_the_studys_own_tests(monkeypatch):
    steps = []
    done = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr("neurec_core.cli.studies.subprocess.run", lambda words, **_: (steps.append(words), done)[1])
    assert main(["check", "random_features"]) == 0
    (selected,) = [words[-1] for words in steps if "-k" in words]
    assert selected == "random_features or test_house"
    assert any("--nbval-lax" in words for words in steps)
