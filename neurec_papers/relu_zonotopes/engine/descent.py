"""A network that is trained, and the convex optimum at the vertex where it is."""

from __future__ import annotations

from typing import Any

import numpy as np

from smallnets.arguments import array, checked
from smallnets.convex import cell
from smallnets.geometry import zonotopes

from .landscape import Vertex, union


def trained(
    X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, *, step: float, steps: int, log: Any = ()
) -> tuple[Any, float]:
    """Gradient descent of both layers, and the least loss at the vertex where it ended; NaN if it diverged."""
    from smallnets.descent.relu import descend

    run = descend(X, y, W, a, step=step, steps=steps, log=log)
    finite = np.isfinite(run.loss) and np.isfinite(run.W).all()
    return run, own_vertex(X, y, run.W, run.a).loss if finite else np.nan


@checked(
    X=array("points", "n d"),
    y=array("labels", "n"),
    W=array("hidden weights", "m d"),
    a=array("output weights", "m"),
)
def own_vertex(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> Vertex:
    """The convex optimum in the cells that the neurons of a network lie in.

    Parameters
    ----------
    X, y : (n, d) and (n,) arrays, n >= d
    W, a : (m, d) and (m,) weights; a neuron's size does not matter, nor that of its output weight

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
