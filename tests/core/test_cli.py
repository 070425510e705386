"""The `neurec` command as a user meets it: what it prints and how it ends."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import subprocess
import sys

import pandas as pd
import pyarrow as pa
import pytest

from neurec_core import __version__, files, papers, tables
from neurec_core.__main__ import main
from neurec_core.cli import runs
from neurec_core.experiment import Experiment, Grid
from neurec_core.params import BadInput

NAME = "convex_recovery.skip_recovery"
NOISY = "convex_recovery.skip_distance"
SWEPT = "local_linear_recovery.sample_sweep"
INF, NAN = float("inf"), float("nan")
POINT = ["--n", "12", "--d", "3"]


@pytest.fixture
def neurec(capsys):
    def call(*words: object) -> tuple[int, str, str]:
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        return status, out, err

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep")
    words = ["sweep", NAME, "--over", "n=6:14:4", "--over", "d=2,3", "--trials", "2", "--jobs", "1", "--out", str(path)]
    assert main(words) == 0
    return path


def test_list_names_every_experiment_with_its_presets(neurec):
    status, out, _ = neurec("list")
    assert status == 0
    for experiment in papers.experiments().values():
        assert experiment.name in out
        assert experiment.question in out
        assert f"paper {experiment.presets['paper'].cells} x" in out


def test_a_papers_name_alone_lists_its_experiments(neurec):
    for words in (["list", "convex-recovery"], ["list", NAME], ["show", "convex_recovery"]):
        status, out, _ = neurec(*words)
        assert status == 0
        assert [line.split()[0] for line in out.splitlines() if not line.startswith(" ")] == [
            experiment.name for experiment in papers.paper("convex_recovery").EXPERIMENTS
        ]


def test_the_version_is_printed(neurec):
    assert neurec("--version") == (0, f"neurec, version {__version__}\n", "")


LONG = "x1" * 10_000
ECHOES = [
    [LONG], ["list", LONG], ["show", LONG], ["run", LONG], ["run", NAME, LONG], ["run", NAME, f"n={LONG}"],
    ["run", NAME, f"--{LONG}"], ["run", NAME, f"-{LONG}"], ["run", NAME, "--n", LONG],
    ["run", NAME, "--n", "1" * 20_000],
    ["run", NAME, "--design", LONG], ["run", NAME, "--trials", LONG], ["run", NAME, "--seed", "1" * 20_000],
    ["sweep", NAME, "--out", "x", "--preset", LONG], ["sweep", NAME, "--out", "x", "--over", LONG],
    ["sweep", NAME, "--out", "x", "--over", f"n={LONG}"], ["sweep", NAME, "--out", "x", "--over", f"n=1:2:{LONG}"],
    ["sweep", NAME, "--out", "x", "--over", "n=5,6", "--n", LONG], ["sweep", NAME, "--out", LONG, "--preset", "tiny"],
    ["plot", LONG], ["export", LONG, "x.csv"],
    ["notebook", LONG, "--out", "x"], ["notebook", "convex_recovery", "-p", LONG, "1", "--out", "x"],
]  # fmt: skip


@pytest.mark.parametrize("words", ECHOES, ids=lambda words: " ".join(word[:20] for word in words))
def test_a_long_value_is_not_echoed_whole(neurec, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    status, _, err = neurec(*words)
    assert status in (1, 2)
    assert len(err.splitlines()) == 1
    assert len(err) < 4000
    assert not re.search(r"(x1|11){200}", err)


def test_show_prints_all_that_is_declared(neurec):
    status, out, _ = neurec("show", NAME)
    experiment = papers.experiment(NAME)
    assert status == 0
    for name, d in experiment.params.declared().items():
        assert name in out
        assert d.label in out
        assert d.allowed in out
    for name, column in experiment.columns.items():
        assert name in out
        assert column.label in out
    assert re.search("n = 10:400:10, d = 10:100:10; 5 trials: 16000 rows; 5 trials .* published table\n", out)
    assert "2209.15265" in out


def test_run_prints_rows_and_the_rate_with_its_band(neurec):
    status, out, _ = neurec("run", NAME, *POINT, "--trials", 3)
    assert status == 0
    assert "rate of recovered:" in out
    assert "(95 %)  of 3 trials" in out


def test_run_json_is_one_row_a_line(neurec):
    status, out, _ = neurec("run", "convex-recovery.skip-recovery", *POINT, "--trials", 2, "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert status == 0
    assert [row["trial"] for row in rows] == [0, 1]
    assert {"recovered", "margin", "all_ones", "isometry", "status"} <= rows[0].keys()


def test_json_has_no_word_for_infinity(neurec, monkeypatch):
    def rows(experiment, places, seed, *, detailed=False):
        return [{"trial": 0, "recovered": True, "margin": value, "status": "solved"} for value in (INF, -INF, NAN, 1.5)]

    monkeypatch.setattr("neurec_core.experiment.Experiment.rows_together", rows)
    status, out, _ = neurec("run", NAME, "--json")

    def refuse(word):
        raise AssertionError(f"{word} is no JSON")

    assert status == 0
    assert [json.loads(line, parse_constant=refuse)["margin"] for line in out.splitlines()] == [None, None, None, 1.5]


@pytest.mark.parametrize("words", [["run"], ["sweep", "--jobs", "1", "--out", "x"]], ids=lambda words: words[0])
def test_input_that_only_the_computation_can_refuse_is_bad_input(neurec, tmp_path, monkeypatch, words):
    def refuse(params, draws):
        raise BadInput("n (training points) must be odd where d is even, got 12")

    experiments = papers.experiments()
    experiments[NAME] = Experiment(**{**vars(experiments[NAME]), "sample": refuse})
    monkeypatch.setattr(papers, "experiment", experiments.__getitem__)
    monkeypatch.chdir(tmp_path)
    command, *rest = words
    status, out, err = neurec(command, NAME, *POINT, *rest)
    assert (status, out) == (2, "")
    assert "neurec: n (training points) must be odd where d is even, got 12" in err.splitlines()
    assert not list(tmp_path.glob("x/*.parquet")), "it is no row"


def test_a_run_in_which_all_trials_fail_ends_with_1(neurec):
    status, _, err = neurec("run", NOISY, "--n", 20, "--d", 4, "--patterns", 1, "--sigma", 0.3, "--trials", 1)
    assert status == 1
    assert "every trial failed" in err


BAD = [
    (["run", NAME, "--n", "0"], "n (training points) must be a whole number in [1, 100000], got '0'"),
    (["run", NOISY, "--sigm", "1"], "unknown option '--sigm': did you mean --sigma?"),
    (["run", NAME, "--design", "cubik"], "got 'cubik': did you mean cubic?"),
    (["run", NAME, "--trials", "x"], "trials (independent draws) must be a whole number in [1,"),
    (["run", "convex_recovery.skip"], f"did you mean {NAME}?"),
    (["run"], "Usage"),
    (["sweep", NAME, "--preset", "papr", "--out", "x"], "unknown preset 'papr': did you mean paper?"),
    (["sweep", NAME, "--over", "m=1:3:1", "--out", "x"], "unknown parameter 'm'"),
    (["sweep", NAME, "--over", "n=9:3:1", "--out", "x"], "STEP must be > 0 and STOP >= START"),
    (["sweep", NAME, "--over", "n", "--out", "x"], "must be FIELD=START:STOP:STEP or FIELD=A,B,..., got 'n'"),
    (["sweep", NAME, "--over", "n=1e9:2e9:1e-9", "--out", "x"], "more than 1000000 values"),
    (["sweep", NAME, "--over", "n=5,0", "--out", "x"], "n (training points) must be"),
    (["sweep", NAME, "--over", "n=5,6", "--n", "7", "--out", "x"], "n is both fixed (--n 7) and an axis"),
    (["sweep", NAME, "--preset", "tiny"], "--out (where results are kept; resumes there) is required"),
    (["sweep", NAME, "--jobs", "2", "--scheduler", "tcp://h:1", "--out", "x"], "--jobs (processes to start) does not"),
    (["sweep", NAME, "--preset", "tiny", "--jobs", "1", "--out", "/dev/null/x"], "cannot be written to"),
    (["sweep", NAME, "--preset=", "--out", "x"], "unknown preset ''"),
    (["notebook", "convex_recovery", "--preset=", "--out", "x"], "unknown preset ''"),
    (["sweep", NAME, "--out="], "out (where results are kept; resumes there) must be a path, got ''"),
    (["sweep", NAME, "--preset", "tiny", "--out=~nobody-here/x"], "got '~nobody-here/x': there is no such user"),
    (["sweep", NAME, "--over=", "--out", "x"], "must be FIELD=START:STOP:STEP or FIELD=A,B,..., got ''"),
    (["notebook", "convex_recovery", "--out="], "out (folder of the executed notebook) must be a path, got ''"),
    (["plot", ""], "PAPER.EXPERIMENT for its published table) must be a path, got ''"),
    (["plot", "x", "--html="], "html (an interactive page that needs no network) must be a path, got ''"),
    (["plot", "nowhere"], "DIR (folder of a sweep) must hold rows of one experiment, 'nowhere' holds no finished"),
    (["export", "nowhere", "x.csv"], "holds no finished shard"),
    (["notebook", "convex", "--out", "x"], "unknown paper 'convex': did you mean convex_recovery?"),
    (["notebook", "convex_recovery", "-p", "sede", "1", "--out", "x"], "unknown notebook parameter 'sede': did you"),
    (["notebook", "convex_recovery", "--preset", "quik", "--out", "x"], "unknown preset 'quik': did you mean quick?"),
    (["run", NAME, "-n", "60"], "unknown option '-n': did you mean --n?"),
    (["run", NAME, "-trials=3"], "unknown option '-trials=3': did you mean --trials?"),
    (["run", NAME, "n=60"], "unexpected argument 'n=60': did you mean --n 60?"),
    (["run", NOISY, "sigma=0.1", "n=60"], "unexpected argument 'sigma=0.1': did you mean --sigma 0.1?"),
    (["run", NAME, "60"], "unexpected argument '60'"),
    (["sweep", NAME, "n=10:60:10", "--out", "x"], "unexpected argument 'n=10:60:10': did you mean --over n=10:60:10?"),
    (["run", NAME, "--over", "n=5,6"], "--over is an option of `neurec sweep`; `neurec run` computes one point"),
    (["run", NAME, "--preset=tiny"], "--preset is an option of `neurec sweep`"),
    (["sweep", NAME, "--json"], "--json is an option of `neurec run`; `neurec export DIR FILE` writes the rows"),
    (["run", "convex_recovery"], f"convex_recovery is a paper: name one of its experiments, {NAME}, "),
    (["list", "convex"], "unknown paper 'convex': did you mean convex_recovery?"),
    (["show", "convex"], "unknown experiment 'convex'"),
    (
        ["run", SWEPT, "--polish", "with"],
        "polish (a finish by Levenberg and Marquardt) must be true or false, got 'with'",
    ),
    (["sweep", SWEPT, "--over", "polish=true,maybe", "--out", "x"], "must be true or false, got 'maybe'"),
    (["sweep", SWEPT, "--over", "polish=true", "--polish", "no", "--out", "x"], "polish is both fixed (--polish no)"),
    (["publish", "convex", "--out", "x"], "unknown paper 'convex': did you mean convex_recovery?"),
    (["publish", "convex_recovery.skip", "--out", "x"], f"did you mean {NAME}?"),
    (["publish"], "--out (a folder for each experiment is kept there; resumes) is required"),
    (["lst"], "No such command 'lst'. Did you mean 'list'?"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "message"), BAD, ids=lambda v: " ".join(v)[:60] if isinstance(v, list) else "")
def test_bad_input_is_one_line_and_ends_with_2(neurec, tmp_path, monkeypatch, words, message):
    monkeypatch.chdir(tmp_path)
    status, _, err = neurec(*words)
    assert status == 2
    assert message in err
    assert message == "Usage" or len(err.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir()), "nothing was made"


@pytest.mark.parametrize("words", [["run"], ["sweep", "--jobs", "1", "--out", "x"]], ids=lambda words: words[0])
def test_more_trials_than_memory_holds_are_refused_with_the_estimate(neurec, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neurec_core.memory.total", lambda: 24 * 2**30)
    command, *rest = words
    status, _, err = neurec(command, NAME, "--trials", 10**8, *rest)
    assert status == 2
    assert re.fullmatch(r"neurec: 100000000 trials would take about \d+ GiB of memory, this machine has 24 GiB\n", err)
    assert not list(tmp_path.iterdir()), "nothing was made"


def test_sweep_presets_axes_and_fixed_values_combine(neurec, tmp_path):
    words = ["--preset", "tiny", "--over", "sigma=0:0.3:0.1", "--n", 8, "--trials", 1, "--jobs", 1, "--out", tmp_path]
    status, out, _ = neurec("sweep", NOISY, *words)
    assert status == 0
    assert f"4 trials in {tmp_path}: 4 solved" in out


def test_a_home_folder_is_expanded_where_no_shell_does(neurec, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    assert neurec("sweep", NAME, *POINT, "--trials", 1, "--jobs", 1, "--out=~/runs")[0] == 0
    assert neurec("export", "~/runs", "~/t.csv")[0] == 0
    assert neurec("plot", "~/runs", "--html=~/f.html")[0] == 0
    assert {path.name for path in tmp_path.iterdir()} == {"runs", "t.csv", "t.csv-metadata.json", "f.html"}


def test_plot_writes_a_page_that_needs_no_network(neurec, folder, tmp_path):
    status, out, _ = neurec("plot", folder, "--html", tmp_path / "f.html")
    page = (tmp_path / "f.html").read_text()
    assert status == 0
    assert out.strip() == str(tmp_path / "f.html")
    assert "<script src=" not in page
    assert "predicted: n = 2d" in page
    assert "measured 50 % point" in page


def test_plot_without_a_file_writes_beside_the_rows(neurec, folder):
    assert neurec("plot", folder, "--column", "isometry")[0] == 0
    assert (folder / "figure.html").is_file()
    assert neurec("plot", folder, "--column", "isometri")[0] == 2


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Grids of two experiments that take no time, and their tables beside nobody's paper."""
    presets = {
        "tiny": Grid({"n": [6, 8]}, trials=5, fixed={"d": 2}),
        "part": Grid({"n": [8, 6]}, trials=5, fixed={"d": 2}, published=3),
        "more": Grid({"d": [2, 3]}, trials=5, fixed={"n": 6}, published=2),
    }
    experiments = papers.experiments()
    for name, own in {NAME: presets, NOISY: {"tiny": presets["tiny"]}}.items():
        experiments[name] = dataclasses.replace(experiments[name], presets=own)
    monkeypatch.setattr(papers, "experiment", experiments.__getitem__)
    monkeypatch.setattr(tables, "place", lambda experiment: tmp_path / "tables" / f"{experiment.name}.parquet")
    return tmp_path


