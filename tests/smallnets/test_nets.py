"""Forward passes against plain loops."""

from __future__ import annotations

import numpy as np

from smallnets.nets.two_layer import GatedNet, Net

RNG = np.random.default_rng(0)
X, W, A = RNG.standard_normal((2, 7, 3)), RNG.standard_normal((2, 3, 5)), RNG.standard_normal((2, 5))
SKIP, GATES = RNG.standard_normal((2, 3)), RNG.standard_normal((2, 3, 5))


def test_a_net_is_the_sum_of_its_units():
    out = Net(W, A, SKIP)(X)
    for b in range(2):
        for i in range(7):
            units = [A[b, j] * max(X[b, i] @ W[b, :, j], 0) for j in range(5)]
            assert np.isclose(out[b, i], sum(units) + X[b, i] @ SKIP[b])


def test_a_linear_net_has_no_units():
    assert np.allclose(Net.linear(SKIP)(X), np.einsum("bnd,bd->bn", X, SKIP))


def test_a_gated_net_is_linear_behind_its_gates():
    out = GatedNet(W, GATES, SKIP)(X)
    for b in range(2):
        for i in range(7):
            units = [(X[b, i] @ GATES[b, :, j] >= 0) * (X[b, i] @ W[b, :, j]) for j in range(5)]
            assert np.isclose(out[b, i], sum(units) + X[b, i] @ SKIP[b])


def test_gates_along_the_weights_make_a_relu_net():
    gated = GatedNet(W, W, SKIP)
    assert np.allclose(gated(X), gated.as_relu()(X))
