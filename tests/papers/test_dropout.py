"""Adam with dropout against a network, an optimiser and a loss of torch, given the same dropped units."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.local_linear_recovery.engine import dropout
from neurec_papers.local_linear_recovery.experiments import dropout as paper
from neurec_papers.local_linear_recovery.experiments.dropout import DROPOUT, Dropout
from smallnets.errors import InvalidInput
from smallnets.nets.tanh_nets import Neurons

B, M, N = 2, 13, 6


def start(seed=0, m=M):
    rng = np.random.default_rng(seed)
    return Neurons(rng.standard_normal((B, 1, m)), rng.standard_normal((B, m)), rng.standard_normal((B, m)), np.ones(B))


def points(n=N):
    X = np.random.default_rng(1).uniform(-3, 3, (B, n, 1))
    return X, np.sin(X[..., 0])


def masks(trial, p, n, m, steps):
    """Factors (steps, n, m): each place by itself dropped if it is among those counted."""
    size = n * m
    chunks = -(-steps // dropout.CHUNK)
    keep = np.full((chunks, dropout.CHUNK * size), 1 / (1 - p))
    for chunk in range(chunks if p else 0):
        (places,) = dropout.dropped(Draws(7, [trial]), chunk, size, p)
        keep[chunk, places[places < keep.shape[1]]] = 0
    return keep.reshape(-1, n, m)[:steps]


def published(net, x, y, keep, rate, output_bias):
    """torch's modules, tape and Adam, for one network; the weights and the losses."""
    m = len(net[2])
    hidden, outer = torch.nn.Linear(1, m, dtype=torch.float64), torch.nn.Linear(m, 1, dtype=torch.float64)
    with torch.no_grad():
        for target, part in ((hidden.weight, net[0].T), (hidden.bias, net[1]), (outer.weight, net[2][None])):
            target.copy_(torch.tensor(part))
        outer.bias.fill_(float(net[3]))
    weights = [hidden.weight, hidden.bias, outer.weight, *([outer.bias] if output_bias else [])]
    adam, losses = torch.optim.Adam(weights, lr=rate), []
    X, labels = torch.tensor(x), torch.tensor(y)
    for k in torch.tensor(keep):
        adam.zero_grad()
        loss = torch.nn.functional.mse_loss(outer(k * torch.tanh(hidden(X)))[:, 0], labels)
        loss.backward()
        adam.step()
        losses.append(loss.item())
    parts = (hidden.weight.T, hidden.bias, outer.weight[0], outer.bias[0])
    return [part.detach().numpy() for part in parts], np.array(losses)


@pytest.mark.parametrize(("p", "output_bias"), [(0.0, True), (0.1, True), (0.5, False)])
def test_it_is_torch(p, output_bias):
    net, (X, y), steps, trials = start(), points(), 330, [4, 1]
    options = {"dropout": p, "rate": 2e-3, "steps": steps, "output_bias": output_bias}
    fit = dropout.train(net, (X, y), Draws(7, trials), **options)
    for b, trial in enumerate(trials):
        keep = masks(trial, p, N, M, steps)
        own = [part[b] for part in net]
        wanted, losses = published(own, X[b], y[b], keep, 2e-3, output_bias)
        # Steps of 2e-3 add up to 0.6, and Adam magnifies rounding where gradients are small.
        for ours, theirs in zip(fit.net, wanted, strict=True):
            assert np.abs(ours[b] - theirs).max() < 1e-8
        assert np.abs(wanted[0] - own[0]).max() > 0.1, "it has gone somewhere"
        means = [np.mean(losses[i : i + dropout.CHUNK]) for i in range(0, steps, dropout.CHUNK)]
        assert fit.losses[b] == pytest.approx(means, rel=1e-7)
    assert (fit.net.c == 1).all() != output_bias


def plain_tanh(z):
    """The same quotient in NumPy, which rounds every operation by itself."""
    u = np.clip(z, -19.1, 19.1) * 0.125
    s = u * u
    p, q = u * (135135 + s * (17325 + s * (378 + s))), 135135 + s * (62370 + s * (3150 + s * 28))
    for _ in range(3):
        p, q = 2 * p * q, q * q + p * p
    return p / q


