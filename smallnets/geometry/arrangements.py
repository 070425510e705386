"""The cells that the hyperplanes x_i^T h = 0 cut from the space of directions: all, adjacent, the worst one.

Inside a cell no unit changes its pattern. A zero row cuts nothing and is active everywhere; parallel rows
cut once. A direction says which cell is meant, and every pattern returned is ``X @ h >= 0`` of a direction
strictly inside its cell.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations, product
from math import comb

import numpy as np
import scipy

from ..arguments import array, checked, whole
from ..errors import InvalidInput
from .patterns import Patterns, _pad, distinct

# Signs of candidate patterns held at once by `enumerate`, a byte each.
MOST_SIGNS = 50_000_000
# Unit rows that meet a direction at a smaller cosine are taken to be orthogonal to it.
GRAZING = 1e-9
Score = Callable[[np.ndarray], np.ndarray]


@checked(n=whole("points"), d=whole("dimension", "[1, inf)"))
def count(n: int, d: int) -> int:
    """Cells of n hyperplanes in general position: 2 sum_{k<d} C(n-1, k).

    **Source**: cover1965geometrical, Theorem 1.
    """
    return 2 * sum(comb(n - 1, k) for k in range(d))


@checked(n=whole("points"), d=whole("dimension", "[1, inf)"))
def tried(n: int, d: int) -> float:
    """Signs of all candidates that `enumerate` looks at, for n points in general position in d dimensions."""
    number = n * (2**n if n <= d else comb(n, d - 1) * 2 ** (d - 1))
    return float(number) if number.bit_length() < 1000 else float("inf")


@checked(n=whole("points"), d=whole("dimension", "[1, inf)"))
def check_affordable(n: int, d: int) -> None:
    """Refuse more candidates than can be held.

    Raises
    ------
    InvalidInput : "patterns of n = 400 points in d = 100 dimensions: 1e+120 candidates of 400 signs each are more than
        ..."
    """
    if (signs := tried(n, d)) > MOST_SIGNS:
        raise InvalidInput(
            f"patterns of n = {n} points in d = {d} dimensions: {signs / n:.2g} candidates of {n} signs each "
            f"are more than the {MOST_SIGNS} signs that are tried; sample them instead"
        )


@checked(X=array("points", "B n d"))
def enumerate(X: np.ndarray) -> Patterns:
    """All patterns of each trial, each with a direction strictly inside its cell.

    Every cell is spanned by rays on which d - 1 hyperplanes meet. So all subsets of d - 1 rows are taken, the
    ray on which they vanish, the other rows' signs there and every choice of signs for the subset; the mean of
    a cell's rays lies inside it. Rows of rank r < d are treated in the r dimensions that they span.

    Parameters
    ----------
    X : (B, n, d) array; after leaving out zero rows and all but one of parallel rows, any r of the rest must
        be independent, with r the rank

    Returns
    -------
    Patterns, in lexicographic order of the columns, `count` many of them where no two rows are parallel

    Raises
    ------
    InvalidInput : "X (rows) must be in general position: ..." or "patterns of n = 400 points in 100 dimensions ..."
    """
    columns, gates = zip(*(_cells(x) for x in X), strict=True)
    sizes = np.array([D.shape[1] for D in columns])
    full = np.array([D.all(axis=0).any() for D in columns])
    return Patterns(_pad(columns, sizes.max()), _pad(gates, sizes.max()), sizes, full)


def _cells(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = hyperplanes(X)
    _, S, Vt = np.linalg.svd(rows, full_matrices=False)
    span = Vt[: int((S > GRAZING).sum())]
    Y = rows @ span.T
    m, r = Y.shape
    check_affordable(m, r)
    H = span.T @ (_every_sign(Y) if m == r else _by_rays(Y))
    H /= np.linalg.norm(H, axis=0)
    D = X @ H >= 0
    first, _ = distinct(D)
    # Rounding is the only way left for this to fail: the rays' own test has passed.
    if not len(first) == H.shape[1] == count(m, r) or not np.abs(rows @ H).min() > 0:
        raise InvalidInput(f"X (rows) must be in general position: found {len(first)} cells, not {count(m, r)}")
    return D[:, first], H[:, first]


@checked(X=array("points", "n d"))
def hyperplanes(X: np.ndarray) -> np.ndarray:
    """Unit normals (m, d), one for each set of parallel rows, in order of first appearance."""
    norms = np.linalg.norm(X, axis=1)
    unit = X[norms > 0] / norms[norms > 0, None]
    if not len(unit):
        raise InvalidInput("X (rows) must not all be zero: they cut the directions into no cells")
    kept: list[int] = []
    for i, x in zip(range(len(unit)), unit, strict=True):
        rest = unit[kept] - np.outer(unit[kept] @ x, x)
        if not len(kept) or np.linalg.norm(rest, axis=1).min() > GRAZING:
            kept.append(i)
    return unit[kept]


def _every_sign(Y: np.ndarray) -> np.ndarray:
    """Directions (r, 2^r) that give r independent rows all signs."""
    signs = np.array(list(product([-1.0, 1.0], repeat=len(Y)))).T
    return np.linalg.solve(Y, signs)


@checked(Y=array("unit rows", "m r"))
def rays(Y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The lines on which r - 1 of m >= r hyperplanes in r dimensions meet.

    Parameters
    ----------
    Y : (m, r) array of unit rows in general position

    Returns
    -------
    subsets : (k, r - 1) array, the rows that vanish on each line
    rays : (k, r) array of unit vectors, one of the two rays of each line

    Raises
    ------
    InvalidInput : "X (rows) must be in general position: some 3 of them are dependent"
    """
    m, r = Y.shape
    subsets = np.array(list(combinations(range(m), r - 1))).reshape(comb(m, r - 1), r - 1)
    found = np.linalg.qr(np.swapaxes(Y[subsets], 1, 2), mode="complete").Q[:, :, -1]
    others = np.ones((len(subsets), m), bool)
    np.put_along_axis(others, subsets, False, axis=1)
    if np.abs(found @ Y.T)[others].min() < GRAZING:
        raise InvalidInput(f"X (rows) must be in general position: some {r} of them are dependent")
    return subsets, found


