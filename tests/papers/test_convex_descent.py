"""Batched training against the published loop, one network at a time."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.convex_recovery.engine import data, descent
from neurec_papers.convex_recovery.engine.descent import AdamW, FreshPoints
from neurec_papers.convex_recovery.experiments.network_training import NETWORK_TRAINING, NetworkTraining
from smallnets.errors import InvalidInput
from smallnets.nets.two_layer import NormalizedNet

N, D, B, EPOCHS = 12, 4, 3, 60
MODELS = list(descent.MODELS)
OPTIMIZERS = {"adamw": AdamW(), "adamw_recreated": AdamW(recreated=True)}


def instance(trials=range(B), n=N, d=D):
    draws = Draws(3, trials)
    X = data.design("gaussian", draws, n, d)
    teacher = data.linear_teacher("random", X, draws)
    return draws, X, teacher(X) + 0.1 * data.gaussian(draws.normal("z", n))


class Skip(torch.nn.Module):
    def __init__(self, W, a):
        super().__init__()
        d, units = W.shape
        self.w0, self.alpha0 = torch.nn.Linear(d, 1, bias=False), torch.nn.Linear(1, 1, bias=False)
        self.w, self.alpha = torch.nn.Linear(d, units - 1, bias=False), torch.nn.Linear(units - 1, 1, bias=False)
        for layer, weight in zip(
            (self.w0, self.alpha0, self.w, self.alpha), (W[:, :1].T, a[None, :1], W[:, 1:].T, a[None, 1:]), strict=True
        ):
            layer.weight = torch.nn.Parameter(torch.tensor(weight))

    def forward(self, X):
        return self.alpha0(self.w0(X)) + self.alpha(torch.relu(self.w(X)))


class Normalized(torch.nn.Module):
    def __init__(self, W, a, gamma):
        super().__init__()
        d, m = W.shape
        self.w, self.alpha = torch.nn.Linear(d, m, bias=False), torch.nn.Linear(m, 1, bias=False)
        self.w.weight = torch.nn.Parameter(torch.tensor(W.T))
        self.alpha.weight = torch.nn.Parameter(torch.tensor(a[None]))
        self.gamma = torch.nn.Parameter(torch.tensor(gamma))

    def forward(self, X):
        return self.alpha(self.gamma * torch.nn.functional.normalize(torch.relu(self.w(X)), dim=0))


def published(module, X, y, optimizer):
    """One network, a tape, torch's optimiser made inside the loop or before it."""
    X, y = torch.tensor(X), torch.tensor(y)
    adamw = torch.optim.AdamW(module.parameters(), lr=2e-3, weight_decay=1e-6)
    losses = []
    for _ in range(EPOCHS):
        if optimizer == "adamw_recreated":
            adamw = torch.optim.AdamW(module.parameters(), lr=2e-3, weight_decay=1e-6)
        adamw.zero_grad()
        loss = ((module(X)[:, 0] - y) ** 2).sum()
        losses.append(loss.item())
        loss.backward()
        adamw.step()
    return [*losses, ((module(X)[:, 0] - y) ** 2).sum().item()]


def train(model, optimizer="adamw", trials=range(B), **options):
    draws, X, y = instance(trials)
    start = descent.start(model, draws, D, N + 1)
    return descent.descend(X, y, start, OPTIMIZERS[optimizer], **{"epochs": EPOCHS, **options})


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
def test_training_is_the_published_loop(model, optimizer):
    draws, X, y = instance()
    start = descent.start(model, draws, D, N + 1)
    trained, every = (
        descent.descend(
            X, y, start, OPTIMIZERS[optimizer], epochs=EPOCHS, dtype="float64", test=FreshPoints(X, y, when)
        )
        for when in (False, True)
    )
    for b in range(B):
        module = {"skip": Skip, "normalized": Normalized}[model](*(part[b] for part in start))
        assert trained.losses[b] == pytest.approx(published(module, X[b], y[b], optimizer), rel=1e-9, abs=1e-12)
        named = {name: value.detach().numpy() for name, value in module.named_parameters()}
        if model == "skip":
            found = [named["w.weight"].T, named["alpha.weight"][0], (named["alpha0.weight"] @ named["w0.weight"])[0]]
        else:
            found = [named["w.weight"].T, named["alpha.weight"][0] * named["gamma"]]
        for ours, theirs in zip(trained.net, found, strict=True):
            assert np.allclose(ours[b], theirs, rtol=0, atol=1e-9)
    assert trained.losses.shape == (B, EPOCHS + 1)
    assert np.array_equal(trained.test_losses, trained.losses[:, -1:]), "tested on the training points"
    assert np.array_equal(every.test_losses, trained.losses)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("n", "d"), [(12, 4), (25, 7), (40, 20)])
