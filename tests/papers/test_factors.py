"""Factored models against the published loops written plainly, and against what is known of matrices by other means."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers.local_linear_recovery import theory
from neurec_papers.local_linear_recovery.engine import factors
from neurec_papers.local_linear_recovery.experiments import matrix_and_toy as paper
from neurec_papers.local_linear_recovery.experiments.matrix_and_toy import MATRIX_AND_TOY, MatrixAndToy
from smallnets.errors import InvalidInput


def plain_matrix(params, start, X, y):
    """A and B, from the formulas: with E = A B - target on the places seen, dA = 2/n E B^T and dB = 2/n A^T E."""
    d = params.d
    A, B = (part.reshape(d, d).copy() for part in np.split(start, 2))
    rows, columns = X.astype(int).T
    scale = 1 / params.n if params.loss == "mean" else 1.0
    for step in range(params.limit + 1):
        E = np.zeros((d, d))
        E[rows, columns] = (A @ B)[rows, columns] - y
        loss = scale * np.sum(E**2)
        if loss < params.tolerance or step == params.limit:
            return np.append(A, B), step, loss
        A, B = A - params.step * scale * 2 * E @ B.T, B - params.step * scale * 2 * A.T @ E
    return None


def plain_toy(params, start, X, y):
    """theta0 + theta1 x1 + theta2 theta3 x2."""
    theta = start.copy()
    for step in range(params.limit + 1):
        e = theta[0] + theta[1] * X[:, 0] + theta[2] * theta[3] * X[:, 1] - y
        loss = np.mean(e**2)
        if loss < params.tolerance or step == params.limit:
            return theta, step, loss
        g = [np.mean(e), np.mean(e * X[:, 0]), theta[3] * np.mean(e * X[:, 1]), theta[2] * np.mean(e * X[:, 1])]
        theta = theta - 2 * params.step * np.array(g)
    return None


CASES = {
    "determined": (MatrixAndToy(r=1, n=14), plain_matrix),
    "underdetermined": (MatrixAndToy(r=2, n=9, target="gaussian"), plain_matrix),
    "full": (MatrixAndToy(r=3, n=9, d=3, loss="sum", step=0.02), plain_matrix),
    "stopped": (MatrixAndToy(r=2, n=13, limit=3000), plain_matrix),
    "toy": (MatrixAndToy(model="toy", r=1, n=3, limit=20_000), plain_toy),
}


@pytest.mark.parametrize("name", CASES)
def test_it_is_the_plain_loop(name):
    params, plain = CASES[name]
    draws = Draws(3, [0, 1])
    problem, solution, _ = MATRIX_AND_TOY.run(params, draws)
    starts = 1e-4 * draws.normal("theta", paper.form(params).size)
    for b, start in enumerate(starts):
        theta, steps, loss = plain(params, start, problem.X[b], problem.y[b])
        assert solution.stats["steps"][b] == steps > 200
        assert (steps == params.limit) == (solution.stats["loss"][b] >= params.tolerance)
        assert solution.stats["loss"][b] == pytest.approx(loss, rel=1e-8)
        # From 1e-4 to 1, the last bit of either grows ten thousandfold.
        assert np.abs(solution.value[b] - theta).max() < 1e-10 * np.abs(theta).max()


def test_the_tangent_map_is_the_derivative():
    rng = np.random.default_rng(0)
    for model in (factors.linear(4), factors.matrix(3), factors.last_factored(4)):
        theta, by = rng.standard_normal((2, 2, model.size))
        # Coefficients are quadratic, so central differences are exact but for rounding.
        wanted = (factors.coefficients(model, theta + by) - factors.coefficients(model, theta - by)) / 2
        found = (factors.jacobian(model, theta) @ by[..., None])[..., 0]
        assert found == pytest.approx(wanted, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("target", ["isometry", "gaussian"])
@pytest.mark.parametrize("r", range(5))
def test_the_model_rank_of_a_matrix_is_the_closed_form(r, target):
    params = MatrixAndToy(r=r, n=16, target=target)
    problem = paper.sample(params, Draws(0, range(5)))
    rank, kept = paper.determined(params, problem)
    assert (rank == [0, 7, 12, 15, 16][r]).all()
    assert (rank == theory.matrix_rank_size(np.array(r))).all()
    assert kept.all()
    assert np.linalg.matrix_rank(problem.teacher[0].reshape(4, 4)) == r


def test_the_simplest_parameters_have_the_target_and_no_others_less_rank():
    params = MatrixAndToy(r=2, n=16)
    target = paper.sample(params, Draws(0, range(3))).teacher
    theta, model = paper.simplest(params, target), paper.form(params)
    assert factors.coefficients(model, theta) == pytest.approx(target, abs=1e-14)
    rng = np.random.default_rng(0)
    for t, c in zip(theta, target, strict=True):
        A, B = t.reshape(2, 4, 4)
        A, G = A + np.pad(rng.standard_normal((4, 2)), ((0, 0), (2, 0))), rng.standard_normal((4, 4))
        other = np.append(A @ G, np.linalg.solve(G, B))[None]  # full rank on one side
        assert factors.coefficients(model, other)[0] == pytest.approx(c, abs=1e-10)
        assert np.linalg.matrix_rank(factors.jacobian(model, other), rtol=1e-9) > 12


def connected(places, d):
    """Whether rows and columns, joined by the places seen, hang together."""
    parts = [{i} for i in range(2 * d)]
    for row, column in places.astype(int):
        touched = [part for part in parts if row in part or d + column in part]
        parts = [part for part in parts if part not in touched] + [set().union(*touched)]
    return len(parts) == 1


def test_a_rank_one_matrix_is_determined_where_its_graph_is_connected():
    outcomes = []
    for n in (6, 7, 8, 9, 10, 12):
        params = MatrixAndToy(r=1, n=n, target="gaussian")
        problem = paper.sample(params, Draws(1, range(40)))
        wanted = [connected(places, 4) for places in problem.X]
        assert paper.determined(params, problem)[1].tolist() == wanted
        outcomes += wanted
    assert 60 < sum(outcomes) < 180, "both happen often"


def test_a_matrix_of_parameters_needs_all_entries():
    for n, all_of_them in ((15, False), (16, True)):
        _, _, scores = MATRIX_AND_TOY.run(MatrixAndToy(parameters="entries", r=1, n=n), Draws(0, range(5)))
        assert (scores["recovered"] == all_of_them).all()
        assert (scores["determined"] == all_of_them).all()


def test_places_are_distinct_and_more_samples_add_places():
    few, many = (paper.sample(MatrixAndToy(n=n), Draws(0, [0])) for n in (5, 16))
    assert np.array_equal(few.X, many.X[:, :5])
    assert len({tuple(place) for place in many.X[0]}) == 16
    target = many.teacher.reshape(4, 4)
    assert [target[int(i), int(j)] for i, j in many.X[0]] == pytest.approx(many.y[0])


def test_a_trial_that_diverges_has_that_status_and_one_that_takes_too_long_is_an_event():
    far = MATRIX_AND_TOY.rows(MatrixAndToy(r=1, n=16, step=10), 0, range(2))
    assert [row["status"] for row in far] == [Status.DIVERGED] * 2
    assert far[0]["error"] is None
    slow = MATRIX_AND_TOY.rows(MatrixAndToy(r=1, n=12, limit=100), 0, [0])[0]
    assert (slow["stalled"], slow["steps"], slow["status"]) == (True, 100, Status.SOLVED)


def test_a_trial_beside_one_that_diverges_is_not_touched():
    model = factors.matrix(2)
    Phi, y = np.tile(np.eye(4), (2, 1, 1)), np.array([[1.0, 0, 0, 1], [1e3, 0, 0, 1e3]])
    start = np.random.default_rng(0).standard_normal((2, 8))
    options = {"rate": 0.05, "tolerance": 1e-9, "steps": 10_000}
    both, one = (factors.descend(model, start[:k], (Phi[:k], y[:k]), **options) for k in (2, 1))
    assert both.diverged.tolist() == [False, True]
    assert np.array_equal(both.theta[0], one.theta[0])


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"r": 5}, r"r \(rank\) must be a whole number in \[0, 4\] for this model, got 5"),
        ({"model": "toy", "r": 2}, r"r \(rank\) must be a whole number in \[0, 1\]"),
        ({"n": 17}, r"n \(samples\) must be at most 16, the entries of the matrix, got 17"),
    ],
)
def test_points_that_make_no_sense_are_refused(values, message):
    with pytest.raises(BadInput, match=message):
        MatrixAndToy(**values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": np.ones((2, 3))}, r"start \(parameters at the start\) must be an array of shape \(B, M\)"),
        ({"Phi": np.ones((2, 3, 5))}, r"samples\[0\] \(what samples see\) must be an array of shape \(B, n, p\)"),
        (
            {"y": np.ones((2, 4))},
            r"samples\[1\] \(labels\) must be an array of shape \(B, n\) = \(2, 3\), got \(2, 4\)",
        ),
        ({"y": np.full((2, 3), np.nan)}, r"samples\[1\] \(labels\) must be finite, got 6 of 6"),
        ({"rate": 0.0}, r"rate \(step size\) must be a number in \(0, inf\), got 0.0"),
        ({"tolerance": np.nan}, r"tolerance \(of the loss\) must be a number in \[0, inf\), got nan"),
        ({"steps": -1}, r"steps \(at most so many\) must be a whole number in \[0, inf\), got -1"),
        ({"loss": "means"}, r"unknown loss 'means': did you mean mean\?"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"start": np.ones((2, 8)), "Phi": np.ones((2, 3, 4)), "y": np.ones((2, 3)), "rate": 0.1, "tolerance": 0.0}
    given = {**given, "steps": 1, **change}
    with pytest.raises(InvalidInput, match=message):
        factors.descend(factors.matrix(2), given.pop("start"), (given.pop("Phi"), given.pop("y")), **given)