def plain_step(theta, moments, t, x, y, keep, rate):
    """One step, an operation after the other; t counts from 1."""
    w, b, a, c = *theta[:-1].reshape(3, -1), theta[-1]
    gradient = np.zeros_like(theta)
    w_, b_, a_ = gradient[:-1].reshape(3, -1)
    for xi, yi, k in zip(x, y, keep, strict=True):
        units = plain_tanh(w * xi + b)
        parts = np.pad(a * (k * units), (0, -len(units) % 8)).reshape(-1, 8)
        s = np.cumsum(parts, axis=0)[-1]  # one after the other
        e = c + (((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]))) - yi
        pushed = (2 * e / len(x)) * k
        pull = (pushed * a) * (1 - units * units)
        w_ += pull * xi
        b_ += pull
        a_ += pushed * units
        gradient[-1] += 2 * e / len(x)
    powers = np.cumprod(np.full((t, 2), [0.9, 0.999]), axis=0)[-1]
    first, second = moments
    first += (1 - 0.9) * (gradient - first)
    second[:] = 0.999 * second + (1 - 0.999) * (gradient * gradient)
    theta -= rate / (1 - powers[0]) * (first / (np.sqrt(second) / np.sqrt(1 - powers[1]) + 1e-8))


def test_every_operation_is_rounded_by_itself():
    """To the bit, so no processor may fuse or reorder any: Adam would show it."""
    net, (X, y), steps = start(), points(), 150
    fit = dropout.train(net, (X, y), Draws(7, [0, 1]), dropout=0.3, rate=1e-2, steps=steps)
    for b in range(B):
        theta, moments = np.concatenate([net.W[b, 0], net.b[b], net.a[b], net.c[b : b + 1]]), np.zeros((2, 3 * M + 1))
        for t, keep in enumerate(masks(b, 0.3, N, M, steps), start=1):
            plain_step(theta, moments, t, X[b, :, 0], y[b], keep, 1e-2)
        assert np.array_equal(theta[:M], fit.net.W[b, 0])
        assert np.array_equal(theta[2 * M :], np.append(fit.net.a[b], fit.net.c[b]))
    z = np.random.default_rng(0).uniform(-25, 25, 10_000)
    assert np.array_equal(plain_tanh(z), dropout.tanh(z))


@pytest.mark.parametrize("p", [0.1, 0.6])
def test_units_are_dropped_independently_with_the_probability_asked_for(p):
    keep = np.concatenate([masks(trial, p, 10, 30, 100) for trial in range(20)]) == 0
    number = keep.size  # 600,000
    assert abs(keep.mean() - p) < 4 * (p * (1 - p) / number) ** 0.5
    # Neighbours, also across points and steps, and the same unit one point and one step on.
    flat = keep.ravel()
    for apart in (1, 2, 30, 300):
        both = (flat[:-apart] & flat[apart:]).mean()
        assert abs(both - p * p) < 4 * (p * p * (1 - p * p) / number) ** 0.5
    assert np.ptp(keep.mean(axis=(0, 1))) < 8 * (p * (1 - p) / (number / 30)) ** 0.5, "no unit more than others"
    first, other = (masks(trial, p, 10, 30, 100) for trial in (0, 1))
    assert (first == other).mean() < 0.9


def test_all_places_of_a_chunk_are_decided():
    for p in (0.01, 0.1, 0.9):
        places = dropout.dropped(Draws(0, range(20)), 3, 50, p)
        assert (places[:, -1] >= dropout.CHUNK * 50).all()
        assert (np.diff(places, axis=1) > 0).all()


def test_tanh_is_accurate_at_every_size():
    z = np.concatenate([np.linspace(-25, 25, 100_001), 10.0 ** np.linspace(-300, 0, 2000), [np.inf, -np.inf]])
    assert dropout.tanh(z) == pytest.approx(np.tanh(z), rel=2e-15, abs=0)
    assert dropout.tanh(np.zeros((2, 3))).tolist() == np.zeros((2, 3)).tolist()


