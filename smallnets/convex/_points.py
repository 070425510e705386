"""Points (n, d) in the units that suit them: their sizes, those of the inputs, and the ranges of some of their rows."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy

EPS = float(np.finfo(float).eps)

# A singular value below this share of the largest counts as zero.
RANK_TOLERANCE = 1e-10
UNEVEN = 64.0  # columns whose norms differ by less are left in their units


class Points:
    """Points X (n, d) with what is measured of them, each once."""

    def __init__(self, X: np.ndarray) -> None:
        self.X = X

    @cached_property
    def lengths(self) -> np.ndarray:
        """The norms of the points, (n,)."""
        return np.linalg.norm(self.X, axis=1)

    @cached_property
    def columns(self) -> np.ndarray:
        """Powers of two near the norms of the columns, (d,)."""
        return nearest_power(np.linalg.norm(self.X, axis=0))

    @cached_property
    def rounding(self) -> float:
        """How exact the points are in floats, in units in which all columns have about the same norm."""
        return EPS * float(np.linalg.norm(self.X / self.columns))


def whitening(X: np.ndarray, D: np.ndarray) -> np.ndarray:
    """The transposes of P_j with D_j X P_j an orthonormal basis of the range of D_j X, (p, d, d).

    Missing rank is zero rows. Inverse Cholesky factors of X^T D_j X; where those would lose digits, or the
    rank is short, the singular value decomposition. Columns of X are taken in units of about their own norms, which
    changes no range: the ranks are the same in all units of the inputs.

    Parameters
    ----------
    X : (n, d) array
    D : (n, p) array of 0s and 1s
    """
    d, p = X.shape[1], D.shape[1]
    Pt, units = np.zeros((p, d, d)), nearest_power(np.linalg.norm(X, axis=0))
    X = X / units
    for j in range(p):
        rows = X[D[:, j] > 0]
        if len(rows) < d or not _inverse_factor(rows.T @ rows, Pt[j]):
            Pt[j] = _from_svd(rows)
    Pt /= units
    return Pt


def uneven(X: np.ndarray) -> np.ndarray:
    """Powers of two (d,) near the norms of columns, over the largest, where these differ much; else 1."""
    sizes = np.linalg.norm(X, axis=0)
    largest, least = sizes.max(), sizes.min(where=sizes > 0, initial=np.inf)
    return nearest_power(sizes / largest) if largest > UNEVEN * least else np.ones(len(sizes))


def nearest_power(sizes: np.ndarray) -> np.ndarray:
    """The power of two nearest to each size on a logarithmic scale, 1 for 0: to scale by it rounds nothing."""
    return np.exp2(np.round(np.log2(np.where(sizes > 0, sizes, 1.0))))


def graded_qr(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Q, R and the order of columns, exact to its own size for every row: large rows first, and columns pivoted.

    **Source**: cox1998stability (the order of rows).
    """
    order = np.argsort(-np.abs(rows).max(axis=1, initial=0), kind="stable")
    Q, R, turned = scipy.linalg.qr(rows[order], mode="economic", pivoting=True)
    back = np.empty_like(Q)
    back[order] = Q
    return back, R, turned


def graded_least_squares(A: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The z with A z nearest to b, for independent columns and rows of very different sizes."""
    Q, R, turned = graded_qr(A)
    z = np.zeros(A.shape[1])
    z[turned] = scipy.linalg.solve_triangular(R, Q.T @ b)
    return z


def _inverse_factor(gram: np.ndarray, out: np.ndarray) -> bool:
    """Write L^-1, where L L^T is the Gram matrix; False if it is too near to singular."""
    factor, failed = scipy.linalg.lapack.dpotrf(gram, lower=1, clean=1)
    diagonal = factor.diagonal()
    # Orthonormality is lost by about eps * cond^2, and the diagonal's ratio is close to cond.
    if failed or diagonal.min() < 1e-3 * diagonal.max():
        return False
    out[:], failed = scipy.linalg.lapack.dtrtri(factor, lower=1)
    return not failed


def _from_svd(rows: np.ndarray) -> np.ndarray:
    d = rows.shape[1]
    Pt = np.zeros((d, d))
    if len(rows):
        _, values, Vt = np.linalg.svd(rows, full_matrices=False)
        rank = int((values > RANK_TOLERANCE * values[0]).sum()) if values[0] > 0 else 0
        Pt[:rank] = Vt[:rank] / values[:rank, None]
    return Pt
