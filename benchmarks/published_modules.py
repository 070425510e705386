"""Small tanh networks as one writes them in torch: a module, an optimiser, a loop; to compare with and to time."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn


class Local(nn.Linear):
    """Neurons that see windows of the input, each with weights of its own.

    A masked matrix was faster at each step than unfolded windows with an einsum, with a batched product and with a
    grouped convolution.
    """

    def __init__(self, d: int, s: int, kernels: int) -> None:
        places = d + 1 - s
        super().__init__(d, kernels * places)
        place, i = torch.arange(kernels * places)[:, None] % places, torch.arange(d)
        self.register_buffer("mask", ((place <= i) & (i < place + s)).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, d) to (n, m)."""
        return nn.functional.linear(x, self.weight * self.mask, self.bias)


class Module(nn.Sequential):
    """The network "fc", "ws" or "ns" in float64, with parameters theta; inputs are (n, 1, d)."""

    def __init__(self, name: str, d: int, s: int, kernels: int, output_bias: bool, theta: np.ndarray) -> None:
        m = kernels * (d + 1 - s)
        hidden = {
            "fc": lambda: [nn.Flatten(), nn.Linear(d, m), nn.Tanh()],
            "ws": lambda: [nn.Conv1d(1, kernels, s), nn.Tanh(), nn.Flatten()],
            "ns": lambda: [nn.Flatten(), Local(d, s, kernels), nn.Tanh()],
        }[name]()
        super().__init__(*hidden, nn.Linear(m, 1, bias=output_bias))
        self.double()
        full = torch.zeros(self._used.shape, dtype=torch.float64)
        full[self._used] = torch.tensor(theta)
        nn.utils.vector_to_parameters(full, self.parameters())

    @property
    def _used(self) -> torch.Tensor:
        """Which parameters are any: all but those behind a mask."""
        parts = [torch.ones(part.shape) for part in self.parameters()]
        if isinstance(self[1], Local):
            parts[0] = self[1].mask  # type: ignore[assignment]  # a buffer
        return torch.cat([part.ravel() for part in parts]) > 0

    @property
    def theta(self) -> np.ndarray:
        """Its parameters as they are now."""
        return nn.utils.parameters_to_vector(self.parameters()).detach()[self._used].numpy()


def train(module: Module, X: np.ndarray, y: np.ndarray, *, rate: float, steps: int, tolerance: float = 0.0) -> int:
    """Gradient descent until the mean squared error is below the tolerance; steps taken."""
    x, labels = torch.tensor(X)[:, None], torch.tensor(y)[:, None]
    optimizer, criterion = torch.optim.SGD(module.parameters(), lr=rate), nn.MSELoss()
    for t in range(steps):
        optimizer.zero_grad()
        loss = criterion(module(x), labels)
        if loss.item() < tolerance:
            return t
        loss.backward()
        optimizer.step()
    return steps
