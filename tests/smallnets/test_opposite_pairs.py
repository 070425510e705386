"""Networks with an opposite pair, in exact fractions: with an output bias no finite set identifies one."""

from __future__ import annotations

from fractions import Fraction
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.finite_samples.engine import competitors, irreducibility
from neurec_papers.finite_samples.engine.networks import ShallowNet, relative_error
from neurec_papers.finite_samples.experiments import teachers


def fractions(numbers) -> list[Fraction]:
    return [Fraction(number) for number in np.asarray(numbers, float).tolist()]


def exact_value(net: ShallowNet, x: list[Fraction]) -> Fraction:
    """The output of a ReLU network at one point, without rounding."""
    total = Fraction(net.c)
    for w, b, a in zip(net.W, net.b, net.a, strict=True):
        z = sum(p * q for p, q in zip(fractions(w), x, strict=True)) + Fraction(float(b))
        total += Fraction(float(a)) * max(z, Fraction(0))
    return total


def exact_width(net: ShallowNet, bias: bool = True) -> int:
    """The least width, from all orientations of the hyperplanes, one by one and without rounding.

    A multiple k z_k of the affine part costs a second neuron on hyperplane k, anything else a pair of its own.
    """
    planes: dict[tuple[Fraction, ...], Fraction] = {}
    affine = [Fraction(0)] * (net.W.shape[1] + 1)
    for w, b, a in zip(net.W, net.b, net.a, strict=True):
        row = fractions([*w, b])
        lead = next(entry for entry in row if entry)
        # a max(0, row) = a |lead| max(0, row / |lead|), turned round where the first entry is negative.
        plane, jump = tuple(entry / lead for entry in row), Fraction(float(a)) * abs(lead)
        planes[plane] = planes.get(plane, Fraction(0)) + jump
        if lead < 0:
            affine = [left - jump * entry for left, entry in zip(affine, plane, strict=True)]
    bent = {plane: jump for plane, jump in planes.items() if jump}
    compared = slice(-1) if bias else slice(None)
    parts = [[jump * entry for entry in plane[compared]] for plane, jump in bent.items()]
    least = len(bent) + 2
    for turned in product([0, 1], repeat=len(bent)):
        left = affine[compared]
        for part, side in zip(parts, turned, strict=True):
            left = [entry + side * other for entry, other in zip(left, part, strict=True)]
        if not any(left):
            return len(bent)
        for plane in bent:
            row = plane[compared]
            if all(p * v == q * u for (p, u), (q, v) in product(list(zip(left, row, strict=True)), repeat=2)):
                least = len(bent) + 1
    return least


# Weights of a pair (p, q) on one hyperplane, beside other neurons: signs that differ, that are equal, no net kink.
PAIRS = {"different signs": (2.0, -0.75), "equal signs": (1.5, 0.5), "both negative": (-1.0, -3.0), "flat": (1.0, -1.0)}
NETS = [
    ("different signs", 1, 3), ("equal signs", 1, 4), ("equal signs", 2, 4), ("both negative", 3, 5), ("flat", 1, 2),
    ("flat", 2, 4), ("flat", 3, 5),
]  # fmt: skip


