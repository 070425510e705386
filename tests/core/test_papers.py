"""Papers in packages of their own: installed from another folder, and this project installed from its wheel."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from neurec_core import papers
from neurec_core.params import BadInput

PYPROJECT = """
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "coins"
version = "1.0"

[project.entry-points."neurec.papers"]
coins = "coin_papers"

[tool.setuptools]
packages = ["coin_papers"]
"""

STUDY = '''
"""How often a coin lands heads: a study that no paper has published."""

import numpy as np
import plotly.graph_objects as go

from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param


class Coin(Params):
    """A coin that is thrown n times."""

    n: int = param(10, "throws", ge=1, le=1000, slider=(1, 20, 1))
    p: float = param(0.5, "probability of heads", ge=0, le=1, slider=(0, 1, 0.1))


def sample(params, draws):
    """The throws."""
    return Problem(draws.uniform("throws", params.n, 1), np.zeros((len(draws), params.n)))


def solve(params, problem, draws):
    """The share of heads."""
    return Solution((problem.X[:, :, 0] < params.p).mean(axis=1), [Status.SOLVED] * len(draws))


def score(params, problem, solution):
    """As it is."""
    return {"heads": solution.value}


COINS = Experiment(
    "coins.heads", "How often does it land heads?", Coin, sample, solve, score,
    columns={"heads": Column("share of heads", "measure")},
    presets={name: Grid({"p": [0.2, 0.8]}, trials=2) for name in ("tiny", "quick", "paper")},
    citation="nobody",
)
EXPERIMENTS = (COINS,)


def view(params, problem, solution, scores):
    """A bar."""
    return go.Figure(go.Bar(y=scores["heads"]), {"title": {"text": "heads"}})
'''

EXPLORED = """
from coin_papers.coins import COINS, view
from neurec_core.explore import explore
explorer = explore(COINS, view, {"p": None})
print(explorer.figure.data[0].y)
"""


def install(folder: Path, target: Path) -> None:
    """Install a project from its folder, with nothing but what is here."""
    words = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", "install", *words, "--target", target, folder], check=True)


def run(target: Path, cwd: Path, *words: object) -> str:
    """Standard output of a program that finds what is installed in `target` first."""
    environment = {**os.environ, "PYTHONPATH": str(target), "PYTHONUTF8": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, words)], cwd=cwd, env=environment, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def coins(tmp_path_factory):
    """A folder with another package of papers, installed there."""
    project, target = tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("installed")
    (project / "coin_papers").mkdir()
    for name, text in {
        "pyproject.toml": PYPROJECT,
        "coin_papers/__init__.py": "",
        "coin_papers/coins.py": STUDY,
    }.items():
        (project / name).write_text(text, encoding="utf-8")
    install(project, target)
    return target


def test_a_paper_of_another_package_is_listed_run_swept_and_drawn(coins, tmp_path):
    neurec = ("-m", "neurec_core")
    listed = run(coins, tmp_path, *neurec, "list")
    assert "coins.heads  (tiny 2 x 2" in listed
    assert all(f"{name}." in listed for name in papers.names())
    row = json.loads(run(coins, tmp_path, *neurec, "run", "coins.heads", "--p", 1, "--trials", 1, "--json"))
    assert row["heads"] == 1
    said = run(coins, tmp_path, *neurec, "sweep", "coins.heads", "--preset", "tiny", "--jobs", 2, "--out", "runs")
    assert said == "4 trials in runs: 4 solved\n"
    assert run(coins, tmp_path, *neurec, "plot", "runs") == "runs/figure.html\n"


def test_a_paper_of_another_package_is_explored(coins, tmp_path):
    assert run(coins, tmp_path, "-W", "ignore", "-c", EXPLORED) == "[0.7]\n"


def test_two_papers_of_one_name_and_packages_that_are_not_here_are_refused(tmp_path, monkeypatch):
    (tmp_path / "others").mkdir()
    for name in ("__init__", "convex_recovery"):
        (tmp_path / f"others/{name}.py").write_text("", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for package, said in [
        ("others", "paper convex_recovery is in two packages, .*neurec_papers.convex_recovery.*: rename one"),
        ("nowhere_papers", "nowhere_papers .* is no package here"),
        ("nowhere.papers", "nowhere.papers .* is no package here"),
    ]:
        named = tmp_path / f"{package}-1.0.dist-info"
        named.mkdir()
        (named / "METADATA").write_text(f"Name: {package}\nVersion: 1.0\n", encoding="utf-8")
        (named / "entry_points.txt").write_text(f"[neurec.papers]\nx = {package}\n", encoding="utf-8")
        papers._found.cache_clear()
        with pytest.raises(BadInput, match=said):
            papers.names()
        shutil.rmtree(named)
    papers._found.cache_clear()


def test_a_paper_that_is_a_module_has_a_table_and_a_notebook_beside_it(coins):
    code = """
