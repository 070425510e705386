"""Training of tanh networks in torch, all of a batch in each step: made for a graphics processor, or for float32.

The steps are those of `smallnets.descent.tanh_kernels`; only the order of sums differs.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from ..nets.tanh_nets import Architecture
from . import training
from .device import DTYPES, numbers, torch_device
from .optimizers import adam, gd

GLANCE = 100  # steps from one look at whether any network goes on to the next: a look waits for the processor


def train(
    net: Architecture,
    theta: np.ndarray,
    sample: tuple[np.ndarray, np.ndarray],
    rule: tuple[bool, float, float, float, int],
    *,
    marks: np.ndarray,
    dtype: str,
    device: str | None,
) -> tuple[np.ndarray, ...]:
    """As `smallnets.descent.tanh.train`, whose entrance this is behind."""
    by_adam, rate, decay, tolerance, steps = rule
    weights, *points = (
        torch.tensor(part, dtype=DTYPES[dtype], device=torch_device(device)) for part in (theta, *sample)
    )
    loss, late = _loss(net, weights.device), steps - steps // 10
    stops = sorted({steps, late, *range(0, steps, GLANCE), *marks[marks <= steps].tolist()})
    pieces = ((itertools.repeat(points, b - a), rate) for a, b in itertools.pairwise(stops))
    course = training.train(loss, [weights], pieces, (adam if by_adam else gd)(weight_decay=decay), tolerance=tolerance)
    ended, earlier = np.full(len(theta), -1), np.full(len(theta), np.nan)
    shots = np.full((len(theta), len(marks), net.size), np.nan)
    for t in stops:
        going = ended < 0
        if len(at := np.flatnonzero(marks == t)):
            shots[going, at[0]] = numbers(weights)[going]
        if t == late:
            earlier = np.where(going, training.value(loss, [weights], *points), np.nan)
        if t == steps or not going.any():
            break
        ended = next(course).ended
    return numbers(weights), np.where(going, t, ended), training.value(loss, [weights], *points), earlier, shots


def _loss(net: Architecture, place: torch.device) -> Any:
    """The mean squared error of the networks, a function of theta (B, M), X (B, n, d) and y (B, n)."""

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, device=place)

    # The weights of neurons as a matrix (d, m); the number behind theta is the 0 of those that are not there.
    entries = np.full((net.d, net.m), net.size)
    entries[net.inputs, np.arange(net.m)] = net.weights
    weights, outputs, biases = tensor(entries.ravel()), tensor(net.outputs), tensor(net.biases)

    def loss(parameters: list[torch.Tensor], X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        (theta,) = parameters
        z = torch.bmm(X, functional.pad(theta, (0, 1)).index_select(1, weights).unflatten(1, (net.d, net.m)))
        if len(net.biases):
            z = z + theta.index_select(1, biases)[:, None]
        f = torch.bmm(torch.tanh(z), theta.index_select(1, outputs)[:, :, None])[:, :, 0]
        if net.constant >= 0:
            f = f + theta[:, net.constant, None]
        return (f - y).square().mean(1)

    return loss
