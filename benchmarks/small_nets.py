"""Small tanh networks on few points: a module in a loop, as one writes it in torch, beside the compiled steps.

Both in float64, from the same weights, on the same points of the paper's target; all on one thread. JAX: sixteen such
networks in one compiled loop. Then what the
choices in `neurec_core` rest on: what torch takes on the CPU, and whether a finish by Levenberg and
Marquardt may stand for most of the steps.
"""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

import neurec_core
from neurec_core.draws import Draws
from neurec_papers.local_linear_recovery.engine.levenberg_marquardt import polish
from neurec_papers.local_linear_recovery.experiments.training import (
    STRICT,
    HmktSweep,
    SampleSweep,
    fresh,
    sample,
)
from smallnets.descent import tanh
from smallnets.nets.tanh_nets import Architecture, outputs

from . import peers
from .published_modules import Module, train

WIDTHS = (1, 10, 100)
SIZES = [8, 32, 56]
STEPS = 400  # of the module; most networks leave the saddle at zero near step 100
OURS = {1: 40_000, 10: 4000, 100: 800}
ROUNDS = 3
JAX = 16  # networks in its loop
TOGETHER = 64  # networks in a batch of torch
FEW, LONG = 5000, 200_000  # steps before the finish, and instead of it
RECOVERING = {"ws": [7, 8, 10, 14, 20], "fc": [22, 28, 36, 44, 60]}


class Case(NamedTuple):
    """Networks to be trained and their data."""

    params: SampleSweep
    net: Architecture
    start: np.ndarray
    X: np.ndarray
    y: np.ndarray
    fresh: tuple[np.ndarray, np.ndarray]

    def train(self, steps: int, tolerance: float = 0.0, method: str | None = None) -> tanh.Run:
        """Our way."""
        return tanh.train(
            self.net, self.start, self.X, self.y,
            steps=steps, rate=self.params.step, tolerance=tolerance, method=method,
        )  # fmt: skip

    def module(self) -> Module:
        """The first network as a module."""
        p = self.params
        return Module(p.architecture, p.d, p.s, p.factor * p.k, p.output_bias, self.start[0])

    def test(self, theta: np.ndarray) -> np.ndarray:
        """Test errors (B,)."""
        X, y = self.fresh
        return np.mean((outputs(self.net, theta, X) - y) ** 2, axis=1)


def case(params: SampleSweep, networks: int = 1) -> Case:
    """Trials 0, 1, ... of an experiment."""
    draws = Draws(0, range(networks))
    problem, net = sample(params, draws), params.network()
    start = params.init * draws.normal("start", net.size)
    return Case(params, net, start, problem.X, problem.y, fresh(params, problem.teacher, draws))


def cpu(*contenders: Callable[[], Any], rounds: int = ROUNDS) -> list[float]:
    """CPU seconds of each, the least of several rounds in which they take turns."""
    seconds = np.empty((rounds, len(contenders)))
    for one in seconds:
        for i, run in enumerate(contenders):
            begin = time.process_time()
            run()
            one[i] = time.process_time() - begin
    return seconds.min(axis=0).tolist()


# ----------------------------------------------------------------------------------------------------------- compiling


def compiling() -> None:
    """Print what the first calls cost, in a copy of the package: nothing compiled there, then all of it."""
    script = (
        "import time, numpy as np; from smallnets.descent import tanh, tanh_kernels;"
        "from smallnets.nets.tanh_nets import architecture; net = architecture('fc', 5, 3, 1);"
        "begin = time.process_time();"
        "[tanh.train(net, np.zeros((B, net.size)), np.ones((B, 8, 5)), np.ones((B, 8)), steps=1, rate=0.1)"
        " for B in (1, 2)]; print(time.process_time() - begin)"
    )
    with tempfile.TemporaryDirectory() as folder:
        package = Path(neurec_core.__file__).parent
        shutil.copytree(package, Path(folder, package.name), ignore=shutil.ignore_patterns("__pycache__"))
        given: dict[str, Any] = {"cwd": folder, "env": {**os.environ, "PYTHONPATH": folder}, "encoding": "utf-8"}
        first, later = (float(subprocess.check_output([sys.executable, "-c", script], **given)) for _ in range(2))
    print(
        "The first calls of a process, with one network and with two: "
        f"{first:.1f} s of CPU time where nothing is compiled, {later:.1f} s later on"
    )


