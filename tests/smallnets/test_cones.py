"""Exact programs: projections, certificates, solutions and decisions, against NNLS, differences and CVXPY."""

from __future__ import annotations

import itertools

import cvxpy as cp
import numpy as np
import pytest
import scipy.linalg
from scipy.optimize import nnls

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_papers.convex_recovery import CONVEX_TRAINING
from neurec_papers.convex_recovery.engine import data, instance, solutions
from smallnets.convex import decode, programs, recovery, solving
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import SURE, Cones
from smallnets.convex.recovery import Outcome
from smallnets.geometry import patterns
from smallnets.nets.two_layer import Net, NormalizedNet

MODELS = ("skip", "plain", "normalized")
# CLARABEL stops at a relative gap of 1e-8, and our own gap is 1e-9: what is compared is the objective.
REFERENCE = 1e-6


def posed(model, n, d, trial=0, **values):
    """One planted trial of a program, over a dozen patterns."""
    params = CONVEX_TRAINING.params(model=model, n=n, d=d, **{"patterns": 12, **values})
    draws = Draws(4, [trial])
    return instance.pose(params, CONVEX_TRAINING.sample(params, draws), draws)[0]


def confined(model, n=14, d=4, X=None, seed=0):
    """The blocks of an exact program over a dozen sampled patterns."""
    X = data.design("gaussian", Draws(seed, [0]), n, d)[0] if X is None else X
    found = patterns.sample(X[None], Draws(seed, [0]).normal("h", X.shape[1], 12))
    D, H, free = found.D[0], found.H[0], int(model == "skip")
    if free:
        D, H = np.column_stack([np.ones(len(X), bool), D]), np.column_stack([np.zeros(len(H)), H])
    return Cones(Blocks(X, D, model == "normalized"), H, free)


def limits(blocks, j):
    """The cone of block j by plain numpy: rows C with C w >= 0; moves in the null space of D_j X are eliminated."""
    rows, active = blocks.X @ blocks.Pt[j].T if blocks.whitened else blocks.X, blocks.D[:, j] > 0
    if j < blocks.free:
        return rows[:0]
    C = (1 if j < blocks.gated.D.shape[1] else -1) * np.where(active[:, None], rows, -rows)
    null = scipy.linalg.null_space(blocks.X[active]) if blocks.whitened else np.zeros((blocks.X.shape[1], 0))
    idle, lifts = C[~active], scipy.linalg.orth((blocks.X[~active] @ null).T)
    if not lifts.size:
        return C
    # A move makes room for w unless non-negative shares of the points, which it cannot change, do without: these are
    # sums of shares on as few points as can be dependent.
    heights = blocks.X[~active] @ null @ lifts
    few = np.array(list(itertools.combinations(range(len(idle)), heights.shape[1] + 1)), int)
    few = few.reshape(-1, heights.shape[1] + 1)
    _, values, Vt = np.linalg.svd(heights[few].swapaxes(1, 2))
    shares = Vt[:, -1] * np.sign(Vt[:, -1].sum(axis=1, keepdims=True))
    proper = (values[:, -1] > 1e-9 * values[:, 0]) & (shares > -1e-9).all(axis=1)
    return np.vstack([C[active], np.einsum("sk,skd->sd", shares, idle[few])[proper]])


def nearest(C, g):
    """The point of {C w >= 0} nearest to g, by Moreau: g + C^T m with m >= 0 of least norm."""
    return g + C.T @ nnls(C.T, -g)[0] if len(C) else g


def directions(blocks, seed=1):
    """One for each block, in the coordinates that it has."""
    G = np.random.default_rng(seed).standard_normal((blocks.X.shape[1], blocks.D.shape[1]))
    return G * blocks.Pt.any(axis=2).T if blocks.whitened else G


def check_projections(blocks, G, level):
    norms, points, faces = blocks.project(G, np.full(G.shape[1], level))
    for j, g in enumerate(G.T):
        C, size = limits(blocks, j), np.linalg.norm(g)
        wanted = nearest(C, g)
        if norms[j] <= level:
            assert norms[j] >= np.linalg.norm(wanted) - 1e-12 * size, "an upper bound"
            continue
        p = points[:, j]
        # Faces of 4 rows out of 14 have condition numbers up to 1e4, squared in the normal equations.
        assert np.allclose(p, wanted, atol=1e-9 * size)
        assert norms[j] == pytest.approx(np.linalg.norm(p))
        rounding = 1e-10 * size * np.linalg.norm(C, axis=1).max(initial=0)
        assert (C @ p).min(initial=0) >= -rounding, "inside"
        assert abs(p @ (g - p)) < 1e-10 * size**2, "p is orthogonal to what is cut off"
        assert np.linalg.norm(nearest(C, g - p)) < 1e-9 * size, "what is cut off lies in the polar cone"
        assert not len(C) or np.abs(faces[j] @ p).max(initial=0) <= rounding, "active rows are met"


