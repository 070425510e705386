"""Training of many networks side by side in torch: any model, any loss, any rule, full batches or minibatches.

A model is a function of its parameters, tensors whose leading axis B is that of the networks, and so is a loss, which
returns one number for each network. The gradient of their sum holds the gradient of each network's own loss, since a
network's parameters enter no other. Everything runs on one thread. If a model computes its products network by network
(`torch.bmm`), with hidden units in whole vectors (`filled`), then a network's last bit depends neither on the number of
cores nor on the networks beside it (measured on x86 processors; on a GPU the sums of a matrix product may be ordered by
the size of the batch).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from ..arguments import array, checked, number, whole
from .device import numbers, one_thread, padded
from .optimizers import Rule

Batch = Sequence[torch.Tensor]  # points first, (B, n, ...)
# (parameters, *batch) -> a number for each network, (B,).
Loss = Callable[..., torch.Tensor]
# (parameters, *batch) -> losses, and for each weight what its step is made of, the loss's gradient or another.
Slopes = Callable[..., tuple[torch.Tensor, Sequence[torch.Tensor]]]
# An epoch: any batches, one step on each, and the size of these steps.
Epochs = Iterable[tuple[Iterable[Batch], float]]


class Progress(NamedTuple):
    """Where training stands after an epoch that had batches.

    ``losses (B, k)`` are those on the epoch's k batches, of ``points (k,)`` each, before the step on it;
    ``ended (B,)`` the steps after which a network ended, -1 where it goes on.
    """

    losses: np.ndarray
    points: np.ndarray
    ended: np.ndarray


@checked(tolerance=number("loss below which a network ends", "[0, inf)"))
def train(
    loss: Loss,
    parameters: Any,
    epochs: Epochs,
    rule: Rule,
    *,
    learning: Sequence[torch.Tensor] | None = None,
    after: Callable[[Any], None] | None = None,
    tolerance: float | None = None,
) -> Iterator[Progress]:
    """Take a step on each batch; the parameters are changed in place, and may be read whenever an epoch is over.

    A network whose loss is not finite harms no other.

    Parameters
    ----------
    loss : ``loss(parameters, *batch)``, a tensor (B,); differentiated by torch
    parameters : tensors, in a named tuple or a list, whose first axis is that of the networks
    epochs : batches and step sizes, epoch by epoch; batches are asked for one by one, without gradients
    rule : how weights move, from `smallnets.descent.optimizers`
    learning : the tensors that are trained; None for all parameters
    after : is handed the parameters after every step, to normalise them, say
    tolerance : a network stays as it is from the first step on before which its loss is below or not finite; None lets
        all of them go on

    Raises
    ------
    InvalidInput : "tolerance (loss below which a network ends) must be a number in [0, inf), got -1"
    """
    weights = [part.requires_grad_() for part in (parameters if learning is None else learning)]

    def slopes(parameters: Any, *batch: torch.Tensor) -> tuple[torch.Tensor, Sequence[torch.Tensor]]:
        with torch.enable_grad():
            found = loss(parameters, *batch)
            total = found.sum()
        return found.detach(), torch.autograd.grad(total, weights) if weights else ()

    return follow(slopes, parameters, epochs, rule, learning=weights, after=after, tolerance=tolerance)


@checked(tolerance=number("loss below which a network ends", "[0, inf)"))
def follow(
    slopes: Slopes,
    parameters: Any,
    epochs: Epochs,
    rule: Rule,
    *,
    learning: Sequence[torch.Tensor] | None = None,
    after: Callable[[Any], None] | None = None,
    tolerance: float | None = None,
) -> Iterator[Progress]:
    """As `train`, for what need be no gradient: ``slopes(parameters, *batch)`` are losses (B,) and a tensor per weight.

    The other arguments and the error are those of `train`.
    """
    weights = parameters if learning is None else learning
    states: list[Any] = [None] * len(weights)
    taken, ended = 0, None
    for batches, rate in epochs:
        losses, points = [], []
        with one_thread(), torch.no_grad():
            for batch in batches:
                found, gradients = slopes(parameters, *batch)
                losses.append(found)
                points.append(batch[0].shape[1])
                if ended is None:
                    ended = torch.full_like(found, -1, dtype=torch.int64)
                if tolerance is not None:
                    ends = (ended < 0) & ((found < tolerance) | ~found.isfinite())
                    ended = torch.where(ends, taken, ended)
                for i, (weight, gradient) in enumerate(zip(weights, gradients, strict=True)):
                    step, states[i] = rule(weight, gradient, states[i], rate)
                    if tolerance is not None:
                        step = step.masked_fill_((ended >= 0).view(-1, *[1] * (step.ndim - 1)), 0)
                    weight.sub_(step)
                taken += 1
                if after:
                    after(parameters)
        if losses and ended is not None:
            yield Progress(numbers(torch.stack(losses, 1)), np.array(points), ended.cpu().numpy())


class _WeightedRelu(torch.autograd.Function):
    """With K_j = X^T D_j r, r the gradient at the outputs, those at w_j and a_j are a_j K_j and <w_j, K_j>."""

    @staticmethod
    def forward(ctx: Any, X: torch.Tensor, W: torch.Tensor, a: torch.Tensor, linear: int) -> torch.Tensor:
        units = torch.bmm(X, W)
        units[:, :, linear:].relu_()
        ctx.save_for_backward(X, W, a, units)
        ctx.linear = linear
        # A row times a matrix: a matrix times a column is slow in a batch.
        return torch.bmm(a[:, None], units.mT)[:, 0]

    @staticmethod
    def backward(ctx: Any, r: torch.Tensor) -> Any:
        X, W, a, units = ctx.saved_tensors
        D = units.gt_(0)
        D[:, :, : ctx.linear] = 1
        K = torch.bmm((r[:, :, None] * X).mT, D)
        return None, K * a[:, None], (W * K).sum(1), None


@checked(linear=whole("units without a ReLU"))
def weighted_relu(X: torch.Tensor, W: torch.Tensor, a: torch.Tensor, linear: int = 0) -> torch.Tensor:
    """Sums of ReLU units, sum_j a_j relu(<x, w_j>), (B, n), for X (B, n, d), W (B, d, m) and a (B, m).

    The first `linear` units have no ReLU. It is differentiated by activation pattern, two to four times as fast as by
    torch, whose gradient at all units on all points does not fit into a cache; once, and not with respect to X.
    """
    outputs: torch.Tensor = _WeightedRelu.apply(X, W, a, linear)
    return outputs


def value(loss: Loss, parameters: Any, *batch: Any) -> np.ndarray:
    """Losses (B,) on a batch, on one thread and without gradients."""
    with one_thread(), torch.no_grad():
        return numbers(loss(parameters, *batch))


@checked(weights=array("weights", "B m | B d m"))
def filled(weights: np.ndarray) -> np.ndarray:
    """Weights (..., m) of m hidden units, followed by zeros up to whole vectors of the processor."""
    m = weights.shape[-1]
    return np.pad(weights, [(0, 0)] * (weights.ndim - 1) + [(0, padded(m) - m)])
