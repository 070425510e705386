"""Gradient descent of one-hidden-layer ReLU networks: the published loop in torch beside `smallnets.descent.relu`.

Published: two linear modules without biases, the mean squared error, a tape, an optimiser's step, and a look at the
loss in every iteration; where it logs, all pairwise angles by arccos, a singular value decomposition and four test
errors in each row. Both start from the same weights, in double precision; weights are compared at the end. JAX: pure
steps in one compiled loop, of as many networks as the paper's fifteen trials, without a log and without a look at the
loss.
"""

from __future__ import annotations

import time

import numpy as np
import pandas as pd
import torch

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_papers.single_neuron import ALIGNMENT_VS_SCALE, engine
from neurec_papers.single_neuron.experiments.setup import SingleNeuron, sample, start
from neurec_papers.single_neuron.experiments.training import data_sets
from neurec_papers.single_neuron.published import schedule
from smallnets.descent import relu

from . import peers

LEAST = 1.0  # seconds over which ours is repeated
TRIALS = 15  # of a point of the paper, which JAX trains together
TOY = np.array([[-0.5, 1.0], [2.0, 1.0]]), np.array([-1.0, 1.0])


def published(
    X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray, step: float, steps: int, sets: list | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Weights after so many iterations; with test sets, a log at the published iterations is kept."""
    inputs, labels = torch.tensor(X), torch.tensor(y)[:, None]
    net = torch.nn.Sequential(
        torch.nn.Linear(X.shape[1], len(a), bias=False), torch.nn.ReLU(), torch.nn.Linear(len(a), 1, bias=False)
    ).double()
    with torch.no_grad():
        net[0].weight.copy_(torch.tensor(W))
        net[2].weight.copy_(torch.tensor(a)[None])
    optimizer, squared = torch.optim.SGD(net.parameters(), lr=step), torch.nn.MSELoss()
    groups = [torch.tensor(a > 0), torch.tensor(a < 0)]
    rows, log = [], set(schedule(steps).tolist()) if sets else set()
    for k in range(steps):
        optimizer.zero_grad()
        loss = squared(net(inputs), labels)
        loss.backward()
        optimizer.step()
        if k in log:
            rows.append(_row(net, groups, sets or []))
        if loss.item() < 1e-9:
            break
    return net[0].weight.detach().numpy(), net[2].weight.detach().numpy()[0]


def _row(net: torch.nn.Sequential, groups: list, sets: list) -> list[float]:
    W, a = net[0].weight.detach(), net[2].weight.detach()[0]
    row = [torch.linalg.matrix_norm(W, "nuc").item(), (W**2).sum().item() + (a**2).sum().item()]
    for group in groups:
        unit = W[group] / W[group].norm(dim=1, keepdim=True)
        angles = torch.arccos(torch.clamp(unit @ unit.T, -1, 1))
        grad = net[0].weight.grad[group]
        along = (grad * unit).sum(dim=1, keepdim=True)
        across = (grad - along * unit).norm(dim=1) / W[group].norm(dim=1)
        row += [angles.max().item(), angles.mean().item(), along.min().item(), along.max().item(), across.mean().item()]
    with torch.no_grad():
        row += [((net(inputs) - labels) ** 2).mean().item() for inputs, labels in sets]
    return row


class Case:
    """A start: problem, weights, step size; the test sets of the problem as tensors."""

    def __init__(self, params: SingleNeuron, trial: int = 0) -> None:
        draws = Draws(0, [trial])
        self.problem: Problem = sample(params, draws)
        self.X, self.y = self.problem.X[0], self.problem.y[0]
        (self.W,), (self.a,) = start(params.m, params.d, params.scale, draws)
        teacher = self.problem.teacher
        self.sets = [(torch.tensor(part[0]), torch.tensor(teacher.net(part))[0, :, None]) for part in teacher.sets]

    def after(self, steps: int) -> Case:
        """The same further on."""
        end = relu.descend(self.X, self.y, self.W, self.a, step=0.01, steps=steps)
        self.W, self.a = end.W, end.a
        return self


def loss(net: peers.Net, X: np.ndarray, y: np.ndarray) -> peers.jax.Array:
    """The mean squared error of one network without biases."""
    return peers.jnp.mean((peers.jax.nn.relu(X @ net["W"].T) @ net["a"] - y) ** 2)


def by_jax(case: Case, step: float, steps: int) -> tuple[float, np.ndarray]:
    """Seconds of a step of one of many networks, and the weights at the end."""
    nets = {name: np.stack([part] * TRIALS) for name, part in {"W": case.W, "a": case.a}.items()}
    data = tuple(np.stack([part] * TRIALS) for part in (case.X, case.y))
    seconds, end = peers.timed(lambda t: peers.descend(loss, nets, data, np.full(TRIALS, step), t), steps, rounds=1)
    return seconds / TRIALS, np.asarray(end["W"][0])


def row(what: str, case: Case, theirs: int, ours: int, step: float = 0.01, log: bool = False, **options: float) -> dict:
    """One line: iterations by torch and by ours, and how far weights differ after the former."""
    run = {"step": step, "target": 1e-9, **options}
    near = relu.descend(case.X, case.y, case.W, case.a, steps=theirs, **run)
    begin = time.process_time()
    W, _ = published(case.X, case.y, case.W, case.a, step, theirs, case.sets if log else None)
    each, taken, begin = (time.process_time() - begin) / theirs, 0, time.process_time()
    while (spent := time.process_time() - begin) < LEAST or not taken:
        end = relu.descend(case.X, case.y, case.W, case.a, steps=ours, log=schedule(ours) if log else (), **run)
        if log:
            engine.logged(data_sets(case.problem)[0], engine.Snapshots(end.Ws, end.As, end.losses))
        taken += end.steps
    peer, far = by_jax(case, step, theirs)
    return {
        "": what,
        "published (µs per iteration)": round(1e6 * each),
        "ours (µs)": f"{1e6 * spent / taken:.3g}",
        "ratio": round(each * taken / spent),
        "weights differ by": f"{np.abs(W - near.W).max() / np.abs(W).max():.0e}",
        "JAX (µs)": f"{1e6 * peer:.3g}",
        "JAX / ours": round(peer * taken / spent, 1),
        "differ by": f"{np.abs(far - near.W).max() / np.abs(W).max():.0e}",
    }


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    default, example = SingleNeuron(), SingleNeuron(d=16, data="uncentred", scale=4.0**-7)
    wide, large = example.with_(m=200), SingleNeuron(d=16, m=200, data="centred")
    row("", Case(default), 50, 3000, log=True)  # what is compiled or loaded on first use is there before time counts
    row("", Case(wide), 50, 3000, tail=1e-6)
    toy = Case(SingleNeuron(d=2, m=60, scale=1e-6))
    toy.X, toy.y = TOY
    print("Gradient descent of ReLU networks: torch modules / ours, CPU time, one thread")
    rows = [
        row("25 neurons, d = 10, 20,000 iterations with 405 rows of log", Case(default), 20_000, 20_000, log=True),
        row("the same without the log", Case(default), 5000, 20_000),
        row("200 neurons, d = 16, the first 2000 iterations, all neurons free", Case(large), 2000, 2000),
        row("200 neurons, d = 16, from iteration 5000 on, all grouped", Case(wide, 3).after(5000), 1000, 300_000),
        row("25 neurons, d = 16, to the end", Case(example), 2000, 20_000_000),
        row("the same, the slow end many at a time", Case(example), 2000, 20_000_000, tail=1e-6),
        row("orthogonal toy, 60 neurons", toy, 5000, 20_000, step=1e-3),
    ]
    print(pd.DataFrame(rows).to_string(index=False))
    begin = time.process_time()
    scales, steps = [4.0**-e for e in (0, 2, 4, 6, 8)], 0.0
    for scale in scales:
        made = ALIGNMENT_VS_SCALE.rows(ALIGNMENT_VS_SCALE.params(d=4, m=200, scale=scale), 0, range(15))
        steps += sum(one["iterations"] or 0.0 for one in made)
    print(f"d = 4, 200 neurons, 75 trainings: {time.process_time() - begin:.1f} s for {steps:,.0f} iterations")
