"""Two signed blocks a pattern, their weights confined to the cone in which a ReLU unit has that pattern.

The exact programs ask for u_j, v_j in K_j = {w : (2 D_j - I) X P_j w >= 0} with outputs A_j (u_j - v_j). Here -v_j is
stored: a minus block has its weights in -K_j, and both signs have one map A_j. Columns: the free blocks (the skip
connection), a plus block a pattern, then a minus block a pattern.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from scipy.linalg import lapack
from scipy.optimize import nnls

from .blocks import Blocks, Faces

GUESSES = 12  # sets of active rows tried from the last one on, before one is computed from nothing
INSIDE = 1e-12  # how far outside its cone, in shares of the vector projected, a projection may lie
SURE = 0.999  # support values below this may be upper bounds


class Cones(Blocks):
    """The signed blocks of an exact program, for everything that solves a relaxed one.

    Parameters
    ----------
    gated : a block a pattern; the first `free` of them unconfined
    inside : (d, p) directions on the inputs that make the patterns; those of free blocks are not read
    free : how many blocks have no cone and one sign

    Coordinates of a whitened block past the rank of D_j X stay 0, as in the paper's program: it may lack units that
    the network has, but `norms` does not, so that `recovery.decide` certifies nothing of less than the network.
    """

    def __init__(self, gated: Blocks, inside: np.ndarray, free: int = 0) -> None:
        p = gated.D.shape[1]
        self.pattern = np.concatenate([np.arange(p), np.arange(free, p)])
        super().__init__(gated.X, gated.D[:, self.pattern], gated.whitened)
        self._short: np.ndarray = np.zeros(len(self.pattern), bool)
        if gated.whitened:
            self.__dict__["Pt"] = gated.Pt[self.pattern]
            self._short |= (self.Pt == 0).all(axis=2).any(axis=1)
        self._gated, self.free = gated, free
        self._sides = (2 * self.D - 1) * np.repeat([1.0, -1.0], [p, p - free])
        self._rows_of: dict[int, np.ndarray] = {}
        self._inside, self._room = self._interior(gated.coordinates(inside))
        # What the last projections knew: multipliers in units of the level, active rows, the way that they went.
        self._multipliers = np.zeros_like(self.D)
        self._faces: list[np.ndarray | None] = [None] * len(self.pattern)
        self._known = np.zeros((gated.X.shape[1], len(self.pattern)))

    @property
    def gated(self) -> Blocks:
        """The blocks without cones and signs; indices of plus blocks are the same."""
        return self._gated

    def adjoint(self, dual: np.ndarray) -> np.ndarray:
        """All A_j^T l, (d, 2p - free)."""
        return self.gated.adjoint(dual)[:, self.pattern]

    def weighed(self, factors: np.ndarray) -> Cones:
        """As for the blocks without cones; these stay what they are."""
        return Cones(self.gated.weighed(factors), self._inside, self.free)

    def norms(self, dual: np.ndarray) -> np.ndarray:
        """All max (A_j^T l)^T w over unit weights in the cones, (2p - free,); of a block of short rank a bound.

        The network's units move in the null space of D_j X at no cost, which leaves only the rows of D_j X in their
        way: the bound holds for these, too.
        """
        G = self.adjoint(dual)
        norms = self.support(G)
        sizes = np.linalg.norm(G, axis=0)
        norms[self._short] = sizes[self._short]
        for j in map(int, np.flatnonzero(self._short & (sizes >= SURE))):
            held = self.D[:, j] > 0
            norms[j] = nnls((self._rows(j)[held] * self._sides[held, j, None]).T, -G[:, j])[1]
        return norms

    def least_squares_dual(self, y: np.ndarray) -> np.ndarray:
        """As for the blocks without cones, (n,)."""
        return self.gated.least_squares_dual(y)

    def able(self, place: int, unit: np.ndarray) -> np.ndarray:
        """Which other blocks can put out what unit weights in one block do, at the same cost; (2p - free,) bool."""
        able = super().able(place, unit)
        output = self.part(np.array([place])).forward(unit[:, None])
        for j in map(int, np.flatnonzero(able)):
            if j >= self.free:
                w = self.part(np.array([j])).adjoint(output)[:, 0] if self.whitened else unit
                able[j] = (self._sides[:, j] * (self._rows(j) @ w)).min() >= -INSIDE
        return able

    # ------------------------------------------------------------------------------------ feasible weights

    def _interior(self, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit directions (d, p) inside the cones, and whether they are: (n, p) slacks, of a free block inf."""
        p = inside.shape[1]
        room = np.full((len(self.X), p), np.inf)
        sizes = np.linalg.norm(inside, axis=0)
        inside = np.divide(inside, sizes, out=np.zeros_like(inside), where=sizes > 0)
        for j in range(self.free, p):
            rows = self._rows(j)
            slack = self._sides[:, j] * (rows @ inside[:, j])
            room[:, j] = np.where(rows.any(axis=1), slack, np.inf)  # a zero row confines nothing
        return inside, room

    def signed(self, W: np.ndarray) -> np.ndarray:
        """Weights (d, p) of the gated blocks as weights of the signed ones; 0 for those that are in neither cone."""
        signed = np.zeros((len(W), len(self.pattern)))
        signed[:, : self.free] = W[:, : self.free]
        for j in range(self.free, W.shape[1]):
            slack = self._sides[:, j] * (self._rows(j) @ W[:, j])
            if slack.min() >= 0:
                signed[:, j] = W[:, j]
            elif slack.max() <= 0:
                signed[:, j + W.shape[1] - self.free] = W[:, j]
        return signed

    def correction(self, residual: np.ndarray) -> np.ndarray:
        """Small weights with sum_j A_j w_j = residual, inside the widest cones; (d, 2p - free)."""
        W = np.zeros((self.X.shape[1], len(self.pattern)))
        widest, blocks = self._widest
        W[:, widest] = blocks.correction(residual)
        for j in map(int, widest[widest >= self.free]):
            minus = j + self._gated.D.shape[1] - self.free
            out = np.maximum(-self._sides[:, j] * (self._rows(j) @ W[:, j]) / self._room[:, j], 0).max()
            # u + t h and v + t h put out what u and v do.
            W[:, j] += out * self._inside[:, j]
            W[:, minus] -= out * self._inside[:, j]
        return W

    @cached_property
    def _widest(self) -> tuple[np.ndarray, Blocks]:
        """A few patterns with wide cones that reach all labels that there are, and their gated blocks.

        A correction costs its size over the width of its cone, and most cones are narrow.
        """
        room = self._room.min(axis=0)
        wide = np.argsort(-room)[: np.count_nonzero(room > 1e-9)]
        count = -(-2 * len(self.X) // self.X.shape[1]) + self.free
        while count < len(wide) and not self.gated.part(wide[:count]).spanning:
            count *= 2
        return wide[:count], self.gated.part(wide[:count])

    # ------------------------------------------------------------------------------------ projection

    def support(self, G: np.ndarray) -> np.ndarray:
        """max g_j^T w over unit weights w in the cone, for every block; upper bounds where below `SURE`."""
        return self.project(G, np.full(G.shape[1], SURE))[0]

    def least_support(self, G: np.ndarray) -> np.ndarray:
        """Lower bounds of the support: g_j along the last projection, which lies in the cone."""
        least: np.ndarray = np.einsum("dp,dp->p", G, self._known)
        least[: self.free] = np.linalg.norm(G[:, : self.free], axis=0)
        return least

    def project(self, G: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, Faces]:
        """Norms of the projections on the cones, the projections, and their active rows.

        Norms at or below `level` may be upper bounds, with anything in place of the rest: for multipliers m >= 0
        of the rows R_j of a cone, ||g + R_j^T m|| is such a bound, and the projection the least of them.
        """
        norms, points = np.linalg.norm(G, axis=0), G.copy()
        for j in map(int, np.flatnonzero(norms > level)):
            if j < self.free:
                continue
            m = self._multipliers[:, j] * level[j]
            norms[j] = min(norms[j], np.linalg.norm(G[:, j] + (self._sides[:, j] * m) @ self._rows(j)))
            if norms[j] <= level[j]:
                continue
            points[:, j], m, self._faces[j] = self._nearest(j, G[:, j])
            norms[j] = np.linalg.norm(points[:, j])
            self._multipliers[:, j] = m / level[j]
            if norms[j] > 1e-3 * level[j]:
                self._known[:, j] = points[:, j] / norms[j]
        return norms, points, list(self._faces)

    def _rows(self, j: int) -> np.ndarray:
        """X P_j with rows of norm 1, (n, d)."""
        key = int(self.pattern[j]) if self.whitened else 0
        if key not in self._rows_of:
            rows = self.X @ self.Pt[j].T if self.whitened else self.X
            sizes = np.linalg.norm(rows, axis=1, keepdims=True)
            self._rows_of[key] = np.divide(rows, sizes, out=np.zeros_like(rows), where=sizes > 1e-12 * sizes.max())
        return self._rows_of[key]

    def _nearest(self, j: int, g: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The point of cone j nearest to g, its multipliers and its active rows, found from the last ones."""
        rows, sides, face = self._rows(j), self._sides[:, j], self._faces[j]
        if face is None:
            face = np.flatnonzero(sides * (rows @ g) < 0)[: len(g) // 2]
        found = _from_face(rows, sides, g, face)
        if found is None:
            m = nnls(rows.T * sides, -g)[0]
            face = np.flatnonzero(m)
            found = _from_face(rows, sides, g, face) or (g + (m * sides) @ rows, m, face)
        return found

    def curvature(
        self, active: np.ndarray, flat: np.ndarray, along: np.ndarray, units: np.ndarray, faces: Faces = None
    ) -> np.ndarray:
        """sum_j A_j (flat_j Q_j + along_j e_j e_j^T) A_j^T with Q_j the projection on the face that e_j lies in."""
        rows = [None if faces is None or j < self.free else faces[j] for j in active]
        narrow = np.array([face is not None and len(face) > 0 for face in rows], bool)
        H = super().curvature(active, flat * ~narrow, along, units)
        on_faces = []
        for k in map(int, np.flatnonzero(narrow)):
            face = self._rows(int(active[k]))[rows[k]]
            Q = np.linalg.qr(face.T, mode="complete")[0][:, len(face) :] * flat[k] ** 0.5
            on_faces.append(self.D[:, [active[k]]] * (self.X @ self.inputs(Q, np.repeat(active[k], Q.shape[1]))))
        if on_faces:
            R = np.hstack(on_faces)
            H += R @ R.T
        return H


def _from_face(
    rows: np.ndarray, sides: np.ndarray, g: np.ndarray, face: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The projection on {w : sides * (rows w) >= 0}, its multipliers and active rows; None if guessing finds none.

    A guess is right if the multipliers of its rows are positive and all other rows are on their side: these are
    the conditions of optimality. Rows with negative multipliers leave it, rows on the wrong side enter.
    """
    seen = set()
    slack = INSIDE * np.linalg.norm(g)
    for _ in range(GUESSES):
        own, p = np.zeros(0), g
        if len(face):
            A = rows[face]
            L, failed = lapack.dpotrf(A @ A.T, lower=1)
            if failed:
                return None
            own = -lapack.dpotrs(L, A @ g, lower=1)[0]
            p = g + own @ A
            own = own * sides[face]
        out = sides * (rows @ p)
        out[face] = 0
        wrong = np.flatnonzero(out < -slack)
        kept = face[own > 0]
        if len(kept) == len(face) and not len(wrong):
            m = np.zeros(len(rows))
            m[face] = own
            return p, m, face
        # All at once would overshoot: the worst half, and no more rows than dimensions.
        few = min(max(len(wrong) // 2, 3), max(len(g) - len(kept), 1))
        wrong = wrong[np.argsort(out[wrong])[:few]]
        face = np.sort(np.concatenate([kept, wrong]))
        if face.tobytes() in seen or len(face) > len(g):
            return None
        seen.add(face.tobytes())
    return None
