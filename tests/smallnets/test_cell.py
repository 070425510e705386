"""The convex problem of a vertex against an interior-point solver, projected gradients and optimality conditions."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from neurec_core.draws import Draws
from smallnets.convex import cell
from smallnets.errors import InvalidInput
from smallnets.geometry import patterns, zonotopes


def problem(n, d, m, trial=0):
    draws = Draws(0, [trial])
    X, y = draws.normal("X", n, d)[0], draws.normal("y", n)[0]
    fan = zonotopes.fan(X)
    random = np.random.default_rng(trial)
    cells, signs = random.integers(0, fan.D.shape[1], m), random.choice([-1, 1], m)
    return X, y, fan, cells, signs


def by_rays(X, y, fan, cells, signs):
    none = np.zeros(0, int)
    plus, minus = (
        np.unique(np.concatenate([none, *(fan.corners(c) for c, s in zip(cells, signs, strict=True) if s == sign)]))
        for sign in (1, -1)
    )
    return cell.combine(np.maximum(X @ fan.rays.T, 0), y, plus, minus)


SIZES = [(6, 2, 1), (8, 3, 2), (12, 3, 3), (10, 4, 2), (7, 3, 5)]


@pytest.mark.parametrize(("n", "d", "m"), SIZES)
@pytest.mark.parametrize("trial", range(3))
def test_both_routes_agree_with_an_interior_point_solver(n, d, m, trial):
    X, y, fan, cells, signs = problem(n, d, m, trial)
    D = fan.D[:, cells]
    W = [cp.Variable(d) for _ in range(m)]
    outputs = sum(int(s) * cp.multiply(D[:, j], X @ W[j]) for j, s in enumerate(signs))
    inside = [cp.multiply(np.where(D[:, j], 1.0, -1.0), X @ W[j]) >= 0 for j in range(m)]
    value = cp.Problem(cp.Minimize(cp.sum_squares(outputs - y) / n), inside).solve(solver="CLARABEL")
    # The solver's own accuracy, 1e-8, on a loss of size 1.
    assert cell.fit(X, y, D, signs).loss == pytest.approx(value, abs=1e-6)
    assert np.mean(by_rays(X, y, fan, cells, signs)[1] ** 2) == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize(("n", "d", "m"), SIZES)
@pytest.mark.parametrize("trial", range(6))
def test_the_optimality_conditions_hold(n, d, m, trial):
    X, y, fan, cells, signs = problem(n, d, m, trial)
    D = fan.D[:, cells]
    found = cell.fit(X, y, D, signs)
    sides = np.where(D, 1.0, -1.0)
    slack = sides * (X @ found.W)
    assert found.multipliers.min() >= 0
    assert slack.min() > -1e-8
    for j, s in enumerate(signs):
        left = s * X.T @ (D[:, j] * found.residual)
        norms = np.linalg.norm(X, axis=1)  # multipliers belong to points of norm 1
        assert np.allclose(left, -X.T @ (sides[:, j] * found.multipliers[:, j] / norms), atol=1e-9)
    outputs = np.maximum(X @ found.W, 0) @ signs
    # Weights in their cells: the linear maps are the network. A slack of -1e-8 is the only difference.
    assert np.allclose(outputs, y - found.residual, atol=1e-7)
    assert found.loss == pytest.approx(np.mean(found.residual**2))


def test_the_two_routes_agree_on_random_vertices():
    worst, unsure = 0.0, 0
    for trial in range(60):
        X, y, fan, cells, signs = problem(12, 3, 6, trial)
        one, (coefficients, residual) = cell.fit(X, y, fan.D[:, cells], signs), by_rays(X, y, fan, cells, signs)
        unsure += not one.converged
        if one.converged:
            worst = max(worst, abs(one.loss - np.mean(residual**2)))
        _, off = cell.multipliers(X, fan.D[:, cells], signs, residual)
        assert off * np.linalg.norm(residual) < 1e-9 * np.linalg.norm(y), "proven by multipliers"
        assert np.abs(coefficients).max() < 1e6
    # Proximal steps stop at a gradient of 1e-12; a thin cell may say that it is too thin for that.
    assert worst < 1e-8
    assert unsure < 10


def test_both_signs_on_one_pattern_are_a_free_linear_map():
    X, y, fan, cells, _ = problem(9, 3, 1)
    both, signs = np.repeat(cells, 2), np.array([1, -1])
    active = fan.D[:, cells[0]]
    free = y.copy()
    free[active] -= X[active] @ np.linalg.lstsq(X[active], y[active])[0]
    # Weights grow where a cell is thin; the loss is that of least squares to rounding.
    assert np.mean(by_rays(X, y, fan, both, signs)[1] ** 2) == pytest.approx(np.mean(free**2), abs=1e-12)
    assert cell.fit(X, y, fan.D[:, both], signs).loss == pytest.approx(np.mean(free**2), abs=1e-10)


def test_units_that_are_active_nowhere_change_nothing():
    X, y, fan, _, _ = problem(6, 2, 1)
    X = np.column_stack([X[:, 0], np.ones(6)])
    fan = zonotopes.fan(X)
    (silent,) = np.flatnonzero(~fan.D.any(axis=0))
    found = cell.fit(X, y, fan.D[:, [silent]], np.array([1]))
    assert found.loss == pytest.approx(np.mean(y**2), rel=1e-12)
    assert np.array_equal(by_rays(X, y, fan, [silent], [1])[1], y)


def test_a_ridge_costs_loss_and_less_of_it_costs_less():
    X, y, fan, cells, signs = problem(10, 3, 4, 1)
    D = fan.D[:, cells]
    least = cell.fit(X, y, D, signs).loss
    losses = [cell.ridge(X, y, D, signs, weight=weight) for weight in (1.0, 1e-2, 1e-4, 1e-8)]
    assert (np.diff(losses) <= 0).all()
    assert losses[0] > least + 1e-3
    assert losses[-1] == pytest.approx(least, abs=1e-4)
    W = [cp.Variable(3) for _ in signs]
    outputs = sum(int(s) * cp.multiply(D[:, j], X @ W[j]) for j, s in enumerate(signs))
    inside = [cp.multiply(np.where(D[:, j], 1.0, -1.0), X @ W[j]) >= 0 for j in range(4)]
    objective = cp.sum_squares(outputs - y) + 0.01 * sum(cp.sum_squares(w) for w in W)
    cp.Problem(cp.Minimize(objective), inside).solve(solver="CLARABEL")
    # The solver's own accuracy.
    assert np.mean((outputs.value - y) ** 2) == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y": np.array([1.0, np.nan, 0, 0])}, "y \\(labels\\) must be finite, got 1 of 4"),
        ({"X": np.full((4, 2), np.inf)}, "X \\(points\\) must be finite, got 8 of 8"),
        (
            {"X": np.zeros((0, 2)), "y": np.zeros(0), "D": np.zeros((0, 1), bool)},
            "X \\(points\\) must be an array of shape .*, got \\(0, 2\\)",
        ),
        (
            {"D": np.zeros((4, 0), bool), "signs": np.zeros(0)},
            "D \\(patterns\\) must be an array of shape .*, got \\(4, 0\\)",
        ),
        ({"signs": np.array([2])}, "signs \\(of the units' outputs\\) must be 1 or -1"),
        ({"y": np.ones(3)}, "y \\(labels\\) must be an array of shape \\(n,\\) = \\(4,\\), got \\(3,\\)"),
        (
            {"X": np.array([[1.0, 1], [2, 1], [3, 1], [4, 1]]), "D": np.array([[1], [0], [1], [0]], bool)},
            "D \\(patterns\\) must be cells: no direction is active on just the points of column 0",
        ),
    ],
)
def test_what_cannot_be_solved_is_refused(change, says):
    given = {"X": np.eye(4, 2) + 1, "y": np.ones(4), "D": np.ones((4, 1), bool), "signs": np.array([1])} | change
    with pytest.raises(InvalidInput, match=says):
        cell.fit(**given)


def test_nothing_to_solve_is_refused_and_does_not_end_the_process():
    with pytest.raises(InvalidInput, match=r"X \(points\) must be an array of shape .*, got \(0, 2\)"):
        cell.multipliers(np.zeros((0, 2)), np.zeros((0, 1), bool), np.ones(1), np.zeros(0))
    with pytest.raises(InvalidInput, match=r"X \(points\) must be an array of shape .*, got \(1, 0, 3\)"):
        patterns.all_ones(np.zeros((1, 0, 3)))


def test_a_ridge_of_no_weight_is_refused():
    X, y, fan, cells, _ = problem(6, 2, 1)
    with pytest.raises(InvalidInput, match=r"weight \(.*\) must be a number in \(0, inf\), got 0\.0"):
        cell.ridge(X, y, fan.D[:, cells], np.ones(1), weight=0.0)
