"""Every certificate of a decision, checked by code of its own on points that are zero, equal, parallel or tiny.

Dual vectors are checked in exact fractions or extended precision, over all faces of every cone; networks that refute a
plant by a plain forward pass; and of some instances the least cost by CLARABEL.
"""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import combinations
from typing import NamedTuple

import cvxpy as cp
import numpy as np
import pytest
from scipy.optimize import linprog

from neurec_core.convex import certify, interpolation, recovery
from neurec_core.convex.blocks import Blocks
from neurec_core.convex.cones import Cones
from neurec_core.convex.recovery import Outcome
from neurec_core.papers.convex_recovery import instance
from neurec_core.params import BadInput

MODELS = ("plain", "skip", "normalized")
SEEDS = range(300)
ROUNDING = 1e-8  # of equations that hold in exact numbers; a thousandth of what is asked of a margin


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
    return U[:, S > 1e-10 * S.max(initial=0)] if A.any() else np.zeros((len(A), 0))


def squared_norm(X, gate, dual):
    """||X^T D l||^2 in exact fractions."""
    rows = [(Fraction(float(v)), x) for v, x, on in zip(dual, X, gate, strict=True) if on]
    return sum(sum(v * Fraction(float(x[k])) for v, x in rows) ** 2 for k in range(X.shape[1]))


def largest_in_cone(g, C):
    """max g . w over unit w with C w >= 0, from the projections of g on all faces: the longest that is feasible."""
    best, sizes = 0.0, np.linalg.norm(C, axis=1)
    C = C[sizes > 0] / sizes[sizes > 0, None]
    for r in range(len(g)):
        for some in combinations(range(len(C)), r):
            p = g - np.linalg.pinv(C[list(some)]) @ (C[list(some)] @ g) if r else g
            if (C @ p).min(initial=0) >= -1e-9 * np.linalg.norm(p):
                best = max(best, float(np.linalg.norm(p)))
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
            rows[found:] = [[v - row[k] / pivot[k] * w for v, w in zip(row, pivot, strict=True)] for row in rows[found:]]
    return found


def planted_outputs(one):
    """By planted block what it puts out, divided by what it costs; and its pattern."""
    sums = {}
    for w in one.W.T:
        j = 0 if one.free else int((one.D == (one.X @ w >= 0)[:, None]).all(axis=0).argmax())
        output = one.X @ w if one.free else np.maximum(one.X @ w, 0)
        unit = np.append(output / np.linalg.norm(output), w) if one.model == "normalized" else np.append(output, w)
        sums[j] = sums.get(j, 0) + unit
    n = len(one.X)
    return {j: (s[:n], s[n:]) for j, s in sums.items() if s[n:].any()}


def check_dual(one, dual, margin):
    """A_s^T l is the planted unit, norms elsewhere are below 1 by the margin, and planted outputs are independent."""
    planted, p = planted_outputs(one), one.D.shape[1]
    for j, (output, w) in planted.items():
        A = base(one, j)
        wanted = A.T @ output / np.linalg.norm(output) if one.model == "normalized" else w / np.linalg.norm(w)
        assert np.abs(A.T @ dual - wanted).max(initial=0) < ROUNDING
    assert rank(np.column_stack([output for output, _ in planted.values()])) == len(planted)
    signs = (1, -1) if one.exact else (1,)
    for j, sign in ((j, sign) for j in range(p) for sign in (signs if j >= one.free else (1,))):
        if j in planted and sign < 0:  # -u only lies in the cone as well if it puts out nothing, but u does
            assert norm_of(one, j, sign, dual) <= 1 + ROUNDING
        elif j not in planted:
            assert norm_of(one, j, sign, dual) <= 1 - margin + 1e-10
            if one.model != "normalized" and not one.exact:
                assert squared_norm(one.X, one.D[:, j], dual) < 1


# -------------------------------------------------------------------------------------- what another net must satisfy


def into_cone(one, j, sign, u):
    """The weights moved in the null space of D_j X, at no cost, to where a ReLU unit has pattern j: a linear program."""
    sides, units = np.where(one.D[:, j], 1.0, -1.0), np.linalg.norm(one.X, axis=0)
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
    """The optimum by CLARABEL, points of the plain models divided by their lengths."""
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
    return problem.value
