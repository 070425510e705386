"""Answers do not depend on units: of points, of labels, and of single inputs."""

from __future__ import annotations

import warnings

import cvxpy as cp
import numpy as np
import pytest

from smallnets.convex import interpolation, solving
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import SURE, Cones

FACTORS = (1e-8, 1e-3, 1e3, 1e8)
MODELS = ("plain", "skip", "normalized")
PROGRAMS = [(model, exact, beta) for model in MODELS for exact in (False, True) for beta in (0.0, 1e-2)]
SPREADS = (1e2, 1e5, 1e8)  # the largest unit of an input over the least


def drawn(model):
    """Points (n, d), labels, patterns (n, p) and directions (d, p) that make them."""
    rng = np.random.default_rng(3)
    X, y, H = rng.standard_normal((20, 4)), rng.standard_normal(20), rng.standard_normal((4, 15))
    D, first = np.unique(X @ H >= 0, axis=1, return_index=True)
    H = H[:, first]
    if model == "skip":
        D, H = np.column_stack([np.ones(20, bool), D]), np.column_stack([np.zeros(4), H])
    return X, y, D, H


def solved(X, y, D, H, model, exact, beta):
    """The least sum of norms, plus squared residuals over beta where there is decay, and the answer."""
    gated = Blocks(X, D, model == "normalized")
    blocks = Cones(gated, H, int(model == "skip")) if exact else gated
    found = solving.solve(blocks, y, ridge=beta / 2)
    assert found.converged
    missed = y - blocks.forward(found.W)
    return float(np.linalg.norm(found.W, axis=0).sum() + (missed @ missed / beta if beta else 0)), found


def proven(X, y, D, W, dual, beta):
    """Upper and lower bounds of the least cost without cones, from weights and a dual vector in extended precision."""
    X, y, W, dual = (part.astype(np.longdouble) for part in (X, y, W, dual))
    missed = y - (D * (X @ W)).sum(axis=1)
    norms = np.sqrt(((X.T @ (D * dual[:, None])) ** 2).sum(axis=0))
    cost, dual = np.sqrt((W**2).sum(axis=0)).sum(), dual / max(norms.max(), 1)
    if beta:
        return cost + missed @ missed / beta, y @ dual - beta * (dual @ dual) / 4
    return cost + abs(missed @ dual), y @ dual


def listed(X, y, D, units, free, beta):
    """The least cost of points X * units with cones by CLARABEL, at last in units in which all of it is about 1."""
    least, size = units.min(), 1.0
    for _ in range(2):
        fit, cost, limits = 0, 0, []
        for j in range(D.shape[1]):
            for sign in (1, -1) if j >= free else (1,):
                w = cp.Variable(X.shape[1])  # on X
                fit, cost = fit + sign * (D[:, [j]] * X) @ w, cost + cp.norm(cp.multiply(least / units, w))
                if j >= free:
                    limits.append(cp.multiply(2.0 * D[:, j] - 1, X @ w) >= 0)
        if beta:
            s, decay = cp.Variable(len(y)), beta / (least * size)
            fit, cost = fit + decay * s, cost + decay * cp.sum_squares(s)
        problem = cp.Problem(cp.Minimize(cost), [fit == y / size, *limits])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # 1e-12 is more than it may reach
            problem.solve(solver="CLARABEL", tol_gap_abs=1e-12, tol_gap_rel=1e-12, tol_feas=1e-12)
        value = float(problem.value) * size / least
        size = value * least
    return value


@pytest.mark.parametrize(("model", "exact", "beta"), PROGRAMS)
def test_points_in_other_units(model, exact, beta):
    X, y, D, H = drawn(model)
    cost, found = solved(X, y, D, H, model, exact, beta)
    for factor in FACTORS:
        # Behind a normalised layer weights cost what they put out; elsewhere they shrink as points grow.
        share = 1.0 if model == "normalized" else factor
        other, again = solved(factor * X, y, D, H, model, exact, beta * share)
        assert other * share == pytest.approx(cost, rel=1e-8)
        assert again.unique is found.unique
        assert np.allclose(again.dual * share, found.dual, rtol=0, atol=1e-5 * np.abs(found.dual).max())


