"""Orthogonal inputs: what is derived against what gradient descent does, and the published runs draw by draw."""

from __future__ import annotations

import numpy as np
import plotly.graph_objects as go
import pytest

from neurec_core import tables
from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers import orthogonal_inputs as paper
from neurec_papers.orthogonal_inputs import engine, published, theory, view
from neurec_papers.orthogonal_inputs.experiments import points, training
from smallnets.descent.relu import descend

SADDLES, TOY_2, HIGH = paper.EXPERIMENTS
INSTANCE = view.INSTANCE
TOY = SADDLES.params(data="toy", n=2, d=2)
RANDOM = SADDLES.params(n=6, d=8, m=400, step=0.01, steps=60_000)


def rows(experiment, params, trials=1):
    found = experiment.rows(params, 0, range(trials))
    assert all(Status(row["status"]).usable for row in found), [row["detail"] for row in found]
    return found


# ------------------------------------------------------------------------------------------------ published runs


def test_published_toy_passes_each_level_at_the_published_iteration():
    params = TOY.with_(rng="published", variance="published", target=0.0)
    found = rows(SADDLES, params, 3)
    levels = [[row[f"below_{level}"] for level in (75, 51, 49, 25)] for row in found]
    assert np.array_equal(levels, published.TOY_CROSSINGS)
    for row in found:
        assert row["status"] == Status.CUTOFF, "20,000 steps, whatever the loss"
        assert row["norm"] == pytest.approx(1.341641, abs=1e-6)
        assert row["active"] in (30, 31)
        assert row["kinks"] < 1e-4, "on the two points"
        assert row["in_order"]
        assert row["interpolated"]


def test_published_high_dimensional_data_are_those_of_the_notebook():
    X, y, W, sign = published.high_dimension(0, 75, 150, 200)
    assert (int((y > 0).sum()), int((y < 0).sum())) == (36, 39)
    assert np.abs(y).min() == pytest.approx(0.00738, abs=5e-6)
    assert np.mean(y**2) == pytest.approx(0.078072, abs=5e-7)
    D = theory.direction(X, y, theory.classes(y))
    assert np.linalg.norm(D, axis=1) == pytest.approx([0.32623, 0.28344], abs=5e-6)
    assert np.linalg.norm(D.sum(0)) == pytest.approx(0.44864, abs=5e-6)
    assert D[0] @ D[1] / np.prod(np.linalg.norm(D, axis=1)) == pytest.approx(0.0785, abs=5e-5)
    assert theory.plateaus(y, 1)[1] / np.mean(y**2) == pytest.approx(0.4740, abs=5e-5)
    assert theory.minimum_norm(X, y) == pytest.approx(0.2822, abs=5e-5)
    cosines = X @ X.T / np.outer(*[np.linalg.norm(X, axis=1)] * 2) - np.eye(75)
    assert np.abs(cosines).max() == pytest.approx(0.317, abs=5e-4)
    assert W.shape == (200, 150)
    assert set(sign) == {-1.0, 1.0}


def test_published_high_dimensional_table_is_the_published_run():
    table = tables.load(tables.published(HIGH))
    row = table[(table["rng"] == "published") & (table["init"] == 1e-20)].iloc[0]
    for name, value in published.HIGH_DIMENSION_RUN.items():
        # Squares of 1e-42 are rounded coarsely in float32: the published output weights are less balanced.
        assert row[name] == pytest.approx(value, rel=2e-3 if name == "plateau" else 1e-3), name
    assert row["unfitted"] == 0
    assert row["loss"] == pytest.approx(1.4e-7, rel=0.02)
    assert row["norm"] == pytest.approx(0.3266, abs=5e-5)


# ------------------------------------------------------------------------------------------------------- theory


def test_constants_of_alignment_are_those_of_a_plain_loop():
    rng = np.random.default_rng(0)
    Q = np.linalg.qr(rng.normal(size=(7, 5)))[0].T * rng.uniform(0.5, 1.5, 5)[:, None]
    y = np.array([1.0, -0.7, 1.3, -1.1, 0.6])
    W = rng.normal(size=(40, 7))
    a = np.linalg.norm(W, axis=1) * rng.choice([-1, 1], 40)
    found = engine.aligned(Q, y, W, a)
    v, b, dt, steps = W.copy(), a.copy(), 4e-3, 15_000
    for _ in range(steps):  # Heun's rule on w' = a D_A, a' = <w, D_A>: an error of dt² from each time a point is left
        D = ((v @ Q.T > 0) * y) @ Q / 5
        v1, b1 = v + dt * b[:, None] * D, b + dt * (v * D).sum(1)
        D1 = ((v1 @ Q.T > 0) * y) @ Q / 5
        v, b = (v + dt / 2 * (b[:, None] * D + b1[:, None] * D1), b + dt / 2 * ((v * D).sum(1) + (v1 * D1).sum(1)))
    grown = found.c > 0
    assert 20 < grown.sum() < 40
    expected = np.log(np.abs(b[grown])) - found.rate[grown] * dt * steps
    # e^{-2 rate t} is left of the decaying part; the slowest rate here is 0.6 * 0.5 / 5.
    tolerance = 20 * np.exp(-2 * found.rate[grown] * dt * steps) + 3e-3
    assert (np.abs(np.log(found.c[grown]) - expected) < tolerance).all()
    assert (found.members[grown] == (v @ Q.T > 0)[grown]).all()