# ---------------------------------------------------------------------------------------- projections


@pytest.mark.parametrize("start", ["cold", "near", "far", "scaled"])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("model", MODELS)
def test_projections_on_cones_are_those_of_least_squares(model, seed, start):
    blocks = confined(model, seed=seed)
    G, other = directions(blocks, seed), directions(blocks, seed + 10)
    before = {"cold": None, "near": G + 1e-3 * other, "far": other, "scaled": -50 * G}[start]
    if before is not None:
        blocks.project(before, np.full(G.shape[1], 0.7))
    check_projections(blocks, G, 1e-6)


@pytest.mark.parametrize("kind", ["twice", "opposite", "zero", "whole numbers"])
@pytest.mark.parametrize("whitened", [False, True])
def test_rows_that_repeat_or_vanish_do_no_harm(kind, whitened):
    X = data.design("gaussian", Draws(0, [0]), 16, 3)[0]
    X[1] = {"twice": X[0], "opposite": -2 * X[0], "zero": 0 * X[0], "whole numbers": X[1]}[kind]
    X = np.round(4 * X) if kind == "whole numbers" else X
    blocks = confined("normalized" if whitened else "plain", X=X)
    for seed in (1, 2):
        check_projections(blocks, directions(blocks, seed), 1e-6)


@pytest.mark.parametrize("model", MODELS)
def test_support_is_exact_near_one_and_bounded_from_both_sides_below(model):
    blocks, loose = confined(model), 0
    for seed in range(4):
        G = directions(blocks) + 0.1 * directions(blocks, seed)
        true = np.array([np.linalg.norm(nearest(limits(blocks, j), g)) for j, g in enumerate(G.T)])
        G, true = G / np.median(true), true / np.median(true)
        least, support = blocks.least_support(G), blocks.support(G)
        assert np.allclose(support[support > SURE], true[support > SURE])
        assert (support >= true - 1e-12).all()
        assert (least <= true + 1e-12).all()
        assert np.allclose(blocks.least_support(G)[support > SURE], true[support > SURE]), "the way found is the best"
        assert 0 < (support > SURE).sum() < len(true)
        loose += (support > true + 1e-6).sum()
    assert loose, "bounds that are enough save projections"


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("model", MODELS)
def test_curvature_is_the_derivative_of_what_is_put_out(model, seed):
    blocks = confined(model, seed=seed)
    (dual, way), step = 2 * np.random.default_rng(seed).standard_normal((2, 14)), 0.7
    W = 0.3 * directions(blocks, seed)

    def shrunk(dual):
        norms, points, faces = blocks.project(W + step * blocks.adjoint(dual), np.full(W.shape[1], step))
        return norms, points, np.maximum(1 - step / np.maximum(norms, step), 0), faces

    def put_out(dual):
        return blocks.forward(np.multiply(*shrunk(dual)[1:3]))

    norms, points, factors, faces = shrunk(dual)
    active = np.flatnonzero(factors)
    assert any(faces[j] is not None and len(faces[j]) for j in active), "some weights lie on a face"
    H = blocks.curvature(active, factors[active], 1 - factors[active], points[:, active] / norms[active], faces=faces)
    small = 1e-6  # the difference errs by its square; kinks are farther off than that at these seeds
    slope = (put_out(dual + small * way) - put_out(dual - small * way)) / (2 * small)
    assert np.allclose(step * H @ way, slope, atol=1e-7 * np.linalg.norm(slope))


@pytest.mark.parametrize("model", MODELS)
def test_corrections_put_out_what_is_missing_from_inside_the_cones(model):
    blocks = confined(model, n=20, d=4)
    residual = blocks.forward(directions(blocks))
    W = blocks.correction(residual)
    assert np.allclose(blocks.forward(W), residual)
    assert all((limits(blocks, j) @ w).min(initial=0) >= -1e-9 * np.linalg.norm(w) for j, w in enumerate(W.T))
    assert np.linalg.norm(W[:, blocks.gated.D.shape[1] :]), "both signs are needed"


# ------------------------------------------------------------------------------------------- solutions

CASES = [
    *(("skip", n, d, {"plant": plant}) for n, d in ((5, 7), (9, 6), (16, 4)) for plant in data.PLANTS),
    *(("plain", n, d, {"k": k}) for n, d, k in ((4, 6, 1), (14, 4, 2), (20, 3, 3))),
    *(("normalized", n, d, {"k": k}) for n, d, k in ((16, 3, 1), (20, 3, 2), (24, 4, 2))),
    ("skip", 14, 4, {"design": "cubic"}),
    ("plain", 14, 4, {"design": "whitened_cubic"}),
]


