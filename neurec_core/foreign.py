"""Files of a published program that an experiment reads and writes: its configuration and its results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .params import BadInput, received, unknown

if TYPE_CHECKING:
    import pandas as pd


class Configuration(NamedTuple):
    """What a published configuration sets: parameters, axes of a grid (none for one point), the seed of every draw."""

    fixed: Mapping[str, Any]
    axes: Mapping[str, Sequence[Any]]
    seed: int


class FileFormat(NamedTuple):
    """How a published program writes its configuration and its results.

    Parameters
    ----------
    asked : what a configuration asks for; its keys are paths such as ``training.lr``
    keys : the paths that there are
    results : rows of a sweep as what `json` writes
    """

    asked: Callable[[Mapping[str, Any]], Configuration]
    keys: Iterable[str]
    results: Callable[[pd.DataFrame], Any]


def read(path: Path, form: FileFormat) -> Configuration:
    """What a YAML file of the published form asks for.

    Raises
    ------
    BadInput : a file that cannot be read, a key that the form does not have, or a value that it does not allow
    """
    import yaml

    what = f"config (a file of the published form) {str(path)!r}"
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        values = dict(_flat(content)) if isinstance(content, Mapping) else {}
    except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
        reason = " ".join(str(getattr(error, "strerror", None) or error).split())
        raise BadInput(f"{what} cannot be read: {reason}") from None
    if not values:
        raise BadInput(f"{what} must hold keys and values, got {received(content)}")
    for key in values:
        if key not in form.keys:
            raise BadInput(f"{what} has an {unknown('key', key, form.keys)}")
    return form.asked(values)


def _flat(nested: Mapping[str, Any], path: str = "") -> Iterable[tuple[str, Any]]:
    for name, value in nested.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
