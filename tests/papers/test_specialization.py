"""Which neuron matches which: correlations against plain loops, ranks by counting."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.multilayer_dynamics.engine import specialization, teachers


def test_correlations_are_those_of_the_textbook():
    draws = Draws(0, [0, 1])
    T, S = np.maximum(draws.normal("t", 50, 3), 0), np.maximum(draws.normal("s", 50, 5), 0)
    S[1, :, 4] = 0.0  # silent
    T[0, :, 2] = 7.3  # does not vary
    found = specialization.correlations(T, S)
    for b in range(2):
        for i in range(3):
            for j in range(5):
                silent = (b, j) == (1, 4) or (b, i) == (0, 2)
                wanted = 0.0 if silent else np.corrcoef(T[b, :, i], S[b, :, j])[0, 1]
                assert found[b, i, j] == pytest.approx(wanted, abs=1e-13)  # a sum of 50 products, rounded
    assert specialization.live(S)[1].tolist() == [True, True, True, True, False]


def test_the_rank_of_a_winner_counts_those_that_were_nearer():
    first = np.array([[[0.1, 0.5, 0.3, 0.2], [0.9, 0.1, 0.2, 0.3]]])
    last = np.array([[[0.2, 0.5, 0.1, 0.99], [1.0, 0.1, 0.2, 0.3]]])
    assert specialization.winner_ranks(first, last).tolist() == [[2, 0]]
    assert specialization.best(last).tolist() == [[0.99, 1.0]]
    assert specialization.matches(last, 0.5).tolist() == [[2, 1]]


def test_means_are_over_the_neurons_named():
    values, which = np.array([[1.0, 2.0, 9.0], [1.0, 2.0, 3.0]]), np.array([[True, True, False], [False] * 3])
    means = specialization.mean_over(values, which)
    assert means[0] == 1.5
    assert np.isnan(means[1])


@pytest.mark.parametrize("values", teachers.VALUES.values(), ids=teachers.VALUES)
def test_separated_neurons_are_apart(values):
    W = teachers.separated(Draws(3, range(20)), "teacher", 10, 2, values=values)
    assert W.shape == (20, 2, 10)
    assert set(np.unique(W)) == set(values)
    for net in W:
        assert len({tuple(column) for column in net.T}) == 10
        assert net.any(axis=0).all()


def test_separated_neurons_have_the_variance_of_their_values():
    W = teachers.separated(Draws(0, [0]), "teacher", 2000, 30, values=teachers.VALUES["five"])
    assert W.var() == pytest.approx(0.125, abs=0.002)  # of 60,000 picks: four standard errors
    alone = teachers.separated(Draws(0, [5]), "teacher", 8, 1, values=teachers.VALUES["nine"])[0]
    beside = teachers.separated(Draws(0, [1, 5]), "teacher", 8, 1, values=teachers.VALUES["nine"])[1]
    assert sorted(alone[0]) == [v for v in teachers.VALUES["nine"] if v], "all there are, after many redraws"
    assert np.array_equal(alone, beside)


def test_more_neurons_than_there_are_is_refused():
    with pytest.raises(BadInput, match=r"neurons \(of a separated layer\) must be at most 24 with 2 inputs and 5"):
        teachers.separated(Draws(0, [0]), "teacher", 25, 2, values=teachers.VALUES["five"])


@pytest.mark.parametrize("words", ["", "10-", "10-0", "a", "3,4"])
def test_widths_are_read_or_refused(words):
    assert teachers.widths("10-15") == (10, 15)
    with pytest.raises(BadInput, match=r"widths \(neurons of the hidden layers\) must be whole numbers above 0"):
        teachers.widths(words)


@pytest.mark.parametrize("words", ["", "fast", "-1", "5:0.1", "0:0.2,x:0.1", "0:inf", "0.1,0.2"])
def test_rates_are_read_or_refused(words):
    assert teachers.rates("0.05", 3).tolist() == [0.05] * 3
    assert teachers.rates("0:0.2,2:0.1", 4).tolist() == [0.2, 0.2, 0.1, 0.1]
    with pytest.raises(BadInput, match=r"rate \(step size\) must be a number above 0, or epoch:number pairs"):
        teachers.rates(words, 3)


def test_a_normalized_layer_has_neurons_of_norm_one():
    layer = teachers.default_layer(Draws(0, [0, 1]), "layer", 30, 4)
    assert np.abs(layer.W).max() <= 30**-0.5
    small = teachers.normalized(layer)
    assert np.allclose(np.linalg.norm(small.W, axis=1), 1, atol=1e-4)  # up to the published 1e-5
    assert np.allclose(small.b / small.W[:, 0], layer.b / layer.W[:, 0])
