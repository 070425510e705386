"""Networks of several hidden layers, ReLU or tanh, on few points: step sizes, and training with two events.

    f(x) = W_L' s(... s(W_1' x + b_1) ...) + b_L,   s = relu or tanh

Many networks side by side in torch, in double precision. `smallnets.descent.grouped` trains ReLU networks with one
hidden layer, at a cost that does not grow with their width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from smallnets.descent import training
from smallnets.descent.device import numbers, one_thread, torch_device

Layer = tuple[np.ndarray, np.ndarray]  # weights (B, inputs, outputs) and biases (B, outputs)
Net = list[torch.Tensor]  # weights and biases of the layers, in turn
ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh}
CANDIDATES = np.logspace(-6, 0, 200)  # steps that are tried
LINEAR = 0.1  # how far a loss may fall from what its gradient predicts


class Data(NamedTuple):
    """Points X (B, n, d), labels y (B, n), shares nu (B, n) of the loss 1/2 sum_j nu_j (f(x_j) - y_j)^2."""

    X: np.ndarray
    y: np.ndarray
    nu: np.ndarray

    def tensors(self) -> list[torch.Tensor]:
        """The same for torch."""
        return [torch.tensor(np.array(part), device=torch_device(None)) for part in self]


class LayeredDescent(NamedTuple):
    """Where training of one network ended; the fields are those of `smallnets.descent.grouped.Descent`."""

    weights: list[Layer]
    steps: int
    loss: float
    losses: np.ndarray
    changed: int
    below: int
    diverged: bool


def _net(layers: Sequence[Layer]) -> Net:
    """The layers as tensors, hidden units in whole vectors; what is added stays zero."""
    net, last, inputs = [], len(layers) - 1, 0
    for i, (W, b) in enumerate(layers):
        W = np.pad(W, [(0, 0), (0, max(inputs - W.shape[1], 0)), (0, 0)])
        W, b = (W, b) if i == last else (training.filled(W), training.filled(b))
        inputs = W.shape[2]
        net += [torch.tensor(part, device=torch_device(None)) for part in (W, b)]
    return net


def _outputs(net: Net, X: torch.Tensor, activation: str) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Outputs (B, n), and what the hidden layers put out."""
    hidden: list[torch.Tensor] = []
    for W, b in zip(net[:-2:2], net[1:-2:2], strict=True):
        X = ACTIVATIONS[activation](torch.bmm(X, W) + b[:, None])
        hidden.append(X)
    return (torch.bmm(X, net[-2]) + net[-1][:, None])[:, :, 0], hidden


def _loss(net: Net, X: torch.Tensor, y: torch.Tensor, nu: torch.Tensor, *, activation: str) -> torch.Tensor:
    return 0.5 * (nu * (_outputs(net, X, activation)[0] - y).square()).sum(1)


def tangent_eigenvalues(layers: Sequence[Layer], data: Data, activation: str) -> np.ndarray:
    """The largest eigenvalue of sqrt(nu_j) <df(x_j), df(x_l)> sqrt(nu_l) of each network, (B,)."""
    X, _, nu = data.tensors()
    net = [part.requires_grad_() for part in _net(layers)]
    with one_thread():
        f = _outputs(net, X, activation)[0]
        rows = [torch.autograd.grad(f[:, j].sum(), net, retain_graph=True) for j in range(f.shape[1])]
        J = torch.stack([torch.cat([part.flatten(1) for part in row], 1) for row in rows], 1) * nu.sqrt()[:, :, None]
    # One network after another, so that its last bit does not depend on those beside it.
    return np.array([np.linalg.eigvalsh(np.einsum("jp,lp->jl", one, one))[-1] for one in numbers(J)])


def linear_steps(layers: Sequence[Layer], data: Data, activation: str) -> np.ndarray:
    """The largest step up to which the loss falls as its gradient predicts, to a tenth, of each network, (B,).

    Two hundred steps between 1e-6 and 1 are tried; where the smallest is too long already, it is taken.

    **Source**: holzmuller2022training, its code, which computes this step and does not use it; differs: there the
    loss is the mean over the points, without shares and without 1/2.
    """
    batch, net = data.tensors(), [part.requires_grad_() for part in _net(layers)]
    with one_thread():
        loss = _loss(net, *batch, activation=activation)
        slopes = torch.autograd.grad(loss.sum(), net)
        with torch.no_grad():
            square = sum((slope.square().flatten(1).sum(1) for slope in slopes), torch.zeros_like(loss))
            found, close = torch.full_like(loss, CANDIDATES[0]), torch.ones_like(loss, dtype=torch.bool)
            for h in CANDIDATES.tolist():
                moved = [part - h * slope for part, slope in zip(net, slopes, strict=True)]
                change = _loss(moved, *batch, activation=activation) - loss
                close &= (change + h * square).abs() <= LINEAR * h * square
                found[close] = h
    return numbers(found)