@pytest.mark.parametrize("beta", [0.0, 1e-1, 1e-4])
@pytest.mark.parametrize("sigma", [0.0, 0.3])
@pytest.mark.parametrize(("model", "n", "d", "values"), CASES, ids=str)
def test_exact_solutions_are_those_of_the_listing(model, n, d, values, sigma, beta):
    one = posed(model, n, d, sigma=sigma, **values)
    found = solving.solve(one.blocks, one.y, ridge=beta / 2)
    program = solutions.listing(one, beta)
    status = programs.solve(program, "CLARABEL")
    if not np.isfinite(found.gap):
        assert status == "infeasible"
        return
    assert status in programs.SOLVED
    value, residual = np.linalg.norm(found.W, axis=0).sum(), one.y - one.blocks.forward(found.W)
    value += residual @ residual / beta if beta else 0
    assert found.gap < 1e-7, "1e-9 as a rule; narrow cones cost digits"
    assert value == pytest.approx(program.value, rel=REFERENCE)
    assert beta or np.linalg.norm(residual) < 1e-9 * np.linalg.norm(one.y)
    back = one.blocks.adjoint(found.dual)
    for j, (g, w) in enumerate(zip(back.T, found.W.T, strict=True)):
        C = limits(one.blocks, j)
        assert np.linalg.norm(nearest(C, g)) < 1 + 1e-9, "the dual vector is feasible"
        assert (C @ w).min(initial=0) >= -1e-9 * np.linalg.norm(found.W), "weights lie in their cones"
    bound = one.y @ found.dual - beta / 4 * found.dual @ found.dual
    assert -1e-9 * value <= value - bound <= (found.gap + 1e-9) * value, "the gap is a bound"


@pytest.mark.parametrize("beta", [0.0, 1e-6])
@pytest.mark.parametrize(("n", "d", "k", "sigma"), [(9, 4, 1, 0.1), (8, 6, 2, 0.0), (14, 6, 1, 0.0), (16, 9, 2, 0.0)])
def test_patterns_on_few_points_have_all_the_units_of_the_network(n, d, k, sigma, beta):
    shut = 0
    for trial in range(3):
        one = posed("normalized", n, d, trial, k=k, sigma=sigma)
        if one is None:
            continue
        found, program = solving.solve(one.blocks, one.y, ridge=beta / 2), solutions.listing(one, beta)
        assert programs.solve(program, "CLARABEL") in programs.SOLVED
        assert found.converged
        net, missed = network(one, found, beta)
        value = np.abs(net.a).sum() + (missed @ missed / beta if beta else 0)
        assert value == pytest.approx(program.value, rel=REFERENCE), "what the network itself costs is the optimum"
        # The paper prints the program without moves in the null spaces.
        literal = cp.Problem(program.objective, [*program.constraints, *still(one, program)])
        without = literal.value if programs.solve(literal, "CLARABEL") in programs.SOLVED else np.inf
        assert without > program.value * (1 - REFERENCE)
        shut += without > program.value * (1 + 1e-3)
    assert shut, "without moves the network's units are shut out"


def still(one, program):
    """Constraints that keep null-space coordinates at 0."""
    kept = decode.factors(one.X, one.D).kept.T
    return [cp.multiply(~kept, program.var_dict[name]) == 0 for name in ("W_plus", "W_minus")]


def network(one, found, beta):
    """The ReLU network of a solution of the normalised program, and what its outputs miss; its units have no names."""
    fit = solutions.solve(one, solutions.OWN, beta)
    p = one.D.shape[1]
    W, sizes = np.hstack([fit.W[:, :p], -fit.W[:, p:]]), np.linalg.norm(found.W, axis=0)
    used = sizes > 1e-7 * sizes.sum()
    net = NormalizedNet(W[None][..., used], (sizes * np.repeat([1, -1], p))[None, used])
    return net, one.y - net(one.X[None])[0]


@pytest.mark.parametrize(("model", "n", "d", "values"), [case for case in CASES if case[1] > 5], ids=str)
def test_solutions_are_networks_of_relu_units(model, n, d, values):
    params = CONVEX_TRAINING.params(model=model, n=n, d=d, sigma=0.2, patterns=30, beta=1e-2, **values)
    draws = Draws(4, range(2))
    problem = CONVEX_TRAINING.sample(params, draws)
    solution = solutions.solve_trials(params, problem, draws, solutions.solve)
    assert isinstance(solution.value, NormalizedNet if model == "normalized" else Net)
    assert all(status.usable for status in solution.status)
    # Weights of 1e-7 of the whole are left out of the net.
    assert np.allclose(solution.value(problem.X), problem.y, atol=1e-5)
    trained = CONVEX_TRAINING.solve(params, problem, draws)
    missed = np.linalg.norm(trained.value(problem.X) - problem.y, axis=1)
    assert np.allclose(missed, trained.stats["residual"], atol=1e-5)
    assert (missed > 1e-4).all(), "weight decay leaves some of the noise"


