"""Gradient descent group by group against the plain loop, which checks every neuron in every step."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest
from loops import full_batch

from smallnets.descent import _grouped_events, _grouped_steps, grouped
from smallnets.descent.grouped import Weights
from smallnets.errors import InvalidInput


def star(arms=11):
    angles = 2 * np.pi * np.arange(arms) / arms
    X = np.concatenate([r * np.column_stack([np.cos(angles), np.sin(angles)]) for r in (0.9, 1.0, 1.1)])
    return X, np.repeat([1.0, -2.0, 1.0], arms)


class Case(NamedTuple):
    """Seed, points, dimension, neurons, step size (times 2/||W||^2 on a star), steps, threshold of the loss."""

    seed: int
    n: int
    d: int
    m: int
    h: float
    steps: int
    threshold: float


CASES = {
    "star_16": Case(0, 33, 2, 16, 1, 4000, 1.0),
    "star_128": Case(1, 33, 2, 128, 5, 4000, 1.003),
    "star_1024": Case(6, 33, 2, 1024, 1, 2000, 1.001),
    "d1": Case(1, 30, 1, 40, 0.02, 4000, 0.3),
    "d4": Case(0, 70, 4, 60, 0.02, 3000, 0.1),
    "d5": Case(0, 12, 5, 60, 0.02, 3000, 0.01),
    "d16": Case(5, 50, 16, 25, 0.005, 400, 0.4),
}
each = pytest.mark.parametrize("name", CASES)


def instance(name):
    """(X, y, nu, start, h): a star without biases, as published, or general points with them."""
    seed, n, d, m, h, _, _ = CASES[name]
    rng = np.random.default_rng(seed)
    a, b, w = rng.normal(size=(m, d)), rng.normal(size=m), (2 / m) ** 0.5 * rng.normal(size=m)
    if not name.startswith("star"):
        return rng.normal(size=(n, d)), rng.normal(size=n), rng.dirichlet(np.ones(n)), Weights(a, b, w, 0.3), h
    nu = rng.multinomial(m**2 * 9, np.full(n, 1 / n)) / (9 * m**2)
    return *star(), nu, Weights(a, 0 * b, w), h * 2 / (np.sum(a**2) + np.sum(w**2))


def descend(name, **options):
    *given, h = instance(name)
    steps, threshold = CASES[name].steps, CASES[name].threshold
    return grouped.descend(
        *given, h=h, **{"steps": steps, "threshold": threshold, "schedule": range(steps + 1), **options}
    )


@each
def test_it_is_the_plain_loop(name):
    found = descend(name)
    *given, h = instance(name)
    steps = CASES[name].steps
    weights, losses, changed, below, changes = full_batch(*given, h, steps, CASES[name].threshold)
    assert np.count_nonzero(changes) >= (2 if name == "star_1024" else 5), "several neurons change their patterns"
    assert changes.sum() > 250, "and again and again"
    assert (found.changed, found.below, found.changes) == (changed, below, changes.sum())
    assert 0 < found.changed < steps
    # Both round at 1e-16 a step; the largest differences measured were 2e-12 (of losses near 1e-8) and 3e-14.
    assert found.losses == pytest.approx(losses, rel=1e-10)
    for ours, theirs in zip(found.weights, weights, strict=True):
        assert np.allclose(ours, theirs, rtol=0, atol=1e-12)
    assert (found.steps, found.loss, found.diverged) == (steps, found.losses[-1], False)


@each
def test_no_change_is_missed(name, monkeypatch):
    """The path lengths and the heap against a full check of all neurons in every step, in the same arithmetic."""
    steps = min(CASES[name].steps, 1500)
    monkeypatch.setattr(grouped, "SMALLEST_GROUP", 1)
    fast = descend(name, steps=steps)
    monkeypatch.setattr(grouped, "MOST_STEPS", 1)
    monkeypatch.setattr(grouped, "UNCHANGED", 0)
    slow = descend(name, steps=steps)
    assert (fast.changed, fast.below, fast.changes) == (slow.changed, slow.below, slow.changes)
    assert fast.changes > 100
    assert fast.losses == pytest.approx(slow.losses, rel=1e-10, nan_ok=True)


@pytest.mark.parametrize(
    ("name", "option", "value"),
    [
        ("star_16", "MOST_STEPS", 7),
        ("star_16", "LONGEST_PATH", 1e-3),
        ("star_16", "WORK", 0),
        ("star_16", "UNCHANGED", 3),
        ("star_16", "UNCHANGED", 10**9),
        ("d5", "SMALLEST_GROUP", 1),
        ("d5", "SMALLEST_GROUP", 10**9),
    ],
)
def test_when_neurons_are_grouped_does_not_matter(name, option, value, monkeypatch):
    plain = descend(name)
    monkeypatch.setattr(grouped, option, value)
    other = descend(name)
    assert (plain.changed, plain.below, plain.changes) == (other.changed, other.below, other.changes)
    assert plain.losses == pytest.approx(other.losses, rel=1e-10)


def test_a_neuron_keeps_its_pattern_while_it_is_allowed_to():
    """Steps straight at the nearest hyperplane, of any number and sizes, whose sum is all that is allowed."""
    rng = np.random.default_rng(0)
    shortest = np.inf
    for _ in range(200):
        d, n, parts = rng.integers(1, 6), rng.integers(1, 9), rng.integers(1, 30)
        lifted = np.column_stack([rng.normal(size=(n, d)), np.ones(n)])
        norms = np.linalg.norm(lifted, axis=1)
        points = _grouped_steps.Points(np.ascontiguousarray(lifted.T), np.zeros(n), np.zeros(n), norms)
        start = rng.normal(size=(1, d + 2)) * 10.0 ** rng.uniform(-3, 3, size=d + 2)
        active, allowed = np.empty((1, n)), np.empty(1)
        _grouped_events.check_all(start, points, active, allowed)
        sizes = rng.dirichlet(np.ones(parts))
        for j in range(n):
            for fraction in (1.0, 1.1, 2.0):
                theta, w, kept = start[0, :-1], start[0, -1], True
                for size in sizes * fraction * allowed[0]:
                    v = -size * np.sign(w) * np.sign(lifted[j] @ theta) * lifted[j] / norms[j]
                    theta, w = theta + w * v, w + v @ theta
                    kept = kept and ((lifted @ theta > 0) == active[0]).all()
                assert kept or fraction > 1
                if not kept:
                    shortest = min(shortest, fraction)
    assert shortest == 1.1, "and some would change a little later"


def test_it_stops_when_both_events_have_happened():
    all_of_it = descend("star_16")
    stopped = descend("star_16", stop=True, schedule=[0, 10**6, all_of_it.below, 1])
    assert stopped.steps == max(all_of_it.changed, all_of_it.below) == all_of_it.below
    assert stopped.losses[[0, 3, 2]] == pytest.approx(all_of_it.losses[[0, 1, all_of_it.below]], rel=1e-12)
    assert np.isnan(stopped.losses[1])
    assert stopped.loss == stopped.losses[2]
    never = descend("star_16", stop=True, threshold=0.0)
    assert (never.steps, never.below) == (CASES["star_16"].steps, -1)


def test_no_step_at_all():
    X, y, nu, start, h = instance("d5")
    none = grouped.descend(X, y, nu, start, h=h, steps=0, threshold=1e9, stop=True, schedule=[0])
    assert (none.steps, none.changed, none.below, none.changes) == (0, -1, 0, 0)
    assert none.loss == pytest.approx(0.5 * nu @ (start(X) - y) ** 2, rel=1e-14)
    assert all(np.array_equal(ours, given) for ours, given in zip(none.weights, start, strict=True))


def test_a_neuron_that_is_active_nowhere_stays():
    X, y, nu, start, h = instance("star_16")
    a, b = start.a.copy(), start.b.copy()
    a[:3], b[:2] = [[0.1, 0], [0, 0], [0, 0]], [-1, 0]
    found = grouped.descend(X, y, nu, start._replace(a=a, b=b), h=h, steps=500)
    for part, given in zip(found.weights[:3], (a, b, start.w), strict=True):
        assert np.array_equal(part[:3], given[:3])
        assert not np.array_equal(part, given)


@pytest.mark.parametrize("m", [1, 2])
def test_a_network_whose_neurons_are_all_free(m, monkeypatch):
    """One neuron between two points that push it back and forth: no group is left when they are grouped anew."""
    monkeypatch.setattr(grouped, "MOST_STEPS", 50)
    X, y, nu = np.array([[1.0], [2.0]]), np.array([1.0, -3.0]), np.array([0.5, 0.5])
    start = Weights(np.full((m, 1), 1.0), np.full(m, -1.5), np.full(m, 1.0))
    found = grouped.descend(X, y, nu, start, h=0.3, steps=5000, schedule=range(5001))
    _, losses, changed, _, changes = full_batch(X, y, nu, start, 0.3, 5000)
    assert changes.sum() > 0
    assert (found.changed, found.changes) == (changed, changes.sum())
    assert found.losses == pytest.approx(losses, rel=1e-10, abs=1e-25)


@pytest.mark.parametrize("h", [0.5, 1e3, 1e300])
def test_divergence_is_reported(h):
    X, y, nu, start, _ = instance("d4")
    found = grouped.descend(X, y, nu, start, h=h, steps=1000, schedule=range(1001))
    with np.errstate(all="ignore"):
        _, losses, *_ = full_batch(X, y, nu, start, h, found.steps)
    assert found.diverged
    assert not np.isfinite(losses[-1])
    finite = np.isfinite(losses) & (losses < 1e200)
    assert found.losses[: len(losses)][finite] == pytest.approx(losses[finite], rel=1e-9)
    assert np.isnan(found.losses[found.steps + 1 :]).all()


@pytest.mark.parametrize("shape", [(60, 7), (200, 64), (200, 65), (90, 130), (0, 5), (5, 0), (1, 1)])
def test_unique_rows_are_found(shape):
    rng = np.random.default_rng(0)
    rows = (rng.random(shape) < 0.5).astype(float)
    rows = rows[rng.integers(0, max(len(rows) // 3, 1), len(rows))]
    first, number = grouped._unique_rows(rows)
    assert np.array_equal(rows[first][number], rows)
    assert len(first) == len({row.tobytes() for row in rows})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"X": np.ones(3)}, r"X \(inputs\) must be an array of shape \(n, d\) = \(any, any\), got \(3,\)"),
        ({"X": np.full((12, 5), np.inf)}, r"X \(inputs\) must be finite, got 60 of 60 entries that are not"),
        ({"y": np.ones(11)}, r"y \(labels\) must be an array of shape \(n,\) = \(12,\), got \(11,\)"),
        ({"shares": np.ones((12, 1))}, r"shares \(shares of the points\) must be an array of shape"),
        (
            {"shares": -np.ones(12)},
            r"shares \(shares of the points\) must hold numbers in \[0, inf\), got entries from",
        ),
        (
            {"start": Weights(np.ones((3, 4)), np.ones(3), np.ones(3))},
            r"start.a \(hidden weights\) must be an array of shape",
        ),
        (
            {"start": Weights(np.ones((3, 5)), np.ones(2), np.ones(3))},
            r"start.b \(biases\) must be an array",
        ),
        (
            {"start": Weights(np.ones((3, 5)), np.ones(3), np.full(3, np.nan))},
            r"start.w \(output weights\) must be f",
        ),
        (
            {"start": Weights(np.ones((0, 5)), np.ones(0), np.ones(0))},
            r"start.a \(hidden weights\) must be an array of shape",
        ),
        (
            {"start": Weights(np.ones((3, 5)), np.ones(3), np.ones(3), np.inf)},
            r"start.c \(offset\) must be a number",
        ),
        ({"h": 0.0}, r"h \(step size\) must be a number in \(0, inf\), got 0.0"),
        ({"h": np.nan}, r"h \(step size\) must be a number in \(0, inf\), got nan"),
        ({"steps": -1}, r"steps \(maximum number of steps\) must be a whole number in \[0, inf\), got -1"),
        ({"steps": 1.5}, r"steps \(maximum number of steps\) must be a whole number"),
    ],
)
def test_bad_input_is_refused(change, message):
    X, y, nu, start, h = instance("d5")
    given = {"X": X, "y": y, "shares": nu, "start": start, "h": h, "steps": 1, **change}
    with pytest.raises(InvalidInput, match=message):
        grouped.descend(**given)
