"""The gradient flow of ReLU networks, against plain loops of ever shorter steps and closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from test_relu import instance

from neurec_core.dynamics import relu_flow
from neurec_core.dynamics.relu import descend
from neurec_core.dynamics.relu_flow import Stop, flow
from neurec_core.params import BadInput

TOY = np.array([[-0.5, 1.0], [2.0, 1.0]]), np.array([-1.0, 1.0])


def integrated(X, y, W, a, until):
    """The flow by a library's integrator that knows nothing of patterns: its steps shrink wherever one changes."""

    def speed(_, state):
        W, a = state[: m * d].reshape(m, d), state[m * d :]
        H = W @ X.T
        g = ((H > 0) * (y - a @ np.maximum(H, 0))) @ X / n
        return np.concatenate([(a[:, None] * g).ravel(), (W * g).sum(axis=1)])

    (n, d), m = X.shape, len(a)
    return solve_ivp(speed, (0, until), [*W.ravel(), *a], rtol=1e-9, atol=1e-12).y[: m * d, -1].reshape(m, d)


def slid(events):
    return int((events[:, 3] == 0).sum())


@pytest.mark.parametrize(
    ("n", "d", "m", "scale", "correlated"),
    [(16, 16, 20, 0.1, True), (3, 2, 6, 0.5, True), (8, 4, 15, 0.5, True)],
)
def test_it_is_what_an_integrator_gives_where_nothing_slides(n, d, m, scale, correlated):
    X, y, W, a = instance(n, d, m, scale, seed=n + d, correlated=correlated)
    found = flow(X, y, W, a, until=10.0, tolerance=1e-9)
    assert found.ended is Stop.TIME
    assert slid(found.events) == 0
    assert len(found.events) > 0
    # Both make errors of some 1e-9 in each of a few hundred steps, and a boundary is met 1e-10 behind it.
    assert np.allclose(found.W, integrated(X, y, W, a, 10.0), rtol=0, atol=1e-6 * np.abs(found.W).max())


@pytest.mark.parametrize(("n", "d", "m", "scale", "correlated"), [(5, 7, 12, 1.0, False), (7, 5, 40, 0.1, False)])
def test_it_is_the_limit_of_descent_with_ever_shorter_steps_where_neurons_slide(n, d, m, scale, correlated):
    X, y, W, a = instance(n, d, m, scale, seed=n + d, correlated=correlated)
    found = flow(X, y, W, a, until=10.0, tolerance=1e-9)
    assert slid(found.events) > 0
    ends = [descend(X, y, W, a, step=h, steps=round(5 / h)).W for h in (4e-4, 1e-4)]
    far, near = (np.abs(one - found.W).max() / np.abs(found.W).max() for one in ends)
    # Descent crosses to and fro at distances of the order of its step: a quarter of it, a quarter of them.
    assert near < 2e-4
    assert near < 0.4 * far


@pytest.mark.parametrize("scale", [1e-2, 1e-6, 1e-150])
def test_one_point_a_sign_follows_the_logistic_curve(scale):
    # boursier2022gradient: <v, x>/|x| = q*/(1 + (q*/q0 - 1) e^(-2 |D| t)), |D| = |y| |x|/n, q* = |y|/|x|.
    X, y = TOY
    start = scale * X / np.linalg.norm(X, axis=1, keepdims=True)
    D, full = np.abs(y) * np.linalg.norm(X, axis=1) / 2, np.abs(y) / np.linalg.norm(X, axis=1)
    wait = (np.log(1 / scale) / D).min()
    times = wait + np.linspace(-0.9 * wait, 12, 40)
    found = flow(X, y, start, np.sign(y) * scale, until=times[-1], times=times, tolerance=1e-9)
    curves = full / (1 + (full / scale**2 - 1) * np.exp(-2 * D * times[:, None]))
    # The time of the rise is known to the tolerance, over some 2 |D| t of growth.
    assert np.allclose(np.abs(found.As), curves**0.5, rtol=1e-6, atol=0)
    assert scale > 1e-3 or found.spent["alignment"] > 0
    assert np.allclose(found.losses, ((full - curves) ** 2 * np.linalg.norm(X, axis=1) ** 2).mean(axis=1), atol=1e-5)


def test_norms_stay_balanced_and_the_loss_falls():
    X, y, W, a = instance(12, 6, 30, 0.3, seed=5)
    found = flow(X, y, W, 2 * a, until=50.0, times=np.linspace(0, 50, 60), tolerance=1e-8)
    kept = found.As**2 - (found.Ws**2).sum(axis=2)
    assert np.allclose(kept, 4 * a**2 - (W**2).sum(axis=1), atol=1e-6)
    assert (np.diff(found.losses) < 0).all()


def test_exponential_steps_give_what_short_ones_give(monkeypatch):
    X, y, W, a = instance(6, 6, 20, 1e-3, seed=2)
    times = [150.0, 200.0, 400.0]
    found = flow(X, y, W, a, until=400.0, times=times)
    assert found.spent["tail"] > 150
    monkeypatch.setattr(relu_flow, "QUIET", 10**9)
    short = flow(X, y, W, a, until=400.0, times=times, tolerance=1e-9)
    assert short.spent["tail"] == 0
    # A tolerance of 1e-6 in each of some hundred steps.
    assert np.allclose(found.Ws, short.Ws, rtol=0, atol=2e-5 * np.abs(short.W).max())
    assert sum(found.spent.values()) == pytest.approx(400.0)


