"""Inputs in units that differ by up to eight powers of ten: every program is solved, and proved in exact fractions."""

from __future__ import annotations

import os
import warnings
from fractions import Fraction
from math import sqrt
from types import SimpleNamespace

import cvxpy as cp
import numpy as np
import pytest

from benchmarks import hard_programs
from smallnets.convex import recovery, solving
from smallnets.convex.blocks import Blocks
from smallnets.convex.certify import Plant
from smallnets.convex.cones import Cones
from smallnets.convex.recovery import Outcome

DRAWS = int(os.environ.get("NEUREC_DRAWS", "240"))
MODELS = ("plain", "skip", "normalized")
KINDS = ("points as drawn", "a point twice", "opposite points", "a zero point", "a column twice", "a zero column")
PLACES = (0, 3, 6, 8, 8, 8)  # how many powers of ten lie between the units
# Draws on which equations in even units, or Newton steps, end at gaps of 1e-9 to 1e-3.
HARD = (613, 622, 942, 1030, 1344, 1471, 1497, 1500, 1704, 1705)
EPS = float(np.finfo(float).eps)


def draw(number):
    """Points in even units, the units, labels, patterns, directions that make them, and the program."""
    rng = np.random.default_rng([17, 5, number])
    n, d = int(rng.integers(2, 13)), int(rng.integers(1, 6))
    model, kind = MODELS[number % 3], KINDS[number // 3 % 6]
    exact, beta = bool(rng.integers(2)), float(rng.choice([0, 0, 1e-6, 1e-2, 1]))
    X, y, H = rng.standard_normal((n, d)), rng.standard_normal(n), rng.standard_normal((d, int(rng.integers(3, 12))))
    if kind == "a point twice":
        X[-1], y[-1] = X[0], y[0]
    elif kind == "opposite points":
        X[-1] = -X[0]
    elif kind == "a zero point":
        X[-1], y[-1] = 0, 0
    elif kind != KINDS[0] and d > 1:
        X[:, -1] = X[:, 0] if kind == "a column twice" else 0
    D, first = np.unique(X @ H >= 0, axis=1, return_index=True)
    if rng.integers(2):  # what two units put out, so that labels are within reach of few patterns
        y = np.maximum(X @ H[:, first[0]], 0) - 2 * np.maximum(X @ H[:, first[-1]], 0)
    D, H = (D, H[:, first]) if model != "skip" else (
        np.column_stack([np.ones(n, bool), D]), np.column_stack([np.zeros(d), H[:, first]])
    )  # fmt: skip
    units = 10.0 ** (PLACES[number // 18 % 6] * rng.permutation(np.linspace(-0.5, 0.5, d) if d > 1 else [0.0]))
    return X, units, y, D, H, model, exact, beta


def solved(X, units, y, D, H, model, exact, beta):
    blocks = Blocks(X * units, D, model == "normalized")
    blocks = Cones(blocks, H / units[:, None], int(model == "skip")) if exact else blocks
    return blocks, solving.solve(blocks, y, ridge=beta / 2)


def cost(blocks, y, W, beta):
    missed = y - blocks.forward(W)
    return float(np.linalg.norm(W, axis=0).sum() + (missed @ missed / beta if beta else 0))


def rounding(X, dual):
    """How far off norms may be because a dual vector is rounded to floats."""
    return EPS * float(np.linalg.norm(X, axis=1) @ np.abs(dual))


def planted(number):
    """A draw with one or two of its units for a plant: in even units, or best for labels of one's own."""
    X, units, _, D, H, model, exact, _ = draw(number)
    rng, free = np.random.default_rng([17, 6, number]), int(model == "skip")
    where = rng.choice(np.arange(free, D.shape[1]), min(int(rng.integers(1, 3)), D.shape[1] - free), replace=False)
    where = np.zeros(1, int) if free and rng.integers(2) else where
    w = rng.standard_normal((len(units), 1)) / units[:, None] if model == "skip" and not where[0] else (
        H[:, where] / units[:, None]
    )  # fmt: skip
    if not exact and rng.integers(2):  # what the dual vectors of some labels point to
        w = (X * units).T @ (D[:, where] * rng.standard_normal((len(X), 1)))
    blocks = Blocks(X * units, D)
    y = blocks.part(where).forward(w)
    return X, units, y, D, H, model, exact, Plant.of(where, w)


def by_cone_solver(X, y, D, model, exact, beta):
    """Status and least cost by CLARABEL, and how far its weights are outside of what the listing allows."""
    one = SimpleNamespace(X=X, y=y, D=D, model=model, exact=exact, free=int(model == "skip"))
    program = hard_programs.listing(one, beta)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            program.solve(solver="CLARABEL", **hard_programs.TIGHT)
        except cp.SolverError:
            return "failed", np.nan, np.inf
    if program.status not in hard_programs.AGREES:
        return program.status, np.nan, np.inf
    fit, *limits = program.constraints
    outside = max((float(np.max(limit.violation() / np.linalg.norm(X, axis=1).max())) for limit in limits), default=0)
    return program.status, float(program.value), max(outside, np.linalg.norm(fit.violation()))


def within_reach(X, y, D):
    columns = np.hstack([D[:, [j]] * X for j in range(D.shape[1])])
    return np.linalg.norm(columns @ np.linalg.lstsq(columns, y, rcond=1e-10)[0] - y) <= 1e-6 * np.linalg.norm(y)


def dot(a, b):
    return sum((x * y for x, y in zip(a, b, strict=True)), Fraction(0))


def least_squares(rows, g):
    """The m with sum_i m_i rows_i nearest to g, by normal equations; none where rows depend on one another."""
    table = [[dot(a, b) for b in rows] + [dot(a, g)] for a in rows]
    for i in range(len(table)):
        if not table[i][i]:
            return None
        table[i] = [entry / table[i][i] for entry in table[i]]
        for k in range(len(table)):
            if k != i:
                table[k] = [a - table[k][i] * b for a, b in zip(table[k], table[i], strict=True)]
    return [row[-1] for row in table]


def projected(rows, g):
    """The point of {w : row . w >= 0 for all rows} nearest to g: what -g leaves of non-negative sums of rows."""
    used, shares, left = [], [], g
    while (worst := min(range(len(rows)), key=lambda i: dot(rows[i], left), default=None)) is not None:
        if dot(rows[worst], left) >= 0:
            break
        used, shares = [*used, worst], [*shares, Fraction(0)]
        while min(found := least_squares([rows[i] for i in used], [-x for x in g])) <= 0:
            share = min(a / (a - b) for a, b in zip(shares, found, strict=True) if b <= 0)
            shares = [a + share * (b - a) for a, b in zip(shares, found, strict=True)]
            used = [i for i, a in zip(used, shares, strict=True) if a > 0]
            shares = [a for a in shares if a > 0]
        shares = found
        left = [x + dot(shares, [rows[i][t] for i in used]) for t, x in enumerate(g)]
    return left


def fractions(array):
    return [[Fraction(entry) for entry in row] for row in array] if array.ndim > 1 else [Fraction(x) for x in array]


def exact_gradients(X, D, free, exact, dual):
    """For every block the nearest that its weights may come to A_j^T l, with the dual vector as it is in floats."""
    points, dual, p, found = fractions(X), fractions(dual), D.shape[1], []
    for j in range(2 * p - free if exact else p):
        column, sign = (j, 1) if j < p else (j - p + free, -1)
        gradient = [dot([x[t] for x in points], [a * int(on) for a, on in zip(dual, D[:, column], strict=True)])
                    for t in range(X.shape[1])]  # fmt: skip
        if exact and column >= free:
            sides = [sign if on else -sign for on in D[:, column]]
            gradient = projected([[s * entry for entry in x] for s, x in zip(sides, points, strict=True)], gradient)
        found.append(np.array(gradient, float))
    return found


def enclosed(X, y, D, free, exact, beta, answer):
    """Upper and lower bounds of the optimum from weights and a dual vector, for weights on the inputs."""
    points, labels, dual, (n, p) = fractions(X), fractions(y), fractions(answer.dual), D.shape
    cost, outputs, largest = 0.0, [Fraction(0)] * n, 0.0
    for j in range(answer.W.shape[1]):
        column, sign = (j, 1) if j < p else (j - p + free, -1)
        w, sides = fractions(answer.W[:, j]), [sign if on else -sign for on in D[:, column]]
        heights = [dot(x, w) for x in points]
        cost += sqrt(dot(w, w))
        outputs = [out + height * on for out, height, on in zip(outputs, heights, map(int, D[:, column]), strict=True)]
        gradient = [dot([x[t] for x in points], [a * int(on) for a, on in zip(dual, D[:, column], strict=True)])
                    for t in range(X.shape[1])]  # fmt: skip
        if exact and column >= free:
            room = np.abs(X) @ np.abs(answer.W).sum(axis=1)
            assert all(s * h >= -1e-9 * r for s, h, r in zip(sides, heights, room, strict=True)), "inside of the cone"
            gradient = projected([[s * entry for entry in x] for s, x in zip(sides, points, strict=True)], gradient)
        largest = max(largest, sqrt(dot(gradient, gradient)))
    missed = [label - out for label, out in zip(labels, outputs, strict=True)]
    outside = max(1.0, largest)
    bound = float(dot(labels, dual)) / outside
    if beta:
        return cost + float(dot(missed, missed)) / beta, bound - beta * float(dot(dual, dual)) / outside**2 / 4
    assert sqrt(dot(missed, missed)) <= 1e-9 * np.linalg.norm(y)
    return cost + abs(float(dot(missed, dual))), bound


@pytest.mark.parametrize("number", [*range(DRAWS), *HARD])
def test_programs_are_solved_whatever_the_units_of_inputs(number):
    X, units, y, D, H, model, exact, beta = draw(number)
    blocks, answer = solved(X, units, y, D, H, model, exact, beta)
    if not beta and not within_reach(X, y, D):
        assert answer.gap == np.inf
        assert not answer.converged
        return
    assert answer.converged
    assert abs(answer.gap) <= solving.GAP
    if model == "normalized":
        even_blocks, even = solved(X, np.ones(len(units)), y, D, H, model, exact, beta)
        assert cost(blocks, y, answer.W, beta) == pytest.approx(cost(even_blocks, y, even.W, beta), rel=1e-8)
        assert answer.unique is even.unique
        return
    most, least = enclosed(X * units, y, D, int(model == "skip"), exact, beta, answer)
    assert -1e-12 <= (most - least) / most <= solving.GAP + rounding(X * units, answer.dual)


@pytest.mark.parametrize("number", range(30))
def test_what_is_called_solved_is_proved_beyond_eight_powers_of_ten_too(number):
    X, units, y, D, H, model, exact, beta = draw(3 * number)  # without skip connection
    units = 10.0 ** ((10, 12, 16)[number % 3] * np.linspace(-0.5, 0.5, len(units)))
    _, answer = solved(X, units, y, D, H, model, exact, beta)
    if not answer.converged:
        assert answer.gap > solving.GAP
        assert answer.unique is None
        return
    assert abs(answer.gap) <= solving.GAP
    most, least = enclosed(X * units, y, D, 0, exact, beta, answer)
    assert -1e-12 <= (most - least) / most <= solving.GAP + rounding(X * units, answer.dual)


@pytest.mark.parametrize("number", range(36))
def test_decisions_behind_a_normalised_layer_are_the_same_in_all_units(number):
    X, units, _, D, H, _, exact, _ = draw(3 * number + 2)
    own = int(D.any(axis=0).argmax())
    outcomes = []
    for scale in (np.ones(len(units)), units):
        blocks = Blocks(X * scale, D, whitened=True)
        w = blocks.coordinates(H / scale[:, None])[:, [own]]
        y = blocks.part(np.array([own])).forward(w)
        blocks = Cones(blocks, H / scale[:, None]) if exact else blocks
        outcomes.append(recovery.decide(blocks, y, Plant.of(np.array([own]), w)).outcome)
    assert outcomes[0] is outcomes[1]


@pytest.mark.parametrize("number", [1289, 1575, 1901])
@pytest.mark.parametrize("even", [True, False])
def test_a_point_of_zeros_does_not_hide_which_patterns_reach_the_labels(number, even):
    X, units, y, D, H, model, exact, beta = draw(number)
    units = np.ones(len(units)) if even else units
    _, answer = solved(X, units, y, D, H, model, exact, beta)
    assert answer.converged
    least = abs(y[0]) / (1 if model == "normalized" else np.linalg.norm(X[0] * units))
    assert np.linalg.norm(answer.W, axis=0).sum() == pytest.approx(least, rel=1e-9)


@pytest.mark.parametrize("number", [k for k in range(DRAWS // 2) if k % 3 < 2 and PLACES[k // 18 % 6]])
def test_decisions_in_uneven_units_are_proved_in_exact_fractions(number):
    """In other units other networks are cheapest: a decision for the plain and skip model holds in its own units."""
    X, units, y, D, H, model, exact, plant = planted(number)
    if not y.any():
        return
    free, Z = int(model == "skip"), X * units
    blocks = Cones(Blocks(Z, D), H / units[:, None], free) if exact else Blocks(Z, D)
    found, best = recovery.decide(blocks, y, plant), solving.solve(blocks, y)
    most, least = enclosed(Z, y, D, free, exact, 0, best)
    slack = 2e-9 + rounding(Z, best.dual)
    if found.outcome is Outcome.UNIQUE:
        relaxed, off = exact_gradients(Z, D, free, False, found.dual), 1e-9 + rounding(Z, found.dual)
        assert plant.cost <= most * (1 + slack)
        for place, unit in zip(plant.where, plant.units.T, strict=True):
            assert np.abs(relaxed[place] - unit).max() <= off
        # What is the only solution without cones is the only one with cones as well.
        proofs = [relaxed, exact_gradients(Z, D, free, True, found.dual)] if exact else [relaxed]
        others = [[np.linalg.norm(g) for j, g in enumerate(proof) if j not in plant.where] for proof in proofs]
        assert min(max(norms, default=0) for norms in others) <= 1 - found.margin + off
        assert found.margin > 0
    elif found.outcome is Outcome.UNDECIDED:
        assert abs(1 - least / plant.cost) <= 1e-8 + slack, "another network costs as much"
    else:
        cost = enclosed(Z, y, D, free, exact, 0, found._replace(dual=best.dual))[0]
        if found.outcome is Outcome.CHEAPER:
            assert cost <= plant.cost * (1 - 1e-8)
        else:
            assert cost == pytest.approx(plant.cost, rel=2e-9)
            assert np.abs(found.W - plant.weights(found.W.shape[1])).max() > 1e-4 * plant.sizes.max()


@pytest.mark.parametrize("number", [k for k in range(DRAWS) if k % 3 < 2 and k % 4 == 0 and PLACES[k // 18 % 6]])
def test_a_gap_is_closed_at_no_more_cost_wherever_a_cone_solver_answers(number):
    X, units, y, D, H, model, exact, beta = draw(number)
    status, value, outside = by_cone_solver(X * units, y, D, model, exact, beta)
    if status != "optimal" or outside > 1e-9 * np.linalg.norm(y):
        return
    blocks, answer = solved(X, units, y, D, H, model, exact, beta)
    assert answer.converged
    missed = outside * float(np.linalg.norm(answer.dual))  # what the reference saves by what it misses
    assert cost(blocks, y, answer.W, beta) <= value * (1 + 2e-9) + missed
