"""Exact gradient descent of ReLU networks without biases, against the plain loop."""

from __future__ import annotations

import numpy as np
import pytest
from loops import relu_descent

from smallnets.descent import _relu_trajectory, relu
from smallnets.descent.relu import End, descend
from smallnets.errors import InvalidInput


def instance(n, d, m, scale, seed, correlated=True):
    """Points around a direction, labels of a neuron, balanced weights of that scale."""
    rng = np.random.default_rng(seed)
    mean = rng.standard_normal(d)
    mean /= np.linalg.norm(mean)
    X = mean * correlated + rng.standard_normal((n, d)) * (0.64 if correlated else 1) / d**0.5
    W = scale * rng.standard_normal((m, d)) / (m * d) ** 0.5
    return X, np.maximum(X @ mean, 0), W, rng.choice([-1, 1], m) * np.linalg.norm(W, axis=1)


def in_order(crossings):
    return crossings[np.lexsort(crossings.T[::-1])]


CASES = [
    (10, 10, 25, 1.0, True), (16, 16, 60, 4.0**-7, True), (7, 5, 40, 0.1, False), (6, 9, 30, 1.0, False),
    (1, 3, 4, 1.0, True), (3, 1, 5, 1.0, False), (40, 3, 50, 0.1, True),
]  # fmt: skip


@pytest.mark.parametrize(("n", "d", "m", "scale", "correlated"), CASES)
def test_weights_losses_and_crossings_are_those_of_the_plain_loop(n, d, m, scale, correlated):
    X, y, W, a = instance(n, d, m, scale, seed=n + d)
    steps = 10_000
    Ws, As, losses, crossings = relu_descent(X, y, W, a, 0.01, steps)
    log = [0, 1, 2, 3, 10, 100, 511, 512, 513, 3000, steps]
    end = descend(X, y, W, a, step=0.01, steps=steps, log=log)
    assert end.ended is End.LIMIT or (end.ended is End.STALLED and end.steps < 5000)
    assert end.at.tolist() == [k for k in log if k <= end.steps]
    log = end.at
    # The two round differently in each of 10^4 steps, by 10^-16 each, and in going from preactivations to weights.
    size = np.abs(Ws[-1]).max()
    assert np.allclose(end.Ws, Ws[log], rtol=0, atol=1e-10 * size)
    assert np.allclose(end.As, As[log], rtol=0, atol=1e-10 * size)
    assert np.allclose(end.losses, losses[log], rtol=1e-9, atol=1e-20)
    assert np.allclose(end.W, Ws[-1], rtol=0, atol=1e-10 * size)
    assert np.array_equal(in_order(end.crossings), in_order(crossings))
    assert sum(end.spent.values()) == end.steps


def test_grouped_neurons_take_the_steps_of_free_ones(monkeypatch):
    X, y, W, a = instance(8, 8, 100, 1e-4, seed=3)
    grouped = descend(X, y, W, a, step=0.01, steps=20_000)
    assert grouped.spent["groups"] > 15_000
    monkeypatch.setattr(_relu_trajectory, "GROUP_COST", np.inf)
    free = descend(X, y, W, a, step=0.01, steps=20_000)
    assert free.spent["groups"] == 0
    assert np.allclose(grouped.W, free.W, rtol=0, atol=1e-11 * np.abs(free.W).max())
    assert np.array_equal(in_order(grouped.crossings), in_order(free.crossings))


def test_a_grouped_neuron_is_free_before_it_crosses(monkeypatch):
    # All neurons are grouped that can be, for as few steps as possible.
    monkeypatch.setattr(_relu_trajectory, "GROUP_COST", 0)
    monkeypatch.setattr(_relu_trajectory, "COLUMN_COST", 0)
    monkeypatch.setattr(_relu_trajectory, "LEAST_STEPS", 2)
    monkeypatch.setattr(relu, "FIRST_REGROUPING", 16)
    checked = 0
    for seed in range(30):
        X, y, W, a = instance(12, 4, 30, 1.0, seed)
        Ws, _, _, crossings = relu_descent(X, y, W, a, 0.01, 600)
        _, often = np.unique(crossings[:, 1:], axis=0, return_counts=True)
        if often.max() > 5:
            continue  # a neuron that slides along a boundary crosses it every few steps: rounding decides in which
        end = descend(X, y, W, a, step=0.01, steps=600)
        assert len(crossings) > 20
        assert np.array_equal(in_order(end.crossings), in_order(crossings))
        assert np.allclose(end.W, Ws[-1], rtol=0, atol=1e-10 * np.abs(Ws[-1]).max())
        checked += 1
    assert checked >= 3


def test_a_descent_ends_at_the_first_iteration_below_the_target():
    X, y, W, a = instance(4, 4, 20, 1e-2, seed=1)
    end = descend(X, y, W, a, step=0.05, steps=10**7, target=1e-9)
    assert end.ended is End.TARGET
    assert end.loss < 1e-9
    before = descend(X, y, W, a, step=0.05, steps=end.steps - 1)
    assert before.loss >= 1e-9