def test_it_goes_to_the_end_of_a_stiff_problem_and_stops_at_the_target():
    X, y, W, a = instance(6, 6, 20, 1e-3, seed=2)
    found = flow(X, y, W, a, until=1e7, target=1e-9)
    assert found.ended is Stop.TARGET
    assert found.loss < 1e-9
    assert found.spent["tail"] > 0.9 * found.time
    end = descend(X, y, W, a, step=0.01, steps=10**8, target=1e-9)
    # A step is a hundredth of the fastest time scale; what is left of it at the end is the error of the first order.
    assert found.time == pytest.approx(0.02 * end.steps, rel=1e-3)
    before = flow(X, y, W, a, until=found.time * (1 - 1e-6))
    assert before.loss > 1e-9


def test_a_neuron_driven_from_both_sides_slides_with_the_share_that_keeps_it():
    # Active, it is pushed out of the second point; inactive, the first one pulls it back in.
    X, y = np.array([[1.0, 0.0], [0.6, 1.0]]), np.array([-1.0, 1.0])
    W, a = np.array([[0.2, 0.2]]), np.array([-0.3])
    found = flow(X, y, W, a, until=6.0, tolerance=1e-9)
    assert slid(found.events) == 1
    assert abs(found.W @ X[1])[0] < 1e-9
    shorter = [descend(X, y, W, a, step=h, steps=round(3 / h)).W for h in (1e-4, 5e-5)]
    apart = [np.abs(one - found.W).max() for one in shorter]
    assert apart[0] < 1e-3
    assert apart[1] < 0.75 * apart[0]


def drawn(seed):
    """Any small network: labels of both signs, unbalanced for a third of the seeds."""
    rng = np.random.default_rng(seed)
    n, d, m = rng.integers(1, 9), rng.integers(2, 7), rng.integers(1, 15)
    scale = 10.0 ** rng.uniform(-8, 0.5)
    X, y, W = rng.standard_normal((n, d)), rng.standard_normal(n), scale * rng.standard_normal((m, d))
    return X, y, W, rng.choice([-1, 1], m) * np.linalg.norm(W, axis=1) * (1 if seed % 3 else 0.3)


# 0: the output weight of a neuron that slides changes its sign; 148: one point, fitted to the last bit; 163: it dies
# in alignment; 197: a neuron sees a point for a moment, within what would be one step.
@pytest.mark.parametrize("seed", [0, 148, 163, 197, 201, 202, 203])
def test_the_end_does_not_depend_on_the_tolerance(seed):
    start = drawn(seed)
    rough, fine = (flow(*start, until=15.0, tolerance=tolerance) for tolerance in (1e-6, 1e-9))
    assert rough.ended is fine.ended
    assert rough.ended in (Stop.TIME, Stop.DEAD)
    assert rough.time == pytest.approx(fine.time, rel=1e-4)
    assert np.allclose(rough.W, fine.W, rtol=0, atol=1e-3 * np.abs(fine.W).max())


def test_a_loss_far_below_the_tolerance_is_reached():
    start = np.array([[0.1, 0.2], [0.3, 0.1]]), np.array([0.1, 0.2])
    found = flow(np.eye(2), np.ones(2), *start, until=2e3, target=1e-20)
    assert found.ended is Stop.TARGET


def test_tiny_weights_and_a_point_at_the_origin_are_no_trouble():
    X, y = np.array([[1.0, 0.0], [0.0, 0.0], [0.0, 1.0]]), np.array([1.0, 0.0, 2.0])
    W, a = np.array([[1e-308, 1e-308], [3e-308, 1e-308]]), np.array([1e-308, 3e-308])
    found = flow(X, y, W, a, until=3000.0, target=1e-12)
    assert found.ended is Stop.TARGET
    assert found.loss < 1e-12


def test_dead_networks_and_limits_end():
    X = np.eye(2)
    dead = flow(X, np.ones(2), -np.ones((3, 2)), np.ones(3), until=5.0)
    assert (dead.ended, dead.time, dead.loss) == (Stop.DEAD, 0.0, 1.0)
    dies = flow(X, -np.ones(2), np.array([[0.1, 0.2]]), np.array([0.5]), until=1e4)
    assert dies.ended is Stop.DEAD
    assert 0 < dies.time < 1e4
    assert dies.events[:, 1:].tolist() == [[0, 0, -1], [0, 1, -1]]
    X, y, W, a = instance(10, 10, 25, 1.0, seed=20)
    few = flow(X, y, W, a, until=100.0, most=20)
    assert few.ended is Stop.STEPS
    assert few.steps == 20
    assert 0 < few.time < 100


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"y": np.ones(3)}, "y (labels) must be an array of shape (n,) = (2,), got (3,)"),
        ({"until": -1.0}, "until (time of the flow) must be a number in [0, inf), got -1.0"),
        ({"tolerance": 0.1}, "tolerance (error of a step) must be a number in (0, 0.01), got 0.1"),
        ({"most": 0}, "most (steps at most) must be a whole number in (0, inf), got 0"),
        (
            {"times": [2.0, 1.0]},
            "times (when to note the weights) must be numbers that ascend in [0, 5], got [2.0, 1.0]",
        ),
        (
            {"X": np.ones((2, 2))},
            "X (points) must have no parallel rows in the flow, got 2 of 2 rows that are parallel",
        ),
    ],
)
def test_bad_input_is_one_clear_error(changes, message):
    good = {"X": np.eye(2), "y": np.ones(2), "W": np.ones((3, 2)), "a": np.ones(3), "until": 5.0}
    with pytest.raises(BadInput) as error:
        flow(**good | changes)
    assert str(error.value) == message
