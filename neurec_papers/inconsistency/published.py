"""The published random stream: the same networks as the paper's Monte-Carlo experiment, digit for digit.

The authors' code seeds NumPy's old global generator, draws a seed for each of 627 tasks, and each task draws its data
and its networks from one stream. The same list of tasks serves every shift, step rule and criterion.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from neurec_core.params import BadInput
from smallnets.arguments import checked, whole

MASTER = 1234567890
WIDTHS = tuple(2**k for k in range(4, 12))
NETWORKS = 10_000  # of each width


class PublishedTask(NamedTuple):
    """Networks drawn from one stream: shares (B, 6) twice, a and w (B, m), and the stream, to be drawn from further."""

    weights: np.ndarray
    validation: np.ndarray
    a: np.ndarray
    w: np.ndarray
    state: Any


@lru_cache(maxsize=1)
def tasks() -> dict[int, list[tuple[int, int, int]]]:
    """For each width, (seed, first network, networks) of every task."""
    master = np.random.RandomState(MASTER)
    master.randn(1000)
    found: dict[int, list[tuple[int, int, int]]] = {}
    for k, m in enumerate(WIDTHS, start=4):
        size = min(2 ** max(16 - k, 3), NETWORKS)
        found[m] = [
            (int(master.randint(2**30)), first, min(size, NETWORKS - first)) for first in range(0, NETWORKS, size)
        ]
    return found


@lru_cache(maxsize=2)
@checked(m=whole("width"), number=whole("task"))
def task(m: int, number: int, swapped: bool = False) -> PublishedTask:
    """A task of width m; its stream is left where training begins.

    Raises
    ------
    BadInput : "m (width) must be one of 16, 32, ..., got 17", or a task that there is not
    """
    if m not in WIDTHS:
        raise BadInput(f"m (width) must be one of {', '.join(map(str, WIDTHS))}, got {m}")
    if number >= len(tasks()[m]):
        raise BadInput(f"number (task) must be in [0, {len(tasks()[m]) - 1}] for m = {m}, got {number}")
    seed, _, nets = tasks()[m][number]
    stream = np.random.RandomState(seed)
    weights, validation = (stream.multinomial(m * m, np.full(6, 1 / 6), size=nets) / m**2 for _ in range(2))
    deviations = (2**0.5, (2 / m) ** 0.5)
    first, second = deviations[::-1] if swapped else deviations
    a, w = first * stream.randn(nets, 1, m)[:, 0], second * stream.randn(nets, 1, m)[:, 0]
    return PublishedTask(weights, validation, a, w, stream.get_state(legacy=True))


def place(m: int, trial: int) -> tuple[int, int]:
    """(task, network in it) of a trial, which numbers the networks of a width in the order of the tasks."""
    size = tasks()[m][0][2]
    return trial // size, trial % size


def example_points(n: int) -> tuple[np.ndarray, np.ndarray]:
    """The points of figures 1 and 2 before their intercepts are removed, (n,) each, from torch's stream of seed 5."""
    import torch  # their stream is that of its generator

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        size = torch.distributions.Beta(torch.tensor(5.0), torch.tensor(2.0)).sample((n,))
        sign = 2 * torch.bernoulli(torch.full((n,), 0.5)) - 1
        noise = torch.randn(n)
        x = (196 / 105) ** 0.5 * sign * size
        y = (torch.cos(7 * torch.pi * (x - x / torch.sqrt(1 + x**2))) + 0.2 * x**2 + 0.074 + 0.1 * noise) / 0.727
    return x.double().numpy(), y.double().numpy()


def example_weights(m: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """a and w of a network of figures 1 and 2, (m,) each."""
    stream = np.random.RandomState(seed)
    return 2**0.5 * stream.randn(m), (2 / m) ** 0.5 * stream.randn(m)


def points_beside_a_line() -> tuple[np.ndarray, np.ndarray]:
    """The six random points (6, 2) of the set with a line, and their labels (6,), from torch's stream of seed 1."""
    import torch  # as above

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        X, y = torch.randn(6, 2), torch.randn(6)
    return X.double().numpy(), y.double().numpy()


def points_on_axes(d: int) -> tuple[np.ndarray, np.ndarray]:
    """Distances from the origin and labels of five points on each of d axes, (d, 5) each.

    The intercept of each axis's least-squares line has been subtracted.
    """
    stream = np.random.RandomState(1)
    x, y = np.empty((d, 5)), np.empty((d, 5))
    for i in range(d):
        x[i], y[i] = stream.uniform(1, 2, 5), stream.uniform(-1, 1, 5)
        y[i] -= np.linalg.lstsq(np.stack([x[i], np.ones(5)], axis=1), y[i], rcond=None)[0][1]
    return x, y
