"""Nets with one input: the published ways to train them and a JAX loop beside ours, a net and a step at a time.

Many points: the published comparison of setups trains 100 nets in one batch, with a tape, in float32; ours is
`neurec_papers.inconsistency.engine.neurons.advance`, in float64. Few points: the published Monte-Carlo
experiment is NumPy, vectorised over nets, in float64. JAX trains the same nets in one compiled loop.
All on one thread; final weights or losses are compared.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from neurec_papers.inconsistency.engine import neurons
from neurec_papers.inconsistency.engine.distributions import X_SIX as SIX
from neurec_papers.inconsistency.engine.distributions import Y_SIX as LABELS
from neurec_papers.inconsistency.engine.neurons import Neurons

from . import peers

N, WIDTH, NETS = 256, 512, 100
MANY = [("gd", 0.0), ("gd", 1.0), ("adam", 1.0)]
FEW = [(16, 4096), (256, 256), (2048, 32)]  # as many nets in a batch as published


def start(B: int, m: int, bias: float) -> Neurons:
    """He's weights, biases N(0, bias^2)."""
    rng = np.random.default_rng(0)
    a, b, w = (rng.standard_normal((B, m)) for _ in range(3))
    return Neurons(2**0.5 * a, bias * b, (2 / m) ** 0.5 * w, np.zeros(B))


