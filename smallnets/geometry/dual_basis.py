"""Points x_1 .. x_d, their dual basis, and when one neuron is the network of least norm.

For labels y_i = max(0, v . x_i) > 0 and independent points, the teacher's neuron v is the only network of least norm
that fits if M < 0, and is none of them if M > 0 (chistikov2023learning, Theorem 8). M compares angles between the
cones that the dual basis spans: it is the maximum of a difference of two convex functions, found here with a bound.
"""

from __future__ import annotations

from itertools import combinations
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, number
from ..errors import InvalidInput

# Below this ratio of the smallest to the largest singular value of the unit points, their dual basis is not trusted.
INDEPENDENT = 1e-7
# Coefficients of unit vectors that are negative by rounding only.
ROUNDING = 1e-12
# From here on the sign of M is certain in spite of rounding in the dual basis of such points.
CERTAIN = 1e-9
# Simplices that are looked into at once, at most.
MOST_SIMPLICES = 200_000


class Margin(NamedTuple):
    """What is known about M: ``least <= M <= most``.

    p, q : (d,) unit vectors in the cones of two complementary parts of the dual basis with
        cos(p, q) - sin(p, v) = least, which proves it
    """

    least: float
    most: float
    p: np.ndarray
    q: np.ndarray

    @property
    def sign(self) -> int:
        """The sign of M where it is certain, otherwise 0."""
        return int(self.least > CERTAIN) - int(self.most < -CERTAIN)


@checked(X=array("points", "n d"))
def dual_basis(X: np.ndarray) -> np.ndarray:
    """The rows chi_k of (X^T)^-1: chi_k . x_i is 1 for k = i and 0 otherwise.

    Parameters
    ----------
    X : (d, d) array, one point per row

    Raises
    ------
    InvalidInput : "X (points) must be as many as their dimensions, got shape (3, 2)", or linearly independent, or
        finite

    **Source**: chistikov2023learning, beside Theorem 8.
    """
    if X.shape[0] != X.shape[1]:
        raise InvalidInput(f"X (points) must be as many as their dimensions, got shape {X.shape}")
    sizes = np.linalg.norm(X, axis=1, keepdims=True)
    values = np.linalg.svd(X / np.where(sizes > 0, sizes, 1), compute_uv=False)
    if not values[-1] > INDEPENDENT * values[0]:
        condition = values[0] / values[-1] if values[-1] else np.inf
        raise InvalidInput(f"X (points) must be independent, got unit points of condition {condition:.2g}")
    return np.linalg.inv(X / sizes).T / sizes


@checked(X=array("points", "n d"))
def obtuse(X: np.ndarray) -> bool:
    """Whether no two vectors of the dual basis meet at an acute angle: then M < 0, as for orthogonal points.

    Parameters
    ----------
    X : (d, d) array, as in `dual_basis`

    **Source**: chistikov2023learning, beside Theorem 8: the inverse Gram matrix has no positive entry off its diagonal.
    """
    chi = dual_basis(X)
    chi /= np.linalg.norm(chi, axis=1, keepdims=True)
    return bool((chi @ chi.T - np.eye(len(chi))).max() <= ROUNDING)


# --------------------------------------------------------------------------------------------------------- M