@pytest.mark.parametrize(("model", "exact", "beta"), PROGRAMS)
def test_labels_in_other_units(model, exact, beta):
    X, y, D, H = drawn(model)
    cost, found = solved(X, y, D, H, model, exact, beta)
    for factor in FACTORS:
        other, again = solved(X, factor * y, D, H, model, exact, beta * factor)
        assert other / factor == pytest.approx(cost, rel=1e-8)
        assert again.unique is found.unique


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize(("exact", "beta"), [(exact, beta) for exact in (False, True) for beta in (0.0, 1e-2)])
def test_inputs_in_different_units_behind_a_normalised_layer(exact, beta, spread):
    X, y, D, H = drawn("normalized")
    units = spread ** np.linspace(-0.5, 0.5, 4)
    cost, found = solved(X, y, D, H, "normalized", exact, beta)
    other, again = solved(X * units, y, D, H / units[:, None], "normalized", exact, beta)
    assert other == pytest.approx(cost, rel=1e-8)
    assert again.unique is found.unique


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("beta", [0.0, 1e-2])
@pytest.mark.parametrize("model", ["plain", "skip"])
def test_inputs_in_different_units_without_cones_have_a_proof_in_extended_precision(model, beta, spread):
    X, y, D, H = drawn(model)
    units = spread ** np.linspace(-0.5, 0.5, 4)
    cost, found = solved(X * units, y, D, H / units[:, None], model, False, beta)
    most, least = proven(X * units, y, D, found.W, found.dual, beta)
    assert cost == pytest.approx(float(most), rel=1e-8)
    assert 0 <= float((most - least) / most) <= 2e-9


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("beta", [0.0, 1e-2])
@pytest.mark.parametrize("model", ["plain", "skip"])
def test_inputs_in_different_units_with_cones_cost_what_a_cone_solver_finds(model, beta, spread):
    X, y, D, H = drawn(model)
    units = spread ** np.linspace(-0.5, 0.5, 4)
    cost, found = solved(X * units, y, D, H / units[:, None], model, True, beta)
    assert cost == pytest.approx(listed(X, y, D, units, int(model == "skip"), beta), rel=1e-8)
    p = D.shape[1]
    signs = np.repeat([1, -1], [p, found.W.shape[1] - p])  # a minus block holds the negative of a unit's weights
    gates = np.column_stack([D, D[:, int(model == "skip") :]])
    heights, room = (X * units) @ (found.W * signs), np.abs(X * units) @ np.abs(found.W)
    assert ((2.0 * gates - 1) * heights >= -1e-9 * room)[:, int(model == "skip") :].all(), "inside of the cones"


@pytest.mark.parametrize(("n", "d"), [(7, 2), (6, 3)])
def test_least_norms_in_other_units(n, d):
    rng = np.random.default_rng([n, d])
    X, y = rng.standard_normal((n, d)), rng.standard_normal(n)
    best = interpolation.least_norm(X, y)
    for factor in FACTORS:
        for points, labels, value in ((factor * X, y, best.value / factor), (X, factor * y, best.value * factor)):
            other = interpolation.least_norm(points, labels)
            assert other.converged
            assert other.value == pytest.approx(value, rel=1e-8)
            assert len(other.a) == len(best.a)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("seed", range(4))
def test_least_norms_of_inputs_in_different_units_are_enclosed_in_extended_precision(seed, spread):
    rng = np.random.default_rng(seed)
    units = spread ** np.linspace(-0.5, 0.5, 2)
    X, y = (rng.standard_normal((8, 2)) * units).astype(np.longdouble), rng.standard_normal(8)
    best = interpolation.least_norm(X.astype(float), y)
    assert best.converged
    outputs = np.maximum(X @ best.W.T, 0) @ best.a
    assert np.abs(outputs - y).max() <= 1e-9 * np.abs(y).max()
    assert float((best.W**2).sum() + (best.a**2).sum()) / 2 == pytest.approx(best.value, rel=2e-8)
    # Over unit vectors u in the plane |sum_i l_i max(0, u . x_i)| is largest on a ray, or at a gradient within a cell.
    even = (X / units).astype(float)
    rays = np.column_stack([-even[:, 1], even[:, 0]])
    rays = np.concatenate([rays, -rays]) / np.tile(np.linalg.norm(rays, axis=1), 2)[:, None]
    rays = rays[np.argsort(np.arctan2(rays[:, 1], rays[:, 0]))]
    inside = (rays + np.roll(rays, -1, axis=0)) / units
    gradients = ((X @ inside.T > 0) * best.dual[:, None]).T @ X
    u = np.concatenate([rays / units, gradients, -gradients]).astype(np.longdouble)
    most = np.abs(best.dual @ np.maximum(X @ u.T, 0) / np.sqrt((u**2).sum(axis=1))).max()
    assert float(y @ best.dual / max(most, 1)) == pytest.approx(best.value, rel=2e-9)


