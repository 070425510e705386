"""Inconsistent descent: the published NumPy scheme and a JAX loop beside networks followed by side, same weights.

Stepping: pure gradient steps, without criterion. Whole trainings: ours with set-up and all checks, beside the published
steps alone; the published criterion is not timed, so that these ratios are lower bounds. CPU time of one thread.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pandas as pd

from neurec_core.draws import Draws
from neurec_papers.inconsistency import published
from neurec_papers.inconsistency.engine import initial, training
from neurec_papers.inconsistency.engine.distributions import X_SIX
from neurec_papers.inconsistency.engine.neurons import Neurons
from neurec_papers.inconsistency.experiments import crossing
from smallnets.descent.line.data import Criterion, HiddenLayer, Outcome, Sample, split
from smallnets.descent.line.network import LineNetwork
from smallnets.descent.line.training import train

from . import peers
from .line import timed, with_arrays
from .published_descent import Networks

# Networks that the published code trains in parallel.
PARALLEL = {16: 4096, 64: 1024, 256: 256, 1024: 64, 2048: 32}
OURS = 2000
STEPS = 20


def drawn(m: int, networks: int) -> tuple[Any, ...]:
    """Points, neurons and step sizes of some networks, and the same for the published scheme."""
    params, draws = crossing.CrossingProbability(m=m), Draws(0, range(networks))
    problem = crossing.sample(params, draws)
    points = split(problem.X[:, :, 0], problem.y, problem.weights)
    neurons = initial.neurons(params, draws)
    return points, neurons, training.step_size(params, points, neurons), problem, params, draws


def stepping(m: int) -> dict[str, Any]:
    """Seconds of a step of a network: every neuron in NumPy, and eight networks side by side; JAX."""
    networks = PARALLEL.get(m, 8)
    points, neurons, h, problem, params, draws = drawn(m, networks)
    row: dict[str, Any] = {"m": m}
    criterion = Criterion(500_000, 500_000, sufficient=False, sharp=True, patience=0)
    eight, layer = Sample(*(part[:8] for part in points)), HiddenLayer(*(part[:8] for part in neurons))
    # With small steps no neuron changes side without a stop in between, after which a network goes on alone.
    seconds, ends = timed(lambda: train(eight, layer, h[:8] / 100, criterion))
    row["ours_ns"] = seconds / ends.steps.sum() * 1e9
    if m not in PARALLEL:
        return row
    a, w = initial.weights(params, draws)
    start = Neurons(a, np.zeros_like(a), w, np.zeros(networks))
    seconds, _ = timed(lambda: with_arrays(start, float(h.min()), STEPS))
    row["published_us"] = seconds / STEPS / networks * 1e6
    row["ratio"] = row["published_us"] * 1000 / row["ours_ns"]
    nets = Networks(X_SIX, problem.y[0], problem.weights, a, w, h)
    for _ in range(STEPS):
        nets.step()
    row["difference"] = difference(nets, points, neurons, h, STEPS)
    begin = {"a": a, "b": np.zeros_like(a), "w": w, "c": np.zeros(networks)}
    data = (np.tile(X_SIX, (networks, 1)), problem.y, problem.weights)
    peer, _ = peers.timed(lambda t: peers.descend(peers.shares_on_line, begin, data, h, t), STEPS)
    row["jax_us"] = peer / networks * 1e6
    row["jax / ours"] = row["jax_us"] * 1000 / row["ours_ns"]
    return row


def difference(nets: Networks, points: Any, neurons: Any, h: np.ndarray, steps: int) -> float:
    """Largest difference of the outputs at the six points, over networks whose kinks stay."""
    found = [0.0]
    for b in range(min(len(h), 50)):
        one = LineNetwork.start(neurons, b)
        ended, _ = one.advance(points.rows[b : b + 1], h[b], 1.0, steps)
        if ended is None:
            (p, q), (r, s) = one.lines()
            f = np.where(X_SIX > 0, p * X_SIX + q, r * X_SIX + s)
            found.append(float(np.abs(f - nets.outputs()[b]).max()))
    return max(found)


def whole(m: int) -> dict[str, Any]:
    """Seconds of a network-step over whole trainings of published networks, all checks included."""
    trials = range(OURS)
    params, draws = crossing.CrossingProbability(m=m, rng="published", constant="published"), Draws(0, trials)
    published.task.cache_clear()
    problem = crossing.sample(params, draws)
    seconds, (ends, h) = timed(lambda: training.train(params, problem, draws))
    return {
        "m": m,
        "networks": len(h),
        "steps": int(ends.steps.sum()),
        "ours_ns": seconds / ends.steps.sum() * 1e9,
        "crossed": int((ends.outcome == Outcome.CROSSED).sum()),
    }


def main() -> None:
    """Print both tables and the whole figure's time."""
    steps = pd.DataFrame([stepping(m) for m in (*PARALLEL, 2**14, 2**17, 2**20)])
    print("A step of a network: every neuron in NumPy, in parallel over networks / by side")
    print(steps.to_string(index=False, float_format=lambda v: f"{v:.3g}"))
    flat = steps["ours_ns"].max() / steps["ours_ns"].min()
    print(f"slowest width / fastest width: {flat:.2f}")

    ends = pd.DataFrame([whole(m) for m in (16, 64, 256)]).merge(steps[["m", "published_us"]], on="m")
    # The published criterion is not counted: a lower bound of the ratio.
    ends["ratio"] = ends["published_us"] * 1000 / ends["ours_ns"]
    print("\nWhole trainings with the sufficient condition / the published steps alone")
    print(ends.to_string(index=False, float_format=lambda v: f"{v:.4g}"))

    start = time.process_time()
    total = 0
    for m in published.WIDTHS:
        params, draws = crossing.CrossingProbability(m=m), Draws(0, range(10_000))
        total += int(training.train(params, crossing.sample(params, draws), draws)[0].steps.sum())
    seconds = time.process_time() - start
    print(f"\nthe whole figure, 80,000 networks, {total:.3g} steps: {seconds:.1f} CPU s, draws and set-up included")
