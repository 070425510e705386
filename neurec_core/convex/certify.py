"""What proves that a planted net is, or is not, the only minimal-norm solution.

A dual vector l with A_s^T l = u_s for every planted block s (u_s its unit direction) and ||A_j^T l|| < 1 for
all others certifies an optimal plant. It is then the only solution if the planted units' outputs A_s u_s are
linearly independent, since every solution is made of multiples of A_j^T l. A cheaper net that fits the labels
certifies the opposite. All in floating point: residuals are checked, intervals are not used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack

from .blocks import RANK_TOLERANCE, Blocks

# Equalities of a certificate, relative: rounding is below 1e-12 for the conditioning met here.
EQUAL = 1e-9
# A norm counts as below 1 only by more than rounding; published checks let ties at 1 pass.
STRICT = 1e-9


class Plant(NamedTuple):
    """Planted blocks of a program: which, their unit directions (d, k), and their norms (k,)."""

    where: np.ndarray
    units: np.ndarray
    sizes: np.ndarray

    @classmethod
    def of(cls, index: np.ndarray, W: np.ndarray) -> Plant:
        """The plant with weights W (d, k) in the blocks `index`; neurons that share a block are added up."""
        blocks, place = np.unique(index, return_inverse=True)
        merged = np.zeros((len(W), len(blocks)))
        np.add.at(merged.T, place, W.T)
        sizes = np.linalg.norm(merged, axis=0)
        kept = sizes > 1e-12
        return cls(blocks[kept], merged[:, kept] / sizes[kept], sizes[kept])

    @property
    def cost(self) -> float:
        """The objective at the plant."""
        return float(self.sizes.sum())

    def weights(self, p: int) -> np.ndarray:
        """All weights of the planted solution, (d, p)."""
        W = np.zeros((len(self.units), p))
        W[:, self.where] = self.units * self.sizes
        return W


class Planted:
    """The planted blocks side by side, A = [A_s], factored once: least-norm dual vectors and corrections."""

    def __init__(self, blocks: Blocks, plant: Plant) -> None:
        part = blocks.part(plant.where)
        rows = part.rows(np.arange(len(plant.where)))
        kept = rows.any(axis=1)  # whitened blocks of short rank end in zeros
        self.At, self.target = rows[kept], plant.units.T.ravel()[kept]
        self._factor, failed = lapack.dpotrf(self.At @ self.At.T, lower=0)
        diagonal = np.abs(self._factor.diagonal())
        self._regular = not failed and bool(len(diagonal) and diagonal.min() > 1e-6 * diagonal.max())
        each = np.arange(len(plant.where))
        outputs = np.reshape([part.forward(plant.units[:, [s]], each[[s]]) for s in each], (len(each), len(blocks.X)))
        values = np.linalg.svd(outputs, compute_uv=False)
        self.independent = len(values) == len(each) and bool((values > RANK_TOLERANCE * values.max(initial=0)).all())

    def least_norm(self, values: np.ndarray) -> np.ndarray:
        """The shortest l with A^T l = values, (n,); in the least-squares sense where there is none."""
        if not self._regular:
            return np.linalg.lstsq(self.At, values, rcond=1e-12)[0]
        dual = self.At.T @ lapack.dpotrs(self._factor, values, lower=0)[0]
        # One step of refinement: normal equations alone lose the square of the condition number.
        return dual + self.At.T @ lapack.dpotrs(self._factor, values - self.At @ dual, lower=0)[0]

    def corrected(self, dual: np.ndarray) -> np.ndarray:
        """The dual vector nearest to `dual` with A_s^T l = u_s for every planted s."""
        return dual + self.least_norm(self.target - self.At @ dual)

    def consistent(self, dual: np.ndarray) -> bool:
        """Whether A_s^T l = u_s, for every planted s, up to rounding."""
        return bool(np.abs(self.At @ dual - self.target).max(initial=0) < EQUAL)


class Isometry(NamedTuple):
    """The isometry condition of one instance.

    dual : (n,) the least-norm dual vector
    norms : (p,) ||A_j^T l||, or an upper bound on it below 1 that was enough; at planted blocks 1
    consistent : whether l meets the planted blocks' equations; if not, the norms say nothing
    independent : whether the planted units' outputs are linearly independent
    """

    dual: np.ndarray
    norms: np.ndarray
    consistent: bool
    independent: bool

    def largest(self, plant: Plant) -> float:
        """The largest norm over the blocks that are not planted; NaN if the dual vector is no certificate."""
        return largest_other(self.norms, plant) if self.consistent else np.nan

    def held(self, plant: Plant) -> bool:
        """Whether the condition holds: strictly below 1, and consistent."""
        return self.independent and bool(self.largest(plant) < 1 - STRICT)


def isometry(blocks: Blocks, plant: Plant) -> Isometry:
    """The neural isometry condition: do the norms of the least-norm dual vector stay below 1?

    l = A (A^T A)^+ u with A = [A_s] and u = [u_s] over the planted blocks; ||A_j^T l|| < 1 for all others.
    This is NIC for the linear neuron (A_s = X), NIC-k for plain neurons and NNIC-k for normalised ones.

    Parameters
    ----------
    blocks : of the program
    plant : the planted blocks

    **Source**: wang2025overparameterized, Definitions 2 to 6; differs: the published check takes the
    pseudo-inverse without asking for consistency, measures patterns of short rank with columns beyond the
    rank, and lets norms up to 1 + 1e-10 pass.
    """
    planted = Planted(blocks, plant)
    dual = planted.least_norm(planted.target)
    return Isometry(dual, screened_norms(blocks, dual), planted.consistent(dual), planted.independent)


def screened_norms(blocks: Blocks, dual: np.ndarray) -> np.ndarray:
    """||A_j^T l|| for every block, (p,); for whitened blocks ||D_j l|| instead wherever that is below 1.

    U_j^T is an orthogonal projection, so that ||U_j^T l|| <= ||D_j l||: most patterns are settled without
    the factorisation of their block.
    """
    if blocks.prepared:
        return blocks.norms(dual)
    norms = np.sqrt(blocks.D.T @ dual**2)
    open_ = np.flatnonzero(norms >= 1 - STRICT)
    if len(open_):
        norms[open_] = blocks.part(open_).norms(dual)
    return norms


def largest_other(norms: np.ndarray, plant: Plant) -> float:
    """The largest norm over the blocks that are not planted."""
    others = norms.copy()
    others[plant.where] = 0
    return float(others.max(initial=0))


def published_isometry(blocks: Blocks, plant: Plant, condition: Isometry) -> bool:
    """The condition as the published code checks it.

    Consistency is not asked for, a pattern of short rank is measured with all min(n, d) left singular
    vectors of D_j X, and only norms from 1 + 1e-10 on count against it.
    """
    norms = condition.norms.copy()
    short = np.flatnonzero(blocks.D.sum(axis=0) < blocks.X.shape[1]) if blocks.whitened else ()
    for j in short:
        U = np.linalg.svd(blocks.D[:, [j]] * blocks.X, full_matrices=False)[0]
        norms[j] = np.linalg.norm(U.T @ condition.dual)
    return largest_other(norms, plant) < 1 + 1e-10
