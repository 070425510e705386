"""The Monte-Carlo experiment's training: by side for gradient descent and minibatches, neuron by neuron for Adam."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ...draws import Draws
from ...dynamics.certificate import largest_step, roots
from ...dynamics.lanes import Checks
from ...dynamics.lives import Follower, Lives, Minibatches, Outcome, Points, hull, live
from ...dynamics.sides import Neurons, Sides, gather, split
from ...experiment import Problem
from . import initial, published
from .crossing import Training, sample
from .movement import MovementExponents

PATIENCE = 10
BATCH = 16


def train(params: Training, problem: Problem, draws: Draws) -> tuple[Lives, np.ndarray]:
    """Outcome and steps of each network, and the step sizes."""
    if params.optimizer == "sgd" and params.rng == "published":
        found = [_of_task(params, *published.place(params.m, trial)) for trial in draws.trials]
        return Lives(*(np.array(part) for part in list(zip(*found, strict=True))[:3])), np.array([f[3] for f in found])
    batches = by_address(params, problem, draws) if params.optimizer == "sgd" else None
    return _train(params, problem, draws, batches)


def _train(params: Training, problem: Problem, draws: Draws, batches: Minibatches | None) -> tuple[Lives, np.ndarray]:
    points = split(problem.X[:, :, 0], problem.y, _shares(problem))
    neurons = initial.neurons(params, draws)
    h = step_size(params, points, neurons)
    watched = params.criterion in ("early_stopping", "both")
    validation = split(problem.X[:, :, 0], problem.y, initial.shares(params, draws, "validation")) if watched else None
    checks = Checks(
        params.interval, params.limit, params.criterion in ("sufficient", "both"), params.constant == "sharp",
        PATIENCE if watched else 0,
    )  # fmt: skip
    return live(points, neurons, h, checks, validation, batches), h


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
    moments, weights = _moments(problem), _shares(problem)

    def batches(b: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        return moments(stream.multinomial(BATCH, weights[b], params.interval))

    return _train(params, problem, draws, batches)


def step_size(params: Training, points: Sides, neurons: Neurons) -> np.ndarray:
    """``(B,)``: in units of 1/lambda_max(H) at the start, or of 1/m."""
    if params.step_rule == "per_width":
        return np.full(len(points.M), params.step / params.m)
    S = np.zeros((len(points.M), 2, 3, 3))
    S[:, :, 0::2, 0::2] = neurons.T
    return params.step * largest_step(points.M, S)


def by_address(params: Training, problem: Problem, draws: Draws) -> Minibatches:
    """Moments of the points in minibatches of 16, drawn with replacement, by address."""
    moments, weights = _moments(problem), _shares(problem)

    def batches(b: int, step: int) -> tuple[np.ndarray, np.ndarray]:
        one = Draws(draws.seed, [draws.trials[b]])
        return moments(one.multinomial(f"minibatches from {step}", BATCH, weights[b], params.interval)[0])

    return batches


def _shares(problem: Problem) -> np.ndarray:
    assert problem.weights is not None
    return problem.weights


def _moments(problem: Problem) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """From counts (R, n) to the moments (R, 2, 3) and (R, 2, 2) of `sides.split`; all networks have the same points."""
    x, y = problem.X[0, :, 0], problem.y[0]
    sides = np.stack([x > 0, x < 0], axis=1)[:, :, None]
    lines = np.stack([x, np.ones_like(x)], axis=1)[:, None]
    squares = sides * np.concatenate([lines * x[:, None, None], lines[..., 1:]], axis=2)
    products = sides * lines * y[:, None, None]
    return lambda counts: (np.tensordot(counts / BATCH, squares, 1), np.tensordot(counts / BATCH, products, 1))


def movements(params: MovementExponents, problem: Problem, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest movements (B, 4) of a, b, w and c, largest kinks (B,), and whether all neurons stay on their sides."""
    B, asked = len(draws), params.training()
    sides = split(problem.X[:, :, 0], problem.y, _shares(problem))
    a, w = initial.weights(asked, draws)
    neurons = gather(a, w)
    h = step_size(asked, sides, neurons)
    unused = np.full((B, 2, 6), np.nan), np.zeros((B, 1)), np.zeros((B, 1))
    points = Points(sides.M, sides.u, *roots(sides.M), h, sides.reach, *unused)
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
            if one.check(data, checks) is Outcome.CONVERGED:
                stayed[b] = True
                break
        kink[b] = one.group.kink[0]
    return moved, kink, stayed