@pytest.mark.parametrize("spread", SPREADS)
@pytest.mark.parametrize("seed", range(4))
def test_least_norms_of_inputs_in_three_units_have_networks_that_fit_at_their_cost(seed, spread):
    rng = np.random.default_rng(seed)
    X, y = rng.standard_normal((6, 3)) * spread ** np.linspace(-0.5, 0.5, 3), rng.standard_normal(6)
    best = interpolation.least_norm(X, y)
    assert best.converged
    assert np.abs(np.maximum(X.astype(np.longdouble) @ best.W.T, 0) @ best.a - y).max() <= 1e-9 * np.abs(y).max()
    assert float((best.W**2).sum() + (best.a**2).sum()) / 2 == pytest.approx(best.value, rel=2e-8)


@pytest.mark.parametrize("seed", range(4))
def test_supports_of_thin_cones_are_what_extended_precision_finds(seed):
    rng = np.random.default_rng(seed)
    even, units = rng.standard_normal((8, 2)), np.array([1e-8, 1])
    rays = np.column_stack([-even[:, 1], even[:, 0]])
    rays = np.concatenate([rays, -rays])
    rays = rays[np.argsort(np.arctan2(rays[:, 1], rays[:, 0]))]
    H = rays / np.linalg.norm(rays, axis=1)[:, None]
    H = H + np.roll(H, -1, axis=0)  # between two rays each
    D = even @ H.T > 0
    blocks = Cones(Blocks(even * units, D), (H / units).T)
    dual = interpolation.least_norm(even * units, rng.standard_normal(8)).dual  # large, and nearly cancelled by inputs
    found = blocks.support(blocks.adjoint(dual))
    wide = np.longdouble
    for j in range(D.shape[1]):
        g = (even * units).astype(wide).T @ (D[:, j] * dual.astype(wide))
        ends = rays[[j, (j + 1) % len(rays)]].astype(wide) / units
        for sign, value in ((1, found[j]), (-1, found[j + D.shape[1]])):
            best = max(0, *(sign * ends @ g / np.sqrt((ends**2).sum(axis=1))))
            inside = (2 * D[:, j] - 1) * (even @ (units * g * sign).astype(float)) >= 0
            best = np.sqrt(g @ g) if inside.all() else best
            # Below `SURE` an upper bound. Sums of a dual vector of size 1e10 are rounded by 1e-6.
            assert -1e-6 <= value - float(best) <= max(1e-6, SURE - float(best))


def test_a_linear_program_that_no_plane_holds_back_ends_no_process():
    """The inputs are in units that differ by five million; SciPy's `nnls` aborts where it is given no columns."""
    X = np.array([
        [0.19523918945313884, -1.445525738825698e-08],
        [0.0994265712848444, -7.166173065536733e-09],
        [-1.1372499382862664, -1.754394661030523e-07],
        [0.24414144962338205, 1.2795775608681506e-07],
    ])  # fmt: skip
    y = np.array([1.1375468852222514, 1.8036534441584602, 1.5819732556158383, 0.7851258637381054])
    best = interpolation.least_norm(X, y)
    assert best.converged
    assert np.abs(np.maximum(X @ best.W.T, 0) @ best.a - y).max() <= 1e-9


@pytest.mark.parametrize("seed", range(60))
def test_inputs_in_wild_units_end_no_process(seed):
    """Units from 1e-9 to 1e9 and three points or more: an answer, or the word that it is none."""
    rng = np.random.default_rng([seed, 19])
    n, d = int(rng.integers(3, 7)), int(rng.integers(2, 4))
    X, y = rng.standard_normal((n, d)) * 10.0 ** rng.uniform(-9, 9, d), rng.standard_normal(n)
    best = interpolation.least_norm(X, y)
    assert best.gap > -1e-9
    assert not best.converged or best.gap <= 1e-8
