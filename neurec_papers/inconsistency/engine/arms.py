"""Point sets on rays from the origin, on which wide networks may stay affine, and the loss that this leaves them.

**Source**: holzmuller2022training, Figures 7 and 8 and its code. The random ones are those of the published program,
the same in every trial.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from .. import published
from .distributions import X_SIX, Y_SIX


class Arms(NamedTuple):
    """Points X (n, d), labels y (n,) and the arm (n,) of each point."""

    X: np.ndarray
    y: np.ndarray
    arm: np.ndarray


def _rays(directions: np.ndarray, radii: np.ndarray, labels: np.ndarray) -> Arms:
    X = directions[:, None, :] * radii[:, None]
    k, r = X.shape[:2]
    return Arms(X.reshape(-1, 2), np.broadcast_to(labels, (k, r)).ravel(), np.repeat(np.arange(k), r))


def star(params: Any) -> Arms:
    """Three points on each arm, at radii 1 - gap, 1, 1 + gap, labels 1, -2, 1."""
    angles = 2 * np.pi * np.arange(params.arms) / params.arms
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    return _rays(directions, 1 + params.gap * np.arange(-1, 2), np.array([1.0, -2.0, 1.0]))


def _crossed(axes: list[tuple[int, int]]) -> Arms:
    """The six points of Example 1 on each axis: labels 1, -2, 1 on one side and -1, 2, -1 on the other."""
    both = np.array([sign * np.array(axis) for axis in axes for sign in (1, -1)])
    labels = np.array([[1.0, -2.0, 1.0], [-1.0, 2.0, -1.0]] * len(axes))
    return _rays(both, np.arange(1.0, 4.0), labels)


def line(params: Any) -> Arms:
    """The six points of Example 1, with one input: two arms."""
    return Arms(X_SIX[:, None], Y_SIX, (X_SIX > 0).astype(int))


def random_with_line(params: Any) -> Arms:
    """The six points of Example 1 on an axis of the plane, and six normal points, each an arm by itself."""
    X, y = published.points_beside_a_line()
    return Arms(
        np.concatenate([X_SIX[:, None] * [[0.0, 1.0]], X]),
        np.concatenate([Y_SIX, y]),
        np.concatenate([X_SIX > 0, 2 + np.arange(len(y))]).astype(int),
    )


def multi_axis(params: Any) -> Arms:
    """Five points on each of d half-axes, their best lines moved to the origin."""
    x, y = published.points_on_axes(params.half_axes)
    d, n = x.shape
    return Arms((x[:, :, None] * np.eye(d)[:, None]).reshape(-1, d), y.ravel(), np.repeat(np.arange(d), n))


POINTS: dict[str, Any] = {
    "star": star,
    "cross": lambda _: _crossed([(0, 1), (1, 0)]),
    "double_cross": lambda _: _crossed([(0, 1), (1, 0), (1, 1), (1, -1)]),
    "line": line,
    "random_with_line": random_with_line,
    "multi_axis": multi_axis,
}


def affine_loss(arms: Arms, nu: np.ndarray) -> np.ndarray:
    """The least loss 1/2 sum nu_j (f_j - y_j)^2 of functions that are affine in the radius on every arm.

    Parameters
    ----------
    arms : points
    nu : (B, n) shares of the points

    Returns
    -------
    loss : (B,) array
    """
    radius, loss = np.linalg.norm(arms.X, axis=1), np.zeros(len(nu))
    for k in np.unique(arms.arm):
        on = arms.arm == k
        root = np.sqrt(nu[:, on])
        A = root[..., None] * np.stack([radius[on], np.ones(on.sum())], axis=1)
        Q = np.linalg.svd(A, full_matrices=False)[0]
        left = root * arms.y[on]
        left = left - np.einsum("bni,bki,bk->bn", Q, Q, left)
        # A point that was not drawn leaves an arm of two, which a line fits.
        loss += 0.5 * np.where((root > 0).sum(axis=1) > 2, (left**2).sum(axis=1), 0)
    return loss
