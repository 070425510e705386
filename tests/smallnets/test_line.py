"""Networks on a line, followed by side, against the published scheme that evaluates every neuron at every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.published_descent import Networks, live
from neurec_papers.inconsistency.engine.distributions import X_SIX, Y_SIX
from smallnets.descent.line import certificate
from smallnets.descent.line.data import Criterion, Outcome, gather, split
from smallnets.descent.line.network import LineNetwork
from smallnets.descent.line.training import train
from smallnets.errors import InvalidInput

NEVER = Criterion(interval=100, limit=1000, sufficient=False, sharp=True, patience=0)


def networks(B, m, seed=0, shift=0.0, swapped=False):
    """Random networks with their shares of the six points and h = 1/lambda_max(H)."""
    rng = np.random.default_rng(seed)
    x, y = np.tile(X_SIX, (B, 1)), np.tile(Y_SIX + shift, (B, 1))
    nu, validation = rng.multinomial(m * m, np.full(6, 1 / 6), (2, B)) / m**2
    wide, narrow = 2**0.5, (2 / m) ** 0.5
    a, w = rng.normal(size=(2, B, m)) * np.array([narrow, wide] if swapped else [wide, narrow])[:, None, None]
    points, others = split(x, y, nu), split(x, y, validation)
    neurons = gather(a, w)
    S = np.zeros((B, 2, 3, 3))
    S[:, :, 0::2, 0::2] = neurons.T
    h = certificate.largest_step(points.sums, S)
    return points, others, neurons, h, Networks(X_SIX, y[0], nu, a, w, h), validation


def full_hessian(nets, b):
    """M and A of one network, entry by entry, with SciPy's roots: the definitions, in the order (p+, q+, p-, q-)."""
    from scipy.linalg import block_diag, sqrtm

    M, blocks, S = [], [], []
    for side in (1, -1):
        x, nu = nets.x[np.sign(nets.x) == side], nets.nu[b][np.sign(nets.x) == side]
        M.append(np.array([[np.sum(nu * x * x), np.sum(nu * x)], [np.sum(nu * x), np.sum(nu)]]))
        own = np.sign(nets.a[b]) == side
        theta = np.stack([nets.a[b], nets.b[b], nets.w[b]])[:, own]
        S.append(theta @ theta.T)
        blocks.append(S[-1][:2, :2] + S[-1][2, 2] * np.eye(2))
    e = np.array([0, 1, 0, 1])
    A, M = block_diag(*blocks) + np.outer(e, e), block_diag(*M)
    root = np.real(sqrtm(M))
    return M, root, A, S


def sufficient(nets, b, sharp):
    """The sufficient condition of one network, written with whole matrices as in the published helper."""
    _, root, A, S = full_hessian(nets, b)
    H = root @ A @ root
    values, V = np.linalg.eigh(H)
    r = nets.nu[b] * (nets.y - nets.outputs()[b])
    pulls = np.concatenate([[np.sum(r[k] * nets.x[k]), np.sum(r[k])] for k in (nets.x > 0, nets.x < 0)])
    psi, h = np.linalg.solve(root, pulls), nets.h[b]
    mu = 1 - h * values
    if np.abs(mu).max() >= 1:
        return False
    weight = np.abs(V).max(axis=0) if sharp else np.linalg.norm(V, 1, axis=1)
    total = np.sum(h / np.abs(1 - mu) * np.abs(V.T @ psi) * weight)
    norm = np.abs(root).sum(axis=1).max()
    kappa = 2 * norm * total
    if kappa >= 0.5:
        return False
    Q = np.array([[0, 0, 1], [0, 0, 1], [1, 1, 0]])
    grown = [
        kappa * (Q @ np.abs(s) + np.abs(s) @ Q) + 8 * kappa**2 * np.exp(4 * kappa) * np.abs(s).sum(1).max() for s in S
    ]
    g_w = max(d[2, 2] for d in grown)
    g_ab = max(d[0, 0] + d[0, 1] + d[1, 1] for d in grown)
    g_wab = kappa * max(abs(s[2, 0]) + abs(s[2, 1]) + d[2, 0] + d[2, 1] for s, d in zip(S, grown, strict=True))
    if 2 * h / (1 - np.abs(mu).max()) * norm**2 * (g_w + g_ab + g_wab) > 0.5:
        return False
    theta = np.abs(np.stack([nets.a[b], nets.b[b], nets.w[b]]))
    moved = kappa * Q @ theta + 2 * kappa**2 * np.exp(2 * kappa) * theta.max(axis=0)
    return bool((theta[0] - moved[0] > theta[1] + moved[1]).all())


