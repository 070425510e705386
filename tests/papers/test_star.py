"""The star experiment: its points, thresholds and step sizes, and its events against the published loop."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from loops import full_batch

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.inconsistency.engine import arms
from neurec_papers.inconsistency.experiments import star
from neurec_papers.inconsistency.experiments.star import STAR, Star


def nets(params, trials):
    """Each trial's initial weights, (a, b, w, c)."""
    return list(zip(*star.start(params, Draws(0, range(trials))), strict=True))


# ------------------------------------------------------------------------------------------------------- points


def test_the_points_are_those_of_figure_7():
    problem = STAR.sample(Star(), Draws(0, range(2)))
    assert problem.X.shape == (2, 33, 2)
    radius, angle = np.linalg.norm(problem.X[0], axis=1), np.angle(problem.X[0] @ [1, 1j])
    assert np.allclose(np.unique(radius.round(12)), [0.9, 1, 1.1])
    assert len(np.unique(np.round(angle / (2 * np.pi / 11), 9) % 11)) == 11
    assert np.allclose(problem.y[0], 3 * np.abs(10 * (radius - 1)) - 2)
    small = STAR.sample(Star(arms=7, gap=0.5), Draws(0, [0]))
    assert sorted(set(np.linalg.norm(small.X[0], axis=1).round(12))) == [0.5, 1, 1.5]
    assert small.y.shape == (1, 21)