def timed(run: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds, the least of three, and what came out."""
    seconds = []
    for _ in range(3):
        begin = time.process_time()
        result = run()
        seconds.append(time.process_time() - begin)
    return min(seconds), result


# ------------------------------------------------------------------------------------------------------ many points


def with_tape(nets: Neurons, x: np.ndarray, y: np.ndarray, rate: float, steps: int, optimizer: str) -> np.ndarray:
    """All nets in one batch, torch's optimiser; their mean squared errors after the last step."""
    weights = [
        torch.tensor(part, dtype=torch.float32, requires_grad=True)
        for part in (nets.a[:, None], nets.b[:, None], nets.w[:, :, None], nets.c[:, None, None])
    ]
    a, b, w, c = weights
    X, target = torch.tensor(x[:, :, None], dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    made = {"gd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer](weights, lr=rate)
    for _ in range(steps):
        f = (torch.relu(X.matmul(a) + b).matmul(w) + c)[:, :, 0]
        ((f - target) ** 2).mean(dim=1).sum().backward()
        made.step()
        made.zero_grad()
    f = (torch.relu(X.matmul(a) + b).matmul(w) + c)[:, :, 0]
    return ((f - target) ** 2).mean(dim=1).detach().numpy()


def many_points(optimizer: str, bias: float) -> dict[str, object]:
    """One row: 256 points, 512 hidden units."""
    nets, rng = start(NETS, WIDTH, bias), np.random.default_rng(1)
    x, y = rng.standard_normal((NETS, N)), rng.standard_normal((NETS, N))
    options = {"rate": 0.004, "optimizer": optimizer}
    few, many, some = 4, 500, 10
    points = neurons.Points(x, y, np.full_like(x, 2 / N))  # the mean squared error without 1/2
    published, theirs = timed(lambda: with_tape(nets, x, y, 0.004, few, optimizer))
    part, own = Neurons(*(p[:some] for p in nets)), neurons.Points(*(p[:some] for p in points))
    ours, _ = timed(lambda: neurons.advance(neurons.begin(part), own, steps=many, **options).theta)
    run = neurons.advance(neurons.begin(nets), points, steps=few, **options)
    loss = ((neurons.outputs(run.neurons, x) - y) ** 2).mean(1)
    trained = {"gd": peers.descend, "adam": peers.adam}[optimizer]
    start_of_all, rates = nets._asdict(), np.full(NETS, 0.004)
    peer, _ = peers.timed(lambda t: trained(peers.mean_on_line, start_of_all, (x, y), rates, t), 5 * few)
    end = trained(peers.mean_on_line, start_of_all, (x, y), rates, few)
    its = ((neurons.outputs(Neurons(*(np.asarray(end[name]) for name in nets._fields)), x) - y) ** 2).mean(1)
    published, ours, peer = published / NETS / few, ours / some / many, peer / NETS
    return {
        "optimiser": optimizer,
        "biases": f"N(0, {bias:g})" if bias else "zero",
        "ours (us)": round(1e6 * ours, 2),
        "published (us)": round(1e6 * published),
        "ratio": round(published / ours),
        "losses differ by": f"{np.abs(loss / theirs - 1).max():.0e}",
        "JAX (us)": round(1e6 * peer),
        "JAX / ours": round(peer / ours, 1),
        "differ by": f"{np.abs(loss / its - 1).max():.0e}",
    }


# ------------------------------------------------------------------------------------------------------- few points


def with_arrays(nets: Neurons, rate: float, steps: int) -> np.ndarray:
    """Gradient descent in NumPy, vectorised over nets, points and neurons, its arrays made once; the last weights."""
    a, b, w = (part[:, None].copy() for part in nets[:3])
    c, kink = nets.c[:, None, None].copy(), np.zeros(len(a))
    x, y, shares = SIX[:, None], LABELS[:, None], np.full((len(a), len(SIX), 1), 1 / len(SIX))
    units = np.empty((len(a), len(SIX), a.shape[2]))
    pulled, idle = np.empty_like(units), np.empty(units.shape, bool)
    r, g = np.empty((len(a), len(SIX), 1)), np.empty_like(a)
    for _ in range(steps):
        np.add(np.multiply(x, a, out=units), b, out=units)
        units[np.less(units, 0, out=idle)] = 0
        np.multiply(units, w, out=pulled).sum(axis=2, keepdims=True, out=r)
        r += c
        r -= y
        r *= shares
        r *= -rate
        c += r.sum(axis=1, keepdims=True)
        np.multiply(w, r, out=pulled)[idle] = 0
        units *= r
        b += pulled.sum(axis=1, keepdims=True, out=g)
        pulled *= x
        a += pulled.sum(axis=1, keepdims=True, out=g)
        w += units.sum(axis=1, keepdims=True, out=g)
        np.maximum(kink, np.abs(b / a).max(axis=2)[:, 0], out=kink)
    return np.concatenate([a, b, w, c], axis=2)[:, 0]


def few_points(m: int, B: int) -> dict[str, object]:
    """One row: the six points of the Monte-Carlo experiment."""
    nets, few, rate = start(B, m, 0.0), 40, 0.1 / m
    points = neurons.Points(SIX, LABELS)
    published, theirs = timed(lambda: with_arrays(nets, rate, few))
    ours, _ = timed(lambda: neurons.advance(neurons.begin(nets), points, rate=rate, steps=5 * few).theta)
    theta = neurons.advance(neurons.begin(nets), points, rate=rate, steps=few).theta
    begin, data = nets._asdict(), (np.tile(SIX, (B, 1)), np.tile(LABELS, (B, 1)), np.full((B, len(SIX)), 1 / len(SIX)))

    def jax(steps: int) -> peers.Net:
        return peers.descend(peers.shares_on_line, begin, data, np.full(B, rate), steps)

    peer, end = peers.timed(jax, few)
    apart = np.abs(theta - np.concatenate([end["a"], end["b"], end["w"], end["c"][:, None]], axis=1)).max()
    published, ours, peer = published / few / B, ours / 5 / few / B, peer / B
    return {
        "m": m,
        "networks": B,
        "ours (us)": round(1e6 * ours, 3),
        "published (us)": round(1e6 * published, 2),
        "ratio": round(published / ours, 1),
        "weights differ by": f"{np.abs(theta - theirs).max():.0e}",
        "JAX (us)": round(1e6 * peer, 2),
        "JAX / ours": round(peer / ours, 1),
        "differ by": f"{apart:.0e}",
    }


def main() -> None:
    """Print both tables."""
    torch.set_num_threads(1)
    # Compiled before time counts.
    neurons.advance(neurons.begin(start(1, 2, 0.0)), neurons.Points(SIX, LABELS), steps=1, rate=0.1)
    neurons.outputs(start(1, 2, 0.0), SIX)
    print(
        f"Training on {N} points, m = {WIDTH}: CPU time for a step of a net, one thread; ours float64, theirs float32"
    )
    print(pd.DataFrame([many_points(*case) for case in MANY]).to_string(index=False))
    print()
    print("Training on six points: CPU time for a step of a net, one thread, float64")
    print(pd.DataFrame([few_points(*case) for case in FEW]).to_string(index=False))