def _around(Y: np.ndarray, subsets: np.ndarray, found: np.ndarray) -> np.ndarray:
    """The cells that touch each ray, (k, 2^(r - 1), m) bool patterns: all signs of the rows that vanish on it."""
    r = Y.shape[1]
    choices = np.array(list(product([False, True], repeat=r - 1))).reshape(2 ** (r - 1), r - 1)
    signs = np.repeat((found @ Y.T > 0)[:, None, :], len(choices), axis=1)
    np.put_along_axis(signs, np.broadcast_to(subsets[:, None], (len(subsets), *choices.shape)), choices[None], axis=2)
    return signs


def _by_rays(Y: np.ndarray) -> np.ndarray:
    """Directions (r, cells), one inside each cell of m > r hyperplanes in general position."""
    m, _ = Y.shape
    subsets, found = rays(Y)
    signs = _around(Y, subsets, found)
    # A cell and its mirror image share a line of rays: only the one in which the first row is active is kept.
    mirrored = ~signs[..., 0]
    signs ^= mirrored[..., None]
    first, cell = distinct(signs.reshape(-1, m).T)
    sides = np.where(mirrored, -1.0, 1.0)
    sums = np.stack([np.bincount(cell, (sides * x[:, None]).ravel(), len(first)) for x in found.T])
    return np.concatenate([sums, -sums], axis=1)


