"""The Monte-Carlo experiment's training: by side for gradient descent and minibatches, neuron by neuron for Adam."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from smallnets.descent.certificate import largest_step, roots
from smallnets.descent.lanes import Checks
from smallnets.descent.lives import Follower, Lives, Minibatches, Points, hull, live
from smallnets.descent.sides import Neurons, Outcome, Sides, gather, split

from . import initial, published
from . import neurons as neurons_
from .setting import MovementExponents, Training, sample

# (network, step) -> how often each point is drawn in each step up to the next check, (interval, 6).
Counts = Callable[[int, int], np.ndarray]

PATIENCE = 10
BATCH = 16


def train(params: Training, problem: Problem, draws: Draws) -> tuple[Lives, np.ndarray]:
    """Outcome and steps of each network, and the step sizes."""
    if params.optimizer == "gd":
        return _by_side(params, problem, draws, None)
    if params.rng == "published":
        found = [_of_task(params, *published.place(params.m, trial)) for trial in draws.trials]
        return Lives(*(np.array(part) for part in list(zip(*found, strict=True))[:3])), np.array([f[3] for f in found])
    return TRAINED[params.optimizer](params, problem, draws, by_address(params, problem, draws))


def _by_side(params: Training, problem: Problem, draws: Draws, counts: Counts | None) -> tuple[Lives, np.ndarray]:
    points = split(problem.X[:, :, 0], problem.y, shares(problem))
    neurons = initial.neurons(params, draws)
    h = step_size(params, points, neurons)
    watched = params.criterion in ("early_stopping", "both")
    validation = split(problem.X[:, :, 0], problem.y, initial.shares(params, draws, "validation")) if watched else None
    checks = Checks(
        params.interval, params.limit, params.criterion in ("sufficient", "both"), params.constant == "sharp",
        PATIENCE if watched else 0,
    )  # fmt: skip
    if counts is None:
        return live(points, neurons, h, checks, validation), h
    return live(points, neurons, h, checks, validation, in_moments(problem, counts)), h


def _by_neuron(params: Training, problem: Problem, draws: Draws, counts: Counts) -> tuple[Lives, np.ndarray]:
    """Adam gives every weight a step size of its own, so that neurons of a side part ways: each is followed."""
    x, y, B = problem.X[:, :, 0], problem.y, len(draws)
    a, w = initial.weights(params, draws)
    h = step_size(params, split(x, y, shares(problem)), gather(a, w))
    validation = initial.shares(params, draws, "validation")
    ends = Lives(np.zeros(B, np.int64), np.zeros(B, np.int64), np.full(B, -1))
    best, wait = np.full(B, np.inf), np.zeros(B, int)
    run, who = neurons_.begin(neurons_.Neurons(a, np.zeros_like(a), w, np.zeros(B))), np.arange(B)
    while len(who):
        nu = np.stack([counts(b, run.step) / BATCH for b in who.tolist()])
        run = neurons_.advance(
            run, x[who], y[who], steps=params.interval, rate=h[who], weights=nu, optimizer="adam",
            reach=np.abs(x[who]).min(1),
        )  # fmt: skip
        ends.steps[who], ends.left[who] = run.step, run.reached
        loss = (validation[who] * (y[who] - neurons_.outputs(run.neurons, x[who])) ** 2).sum(1)
        better = loss < best[who] - 1e-8
        wait[who] = np.where(better, 0, wait[who] + 1)
        best[who] = np.where(better, loss, best[who])
        if params.criterion == "early_stopping":
            ends.outcome[who[wait[who] >= PATIENCE]] = Outcome.STOPPED
        ends.outcome[who[run.reached >= 0]] = Outcome.CROSSED
        ends.outcome[who[(run.diverged >= 0) & (run.reached < 0)]] = Outcome.DIVERGED
        left = (ends.outcome[who] == Outcome.UNFINISHED) & (run.step < params.limit)
        run, who = run.pick(left), who[left]
    return ends, h


TRAINED = {"sgd": _by_side, "adam": _by_neuron}


def _of_task(params: Training, number: int, i: int) -> tuple[int, int, int, float]:
    lives, h = _whole_task(params, number)
    return lives.outcome[i], lives.steps[i], lives.left[i], h[i]


@lru_cache(maxsize=2)
def _whole_task(params: Training, number: int) -> tuple[Lives, np.ndarray]:
    """All networks of a published task: their minibatches come from one stream, which all draw from in turn."""
    _, first, nets = published.tasks()[params.m][number]
    draws = Draws(0, range(first, first + nets))
    problem = sample(params, draws)
    stream = np.random.RandomState()
    stream.set_state(published.task(params.m, number, params.init == "swapped").state)
    weights = shares(problem)

    def counts(b: int, step: int) -> np.ndarray:
        return stream.multinomial(BATCH, weights[b], params.interval)

    return TRAINED[params.optimizer](params, problem, draws, counts)


def step_size(params: Training, points: Sides, neurons: Neurons) -> np.ndarray:
    """``(B,)``: in units of 1/lambda_max(H) at the start, or of 1/m."""
    if params.step_rule == "per_width":
        return np.full(len(points.M), params.step / params.m)
    S = np.zeros((len(points.M), 2, 3, 3))
    S[:, :, 0::2, 0::2] = neurons.T
    return params.step * largest_step(points.M, S)


def by_address(params: Training, problem: Problem, draws: Draws) -> Counts:
    """Minibatches of 16 points, drawn with replacement, by address."""
    weights = shares(problem)

    def counts(b: int, step: int) -> np.ndarray:
        one = Draws(draws.seed, [draws.trials[b]])
        return one.multinomial(f"minibatches from {step}", BATCH, weights[b], params.interval)[0]

    return counts


def shares(problem: Problem) -> np.ndarray:
    """Those of the points, which this experiment always has."""
    assert problem.weights is not None
    return problem.weights


def batches(params: Training, problem: Problem, draws: Draws) -> Minibatches:
    """`by_address`, as moments of the points."""
    return in_moments(problem, by_address(params, problem, draws))


def in_moments(problem: Problem, counts: Counts) -> Minibatches:
    """From counts (R, n) to the moments (R, 2, 3) and (R, 2, 2) of `sides.split`; all networks have the same points."""
    x, y = problem.X[0, :, 0], problem.y[0]
    sides = np.stack([x > 0, x < 0], axis=1)[:, :, None]
    lines = np.stack([x, np.ones_like(x)], axis=1)[:, None]
    squares = sides * np.concatenate([lines * x[:, None, None], lines[..., 1:]], axis=2) / BATCH
    products = sides * lines * y[:, None, None] / BATCH

    def moments(b: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        drawn = counts(b, step).astype(float)
        return np.tensordot(drawn, squares, 1), np.tensordot(drawn, products, 1)

    return moments


def movements(params: MovementExponents, problem: Problem, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest movements (B, 4) of a, b, w and c, largest kinks (B,), and whether all neurons stay on their sides."""
    B, asked = len(draws), params.training()
    sides = split(problem.X[:, :, 0], problem.y, shares(problem))
    a, w = initial.weights(asked, draws)
    neurons = gather(a, w)
    h = step_size(asked, sides, neurons)
    few, unused = (sides.points < 2).any(axis=1), (np.full((B, 2, 6), np.nan), np.zeros((B, 1)), np.zeros((B, 1)))
    points = Points(sides.M, sides.u, *roots(sides.M), h, sides.reach, few, *unused)
    checks = Checks(params.interval, params.limit, sufficient=True, sharp=True, patience=0)
    moved, kink, stayed = np.zeros((B, 4)), np.zeros(B), np.zeros(B, bool)
    for b in range(B):
        one = Follower.start(neurons, b)
        pairs = [np.stack([a[b], w[b]], axis=1)[s] for s in (a[b] > 0, a[b] < 0)]
        outer = [pair[hull(pair)] for pair in pairs]
        side = np.repeat([0, 1], [len(vertices) for vertices in outer])
        data, vertices = points.of(b), np.concatenate(outer)
        for _ in range(0, params.limit, params.interval):
            if not one.track(data, vertices, side, moved[b], params.interval):
                break
            if (end := one.check(data, checks)) is not None:
                stayed[b] = end is Outcome.CONVERGED
                break
        kink[b] = one.group.kink[0]
    return moved, kink, stayed
