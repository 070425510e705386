"""Minibatch training of two-layer ReLU nets with several inputs, many at once: arrays in, arrays out.

    f(x) = c + alpha_2 sum_i w_i relu(alpha_1 <a_i, x> + b_i),   i = 1, ..., m

The model, its loss and its shuffled minibatches; `smallnets.descent.training` trains many nets side by side.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from neurec_core.draws import Draws
from smallnets.descent import training
from smallnets.descent.device import DTYPES, numbers, torch_device
from smallnets.descent.optimizers import adam, gd

from .biases import Fitted, Start

Sample = tuple[np.ndarray, np.ndarray]
Batch = tuple[torch.Tensor, torch.Tensor]
Net = list[torch.Tensor]  # theta = (alpha_1 X, 1)'s weights (B, d + 1, m), w (B, m), c (B, 1)
OPTIMIZERS = {"gd": gd(), "momentum": gd(0.9), "adam": adam()}
POINTS_AT_ONCE = 256  # in evaluations, so that what is in between fits into a cache


class Method(NamedTuple):
    """How nets are trained: ``batch`` points per step, by ``optimizer`` with step size ``rate``.

    The optimiser is "gd", "momentum" (0.9) or "adam" (0.9, 0.999, 1e-8), as in torch.
    """

    optimizer: str
    rate: float
    batch: int = 256


class Watched(NamedTuple):
    """Samples, all of one size, on which errors are computed, and how many epochs pass from once to the next."""

    samples: Sequence[Sample]
    every: int = 1


def fit(
    start: Start,
    train: Sample,
    watched: Watched,
    draws: Draws,
    *,
    method: Method,
    epochs: int,
    dtype: str = "float32",
) -> Fitted:
    """Minimise the mean squared error, without 1/2, on minibatches reshuffled for each net in each epoch.

    A neuron is active where its pre-activation is positive, as in torch. One batch of all points is not shuffled.

    Parameters
    ----------
    start : where to start
    train : X and y, (B, n, d) and (B, n) arrays, n a multiple of the batch
    watched : other samples
    draws : the randomness of the shuffles
    method : how weights are changed
    epochs : passes over the points, >= 0
    dtype : float32 or float64

    **Source**: holzmuller2022training, Section 10 and its code (float32); differs: a net's shuffles and start
    do not depend on the nets beside it.
    """
    precision, place, (inner, outer) = DTYPES[dtype], torch_device(None), start.scales
    looked = [np.concatenate(parts, axis=1) for parts in zip(*watched.samples, strict=True)]
    points, watching = (_points(sample, inner, precision, place) for sample in (train, looked))
    net, losses = _weights(start, precision, place), []

    def loss(net: Net, X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return _squares(X, y, net, outer).mean(1)

    shuffles = ((_shuffled(points, draws, epoch, method.batch), method.rate) for epoch in range(epochs))
    for epoch, _ in enumerate(training.train(loss, net, shuffles, OPTIMIZERS[method.optimizer]), start=1):
        if epoch % watched.every == 0:
            found = training.value(_watch, net, *watching, outer)
            losses.append(found.reshape(len(found), len(watched.samples), -1).mean(2))
    train_loss = training.value(_watch, net, *points, outer).mean(1)
    trace = np.stack(losses, 2) if losses else np.empty((len(train_loss), len(watched.samples), 0))
    return Fitted(Start(*_read(net, start.w.shape[1]), start.scales), train_loss, trace)


def _watch(net: Net, X: torch.Tensor, y: torch.Tensor, outer: float) -> torch.Tensor:
    return torch.cat([_squares(*some, net, outer) for some in _split(X, y, POINTS_AT_ONCE)], 1)


def _points(sample: Sequence[np.ndarray], inner: float, number: torch.dtype, place: torch.device) -> Batch:
    X, y = sample
    # The bias is the weight of one more input.
    X = np.concatenate([inner * X, np.ones_like(X[..., :1])], axis=2)
    return torch.tensor(X, dtype=number, device=place), torch.tensor(y, dtype=number, device=place)


def _weights(start: Start, number: torch.dtype, place: torch.device) -> Net:
    theta = np.concatenate([start.a, start.b[:, None]], axis=1)
    weights = training.filled(theta), training.filled(start.w), start.c[:, None]
    return [torch.tensor(part, dtype=number, device=place) for part in weights]


def _read(net: Net, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    theta, w, c = map(numbers, net)
    return (theta[:, :-1, :m], theta[:, -1, :m], w[:, :m], c[:, 0])


def _shuffled(points: Batch, draws: Draws, epoch: int, batch: int) -> Iterator[Batch]:
    """Minibatches in an order of their own for each net."""
    X, y = points
    n = y.shape[1]
    if batch < n:
        order = torch.tensor(np.argsort(draws.uniform(f"order_{epoch}", n), axis=1), device=X.device)
        X, y = X.take_along_dim(order[:, :, None], 1), y.take_along_dim(order, 1)
    return _split(X, y, batch)


def _split(X: torch.Tensor, y: torch.Tensor, points: int) -> Iterator[Batch]:
    return zip(X.split(points, 1), y.split(points, 1), strict=True)


def _squares(X: torch.Tensor, y: torch.Tensor, net: Net, outer: float) -> torch.Tensor:
    theta, w, c = net
    return (training.weighted_relu(X, theta, w) * outer + c - y).square()
