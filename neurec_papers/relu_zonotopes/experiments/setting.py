"""Points and labels as all experiments here draw them, and a network's own vertex."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_core.params import Params, param
from smallnets.arguments import array, checked
from smallnets.convex import cell
from smallnets.geometry import arrangements, zonotopes

from ..engine import search
from ..engine.landscape import Vertex, union

CITATION = (
    "Matena and Raffel, A combinatorial perspective on the optimization of shallow ReLU networks (arXiv 2210.00176)"
)
Inputs = Literal["normal", "with_bias"]
INPUTS = param("normal", "points: normal in all inputs, or with a 1 as the last", symbol="X")


class Points(Params):
    """Points in general position and what a network of m units is to say there."""

    n: int = param(10, "training points", ge=2, le=100_000, slider=(4, 14, 1))
    d: int = param(3, "inputs, the constant 1 of the bias included", ge=2, le=1000, slider=(2, 4, 1))
    m: int = param(2, "hidden units", ge=1, le=100_000, slider=(1, 3, 1))
    inputs: Inputs = INPUTS

    @model_validator(mode="after")
    def _general(self) -> Self:
        enough(self.n, self.d)
        return self


def enough(n: int, d: int) -> None:
    """Whether points can span the inputs.

    Raises
    ------
    ValueError : "n (training points) must be at least d = 3, got 2"
    """
    if n < d:
        raise ValueError(f"n (training points) must be at least d = {d}, got {n}")


def enumerable(n: int, d: int) -> int:
    """How many cells n points in d dimensions have, if all can be enumerated.

    Raises
    ------
    ValueError : "n and d (points, inputs) must leave at most 50000000 signs to try, got 1e+09 for n = 200, d = 4", and
        as `enough` does
    """
    enough(n, d)
    if (tried := arrangements.tried(n, d)) > arrangements.MOST_SIGNS:
        most, received = arrangements.MOST_SIGNS, f"{tried:.0e} for n = {n}, d = {d}"
        raise ValueError(f"n and d (points, inputs) must leave at most {most} signs to try, got {received}")
    return arrangements.count(n, d)


def searchable(n: int, d: int, m: int) -> None:
    """Whether the best vertex of all can be searched for.

    Raises
    ------
    ValueError : "m (hidden units) must leave at most 20000000 sets of signed cells to search, got 4e+07 for m = 4, ..."
    """
    sets = search.signed_sets(enumerable(n, d), m)
    if sets > search.MOST:
        received = f"{search.written(sets)} for m = {m}, n = {n} and d = {d}"
        raise ValueError(
            f"m (hidden units) must leave at most {search.MOST} sets of signed cells to search, got {received}"
        )


def points(draws: Draws, n: int, d: int, inputs: str) -> np.ndarray:
    """Normal points (B, n, d), or (B, n, d - 1) with a 1 behind."""
    if inputs == "normal":
        return draws.normal("X", n, d)
    X = draws.normal("X", n, d - 1)
    return np.concatenate([X, np.ones((len(X), n, 1))], axis=2)


def labels(draws: Draws, n: int) -> np.ndarray:
    """Normal labels (B, n) with mean square 1, which is then the loss of a network that says 0."""
    y = draws.normal("y", n)
    return y / np.sqrt(np.mean(y**2, axis=1, keepdims=True))


def sample(params: Points, draws: Draws) -> Problem:
    """Points and random labels."""
    return Problem(points(draws, params.n, params.d, params.inputs), labels(draws, params.n))


def signs(draws: Draws, which: str, *shape: int) -> np.ndarray:
    """Signs of output weights (B, *shape): 1, -1, 1, ... along the last axis, or by chance."""
    if which == "alternating":
        return np.broadcast_to(np.where(np.arange(shape[-1]) % 2, -1, 1), (len(draws), *shape))
    return np.where(draws.uniform("sign", *shape) < 0.5, -1, 1)


def trained(
    X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, step: float, steps: int, log: Any = ()
) -> tuple[Any, float]:
    """Gradient descent of both layers, and the least loss at the vertex where it ended; NaN if it diverged.

    Parameters
    ----------
    X, y, W, a, step, steps, log : as `smallnets.descent.relu.descend` takes them
    """
    from smallnets.descent.relu import descend

    run = descend(X, y, W, a, step=step, steps=steps, log=log)
    fine = np.isfinite(run.loss) and np.isfinite(run.W).all()
    return run, own_vertex(X, y, run.W, run.a).loss if fine else np.nan


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d"),
    a=array("output weights", "m"),
)
def own_vertex(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> Vertex:
    """The convex optimum in the cells that the units of a network lie in.

    Parameters
    ----------
    X, y : (n, d) and (n,) arrays, n >= d
    W, a : (m, d) and (m,) weights; a unit's size does not matter, nor that of its output weight

    Raises
    ------
    InvalidInput : as `zonotopes.cone` does
    """
    on = X @ W.T > 0
    first = {D.tobytes(): w for D, w in zip(on.T, W, strict=True)}
    rays = {key: zonotopes.cone(X, w)[0] for key, w in first.items()}
    starts = dict(zip(rays, np.cumsum([0, *map(len, rays.values())]), strict=False))
    every = np.concatenate(list(rays.values()))
    owned = [starts[D.tobytes()] + np.arange(len(rays[D.tobytes()])) for D in on.T]
    plus, minus = (union([own for own, b in zip(owned, a, strict=True) if (b > 0) == side]) for side in (True, False))
    coefficients, residual = cell.combine(np.maximum(X @ every.T, 0), y, plus, minus)
    return Vertex(float(np.mean(residual**2)), cell.weights(coefficients, every, owned, np.sign(a)), residual)
