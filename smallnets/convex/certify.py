"""What proves that a planted net is, or is not, the only minimal-norm solution.

A dual vector l with A_s^T l = u_s for every planted block s (u_s its unit direction) and ||A_j^T l|| < 1 for
all others certifies an optimal plant. It is then the only solution if the planted units' outputs A_s u_s are
linearly independent, since every solution is made of multiples of A_j^T l. A cheaper net that fits the labels
certifies the opposite. All in floating point: residuals are checked, intervals are not used.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, checked, indices, record, whole
from ._points import RANK_TOLERANCE, nearest_power
from ._rounding import EQUAL, independent, largest_other, screened_norms, settles
from ._rounding import STRICT as STRICT
from .blocks import BLOCKS, Blocks

PLANT = record(
    where=indices("blocks", "k", "p"),
    units=array("unit weights", "d k", empty=True),
    sizes=array("norms", "k", empty=True),
)


class Plant(NamedTuple):
    """Planted blocks of a program: which, their unit directions (d, k), and their norms (k,)."""

    where: np.ndarray
    units: np.ndarray
    sizes: np.ndarray

    @classmethod
    @checked(W=array("weights", "d k", empty=True), index=indices("blocks", "k", "p"))
    def of(cls, index: np.ndarray, W: np.ndarray) -> Plant:
        """The plant with weights W (d, k) in the blocks `index`; neurons that share a block are added up."""
        blocks, place = np.unique(index, return_inverse=True)
        merged = np.zeros((len(W), len(blocks)))
        np.add.at(merged.T, place, W.T)
        sizes = np.linalg.norm(merged, axis=0)
        kept = sizes > 1e-12 * sizes.max(initial=0)
        return cls(blocks[kept], merged[:, kept] / sizes[kept], sizes[kept])

    @property
    def cost(self) -> float:
        """The objective at the plant."""
        return float(self.sizes.sum())

    @checked(p=whole("blocks"))
    def weights(self, p: int) -> np.ndarray:
        """All weights of the planted solution, (d, p)."""
        W = np.zeros((len(self.units), p))
        W[:, self.where] = self.units * self.sizes
        return W


class Planted:
    """The planted blocks side by side, A = [A_s], factored once: least-norm dual vectors and corrections."""

    def __init__(self, blocks: Blocks, plant: Plant) -> None:
        part = blocks.part(plant.where)
        self.At, self.target = part.rows(np.arange(len(plant.where))), plant.units.T.ravel()
        sizes = np.linalg.norm(self.At, axis=1)
        # Equations for inputs in small units are as good as others.
        self._sizes = np.ones(len(sizes)) if blocks.even is blocks else nearest_power(sizes)
        # Zero rows, of short ranks and of inputs that are zero, say nothing of l, but their targets must be 0 as well.
        self._nonzero = self.At.any(axis=1)
        self._rows = (self.At / self._sizes[:, None])[self._nonzero]
        self._factor, failed = scipy.linalg.lapack.dpotrf(self._rows @ self._rows.T, lower=0)
        diagonal = np.abs(self._factor.diagonal())
        self._regular = not failed and bool(len(diagonal) and diagonal.min() > 1e-6 * diagonal.max())
        self._part = part
        self.independent = independent(part.D * (part.X @ part.inputs(plant.units)), part, RANK_TOLERANCE)

    def least_norm(self, values: np.ndarray) -> np.ndarray:
        """The shortest l with A^T l = values, (n,); in the least-squares sense where there is none."""
        values = (values / self._sizes)[self._nonzero]
        if not self._regular:
            return np.linalg.lstsq(self._rows, values, rcond=1e-12)[0]
        dual = self._rows.T @ scipy.linalg.lapack.dpotrs(self._factor, values, lower=0)[0]
        # One step of refinement: normal equations alone lose the square of the condition number.
        return dual + self._rows.T @ scipy.linalg.lapack.dpotrs(self._factor, values - self._rows @ dual, lower=0)[0]

    def corrected(self, dual: np.ndarray) -> np.ndarray:
        """The dual vector nearest to `dual` with A_s^T l = u_s for every planted s."""
        return dual + self.least_norm(self.target - self.At @ dual)

    def off(self, dual: np.ndarray) -> float:
        """By how much A_s^T l = u_s may be missed, over every entry of every planted s, rounding included."""
        missed = float(np.abs(self.At @ dual - self.target).max(initial=0))
        return missed + float(self._part.rounded(dual).max(initial=0))


class Isometry(NamedTuple):
    """The isometry condition of one instance.

    dual : (n,) the least-norm dual vector
    norms : (p,) ||A_j^T l||, or an upper bound on it below 1 that was enough; at planted blocks 1
    off : by how much l misses the planted blocks' equations at most
    independent : whether the planted units' outputs are linearly independent
    """

    dual: np.ndarray
    norms: np.ndarray
    off: float
    independent: bool

    @property
    def consistent(self) -> bool:
        """Whether l meets the planted blocks' equations up to rounding; if not, the norms say nothing."""
        return self.off < EQUAL

    def largest(self, plant: Plant) -> float:
        """The largest norm over the blocks that are not planted; NaN if the dual vector is no certificate."""
        return largest_other(self.norms, plant.where) if self.consistent else np.nan

    def held(self, plant: Plant) -> bool:
        """Whether the condition holds: strictly below 1, and consistent."""
        return settles(self.largest(plant), self.off, self.independent)


@checked(blocks=BLOCKS, plant=PLANT)
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
    return Isometry(dual, screened_norms(blocks, dual), planted.off(dual), planted.independent)


@checked(blocks=BLOCKS, plant=PLANT)
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
    return largest_other(norms, plant.where) < 1 + 1e-10
