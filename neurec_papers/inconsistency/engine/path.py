"""One network's way through training at snapshots, beside the outcomes of a crowd."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from smallnets.descent.line.data import Outcome, split
from smallnets.descent.line.network import LineNetwork
from smallnets.descent.line.training import Endings

from . import initial, training
from . import neurons as one_by_one

GRID = np.linspace(-4, 4, 321)
GROWTH = 1.15  # of the steps between two snapshots

LONGEST = 2_000_000  # steps of the way that is shown: the widest networks then hardly move any more


def followed(params: Any, crowd: Draws) -> dict[str, Any]:
    """Counts of the crowd; steps, kinks and final outputs of its first network."""
    problem = initial.sample(params, crowd)
    ends, h = training.train(params, problem, crowd)
    affine = np.isin(ends.outcome, [Outcome.CONVERGED, Outcome.STOPPED])
    last = min(int(ends.crossing[0] if ends.crossing[0] > 0 else ends.steps[0]), LONGEST)
    steps, kinks, net = _way(params, problem, crowd, h=float(h[0]), last=last)
    return {
        "networks": len(crowd), "not_affine": int((~affine).sum()), "outcome": int(ends.outcome[0]),
        "left": int(ends.crossing[0]), "steps": steps, "kinks": kinks, "x": GRID, "f": _outputs(net),
    }  # fmt: skip


def trained(params: Any, problem: Problem, draws: Draws, *, ends: Endings, h: np.ndarray) -> dict[str, np.ndarray]:
    """The networks as training left them, which ended so with steps h: a, b, w (B, m) and c (B,).

    They are those at the step at which a kink reached a point, or else at the last check; the order of their neurons is
    not that of the draws. Training itself computes none of their weights, so that each takes its steps once more. Of
    networks drawn from their law there are slope and intercept on the right and on the left, ``lines`` (B, 2, 2). Where
    the authors' minibatches are replayed, which all networks of a task draw in turn, nothing is kept.
    """
    if params.rng == "published" and params.optimizer != "gd":
        return {}
    last, nets = np.where(ends.crossing > 0, ends.crossing, ends.steps), []
    for i, trial in enumerate(draws.trials):
        given = Problem(problem.X[i : i + 1], problem.y[i : i + 1], weights=training.shares(problem)[i : i + 1])
        nets.append(_way(params, given, Draws(draws.seed, [trial]), h=float(h[i]), last=int(last[i]))[2])
    if params.rng == "law":
        return {"lines": np.stack(nets)}
    return one_by_one.Neurons(*map(np.concatenate, zip(*nets, strict=True)))._asdict()


def stops(last: int) -> np.ndarray:
    """Steps of the snapshots: 0, then growing geometrically to the last."""
    at = np.floor(GROWTH ** np.arange(np.log(max(last, 1)) / np.log(GROWTH) + 1)).astype(np.int64)
    return np.unique(np.concatenate([[0], at[at < last], [last]]))


def _way(params: Any, problem: Problem, draws: Draws, *, h: float, last: int) -> tuple[np.ndarray, np.ndarray, Any]:
    """Steps and kinks of the first network, and what it is at the end: weights, or the lines of either side."""
    return (_by_neuron if params.optimizer == "adam" else _by_side)(params, problem, draws, h=h, last=last)


def _by_side(params: Any, problem: Problem, draws: Draws, *, h: float, last: int) -> tuple[np.ndarray, np.ndarray, Any]:
    points = split(problem.X[:, :, 0], problem.y, training.shares(problem))
    one = LineNetwork.start(initial.neurons(params, draws), 0)
    listed = one.coordinates
    reach = float(points.reach[0])
    at, kinks = stops(last), []
    batches = training.in_moments(problem, training.by_address(params, problem, draws))
    for before, step in zip([0, *at], at, strict=False):
        if params.optimizer == "gd":
            one.advance(points.rows[:1], h, reach, step - before)
        else:
            for rows in _blocks(batches, before, step, params.interval):
                one.advance(rows, h, reach, len(rows))
        theta = one.neurons()
        ends = [-b / a for a, b in (theta[one.side == s][[0, -1], :2].T for s in (0, 1) if (one.side == s).any())]
        kinks.append(np.resize(np.concatenate(ends), 4))
    return at, np.array(kinks), one.lines() if params.rng == "law" else _weights(params, draws, one, listed)


def _blocks(batches: Any, before: int, step: int, interval: int) -> Iterator[np.ndarray]:
    """The minibatches of the steps from one to the other, as many at a time as are drawn together."""
    while before < step:
        block, offset = divmod(before, interval)
        steps = min(step - before, interval - offset)
        yield batches(0, block * interval)[offset : offset + steps]
        before += steps


def _outputs(net: Any) -> np.ndarray:
    """f on the grid, of weights, or of the lines of either side."""
    if isinstance(net, one_by_one.Neurons):
        return one_by_one.outputs(net, GRID)[0]
    right, left = net
    return np.where(GRID > 0, right[0] * GRID + right[1], left[0] * GRID + left[1])


def _weights(params: Any, draws: Draws, one: LineNetwork, listed: np.ndarray) -> one_by_one.Neurons:
    """All neurons; those `listed` at the start, which may have changed side since, come last."""
    a, w = (part[0] for part in initial.weights(params, draws))
    start = np.stack([a, np.zeros_like(a), w], axis=1)
    same = ~np.isin(start[:, 0], listed[:, 0])
    theta = np.einsum("mij,mj->mi", one.map()[(a[same] < 0).astype(int)], start[same])
    a, b, w = np.concatenate([theta, one.neurons()]).T[:, None]
    return one_by_one.Neurons(a, b, w, one.state.c)


def _by_neuron(
    params: Any, problem: Problem, draws: Draws, *, h: float, last: int
) -> tuple[np.ndarray, np.ndarray, Any]:
    a, w = (part[:1] for part in initial.weights(params, draws))
    run = one_by_one.begin(one_by_one.Neurons(a, np.zeros_like(a), w, np.zeros(1)))
    x, y = problem.X[:1, :, 0], problem.y[:1]
    counts, at = training.by_address(params, problem, draws), stops(last)
    kept = []
    for before in range(0, last, params.interval):
        steps = min(params.interval, last - before)
        nu = counts(0, before)[None, :steps] / training.BATCH
        inside = at[(at >= before) & ((at < before + steps) | (at == last) & (before + steps == last))]
        run = one_by_one.advance(
            run, one_by_one.Points(x, y, nu), steps=steps, rate=h, optimizer="adam", snapshots=inside.tolist()
        )
        kept.append(run.snapshots)
    kinks = np.sort(np.concatenate([-net.b[0] / net.a[0] for net in kept]), axis=1)[:, [0, 1, -2, -1]]
    return at, kinks, run.neurons