def test_the_last_iteration_is_recorded_like_every_other(monkeypatch):
    """Loss, log and target, also where neurons must be grouped anew in just that iteration."""
    for name, value in {"GROUP_COST": 0, "COLUMN_COST": 0, "LEAST_STEPS": 2}.items():  # group wherever possible
        monkeypatch.setattr(_relu_trajectory, name, value)
    X, y, W, a = instance(5, 2, 40, 1.0, seed=4, correlated=False)
    Ws, _, losses, crossings = relu_descent(X, y, W, a, 0.05, 40)
    for steps in range(1, 40):
        end = descend(X, y, W, a, step=0.05, steps=steps, log=[0, steps])
        assert end.at.tolist() == [0, steps]
        assert end.losses == pytest.approx(losses[[0, steps]], rel=1e-9)
        assert end.loss == end.losses[-1]
        assert len(end.crossings) == np.sum(crossings[:, 0] <= steps)
        assert np.allclose([end.W, end.Ws[-1]], Ws[steps], rtol=0, atol=1e-9)
        if losses[steps] < losses[:steps].min():
            reached = descend(X, y, W, a, step=0.05, steps=steps, target=(losses[steps] + losses[:steps].min()) / 2)
            assert (reached.ended, reached.steps) == (End.TARGET, steps)


def test_dead_networks_stalled_ones_and_diverging_ones_end():
    X = np.eye(2)
    dead = descend(X, np.ones(2), -np.ones((3, 2)), np.ones(3), step=0.1, steps=100)
    assert (dead.ended, dead.steps, dead.loss) == (End.DEAD, 0, 1.0)
    # One neuron cannot fit labels of both signs: it fits one and stays.
    stalled = descend(X, np.array([1.0, -1.0]), np.array([[0.1, -0.1]]), np.array([0.2]), step=0.1, steps=10**6)
    assert stalled.ended is End.STALLED
    assert stalled.loss == pytest.approx(0.5)
    diverged = descend(X, np.ones(2), np.full((1, 2), 1e160), np.full(1, 1e160), step=0.1, steps=10**4)
    assert diverged.ended is End.DIVERGED


def moved(X, y, step, end):
    """The relative change of the weights in the next step of a plain loop, zero for neurons that are active nowhere."""
    on = end.W @ X.T > 0
    g = 2 * step / len(y) * (on * (y - end.a @ np.maximum(end.W @ X.T, 0))) @ X
    W = np.linalg.norm(end.a[:, None] * g, axis=1) / np.linalg.norm(end.W, axis=1)
    return max(W.max(), np.abs((g * end.W).sum(axis=1) / end.a).max())


def test_weights_at_rest_end_a_descent_whatever_their_last_bits_do():
    """The last bits stand still, alternate or drift; rounding decides which, but seldom whether weights are at rest."""
    limits = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, d, m = rng.integers(1, 5), rng.integers(1, 4), rng.integers(1, 5)
        X, y, W, a = (rng.normal(size=shape) for shape in ((n, d), n, (m, d), m))
        end = descend(X, y, W, a, step=0.1, steps=10**6)
        limits += end.ended is End.LIMIT
        if end.ended is End.STALLED:
            assert moved(X, y, 0.1, end) < 1e-11, seed  # preactivations have gathered rounding errors
    assert limits <= 5  # of weights that stand still to the last bit alone, 19


def test_a_cycle_is_no_rest():
    """Too large a step: the weights come back after two steps, and 4096 is a multiple of two."""
    end = descend([[1.0]], [1.0], [[0.9]], [0.9], step=0.55, steps=50_001)
    assert (end.ended, end.steps) == (End.LIMIT, 50_001)
    assert moved(np.ones((1, 1)), np.ones(1), 0.55, end) > 0.1


def test_a_long_point_hides_no_motion():
    """A point on which the neuron is inactive has a thousand times the norm of those that it learns slowly from."""
    X, y = np.array([[-1e3, 0, 0], [0, 1, 1e-3], [0, 1, -1e-3]]), [0, 1 + 5e-7, 1 - 5e-7]
    end = descend(X, y, [[1.0, 1.0, 0.0]], [1.0], step=0.1, steps=10**6, log=[500_000])
    assert end.ended is End.LIMIT
    assert end.loss < 0.95 * end.losses[0]


@pytest.mark.parametrize("steps", [100, 700, 10_000])
def test_a_network_dies_at_its_last_crossing_whenever_patterns_are_checked(steps, monkeypatch):
    """A neuron that is active on both points leaves one and then the other."""
    start = np.eye(2), -np.ones(2), np.array([[0.1, 0.2]]), np.array([0.5])
    crossings = relu_descent(*start, 0.1, steps)[3]
    assert len(crossings) == 2
    for patience in (1, 7, relu.FIRST_REGROUPING):
        monkeypatch.setattr(relu, "FIRST_REGROUPING", patience)
        dies = descend(*start, step=0.1, steps=steps, log=np.arange(steps))
        assert (dies.ended, dies.steps, dies.loss) == (End.DEAD, crossings[-1, 0], 1.0)
        assert np.array_equal(dies.at, np.arange(dies.steps + 1))
        assert np.array_equal(dies.crossings, crossings)