def test_publish_computes_the_declared_trials_and_writes_the_table(neurec, small, monkeypatch):
    for _ in range(2):  # the second time nothing is left to compute
        status, out, _ = neurec("publish", NAME, "--jobs", 1, "--out", small / "runs")
        assert (status, out.splitlines()[-1]) == (0, f"8 trials in {small}/tables/{NAME}.parquet")
        table = tables.load(tables.published(papers.experiment(NAME)))
        held = table.groupby(["n", "d"])["trial"].apply(list).to_dict()
        assert held == {(6, 2): [0, 1, 2], (8, 2): [0, 1, 2], (6, 3): [0, 1]}
        assert [path.name for path in (small / "runs").iterdir()] == [NAME]
        monkeypatch.setattr("neurec_core.sweep.run_shard", None)


def test_publish_replaces_no_table_by_one_that_holds_less(neurec, small):
    assert neurec("publish", NAME, "--jobs", 1, "--out", small / "runs")[0] == 0
    place = tables.published(papers.experiment(NAME))
    whole = tables.load(place)
    more = pd.concat([whole, whole.assign(trial=whole["trial"] + 100)])
    more.attrs = whole.attrs
    tables.export(more, place)
    status, _, err = neurec("publish", NAME, "--jobs", 1, "--out", small / "runs")
    assert status == 2
    assert err.endswith(f"{NAME} holds 8 of the 16 trials of {place}, which stays as it is\n")
    assert len(tables.load(place)) == 16


