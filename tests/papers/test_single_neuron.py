"""Learning a single neuron: setups, everything that is logged, and the theorems on small instances."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers import single_neuron as paper
from neurec_papers.single_neuron import engine, published, theory, view
from neurec_papers.single_neuron.experiments import setup, training


def one(experiment, trial=0, **values):
    """The row of one trial."""
    (row,) = experiment.rows(experiment.params(**values), 0, [trial])
    return row


# ----------------------------------------------------------------------------------------------------- setups


@pytest.mark.parametrize(("steps", "rows"), [(20_000, 405), (10**6, 637), (2 * 10**7, 815)])
def test_the_schedule_has_as_many_rows_as_the_published_one(steps, rows):
    at = published.schedule(steps)
    assert len(at) == rows + 1  # and the start
    assert (at[0], at[1], at[-1]) == (0, 1, steps)


@pytest.mark.parametrize("data", ["centred", "uncentred"])
def test_points_and_labels_follow_the_paper_s_law(data):
    params = setup.SingleNeuron(d=6, n=400, data=data, spread=0.05)
    problem = setup.sample(params, Draws(0, range(20)))
    v = problem.teacher.net.W[:, :, 0]
    assert np.allclose(np.linalg.norm(v, axis=1), 1)
    assert np.allclose(problem.y, np.einsum("bnd,bd->bn", problem.X, v))
    assert (problem.y > 0).all()
    around = problem.X - problem.X.mean(axis=1, keepdims=True)
    # 48,000 entries: the deviation is known to a third of a percent, here times four.
    assert around.std() == pytest.approx((0.05 * setup.VARIANCES[data] / 6) ** 0.5, rel=0.015)
    gap = np.linalg.norm(problem.X.mean(axis=1) - v, axis=1)
    assert (gap.max() < 0.02) == (data == "centred")
    sizes = [part.shape[1:] for part in problem.teacher.sets]
    assert sizes == [(400, 6), (100, 6), (400, 6), (1600, 6)]


def test_labels_are_never_zero():
    params = setup.SingleNeuron(d=2, n=4, spread=3.0)
    assert (setup.sample(params, Draws(0, range(50))).y > 0).all()


@pytest.mark.parametrize("data", ["centred", "uncentred"])
def test_two_teachers_are_opposite_and_of_norms_one_and_three(data):
    problem = setup.sample(setup.SingleNeuron(d=5, teachers="two", data=data, spread=0.1), Draws(0, range(4)))
    W = problem.teacher.net.W
    assert np.allclose(np.linalg.norm(W, axis=1), [1, 3])
    assert (np.einsum("bd,bd->b", W[:, :, 0], W[:, :, 1]) < -2.5).all()
    assert problem.X.shape == (4, 10, 5)
    assert (problem.y[:, :5] > 0).all()
    assert (problem.y[:, 5:] < 0).all()


def test_starts_are_balanced_and_differ_by_their_scale_only():
    (W, a), (small, b) = (setup.start(7, 3, scale, Draws(0, [0, 1])) for scale in (1.0, 1e-6))
    assert np.allclose(np.abs(a), np.linalg.norm(W, axis=2))
    assert np.allclose(W * 1e-6, small, rtol=1e-14)
    assert np.allclose(a * 1e-6, b, rtol=1e-14)


def test_points_that_no_teacher_sees_are_a_row():
    row = one(paper.ALIGNMENT_VS_SCALE, d=2, n=300, spread=100.0)
    assert row["status"] == Status.RAISED
    assert "a smaller spread" in row["detail"]


# ----------------------------------------------------------------------------------------------------- measures


def snapshots(L=3, m=6, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((L, m, d)), rng.standard_normal((L, m))


def test_angles_are_those_between_each_pair():
    W, _ = snapshots()
    largest, mean = engine.angles(W)
    for rows, most, average in zip(W, largest, mean, strict=True):
        unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        plain = np.degrees([np.arccos(u @ v) for i, u in enumerate(unit) for v in unit[:i]])
        assert most == pytest.approx(plain.max(), rel=1e-12)
        assert average == pytest.approx(plain.mean(), rel=1e-12)


def test_chords_resolve_tiny_angles_that_arccos_does_not():
    small = 1e-11
    W = np.array([[[1.0, 0, 0], [1, small, 0], [1, 0, 2 * small]]])
    assert engine.angles(W)[0][0] == pytest.approx(np.degrees(5**0.5 * small), rel=1e-4)
    assert engine.angles(W, "arccos")[0][0] < 1e-12 or engine.angles(W, "arccos")[0][0] > 1e-7
    assert np.isnan(engine.angles(W[:, :1])[0])
    assert engine.angle(W[:, 1], np.array([2.0, 0, 0]))[0] == pytest.approx(np.degrees(small), rel=1e-9)


def test_the_log_is_what_plain_formulas_say():
    params = setup.SingleNeuron(d=4, n=5, m=8, data="uncentred")
    draws = Draws(3, [0, 1])
    problem = setup.sample(params, draws)
    W, a = setup.start(8, 4, 1.0, draws)
    b = 1
    X, y, v = problem.X[b], problem.y[b], problem.teacher.net.W[b, :, 0]
    rng = np.random.default_rng(0)
    moved, outer = W[b] + 0.1 * rng.standard_normal(W[b].shape), 1.1 * a[b]
    h = np.maximum(X @ moved.T, 0) @ outer
    data = training.data_sets(problem)[b]
    on_the_way = np.stack([W[b], moved]), np.stack([a[b], outer]), np.array([0.0, np.mean((h - y) ** 2)])
    logged = engine.logged(data, engine.Snapshots(*on_the_way))
    last = {name: values[-1] for name, values in logged.items()}
    live = (W[b] @ X.T > 0).any(axis=1)
    plus = np.flatnonzero(live & (a[b] > 0))
    bundle = sum(outer[j] * moved[j] for j in plus)
    assert last["norm"] == pytest.approx(np.linalg.norm(bundle))
    assert last["distance"] == pytest.approx(np.linalg.norm(bundle - v))
    cosine = bundle @ v / np.linalg.norm(bundle)
    assert last["target_angle"] == pytest.approx(np.degrees(np.arccos(cosine)))
    assert last["nuclear"] == pytest.approx(np.linalg.svd(moved, compute_uv=False).sum())
    assert last["energy"] == pytest.approx((moved**2).sum() + (outer**2).sum())
    assert last["predictions"] == np.count_nonzero(h)
    assert last["seen"] == pytest.approx(np.mean([(X @ moved[j] > 0).sum() for j in plus]))
    values, vectors = np.linalg.eigh(X.T @ X / 5)
    found, basis = engine.eigenbasis(X, v)
    assert np.allclose(found, values[::-1])
    assert (v @ basis >= 0).all()
    assert np.allclose(np.abs(basis.T @ vectors[:, ::-1]), np.eye(4), atol=1e-9)
    assert np.allclose(last["coordinates"], (v - bundle) @ basis)
    for name, points in problem.teacher.sets._asdict().items():
        errors = np.maximum(points[b] @ moved.T, 0) @ outer - np.maximum(points[b] @ v, 0)
        assert last[name] == pytest.approx(np.mean(errors**2))
    e = 1e-6
    active, r = X @ moved.T > 0, y - np.maximum(X @ moved.T, 0) @ outer
    lengths, _ = engine.gradients(X, r[None], moved[None, plus], outer[None, plus], on=active.T[None, plus])
    for j, along in zip(plus, lengths[0], strict=True):
        unit = moved[j] / np.linalg.norm(moved[j])
        losses = []
        for sign in (1, -1):
            changed = moved.copy()
            changed[j] += sign * e * unit
            losses.append(np.mean((np.maximum(X @ changed.T, 0) @ outer - y) ** 2))
        assert along == pytest.approx(-(losses[0] - losses[1]) / (2 * e), rel=1e-6, abs=1e-8)


# ----------------------------------------------------------------------------------------------------- statements


def test_half_time_is_exact_on_a_logistic_however_coarse():
    at = np.array([0, 100, 300, 700, 1500])
    assert theory.half_time(1 / (1 + np.exp(-(at - 517.0) / 20)), at) == pytest.approx(517.0, abs=1e-6)
    assert np.isnan(theory.half_time(np.zeros(5), at))


def test_the_order_of_crossings_is_read_from_first_signs():
    falls = np.array([[1.0, 1, 1], [-1, 1, 1], [1, -1, 1], [1, 1, 1]])
    assert theory.crossed_in_order(falls) == (True, 2)
    assert theory.crossed_in_order(falls[:, ::-1]) == (False, 2)


@pytest.mark.parametrize("step", [1e-3, 1e-9, 1e-300])
def test_sizes_of_yardsticks_are_those_of_the_flow(step):
    """Propositions 13 and 14: while it keeps its points, |w| of a balanced neuron tends to (|w| + p) e^{Gt} / 2."""
    rng = np.random.default_rng(0)
    X = np.eye(3)[0] + 0.1 * rng.standard_normal((8, 3))
    y, g = X[:, 0], X[:, 0] @ X
    W = np.abs(rng.standard_normal((30, 3))) + np.eye(3)[0]
    W[-1] = -X.mean(axis=0)
    assert (W[:-1] @ X.T > 0).all()
    assert (W[-1] @ X.T < 0).all()
    size = np.linalg.norm(W, axis=1)
    wanted = size + W @ g / np.linalg.norm(g)
    wanted[-1] = 0  # active on no point
    found = theory.limiting_sizes(X, y, W, size, step=step)
    assert found == pytest.approx(wanted / wanted.max(), rel=1e-3)


def test_statuses_say_how_a_training_ended():
    base = {"d": 3, "m": 10, "scale": 0.01}
    assert one(paper.ALIGNMENT_VS_SCALE, steps=50, **base)["status"] == Status.CUTOFF
    # One neuron, drawn until it looks away from all points, or is pushed off them.
    seen = {one(paper.ALIGNMENT_VS_SCALE, trial, d=3, m=1, steps=10**5)["status"] for trial in range(12)}
    assert Status.DEAD in seen
    assert one(paper.ALIGNMENT_VS_SCALE, step=10.0, scale=1e3, d=3, m=10)["status"] in (Status.DIVERGED, Status.DEAD)


def test_levels_add_up_and_the_tail_changes_little():
    values = {"d": 4, "m": 40, "scale": 4.0**-6, "data": "uncentred", "spread": 0.5}
    exact, quick = (one(paper.ALIGNMENT_VS_SCALE, tail=tail, **values) for tail in (0.0, 1e-6))
    for row in (exact, quick):
        assert 0 <= row["grouped"] + row["at_once"] <= 1
    assert exact["at_once"] == 0 < quick["at_once"]
    assert quick["max_angle"] == pytest.approx(exact["max_angle"], rel=1e-4)
    assert quick["iterations"] == pytest.approx(exact["iterations"], rel=1e-3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"d": 0}, "d (inputs) must be a whole number in [1, 2048], got 0"),
        ({"scale": 1e-101}, "scale (scale of the initial weights) must be a number in [1e-100, 10000], got 1e-101"),
        ({"data": "uncentered"}, "data (whether the points' centre is the teacher) must be one of centred, uncentred"),
        ({"tail": 1.0}, "tail (error for which the slow end is taken many iterations at a time; 0 takes each) must be"),
    ],
)
def test_bad_input_is_refused_by_name(values, message):
    with pytest.raises(BadInput) as error:
        paper.ALIGNMENT_VS_SCALE.params(**values)
    assert str(error.value).startswith(message)


# ----------------------------------------------------------------------------------------------------- figures


def test_one_training_is_drawn_and_played():
    params = view.INSTANCE.params(d=3, m=8, steps=5000)
    problem, solution, scores = view.INSTANCE.run(params, Draws(0, [0]))
    still = view.paths(params, problem, solution, scores)
    assert f"{scores['iterations'][0]:.0f} iterations" in still.layout.title.text
    played = view.training(problem, solution, frames=10)
    assert 5 < len(played.frames) <= 10
    assert played.layout.updatemenus
    assert played.layout.sliders
    params = paper.TRAJECTORIES.params(scale=0.01, d=3, m=8, steps=5000)
    _, way, _ = paper.TRAJECTORIES.run(params, Draws(0, [0]))
    assert len(view.phases(way, "one").data) == 3 + 4 + 4


@pytest.mark.parametrize("experiment", [paper.ALIGNMENT_VS_SCALE, paper.WIDTH_STUDY])
def test_without_a_positive_neuron_there_is_no_angle_to_the_teacher_and_all_else_is_measured(experiment):
    params = experiment.params(m=2, d=3, steps=10)
    draws = Draws(0, range(12))
    problem, solution, found = experiment.run(params, draws)
    W, a = (part[:, 0] for part in solution.value)
    active = (np.einsum("bmd,bnd->bmn", W, problem.X) > 0).any(axis=2)
    alone = ~(active & (a > 0)).any(axis=1)
    assert 0 < alone.sum() < 12
    assert np.array_equal(np.isnan(found["target_angle"]), alone)
    assert not found["gathered"][alone].any(), "no neuron is not all neurons"
    assert not paper.TRAJECTORIES.run(paper.TRAJECTORIES.params(m=2, d=3, steps=10), draws)[2]["gathered"][alone].any()
    rows = experiment.rows(params, 0, range(12))
    assert {row["status"] for row in rows} == {Status.CUTOFF}
    assert all(np.isfinite([row[name] for name in ("loss", "nuclear", "energy", "distance")]).all() for row in rows)


def test_the_smallest_start_is_balanced_and_measured():
    least = setup.SMALLEST
    (W, a), (Z, b) = (setup.start(500, 40, scale, Draws(0, [0])) for scale in (least, 1.0))
    assert np.allclose(a / least, b, rtol=1e-12, atol=0)
    assert np.allclose(W / least, Z, rtol=1e-12, atol=0)
    row = one(paper.TRAJECTORIES, trial=1, d=3, m=8, data="uncentred", scale=least, steps=20_000)
    assert (row["status"], row["imbalance"] < 0.01) == (Status.SOLVED, True)