# --------------------------------------------------------------------------------------------------------------- steps


@functools.cache
def loss_of(name: str, d: int, s: int, kernels: int, output_bias: bool) -> Callable[..., peers.jax.Array]:
    """The mean squared error of a network of `case`, as a function of its parameters, inputs and labels."""
    m = kernels * (d + 1 - s)
    sizes = {"fc": (d * m, m), "ns": (s * m, m), "ws": (s * kernels, kernels)}[name]
    seen = np.arange(d + 1 - s)[:, None] + np.arange(s)

    def loss(theta: Any, X: Any, y: Any) -> peers.jax.Array:
        W, b, a, c = peers.jnp.split(theta, np.cumsum([*sizes, m]))
        if name == "fc":
            z = X @ W.reshape(m, d).T + b
        elif name == "ns":
            z = peers.jnp.einsum("nps,kps->nkp", X[:, seen], W.reshape(kernels, -1, s)) + b.reshape(kernels, -1)
        else:
            z = peers.jnp.einsum("nps,ks->nkp", X[:, seen], W.reshape(kernels, s)) + b[:, None]
        outputs = peers.jnp.tanh(z).reshape(len(X), m) @ a + (c[0] if output_bias else 0.0)
        return peers.jnp.mean((outputs - y) ** 2)

    return loss


def by_jax(one: Case, steps: int) -> tuple[float, np.ndarray]:
    """Seconds of a step of a network, and parameters after so many steps."""
    p = one.params
    loss = loss_of(p.architecture, p.d, p.s, p.factor * p.k, p.output_bias)
    start, *data = (np.repeat(part[:1], JAX, axis=0) for part in (one.start, one.X, one.y))
    rate = np.full(JAX, 0.1)
    seconds, end = peers.timed(lambda t: peers.descend(loss, start, tuple(data), rate, t), steps)
    return seconds / JAX, np.asarray(end[0])


def steps(name: str, factor: int) -> dict[str, object]:
    """One row: steps per second, the mean over sample sizes."""
    speeds, apart, errors, others = [], [], [], []
    for n in SIZES:
        one, made = case(SampleSweep(architecture=name, factor=factor, n=n, step=0.1)), []

        def published(one: Case = one, made: list[Module] = made) -> None:
            made[:] = [one.module()]
            train(made[0], one.X[0], one.y[0], rate=0.1, steps=STEPS)

        def ours(one: Case = one) -> None:
            one.train(OURS[factor])

        theirs, own = cpu(published, ours)
        peer, far = by_jax(one, STEPS)
        speeds.append((STEPS / theirs, OURS[factor] / own, 1 / peer))
        theta = one.train(STEPS).theta
        others.append(np.abs(theta[0] - far).max())
        apart.append(np.abs(theta - made[0].theta).max())
        errors.append(np.abs(one.test(theta) / one.test(made[0].theta[None]) - 1).max())
    theirs, own, peer = np.mean(speeds, axis=0)
    return {
        "architecture": name,
        "width": factor,
        "module (steps/s)": round(theirs),
        "ours (steps/s)": round(own),
        "ratio": round(own / theirs),
        "least, by n": round(min(own / theirs for theirs, own, _ in speeds)),
        "weights differ by": f"{max(apart):.0e}",
        "test errors by": f"{max(errors):.0e}",
        "JAX (steps/s)": round(peer),
        "ours / JAX": round(own / peer, 1),
        "differ by": f"{max(others):.0e}",
    }


def whole(name: str, factor: int) -> dict[str, object]:
    """One row: a training of the HMKT protocol, to its end."""
    params = HmktSweep(architecture=name, factor=factor)
    one = case(params)
    module, taken = one.module(), []
    rule = {"steps": params.steps, "tolerance": params.tolerance}
    (theirs,) = cpu(lambda: taken.append(train(module, one.X[0], one.y[0], rate=params.step, **rule)), rounds=1)
    (own,) = cpu(lambda: one.train(**rule))
    run = one.train(**rule)
    return {
        "architecture": name,
        "width": factor,
        "steps, module": taken[0],
        "ours": run.steps[0],
        "module (s)": round(theirs, 2),
        "ours (s)": round(own, 4),
        "ratio": round(theirs / own),
        "test error, module": f"{one.test(module.theta[None])[0]:.6e}",
        "test error, ours": f"{one.test(run.theta)[0]:.6e}",
    }


