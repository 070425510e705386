"""`neurec new` and `neurec check`: a study of one's own, in a checkout."""

from __future__ import annotations

import keyword
import re
import subprocess
import sys
from pathlib import Path

import click

from .. import papers
from ..fingerprint import fingerprint
from ..params import BadInput, received
from .inputs import RunFailed, say

EXAMPLE = "random_features"
COPIED = (".py",)  # works that the example cites stand in its own bibliography


@click.command()
@click.argument("stem")
@click.option("--like", default=EXAMPLE, show_default=True, metavar="PAPER", help="the study to start from")
def new(stem: str, like: str) -> None:
    """Write a study called STEM and its notebook, as copies of a small one; `neurec check STEM` says what is missing.

    STEM is the name of a Python module, such as lazy_training.
    """
    if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", stem) or keyword.iskeyword(stem):
        raise BadInput(f"STEM (name of the study) must be lower-case words joined by underscores, got {received(stem)}")
    source = _home(like)
    if stem in papers.names() or (source.parent / stem).exists():
        raise BadInput(f"STEM (name of the study) must be free, got {received(stem)}: there is such a paper")
    notebooks = source.parents[1] / "notebooks"
    written = {source.parent / stem / path.name: path for path in sorted(source.iterdir()) if path.suffix in COPIED}
    written |= {notebooks / f"{stem}{end}": notebooks / f"{like}{end}" for end in (".py", ".ipynb")}
    if there := [str(path) for path in written if path.exists()]:
        raise BadInput(f"STEM (name of the study) must be free, got {received(stem)}: {there[0]} exists")
    for path, original in written.items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(_renamed(original.read_text(encoding="utf-8"), like, stem), encoding="utf-8")
        click.echo(path)
    click.echo(f"change what they say, and then: neurec check {stem}")


def _renamed(text: str, old: str, new: str) -> str:
    """A text in which a study's name, as it is written in code, is another one."""
    for spell in (str.lower, str.upper, lambda name: name.title().replace("_", "")):
        text = text.replace(spell(old), spell(new))
    return text


def _home(name: str) -> Path:
    """The folder of a paper in a checkout, in which its notebook and the tests stand, too.

    Raises
    ------
    BadInput : an unknown paper, one that is a single module, or one that is installed elsewhere
    """
    module = papers.paper(name)
    name, home = name.replace("-", "_"), Path(str(module.__file__)).parent
    if home.name != name or not all((home.parents[1] / place).is_dir() for place in ("notebooks", "tests")):
        raise BadInput(f"{name} stands in no checkout of neurec: there are no notebooks and tests beside {home.parent}")
    return home


@click.command()
@click.argument("stem")
def check(stem: str) -> None:
    """Run what concerns the paper STEM: style, types, structure, contract, golden and published rows, its notebook.

    A published table and golden rows that are not there yet are computed first.
    """
    home = _home(stem)
    stem, root = home.name, home.parents[1]
    experiments = papers.paper(stem).EXPERIMENTS
    steps: list[list[str]] = []
    if not all((home / "tables" / f"{e.name.partition('.')[2]}.parquet").is_file() for e in experiments if e.published):
        steps.append(["-m", "neurec_core", "publish", stem, "--out", f"runs/{stem}-{fingerprint(experiments[0])}"])
    if lacking := [e.name for e in experiments if not (root / f"tests/golden/{e.name}.csv").is_file()]:
        steps.append(["tests/helpers/golden.py", *lacking])
    notebook = f"notebooks/{stem}"
    steps += [
        ["-m", "jupytext", "--quiet", "--sync", f"{notebook}.py"],
        ["-m", "ruff", "check", f"{home}", f"{notebook}.py"],
        ["-m", "ruff", "format", "--check", f"{home}", f"{notebook}.py"],
        ["-m", "mypy", f"{home}"],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests", "-k", f"{stem} or test_house"],
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env", f"{notebook}.ipynb"],
    ]
    for words in steps:
        say(f"python {' '.join(words)}")
        if subprocess.run([sys.executable, *words], cwd=root, check=False).returncode:
            again = f"remove {home}/tables and tests/golden/{stem}.*.csv and check again where rows are to change"
            raise RunFailed(f"{stem} does not pass, see above; {again}")
    click.echo(f"{stem} passes")