@checked(X=array("points", "n d"), h=array("a direction", "d"))
def neighbours(X: np.ndarray, h: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Patterns of the cells that share a facet with the cell of h.

    Parameters
    ----------
    X : (n, d) array
    h : (d,) array, strictly inside a cell

    Returns
    -------
    D : (n, q) bool array, in the order of the rows that are crossed; parallel rows are crossed together
    H : (d, q) array of unit directions that make them

    Raises
    ------
    InvalidInput : "h (a direction) must lie inside a cell: x_i^T h = 0 for some row"
    """
    rows = hyperplanes(X)
    _check_inside(rows, h)
    H = np.stack([g for g in (_behind(rows, h, i) for i in range(len(rows))) if g is not None], axis=1)
    return X @ H >= 0, H


def _check_inside(rows: np.ndarray, h: np.ndarray) -> None:
    if not (rows @ h).all():
        raise InvalidInput("h (a direction) must lie inside a cell: x_i^T h = 0 for some row")


def _behind(rows: np.ndarray, h: np.ndarray, i: int) -> np.ndarray | None:
    """A unit direction in the cell on the other side of hyperplane i, if that bounds the cell of h.

    With rows oriented so that a_i^T h > 0, it does exactly if a_i is no non-negative combination of the others.
    The remainder r of the best such combination has a_i^T r < 0 <= a_k^T r for all others, and moved a little
    towards h it lies strictly inside the cell behind.
    """
    heights = rows @ h
    A = np.sign(heights)[:, None] * rows
    others = np.delete(A, i, axis=0)
    remainder = others.T @ scipy.optimize.nnls(others.T, A[i])[0] - A[i] if len(others) else -A[i]
    depth = -A[i] @ remainder
    direction = remainder + depth / 2 / np.abs(heights[i]) * h
    # The signs are the certificate; the depth only distinguishes rounding from a real margin.
    if depth < GRAZING**2 or not (others @ direction > 0).all() or not A[i] @ direction < 0:
        return None
    return direction / np.linalg.norm(direction)


@checked(X=array("points", "n d"), starts=array("directions", "d k"), kicks=array("kicks", "r d k", empty=True))
def adversarial(X: np.ndarray, score: Score, starts: np.ndarray, kicks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Patterns with as large a score as a local search finds, one search per start.

    Each kick spans a great circle with the current direction; all cells on it are scored and the best is the
    next. From there the search crosses single hyperplanes as long as a cell next to it scores more. So no
    pattern returned has a better neighbour; the best pattern of all may still be missed.

    Parameters
    ----------
    X : (n, d) array
    score : bool (n, k) array of patterns -> (k,) array, for instance the norms ||X^T D_j l||
    starts : (d, k) array of directions, each strictly inside a cell
    kicks : (rounds, d, k) array, for instance standard normal; no rounds, no circles

    Returns
    -------
    D : (n, q) bool array of distinct patterns, q <= k, the largest score first
    H : (d, q) array of unit directions that make them

    Raises
    ------
    InvalidInput : as `neighbours` does
    """
    rows = hyperplanes(X)
    _check_inside(rows, starts)
    H = starts / np.linalg.norm(starts, axis=0)
    for kick in kicks:
        H = _best_on_circles(X, H, kick, score)
    together = np.abs(X @ rows.T) > (1 - 1e-12) * np.linalg.norm(X, axis=1, keepdims=True)
    H = np.stack([_climb(X, rows, together, score, h=h) for h in H.T], axis=1)
    D = X @ H >= 0
    first, _ = distinct(D)
    first = first[np.argsort(-score(D[:, first]), kind="stable")]
    return D[:, first], H[:, first]


def _climb(X: np.ndarray, rows: np.ndarray, together: np.ndarray, score: Score, *, h: np.ndarray) -> np.ndarray:
    """Cross hyperplanes, those of the largest gain per distance first, until no cell next to it scores more.

    The near ones are the likelier facets: ten times fewer tests at n = 400 than by gain alone.

    together : (n, m) bool, which points change with which hyperplane
    """
    while True:
        D = X @ h >= 0
        now = score(D[:, None])[0] * (1 + GRAZING)
        beyond = score(D[:, None] ^ together)
        for i in np.argsort((now - beyond) / np.abs(rows @ h))[: (beyond > now).sum()]:
            g = _behind(rows, h, i)
            if g is not None and score((X @ g >= 0)[:, None])[0] > now:
                h = g
                break
        else:
            return h


def _best_on_circles(X: np.ndarray, H: np.ndarray, towards: np.ndarray, score: Score) -> np.ndarray:
    """On the great circle through each h and its `towards`, the middle of the arc with the best pattern, or h."""
    n, k = len(X), H.shape[1]
    towards = towards - H * (H * towards).sum(axis=0)
    lengths = np.linalg.norm(towards, axis=0)
    towards = np.divide(towards, lengths, out=np.zeros_like(towards), where=lengths > 0)
    A, B = X @ H, X @ towards
    crossings = np.sort(np.arctan2(-A, B) % np.pi, axis=0)
    widths = np.diff(crossings, axis=0, append=crossings[:1] + np.pi)
    middles = crossings + widths / 2
    # The current direction is angle 0; the second half of the circle mirrors the first.
    angles = np.concatenate([np.zeros((1, k)), middles, middles + np.pi])
    D = A[:, None] * np.cos(angles) + B[:, None] * np.sin(angles) >= 0
    scores = score(D.reshape(n, -1)).reshape(2 * n + 1, k)
    scores[1:][np.concatenate([widths, widths]) < GRAZING] = -np.inf
    best = np.take_along_axis(angles, scores.argmax(axis=0)[None], axis=0)
    moved = H * np.cos(best) + towards * np.sin(best)
    return moved / np.linalg.norm(moved, axis=0)
