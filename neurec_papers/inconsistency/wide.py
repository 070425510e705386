"""Minibatch training of two-layer ReLU nets with several inputs, many at once: arrays in, arrays out.

    f(x) = c + alpha_2 sum_i w_i relu(alpha_1 <a_i, x> + b_i),   i = 1, ..., m

The nets stand side by side on a leading axis B. The gradients are written out and the optimisers are written as
single sums, products, quotients and roots, each rounded by itself, and hidden units come in whole vectors: so a
net's last bit does not depend on the nets trained beside it, nor, with one thread, on the number of cores
(measured on x86 processors; on a GPU the sums of a matrix product may be ordered by the size of the batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from smallnets.arguments import array, checked, choice, number, parts, record, whole
from smallnets.descent.device import DTYPES, one_thread, torch_device
from smallnets.descent.optimizers import OPTIMIZERS, Update

Sample = tuple[np.ndarray, np.ndarray]
Points = tuple[torch.Tensor, torch.Tensor]
Net = list[torch.Tensor]  # theta = (alpha_1 X, 1)'s weights (B, d + 1, m), w (B, m), c (B, 1)
LANES = 16  # hidden units come in whole vectors of the processor: those filled up stay zero
POINTS_AT_ONCE = 256  # in evaluations, so that what is in between fits into a cache


class Layers(NamedTuple):
    """B nets: hidden weights ``a (B, d, m)``, biases ``b (B, m)``, output weights ``w (B, m)``, bias ``c (B,)``."""

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    c: np.ndarray


class Fit(NamedTuple):
    """What training ends with: the nets, and mean squared errors.

    ``train_loss (B,)`` is after the last epoch, ``losses (B, W, E)`` on the W samples watched, E times. What is
    not finite has diverged.
    """

    net: Layers
    train_loss: np.ndarray
    losses: np.ndarray


# ----------------------------------------------------------------------------------------------------- training


@checked(
    train=parts(array("inputs", "B n d"), array("labels", "B n")),
    start=record(
        a=array("hidden weights", "B d m"),
        b=array("biases", "B m"),
        w=array("output weights", "B m"),
        c=array("output biases", "B"),
    ),
    optimizer=choice("optimizer", OPTIMIZERS),
    rate=number("step size", "[0, inf)"),
    epochs=whole("passes"),
    every=whole("epochs between snapshots", "[1, inf)"),
    batch=whole("points per step", "[1, inf)"),
    scales=array("factors of the slopes and of the output weights", "2"),
    dtype=choice("dtype", DTYPES),
)
def fit(
    start: Layers,
    train: Sample,
    watched: Sequence[Sample],
    draws: Draws,
    *,
    optimizer: str = "gd",
    rate: float,
    epochs: int,
    every: int = 1,
    batch: int = 256,
    scales: tuple[float, float] = (1.0, 1.0),
    dtype: str = "float32",
    device: str | None = None,
) -> Fit:
    """Minimise the mean squared error, without 1/2, on minibatches reshuffled for each net in each epoch.

    A neuron is active where its pre-activation is positive, as in torch. One batch of all points is not shuffled.

    Parameters
    ----------
    start : where to start
    train : X and y, (B, n, d) and (B, n) arrays, n a multiple of batch
    watched : other samples, (B, n', d) and (B, n') arrays, all of the same n'
    draws : the randomness of the shuffles
    optimizer : "gd", "momentum" (0.9) or "adam" (0.9, 0.999, 1e-8), as in torch
    rate : step size
    epochs : passes over the points, >= 0
    every : epochs from one look at the watched samples to the next
    batch : points per step
    scales : alpha_1, alpha_2
    dtype : float32 or float64
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", or a name that is not known

    **Source**: holzmuller2022training, Section 10 and its code (float32); differs: a net's shuffles and start
    do not depend on the nets beside it.
    """
    update, precision = OPTIMIZERS[optimizer], DTYPES[dtype]
    watched = _checked(train, watched, batch)
    place, (inner, outer) = torch_device(device), map(float, scales)
    looked = [np.concatenate(parts, axis=1) for parts in zip(*watched, strict=True)]
    with one_thread(), torch.no_grad():
        points, watching = (_points(X, y, inner, precision, place) for X, y in (train, looked))
        net, losses = _weights(start, precision, place), []
        steps = _Steps(net, outer, update, rate, batch)
        for epoch in range(epochs):
            steps.through(*_shuffled(*points, draws, epoch, batch))
            if (epoch + 1) % every == 0:
                losses.append(_squares(*watching, net, outer).unflatten(1, (len(watched), -1)).mean(2))
        train_loss = _array(_squares(*points, net, outer).mean(1))
        trace = _array(torch.stack(losses, 2)) if losses else np.empty((len(train_loss), len(watched), 0))
        return Fit(_read(net, start.w.shape[1]), train_loss, trace)


def _points(X: np.ndarray, y: np.ndarray, inner: float, number: torch.dtype, place: torch.device) -> Points:
    # The bias is the weight of one more input.
    X = np.concatenate([inner * X, np.ones_like(X[..., :1])], axis=2)
    return torch.tensor(X, dtype=number, device=place), torch.tensor(y, dtype=number, device=place)


def _weights(start: Layers, number: torch.dtype, place: torch.device) -> Net:
    idle = (0, -start.w.shape[1] % LANES)
    theta = np.pad(np.concatenate([start.a, start.b[:, None]], axis=1), ((0, 0), (0, 0), idle))
    weights = theta, np.pad(start.w, ((0, 0), idle)), start.c[:, None]
    return [torch.tensor(part, dtype=number, device=place) for part in weights]


def _read(net: Net, m: int) -> Layers:
    theta, w, c = map(_array, net)
    return Layers(theta[:, :-1, :m], theta[:, -1, :m], w[:, :m], c[:, 0])


class _Steps:
    """The optimiser of one call: it counts its steps and keeps its moments."""

    def __init__(self, net: Net, outer: float, update: Update, rate: float, batch: int) -> None:
        self.net, self.outer, self.update, self.rate, self.batch = net, outer, update, rate, batch
        self.moments = [[torch.zeros_like(part) for _ in range(2)] for part in net]
        self.taken = 0

    def through(self, X: torch.Tensor, y: torch.Tensor) -> None:
        """A step on each minibatch, as the points stand."""
        for some, labels in zip(X.split(self.batch, 1), y.split(self.batch, 1), strict=True):
            self.taken += 1
            gradients = _gradients(some, labels, self.net, self.outer)
            for part, gradient, moments in zip(self.net, gradients, self.moments, strict=True):
                self.update(part, gradient, moments, self.taken, self.rate)


def _shuffled(X: torch.Tensor, y: torch.Tensor, draws: Draws, epoch: int, batch: int) -> Points:
    n = y.shape[1]
    if batch == n:
        return X, y
    order = torch.tensor(np.argsort(draws.uniform(f"order_{epoch}", n), axis=1), device=X.device)
    return X.take_along_dim(order[:, :, None], 1), y.take_along_dim(order, 1)


def _outputs(units: torch.Tensor, net: Net, outer: float) -> torch.Tensor:
    # A row times a matrix: a matrix times a column is slow in a batch.
    return torch.bmm(net[1][:, None], units.mT)[:, 0].mul_(outer).add_(net[2])


def _gradients(X: torch.Tensor, y: torch.Tensor, net: Net, outer: float) -> Net:
    """With the residual r and the patterns D_i all follow from K_i = X^T D_i r.

    d/dtheta_i = alpha_2 w_i K_i, d/dw_i = alpha_2 <theta_i, K_i> and d/dc = sum_j r_j.
    """
    theta, w, _ = net
    units = torch.bmm(X, theta).relu_()
    r = _outputs(units, net, outer).sub_(y).mul_(2 / y.shape[1])
    K = torch.bmm((r[:, :, None] * X).mT, units.gt_(0)).mul_(outer)
    return [K * w[:, None], (theta * K).sum(1), r.sum(1, keepdim=True)]


def _squares(X: torch.Tensor, y: torch.Tensor, net: Net, outer: float) -> torch.Tensor:
    parts = [_outputs(torch.bmm(x, net[0]).relu_(), net, outer) for x in X.split(POINTS_AT_ONCE, 1)]
    return torch.cat(parts, 1).sub_(y).square_()


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.float64)


def _checked(train: Sample, watched: Sequence[Sample], batch: int) -> Sequence[Sample]:
    """The watched samples as arrays, all of one size; refuses batches that do not divide the points."""
    B, n, d = train[0].shape
    sample = parts(array("inputs watched", "B N d"), array("labels watched", "B N"))
    sizes = {"B": B, "d": d}
    if n % batch:
        raise BadInput(f"batch (points per step) must divide n = {n}, got {batch}")
    return [sample(f"watched[{i}]", one, sizes) for i, one in enumerate(watched)]
