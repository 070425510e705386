"""What a trial was given and what it found, as NumPy files beside the rows of its sweep."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from .params import Params

FOLDER = "details"  # inside the folder of a sweep


def of_trial(given: Any, found: Any, trial: int) -> dict[str, np.ndarray]:
    """The arrays of one trial of a batch.

    Parameters
    ----------
    given : the `Problem`
    found : its `Solution`
    trial : index into their leading axis

    Returns
    -------
    Arrays without the trial axis: ``X``, ``y`` and ``weights`` where the problem has them, the planted net as
    ``teacher.<field>``, what was found as ``found.<field>``, and ``stats.<name>`` and ``trace.<name>``; parts of a
    tuple bear their number. Where trials of a batch differ in size, as in their patterns, smaller ones are filled up
    """
    parts = {**{name: getattr(given, name) for name in ("X", "y", "weights", "teacher")}, "found": found.value}
    named = {**parts, "stats": found.stats, "trace": found.trace}
    return {name: value for key, whole in named.items() for name, value in _arrays(key, whole, trial)}


def _arrays(name: str, whole: Any, trial: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that something holds, each with its path; `trial` is None where it is one trial's already."""
    if isinstance(whole, list) and trial is not None:  # one entry per trial
        yield from _arrays(name, whole[trial], None)
    elif parts := _parts(whole):
        for key, part in parts.items():
            yield from _arrays(f"{name}.{key}", part, trial)
    elif hasattr(whole, "__array__") or isinstance(whole, float | int):
        values = np.asarray(whole)
        if values.dtype != object:
            yield name, values if trial is None else values[trial]


def _parts(whole: Any) -> dict[str, Any]:
    """What something that is no array consists of."""
    if isinstance(whole, Mapping):
        return {str(key): part for key, part in whole.items()}
    if hasattr(whole, "_fields"):
        return dict(zip(whole._fields, whole, strict=True))
    if dataclasses.is_dataclass(whole):
        return {field.name: getattr(whole, field.name) for field in dataclasses.fields(whole)}
    return {str(i): part for i, part in enumerate(whole)} if isinstance(whole, tuple | list) else {}


def path(folder: Path, params: Params, seed: int, trial: int) -> Path:
    """The file of one trial of a sweep that is kept in `folder`."""
    values = {name: value + 0.0 if isinstance(value, float) else value for name, value in params}  # -0.0 is 0.0
    address = json.dumps([values, seed, trial], sort_keys=True)
    return folder / FOLDER / f"{hashlib.sha256(address.encode()).hexdigest()[:20]}.npz"


def is_whole(file: Path) -> bool:
    """Whether the file of a trial is there, and to its end."""
    return zipfile.is_zipfile(file)


def read(file: Path) -> dict[str, np.ndarray]:
    """The arrays of one trial, by name.

    Raises
    ------
    Damaged : cut short, or changed
    """
    try:
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        raise Damaged(file.name) from error


class Damaged(Exception):
    """A file that is not what was written."""
