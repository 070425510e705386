"""Activation patterns: which hidden units are active on which data points.

A pattern is a column of 0s and 1s, ``1[X h >= 0]`` for some direction h. Trials have different numbers
of distinct patterns; arrays over patterns are padded with empty columns, which no sum or maximum sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, checked, pattern


class Patterns(NamedTuple):
    """Distinct patterns of each trial and, for each, a direction that makes it.

    D : (B, n, p) bool, padded with empty columns
    H : (B, d, p), padded with zeros; ``D[b, :, j] == (X[b] @ H[b, :, j] >= 0)`` for j < sizes[b]
    sizes : (B,) how many columns are patterns
    all_ones : (B,) whether some direction is active on every point
    """

    D: np.ndarray
    H: np.ndarray
    sizes: np.ndarray
    all_ones: np.ndarray

    @property
    def real(self) -> np.ndarray:
        """(B, p) bool: which columns are patterns rather than padding."""
        return np.arange(self.D.shape[-1]) < self.sizes[:, None]


@checked(X=array("points", "B n d"))
def all_ones(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Whether one direction is active on every point, and such a direction.

    By Gordan's theorem exactly one of two things exists: a direction h with x_i^T h > 0 for all i, or
    weights l >= 0, not all zero, with sum_i l_i x_i = 0. Non-negative least squares decides:
    minimise ||X^T l||^2 + (1 - sum(l))^2 over l >= 0; where the minimum is positive, h = X^T l.

    Parameters
    ----------
    X : (B, n, d) array, n >= 1

    Returns
    -------
    h : (B, d) array, unit norm where present, else zero
    present : (B,) bool; ``(X @ h > 0).all()`` is checked for every True

    Raises
    ------
    InvalidInput : "X (points) must be an array of shape (B, n, d) = (any, any, any), got (1, 0, 3)", and the like
    """
    batch, n, d = X.shape
    h, present = np.zeros((batch, d)), np.zeros(batch, bool)
    for b in range(batch):
        norms = np.linalg.norm(X[b], axis=1, keepdims=True)
        if not norms.all():
            continue  # a zero row is active in no open half-space
        unit = X[b] / norms
        weights, _ = scipy.optimize.nnls(np.vstack([unit.T, np.ones(n)]), np.append(np.zeros(d), 1.0))
        direction = unit.T @ weights
        # The certificate is the direction itself; its size only distinguishes rounding from a real margin.
        if np.linalg.norm(direction) > 1e-9 and (X[b] @ direction > 0).all():
            h[b], present[b] = direction / np.linalg.norm(direction), True
    return h, present


@checked(X=array("points", "B n d"), directions=array("directions", "B d k"))
def sample(X: np.ndarray, directions: np.ndarray) -> Patterns:
    """The distinct patterns of given directions, with the all-ones pattern wherever there is one.

    Parameters
    ----------
    X : (B, n, d) array
    directions : (B, d, k) array, for instance standard normal

    Returns
    -------
    Patterns, in lexicographic order of the columns, the all-ones pattern last

    **Source**: wang2025overparameterized, its code; differs: the all-ones pattern
    is added only where sampling has not found it already, so that no pattern stands twice.
    """
    h, present = all_ones(X)
    active = X @ directions >= 0
    columns, gates = [], []
    for b in range(len(X)):
        first, _ = distinct(active[b])
        D, H = active[b][:, first], directions[b][:, first]
        if present[b] and not D.all(axis=0).any():
            D, H = np.column_stack([D, np.ones(len(D), bool)]), np.column_stack([H, h[b]])
        columns.append(D)
        gates.append(H)
    sizes = np.array([D.shape[1] for D in columns])
    return Patterns(_pad(columns, sizes.max()), _pad(gates, sizes.max()), sizes, present)


@checked(D=pattern("patterns", "n k"))
def distinct(D: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct columns of D, in lexicographic order.

    Parameters
    ----------
    D : (n, k) bool array

    Returns
    -------
    first : (q,) where each distinct column stands first
    which : (k,) which of the distinct columns each column is
    """
    # A column as one string of bytes sorts in the order of its bits, ten times as fast as by rows.
    strings = np.ascontiguousarray(np.packbits(D, axis=0).T)
    _, first, which = np.unique(strings.view((np.void, strings.shape[1])), return_index=True, return_inverse=True)
    return first, which.ravel()


def _pad(arrays: Sequence[np.ndarray], width: int) -> np.ndarray:
    """Arrays ``(n, k)`` of different k, stacked, with zero columns up to `width`."""
    return np.stack([np.pad(a, ((0, 0), (0, width - a.shape[1]))) for a in arrays])
