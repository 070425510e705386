"""Papers: the modules of the packages that the entry-point group ``neurec.papers`` names.

A package of papers says so in its own metadata, wherever it is installed from::

    [project.entry-points."neurec.papers"]
    my_papers = "my_papers"

Each of its modules and packages whose name has no leading underscore is then a paper, whose ``EXPERIMENTS`` are listed,
run, swept and explored like all others. A paper that is added to an installed package needs no further word.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import pkgutil
from functools import cache
from pathlib import Path
from types import ModuleType

from .experiment import Experiment
from .params import BadInput, unknown

GROUP = "neurec.papers"


@cache
def _found() -> dict[str, str]:
    """The module of every paper, by the paper's name."""
    found: dict[str, str] = {}
    for package in sorted({entry.value for entry in importlib.metadata.entry_points(group=GROUP)}):
        try:
            spec = importlib.util.find_spec(package)
        except ModuleNotFoundError:  # of a package inside one that is not there
            spec = None
        if spec is None or spec.submodule_search_locations is None:
            raise BadInput(f"{package} (named as a package of papers by an installed distribution) is no package here")
        for module in pkgutil.iter_modules(spec.submodule_search_locations):
            if module.name.startswith("_"):  # a helper of several
                continue
            path = f"{package}.{module.name}"
            if found.setdefault(module.name, path) != path:
                raise BadInput(f"paper {module.name} is in two packages, {found[module.name]} and {path}: rename one")
    return found


def names() -> list[str]:
    """The papers' names, in alphabetical order."""
    return sorted(_found())


def paper(name: str) -> ModuleType:
    """A paper's module.

    Raises
    ------
    BadInput : "unknown paper 'convex': did you mean convex_recovery? (one of ...)"
    """
    stem = name.replace("-", "_")
    if stem not in _found():
        raise BadInput(unknown("paper", name, names()))
    module = importlib.import_module(_found()[stem])
    if not hasattr(module, "EXPERIMENTS"):
        raise BadInput(
            f"{module.__name__} is no paper, for it has no EXPERIMENTS; a helper's name begins with an underscore"
        )
    return module


def home(name: str) -> Path:
    """The folder of the package of papers that a paper stands in."""
    module = paper(name)
    own = Path(str(module.__file__)).parent
    return own.parent if hasattr(module, "__path__") else own


def experiments() -> dict[str, Experiment]:
    """Every experiment found, by its full name."""
    return {e.name: e for name in names() for e in paper(name).EXPERIMENTS}


def experiment(name: str) -> Experiment:
    """The experiment called ``paper.experiment`` (dashes or underscores alike).

    Raises
    ------
    BadInput : "unknown experiment 'convex_recovery.skip': did you mean ...? (one of ...)", or a paper's name alone
    """
    stem = name.replace("-", "_")
    prefix = stem.partition(".")[0]
    own = {e.name: e for e in paper(prefix).EXPERIMENTS} if prefix in names() else {}  # others need not be imported
    if stem in own:
        return own[stem]
    if stem == prefix and own:
        raise BadInput(f"{stem} is a paper: name one of its experiments, {', '.join(own)}")
    raise BadInput(unknown("experiment", name, experiments()))
