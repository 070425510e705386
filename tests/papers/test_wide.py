"""Minibatch training of many nets against a tape, one net at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from neurec_papers.inconsistency.engine import wide
from neurec_papers.inconsistency.engine.biases import Start
from neurec_papers.inconsistency.engine.wide import Method, Watched

B, N, D, M, BATCH = 3, 24, 3, 10, 8
SCALES = (0.8, 0.3)
each_optimizer = pytest.mark.parametrize("optimizer", list(wide.OPTIMIZERS))


def nets(count=B, d=D, m=M, seed=0):
    rng = np.random.default_rng(seed)
    a, b, w, c = (rng.standard_normal(shape) for shape in ((count, d, m), (count, m), (count, m), count))
    return Start(a, b, w, c, SCALES)


def sample(n, count=B, d=D, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((count, n, d)), rng.standard_normal((count, n))


def one(many, b):
    return Start(*one(many[:4], b), SCALES) if isinstance(many, Start) else [p[b : b + 1] for p in many]


def outputs(X, net):
    a, b, w, c = net
    return SCALES[1] * torch.relu(SCALES[0] * X @ a + b) @ w + c


def published(start, train, watched, draws, method, epochs, every):
    """One net, a tape and torch's optimiser."""
    optimizer, rate, batch = method
    net = [torch.tensor(part[0], requires_grad=True) for part in start[:4]]
    X, y = (torch.tensor(part[0]) for part in train)
    made = {
        "gd": lambda: torch.optim.SGD(net, lr=rate),
        "momentum": lambda: torch.optim.SGD(net, lr=rate, momentum=0.9),
        "adam": lambda: torch.optim.Adam(net, lr=rate),
    }
    descent, looks = made[optimizer](), []
    for epoch in range(epochs):
        order = np.arange(len(y)) if batch == len(y) else np.argsort(draws.uniform(f"order_{epoch}", len(y))[0])
        for some in order.reshape(-1, batch):
            descent.zero_grad()
            ((outputs(X[some], net) - y[some]) ** 2).mean().backward()
            descent.step()
        if (epoch + 1) % every == 0:
            looks.append(
                [((outputs(torch.tensor(P[0]), net) - torch.tensor(q[0])) ** 2).mean().item() for P, q in watched]
            )
    loss = ((outputs(X, net) - y) ** 2).mean().item()
    return [part.detach().numpy() for part in net], loss, np.array(looks).T


@pytest.mark.parametrize("batch", [BATCH, N])
@each_optimizer
def test_training_is_the_published_loop(optimizer, batch):
    start, train, watched = nets(), sample(N), [sample(40, seed=2), sample(40, seed=3)]
    method = Method(optimizer, 0.02, batch)
    fit = wide.fit(start, train, Watched(watched, 8), Draws(0, range(B)), method=method, epochs=40, dtype="float64")
    for b in range(B):
        alone = [one(pair, b) for pair in watched]
        net, loss, looks = published(one(start, b), one(train, b), alone, Draws(0, [b]), method, 40, 8)
        for found, wanted in zip(fit.net[:4], net, strict=True):
            # Up to 120 steps in double precision, the sums in another order.
            assert np.allclose(found[b], wanted, rtol=0, atol=1e-11)
        assert fit.train_loss[b] == pytest.approx(loss, rel=1e-11)
        assert np.allclose(fit.losses[b], looks, rtol=1e-11)
    assert fit.losses.shape == (B, 2, 5)


@each_optimizer
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("d", "m", "batch"), [(2, 5, 8), (4, 64, 16), (7, 33, 48)])
def test_a_net_does_not_depend_on_those_beside_it(optimizer, dtype, d, m, batch):
    start, train, watched = nets(5, d, m), sample(48, 5, d), [sample(30, 5, d, seed=2)]
    options = {"method": Method(optimizer, 0.01, batch), "epochs": 4, "dtype": dtype}
    together = wide.fit(start, train, Watched(watched), Draws(0, range(5)), **options)
    for b in range(5):
        alone = wide.fit(one(start, b), one(train, b), Watched([one(watched[0], b)]), Draws(0, [b]), **options)
        # To the bit, on one machine.
        assert np.array_equal(alone.losses[0], together.losses[b])
        assert alone.train_loss[0] == together.train_loss[b]
        assert all(np.array_equal(p[0], q[b]) for p, q in zip(alone.net[:4], together.net, strict=False))


def test_a_net_that_diverges_harms_no_other():
    start, train, watched = nets(), sample(N), Watched([sample(40, seed=2)])
    wild = start._replace(w=start.w * np.array([1, 1e6, 1])[:, None])
    options = {"method": Method("gd", 0.02, BATCH), "epochs": 30}
    calm, mixed = (wide.fit(s, train, watched, Draws(0, range(B)), **options) for s in (start, wild))
    assert not np.isfinite(mixed.train_loss[1])
    assert np.array_equal(mixed.train_loss[[0, 2]], calm.train_loss[[0, 2]])


def test_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    wide.fit(nets(), sample(N), Watched([sample(4, seed=2)]), Draws(0, range(B)), method=Method("gd", 0.1, N), epochs=1)
    assert torch.get_num_threads() == before
