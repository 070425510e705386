"""Alignment in closed form against plain loops, an integrator, and what is known of yardsticks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from neurec_core.dynamics.alignment import align
from neurec_core.params import BadInput

EXTENDED = np.finfo(np.longdouble).eps < 1e-18


def network(seed, n=10, d=10, m=25, *, scale=1.0, balanced=True, labels="mixed"):
    """(X, y, W, a): Gaussian points and weights; labels of both signs, or those of a neuron near all points."""
    rng = np.random.default_rng(seed)
    X, y = rng.normal(size=(n, d)), rng.normal(size=n)
    if labels == "teacher":
        X, y = X * (0.3 / d) ** 0.5 + np.eye(d)[0], None
        y = X[:, 0]
    W, a = scale * rng.normal(size=(m, d)) / (m * d) ** 0.5, rng.choice([-1.0, 1.0], m)
    return X, y, W, a * np.linalg.norm(W, axis=1) if balanced else scale * rng.normal(size=m) / (m * d) ** 0.5


def plain(X, y, W, a, step, steps, *, outputs=False, kind=np.float64):
    """The published loop, or with labels in place of residuals: weights, and rows time, neuron, point, side."""
    X, y, W, a = (np.array(part, kind) for part in (X, y, W, a))
    c, before, events = 2 * kind(step) / len(y), W @ X.T > 0, []
    for k in range(steps + 1):
        H = W @ X.T
        on = H > 0
        events += [(k, j, i, 1 if on[j, i] else -1) for j, i in np.argwhere(on != before)]
        before = on
        if k < steps:
            r = y - a @ np.maximum(H, 0) if outputs else y
            G = c * r * on
            W, a = W + a[:, None] * (G @ X), a + (G * H).sum(axis=1)
    return W, a, np.array(events).reshape(-1, 4)


def events(run):
    return np.column_stack([run.times, run.neurons, run.points, run.sides])


def close(run, W, a, tolerance):
    """Whether each neuron is where it should be, in units of its size."""
    size = np.hypot(np.linalg.norm(W, axis=1), a)
    return (np.hypot(np.linalg.norm(run.W - W, axis=1), run.a - a) <= tolerance * size).all()


def angles(one, other):
    """Angles between rows, from chords."""
    one, other = (part / np.linalg.norm(part, axis=1, keepdims=True) for part in (one, other))
    return 2 * np.arcsin(np.minimum(np.linalg.norm(one - other, axis=1) / 2, 1))


# ----------------------------------------------------------------------------------------------------------- descent

CASES = {
    "default": {"seed": 0, "labels": "teacher"},
    "mixed labels": {"seed": 1},
    "few dimensions": {"seed": 2, "n": 6, "d": 3, "m": 40},
    "many points": {"seed": 3, "n": 30, "d": 4, "m": 15},
    "more dimensions": {"seed": 4, "n": 8, "d": 30, "m": 15},
    "unbalanced": {"seed": 5, "balanced": False},
    "one point": {"seed": 6, "n": 1, "d": 1, "m": 8, "balanced": False},
}


@pytest.mark.parametrize("name", CASES)
def test_descent_is_the_plain_loop(name):
    """10^4 steps. The loop runs in extended precision, where that exists: in double its own rounding is 1e-12."""
    net = network(**CASES[name])
    run = align(*net, step=0.01, until=10_000, most=100_000)
    W, a, crossings = plain(*net, 0.01, 10_000, kind=np.longdouble)
    assert (run.ended == 10_000).all()
    assert np.array_equal(events(run), crossings)
    assert len(crossings) > 1
    assert close(run, W, a, 1e-12 if EXTENDED else 1e-10)


def test_descent_with_tiny_outputs_is_the_plain_loop():
    """Outputs change the pulls by their share of the labels, at most 25 (3e-12)^2 (growth 10^4)^2 < 1e-14 here."""
    net = network(7, labels="teacher", scale=1e-12)
    run = align(*net, step=0.01, until=400)
    W, a, crossings = plain(*net, 0.01, 400, outputs=True)
    assert np.array_equal(events(run), crossings)
    assert close(run, W, a, 1e-12)
    assert np.abs(W).max() < 1e-8


@pytest.mark.parametrize("step", [0.2, 1.0, 1.3, 3.0, 1e3])
def test_steps_may_be_so_long_that_every_one_turns_neurons_round(step):
    net = network(8, n=6, d=4, balanced=False)
    run = align(*net, step=step, until=25, most=1000)
    W, a, crossings = plain(*net, step, 25)
    assert np.array_equal(events(run), crossings)
    assert close(run, W, a, 1e-12)


def test_a_neuron_may_collapse():
    """Chattering on a line, neurons shrink to 10^-14 of their size and are followed no less well for that."""
    rng = np.random.default_rng(1054)
    n, d, m = (*rng.integers(1, [9, 6]), 12)
    X, y, W, a = rng.normal(size=(n, d)), rng.normal(size=n), rng.normal(size=(m, d)), rng.normal(size=m)
    run = align(X, y, W, a, step=0.3, until=899)
    W, a, crossings = plain(X, y, W, a, 0.3, 899, kind=np.longdouble)
    assert (np.abs(a) < 1e-13).any()
    assert np.array_equal(events(run), crossings)
    assert close(run, W, a, 1e-12 if EXTENDED else 1e-10)


def test_p_minus_a_may_vanish_in_one_step():
    """c G = 1 to the bit."""
    W, a = np.array([[3.0, 1.0]]), np.array([-1.0])
    run = align(np.array([[1.0, 0.0]]), np.ones(1), W, a, step=0.5, until=1)
    assert (run.W.tolist(), run.a.tolist()) == ([[2.0, 1.0]], [2.0])


def test_a_neuron_with_too_many_events_is_given_up():
    net = network(1)
    every = align(*net, step=0.01, until=3000, most=10**6)
    many = int(np.median(np.bincount(every.neurons)))
    some = align(*net, step=0.01, until=3000, most=many, times=[0, 1500, 3000])
    gone = some.ended < 3000
    assert gone.any()
    assert not gone.all()
    assert np.isnan(some.As[2, gone]).all()
    assert np.array_equal(some.W[~gone], every.W[~gone])
    assert not np.isnan(some.As[2, ~gone]).any()
    for j in np.flatnonzero(gone):
        up_to = align(net[0], net[1], net[2][[j]], net[3][[j]], step=0.01, until=int(some.ended[j]))
        assert close(up_to, some.W[[j]], some.a[[j]], 1e-13)
        assert np.bincount(some.neurons)[j] >= many


# -------------------------------------------------------------------------------------------------------------- flow


def test_one_move_is_the_yardstick():
    """Chistikov et al., Propositions 13 and 14: norm and angle of a balanced neuron that no point turns."""
    X, y, W, a = network(9, n=4, d=6, m=80, labels="teacher")
    run = align(X, y, W, a, step=None, until=2.0)
    on = W @ X.T > 0
    quiet = on.any(axis=1) & ~np.isin(np.arange(len(a)), run.neurons)
    g = on[quiet] * y @ X / len(y)
    G, w, s = np.linalg.norm(g, axis=1), W[quiet], np.sign(a[quiet])
    p, size = np.sum(w * g, axis=1) / G, np.linalg.norm(w, axis=1)
    assert quiet.sum() > 5
    assert run.a[quiet] * s == pytest.approx(size * np.cosh(2 * G) + s * p * np.sinh(2 * G), rel=1e-13)
    cosine = np.tanh(np.arctanh(p / size) + 2 * s * G)
    assert np.sum(run.W[quiet] * g, axis=1) / G / np.abs(run.a[quiet]) == pytest.approx(cosine, rel=1e-13)
    assert run.pull[quiet] == pytest.approx(g, rel=1e-14)


def integrated(X, y, w, a, until):
    """The flow of one neuron, from one crossing to the next: its end, or the time at which it slides; crossings."""
    n, t, state, on = len(y), 0.0, np.append(w, a), w @ X.T > 0
    found = []
    while True:
        g = (y * on) @ X / n
        walls = [lambda _, u, i=i: u[:-1] @ X[i] for i in range(n)]
        for i, wall in enumerate(walls):
            wall.terminal, wall.direction = True, -1.0 if on[i] else 1.0
        ran = solve_ivp(
            lambda _, u, g=g: np.append(u[-1] * g, u[:-1] @ g), (t, until), state, events=walls,
            method="DOP853", rtol=1e-12, atol=1e-15,
        )  # fmt: skip
        t, state = ran.t[-1], ran.y[:, -1]
        if ran.status == 0:
            return state, np.array(found).reshape(-1, 3)
        (i,) = [i for i in range(n) if len(ran.t_events[i])]
        both = [np.sign(state[-1] * (g - (on[i] - side) * y[i] * X[i] / n) @ X[i]) for side in (0, 1)]
        if both[0] > 0 > both[1]:
            return t, np.array(found).reshape(-1, 3)
        on[i] = not on[i]
        found.append((t, i, 1 if on[i] else -1))


@pytest.mark.parametrize("balanced", [True, False])
def test_the_flow_is_what_an_integrator_finds(balanced):
    """The integrator is asked for 1e-12 a step; crossings at small angles bring its errors to 1e-10 or so."""
    X, y, W, a = network(10, n=6, d=5, m=30, balanced=balanced)
    run, to_the_end, crossed = align(X, y, W, a, step=None, until=4.0), 0, 0
    for j in range(len(a)):
        end, found = integrated(X, y, W[j], a[j], 4.0)
        mine = events(run)[run.neurons == j][: len(found), [0, 2, 3]]
        assert np.array_equal(mine[:, 1:], found[:, 1:])
        assert mine[:, 0] == pytest.approx(found[:, 0], rel=1e-9)
        crossed += len(found)
        if np.ndim(end):
            assert np.isnan(run.sliding[j])
            assert np.append(run.W[j], run.a[j]) == pytest.approx(end, abs=1e-9 * np.linalg.norm(end))
            to_the_end += 1
        else:
            assert run.sliding[j] == pytest.approx(end, rel=1e-9)
    assert to_the_end > 4
    assert crossed > 8


@pytest.mark.parametrize("name", CASES)
def test_descent_with_short_steps_is_the_flow(name):
    """Sliding too, on several boundaries at once: what chatters slides in the limit, up to the order of the step."""
    X, y, W, a = network(**CASES[name])
    flow, error = align(X, y, W, a, step=None, until=2.0), []
    assert (flow.ended == 2).all()
    for step in (1e-3, 1e-4):
        run = align(X, y, W, a, step=step, until=round(1 / step), most=10**6)
        off = np.hypot(np.linalg.norm(run.W - flow.W, axis=1), run.a - flow.a)
        error.append(off / np.hypot(np.linalg.norm(flow.W, axis=1), flow.a))
    assert np.max(error[0]) < 0.1
    assert np.max(error[1]) < max(np.max(error[0]) / 5, 1e-4)


def test_many_boundaries_at_once():
    """The shares of the points that a neuron slides along keep it there; it is at most on as many as leave it a way."""
    X, y, W, a = network(11, n=40, d=20, m=30)
    run = align(X, y, W, a, step=None, until=30.0)
    held = (run.share > 0) & (run.share < 1)
    assert held.sum(axis=1).max() >= 3
    assert (held.sum(axis=1) < 20).all()
    speed = run.pull @ X.T / np.linalg.norm(run.pull, axis=1, keepdims=True) / np.linalg.norm(X, axis=1)
    place = run.W @ X.T / np.linalg.norm(run.W, axis=1, keepdims=True) / np.linalg.norm(X, axis=1)
    # 1e-14 of the sum of the points' sizes, some ten times the pull's; and steps of rounding on the way.
    assert np.abs(speed[held]).max() < 1e-12
    assert np.abs(place[held]).max() < 1e-12
    assert (place[run.share == 1] > -1e-12).all()
    assert (place[run.share == 0] < 1e-12).all()
    assert run.pull == pytest.approx(run.share * y @ X / 40, rel=1e-12, abs=1e-13)
    assert np.array_equal(np.isnan(run.sliding), ~np.isin(np.arange(30), run.neurons[run.sides == 0]))
    assert (events(run)[run.sides == 0, 0] >= run.sliding[run.neurons[run.sides == 0]]).all()


def test_sliding_by_hand():
    """Pulled to x_1 = (1, 0) always and back by x_2 = (1, 2) where active: it slides along x_2's boundary, (2, -1)."""
    X, y = np.array([[1.0, 0.0], [1.0, 2.0]]), np.array([1.0, -1.0])
    w = np.array([[2.0, -3.0]])
    run = align(X, y, w, np.linalg.norm(w, axis=1), step=None, until=40.0, times=[0.0, 39.0, 40.0])
    # Until then p = w_1 gains what makes <w, x_2> = 0, that is 4: 6 + |w'| = e^(t/2) (2 + |w|), |w'| = sqrt(36 + 9).
    begins = 2 * np.log((6 + 45**0.5) / (2 + 13**0.5))
    assert run.sliding == pytest.approx([begins], rel=1e-14)
    assert events(run)[:, 1:].tolist() == [[0, 1, 0]]
    # <x_1 - share x_2, x_2> = 0, and the pull is what is left of x_1 across x_2.
    assert run.share == pytest.approx(np.array([[1, 1 / 5]]), rel=1e-14)
    assert run.pull == pytest.approx(np.array([[0.4, -0.2]]), rel=1e-14)
    assert run.a == pytest.approx([45**0.5 * np.exp(0.2**0.5 * (40 - begins))], rel=1e-13)
    assert run.W[0] / run.a == pytest.approx(np.array([2, -1]) / 5**0.5, rel=1e-13)
    assert run.As[2] / run.As[1] == pytest.approx([np.exp(0.2**0.5)], rel=1e-13)
    assert np.array_equal(run.Ws[[0, 2]], [w, run.W])


