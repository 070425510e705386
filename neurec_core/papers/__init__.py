"""One module (or small package) per paper, found by listing this folder."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from ..experiment import Experiment
from ..params import BadInput, unknown


def names() -> list[str]:
    """The papers' names: the modules of this package."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def paper(name: str) -> ModuleType:
    """A paper's module.

    Raises
    ------
    BadInput : "unknown paper 'convex': did you mean convex_recovery? (one of ...)"
    """
    stem = name.replace("-", "_")
    if stem not in names():
        raise BadInput(unknown("paper", name, names()))
    return importlib.import_module(f"{__name__}.{stem}")


def experiments() -> dict[str, Experiment]:
    """Every experiment found, by its full name."""
    return {e.name: e for name in names() for e in paper(name).EXPERIMENTS}


def experiment(name: str) -> Experiment:
    """The experiment called ``paper.experiment`` (dashes or underscores alike).

    Raises
    ------
    BadInput : "unknown experiment 'convex_recovery.skip': did you mean ...? (one of ...)", or a paper's name alone
    """
    found = experiments()
    stem = name.replace("-", "_")
    if stem in names():
        own = ", ".join(e.name for e in paper(stem).EXPERIMENTS)
        raise BadInput(f"{stem} is a paper: name one of its experiments, {own}")
    if stem not in found:
        raise BadInput(unknown("experiment", name, found))
    return found[stem]
