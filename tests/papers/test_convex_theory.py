"""Closed forms against exact counting and against the random matrices they describe."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy.stats import binomtest

from neurec_core.draws import Draws
from neurec_papers.convex_recovery import theory
from neurec_papers.convex_recovery.engine import data
from smallnets.convex import certify
from smallnets.convex.blocks import Blocks
from smallnets.geometry import patterns


def test_wendel_in_exact_arithmetic():
    for n in range(1, 40):
        for d in range(1, 20):
            exact = Fraction(sum(comb(n - 1, k) for k in range(d)), 2 ** (n - 1))
            assert theory.all_ones_probability(n, d) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize("plant", ["random", "smallest_singular"])
@pytest.mark.parametrize("ratio", [2.5, 4])
def test_isometry_mean_square_is_that_of_large_random_matrices(plant, ratio):
    d = 120
    draws = Draws(2, range(3))
    X = data.design("gaussian", draws, int(ratio * d), d)
    found = patterns.sample(X, draws.normal("h", d, 300))
    w = data.linear_teacher(plant, X, draws).skip
    squares = []
    for b, p in enumerate(found.sizes):
        blocks = Blocks(X[b], np.column_stack([np.ones(len(X[b]), bool), found.D[b, :, :p]]))
        squares.append(certify.isometry(blocks, certify.Plant.of(np.array([0]), w[b][:, None])).norms[1:] ** 2)
    # A limit: the smallest singular value of a finite matrix is off by about d^(-2/3) = 4 %, its square by 8 %.
    assert np.mean(np.concatenate(squares)) == pytest.approx(float(theory.isometry_mean_square(ratio, plant)), rel=0.1)


@pytest.mark.parametrize("d", [2, 7])
@pytest.mark.parametrize("s", [0.5, 1.5])
def test_separation_probability_is_that_of_points_in_d_dimensions(d, s):
    rng, size, repeats = np.random.default_rng(0), 3, 20_000
    mu = rng.standard_normal((2, d))
    units = mu / np.linalg.norm(mu, axis=1, keepdims=True)
    u = units[0] - units[1]
    # The gate of u is open on exactly the first cluster; the points themselves are drawn, not their projections.
    points = mu[:, None, :] + rng.standard_normal((repeats, 2, size, d)) / s
    opened = points @ u >= 0
    count = int((opened[:, 0].all(axis=1) & ~opened[:, 1].any(axis=1)).sum())
    expected = float(theory.separation_probability(np.abs(mu @ u) / np.linalg.norm(u), s, size))
    assert 0.01 < expected < 0.99
    # A correct formula fails this once in 10^4 seeds.
    assert binomtest(count, repeats, expected).pvalue > 1e-4


def test_separation_probability_at_known_values():
    right_angle = np.full(2, 0.5**0.5)
    # Orthogonal unit centres and 50 points each: 5, 50 and 95 per cent, to the digits given.
    for s, probability in ((2.67, 0.05), (3.48, 0.5), (4.64, 0.95)):
        assert theory.separation_probability(right_angle, s, 50) == pytest.approx(probability, abs=0.01)
    assert theory.separation_probability(np.zeros(2), 1.0, 1) == pytest.approx(0.25)
    grid = theory.separation_probability(np.ones((4, 3, 2)), np.linspace(1, 5, 3), 10)
    assert grid.shape == (4, 3)
    assert (np.diff(grid, axis=1) > 0).all()


@pytest.mark.parametrize("k", [1, 2, 3])
def test_below_the_consistency_ratio_neurons_cannot_be_distinguished(k):
    d, shares = 40, []
    for factor in (0.85, 1.2):
        draws = Draws(1, range(10))
        n = round(factor * theory.consistency_ratio(k) * d)
        X, W = draws.normal("X", n, d), draws.normal("w", d, k)
        gates = X @ W >= 0
        A = (gates[:, :, :, None] * X[:, :, None, :]).reshape(10, n, k * d)
        shares.append(np.mean(np.linalg.matrix_rank(A) == k * d))
    # The number of active points is off by a few of its standard deviations, sqrt(n)/2, or 10 % here, at most.
    assert shares[0] < 0.2
    assert shares[1] > 0.8


def test_consistency_ratios():
    assert theory.consistency_ratio(1) == 2
    assert theory.consistency_ratio(2) == pytest.approx(8 / 3)
    assert theory.consistency_ratio(3) == pytest.approx(24 / 7)


def test_active_points_in_exact_arithmetic():
    for n in range(1, 30):
        for d in range(1, 15):
            exact = Fraction(sum(comb(n, k) for k in range(d, n + 1)), 2**n)
            assert theory.active_points_probability(n, d) == pytest.approx(float(exact), rel=1e-12, abs=1e-15)