def test_a_neuron_whose_output_weight_changes_sign_stops_sliding():
    """The boundary repels it from then on, and it is inactive there, as one starting on it would be."""
    X, y, w, a = np.array([[0.0, -1.0], [1.0, 2.0]]), np.array([-1.0, -1.0]), np.array([[2.0, -1.0]]), 0.5
    run = align(X, y, w, [a], step=None, until=3.0, times=[0.0])
    # x_1 pulls by (0, 1), and 2/5 of x_2 turn that to (-0.4, 0.2): p = -|w|, and a comes to 0 where p + a = p - a.
    r = 5**0.5
    turns = np.log((r + a) / (r - a)) / 2 / (r / 10)
    assert events(run) == pytest.approx(np.array([[0, 0, 1, 0], [turns, 0, 1, -1]]), rel=1e-13)
    # From there on x_1 alone pulls: w_2 = -size/5^(1/2) at that time, and a = 0.
    size = (5 - a**2) ** 0.5
    rest = (3 - turns) / 2
    assert run.W[0] / size == pytest.approx(np.array([2, -np.cosh(rest)]) / r, rel=1e-13)
    assert run.a == pytest.approx([-size / r * np.sinh(rest)], rel=1e-13)


# ------------------------------------------------------------------------------------------------ what is known of both

