"""Points and labels as all experiments here draw them, and what can be enumerated or searched."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_core.params import Params, param
from neurec_core.trials import Draw
from smallnets.geometry import arrangements

from ..engine import search
from ..theory import signed_sets, written

CITATION = (
    "Matena and Raffel, A combinatorial perspective on the optimization of shallow ReLU networks (arXiv 2210.00176)"
)
Inputs = Literal["normal", "with_bias"]
INPUTS = param("normal", "points: normal in all inputs, or with a 1 as the last", symbol="X")


class GeneralPosition(Params):
    """Points in general position, and the width of a network that is to fit labels there."""

    n: int = param(10, "training points", ge=2, le=100_000, slider=(4, 14, 1))
    d: int = param(3, "inputs, the constant 1 of the bias included", ge=2, le=1000, slider=(2, 4, 1))
    m: int = param(2, "hidden neurons", ge=1, le=100_000, slider=(1, 3, 1))
    inputs: Inputs = INPUTS

    @model_validator(mode="after")
    def _general(self) -> Self:
        enough(self.n, self.d)
        return self


def enough(n: int, d: int) -> None:
    """Refuse points that cannot span the inputs: "n (training points) must be at least d = 3, got 2"."""
    if n < d:
        raise ValueError(f"n (training points) must be at least d = {d}, got {n}")


def enumerable(n: int, d: int) -> int:
    """How many cells n points in d dimensions have; refused as `enough` does, and where they cannot be enumerated.

    Raises
    ------
    ValueError : "n and d (points, inputs) must leave at most 50000000 signs to try, got 1e+09 for n = 200, d = 4"
    """
    enough(n, d)
    if (tried := arrangements.tried(n, d)) > arrangements.MOST_SIGNS:
        most, received = arrangements.MOST_SIGNS, f"{tried:.0e} for n = {n}, d = {d}"
        raise ValueError(f"n and d (points, inputs) must leave at most {most} signs to try, got {received}")
    return arrangements.count(n, d)


def searchable(n: int, d: int, m: int) -> None:
    """Refuse data of which the best vertex of all cannot be searched for, and as `enumerable` does.

    Raises
    ------
    ValueError : "m (hidden neurons) must leave at most 20000000 sets of signed cells to search, got 4e+07 for m = ..."
    """
    if (sets := signed_sets(enumerable(n, d), m)) > search.MOST:
        most, received = search.MOST, f"{written(sets)} for m = {m}, n = {n} and d = {d}"
        raise ValueError(f"m (hidden neurons) must leave at most {most} sets of signed cells to search, got {received}")


def points(draws: Draws | Draw, n: int, d: int, inputs: str) -> np.ndarray:
    """Normal points (n, d), or (n, d - 1) with a 1 behind; (B, n, d) from the draws of many trials."""
    if inputs == "normal":
        return draws.normal("X", n, d)
    X = draws.normal("X", n, d - 1)
    return np.concatenate([X, np.ones((*X.shape[:-1], 1))], axis=-1)


def labels(draws: Draws | Draw, n: int) -> np.ndarray:
    """Normal labels (n,) with mean square 1, which is then the loss of a network that says 0; (B, n) as above."""
    y = draws.normal("y", n)
    return y / np.sqrt(np.mean(y**2, axis=-1, keepdims=True))


def sample(params: GeneralPosition, draw: Draw) -> Problem:
    """Points and random labels."""
    return Problem(points(draw, params.n, params.d, params.inputs), labels(draw, params.n))


def signs(draws: Draws | Draw, which: str, *shape: int) -> np.ndarray:
    """Signs of output weights (*shape): 1, -1, 1, ... along the last axis, or by chance; (B, *shape) as above."""
    chance = np.where(draws.uniform("sign", *shape) < 0.5, -1, 1)
    return (
        np.broadcast_to(np.where(np.arange(shape[-1]) % 2, -1, 1), chance.shape) if which == "alternating" else chance
    )
