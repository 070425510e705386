"""Compiled training of nets with one input against the published step, written plainly, and against a tape."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.params import BadInput
from neurec_papers.inconsistency.engine import neurons
from neurec_papers.inconsistency.engine.neurons import Neurons, Points
from smallnets.errors import InvalidInput

SIX = np.array([-1.0, -2.0, -3.0, 1.0, 2.0, 3.0])
LABELS = np.array([-1.0, 2.0, -1.0, 1.0, -2.0, 1.0])
DATA = Points(SIX, LABELS)
OPTIMIZERS = list(neurons.OPTIMIZERS)
each_optimizer = pytest.mark.parametrize("optimizer", OPTIMIZERS)


def start(B=3, m=20, bias=1.0, seed=0):
    rng = np.random.default_rng(seed)
    a, b, w = (rng.standard_normal((B, m)) for _ in range(3))
    return Neurons(np.sqrt(2) * a, bias * b, np.sqrt(2 / m) * w, np.zeros(B))


def points(n, B=3, seed=1):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((B, n)), rng.standard_normal((B, n)), rng.dirichlet(np.ones(n), B)


def gradient(net, x, y, nu, loss_scale, scales):
    """Of one net, by loops over all pairs, as matrices."""
    a, b, w, c = net
    inner, outer = scales
    z = inner * a * x[:, None] + b
    active = z >= 0
    f = outer * np.where(active, z, 0) @ w + c
    r = 2 * loss_scale * nu * (f - y)
    return (
        outer * inner * w * (active * (r * x)[:, None]).sum(0),
        outer * w * (active * r[:, None]).sum(0),
        outer * (np.where(active, z, 0) * r[:, None]).sum(0),
        r.sum(),
    )


def published(net, x, y, nus, rate, optimizer="gd", loss_scale=0.5, scales=(1.0, 1.0)):
    """One net, all four blocks from the old parameters; a row of nus is a step. Returns weights and kinks by step."""
    net = [np.array(part) for part in net]
    first, second = ([np.zeros_like(part) for part in net] for _ in range(2))
    history, kinks = [[np.copy(part) for part in net]], [0.0]
    for t, nu in enumerate(nus, start=1):
        for i, g in enumerate(gradient(net, x, y, nu, loss_scale, scales)):
            if optimizer == "gd":
                net[i] = net[i] - rate * g
            elif optimizer == "momentum":
                first[i] = 0.9 * first[i] + g
                net[i] = net[i] - rate * first[i]
            else:
                first[i] = 0.9 * first[i] + 0.1 * g
                second[i] = 0.999 * second[i] + 0.001 * g**2
                size, root = first[i] / (1 - 0.9**t), np.sqrt(second[i] / (1 - 0.999**t))
                net[i] = net[i] - rate * size / (root + 1e-8)
        history.append([np.copy(part) for part in net])
        with np.errstate(divide="ignore"):
            kinks.append(max(kinks[-1], np.abs(net[1] / (scales[0] * net[0])).max()))
    return history, kinks


def close(found, wanted, tolerance):
    return all(
        np.abs(f - w).max() <= tolerance * max(1e-3, np.abs(w).max()) for f, w in zip(found, wanted, strict=True)
    )


def net_of(many, b):
    return [part[b] for part in many]


def test_hundreds_of_neurons_change_the_points_they_are_active_on():
    """The published step for 2000 steps, random biases and shares, in dimensions of the paper's comparison."""
    nets, (x, y, nu) = start(1, 300), points(128, 1)
    steps = 2000
    run = neurons.advance(neurons.begin(nets), Points(x, y, nu), steps=steps, rate=0.02)
    history, _ = published(net_of(nets, 0), x[0], y[0], np.broadcast_to(nu[0], (steps, 128)), 0.02)
    patterns = [net[0] * x[0][:, None] + net[1] >= 0 for net in (history[0], history[-1])]
    assert (patterns[0] != patterns[1]).any(axis=0).sum() > 100, "the case is a hard one"
    assert close(net_of(run.neurons, 0), history[-1], 1e-11)


