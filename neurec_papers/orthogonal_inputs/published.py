"""The published random streams: the draws of the authors' two notebooks, from torch's generator, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from smallnets.arguments import checked, number, whole

SEED = 4  # of the high-dimensional run
TEACHER = 6  # its neurons

# Measured with the authors' code, in float32. The toy, torch's seeds 0, 1 and 2: the steps at which the loss first is
# below 0.75, 0.51, 0.49 and 0.25 of that at the start.
TOY_CROSSINGS = np.array([[6018, 6618, 10928, 12587], [6054, 6654, 10699, 12358], [6094, 6694, 10617, 12276]])
# The high-dimensional run: such steps, and what it is like after its 200,000.
HIGH_DIMENSION_RUN = {
    "below_990": 68398, "below_900": 70324, "below_750": 71356, "below_600": 72381, "below_500": 74991,
    "below_400": 81944, "below_300": 82906, "below_200": 83637, "below_100": 84545, "below_050": 85455,
    "below_010": 89156, "below_001": 108100, "plateau": 0.4808, "loss_then": 2.2594e-5, "norm_then": 0.32345,
    "first_then": 0.4291, "second_then": 0.3264,
}  # fmt: skip


TOY_FRAMES, HIGH_DIMENSION_FRAMES = 1.05, 1.1  # the factors by which steps of the animations' frames grow


@checked(steps=whole("steps", "[1, inf)"), factor=number("factor", "(1, 2]"))
def frames(steps: int, factor: float) -> np.ndarray:
    """Steps shown in an animation of the authors: 0, 1, and from each the whole part of its multiple, and one.

    **Source**: boursier2022gradient, its code.
    """
    shown = [0, 1]
    while (after := int(factor * shown[-1]) + 1) < steps:
        shown.append(after)
    return np.array(shown[: steps + 1])


def toy(trial: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """Weights and biases (m, 2) of variance 1/m, and signs (m,); the trial is torch's seed, the authors set none."""
    with _stream(trial) as torch:
        return _network(torch, 1, m, bias=True)


@checked(
    trial=whole("trial"),
    n=whole("training points", "[1, inf)"),
    d=whole("dimension", "[1, inf)"),
    m=whole("neurons", "[1, inf)"),
)
def high_dimension(trial: int, n: int, d: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (n, d), labels (n,), student's weights (m, d) of variance 1/(m d), signs (m,); seed 4 + trial."""
    with _stream(SEED + trial) as torch:
        W, a = _network(torch, d, TEACHER, balanced=False)
        X = torch.randn(n, d).double().numpy()
        return X, np.maximum(X @ W.T, 0) @ a, *_network(torch, d, m)


@contextmanager
def _stream(seed: int) -> Iterator[Any]:
    import torch  # their stream is that of its generator

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield torch


def _network(torch: Any, d: int, m: int, *, bias: bool = False, balanced: bool = True) -> tuple[np.ndarray, np.ndarray]:
    hidden = torch.nn.Linear(d, m, bias=bias)  # its own initialisation draws, too
    torch.nn.init.normal_(hidden.weight.data, std=(m * d) ** -0.5)
    if bias:
        torch.nn.init.normal_(hidden.bias.data, std=(m * d) ** -0.5)
    outer = torch.nn.Linear(m, 1, bias=False).weight.data
    if balanced:
        outer = 2 * torch.bernoulli(torch.full((1, m), 0.5)) - 1
    else:
        torch.nn.init.normal_(outer, std=m**-0.5)
    parts = [hidden.weight.data, hidden.bias.data[:, None]] if bias else [hidden.weight.data]
    return torch.cat(parts, dim=1).double().numpy(), outer.double().numpy()[0]