both = pytest.mark.parametrize(("step", "until"), [(None, 60.0), (0.01, 3000)], ids=["flow", "descent"])


@both
@pytest.mark.parametrize("exact", [True, False])
def test_orthogonal_points(step, until, exact):
    """Points of the other sign become inactive and stay so, and the direction tends to s D_A.

    Also after |w| has grown by 10^20, for points that are orthogonal but for rounding: it counts as zero.
    """
    rng = np.random.default_rng(12)
    Q = np.eye(8) if exact else np.linalg.qr(rng.normal(size=(8, 8)))[0]
    X, y = 3 * Q[:6], rng.choice([-1, 1], 6) * rng.uniform(1, 3, 6)
    W = rng.normal(size=(50, 8))
    s = rng.choice([-1, 1], 50)
    run = align(X, y, W, s * np.linalg.norm(W, axis=1), step=step, until=until)
    active = W @ X.T > 0
    own = active & (s[:, None] * y > 0)
    assert (run.sides == -1).all()
    assert len(run.times) == np.sum(active & ~own)
    assert np.array_equal(run.share == 1, own)
    D = s[:, None] * (own * y @ X)
    grows = own.any(axis=1)
    assert grows.sum() > 30
    assert angles(run.W[grows], D[grows]).max() < 1e-14
    assert np.abs(run.W[grows]).max() > 1e20
    assert np.array_equal(s * run.a > 0, np.ones(50, bool))
    speed = np.linalg.norm(D[grows], axis=1) / 6
    if step is None:
        # cos = tanh(artanh cos0 + |D_A| t): the angle shrinks as exp(-|D_A| t), far below what W itself can tell.
        last = align(X, y, W, s * np.linalg.norm(W, axis=1), step=None, until=until - 1)
        size, of = (np.linalg.norm(r.apart[grows], axis=1) / np.abs(r.a[grows]) for r in (run, last))
        assert np.log(of / size) == pytest.approx(speed, rel=1e-12)
        assert size.min() < 1e-40


