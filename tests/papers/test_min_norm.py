"""Minimal rank against minimal norm: M, the cheaper pair and the least norm, against searches and other solvers."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import minimize, nnls

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers.single_neuron import theory
from neurec_papers.single_neuron.experiments import min_norm
from neurec_papers.single_neuron.experiments.min_norm import MIN_RANK_VS_MIN_NORM, MinNorm
from smallnets.convex import interpolation
from smallnets.convex.recovery import Outcome
from smallnets.errors import InvalidInput
from smallnets.geometry import arrangements, dual_basis
from smallnets.geometry.dual_basis import cheaper, margin, obtuse

# b, M, half squared norm of the pair and of the best network, to six decimals.
ABOVE = [
    (11, 0.014798, 0.999765, 0.999607),
    (20, 0.094118, 0.987260, 0.981650),
    (50, 0.156385, 0.949821, 0.936021),
    (200, 0.188931, 0.895215, 0.876641),
]
DIGITS = 5.1e-7


def instance(d, seed):
    """Points around a teacher, all at acute angles to it."""
    rng = np.random.default_rng(seed)
    v = np.eye(d)[0]
    while True:
        X = v + rng.standard_normal((d, d)) / d**0.5
        if (X @ v > 0.01).all():
            return X, v


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def excess(p, q, v):
    """cos(p, q) - sin(p, v) from angles, one pair of unit rows after another."""
    turn = np.arccos(np.clip(p @ v, -1, 1))
    return (p * q).sum(axis=-1) - np.sin(turn)


def margin_above(b):
    """M of the family above from b = 8 on: cos(chi_2, chi_3) - sin(chi_2, v)."""
    return (b - 1) / (b + 1) - np.sqrt(1 - 0.36 * b / (b + 1))


def parts(d):
    return [(list(K), [k for k in range(d) if k not in K]) for r in range(1, d) for K in combinations(range(d), r)]


def outputs(X, net):
    return np.maximum(X @ net.W.T, 0) @ net.a


# ----------------------------------------------------------------------------------------------- dual basis and M


def test_dual_basis_is_dual():
    X, _ = instance(5, 0)
    assert np.allclose(dual_basis.dual_basis(X) @ X.T, np.eye(5), atol=1e-12)


def test_far_and_near_points_have_a_dual_basis():
    X = np.diag([1e150, 1.0, 1e-150])
    assert np.allclose(dual_basis.dual_basis(X) * np.diag(X), np.eye(3))


@pytest.mark.parametrize("d", [3, 4, 5])
@pytest.mark.parametrize(("b", "M", "pair", "least"), ABOVE)
def test_family_above(b, M, pair, least, d):
    X, v = theory.points_above(d, b)
    found = margin(X, v)
    assert found.least == pytest.approx(M, abs=DIGITS)
    # Rounding in the dual basis of points of condition 900.
    assert found.least == pytest.approx(float(margin_above(b)), abs=1e-12)
    assert 0 <= found.most - found.least <= 1.1e-9
    if d == 3:
        assert cheaper(X, v, found.p, found.q).norm == pytest.approx(pair, abs=DIGITS)
    best = interpolation.least_norm(X, X @ v)
    # Larger d add points that change nothing.
    assert best.value == pytest.approx(least, abs=DIGITS)
    assert best.gap <= 1e-9
    assert interpolation.decide(X, v).outcome is Outcome.CHEAPER


def test_m_of_the_family_changes_its_sign_at_91_9():
    signs = [margin(*theory.points_above(3, 91 / 9 + step)).sign for step in (-1e-3, 0, 1e-3)]
    assert signs == [-1, 0, 1]
    assert abs(margin_above(91 / 9)) < 1e-15


@pytest.mark.parametrize("d", [2, 3, 4, 5])
def test_family_below(d):
    X, v = theory.points_below(d, 0.9 * (2 * (2**0.5 - 1) / (d - 1)) ** 0.5)
    assert np.degrees(np.arccos(unit(X) @ v)).max() < 45
    assert obtuse(X)
    assert margin(X, v).sign == -1
    best = interpolation.least_norm(X, X @ v)
    assert best.value == pytest.approx(1, abs=1e-8)
    assert len(best.a) == 1
    assert interpolation.decide(X, v).outcome is Outcome.UNIQUE


def two_points(a, b):
    """In the plane, at angles a and -b to the teacher e_1, in degrees."""
    angles = np.radians([a, -b])
    return np.column_stack([np.cos(angles), np.sin(angles)]), np.eye(2)[0]


def test_m_of_two_points_is_negative_within_60_degrees_and_60_is_sharp():
    rng = np.random.default_rng(0)
    for a, b in rng.uniform(-60, 60, (200, 2)):
        assert abs(a + b) < 1 or margin(*two_points(a, b)).most < 0
    assert margin(*two_points(60 - 0.1, 60 - 0.1)).most < 0
    assert margin(*two_points(60 + 0.1, 60 + 0.1)).least > 0
    for a, b in np.sort(rng.uniform(1, 89, (200, 2)), axis=1):
        on_both_sides = margin(*two_points(a, b))
        assert on_both_sides.least == pytest.approx(-np.cos(np.radians(b)) - np.cos(np.radians(a + b)), abs=1e-8)
        assert abs(b + a / 2 - 90) < 0.01 or (on_both_sides.most < 0) == (b + a / 2 < 90)
        assert b - a < 1 or margin(*two_points(-a, b)).most < 0, "one side"


def test_trials_of_a_family_are_one_data_set():
    rows = [
        {"data": "below", "d": 3, "b": 50.0, "xi": 0.1, "seed": 0, "trial": 0},
        {"data": "below", "d": 3, "b": 50.0, "xi": 0.1, "seed": 0, "trial": 1},
        {"data": "below", "d": 3, "b": 50.0, "xi": 0.2, "seed": 0, "trial": 0},
        {"data": "centred", "d": 3, "b": 50.0, "xi": 0.1, "seed": 0, "trial": 0},
        {"data": "centred", "d": 3, "b": 50.0, "xi": 0.1, "seed": 0, "trial": 1},
    ]
    assert min_norm.data_sets(pd.DataFrame(rows)).index.tolist() == [0, 2, 3, 4]


@pytest.mark.parametrize(
    "values", [{"d": 5, "b": 1e-10}, {"data": "below", "d": 8, "xi": 3e-9}, {"data": "below", "d": 8, "xi": 1e-300}]
)
def test_families_without_a_dual_basis_are_refused_at_once(values):
    name = "xi" if "xi" in values else "b"
    with pytest.raises(BadInput, match=rf"^{name} \(.*\) must make points that are independent .*, got [^\n]*$"):
        MIN_RANK_VS_MIN_NORM.params(**values)


@pytest.mark.parametrize("seed", range(12))
def test_m_of_three_points_is_that_of_all_angles(seed):
    """One of p and q is a vector of the dual basis, the other one runs through the arc between two of them."""
    X, v = instance(3, seed)
    chi, t = unit(np.linalg.inv(X).T), np.linspace(0, 1, 20001)[:, None]
    wanted = -np.inf
    for k in range(3):
        i, j = (other for other in range(3) if other != k)
        arc = unit((1 - t) * chi[i] + t * chi[j])
        wanted = max(wanted, excess(arc, chi[k][None], v).max(), excess(chi[k][None], arc, v).max())
    found = margin(X, v)
    # Steps of at most 2e-4 along an arc near its maximum, where the curvature is of order one.
    assert wanted - 1e-9 <= found.most
    assert found.least == pytest.approx(wanted, abs=1e-6)


@pytest.mark.parametrize("d", [4, 5])
@pytest.mark.parametrize("seed", range(3))
def test_no_search_beats_m(d, seed):
    """Random pairs, and local searches from the best of them for every part; these also come near."""
    X, v = instance(d, seed)
    chi, rng, best = unit(np.linalg.inv(X).T), np.random.default_rng(seed), -np.inf
    found = margin(X, v)

    def height(c, K, L):
        p, q = c[: len(K)] @ chi[K], c[len(K) :] @ chi[L]
        return -excess(p / np.linalg.norm(p), q / np.linalg.norm(q), v)

    for K, L in parts(d):
        c = rng.exponential(size=(300, d)) ** 3  # many of them near faces
        values = excess(unit(c[:, : len(K)] @ chi[K]), unit(c[:, len(K) :] @ chi[L]), v)
        assert values.max() <= found.most
        start = c[values.argmax()] / c[values.argmax()].max()
        end = minimize(height, start, (K, L), "SLSQP", bounds=[(1e-12, 10)] * d, options={"maxiter": 100})
        best = max(best, -end.fun)
    assert best <= found.most + 1e-12
    assert best == pytest.approx(found.least, abs=1e-4), "SLSQP stops at 1e-6, arccos blurs"


@pytest.mark.parametrize("seed", range(4))
def test_witnesses_prove_the_value(seed):
    X, v = instance(4, seed)
    found = margin(X, v)
    shares, others = X @ found.p, X @ found.q
    assert np.linalg.norm([found.p, found.q], axis=1) == pytest.approx([1, 1])
    assert min(shares.min(), others.min()) > -1e-9 * np.abs(X).max()
    assert np.abs(shares * others).max() < 1e-9 * np.abs(X).max() ** 2, "complementary parts"
    assert excess(found.p, found.q, v) == pytest.approx(found.least, abs=1e-7)


def test_lengths_do_not_matter():
    X, v = instance(4, 5)
    scaled = margin(np.array([0.1, 1, 7, 1e4])[:, None] * X, 3 * v)
    assert scaled.least == pytest.approx(margin(X, v).least, abs=1e-9)


def test_bounds_of_simplices_hold_inside_them():
    """Before any halving, where they are loosest, and after some."""
    rng, tight = np.random.default_rng(0), 0
    for seed in range(14, 20):
        X, v = instance(3, seed)
        chi = unit(np.linalg.inv(X).T)
        for K, _ in parts(3)[3:]:
            part = dual_basis._Part(chi, v, tuple(K))
            for _ in range(3):
                for simplex, bound in zip(part.simplices, part.bounds, strict=True):
                    P = unit(rng.dirichlet(np.ones(2), 100) @ simplex)
                    values = excess(P, part.others(P)[1], v)
                    assert values.max() <= bound + 1e-7, "arccos blurs"
                    tight += values.max() > bound - 1e-3
                part.halve()
    assert tight, "some bounds are sharp"


def test_a_search_that_is_cut_short_keeps_its_bounds(monkeypatch):
    X, v = instance(5, 1)
    whole = margin(X, v)
    monkeypatch.setattr(dual_basis, "MOST_SIMPLICES", 40)
    cut = margin(X, v)
    assert cut.most - cut.least > 1e-6, "it was cut"
    assert cut.least <= whole.least + 1e-9
    assert whole.least <= cut.most


def test_obtuse_dual_bases_have_negative_m():
    found = [(obtuse(X), margin(X, v).sign) for X, v in (instance(3, seed) for seed in range(60))]
    assert {sign for right, sign in found if right} == {-1}
    assert (False, 1) in found
    assert obtuse(np.diag([1.0, 2, 3]))


# --------------------------------------------------------------------------------------------------- cheaper pairs


def test_pairs_fit_and_save_what_the_formula_says():
    sides = []
    for seed in range(100):
        X, v = instance(3, seed)
        found = margin(X, v)
        if found.sign < 0:
            continue
        pair = cheaper(X, v, found.p, found.q)
        assert np.allclose(outputs(X, pair), X @ v, rtol=1e-9)
        xi = np.linalg.norm(pair.W[0] - v)
        away = np.sqrt(1 - (found.p @ found.q) ** 2)
        sides.append(np.sign(found.p @ v))
        turned = found.p @ v - away if sides[-1] > 0 else xi
        assert pair.a[1] * sides[-1] > 0
        assert 2 * pair.norm == pytest.approx(2 - xi * (2 * turned - xi), abs=1e-12)
        assert 2 * pair.norm <= 2 - xi**2 + 1e-12
        assert pair.norm < 1
        assert np.linalg.matrix_rank(pair.W) == 2
        assert interpolation.least_norm(X, X @ v).value <= pair.norm
    assert min(sides.count(1), sides.count(-1)) >= 3, "both signs of cos(p, v) were there"


def test_a_witness_at_an_obtuse_angle_gives_a_negative_neuron():
    v = np.array([1.0, 0, 0])
    chi = np.array([[-1.0, 0.1, 0], [-1, 0, 0.1], [3, -0.1, -0.1]])
    X = np.linalg.inv(chi).T
    p, q = unit(chi[:2])
    assert p @ v < 0
    pair = cheaper(X, v, p, q)
    assert np.allclose(outputs(X, pair), X @ v)
    xi = -p @ v - np.sqrt(1 - (p @ q) ** 2)
    assert xi > 0
    assert pair.a[1] < 0
    assert 2 * pair.norm == pytest.approx(2 - xi**2)
    assert margin(X, v).sign == 1
    assert interpolation.decide(X, v).outcome is Outcome.CHEAPER


# --------------------------------------------------------------------------------------------------- least norm


def posed(kind):
    """Points and labels of one kind, two of either sign."""
    rng = np.random.default_rng(3)
    n, d = {"square": (4, 4), "above": (3, 3), "wide": (3, 6), "tall": (6, 3), "plane": (7, 2)}[kind]
    if kind == "above":
        X, v = theory.points_above(3, 20)
        return unit(X), unit(X) @ v
    return rng.standard_normal((n, d)), rng.standard_normal(n)


KINDS = ("square", "above", "wide", "tall", "plane")


@pytest.mark.parametrize("kind", KINDS)
def test_a_network_and_a_dual_vector_enclose_the_least_norm(kind):
    X, y = posed(kind)
    best = interpolation.least_norm(X, y)
    assert best.converged
    assert np.allclose(outputs(X, best), y, atol=1e-7 * np.abs(y).max())
    assert np.allclose(np.abs(best.a), np.linalg.norm(best.W, axis=1))
    assert len(best.a) <= len(y)
    # The network's rounding of faint neurons costs up to a thousandth of that in norm.
    assert (best.W**2).sum() / 2 + (best.a**2).sum() / 2 == pytest.approx(best.value, rel=1e-8)
    assert y @ best.dual == pytest.approx(best.value * (1 - best.gap), rel=1e-12)
    U = unit(np.random.default_rng(0).standard_normal((100_000, X.shape[1])))
    assert np.abs(np.maximum(U @ X.T, 0) @ best.dual).max() <= 1
    # Exactly: in each cell the largest output of a unit vector is the length of a projection.
    cells = arrangements.enumerate(X[None]).D[0]
    for D in cells.T:
        for sign in (-1, 1):
            g, C = sign * (X[D].T @ best.dual[D]), np.where(D, 1, -1)[:, None] * X
            assert np.linalg.norm(g + C.T @ nnls(C.T, -g)[0]) <= 1 + 1e-9


def test_orthogonal_points_have_a_norm_in_closed_form():
    rng = np.random.default_rng(1)
    X = np.linalg.qr(rng.standard_normal((5, 5)))[0] * np.array([0.5, 1, 2, 3, 0.1])[:, None]
    y = np.array([1.0, -2, 0.3, 4, -0.02])
    shares = (y / np.linalg.norm(X, axis=1)) ** 2
    wanted = shares[y > 0].sum() ** 0.5 + shares[y < 0].sum() ** 0.5
    best = interpolation.least_norm(X, y)
    assert best.value == pytest.approx(wanted, rel=1e-8)
    assert sorted(np.sign(best.a)) == [-1, 1]


def test_lengths_of_points_change_the_dual_vector_only():
    X, y = posed("square")
    scale = np.array([1e-3, 1, 30, 1e4])
    one, other = interpolation.least_norm(X, y), interpolation.least_norm(scale[:, None] * X, scale * y)
    assert other.value == pytest.approx(one.value, rel=1e-8)
    assert other.dual * scale @ y == pytest.approx(one.value, rel=1e-8)


def test_zero_labels_need_no_neuron():
    best = interpolation.least_norm(posed("tall")[0], np.zeros(6))
    assert (best.value, best.gap, len(best.a), best.converged) == (0, 0, 0, True)


@pytest.mark.parametrize("seed", range(15))
def test_m_decides_whether_the_teacher_is_the_only_network_of_least_norm(seed):
    X, v = instance(3 + seed % 3, seed)
    sign = margin(X, v).sign
    best, decision = interpolation.least_norm(X, X @ v), interpolation.decide(X, v)
    assert decision.outcome is {1: Outcome.CHEAPER, -1: Outcome.UNIQUE}[sign]
    assert (best.value < 1 - 1e-8) == (sign > 0)


# ------------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda X, v: margin(X[:2], v), r"X (points) must be as many as their dimensions, got shape (2, 3)"),
        (lambda X, v: margin(X[:1, :1], v[:1]), "X (points) must number at least 2, got 1"),
        (lambda X, v: margin(X * [1, np.nan, 1], v), "X (points) must be finite, got 3 of 9 entries that are not"),
        (lambda X, v: margin(X[[0, 1, 1]], v), "X (points) must be independent, got unit points of condition"),
        (lambda X, v: margin(0 * X, v), "X (points) must be independent, got unit points of condition inf"),
        (lambda X, v: margin(X, v[:2]), "v (teacher) must be an array of shape (d,) = (3,), got (2,)"),
        (lambda X, v: margin(X, -v), "v (teacher) must meet every point at an acute angle, got 3 of 3 that it does"),
        (lambda X, v: margin(X, v, 0.0), "tolerance (of M) must be a number in (0, 1], got 0.0"),
        (lambda X, v: cheaper(X, v, v, v), "p and q (witnesses) must lie in the cones of two compl"),
        (lambda X, v: cheaper(X, v, np.eye(3)[1], v), "p and q (witnesses) must have cos(p, q) > sin(p, v), got 1"),
        (lambda X, v: interpolation.least_norm(X, v[:2]), "y (labels) must be an array of shape (n,) = (3,), got (2,)"),
        (lambda X, v: interpolation.least_norm(X, v / 0), "y (labels) must be finite, got 3 of 3 entries that are"),
        (lambda X, v: interpolation.least_norm(X[0], v), "X (points) must be an array of shape (n, d) = (any, any)"),
        (lambda X, v: interpolation.least_norm(0 * X, v), "X (rows) must not all be zero"),
        (lambda X, v: interpolation.least_norm(X * [[0], [1], [1]], 1 + v), "y (labels) must be 0 where the point is"),
        (lambda X, v: interpolation.decide(X, -v), "v (neuron) must be active on some point and meet none at a right"),
        (lambda X, v: interpolation.decide(X, np.linalg.inv(X)[:, 0]), "v (neuron) must be active on some point and"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_bad_input_is_refused(call, message):
    with pytest.raises(InvalidInput) as error:
        call(*theory.points_above(3, 20))
    assert str(error.value).startswith(message)


# ----------------------------------------------------------------------------------------------------- experiment


def row(**values):
    (found,) = MIN_RANK_VS_MIN_NORM.rows(MinNorm(**values), 0, [0])
    return found


def test_training_ends_at_the_teacher_wherever_the_least_norm_is():
    for data_, least in [("above", 0.936021), ("below", 1.0)]:
        found = row(data=data_)
        assert found["status"] == Status.SOLVED
        assert found["agrees"]
        assert found["minimum"] == pytest.approx(least, abs=DIGITS)
        # The small initial weights leave 1e-4 of rank; a loss of 1e-16 leaves 1e-6 of norm where points are near.
        assert found["trained_norm"] == pytest.approx(1, abs=1e-5)
        assert 1 <= found["trained_rank"] < 1.001
        assert (found["rank"] > 1) == (data_ == "above")


@pytest.mark.parametrize("values", [{"training": "skipped"}, {"step": 10.0}, {"limit": 10}])
def test_what_is_not_trained_to_its_target_has_no_measures_of_training(values):
    found = row(**values)
    assert found["status"] == Status.SOLVED
    assert found["agrees"]
    assert not found["fitted"]
    assert np.isnan([found["trained_norm"], found["trained_rank"], found["steps"]]).all()


def test_a_sign_that_is_not_certain_is_undecided():
    found = row(b=91 / 9, training="skipped")
    assert found["status"] == Status.UNDECIDED
    assert found["M"] is None


def test_the_family_above_has_three_dimensions_or_more():
    with pytest.raises(
        BadInput, match=r"d \(points and dimensions\) must be a whole number in \[3, 8\] for these data"
    ):
        MinNorm(d=2)
    MinNorm(d=2, data="below")


@pytest.mark.parametrize("data_", ["centred", "uncentred"])
def test_random_points_meet_the_teacher_at_acute_angles(data_):
    problem = MIN_RANK_VS_MIN_NORM.sample(MinNorm(data=data_, d=2), Draws(0, range(100)))
    assert (problem.y > 0).all()
    assert np.allclose([np.linalg.norm(given.teacher) for given in problem.trials], 1)


def test_neurons_are_counted_whatever_the_solver_leaves_of_them():
    """Copies split among cells, turned by what a gap leaves open, and faint rests are not neurons of their own."""
    rng = np.random.default_rng(5)
    for _ in range(50):
        k, d = rng.integers(1, 4), 5
        units = rng.standard_normal((k, d))
        units /= np.linalg.norm(units, axis=1, keepdims=True)
        parts = np.concatenate([units, units + 1e-6 * rng.standard_normal((k, d)), rng.standard_normal((3, d))])
        shares = np.concatenate([rng.uniform(0.1, 1, 2 * k), [1e-7, 1e-8, 1e-9]])
        W = parts / np.linalg.norm(parts, axis=1, keepdims=True) * np.sqrt(shares)[:, None]
        order = rng.permutation(len(W))
        found = min_norm.directions(W[order], np.sqrt(shares)[order])
        assert len(found) == k
        assert np.allclose(sorted(map(tuple, found)), sorted(map(tuple, units)), atol=1e-5)