@pytest.mark.parametrize("m", [16, 300])
def test_a_network_followed_by_side_takes_the_published_steps(m):
    points, _, neurons, h, nets, _ = networks(6, m)
    ours = [LineNetwork.start(neurons, b) for b in range(6)]
    ended = [one.advance(points.rows[b : b + 1], h[b], 1.0, 500) for b, one in enumerate(ours)]
    for _ in range(500):
        nets.step()
    for b, (one, (end, at)) in enumerate(zip(ours, ended, strict=True)):
        if end is Outcome.CROSSED:
            assert nets.kink[b] >= 1
            continue
        assert at == 500
        assert nets.kink[b] < 1
        f = np.where(X_SIX > 0, *[p * X_SIX + q for p, q in one.lines()])
        # Sums of m terms, rounded in another order in each of 500 steps.
        assert f == pytest.approx(nets.outputs()[b], rel=1e-10, abs=1e-11)
        assert one.state.largest[4] == pytest.approx(nets.kink[b], rel=1e-10)


@pytest.mark.parametrize(
    ("m", "shift", "swapped"), [(16, 0.0, False), (16, 0.1, False), (64, 0.0, False), (16, 0, True)]
)
@pytest.mark.parametrize("early", [False, True])
def test_outcomes_and_steps_are_those_of_the_published_scheme(m, shift, swapped, early):
    points, others, neurons, h, nets, validation = networks(40, m, 1, shift, swapped)
    criterion = Criterion(1000, 20_000, sufficient=True, sharp=False, patience=10 if early else 0)
    ours = train(points, neurons, h, criterion, validation=others if early else None)
    theirs = live(
        nets, 1000, 20_000, validation if early else None,
        lambda nets, i: sufficient(nets, i, sharp=False),
    )  # fmt: skip
    # A network may stop early and fulfil the condition at one check: the published code then says stopped early.
    assert np.array_equal(ours.outcome, theirs[0])
    assert np.array_equal(ours.steps, theirs[1])
    assert {Outcome.CROSSED, Outcome.STOPPED if early else Outcome.CONVERGED} <= set(ours.outcome) or swapped


@pytest.mark.parametrize("m", [2, 3, 4])
@pytest.mark.parametrize("early", [False, True])
def test_narrow_networks_are_asked_for_a_crossing_first(m, early):
    """A side without points or neurons ends a training at a check that sees neither a crossing nor an early stop."""
    B = 400
    points, others, neurons, h, nets, validation = networks(B, m, 20)
    criterion = Criterion(500, 6000, sufficient=True, sharp=False, patience=10 if early else 0)
    ours = train(points, neurons, h, criterion, validation=others if early else None)
    with np.errstate(over="ignore", invalid="ignore"):  # what has crossed may go on to overflow
        theirs = live(nets, 500, 6000, validation if early else None, lambda nets, i: sufficient(nets, i, sharp=False))
    assert np.array_equal(ours.outcome, theirs[0])
    assert np.array_equal(ours.steps, theirs[1])
    empty = (points.points < 2).any(axis=1) | (neurons.size == 0).any(axis=1)
    crossed = ours.outcome == Outcome.CROSSED
    assert (empty & crossed).sum() > 3, "some of the degenerate ones cross"
    assert (ours.crossing[crossed] > 0).all()
    assert {Outcome.X_DEGENERATE, Outcome.A_DEGENERATE, Outcome.CROSSED} <= set(ours.outcome)


def test_minibatches_take_the_published_steps():
    points, _, neurons, h, nets, validation = networks(12, 32, 2)
    others = split(np.tile(X_SIX, (12, 1)), np.tile(Y_SIX, (12, 1)), validation)
    rng = np.random.default_rng(3)
    drawn = {(b, k): rng.multinomial(16, nets.nu[b], 200) / 16 for b in range(12) for k in range(0, 6000, 200)}
    shares = {key: split(np.tile(X_SIX, (200, 1)), np.tile(Y_SIX, (200, 1)), nu) for key, nu in drawn.items()}
    criterion = Criterion(200, 6000, sufficient=False, sharp=True, patience=10)
    ours = train(points, neurons, h, criterion, validation=others, minibatches=lambda b, k: shares[b, k].rows)
    at = np.zeros(12, int)

    def minibatch(who, interval):
        found = np.stack([drawn[b, at[b]] for b in who])
        at[who] += interval
        return found

    outcome, steps = live(nets, 200, 6000, validation, None, minibatch)
    assert np.array_equal(ours.outcome, outcome)
    assert np.array_equal(ours.steps, steps)
    assert {Outcome.CROSSED, Outcome.STOPPED} <= set(outcome)