@both
def test_a_neuron_of_a_positive_teacher_only_gains_points_or_only_loses_them(step, until):
    """Chistikov et al.: all points within 90 degrees of one another."""
    net = network(13, labels="teacher")
    X, _, W, a = net
    assert (X @ X.T > 0).all()
    run = align(*net, step=step, until=until)
    assert np.array_equal(run.sides, np.sign(a[run.neurons]))
    alive = (W @ X.T > 0).any(axis=1)
    assert np.array_equal(run.share.any(axis=1), alive & (a > 0))
    assert (
        np.bincount(run.neurons, minlength=25).tolist()
        == np.sum(np.where(a[:, None] > 0, (W @ X.T <= 0) & alive[:, None], W @ X.T > 0), axis=1).tolist()
    )


@both
def test_the_motion_is_linear_in_the_scale(step, until):
    X, y, W, a = network(14)
    run, tiny = (align(X, y, c * W, c * a, step=step, until=until // 10, most=10**6) for c in (1, 2.0**-1000))
    assert np.array_equal(events(run), events(tiny))
    assert np.array_equal(run.W, 2.0**1000 * tiny.W)
    odd = align(X, y, 1e-300 * W, 1e-300 * a, step=step, until=until // 10, most=10**6)
    assert np.array_equal(events(run)[:, 1:], events(odd)[:, 1:])
    assert close(odd, 1e-300 * run.W, 1e-300 * run.a, 1e-12)


def test_a_long_way_from_the_smallest_numbers():
    """1e-300 to 1e300 is e^1381."""
    X, y = np.array([[2.0, 0.0]]), np.array([1.5])
    run = align(X, y, np.array([[3e-300, 4e-300]]), np.array([5e-300]), step=None, until=1381 / 3, times=[1.0, 400.0])
    assert run.a[0] == pytest.approx(4e-300 * np.exp(700) * np.exp(681), rel=1e-12)
    assert run.As[1, 0] == pytest.approx(4e-300 * np.exp(600) * np.exp(600), rel=1e-12)
    assert run.apart.tolist() == [[0.0, 4e-300]]
    assert np.isinf(align(X, y, np.ones((1, 2)), np.ones(1), step=None, until=1e4).a).all()


@both
def test_snapshots_are_where_runs_end(step, until):
    net = network(15, balanced=False)
    times = [0, 1, until // 7, until // 7, until // 2, until]
    run = align(*net, step=step, until=until, times=times, most=10**6)
    assert run.Ws.shape == (6, 25, 10)
    assert np.array_equal(run.Ws[0], net[2])
    for k, time in enumerate(times):
        short = align(*net, step=step, until=type(until)(time), most=10**6)
        assert close(short, run.Ws[k], run.As[k], 1e-12)
    for k, (begin, end) in enumerate(pairwise(times)):
        if step is not None:
            on = align(net[0], net[1], run.Ws[k], run.As[k], step=step, until=end - begin, most=10**6)
            assert close(on, run.Ws[k + 1], run.As[k + 1], 1e-11)


@both
def test_nothing_moves_what_is_dead_or_pulled_nowhere(step, until):
    X, y = np.array([[2.0, 0.0], [1.0, 1.0], [1.0, -1.0], [0.0, 1.0]]), np.array([1.0, -1.0, -1.0, 0.0])
    W = np.array([[-2.0, 1.0], [0.0, 0.0], [2.0, 1.0], [0.0, 0.0]])
    a = np.array([1.0, 2.0, -1.0, 1.0])
    run = align(X, y, W, a, step=step, until=until, times=[until])
    assert np.array_equal(run.W, W)
    assert np.array_equal(run.As[0], a)
    assert len(run.times) == 0
    assert (run.ended == until).all()


def test_equal_runs_are_equal_to_the_bit_and_change_nothing():
    net = network(16)
    kept = [part.copy() for part in net]
    one, other = (align(*net, step=None, until=20.0, times=[3.0]) for _ in range(2))
    assert all(np.array_equal(x, y, equal_nan=True) for x, y in zip(one, other, strict=True))
    assert all(np.array_equal(x, y) for x, y in zip(net, kept, strict=True))
    assert (np.diff(one.times) >= 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones(3)}, r"X \(points\) must be an array of shape \(n, d\) = \(any, any\), got \(3,\)"),
        ({"y": np.ones(9)}, r"y \(labels\) must be an array of shape \(n,\) = \(10,\), got \(9,\)"),
        ({"y": np.full(10, np.nan)}, r"y \(labels\) must be finite, got 10 of 10 entries that are not"),
        ({"W": np.ones((25, 9))}, r"W \(hidden weights\) must be an array of shape \(m, d\) = \(any, 10\)"),
        ({"a": np.ones(24)}, r"a \(output weights\) must be an array of shape \(m,\) = \(25,\), got \(24,\)"),
        ({"step": 0.0}, r"step \(step size\) must be a number in \(0, "),
        ({"step": np.nan}, r"step \(step size\) must be a number in \(0, "),
        ({"step": 1e101}, r"step \(step size\) must be a number in \(0, "),
        ({"until": 1.5}, r"until \(iterations\) must be a whole number in \[0, inf\), got 1.5"),
        ({"until": -1}, r"until \(iterations\) must be a whole number in \[0, inf\), got -1"),
        ({"step": None, "until": np.inf}, r"until \(time of the flow\) must be a number in \[0, inf\), got inf"),
        ({"most": 0}, r"most \(events of a neuron\) must be a whole number in \[1, inf\), got 0"),
        ({"times": [3, 2]}, r"times \(when to note the weights\) must be whole numbers that ascend in \[0, 9\]"),
        ({"times": [10]}, r"times \(when to note the weights\) must be whole numbers that ascend in \[0, 9\]"),
        ({"times": [0.5]}, r"times \(when to note the weights\) must be whole numbers that ascend in \[0, 9\]"),
        (
            {"step": None, "X": np.vstack([np.eye(9, 10), -2 * np.eye(1, 10)])},
            r"X \(points\) must have no parallel rows in the flow, got 2 of 10 rows that are parallel",
        ),
        ({"step": None, "times": [np.nan]}, r"times \(when to note the weights\) must be numbers that ascend in"),
    ],
)
def test_bad_input_is_refused(change, message):
    X, y, W, a = network(0)
    given = {"X": X, "y": y, "W": W, "a": a, "step": 0.01, "until": 9, **change}
    with pytest.raises(BadInput, match=message):
        align(**given)