@each_optimizer
def test_every_optimiser_is_the_plain_one(optimizer):
    nets, (x, y, _) = start(), points(17)
    nus = np.random.default_rng(5).dirichlet(np.ones(17), (3, 300))
    begun, options = neurons.begin(nets, scales=(1.3, 0.4)), {"optimizer": optimizer, "scales": (1.3, 0.4)}
    run = neurons.advance(begun, Points(x, y, 2 * nus), steps=300, rate=0.01, optimizer=optimizer)
    for b in range(3):
        history, kinks = published(net_of(nets, b), x[b], y[b], nus[b], 0.01, loss_scale=1.0, **options)
        assert close(net_of(run.neurons, b), history[-1], 1e-11)
        # The largest kink has the smallest slope, whose relative error is the largest.
        assert run.kink[b] == pytest.approx(kinks[-1], rel=1e-9)


@each_optimizer
def test_blocks_are_one_run(optimizer):
    nets, (x, y, nu) = start(), points(8)
    given, options = Points(x, y, nu), {"rate": 0.02, "optimizer": optimizer, "reach": 2.0}
    whole = neurons.advance(neurons.begin(nets), given, steps=97, **options)
    run = neurons.begin(nets)
    for steps in (1, 0, 50, 46):
        run = neurons.advance(run, given, steps=steps, **options)
    # To the bit: moments, bias corrections and records are carried; shots are those of the last call.
    assert all(np.array_equal(p, q) for p, q in zip(run[:-2], whole[:-2], strict=True))


def test_what_is_advanced_is_not_changed():
    run = neurons.begin(start())
    before = run.theta.copy()
    neurons.advance(run, DATA, steps=5, rate=0.1, optimizer="adam", reach=0.0)
    assert np.array_equal(run.theta, before)
    assert not run.first.any()
    assert (run.reached == -1).all()


@each_optimizer
@pytest.mark.parametrize("m", [1, 7, 16, 67])
def test_a_net_does_not_depend_on_those_beside_it(optimizer, m):
    nets, (x, y, nu) = start(5, m), points(10, 5)
    options = {"steps": 60, "optimizer": optimizer, "snapshots": [0, 7]}
    rates = np.linspace(0.01, 0.05, 5)
    together = neurons.advance(neurons.begin(nets), Points(x, y, nu), rate=rates, **options)
    for b in range(5):
        one = np.array([b])
        alone = neurons.advance(
            neurons.begin(Neurons(*(part[one] for part in nets))),
            Points(x[one], y[one], nu[one]),
            rate=rates[b],
            **options,
        )
        # To the bit: the order of the sums is fixed by m and n.
        assert all(np.array_equal(p, q) for p, q in zip(alone, together.pick(one), strict=True))


def test_snapshots_are_the_weights_at_their_steps():
    nets = start(bias=0.0)
    run = neurons.advance(neurons.begin(nets), DATA, steps=10, rate=0.05)
    at = [10, 11, 40, 60]
    run = neurons.advance(run, DATA, steps=50, rate=0.05, snapshots=at)
    for b in range(3):
        history, _ = published(net_of(nets, b), SIX, LABELS, np.full((60, 6), 1 / 6), 0.05)
        for s, step in enumerate(at):
            assert close([part[b, s] for part in run.snapshots], history[step], 1e-12)
    assert run.snapshots.a.shape == (3, 4, 20)
    assert np.array_equal(run.snapshots.c[:, -1], run.neurons.c)


def test_the_step_at_which_a_kink_first_reached_is_noted():
    nets = start(bias=0.0, B=6)
    reach = 0.3
    run = neurons.advance(neurons.begin(nets), DATA, steps=400, rate=0.02, reach=reach)
    noted = []
    for b in range(6):
        _, kinks = published(net_of(nets, b), SIX, LABELS, np.full((400, 6), 1 / 6), 0.02)
        noted.append(next((t for t, kink in enumerate(kinks) if kink >= reach), -1))
    assert run.reached.tolist() == noted
    assert max(noted) > -1, "some do"


def test_a_neuron_without_slope_is_active_everywhere_or_nowhere():
    nets = Neurons(np.array([[0.0, -0.0, 0.0, 1.0]]), np.array([[0.5, -0.5, 0.0, 0.2]]), np.ones((1, 4)), np.ones(1))
    run = neurons.advance(neurons.begin(nets), DATA, steps=1, rate=0.1)
    history, _ = published(net_of(nets, 0), SIX, LABELS, np.full((1, 6), 1 / 6), 0.1)
    assert close(net_of(run.neurons, 0), history[-1], 1e-13)
    assert run.neurons.a[0, 1] == 0
    stays = Neurons(*(part[:, :1] if part.ndim == 2 else part for part in nets))
    assert neurons.advance(neurons.begin(stays), DATA, steps=1, rate=0.0).kink[0] == np.inf