@checked(X=array("points", "n d"), v=array("teacher", "d"), tolerance=number("of M", "(0, 1]"))
def margin(X: np.ndarray, v: np.ndarray, tolerance: float = 1e-9) -> Margin:
    """The largest cos(p, q) - sin(p, v) over p in cone{chi_k : k in K}, q in cone{chi_k : k not in K}, all parts K.

    For unit q free, g(p) = max p . q is convex and so is h(p) = |p - (p . v) v|; M is the largest (g - h) / |p|. On a
    simplex of directions, g is at most what its corners' values say and h at least a linear function that touches it
    in the middle: an upper bound whose error falls with the square of the diameter. Simplices are halved until all
    bounds are within the tolerance of the best corner. The result is a maximum over all of them, not a local one.
    Two points have M < 0 if they meet v at angles below 60 degrees. At angles a <= b on opposite sides of v,
    M = -cos b - cos(a + b), which is negative just if b + a/2 < 90 degrees.

    Parameters
    ----------
    X : (d, d) array, independent points; their lengths do not matter
    v : (d,) array, the teacher, v . x_i > 0; its length does not matter
    tolerance : of M, in (0, 1]

    Returns
    -------
    Margin; `most - least` exceeds the tolerance where it would have taken more than `MOST_SIMPLICES` at once

    Raises
    ------
    InvalidInput : as `dual_basis` does; "X (points) must number at least 2, got 1"; "v (teacher) must meet every point
        at an acute angle, got 1 of 3 that it does not"

    **Source**: chistikov2023learning, Theorem 8; the bound is derived here.
    """
    chi = dual_basis(X)
    _check(X, v)
    chi, v = chi / np.linalg.norm(chi, axis=1, keepdims=True), v / np.linalg.norm(v)
    parts = [_Part(chi, v, inside) for size in range(1, len(X)) for inside in combinations(range(len(X)), size)]
    while True:
        best = max(parts, key=lambda part: part.best)
        for part in parts:
            part.keep(best.best + tolerance)
        count = sum(len(part.simplices) for part in parts)
        if not count or 2 * count > MOST_SIMPLICES:
            break
        for part in parts:
            part.halve()
    most = max([best.best + tolerance, *(part.bounds.max(initial=-np.inf) for part in parts)])
    p = best.p
    q = best.others(p[None])[1][0]
    return Margin(float(p @ q - _away(p, v)), most, p, q)


def _check(X: np.ndarray, v: np.ndarray) -> None:
    if len(X) < 2:
        raise InvalidInput("X (points) must number at least 2, got 1")
    if wrong := np.sum(X @ v <= 0):
        raise InvalidInput(
            f"v (teacher) must meet every point at an acute angle, got {wrong} of {len(X)} that it does not"
        )


def _away(P: np.ndarray, v: np.ndarray) -> np.ndarray:
    """|p - (p . v) v|, for unit p sin(p, v)."""
    return np.linalg.norm(P - (P @ v)[..., None] * v, axis=-1)


