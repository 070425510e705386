"""Ranks of tangent spaces: the paper's numbers, its counterexamples, deep networks and linearised recovery."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.local_linear_recovery import theory
from neurec_papers.local_linear_recovery.experiments.linearized_recovery import LinearizedRecovery
from neurec_papers.local_linear_recovery.experiments.ranks import DEEP_RANKS, RANKS, DeepRanks, Ranks
from smallnets.errors import InvalidInput
from smallnets.nets import deep_nets
from smallnets.nets.deep_nets import deep
from smallnets.nets.ranks import leakage, tangent_rank
from smallnets.nets.tanh_nets import Neurons, architecture, jacobian, neurons, placed

SWITCH = [False, True]
TRIALS = range(2)


def rank_of(trials=TRIALS, **params):
    """The rank, the same in all trials and clear in each."""
    rows = RANKS.rows(Ranks(**params), 0, trials)
    # Nothing lies between rounding and what counts: the tolerance of 1e-9 does not matter.
    assert all(row["dropped"] < 1e-14 for row in rows)
    assert all(not row["kept"] < 1e-7 for row in rows)
    (rank,) = {row["rank"] for row in rows}
    assert {row["agrees"] for row in rows} == {rank == row["formula"] for row in rows}
    return int(rank)


# ---------------------------------------------------------------------------------------------- the paper's numbers

NAMES = ("ws", "ns", "fc")


def test_closed_form_of_the_papers_images():
    sizes = [theory.optimistic_sample_size(n, 28, 3, 1, hidden_bias=False, image=True) for n in ("ws", "ns", "fc")]
    assert sizes == [685, 6760, 530660]


@pytest.mark.parametrize(("d", "s"), [(3, 2), (3, 3), (4, 3)])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_ranks_of_images_are_the_closed_form(name, k, d, s):
    for hidden, output in itertools.product(SWITCH, SWITCH):
        params = Ranks(
            architecture=name, inputs="image", d=d, s=s, k=k, target="random", factor=2,
            hidden_bias=hidden, output_bias=output,
        )  # fmt: skip
        assert rank_of(**params.model_dump(), trials=[0]) == params.formula


@given(
    name=st.sampled_from(["fc", "ns", "ws"]), d=st.integers(1, 6), s=st.integers(1, 6), k=st.integers(1, 3),
    factor=st.integers(1, 3), embedding=st.sampled_from(["null", "proportional"]),
    hidden=st.sampled_from(SWITCH), output=st.sampled_from(SWITCH), seed=st.integers(0, 10**6),
)  # fmt: skip
@settings(max_examples=80, deadline=None, derandomize=True)
def test_random_targets_have_the_rank_of_the_closed_form(name, d, s, k, factor, embedding, hidden, output, seed):
    params = Ranks(
        architecture=name, d=d, s=min(s, d), k=k, factor=factor, embedding=embedding, target="random",
        hidden_bias=hidden, output_bias=output,
    )  # fmt: skip
    (row,) = RANKS.rows(params, seed, [0])
    # Kernels of one weight without biases are tanh(v x) with near v now and then: such are not decided.
    assert row["status"] != "solved" or row["agrees"] or row["kept"] < 1e-6
    if min(s, d) > 1:
        assert row["status"] == "solved"


# ---------------------------------------------------------------------------------------------------- what differs


@pytest.mark.parametrize(("name", "shifted", "random"), [("ws", 9, 12), ("ns", 18, 24), ("fc", 30, 48)])
def test_kernels_that_are_shifts_of_one_another_have_a_lower_rank(name, shifted, random):
    given = {"architecture": name, "s": 2, "k": 2, "hidden_bias": False}
    for factor in (1, 3):
        assert rank_of(target="shifted", factor=factor, **given) == shifted
        assert rank_of(target="random", factor=factor, **given) == random
    assert Ranks(target="shifted", **given).formula == random


P = 2**61 - 1  # prime


def modular_rank(rows):
    """Rank of a matrix of whole numbers modulo P, by elimination."""
    rows, rank = [row[:] for row in rows], 0
    for column in range(len(rows[0])):
        pivot = next((i for i in range(rank, len(rows)) if rows[i][column]), None)
        if pivot is None:
            continue
        rows[rank], rows[pivot] = rows[pivot], rows[rank]
        inverse = pow(rows[rank][column], -1, P)
        for i in range(rank + 1, len(rows)):
            factor = rows[i][column] * inverse % P
            rows[i] = [(a - factor * b) % P for a, b in zip(rows[i], rows[rank], strict=True)]
        rank += 1
    return rank


def exact_rank(name, kernels, biases, d):
    """Dimension of the span of a network's derivatives, all in whole numbers modulo P.

    x_i and exp(2 x_i) are algebraically independent, so that both may be drawn by themselves; exp(2 b) is drawn for
    each different bias b. tanh(z) = (e - 1) / (e + 1) with e = exp(2 z). A draw from so many numbers shows the rank.
    """
    rng, s = random.Random(0), len(kernels[0])
    places = d + 1 - s
    outer = [[rng.randrange(1, P) for _ in range(places)] for _ in kernels]
    factor = {b: 1 if b in (None, 0) else rng.randrange(1, P) for b in biases}
    rows = []
    for _ in range(90):
        x, e = ([rng.randrange(1, P) for _ in range(d)] for _ in range(2))
        row, shared = [], []
        for kernel, b, a in zip(kernels, biases, outer, strict=True):
            sums = [0] * (s + 1)
            for p in range(places):
                power = factor[b]
                for j in range(s):
                    power = power * pow(e[p + j], kernel[j], P) % P
                t = (power - 1) * pow(power + 1, -1, P) % P
                slope = (1 - t * t) % P
                seen = x if name == "fc" else x[p : p + s]
                inner = [z * slope % P for z in seen] + [slope] * (b is not None)
                row += [t] if name == "ws" else [t, *inner]
                sums = [(total + a[p] * z) % P for total, z in zip(sums, inner, strict=False)]
            shared += sums[: s + (b is not None)]
        rows.append(row + (shared if name == "ws" else []))
    return modular_rank(rows)


SHIFTS = [(1, 0), (0, 1)]


@pytest.mark.parametrize(
    ("name", "none", "equal", "different"), [("ws", 9, 11, 14), ("ns", 18, 23, 32), ("fc", 30, 35, 56)]
)
def test_shifted_kernels_lower_the_rank_unless_their_biases_differ(name, none, equal, different):
    assert exact_rank(name, SHIFTS, [None, None], 5) == none
    assert exact_rank(name, SHIFTS, [0, 0], 5) == equal
    assert exact_rank(name, SHIFTS, ["b", "b"], 5) == equal, "whatever the common bias"
    assert exact_rank(name, SHIFTS, ["b", "c"], 5) == different
    assert exact_rank(name, [(1, 2), (3, 1)], ["b", "b"], 5) == different, "kernels that are no shifts"
    given = {"architecture": name, "s": 2, "k": 2, "target": "shifted"}
    assert rank_of(hidden_bias=True, **given) == equal
    assert rank_of(hidden_bias=False, **given) == none
    assert Ranks(hidden_bias=True, **given).formula == different


@pytest.mark.parametrize(
    ("name", "with_bias", "without"),
    [("ws", (7, 7, 7, 0), (6, 6, 6, 0)), ("ns", (15, 10, 5, 0), (12, 8, 4, 0)), ("fc", (21, 14, 7, 0), (18, 12, 6, 0))],
)
def test_a_zero_output_weight_takes_its_whole_neuron_away(name, with_bias, without):
    for ranks, hidden in ((with_bias, True), (without, False)):
        for nulled, rank in enumerate(ranks):
            given = {"architecture": name, "nulled": nulled, "hidden_bias": hidden}
            assert rank_of(factor=3, **given) == Ranks(**given).formula == rank


def test_splitting_a_kernel_position_by_position_raises_the_rank():
    ws = {"architecture": "ws", "embedding": "unequal"}
    assert [rank_of(factor=factor, **ws) for factor in (1, 2, 3, 10)] == [7, 11, 15, 15]
    for name, rank in (("ns", 15), ("fc", 21)):
        assert rank_of(architecture=name, embedding="unequal", factor=10) == rank, "nothing is shared"


def point_rank(kernels, maps):
    """Of kernels (K, f) and maps (K, p) a class equal up to sign adds p, and f for each independent map."""
    lead = np.take_along_axis(kernels, (kernels != 0).argmax(axis=1)[:, None], axis=1)
    signed, used = kernels * np.where(lead < 0, -1, 1) + 0.0, kernels.any(axis=1)
    classes = np.unique(signed[used], axis=0)
    spans = [np.linalg.matrix_rank(maps[used & (signed == one).all(axis=1)]) for one in classes]
    return int(kernels.shape[1] * sum(spans) + maps.shape[1] * len(classes))


@pytest.mark.parametrize("name", ["fc", "ns", "ws"])
@pytest.mark.parametrize("embedding", ["null", "proportional", "unequal"])
def test_rank_at_a_point_counts_kernels_and_independent_maps(name, embedding):
    params = Ranks(architecture=name, embedding=embedding, factor=4, k=2, target="random")
    draws = Draws(3, [0])
    theta = params.embedded(params.teacher(draws), draws)
    W, b, a, _ = (part[0] for part in neurons(params.network(), theta))
    kernels, places = np.vstack([W, b]).T.reshape(-1, 3, 6), 3
    maps = a.reshape(-1, places)
    if name == "ws":
        counted = point_rank(kernels[:, 0, [0, 1, 2, 5]], maps)
    elif name == "ns":
        seen = [[p, p + 1, p + 2, 5] for p in range(places)]
        counted = sum(point_rank(kernels[:, p, seen[p]], maps[:, [p]]) for p in range(places))
    else:
        counted = point_rank(kernels.reshape(-1, 6), maps.reshape(-1, 1))
    assert tangent_rank(jacobian(params.network(), theta, draws.normal("X", 300, 5))).rank.item() == counted


def test_three_shifts_of_one_input_have_rank_nine():
    target = Neurons(np.ones((1, 1, 3)), np.array([[-7.0, 0, 7]]), np.ones((1, 3)), np.zeros(1))
    X = np.linspace(-15, 14, 200)[None, :, None]
    for width in (3, 300):
        net = architecture("fc", 1, 1, width)
        assert tangent_rank(jacobian(net, placed(net, target), X)).rank.item() == 9


def test_separation_needs_more_samples_the_wider_the_network():
    assert [theory.separation_sample_size(3 * N, 3 * N, 3, 6) for N in (1, 3, 10, 34)] == [21, 27, 48, 120]
    # Two neurons that fit one, in one dimension and in three: from each other apart or alike.
    assert [theory.separation_sample_size(r, 2, 1, d + 1) for d in (1, 3) for r in (2, 1)] == [4, 5, 6, 9]


# ---------------------------------------------------------------------------------------------------- deep networks

DEEP = [([2, 2], 17), ([3, 2], 23), ([2, 2, 2], 23)]


@pytest.mark.parametrize(("hidden", "rank"), DEEP)
@pytest.mark.parametrize("extra", [0, 3])
def test_ranks_of_deep_networks_do_not_depend_on_the_width(hidden, rank, extra):
    params = DeepRanks(depth=len(hidden), first=hidden[0], width=hidden[-1], extra=extra)
    assert params.network().widths == (3, *hidden, 1)
    rows = DEEP_RANKS.rows(params, 0, range(5))
    assert {row["rank"] for row in rows if row["status"] == "solved"} == {rank}
    assert sum(row["status"] == "solved" for row in rows) >= 4
    assert rows[0]["parameters"] == params.network(extra).size >= rank == params.network().size


@pytest.mark.parametrize("depth", [1, 2])
def test_a_deep_network_of_single_neurons_takes_one_sample_a_weight(depth):
    rows = DEEP_RANKS.rows(DeepRanks(d=4, depth=depth, first=1, width=1, extra=2, biases=False), 0, range(5))
    assert {row["rank"] for row in rows} == {4 + depth}


def test_a_rank_that_no_gap_decides_is_no_rank():
    J = np.zeros((3, 5, 3))
    J[:, [0, 1, 2], [0, 1, 2]] = [[1, 1, 1e-11], [1, 1, 1e-16], [1, 1, 1e-5]]
    assert tangent_rank(J).rank.tolist() == [2, 2, 3]
    assert tangent_rank(J).decided.tolist() == [False, True, True]
    rows = DEEP_RANKS.rows(DeepRanks(depth=4, first=1, width=2), 0, range(5))
    assert any(row["status"].startswith("undecided") and row["rank"] is None for row in rows)


@pytest.mark.parametrize("biases", [True, False])
@pytest.mark.parametrize("hidden", [[1], [4], [2, 3], [3, 1, 2]])
def test_deep_outputs_and_derivatives_are_those_of_torch(hidden, biases):
    net = deep(3, hidden, biases=biases)
    draws = Draws(0, range(2))
    theta, X = draws.normal("theta", net.size), draws.normal("X", 6, 3)
    f, J = deep_nets.outputs(net, theta, X), deep_nets.jacobian(net, theta, X)
    for b, i in itertools.product(range(2), range(6)):
        t = torch.tensor(theta[b], requires_grad=True)
        h, first, left = torch.tensor(X[b, i]), 0, len(hidden) + 1
        for into, out in itertools.pairwise([3, *hidden, 1]):
            h = h @ t[first : first + into * out].reshape(into, out)
            first, left = first + into * out, left - 1
            if biases:
                h, first = h + t[first : first + out], first + out
            h = torch.tanh(h) if left else h
        assert first == net.size
        h.backward()
        # The same sums in another order.
        assert f[b, i] == pytest.approx(h.item(), rel=1e-12, abs=1e-14)
        assert np.allclose(J[b, i], t.grad.numpy(), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("biases", [True, False])
def test_an_embedded_deep_network_is_the_same_function(biases):
    net, wide = deep(3, [2, 3], biases=biases), deep(3, [5, 4], biases=biases)
    draws = Draws(0, range(3))
    theta, X = draws.normal("theta", net.size), draws.normal("X", 20, 3)
    embedded = deep_nets.embedded(net, theta, wide)
    assert embedded.shape == (3, wide.size)
    # Zeros are added to the sums.
    assert np.allclose(deep_nets.outputs(wide, embedded, X), deep_nets.outputs(net, theta, X), rtol=1e-13, atol=1e-14)
    assert np.array_equal(deep_nets.joined(wide, deep_nets.layers(wide, embedded)), embedded)


# --------------------------------------------------------------------------------------------- linearised recovery


def test_more_samples_determine_no_less():
    draws = Draws(1, range(3))
    params = LinearizedRecovery(architecture="ns", factor=3, embedding="proportional")
    theta = params.embedded(params.teacher(draws), draws)
    J = jacobian(params.network(), theta, draws.normal("X", 30, 5))
    test = jacobian(params.network(), theta, draws.normal("test", 40, 5))
    ranks = np.array([tangent_rank(J[:, :n]).rank for n in range(1, 31)])
    assert (ranks == np.minimum(np.arange(1, 31), 15)[:, None]).all()
    v = draws.normal("v", params.network().size)
    assert [bool((leakage(J[:, :n], test, v) < 1e-20).all()) for n in (14, 15, 16, 30)] == [False, True, True, True]


@given(st.integers(1, 8), st.integers(1, 8), st.integers(1, 5), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None, derandomize=True)
def test_ranks_and_leakage_of_products_of_random_matrices(n, M, r, seed):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((2, r, M))
    J, test = rng.standard_normal((2, n, r)) @ features, rng.standard_normal((2, 9, r)) @ features
    found, full = tangent_rank(J), min(r, M)
    assert (found.rank == min(n, full)).all()
    # A scale changes neither.
    again, v = tangent_rank(1e-9 * J), rng.standard_normal((2, M))
    assert np.array_equal(again.rank, found.rank)
    leak = leakage(J, test, v)
    assert np.allclose(leakage(1e-9 * J, 1e9 * test, 7 * v), leak, rtol=1e-6, atol=1e-12)
    # What the samples leave open is what a least-norm fit of the direction's values misses.
    fitted = np.stack([np.linalg.lstsq(A, A @ w, rcond=1e-9)[0] for A, w in zip(J, v, strict=True)])
    missed, whole = (((test @ w[..., None]) ** 2).mean(axis=(1, 2)) for w in (v - fitted, v))
    assert np.allclose(leak, missed / whole, rtol=1e-6, atol=1e-12)
    if n >= full:
        assert (leak < 1e-12).all()


def test_nothing_is_open_where_there_is_nothing():
    zero = np.zeros((1, 3, 4))
    rank = tangent_rank(zero)
    assert rank.rank.item() == 0
    assert np.isnan(rank.kept.item())
    assert rank.dropped.item() == 0
    some = np.random.default_rng(0).standard_normal((1, 6, 4))
    assert leakage(zero, zero, np.ones((1, 4))).item() == 0
    assert leakage(zero, some, np.ones((1, 4))).item() == 1


# ------------------------------------------------------------------------------------------------------- bad input


ONES = np.ones((1, 2, 3))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tangent_rank(ONES, 1.0), r"tolerance \(share of .*\) must be a number in \(0, 1\), got 1.0"),
        (lambda: tangent_rank(ONES[0]), r"J \(derivatives\) must be an array of shape \(B, n, M\) = .*, got \(2, 3\)"),
        (lambda: tangent_rank(ONES * np.nan), r"J \(derivatives\) must be finite, got 6 of 6 entries"),
        (lambda: leakage(ONES, ONES[:, :0], ONES[:, 0]), r"J_test \(derivatives\) must be an"),
        (lambda: deep(0, [1]), r"d \(inputs\) must be a whole number in \[1, inf\), got 0"),
        (lambda: deep(3, [2, 0]), r"hidden \(neurons of the hidden layers\) must be .*, got \[2, 0\]"),
        (lambda: deep_nets.embedded(deep(3, [3, 2]), np.ones((1, 23)), deep(3, [3, 1])), r"at least \(3, 3, 2, 1\)"),
        (lambda: deep_nets.embedded(deep(3, [2]), np.ones((1, 11)), deep(3, [2], biases=False)), r"and no biases$"),
        (lambda: Ranks(architecture="fc", d=100, s=3), r"^d, s, k and factor must give a .* at most 7e\+07 entries"),
        (lambda: Ranks(nulled=4), r"nulled \(output weights that are zero\) must be at most 3, got 4"),
        (lambda: Ranks(inputs="image", nulled=10), r"must be at most 9, got 10"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, message):
    with pytest.raises((BadInput, InvalidInput), match=message):
        call()
