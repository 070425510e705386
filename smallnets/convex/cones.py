"""Two signed blocks a pattern, their weights confined to the cone in which a ReLU unit has that pattern.

The exact programs ask for u_j, v_j in K_j = {w : (2 D_j - I) X P_j w >= 0} with outputs A_j (u_j - v_j). Here -v_j is
stored: a minus block has its weights in -K_j, and both signs have one map A_j. Columns: the free blocks (the skip
connection), a plus block a pattern, then a minus block a pattern.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..arguments import array, checked, whole
from . import _faces
from ._faces import INSIDE, Limits
from .blocks import BLOCKS, Blocks, Faces

SURE = 0.999  # support values below this may be upper bounds
AGREED = 1e-10  # upper and lower bounds of a support value that differ by less are the value


class Cones(Blocks):
    """The signed blocks of an exact program, for everything that solves a relaxed one.

    Parameters
    ----------
    gated : one block per pattern; the first `free` of them unconfined
    inside : (d, p) directions on the inputs that make the patterns; those of free blocks are not read
    free : how many blocks have no cone and one sign

    A whitened block of rank r < d has d - r coordinates in the null space of D_j X. They cost nothing and put out
    nothing, but move the points on which a unit is inactive: weights lie in the cone if with some such move they do.
    The move is left out of the weights; `decode.into_cones` makes it.

    **Source**: wang2025overparameterized, eqs. (6), (11), (16); differs: in (16) the moves are 0, which shuts out
    units of the network.
    """

    @checked(gated=BLOCKS, inside=array("directions", "d p"), free=whole("blocks without a cone"))
    def __init__(self, gated: Blocks, inside: np.ndarray, free: int = 0) -> None:
        p = gated.D.shape[1]
        self.pattern = np.concatenate([np.arange(p), np.arange(free, p)])
        self._set(gated.X, gated.D[:, self.pattern], gated.whitened, gated.points)
        if gated.whitened:
            self.__dict__["Pt"] = gated.Pt[self.pattern]
        self._gated, self.free = gated, free
        self._sides = (2 * self.D - 1) * np.repeat([1.0, -1.0], [p, p - free])
        self._limits_of: dict[int, Limits] = {}
        # Along inputs that are zero everywhere directions are left out: they put out nothing.
        self._inside, self._room = self._interior(inside * np.any(gated.X, axis=0, keepdims=True).T)
        # What the last projections knew: multipliers in units of the level, active rows, and the direction taken.
        self._multipliers = np.zeros_like(self.D)
        self._guesses: list[np.ndarray | None] = [None] * len(self.pattern)
        self._faces: list[np.ndarray | None] = [None] * len(self.pattern)
        self._known = np.zeros((gated.X.shape[1], len(self.pattern)))

    @property
    def gated(self) -> Blocks:
        """The blocks without cones and signs; indices of plus blocks are the same."""
        return self._gated

    @cached_property
    def even(self) -> Cones:
        """As for the blocks without cones."""
        even = self.gated.even
        return self if even is self.gated else Cones(even, self._inside * self.units[:, None], self.free)

    def adjoint(self, dual: np.ndarray) -> np.ndarray:
        """All A_j^T l, (d, 2p - free)."""
        return self.gated.adjoint(dual)[:, self.pattern]

    def weighed(self, factors: np.ndarray) -> Cones:
        """As for the blocks without cones; these stay what they are."""
        return Cones(self.gated.weighed(factors), self._inside, self.free)

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
                able[j] = self._hold(j, self._sides[:, j], w)
        return able

    # ------------------------------------------------------------------------------------ feasible weights

    def _interior(self, inside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Unit weights (d, p) inside the cones, and whether they are: (n, p) slacks, of a free block inf."""
        p, heights = inside.shape[1], self.X @ inside
        W = self.gated.coordinates(inside)
        sizes = np.linalg.norm(W, axis=0)
        room = np.full((len(self.X), p), np.inf)
        for j in range(self.free, p):
            limits = self._limits(j)
            confines = (limits.sizes > 0) & (sizes[j] > 0)  # a zero row confines nothing
            scale = limits.sizes[confines] * sizes[j]
            room[confines, j] = self._sides[confines, j] * heights[confines, j] / scale
        return np.divide(W, sizes, out=np.zeros_like(W), where=sizes > 0), room

    def signed(self, W: np.ndarray) -> np.ndarray:
        """Weights (d, p) of the gated blocks as weights of the signed ones; 0 for those that are in neither cone."""
        signed = np.zeros((len(W), len(self.pattern)))
        signed[:, : self.free] = W[:, : self.free]
        for j in range(self.free, W.shape[1]):
            for sign, column in ((1, j), (-1, j + W.shape[1] - self.free)):
                if self._hold(j, sign * self._sides[:, j], W[:, j]):
                    signed[:, column] = W[:, j]
                    break
        return signed

    def _hold(self, j: int, sides: np.ndarray, w: np.ndarray) -> bool:
        """Whether weights lie in a cone of a pattern, up to rounding, whatever units they are in."""
        return self.even._limits(j).hold(sides, self.units * w)

    def correction(self, residual: np.ndarray) -> np.ndarray:
        """Small weights with sum_j A_j w_j = residual, inside the widest cones; (d, 2p - free)."""
        if self.even is not self:
            return self.even.correction(residual) / self.units[:, None]
        W = np.zeros((self.X.shape[1], len(self.pattern)))
        widest, blocks = self._widest
        W[:, widest] = blocks.correction(residual)
        for j in map(int, widest[widest >= self.free]):
            minus = j + self._gated.D.shape[1] - self.free
            out = np.maximum(-self._sides[:, j] * (self._limits(j).rows @ W[:, j]) / self._room[:, j], 0).max()
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

    def spanning_units(self) -> tuple[np.ndarray, np.ndarray]:
        """As for the blocks without cones; for a cone those nearest to the axes, and some around its middle."""
        d, p = len(self.units), self._gated.D.shape[1]
        limits, axes = self.even._limits(0), np.vstack([np.eye(d), -np.eye(d)])
        owners, units = [np.repeat(np.arange(self.free), d)], [np.tile(np.eye(d), self.free)]
        for j in range(self.free, p):
            sides, middle = self._sides[:, j], self.units * self._inside[:, j]
            middle /= np.linalg.norm(middle)
            room = (sides * (limits.rows @ middle)).min(where=limits.sizes > 0, initial=np.inf)
            around = (middle + min(room, 1.0) / 2 * np.vstack([np.zeros(d), axes])) / self.units
            near = [limits.nearest(sides, axis, None, self.units)[0] for axis in axes]
            found = np.vstack([around, near])
            sizes = np.linalg.norm(found, axis=1)
            units.append((found[sizes > 0] / sizes[sizes > 0, None]).T)
            owners.append(np.full(units[-1].shape[1], j))
        return np.concatenate(owners), np.hstack(units)

    # ------------------------------------------------------------------------------------ projection

    def support(self, G: np.ndarray) -> np.ndarray:
        """max g_j^T w over unit weights w in the cone, for every block; upper bounds where below `SURE`."""
        level, known = np.full(G.shape[1], SURE), np.linalg.norm(G, axis=0)
        some = np.flatnonzero(known > level)
        some = some[some >= self.free]
        known[some] = np.minimum(known[some], self._bound(G, level, some))
        # Bounds that agree need no projection.
        level[some[known[some] - self.least_support(G)[some] <= AGREED]] = np.inf
        return np.minimum(self.project(G, level)[0], known)

    def least_support(self, G: np.ndarray) -> np.ndarray:
        """Lower bounds of the support: g_j along the last projection, which lies in the cone."""
        least: np.ndarray = np.einsum("dp,dp->p", G, self._known)
        least[: self.free] = np.linalg.norm(G[:, : self.free], axis=0)
        return least

    def project(self, G: np.ndarray, level: np.ndarray) -> tuple[np.ndarray, np.ndarray, Faces]:
        """Norms of the projections on the cones, the projections, and the equations of the faces they lie in.

        Norms at or below `level` may be upper bounds, with anything in place of the rest: for multipliers m >= 0
        of the rows R_j of a cone, ||g + R_j^T m|| is such a bound, and the projection the least of them.
        """
        norms, points = np.linalg.norm(G, axis=0), G.copy()
        some = np.flatnonzero(norms > level)
        some = some[some >= self.free]
        norms[some] = np.minimum(norms[some], self._bound(G, level, some))
        some = some[norms[some] > level[some]]
        units, sizes = (None, None) if self.even is self else (self.units, self._of_even)
        for j in map(int, some[~self._settled(G, norms, some)]):
            near = self.even._limits(j).nearest(self._sides[:, j], G[:, j], self._guesses[j], units)
            points[:, j], m, self._guesses[j], self._faces[j] = near
            norms[j] = np.linalg.norm(points[:, j])
            self._multipliers[:, j] = (m if sizes is None else m * sizes) / level[j]
        clear = some[norms[some] > 1e-3 * level[some]]
        self._known[:, clear] = points[:, clear] / norms[clear]
        return norms, points, list(self._faces)

    def _bound(self, G: np.ndarray, level: np.ndarray, some: np.ndarray) -> np.ndarray:
        """What the multipliers that are known say of the norms of some projections."""
        moves = self._sides[:, some] * self._multipliers[:, some] * level[some]
        if not self.whitened:
            return np.linalg.norm(G[:, some] + self._limits(0).rows.T @ moves, axis=0)
        found = [G[:, j] + own @ self._limits(j).rows for j, own in zip(map(int, some), moves.T, strict=True)]
        return np.linalg.norm(np.reshape(found, (len(some), len(G))), axis=1)

    def _settled(self, G: np.ndarray, norms: np.ndarray, some: np.ndarray) -> np.ndarray:
        """Which of some vectors lie in their cones, and are their own projections, noted as such."""
        if self.whitened:  # each pattern has rows of its own
            return np.zeros(len(some), bool)
        rows, even, sizes = self.even._limits(0).rows, G[:, some], norms[some]
        if self.even is not self:
            even = self.units[:, None] * even
            sizes = np.linalg.norm(even, axis=0)
        inside: np.ndarray = (self._sides[:, some] * (rows @ even)).min(axis=0) >= -INSIDE * sizes
        self._multipliers[:, some[inside]] = 0
        for j in some[inside]:
            self._guesses[j], self._faces[j] = np.zeros(0, int), rows[:0]
        return inside

    def limits(self, walls: np.ndarray | bool = True) -> tuple[np.ndarray, list[np.ndarray], np.ndarray, np.ndarray]:
        """Of all cones {w : R w + C z >= 0 for some z in R^c}, one after another, what confines their weights.

        Parameters
        ----------
        walls : (n, 2p - free) which points' rows are enough, where that is known

        Returns
        -------
        rows R (k, d); lifts C of each cone, none where no cone has any; the point and the block of each row, (k,)
        """
        each = [self._limits(j) for j in range(len(self.pattern))]
        confines = (np.column_stack([limits.sizes for limits in each]) > 0) & walls
        confines[:, : self.free] = False
        owners, points = np.nonzero(confines.T)
        sides = self._sides[points, owners, None]
        if not self.whitened:
            return sides * each[0].rows[points], [], points, owners
        rows = np.concatenate([limits.rows[own] for limits, own in zip(each, confines.T, strict=True)])
        lifts = [(self._sides[:, [j]] * limits.lifts)[confines[:, j]] for j, limits in enumerate(each)]
        return sides * rows, lifts if any(own.size for own in lifts) else [], points, owners

    def of_even(self, multipliers: np.ndarray) -> np.ndarray:
        """Multipliers (n, 2p - free) of the rows of these cones as those of the same rows of `even`."""
        sizes = self._of_even[:, None]
        return np.divide(multipliers, sizes, out=np.zeros_like(multipliers), where=sizes > 0)

    def remember(self, multipliers: np.ndarray) -> None:
        """Take multipliers (n, 2p - free) of the rows of `even`, which prove that a dual vector is feasible."""
        if self.even is not self:
            multipliers = multipliers * self._of_even[:, None]
        self._multipliers = multipliers / SURE
        for j in range(self.free, len(self.pattern) if self.whitened else 0):
            if self._limits(j).lifts.size:  # these satisfy equations, which others than ours do but nearly
                self._multipliers[:, j] = 0

    @cached_property
    def _of_even(self) -> np.ndarray:
        """How many times the multipliers of `even` those of the same rows in these units are, (n,)."""
        sizes, even = self._limits(0).sizes, self.even._limits(0).sizes
        return np.divide(sizes, even, out=np.zeros(len(sizes)), where=even > 0)

    def _limits(self, j: int) -> Limits:
        """What confines both cones of a pattern."""
        key = int(self.pattern[j]) if self.whitened else 0
        if key not in self._limits_of:
            P = self.Pt[j].T if self.whitened else None
            self._limits_of[key] = _faces.limits(self.X, self.D[:, j], P)
        return self._limits_of[key]

    def curvature(
        self, active: np.ndarray, flat: np.ndarray, along: np.ndarray, units: np.ndarray, *, faces: Faces = None
    ) -> np.ndarray:
        """sum_j A_j (flat_j Q_j + along_j e_j e_j^T) A_j^T with Q_j the projection on the face that e_j lies in."""
        equations = [None if faces is None or j < self.free else faces[j] for j in active]
        narrow = np.array([own is not None and len(own) > 0 for own in equations], bool)
        H = super().curvature(active, flat * ~narrow, along, units)
        on_faces = []
        for k, own in enumerate(equations):
            if own is not None and narrow[k]:
                Q = np.linalg.qr(own.T, mode="complete")[0][:, len(own) :] * flat[k] ** 0.5
                on_faces.append(self.D[:, [active[k]]] * (self.X @ self.inputs(Q, np.repeat(active[k], Q.shape[1]))))
        if on_faces:
            R = np.hstack(on_faces)
            H += R @ R.T
        return H
