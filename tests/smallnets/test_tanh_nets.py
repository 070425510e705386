"""Two-layer tanh networks of three architectures against plain loops, differences and automatic differentiation."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from smallnets.errors import InvalidInput
from smallnets.nets.tanh_nets import architecture, jacobian, neurons, outputs, placed

B, N = 2, 7
SHAPES = [(5, 3, 2, False), (3, 3, 1, False), (3, 2, 2, True)]
CASES = list(itertools.product(["fc", "ns", "ws"], [False, True], [False, True], SHAPES))
each = pytest.mark.parametrize(("name", "hidden", "output", "shape"), CASES)


def made(name, hidden, output, shape, kernels=None):
    d, s, k, image = shape
    return architecture(name, d, s, kernels or k, hidden_bias=hidden, output_bias=output, image=image)


def instance(net, seed=0):
    draws = Draws(seed, range(B))
    return draws.normal("theta", net.size), draws.normal("X", N, net.d)


def patches(shape):
    """Flat indices of every patch that a kernel sees, position after position."""
    d, s, _, image = shape
    p = range(d + 1 - s)
    if not image:
        return [[i + r for r in range(s)] for i in p]
    return [[(i + r) * d + j + c for r in range(s) for c in range(s)] for i in p for j in p]


def by_loops(name, hidden, output, shape, theta, x, tanh=np.tanh):
    """One output, one position and kernel at a time, parameters read off one after another."""
    d, _, k, image = shape
    seen = patches(shape)
    everything = list(range(d * d if image else d))
    rest = iter(range(len(theta)))
    weights, biases, total = {}, {}, 0.0
    for kernel, place in itertools.product(range(k), range(len(seen))):
        owner = kernel if name == "ws" else (kernel, place)
        if owner not in weights:
            weights[owner] = [next(rest) for _ in (everything if name == "fc" else seen[place])]
    for owner in weights if hidden else ():
        biases[owner] = next(rest)
    for kernel, place in itertools.product(range(k), range(len(seen))):
        owner = kernel if name == "ws" else (kernel, place)
        window = everything if name == "fc" else seen[place]
        z = sum(theta[w] * x[i] for w, i in zip(weights[owner], window, strict=True))
        z = z + theta[biases[owner]] if hidden else z
        total = total + theta[next(rest)] * tanh(z)
    if output:
        total = total + theta[next(rest)]
    assert next(rest, None) is None, "every parameter is read"
    return total


@each
def test_outputs_are_those_of_a_loop_over_positions_and_kernels(name, hidden, output, shape):
    net = made(name, hidden, output, shape)
    theta, X = instance(net)
    loops = [[by_loops(name, hidden, output, shape, t, x) for x in points] for t, points in zip(theta, X, strict=True)]
    # Sums of at most 36 terms of size 1 in another order.
    assert np.allclose(outputs(net, theta, X), loops, rtol=1e-12, atol=1e-13)


@each
def test_jacobian_is_that_of_automatic_differentiation(name, hidden, output, shape):
    net = made(name, hidden, output, shape)
    theta, X = instance(net)
    J = jacobian(net, theta, X)
    for b, i in itertools.product(range(B), range(N)):
        t = torch.tensor(theta[b], requires_grad=True)
        by_loops(name, hidden, output, shape, t, X[b, i], torch.tanh).backward()
        # The same derivative, its sums in another order.
        assert np.allclose(J[b, i], t.grad.numpy(), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("output", [False, True])
@pytest.mark.parametrize("wide", ["fc", "ns", "ws"])
@pytest.mark.parametrize("kind", ["null", "equal", "drawn"])
def test_an_embedded_network_is_the_same_function(kind, wide, output, shape):
    narrow = made("ws", True, output, shape)
    theta, X = instance(narrow)
    copies = 3
    net = made(wide, True, output, shape, copies * shape[2])
    shares = None
    if kind != "null":
        drawn = np.random.default_rng(0).uniform(-1, 2, (copies, narrow.m)) if kind == "drawn" else np.ones((copies, 1))
        shares = np.broadcast_to(drawn / drawn.sum(axis=0), (copies, narrow.m)).ravel()
    expected = outputs(narrow, theta, X)
    embedded = placed(net, neurons(narrow, theta), shares)
    # Shares, of size 10 at most, sum to 1 up to rounding.
    assert np.allclose(outputs(net, embedded, X), expected, rtol=1e-11, atol=1e-12)
    used = np.count_nonzero(neurons(net, embedded).a[0])
    assert used == (narrow.m if kind == "null" else copies * narrow.m)


@pytest.mark.parametrize("name", ["fc", "ns", "ws"])
def test_a_network_of_one_neuron(name):
    net = architecture(name, 1, 1, 1, output_bias=True)
    theta = np.array([[0.5, -0.25, 2.0, 1.0]])
    assert outputs(net, theta, np.array([[[3.0]]])).item() == pytest.approx(2 * np.tanh(1.25) + 1, rel=1e-15)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("fc", 5, 6, 1), r"s \(kernel size\) must be a whole number in \[1, 5\], got 6"),
        (("fc", 5, 0, 1), r"s \(kernel size\) must be a whole number in \[1, inf\), got 0"),
        (("fc", 0, 1, 1), r"d \(inputs\) must be a whole number in \[1, inf\), got 0"),
        (("fc", 5, 3, 0), r"kernels \(number of kernels\) must be a whole number in \[1, inf\), got 0"),
        (("cnn", 5, 3, 1), r"unknown architecture 'cnn'.*\(one of fc, ws, ns\)"),
    ],
)
def test_bad_input_is_refused(given, message):
    with pytest.raises(InvalidInput, match=message):
        architecture(*given)


def test_a_network_that_is_too_narrow_is_refused():
    target = neurons(net := architecture("ws", 5, 3, 2), np.ones((1, net.size)))
    with pytest.raises(InvalidInput, match=r"m \(neurons of the network\) must be a whole number in \[6, inf\), got 3"):
        placed(architecture("ws", 5, 3, 1), target)
