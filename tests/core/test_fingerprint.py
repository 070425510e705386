"""The fingerprint of an experiment's code: what changes it, what does not, and on which Python."""

from __future__ import annotations

import ast
import hashlib
import os
import shutil
import subprocess
import sys
import types
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from toys import TOY, solve

from neurec_core import fingerprint as module
from neurec_core import papers
from neurec_core.fingerprint import canonical, closure, fingerprint

CORE = Path(module.__file__).parent


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ('def f():\n    """One."""\n    return 1  # a\n', "def f():\n\n  return 1\n", True),
        ('"""Words."""\nx = 1\n', "x = 1\n", True),
        ("x = ('σ')", "x = u'\\u03c3'", True),
        ("f'{x}' 'a' f'{y:}'", "f'{x}a{y}'", True),
        ('x = """Words."""\n', 'x = """Other."""\n', False),
        ("def f():\n    return 1\n", "def f():\n    return 2\n", False),
        ("if a:\n    b\nc\n", "if a:\n    b\n    c\n", False),
        ("x = 1", "x = 1.0", False),
        ("x = 1", "x = True", False),
        ("x = '1'", "x = 1", False),
        ("x = None", "x = ...", False),
        ("return_ = a, b", "return_ = [a, b]", False),
        ("f'{x!r}'", "f'{x!s}'", False),
        ("f'{x:3}'", "f'{x:4}'", False),
        ("f(a, *b)", "f(a, b)", False),
        ("def f(a, /, b): a", "def f(a, b): a", False),
        ("def f(*, a=None): a", "def f(*, a): a", False),
        ("async def f(): a", "def f(): a", False),
    ],
)
def test_it_sees_code_and_not_words(one, other, same):
    assert (canonical(one) == canonical(other)) == same


def test_fields_that_another_version_of_python_has_or_lacks_do_not_count():
    """Trees of the same program as 3.11, 3.12 and later versions build them."""
    tree = ast.parse("def f(a): return f'{a}b'")
    text = module._text(tree)
    function = tree.body[0]
    function.type_params = []  # 3.12
    function._fields = (*ast.FunctionDef._fields, "type_params", "something_newer")
    function.something_newer = None
    assert module._text(tree) == text
    joined = function.body[0].value
    joined.values[1:] = [ast.Constant("b", kind="u"), ast.Constant("")]  # pieces of text cut in another way
    assert module._text(tree) == text
    del function.type_comment
    assert module._text(tree) == text


def pythons() -> list[str]:
    """The interpreters on this machine that neurec may run under."""
    environment = dict(os.environ)
    if manager := shutil.which("pyenv"):
        listed = subprocess.run([manager, "versions", "--bare"], capture_output=True, encoding="utf-8", check=True)
        environment["PYENV_VERSION"] = ":".join(listed.stdout.split())
    found = []
    for minor in range(11, 20):
        if path := shutil.which(f"python3.{minor}"):
            asked = subprocess.run(
                [path, "-c", "import sys; print(sys.executable)"],
                env=environment, capture_output=True, encoding="utf-8", check=False,
            )  # fmt: skip
            found += asked.stdout.split() if asked.returncode == 0 else []
    return found


HASH = """
import hashlib, pathlib, runpy, sys
canonical = runpy.run_path(sys.argv[1])["canonical"]
whole = hashlib.sha256()
for path in sorted(pathlib.Path(sys.argv[1]).parent.rglob("*.py")):
    whole.update(canonical(path.read_bytes()).encode())
print(whole.hexdigest())
"""


def hash_of_all() -> str:
    whole = hashlib.sha256()
    for path in sorted(CORE.rglob("*.py")):
        whole.update(canonical(path.read_bytes()).encode())
    return whole.hexdigest()


def test_every_python_and_locale_here_reads_all_modules_alike():
    outputs = set()
    for python in pythons():
        locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "PYTHONPATH": ""}
        words = [python, "-c", HASH, str(CORE / "fingerprint.py")]
        done = subprocess.run(words, env={**os.environ, **locale}, capture_output=True, check=True)
        outputs.add(done.stdout)
    outputs.add(f"{hash_of_all()}\n".encode())
    assert len(outputs) == 1


