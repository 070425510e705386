"""The zonotope Z = sum_i [0, x_i], whose vertices are the activation patterns of one unit.

For a direction w inside a cell of the hyperplanes x_i^T w = 0, the point of Z that is farthest along w is the sum of
the points active at w. So the vertices of Z are the patterns, its edges are flips of a single point, and the cells
themselves are the normal fan of Z: a network of m units has a vertex of Z^m, and training walks between them.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

import numpy as np
import scipy

from ..arguments import array, checked, indices, pattern, sizes_of, whole
from ..errors import InvalidInput
from . import arrangements
from .arrangements import _around
from .patterns import all_ones, distinct

EXACT = 3  # solid angles have a closed form up to this dimension


class MissedCells(UserWarning):
    """Sampled directions met some cells only."""


class Fan(NamedTuple):
    """The normal fan of a zonotope: every cell, its rays, and what lies behind each of its walls.

    D : (n, p) bool, the patterns in lexicographic order, one column per vertex
    H : (d, p) unit directions, each strictly inside its cell
    rays : (r, d) unit vectors, the edges of the cells
    starts : (p + 1,) rays of cell j are ``spans[starts[j]:starts[j + 1]]``
    spans : (r 2^(d - 1),) which ray
    beyond : (p, n) the cell behind hyperplane i, -1 where it is no wall of the cell
    """

    D: np.ndarray
    H: np.ndarray
    rays: np.ndarray
    starts: np.ndarray
    spans: np.ndarray
    beyond: np.ndarray

    @property
    def n(self) -> int:
        """Points."""
        return len(self.D)

    @property
    def p(self) -> int:
        """Cells."""
        return self.D.shape[1]

    @checked(self=sizes_of(p="p"), cell=indices("cell", "", "p"))
    def corners(self, cell: int) -> np.ndarray:
        """Which rays span a cell."""
        return self.spans[self.starts[cell] : self.starts[cell + 1]]

    @checked(self=sizes_of(n="n"), which=indices("points", "_", "n"))
    def over(self, which: np.ndarray) -> Fan:
        """The same cells with patterns over more points, point i equal to point ``which[i]`` of the fan's own."""
        return self._replace(D=self.D[which])

    @checked(self=sizes_of(n="n"), D=pattern("patterns", "n k"))
    def find(self, D: np.ndarray) -> np.ndarray:
        """The cells (k,) whose patterns are the columns of D (n, k) bool, -1 for what is no cell."""
        first, which = distinct(np.hstack([self.D, D]))
        cells = first[which[self.D.shape[1] :]]
        return np.where(cells < self.D.shape[1], cells, -1)


@checked(X=array("points", "n d"))
def fan(X: np.ndarray) -> Fan:
    """All cells with their rays and neighbours.

    Every line on which d - 1 hyperplanes meet gives two rays, and a ray touches the 2^(d - 1) cells in which these
    hyperplanes take all signs.

    Parameters
    ----------
    X : (n, d) array with n >= d, any d rows of which are independent

    Raises
    ------
    InvalidInput : "X (points) must be at least as many as there are inputs, d = 3, got n = 2", "X (points) must not ...
        "
    """
    check_general(X)
    n, d = X.shape
    arrangements.check_affordable(n, d)
    Y = X / np.linalg.norm(X, axis=1, keepdims=True)
    subsets, lines = arrangements.rays(Y)
    subsets, rays = np.concatenate([subsets, subsets]), np.concatenate([lines, -lines])
    touched = _around(Y, subsets, rays)
    patterns = touched.reshape(-1, n).T
    first, which = distinct(patterns)
    D, p, cells = patterns[:, first], len(first), which.reshape(len(rays), -1)
    # Around a ray, two cells that differ in one sign share the wall of that hyperplane; every wall has a ray.
    beyond = np.full((p, n), -1)
    for k, wall in enumerate(subsets.T):
        beyond[cells, wall[:, None]] = cells[:, np.arange(cells.shape[1]) ^ (1 << (d - 2 - k))]
    order = np.argsort(which, kind="stable")
    starts, spans = np.searchsorted(which[order], np.arange(p + 1)), order // cells.shape[1]
    H = np.add.reduceat(rays[spans], starts[:-1]).T  # the middle of a cell's rays lies inside it
    H /= np.linalg.norm(H, axis=0)
    # Rounding is the only way left for this to fail: the rays' own test has passed.
    if p != arrangements.count(n, d) or not np.array_equal(X @ H > 0, D):
        raise InvalidInput(f"X (points) must be in general position: found {p} cells, not {arrangements.count(n, d)}")
    return Fan(D, H, rays, starts, spans, beyond)


@checked(X=array("points", "n d"))
def check_general(X: np.ndarray) -> None:
    """Refuse points whose zonotope has fewer vertices than general position gives; dependent ones show up later.

    Raises
    ------
    InvalidInput : as `fan` says
    """
    _check_enough(X)
    n = len(X)
    if (distinct_rows := len(arrangements.hyperplanes(X))) < n:
        raise InvalidInput(
            f"X (points) must not be zero, equal or parallel to one another, got {n - distinct_rows} of {n} that are"
        )


def _check_enough(X: np.ndarray) -> None:
    n, d = X.shape
    if d < 2:
        raise InvalidInput(f"d (inputs) must be at least 2, the constant 1 of a bias among them, got {d}")
    if n < d:
        raise InvalidInput(f"X (points) must be at least as many as there are inputs, d = {d}, got n = {n}")