def test_a_neuron_that_jumps_to_the_other_side_is_followed_there():
    # One step carries a through zero while |b/a| < 1 before and after: (a, w) with w/a beyond all others.
    for seed in range(300):
        points, _, neurons, h, nets, _ = networks(1, 16, seed)
        one = LineNetwork.start(neurons, 0)
        if one.advance(points.rows, h[0], 1.0, 300)[0] is None and one.changed.any():
            break
    for _ in range(300):
        nets.step()
    assert one.changed.any(), "some of 300 networks has such a neuron"
    jumped = one.neurons()[one.changed][0]
    nearest = np.abs(nets.a[0] - jumped[0]).argmin()
    assert [nets.a[0, nearest], nets.b[0, nearest], nets.w[0, nearest]] == pytest.approx(jumped, rel=1e-9)
    assert nets.kink[0] < 1
    assert np.where(X_SIX > 0, *[p * X_SIX + q for p, q in one.lines()]) == pytest.approx(nets.outputs()[0], rel=1e-9)


def test_small_biases_at_the_start_are_followed_by_the_hull():
    rng = np.random.default_rng(5)
    a, w = rng.normal(size=(2, 40)) * np.array([[2**0.5], [0.05**0.5]])
    b = a * rng.uniform(-0.3, 0.3, 40)
    x, y, nu = X_SIX[None], Y_SIX[None], np.full((1, 6), 1 / 6)
    points = split(x, y, nu)
    nets = Networks(X_SIX, Y_SIX, nu, a[None], w[None], np.array([0.004]))
    nets.b = b[None].copy()
    one = LineNetwork.of(a, b, w)
    assert 3 <= len(one.state.side) < 40, "few neurons decide"
    end, at = one.advance(points.rows, 0.004, 1.0, 2000)
    for _ in range(at):
        nets.step()
    assert (end is Outcome.CROSSED) == (nets.kink[0] >= 1)
    if end is None:
        assert one.state.largest[4] == pytest.approx(nets.kink[0], rel=1e-9)


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 1000), st.integers(0, 10**6), st.sampled_from([4, 16]))
def test_gather_lists_the_extreme_neurons_of_either_side(m, seed, keep):
    rng = np.random.default_rng(seed)
    a, w = rng.normal(size=(2, 1, m))
    a[rng.random((1, m)) < 0.1], w[rng.random((1, m)) < 0.1] = 0, 0  # some are active nowhere, some have one ratio
    found = gather(a, w, keep)
    for s, own in enumerate((a[0] > 0, a[0] < 0)):
        pairs = np.stack([a[0, own], w[0, own]], axis=1)
        pairs = pairs[np.argsort(pairs[:, 1] / pairs[:, 0])]
        half = keep // 2
        listed = pairs if len(pairs) <= keep else np.concatenate([pairs[:half], pairs[-half:]])
        assert found.size[0, s] == len(pairs)
        ours = found.ends[0, s, : found.known[0, s]]
        assert np.array_equal(ours[:, 1] / ours[:, 0], listed[:, 1] / listed[:, 0])
        assert len({tuple(pair) for pair in ours} & {tuple(pair) for pair in pairs}) == len(listed)
        assert found.T[0, s] == pytest.approx(pairs.T @ pairs, rel=1e-12)


def test_the_step_size_is_the_reciprocal_of_the_largest_eigenvalue():
    _, _, _, h, nets, _ = networks(5, 24, 7)
    for b in range(5):
        M, root, A, _ = full_hessian(nets, b)
        assert 1 / h[b] == pytest.approx(np.linalg.eigvalsh(root @ A @ root)[-1], rel=1e-10)
        assert 1 / h[b] == pytest.approx(np.linalg.eigvals(A @ M).real.max(), rel=1e-8)


@pytest.mark.parametrize("sharp", [True, False])
def test_the_certificate_is_the_published_condition(sharp):
    points, _, neurons, h, nets, _ = networks(30, 48, 9)
    ours = [LineNetwork.start(neurons, b) for b in range(30)]
    constants = certificate.constants(points)
    agreed = 0
    for _ in range(12):
        for _ in range(1000):
            nets.step()
        for b, one in enumerate(ours):
            if nets.kink[b] >= 1:
                continue
            one.advance(points.rows[b : b + 1], h[b], 1.0, 1000)
            sides = certificate.read(one.second_moments()[None], one.state.c, constants[b : b + 1])
            norm = constants[b : b + 1, 5, 0]
            mine = certificate.certified(sides, one.decisive()[None], norm, np.ones(1), h=h[b : b + 1], sharp=sharp)[0]
            assert mine == sufficient(nets, b, sharp)
            agreed += mine
    assert agreed > 10, "it holds for some and not for others"