class _Part:
    """One choice of K: the simplices of directions p whose bounds are above what was found.

    Parameters
    ----------
    chi : (d, d) array, the dual basis, unit rows
    v : (d,) array, the teacher, unit
    inside : K
    """

    def __init__(self, chi: np.ndarray, v: np.ndarray, inside: tuple[int, ...]) -> None:
        self._v = v
        outside = [k for k in range(len(chi)) if k not in inside]
        faces = [chi[list(face)] for r in range(1, len(outside) + 1) for face in combinations(outside, r)]
        self._faces = [(face, np.linalg.pinv(face)) for face in faces]
        self.best, self.p = -np.inf, chi[inside[0]]
        self.simplices = chi[None, list(inside)]  # (N, |K|, d)
        self._values = self._look(self.simplices[0])[None]
        self.bounds = self._bound()

    def others(self, P: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """g(p) = max p . q and the unit q in the other cone, ``(N,)`` and ``(N, d)``, of unit p.

        The best q is the projection of p on the span of some face, where that lies in the cone; else one of its rays.
        """
        best, Q = np.full(len(P), -np.inf), np.zeros_like(P)
        for face, inverse in self._faces:
            shares = P @ inverse
            q = np.maximum(shares, 0) @ face
            size = np.linalg.norm(q, axis=1)
            inside = (shares >= -ROUNDING).all(axis=1) & (size > 0)
            if len(face) == 1:  # a ray is there whatever p is
                q, size, inside = np.broadcast_to(face, P.shape), np.ones(len(P)), np.ones(len(P), bool)
            q = q / np.where(size > 0, size, 1)[:, None]
            found = np.where(inside, np.einsum("nd,nd->n", P, q), -np.inf)
            Q = np.where((found > best)[:, None], q, Q)
            best = np.maximum(best, found)
        return best, Q

    def _look(self, P: np.ndarray) -> np.ndarray:
        """g at unit vectors p; notes the best p."""
        g = self.others(P)[0]
        values = g - _away(P, self._v)
        if values.max() > self.best:
            self.best, self.p = float(values.max()), P[values.argmax()]
        return g

    def _bound(self) -> np.ndarray:
        """Upper bounds of (g - h) / |p| on the simplices, ``(N,)``."""
        middle = self.simplices.sum(axis=1)
        touch = middle - (middle @ self._v)[:, None] * self._v
        touch /= np.linalg.norm(touch, axis=1, keepdims=True)
        ahead = np.einsum("nkd,nd->nk", self.simplices, middle / np.linalg.norm(middle, axis=1, keepdims=True))
        corners = self._values - np.einsum("nkd,nd->nk", self.simplices, touch)
        # |p| lies between the share of p along the middle and 1, for sums of corners with weights that sum to 1.
        wide = corners > ahead
        ratios = np.where(corners > 0, corners / np.where(wide, 1, ahead), corners)
        return np.where(wide & (corners > 0), 1.0, ratios).max(axis=1)

    def keep(self, level: float) -> None:
        """Drop the simplices whose bounds are not above a level."""
        kept = self.bounds > level
        self.simplices, self._values, self.bounds = self.simplices[kept], self._values[kept], self.bounds[kept]

    def halve(self) -> None:
        """Split every simplex in the middle of its longest edge."""
        if not len(self.simplices):
            return
        N, k, _ = self.simplices.shape
        cosines = self.simplices @ self.simplices.swapaxes(1, 2)
        i, j = np.divmod(cosines.reshape(N, -1).argmin(axis=1), k)
        rows = np.arange(N)
        middle = self.simplices[rows, i] + self.simplices[rows, j]
        middle /= np.linalg.norm(middle, axis=1, keepdims=True)
        g = self._look(middle)
        halves, values = np.repeat(self.simplices[None], 2, axis=0), np.repeat(self._values[None], 2, axis=0)
        for half, corner in enumerate((i, j)):
            halves[half, rows, corner], values[half, rows, corner] = middle, g
        self.simplices, self._values = np.concatenate(halves), np.concatenate(values)
        self.bounds = self._bound()


# ------------------------------------------------------------------------------------------------ where M > 0


class Pair(NamedTuple):
    """Two neurons: hidden weights W (2, d), output weights a (2,)."""

    W: np.ndarray
    a: np.ndarray

    @property
    def norm(self) -> float:
        """|theta|^2 / 2, half the sum of the squared weights."""
        return float((self.W**2).sum() + (self.a**2).sum()) / 2


@checked(X=array("points", "n d"), v=array("teacher", "d"), p=array("witness", "d"), q=array("witness", "d"))
def cheaper(X: np.ndarray, v: np.ndarray, p: np.ndarray, q: np.ndarray) -> Pair:
    """Two neurons that fit the labels of a unit neuron v at less norm, by witnesses of M > 0.

    With r = p - (p . q) q, the second neuron puts out a positive multiple of p on the points of K and nothing on the
    others, so that the first, v - xi p, may turn away from v. With the largest xi that keeps its labels positive up
    to cos(p, v) - sin(p, q), |theta|^2 = 2 - xi (2 (cos(p, v) - sin(p, q)) - xi) <= 2 - xi^2. If p meets v at an obtuse
    angle, the first is v + xi p, the second counts negative, and xi = -cos(p, v) - sin(p, q).

    Parameters
    ----------
    X : (d, d) array, independent points
    v : (d,) array, a unit vector with v . x_i > 0
    p, q : (d,) arrays, unit vectors as in `Margin`, with least > 0

    Raises
    ------
    InvalidInput : as `margin` does; "p and q (witnesses) must have cos(p, q) > sin(p, v), got 0.1 below it"

    **Source**: chistikov2023learning, proof of Theorem 8.
    """
    _check(X, v)
    if (short := float(_away(p, v) - p @ q)) >= 0:
        raise InvalidInput(f"p and q (witnesses) must have cos(p, q) > sin(p, v), got {short:.3g} below it")
    shares = X @ p
    inside = shares > CERTAIN * np.abs(shares).max()
    others = X @ q
    wrong = max(-shares.min(), np.abs(others[inside]).max(initial=0), -others.min())
    if wrong > CERTAIN * np.abs(X).max():
        raise InvalidInput("p and q (witnesses) must lie in the cones of two complementary parts of the dual basis")
    r = p - (p @ q) * q
    side, size = np.sign(p @ v), float(np.linalg.norm(r))
    xi = side * (p @ v) - size
    if side > 0:
        xi = min(xi, ((X @ v)[inside] / shares[inside]).min())
    return Pair(np.stack([v - side * xi * p, np.sqrt(xi / size) * r]), np.array([1.0, side * np.sqrt(xi * size)]))
