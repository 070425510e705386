"""The linear maps A_j of a group-sparse program, one block per pattern, and what solvers need of them.

Every relaxed program here is: minimise sum_j c_j ||w_j|| subject to sum_j A_j w_j = y, and its dual:
maximise y^T l subject to ||A_j^T l|| <= c_j. The blocks are A_j = D_j X for the plain network, the same
with D_0 = I besides for the skip connection, and A_j = U_j, an orthonormal basis of the range of D_j X,
for the normalised network. One trial at a time: trials differ in their number of patterns.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import scipy

from ..arguments import array, checked, pattern, sizes_of
from ._cholesky import positive_factor
from ._points import EPS, Points, uneven, whitening

POINTS, PATTERNS, BLOCKS = array("points", "n d"), pattern("patterns", "n p"), sizes_of(n="n", d="d", p="p")

REACHED = 1e-9  # an output that is missed by less is reached; rounding is below 1e-12
GRAZED = 1e-14  # a cosine that is rounding: unit weights put out nothing on such a point

# For each block the rows of its cone that hold where its weights stand; None where weights are not confined.
Faces = list[np.ndarray | None] | None


class Blocks:
    """A_j = D_j X P_j for patterns D_j, with P_j = I or the whitening map of D_j X.

    Parameters
    ----------
    X : (n, d) array
    D : (n, p) bool array, one pattern per column
    whitened : whether A_j = U_j, the normalised network's blocks

    Weights are (d, p) arrays, one block per column. A whitened block of rank r < d has its last d - r
    columns zero, and so have its weights.

    Raises
    ------
    InvalidInput : "D (patterns) must be an array of shape (n, p) = (12, any), got (5, 8)", points that are not finite,
        and the like
    """

    free = 0  # of blocks with cones, how many have none

    @checked(X=POINTS, D=PATTERNS)
    def __init__(self, X: np.ndarray, D: np.ndarray, whitened: bool = False) -> None:
        self._set(X, D, whitened, Points(X))

    def _set(self, X: np.ndarray, D: np.ndarray, whitened: bool, points: Points) -> None:
        """Start from points and patterns that have been checked, and what is known of the points."""
        self.X, self.D, self.whitened, self.points = X, np.ascontiguousarray(D, dtype=float), whitened, points
        self.n, self.d, self.p = len(X), X.shape[1], self.D.shape[1]
        self._factorised: dict[int, np.ndarray] = {}  # the maps that `part` has asked for

    @staticmethod
    def _of(X: np.ndarray, D: np.ndarray, whitened: bool = False, points: Points | None = None) -> Blocks:
        blocks = Blocks.__new__(Blocks)
        blocks._set(X, D, whitened, points or Points(X))
        return blocks

    @cached_property
    def Pt(self) -> np.ndarray:
        """(p, d, d), the transposes of the whitening maps P_j."""
        return whitening(self.X, self.D)

    @cached_property
    def rounding(self) -> np.ndarray:
        """How exact whitened maps U_j = D_j X P_j are in floats, (p,): from the conditions of the D_j X."""
        even = self.Pt * self.points.columns
        return np.asarray(self.points.rounding * np.sqrt(np.einsum("pde,pde->p", even, even)))

    @property
    def prepared(self) -> bool:
        """Whether nothing is left to be factorised."""
        return not self.whitened or "Pt" in self.__dict__

    @cached_property
    def units(self) -> np.ndarray:
        """Powers of two (d,), the norms of the columns of X over the largest where they differ much; else 1."""
        return np.ones(self.X.shape[1]) if self.whitened else uneven(self.X)

    @cached_property
    def even(self) -> Blocks:
        """The same maps of weights in other units, units * w, in which all columns have about the same norm."""
        return self if (self.units == 1).all() else Blocks._of(self.X / self.units, self.D)

    @property
    def gated(self) -> Blocks:
        """The blocks with any weights: of a relaxed program, these."""
        return self

    def part(self, index: np.ndarray) -> Blocks:
        """Some of the blocks; what is factorised already is not factorised again."""
        index = np.arange(self.D.shape[1])[index]  # of a mask, too
        some = Blocks._of(self.X, self.D[:, index], self.whitened, self.points)
        if self.whitened:
            some.__dict__["Pt"] = self.Pt[index] if self.prepared else self._some(index.tolist())
        return some

    def _some(self, index: list[int]) -> np.ndarray:
        """The transposes of some whitening maps, each of which is computed once."""
        if new := [j for j in index if j not in self._factorised]:
            self._factorised |= zip(new, whitening(self.X, self.D[:, new]), strict=True)
        return np.reshape([self._factorised[j] for j in index], (len(index), *2 * self.X.shape[1:]))

    def rows(self, active: np.ndarray, scales: np.ndarray | float = 1.0) -> np.ndarray:
        """The maps of some patterns one below the other, (len(active) * d, n): [s_j A_j^T]."""
        n, d = self.X.shape
        gates = self.D.T[active] * np.reshape(scales, (-1, 1))
        if not self.whitened:
            return (gates[:, None, :] * self.X.T).reshape(-1, n)
        rows = self.Pt[active].reshape(-1, d) @ self.X.T
        blocks = rows.reshape(-1, d, n)
        blocks *= gates[:, None, :]
        return rows

    def adjoint(self, dual: np.ndarray) -> np.ndarray:
        """All A_j^T l, (d, p)."""
        back = self.X.T @ (self.D * dual[:, None])
        return np.matmul(self.Pt, back.T[:, :, None])[:, :, 0].T if self.whitened else back

    def weighed(self, factors: np.ndarray) -> Blocks:
        """The same blocks with every point's outputs multiplied, diag(factors) A_j; not for whitened ones."""
        return Blocks._of(factors[:, None] * self.X, self.D)

    def norms(self, dual: np.ndarray) -> np.ndarray:
        """All ||A_j^T l||, (p,)."""
        return self.support(self.adjoint(dual))

    def support(self, G: np.ndarray) -> np.ndarray:
        """For every block max g_j^T w over unit weights w that it may have: here ||g_j||, (p,)."""
        return np.linalg.norm(G, axis=0)

    def least_support(self, G: np.ndarray) -> np.ndarray | None:
        """Lower bounds of the support, (p,), where they cost less than the support itself."""
        return None

    def project(self, G: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, Faces]:
        """Norms of the nearest weights that the blocks may have, these weights, and their faces: here G itself.

        Norms below `level` may be upper bounds, and their weights anything; here all are exact.
        """
        return np.sqrt(np.einsum("dp,dp->p", G, G)), G, None

    def forward(self, W: np.ndarray, active: np.ndarray | None = None) -> np.ndarray:
        """sum_j A_j w_j, (n,), over the patterns `active` (all if omitted), of which W has the columns."""
        D = self.D if active is None else self.D[:, active]
        return np.einsum("np,np->n", D, self.X @ self.inputs(W, active))

    def inputs(self, W: np.ndarray, active: np.ndarray | None = None) -> np.ndarray:
        """The weights u_j = P_j w_j on the inputs, so that A_j w_j = D_j X u_j; (d, p)."""
        if not self.whitened:
            return W
        Pt = self.Pt if active is None else self.Pt[active]
        return np.matmul(W.T[:, None, :], Pt)[:, 0, :].T

    def coordinates(self, inputs: np.ndarray) -> np.ndarray:
        """The weights w_j of given weights u_j on the inputs, (d, p): A_j w_j = D_j X u_j."""
        if not self.whitened:
            return inputs
        back = self.X.T @ (self.D * (self.X @ inputs))
        return np.matmul(self.Pt, back.T[:, :, None])[:, :, 0].T

    @cached_property
    def XXt(self) -> np.ndarray:
        """X X^T, (n, n)."""
        return self.X @ self.X.T

    def curvature(
        self, active: np.ndarray, flat: np.ndarray, along: np.ndarray, units: np.ndarray, *, faces: Faces = None
    ) -> np.ndarray:
        """sum_j A_j (flat_j I + along_j e_j e_j^T) A_j^T over some patterns, e_j the columns of `units`; (n, n)."""
        D = self.D[:, active]
        rays = D * (self.X @ (self.inputs(units, active) * np.sqrt(along)))
        if self.whitened:
            Ut = self.rows(active, np.sqrt(flat))
            return Ut.T @ Ut + rays @ rays.T
        H: np.ndarray = (D * flat) @ D.T
        H *= self.XXt
        H += rays @ rays.T
        return H

    @cached_property
    def _spanning(self) -> tuple[np.ndarray, tuple[np.ndarray, bool]]:
        """Blocks that reach all labels that there are, and the factor of their sum_j A_j A_j^T."""
        (n, d), p = self.X.shape, self.D.shape[1]
        every = np.arange(p)
        if self.whitened and 4 * n < p * d:
            # A sum over all of these blocks costs more than the solve; a few, well spread, will do.
            few = np.unique(np.linspace(0, p - 1, -(-4 * n // d)).astype(int))
            factor = self._factor(few)
            if self.Pt[few].any() and _regular(factor):
                return few, factor
        return every, self._factor(every)

    @property
    def spanning(self) -> bool:
        """Whether the blocks reach every label, and not by a hair."""
        return bool((self.D.T @ self.points.lengths).any()) and _regular(self._spanning[1])

    def _factor(self, some: np.ndarray) -> tuple[np.ndarray, bool]:
        total = self.curvature(some, np.ones(len(some)), np.zeros(len(some)), np.zeros((self.X.shape[1], len(some))))
        # Keeps the factor alive where some labels are out of every block's reach, or all of them.
        return positive_factor(total, 1e-14 * np.trace(total) / len(total) or 1.0)

    def least_squares_dual(self, y: np.ndarray) -> np.ndarray:
        """l with sum_j A_j A_j^T l = y over blocks that span the labels, (n,)."""
        return scipy.linalg.cho_solve(self._spanning[1], y, check_finite=False)

    def correction(self, residual: np.ndarray) -> np.ndarray:
        """Small weights with sum_j A_j w_j = residual, (d, p)."""
        some = self._spanning[0]
        W = np.zeros((self.X.shape[1], self.D.shape[1]))
        W[:, some] = self.part(some).adjoint(self.least_squares_dual(residual))
        if self.even is not self:  # what inputs in small units must do may have been lost in rounding
            W += self.even.correction(residual - self.forward(W)) / self.units[:, None]
        return W

    def spanning_units(self) -> tuple[np.ndarray, np.ndarray]:
        """Blocks (m,) and unit weights (d, m) that each may have, which together put out all that weights can."""
        d, p = self.X.shape[1], self.D.shape[1]
        return np.repeat(np.arange(p), d), np.tile(np.eye(d), p)

    def decay(self, dual: np.ndarray) -> np.ndarray:
        """What weights leave of the labels at a dual vector, over the ridge, (n,)."""
        return dual

    def decayed(self, H: np.ndarray, ridge: float) -> float:
        """What decay adds to the diagonal of a curvature H (n, n); what is more than that is added to H in place."""
        return ridge

    def rounded(self, dual: np.ndarray) -> np.ndarray:
        """How far off A_j^T l may be in floats, (p,)."""
        if self.whitened:
            return np.asarray(self.rounding * np.linalg.norm(dual))
        return np.full(self.D.shape[1], EPS * float(self.points.lengths @ np.abs(dual)))

    def rounded_outputs(self, W: np.ndarray) -> float:
        """How far off sum_j A_j w_j may be in floats."""
        sizes = np.linalg.norm(W, axis=0)
        if not self.whitened:
            return float(EPS * np.linalg.norm(self.X) * sizes.sum())
        used = np.flatnonzero(sizes)
        return float(self.part(used).rounding @ sizes[used])

    def able(self, place: int, unit: np.ndarray) -> np.ndarray:
        """Which other blocks can put out what unit weights in one block do, at the same cost; (p,) bool."""
        if self.whitened:  # weights cost what they put out, so that reaching the output is enough
            output = self.part(np.array([place])).forward(unit[:, None])
            able: np.ndarray = np.sqrt(self.D.T @ output**2) >= 1 - REACHED
            near = np.flatnonzero(able)
            part = self.part(near)
            put_out = part.D * (part.X @ part.inputs(part.adjoint(output)))
            able[near] = np.linalg.norm(put_out - output[:, None], axis=0) < REACHED
        else:
            # Points on which the unit puts out nothing may be in one pattern and not in the other.
            seen = np.abs(self.X @ unit) > GRAZED * (np.abs(self.X) @ np.abs(unit))
            D = self.D if seen.all() else self.D[seen]
            able = (D[:, [place]] == D).all(axis=0)
        able[place] = False
        return able


def _regular(factor: tuple[np.ndarray, bool]) -> bool:
    diagonal = factor[0].diagonal()
    return bool(diagonal.min() > 1e-3 * diagonal.max())
