"""Randomness by address."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest
from toys import TOY

from neurec_core.draws import Draws
from neurec_core.params import BadInput


def test_a_draw_depends_on_its_own_trial_only():
    together = Draws(7, [0, 3, 5]).normal("X", 4, 2)
    for b, trial in enumerate([0, 3, 5]):
        assert np.array_equal(together[b], Draws(7, [trial]).normal("X", 4, 2)[0])


def test_the_order_of_asking_does_not_matter():
    first, second = Draws(0, [0]), Draws(0, [0])
    X, w = first.normal("X", 3), first.normal("w", 3)
    assert np.array_equal(second.normal("w", 3), w)
    assert np.array_equal(second.normal("X", 3), X)


@given(st.integers(0, 2**63 - 2), st.integers(0, 2**31), st.integers(0, 2**31))
@settings(max_examples=50, deadline=None)
def test_seed_trial_name_and_shape_all_count(seed, trial, other):
    def draw(seed, trial, name, *shape):
        return Draws(seed, [trial]).normal(name, *shape).ravel()[:6].tolist()

    base = draw(seed, trial, "X", 2, 3)
    assert base != draw(seed + 1, trial, "X", 2, 3)
    assert base != draw(seed, trial, "Y", 2, 3)
    assert base != draw(seed, trial, "X", 3, 2)
    assert (base == draw(seed, other, "X", 2, 3)) == (trial == other)


@pytest.mark.parametrize(
    ("seed", "trials", "message"),
    [
        (1.5, [0], r"seed \(seed of every draw\) must be a whole number in .*, got 1\.5"),
        ("0", [0], r"seed \(seed of every draw\) must be a whole number in .*, got '0'"),
        (2**63, [0], r"seed \(seed of every draw\) must be"),
        (0, [-1], r"trials \(numbers of draws\) must be whole numbers in .*, got \[-1\]"),
        (0, [0.5], r"trials \(numbers of draws\) must be whole numbers in .*, got \[0\.5\]"),
    ],
)
def test_what_is_no_address_is_refused(seed, trials, message):
    with pytest.raises(BadInput, match=message):
        Draws(seed, trials)
    with pytest.raises(BadInput, match=message):
        TOY.rows(TOY.params(), seed, trials)


def test_a_name_cannot_run_into_a_shape():
    assert Draws(0, [0]).normal("a1", 23).ravel()[0] != Draws(0, [0]).normal("a", 123).ravel()[0]


def test_draws_are_standard_normal_across_trials():
    # One number per trial: what must be independent is the trials. A correct generator fails this once in 10^4 seeds.
    values = Draws(1, range(4000)).normal("x", 1).ravel()
    assert kstest(values, "norm").pvalue > 1e-4
    assert abs(np.corrcoef(values[:-1], values[1:])[0, 1]) < 4 / np.sqrt(len(values))
