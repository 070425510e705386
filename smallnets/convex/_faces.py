"""The cones of ReLU units with a given activation pattern: what confines weights, and the nearest that are allowed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import scipy

from ..geometry.patterns import all_ones
from ._points import RANK_TOLERANCE, graded_least_squares

GUESSES = 12  # sets of active rows tried from the last one on, before one is computed from nothing
INSIDE = 1e-12  # how far outside its cone, in shares of the vector projected, a projection may lie
ZERO = 1e-12  # rows smaller than this share of the largest are rounding
ROWS = 3  # how many rows, in shares of all, enter a face in turn
LIFTING = (1e3, 1e5, 1e7)  # weights of the multipliers' equations beside the distance, until the solution is optimal
LIFTED = 1e-9  # how far off a solution with such equations may be
Nearest = tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]


class Limits(NamedTuple):
    """The rows of a cone {w : sides * (rows w + lifts z) >= 0 for some z}; with the sides reversed, of its negative.

    rows : (n, d) array
    lifts : (n, c) array; rows and lifts together have rows of norm 1, or 0 where they confine nothing
    sizes : (n,) by which rows and lifts were divided; 0 where nothing is confined
    """

    rows: np.ndarray
    lifts: np.ndarray
    sizes: np.ndarray

    def hold(self, sides: np.ndarray, w: np.ndarray) -> bool:
        """Whether weights lie in the cone, up to rounding."""
        slack, size = sides * (self.rows @ w), np.linalg.norm(w)
        if slack.min() >= -INSIDE * size:
            return True
        return bool(self.lifts.size and np.linalg.norm(self.nearest(sides, w, None)[0] - w) <= LIFTED * size)

    def nearest(
        self, sides: np.ndarray, g: np.ndarray, guess: np.ndarray | None, units: np.ndarray | None = None
    ) -> Nearest:
        """The point of the cone nearest to g, its multipliers, its active rows and the equations of its face.

        Multipliers m >= 0 with lifts^T (sides * m) = 0 prove it: the point is g + rows^T (sides * m). With units (d,)
        very different from one another, the cone is that of all w with units * w in this one, and its rows are
        units * rows.
        """
        if self.lifts.size:
            return _lifted(self.rows * sides[:, None], self.lifts * sides[:, None], g)
        if guess is None:
            guess = np.flatnonzero(sides * (self.rows @ g) < 0)[: len(g) // 2]
        found = _from_face(self.rows, sides, g, guess, units=units)
        if found is None and units is not None:
            found = _by_rows(self.rows, sides, g, units=units)
        elif found is None:
            m = scipy.optimize.nnls(self.rows.T * sides, -g)[0]
            face = np.flatnonzero(m)
            found = _from_face(self.rows, sides, g, face, units=units) or (g + (m * sides) @ self.rows, m, face)
        return *found, self.rows[found[2]]


def limits(X: np.ndarray, active: np.ndarray, P: np.ndarray | None) -> Limits:
    """What confines the weights w of units with a pattern, P w on the inputs, of either sign.

    Parameters
    ----------
    X : (n, d) array
    active : (n,) array of 0s and 1s, the pattern
    P : (d, d) whitening map of the pattern's block, zero columns past its rank r < d: moves in the null space of D_j X
        are then free; None for weights on the inputs
    """
    rows, lifts = X if P is None else X @ P, np.zeros((len(X), 0))
    sizes = np.linalg.norm(rows, axis=1)
    if P is not None and active.any() and not P[:, -1].any():
        move = _null(X[active > 0], int(P.any(axis=0).sum()))
        lifts = np.where(active[:, None] > 0, 0, X @ move)
        far, idle = float(np.linalg.norm(lifts)), active == 0
        if far <= ZERO * len(X):  # inputs that are zero everywhere
            lifts = lifts[:, :0]
        elif all_ones(lifts[None, idle])[1][0]:
            # Some move makes room for anything on all the points on which the unit is inactive.
            rows, lifts = np.where(idle[:, None], 0, rows), lifts[:, :0]
        else:  # in units in which both kinds of coordinates move the points about as far
            lifts *= np.linalg.norm(rows) / far
        sizes = np.linalg.norm(np.column_stack([rows, lifts]), axis=1)
    kept = sizes > ZERO * sizes.max(initial=0)
    sizes = np.where(kept, sizes, 0)
    scale = np.where(kept, sizes, 1)[:, None]
    return Limits(np.where(kept[:, None], rows, 0) / scale, np.where(kept[:, None], lifts, 0) / scale, sizes)


def _null(A: np.ndarray, rank: int) -> np.ndarray:
    """A basis of {z : A z = 0} in units of A's columns, so that it is the same in all units of the inputs."""
    units = np.linalg.norm(A, axis=0)
    units = np.where(units > 0, units, 1)
    return (np.linalg.svd(A / units)[2][rank:] / units).T


