"""Vertices of zonotopes: plain loops beside `smallnets.geometry.zonotopes` and the searches of `relu_zonotopes`.

No code was published. Plain, as one would write it from the text: a ray for each set of d - 1 points and all signs
around it, one after another, kept in a set; a convex problem as one non-negative least squares problem over all its
multipliers, weights held by a little ridge; a greedy walk that tests each flip for a direction and solves its problem;
every set of signed cells solved in turn. Vectorised: all sets of d - 1 points at once, in NumPy. Results are compared:
cells are equal, losses agree to 1e-6.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from itertools import combinations, combinations_with_replacement, product
from typing import Any

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.optimize import nnls

from neurec_core.draws import Draws
from neurec_papers.relu_zonotopes.engine import search
from neurec_papers.relu_zonotopes.engine.landscape import Landscape, cells_of, signed
from neurec_papers.relu_zonotopes.experiments import setting
from neurec_papers.relu_zonotopes.theory import signed_sets
from smallnets.geometry import patterns, zonotopes

LEAST = 1.0  # seconds over which ours is repeated
RIDGE = 1e-8


def plain_cells(X: np.ndarray) -> set[bytes]:
    """All patterns."""
    n, d = X.shape
    cells = set()
    for subset in combinations(range(n), d - 1):
        ray = np.linalg.svd(X[list(subset)])[2][-1]
        for side in (1, -1):
            signs = side * (X @ ray) > 0
            for choice in product([False, True], repeat=d - 1):
                signs[list(subset)] = choice
                cells.add(signs.tobytes())
    return cells


def vectorised_cells(X: np.ndarray) -> set[bytes]:
    """All patterns, all rays at once."""
    n, d = X.shape
    subsets = np.array(list(combinations(range(n), d - 1)))
    products = X @ np.linalg.svd(X[subsets])[2][:, -1].T
    choices = np.array(list(product([False, True], repeat=d - 1)))
    D = np.concatenate([products > 0, products < 0], axis=1)[:, :, None].repeat(len(choices), axis=2)
    D[np.tile(subsets, (2, 1)), np.arange(2 * len(subsets))[:, None]] = choices.T
    return {column.tobytes() for column in np.unique(D.reshape(n, -1), axis=1).T}


def plain_loss(X: np.ndarray, y: np.ndarray, D: np.ndarray, signs: np.ndarray) -> float:
    """The least mean squared error with these patterns."""
    n, d = X.shape
    m = D.shape[1]
    F = np.hstack([s * D[:, [j]] * X for j, s in enumerate(signs)])
    C = np.zeros((n * m, m * d))
    for j in range(m):
        C[j * n : (j + 1) * n, j * d : (j + 1) * d] = np.where(D[:, [j]], X, -X)
    Q, R = np.linalg.qr(np.vstack([F, np.sqrt(RIDGE) * np.eye(m * d)]))
    rows = solve_triangular(R, C.T, trans="T")
    b = Q[:n].T @ y
    w = solve_triangular(R, b + rows @ nnls(rows, -b)[0])
    return float(np.mean((y - F @ w) ** 2))


def plain_walk(X: np.ndarray, y: np.ndarray, D: np.ndarray, signs: np.ndarray) -> float:
    """The loss at the end of a greedy walk."""
    loss = plain_loss(X, y, D, signs)
    while True:
        best, found = None, loss - 1e-10
        for i, j in product(range(len(X)), range(D.shape[1])):
            flipped = D.copy()
            flipped[i, j] ^= True
            if patterns.all_ones(np.where(flipped[:, [j]], X, -X)[None])[1][0]:
                near = plain_loss(X, y, flipped, signs)
                if near < found:
                    best, found = flipped, near
        if best is None:
            return loss
        D, loss = best, found


def plain_best(X: np.ndarray, y: np.ndarray, m: int) -> float:
    """The least loss of all sets of signed cells."""
    cells = [np.frombuffer(name, bool) for name in sorted(plain_cells(X))]
    units = [(cell, sign) for cell in cells for sign in (1, -1)]
    return min(
        plain_loss(X, y, np.column_stack([cell for cell, _ in some]), np.array([sign for _, sign in some]))
        for some in combinations_with_replacement(units, m)
    )


def plain_walks(X: np.ndarray, y: np.ndarray, starts: np.ndarray, signs: np.ndarray) -> list[float]:
    """The losses at the ends of greedy walks from starts (B, d, m)."""
    return [plain_walk(X, y, X @ W > 0, signs) for W in starts]


def walks(X: np.ndarray, y: np.ndarray, starts: np.ndarray, signs: np.ndarray) -> list[float]:
    """The same by our search."""
    land = Landscape(X, y)
    return [search.greedy(land, signed(land.at(W), signs)).losses[-1] for W in starts]


def _timed(way: Callable[[], Any], least: float = 0.0) -> tuple[float, Any]:
    start, times = time.perf_counter(), 0
    while True:
        found, times = way(), times + 1
        if (spent := time.perf_counter() - start) >= least:
            return spent / times, found


def _row(what: str, plain: tuple[float, Any], ours: tuple[float, Any]) -> dict[str, Any]:
    return {"what": what, "plain, s": plain[0], "ours, s": ours[0], "ratio": plain[0] / ours[0]}


def main() -> None:
    """Print the table."""
    rows = []
    for n, d in ((12, 3), (40, 4)):
        X = Draws(0, [0]).normal("X", n, d)[0]
        plain, ours = _timed(partial(plain_cells, X)), _timed(partial(zonotopes.fan, X), LEAST)
        at_once = _timed(partial(vectorised_cells, X), LEAST)
        assert plain[1] == at_once[1] == {column.tobytes() for column in ours[1].D.T}
        what = f"all cells, n = {n}, d = {d} (ours with rays and neighbours)"
        rows += [_row(what, plain, ours), _row("the same, plain vectorised", at_once, ours)]
    for n, d, m in ((8, 3, 2), (12, 3, 3)):
        draws = Draws(0, range(6))
        starts = draws.normal("W", d, m)
        X, y = setting.points(draws, n, d, "normal")[0], setting.labels(draws, n)[0]
        fan, signs = zonotopes.fan(X), np.where(np.arange(m) % 2, -1, 1)

        plain = _timed(partial(plain_walks, X, y, starts, signs))
        ours = _timed(partial(walks, X, y, starts, signs), LEAST)
        assert np.allclose(plain[1], ours[1], atol=1e-6)
        rows.append(_row(f"six greedy walks, n = {n}, d = {d}, m = {m}", plain, ours))
        one = signed(Landscape(X, y, fan).at(starts[0]), signs)
        D = fan.D[:, cells_of(one)]
        plain = _timed(partial(plain_loss, X, y, D, signs), LEAST)
        ours = _timed(partial(Landscape(X, y, fan).residual, tuple(map(int, one))), LEAST)
        assert np.isclose(plain[1], ours[1][1], atol=1e-6)
        rows.append(_row(f"one convex problem, n = {n}, d = {d}, m = {m}", plain, ours))
    X, y = setting.points(Draws(0, [0]), 8, 3, "normal")[0], setting.labels(Draws(0, [0]), 8)[0]
    plain = _timed(lambda: plain_best(X, y, 2))
    ours = _timed(lambda: search.exhaustive(Landscape(X, y), 2).loss, LEAST)
    assert np.isclose(plain[1], ours[1], atol=1e-6)
    rows.append(_row("the best vertex of all, n = 8, d = 3, m = 2", plain, ours))
    X, y = setting.points(Draws(0, [0]), 12, 3, "normal")[0], setting.labels(Draws(0, [0]), 12)[0]
    land = Landscape(X, y)
    sets = signed_sets(land.cells, 3)
    some = [np.random.default_rng(0).integers(0, land.cells, 3) for _ in range(200)]
    alternating = np.array([1, -1, 1])
    each = _timed(lambda: [plain_loss(X, y, land.fan.D[:, cells], alternating) for cells in some])[0] / len(some)
    ours = _timed(lambda: search.exhaustive(Landscape(X, y), 3).loss)
    rows.append(_row(f"the same, n = 12, d = 3, m = 3 (plain: {sets:,} times one of 200)", (sets * each, None), ours))
    print(pd.DataFrame(rows).to_string(index=False, float_format=lambda value: f"{value:.3g}"))