def test_a_pre_activation_of_zero_counts_as_active():
    """A point at 0 and no bias: the neuron sees the residual there; torch's does not."""
    nets = Neurons(np.ones((1, 1)), np.zeros((1, 1)), np.ones((1, 1)), np.zeros(1))
    run = neurons.advance(neurons.begin(nets), Points(np.zeros(1), np.ones(1)), steps=1, rate=0.5)
    assert run.neurons.b[0, 0] == 0.5


def test_a_net_that_diverges_is_reported_and_harms_no_other():
    nets = start(bias=0.0)
    rates = np.array([0.02, 50.0, 0.02])
    run = neurons.advance(neurons.begin(nets), DATA, steps=500, rate=rates, snapshots=[0, 500])
    assert run.diverged[[0, 2]].tolist() == [-1, -1]
    assert 0 < run.diverged[1] < 500
    assert np.isnan(run.snapshots.a[1, 1]).all()
    assert np.isfinite(run.snapshots.a[1, 0]).all()
    again = neurons.advance(run, DATA, steps=10, rate=rates)
    assert again.diverged[1] == run.diverged[1]
    assert np.array_equal(again.theta[1], run.theta[1])
    assert np.isfinite(neurons.outputs(run.neurons, SIX)).all(axis=1)[[0, 2]].all()
    alone = neurons.advance(run.pick(np.array([0, 2])), DATA, steps=10, rate=0.02)
    assert np.array_equal(again.theta[[0, 2]], alone.theta)


def test_outputs_are_those_of_the_net():
    nets, (x, _, _) = start(4, 33), points(40, 4)
    inner, outer = 1.3, 0.7
    z = inner * nets.a[:, None] * x[:, :, None] + nets.b[:, None]
    plain = nets.c[:, None] + outer * np.einsum("bnm,bm->bn", np.maximum(z, 0), nets.w)
    for given in (x, np.sort(x, axis=1)):
        f = neurons.outputs(nets, given, scales=(inner, outer))
        order = np.argsort(x, axis=1) if given is not x else np.tile(np.arange(40), (4, 1))
        assert np.allclose(f, np.take_along_axis(plain, order, axis=1), rtol=0, atol=1e-12)
    assert neurons.outputs(nets, SIX).shape == (4, 6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "sgd"}, "unknown optimizer 'sgd'"),
        ({"steps": -1}, r"steps \(how many to take\) must be a whole number in \[0, inf\), got -1"),
        (
            {"points": Points(np.ones((2, 6)), LABELS)},
            r"points.x \(points\) must be an array of shape \(n,\) or \(B, n\) = \(3, any\), got \(2,",
        ),
        (
            {"points": Points(SIX, np.ones(5))},
            r"points.y \(labels\) must be an array of shape \(n,\) or \(B, n\) = \(6,\), got \(5,\)",
        ),
        (
            {"points": Points(SIX, np.full(6, np.nan))},
            r"points.y \(labels\) must be finite, got 6 of 6 entries that are not",
        ),
        (
            {"points": Points(SIX, LABELS, np.ones((3, 2, 6)))},
            r"points.shares \(shares of the points\) must be .* = \(3, 4, 6\), got \(3, 2, 6\)",
        ),
        ({"rate": np.ones(2)}, r"rate \(step size\) must be an array of shape \(\) or \(B,\) = \(3,\), got \(2,\)"),
        ({"reach": np.nan}, r"reach \(x_D\) must hold numbers in \[0, inf\], got entries from nan"),
        (
            {"snapshots": [3, 3]},
            r"snapshots \(steps to note\) must be whole numbers that ascend from 0 on, got \[3,",
        ),
        ({"snapshots": [5]}, r"snapshots \(steps to note\) must ascend in \[0, 4\], got \[5\]"),
    ],
)
def test_bad_input_is_refused(change, message):
    given = {"points": DATA, "steps": 4, "rate": 0.1, **change}
    with pytest.raises((BadInput, InvalidInput), match=message):
        neurons.advance(neurons.begin(start()), **given)


def test_nets_that_do_not_fit_together_are_refused():
    nets = start()
    with pytest.raises(InvalidInput, match=r"b \(biases\) must be .* \(B, m\) = \(3, 20\), got \(3, 19\)"):
        neurons.begin(nets._replace(b=nets.b[:, 1:]))
    with pytest.raises(InvalidInput, match=r"c \(output biases\) must be finite"):
        neurons.begin(nets._replace(c=np.full(3, np.inf)))
