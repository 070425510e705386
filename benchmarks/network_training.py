"""Networks trained on planted labels: the published loop, one network at a time, beside the batch.

Published: a module, a tape and torch's AdamW for each trial. Ours:
`neurec_papers.convex_recovery.engine.descent.descend`, all trials in one batch. Both from the same weights, in float32,
with the optimiser made once; the final losses are compared. JAX: all trials in one compiled loop, in float32, too.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch

from neurec_core.draws import Draws
from neurec_papers.convex_recovery.engine import data, descent

from . import peers

EPOCHS = 400
CASES = [(100, 20, 40), (100, 40, 40), (200, 50, 20), (400, 100, 4)]


def one_by_one(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> float:
    """The published scheme for one network with a skip branch; its last loss."""
    x, target = torch.tensor(X, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)
    weights = [torch.tensor(part, dtype=torch.float32, requires_grad=True) for part in (W, a)]
    adamw = torch.optim.AdamW(weights, lr=2e-3, weight_decay=1e-6)

    def loss() -> torch.Tensor:
        units = x @ weights[0]
        outputs = units[:, :1] * weights[1][:1] + torch.relu(units[:, 1:]) @ weights[1][1:, None]
        return ((outputs[:, 0] - target) ** 2).sum()

    for _ in range(EPOCHS):
        adamw.zero_grad()
        loss().backward()
        adamw.step()
    return loss().item()


def loss(net: peers.Net, x: np.ndarray, y: np.ndarray) -> peers.jax.Array:
    """The squared error of one network with a skip branch."""
    units = x @ net["W"]
    outputs = units[:, :1] * net["a"][:1] + peers.jax.nn.relu(units[:, 1:]) @ net["a"][1:, None]
    return peers.jnp.sum((outputs[:, 0] - y) ** 2)


def compare(n: int, d: int, trials: int) -> dict[str, object]:
    """One row."""
    draws = Draws(0, range(trials))
    X = data.design("gaussian", draws, n, d)
    y = data.linear_teacher("random", X, draws)(X)
    weights = descent.start("skip", draws, d, n + 1)
    begin = time.process_time()
    ours = descent.descend(X, y, weights, epochs=EPOCHS).losses[:, -1]
    middle = time.process_time()
    few = min(trials, 4)
    published = [one_by_one(X[b], y[b], weights[0][b], weights[1][b]) for b in range(few)]
    end = time.process_time()
    ratio = (end - middle) / few / ((middle - begin) / trials)
    nets = {name: np.float32(part) for name, part in zip(("W", "a"), weights, strict=True)}
    points, rates = (np.float32(X), np.float32(y)), np.full(trials, 2e-3, np.float32)
    peer, far = peers.timed(lambda t: peers.adam(loss, nets, points, rates, t, 1e-6), EPOCHS, rounds=1)
    last = peers.jax.vmap(loss)(far, *points)
    return {
        "n": n,
        "d": d,
        "networks": trials,
        "ours (s each)": round((middle - begin) / trials, 4),
        "published (s each)": round((end - middle) / few, 3),
        "ratio": round(ratio, 1),
        "losses, ours": f"{ours.max():.0e}",
        "published": f"{max(published):.0e}",
        "JAX (s each)": round(peer * EPOCHS / trials, 4),
        "JAX / ours": round(peer * EPOCHS / (middle - begin), 1),
        "JAX": f"{float(last.max()):.0e}",
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    compare(20, 4, 2)  # what is loaded on first use is loaded before time counts
    print(f"Training for {EPOCHS} epochs: one network at a time / in one batch, CPU time, one thread")
    print(pd.DataFrame([compare(*case) for case in CASES]).to_string(index=False))