@pytest.mark.parametrize(("points", "n"), [("cross", 12), ("double_cross", 24)])
def test_crosses_hold_the_six_points_of_example_1_on_each_axis(points, n):
    X, y, arm = arms.POINTS[points](Star(points=points))
    assert X.shape == (n, 2)
    assert np.array_equal(np.bincount(arm), np.full(n // 3, 3))
    for axis in ([0, 1], [1, 0], [1, 1], [1, -1])[: n // 6]:
        t = [-3, -2, -1, 1, 2, 3]
        found = [y[(np.multiply(s, axis) == X).all(axis=1)] for s in t]
        assert np.array_equal(np.concatenate(found), [-1, 2, -1, 1, -2, 1])


def test_shares_are_counts_of_m_squared_draws():
    nu = STAR.sample(Star(m=50), Draws(0, range(400))).weights
    counts = nu * 50**2
    assert np.allclose(counts, counts.round(), rtol=0, atol=1e-9)
    assert np.allclose(nu.sum(axis=1), 1)
    # Variance of a share p (1 - p) / m^2: 13200 of them, so that their mean square is known to 2 %.
    assert np.var(nu) == pytest.approx(1 / 33 * (32 / 33) / 50**2, rel=0.05)
    assert np.array_equal(STAR.sample(Star(weights="uniform"), Draws(0, [0])).weights, np.full((1, 33), 1 / 33))


@pytest.mark.parametrize(("k", "patterns"), [(11, 22), (7, 14)])
def test_without_biases_neurons_see_arms_only(k, patterns):
    X, _, arm = arms.star(Star(arms=k))
    a, _, _, _ = nets(Star(m=4096), 1)[0]
    active = X @ a.T > 0
    assert all(len(np.unique(active[arm == j], axis=0)) == 1 for j in range(k))
    # A line through the origin parts 2k rays, the arms and their opposites, in 2k ways for odd k.
    assert len(np.unique(active, axis=1).T) == patterns


# ---------------------------------------------------------------------------------------------------- threshold


@pytest.mark.parametrize("points", ["star", "cross", "double_cross", "line"])
def test_affine_arms_leave_a_loss_of_one_where_all_points_count_the_same(points):
    rays = arms.POINTS[points](Star(points=points))
    assert arms.affine_loss(rays, np.full((1, len(rays.y)), 1 / len(rays.y))) == pytest.approx(1, rel=1e-12)
    (row,) = STAR.rows(Star(m=8, points=points, weights="uniform", epochs=0), 0, [0])
    _, solution, _ = STAR.run(Star(m=8, points=points, weights="uniform", epochs=0), Draws(0, [0]))
    assert row["loss"] == pytest.approx(solution.value[0].loss / 0.999999, rel=1e-12)


def test_the_threshold_is_least_squares_on_every_arm():
    rays, rng = arms.star(Star()), np.random.default_rng(0)
    nu = rng.dirichlet(np.ones(33), size=20)
    nu[:5] *= rng.random((5, 33)) < 0.7  # arms with two points or fewer are fitted
    expected = np.zeros(20)
    for b in range(20):
        for k in range(11):
            on = rays.arm == k
            root, A = np.sqrt(nu[b, on]), np.column_stack([np.linalg.norm(rays.X[on], axis=1), np.ones(3)])
            line, *_ = np.linalg.lstsq(root[:, None] * A, root * rays.y[on], rcond=None)
            expected[b] += 0.5 * nu[b, on] @ (A @ line - rays.y[on]) ** 2
    # Weights near zero make the SVD's two columns nearly parallel: some digits are lost in both ways.
    assert arms.affine_loss(rays, nu) == pytest.approx(expected, rel=1e-9, abs=1e-15)


# ---------------------------------------------------------------------------------------------------- step size


def gradients(X, weights):
    """The gradient of the output at each point with respect to all weights, by torch's tape."""
    parts = [torch.tensor(np.array(part), requires_grad=True) for part in weights]
    a, b, w, c = parts
    rows = []
    for x in torch.tensor(X):
        row = torch.autograd.grad(torch.relu(a @ x + b) @ w + c, parts)
        rows.append(torch.cat([g.reshape(-1) for g in row]).numpy())
    return np.array(rows)


@pytest.mark.parametrize("bias", ["zero", "random"])
def test_the_spectral_step_is_one_over_the_tangent_kernels_eigenvalue(bias):
    params = Star(m=20, bias=bias)
    problem, weights = STAR.sample(params, Draws(0, [0])), nets(params, 1)[0]
    J = np.sqrt(problem.weights[0])[:, None] * gradients(problem.X[0], weights)
    eigenvalue = np.linalg.norm(J, 2) ** 2
    assert star.tangent_eigenvalue(problem.X[0], problem.weights[0], weights) == pytest.approx(eigenvalue, rel=1e-12)
    assert star.step_sizes(params, problem, Draws(0, [0]))[0] == pytest.approx(1 / eigenvalue)


def test_the_published_step_is_a_kernel_of_weights_applied_twice():
    params = Star(m=20, bias="random", step_rule="published")
    problem, weights = STAR.sample(params, Draws(0, [0])), nets(params, 1)[0]
    flat = np.concatenate([np.ravel(part) for part in weights])
    stacked = np.tile(flat, (33, 1)) * np.sqrt(problem.weights[0])[:, None]
    eigenvalue = np.linalg.eigvalsh(stacked @ stacked.T)[-1]
    assert star.step_sizes(params, problem, Draws(0, [0]))[0] == pytest.approx(2 / eigenvalue)


# ------------------------------------------------------------------------------------------------------- events


@pytest.mark.parametrize(
    ("options", "epochs"),
    [
        ({"m": 32, "weights": "uniform"}, 3000),
        ({"m": 64}, 3000),
        ({"m": 64, "step_rule": "published"}, 3000),
        ({"m": 40, "bias": "random", "points": "cross"}, 1000),
        ({"m": 40, "arms": 7, "bias": "random", "step_rule": "published", "weights": "uniform"}, 1000),
    ],
)
def test_rows_are_those_of_the_published_loop(options, epochs):
    params, trials = Star(epochs=epochs, **options), 4
    rows = STAR.rows(params, 0, range(trials))
    problem = STAR.sample(params, Draws(0, range(trials)))
    threshold = 0.999999 * arms.affine_loss(arms.POINTS[params.points](params), problem.weights)
    steps, _ = star.step_sizes(params, problem, Draws(0, range(trials)))
    for row, X, y, nu, least, start, h in zip(
        rows, *problem[:2], problem.weights, threshold, nets(params, trials), steps, strict=True
    ):
        _, losses, changed, below, _ = full_batch(X, y, nu, start, h, epochs, least)
        end = max(changed, below) if min(changed, below) >= 0 else epochs
        assert (row["kink_crossed"], row["mse_below"]) == (changed >= 0, below >= 0)
        assert row["crossing_epoch"] == pytest.approx(changed if changed >= 0 else np.nan, nan_ok=True)
        assert row["below_epoch"] == pytest.approx(below if below >= 0 else np.nan, nan_ok=True)
        assert row["loss"] == pytest.approx(losses[end] / least, rel=1e-10)
        assert row["step"] == pytest.approx(h * params.m)


def test_the_trace_is_the_loss_over_the_threshold():
    params = Star(m=64, epochs=10_000, step_rule="published")
    _, solution, scores = STAR.run(params, Draws(0, range(3)))
    epochs, losses = solution.trace["epoch"][0], solution.trace["loss"]
    assert (epochs[0], epochs[-1], losses.shape) == (0, 10_000, (3, len(epochs)))
    for trace, end, loss in zip(losses, solution.value, scores["loss"], strict=True):
        assert np.array_equal(np.isfinite(trace), epochs <= end.steps)
        if end.steps == 10_000:
            assert trace[-1] == loss


def test_bad_input_is_refused():
    with pytest.raises(BadInput, match=r"gap \(distance of the points on an arm of the star\) must be a number in"):
        Star(gap=1.0)
    with pytest.raises(BadInput, match="did you mean published"):
        Star(step_rule="publish")


def test_a_loss_without_a_unit_is_missing():
    """With so few draws that affine arms fit them all, the loss has no unit and no training gets below."""
    rows = STAR.rows(Star(m=2, points="cross", arms=3, epochs=1, step_rule="published"), 0, range(20))
    assert {row["status"] for row in rows} == {"solved"}
    missing = [row for row in rows if np.isnan(row["loss"])]
    assert missing
    assert not any(row["mse_below"] for row in missing)
    assert not any(np.isinf(row["loss"]) for row in rows)
