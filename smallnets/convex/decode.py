"""From a convex program's solution back to the network that it describes.

A leading trial axis is optional where shapes read ``(..., n, d)``; the nets have one, as always.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, checked, number, pattern
from ..nets.two_layer import GatedNet, Net, NormalizedNet

WEIGHTS = array("weights", "d p|B d p", finite=False, empty=True)
TOLERANCE = number("share", "[0, 1)")
ROUNDING = 1e-9  # cosines below this are 0
FARTHEST = 1e6  # moves in null spaces that are longer, in lengths of the weights, are rounding


class Factors(NamedTuple):
    """Economy singular value decompositions D_j X = U_j S_j V_j^T, each cut at its rank r_j.

    All have the same shape whatever the ranks: coordinates past r_j stand for the null space of D_j X.

    U : (..., p, n, d), zero past the rank
    S : (..., p, d), one past the rank
    V : (..., p, d, d), orthogonal; its columns past the rank span the null space
    kept : (..., p, d) bool, which coordinates come before the rank
    """

    U: np.ndarray
    S: np.ndarray
    V: np.ndarray
    kept: np.ndarray

    @checked(W=WEIGHTS)
    def weights(self, W: np.ndarray) -> np.ndarray:
        """u_j = V_j S_j^-1 w_j as columns ``(..., d, p)``; past the rank w_j is a null-space coordinate."""
        return np.einsum("...pde,...pe->...dp", self.V, np.swapaxes(W, -1, -2) / self.S)

    @checked(U=WEIGHTS)
    def coordinates(self, U: np.ndarray) -> np.ndarray:
        """w_j = S_j V_j^T u_j as columns ``(..., d, p)``, the inverse of `weights`."""
        return np.swapaxes(np.einsum("...pde,...dp->...pe", self.V, U) * self.S, -1, -2)


@checked(X=array("points", "n d|B n d"), D=pattern("patterns", "n p|B n p"))
def factors(X: np.ndarray, D: np.ndarray) -> Factors:
    """Factors of D_j X for every pattern.

    Parameters
    ----------
    X : (..., n, d) array
    D : (..., n, p) bool array of patterns

    **Source**: wang2025overparameterized, eq. (16); differs: the published code keeps min(n, d) columns of U_j
    whatever the rank; the surplus ones are arbitrary and fit labels that D_j X cannot.
    """
    n, d = X.shape[-2:]
    blocks = np.swapaxes(D, -1, -2)[..., None] * X[..., None, :, :]
    # Zero rows bring a wide X to d rows, so that V is square and holds the null space as well.
    blocks = np.pad(blocks, [(0, 0)] * (blocks.ndim - 2) + [(0, max(d - n, 0)), (0, 0)])
    U, S, Vt = np.linalg.svd(blocks, full_matrices=False)
    kept = S[..., :1] * max(n, d) * np.finfo(float).eps < S  # the rule of numpy's matrix_rank
    return Factors(U[..., :n, :] * kept[..., None, :], np.where(kept, S, 1.0), np.swapaxes(Vt, -1, -2), kept)


@checked(
    W=array("weights", "B d p", finite=False, empty=True),
    gates=array("gates", "B d p", empty=True),
    skip=array("skip weights", "B d", finite=False),
)
def gated(W: np.ndarray, gates: np.ndarray, skip: np.ndarray | None = None) -> GatedNet:
    """The gated net of a relaxed program, with or without a skip connection.

    Parameters
    ----------
    W : (B, d, p) array, the blocks
    gates : (B, d, p) array, a direction that makes each pattern
    skip : (B, d) array, none for a program without w_0
    """
    return GatedNet(W, gates, np.zeros(W.shape[:2]) if skip is None else skip)


@checked(
    X=array("points", "B n d"),
    D=pattern("patterns", "B n p"),
    W=array("weights", "B d p", finite=False),
    gates=array("gates", "B d p"),
)
def gated_normalized(X: np.ndarray, D: np.ndarray, W: np.ndarray, gates: np.ndarray) -> GatedNet:
    """The gated net of the relaxed normalised program: u_j with D_j X u_j = U_j w_j, of least norm.

    Parameters
    ----------
    X : (B, n, d) array
    D : (B, n, p) bool array of patterns
    W : (B, d, p) array, the blocks, zero past the rank of D_j X
    gates : (B, d, p) array, a direction that makes each pattern

    **Source**: wang2025overparameterized, eq. (17), w_j = S_j V_j^T u_j.
    """
    return gated(factors(X, D).weights(W), gates)


@checked(
    U=array("weights", "B d p", finite=False),
    V=array("weights", "B d p", finite=False),
    skip=array("skip weights", "B d", finite=False),
    tolerance=TOLERANCE,
)
def balanced(U: np.ndarray, V: np.ndarray, skip: np.ndarray | None = None, *, tolerance: float = 1e-7) -> Net:
    """The ReLU net of an exact program: a unit (u / sqrt||u||, +-sqrt||u||) a block, + for u_j and - for v_j.

    Both weights of a unit have one norm, so that half the sum of squared weights is the program's sum of
    norms. Inactive blocks are kept, as zero columns: trials keep a common width.

    Parameters
    ----------
    U, V : (B, d, p) arrays, the two signed blocks
    skip : (B, d) array, none for a program without w_0
    tolerance : a block is inactive at or below this norm, in units of the sum of norms

    Returns
    -------
    Net with 2p units, those of U first

    **Source**: wang2025overparameterized, eqs. (6), (11).
    """
    blocks = np.concatenate([U, V], axis=2)
    norms = _active(np.linalg.norm(blocks, axis=1), tolerance)
    roots = np.sqrt(norms)
    W = np.divide(blocks, roots[:, None, :], out=np.zeros_like(blocks), where=norms[:, None, :] > 0)
    return Net(W, _signs(U.shape[2]) * roots, np.zeros(U.shape[:2]) if skip is None else skip)


@checked(
    X=array("points", "B n d"),
    D=pattern("patterns", "B n p"),
    W_plus=array("weights", "B d p", finite=False),
    W_minus=array("weights", "B d p", finite=False),
    tolerance=TOLERANCE,
)
def normalized(
    X: np.ndarray, D: np.ndarray, W_plus: np.ndarray, W_minus: np.ndarray, *, tolerance: float = 1e-7
) -> NormalizedNet:
    """The normalised net of the exact normalised program: directions u_j and a_j = +-||w_j||.

    An inactive block is a unit with a = 0 that repeats the direction of the trial's strongest unit: a zero
    column would be active on no point, which a normalised net answers with NaN.

    Parameters
    ----------
    X : (B, n, d) array
    D : (B, n, p) bool array of patterns
    W_plus, W_minus : (B, d, p) arrays, the two signed blocks; null-space coordinates past the rank of D_j X
    tolerance : a block is inactive at or below this norm, in units of the sum of norms

    Returns
    -------
    NormalizedNet with 2p units, those of W_plus first

    **Source**: wang2025overparameterized, eq. (16).
    """
    found = factors(X, D)
    directions = np.concatenate([found.weights(W_plus), found.weights(W_minus)], axis=2)
    sizes = [np.linalg.norm(np.where(np.swapaxes(found.kept, 1, 2), W, 0), axis=1) for W in (W_plus, W_minus)]
    norms = _active(np.concatenate(sizes, axis=1), tolerance)
    strongest = np.take_along_axis(directions, norms.argmax(axis=1)[:, None, None], axis=2)
    return NormalizedNet(np.where(norms[:, None, :] > 0, directions, strongest), _signs(W_plus.shape[2]) * norms)


@checked(X=array("points", "n d"), D=pattern("patterns", "n p"), U=array("weights", "d p", finite=False))
def into_cones(X: np.ndarray, D: np.ndarray, U: np.ndarray) -> np.ndarray:
    """Weights moved in the null spaces of D_j X, which changes no D_j X u_j, to where a ReLU unit has pattern j.

    The shortest such moves; weights for which there is none, and weights below 1e-162, stay where they are.

    Parameters
    ----------
    X : (n, d) array
    D : (n, p) bool array of patterns
    U : (d, p) array, with X u_j >= 0 where pattern j is active
    """
    moved = U.copy()
    for j in np.flatnonzero(((X @ U > 0) & ~D).any(axis=0)):
        if not (size := np.linalg.norm(U[:, j])):
            continue
        found = factors(X, D[:, [j]])
        closed, null = X[~D[:, j]], found.V[0][:, ~found.kept[0]]
        sizes = np.linalg.norm(closed, axis=1)
        # min ||z|| s.t. closed (u + null z) <= 0, as non-negative least squares (Lawson and Hanson, ch. 23). Weights on
        # the boundary of the cone leave no room but that of rounding.
        rows = np.vstack([-(closed @ null).T, closed @ U[:, j] / size - ROUNDING * sizes])
        rows = np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 0)
        last = np.append(np.zeros(null.shape[1]), 1.0)
        left = last - rows @ scipy.optimize.nnls(rows, last)[0]
        if left[-1] > FARTHEST**-2:
            moved[:, j] -= size * null @ (left[:-1] / left[-1])
    return moved


def _active(norms: np.ndarray, tolerance: float) -> np.ndarray:
    return np.where(norms > tolerance * norms.sum(axis=-1, keepdims=True), norms, 0)


def _signs(p: int) -> np.ndarray:
    return np.repeat([1.0, -1.0], p)
