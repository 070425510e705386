"""Patterns against a plain loop, the all-ones test against a linear program and against Wendel's count."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.stats import binomtest

from neurec_core import data, patterns, theory
from neurec_core.draws import Draws


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
