"""Deep students: the published loop, one seed at a time, beside `smallnets.descent.deep_training` with many at once.

Published: torch modules, a data loader that hands over sample by sample, the teacher asked about each batch, a tape, an
optimiser's step; single precision. Both train the same students on the same batches; weights are compared at the end.
JAX, on the processor: as many seeds as ours in one compiled loop. With NEUREC_DEVICE=cuda the other two run there, 64
seeds at once beside one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import torch

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_papers.multilayer_dynamics.experiments import students, two_layer
from neurec_papers.multilayer_dynamics.experiments.reconstruction import RECONSTRUCTION
from smallnets.descent import deep_relu, deep_training
from smallnets.descent.deep_training import Method, Schedule

from . import peers

DEVICE = os.environ.get("NEUREC_DEVICE", "cpu")
EPOCH = 100  # steps
REPEATS = 3


def module(net: deep_relu.DeepNet, b: int, number: torch.dtype) -> torch.nn.Sequential:
    """One network as torch's modules."""
    parts: list[torch.nn.Module] = []
    for layer in net.layers:
        into, out = layer.W.shape[1:]
        linear = torch.nn.Linear(into, out, dtype=number)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor(layer.W[b].T))
            linear.bias.copy_(torch.tensor(layer.b[b]))
        parts += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*parts[:-1]).to(DEVICE)


class Published:
    """The published loop over one seed's batches."""

    def __init__(
        self, start: deep_relu.DeepNet, wise: deep_relu.DeepNet, X: np.ndarray, rate: float, batch: int,
        number: torch.dtype, normalize: bool = False, half: bool = False,
    ) -> None:  # fmt: skip
        self.student, self.teacher = module(start, 0, number), module(wise, 0, number)
        self.optimizer = torch.optim.SGD(self.student.parameters(), lr=rate)
        self.points = torch.tensor(X, dtype=number)
        self.batch, self.normalize, self.half = batch, normalize, half

    def batches(self, order: np.ndarray) -> Iterator[torch.Tensor]:
        """Sample by sample, as a data set hands them over; a two-layer student picks rows of what is on the device."""
        if self.half:
            for some in order.reshape(-1, self.batch):
                yield self.points[some].to(DEVICE)
        else:
            rows = torch.utils.data.TensorDataset(self.points)
            for (x,) in torch.utils.data.DataLoader(rows, self.batch, sampler=order.tolist()):
                yield x.to(DEVICE)

    def epoch(self, order: np.ndarray) -> None:
        """A step on each batch."""
        for x in self.batches(order):
            with torch.no_grad():
                y = self.teacher(x)
            f = self.student(x)
            loss = ((f - y) ** 2).sum() / 2 / len(y) if self.half else torch.nn.functional.mse_loss(f, y)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            if self.normalize:
                with torch.no_grad():
                    for part in list(self.student)[::2]:
                        for j in range(len(part.weight)):
                            size = part.weight[j].norm() + 1e-5
                            part.weight[j] /= size
                            part.bias[j] /= size


def clock() -> float:
    """Seconds: of the processor, or on the wall where another device computes."""
    if DEVICE == "cpu":
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


def mean(net: peers.Net, x: peers.jax.Array, y: peers.jax.Array) -> peers.jax.Array:
    """The mean squared error of a student."""
    return peers.jnp.mean((peers.layers(net, x) - y) ** 2)


def half(net: peers.Net, x: peers.jax.Array, y: peers.jax.Array) -> peers.jax.Array:
    """Half the squared error of a student, per point."""
    return peers.jnp.sum((peers.layers(net, x) - y) ** 2) / 2 / len(y)


def by_jax(start: deep_relu.DeepNet, wise: deep_relu.DeepNet, X: np.ndarray, picked: np.ndarray, rate: float,
           method: Method, dtype: str) -> float:  # fmt: skip
    """Seconds of a step of a seed."""
    student, teacher = (
        [(layer.W.astype(dtype), layer.b.astype(dtype)) for layer in net.layers] for net in (start, wise)
    )
    data, loss = (teacher, X.astype(dtype)), half if method.loss == "half" else mean
    seconds, _ = peers.timed(
        lambda t: peers.stochastic(loss, student, data, picked[:, :t], rate, method.normalize), EPOCH, first=EPOCH
    )
    return seconds / len(X)