@checked(X=array("points", "n d"), D=pattern("patterns", "n p"))
def vertices(X: np.ndarray, D: np.ndarray) -> np.ndarray:
    """Vertices (p, d) of the zonotope of X (n, d): the sums of the points active in each pattern D (n, p)."""
    return D.T @ X


@checked(X=array("points", "n d"), w=array("a direction", "d"))
def support(X: np.ndarray, w: np.ndarray) -> float:
    """max over z in Z of w . z = sum_i max(0, w . x_i)."""
    return float(np.maximum(X @ w, 0).sum())


@checked(n=whole("points"), d=whole("inputs", "[1, inf)"))
def walls(n: int, d: int) -> int:
    """Walls between cells, edges of the zonotope, in general position: n hyperplanes, each cut by the others."""
    return n * arrangements.count(n - 1, d - 1)


@checked(X=array("points", "n d"), h=array("a direction", "d"))
def cone(X: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The cell of one direction, without enumerating the others.

    With a_i = +-x_i turned so that a_i . h > 0, the walls of the cell are the extreme rays of the cone of all a_i, and
    its rays are that cone's facets: one convex hull in d - 1 dimensions has both.

    Parameters
    ----------
    X : (n, d) array as `fan` takes it
    h : (d,) array, strictly inside a cell

    Returns
    -------
    rays : (r, d) unit rays that span the cell
    walls : (q,) increasing, the hyperplanes that bound it

    Raises
    ------
    InvalidInput : "h (a direction) must lie inside a cell: x_i . h = 0 for some point, up to rounding", points that are
        not finite, too few or of short rank
    """
    _check_enough(X)
    if (rank := np.linalg.matrix_rank(X)) < X.shape[1]:
        raise InvalidInput(f"X (points) must span the d = {X.shape[1]} inputs, got rank {rank}")
    sides = np.sign(X @ h)
    # In the middle of the cell no point is near a wall, whatever h does: the hull is computed to all digits.
    middle, found = all_ones((sides[:, None] * X)[None])
    if not sides.all() or not found[0]:
        raise InvalidInput("h (a direction) must lie inside a cell: x_i . h = 0 for some point, up to rounding")
    middle = middle[0]
    basis = np.linalg.svd(middle[None])[2][1:]  # rows orthonormal to the middle
    flat = (X @ basis.T) / (X @ middle)[:, None]
    if X.shape[1] == 2:
        bounds = np.array([flat.argmin(), flat.argmax()])
        normals, offsets = np.array([[-1.0], [1.0]]), flat[bounds, 0] * (1, -1)
    else:
        hull = scipy.spatial.ConvexHull(flat)
        normals, offsets, bounds = hull.equations[:, :-1], hull.equations[:, -1], hull.vertices
    rays = -offsets[:, None] * middle - normals @ basis
    return rays / np.linalg.norm(rays, axis=1, keepdims=True), np.sort(bounds)


@checked(X=array("points", "n d"))
def solid_angles(X: np.ndarray, cells: Fan) -> np.ndarray:
    """The probability (p,) of each cell for a direction of normal weights: its share of all directions.

    Exact: angles between two rays, or spherical triangles around the middle of the cell.

    Parameters
    ----------
    X : (n, d) array, d <= 3
    cells : its fan

    Raises
    ------
    InvalidInput : "d (inputs) must be at most 3 for exact solid angles, got 4: count sampled directions"

    **Source**: vanoosterom1983solid for the triangles.
    """
    d = X.shape[1]
    if d > EXACT:
        raise InvalidInput(
            f"d (inputs) must be at most {EXACT} for exact solid angles, got {d}: count sampled directions"
        )
    if d == 2:
        ends = cells.rays[cells.spans].reshape(-1, 2, 2)
        chord = np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1)
        return np.arcsin(chord / 2) / np.pi
    return np.array([_polygon(cells.rays[cells.corners(j)]) for j in range(cells.D.shape[1])])


@checked(rays=array("rays", "r 3"))
def ordered(rays: np.ndarray) -> np.ndarray:
    """The order (r,) in which rays (r, 3) of a cell go around its middle."""
    middle = rays.mean(axis=0)
    across = np.linalg.svd(middle[None])[2][1:]
    return np.argsort(np.arctan2(*(rays @ across.T).T))


def _polygon(rays: np.ndarray) -> float:
    rays = rays[ordered(rays)]
    a, b = rays, np.roll(rays, -1, axis=0)
    c = rays.mean(axis=0)
    c = c / np.linalg.norm(c)
    volume = np.abs(np.cross(a, b) @ c)
    return float(2 * np.arctan2(volume, 1 + (a * b).sum(axis=1) + (a + b) @ c).sum() / (4 * np.pi))


@checked(X=array("points", "n d"), directions=array("directions", "d k"))
def sampled(X: np.ndarray, directions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The vertices that sampled directions find, and how often.

    A random direction picks each vertex with its solid angle as probability, and slivers are missed: the best vertex
    may be among them.

    Parameters
    ----------
    X : (n, d) array in general position
    directions : (d, k) array, for instance standard normal

    Returns
    -------
    D : (n, q) bool patterns, in lexicographic order
    times : (q,) how many directions have each

    Warns
    -----
    MissedCells : "200000 directions met 88 of 92 cells; enumerate them where n and d allow it"
    """
    check_general(X)
    active = X @ directions >= 0
    first, which = distinct(active)
    if len(first) < (every := arrangements.count(*X.shape)):
        met = f"{directions.shape[1]} directions met {len(first)} of {every} cells"
        warnings.warn(MissedCells(f"{met}; enumerate them where n and d allow it"), stacklevel=2)
    return active[:, first], np.bincount(which, minlength=len(first))
