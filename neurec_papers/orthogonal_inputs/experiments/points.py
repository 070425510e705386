"""Training points: a toy on a line, orthogonal ones in any dimension, and normal ones, which are nearly orthogonal."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws

from ..published import TEACHER

# Points (x, 1): the second input makes a bias. The toy's two are orthogonal, since -0.5 * 2 + 1 = 0.
TOY = np.array([[-0.5, 1.0], [2.0, 1.0]]), np.array([-1.0, 1.0])
TOY_NON_ORTHOGONAL = (
    np.array([[-1.5, 1.0], [-1.0, 1.0], [0.0, 1.0], [0.25, 1.0], [2.0, 1.0]]),
    np.array([0.7, -0.3, -0.3, 0.4, 0.2]),
)


def repeated(points: tuple[np.ndarray, np.ndarray], trials: int) -> tuple[np.ndarray, np.ndarray]:
    """The same points for every trial, (B, n, d) and (B, n)."""
    X, y = points
    return np.tile(X, (trials, 1, 1)), np.tile(y, (trials, 1))


def orthogonal(draws: Draws, n: int, d: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    """Orthogonal inputs along the first n <= d axes, and labels that are not zero.

    Norms are uniform on [1 - spread, 1 + spread]. Labels have the signs +, -, +, ... and sizes uniform on [0.5, 1.5].
    A start prefers no direction, so a rotation would change nothing; but inner products of rotated inputs are zero to
    1e-17 only, and at scales below that, neurons become active on points on which they should not be.
    """
    X = np.eye(n, d) * (1 + spread * (2 * draws.uniform("norms", n) - 1))[:, :, None]
    return X, (0.5 + draws.uniform("labels", n)) * np.where(np.arange(n) % 2, -1, 1)


def line(draws: Draws, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (x, 1) of a line, (B, n, 2), x uniform on [-2, 2], with labels uniform on [-1, 1]."""
    x = 4 * draws.uniform("x", n) - 2
    return np.stack([x, np.ones_like(x)], axis=2), 2 * draws.uniform("labels", n) - 1


def high_dimension(draws: Draws, n: int, d: int) -> tuple[np.ndarray, np.ndarray]:
    """Standard normal inputs, labelled by six neurons of weights N(0, 1/(6 d)) and output weights N(0, 1/6)."""
    X = draws.normal("X", n, d)
    W, a = draws.normal("teacher", TEACHER, d) / (TEACHER * d) ** 0.5, draws.normal("outer teacher", TEACHER)
    y = np.stack([np.maximum(x @ w.T, 0) @ b for x, w, b in zip(X, W, a / TEACHER**0.5, strict=True)])
    return X, y
