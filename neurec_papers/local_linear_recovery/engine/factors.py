"""Gradient descent for models that are linear but for products of two parameters, many problems at once; compiled.

    f(x) = sum_k c_k phi_k(x),   c_k = sum over the pairs (l, r) of k of theta_l theta_r

The coefficients c are all that a model knows: a matrix c = A B of which entries are observed, or a linear function
one of whose coefficients is a product. The number 1 stands behind the parameters and is never trained, so that a
parameter alone is a pair, too, and linear models are models like the others. Every problem is solved by itself.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from smallnets.arguments import array, checked, choice, number, parts, sizes_of, whole
from smallnets.descent.compiled import njit

Arrays = tuple[np.ndarray, ...]
LOSSES = {"mean": lambda n: 1 / n, "sum": lambda n: 1.0}


class FactoredModel(NamedTuple):
    """Pairs of parameters, ``left``, ``right`` and the coefficient ``owner (T,)``; M parameters, p coefficients.

    ``right`` is M where a parameter stands alone.
    """

    left: np.ndarray
    right: np.ndarray
    owner: np.ndarray
    size: int
    p: int


class Descent(NamedTuple):
    """Step size, factor of the squares in the loss, the loss below which descent ends, and at most so many steps."""

    rate: float
    scale: float
    tolerance: float
    steps: int


class FactorFit(NamedTuple):
    """Where gradient descent ended: ``theta (B, M)``; (B,) each: steps made, the loss there, whether it diverged."""

    theta: np.ndarray
    steps: np.ndarray
    loss: np.ndarray
    diverged: np.ndarray


# ------------------------------------------------------------------------------------------------------ models


@checked(p=whole("coefficients", "[1, inf)"))
def linear(p: int) -> FactoredModel:
    """Every coefficient is a parameter."""
    each = np.arange(p)
    return FactoredModel(each, np.full(p, p), each, p, p)


@checked(d=whole("rows and columns", "[1, inf)"))
def matrix(d: int) -> FactoredModel:
    """A d x d matrix A B, row by row; theta holds A, then B, row by row."""
    k, i, j = np.indices((d, d, d)).reshape(3, -1)
    return FactoredModel(i * d + k, d * d + k * d + j, i * d + j, 2 * d * d, d * d)


@checked(p=whole("coefficients", "[1, inf)"))
def last_factored(p: int) -> FactoredModel:
    """Every coefficient is a parameter but the last, which is the product of two: p + 1 parameters."""
    each = np.arange(p)
    return FactoredModel(each, np.append(np.full(p - 1, p + 1), p), each, p + 1, p)


@checked(model=sizes_of(M="size"), theta=array("parameters", "B M", finite=False))
def coefficients(model: FactoredModel, theta: np.ndarray) -> np.ndarray:
    """Coefficients ``(B, p)`` of parameters ``theta (B, M)``."""
    c = np.zeros((model.p, len(theta)))
    padded = _padded(theta)
    np.add.at(c, model.owner, (padded[:, model.left] * padded[:, model.right]).T)
    return c.T


@checked(model=sizes_of(M="size"), theta=array("parameters", "B M", finite=False))
def jacobian(model: FactoredModel, theta: np.ndarray) -> np.ndarray:
    """Derivatives of the coefficients with respect to the parameters, ``(B, p, M)``."""
    padded = _padded(theta)
    J = np.zeros((model.p, model.size + 1, len(theta)))
    np.add.at(J, (model.owner, model.left), padded[:, model.right].T)
    np.add.at(J, (model.owner, model.right), padded[:, model.left].T)
    return np.moveaxis(J[:, :-1], 2, 0)


def _padded(theta: np.ndarray) -> np.ndarray:
    return np.column_stack([theta, np.ones(len(theta))])


# ---------------------------------------------------------------------------------------------------- training


@checked(
    model=sizes_of(M="size", p="p"),
    start=array("parameters at the start", "B M"),
    samples=parts(array("what samples see", "B n p"), array("labels", "B n")),
    rate=number("step size", "(0, inf)"),
    tolerance=number("of the loss", "[0, inf)"),
    steps=whole("at most so many"),
    loss=choice("loss", tuple(LOSSES)),
)
def descend(
    model: FactoredModel,
    start: np.ndarray,
    samples: tuple[np.ndarray, np.ndarray],
    *,
    rate: float,
    tolerance: float,
    steps: int,
    loss: str = "mean",
) -> FactorFit:
    """Full-batch gradient descent until the loss is below the tolerance, which is checked before every step.

    theta <- theta - rate dL/dtheta,  L = mean_j or sum_j (<Phi_j, c(theta)> - y_j)^2.

    Parameters
    ----------
    model : how coefficients come from parameters
    start : (B, M) array, parameters at the start
    samples : Phi, what each sample sees of the coefficients, and labels y, (B, n, p) and (B, n) arrays
    rate : step size, > 0
    tolerance : of the loss, >= 0
    steps : at most so many, >= 0
    loss : "mean" or "sum" of the squares

    Returns
    -------
    FactorFit; a problem ends as diverged where its loss stops being finite

    Raises
    ------
    InvalidInput : "samples[1] (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", or a name that is not
        known

    **Source**: zhang2023optimistic, Figures 1 to 3.
    """
    theta, made, losses = _padded(start), np.zeros(len(start), np.int64), np.empty(len(start))
    how = Descent(float(rate), LOSSES[loss](samples[1].shape[1]), float(tolerance), steps)
    _descend((model.left, model.right, model.owner), theta, samples, how, (made, losses))
    return FactorFit(theta[:, :-1].copy(), made, losses, ~np.isfinite(losses))


@njit()
def _descend(pairs: Arrays, theta: np.ndarray, samples: Arrays, how: Descent, ends: Arrays) -> None:
    """Fill in the parameters, with the 1 behind them, and the ends: the steps made and the losses."""
    (left, right, owner), (Phi, y), (made, losses) = pairs, samples, ends
    rate, scale, tolerance, steps = how
    n, p = Phi.shape[1:]
    M = theta.shape[1] - 1
    c, pull, gradient = np.empty(p), np.empty(p), np.empty(M + 1)
    for b in range(len(theta)):
        net = theta[b]
        while True:
            c[:] = 0.0
            for t in range(len(left)):
                c[owner[t]] += net[left[t]] * net[right[t]]
            pull[:] = 0.0
            total = 0.0
            for j in range(n):
                e = -y[b, j]
                for k in range(p):
                    e += Phi[b, j, k] * c[k]
                total += e * e
                for k in range(p):
                    pull[k] += e * Phi[b, j, k]
            losses[b] = scale * total
            # Written so that a loss that is not a number ends it, too.
            if not (losses[b] >= tolerance and losses[b] < np.inf) or made[b] == steps:
                break
            gradient[:] = 0.0
            for t in range(len(left)):
                g = pull[owner[t]]
                gradient[left[t]] += g * net[right[t]]
                gradient[right[t]] += g * net[left[t]]
            for i in range(M):
                net[i] -= 2 * rate * scale * gradient[i]
            made[b] += 1
