"""The torch engine: rules against torch's optimisers, one network at a time; networks that end; sums of ReLU units."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
import torch

from smallnets.descent import training
from smallnets.descent.optimizers import adam, adamw, gd
from smallnets.errors import InvalidInput

B, N, D, STEPS, RATE = 3, 8, 2, 25, 0.02
RULES = {
    "gd": (gd(), lambda p: torch.optim.SGD(p, lr=RATE)),
    "momentum": (gd(0.7, 0.1), lambda p: torch.optim.SGD(p, lr=RATE, momentum=0.7, weight_decay=0.1)),
    "adam": (adam(0.1), lambda p: torch.optim.Adam(p, lr=RATE, weight_decay=0.1)),
    "adamw": (adamw(0.1), lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1)),
    "recreated": (adamw(0.1, recreated=True), lambda p: torch.optim.AdamW(p, lr=RATE, weight_decay=0.1)),
}


class Line(NamedTuple):
    slope: torch.Tensor
    intercept: torch.Tensor


def loss(line, X, y):
    f = (X * line.slope[:, None]).sum(2) + line.intercept
    return (f.sin() - y).square().mean(1)


def instance():
    rng = np.random.default_rng(0)
    parts = (rng.standard_normal(shape) for shape in ((B, D), (B, 1), (B, N, D), (B, N)))
    slope, intercept, X, y = map(torch.tensor, parts)
    return Line(slope, intercept), X, y


def course(line, X, y, rule=None, **options):
    """Minibatches of five and three points, three epochs, the last with half the step."""
    batches = [(X[:, :5], y[:, :5]), (X[:, 5:], y[:, 5:])]
    return list(
        training.train(loss, line, [(batches, RATE), (batches, RATE), (batches, RATE / 2)], rule or gd(), **options)
    )


@pytest.mark.parametrize("name", RULES)
def test_a_rule_is_what_torch_does(name):
    rule, made = RULES[name]
    start, X, y = instance()
    line = Line(*(part.clone() for part in start))
    (progress,) = training.train(loss, line, [([(X, y)] * STEPS, RATE)], rule)
    assert progress.losses.shape == (B, STEPS)
    for b in range(B):
        alone = Line(*(part[b : b + 1].clone().requires_grad_() for part in start))
        optimizer = made(alone)
        for t in range(STEPS):
            if name == "recreated":
                optimizer = made(alone)
            optimizer.zero_grad()
            found = loss(alone, X[b : b + 1], y[b : b + 1]).sum()
            assert progress.losses[b, t] == pytest.approx(found.item(), rel=1e-12)
            found.backward()
            optimizer.step()
        for part, own in zip(line, alone, strict=True):
            # 25 steps in double precision, products in another order.
            assert torch.allclose(part[b], own[0], rtol=0, atol=1e-12)


def test_only_what_learns_moves_and_what_comes_after_is_done_after_every_step():
    line, X, y = instance()
    slope, seen = line.slope.clone(), []
    course(line, X, y, learning=[line.intercept], after=lambda line: seen.append(line.intercept.clone()))
    assert torch.equal(line.slope, slope)
    assert len(seen) == 6
    assert torch.equal(seen[-1], line.intercept)


def test_what_is_no_gradient_is_followed_all_the_same():
    line, X, y = instance()
    start = Line(*(part.clone() for part in line))

    def towards_zero(line, X, y):
        return (X[:, :, 0] * y).sum(1), [part / X.shape[1] for part in line]

    batches = [(X[:, :5], y[:, :5]), (X[:, 5:], y[:, 5:])]
    (progress,) = training.follow(towards_zero, line, [(batches, RATE)], gd())
    sums = [(X[:, some, 0] * y[:, some]).sum(1) for some in (slice(5), slice(5, N))]
    assert np.array_equal(progress.losses, torch.stack(sums, 1).numpy())
    for part, before in zip(line, start, strict=True):
        assert torch.allclose(part, before * (1 - RATE / 5) * (1 - RATE / 3), rtol=1e-14, atol=0)


@pytest.mark.parametrize("rule", [gd(0.9, 0.1), adam(0.1), adamw(0.1)])
def test_a_network_that_has_ended_stays_as_it_is_and_harms_no_other(rule):
    start, X, y = instance()
    y[1], y[2] = np.nan, y[2] + 10
    calm, stopped = (Line(*(part.clone() for part in start)) for _ in range(2))
    (free,) = training.train(loss, calm, [([(X, y)] * STEPS, RATE)], rule)
    least = free.losses[0, 7]  # what network 0 first reaches before its eighth step
    assert (free.losses[0, :7] > least).all(), "or the test shows nothing"
    assert free.losses[2].min() > least, "or the test shows nothing"
    (ends,) = training.train(loss, stopped, [([(X, y)] * STEPS, RATE)], rule, tolerance=least * 1.0001)
    assert ends.ended.tolist() == [7, 0, -1]
    assert (ends.losses[0, 7:] == least).all()
    assert all(torch.equal(part[1], before[1]) for part, before in zip(stopped, start, strict=True))
    assert all(torch.equal(part[2], other[2]) for part, other in zip(stopped, calm, strict=True))


def test_units_are_filled_up_to_whole_vectors():
    weights = np.arange(2.0 * 3 * 17).reshape(2, 3, 17)
    filled = training.filled(weights)
    assert filled.shape == (2, 3, 32)
    assert np.array_equal(filled[..., :17], weights)
    assert not filled[..., 17:].any()


def test_bad_numbers_are_refused():
    line, X, y = instance()
    with pytest.raises(
        InvalidInput, match=r"tolerance \(loss below which a network ends\) must be a number in \[0, inf\)"
    ):
        course(line, X, y, tolerance=-1.0)
    for rule in (gd, adam, adamw):
        with pytest.raises(InvalidInput, match=r"weight_decay \(pull to zero\) must be a number in \[0, inf\), got -1"):
            rule(weight_decay=-1.0)