def test_logistic_growth_gives_the_toys_crossings():
    X, y = points.TOY
    W, sign = published.toy(0, 60)
    W, a = 1e-6 * W, 1e-6 * sign * np.linalg.norm(W, axis=1)
    mass = engine.masses(engine.aligned(X, y, W, a), theory.extremal(X, y, W, a))
    rates = theory.rates(X, y)
    at = np.arange(20_000)
    for k, (i, measured) in enumerate({1: 6018, 0: 12587}.items()):  # the positive label is the second
        end = abs(y[i]) / np.linalg.norm(X[i])
        q = theory.logistic(2e-3 * at, end, mass[k], rates[k])
        halved = int((1 - q / end < 0.5**0.5).argmax())
        # A step's growth is 1 + 2 h |D|, the flow's e^{2 h |D|}: 7 steps or so.
        assert abs(halved - measured) <= 10


@pytest.mark.parametrize("step", [1e-4, 1e-6, 1e-9, 1e-300])
def test_escapes_by_small_steps_take_the_time_of_the_flow(step):
    X, y = points.TOY
    for k, sign in enumerate((1, -1)):
        own = theory.classes(y)[k]
        end, rate = float(np.abs(y[own] / np.linalg.norm(X[own]))[0]), np.linalg.norm(theory.direction(X, y, own))
        # The logistic curve where its class has lost half of its loss; a step h takes the time 2h.
        share = 1 - 0.5**0.5
        time = np.log((end / 1e-12 - 1) * share / (1 - share)) / (2 * rate)
        assert 2 * step * engine.escape(X, y, sign, mass=1e-12, step=step) == pytest.approx(time, rel=2e-4)


def test_plateaus_norm_and_order_are_those_of_theory():
    found = rows(SADDLES, TOY.with_(init=1e-16, steps=60_000), 3)
    for row in found:
        assert row["saddle"] == 0.5
        assert row["plateau"] == pytest.approx(0.5, abs=1e-8)
        assert row["minimum"] == pytest.approx(1 / 5**0.5 + 1 / 1.25**0.5, rel=1e-14)
        assert row["norm"] == pytest.approx(row["minimum"], rel=1e-8)
        assert row["in_order"]
    for row in rows(SADDLES, RANDOM.with_(init=1e-32), 3):
        assert row["in_order"]
        # In one of the three, the first class's slowest part lasts into the escape of the second.
        assert row["plateau"] == pytest.approx(row["saddle"], rel=5e-3)


def test_minimum_norm_is_attained_and_not_undercut():
    draws = Draws(3, [0])
    (X,), (y,) = points.orthogonal(draws, 5, 7, 0.5)
    w = theory.ends(X, y)
    assert np.maximum(X @ w[0], 0) - np.maximum(X @ w[1], 0) == pytest.approx(y, abs=1e-14)
    assert np.linalg.norm(w, axis=1).sum() == pytest.approx(theory.minimum_norm(X, y), rel=1e-14)
    for scale in (0.01, 0.3, 1.0, 3.0):
        params = RANDOM.with_(init=scale, m=60)
        W, a = (part[0] for part in training.start(params, draws, 7))
        run = descend(X, y, W, a, step=0.01, steps=60_000, target=1e-24)
        assert run.loss < 1e-20
        assert ((run.W**2).sum() + (run.a**2).sum()) / 2 > theory.minimum_norm(X, y) * (1 + 1e-3)