def row(what: str, start: deep_relu.DeepNet, wise: deep_relu.DeepNet, X: np.ndarray, *, rate: float, batch: int,
        dtype: str = "float32", normalize: bool = False, half: bool = False) -> dict:  # fmt: skip
    """One line: the published loop on the first seed, ours on all of them, least times of a few epochs."""
    B = len(X)
    picked = np.random.default_rng(0).integers(0, X.shape[1], (REPEATS + 1, B, EPOCH * batch))
    loop = Published(start, wise, X[0], rate, batch, getattr(torch, dtype), normalize, half)
    method = Method("half" if half else "mean", normalize=normalize)
    schedule = Schedule(lambda _: X, lambda epoch: picked[epoch], [rate] * (REPEATS + 1), batch)
    ours = deep_training.train(start, wise, schedule, method=method, dtype=dtype)
    times: list[list[float]] = [[], []]
    for epoch in range(REPEATS + 1):
        begin = clock()
        loop.epoch(picked[epoch, 0])
        between = clock()
        net = next(ours).net
        times[0].append(between - begin)
        times[1].append((clock() - between) / B)
    each, own = (min(part[1:]) / EPOCH for part in times)
    peer = by_jax(start, wise, X, picked[0].reshape(B, EPOCH, batch), rate, method, dtype)
    weights = loop.student[0].weight.detach().cpu().numpy().T
    return {
        "": what,
        "seeds": B,
        "precision": dtype,
        "published (µs per step)": round(1e6 * each),
        "ours (µs per seed and step)": round(1e6 * own, 1),
        "ratio": round(each / own, 1),
        "JAX (µs per seed and step)": round(1e6 * peer, 1),
        "JAX / ours": round(peer / own, 1),
        "weights differ by": f"{np.abs(weights - net.read().layers[0].W[0]).max():.0e}",
    }


def deep(seeds: int, **changes: object) -> tuple[deep_relu.DeepNet, deep_relu.DeepNet, np.ndarray]:
    """Students, teachers and points of a deep reconstruction."""
    params: Any = RECONSTRUCTION.params(points=6400, eval_points=10, **changes)
    draws = Draws(0, range(seeds))
    return students.student(params, draws), students.teacher(params, draws), 10 * draws.normal("points", 6400, params.d)


def small(seeds: int, **changes: object) -> tuple[deep_relu.DeepNet, deep_relu.DeepNet, np.ndarray]:
    """Students, teachers and points of a two-layer specialisation."""
    params, draws = two_layer.TwoLayer(eval_points=10, **changes), Draws(0, range(seeds))
    problem: Problem = two_layer.sample(params, draws)
    return (
        two_layer.student(params, problem.teacher, draws),
        problem.teacher,
        1.5 * draws.normal("points", 6400, params.d),
    )


def main() -> None:
    """Print the table."""
    torch.set_num_threads(1)
    far = DEVICE != "cpu"
    print(f"Deep students on {DEVICE}: published loop, one seed / ours, many; one thread")
    many = 64 if far else 2
    rows = [
        row("reconstruction, 10x", *deep(many), rate=0.01, batch=64),
        row("reconstruction, 5x", *deep(64 if far else 4, node_multi=5), rate=0.01, batch=64),
        row("5x, normalised", *deep(64 if far else 4, node_multi=5, normalize=True), rate=0.01, batch=64,
            normalize=True),
        row("reconstruction, 1x", *deep(64 if far else 16, node_multi=1), rate=0.01, batch=64),
        row("reconstruction, 10x", *deep(many), rate=0.01, batch=64, dtype="float64"),
        row("two layers, 10 neurons, 10x", *small(32), rate=0.01, batch=16, half=True),
        row("two layers, 10 neurons, 10x", *small(32), rate=0.01, batch=16, half=True, dtype="float64"),
        row("two layers, 5 neurons, 1x", *small(32, m=5, node_multi=1), rate=0.01, batch=16, half=True,
            dtype="float64"),
    ]  # fmt: skip
    print(pd.DataFrame(rows).to_string(index=False))


if __name__ == "__main__":
    main()