from neurec_core import notebook, papers, tables
home = papers.home("coins")
(home / "notebooks").mkdir(exist_ok=True)
(home / "notebooks/coins.ipynb").write_text("{}", encoding="utf-8")
print(notebook.source_of("coins").relative_to(home), tables.place(papers.experiment("coins.heads")).relative_to(home))
print("_helper" in papers.names())
"""
    (coins / "coin_papers/_helper.py").write_text("", encoding="utf-8")
    assert run(coins, coins, "-c", code) == "notebooks/coins.ipynb tables/coins.heads.parquet\nFalse\n"


def test_a_module_without_experiments_is_no_paper(coins):
    helper = coins / "coin_papers/helper.py"
    helper.write_text("", encoding="utf-8")
    words = [sys.executable, "-m", "neurec_core", "list"]
    environment = {**os.environ, "PYTHONPATH": str(coins)}
    done = subprocess.run(words, env=environment, capture_output=True, encoding="utf-8", check=False)
    helper.unlink()
    assert done.returncode == 2
    assert done.stderr.startswith("neurec: coin_papers.helper is no paper, for it has no EXPERIMENTS")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory, request):
    """A folder in which this project's wheel is unpacked."""
    root, source = request.config.rootpath, tmp_path_factory.mktemp("source")
    for name in ("pyproject.toml", "setup.py", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    ignored = shutil.ignore_patterns("__pycache__", ".ipynb_checkpoints")
    for name in ("neurec_core", "smallnets", "neurec_papers", "notebooks"):
        shutil.copytree(root / name, source / name, ignore=ignored)
    target = tmp_path_factory.mktemp("wheel")
    words = ["--quiet", "--disable-pip-version-check", "--no-index", "--no-deps", "--no-build-isolation"]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *words, "--wheel-dir", target, source], check=True)
    (built,) = target.glob("neurec-*.whl")
    with zipfile.ZipFile(built) as archive:
        archive.extractall(target)
    return target


SHOWN = """
from pathlib import Path
import json, neurec_core, neurec_papers, smallnets
from neurec_core import notebook, papers, tables
homes = [Path(package.__file__).parents[1] for package in (neurec_core, neurec_papers, smallnets)]
found = [notebook.source_of(name).parents[2] for name in papers.names()]
tables = [tables.published(e).parents[3] for e in papers.experiments().values()]
print(json.dumps([str(path) for path in {*homes, *found, *tables}] + [len(tables)]))
"""


def test_an_installed_wheel_holds_tables_and_notebooks(wheel, tmp_path, root):
    home, count = json.loads(run(wheel, tmp_path, "-c", SHOWN))
    assert Path(home) == wheel
    assert count == len(list(root.glob("neurec_papers/*/tables/*.parquet"))) > 40
    page = run(
        wheel, tmp_path, "-m", "neurec_core", "plot", "inconsistency.star", "--where", "step_rule=spectral"
    ).strip()
    assert (tmp_path / page).stat().st_size > 1e6


def test_the_library_stands_alone(wheel, tmp_path):
    code = "import sys, smallnets.convex.solving, smallnets.descent.relu;"
    code += "print({'neurec_core', 'pandas'} & {*sys.modules})"
    assert run(wheel, tmp_path, "-c", code) == "set()\n"


def test_the_readme_of_the_library_says_what_runs(wheel, tmp_path, root):
    text = (root / "smallnets/README.md").read_text(encoding="utf-8")
    said = run(wheel, tmp_path, "-c", "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))).splitlines()
    assert float(said[0].split()[0]) == pytest.approx(1, abs=1e-9)
    assert said[1] == "the plant is the only solution"
    assert said[2].startswith("the loss fell below its target")
    cells, count = map(int, said[3].split())
    assert cells == count == 134
