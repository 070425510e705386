"""Descent of wide ReLU networks in torch, on a device that the environment names, against the compiled steps."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.params import BadInput
from neurec_papers.single_neuron import WIDTH_STUDY
from smallnets.descent import _relu_dense, relu
from smallnets.errors import InvalidInput

NAMES = ("W", "a", "steps", "loss", "ended", "at", "losses", "Ws", "As")


def instance(m=7, n=6, d=5, scale=0.3, seed=0):
    rng = np.random.default_rng(seed)
    X, W = rng.normal(size=(n, d)) + 2 * np.eye(d)[0], scale * rng.normal(size=(m, d))
    return X, np.maximum(X @ np.eye(d)[0], 0), W, np.linalg.norm(W, axis=1) * np.where(np.arange(m) % 3, 1, -1)


@pytest.fixture
def both(monkeypatch):
    """The same descent by compiled steps and in torch, on the processor."""

    def call(*start, log=(), target=0.0, **given):
        monkeypatch.delenv("NEUREC_DEVICE", raising=False)
        plain = relu.descend(*start, log=log, target=target, **given)
        found = _relu_dense.descend(start[:2], start[2:], log=np.array(log, np.int64), target=target, **given)
        return plain, dict(zip(NAMES, found, strict=True))

    return call


@pytest.mark.parametrize(("target", "ended"), [(0.0, "LIMIT"), (1e-4, "TARGET"), (1e9, "TARGET")])
def test_steps_in_torch_are_the_compiled_ones(both, target, ended):
    log = [0, 1, 7, 400, 1000, 1001, 2499, 2500, 4000]
    plain, found = both(*instance(), step=0.02, steps=2500, target=target, log=log)
    assert (found["ended"], found["steps"]) == (plain.ended.name, plain.steps) == (ended, plain.steps)
    assert np.array_equal(found["at"], plain.at)
    for name in ("W", "a", "loss", "losses", "Ws", "As"):
        assert found[name] == pytest.approx(getattr(plain, name), rel=1e-8, abs=1e-12), name
    assert found["Ws"].shape == plain.Ws.shape


def test_a_descent_that_diverges_dies_or_rests_ends_so(both):
    X, y, W, a = instance()
    plain, found = both(X, y, 1e200 * W, a, step=0.01, steps=5000)
    assert found["ended"] == plain.ended.name == "DIVERGED"
    plain, found = both(X, y, -np.abs(W) @ np.diag([5, 0, 0, 0, 0]), a, step=0.01, steps=5000)
    assert found["ended"] == plain.ended.name == "DEAD"
    plain, found = both(X[:1], y[:1], np.eye(5)[:1], np.array([y[0] / X[0, 0]]), step=0.01, steps=5000)
    assert found["ended"] == plain.ended.name == "STALLED"
    assert found["loss"] == 0


def test_what_is_returned_is_as_of_the_compiled_steps(monkeypatch):
    start, given = instance(), {"step": 0.02, "steps": 300, "log": [0, 5, 300]}
    plain = relu.descend(*start, **given)
    monkeypatch.setenv("NEUREC_DEVICE", "elsewhere")
    monkeypatch.setattr(relu, "MANY", 1)
    monkeypatch.setattr(_relu_dense, "torch_device", lambda name: "cpu")
    found = relu.descend(*start, **given)
    assert (found.ended, found.steps, found.spent) == (plain.ended, 300, {"neurons": 300, "groups": 0, "tail": 0})
    assert found.crossings.shape == (0, 3)
    for name in ("W", "a", "loss", "at", "losses", "Ws", "As"):
        assert getattr(found, name) == pytest.approx(getattr(plain, name), rel=1e-9), name


@pytest.mark.parametrize("device", ["meta", "abacus"])
def test_the_device_reaches_the_engine_for_wide_networks_only(monkeypatch, device):
    monkeypatch.setenv("NEUREC_DEVICE", device)
    small, wide = instance(), instance(m=200, n=250, d=250)
    assert relu.descend(*small, step=0.01, steps=3).steps == 3
    with pytest.raises(InvalidInput, match=rf"device \(where torch computes\) must be one .*, got '{device}'"):
        relu.descend(*wide, step=0.01, steps=3)
    assert WIDTH_STUDY.rows(WIDTH_STUDY.params(d=4, m=5, steps=10), 0, [0])[0]["iterations"] == 10
    with pytest.raises(BadInput, match=f"got '{device}'"):
        WIDTH_STUDY.rows(WIDTH_STUDY.params(d=256, m=200, steps=10), 0, [0])
