"""The listings against optimality conditions, another solver, one another and the nets they describe."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import nnls

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_papers.convex_recovery.engine import data, solutions
from smallnets.convex import certify, decode, programs
from smallnets.convex.blocks import Blocks
from smallnets.errors import InvalidInput
from smallnets.geometry import patterns


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
    assert programs.solve(program, "CLARABEL") in programs.SOLVED
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


RELAXED = ["min_norm_skip", "min_norm_plain", "min_norm_normalized"]
EXACT = [f"{name}_exact" for name in RELAXED]
TRAINED = ["train_skip", "train_plain", "train_normalized"]


def planted(n, d, seed=0, labels="units"):
    """One trial, with its trial axis: X, patterns, gates and labels of two normalised units, or mere noise."""
    draws = Draws(seed, [0])
    X, directions = data.design("gaussian", draws, n, d), draws.normal("h", d, 50)
    teacher = data.normalized_teacher("random", 2, d, draws)
    found = patterns.sample(X, np.concatenate([teacher.W, directions], axis=2))
    return X, found.D, found.H, teacher(X) if labels == "units" else draws.normal("z", n) / n**0.5


def solved(listing, X, D, y, *beta):
    """The problem and its variables, with a trial axis."""
    program = getattr(programs, listing)(X[0], D[0], y[0], *beta)
    assert programs.solve(program, "CLARABEL") in programs.SOLVED
    return program, {name: variable.value[None] for name, variable in program.var_dict.items()}


def decoded(listing, X, D, H, values):
    """The net that the values describe."""
    if listing == "min_norm_normalized":
        return decode.gated_normalized(X, D, values["W"], H)
    if "W" in values:
        return decode.gated(values["W"], H, values.get("w0"))
    if "U" in values:
        return decode.balanced(values["U"], values["V"], values.get("w0"))
    return decode.normalized(X, D, values["W_plus"], values["W_minus"])


def dual_of(program, y):
    """The multiplier of the fit; its sign is the solver's choice."""
    dual = program.constraints[0].dual_value
    return dual if y[0] @ dual > 0 else -dual


def norms_on_cones(X, D, dual):
    """max_j of ||Proj_{K_j}(+-X^T D_j dual)||, by Moreau: g = Proj_K(g) - C^T m, m >= 0 of least distance."""
    norms = []
    for j in range(D.shape[2]):
        C = (2.0 * D[0, :, [j]].T - 1) * X[0]
        norms += [nnls(C.T, -sign * X[0].T @ (D[0, :, j] * dual))[1] for sign in (1, -1)]
    return max(norms)


def plain_listing(listing, X, D, y):
    """The exact programs as sums over patterns, in the weights themselves: no factors, no stacking."""
    d, gates = X.shape[2], [np.diag(D[0, :, j].astype(float)) for j in range(D.shape[2])]
    w0, blocks = cp.Variable(d), [(cp.Variable(d), cp.Variable(d)) for _ in gates]
    fit = sum(gate @ X[0] @ (u - v) for gate, (u, v) in zip(gates, blocks, strict=True))
    limits = [
        (2 * gate - np.eye(len(gate))) @ X[0] @ w >= 0 for gate, pair in zip(gates, blocks, strict=True) for w in pair
    ]
    if "normalized" in listing:
        cost = sum(cp.norm(gate @ X[0] @ w) for gate, pair in zip(gates, blocks, strict=True) for w in pair)
    else:
        cost = sum(cp.norm(w) for pair in blocks for w in pair)
    if "skip" in listing:
        fit, cost = fit + X[0] @ w0, cost + cp.norm(w0)
    return fit, cost, limits


@pytest.mark.parametrize("labels", ["units", "noise"])
@pytest.mark.parametrize("listing", ["min_norm_plain", "min_norm_normalized"])
def test_relaxed_solutions_meet_the_optimality_conditions(listing, labels):
    X, D, _, y = planted(14, 4, labels=labels)
    program, _ = solved(listing, X, D, y)
    dual = dual_of(program, y)
    for j in range(D.shape[2]):
        A = D[0, :, [j]].T * X[0]
        if listing == "min_norm_normalized":
            A = np.linalg.svd(A)[0][:, : np.linalg.matrix_rank(A)]
        assert np.linalg.norm(A.T @ dual) < 1 + 1e-6
    assert program.value == pytest.approx(y[0] @ dual, abs=1e-6)


@pytest.mark.parametrize("labels", ["units", "noise"])
@pytest.mark.parametrize("listing", EXACT[:2])
def test_exact_solutions_meet_the_optimality_conditions_on_the_cones(listing, labels):
    X, D, _, y = planted(14, 4, labels=labels)
    program, values = solved(listing, X, D, y)
    dual = dual_of(program, y)
    assert norms_on_cones(X, D, dual) < 1 + 1e-6
    if listing == "min_norm_skip_exact":
        assert np.linalg.norm(X[0].T @ dual) < 1 + 1e-6
    assert program.value == pytest.approx(y[0] @ dual, abs=1e-6)
    for W in (values["U"], values["V"]):
        assert ((2 * D - 1) * (X @ W) > -1e-6).all()