def test_the_sharp_constant_stops_no_later():
    points, _, neurons, h, _, _ = networks(200, 16, 10)
    ends = [train(points, neurons, h, Criterion(100, 10**6, True, sharp, 0)) for sharp in (True, False)]
    assert np.array_equal(ends[0].outcome, ends[1].outcome)
    assert (ends[0].steps <= ends[1].steps).all()
    assert ends[0].steps.sum() < 0.97 * ends[1].steps.sum()


def test_what_is_certified_never_crosses():
    points, _, neurons, h, _, _ = networks(300, 16, 11)
    first = train(points, neurons, h, Criterion(1000, 10**6, True, True, 0))
    later = train(points, neurons, h, Criterion(1000, 200_000, False, True, 0))
    assert (later.outcome[first.outcome == Outcome.CONVERGED] == Outcome.UNFINISHED).all()
    assert (later.crossing[first.outcome == Outcome.CROSSED] == first.crossing[first.outcome == Outcome.CROSSED]).all()


def test_a_network_does_not_see_its_neighbours():
    points, _, neurons, h, _, _ = networks(11, 16, 12)
    together = train(points, neurons, h, Criterion(1000, 10**6, True, True, 0))
    for b in range(11):
        one = [part._make(p[b : b + 1] for p in part) for part in (points, neurons)]
        alone = train(*one, h[b : b + 1], Criterion(1000, 10**6, True, True, 0))
        assert (alone.outcome[0], alone.steps[0], alone.crossing[0]) == tuple(part[b] for part in together)


def test_all_neurons_on_one_side_are_followed():
    rng = np.random.default_rng(14)
    a, w = np.abs(rng.normal(size=(1, 8))), rng.normal(size=(1, 8)) / 2
    x, y, nu = X_SIX[None], Y_SIX[None], np.full((1, 6), 1 / 6)
    ends = train(split(x, y, nu), gather(a, w), np.array([0.01]), NEVER)
    nets = Networks(X_SIX, Y_SIX, nu, a, w, np.array([0.01]))
    outcome, steps = live(nets, NEVER.interval, NEVER.limit)
    assert (ends.outcome[0], ends.steps[0]) == (outcome[0], steps[0])


def test_zero_weights_stay_zero_and_a_step_that_is_too_long_diverges_or_crosses():
    x, y, nu = X_SIX[None], Y_SIX[None], np.full((1, 6), 1 / 6)
    points = split(x, y, nu)
    still = train(points, gather(np.ones((1, 4)), np.zeros((1, 4))), np.array([0.01]), NEVER)
    assert still.outcome[0] in (Outcome.UNFINISHED, Outcome.CROSSED)
    one = LineNetwork.start(gather(np.array([[1.0, -1.0]]), np.array([[1e-3, 1e-3]])), 0)
    end, at = one.advance(points.rows, 1e200, 1.0, 10)
    assert end in (Outcome.DIVERGED, Outcome.CROSSED)
    assert at <= 3


def test_what_cannot_be_trained_is_refused():
    points, others, neurons, h, _, _ = networks(2, 8)
    with pytest.raises(InvalidInput, match="must be False with minibatches"):
        train(points, neurons, h, Criterion(10, 100, True, True, 0), minibatches=lambda b, at: points.rows[b])
    with pytest.raises(InvalidInput, match=r"validation \(other shares\) must be given for patience = 3, got None"):
        train(points, neurons, h, Criterion(10, 100, False, True, 3))
    with pytest.raises(InvalidInput, match=r"h \(step sizes\) must be an array of shape \(B,\) = \(2,\)"):
        train(points, neurons, h[:1], NEVER, validation=others)
    with pytest.raises(InvalidInput, match=r"x \(points\) must not be 0, got 1 of 2"):
        split(np.array([[0.0, 1.0]]), np.ones((1, 2)), np.ones((1, 2)))
    with pytest.raises(InvalidInput, match=r"keep \(neurons listed\) must be even, got 3"):
        gather(np.ones((1, 4)), np.ones((1, 4)), 3)


def test_a_sample_counts_different_points():
    x = np.array([[1.0, 1.0, 2.0, -1.0]])
    found = split(x, x, np.array([[0.25, 0.25, 0.5, 0.0]]))
    assert found.points.tolist() == [[2, 0]]
    assert found.reach.tolist() == [1.0]
