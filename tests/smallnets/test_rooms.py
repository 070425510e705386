"""Kernels with arrays of a fixed size: with room for two they find what they find with ample room."""

from __future__ import annotations

import numpy as np
import pytest
from test_line import networks

from smallnets.descent import _relu_trajectory
from smallnets.descent.line.data import Criterion, Outcome, gather
from smallnets.descent.line.training import train
from smallnets.descent.relu import descend


def line(seed):
    """Three to six points of a line, with a bias: neurons slide, and many are grouped meanwhile."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(3, 7), 60
    X = np.column_stack([rng.uniform(-2, 2, n), np.ones(n)])
    W = 10.0 ** rng.uniform(-4, 0) * rng.standard_normal((m, 2)) / (2 * m) ** 0.5
    return X, rng.standard_normal(n), W, rng.choice([-1, 1], m) * np.linalg.norm(W, axis=1)


def alike(one, other, names):
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)


@pytest.mark.parametrize("seed", range(8))
def test_descent_of_relu_networks(seed, monkeypatch):
    for name, value in {"GROUP_COST": 0, "COLUMN_COST": 0, "LEAST_STEPS": 2}.items():  # group wherever possible
        monkeypatch.setattr(_relu_trajectory, name, value)
    start, run = line(seed), {"step": 0.01, "steps": 2000, "log": [0, 700, 1999]}
    ample = descend(*start, **run)
    assert len(ample.crossings) > 2000
    for room in (2, 37):
        monkeypatch.setattr(_relu_trajectory, "ROOM", room)
        scarce = descend(*start, **run)
        assert (scarce.steps, scarce.loss, scarce.ended) == (ample.steps, ample.loss, ample.ended)
        assert alike(scarce, ample, ("W", "a", "at", "losses", "Ws", "As", "crossings"))


@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_networks_on_a_line(shift):
    """Of each side only so many neurons are listed; where another one decides, the outcome is unknown, not another."""
    points, _, _, h, nets, _ = networks(300, 24, seed=5, shift=shift)
    criterion = Criterion(interval=100, limit=20_000, sufficient=True, sharp=True, patience=0)
    ample = train(points, gather(nets.a, nets.w, 24), h, criterion)
    assert not (ample.outcome == Outcome.UNKNOWN).any()
    assert (ample.outcome == Outcome.CROSSED).sum() > 20
    unknown = []
    for room in (2, 4):
        scarce = train(points, gather(nets.a, nets.w, room), h, criterion)
        known = scarce.outcome != Outcome.UNKNOWN
        assert all(np.array_equal(one[known], other[known]) for one, other in zip(scarce, ample, strict=True))
        unknown.append(np.sum(~known))
    assert 0 < unknown[0] < 150
    assert unknown[1] <= unknown[0]