# --------------------------------------------------------------------------------------------------------- our choices


def methods(name: str, factor: int) -> dict[str, object]:
    """One row: a step of a network by each method on 32 points."""
    few, some = max(2, 60 // factor), max(100, 10_000 // factor)
    params = SampleSweep(architecture=name, factor=factor, n=32, step=0.1)
    one, many = case(params), case(params, TOGETHER)
    runs = [partial(one.train, some, method="compiled"), partial(many.train, few, method="batched")]
    us = np.array(cpu(*runs, rounds=5)) / [some, few * TOGETHER] * 1e6
    return {
        "architecture": name,
        "width": factor,
        "compiled (us)": f"{us[0]:.3g}",
        "batched (us)": f"{us[1]:.3g}",
        "batched/compiled": f"{us[1] / us[0]:.2f}",
    }


def finish(name: str, factor: int, networks: int = 6) -> list[dict[str, object]]:
    """Two rows: which networks are the target exactly, after few steps and the finish, and after many steps."""
    clocks, found = [], []
    for n in RECOVERING[name]:
        one = case(SampleSweep(architecture=name, factor=factor, n=n), networks)
        clock, ends = [time.process_time()], []
        for steps in (FEW, LONG):
            run = one.train(steps, tolerance=1e-20)
            clock.append(time.process_time())
            ends += [run.theta, polish(one.net, run.theta, one.X, one.y).theta]
            clock.append(time.process_time())
        clocks.append(np.diff(clock))
        found.append([one.test(theta) < STRICT for theta in ends[1:]])
    few, few_finish, long, long_finish = np.sum(clocks, axis=0)
    ours, alone, finished = np.concatenate(found, axis=1)
    return [
        {
            "architecture": name,
            "width": factor,
            "beside": beside,
            "networks": len(ours),
            "both": (ours & theirs).sum(),
            "only finish": (ours & ~theirs).sum(),
            "only beside": (~ours & theirs).sum(),
            "neither": (~ours & ~theirs).sum(),
            "finish (s)": few + few_finish,
            "beside (s)": seconds,
        }
        for beside, theirs, seconds in (("finished", finished, long + long_finish), ("alone", alone, long))
    ]


def finishes() -> pd.DataFrame:
    """The rows, and their sums."""
    table = pd.DataFrame([row for name in RECOVERING for factor in (1, 3) for row in finish(name, factor)])
    for beside, rows in list(table.groupby("beside", sort=False)):
        sums = rows.drop(columns="width").sum(numeric_only=True)
        table.loc[len(table)] = {**sums, "architecture": "all", "width": "", "beside": beside}
    table["ratio"] = (table["beside (s)"] / table["finish (s)"]).round(1)
    return table.round(2)


def main() -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    compiling()
    for networks in (1, 2):  # what is compiled or loaded on first use is there before time counts
        case(SampleSweep(), networks).train(1)
    print(
        f"\nSteps of a network, means over n = {SIZES}: a torch module in a loop / ours, CPU time, one thread, float64"
    )
    print(
        pd.DataFrame([steps(name, factor) for name in ("fc", "ws", "ns") for factor in WIDTHS]).to_string(index=False)
    )
    print("\nA whole training of the HMKT protocol, n = 20: at most 20,000 steps, an end at 1e-10")
    print(pd.DataFrame([whole(name, f) for f in (1, 10) for name in ("fc", "ws", "ns")]).to_string(index=False))
    print(f"\nA step of a network, n = 32, by method; batched: torch, {TOGETHER} networks at once, on the CPU")
    widths = (1, 3, 10, 20, 34, 100)
    print(pd.DataFrame([methods(name, f) for name in ("fc", "ws") for f in widths]).to_string(index=False))
    print(
        f"\nNetworks whose test error is below {STRICT}: {FEW:,} steps and a finish by Levenberg and Marquardt,\n"
        f"beside {LONG:,} steps finished in the same way, and alone; CPU time of all"
    )
    print(finishes().to_string(index=False))
