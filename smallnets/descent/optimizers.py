"""Steps of torch's optimisers, written as single sums, products, quotients and roots, each rounded by itself.

So a step of a network does not depend, to the last bit, on the networks beside it.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

# (weight, gradient, two moments, number of the step from 1 on, step size); the gradient may be overwritten.
Update = Callable[[torch.Tensor, torch.Tensor, list[torch.Tensor], int, float], None]


def _gd(weight: torch.Tensor, gradient: torch.Tensor, moments: list[torch.Tensor], t: int, rate: float) -> None:
    weight.sub_(gradient.mul_(rate))


def _momentum(weight: torch.Tensor, gradient: torch.Tensor, moments: list[torch.Tensor], t: int, rate: float) -> None:
    velocity = moments[0].mul_(0.9).add_(gradient)
    weight.sub_(torch.mul(velocity, rate, out=gradient))


def _adam(weight: torch.Tensor, gradient: torch.Tensor, moments: list[torch.Tensor], t: int, rate: float) -> None:
    first, second = moments
    second.mul_(0.999).add_((gradient * gradient).mul_(0.001))
    first.mul_(0.9).add_(gradient.mul_(0.1))
    root = torch.sqrt(second, out=gradient).mul_((1 - 0.999**t) ** -0.5).add_(1e-8)
    weight.sub_((first * (rate / (1 - 0.9**t))).div_(root))


OPTIMIZERS: dict[str, Update] = {"gd": _gd, "momentum": _momentum, "adam": _adam}
