"""Full-batch training on the star: the published loop in torch, all neurons in every step, beside groups of neurons.

Published: a batch of nets, float32, a tape, every neuron's pattern compared in every epoch. Ours:
`smallnets.descent.grouped.descend`, one net after another, float64, events exact. Both from the same weights with
the published step; losses are compared after the published loop's last epoch. JAX: `peers.descend`, the same batch in
one compiled loop, float64.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch

from neurec_core.draws import Draws
from neurec_papers.inconsistency.experiments import star
from smallnets.descent import grouped

from . import peers

OURS = 200_000
# Neurons, nets in the published batch and its epochs: some seconds each.
CASES = [(128, 10, 2000), (1024, 4, 800), (8192, 2, 200)]


def published(X: np.ndarray, y: np.ndarray, nu: np.ndarray, nets: list, h: np.ndarray, epochs: int) -> np.ndarray:
    """The published scheme; the losses of all nets before the last of `epochs` + 1 epochs."""
    x, target, share, step = (torch.tensor(np.array(v), dtype=torch.float32) for v in (X, y, nu, h))
    a, b, w, c = (torch.tensor(np.stack(part), dtype=torch.float32) for part in zip(*nets, strict=True))
    parts = [part.requires_grad_() for part in (a.mT.contiguous(), b, w[:, :, None], c[:, None])]
    first = torch.bmm(x, parts[0]) + parts[1][:, None] > 0
    changed = torch.full((len(nets),), -1)
    for epoch in range(epochs + 1):
        z = torch.relu(torch.bmm(x, parts[0]) + parts[1][:, None])
        same = (first == (z > 0)).all(dim=2).all(dim=1)
        changed[(changed == -1) & ~same] = epoch
        f = (torch.bmm(z, parts[2]) + parts[3][:, None])[:, :, 0]
        loss = 0.5 * ((f - target) ** 2 * share).sum(dim=1)
        loss.sum().backward()
        with torch.no_grad():
            for part in parts:
                part.addcmul_(-step.reshape(-1, *[1] * (part.ndim - 1)), part.grad)
                part.grad.zero_()
    return loss.detach().numpy()


def loss(net: peers.Net, x: np.ndarray, y: np.ndarray, share: np.ndarray) -> peers.jax.Array:
    """Half the squared error of one net, each point with its share."""
    outputs = peers.layers([(net["a"].T, net["b"]), (net["w"][:, None], net["c"])], x)
    return 0.5 * peers.jnp.sum(share * (outputs[:, 0] - y) ** 2)


def compare(m: int, trials: int, epochs: int, ours: int = OURS) -> dict[str, object]:
    """One row."""
    params = star.Star(m=m, step_rule="published")
    draws = Draws(0, range(trials))
    problem = star.sample(params, draws)
    X, y, nu = problem.X, problem.y, problem.weights
    nets = list(zip(*star.start(params, draws), strict=True))
    h, _ = star.step_sizes(params, problem, draws)
    begin = time.process_time()
    theirs = published(X, y, nu, nets, h, epochs)
    middle = time.process_time()
    found = [
        grouped.descend(X[i], y[i], nu[i], grouped.Weights(*nets[i]), h=h[i], steps=ours, schedule=[epochs])
        for i in range(trials)
    ]
    end = time.process_time()
    losses = np.array([one.losses[0] for one in found])
    a, b, w, c = (np.stack(part) for part in zip(*nets, strict=True))
    begun = {"a": a, "b": b, "w": w, "c": c}
    peer, far = peers.timed(lambda t: peers.descend(loss, begun, (X, y, nu), h, t), epochs, rounds=1)
    same = peers.jax.vmap(loss)(far, X, y, nu)
    each = (middle - begin) / trials / (epochs + 1), (end - middle) / trials / ours, peer / trials
    return {
        "m": m,
        "nets": trials,
        "published (µs per step)": round(1e6 * each[0], 1),
        "ours (µs per step)": round(1e6 * each[1], 2),
        "ratio": round(each[0] / each[1]),
        "changes of pattern per step": round(sum(one.changes for one in found) / trials / ours, 2),
        "losses differ by": f"{np.max(np.abs(theirs / losses - 1)):.0e}",
        "JAX (µs per step)": round(1e6 * each[2], 1),
        "JAX / ours": round(each[2] / each[1]),
        "differ by": f"{np.max(np.abs(same / losses - 1)):.0e}",
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    compare(16, 2, 10, 100)  # what is compiled or loaded on first use is there before time counts
    print(f"Training on the star, one net: torch in a batch / {OURS:,} steps by groups, CPU time, one thread")
    print(pd.DataFrame([compare(*case) for case in CASES]).to_string(index=False))