# ------------------------------------------------------------------------------------------- decisions

DECIDED = [
    *(("skip", n, 6, {"plant": plant, "design": design}) for n in (5, 7, 9, 12, 16) for plant in data.PLANTS
      for design in ("gaussian", "cubic", "whitened")),
    *(("normalized", n, 3, {"k": k}) for n, k in ((12, 1), (16, 1), (14, 2), (20, 2), (26, 2))),
]  # fmt: skip


def test_exact_decisions_are_those_of_the_listing_with_the_published_test():
    decisions = []
    for model, n, d, values in DECIDED:
        for trial in range(1 if model == "skip" else 3):
            one = posed(model, n, d, trial, **values)
            if one is None:
                continue
            proof = recovery.decide(one.blocks, one.y, one.plant)
            assert proof.outcome is not Outcome.UNDECIDED
            if proof.outcome is Outcome.UNIQUE and proof.margin < 1e-5:
                continue  # weights err by CLARABEL's 1e-8 over the margin
            apart = one.blocks.coordinates(solutions.solve(one, "CLARABEL").W) - one.plant.weights(
                one.blocks.D.shape[1]
            )
            decisions.append((proof.outcome is Outcome.UNIQUE, (np.abs(apart) < solutions.RECOVERY_TOLERANCE).all()))
            if proof.outcome is Outcome.UNIQUE:
                others = np.delete(np.arange(one.blocks.D.shape[1]), one.plant.where)
                back = one.blocks.adjoint(proof.dual)
                assert max(np.linalg.norm(nearest(limits(one.blocks, j), back[:, j])) for j in others) < 1
                assert np.allclose(back[:, one.plant.where], one.plant.units, atol=1e-8)
            else:
                assert np.linalg.norm(one.blocks.forward(proof.W) - one.y) < 1e-8 * np.linalg.norm(one.y)
                assert np.linalg.norm(proof.W, axis=0).sum() < one.plant.cost * (1 + 1e-8)
    ours, published = np.array(decisions).T
    assert len(ours) >= 40
    assert (ours == published).all()
    assert 8 < ours.sum() < len(ours) - 8, "both answers are met"


def test_what_is_recovered_without_cones_is_recovered_with_them():
    pairs = []
    for model, k in (("skip", 1), ("normalized", 1), ("normalized", 2)):
        for trial in range(12):
            one = posed(model, (6, 9, 12, 18)[trial % 4], 4, trial, k=k)
            if one is not None:
                proofs = (recovery.decide(blocks, one.y, one.plant) for blocks in (one.blocks.gated, one.blocks))
                pairs.append([proof.outcome is Outcome.UNIQUE for proof in proofs])
    relaxed, exact = np.array(pairs).T
    assert (relaxed <= exact).all()
    assert 0 < relaxed.sum() < exact.sum() < len(pairs)


def test_weights_whose_squares_vanish_stay_in_their_null_spaces():
    X, D = np.array([[1.0, 0.0], [1.0, 1.0]]), np.array([[True], [False]])
    for size in (1.0, 1e-100):
        assert np.allclose(decode.into_cones(X, D, np.array([[size], [0.0]])), [[size], [-size]], rtol=1e-8, atol=0)
    faint = np.array([[1e-200], [0.0]])
    assert np.array_equal(decode.into_cones(X, D, faint), faint)


def test_proofs_over_short_ranks_hold_for_the_network():
    unique, moved = 0, 0
    for trial in range(25):
        params = CONVEX_TRAINING.params(model="normalized", n=7, d=3 + trial % 2, patterns=10)
        problem = CONVEX_TRAINING.sample(params, Draws(4, [trial]))
        solution = solutions.solve_trials(params, problem, Draws(4, [trial]), solutions.decide)
        if solution.status[0] is not Status.SOLVED:
            continue
        assert np.allclose(solution.value(problem.X), problem.y, atol=1e-6), "the net of a proof is a net"
        (one,) = instance.pose(params, problem, Draws(4, [trial]))
        j = one.plant.where
        shortest = one.blocks.inputs(one.plant.weights(one.blocks.D.shape[1]))[:, j]
        moved += not np.array_equal(decode.into_cones(one.X, one.D[:, j], shortest), shortest)
        if solution.stats["recovered"][0]:
            # The listing frees the null spaces, as the network does. A small margin costs digits.
            apart = one.blocks.coordinates(solutions.solve(one, "CLARABEL").W) - one.plant.weights(
                one.blocks.D.shape[1]
            )
            assert np.abs(apart).max() < 1e-3
            unique += (one.D.sum(axis=0) < params.d).any()
    assert unique
    assert moved, "some planted weights of least norm leave their cone"