def test_publish_refuses_what_has_no_published_table(neurec, small):
    status, _, err = neurec("publish", NOISY, "--out", small / "runs")
    assert (status, len(err.splitlines())) == (2, 1)
    assert f"{NOISY} has no published table: no preset says how many" in err
    assert not (small / "runs").exists()


def test_publish_takes_papers_and_experiments_each_once():
    found = [experiment.name for experiment in runs.named(("relu-zonotopes.polish", "relu_zonotopes", NAME))]
    assert found[0] == "relu_zonotopes.polish"
    assert set(found) == {NAME, *(e.name for e in papers.paper("relu_zonotopes").EXPERIMENTS)}
    assert len(found) == len(set(found))
    assert [experiment.name for experiment in runs.named(())] == list(papers.experiments())


def test_a_choice_of_two_is_true_or_false(neurec, tmp_path):
    status, out, _ = neurec("show", SWEPT)
    assert status == 0
    assert re.search(r"polish +a finish by Levenberg and Marquardt\n +true or false; default false\n", out)
    words = ["--over", "polish=true,off", "--n", 5, "--steps", 50, "--trials", 1, "--jobs", 1, "--out", tmp_path / "s"]
    assert neurec("sweep", SWEPT, *words)[0] == 0
    assert neurec("plot", tmp_path / "s", "--where", "polish=yes", "--html", tmp_path / "f.html")[0] == 0
    status, _, err = neurec("plot", tmp_path / "s", "--where", "polish=maybe", "--html", tmp_path / "f.html")
    assert (status, "must be true or false, got 'maybe'" in err) == (2, True)
    assert neurec("export", tmp_path / "s", tmp_path / "t.csv")[0] == 0
    assert sorted(pd.read_csv(tmp_path / "t.csv")["polish"]) == [False, True]
    status, out, _ = neurec("run", SWEPT, "--steps", 5, "--polish", "on", "--trials", 1, "--json")
    assert json.loads(out)["polish"] is True


