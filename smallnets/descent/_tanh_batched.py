"""Training of tanh networks in torch, all of a batch in each step: made for a graphics processor, or for float32.

The steps are those of `smallnets.descent.tanh_kernels`; only the order of sums differs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from ..nets.tanh_nets import Architecture
from .device import DTYPES, one_thread, torch_device

GLANCE = 100  # steps from one look at whether any network goes on to the next: a look waits for the processor


def train(
    net: Architecture,
    theta: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    rule: tuple[bool, float, float, float, int],
    marks: np.ndarray,
    dtype: str,
    device: str | None,
) -> tuple[np.ndarray, ...]:
    """As `smallnets.descent.tanh.train`, whose door this is behind."""
    adam, rate, decay, tolerance, steps = rule
    number, place = DTYPES[dtype], torch_device(device)
    with one_thread(), torch.no_grad():
        state = _State(net, theta, X, y, number, place)
        shots = np.full((len(y), len(marks), net.size), np.nan)
        for t in range(steps + 1):
            loss, g = state.gradient()
            state.look(loss, t, steps, tolerance)
            if len(at := np.flatnonzero(marks == t)):
                going = (state.taken < 0) | (state.taken == t)
                shots[:, at[0]] = _array(torch.where(going[:, None], state.theta, torch.nan))
            if t == steps or (t % GLANCE == 0 and not (state.taken < 0).any()):
                break
            state.update(g.add_(state.theta, alpha=decay), t + 1, adam, rate)
        ends = [_array(part) for part in (state.theta, state.taken, state.loss, state.earlier)]
        return ends[0], ends[1].astype(np.int64), ends[2], ends[3], shots


class _State:
    """Weights, data and what is known of each network's end; a network that has ended stays as it is."""

    def __init__(
        self, net: Architecture, theta: np.ndarray, X: np.ndarray, y: np.ndarray, number: Any, place: torch.device
    ) -> None:
        B, m = len(y), net.m

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.tensor(array, device=place)

        def zeros(*shape: int) -> torch.Tensor:
            return torch.zeros(shape, dtype=number, device=place)

        self.theta = tensor(theta).to(number)
        self.X, self.y = (tensor(part).to(number) for part in (X, y))
        self.dense = tensor(net.inputs * m + np.arange(m)).ravel()  # where theta goes in a (d, m) matrix
        self.weights, self.outputs = tensor(net.weights).ravel(), tensor(net.outputs)
        self.biases = tensor(net.biases) if len(net.biases) else None
        self.constant, self.d = net.constant, net.d
        self.W = zeros(B, net.d * m)
        self.first, self.second = zeros(B, net.size), zeros(B, net.size)
        self.taken = torch.full((B,), -1, device=place)
        self.loss, self.earlier = zeros(B), zeros(B) + torch.nan

    def gradient(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean squared errors (B,) and their gradients (B, M)."""
        theta, n = self.theta, self.y.shape[1]
        W = self.W.index_copy_(1, self.dense, theta[:, self.weights]).unflatten(1, (self.d, -1))
        a, b = theta[:, self.outputs], 0.0 if self.biases is None else theta[:, None, self.biases]
        t = torch.tanh(torch.bmm(self.X, W) + b)
        r = torch.bmm(t, a[:, :, None])[:, :, 0] + (theta[:, self.constant, None] if self.constant >= 0 else 0) - self.y
        loss, r = r.square().mean(1), r * (2 / n)
        pull = (1 - t * t) * a[:, None] * r[:, :, None]
        g = torch.zeros_like(theta)
        g.index_add_(1, self.weights, torch.bmm(self.X.mT, pull).flatten(1)[:, self.dense])
        if self.biases is not None:
            g.index_add_(1, self.biases, pull.sum(1))
        g.index_add_(1, self.outputs, torch.bmm(r[:, None], t)[:, 0])
        if self.constant >= 0:
            g[:, self.constant] += r.sum(1)
        return loss, g

    def look(self, loss: torch.Tensor, t: int, steps: int, tolerance: float) -> None:
        """Note which networks end at step t."""
        going = self.taken < 0
        if t == steps - steps // 10:
            self.earlier = torch.where(going, loss, self.earlier)
        ends = going & ((loss < tolerance) | ~loss.isfinite() | (t == steps))
        self.loss = torch.where(ends, loss, self.loss)
        self.taken = torch.where(ends, t, self.taken)

    def update(self, g: torch.Tensor, t: int, adam: bool, rate: float) -> None:
        """Step t, for those that go on."""
        if adam:
            self.first.mul_(0.9).add_(g, alpha=0.1)
            self.second.mul_(0.999).add_(g * g, alpha=0.001)
            root = self.second.sqrt() / (1 - 0.999**t) ** 0.5 + 1e-8
            g = self.first / root / (1 - 0.9**t)
        self.theta = torch.where((self.taken < 0)[:, None], self.theta - rate * g, self.theta)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(float)
