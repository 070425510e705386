"""The notebook as a batch job: through papermill as it is, and through `neurec notebook`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from distributed import LocalCluster

from neurec_core import papers
from neurec_core.notebook import NotebookFailed, execute, source_of
from neurec_core.params import BadInput

CELLS = """
import os
from pathlib import Path
assert n < 10, "n is too large"
Path(where, "seen").write_text(f"{n} {name} {os.environ['NEUREC_STATIC']}")
"""


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    """A notebook of one cell, in place of a paper's."""
    nb = nbformat.v4.new_notebook(
        metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    )
    declared = nbformat.v4.new_code_cell(
        'n: int = 1\nname: str = None\nwhere: str = "."', metadata={"tags": ["parameters"]}
    )
    nb.cells = [declared, nbformat.v4.new_code_cell(CELLS)]
    path = tmp_path / "paper.ipynb"
    nbformat.write(nb, path)
    monkeypatch.setattr("neurec_core.notebook.source_of", lambda name: path)
    monkeypatch.setenv("NEUREC_STATIC", "0")
    return tmp_path


@pytest.mark.filterwarnings("default::DeprecationWarning")  # of papermill's and nbformat's own making
def test_parameters_reach_the_notebook(notebook):
    done = execute("paper", {"n": "3", "name": "tcp://h:1", "where": str(notebook)}, notebook / "out")
    assert done == notebook / "out/paper.ipynb"
    assert (notebook / "seen").read_text() == "3 tcp://h:1 1"
    assert [path.name for path in (notebook / "out").iterdir()] == ["paper.ipynb"]


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_a_cell_that_raises_is_reported_and_kept(notebook):
    with pytest.raises(NotebookFailed, match=r"failed\.ipynb: AssertionError: n is too large"):
        execute("paper", {"n": "30"}, notebook / "out")
    assert [path.name for path in (notebook / "out").iterdir()] == ["paper.failed.ipynb"]


@pytest.mark.filterwarnings("default::DeprecationWarning")
def test_an_unknown_parameter_is_refused(notebook):
    with pytest.raises(BadInput, match=r"unknown notebook parameter 'nam': did you mean name\?"):
        execute("paper", {"nam": "1"}, notebook / "out")


def test_a_notebook_is_found_beside_its_paper_or_refused(tmp_path, monkeypatch):
    folder = tmp_path / "package/paper"
    folder.mkdir(parents=True)
    monkeypatch.setattr(papers, "paper", lambda name: SimpleNamespace(__file__=str(folder / "__init__.py")))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadInput, match=r"paper study has no notebook: study\.ipynb is in none of .*package/notebooks"):
        source_of("study")
    (tmp_path / "package/notebooks").mkdir()
    (tmp_path / "package/notebooks/study.ipynb").write_text("{}", encoding="utf-8")
    assert source_of("study") == tmp_path / "package/notebooks/study.ipynb"


def test_papermill_runs_a_papers_notebook_as_it_is(tmp_path, root):
    source, done = root / "notebooks/random_features.ipynb", tmp_path / "out.ipynb"  # the quickest
    environment = {**os.environ, "NEUREC_STATIC": "1"}
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        parameters = ["-p", "preset", "tiny", "-p", "scheduler", cluster.scheduler_address]
        words = [sys.executable, "-m", "papermill", str(source), str(done), *parameters, "--no-progress-bar"]
        run = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    assert run.returncode == 0, run.stderr[-3000:]
    cells = nbformat.read(done, as_version=4).cells
    (injected,) = [cell for cell in cells if "injected-parameters" in cell.metadata.get("tags", [])]
    assert 'preset = "tiny"' in injected.source
    text = Path(done).read_text(encoding="utf-8")
    assert "application/vnd.neurec.cube+json" in text
