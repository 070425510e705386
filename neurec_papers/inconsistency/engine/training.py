"""The Monte-Carlo experiment's training: by side for gradient descent and minibatches, neuron by neuron for Adam."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from smallnets.descent.line.certificate import largest_step
from smallnets.descent.line.data import Criterion, HiddenLayer, Outcome, Sample, gather, split
from smallnets.descent.line.network import LineNetwork, vertices
from smallnets.descent.line.training import Endings, Minibatches, follow
from smallnets.descent.line.training import train as train_by_side

from .. import published
from . import initial
from . import neurons as neurons_

# (network, step) -> how often each point is drawn in each step up to the next check, (interval, 6).
Counts = Callable[[int, int], np.ndarray]

PATIENCE = 10
BATCH = 16


def train(params: Any, problem: Problem, draws: Draws) -> tuple[Endings, np.ndarray]:
    """Outcome and steps of each network, and the step sizes."""
    if params.optimizer == "gd":
        return _by_side(params, problem, draws, None)
    if params.rng == "published":
        found = []
        for number, i in (published.place(params.m, trial) for trial in draws.trials):
            ends, h = _whole_task(params, number)
            found.append((*(part[i] for part in ends), h[i]))
        *parts, h = map(np.array, zip(*found, strict=True))
        return Endings(*parts), h
    return TRAINED[params.optimizer](params, problem, draws, by_address(params, problem, draws))


def _by_side(params: Any, problem: Problem, draws: Draws, counts: Counts | None) -> tuple[Endings, np.ndarray]:
    points = split(problem.X[:, :, 0], problem.y, shares(problem))
    neurons = initial.neurons(params, draws)
    h = step_size(params, points, neurons)
    watched = params.criterion in ("early_stopping", "both")
    validation = split(problem.X[:, :, 0], problem.y, initial.shares(params, draws, "validation")) if watched else None
    criterion = Criterion(
        params.interval, params.limit, params.criterion in ("sufficient", "both"), params.constant == "sharp",
        PATIENCE if watched else 0,
    )  # fmt: skip
    minibatches = None if counts is None else in_moments(problem, counts)
    return train_by_side(points, neurons, h, criterion, validation=validation, minibatches=minibatches), h


def _by_neuron(params: Any, problem: Problem, draws: Draws, counts: Counts) -> tuple[Endings, np.ndarray]:
    """Adam gives every weight a step size of its own, so that neurons of a side part ways: each is followed."""
    x, y, B = problem.X[:, :, 0], problem.y, len(draws)
    a, w = initial.weights(params, draws)
    h = step_size(params, split(x, y, shares(problem)), gather(a, w))
    validation = initial.shares(params, draws, "validation")
    ends = Endings(np.zeros(B, np.int64), np.zeros(B, np.int64), np.full(B, -1))
    best, wait = np.full(B, np.inf), np.zeros(B, int)
    run, who = neurons_.begin(neurons_.Neurons(a, np.zeros_like(a), w, np.zeros(B))), np.arange(B)
    while len(who):
        nu = np.stack([counts(b, run.step) / BATCH for b in who.tolist()])
        run = neurons_.advance(
            run, neurons_.Points(x[who], y[who], nu), steps=params.interval, rate=h[who], optimizer="adam",
            reach=np.abs(x[who]).min(1),
        )  # fmt: skip
        ends.steps[who], ends.crossing[who] = run.step, run.reached
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


@lru_cache(maxsize=2)
def _whole_task(params: Any, number: int) -> tuple[Endings, np.ndarray]:
    """All networks of a published task: their minibatches come from one stream, which all draw from in turn."""
    _, first, nets = published.tasks()[params.m][number]
    draws = Draws(0, range(first, first + nets))
    problem = initial.sample(params, draws)
    stream = np.random.RandomState()
    stream.set_state(published.task(params.m, number, params.init == "swapped").state)
    weights = shares(problem)

    def counts(b: int, step: int) -> np.ndarray:
        return stream.multinomial(BATCH, weights[b], params.interval)

    return TRAINED[params.optimizer](params, problem, draws, counts)


def step_size(params: Any, points: Sample, neurons: HiddenLayer) -> np.ndarray:
    """``(B,)``: in units of 1/lambda_max(H) at the start, or of 1/m."""
    if params.step_rule == "per_width":
        return np.full(len(points.sums), params.step / params.m)
    S = np.zeros((len(points.sums), 2, 3, 3))
    S[:, :, 0::2, 0::2] = neurons.T
    return params.step * largest_step(points.sums, S)


def by_address(params: Any, problem: Problem, draws: Draws) -> Counts:
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


def in_moments(problem: Problem, counts: Counts) -> Minibatches:
    """From counts (R, n) to sums over the points (R, 10), as of `data.Sample`; all networks have the same points."""
    x, y = problem.X[0, :, 0], problem.y[0]
    of_one = np.broadcast_to(x, (len(x), len(x))), np.broadcast_to(y, (len(x), len(x)))
    each = split(*of_one, np.eye(len(x)) / BATCH).rows
    return lambda b, step: np.tensordot(counts(b, step).astype(float), each, 1)


def movements(params: Any, problem: Problem, draws: Draws) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Largest movements (B, 4) of a, b, w and c, largest kinks (B,), and whether all neurons stay on their sides."""
    asked = params.training()
    points = split(problem.X[:, :, 0], problem.y, shares(problem))
    a, w = initial.weights(asked, draws)
    neurons = gather(a, w)
    h = step_size(asked, points, neurons)
    criterion = Criterion(params.interval, params.limit, sufficient=True, sharp=True, patience=0)
    largest, stayed = np.zeros((len(draws), 5)), np.zeros(len(draws), bool)
    for b in range(len(draws)):
        one = LineNetwork.start(neurons, b)
        theta = np.stack([a[b], np.zeros_like(a[b]), w[b]], axis=1)
        sides = [theta[own] for own in (a[b] > 0, a[b] < 0)]
        outer = [side[vertices(side[:, [0, 2]])] for side in sides]
        tracked = np.concatenate(outer), np.repeat([0, 1], [len(side) for side in outer])
        own = Sample(*(part[b : b + 1] for part in points))
        stayed[b] = follow(one, own, h[b], criterion, tracked=tracked) is Outcome.CONVERGED and not one.changed.any()
        largest[b] = one.state.largest
    return largest[:, :4], largest[:, 4], stayed