@pytest.mark.parametrize("labels", ["units", "noise"])
@pytest.mark.parametrize("listing", EXACT)
def test_exact_listings_are_sums_over_patterns(listing, labels):
    X, D, _, y = planted(9, 3, labels=labels)
    fit, cost, limits = plain_listing(listing, X, D, y)
    plain = cp.Problem(cp.Minimize(cost), [fit == y[0], *limits])
    plain.solve(solver="SCS", eps=1e-8, max_iters=100_000)
    assert plain.status == cp.OPTIMAL
    program, _ = solved(listing, X, D, y)
    assert program.value == pytest.approx(plain.value, abs=1e-5)  # a first-order method, to about 1e-6


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("listing", RELAXED)
def test_cones_can_only_cost(listing, seed):
    X, D, _, y = planted(12, 4, seed, labels="noise")
    relaxed, exact = solved(listing, X, D, y)[0], solved(f"{listing}_exact", X, D, y)[0]
    assert exact.value > relaxed.value - 1e-6


@pytest.mark.parametrize("shape", [(14, 4), (5, 6)])
@pytest.mark.parametrize("listing", RELAXED + EXACT)
def test_decoded_nets_fit_the_labels_at_the_cost_of_the_program(listing, shape):
    X, D, H, y = planted(*shape, seed=1)
    program, values = solved(listing, X, D, y)
    net = decoded(listing, X, D, H, values)
    assert np.allclose(net(X), y, atol=1e-6)
    if listing in EXACT[:2]:
        assert np.allclose(np.linalg.norm(net.W, axis=1), np.abs(net.a)), "balanced"
        half = (np.sum(net.W**2) + np.sum(net.a**2)) / 2 + np.linalg.norm(net.skip)
        assert half == pytest.approx(program.value, abs=1e-5)  # inactive blocks are dropped
    elif listing in EXACT:
        assert np.abs(net.a).sum() == pytest.approx(program.value, abs=1e-5)


def test_inactive_blocks_are_units_without_effect():
    X, D, _, _ = planted(12, 4)
    j = int(np.flatnonzero(D[0].sum(axis=0) == 6)[0])
    W = np.zeros((1, 4, D.shape[2]))
    W[..., j] = np.random.default_rng(0).standard_normal(4)
    net = decode.balanced(W, 0 * W)
    assert np.count_nonzero(net.a) == 1
    assert np.count_nonzero(np.linalg.norm(net.W, axis=1)) == 1
    signed = decode.normalized(X, D, 0 * W, W)
    assert np.count_nonzero(signed.a) == 1
    assert signed.a.min() == pytest.approx(-np.linalg.norm(W))
    assert np.isfinite(signed(X)).all(), "no unit is active on no point"


@pytest.mark.parametrize(("n", "d"), [(12, 4), (5, 7)])
def test_factors_end_at_the_rank(n, d):
    X, D, _, _ = planted(n, d)
    found = decode.factors(X, D)
    blocks = D.swapaxes(1, 2)[..., None] * X[:, None]
    assert np.array_equal(found.kept.sum(axis=-1), np.linalg.matrix_rank(blocks))
    assert not found.kept.all(), "some pattern is active on fewer points than dimensions"
    assert np.allclose(found.U * found.S[..., None, :] @ found.V.swapaxes(-1, -2), blocks)
    assert np.allclose(found.V.swapaxes(-1, -2) @ found.V, np.eye(d))
    null = np.where(found.kept.swapaxes(1, 2), 0, np.random.default_rng(0).standard_normal((1, d, D.shape[2])))
    assert np.allclose(D * (X @ found.weights(null)), 0), "past the rank lies the null space"


def test_a_unit_active_on_few_points_is_in_reach_of_the_exact_normalised_program():
    X, D, H, _ = planted(12, 5)
    few = int(np.flatnonzero(D[0].sum(axis=0) == 3)[0])
    D, H = D[..., [few]], H[..., [few]]
    y = np.maximum(X @ H, 0)[..., 0]
    y /= np.linalg.norm(y)
    program, values = solved("min_norm_normalized_exact", X, D, y)
    assert program.value == pytest.approx(1, abs=1e-6)
    assert np.allclose(decode.normalized(X, D, values["W_plus"], values["W_minus"])(X), y, atol=1e-6)
    pinned = programs.min_norm_normalized_exact(X[0], D[0], y[0])
    null = [variable[3:] == 0 for variable in pinned.variables()]
    without = cp.Problem(pinned.objective, [*pinned.constraints, *null])
    assert programs.solve(without, "CLARABEL") not in programs.SOLVED, "without its null space this unit is shut out"


