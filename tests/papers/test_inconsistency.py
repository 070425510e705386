"""The inconsistency paper's experiments: its own numbers, closed forms, plain loops, degenerate draws, bad input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import expm
from scipy.special import gamma
from scipy.stats import ks_2samp, kstest, norm

from benchmarks.published_descent import Networks
from benchmarks.published_descent import live as plain_live
from neurec_core import store
from neurec_core.draws import Draws
from neurec_core.experiment import Grid, Status
from neurec_core.params import BadInput
from neurec_core.sweep import sweep
from neurec_papers.inconsistency import published, theory
from neurec_papers.inconsistency.engine import initial, path, training
from neurec_papers.inconsistency.experiments import crossing, examples, movement
from neurec_papers.inconsistency.experiments.crossing import CROSSING_PROBABILITY
from neurec_papers.inconsistency.experiments.events import EVENT_ESTIMATION, EventEstimation
from neurec_papers.inconsistency.experiments.shared import CrossingProbability
from neurec_papers.inconsistency.experiments.star import STAR
from neurec_papers.inconsistency.view import INSTANCE, Crowd, NetworkInCrowd
from smallnets.descent.line.certificate import hessian
from smallnets.descent.line.data import Outcome, gather, split
from smallnets.descent.line.network import LineNetwork


def solved(trials, **values):
    params, draws = CrossingProbability(**values), Draws(0, range(trials))
    problem = crossing.sample(params, draws)
    return crossing.solve(params, problem, draws), problem, params, draws


# ------------------------------------------------------------------------------------------ the authors' own networks


def test_the_published_tasks_are_those_of_the_repository():
    tasks = published.tasks()
    assert [len(tasks[m]) for m in published.WIDTHS] == [3, 5, 10, 20, 40, 79, 157, 313]
    assert [seed for seed, _, _ in tasks[16]] == [581542748, 28193733, 867279624]
    assert tasks[2048][-1][0] == 221738759
    assert all(sum(nets for _, _, nets in tasks[m]) == 10_000 for m in tasks)


def test_all_published_networks_of_width_16_end_as_in_the_repository():
    ends, *_ = solved(10_000, m=16, rng="published", constant="published")
    steps, left = ends.stats["steps"], ends.stats["left"]
    assert np.bincount(ends.value, minlength=6).tolist() == [0, 0, 0, 3622, 6378, 0]
    assert (left == 1).sum() == 579
    assert round(steps.mean()) == 5963
    assert round(steps[ends.value == 4].mean()) == 8559


def test_early_stopping_ends_as_in_the_repository():
    ends, *_ = solved(10_000, m=16, rng="published", constant="published", criterion="both")
    assert np.bincount(ends.value, minlength=6).tolist() == [0, 0, 0, 3621, 5160, 1219]


def test_published_minibatches_come_from_one_stream_in_turn(monkeypatch):
    monkeypatch.setattr(published, "tasks", lambda: {16: [(5, 0, 6), (6, 6, 6)]})
    published.task.cache_clear()
    training._whole_task.cache_clear()
    values = {"m": 16, "rng": "published", "optimizer": "sgd", "criterion": "early_stopping", "limit": 4000}
    params, draws = CrossingProbability(**values), Draws(0, [7, 9, 11])
    ends = crossing.solve(params, crossing.sample(params, draws), draws)
    task, stream = published.task(16, 1), np.random.RandomState()
    stream.set_state(task.state)
    whole = Draws(0, range(6, 12))
    problem = crossing.sample(params, whole)
    points = split(problem.X[:, :, 0], problem.y, problem.weights)
    h = training.step_size(params, points, initial.neurons(params, whole))
    nets = Networks(problem.X[0, :, 0], problem.y[0], task.weights, task.a, task.w, h)

    def minibatch(who, interval):
        return np.stack([stream.multinomial(16, task.weights[b], interval) / 16 for b in who])

    outcome, steps = plain_live(nets, 1000, 4000, task.validation, None, minibatch)
    assert ends.value.tolist() == outcome[[1, 3, 5]].tolist()
    assert ends.stats["steps"].tolist() == steps[[1, 3, 5]].tolist()
    published.task.cache_clear()
    training._whole_task.cache_clear()


def test_the_training_example_is_the_papers_figure_2():
    params, draws = examples.TrainingExamples(rng="published", reference_steps=0), Draws(0, [0])
    problem = examples.sample(params, draws)
    x = problem.X[0, :, 0]
    assert ((x > 0).sum(), (x < 0).sum()) == (132, 124)
    assert np.abs(x).min() == pytest.approx(0.3587, abs=5e-5)
    solution = examples.solve(params, problem, draws)
    assert solution.stats["best"][0] == pytest.approx(0.43160, abs=5e-6)
    at = solution.trace["steps"][0].tolist()
    excess = solution.trace["loss"][0] - solution.stats["best"][0]
    assert len(at) == 105
    # Known to two digits.
    for step, value in {0: 0.280, 10: 0.124, 29: 0.0406, 206: 1.5e-3, 1398: 5.5e-4, 9411: 1.8e-5}.items():
        assert excess[at.index(step)] == pytest.approx(value, rel=0.03)
    kinks = -solution.trace["b"][0] / solution.trace["a"][0]
    assert [kinks.min(), kinks.max()] == pytest.approx([-0.082, 0.131], abs=5e-4)


# ------------------------------------------------------------------------------------------------------------- theory


def swept(slope, target, times):
    """Widths u (N, 2) of the swept intervals: in one jump, with small steps, and with those followed that jump.

    The path of the intercepts comes from matrix exponentials on a grid of times. A neuron at a distance delta from
    p(0), opposite in sign to it and below it in size, jumps to the other side, whose path it then follows.
    """
    A, sides = np.array([[2.0, 1.0], [1.0, 2.0]]), np.array([1.0, -1.0])
    start, end = -3 / 7 * sides * slope, np.linalg.solve(A, target.T).T
    drift, jumped = np.abs(end), np.zeros_like(end)
    for t in times:
        S = end + (start - end) @ expm(-A * t).T
        drift, jumped = np.maximum(drift, np.abs(S)), np.maximum(jumped, np.abs(start + (S - start)[:, ::-1]))
    size = np.abs(slope)
    followed = 2 * drift + np.minimum(size, jumped) - np.minimum(size, drift)
    return np.stack([2 * drift, np.maximum(size + drift, 2 * drift), followed])


def limits(k):
    """P sqrt(m) for large m, E[u_+ + u_-] / (2 pi), by the midpoint rule with k^3 nodes on the sphere of normals."""
    angles = (np.arange(k) + 0.5) * np.pi / k
    one, two, three = np.meshgrid(angles, angles, angles, indexing="ij")
    weight = (np.sin(one) ** 2 * np.sin(two)).ravel()
    plane = np.sin(one) * np.sin(two)
    z = np.stack([np.cos(one), np.sin(one) * np.cos(two), plane * np.cos(three), plane * np.sin(three)])
    slope, target = 2**0.5 * z[:2].reshape(2, -1).T, 4 * z[2:].reshape(2, -1).T
    u = swept(slope, target, -np.log(np.linspace(1e-9, 1, 65))).sum(axis=2)
    radius = 2**0.5 * gamma(2.5) / gamma(2)  # mean of the norm of four normals: u is proportional to it
    return radius * (u @ weight) / weight.sum() / (2 * np.pi)


def test_the_law_of_crossing_has_the_limits_of_a_quadrature():
    few, many = limits(16), limits(28)
    limit = many + (many - few) * 16**2 / (28**2 - 16**2)  # the rule's error falls like k^-2
    assert theory.crossing_probability(1e12)[0] * 1e6 == pytest.approx(limit[0], abs=5e-4)
    assert theory.crossing_probability(1e12, continuous=True)[0] * 1e6 == pytest.approx(limit[1], abs=5e-4)
    assert limit == pytest.approx([1.5570, 1.6191, 1.5607], abs=5e-4)


def test_the_law_of_crossing_with_a_shift_is_that_of_plain_random_numbers():
    rng = np.random.default_rng(0)
    for m in (512, 1024, 2048):
        z = rng.normal(size=(100_000, 4))
        u = swept(2**0.5 * z[:, :2], 0.01 * m + 4 * z[:, 2:], -np.log(np.linspace(1e-9, 1, 65)))[0].sum(axis=1)
        crossed = 1 - np.exp(-u / (2 * np.pi * m**0.5))
        assert abs(theory.crossing_probability(m, 0.01)[0] - crossed.mean()) < 5 * crossed.std() / 100_000**0.5
    shifted = [theory.crossing_probability(m, 0.01)[0] for m in (512, 1024, 2048)]
    assert shifted == pytest.approx([0.077, 0.076, 0.096], abs=1e-3)


def test_the_spectrum_has_two_large_and_two_small_eigenvalues():
    """Lemma F.3 and Prop. F.4; with uniform weights 7/3 m twice, and 1/14 and 3/14."""
    params, draws = CrossingProbability(m=2**20, rng="law", weights="uniform"), Draws(0, range(20))
    problem = crossing.sample(params, draws)
    S = np.zeros((20, 2, 3, 3))
    S[:, :, 0::2, 0::2] = initial.neurons(params, draws).T
    values = np.linalg.eigvalsh(hessian(split(problem.X[:, :, 0], problem.y, problem.weights).sums, S))
    # Sums of m terms fluctuate by some m^(-1/2).
    assert values[:, :2] == pytest.approx(np.tile([1 / 14, 3 / 14], (20, 1)), rel=1e-2)
    assert values[:, 2:] / 2**20 == pytest.approx(np.full((20, 2), 7 / 3), rel=1e-2)


def test_the_largest_drift_is_that_of_the_differential_equation():
    rng = np.random.default_rng(0)
    start, end = rng.normal(size=(2, 50, 2)) * 3
    A, t = np.array([[2.0, 1.0], [1.0, 2.0]]), np.linspace(0, 20, 20_001)[:, None, None]
    values, V = np.linalg.eigh(A)
    way = end + ((start - end) @ V * np.exp(-values * t)) @ V.T
    # The grid misses a turning point by a second-order term.
    assert theory.largest_drift(start, end) == pytest.approx(np.abs(way).max(axis=0), rel=1e-5)


def test_the_slow_phase_follows_the_drift_of_the_law():
    """Intercepts, from the exact dynamics at a large width: m q(t) beside S(t)."""
    params, draws = CrossingProbability(m=2**16, criterion="limit", limit=1000), Draws(0, [3])
    problem = crossing.sample(params, draws)
    points = split(problem.X[:, :, 0], problem.y, problem.weights)
    neurons = initial.neurons(params, draws)
    h = training.step_size(params, points, neurons)[0]
    one = LineNetwork.start(neurons, 0)
    lines = []
    for steps in (200, 600_000):
        assert one.advance(points.rows, h, 1.0, steps)[0] is None
        lines.append(one.lines()[:, 1])
    M = np.array([[[xx, x], [x, one]] for xx, x, one, *_ in points.sums[0].T])
    best = np.linalg.solve(M, points.sums[0, 3:5].T[..., None])[:, 1, 0]
    A, time = np.array([[2.0, 1.0], [1.0, 2.0]]) / 14, 600_000 * h
    values, V = np.linalg.eigh(A)
    predicted = best + V @ (np.exp(-values * time) * (V.T @ (np.array(lines[0]) - best)))
    # The moments fluctuate by 1/sqrt(m) and more: a few per cent of the drift.
    assert np.array(lines[1]) == pytest.approx(predicted, abs=0.05 * np.abs(np.array(lines[0]) - best).max())


def test_the_law_of_the_start_is_that_of_all_weights():
    params, draws = CrossingProbability(m=256, rng="law"), Draws(0, range(3000))
    from_law = initial.neurons(params, draws)
    drawn = initial.neurons(params.with_(rng="addressed"), draws)
    ratio = [n.ends[..., 1] / n.ends[..., 0] for n in (from_law, drawn)]
    for s in (0, 1):
        pairs = [(from_law.T[:, s, i, j], drawn.T[:, s, i, j]) for i, j in ((0, 0), (0, 1), (1, 1))]
        pairs.append((from_law.size[:, s], drawn.size[:, s]))
        pairs += [(ratio[0][:, s, i], ratio[1][:, s, i]) for i in range(3)]
        pairs += [(ratio[0][:, s, -i], ratio[1][:, s, -i]) for i in (1, 2, 3)]
        pairs += [(from_law.ends[:, s, 0, i], drawn.ends[:, s, 0, i]) for i in (0, 1)]
        for one, other in pairs:
            assert ks_2samp(one, other).pvalue > 1e-4
    assert (np.diff(ratio[0], axis=2) > 0).all()
    assert (np.sign(from_law.ends[..., 0]) == np.array([1, -1])[:, None]).all()


def test_weights_have_the_two_variances():
    params = CrossingProbability(m=64)
    for init, (of_a, of_w) in {"he": (2**0.5, (2 / 64) ** 0.5), "swapped": ((2 / 64) ** 0.5, 2**0.5)}.items():
        a, w = initial.weights(params.with_(init=init), Draws(0, range(50)))
        assert kstest(a.ravel() / of_a, norm.cdf).pvalue > 1e-4
        assert kstest(w.ravel() / of_w, norm.cdf).pvalue > 1e-4


def test_the_event_can_hold():
    loose = EVENT_ESTIMATION.run(EventEstimation(m=1024, factor=100.0, epsilon=0.4), Draws(0, range(400)))[2]
    assert loose["event"].mean() > 0.9


def test_movements_are_the_largest_of_the_published_steps():
    params, draws = movement.MovementExponents(m=16, interval=50, limit=300), Draws(0, range(24))
    problem = movement.sample(params, draws)
    moved, kink, _ = training.movements(params, problem, draws)
    a, w = initial.weights(params.training(), draws)
    points = split(problem.X[:, :, 0], problem.y, problem.weights)
    h = training.step_size(params.training(), points, gather(a, w))
    nets = Networks(problem.X[0, :, 0], problem.y[0], problem.weights, a, w, h)
    largest = np.zeros((24, 4))
    for _ in range(300):
        nets.step()
        now = [np.abs(z).max(1) for z in (nets.a - a, nets.b, nets.w - w)]
        largest = np.maximum(largest, np.stack([*now, np.abs(nets.c)], axis=1))
    inside = nets.kink < 1
    assert 3 < inside.sum() < 24
    assert moved[inside] == pytest.approx(largest[inside], rel=1e-9)
    assert kink[inside] == pytest.approx(nets.kink[inside], rel=1e-9)


# --------------------------------------------------------------------------------------------------- other optimisers


def test_adam_takes_its_steps_neuron_by_neuron():
    ends, problem, params, draws = solved(
        8, m=16, optimizer="adam", criterion="early_stopping", step_rule="per_width", step=0.01, interval=100, limit=600
    )
    a, w = initial.weights(params, draws)
    nets = Networks(problem.X[0, :, 0], problem.y[0], problem.weights, a, w, np.full(8, 0.01 / 16))
    counts = training.by_address(params, problem, draws)
    theta = np.concatenate([a, np.zeros_like(a), w, np.zeros((8, 1))], axis=1)
    first, second = np.zeros_like(theta), np.zeros_like(theta)
    kinks = np.zeros(8)
    for k in range(600):
        nets.a, nets.b, nets.w, nets.c = theta[:, :16], theta[:, 16:32], theta[:, 32:48], theta[:, 48]
        nu = np.stack([counts(b, k // 100 * 100)[k % 100] / 16 for b in range(8)])
        before = theta.copy()
        nets.h = np.ones(8)
        nets.step(nu)
        after = np.concatenate([nets.a, nets.b, nets.w, nets.c[:, None]], axis=1)
        gradient = before - after
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = 0.01 / 16 / (1 - 0.9 ** (k + 1))
        theta = before - rate * first / (np.sqrt(second / (1 - 0.999 ** (k + 1))) + 1e-8)
        kinks = np.maximum(kinks, np.abs(theta[:, 16:32] / theta[:, :16]).max(1))
    crossed = ends.value == Outcome.CROSSED
    assert crossed.tolist() == (kinks >= 1).tolist()
    assert 0 < crossed.sum() < 8


# -------------------------------------------------------------------------------------- degenerate draws and bad input


def test_few_points_or_neurons_are_degenerate_and_count_as_not_affine():
    few, *_ = solved(40, m=16, n=2)
    # Of two points a side has at most one; a kink may reach a point before the first check.
    assert set(few.value) == {Outcome.X_DEGENERATE, Outcome.CROSSED}
    narrow, *_ = solved(40, m=2)
    assert (narrow.value == Outcome.A_DEGENERATE).any()
    scores = crossing.score(CrossingProbability(m=2), None, narrow)
    degenerate = scores["degenerate"]
    assert degenerate.any()
    assert scores["not_affine"][degenerate].all()


def test_too_long_steps_cross_or_diverge_and_say_so():
    ends, *_ = solved(20, m=16, step=1000.0, criterion="limit", limit=1000)
    assert set(ends.value) <= {Outcome.CROSSED, Outcome.DIVERGED}
    assert all(status in (Status.SOLVED, Status.DIVERGED) for status in ends.status)


def test_training_without_an_end_is_unfinished():
    ends, *_ = solved(30, m=16, criterion="limit", limit=2000)
    assert set(ends.value) == {Outcome.UNFINISHED, Outcome.CROSSED}
    assert crossing.score(CrossingProbability(), None, ends)["not_affine"].all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"optimizer": "sgd"}, "criterion (when training ends) must be early_stopping or limit where optimizer is sgd"),
        ({"limit": 1500}, "limit (most steps) must be a multiple of interval = 1000, got 1500"),
        ({"m": 2**23}, "rng (random numbers) must be law for m > 4194304"),
        ({"m": 100, "rng": "law"}, "rng (random numbers) = law needs m >= 256"),
        ({"m": 100, "rng": "published"}, "rng (random numbers) = published needs m in 16, 32"),
        ({"m": 0}, "m (hidden neurons) must be a whole number in [2, 1000000000], got 0"),
        ({"step": -1.0}, "step (step size) must be a number in (0, 1000], got -1"),
        ({"shift": float("nan")}, "shift (shift of all labels) must be a number in [-10, 10], got nan"),
        ({"criterion": "sufficent"}, "got 'sufficent': did you mean sufficient?"),
    ],
)
def test_bad_input_is_one_line_at_the_entrance(values, words):
    with pytest.raises(BadInput) as error:
        CrossingProbability(**values)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_there_are_ten_thousand_published_networks():
    with pytest.raises(BadInput, match=r"trial \(published network\) must lie in \[0, 9999\], got 10000"):
        CROSSING_PROBABILITY.rows(CrossingProbability(m=16, rng="published"), 0, [10_000])


# --------------------------------------------------------------------------------------------------------- the explorer


@pytest.mark.parametrize(("m", "trial"), [(32, 9), (64, 36), (64, 0)])
def test_the_function_shown_is_the_network_s_also_where_a_neuron_changed_side(m, trial):
    params, crowd = NetworkInCrowd(m=m), Crowd(0, trial, 1)
    shown = path.followed(params, crowd)
    problem = crossing.sample(params, crowd)
    _, h = training.train(params, problem, crowd)
    x, y = problem.X[0, :, 0], problem.y[0]
    plain = Networks(x, y, training.shares(problem), *initial.weights(params, crowd), h)
    sides_at_first = plain.a > 0
    for _ in range(shown["steps"][-1]):
        plain.step()
    assert ((plain.a > 0) != sides_at_first).any() == (trial > 0)
    plain.x = shown["x"]
    assert shown["f"] == pytest.approx(plain.outputs()[0], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        {"m": 40},
        {"m": 40, "optimizer": "sgd", "criterion": "early_stopping"},
        {"m": 40, "optimizer": "adam", "criterion": "early_stopping", "step_rule": "per_width", "step": 0.01},
    ],
)
def test_the_one_network_shown_is_the_first_of_the_crowd(values):
    params = NetworkInCrowd(networks=5, **values)
    _, solution, scores = INSTANCE.run(params, Draws(0, [1]))
    trace = {name: part[0] for name, part in solution.trace.items()}
    left = int(solution.stats["left"][0])
    last = trace["steps"][-1]
    assert (left > 0) == (np.abs(trace["kinks"][-1]).max() >= 1)
    assert last == left if left > 0 else last % params.interval == 0
    if left < 0:
        for side in (trace["x"] >= 1, trace["x"] <= -1):
            assert np.diff(trace["f"][side], 2) == pytest.approx(0, abs=1e-9), "affine beyond all kinks"
    assert scores["networks"][0] == 5


def test_wide_instances_are_drawn_by_their_law():
    assert NetworkInCrowd(m=100_000).rng == "law"
    assert NetworkInCrowd(m=1000).rng == "addressed"
    assert 8 <= NetworkInCrowd(m=1_000_000).crowd < NetworkInCrowd(m=256).crowd == 1000


# ------------------------------------------------------------------------------------------------------- saved networks


@pytest.mark.parametrize(
    "values",
    [
        {"m": 40},
        {"m": 64, "shift": 0.1},
        {"m": 40, "optimizer": "sgd", "criterion": "early_stopping"},
        {"m": 24, "optimizer": "adam", "criterion": "early_stopping", "step_rule": "per_width", "step": 0.01},
    ],
    ids=str,
)
def test_saved_networks_are_those_of_plain_steps(values, tmp_path):
    sweep(CROSSING_PROBABILITY, Grid({}, 6, {"limit": 4000, **values}), out=tmp_path, detailed=True, progress=False)
    found = list(store.read_details(tmp_path))
    assert len(found) == 6
    params = CrossingProbability(limit=4000, **values)
    for row, arrays in found:
        draws = Draws(0, [row["trial"]])
        problem = crossing.sample(params, draws)
        last = int(row["crossing_step"] if row["crossed"] else row["steps"])
        assert np.array_equal(arrays["weights"], problem.weights[0])
        net = plainly(params, problem, draws, arrays["stats.step"], last)
        order, wanted = np.argsort(arrays["trace.a"]), np.argsort(net[0])
        for name, values in zip("abw", net[:3], strict=True):
            assert arrays[f"trace.{name}"][order] == pytest.approx(values[wanted], rel=1e-8, abs=1e-10), name
        assert arrays["trace.c"] == pytest.approx(net[3], rel=1e-8, abs=1e-10)


def plainly(params, problem, draws, h, last):
    """a, b, w and c of one network after its steps, neuron by neuron, each step from the gradient at all weights."""
    x, y = problem.X[0, :, 0], problem.y[0]
    nu, (a, w) = problem.weights[0], (part[0] for part in initial.weights(params, draws))
    counts, theta = training.by_address(params, problem, draws), [a, np.zeros_like(a), w, 0.0]
    first, second = [0.0] * 4, [0.0] * 4
    for k in range(last):
        if params.optimizer != "gd":
            if k % params.interval == 0:
                drawn = counts(0, k) / 16
            nu = drawn[k % params.interval]
        a, b, w, c = theta
        z = np.outer(x, a) + b
        r = nu * (np.maximum(z, 0) @ w + c - y)
        back = (z >= 0) * r[:, None] * w
        gradient = [x @ back, back.sum(0), r @ np.maximum(z, 0), r.sum()]
        if params.optimizer == "adam":
            first = [0.9 * old + 0.1 * g for old, g in zip(first, gradient, strict=True)]
            second = [0.999 * old + 0.001 * g**2 for old, g in zip(second, gradient, strict=True)]
            sizes = [np.sqrt(s / (1 - 0.999 ** (k + 1))) + 1e-8 for s in second]
            gradient = [f / (1 - 0.9 ** (k + 1)) / s for f, s in zip(first, sizes, strict=True)]
        theta = [part - h * g for part, g in zip(theta, gradient, strict=True)]
    return theta


def test_networks_drawn_from_their_law_keep_their_lines(tmp_path):
    wide = Grid({}, 2, {"m": 1000, "rng": "law", "limit": 2000})
    sweep(CROSSING_PROBABILITY, wide, out=tmp_path, detailed=True, progress=False)
    for row, arrays in store.read_details(tmp_path):
        assert row["steps"] <= 2000
        x, y, nu = arrays["X"][:, 0], arrays["y"], arrays["weights"]
        f = np.where(
            x > 0,
            arrays["trace.lines"][0, 0] * x + arrays["trace.lines"][0, 1],
            arrays["trace.lines"][1] @ [x, np.ones(6)],
        )
        # Slopes are fitted at once and intercepts later: the loss is near that of the best lines already.
        assert 0.5 * nu @ (f - y) ** 2 < 1.05 * examples.half_affine_loss(x[None], y[None])[0] + 0.05


def test_networks_of_the_other_experiments_are_saved(tmp_path):
    grid = Grid({}, 2, {"n": 24, "m": 4, "steps": 50, "reference_steps": 20})
    sweep(examples.TRAINING_EXAMPLES, grid, out=tmp_path / "examples", detailed=True, progress=False)
    for row, arrays in store.read_details(tmp_path / "examples"):
        x, (a, b, w, c) = arrays["X"][:, 0], (arrays[f"found.{name}"] for name in "abwc")
        loss = np.mean((np.maximum(np.outer(x, a) + b, 0) @ w + c - arrays["y"]) ** 2) / 2
        assert loss == pytest.approx(row["excess"] + row["half_affine"], rel=1e-9)
        assert arrays["trace.reference_a"].shape == (4,)
    grid = Grid({"activation": ["relu", "tanh"]}, 2, {"m": 8, "epochs": 30, "points": "cross", "weights": "uniform"})
    sweep(STAR, grid, out=tmp_path / "star", detailed=True, progress=False)
    for row, arrays in store.read_details(tmp_path / "star"):
        if row["activation"] == "relu":
            a, b, w, c = (arrays[f"found.weights.{name}"] for name in "abwc")
            f = np.maximum(arrays["X"] @ a.T + b, 0) @ w + c
        else:
            A, b, w, c = (arrays[f"found.weights.{i}.{j}"] for i in (0, 1) for j in (0, 1))
            f = (np.tanh(arrays["X"] @ A + b) @ w + c)[:, 0]
        assert np.mean((f - arrays["y"]) ** 2) / 2 == pytest.approx(arrays["found.loss"], rel=1e-9)
        assert arrays["trace.epoch"].shape == arrays["trace.loss"].shape == (31,)
