"""The last steps of a training done by Levenberg and Marquardt: from near a minimum to it, to rounding.

Gradient descent chooses the minimum; close to a degenerate one it needs forever to get there. What is added here nearly
always goes where gradient descent would still have gone.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from smallnets.arguments import array, checked, number, sizes_of, whole
from smallnets.nets.tanh_nets import Architecture, jacobian, outputs

WORST = 1e12  # damping, in units of the largest entry of the Gauss-Newton matrix, at which a trial is given up


class Polished(NamedTuple):
    """``theta (B, M)``, mean squared errors ``loss (B,)`` and the ``iterations (B,)`` that each trial took."""

    theta: np.ndarray
    loss: np.ndarray
    iterations: np.ndarray


@checked(
    net=sizes_of(M="size", d="d"),
    X=array("inputs", "B n d"),
    y=array("labels", "B n"),
    theta=array("weights to start from", "B M"),
    iterations=whole("at most"),
    tolerance=number("mean squared error to end below", "[0, inf)"),
)
def polish(
    net: Architecture,
    theta: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    *,
    iterations: int = 300,
    tolerance: float = 1e-20,
) -> Polished:
    """Minimise the mean squared error from ``theta (B, M)`` on, each trial by itself.

    A step solves (J^T J + mu I) delta = -J^T r; as (J J^T + mu I) where there are fewer points than parameters.

    Parameters
    ----------
    X, y : (B, n, d) and (B, n) arrays
    iterations : at most; a trial also ends below the tolerance, or when no damping gives a descent

    Raises
    ------
    InvalidInput : "theta (weights to start from) must be an array of shape (B, M) = (3, 21), got (3, 22)", or entries
        that are not finite

    **Source**: levenberg1944method, marquardt1963algorithm.
    """
    theta, B = theta.copy(), len(theta)
    r = outputs(net, theta, X) - y
    loss, taken = np.mean(r * r, axis=1), np.zeros(B, int)
    mu = np.full(B, 1e-3)
    for _ in range(iterations):
        on = np.flatnonzero((loss >= tolerance) & (mu < WORST))
        if not len(on):
            break
        taken[on] += 1
        trial = theta[on] - _step(jacobian(net, theta[on], X[on]), r[on], mu[on])
        there = outputs(net, trial, X[on]) - y[on]
        reached = np.mean(there * there, axis=1)
        better = reached < loss[on]  # never where it is not a number
        mu[on] = np.where(better, np.maximum(mu[on] / 5, 1e-15), mu[on] * 4)
        done = on[better]
        theta[done], r[done], loss[done] = trial[better], there[better], reached[better]
    return Polished(theta, loss, taken)


def _step(J: np.ndarray, r: np.ndarray, mu: np.ndarray) -> np.ndarray:
    n, M = J.shape[1:]
    few = n < M
    A = J @ J.swapaxes(1, 2) if few else J.swapaxes(1, 2) @ J
    diagonal = np.arange(len(A[0]))
    largest = A[:, diagonal, diagonal].max(axis=1)
    A[:, diagonal, diagonal] += (mu * np.where(largest > 0, largest, 1))[:, None]
    right = r[:, :, None] if few else J.swapaxes(1, 2) @ r[:, :, None]
    solved = np.linalg.solve(A, right)
    return (J.swapaxes(1, 2) @ solved if few else solved)[:, :, 0]