def test_a_table_of_words_where_there_are_booleans_now_is_refused(neurec, tmp_path):
    table = tables.load(tables.published(papers.experiment(SWEPT))).head(4)
    old = pa.Table.from_pandas(table.assign(polish="without"), preserve_index=False)
    (tmp_path / "old.parquet").write_bytes(files.packed(old, table.attrs))
    status, _, err = neurec("export", tmp_path / "old.parquet", tmp_path / "t.csv")
    assert (status, len(err.splitlines())) == (2, 1)
    assert "polish (a finish by Levenberg and Marquardt) must be true or false in" in err
    assert "which holds without: compute it again" in err


KEPT = [word for kept in ("design=gaussian,cubic", "plant=random", "program=relaxed") for word in ("--where", kept)]


def test_a_published_table_is_drawn_and_exported_by_its_name(neurec, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    status, out, err = neurec("plot", NAME)
    assert (status, out.strip(), err) == (0, f"{NAME}.html", "")
    status, out, err = neurec("plot", NAME, *KEPT)
    assert (status, out.strip(), err) == (0, f"{NAME}.html", "")
    assert "design = gaussian" in (tmp_path / f"{NAME}.html").read_text(encoding="utf-8")
    assert neurec("export", NAME.replace("_", "-"), tmp_path / "t.csv")[0] == 0
    assert len(pd.read_csv(tmp_path / "t.csv")) == len(tables.load(tables.published(papers.experiment(NAME))))


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("d=17", r"where \(rows to draw\) leaves none, since d is 10, .*, 100 here: got 'd=17'"),
        ("plant=randm", r"plant \(planted weights\) must be one of .*: did you mean random\?"),
        ("planet=random", r"unknown parameter 'planet': did you mean plant\?"),
        ("plant", r"FIELD=START:STOP:STEP or FIELD=A,B,\.\.\., got 'plant'"),
    ],
)
def test_rows_to_draw_that_are_none_are_refused(neurec, tmp_path, monkeypatch, where, said):
    monkeypatch.chdir(tmp_path)
    status, _, err = neurec("plot", NAME, "--where", where)
    assert status == 2
    assert re.search(said, err)
    assert not list(tmp_path.iterdir())


