"""Patterns against plain loops, linear programs, brute force and the counts of Wendel and Cover."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import binomtest

from neurec_core.draws import Draws
from neurec_papers.convex_recovery import theory
from neurec_papers.convex_recovery.engine import data
from smallnets.errors import InvalidInput
from smallnets.geometry import arrangements, patterns


def all_ones_by_program(X: np.ndarray) -> bool:
    """The largest margin t with X h >= t, |h| <= 1, by HiGHS: another method and another library."""
    n, d = X.shape
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    limits = [(-1, 1)] * d + [(None, 1)]
    found = linprog(-np.eye(d + 1)[-1], A_ub=np.column_stack([-unit, np.ones(n)]), b_ub=np.zeros(n), bounds=limits)
    return -found.fun > 1e-9


@pytest.mark.parametrize("design", list(data.DESIGNS))
@pytest.mark.parametrize(("n", "d"), [(8, 4), (20, 10), (30, 14), (9, 12), (5, 5)])
def test_all_ones_agrees_with_a_linear_program(design, n, d):
    X = data.design(design, Draws(3, range(8)), n, d)
    h, present = patterns.all_ones(X)
    assert present.tolist() == [all_ones_by_program(x) for x in X]
    assert (np.einsum("bnd,bd->bn", X, h)[present] > 0).all(), "the direction is the certificate"
    assert np.allclose(np.linalg.norm(h, axis=1), present)


def test_all_ones_is_as_frequent_as_wendel_says():
    X = Draws(0, range(400)).normal("X", 12, 6)
    count = int(patterns.all_ones(X)[1].sum())
    # A correct count fails this once in 10^4 seeds; n = 2d, where the probability is 1/2 exactly.
    assert binomtest(count, 400, float(theory.all_ones_probability(12, 6))).pvalue > 1e-4


def test_all_ones_survives_scale_duplicates_and_zero_rows():
    X = Draws(0, [0]).normal("X", 3, 4)
    assert patterns.all_ones(1e-12 * X)[1].all()
    assert patterns.all_ones(np.repeat(X, 2, axis=1))[1].all()
    assert not patterns.all_ones(np.concatenate([X, np.zeros((1, 1, 4))], axis=1))[1].any()
    assert not patterns.all_ones(np.concatenate([X, -X], axis=1))[1].any()


def test_sampled_patterns_are_those_of_a_plain_loop():
    draws = Draws(5, range(4))
    X, H = draws.normal("X", 9, 3), draws.normal("H", 3, 40)
    found = patterns.sample(X, H)
    for b in range(4):
        loop = {tuple((X[b] @ H[b, :, j] >= 0).tolist()) for j in range(40)}
        if found.all_ones[b]:
            loop.add((True,) * 9)
        columns = [tuple(c) for c in found.D[b, :, : found.sizes[b]].T.tolist()]
        assert len(columns) == len(set(columns)), "no pattern stands twice"
        assert set(columns) == loop
        gates = X[b] @ found.H[b, :, : found.sizes[b]] >= 0
        assert np.array_equal(gates, found.D[b, :, : found.sizes[b]]), "each gate makes its pattern"
        assert not found.D[b, :, found.sizes[b] :].any()


def test_the_all_ones_pattern_is_added_where_sampling_misses_it():
    draws = Draws(0, range(30))
    X = draws.normal("X", 10, 6)
    found = patterns.sample(X, draws.normal("H", 6, 5))
    has = [(found.D[b, :, : found.sizes[b]].all(axis=0)).sum() for b in range(30)]
    assert has == found.all_ones.astype(int).tolist()
    assert found.all_ones.any()
    assert not found.all_ones.all()


@pytest.mark.parametrize("n", [1, 7, 8, 9, 20])
def test_distinct_columns_are_those_of_numpy(n):
    D = np.random.default_rng(n).random((n, 300)) < 0.15
    first, which = patterns.distinct(D)
    columns, indices, inverse = np.unique(D, axis=1, return_index=True, return_inverse=True)
    assert np.array_equal(first, indices)
    assert np.array_equal(which, inverse.ravel())
    assert np.array_equal(D[:, first], columns)


def names(D: np.ndarray) -> set[bytes]:
    return {column.tobytes() for column in np.ascontiguousarray(D.T)}


def cells(X: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """All patterns of one trial and their directions, checked."""
    found = arrangements.enumerate(X[None])
    D, H = found.D[0], found.H[0]
    assert D.shape[1] == found.sizes[0] == len(names(D)), "no pattern stands twice"
    assert np.array_equal(X @ H >= 0, D), "each direction makes its pattern"
    assert (X @ H)[X.any(axis=1)].all(), "from strictly inside"
    assert np.array_equal(patterns.distinct(D)[0], np.arange(D.shape[1])), "in order"
    return D, H


@pytest.mark.parametrize(("n", "d"), [(1, 1), (6, 1), (7, 2), (8, 3), (9, 4), (3, 3), (4, 6), (1, 3)])
def test_enumeration_is_what_many_random_directions_find(n, d):
    draws = Draws(1, [0])
    X = draws.normal("X", n, d)[0]
    D, _ = cells(X)
    tried = names(X @ draws.normal("H", d, 300_000)[0] >= 0)
    assert tried <= names(D)
    assert len(tried) >= 0.9 * D.shape[1], "but for cells too small to be hit"
    assert D.shape[1] == arrangements.count(n, d)


def test_enumeration_pads_trials_of_different_sizes():
    X = Draws(0, range(3)).normal("X", 6, 3)
    X[1, 2] = 0
    found = arrangements.enumerate(X)
    assert found.sizes.tolist() == [arrangements.count(n, 3) for n in (6, 5, 6)]
    assert not found.D[1, :, found.sizes[1] :].any()
    ones = [patterns.all_ones(x[None, x.any(axis=1)])[1].item() for x in X]
    assert found.all_ones.tolist() == ones, "whatever a zero row may do"
    assert all(names(patterns.sample(x[None], found.H[[0]]).D[0]) <= names(D) for x, D in zip(X, found.D, strict=True))


def test_enumeration_sees_through_zero_and_parallel_rows():
    X = Draws(2, [0]).normal("X", 6, 3)[0]
    D, _ = cells(X)
    wider, _ = cells(np.vstack([X, np.zeros(3), 3 * X[1], -X[2]]))
    assert names(wider) == names(np.vstack([D, np.ones_like(D[0]), D[1], ~D[2]]))
    inside = X @ np.linalg.qr(np.random.default_rng(0).standard_normal((5, 3)))[0].T
    assert names(cells(inside)[0]) == names(D), "in a subspace of a larger space"


@pytest.mark.parametrize(
    ("rows", "says"),
    [
        ([[1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]], "some 3 of them are dependent"),
        ([[0, 0, 0]], "must not all be zero"),
        (np.random.default_rng(0).standard_normal((60, 12)), "n = 60 points in d = 12 dimensions.*sample them instead"),
    ],
)
def test_enumeration_refuses_what_it_cannot_do(rows, says):
    with pytest.raises(InvalidInput, match=says):
        arrangements.enumerate(np.array([rows], float))


@pytest.mark.parametrize(("n", "d"), [(1, 2), (6, 2), (8, 3), (10, 4), (3, 5)])
def test_neighbours_are_the_cells_one_flip_away(n, d):
    X = Draws(4, [0]).normal("X", n, d)[0]
    D, H = cells(X)
    for j in range(0, D.shape[1], 7):
        near, directions = arrangements.neighbours(X, H[:, j])
        assert np.array_equal(X @ directions >= 0, near)
        assert len(names(near)) == near.shape[1]
        assert names(near) == names(D[:, np.sum(D ^ D[:, [j]], axis=0) == 1])


def test_parallel_rows_are_crossed_together():
    X = Draws(4, [0]).normal("X", 5, 2)[0]
    X = np.vstack([X, np.zeros(2), 2 * X[0], -X[1]])
    D, H = cells(X)
    near = [arrangements.neighbours(X, h)[0] for h in H.T]
    assert {part.shape[1] for part in near} == {2}, "in the plane every cell has two sides"
    assert all(names(part) <= names(D) for part in near)
    with pytest.raises(InvalidInput, match="must lie inside a cell"):
        arrangements.neighbours(X, np.array([-X[0, 1], X[0, 0]]) * 0)


def test_the_adversarial_search_mostly_finds_the_largest_norm():
    draws = Draws(6, range(10))
    hits = 0
    for X, dual, starts, kicks in zip(
        draws.normal("X", 14, 4), draws.normal("dual", 14), draws.normal("h", 4, 6), draws.normal("k", 8, 4, 6),
        strict=True,
    ):  # fmt: skip

        def score(D, X=X, dual=dual):
            return np.linalg.norm(X.T @ (D * dual[:, None]), axis=0)

        D, H = arrangements.adversarial(X, score, starts, kicks)
        assert np.array_equal(X @ H >= 0, D), "each direction makes its pattern"
        assert len(names(D)) == D.shape[1]
        assert (np.diff(score(D)) <= 0).all(), "best first"
        assert score(D)[0] >= score(X @ starts >= 0).max()
        for h, value in zip(H.T, score(D), strict=True):
            assert score(arrangements.neighbours(X, h)[0]).max() <= value + 1e-6, "no better neighbour"
        hits += score(cells(X)[0]).max() <= score(D)[0] + 1e-9
    assert hits >= 7


def test_the_adversarial_search_survives_zero_and_parallel_rows():
    X = Draws(4, [0]).normal("X", 5, 3)[0]
    X = np.vstack([X, np.zeros(3), 2 * X[0], -X[1]])
    dual = np.random.default_rng(0).standard_normal(8)
    starts, kicks = (
        np.random.default_rng(1).standard_normal((3, 4)),
        np.random.default_rng(2).standard_normal((3, 3, 4)),
    )
    found, _ = arrangements.adversarial(X, lambda D: np.linalg.norm(X.T @ (D * dual[:, None]), axis=0), starts, kicks)
    every = cells(X)[0]
    assert names(found) <= names(every)
    largest = np.linalg.norm(X.T @ (every * dual[:, None]), axis=0).max()
    assert np.linalg.norm(X.T @ (found[:, 0] * dual)) == pytest.approx(largest)