def test_extremal_neurons_are_as_frequent_as_predicted():
    nets, m = 4000, 12
    (X,), (y,) = points.orthogonal(Draws(0, [0]), 5, 6, 0.0)  # three positive labels, two negative
    W = np.random.default_rng(1).normal(size=(nets, m, 6))
    a = np.random.default_rng(2).choice([-1.0, 1.0], (nets, m))
    there = np.array([theory.extremal(X, y, *net).any(1) for net in zip(W, a, strict=True)])
    for k, expected in ((0, theory.none_extremal_probability(3, m)), (1, theory.none_extremal_probability(2, m))):
        assert abs((~there[:, k]).mean() - expected) < 4 * (expected / nets) ** 0.5
    both = theory.both_extremal_probability(3, 2, m)
    assert abs(there.all(1).mean() - both) < 4 * (both / nets) ** 0.5
    assert theory.both_extremal_probability(3, 2, theory.half_width(5)) == pytest.approx(0.5, abs=1e-9)


# ------------------------------------------------------------------------------------------- setups and the search


def test_points_are_orthogonal_and_labels_have_both_signs():
    X, y = points.orthogonal(Draws(0, range(5)), 6, 9, 0.4)
    gram = np.einsum("bid,bjd->bij", X, X)
    assert np.abs(gram - gram * np.eye(6)).max() == 0, "a scale of 1e-32 leaves no room for rounding"
    norms = np.sqrt(np.einsum("bii->bi", gram))
    assert 0.6 <= norms.min() < norms.max() <= 1.4
    assert (np.sign(y) == [1, -1, 1, -1, 1, -1]).all()
    assert points.TOY[0][0] @ points.TOY[0][1] == 0


def test_starts_have_the_declared_variance():
    draws, params = Draws(0, range(20)), TOY.with_(m=2000)
    W, a = training.start(params, draws, 2)
    assert W.var() == pytest.approx(1e-12 / (2000 * 2), rel=0.03)  # 80,000 numbers: 0.5 % each
    np.testing.assert_allclose(np.abs(a), np.linalg.norm(W, axis=2), rtol=1e-14)
    assert np.mean(a > 0) == pytest.approx(0.5, abs=0.01)
    bias_left_out, _ = training.start(params.with_(variance="published"), draws, 2)
    np.testing.assert_allclose(bias_left_out, 2**0.5 * W, rtol=1e-14)
    same, loose = training.start(params.with_(balance="unbalanced"), draws, 2)
    assert np.array_equal(same, W)
    assert loose.var() == pytest.approx(1e-12 / 2000, rel=0.03)
    larger, _ = training.start(params.with_(init=1e-3), draws, 2)
    np.testing.assert_allclose(larger, 1e3 * W, rtol=1e-14)


def test_crossings_are_those_of_a_look_at_every_step():
    X, y = points.TOY
    W, a = (part[0] for part in training.start(TOY.with_(init=1e-2), Draws(1, [0]), 2))
    dense = descend(X, y, W, a, step=0.001, steps=6000, log=range(6001))
    sparse = descend(X, y, W, a, step=0.001, steps=6000, log=engine.marks(6000))
    levels = [0.9, 0.75, 0.5, 0.3, 1e-3, 1e-30, 2.0]
    found = engine.Trajectory(X, y, 0.001, sparse).first_below(levels)
    expected = [np.argmax(dense.losses < level) if (dense.losses < level).any() else np.nan for level in levels]
    assert found == pytest.approx(expected, nan_ok=True, abs=0)
    assert np.isnan(found[5])
    assert found[6] == 0


# --------------------------------------------------------------------------------------------- faults and statuses


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: SADDLES.params(n=9, d=8), "n (training points) must be at most d = 8 to be orthogonal, got 9"),
        (
            lambda: SADDLES.params(data="toy"),
            "n and d (points and inputs) must be 2 and 2 where data is toy, got 6 and 8",
        ),
        (
            lambda: SADDLES.params(init=1e-160),
            "init (scale of the weights at the start) must be a number in [1e-100, 10], got 1e-160",
        ),
        (
            lambda: SADDLES.params(rng="published"),
            "rng (random numbers) = published needs data = toy, balanced weights, published variance",
        ),
        (
            lambda: SADDLES.params(data="tox"),
            "data (training points: along axes, or the published two) must be one of orthogonal, toy, got 'tox': "
            "did you mean toy?",
        ),
        (
            lambda: HIGH.params(published_steps=10, steps=5),
            "published_steps (published number of steps) must be at most steps = 5, got 10",
        ),
        (
            lambda: HIGH.params(rng="published", balance="unbalanced"),
            "rng (random numbers) = published needs balanced weights and corrected variance",
        ),
        (lambda: TOY_2.params(n=4), "n (training points) must be 5 where data is published, got 4"),
    ],
)
def test_bad_input_is_one_line(make, line):
    with pytest.raises(BadInput) as error:
        make()
    assert str(error.value) == line


