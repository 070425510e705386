"""The book's own code: what the strict build refuses, and when the notebook cache is dropped."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType

import execute
import nbformat
import pandas as pd
import pytest
from jupyter_cache import get_cache
from myst_nb.core.config import NbParserConfig
from myst_nb.core.execute import create_client

from neurec_core import tables
from neurec_core.experiment import Status
from neurec_papers.convex_recovery import NORMALIZED_RECOVERY, SKIP_RECOVERY

ROOT = Path(__file__).parents[2]


def load(path: str) -> ModuleType:
    """A module of the book, which is not a package."""
    spec = importlib.util.spec_from_file_location(Path(path).stem, ROOT / path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


site = load("book/_ext/neurec_site.py")
architecture = load("book/architecture.py")
stamp = load("book/stamp.py")


def test_a_figure_without_words_is_a_fault():
    assert list(site.faults({"data": [], "layout": {}})) == ["a figure needs words: set layout.meta.alt or a title"]
    assert not list(site.faults({"data": [], "layout": {"title": {"text": "rate"}}}))
    assert not list(site.faults({"data": [], "layout": {"meta": {"alt": "rate"}}}))


def test_a_cube_with_a_missing_frame_is_a_fault():
    cube = {"figure": {"layout": {}}, "axes": [{"name": "n", "values": [1, 2]}], "frames": [{}], "alt": "cube"}
    assert list(site.faults(cube)) == ["a cube needs one frame per point of its grid: 2 points, 1 frames"]


@pytest.mark.parametrize(
    ("label", "words"),
    [
        ("a<br><sup>b</sup>", "a b"),
        (r"$\|X w\| \le 1$", r"\|X w\| le 1"),
        (r"noise $\sigma$", "noise sigma"),
        (None, ""),
    ],
)
def test_labels_become_plain_words(label, words):
    assert site.plain(label) == words


def test_descriptions_name_axes_series_and_controls():
    figure = {"layout": {"xaxis": {"title": {"text": "n"}}, "yaxis": {"title": "rate"}}, "data": [{"name": "ours"}]}
    cube = {"figure": figure, "axes": [{"name": "d", "label": "dimension d", "values": [1]}], "frames": [{}]}
    assert site.description(cube) == "Axes: n; rate. Series: ours. Controls below: dimension d."


def test_figures_cannot_end_the_script_that_holds_them():
    node = site.figure_node({"data": [], "layout": {"title": "</script>"}}, "f")
    assert "<" not in node["payload"]


def test_the_api_page_finds_every_module():
    names = [name for package in site.PACKAGES for name in site.public_modules(package)]
    assert {"neurec_core", "neurec_papers.convex_recovery", "smallnets.convex.programs"} <= set(names)
    assert "neurec_core.__main__" not in names


def test_the_book_counts_undecided_trials_as_the_tables_do():
    (said,) = re.findall(r"These are (\d+) of ([\d,]+) published trials", (ROOT / "book/solver.md").read_text("utf-8"))
    statuses = pd.concat([tables.load(tables.published(e))["status"] for e in (SKIP_RECOVERY, NORMALIZED_RECOVERY)])
    assert [int(number.replace(",", "")) for number in said] == [(statuses == Status.UNDECIDED).sum(), len(statuses)]


def test_the_list_of_statuses_is_complete():
    text = (ROOT / "book/conventions.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([^|]+) \| (count|none)[^|]*\|$", text, re.MULTILINE)
    assert dict(rows) == {status.value: "count" if status.usable else "none" for status in Status}
    assert len(rows) == len(Status)


def test_outputs_are_kept_until_something_that_is_watched_changes(tmp_path, monkeypatch):
    for folder in ("neurec_core", "smallnets/convex", "neurec_papers/a/tables", "book"):
        (tmp_path / folder).mkdir(parents=True)
    monkeypatch.setattr(stamp, "ROOT", tmp_path)
    outputs = tmp_path / "_build/.jupyter_cache/outputs"

    def kept():
        outputs.mkdir(parents=True, exist_ok=True)
        stamp.main(str(tmp_path / "_build"))
        return outputs.exists()

    assert not kept(), "nobody knows what they are of"
    assert kept()
    for name in ("neurec_core/a.py", "smallnets/convex/b.py", "neurec_papers/a/tables/t.parquet", "constraints.txt"):
        (tmp_path / name).write_text("changed")  # whether or not the build that comes next succeeds
        assert not kept(), name
        assert kept(), name
    (tmp_path / "README.md").write_text("changed")
    assert kept()


def test_notebooks_are_executed_once_and_found_by_sphinx(tmp_path, capsys, monkeypatch):
    for name, word in (("good", "len('abc')"), ("bad", "1 / 0"), ("other", "len('ab')")):
        nb = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(f"open('{name}.log', 'a').write('x')\n{word}")])
        nb.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
        nbformat.write(nb, tmp_path / f"{name}.ipynb")
    paths, folder = sorted(tmp_path.glob("*.ipynb")), tmp_path / "build/.jupyter_cache"
    assert execute.run(paths, get_cache(folder)) == 1
    said = capsys.readouterr()
    assert {line.partition(" in ")[0] for line in said.out.splitlines()} == {
        f"{name}.ipynb: executed" for name in ("good", "other")
    }
    assert "bad.ipynb: a cell raises" in said.err
    assert "ZeroDivisionError" in said.err, "its traceback"
    assert execute.run(paths, get_cache(folder)) == 1, "what raised is not kept"
    assert [len((tmp_path / f"{name}.log").read_text()) for name in ("bad", "good", "other")] == [2, 1, 1]
    monkeypatch.setattr("myst_nb.core.execute.cache.single_nb_execution", pytest.fail)
    config = NbParserConfig(execution_mode="cache", execution_cache_path=str(folder))
    for path, shown in ((tmp_path / "good.ipynb", "3"), (tmp_path / "other.ipynb", "2")):
        with create_client(execute.read(path), str(path), config, site.logger) as client:
            assert client.exec_metadata["succeeded"]
            assert client.notebook.cells[0].outputs[0]["data"]["text/plain"] == shown


def test_the_page_on_the_architecture_draws_the_imports():
    assert architecture.arrows() == {("neurec_papers", "neurec_core"), ("neurec_papers", "smallnets")}
    for package in ("smallnets", "neurec_core"):
        table = architecture.order(package)
        assert len(table) > 20
        assert table["what it is"].str.len().gt(10).all()
        for place, needs in enumerate(table["imports of the package"]):
            assert set(filter(None, needs.split(", "))) <= set(table.index[:place])
    words = architecture.figure().layout.meta["alt"]
    assert words == "Three packages: neurec_papers imports neurec_core; neurec_papers imports smallnets"
