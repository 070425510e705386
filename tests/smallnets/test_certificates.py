"""Every certificate of a decision, checked by code of its own on points that are zero, equal, parallel or tiny.

Dual vectors are checked over all faces of every cone: in exact fractions for relaxed plain and skip programs, for the
others in floating point, with the product of block and dual vector in extended precision. Networks that refute a plant
are checked by a plain forward pass, and the least cost of some instances by CLARABEL.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations, product
from typing import NamedTuple

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import linprog

from neurec_papers.convex_recovery.engine import instance
from smallnets.convex import _newton, certify, interpolation, recovery
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import Cones
from smallnets.convex.recovery import Outcome
from smallnets.errors import InvalidInput

MODELS = ("plain", "skip", "normalized")
SEEDS, SOLVED = range(420), 30  # every so many instances are solved by CLARABEL as well
ROUNDING = 1e-8  # of equations that hold in exact numbers; a thousandth of what is asked of a margin


@pytest.fixture(autouse=True)
def patience(monkeypatch):
    """What is decided here is so by the 22nd proximal point and the tenth step; the rest is given up sooner."""
    monkeypatch.setattr(recovery, "PROXIMAL_LIMIT", 24)
    monkeypatch.setattr(_newton, "NEWTON_LIMIT", 10)


class Posed(NamedTuple):
    """A planted program: p patterns D with directions H, blocks of the solver, the planted neurons (d, k)."""

    model: str
    X: np.ndarray
    y: np.ndarray
    D: np.ndarray
    H: np.ndarray
    blocks: Blocks
    plant: certify.Plant
    W: np.ndarray

    @property
    def free(self) -> int:
        return int(self.model == "skip")

    @property
    def exact(self) -> bool:
        return isinstance(self.blocks, Cones)


# ---------------------------------------------------------------------------------------------------- instances


def tiny_row(X, i, j):
    X[i] *= 1e-9


def equal_rows(X, i, j):
    X[i] = X[j]


def opposite_rows(X, i, j):
    X[i] = -X[j]


def parallel_rows(X, i, j):
    X[i] = 3e-3 * X[j]


def zero_row(X, i, j):
    X[i] = 0


ROWS = (zero_row, equal_rows, opposite_rows, parallel_rows, tiny_row)
COLUMNS = tuple((lambda X, i, j, change=change: change(X.T, i, j)) for change in ROWS)


def points(rng, d=None):
    """Some points, as a rule with one or two rows or columns that are zero, equal, opposite, parallel or tiny."""
    while True:
        n, m = rng.integers(2, 7), d or rng.integers(1, 4)
        whole = rng.random() < 0.5
        X = rng.integers(-2, 3, (n, m)).astype(float) if whole else rng.standard_normal((n, m))
        for _ in range(rng.integers(0, 3)):
            rows = d is not None or rng.random() < 0.5
            changes = ROWS if rows else COLUMNS
            i, j = rng.permutation(n if rows or m == 1 else m)[:2]
            if rows or m > 1:
                changes[rng.integers(len(changes))](X, i, j)
        if X.any():
            return X


def posed(model, exact, seed):
    """A plant of one neuron or two, with its own patterns and some others; None where a neuron is active nowhere."""
    rng = np.random.default_rng([seed, MODELS.index(model), exact])
    X = points(rng)
    d, k = X.shape[1], 1 if model == "skip" else rng.integers(1, 3)
    W = rng.integers(-1, 2, (d, k)).astype(float) if rng.random() < 0.4 else rng.standard_normal((d, k))
    H = rng.standard_normal((d, rng.integers(1, 9)))
    active = X @ W > 0
    if not W.any(axis=0).all() or not (active.any(axis=0).all() if model != "skip" else (X @ W).any()):
        return None
    if model == "skip":
        D, first = np.unique(X @ H >= 0, axis=1, return_index=True)
        D, H = np.column_stack([np.ones(len(X), bool), D]), np.column_stack([np.zeros(d), H[:, first]])
        blocks, plant, y = Blocks(X, D), certify.Plant.of(np.array([0]), W), (X @ W)[:, 0]
    else:
        H = np.column_stack([W, H])
        D, first = np.unique(X @ H >= 0, axis=1, return_index=True)
        H, outputs = H[:, first], np.maximum(X @ W, 0)
        blocks, plant = instance.planted_blocks(X, D, W, model == "normalized")
        y = (outputs / np.linalg.norm(outputs, axis=0) if model == "normalized" else outputs).sum(axis=1)
    return Posed(model, X, y, D, H, Cones(blocks, H, int(model == "skip")) if exact else blocks, plant, W)


# ---------------------------------------------------------------------------------- what a dual vector must satisfy


def base(one, j):
    """A_j in plain numpy: D_j X, or an orthonormal basis of its range in whatever units its columns are."""
    A = one.D[:, [j]] * one.X
    if one.model != "normalized":
        return A
    units = np.linalg.norm(one.X, axis=0)
    U, S, _ = np.linalg.svd(A / np.where(units > 0, units, 1), full_matrices=False)
    return U[:, 1e-10 * S.max(initial=0) < S] if A.any() else np.zeros((len(A), 0))


def squared_norm(X, gate, dual):
    """||X^T D l||^2 in exact fractions."""
    rows = [(Fraction(float(v)), x) for v, x, on in zip(dual, X, gate, strict=True) if on]
    return sum(sum(v * Fraction(float(x[k])) for v, x in rows) ** 2 for k in range(X.shape[1]))


def largest_in_cone(g, C):
    """max g . w over unit w with C w >= 0, from the projections of g on all faces: the longest that is feasible."""
    best, sizes = 0.0, np.linalg.norm(C, axis=1)
    C = C[sizes > 0] / sizes[sizes > 0, None]
    for r in range(len(g)):
        some = np.array(list(combinations(range(len(C)), r)), int)
        faces = C[some].reshape(len(some), r, len(g))
        p = g - np.einsum("fdr,fr->fd", np.linalg.pinv(faces), faces @ g)
        lengths = np.linalg.norm(p, axis=1)
        inside = (p @ C.T >= -1e-9 * lengths[:, None]).all(axis=1)
        best = max(best, float(lengths[inside].max(initial=0)))
    return best


def norm_of(one, j, sign, dual):
    """The most that l gives to unit weights of block j, of one sign."""
    A = base(one, j)
    g = sign * np.asarray(A.T.astype(np.longdouble) @ dual.astype(np.longdouble), float)
    if not one.exact or j < one.free:
        return float(np.linalg.norm(g))
    if one.model != "normalized":
        return largest_in_cone(g, np.where(one.D[:, [j]], 1.0, -1.0) * one.X)
    # Weights on the inputs move in the null space of D_j X at no cost, which leaves only the rows of D_j X in the way.
    rows = A[one.D[:, j]]
    if A.shape[1] == one.X.shape[1]:
        P = np.linalg.pinv(one.D[:, [j]] * one.X) @ A
        rows = np.where(one.D[:, [j]], 1.0, -1.0) * (one.X @ P)
    return largest_in_cone(g, rows)


def rank(columns):
    """The rank of a matrix of floats, in exact fractions."""
    rows, found = [[Fraction(float(v)) for v in column] for column in columns.T], 0
    for k in range(len(columns)):
        pivot = next((row for row in rows[found:] if row[k]), None)
        if pivot is not None:
            rows.remove(pivot)
            rows.insert(found, pivot)
            found += 1
            shares = [row[k] / pivot[k] for row in rows[found:]]
            rest = zip(shares, rows[found:], strict=True)
            rows[found:] = [[v - t * w for v, w in zip(row, pivot, strict=True)] for t, row in rest]
    return found


def planted_outputs(one):
    """By planted block what it puts out, divided by what it costs; and its pattern."""
    sums = {}
    for w in one.W.T:
        j = 0 if one.free else int(((one.X @ w >= 0)[:, None] == one.D).all(axis=0).argmax())
        output = one.X @ w if one.free else np.maximum(one.X @ w, 0)
        unit = np.append(output / np.linalg.norm(output), w) if one.model == "normalized" else np.append(output, w)
        sums[j] = sums.get(j, 0) + unit
    n = len(one.X)
    return {j: (s[:n], s[n:]) for j, s in sums.items() if s[n:].any()}


def check_dual(one, dual, margin):
    """A_s^T l is the planted unit, norms elsewhere are below 1 by the margin, and planted outputs are independent."""
    planted, p, off = planted_outputs(one), one.D.shape[1], 0.0
    if one.model != "normalized":  # inputs a billion times smaller than others need dual vectors that are as large
        off = float(np.finfo(float).eps * np.linalg.norm(one.X, axis=1) @ np.abs(dual))
        assert off < 1e-5, "a larger dual vector would prove nothing"
    for j, (output, w) in planted.items():
        A = base(one, j)
        wanted = A.T @ output / np.linalg.norm(output) if one.model == "normalized" else w / np.linalg.norm(w)
        assert np.abs(A.T @ dual - wanted).max(initial=0) < ROUNDING + off
    assert rank(np.column_stack([output for output, _ in planted.values()])) == len(planted)
    signs = (1, -1) if one.exact else (1,)
    for j, sign in product(range(p), signs):
        if sign < 0 and j < one.free:
            continue
        if j in planted and sign < 0:  # -u only lies in the cone as well if it puts out nothing, but u does
            assert norm_of(one, j, sign, dual) <= 1 + ROUNDING + off
        elif j not in planted:
            assert norm_of(one, j, sign, dual) <= 1 - margin + 1e-10 + off
            if one.model != "normalized" and not one.exact:
                assert squared_norm(one.X, one.D[:, j], dual) < 1


# -------------------------------------------------------------------------------------- what another net must satisfy


def into_cone(one, j, sign, u):
    """The weights moved in the null space of D_j X, at no cost, to where a ReLU unit has pattern j."""
    units = np.linalg.norm(one.X, axis=0)
    X = one.X / np.where(units > 0, units, 1)
    A = base(one, j)
    if not u.any() or A.shape[1] == len(u):
        return u
    N = np.linalg.svd(one.D[:, [j]] * X)[2][A.shape[1] :].T
    closed, rest = X[~one.D[:, j]], (one.X @ (sign * u))[~one.D[:, j]]
    found = linprog(np.zeros(N.shape[1]), closed @ N, -rest, bounds=(None, None))
    return u + sign * (N @ found.x) / np.where(units > 0, units, 1) if found.status == 0 else u


def put_out(one, W):
    """Output and cost of weights (d, q) by a plain forward pass, of gated units or of ReLU units."""
    U = one.blocks.inputs(W)
    p, parts = one.D.shape[1], []
    for q, u in enumerate(U.T):
        sign = -1 if q >= p else 1
        j = q if q < p else q - p + one.free
        if one.exact and one.model == "normalized":
            u = into_cone(one, j, sign, u)
        heights = one.X @ (sign * u)
        parts.append(sign * (np.maximum(heights, 0) if one.exact and j >= one.free else one.D[:, j] * heights))
    outputs = np.column_stack(parts)
    cost = np.linalg.norm(outputs if one.model == "normalized" else U, axis=0).sum()
    return outputs, cost, np.finfo(float).eps * np.abs(one.X) @ np.abs(U).sum(axis=1)


def check_other(one, proof):
    outputs, cost, rounding = put_out(one, proof.W)
    sizes = np.linalg.norm(one.X, axis=1)
    if one.model == "normalized":
        allowed = ROUNDING * np.linalg.norm(one.y)
    else:  # labels count in the units of their points
        allowed = ROUNDING * sizes * np.max(np.abs(one.y[sizes > 0]) / sizes[sizes > 0])
    assert (np.abs(outputs.sum(axis=1) - one.y) <= allowed + 10 * rounding).all(), "the other net fits"
    saved = 1 - cost / one.plant.cost
    if proof.outcome is Outcome.CHEAPER:
        assert saved == pytest.approx(proof.margin, abs=1e-10 + 100 * rounding.max() / one.plant.cost)
        assert saved > recovery.CHEAPER / 2
    else:
        assert abs(saved) < 1e-8
        assert np.linalg.norm(proof.W - one.plant.weights(proof.W.shape[1])) > 1e-4 * np.linalg.norm(one.plant.sizes)


def least_cost(one):
    """The optimum by CLARABEL, points of plain models divided by their lengths; how far it misses each label."""
    p, d = one.D.shape[1], one.X.shape[1]
    sizes = np.linalg.norm(one.X, axis=1)
    scale = np.where((sizes > 0) & (one.model != "normalized"), sizes, 1)
    X, total, cost, limits = one.X / scale[:, None], 0, 0, []
    for j in range(p):
        for sign in (1, -1) if one.exact and j >= one.free else (1,):
            gated = one.D[:, [j]] * X
            if one.model == "normalized":
                A = base(one, j)
                w = cp.Variable(A.shape[1]) if A.shape[1] else None
                if w is None:
                    continue
                total, cost = total + sign * (A @ w), cost + cp.norm(w)
                if one.exact:
                    P = np.linalg.pinv(gated) @ A
                    N = np.linalg.svd(gated)[2][A.shape[1] :].T
                    u = P @ w + (N @ cp.Variable(N.shape[1]) if N.shape[1] else 0)
                    limits.append(cp.multiply(np.where(one.D[:, j], 1.0, -1.0), X @ u) >= 0)
                continue
            u = cp.Variable(d)
            total, cost = total + sign * (gated @ u), cost + cp.norm(u)
            if one.exact and j >= one.free:
                limits.append(cp.multiply(np.where(one.D[:, j], 1.0, -1.0), X @ u) >= 0)
    problem = cp.Problem(cp.Minimize(cost), [total == one.y / scale, *limits])
    problem.solve(solver="CLARABEL")
    return problem.value, scale * problem.constraints[0].violation()


# -------------------------------------------------------------------------------------------------------- the checks


def check_condition(one, condition):
    """That the isometry condition holds is a proof; that it does not, its definition says in plain numpy."""
    if condition.held(one.plant):
        check_dual(one, condition.dual, 1 - condition.largest(one.plant))
        return
    A, u = [], []
    for j, (output, w) in planted_outputs(one).items():
        A.append(base(one, j))
        unit = output / np.linalg.norm(output) if one.model == "normalized" else w / np.linalg.norm(w)
        u.append(A[-1].T @ unit if one.model == "normalized" else unit)
    A, u = np.hstack(A), np.concatenate(u)
    dual = np.linalg.lstsq(A.T, u, rcond=1e-12)[0]
    others = (j for j in range(one.D.shape[1]) if j not in one.plant.where)
    largest = max((np.linalg.norm(base(one, j).T @ dual) for j in others), default=0)
    missed = np.abs(A.T @ dual - u).max()
    outputs = np.column_stack([output for output, _ in planted_outputs(one).values()])
    seen = np.abs(one.X[one.X != 0])
    close = seen.min() < 1e-6 * seen.max() or np.linalg.norm(dual) * seen.max() > 1e4  # where rounding leaves it open
    assert close or largest > 1 - 1e-6 or missed > 1e-12 or rank(outputs) < outputs.shape[1]


def check_least_cost(one, proof):
    (least, missed), cost = least_cost(one), one.plant.cost
    if proof.outcome is Outcome.UNIQUE:  # inputs a billion times smaller than others make what is missed dear
        saved = float(np.abs(proof.dual) @ missed)
        assert -1e-6 * cost - saved <= least - cost <= 1e-6 * cost
    elif proof.outcome is Outcome.TIED:
        assert least <= cost * (1 + 1e-6)
    elif proof.outcome is Outcome.CHEAPER:
        assert least <= cost * (1 - proof.margin + 1e-6)


# Plants that are active on no point are left out: 2,009 instances in all.
INSTANCES = {
    ("plain", False): 299, ("plain", True): 314, ("skip", False): 393, ("skip", True): 382,
    ("normalized", False): 303, ("normalized", True): 318,
}  # fmt: skip


@pytest.mark.parametrize("exact", [False, True], ids=["relaxed", "exact"])
@pytest.mark.parametrize("model", MODELS)
def test_every_certificate_proves_what_it_says(model, exact):
    met = Counter()
    for seed in SEEDS:
        one = posed(model, exact, seed)
        if one is None:
            continue
        proof = recovery.decide(one.blocks, one.y, one.plant)
        if proof.outcome is Outcome.UNIQUE:
            assert proof.margin > 0
            check_dual(one, proof.dual, proof.margin)
        elif proof.outcome is not Outcome.UNDECIDED:
            check_other(one, proof)
        check_condition(one, proof.isometry)
        if seed % SOLVED == 0:
            check_least_cost(one, proof)
        met[proof.outcome] += 1
    assert met.total() == INSTANCES[model, exact]
    assert min(met[outcome] for outcome in Outcome if outcome is not Outcome.UNDECIDED) >= 4
    assert met[Outcome.UNDECIDED] < 0.04 * met.total()


# ---------------------------------------------------------------------------------- all patterns of a ReLU network


def cells(X):
    """Directions, one at least inside every cell in the plane or in space: next to each ray, in all directions."""
    rows = [x / np.linalg.norm(x) for x in X if x.any()]
    if X.shape[1] == 2:
        turns = np.concatenate([np.arctan2(x[1], x[0]) + np.array([1, -1]) * np.pi / 2 for x in rows])
        turns = np.sort(turns % (2 * np.pi))
        turns = (turns + np.append(turns[1:], turns[0] + 2 * np.pi)) / 2
        return np.column_stack([np.cos(turns), np.sin(turns)])
    near = [1e-5 * (s * a + t * b) for a, b in combinations(rows, 2) for s, t in product((1, -1), repeat=2)]
    rays = [s * np.cross(a, b) + h for a, b in combinations(rows, 2) for s in (1, -1) for h in near]
    return np.array([*rays, *(s * x for x in rows for s in (1, -1))])  # where all points are on one line


def test_directions_lie_in_all_cells():
    X = np.random.default_rng(0).standard_normal((5, 3))
    for d, count in ((2, 10), (3, 22)):  # 2 sum_{k < d} C(n - 1, k)
        assert len({tuple(X[:, :d] @ h > 0) for h in cells(X[:, :d])}) == count


def sums(X, dual):
    """By pattern, sign times sum_i l_i x_i over the active points, and the most that it gives a unit vector there."""
    found = {}
    for gate, sign in product(np.unique(cells(X) @ X.T > 0, axis=0), (1, -1)):
        g = sign * X[gate].T @ dual[gate]
        found[*gate.tolist(), sign] = g, largest_in_cone(g, np.where(gate, 1.0, -1.0)[:, None] * X)
    return found


@pytest.mark.parametrize("d", [2, 3])
def test_every_certificate_over_all_patterns_proves_what_it_says(d):
    met = Counter()
    for seed in range(150):
        rng = np.random.default_rng([seed, d])
        X, v = points(rng, d), rng.standard_normal(d)
        X = X[:5] if d == 3 else X
        unit = X / np.where(X.any(axis=1), np.linalg.norm(X, axis=1), 1)[:, None]
        y = np.maximum(X @ v, 0)
        try:
            proof, best = interpolation.decide(X, v), interpolation.least_norm(X, y)
        except InvalidInput:  # nothing active, or three points in one plane
            continue
        met[proof.outcome] += 1
        size, allowed = np.linalg.norm(v), ROUNDING * np.linalg.norm(X, axis=1) * np.linalg.norm(v)
        largest = max(most for _, most in sums(X, best.dual).values())
        assert largest < 1 + ROUNDING, "no neuron is better paid"
        assert y @ best.dual >= best.value * (1 - best.gap - 1e-12)
        assert (np.abs(np.maximum(X @ best.W.T, 0) @ best.a - y) <= 10 * allowed).all()
        if proof.outcome is Outcome.UNIQUE:
            assert best.value == pytest.approx(size, rel=1e-8)
            unit = unit[X.any(axis=1)]
            own = tuple((unit @ v > 0).tolist())
            for (*gate, sign), (g, most) in sums(unit, proof.dual).items():
                if tuple(gate) == own and sign > 0:
                    assert np.allclose(g, v / size, atol=ROUNDING), "the neuron is paid its cost, and best so"
                else:
                    assert most < 1 - (tuple(gate) != own) * (proof.margin - 1e-10)
        elif proof.outcome is Outcome.CHEAPER:
            p = proof.W.shape[1] // 2
            outputs = np.maximum(X @ proof.W[:, :p], 0).sum(axis=1) - np.maximum(-X @ proof.W[:, p:], 0).sum(axis=1)
            assert (np.abs(outputs - y) <= allowed).all()
            assert np.linalg.norm(proof.W, axis=0).sum() < size * (1 - proof.margin / 2)
            assert best.value < size * (1 - proof.margin / 2)
    assert met.total() > 60
    assert met[Outcome.UNIQUE] > 5 < met[Outcome.CHEAPER]


def test_a_neuron_with_a_weight_that_no_point_can_see_is_not_of_least_norm():
    for X in (np.eye(2), np.column_stack([np.eye(2), np.zeros(2)])):
        v = np.array([1.0, -1, 0][: X.shape[1]]) / 2**0.5
        proof = interpolation.decide(X, v)
        assert proof.outcome is Outcome.CHEAPER
        assert proof.margin <= 1 - 0.5**0.5 + 1e-9
        assert not proof.isometry.consistent
        assert interpolation.least_norm(X, np.maximum(X @ v, 0)).value == pytest.approx(0.5**0.5)


# ------------------------------------------------------------------------------------------------------------- units


@pytest.mark.parametrize("exact", [False, True], ids=["relaxed", "exact"])
@pytest.mark.parametrize("model", MODELS)
def test_decisions_do_not_depend_on_units(model, exact):
    met = Counter()
    for seed in range(0, 60, 2):
        one = posed(model, exact, seed)
        if one is None or not np.isin(np.linalg.norm(one.X, axis=1) > 1e-6, True).all():
            continue
        decided = recovery.decide(one.blocks, one.y, one.plant)
        met[decided.outcome] += 1
        for exponent in (-8, -4, 4, 8):
            free, scale = one.free, 10.0**exponent
            X = scale * one.X
            if model == "normalized":  # in units of its own for each input
                X[:, ::2] = one.X[:, ::2]
            if model == "normalized":
                units = np.where(np.arange(X.shape[1]) % 2, scale, 1)
                blocks, plant = instance.planted_blocks(X, one.D, one.W / units[:, None], True)
                y = one.y
            else:
                blocks, plant, y = Blocks(X, one.D), one.plant, scale * one.y
            H = one.H / units[:, None] if model == "normalized" else one.H
            for size in (1.0, 1 / scale):
                other = recovery.decide(
                    Cones(blocks, H, free) if exact else blocks, size * y, plant._replace(sizes=size * plant.sizes)
                )
                assert other.outcome is decided.outcome
    assert met.total() > 12