def test_a_network_does_not_depend_on_those_beside_it(model, optimizer, n, d):
    draws, X, y = instance(range(5), n, d)
    start = descent.start(model, draws, d, n + 1)
    together = descent.descend(X, y, start, OPTIMIZERS[optimizer], epochs=20)
    for b in range(5):
        one = slice(b, b + 1)
        alone = descent.descend(X[one], y[one], [w[one] for w in start], OPTIMIZERS[optimizer], epochs=20)
        # To the bit, on one machine; padding keeps every network on whole vectors of the processor.
        assert np.array_equal(alone.losses, together.losses[one])
        assert all(np.array_equal(a, t[one]) for a, t in zip(alone.net, together.net, strict=True))


def test_a_trial_starts_the_same_wherever_it_stands():
    (W, a), (again, _) = (descent.start("skip", Draws(0, trials), D, N) for trials in ([0, 1], [1, 5]))
    assert np.array_equal(W[1], again[0])
    assert W.shape == (2, D, N + 1)
    assert a.shape == (2, N + 1)
    assert np.abs(W).max() <= D**-0.5
    assert np.abs(a[:, 1:]).max() <= N**-0.5
    assert np.array_equal(train("skip").losses, train("skip").losses)


def test_threads_are_left_as_they_were():
    before = torch.get_num_threads()
    train("skip")
    assert torch.get_num_threads() == before


def test_a_unit_that_is_active_on_no_point_stays_and_adds_nothing():
    X, y = -np.ones((1, 3, 1)), np.ones((1, 3))
    start = (np.array([[[1.0, -1.0]]]), np.ones((1, 2)), np.ones((1, 2)))
    trained = descent.descend(X, y, start, AdamW(weight_decay=0.0), epochs=5, dtype="float64")
    assert trained.net.W[0, 0, 0] == 1
    assert trained.net.a[0, 0] == 1
    assert trained.losses[0, 0] == pytest.approx(3 * (1 - 3**-0.5) ** 2)


def test_test_distance_is_that_of_the_net_on_fresh_points():
    params = NetworkTraining(model="normalized", n=30, d=5, k=2, sigma=0.2)
    draws = Draws(1, range(2))
    problem, solution, scores = NETWORK_TRAINING.run(params, draws)
    X_test = data.design("gaussian", draws, 30, 5, name="X_test")
    assert isinstance(solution.value, NormalizedNet)
    distance = np.linalg.norm(solution.value(X_test) - problem.teacher(X_test), axis=1)
    assert np.allclose(scores["test_distance"], distance, rtol=1e-4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"plant": "axis"}, r"plant \(planted weights\) must be one of random, smallest_singular where model is skip"),
        ({"model": "normalized", "plant": "smallest_singular"}, "must be one of random, axis, opposite where model is"),
        ({"k": 2}, r"k \(planted neurons\) must be 1 where model is skip, got 2"),
        (
            {"model": "normalized", "plant": "opposite"},
            "must be 2 where plant is opposite, got 1",
        ),
        (
            {"model": "normalized", "plant": "axis", "k": 3, "d": 2},
            "must be at most d = 2 where plant is axis, got 3",
        ),
    ],
)
def test_plants_that_do_not_fit_the_model_are_refused(values, message):
    with pytest.raises(BadInput, match=message):
        NetworkTraining(**values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": AdamW(-1.0)}, r"optimizer.learning_rate \(step size\) must be a number in \(0, inf\), got -1"),
        ({"optimizer": "sgd"}, "optimizer must be a named tuple with entries learning_rate, weight_decay, got 'sgd'"),
        ({"dtype": "float16"}, "unknown dtype 'float16'"),
        ({"X": np.ones((3, 4))}, r"X \(inputs\) must be an array of shape \(B, n, d\) = .*, got \(3, 4\)"),
        ({"X": np.full((B, N, D), np.inf)}, r"X \(inputs\) must be finite, got 144 of 144 entries that are not"),
        ({"y": np.ones((B, N + 1))}, r"y \(labels\) must be an array of shape \(B, n\) = \(3, 12\), got \(3, 13\)"),
        ({"y": np.full((B, N), np.nan)}, r"y \(labels\) must be finite"),
        (
            {"weights": (np.ones((B, D, 5)), np.ones((B, 4)))},
            r"weights\[1\] \(outer weights to start from\) must be an array",
        ),
        (
            {"test": FreshPoints(np.ones((B, 2, D)), np.ones((B, 3)))},
            r"test.y \(labels to test on\) must be an array of shape",
        ),
    ],
)
def test_bad_input_is_refused(change, message):
    draws, X, y = instance()
    given = {"X": X, "y": y, "weights": descent.start("skip", draws, D, N), **change}
    with pytest.raises(InvalidInput, match=message):
        descent.descend(**given, epochs=1)


def test_the_environment_names_the_device(monkeypatch):
    monkeypatch.setenv("NEUREC_DEVICE", "abacus")
    with pytest.raises(InvalidInput, match="got 'abacus'"):
        train("skip")
    monkeypatch.setenv("NEUREC_DEVICE", "cpu")
    assert np.isfinite(train("skip").losses).all()