def test_a_network_that_is_dead_at_the_start_is_recorded_there():
    dead = descend(np.eye(2), np.ones(2), -np.ones((3, 2)), np.ones(3), step=0.1, steps=100, log=[0, 5])
    assert dead.at.tolist() == [0]
    assert dead.losses.tolist() == [1.0]
    assert np.array_equal(dead.Ws, -np.ones((1, 3, 2)))


def test_a_descent_that_overflows_warns_of_nothing():
    X, y, _, a = instance(5, 4, 10, 1.0, seed=0)
    ends = {
        descend(np.abs(X), y, np.abs(np.outer(a, X[0])) * 10.0**e, a * 10.0**e, step=10.0, steps=99).ended
        for e in (1, 4, 160)
    }
    assert End.DIVERGED in ends


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.ones(3)}, "y (labels) must be an array of shape (n,) = (2,), got (3,)"),
        ({"W": np.ones((3, 4))}, "W (hidden weights) must be an array of shape (m, d) = (any, 2), got (3, 4)"),
        ({"a": np.array([np.nan] * 3)}, "a (output weights) must be finite, got 3 of 3 entries that are not"),
        ({"step": 0.0}, "step (step size) must be a number in (0, inf), got 0.0"),
        ({"steps": 2.5}, "steps (maximum number of iterations) must be a whole number in [0, inf), got 2.5"),
        ({"target": -1.0}, "target (loss below which to end) must be a number in [0, inf), got -1.0"),
        ({"log": [3, 2]}, "log (iterations to record) must be whole numbers that ascend from 0 on, got [3, 2]"),
    ],
)
def test_bad_input_is_refused_by_name(changes, message):
    values = {
        "X": np.eye(2),
        "y": np.ones(2),
        "W": np.ones((3, 2)),
        "a": np.ones(3),
        "step": 0.1,
        "steps": 5,
        **changes,
    }
    with pytest.raises(InvalidInput) as error:
        descend(**values)
    assert str(error.value) == message


@pytest.mark.parametrize("scale", [1e-8, 1e-12, 1e-20, 1e-100])
def test_starts_as_small_as_numbers_get(scale):
    X, y, W, a = instance(10, 10, 25, scale, seed=3)
    log = [0, 5, 100, 1000, 3000]
    end = descend(X, y, W, a, step=0.01, steps=3000, log=log)
    Ws, As, losses, crossings = relu_descent(X, y, W, a, 0.01, 3000)
    size = np.abs(Ws[log]).max(axis=(1, 2))[:, None, None]
    assert np.abs((end.Ws - Ws[log]) / size).max() < 1e-11
    assert np.abs((end.As - As[log]) / size[..., 0]).max() < 1e-11
    assert np.allclose(end.losses, losses[log], rtol=1e-12, atol=0)
    assert np.array_equal(in_order(end.crossings), in_order(crossings))


@pytest.mark.parametrize("tolerance", [1e-6, 1e-8])
def test_many_iterations_at_a_time_are_as_many_single_ones(tolerance, monkeypatch):
    X, y, W, a = instance(5, 5, 30, 1e-3, seed=2)
    run = {"step": 0.02, "steps": 10**7, "target": 1e-8}
    exact = descend(X, y, W, a, **run)
    assert exact.ended is End.TARGET
    log = np.arange(0, exact.steps + 1, 5000)
    exact, quick = descend(X, y, W, a, log=log, **run), descend(X, y, W, a, log=log, tail=tolerance, **run)
    assert quick.spent["tail"] > {1e-6: 0.5, 1e-8: 0.05}[tolerance] * exact.steps
    assert abs(quick.steps - exact.steps) <= 1e-4 * exact.steps
    # The tolerance is an error over the way gone, which is about 1; the loss then tells slow directions apart.
    assert np.abs(quick.W - exact.W).max() < tolerance
    both = min(len(quick.at), len(exact.at))
    assert np.array_equal(quick.at[:both], exact.at[:both])
    assert np.abs(quick.Ws[:both] - exact.Ws[:both]).max() < tolerance
    assert np.allclose(quick.losses[:both], exact.losses[:both], rtol=1e-3)


def test_the_tail_falls_back_where_patterns_differ():
    X, y, W, a = instance(7, 5, 40, 0.1, seed=12, correlated=False)
    run = {"step": 0.01, "steps": 20_000}
    exact, quick = descend(X, y, W, a, **run), descend(X, y, W, a, tail=1e-6, **run)
    assert quick.spent["tail"] == 0
    assert np.allclose(quick.W, exact.W, rtol=0, atol=1e-12)
