"""A student of norm-1 columns: the published way, one network at a time in torch, beside ours, networks side by side.

Published, in float32: forward passes that keep every layer, the recursion of batch means, new inputs in each step, and
columns brought to norm 1; where the exact gradient is asked for, that routine once for each input of a batch. Nothing
is evaluated inside. Ours draws its inputs by address, which is part of its time and listed separately. JAX: as many
networks as ours in one compiled loop, in float64, with inputs of its own. One thread.
"""

from __future__ import annotations

import functools
import itertools
import time
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch

from neurec_core.draws import Draws
from neurec_papers.multilayer_dynamics.engine.batches import batches
from neurec_papers.multilayer_dynamics.engine.matrix_ascent import Method, ascend

from . import peers

D, M, OUT, RATE = 10, 20, 30, 0.05
Net = list[torch.Tensor]


def forward(net: Net, X: torch.Tensor) -> list[torch.Tensor]:
    """Every layer's inputs, the constant last, and the outputs."""
    kept = [X]
    for k, W in enumerate(net):
        z = kept[-1] @ W
        kept.append(torch.cat([torch.relu(z), torch.ones(len(z), 1)], dim=1) if k < len(net) - 1 else z)
    return kept


def changes(student: Net, teacher: Net, X: torch.Tensor) -> Net:
    """dW of every layer from the batch means L, L*, H, H*, beta, beta*."""
    f, g, N = forward(student, X), forward(teacher, X), len(X)
    H = H_star = torch.eye(student[-1].shape[1])
    found = []
    for k in range(len(student) - 1, -1, -1):
        W, V = student[k], teacher[k]
        L, L_star = f[k].t() @ f[k] / N, f[k].t() @ g[k] / N
        found.append(L_star @ V @ H_star.t() - L @ W @ H.t())
        if k:
            beta, beta_star = W @ H @ W.t(), W @ H_star @ V.t()
            D, D_star = (f[k] > 0).float(), (g[k] > 0).float()
            H, H_star = (beta * (D.t() @ D / N))[:-1, :-1], (beta_star * (D.t() @ D_star / N))[:-1, :-1]
    return found[::-1]


def published(student: Net, teacher: Net, steps: int, batch: int, accurate: bool, X: torch.Tensor | None = None) -> Net:
    """Weights after so many steps, on inputs X (steps, batch, d) if given."""
    net = [W.clone() for W in student]
    for t in range(steps):
        inputs = torch.cat([torch.randn(batch, D) if X is None else X[t], torch.ones(batch, 1)], dim=1)
        if accurate:
            found = [torch.zeros_like(W) for W in net]
            for i in range(batch):
                for total, change in zip(found, changes(net, teacher, inputs[i : i + 1]), strict=True):
                    total += change / batch
        else:
            found = changes(net, teacher, inputs)
        for W, change in zip(net, found, strict=True):
            W += RATE * change
            W /= W.norm(dim=0, keepdim=True)
    return net


def by_jax(
    teacher: list[np.ndarray], start: list[np.ndarray], batch: int, steps: int, exact: bool
) -> tuple[float, Callable[[np.ndarray], list[np.ndarray]]]:
    """Seconds of a step of a network, and the loop itself: weights after steps on inputs (B, steps, batch, d)."""
    jax, jnp = peers.jax, peers.jnp

    def kept(net: list, X: peers.jax.Array) -> list:
        found = [X]
        for k, W in enumerate(net):
            z = found[-1] @ W
            found.append(jnp.hstack([jax.nn.relu(z), jnp.ones((len(z), 1))]) if k < len(net) - 1 else z)
        return found

    def matrix(student: list, teacher: list, X: peers.jax.Array) -> list:
        f, g, N = kept(student, X), kept(teacher, X), len(X)
        H = H_star = jnp.eye(student[-1].shape[1])
        found = []
        for k in range(len(student) - 1, -1, -1):
            W, V = student[k], teacher[k]
            found.append(f[k].T @ g[k] / N @ V @ H_star.T - f[k].T @ f[k] / N @ W @ H.T)
            if k:
                beta, beta_star = W @ H @ W.T, W @ H_star @ V.T
                on, on_star = (f[k] > 0) * 1.0, (g[k] > 0) * 1.0
                H, H_star = (beta * (on.T @ on / N))[:-1, :-1], (beta_star * (on.T @ on_star / N))[:-1, :-1]
        return found[::-1]

    def gradient(student: list, teacher: list, X: peers.jax.Array) -> list:
        f, g = kept(student, X), kept(teacher, X)
        top = f[1].T @ (g[2] - f[2])
        # The rule leaves out, below, what the constant of the hidden layer adds to the outputs.
        rest = g[1][:, :-1] @ teacher[1][:-1] - f[1][:, :-1] @ student[1][:-1]
        return [X.T @ (rest @ student[1][:-1].T * (f[1][:, :-1] > 0)) / len(X), top / len(X)]

    @jax.jit
    @jax.vmap
    def loop(student: list, teacher: list, X: peers.jax.Array) -> list:
        def step(net: list, X: peers.jax.Array) -> tuple[list, None]:
            X = jnp.hstack([X, jnp.ones((len(X), 1))])
            moved = [W + RATE * d for W, d in zip(net, (gradient if exact else matrix)(net, teacher, X), strict=True)]
            return [W / jnp.linalg.norm(W, axis=0) for W in moved], None

        return jax.lax.scan(step, student, X)[0]

    key, B = jax.random.key(0), len(start[0])
    seconds, _ = peers.timed(
        lambda t: loop(start, teacher, jax.random.normal(key, (B, t, batch, D))), steps, first=steps
    )
    return seconds / B, lambda X: loop(start, teacher, X)


