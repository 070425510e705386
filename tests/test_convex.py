"""The reference program against optimality conditions, another solver and the condition that foretells it."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest

from neurec_core import data, patterns
from neurec_core.convex import certify, programs
from neurec_core.draws import Draws
from neurec_core.experiment import Status


def instance(n, d, seed=0, sigma=0.0, plant="random"):
    draws = Draws(seed, [0])
    X = data.design("gaussian", draws, n, d)
    w = data.linear_teacher(plant, X, draws)
    found = patterns.sample(X, draws.normal("h", d, max(n, 50)))
    y = w(X)[0] + sigma * draws.normal("z", n)[0] / n**0.5
    return X[0], found.D[0, :, : found.sizes[0]], y, w.skip[0]


@pytest.mark.parametrize(("n", "sigma"), [(12, 0.0), (30, 0.0), (30, 0.3)])
def test_the_solution_meets_the_optimality_conditions(n, sigma):
    X, D, y, _ = instance(n, 8, sigma=sigma)
    program = programs.min_norm_skip(X, D, y)
    assert programs.solve(program, "CLARABEL").usable
    w0, W = program.var_dict["w0"].value, program.var_dict["W"].value
    dual = program.constraints[0].dual_value
    dual = dual if y @ dual > 0 else -dual  # the sign of an equality's multiplier is the solver's choice
    blocks = [X, *(D[:, [j]] * X for j in range(D.shape[1]))]
    # Feasible in both problems, and no gap between them: optimal, whoever found it. CLARABEL stops at about 1e-8.
    assert np.allclose(sum(A @ w for A, w in zip(blocks, [w0, *W.T], strict=True)), y, atol=1e-6)
    assert max(np.linalg.norm(A.T @ dual) for A in blocks) < 1 + 1e-6
    assert np.linalg.norm(w0) + np.linalg.norm(W, axis=0).sum() == pytest.approx(y @ dual, abs=1e-6)


def test_the_listing_is_the_sum_over_patterns():
    X, D, y, _ = instance(14, 5, sigma=0.2)
    w0, ws = cp.Variable(5), [cp.Variable(5) for _ in range(D.shape[1])]
    fit = X @ w0 + sum(np.diag(D[:, j].astype(float)) @ X @ w for j, w in enumerate(ws))
    plain = cp.Problem(cp.Minimize(cp.norm(w0) + sum(cp.norm(w) for w in ws)), [fit == y])
    plain.solve(solver="SCS", eps=1e-9)
    program = programs.min_norm_skip(X, D, y)
    programs.solve(program, "CLARABEL")
    assert program.value == pytest.approx(plain.value, abs=1e-6)  # two solvers, each to about 1e-7


def test_the_isometry_condition_is_a_dual_certificate():
    X, D, y, w = instance(40, 10)
    norms, consistent = certify.isometry(X[None], D[None], w[None])
    dual = X @ np.linalg.solve(X.T @ X, w)
    assert consistent.all()
    assert np.allclose(norms[0], [np.linalg.norm(X.T @ (D[:, j] * dual)) for j in range(D.shape[1])])
    assert np.allclose(X.T @ dual, w)
    assert y @ dual == pytest.approx(1), "the dual value is the plant's norm"


def test_the_isometry_condition_knows_when_it_says_nothing():
    X, D, _, w = instance(6, 10)
    _, consistent = certify.isometry(X[None], D[None], w[None])
    assert not consistent.any(), "a random plant leaves the row space"
    X, D, _, w = instance(6, 10, plant="smallest_singular")
    _, consistent = certify.isometry(X[None], D[None], w[None])
    assert consistent.all()


def test_an_infeasible_program_is_a_status():
    X, _, y, _ = instance(20, 4, sigma=0.5)
    program = programs.min_norm_skip(X, np.zeros((20, 1), bool), y)
    assert not programs.solve(program, "CLARABEL").usable


def test_every_status_of_cvxpy_is_mapped():
    s = cp.settings
    assert {*s.SOLUTION_PRESENT, *s.INF_OR_UNB, *s.ERROR} <= set(programs.STATUSES)
    assert set(programs.STATUSES.values()) <= set(Status)


def test_only_solvers_with_second_order_cones_are_offered():
    offered = programs.solvers()
    assert {"CLARABEL", "SCS"} <= set(offered)
    assert "OSQP" not in offered
