"""Cholesky factors of matrices that rounding may have left a little below positive definite."""

from __future__ import annotations

import numpy as np
import scipy


def positive_factor(H: np.ndarray, added: float) -> tuple[np.ndarray, bool]:
    """The Cholesky factor of a positive semidefinite matrix H (n, n) with `added` > 0 on its diagonal; H is changed.

    Where rounding leaves a matrix of low rank further below zero, ever more is added until the factor exists.
    """
    while True:
        H.flat[:: len(H) + 1] += added
        try:
            return scipy.linalg.cho_factor(H, lower=True, check_finite=False)
        except scipy.linalg.LinAlgError:
            if not added <= np.trace(H):  # far from positive semidefinite, or not finite
                raise
            added *= 100