class _Watched:
    """The loss, and what is noted each time that it is computed: activity, events, losses. Networks that end rest."""

    def __init__(self, activation: str, h: np.ndarray, threshold: np.ndarray, noted: np.ndarray) -> None:
        B, place = len(h), torch_device(None)
        self.activation, self.noted, self.step = activation, noted, 0
        self.h, self.threshold = (torch.tensor(part, device=place) for part in (h, threshold))
        self.first: list[torch.Tensor] = []
        self.below, self.changed, self.ended = (torch.full((B,), -1, device=place) for _ in range(3))
        self.loss = torch.full_like(self.h, torch.nan)
        self.losses = np.full((B, len(noted)), np.nan)

    def __call__(self, net: Net, X: torch.Tensor, y: torch.Tensor, nu: torch.Tensor) -> torch.Tensor:
        f, hidden = _outputs(net, X, self.activation)
        loss = 0.5 * (nu * (f - y).square()).sum(1)
        with torch.no_grad():
            self.note(loss.detach(), [layer > 0 for layer in hidden])
        return loss

    def note(self, loss: torch.Tensor, active: list[torch.Tensor]) -> None:
        """What is seen before a step."""
        self.first = self.first or active
        going = self.ended < 0
        moved = torch.stack([(a != b).flatten(1).any(1) for a, b in zip(active, self.first, strict=True)]).any(0)
        for seen, event in ((self.changed, moved), (self.below, loss < self.threshold)):
            seen[going & event & (seen < 0)] = self.step
        self.loss = torch.where(going, loss, self.loss)
        if len(at := np.flatnonzero(self.noted == self.step)):
            self.losses[going.cpu().numpy(), at[0]] = numbers(loss[going])
        over = going & ((self.changed >= 0) & (self.below >= 0) | ~loss.isfinite())
        self.ended[over] = self.step
        self.h = torch.where(over, 0, self.h)
        self.step += 1

    def rule(self, weight: torch.Tensor, gradient: torch.Tensor, state: Any, rate: float) -> tuple[torch.Tensor, Any]:
        """A gradient step, of each network's own size; one that has ended does not move, whatever its gradient."""
        step = gradient * (rate * self.h).view(-1, *[1] * (weight.ndim - 1))
        return step.masked_fill_((self.ended >= 0).view(-1, *[1] * (weight.ndim - 1)), 0), state


def descend(
    layers: Sequence[Layer], data: Data, activation: str, *, h: np.ndarray, steps: int, threshold: np.ndarray,
    schedule: np.ndarray,
) -> list[LayeredDescent]:  # fmt: skip
    """Gradient descent of B networks, each until a unit's activity at a point has changed and its loss is below.

    A unit is active where it puts out a positive number. The events are tested at steps 0, 1, ..., `steps`, before the
    update, as in `smallnets.descent.grouped.descend`.

    Parameters
    ----------
    layers : weights (B, inputs, outputs) and biases (B, outputs) of each layer, the last with one output
    data : what the networks are trained on
    activation : "relu" or "tanh"
    h : step sizes, (B,)
    steps : most steps
    threshold : of the loss, (B,)
    schedule : steps at which the loss is noted, ascending
    """
    net, batch = _net(layers), data.tensors()
    watched = _Watched(activation, h, threshold, schedule)
    epochs = (([batch], 1.0 if k < steps else 0.0) for k in range(steps + 1))
    for _ in training.train(watched, net, epochs, watched.rule):
        if (watched.ended >= 0).all():
            break
    ended, below, changed = (part.cpu().numpy() for part in (watched.ended, watched.below, watched.changed))
    loss, parts = numbers(watched.loss), [numbers(part) for part in net]
    sizes = [W.shape[1:] for W, _ in layers]
    return [
        LayeredDescent(
            [(W[i, :k, :m], b[i, :m]) for (k, m), W, b in zip(sizes, parts[::2], parts[1::2], strict=True)],
            int(ended[i]) if ended[i] >= 0 else steps, float(loss[i]), watched.losses[i], int(changed[i]),
            int(below[i]), not np.isfinite(loss[i]),
        )
        for i in range(len(h))
    ]  # fmt: skip