def test_export_writes_rows_with_provenance(neurec, folder, tmp_path):
    assert neurec("export", folder, tmp_path / "t.csv")[0] == 0
    assert neurec("export", folder, tmp_path / "t.parquet")[0] == 0
    assert len(pd.read_csv(tmp_path / "t.csv")) == 12
    about = json.loads((tmp_path / "t.csv-metadata.json").read_text())
    assert about["experiment"] == NAME
    assert neurec("plot", tmp_path / "t.parquet", "--html", tmp_path / "t.html")[0] == 0


def test_a_png_needs_a_browser_and_says_so(neurec, folder, tmp_path, monkeypatch):
    def no_browser(*_, **__):
        raise RuntimeError("no browser\nat all")

    monkeypatch.setattr("plotly.graph_objects.Figure.to_image", no_browser)
    status, _, err = neurec("plot", folder, "--png", tmp_path / "f.png")
    assert status == 1
    assert "--png needs Chrome or Chromium (no browser); --html needs neither" in err


def test_a_browser_that_does_not_start_is_one_line(folder, tmp_path):
    browser = tmp_path / "chromium"
    browser.write_text("#!/bin/sh\nexit 3\n")
    browser.chmod(0o755)
    words = [sys.executable, "-m", "neurec_core", "plot", folder, "--png", tmp_path / "f.png"]
    environment = {**os.environ, "BROWSER_PATH": str(browser), "PATH": str(tmp_path)}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("neurec: --png needs Chrome or Chromium (")
    assert not (tmp_path / "f.png").exists()
