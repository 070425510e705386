"""The same programs in coordinates of the labels that suit inputs in very different units.

Where the columns of X differ by many powers of ten, a dual vector l is large along the outputs that only inputs in
small units reach, and products A_j^T l cancel all but a few of its digits. Let the rows of G be what unit weights that
each block may have put out, and G = Q R, with orthonormal columns in Q. In the coordinates R l of a dual vector, and
R^-T y of labels, nothing cancels: the weights stay what they are, and every block's norm is about 1.
"""

from __future__ import annotations

from copy import copy

import numpy as np
import scipy

from ._newton import Iterate
from ._points import EPS, RANK_TOLERANCE, graded_qr
from .blocks import Blocks, Faces
from .cones import Cones


class Graded(Blocks):
    """Blocks, labels and weight decay in such coordinates, for everything that solves a program by Newton steps.

    Parameters
    ----------
    blocks : of the program, not whitened
    y : (n,) labels of norm about 1, within reach where there is no decay
    ridge : >= 0, as in `solving.solve`

    With decay, sqrt(ridge) l is one more part of the labels, so that G has the rows sqrt(ridge) I besides. Attributes:
    `labels` of norm 1 and `ridge` that belong to them, the `size` by which weights were divided for it, and the
    `program`, blocks and labels.
    """

    def __init__(self, blocks: Blocks, y: np.ndarray, ridge: float) -> None:
        self._set(blocks.X, blocks.D, False, blocks.points)
        self.program = blocks, y
        self._blocks, gated, n = blocks, blocks.gated, blocks.n
        self._owners, self._units = blocks.spanning_units()
        outputs = (gated.D[:, self._owners] * (gated.X @ self._units)).T
        Q, R, turned = graded_qr(np.vstack([outputs, ridge**0.5 * np.eye(n if ridge else 0, n)]))
        rank = n if ridge else int(np.linalg.matrix_rank(gated.even.rows(np.arange(gated.p)), rtol=RANK_TOLERANCE))
        self.n, self._R, self._turned = rank, R[:rank], turned
        self._outputs, self._left = np.split(Q[:, :rank], [len(outputs)])
        maps = self._shrunk(gated.rows(np.arange(gated.p)).T)
        self._maps = np.ascontiguousarray(maps.T).reshape(gated.p, -1, rank)
        self._pattern = blocks.pattern if isinstance(blocks, Cones) else np.arange(gated.p)
        labels = self._shrunk(y)
        self.size = float(np.linalg.norm(labels)) or 1.0
        self.labels, self.ridge = labels / self.size, 1 / self.size if ridge else 0.0

    def _shrunk(self, outputs: np.ndarray) -> np.ndarray:
        """Outputs (n,) or (n, m) in these coordinates."""
        return np.asarray(
            scipy.linalg.solve_triangular(self._R[:, : self.n], outputs[self._turned[: self.n]], trans="T")
        )

    def start(self, W: np.ndarray, dual: np.ndarray) -> Iterate:
        """Weights (d, p) and a dual vector (n,) in these coordinates."""
        coordinates = self._R @ dual[self._turned]
        return Iterate(W / self.size, coordinates, self.adjoint(coordinates), 0)

    def dual(self, coordinates: np.ndarray) -> np.ndarray:
        """A dual vector l (n,) with such coordinates, rounded to floats."""
        dual = np.zeros(len(self._turned))
        dual[self._turned[: self.n]] = scipy.linalg.solve_triangular(self._R[:, : self.n], coordinates)
        return dual

    def part(self, index: np.ndarray) -> Graded:
        """As `Blocks.part`, in the same coordinates: maps of some of the blocks."""
        some = copy(self)
        some.D, some._pattern = self.D[:, index], self._pattern[index]
        return some

    def rows(self, active: np.ndarray, scales: np.ndarray | float = 1.0) -> np.ndarray:
        """As `Blocks.rows`."""
        maps = self._maps[self._pattern[active]] * np.reshape(scales, (-1, 1, 1))
        return np.asarray(maps.reshape(-1, self.n))

    def rounded(self, dual: np.ndarray) -> np.ndarray:
        """As `Blocks.rounded`: rows of Q."""
        return np.full(self.D.shape[1], EPS * self.n * float(np.linalg.norm(dual)))

    def rounded_outputs(self, W: np.ndarray) -> float:
        """As `Blocks.rounded_outputs`."""
        return EPS * self.n * float(np.linalg.norm(W, axis=0).sum())

    def correction(self, residual: np.ndarray) -> np.ndarray:
        """As `Blocks.correction`, shared out among units of all blocks."""
        W, shares = np.zeros((self.X.shape[1], self.D.shape[1])), self._outputs @ residual
        # A unit that a confined block would have to take away is one that its minus block gets.
        minus = self._owners + np.where(self._owners < self._blocks.free, 0, self.D.shape[1] - self._blocks.gated.p)
        np.add.at(W.T, np.where(shares < 0, minus, self._owners), (self._units * shares).T)
        return W

    def adjoint(self, dual: np.ndarray) -> np.ndarray:
        """As `Blocks.adjoint`."""
        return (self._maps @ dual).T[:, self._pattern]

    def forward(self, W: np.ndarray, active: np.ndarray | None = None) -> np.ndarray:
        """As `Blocks.forward`."""
        pattern = self._pattern if active is None else self._pattern[active]
        return np.einsum("pdr,dp->r", self._maps[pattern], W)

    def support(self, G: np.ndarray) -> np.ndarray:
        """As `Blocks.support`."""
        return self._blocks.support(G)

    def least_support(self, G: np.ndarray) -> np.ndarray | None:
        """As `Blocks.least_support`."""
        return self._blocks.least_support(G)

    def able(self, place: int, unit: np.ndarray) -> np.ndarray:
        """As `Blocks.able`."""
        return self._blocks.able(place, unit)

    def project(self, G: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, Faces]:
        """As `Blocks.project`."""
        return self._blocks.project(G, level)

    def least_squares_dual(self, y: np.ndarray) -> np.ndarray:
        """As `Blocks.least_squares_dual`: units of all blocks together put out the labels themselves."""
        return y

    def decay(self, dual: np.ndarray) -> np.ndarray:
        """As `Blocks.decay`."""
        return self._left.T @ (self._left @ dual)

    def decayed(self, H: np.ndarray, ridge: float) -> float:
        """As `Blocks.decayed`."""
        H += ridge * self._left.T @ self._left
        return 0.0

    def curvature(
        self, active: np.ndarray, flat: np.ndarray, along: np.ndarray, units: np.ndarray, *, faces: Faces = None
    ) -> np.ndarray:
        """As `Blocks.curvature`, and `Cones.curvature` with equations of faces in even units."""
        parts = [np.einsum("pdr,dp->rp", self._maps[self._pattern[active]], units) * np.sqrt(along)]
        for j, own in zip(active, flat**0.5, strict=True):
            part, face = own * self._maps[self._pattern[j]].T, None if faces is None else faces[j]
            if face is not None and len(face):
                part = part @ np.linalg.qr((face * self._blocks.units).T, mode="complete")[0][:, len(face) :]
            parts.append(part)
        R = np.hstack(parts)
        return np.asarray(R @ R.T)

    def bounds(self, point: Iterate) -> tuple[np.ndarray, float, np.ndarray, np.ndarray, float]:
        """As `solving._bounds`: what weights miss is shared out among units of all blocks and what decay leaves."""
        norms = self.support(point.back)
        outside = max(1.0, float(norms.max()))
        dual, norms = point.dual / outside, norms / outside
        left = self.ridge * (self._left @ dual)
        missed = self.labels - self.forward(point.W) - self._left.T @ left
        W, left = point.W + self.correction(missed), left + self._left @ missed
        missed = self.labels - self.forward(W) - self._left.T @ left
        cost, bound = float(np.linalg.norm(W, axis=0).sum()), float(self.labels @ dual)
        cost += float(np.linalg.norm(missed) * np.linalg.norm(dual))
        if self.ridge:
            cost += float(left @ left) / (2 * self.ridge)
            bound -= self.ridge * float(np.sum((self._left @ dual) ** 2)) / 2
        return W, cost, dual, norms, bound
