"""Rules by which weights move: functions of a weight, its gradient and a state, as torch's optimisers compute them.

They are written as single sums, products, quotients and roots, each rounded by itself, so that a step of a network does
not depend, to the last bit, on the networks beside it. torch.optim is not used: its first use imports torch._dynamo,
which takes more than a second of CPU time, as long as many trainings here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch

from ..arguments import checked, number

# (weight, gradient, state, step size) -> what to subtract from the weight, and the new state; the first state is None.
Rule = Callable[[torch.Tensor, torch.Tensor, Any, float], tuple[torch.Tensor, Any]]
DECAY = number("pull to zero", "[0, inf)")
FIRST, SECOND, EPS = 0.9, 0.999, 1e-8  # of Adam


class Moments(NamedTuple):
    """What Adam keeps: steps taken, running sums of gradients and of their squares, 10 and 1000 times the means."""

    steps: int
    first: torch.Tensor
    second: torch.Tensor


@checked(momentum=number("share of the last step", "[0, 1)"), weight_decay=DECAY)
def gd(momentum: float = 0.0, weight_decay: float = 0.0) -> Rule:
    """Gradient descent, as torch's SGD: `weight_decay` times the weights is added to the gradient."""

    def rule(weight: torch.Tensor, gradient: torch.Tensor, state: Any, rate: float) -> tuple[torch.Tensor, Any]:
        gradient = _decayed(weight, gradient, weight_decay)
        if momentum:
            gradient = state = gradient.clone() if state is None else state.mul_(momentum).add_(gradient)
        return gradient * rate, state

    return rule


@checked(weight_decay=DECAY)
def adam(weight_decay: float = 0.0) -> Rule:
    """Adam (0.9, 0.999, 1e-8): `weight_decay` times the weights is added to the gradient."""

    def rule(weight: torch.Tensor, gradient: torch.Tensor, state: Any, rate: float) -> tuple[torch.Tensor, Any]:
        return _adam(_decayed(weight, gradient, weight_decay), state, rate)

    return rule


@checked(weight_decay=DECAY)
def adamw(weight_decay: float = 0.01, *, recreated: bool = False) -> Rule:
    """AdamW (0.9, 0.999, 1e-8): Adam, and apart from it weights shrink by `rate` times `weight_decay`.

    With `recreated` the optimiser is made anew for every step, as some published loops do: it has no moments, and every
    weight moves by rate * g / (abs(g) + 1e-8).
    """

    def rule(weight: torch.Tensor, gradient: torch.Tensor, state: Any, rate: float) -> tuple[torch.Tensor, Any]:
        if recreated:
            step = (gradient * rate).div_(gradient.abs().add_(EPS))
        else:
            step, state = _adam(gradient, state, rate)
        return step.add_(weight * (rate * weight_decay)), state

    return rule


def _decayed(weight: torch.Tensor, gradient: torch.Tensor, weight_decay: float) -> torch.Tensor:
    return (weight * weight_decay).add_(gradient) if weight_decay else gradient


def _adam(gradient: torch.Tensor, state: Moments | None, rate: float) -> tuple[torch.Tensor, Moments]:
    steps, first, second = state or Moments(0, torch.zeros_like(gradient), torch.zeros_like(gradient))
    steps += 1
    first.mul_(FIRST).add_(gradient)
    second.mul_(SECOND).add_(gradient * gradient)
    root = second.sqrt().mul_(((1 - SECOND) / (1 - SECOND**steps)) ** 0.5).add_(EPS)
    return (first * (rate * (1 - FIRST) / (1 - FIRST**steps))).div_(root), Moments(steps, first, second)