def short_numbers(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Odd multiples of 1/8: binary fractions of few digits, none of them 0."""
    return (2 * rng.integers(-8, 8, shape) + 1) / 8


def network(kind: str, d: int, m: int, seed: int = 0) -> ShallowNet:
    """Neurons 0 and 1 are the pair; the first weight of neuron 0 is 1, and neuron 1 has half of its weights."""
    rng = np.random.default_rng(seed)
    W, b, a = short_numbers(rng, m, d), short_numbers(rng, m), short_numbers(rng, m)
    W[0, 0] = 1
    W[1], b[1] = -W[0] / 2, -b[0] / 2
    a[:2] = PAIRS[kind][0], 2 * PAIRS[kind][1]
    return ShallowNet(W, b, a, 0.375)


def points(net: ShallowNet, seed: int = 0) -> np.ndarray:
    """Fifty points of few binary digits, 10 of them on the hyperplane of neuron 0; on a line that is 1 point."""
    rng, d = np.random.default_rng(seed), net.W.shape[1]
    others = short_numbers(rng, 10 if d > 1 else 1, d - 1)
    others[:, :1] = (np.arange(10)[:, None] - 4.5)[: len(others), : others.shape[1]]
    on = np.column_stack([-(others @ net.W[0, 1:] + net.b[0]), others])
    X = np.unique(np.vstack([on, rng.integers(-400, 400, (80, d)) / 16.0]), axis=0)
    height = X @ net.W[0] + net.b[0]
    return X[np.argsort(np.abs(height), kind="stable")[:50]]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize(("kind", "d", "m"), NETS)
def test_a_network_with_an_opposite_pair_has_a_rival_on_any_finite_set(kind, d, m, swapped):
    net = network(kind, d, m)
    X = points(net)
    on = [x for x in X if sum(p * q for p, q in zip(fractions(net.W[0]), fractions(x), strict=True)) == -net.b[0]]
    assert (len(X), len(on)) == (50, 10 if d > 1 else 1)
    first, second = (1, 0) if swapped else (0, 1)
    rival = competitors.split_pair(X, net, first, second)
    assert rival.m == m
    for one in (net, rival):
        assert exact_width(one) == m, "irreducible, by all orientations in fractions"
        assert irreducibility.irreducible(one) is True
    for x in X:
        assert exact_value(net, fractions(x)) == exact_value(rival, fractions(x))
    far = [-1000 * w for w in fractions(net.W[first])]
    assert exact_value(net, far) != exact_value(rival, far)
    again = competitors.split_pair(np.vstack([X, [list(map(float, far))]]), net, first, second)
    assert exact_value(net, far) == exact_value(again, far), "that point tells this rival, and no other one"
    assert exact_width(again) == m


@given(
    st.integers(1, 3), st.integers(0, 2**32 - 1), st.sampled_from(["plus", "minus", "flat"]), st.sampled_from([0, 4])
)
@settings(max_examples=80, deadline=None)
def test_pairs_of_any_signs_are_parted_beyond_all_points(d, seed, kind, first):
    draws = Draws(seed, [0])
    (net,) = teachers.relu_in_space(draws, d, 5 if d > 1 or kind != "flat" else 2, pairs=1, bias=True)
    second = net.m - 1
    first, second = (0, second) if first == 0 else (second, 0)
    net.a[-1] = {"plus": 1.7, "minus": -1.7, "flat": -1.0}[kind] * net.a[0]
    assert irreducibility.irreducible(net)
    X = 3 * draws.normal("X", 80, d)[0]
    X[0] = -net.b[0] * net.W[0]  # on the pair's own hyperplane
    rival = competitors.split_pair(X, net, first, second)
    assert rival.m == net.m
    assert irreducibility.irreducible(rival)
    assert relative_error(net(X), rival(X)) < 1e-13, "rounding of a few additions"
    height = X @ net.W[first] + net.b[first]
    nearer = np.linspace(height.min(), 5, 200)[:, None] * net.W[first] - net.b[first] * net.W[first]
    assert relative_error(net(nearer), rival(nearer)) < 1e-13, "equal on the whole half-space of the points"
    beyond = (5 * min(height.min(), -1) - net.b[first]) * net.W[first][None]
    assert abs(net(beyond) - rival(beyond))[0] > 0.1


def test_a_rival_does_not_merge_with_another_neuron():
    # The first places that would do for the bent line, at T = 1 and 2, are taken by neurons 2 and 3.
    net = ShallowNet(
        np.array([[1.0], [-1.0], [1.0], [-1.0]]), np.array([0.0, 0.0, 1.0, -2.0]), np.array([2.0, -1.0, 1.0, 0.5])
    )
    X = np.array([[-1.0], [0.0], [0.5]])
    assert exact_width(net) == 4
    rival = competitors.split_pair(X, net, 0, 1)
    assert exact_width(rival) == 4
    assert [exact_value(net, fractions(x)) for x in X] == [exact_value(rival, fractions(x)) for x in X]


def test_on_a_line_a_flat_pair_is_irreducible_alone_and_reducible_beside_a_kink():
    alone = ShallowNet(np.array([[1.0], [-1.0]]), np.array([0.5, -0.5]), np.array([1.0, -1.0]))
    beside = ShallowNet(np.array([[1.0], [-1.0], [1.0]]), np.array([0.5, -0.5, 2.0]), np.array([1.0, -1.0, 1.0]))
    assert (exact_width(alone), irreducibility.irreducible(alone)) == (2, True)
    assert (exact_width(beside), irreducibility.irreducible(beside)) == (2, False)
    with pytest.raises(BadInput, match="must be irreducible, got 3 neurons of which 2 suffice"):
        competitors.split_pair(np.zeros((1, 1)), beside, 0, 1)


def test_points_beyond_what_floats_hold_apart_are_refused():
    net = network("equal signs", 2, 4)
    for far in (1e49, 1e60, 1e300):
        with pytest.raises(BadInput, match=r"X \(sample points\)"):
            competitors.split_pair(np.array([[far, 0.0], [-far, 1.0]]), net, 0, 1)


@pytest.mark.parametrize("kind", ["two pairs", "flat"])
def test_without_an_output_bias_two_neurons_to_spare_are_enough(kind):
    # Where z1, z2 >= -T, -q z is q T - q max(0, z + T) for both pairs: constants that cancel if q1 + q2 = 0.
    # Without a net kink, z = max(0, z + L) - max(0, L) with L = z / 2 + T > 0 in place of the constant.
    X = np.random.default_rng(1).integers(-50, 50, (50, 2)) / 16.0
    W = np.array([[1.0, 0.5], [-1.0, -0.5], [0.25, -1.0], [-0.25, 1.0]])
    b, T = np.array([0.5, -0.5, 1.0, -1.0]), 32.0
    if kind == "two pairs":
        net = ShallowNet(W, b, np.array([2.0, 1.0, 3.0, -1.0]))
        # (2 + 1) z1+ - z1 and (3 - 1) z2+ + z2 with T1 = T2: constants T and -T.
        rival = ShallowNet(W[[0, 0, 2, 2]], b[[0, 0, 2, 2]] + [0, T, 0, T], np.array([3.0, -1.0, 2.0, 1.0]))
    else:
        net = ShallowNet(W[:3], b[:3], np.array([1.0, -1.0, 1.5]))
        rows = np.array([1.5 * W[0], 0.5 * W[0], W[2]])
        rival = ShallowNet(rows, np.array([1.5 * b[0] + T, 0.5 * b[0] + T, b[2]]), np.array([1.0, -1.0, 1.5]))
    for one in (net, rival):
        assert exact_width(one, bias=False) == net.m == rival.m
        assert irreducibility.irreducible(one, bias=False) is True
    assert all(exact_value(net, fractions(x)) == exact_value(rival, fractions(x)) for x in X)
    far = [-1000 * w for w in fractions(W[0])]
    assert exact_value(net, far) != exact_value(rival, far)