def test_more_steps_go_on_where_fewer_end_and_a_net_does_not_see_its_neighbours():
    net, (X, y) = start(), points()
    options = {"dropout": 0.2, "rate": 1e-2}
    few, many = (dropout.train(net, (X, y), Draws(0, [0, 1]), steps=k, **options) for k in (48, 100))
    assert np.array_equal(few.losses, many.losses[:, :3])
    alone = dropout.train(Neurons(*(p[1:] for p in net)), (X[1:], y[1:]), Draws(0, [1]), steps=100, **options)
    for together, own in zip(many.net, alone.net, strict=True):
        assert np.array_equal(together[1:], own)


def test_it_starts_where_torch_does():
    net = paper.start(Dropout(m=20_000), Draws(0, [0]))
    layers = torch.nn.Linear(1, 20_000), torch.nn.Linear(20_000, 1)
    for ours, theirs in ((net.W, layers[0].weight), (net.b, layers[0].bias), (net.a, layers[1].weight)):
        low, high = theirs.min().item(), theirs.max().item()
        assert [ours.min(), ours.max(), ours.std()] == pytest.approx([low, high, theirs.std().item()], rel=0.03)
    assert abs(net.c[0]) <= 20_000**-0.5
    assert paper.start(Dropout(m=5, output_bias=False), Draws(0, [0])).c == 0


def test_the_target_is_its_neurons_and_they_are_three_directions():
    x = np.linspace(-15, 14, 200)
    (problem, *_) = DROPOUT.run(Dropout(n=200, steps=1, m=4), Draws(0, [0]))
    assert problem.X[0, :, 0] == pytest.approx(x)
    assert problem.y[0] == pytest.approx(np.tanh(x - 7) + np.tanh(x) + np.tanh(x + 7), abs=1e-14)
    assert problem.teacher(problem.X) == pytest.approx(problem.y, abs=1e-14)
    assert dropout.cosines(problem.teacher)[0].max(where=~np.eye(3, dtype=bool), initial=0) < dropout.SAME
    # Equal sizes, however many neurons share them and whatever their signs.
    signs = np.array([1.0, -1, 1, 1, 1, -1])
    W, b = np.array([1.0, 1, 1, 1, 1, 1]) * signs, np.array([-7.0, -7, 0, 0, 7, 7]) * signs
    sizes = np.array([0.25, 0.75, 0.5, 0.5, 0.9, 0.1]) / np.hypot(W, b)
    share, number = dropout.condensation(Neurons(W[None, None], b[None], sizes[None], np.zeros(1)))
    assert number == pytest.approx(3)
    assert share == pytest.approx(3 / 15)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones((B, N, 2))}, r"points\[0\] \(inputs\) must be an array of shape \(B, n, 1\)"),
        (
            {"y": np.ones((B, N + 1))},
            r"points\[1\] \(labels\) must be an array of shape \(B, n\) = \(2, 6\), got \(2, 7\)",
        ),
        ({"y": np.full((B, N), np.inf)}, r"points\[1\] \(labels\) must be finite"),
        ({"start": start()._replace(b=np.ones((B, 3)))}, r"b \(hidden biases\) must be an array of shape"),
        ({"dropout": 1.0}, r"dropout \(probability\) must be a number in \[0, 1\), got 1.0"),
        ({"rate": np.nan}, r"rate \(step size\) must be a number in \(0, inf\), got nan"),
        ({"steps": -1}, r"steps \(how many\) must be a whole number in \[0, inf\), got -1"),
    ],
)
def test_bad_input_is_refused(change, message):
    X, y = points()
    given = {"start": start(), "X": X, "y": y, "dropout": 0.1, "rate": 0.1, "steps": 1, **change}
    net, X, y = given.pop("start"), given.pop("X"), given.pop("y")
    with pytest.raises(InvalidInput, match=message):
        dropout.train(net, (X, y), Draws(0, range(B)), **given)


def test_a_width_that_does_not_fit_is_refused_with_its_size(monkeypatch):
    monkeypatch.setattr("neurec_core.memory.total", lambda: 2.0**34)
    # The cosines of all pairs of 100,000 neurons take 75 GiB in themselves.
    with pytest.raises(BadInput, match=r"dropout with m = 100000, steps = 1 would take about 9\d GiB of memory"):
        DROPOUT.require_memory(DROPOUT.params(m=100_000, steps=1))
    DROPOUT.require_memory(DROPOUT.params(m=3000))
