"""Full-batch AdamW of many independent networks at once: arrays in, arrays out.

The two models, their starts and their loss; `smallnets.descent.training` trains them side by side.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import numpy as np
import torch

from neurec_core.draws import Draws
from smallnets.arguments import array, checked, choice, number, parts, record, whole
from smallnets.descent import training
from smallnets.descent.device import DTYPES, numbers, torch_device
from smallnets.descent.optimizers import adamw
from smallnets.nets.two_layer import Net, NormalizedNet

SMALLEST_NORM = 1e-12
MODELS = ("skip", "normalized")

Weights = tuple[np.ndarray, ...]


class AdamW(NamedTuple):
    """The optimiser: its step size, and a decay that is decoupled and acts on all weights.

    With ``recreated`` it is made anew in every epoch, so that it has no moments, and a step is
    learning_rate * g / (|g| + 1e-8).
    """

    learning_rate: float = 2e-3
    weight_decay: float = 1e-6
    recreated: bool = False


USUAL = AdamW()


class FreshPoints(NamedTuple):
    """Points and labels to test on, (B, n', d) and (B, n') arrays, after the last epoch or also before `every` one."""

    X: np.ndarray
    y: np.ndarray
    every: bool = False


class TrainedNets(NamedTuple):
    """What training ends with: a `Net` or `NormalizedNet`, and squared 2-norms of what is left.

    ``losses (B, epochs + 1)`` are on the training points, before each epoch and after the last;
    ``test_losses`` on the test points are as many, or (B, 1), after the last epoch only; NaN without any.
    """

    net: Any
    losses: np.ndarray
    test_losses: np.ndarray


# ------------------------------------------------------------------------------------------- the two networks


class _Normalized(torch.autograd.Function):
    """f = sum_j c_j u_j, u_j = (X w_j)_+ / ||(X w_j)_+||, with the gradient by activation pattern.

    With r the gradient at f and s_j = <u_j, r>, those at c_j and w_j are s_j and, D_j the neuron's pattern,
    c_j X^T D_j (r - s_j u_j) / ||(X w_j)_+||. A neuron that is active on no point is zero and stays.
    """

    @staticmethod
    def forward(ctx: Any, X: torch.Tensor, W: torch.Tensor, c: torch.Tensor) -> torch.Tensor:
        units = torch.bmm(X, W).relu_()
        norms = units.square().sum(1).sqrt_().clamp_(min=SMALLEST_NORM)
        ctx.save_for_backward(X, units, norms, c)
        return torch.bmm((c / norms)[:, None], units.mT)[:, 0]

    @staticmethod
    def backward(ctx: Any, r: torch.Tensor) -> Any:
        X, units, norms, c = ctx.saved_tensors
        s = torch.bmm(r[:, None], units)[:, 0] / norms
        pulled = torch.gt(units, 0, out=torch.empty_like(units)).mul_(r[:, :, None])
        pulled.addcmul_(units, (s / norms)[:, None], value=-1)
        return None, torch.bmm(X.mT, pulled) * (c / norms)[:, None], s


def _outputs(X: torch.Tensor, W: torch.Tensor, a: torch.Tensor, *scales: torch.Tensor) -> torch.Tensor:
    if not scales:
        return training.weighted_relu(X, W, a, 1)
    outputs: torch.Tensor = _Normalized.apply(X, W, a * scales[0])
    return outputs


def _net(W: np.ndarray, a: np.ndarray, *scales: np.ndarray) -> Net | NormalizedNet:
    """Weights of either network as a net."""
    return NormalizedNet(W, a * scales[0]) if scales else Net(W[:, :, 1:], a[:, 1:], W[:, :, 0] * a[:, :1])


# ------------------------------------------------------------------------------------------------------ training


@checked(model=choice("model", MODELS), d=whole("input dimension", "[1, inf)"), m=whole("hidden neurons", "[1, inf)"))
def start(model: str, draws: Draws, d: int, m: int) -> Weights:
    """Initial weights of a network with m hidden neurons, each U(+-1/sqrt(fan-in)).

    Parameters
    ----------
    model : one of `MODELS`
    draws : the randomness
    d, m : input dimension and hidden neurons

    Returns
    -------
    weights : hidden weights W (B, d, m), output weights a (B, m) and scales of one (B, m) of a normalised layer; with a
        skip branch W (B, d, 1 + m) and a (B, 1 + m), of which it is neuron 0, without ReLU

    **Source**: wang2025overparameterized, training code (the default of the library's linear layers);
    differs: there nothing is seeded.
    """

    def uniform(name: str, fan_in: int, *shape: int) -> np.ndarray:
        return (2 * draws.uniform(name, *shape) - 1) / fan_in**0.5

    W, a = uniform("w_start", d, d, m), uniform("alpha_start", m, m)
    if model == "normalized":
        return W, a, np.ones_like(a)
    w0, alpha0 = uniform("w0_start", d, d, 1), uniform("alpha0_start", 1, 1)
    return np.concatenate([w0, W], axis=2), np.concatenate([alpha0, a], axis=1)


@checked(
    X=array("inputs", "B n d"),
    y=array("labels", "B n"),
    weights=parts(array("hidden weights to start from", "B d m"), array("outer weights to start from", "B m")),
    optimizer=record(
        learning_rate=number("step size", "(0, inf)"), weight_decay=number("pull towards zero", "[0, inf)")
    ),
    epochs=whole("steps"),
    test=record(X=array("inputs to test on", "B N d"), y=array("labels to test on", "B N", finite=False)),
    dtype=choice("dtype", DTYPES),
)
def descend(
    X: np.ndarray,
    y: np.ndarray,
    weights: Weights,
    optimizer: AdamW = USUAL,
    *,
    epochs: int = 400,
    test: FreshPoints | None = None,
    dtype: str = "float32",
) -> TrainedNets:
    """Minimise ||f(X) - y||^2 by full-batch AdamW, B networks at once.

    torch computes on the device that the environment's NEUREC_DEVICE names, and on the CPU without it.

    Parameters
    ----------
    X, y : (B, n, d) and (B, n) arrays
    weights : where to start, as from `start`; a third array of them makes the layer a normalised one
    optimizer : how weights are changed
    epochs : steps, >= 0
    test : other points, on which the loss is computed, too; a label NaN gives a loss NaN
    dtype : a key of `DTYPES`

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", or entries that are not
        finite, or a name that is not known

    **Source**: wang2025overparameterized, training code: float32, 400 epochs, both networks; differs:
    there the optimiser is always made anew in every epoch.
    """
    precision, place = DTYPES[dtype], torch_device(None)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=precision, device=place)

    def loss(weights: list[torch.Tensor], X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (_outputs(X, *weights) - y).square().sum(1)

    trained, points = [tensor(training.filled(part)) for part in weights], (tensor(X), tensor(y))
    rule = adamw(optimizer.weight_decay, recreated=optimizer.recreated)
    fresh = [tensor(part) for part in test[:2]] if test else []
    test_losses: list[np.ndarray] = []

    def tested(_: Any = None) -> None:
        found = training.value(loss, trained, *fresh) if test else np.full(len(X), np.nan)
        test_losses.append(found[:, None])

    every = test is not None and test.every
    if every:
        tested()
    steps = [(itertools.repeat(points, epochs), optimizer.learning_rate)]
    progress = training.train(loss, trained, steps, rule, after=tested if every else None)
    losses = [epoch.losses for epoch in progress] + [training.value(loss, trained, *points)[:, None]]
    if not every:
        tested()
    net = _net(*(numbers(part)[..., : weights[1].shape[1]] for part in trained))
    return TrainedNets(net, np.concatenate(losses, axis=1), np.concatenate(test_losses, axis=1))
