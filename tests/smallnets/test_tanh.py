"""Training tanh networks: two methods against a plain loop and against torch, ends, the finish, bad input."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers import local_linear_recovery as paper
from neurec_papers.local_linear_recovery.engine.levenberg_marquardt import polish
from neurec_papers.local_linear_recovery.experiments.training import SampleSweep
from smallnets.descent import row_arithmetic as arithmetic
from smallnets.descent import tanh
from smallnets.errors import InvalidInput
from smallnets.nets.tanh_nets import NAMES, architecture, jacobian, outputs, placed

rng = np.random.default_rng(0)


def plain(net, theta, X, y, steps, rate, *, adam=False, decay=0.0, tolerance=0.0):
    """The protocol, one network after another; weights, steps taken and loss of each."""
    ends = []
    for w, x, labels in zip(theta.copy(), X, y, strict=True):
        first, second = np.zeros_like(w), np.zeros_like(w)
        for t in range(steps + 1):
            r = outputs(net, w[None], x[None])[0] - labels
            loss = np.mean(r * r)
            if t == steps or loss < tolerance:
                break
            g = 2 / len(r) * r @ jacobian(net, w[None], x[None])[0] + decay * w
            if adam:
                first, second = 0.9 * first + 0.1 * g, 0.999 * second + 0.001 * g * g
                root = np.sqrt(second / (1 - 0.999 ** (t + 1))) + 1e-8
                g = first / (1 - 0.9 ** (t + 1)) / root
            w = w - rate * g
        ends.append((w, t, loss))
    return [np.array(part) for part in zip(*ends, strict=True)]


def instance(net, B=3, n=7, scale=0.5):
    X = rng.standard_normal((B, n, net.d))
    return scale * rng.standard_normal((B, net.size)), X, np.tanh(X[:, :, 0] - X[:, :, -1]) + 0.5 * X[:, :, 0]


# ------------------------------------------------------------------------------------------------------------- steps


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("method", tanh.METHODS)
@pytest.mark.parametrize("optimizer", tanh.OPTIMIZERS)
@pytest.mark.parametrize(("d", "s", "kernels", "biases"), [(5, 3, 1, True), (5, 3, 13, False), (7, 6, 2, True)])
def test_steps_are_those_of_a_plain_loop(name, method, optimizer, d, s, kernels, biases):
    net = architecture(name, d, s, kernels, hidden_bias=biases, output_bias=not biases)
    theta, X, y = instance(net)
    rule = {"steps": 100, "rate": 0.02, "optimizer": optimizer, "weight_decay": 1e-3}
    run = tanh.train(net, theta, X, y, method=method, **rule)
    w, _, loss = plain(net, theta, X, y, 100, 0.02, adam=optimizer == "adam", decay=1e-3)
    # Rounding grows with the steps; sums are in another order.
    np.testing.assert_allclose(run.theta, w, rtol=0, atol=1e-10)
    np.testing.assert_allclose(run.loss, loss, rtol=1e-9)


def test_images_and_single_points_are_trained_alike():
    net = architecture("ws", 4, 2, 2, image=True)
    for n in (1, 2, 9):
        theta, X, y = instance(net, n=n)
        ends = [tanh.train(net, theta, X, y, steps=100, rate=0.05, method=m).theta for m in tanh.METHODS]
        w, _, _ = plain(net, theta, X, y, 100, 0.05)
        for end in ends:
            np.testing.assert_allclose(end, w, rtol=0, atol=1e-11)


def test_the_compiled_tanh_is_one_to_rounding_and_relative_at_zero():
    z = np.concatenate([np.geomspace(1e-30, 1e3, 4001), -np.geomspace(1e-30, 1e3, 4001)])
    u = z.copy()
    arithmetic.tanh_row(u, np.uint64(len(u)), np.uint64(0))
    # The convergent itself is off by 1e-16; a dozen operations are rounded.
    np.testing.assert_allclose(u, np.tanh(z), rtol=2e-15, atol=0)


# -------------------------------------------------------------------------------------------------------------- ends


@pytest.mark.parametrize("method", tanh.METHODS)
def test_training_ends_at_the_tolerance_and_notes_weights_on_the_way(method):
    net = architecture("fc", 5, 3, 1)
    theta, X, y = instance(net)
    marks = (0, 5, 400)
    run = tanh.train(net, theta, X, y, steps=500, rate=0.05, tolerance=0.05, snapshots=marks, method=method)
    w, steps, loss = plain(net, theta, X, y, 500, 0.05, tolerance=0.05)
    assert run.steps.tolist() == steps.tolist()
    assert 5 < steps.min() < 400, "or the test shows nothing"
    np.testing.assert_allclose(run.theta, w, atol=1e-11)
    np.testing.assert_allclose(run.loss, loss, rtol=1e-9)
    np.testing.assert_array_equal(run.shots[:, 0], theta)
    np.testing.assert_allclose(run.shots[:, 1], plain(net, theta, X, y, 5, 0.05)[0], atol=1e-12)
    for b in range(3):
        assert np.isfinite(run.shots[b, 2]).all() == (steps[b] >= 400), "after the end there is nothing to note"
    assert np.isnan(run.earlier[steps < 450]).all()


@pytest.mark.parametrize("method", tanh.METHODS)
def test_the_loss_a_tenth_before_the_end_is_reported(method):
    net = architecture("ns", 5, 3, 1)
    theta, X, y = instance(net)
    run = tanh.train(net, theta, X, y, steps=100, rate=0.02, method=method)
    np.testing.assert_allclose(run.earlier, plain(net, theta, X, y, 90, 0.02)[2], rtol=1e-9)
    none = tanh.train(net, theta, X, y, steps=0, rate=0.02, method=method)
    np.testing.assert_array_equal(none.theta, theta)


@pytest.mark.parametrize("method", tanh.METHODS)
def test_divergence_is_seen(method):
    net = architecture("fc", 5, 3, 2)
    theta, X, y = instance(net)
    run = tanh.train(net, theta, 1e3 * X, 1e300 * y, steps=50, rate=100.0, method=method)
    assert not np.isfinite(run.loss).any()
    assert (run.steps < 50).all()


# ------------------------------------------------------------------------------------------------------------ finish


@pytest.mark.parametrize("n", [12, 60])
def test_the_finish_is_quadratic_near_the_target(n):
    params = SampleSweep(architecture="fc", n=n)
    problem = paper.SAMPLE_SWEEP.sample(params, Draws(0, [0, 1, 2]))
    net = params.network()
    theta = placed(net, problem.teacher) + 0.03 * rng.standard_normal((3, net.size))
    end = polish(net, theta, problem.X, problem.y)
    assert (end.loss < 1e-20).all()
    assert (end.iterations <= 12).all()
    assert not np.array_equal(end.theta, theta)


def test_the_finish_never_makes_the_loss_worse_and_gives_up_in_a_minimum():
    params = SampleSweep(n=40)
    problem, net = paper.SAMPLE_SWEEP.sample(params, Draws(0, [0, 1])), params.network()
    X, y = problem.X, problem.y + 0.1 * rng.standard_normal((2, 40))  # noise: no network fits
    theta = placed(net, problem.teacher) + 0.1 * rng.standard_normal((2, net.size))
    before = np.mean((outputs(net, theta, X) - y) ** 2, axis=1)
    end = polish(net, theta, X, y)
    assert (end.loss < before).all()
    r, J = outputs(net, end.theta, X) - y, jacobian(net, end.theta, X)
    assert np.abs(np.einsum("bn,bnm->bm", r, J)).max() < 1e-5, "a stationary point"


# ----------------------------------------------------------------------------------------------------- what it reports


def test_a_bad_minimum_is_called_stuck_and_a_slow_tail_is_not():
    rows = paper.SAMPLE_SWEEP.rows(SampleSweep(architecture="fc", n=40, steps=100_000), 0, range(12))
    stuck = [row for row in rows if row["stuck"]]
    assert stuck
    assert all(row["train"] > 1e-8 for row in stuck)
    (slow,) = paper.SAMPLE_SWEEP.rows(SampleSweep(n=30, factor=10, steps=20_000), 0, [0])
    assert not slow["stuck"]
    (short,) = paper.SAMPLE_SWEEP.rows(SampleSweep(n=30, steps=5), 0, [0])
    assert not short["stuck"], "five steps tell nothing"
    assert slow["taken"] == 20_000


def test_a_step_too_long_is_a_status():
    (row,) = paper.SAMPLE_SWEEP.rows(SampleSweep(n=20, step=100.0, init=10.0, optimizer="gd", weight_decay=1.0), 0, [0])
    assert row["status"] == Status.DIVERGED
    assert row["test"] is None


def test_float32_ends_at_its_own_floor():
    params = SampleSweep(n=20)
    problem, net = paper.SAMPLE_SWEEP.sample(params, Draws(0, range(3))), params.network()
    theta = placed(net, problem.teacher) + 0.01 * np.random.default_rng(0).standard_normal((3, net.size))
    single, double = (
        tanh.train(net, theta, problem.X, problem.y, steps=2000, rate=0.2, dtype=dtype).loss.max()
        for dtype in ("float32", "float64")
    )
    assert 1e-15 < single < 1e-9
    assert double < 1e-3 * single


# --------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": -1}, r"steps \(how many to take\) must be a whole number in \[0, inf\), got -1"),
        ({"steps": 2.5}, r"steps \(how many to take\) must be a whole number in \[0, inf\), got 2.5"),
        ({"tolerance": np.nan}, r"tolerance \(of the mean squared error\) must be a number in \[0, inf\), got nan"),
        ({"snapshots": (2, 1)}, r"snapshots \(.*\) must be whole numbers that ascend from 0 on, got \(2, 1\)"),
        ({"rate": 0.0}, r"rate \(step size\) must be a number in \(0, inf\), got 0.0"),
        ({"rate": np.nan}, r"rate \(step size\) must be a number in \(0, inf\), got nan"),
        ({"weight_decay": -0.1}, r"weight_decay \(pull towards zero\) must be"),
        ({"optimizer": "adm"}, r"unknown optimizer 'adm': did you mean adam\?"),
        ({"method": "lanes"}, r"unknown method 'lanes'"),
        (
            {"method": "compiled", "dtype": "float32"},
            r"dtype \(numbers computed with\) must be float64 for method compiled",
        ),
        ({"dtype": "float16"}, r"unknown dtype 'float16'"),
        ({"X": np.ones((3, 7, 4))}, r"X \(inputs\) must be an array of shape \(B, n, d\) = .*, got \(3, 7, 4\)"),
        ({"X": np.full((3, 7, 5), np.nan)}, r"X \(inputs\) must be finite"),
        ({"y": np.ones((3, 6))}, r"y \(labels\) must be an array of shape \(B, n\) = \(3, 7\), got \(3, 6\)"),
        ({"theta": np.ones((3, 20))}, r"theta \(weights to start from\) must be an array of shape .*, got \(3, 20\)"),
    ],
)
def test_bad_input_is_refused(change, message):
    net = architecture("fc", 5, 3, 1)
    theta, X, y = instance(net)
    given = {"theta": theta, "X": X, "y": y, "steps": 1, "rate": 0.1, **change}
    with pytest.raises(InvalidInput, match=message):
        tanh.train(net, **given)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"n": 0}, r"n \(training points\) must be a whole number in \[1, 100000\], got 0"),
        ({"s": 6}, r"s \(kernel size\) must be a whole number in \[1, 5\], the inputs, got 6"),
        ({"architecture": "cnn"}, r"architecture \(.*\) must be one of fc, ns, ws, got 'cnn'"),
        ({"step": float("inf")}, r"step \(step size\) must be a number in \(0, 100\], got inf"),
        ({"step": float("nan")}, r"step \(step size\) must be"),
        ({"target": "shifted", "k": 4}, r"k \(kernels of the target\) must be at most s = 3 for shifted ones, got 4"),
        ({"nulled": 4}, r"nulled \(output weights that are zero\) must be at most 3, got 4"),
    ],
)
def test_bad_parameters_are_refused(values, message):
    with pytest.raises(BadInput, match=message):
        SampleSweep(**values)
