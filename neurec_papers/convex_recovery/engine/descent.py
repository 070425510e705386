"""Full-batch AdamW of many independent networks at once: arrays in, arrays out.

The two models, their starts and their loss; `smallnets.descent.training` trains them side by side.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from neurec_core.draws import Draws
from smallnets.arguments import array, checked, choice, number, parts, whole
from smallnets.descent import training
from smallnets.descent.device import DTYPES, numbers, torch_device
from smallnets.descent.optimizers import adamw
from smallnets.nets.two_layer import Net, NormalizedNet

# Whether the optimiser is made anew in every epoch, which loses its moments.
OPTIMIZERS = {"adamw": False, "adamw_recreated": True}
SMALLEST_NORM = 1e-12

Weights = tuple[np.ndarray, ...]


class TrainedNets(NamedTuple):
    """What training ends with: a `Net` or `NormalizedNet`, and squared 2-norms of what is left.

    ``losses (B, epochs + 1)`` are on the training points, before each epoch and after the last;
    ``test_losses (B,)`` on the test points after the last epoch, NaN without any.
    """

    net: Any
    losses: np.ndarray
    test_losses: np.ndarray


class Architecture(NamedTuple):
    """How a network starts, its outputs on points, given its weights, and as which net its weights are read."""

    start: Callable[[Draws, int, int], Weights]
    outputs: Callable[..., torch.Tensor]
    read: Callable[..., Any]


# ------------------------------------------------------------------------------------------- the two networks


def _uniform(draws: Draws, name: str, fan_in: int, *shape: int) -> np.ndarray:
    return (2 * draws.uniform(name, *shape) - 1) / fan_in**0.5


@checked(d=whole("inputs", "[1, inf)"), m=whole("neurons", "[1, inf)"))
def normalized_start(draws: Draws, d: int, m: int) -> Weights:
    """Hidden weights W (B, d, m), output weights a (B, m), both U(+-1/sqrt(fan-in)), and scales of one (B, m)."""
    W, a = _uniform(draws, "w_start", d, d, m), _uniform(draws, "alpha_start", m, m)
    return W, a, np.ones_like(a)


@checked(d=whole("inputs", "[1, inf)"), m=whole("neurons", "[1, inf)"))
def skip_start(draws: Draws, d: int, m: int) -> Weights:
    """Weights W (B, d, 1 + m) and a (B, 1 + m): the skip branch is neuron 0, which has no ReLU."""
    W, a, _ = normalized_start(draws, d, m)
    w0, alpha0 = _uniform(draws, "w0_start", d, d, 1), _uniform(draws, "alpha0_start", 1, 1)
    return np.concatenate([w0, W], axis=2), np.concatenate([alpha0, a], axis=1)


def _skip_outputs(X: torch.Tensor, W: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    return training.weighted_relu(X, W, a, 1)


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


def _normalized_outputs(X: torch.Tensor, W: torch.Tensor, a: torch.Tensor, gamma: torch.Tensor) -> torch.Tensor:
    outputs: torch.Tensor = _Normalized.apply(X, W, a * gamma)
    return outputs


def _read_skip(W: np.ndarray, a: np.ndarray) -> Net:
    return Net(W[:, :, 1:], a[:, 1:], W[:, :, 0] * a[:, :1])


def _read_normalized(W: np.ndarray, a: np.ndarray, gamma: np.ndarray) -> NormalizedNet:
    return NormalizedNet(W, a * gamma)


MODELS = {
    "skip": Architecture(skip_start, _skip_outputs, _read_skip),
    "normalized": Architecture(normalized_start, _normalized_outputs, _read_normalized),
}


# ------------------------------------------------------------------------------------------------------ training


@checked(model=choice("model", MODELS), d=whole("input dimension", "[1, inf)"), m=whole("hidden neurons"))
def start(model: str, draws: Draws, d: int, m: int) -> Weights:
    """Initial weights of a network with m hidden neurons, each U(+-1/sqrt(fan-in)).

    Parameters
    ----------
    model : a key of `MODELS`
    draws : the randomness
    d, m : input dimension and hidden neurons

    Returns
    -------
    weights : as `skip_start` or `normalized_start` say

    **Source**: wang2025overparameterized, training code (the default of the library's linear layers);
    differs: there nothing is seeded.
    """
    return MODELS[model].start(draws, d, m)


@checked(
    model=choice("model", MODELS),
    X=array("inputs", "B n d"),
    y=array("labels", "B n"),
    weights=parts(array("hidden weights to start from", "B d m"), array("outer weights to start from", "B m")),
    test=parts(array("inputs to test on", "B N d"), array("labels to test on", "B N", finite=False)),
    optimizer=choice("optimizer", OPTIMIZERS),
    epochs=whole("steps"),
    learning_rate=number("step size", "(0, inf)"),
    weight_decay=number("pull towards zero", "[0, inf)"),
    dtype=choice("dtype", DTYPES),
)
def descend(
    model: str,
    X: np.ndarray,
    y: np.ndarray,
    weights: Weights,
    *,
    test: tuple[np.ndarray, np.ndarray] | None = None,
    optimizer: str = "adamw",
    epochs: int = 400,
    learning_rate: float = 2e-3,
    weight_decay: float = 1e-6,
    dtype: str = "float32",
    device: str | None = None,
) -> TrainedNets:
    """Minimise ||f(X) - y||^2 by full-batch AdamW, B networks at once.

    Parameters
    ----------
    model : a key of `MODELS`
    X, y : (B, n, d) and (B, n) arrays
    weights : where to start, as from `start`
    test : other points and labels, (B, n', d) and (B, n') arrays, on which the loss is computed once, after
        the last epoch; a label NaN gives a loss NaN
    optimizer : "adamw", or "adamw_recreated": a new one every epoch, which has no moments, so that each
        step is learning_rate * g / (|g| + 1e-8)
    epochs : steps, >= 0
    learning_rate, weight_decay : of AdamW; the decay is decoupled and acts on all weights
    dtype : a key of `DTYPES`
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", or entries that are not
        finite, or a name that is not known

    **Source**: wang2025overparameterized, training code: float32, 400 epochs, both networks; differs:
    there the optimiser is made anew in every epoch, here that is "adamw_recreated".
    """
    network, precision, place = MODELS[model], DTYPES[dtype], torch_device(device)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=precision, device=place)

    def loss(weights: list[torch.Tensor], X: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return (network.outputs(X, *weights) - y).square().sum(1)

    trained, points = [tensor(training.filled(part)) for part in weights], (tensor(X), tensor(y))
    rule = adamw(weight_decay, recreated=OPTIMIZERS[optimizer])
    progress = training.train(loss, trained, [(itertools.repeat(points, epochs), learning_rate)], rule)
    losses = [epoch.losses for epoch in progress] + [training.value(loss, trained, *points)[:, None]]
    test_losses = training.value(loss, trained, *map(tensor, test)) if test else np.full(len(X), np.nan)
    net = network.read(*(numbers(part)[..., : weights[1].shape[1]] for part in trained))
    return TrainedNets(net, np.concatenate(losses, axis=1), test_losses)
