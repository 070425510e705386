"""Ranks of tangent spaces: how many directions a model has at a point, and which of them some inputs determine.

The derivatives of a model's outputs by its parameters, one row per input, are its empirical tangent matrix. On many
inputs its rank is that of the model at that point; on n inputs it says what n samples determine.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, number

# Singular values up to this share of the largest count as zero. Analytic models leave a wide gap around it.
TOLERANCE = 1e-9
# Singular values of an exact 0 come out below this share.
ROUNDING = 1e-13
TOLERANCE_RANGE = number("share of the largest singular value", "(0, 1)")


class Rank(NamedTuple):
    """Ranks ``(B,)`` and, as shares of the largest singular value, the smallest kept and the largest dropped one.

    `kept` is NaN where the rank is 0, `dropped` 0 where it is full.
    """

    rank: np.ndarray
    kept: np.ndarray
    dropped: np.ndarray

    @property
    def decided(self) -> np.ndarray:
        """Whether ``(B,)`` all that was dropped is rounding; else the rank is a matter of the tolerance."""
        return self.dropped <= ROUNDING


@checked(tolerance=TOLERANCE_RANGE, J=array("derivatives", "B n M"))
def tangent_rank(J: np.ndarray, tolerance: float = TOLERANCE) -> Rank:
    """Numerical rank of tangent matrices, and the gap that decides it.

    Inputs in general position see min(n, rank) of an analytic model, so that more inputs than the rank give the rank
    of the model at that point, and a rank below n shows that they were enough.

    Parameters
    ----------
    J : (B, n, M) array, derivatives with respect to M parameters at n inputs
    tolerance : singular values up to this share of the largest are zero, in (0, 1)

    Raises
    ------
    InvalidInput : "tolerance (share of the largest singular value) must be a number in (0, 1), got 1.0", or J no such
        array

    **Source**: zhang2025local, model rank and empirical tangent matrix, and Corollary 4.
    """
    values = np.linalg.svd(J, compute_uv=False)
    nonzero = _nonzero(values, tolerance)
    share = np.divide(values, values[:, :1], out=np.zeros_like(values), where=values[:, :1] > 0)
    kept = np.where(nonzero, share, np.inf).min(axis=1)
    return Rank(nonzero.sum(axis=1), np.where(nonzero[:, 0], kept, np.nan), np.where(nonzero, 0, share).max(axis=1))


@checked(
    tolerance=TOLERANCE_RANGE,
    J_train=array("derivatives", "B n M"),
    J_test=array("derivatives", "B t M"),
    direction=array("directions", "B M"),
)
def leakage(J_train: np.ndarray, J_test: np.ndarray, direction: np.ndarray, tolerance: float = TOLERANCE) -> np.ndarray:
    """What training points leave open of a function in the tangent hyperplane, as a share of it.

    The parameters' direction v is split into a part that the training points see and a rest in the null space of
    their tangent matrix. The rest changes no training output; the leakage is what it does on the test points, mean
    square, over what v does. It is zero up to rounding for a random v exactly if the training points determine
    every function in the hyperplane, the target among them.

    Parameters
    ----------
    J_train : (B, n, M) array, derivatives at the training points
    J_test : (B, t, M) array, derivatives at test points
    direction : (B, M) array of random directions, of any length
    tolerance : as in `tangent_rank`

    Returns
    -------
    leakage : (B,) array in [0, inf); 0 where v does nothing on the test points. Of zero, rounding leaves
        about (1e-16 / `Rank.kept`)^2.

    Raises
    ------
    InvalidInput : as in `tangent_rank`

    **Source**: zhang2025local, Lemma 1 (the LLR condition); the split of a random direction is ours.
    """
    _, values, V = np.linalg.svd(J_train, full_matrices=False)
    seen = V * _nonzero(values, tolerance)[..., None]
    v = (direction / np.linalg.norm(direction, axis=1, keepdims=True))[..., None]
    rest = v
    for _ in range(2):  # once more takes away what rounding has left
        rest = rest - seen.transpose(0, 2, 1) @ (seen @ rest)
    left, whole = (np.mean((J_test @ part)[..., 0] ** 2, axis=1) for part in (rest, v))
    return np.divide(left, whole, out=np.zeros_like(left), where=whole > 0)


def _nonzero(values: np.ndarray, tolerance: float) -> np.ndarray:
    return values > tolerance * values[:, :1]
