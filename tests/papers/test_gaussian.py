"""Closed-form expectations of pairs of ReLU neurons against quadrature, other formulas and samples."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import integrate
from scipy.special import ndtr
from scipy.stats import norm
from test_matrix_rule import nets, unit

from neurec_papers.multilayer_dynamics import theory
from neurec_papers.multilayer_dynamics.engine.matrix_ascent import Method, ascend
from neurec_papers.multilayer_dynamics.theory import moments, orthant, population, single


def tensor(array):
    return torch.tensor(np.asarray(array, dtype=float))


def at(a, b, rho):
    return orthant(*(tensor([[v]]) for v in (a, b, rho))).item()


def by_quadrature(a, b, rho):
    """Phi2 as the integral over one of the two."""
    r = np.sqrt((1 - rho) * (1 + rho))
    turn = [v for v in (b / rho if rho else 0.0, -1.0, 0.0) if -9 < v < a]
    f = lambda x: norm.pdf(x) * ndtr((b - rho * x) / r)  # noqa: E731
    return integrate.quad(f, -9, a, epsabs=1e-13, epsrel=1e-12, limit=500, points=turn or None)[0]


def neurons(n, d, seed, bias=0.5, B=1):
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((B, d + 1, n))
    W[:, -1] *= bias
    return tensor(W)


@pytest.mark.parametrize("kind", [torch.float32, torch.float64])
@pytest.mark.parametrize("rho", [0.5, 0.95, -0.95, 0.9999])
def test_orthants_far_away_are_finite(kind, rho):
    for a, b in [(40.0, -40.0), (-40.0, 40.0), (200.0, -3.0), (30.0, 30.0), (-30.0, -30.0)]:
        found = orthant(*(torch.tensor([[v]], dtype=kind) for v in (a, b, rho))).item()
        # So far out one of the two decides; what is left is below single precision.
        assert found == pytest.approx(ndtr(min(a, b)) if max(a, b) > 0 else 0.0, abs=1e-6)


@pytest.mark.parametrize("rho", [0.0, 0.3, -0.7, 0.899, 0.901, -0.95, 0.999, -0.9999])
def test_orthants_are_those_of_quadrature(rho):
    rng = np.random.default_rng(0)
    for a, b in [*rng.normal(size=(10, 2)), (0.5, 0.5), (0.3, 0.3001), (-0.4, 0.4), (0.0, 0.0)]:
        # The quadrature is asked for 1e-13, and is a little worse where its integrand is steep.
        assert at(a, b, rho) == pytest.approx(by_quadrature(a, b, rho), rel=0, abs=1e-11)


def test_orthants_at_the_ends():
    assert at(0.0, 0.0, 1 - 1e-15) == pytest.approx(0.5, abs=1e-8)  # the angle there is 4e-8
    assert at(0.3, 0.5, 1 - 1e-15) == pytest.approx(ndtr(0.3), abs=1e-15)
    assert at(0.3, -0.5, -1 + 1e-15) == pytest.approx(0.0, abs=1e-15)
    assert at(0.3, 0.5, -1 + 1e-15) == pytest.approx(ndtr(0.3) + ndtr(0.5) - 1, abs=1e-15)


def pair_by_quadrature(w, v, what):
    """D, K or M of two neurons: given the first pre-activation, the second is a single normal."""
    (s, a), (t, b) = ((np.linalg.norm(u[:-1]), u[-1] / np.linalg.norm(u[:-1])) for u in (w, v))
    rho = w[:-1] @ v[:-1] / s / t
    r = np.sqrt(1 - rho**2)

    def inner(x):
        mean = (b + rho * x) / r
        gate, up = ndtr(mean), r * t * (mean * ndtr(mean) + norm.pdf(mean))
        return {"D": gate, "K": s * (a + x) * up, "M": up}[what] * norm.pdf(x)

    return integrate.quad(inner, -a, 12, epsabs=1e-13, epsrel=1e-12, limit=200)[0]


@pytest.mark.parametrize("what", ["D", "K", "M"])
def test_moments_are_those_of_quadrature(what):
    W, V = neurons(4, 3, 0), neurons(5, 3, 1)
    found = getattr(moments(W, V), what)[0].numpy()
    for j in range(4):
        for k in range(5):
            wanted = pair_by_quadrature(W[0, :, j].numpy(), V[0, :, k].numpy(), what)
            assert found[j, k] == pytest.approx(wanted, rel=1e-11, abs=1e-12)


def test_derivatives_with_respect_to_biases():
    W, V = neurons(4, 3, 0), neurons(5, 3, 1)
    step = 1e-5
    found = moments(W, V)
    up, down = W.clone(), W.clone()
    up[:, -1] += step
    down[:, -1] -= step
    # dK/db_j = M and dM/db_j = P; central differences are good to step^2 and 1e-16/step.
    for higher, lower in (("K", "M"), ("M", "P")):
        difference = (getattr(moments(up, V), higher) - getattr(moments(down, V), higher)) / (2 * step)
        assert torch.allclose(difference, getattr(found, lower), rtol=0, atol=1e-9)


def test_a_neuron_with_itself():
    W = neurons(4, 3, 0)
    s = W[0, :-1].norm(dim=0)
    a = W[0, -1] / s
    own, found = single(W), [torch.diagonal(part[0]) for part in moments(W, W)]
    z_squared = s**2 * ((a**2 + 1) * torch.special.ndtr(a) + a * theory.phi(a))
    # The angle of equal neurons comes out as 1e-8, the root of what rounding leaves of 1 - rho^2.
    for ours, wanted in zip(found, (own.gate[0], z_squared, own.mean[0], 0 * a), strict=True):
        assert torch.allclose(ours, wanted, rtol=0, atol=1e-7)


def test_without_biases_the_short_formulas_are_the_same():
    W, V = neurons(4, 3, 0, bias=0.0), neurons(5, 3, 1, bias=0.0)
    for short, full in zip(moments(W, V, biased=False), moments(W, V), strict=True):
        assert torch.allclose(short, full, rtol=0, atol=1e-14)


def loss(student, teacher):
    """1/2 E|y* - y|^2 from K and means."""
    (W, V), (others, outer) = student, teacher
    every = torch.cat([W, others], dim=2)
    signed = torch.cat([V[:, :-1], -outer[:, :-1]], dim=1)
    offset = (V[:, -1:] - outer[:, -1:])[:, 0]
    mean = torch.bmm(single(every).mean[:, None], signed)[:, 0]
    squares = (signed * torch.bmm(moments(every, every).K, signed)).sum((1, 2))
    return (0.5 * (squares + 2 * (mean * offset).sum(1) + (offset**2).sum(1))).sum()


@pytest.mark.parametrize("bias", [0.0, 0.6])
def test_the_population_gradient_is_that_of_the_expected_loss(bias):
    student, teacher = ([neurons(n, 3, s, bias), neurons(2, n, s + 1, bias)] for n, s in ((5, 0), (3, 7)))
    found = population(student, teacher)
    # A tape's gradient is no number where a neuron meets itself; central differences of the loss are good to 1e-9.
    step, rng = 1e-5, np.random.default_rng(0)
    for layer in (0, 1):
        for _ in range(20):
            i, j = (rng.integers(size) for size in student[layer].shape[1:])
            sides = []
            for sign in (1, -1):
                moved = [W.clone() for W in student]
                moved[layer][0, i, j] += sign * step
                sides.append(loss(moved, teacher))
            slope = ((sides[0] - sides[1]) / (2 * step)).item()
            assert found[layer][0, i, j].item() == pytest.approx(slope, rel=0, abs=2e-7)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_population_steps_learn_and_do_not_depend_on_those_beside_them(dtype):
    teacher = nets(3, (6, 4, 5), 1)
    start = [unit(W + 0.3 * noise) for W, noise in zip(teacher, nets(3, (6, 4, 5), 2), strict=True)]
    method, options = Method("population", 0.2), {"steps": 100, "dtype": dtype}
    end = ascend(teacher, start, (), method, **options)
    first, last = (loss([tensor(W) for W in net], [tensor(V) for V in teacher]) for net in (start, end.weights))
    assert 0 < last < first / 10
    for b in range(3):
        alone = ascend(*([W[b : b + 1] for W in net] for net in (teacher, start)), (), method, **options)
        # To the bit, on one machine.
        assert all(np.array_equal(a[0], w[b]) for a, w in zip(alone.weights, end.weights, strict=True))


def test_population_without_biases_keeps_them_zero():
    teacher, start = (
        [unit(W * (np.arange(W.shape[1]) < W.shape[1] - 1)[:, None]) for W in nets(2, sizes, 3)]
        for sizes in ((6, 4, 3), (6, 8, 3))
    )
    still, moved = (ascend(teacher, start, (), Method("population", 0.1, b), steps=5) for b in (False, True))
    assert not any(W[:, -1].any() for W in still.weights)
    assert np.abs(moved.weights[0][:, -1]).max() > 1e-3