def nets(B: int, multi: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Teachers, and students that start as their teachers and noise."""
    rng = np.random.default_rng(0)

    def unit(W: np.ndarray) -> np.ndarray:
        return W / np.linalg.norm(W, axis=1, keepdims=True)

    teacher, start = [], []
    for (n, m), (into, out) in zip(
        itertools.pairwise((D, M, OUT)), itertools.pairwise((D, multi * M, OUT)), strict=True
    ):
        V = unit(rng.standard_normal((B, n + 1, m)) * (np.arange(n + 1) < n)[:, None])
        W = 0.1 * rng.standard_normal((B, into + 1, out))
        W[:, :n, :m] += V[:, :n]
        teacher.append(V)
        start.append(unit(W))
    return teacher, start


def timed(runs: Sequence[Callable[[], object]], repeats: int) -> list[float]:
    """CPU seconds of each, the least of some rounds: what else the machine does meets all of them."""
    seconds = [[0.0] * repeats for _ in runs]
    for i in range(repeats):
        for spent, run in zip(seconds, runs, strict=True):
            begin = time.process_time()
            run()
            spent[i] = time.process_time() - begin
    return [min(spent) for spent in seconds]


def row(
    what: str, multi: int, batch: int, B: int, steps: tuple[int, int], rule: str, sampling: str = "iid"
) -> dict[str, object]:
    """One line: the published way for the first number of steps, ours for the second on B networks."""
    teacher, start = nets(B, multi)
    one, other = ([torch.tensor(W[0], dtype=torch.float32) for W in net] for net in (teacher, start))
    accurate, draws = rule == "exact" and batch > 1, Draws(0, range(B))
    chunks = batches(draws, D, batch, sampling)

    def ours(steps: int, dtype: str) -> Sequence[np.ndarray]:
        inputs = batches(draws, D, batch, sampling)
        return ascend(teacher, start, inputs, Method(rule, RATE), steps=steps, dtype=dtype).weights

    runs = [functools.partial(published, other, one, steps[0], batch, accurate), functools.partial(next, chunks)]
    for dtype in ("float32", "float64"):
        runs.append(functools.partial(ours, steps[1], dtype))
        ours(1, dtype)  # compiled before time counts
    times = timed(runs, 9)
    theirs, drawing = times[0] / steps[0], times[1] / B / next(chunks).shape[1]
    own = dict(zip(("float32", "float64"), (t / steps[1] / B for t in times[2:]), strict=True))
    few = 20
    peer, loop = by_jax(teacher, start, batch, steps[1], rule == "exact")
    given = next(batches(draws, D, batch, sampling))[:, :few]
    apart = max(np.abs(W - net).max() for W, net in zip(ours(few, "float64"), loop(given), strict=True))
    X = torch.tensor(next(batches(draws, D, batch, sampling))[0, :few], dtype=torch.float32)
    far = max(
        np.abs(W[0] - net.numpy()).max()
        for W, net in zip(ours(few, "float32"), published(other, one, few, batch, accurate, X), strict=True)
    )
    return {
        "": what,
        "node_multi": multi,
        "batch": batch,
        "published, float32 (us)": f"{1e6 * theirs:.0f}",
        "ours, float32 (us)": f"{1e6 * own['float32']:.1f}",
        "ratio": f"{theirs / own['float32']:.1f}",
        "ours, float64 (us)": f"{1e6 * own['float64']:.1f}",
        "ratio ": f"{theirs / own['float64']:.1f}",
        "of it drawing (us)": f"{1e6 * drawing:.2f}",
        f"weights after {few} steps differ by": f"{far:.0e}",
        "JAX (us)": f"{1e6 * peer:.1f}",
        "JAX / ours, float64": f"{peer / own['float64']:.1f}",
        "differ by": f"{apart:.0e}",
    }


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    print("A student of norm-1 columns, 10-20-30: CPU time for a step of a network, one thread")
    rows = [
        row("matrix rule", 2, 64, 32, (400, 128), "matrix"),
        row("matrix rule, opposite inputs", 2, 64, 32, (400, 128), "matrix", "antithetic"),
        row("matrix rule", 5, 64, 32, (400, 128), "matrix"),
        row("exact gradient", 2, 64, 32, (10, 128), "exact"),
        row("exact gradient", 5, 64, 32, (10, 128), "exact"),
        row("one input per step", 2, 1, 8, (400, 4096), "matrix"),
        row("one input per step", 5, 1, 8, (400, 4096), "matrix"),
    ]
    print(pd.DataFrame(rows).to_string(index=False))