@pytest.mark.parametrize("listing", TRAINED)
def test_training_is_the_published_objective(listing):
    X, D, _, y = planted(10, 3)
    beta = 1e-2
    program, _ = solved(listing, X, D, y, beta)
    fit, cost, limits = plain_listing(listing, X, D, y)
    published = cp.Problem(cp.Minimize(cp.sum_squares(fit - y[0]) + beta * cost), limits)
    published.solve(solver="CLARABEL")
    assert beta * program.value == pytest.approx(published.value, abs=1e-7)


@pytest.mark.parametrize("listing", TRAINED)
def test_training_has_no_duality_gap(listing):
    X, D, _, y = planted(12, 4, labels="noise")
    beta = 1e-2
    program, values = solved(listing, X, D, y, beta)
    dual = dual_of(program, y)
    assert np.allclose(dual, 2 * values["s"][0], atol=1e-5), "the scaled residual is half the dual vector"
    assert program.value == pytest.approx(y[0] @ dual - beta / 4 * dual @ dual, abs=1e-6)
    if listing != "train_normalized":
        assert norms_on_cones(X, D, dual) < 1 + 1e-6


@pytest.mark.parametrize("beta", [1e-4, 1e-6])
@pytest.mark.parametrize("listing", TRAINED)
def test_little_weight_decay_is_the_minimal_norm(listing, beta):
    X, D, _, _ = planted(16, 4, seed=3)
    w = np.full((1, 4), 0.5)
    unit = np.maximum(X @ w[..., None], 0)[..., 0]
    D = np.unique(np.concatenate([D, X @ w[..., None] >= 0], axis=2), axis=2)
    y = {"train_skip": (X @ w[..., None])[..., 0], "train_plain": unit, "train_normalized": unit / np.linalg.norm(unit)}
    trained, values = solved(listing, X, D, y[listing], beta)
    limit, least = solved(f"{listing.replace('train', 'min_norm')}_exact", X, D, y[listing])
    # The value falls by beta/4 ||dual||^2 and the weights move by as much, times the blocks' condition.
    assert 0 <= limit.value - trained.value + 1e-7 < 2 * beta + 2e-7
    assert all(np.allclose(values[name], least[name], atol=10 * beta + 1e-6) for name in least)


def skip_isometry(X, D, w):
    """The condition for the linear neuron w in the skip connection, which is the first block."""
    plant = certify.Plant.of(np.array([0]), w[:, None])
    return certify.isometry(Blocks(X, np.column_stack([np.ones(len(X), bool), D])), plant), plant


def test_the_isometry_condition_is_a_dual_certificate():
    X, D, y, w = instance(40, 10)
    condition, plant = skip_isometry(X, D, w)
    dual = X @ np.linalg.solve(X.T @ X, w)
    assert condition.consistent
    assert np.allclose(condition.dual, dual)
    norms = [np.linalg.norm(X.T @ (D[:, j] * dual)) for j in range(D.shape[1])]
    assert np.allclose(condition.norms, [1, *norms])
    assert condition.largest(plant) == pytest.approx(max(norms))
    assert condition.held(plant) == (max(norms) < 1)
    assert np.allclose(X.T @ dual, w)
    assert y @ dual == pytest.approx(1), "the dual value is the plant's norm"


def test_the_isometry_condition_knows_when_it_says_nothing():
    X, D, _, w = instance(6, 10)
    condition, plant = skip_isometry(X, D, w)
    assert not condition.consistent, "a random plant leaves the row space"
    assert np.isnan(condition.largest(plant))
    assert not condition.held(plant)
    X, D, _, w = instance(6, 10, plant="smallest_singular")
    assert skip_isometry(X, D, w)[0].consistent


def test_an_infeasible_program_is_a_status():
    X, _, y, _ = instance(20, 4, sigma=0.5)
    program = programs.min_norm_skip(X, np.zeros((20, 1), bool), y)
    assert programs.solve(program, "CLARABEL") not in programs.SOLVED


def test_every_status_of_cvxpy_is_mapped():
    s = cp.settings
    assert {*s.SOLUTION_PRESENT, *s.INF_OR_UNB, *s.ERROR} <= set(solutions.STATUSES)
    assert set(solutions.STATUSES.values()) <= set(Status)


def test_only_solvers_with_second_order_cones_are_offered():
    offered = programs.solvers()
    assert {"CLARABEL", "SCS"} <= set(offered)
    assert "OSQP" not in offered


@pytest.mark.parametrize("listing", [programs.train_skip, programs.train_plain, programs.train_normalized])
def test_training_without_decay_is_refused(listing):
    X, D, y, _ = instance(12, 3)
    with pytest.raises(InvalidInput, match=r"beta \(weight decay\) must be a number in \(0, inf\), got 0"):
        listing(X, D, y, 0)
