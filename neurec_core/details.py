"""What a trial was given and what it found, as NumPy files beside the rows of its sweep."""

from __future__ import annotations

import hashlib
import json
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
    ``teacher.<field>``, what was found as ``found.<field>``, and ``stats.<name>`` and ``trace.<name>``. What has no
    arrays, such as an object of a paper's own, is left out
    """
    parts = {**{name: getattr(given, name) for name in ("X", "y", "weights", "teacher")}, "found": found.value}
    named = {**parts, "stats": found.stats, "trace": found.trace}
    return {name: value for key, whole in named.items() for name, value in _arrays(key, whole, trial)}


def _arrays(name: str, whole: Any, trial: int | None) -> Iterator[tuple[str, np.ndarray]]:
    """The arrays that something holds, each with its path; `trial` is None where it is one trial's already."""
    if isinstance(whole, Mapping):
        for key, part in whole.items():
            yield from _arrays(f"{name}.{key}", part, trial)
    elif hasattr(whole, "_fields"):
        yield from _arrays(name, dict(zip(whole._fields, whole, strict=True)), trial)
    elif isinstance(whole, list) and trial is not None:
        yield from _arrays(name, whole[trial], None)
    elif hasattr(whole, "__array__") or isinstance(whole, float | int):
        values = np.asarray(whole)
        yield name, values if trial is None else values[trial]


def path(folder: Path, params: Params, seed: int, trial: int) -> Path:
    """The file of one trial of a sweep that is kept in `folder`."""
    address = json.dumps([params.model_dump(), seed, trial], sort_keys=True)
    return folder / FOLDER / f"{hashlib.sha256(address.encode()).hexdigest()[:20]}.npz"


def read(file: Path) -> dict[str, np.ndarray]:
    """The arrays of one trial, by name."""
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)
