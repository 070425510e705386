"""Closed forms against exact counting and against the random matrices they describe."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from neurec_core import data, patterns, theory
from neurec_core.convex import certify
from neurec_core.draws import Draws


def test_wendel_in_exact_arithmetic():
    for n in range(1, 40):
        for d in range(1, 20):
            exact = Fraction(sum(comb(n - 1, k) for k in range(d)), 2 ** (n - 1))
            assert theory.all_ones_probability(n, d) == pytest.approx(float(exact), rel=1e-12)


def test_wendel_is_one_half_at_twice_the_dimension():
    d = np.arange(1, 300)
    assert np.allclose(theory.all_ones_probability(2 * d, d), 0.5, rtol=1e-12)
    assert (theory.all_ones_probability(d, d) == 1).all()


@pytest.mark.parametrize("plant", ["random", "smallest_singular"])
@pytest.mark.parametrize("ratio", [2.5, 4])
def test_isometry_mean_square_is_that_of_large_random_matrices(plant, ratio):
    d = 120
    draws = Draws(2, range(3))
    X = data.design("gaussian", draws, int(ratio * d), d)
    found = patterns.sample(X, draws.normal("h", d, 300))
    norms, _ = certify.isometry(X, found.D, data.linear_teacher(plant, X, draws).skip)
    # A limit: the smallest singular value of a finite matrix is off by about d^(-2/3) = 4 %, its square by 8 %.
    assert np.mean(norms[found.real] ** 2) == pytest.approx(float(theory.isometry_mean_square(ratio, plant)), rel=0.1)
