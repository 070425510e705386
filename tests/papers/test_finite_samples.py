"""Finite samples: the least width against brute force, recovery from counted samples, what fewer leave open."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations, product

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers import finite_samples as paper
from neurec_papers.finite_samples import theory, view
from neurec_papers.finite_samples.engine import analytic, competitors, irreducibility, line, space
from neurec_papers.finite_samples.engine.networks import ShallowNet, checked, distinct_points, relative_error
from neurec_papers.finite_samples.engine.subsets import exact_subset_sum, subset_sum, sums
from neurec_papers.finite_samples.experiments import teachers
from neurec_papers.finite_samples.view import INSTANCE
from smallnets.errors import InvalidInput

IRREDUCIBILITY, HIDDEN, RELU, ANALYTIC = paper.EXPERIMENTS
TRIALS = [0, 1, 2, 3, 4]


def planted(**values) -> tuple[list[ShallowNet], bool]:
    params = IRREDUCIBILITY.params(**values)
    nets = [given.teacher for given in IRREDUCIBILITY.sample(params, Draws(0, TRIALS)).trials]
    return nets, params.bias


def sampling_set(net, lines, m):
    """Places (L, q), as many in each piece of each line as show it."""
    kinks = space.kinks_on(net, lines)
    each = [line.least_points(m, kinks.shape[1])] * (kinks.shape[1] + 1)
    return np.stack([line.sample_points(t, each) for t in kinks])


def exponential_sum(activation, net, other):
    """The difference of two networks on a line times all denominators 1 + e^{kz}, as sum_S q_S e^{r_S x}: q, r (4^m,).

    S runs through all subsets of the neurons of both; tanh z = (e^{2z} - 1) / (e^{2z} + 1). As many real zeros as q has
    sign changes, in the order of r, is the most there can be.
    """
    out, steepness = {"tanh": (-1.0, 2.0), "sigmoid": (0.0, 1.0)}[activation]
    w, b, a = np.append(net.W, other.W), np.append(net.b, other.b), np.append(net.a, -other.a)
    chosen = np.array(list(product([False, True], repeat=len(a))))
    q = (np.where(chosen, a, out * a).sum(axis=1) + net.c - other.c) * np.exp(steepness * (chosen @ b))
    return q, steepness * (chosen @ w)


def refit_width(net: ShallowNet, bias: bool) -> int:
    """The least number of neurons on the network's own hyperplanes, and pairs elsewhere, with which least squares fits.

    A hyperplane without a neuron has no kink, so a network that is the same function has one on each that bends f; two
    neurons on another hyperplane can only be an affine function.
    """
    rng = np.random.default_rng(0)
    X = 3 * rng.normal(size=(300, net.W.shape[1]))
    y = net(X)
    unit = np.column_stack([net.W, net.b]) / np.linalg.norm(net.W, axis=1)[:, None]
    unit *= np.sign(unit[:, :1])
    own = unit[np.unique(np.round(unit, 9), axis=0, return_index=True)[1]]
    z = X @ own[:, :-1].T + own[:, -1]
    least = net.m
    # Of each hyperplane: no neuron, one of either side, both; and none or one affine pair.
    for chosen in product([(), (1,), (-1,), (1, -1)], repeat=len(own)):
        for pair in (0, 2):
            width = sum(map(len, chosen)) + pair
            if width >= least:
                continue
            columns = [np.maximum(side * z[:, k], 0) for k, sides in enumerate(chosen) for side in sides]
            columns += [*X.T, np.ones(len(X))] if pair else [np.ones(len(X))] if bias else []
            phi = np.array(columns).T.reshape(len(X), -1)
            fitted = phi @ np.linalg.lstsq(phi, y, rcond=1e-12)[0]
            if np.abs(fitted - y).max() < 1e-9 * np.abs(y).max():
                least = width
    return least


# -------------------------------------------------------------------------------------------------- irreducibility


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize(
    "kind",
    [
        {"m": 4, "pairs": 0},
        {"m": 5, "pairs": 1},
        {"m": 6, "pairs": 2},
        {"m": 6, "pairs": 3},
        {"m": 5, "pairs": 0, "flat": 1},
        {"m": 6, "pairs": 1, "flat": 1, "copies": 1},
        {"m": 6, "pairs": 1, "relation": "planted"},
        {"m": 6, "pairs": 2, "relation": "planted"},
    ],
    ids=str,
)
def test_least_width_is_that_of_a_refit_with_fewer_neurons(kind, d, bias):
    nets, own = planted(d=d, bias=bias, **kind)
    for net in nets[:2]:
        found = irreducibility.reduce(net, bias=own)
        assert found.status == Status.SOLVED
        assert found.network.m == found.least == refit_width(net, own)
        assert irreducibility.enumerated(irreducibility.bends(net), bias=own) == found.least
        assert irreducibility.irreducible(net, bias=own) == (found.least == net.m)
        X = 5 * np.random.default_rng(1).normal(size=(500, d))
        assert relative_error(net(X), found.network(X)) < 1e-12, "rounding of a few additions"


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.parametrize("kind", [{"pairs": 1}, {"pairs": 2}, {"pairs": 1, "relation": "planted"}], ids=str)
def test_least_width_does_not_hang_on_the_origin_or_the_unit(kind, d, bias):
    nets, own = planted(d=d, m=6, bias=bias, **kind)
    # Without an output bias offsets are compared, too, and lose digits far away; slopes never do.
    for place in (1e3, 1e5) if not bias else (1e5, 1e7, 1e9):
        for net in nets:
            far = net._replace(b=net.b - net.W @ np.full(d, place))
            found = irreducibility.reduce(far, bias=own)
            assert found.status == Status.SOLVED
            assert found.network.m == irreducibility.reduce(net, bias=own).network.m
            X = place + 3 * np.random.default_rng(0).normal(size=(200, d))
            assert relative_error(far(X), found.network(X)) < 1e-14 * place, "rounding of sums as large as the place"
    for net in nets:
        scaled = irreducibility.reduce(net._replace(W=1e9 * net.W), bias=own)
        assert scaled.network.m == irreducibility.reduce(net, bias=own).network.m


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("place", [1e6, 1e8])
def test_a_translated_network_is_given_back(place, bias):
    places = np.arange(-3 * 4096, 3 * 4096, 100) / 4096  # binary fractions, so that moved places are exact
    for net in teachers.relu_on_line(Draws(0, range(10)), 4, 0, bias):
        x = np.round(line.sample_points(np.array(line.broken(net).kinks), [2] * 5) * 4096) / 4096
        back = line.as_network(line.recover((x + place).tolist(), net(x[:, None]).tolist(), 4), bias=bias)
        assert back.m == 4
        assert relative_error(net(places[:, None]), back(place + places[:, None])) < 1e-15 * place


@pytest.mark.parametrize("place", [1e4, 1e6])
def test_a_translated_network_in_space_is_given_back(place):
    (net,) = teachers.relu_in_space(Draws(0, [0]), 3, 4, pairs=0, bias=True)
    rng = np.random.default_rng(0)
    lines = space.chosen_lines(net, *rng.normal(size=(2, space.DRAWN, 9, 3)), 9)
    t = sampling_set(net, lines, 4)
    y = net(lines.at(t).reshape(-1, 3)).reshape(t.shape)
    found = space.recover_in_space(lines._replace(p=lines.p + place), list(t), list(y), 4)
    assert found.reduction.network.m == 4
    X = rng.normal(size=(100, 3))
    assert relative_error(net(X), found.reduction.network(X + place)) < 1e-14 * place


def test_a_relation_by_chance_is_no_proof():
    rows = IRREDUCIBILITY.rows(IRREDUCIBILITY.params(d=1, m=31, pairs=1), 0, range(3))
    assert {row["width"] for row in rows} <= {31, None}
    assert {row["status"] for row in rows} == {Status.SOLVED, Status.UNDECIDED}
    nets, own = planted(d=1, m=31, pairs=1, relation="planted")
    found = [irreducibility.reduce(net, bias=own) for net in nets]
    assert {(one.network.m, one.status) for one in found} == {(30, Status.SOLVED)}, "a relation up to rounding is one"


def test_a_reduced_network_that_is_not_the_function_is_undecided():
    # Kinks that cancel to 1e-7 of their size: what counts as nothing beside them is not nothing in f.
    rows = np.array([[1.0, 0.0], [1.0, 1e-7], [1.0, 1.0], [-1.0, -1.0]])
    net = ShallowNet(rows[:, :1], rows[:, 1], np.array([1e9, -1e9, 1e-3, 2e-3]))
    found = irreducibility.reduce(net, tolerance=1e-10)
    X = np.linspace(-5, 5, 101)[:, None]
    assert found.status == Status.UNDECIDED or relative_error(net(X), found.network(X)) < 1e-6


def test_a_small_kink_beside_a_large_one_is_a_kink():
    net = ShallowNet(np.array([[1.0], [1.0]]), np.array([0.0, -1.0]), np.array([1e12, 1.0]))
    assert irreducibility.reduce(net).network.m == 2


def test_constants_and_affine_functions_need_what_they_need():
    X = np.random.default_rng(0).normal(size=(50, 2))
    u = np.array([1.0, 2.0])
    affine = ShallowNet(np.array([u, -u, u]), np.array([1.0, -1.0, 1.0]), np.array([1.0, -2.0, 1.0]))
    found = irreducibility.reduce(affine, bias=False)
    assert (found.network.m, found.hyperplanes) == (2, 0)
    constant = ShallowNet(np.array([u, -u, u, -u]), np.array([2.0, -2.0, 1.0, -1.0]), np.array([1.0, -1.0, -1.0, 1.0]))
    assert constant(X) == pytest.approx(np.ones(50), abs=1e-14)
    for bias, least in ((False, 4), (True, 0)):
        found = irreducibility.reduce(constant, bias=bias)
        assert found.network.m == found.least == least
        assert found.network(X) == pytest.approx(np.ones(50), abs=1e-13)


def test_a_search_that_is_too_wide_is_undecided_and_never_a_guess():
    nets, own = planted(m=12, pairs=2, relation="planted")
    for net in nets:
        found = irreducibility.reduce(net, bias=own, limit=9)
        assert found.status == Status.UNDECIDED
        assert found.least == 10 <= found.network.m <= 12
        assert irreducibility.irreducible(net, bias=own, limit=9) is None
        with pytest.raises(BadInput, match=r"net \(ReLU network\) must be irreducible, got 12 neurons of which 10"):
            irreducibility.needs_irreducible(net, bias=own)
    many, _ = planted(m=12, pairs=4)
    assert irreducibility.irreducible(many[0], limit=3) is False, "three pairs or more need no search"
    none, _ = planted(m=12, pairs=0)
    assert irreducibility.irreducible(none[0], limit=3) is True, "nor do none"


@given(st.integers(0, 10), st.integers(1, 3), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_subset_sums_by_halves_are_those_of_all_subsets(n, D, seed):
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-4, 5, (n, D)).astype(float)
    target = rng.integers(-6, 7, D).astype(float)
    anything = (sums(vectors) == target).all(axis=1).any()
    found = subset_sum(vectors, target, 1e-9)
    assert (found is not None) == anything
    rational = exact_subset_sum([tuple(map(Fraction, v)) for v in vectors.tolist()], tuple(map(Fraction, target)))
    assert (rational is not None) == anything
    if anything:
        assert (found @ vectors == target).all()
        assert (np.array(rational, bool) @ vectors == target).all()


# --------------------------------------------------------------------------------------------- no set serves all


@given(
    st.integers(1, 3),
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["kink", "weight"]),
    st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=60),
)
@settings(max_examples=60, deadline=None)
def test_any_finite_set_has_two_irreducible_networks_that_are_equal_on_it(d, m, seed, changed, numbers):
    X = np.unique(np.array(numbers[: len(numbers) // d * d]).reshape(-1, d), axis=0)
    draws = Draws(seed, [0])
    (core,) = teachers.relu_in_space(draws, d, m - 1, pairs=0, bias=True)
    u = draws.normal("u", d)[0]
    net, other = competitors.hidden_pair(X, core, u, margin=0.5, changed=changed)
    assert net.m == other.m == m
    assert np.array_equal(net(X), other(X)), "to the bit: a sum with the same zeros"
    assert irreducibility.irreducible(net) is irreducibility.irreducible(other) is True
    beyond = (np.max(X @ u) / np.linalg.norm(u) + 5) * u[None] / np.linalg.norm(u)
    assert np.abs(net(beyond) - other(beyond))[0] > 0.4


# -------------------------------------------------------------------------------------------- recovery on a line


@pytest.mark.parametrize("bias", [True, False])
def test_fractions_give_the_network_back_exactly(bias):
    rows = RELU.rows(RELU.params(m=6, points=14, bias=bias, arithmetic="rational"), 0, range(10))
    assert {row["error"] for row in rows} == {0.0}
    assert all(row["recovered"] for row in rows)
    for net in teachers.relu_on_line(Draws(0, TRIALS), 6, 0, bias):
        exact = line.in_fractions(net)
        kinks = sorted(-b / w for w, b, _ in exact.neurons)
        x = [Fraction(round(p * 4096), 4096) for p in line.sample_points(np.array(kinks, float), [2] * 7)]
        found = line.recover(x, exact(x), 6, 0)
        assert found.kinks == kinks
        jumps = [b[0] - a[0] for a, b in zip(found.lines[:-1], found.lines[1:], strict=True)]
        assert sorted(jumps) == sorted(a * abs(w) for w, _, a in exact.neurons)


def test_functions_with_opposite_pairs_are_given_back_from_two_more_samples_a_piece():
    for pairs, enough in ((1, 4), (2, 6)):
        kinks = 5 - pairs
        params = RELU.params(m=5, pairs=pairs, bias=False, points=enough * (kinks + 1))
        assert all(row["recovered"] for row in RELU.rows(params, 0, range(10)))
        fewer = RELU.rows(params.with_(points=params.points - 1), 0, range(10))
        assert {row["status"] for row in fewer} == {Status.UNSEEN}


def test_a_network_with_an_opposite_pair_is_given_back_and_not_identified():
    params = RELU.params(m=4, pairs=1, points=16)
    problem, _, scores = RELU.run(params, Draws(0, TRIALS))
    assert scores["recovered"].all()
    assert not scores["identified"].any()
    for X, y, net in zip(problem.X, problem.y, problem.teacher[0], strict=True):
        other = competitors.split_pair(X, net, 0, 3)
        wide = np.linspace(-20, 20, 4001)[:, None]
        assert relative_error(y, other(X)) < 1e-13
        assert other.m == net.m
        assert relative_error(net(wide), other(wide)) > 0.1, "others fit the same points"
    enough = RELU.rows(RELU.params(m=4, points=10), 0, TRIALS)
    assert all(row["identified"] for row in enough)
    few = RELU.rows(RELU.params(d=3, m=3, lines=6, points=8), 0, TRIALS)
    assert all(row["recovered"] and not row["identified"] for row in few), "one line fewer than the theorem asks for"
    assert all(row["identified"] for row in RELU.rows(RELU.params(d=3, m=3, lines=7, points=8), 0, TRIALS))


def test_a_rival_fits_is_as_wide_and_differs():
    rng = np.random.default_rng(0)
    met = 0
    for bias in (True, False):
        for net in teachers.relu_on_line(Draws(1, range(20)), 4, 0, bias):
            truth = line.broken(net)
            x = line.sample_points(np.array(truth.kinks), [2] * 5)
            assert competitors.competitor(truth, x, bias=bias) is None, "two samples in each piece"
            x = np.delete(x, rng.integers(10))
            other = competitors.competitor(truth, x, bias=bias)
            if other is None:
                continue
            met += 1
            rival = line.as_network(other.function, bias=bias)
            assert rival.m == 4
            # Rivals are fitted to 1e-9; their kinks are turned into neurons with that error.
            assert relative_error(net(x[:, None]), rival(x[:, None])) < 1e-7
            wide = np.linspace(-6, 6, 500)[:, None]
            assert relative_error(net(wide), rival(wide)) > 1e-6
    assert met > 20


def test_a_family_of_rivals_is_there_where_derivatives_say_so():
    rng = np.random.default_rng(2)
    seen = set()
    for net in teachers.relu_on_line(Draws(2, range(30)), 3, 0, True):
        truth = line.broken(net)
        x = np.delete(line.sample_points(np.array(truth.kinks), [2] * 4), rng.integers(8))
        on = x[:, None] * net.W[:, 0] + net.b > 0
        # With respect to kinks, slopes a w and c: 2m + 1 of them, without scalings.
        J = np.column_stack([on * (x[:, None] * net.W[:, 0] + net.b), on * net.a, np.ones(len(x))])
        deficient = np.linalg.matrix_rank(J, 1e-9) < 7
        other = competitors.competitor(truth, x)
        seen.add(deficient)
        if deficient:
            assert other is not None
        elif other is not None:
            assert not other.free
    assert seen == {True, False}


@pytest.mark.parametrize("c", [0.0, 1e3, 1e5, -1e6, 1e9, 1e14])
def test_a_large_output_bias_hides_no_kink(c):
    for net in teachers.relu_on_line(Draws(0, TRIALS), 3, 0, False):
        x = line.sample_points(np.array(line.broken(net).kinks), [2] * 4)
        found = line.recover(x.tolist(), (net(x[:, None]) + c).tolist(), 3)
        if abs(c) > 1e7:
            assert found is None, "differences of y have fewer digits than are asked for"
        else:
            assert len(found.kinks) == 3


# ---------------------------------------------------------------------------------------------- recovery in space


def test_lines_that_miss_a_piece_are_left_out():
    (net,) = teachers.relu_in_space(Draws(0, [0]), 3, 4, pairs=0, bias=True)
    rng = np.random.default_rng(0)
    lines = space.chosen_lines(net, *rng.normal(size=(2, space.DRAWN, 9, 3)), 9)
    t = sampling_set(net, lines, 4)
    y = net(lines.at(t).reshape(-1, 3)).reshape(t.shape)
    places, values = list(t), list(y)
    for i in (0, 4):
        places[i], values[i] = np.delete(t[i], 3), np.delete(y[i], 3)
    found = space.recover_in_space(lines, places, values, 4)
    assert (found.status, found.seen, found.consistent) == (Status.SOLVED, 7, 4)
    X = rng.normal(size=(100, 3))
    assert relative_error(net(X), found.reduction.network(X)) < 1e-11
    few = space.recover_in_space(lines, [p[:-1] for p in places], [v[:-1] for v in values], 4)
    assert (few.status, few.reduction, few.seen) == (Status.UNSEEN, None, 0)


def test_fewer_lines_leave_hyperplanes_open_unless_jumps_are_read():
    at = {"d": 3, "m": 3, "points": 8}
    for lines, evidence, recovered in (
        (2, "jumps", False),
        (3, "jumps", True),
        (3, "kinks", False),
        (4, "kinks", True),
    ):
        rows = RELU.rows(RELU.params(lines=lines, evidence=evidence, **at), 0, range(10))
        # Of three kinks two have the same sign, so that d lines alone leave more than one way to join them.
        assert {row["recovered"] for row in rows} == {recovered}, (lines, evidence)


# ------------------------------------------------------------------------------------------------ analytic networks


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_differences_of_one_neuron_have_three_zeros_and_no_more(activation):
    assert analytic.most_sign_changes(activation, 1, 4000) == 4**1 - 1, "sharp for one neuron"


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from(["tanh", "sigmoid"]))
@settings(max_examples=100, deadline=None)
def test_a_difference_times_its_denominators_is_a_sum_of_exponentials(seed, m, activation):
    rng = np.random.default_rng(seed)
    nets = [ShallowNet(*rng.normal(size=(1, m, 1)), *rng.normal(size=(2, m)), float(rng.normal())) for _ in range(2)]
    coefficients, rates = exponential_sum(activation, *nets)
    assert len(coefficients) == len(rates) == 4**m
    x = np.linspace(-2, 2, 101)
    total = np.exp(np.multiply.outer(x, rates)) @ coefficients
    twice = 2 if activation == "tanh" else 1
    denominators = [1 + np.exp(twice * (x[:, None] * net.W[:, 0] + net.b)) for net in nets]
    f, g = (analytic.outputs(activation, net, x[:, None]) for net in nets)
    whole = (f - g) * np.prod(np.hstack(denominators), axis=1)
    size = np.exp(np.multiply.outer(x, rates)) @ np.abs(coefficients)
    assert np.abs(total - whole).max() <= 1e-13 * size.max()
    assert (np.abs(total - whole) <= 1e-12 * size).all(), "each to the rounding of its terms"


@given(st.integers(0, 2**32 - 1), st.integers(1, 3), st.sampled_from([1.0, 1e-2]))
@settings(max_examples=200, deadline=None)
def test_zeros_are_no_more_than_sign_changes_of_the_coefficients(seed, m, apart):
    # Descartes' rule for exponentials, a bound that random networks come near to.
    rng = np.random.default_rng(seed)
    one = rng.normal(size=3 * m + 1) * 2
    other = one + apart * rng.normal(size=3 * m + 1) * 2
    nets = [ShallowNet(p[:m, None], p[m : 2 * m], p[2 * m : 3 * m], p[-1]) for p in (one, other)]
    coefficients, rates = exponential_sum("tanh", *nets)
    x = np.linspace(-5, 5, 2001)
    difference = analytic.outputs("tanh", nets[0], x[:, None]) - analytic.outputs("tanh", nets[1], x[:, None])
    difference[np.abs(difference) < 1e-12] = 0  # rounding has no sign
    allowed = analytic.sign_changes(coefficients[np.argsort(rates)])
    assert analytic.sign_changes(difference) <= allowed <= 4**m - 1


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
@pytest.mark.parametrize("m", [1, 2])
def test_all_fits_of_enough_points_are_the_teacher(m, activation, bias):
    params = ANALYTIC.params(m=m, points=4**m, activation=activation, bias=bias)
    rows = ANALYTIC.rows(params, 0, range(3))
    assert all(row["recovered"] for row in rows)
    assert not any(row["left_open"] for row in rows)
    assert max(row["apart"] for row in rows) < 1e-8
    open_rows = ANALYTIC.rows(params.with_(points=3 * m - (not bias)), 0, range(3))
    assert all(row["left_open"] for row in open_rows), "one point fewer than parameters"


def test_rays_give_networks_of_two_inputs_back():
    enough = theory.directions_needed(2, 2)
    assert enough == 8
    v = analytic.directions(13, 3)
    assert min(abs(np.linalg.det(v[list(rows)])) for rows in ((0, 1, 2), (3, 7, 12), (10, 11, 12))) > 1e-3
    assert all(row["recovered"] for row in ANALYTIC.rows(ANALYTIC.params(d=2, directions=enough), 0, range(2)))
    one = ANALYTIC.rows(ANALYTIC.params(d=2, directions=1), 0, range(2))
    assert all(row["left_open"] for row in one), "on one ray a component of w is free"


Line = tuple[int, int]


def first_positive(p: int, q: int) -> Line:
    return (p, q) if p > 0 or (p == 0 and q > 0) else (-p, -q)


def line_across(normal: np.ndarray) -> Line:
    """The line of the plane with a normal of whole numbers, as a direction in lowest terms."""
    p, q = (int(entry) for entry in normal // np.gcd(*normal))
    return first_positive(-q, p)


def vanishes_along(v: Line, rows: np.ndarray, a: np.ndarray) -> bool:
    """Whether sum_j a_j tanh(w_j.x + b_j) is 0 along t v, for rows (w, b) of whole numbers, decided without rounding.

    Functions tanh(s t + b) are independent up to a sign of (s, b), so that coefficients of each must add up to nothing.
    """
    left: dict[Line, int] = {}
    for *w, b, weight in np.column_stack([rows, a]).tolist():
        key = (w[0] * v[0] + w[1] * v[1], b)
        sign = 1 if first_positive(*key) == key else -1
        left[first_positive(*key)] = left.get(first_positive(*key), 0) + sign * weight
    return not any(total for key, total in left.items() if key != (0, 0))


@pytest.mark.parametrize("m", [1, 2, 3])
def test_different_tanh_networks_agree_along_fewer_directions_than_are_enough(m):
    # Few small whole numbers, so that neurons meet along many lines; biases that are 0 have two signs to meet with.
    rng, most = np.random.default_rng(0), 0
    for zero in [True, False] * 150:
        rows = rng.integers(-2, 3, (2 * m, 3))
        rows[:, 2] *= not zero
        signed = [row if row > [0, 0, 0] else [-entry for entry in row] for row in rows.tolist()]
        if not rows[:, :2].any(axis=1).all() or len(np.unique(signed, axis=0)) < 2 * m:
            continue  # a reducible network, or neurons that both have
        W, a = rows[:, :2], rng.choice([-1, 1], 2 * m)
        every = [*W, *(W[i] + s * W[j] for i in range(2 * m) for j in range(i) for s in (1, -1))]
        agree = {v for v in {line_across(n) for n in every if n.any()} if vanishes_along(v, rows, a)}
        most = max(most, len(agree))
        for i in range(2 * m):
            # Where a difference vanishes, each of its neurons is constant or meets another one.
            met = [rows[i] - s * rows[j] for j in range(2 * m) if j != i for s in (1, -1)]
            where = {line_across(W[i]), *(line_across(row[:2]) for row in met if not row[2])}
            assert agree <= where
            assert len(where) < theory.directions_needed(m, 2) == 4 * m
    assert most >= 1, "so that there are such directions at all"
    assert theory.directions_needed(m, 1) == 1, "a line has one direction"


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_fits_of_noisy_data_end_where_no_parameter_helps(activation):
    rng = np.random.default_rng(0)
    X, y = rng.uniform(-3, 3, (40, 2)), rng.normal(size=40)
    fitted = analytic.fit(activation, X, y, rng.normal(size=(6, 2, 3)), evaluations=4000)
    best = fitted.networks[int(fitted.cost.argmin())]

    def cost(theta: np.ndarray) -> float:
        W, b, a, c = theta[:4].reshape(2, 2), theta[4:6], theta[6:8], theta[8]
        return float(np.sum((analytic.outputs(activation, ShallowNet(W, b, a, c), X) - y) ** 2))

    theta = np.concatenate([best.W.ravel(), best.b, best.a, [best.c]])
    assert cost(theta) == pytest.approx(fitted.cost.min(), rel=1e-10)
    steps = 1e-5 * np.eye(9)
    slope = np.array([(cost(theta + h) - cost(theta - h)) / 2e-5 for h in steps])
    assert np.abs(slope).max() < 1e-4, "a tenth of a percent of the slope at a random place"


@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_symmetries_are_no_distance(activation):
    (net,) = teachers.smooth(Draws(0, [0]), 2, 3, True)
    other = analytic.flipped(activation, net, np.array([1.0, -1.0, -1.0]))
    other = ShallowNet(other.W[[2, 0, 1]], other.b[[2, 0, 1]], other.a[[2, 0, 1]], other.c)
    X = np.random.default_rng(0).normal(size=(50, 2))
    assert analytic.outputs(activation, net, X) == pytest.approx(analytic.outputs(activation, other, X), abs=1e-13)
    assert analytic.distance(activation, net, other) < 1e-14
    other.a[0] += 0.25
    assert analytic.distance(activation, net, other) == pytest.approx(0.25)


@pytest.mark.parametrize(("activation", "bias"), [("tanh", True), ("sigmoid", True), ("sigmoid", False)])
def test_distance_is_that_of_all_permutations_and_signs(activation, bias):
    rng = np.random.default_rng(0)
    for _ in range(30):
        net, other = (ShallowNet(*rng.normal(size=(1, 3, 2)), *rng.normal(size=(2, 3)), rng.normal()) for _ in range(2))
        found = []
        for order, signs in product(permutations(range(3)), product([1.0, -1.0], repeat=3 if bias else 0)):
            moved = ShallowNet(*(part[list(order)] for part in other[:3]), other.c)
            if signs:
                moved = analytic.flipped(activation, moved, np.array(signs))
            parts = zip(net, moved, strict=True)
            found.append(max(float(np.abs(p - q).max()) for p, q in parts))
        assert analytic.distance(activation, net, other, bias=bias) == pytest.approx(min(found), rel=1e-14)


def test_the_same_points_identify_a_tanh_network_and_no_relu_network():
    params = ANALYTIC.params(m=2, points=16, starts=30)
    problem, _, scores = ANALYTIC.run(params, Draws(0, [0]))
    assert scores["recovered"][0], "every fit that meets the data is the teacher"
    assert scores["cost"][0] < 1e-28
    X = problem.X[0]
    (core,) = teachers.relu_on_line(Draws(0, [0]), 1, 0, True)
    net, other = competitors.hidden_pair(X, core, np.ones(1), margin=0.1)
    assert np.array_equal(net(X), other(X))
    assert irreducibility.irreducible(net)
    assert irreducibility.irreducible(other)
    assert np.abs(net(X + 5) - other(X + 5)).max() > 0.05


# ------------------------------------------------------------------------------------------------ entrances, figures

GOOD = ShallowNet(np.eye(2), np.zeros(2), np.ones(2))
OPPOSITE = GOOD._replace(W=np.array([[1.0, 1.0], [-1.0, -1.0]]))
TWICE = ShallowNet(np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([1.0, 2.0]), np.ones(2))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: checked(ShallowNet(np.ones(2), np.zeros(2), np.ones(2))), "W (hidden weights) must be an array"),
        (lambda: checked(GOOD._replace(b=np.zeros(3))), "b (hidden biases) must be an array of shape (m,) = (2,)"),
        (lambda: checked(GOOD._replace(a=np.full(2, np.nan))), "a (output weights) must be finite, got 2 of 2 entries"),
        (lambda: checked(GOOD._replace(W=np.diag([1.0, 0.0]))), "must have no row of zeros, got row 1"),
        (lambda: irreducibility.reduce(GOOD._replace(c=1.0), bias=False), "c (output bias) must be 0 where networks"),
        (lambda: irreducibility.needs_irreducible(TWICE), "must be irreducible, got 2 neurons of which 1"),
        (lambda: analytic.needs_irreducible("tanh", OPPOSITE), "got neurons 0 and 1"),
        (lambda: analytic.needs_irreducible("tanh", GOOD._replace(a=np.array([0.0, 1.0]))), "output weight 0"),
        (lambda: analytic.outputs("tan", GOOD, np.ones((1, 2))), "unknown activation 'tan': did you mean tanh?"),
        (lambda: analytic.distance("tanh", GOOD, GOOD._replace(a=np.ones(1))), "other (network) must have 2 neurons"),
        (lambda: distinct_points(np.array([[1.0], [2.0], [1.0]])), "X (sample points) must be distinct, got 1 of 3"),
        (lambda: distinct_points(np.array([1.0, 2.0])), "X (sample points) must be an array of shape (n, d)"),
        (lambda: analytic.fit("tanh", np.ones((2, 1)), np.ones(2), np.ones((1, 1, 2))), "X (sample points) must be"),
        (lambda: line.recover([0.0, 1.0, 1.0, 2.0], [0.0] * 4, 1), "x (samples) must be distinct and in"),
        (lambda: line.recover([0.0, 1.0, np.inf], [0.0] * 3, 1), "x (samples) must be finite numbers, got 1 of 3"),
        (lambda: line.recover([0.0, 1.0], [0.0, np.nan], 1), "y (values) must be finite numbers, got 1 of 2 that are"),
        (lambda: competitors.hidden_pair(np.ones((1, 2)), TWICE, np.ones(2), margin=1), "must be irreducible, got 2"),
        (lambda: competitors.split_pair(np.ones((1, 2)), GOOD, 0, 1), "second (neuron) must be opposite to the first"),
        (lambda: competitors.hidden_pair(np.ones((1, 2)), GOOD, np.zeros(2), margin=1), "direction (of the hidden"),
        (lambda: competitors.hidden_pair(np.ones((1, 2)), GOOD, np.ones(2), margin=0), "margin (distance of"),
        (lambda: IRREDUCIBILITY.params(m=3, pairs=2), "m (neurons) must be at least 4 for these pairs and"),
        (lambda: IRREDUCIBILITY.params(pairs=0, relation="planted"), "relation (weights) must be generic unless"),
        (lambda: HIDDEN.params(d=1, design="sphere"), "design (distribution of the points) must be normal or cube"),
        (lambda: RELU.params(lines=2), "lines (lines that samples lie on) must be 1 where d = 1, got"),
        (lambda: RELU.params(pairs=2), "pairs (opposite pairs) must be at most 1 where d = 1"),
        (lambda: RELU.params(d=2, arithmetic="rational"), "arithmetic (numbers) must be float unless d = 1"),
        (lambda: RELU.params(d=2, placement="blind"), "placement (points) must be pieces where d > 1"),
        (lambda: RELU.params(evidence="kinks"), "evidence (what lines must agree on) must be jumps where d = 1"),
        (lambda: RELU.params(m=2, pairs=2), "m (neurons) must be at least two for each opposite pair"),
        (lambda: RELU.params(d=6, m=12), "m (neurons) must leave at most 500000 hyperplanes to try, m^d"),
        (lambda: ANALYTIC.params(directions=2), "directions (directions of rays) must be 1 where d = 1, got 2"),
        (lambda: INSTANCE.params(m=2, moved=3), "moved (which kink is moved, from the left) must be at most m = 2"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(make, words):
    with pytest.raises((BadInput, InvalidInput)) as error:
        make()
    assert words in str(error.value)
    assert "\n" not in str(error.value)


HUGE = GOOD._replace(W=1e200 * np.eye(2))
TINY = GOOD._replace(W=np.diag([1.0, 1e-200]))
LINE = np.array([[0.0], [1.0]])
PAIR = ShallowNet(np.array([[1.0], [-1.0]]), np.zeros(2), np.array([2.0, -1.0]))
ONE = line.Broken([0.0], [(0.0, 0.0), (1.0, 0.0)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: checked(GOOD._replace(c=np.nan)), "c (output bias) must be finite, got 1 of 1 entries"),
        (lambda: irreducibility.reduce(GOOD._replace(c=np.inf)), "c (output bias) must be finite, got 1 of 1 entries"),
        (lambda: checked(GOOD._replace(c=np.zeros(2))), "c (output bias) must be an array of shape () = (), got (2,)"),
        (lambda: irreducibility.reduce(HUGE), "W (hidden weights) must be in [-1e+50, 1e+50], got 1.0e+200"),
        (lambda: irreducibility.reduce(TINY), "W (hidden weights) of a neuron must be 1e-50 or more in size, got 1.0e"),
        (lambda: irreducibility.reduce(GOOD._replace(a=np.array([1.0, 1e-200]))), "a (output weights) of a neuron"),
        (lambda: analytic.fit("relu", LINE, np.ones(2), np.ones((1, 1, 2))), "unknown activation 'relu'"),
        (lambda: analytic.needs_irreducible("relu", GOOD), "unknown activation 'relu'"),
        (lambda: analytic.distance("relu", GOOD, GOOD), "unknown activation 'relu'"),
        (lambda: analytic.outputs("tanh", GOOD, np.ones((3, 1))), "of shape (n, d) = (any, 2)"),
        (lambda: analytic.fit("tanh", LINE, np.ones(3), np.ones((1, 1, 2))), "of shape (n,) = (2,)"),
        (lambda: analytic.fit("tanh", LINE, np.ones(2), np.ones((1, 1, 3))), "starts (hidden weights)"),
        (lambda: analytic.fit("tanh", LINE, np.ones(2), np.ones((1, 1, 2)), evaluations=0), "a whole number in [1"),
        (lambda: competitors.split_pair(LINE, PAIR._replace(a=np.array([1.0, 0.0])), 0, 1), "must not be 0, got one"),
        (lambda: competitors.split_pair(LINE, PAIR, 0, 2), "second (neuron) must be a whole number in"),
        (lambda: competitors.split_pair(np.ones((1, 2)), PAIR, 0, 1), "X (sample points) must have d = 1"),
        (lambda: competitors.competitor(ONE, np.zeros(0)), "x (samples) must be an array of shape"),
        (lambda: competitors.competitor(line.Broken([], [(1.0, 0.0)]), np.ones(1)), "truth (kinks) must be at least"),
        (lambda: competitors.hidden_pair(LINE, GOOD, np.ones(1), margin=1), "X (sample points) must have d = 2"),
        (lambda: competitors.hidden_pair(np.eye(2), GOOD, np.ones(2), margin=np.inf), "margin (distance of the hidden"),
        (lambda: competitors.hidden_pair(np.eye(2), GOOD, np.ones(2), margin=1e-17), "margin (distance of the hidden"),
        (lambda: competitors.hidden_pair(np.eye(2), GOOD, np.array([np.inf, 1]), margin=1), "finite, got 1 of 2"),
        (lambda: competitors.hidden_pair(np.eye(2), GOOD, np.ones(2), margin=1, changed="x"), "unknown change 'x'"),
        (lambda: HIDDEN.params(margin=1e-17), "margin (distance of its kink from the farthest point) must be"),
    ],
)  # fmt: skip
def test_what_would_end_in_a_traceback_is_refused_at_the_entrance(make, words):
    test_bad_input_is_one_line(make, words)


def test_a_competitor_is_looked_for_among_few_kinks_only():
    many = line.Broken(list(range(11)), [(i % 2, 0) for i in range(12)])
    with pytest.raises(BadInput, match=r"truth \(kinks\) must be at most 10, got 11"):
        competitors.competitor(many, np.arange(3.0))


def test_reductions_that_are_given_up_are_rows():
    params = IRREDUCIBILITY.params(m=40, pairs=2, relation="planted")
    (row,) = IRREDUCIBILITY.rows(params, 0, [0])
    assert row["status"] == Status.UNDECIDED
    assert row["width"] is None


def test_figures_say_what_samples_show():
    shown = {}
    for shift in (0.0, -0.9, 1.5):
        params = INSTANCE.params(shift=shift)
        problem, solution, scores = INSTANCE.run(params, Draws(0, [0]))
        figure = view.samples(params, problem, solution, scores)
        assert isinstance(figure, go.Figure)
        assert {"alt", "narrow"} <= set(figure.layout.meta)
        shown[shift] = figure
        held = solution.trace["held"][0]
        assert held.sum() == params.points
        assert scores["identified"][0] == (held.min() >= 2)
        assert ("Identified" in figure.layout.title.text) == (held.min() >= 2)
        if np.isfinite(scores["apart"][0]):
            x, rival = figure.data[1].x, figure.data[1].y
            on = np.interp(problem.X[0, :, 0], x, rival)
            # The rival's own kinks stand between two of the places at which it is drawn.
            assert np.abs(on - problem.y[0]).max() < 0.02 * np.abs(problem.y).max()
    assert len({len(figure.data) for figure in shown.values()}) == 1, "the explorer replaces trace by trace"
    assert "Not identified" in shown[-0.9].layout.title.text
