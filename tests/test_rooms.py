"""Kernels with arrays of a fixed size: with room for two they find what they find with ample room."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.dynamics import alignment_moves, relu_course
from neurec_core.dynamics.alignment import align
from neurec_core.dynamics.relu import descend


def line(seed):
    """Three to six points of a line, with a bias: neurons slide, and many are held meanwhile."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(3, 7), 60
    X = np.column_stack([rng.uniform(-2, 2, n), np.ones(n)])
    W = 10.0 ** rng.uniform(-4, 0) * rng.standard_normal((m, 2)) / (2 * m) ** 0.5
    return X, rng.standard_normal(n), W, rng.choice([-1, 1], m) * np.linalg.norm(W, axis=1)


def alike(one, other, names):
    return all(np.array_equal(getattr(one, name), getattr(other, name), equal_nan=True) for name in names)


@pytest.mark.parametrize("seed", range(8))
def test_descent_of_relu_networks(seed, monkeypatch):
    for name, value in {"COST": 0, "PER_LANE": 0, "LONG": 2}.items():  # neurons are held wherever they can be
        monkeypatch.setattr(relu_course, name, value)
    start, run = line(seed), {"step": 0.01, "steps": 2000, "log": [0, 700, 1999]}
    ample = descend(*start, **run)
    assert len(ample.crossings) > 2000
    for room in (2, 37):
        monkeypatch.setattr(relu_course, "ROOM", room)
        scarce = descend(*start, **run)
        assert (scarce.steps, scarce.loss, scarce.ended) == (ample.steps, ample.loss, ample.ended)
        assert alike(scarce, ample, ("W", "a", "at", "losses", "Ws", "As", "crossings"))


@pytest.mark.parametrize("step", [0.05, None])
def test_alignment(step, monkeypatch):
    X, y, W, a = line(3)
    run = {"step": step, "until": 200, "times": [0, 3, 200]}
    ample = align(X, y, W, a, **run)
    assert len(ample.times) > 20
    monkeypatch.setattr(alignment_moves, "ROOM", 2)
    assert alike(align(X, y, W, a, **run), ample, ample._fields)