def test_a_training_that_diverges_is_a_row():
    for experiment, params in (
        (TOY_2, TOY_2.params(step=10.0, init=1.0, steps=1000)),
        (HIGH, HIGH.params(n=5, d=12, m=20, step=10.0, init=1.0, published_steps=500, steps=1000)),
    ):
        (row,) = experiment.rows(params, 0, [0])
        assert row["status"] == Status.DIVERGED, row["detail"]
        assert row[next(iter(experiment.columns))] is None
    # On orthogonal points a neuron that oversteps is active on none of them, and stays so.
    (row,) = rows(SADDLES, TOY.with_(step=10.0, init=1.0))
    assert row["active"] == 0


def test_networks_without_the_neurons_they_need_end_where_they_are():
    found = rows(SADDLES, TOY.with_(m=1), 20)
    dead = [row for row in found if row["active"] == 0]
    assert dead
    assert {row["status"] for row in dead} == {Status.STALLED}
    assert not any(row["interpolated"] or row["extremal"] for row in found)
    assert all(row["loss"] in (pytest.approx(0.5, abs=1e-9), pytest.approx(1.0, abs=1e-9)) for row in found)


def test_unbalanced_starts_are_not_predicted():
    (row,) = rows(SADDLES, TOY.with_(balance="unbalanced"))
    assert np.isnan([row["error_positive"], row["error_negative"], row["exponent"]]).all()
    assert row["interpolated"]


# ------------------------------------------------------------------------------------------------------- figures


@pytest.mark.parametrize("data", ["toy", "toy_non_orthogonal", "orthogonal", "high_dimension"])
def test_figures_move_and_rest(data):
    params = INSTANCE.params(data=data, init=1e-3, steps=4000)
    problem, solution, scores = INSTANCE.run(params, Draws(0, [0]))
    moving = view.training(problem, solution, frames=20)
    assert 2 <= len(moving.frames) <= 20
    names = [frame.name for frame in moving.frames]
    assert len(set(names)) == len(names)
    assert all(len(frame.data) == len(frame.traces) for frame in moving.frames)
    assert {"alt", "narrow", "frame_ms", "frame_label"} <= set(moving.layout.meta)
    resting = view.paths(params, problem, solution, scores)
    assert isinstance(resting, go.Figure)
    other = view.paths(TOY.with_(), *INSTANCE.run(INSTANCE.params(steps=100), Draws(0, [0])))
    assert len(resting.data) == len(other.data), "the explorer replaces trace by trace"
    assert f"{scores['norm'][0]:.4f}" in resting.layout.title.text


def test_frames_are_those_of_the_authors_animations():
    """Frames and their steps as counted in the authors' notebooks and the pictures that they keep."""
    toy = published.frames(20_000, published.TOY_FRAMES)
    high = published.frames(200_000, published.HIGH_DIMENSION_FRAMES)
    assert (len(toy), toy[130], toy[140], toy[147]) == (153, 6717, 10947, 15407)
    assert (len(high), high[108]) == (109, 182914)
    assert published.frames(1, 2.0).tolist() == [0, 1]
    figure = view.toy()
    assert [frame.name for frame in figure.frames] == [str(step) for step in toy]
    levels = (0.75, 0.51, 0.49, 0.25)
    for level, step in zip(levels, published.TOY_CROSSINGS[0], strict=True):
        for frame, at in zip(figure.frames, toy, strict=True):
            assert (loss(frame) < level) == (at >= step)
    curve = next(trace for trace in figure.data if trace.name == "loss")
    assert np.diff(curve.x).max() < 200, "the loss, everywhere, not at these frames only"
    assert [frame.name for frame in view.high_dimension(steps=20).frames] == [str(step) for step in high[:15]]


def loss(frame):
    return next(trace.y[0] for trace in frame.data if trace.name == "now")


def test_five_points_are_fitted_from_large_weights_only():
    small, large = view.five_points(), view.five_points_large()
    first, last = loss(small.frames[0]), loss(small.frames[-1])
    assert first == pytest.approx(0.1740, abs=5e-5)
    assert last / first == pytest.approx(0.366, abs=0.005), "as measured with the authors' code"
    assert loss(large.frames[-1]) < 1e-4 * first


def test_the_animation_shows_where_kinks_are():
    problem, solution, _ = INSTANCE.run(INSTANCE.params(), Draws(0, [0]))
    figure = view.training(problem, solution)
    positive = figure.frames[-1].data[0]
    on = np.abs(positive.y) > 0.01
    assert positive.x[on] == pytest.approx(np.full(on.sum(), -0.5), abs=1e-3), "positive neurons end at the left point"
    network = figure.frames[-1].data[-1]
    # The kinks stand between two of the places at which the function is drawn.
    assert np.interp([-0.5, 2], network.x, network.y) == pytest.approx([-1, 1], abs=1e-2)