def test_it_covers_what_computes_a_row_and_nothing_else():
    recovery = papers.experiment("convex_recovery.skip_recovery")
    modules = closure([recovery.solve.__module__]).keys()
    frame = {f"neurec_core.{name}" for name in ("params", "draws", "experiment")}
    assert frame | {"smallnets.convex._newton", "smallnets.geometry.patterns"} <= modules
    around = {f"neurec_core.{name}" for name in ("look", "plots", "explore", "sweep", "store", "papers")}
    assert not modules & {"neurec_core", "smallnets", "neurec_papers", *around}
    assert not any(name.endswith((".explorer", ".view")) or ".descent" in name for name in modules)


@pytest.mark.parametrize("experiment", papers.experiments().values(), ids=lambda experiment: experiment.name)
def test_every_experiment_finds_its_own_modules(experiment):
    own = {getattr(experiment, part).__module__ for part in ("params", "sample", "solve", "score")}
    found = closure(own)
    assert own <= found.keys()
    assert "neurec_core.draws" in found


def test_a_change_anywhere_behind_an_experiment_changes_it(tmp_path, monkeypatch):
    """A paper in somebody else's package: its own modules count, at the top or imported on the way."""
    home = tmp_path / "elsewhere"
    (home / "deep").mkdir(parents=True)
    sources = {
        "__init__.py": "COLOUR = 1\n",
        "study.py": "from . import helper\n\ndef solve():\n    from .deep.far import away\n    return away, helper\n",
        "helper.py": "import elsewhere.other\n",
        "other.py": "x = 1\n",
        "figure.py": "from . import study\n",
        "deep/__init__.py": "",
        "deep/far.py": "away = 1\n",
    }
    for name, text in sources.items():
        (home / name).write_text(text, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    from elsewhere import study

    def said() -> str:
        module._of_modules.cache_clear()
        module._tree.cache_clear()
        return fingerprint(replace(TOY, solve=study.solve))

    first = said()
    assert len(first) == 12
    changes = dict.fromkeys(sources, False) | dict.fromkeys(["study.py", "helper.py", "other.py", "deep/far.py"], True)
    for name, counts in changes.items():
        (home / name).write_text(sources[name] + "more = 2\n", encoding="utf-8")
        assert (said() != first) == counts, name
        (home / name).write_text(sources[name] + "'''More.'''  # and more\n", encoding="utf-8")
        assert said() == first, name
        (home / name).write_text(sources[name], encoding="utf-8")


def test_packages_without_an_init_file_count_too(tmp_path, monkeypatch):
    home = tmp_path / "spread"
    home.mkdir()
    (home / "study.py").write_text("from . import helper\n\ndef solve():\n    return 1\n", encoding="utf-8")
    (home / "helper.py").write_text("x = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    from spread import study

    assert {"spread.study", "spread.helper"} <= closure(["spread.study"]).keys()
    first = fingerprint(replace(TOY, solve=study.solve))
    assert first not in (module.UNKNOWN, fingerprint(TOY))
    (home / "helper.py").write_text("x = 2\n", encoding="utf-8")
    module._of_modules.cache_clear()
    module._tree.cache_clear()
    assert fingerprint(replace(TOY, solve=study.solve)) != first


@pytest.mark.parametrize("name", ["__main__", "made_on_the_way", "no_such_module", "math"])
def test_code_that_stands_in_no_file_has_no_fingerprint(name, monkeypatch):
    if name == "made_on_the_way":
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))

    def solve(params, problem, draws):
        return 1

    solve.__module__ = name
    assert fingerprint(replace(TOY, solve=solve)) == module.UNKNOWN


def test_a_function_with_some_arguments_filled_in_is_looked_through():
    assert fingerprint(replace(TOY, solve=partial(solve))) == fingerprint(TOY)