def _lifted(S: np.ndarray, C: np.ndarray, g: np.ndarray) -> Nearest:
    """The point of {w : S w + C z >= 0 for some z} nearest to g: its multipliers are m >= 0 with C^T m = 0."""
    size = float(np.linalg.norm(g))
    for weight in LIFTING:
        m = scipy.optimize.nnls(np.vstack([S.T, weight * C.T]), np.append(-g, np.zeros(C.shape[1])))[0]
        z, face = weight**2 * (C.T @ m), np.flatnonzero(m)
        # The equations exactly, on the active rows: m = M t.
        U, values, _ = np.linalg.svd(C[face])
        M = U[:, np.count_nonzero(values > 1e-10) :]
        equations = M.T @ S[face]
        own = M @ np.linalg.lstsq(equations.T, -g, rcond=1e-12)[0]
        point = g + own @ S[face]
        z = z - np.linalg.lstsq(C[face], S[face] @ point + C[face] @ z, rcond=1e-12)[0]
        if own.min(initial=0) >= -LIFTED * size and (S @ point + C @ z).min() >= -LIFTED * size:
            break
    multipliers = np.zeros(len(S))
    multipliers[face] = np.maximum(own, 0)
    return point, multipliers, None, _independent(equations)


def _independent(equations: np.ndarray) -> np.ndarray:
    """Orthonormal rows with the same span."""
    _, values, Vt = np.linalg.svd(equations, full_matrices=False)
    return Vt[values > 1e-10 * values.max(initial=0)]


def _from_face(
    rows: np.ndarray, sides: np.ndarray, g: np.ndarray, face: np.ndarray, *, units: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The projection on {w : sides * (rows w) >= 0}, its multipliers and active rows; None if guessing finds none.

    A guess is right if the multipliers of its rows are positive and all other rows are on their side: these are
    the conditions of optimality. Rows with negative multipliers leave it, rows on the wrong side enter.
    """
    seen = set()
    slack = INSIDE * np.linalg.norm(g)
    for _ in range(GUESSES):
        foot = _foot(rows[face], g, units)
        if foot is None:
            return None
        p, own, even = foot
        own = own * sides[face]
        if units is not None:
            slack = INSIDE * np.linalg.norm(even)
        out = sides * (rows @ even)
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


def _by_rows(
    rows: np.ndarray, sides: np.ndarray, g: np.ndarray, *, units: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `_from_face` from nothing, one row after another: exact where units differ by many powers of ten.

    **Source**: lawson1995solving, ch. 23.
    """
    m, face = np.zeros(len(rows)), np.zeros(0, int)
    p, even = g, units * g
    for _ in range(ROWS * len(rows)):
        out = sides * (rows @ even)
        out[face] = 0
        if out.min() >= -INSIDE * np.linalg.norm(even):
            break
        face = np.append(face, out.argmin())
        foot = _foot(rows[face], g, units)
        if foot is None or foot[1][-1] * sides[face[-1]] <= 0:  # what rounding has left
            face = face[:-1]
            break
        while foot is not None and (found := foot[1] * sides[face]).min(initial=1.0) <= 0:
            back = np.flatnonzero(found <= 0)  # go no farther than to where the first multiplier is 0
            shares = m[face[back]] / (m[face[back]] - found[back])
            m[face] += shares.min() * (found - m[face])
            m[face[back[shares.argmin()]]] = 0
            face = face[m[face] > 0]
            foot = _foot(rows[face], g, units)
        if foot is None:
            break
        p, own, even = foot
        m[face] = own * sides[face]
    return p, m, face


def _foot(A: np.ndarray, g: np.ndarray, units: np.ndarray | None) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """The point p = g + m * A nearest to g on {p : A p = 0}, m, and p again; None if rows depend on one another.

    With units the nearest point on {p : A (units * p) = 0}, and units * p, which may be smaller than what rounding
    leaves of g.
    """
    if not len(A):
        return g, np.zeros(0), g if units is None else units * g
    if units is None:
        L, failed = scipy.linalg.lapack.dpotrf(A @ A.T, lower=1)
        if failed:
            return None
        own = -scipy.linalg.lapack.dpotrs(L, A @ g, lower=1)[0]
        p = g + own @ A
        return p, own, p
    _, values, V = np.linalg.svd(A)
    if values[-1] <= RANK_TOLERANCE or len(A) > len(g):
        return None
    N = V[len(A) :].T
    even = N @ graded_least_squares(N / units[:, None], g)
    even += N @ graded_least_squares(N / units[:, None], g - even / units)  # what rounding left of small shares
    return even / units, graded_least_squares((units * A).T, even / units - g), even
