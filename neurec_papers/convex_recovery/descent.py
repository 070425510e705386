"""Full-batch AdamW of many independent networks at once: arrays in, arrays out.

The networks stand side by side on a leading axis B. AdamW changes every weight by itself, so that one
optimiser over the stacked weights is B optimisers. The gradients are written out, in terms of activation
patterns: three times as fast as a tape for networks this small.

Everything runs on one thread, with the hidden units padded to whole vectors: a network's last bit then
depends neither on the number of cores nor on the networks trained beside it (measured on x86 processors; on
a GPU the sums of a matrix product may be ordered by the size of the batch).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch

from neurec_core.draws import Draws
from smallnets.arguments import array, checked, choice, number, parts, whole
from smallnets.descent.device import DTYPES, one_thread, torch_device
from smallnets.nets.two_layer import Net, NormalizedNet

# Whether the optimiser is made anew in every epoch, which loses its moments.
OPTIMIZERS = {"adamw": False, "adamw_recreated": True}
# Whole vectors of every processor: the fused update rounds the elements left over after them differently.
LANES = 16
SMALLEST_NORM = 1e-12

Weights = tuple[np.ndarray, ...]
Gradients = tuple[torch.Tensor, ...]


class Trained(NamedTuple):
    """What training ends with: a `Net` or `NormalizedNet`, and squared 2-norms of what is left.

    ``losses (B, epochs + 1)`` are on the training points, before each epoch and after the last;
    ``test_losses (B,)`` on the test points after the last epoch, NaN without any.
    """

    net: Any
    losses: np.ndarray
    test_losses: np.ndarray


class Model(NamedTuple):
    """How a network starts, what its loss and gradients are, and as which net its weights are read."""

    start: Callable[[Draws, int, int], Weights]
    gradient: Callable[..., tuple[torch.Tensor, Gradients]]
    read: Callable[..., Any]


# ------------------------------------------------------------------------------------------- the two networks


def _uniform(draws: Draws, name: str, fan_in: int, *shape: int) -> np.ndarray:
    return (2 * draws.uniform(name, *shape) - 1) / fan_in**0.5


@checked(d=whole("inputs", "[1, inf)"), m=whole("units", "[1, inf)"))
def normalized_start(draws: Draws, d: int, m: int) -> Weights:
    """Hidden weights W (B, d, m), output weights a (B, m), both U(+-1/sqrt(fan-in)), and scales of one (B, m)."""
    W, a = _uniform(draws, "w_start", d, d, m), _uniform(draws, "alpha_start", m, m)
    return W, a, np.ones_like(a)


@checked(d=whole("inputs", "[1, inf)"), m=whole("units", "[1, inf)"))
def skip_start(draws: Draws, d: int, m: int) -> Weights:
    """Weights W (B, d, 1 + m) and a (B, 1 + m): the skip branch is unit 0, which has no ReLU."""
    W, a, _ = normalized_start(draws, d, m)
    w0, alpha0 = _uniform(draws, "w0_start", d, d, 1), _uniform(draws, "alpha0_start", 1, 1)
    return np.concatenate([w0, W], axis=2), np.concatenate([alpha0, a], axis=1)


def _weighted(units: torch.Tensor, a: torch.Tensor) -> torch.Tensor:
    # sum_j a_j units_j as a row times a matrix: a matrix times a column is slow in a batch.
    return torch.bmm(a[:, None], units.mT)[:, 0]


def _skip_gradient(X: torch.Tensor, y: torch.Tensor, W: torch.Tensor, a: torch.Tensor) -> Any:
    """||f - y||^2 and its gradients; with the residual r and the patterns D_j both follow from K_j = 2 X^T D_j r.

    f = sum_j a_j D_j X w_j, hence d/dw_j = a_j K_j and d/da_j = w_j^T K_j; D_0 = I for the skip branch.
    """
    units = torch.bmm(X, W)
    units[:, :, 1:].relu_()
    r = _weighted(units, a) - y
    D = torch.gt(units, 0, out=units)
    D[:, :, 0] = 1
    K = torch.bmm((2 * r[:, :, None] * X).mT, D)
    return (r * r).sum(1), (K * a[:, None], (W * K).sum(1))


def _normalized_gradient(
    X: torch.Tensor, y: torch.Tensor, W: torch.Tensor, a: torch.Tensor, gamma: torch.Tensor
) -> Any:
    """||f - y||^2 and its gradients for f = sum_j a_j gamma_j u_j, u_j = (X w_j)_+ / ||(X w_j)_+||.

    With s_j = 2 u_j^T r: d/da_j = gamma_j s_j, d/dgamma_j = a_j s_j, and d/dw_j is
    a_j gamma_j X^T D_j (2r - s_j u_j) / ||(X w_j)_+||. A unit that is active on no point is zero and stays.
    """
    units = torch.bmm(X, W).relu_()
    norms = units.square().sum(1).sqrt_().clamp_(min=SMALLEST_NORM)
    scale = a * gamma / norms
    r = _weighted(units, scale) - y
    s = torch.bmm(2 * r[:, None], units)[:, 0] / norms
    pulled = torch.gt(units, 0, out=torch.empty_like(units)).mul_(2 * r[:, :, None])
    pulled.addcmul_(units, (s / norms)[:, None], value=-1)
    return (r * r).sum(1), (torch.bmm(X.mT, pulled) * scale[:, None], gamma * s, a * s)


def _read_skip(W: np.ndarray, a: np.ndarray) -> Net:
    return Net(W[:, :, 1:], a[:, 1:], W[:, :, 0] * a[:, :1])


def _read_normalized(W: np.ndarray, a: np.ndarray, gamma: np.ndarray) -> NormalizedNet:
    return NormalizedNet(W, a * gamma)


MODELS = {
    "skip": Model(skip_start, _skip_gradient, _read_skip),
    "normalized": Model(normalized_start, _normalized_gradient, _read_normalized),
}


# ------------------------------------------------------------------------------------------------------ training


@checked(model=choice("model", MODELS), d=whole("input dimension", "[1, inf)"), m=whole("hidden units"))
def start(model: str, draws: Draws, d: int, m: int) -> Weights:
    """Initial weights of a network with m hidden units, each U(+-1/sqrt(fan-in)), by address.

    Parameters
    ----------
    model : a key of `MODELS`
    draws : the randomness
    d, m : input dimension and hidden units

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
) -> Trained:
    """Minimise ||f(X) - y||^2 by full-batch AdamW, B networks at once.

    Parameters
    ----------
    model : a key of `MODELS`
    X, y : (B, n, d) and (B, n) arrays
    weights : where to start, as from `start`
    test : other points and labels, (B, n', d) and (B, n') arrays, looked at once, after the last epoch; a
        label NaN gives a loss NaN
    optimizer : "adamw", or "adamw_recreated": a new one every epoch, which has no moments, so that each
        step is learning_rate * g / (|g| + 1e-8)
    epochs : steps, >= 0
    learning_rate, weight_decay : of AdamW; the decay is decoupled and acts on all weights
    dtype : a key of `DTYPES`
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    BadInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", or entries that are not
        finite, or a name that is not known

    **Source**: wang2025overparameterized, training code: float32, 400 epochs, both networks; differs:
    there the optimiser is made anew in every epoch, here that is "adamw_recreated".
    """
    network, recreated, precision, place = MODELS[model], OPTIMIZERS[optimizer], DTYPES[dtype], torch_device(device)

    def tensor(array: np.ndarray) -> torch.Tensor:
        return torch.tensor(array, dtype=precision, device=place)

    m = weights[1].shape[1]
    with one_thread(), torch.no_grad():
        padded = [tensor(np.pad(w, [(0, 0)] * (w.ndim - 1) + [(0, -m % LANES)])) for w in weights]
        adamw = torch.optim.AdamW(padded, lr=learning_rate, weight_decay=weight_decay, fused=True)
        losses = _run(network, tensor(X), tensor(y), adamw, epochs, recreated)
        test_losses = np.full(len(X), np.nan)
        if test:
            test_losses = _array(network.gradient(*map(tensor, test), *padded)[0])
    return Trained(network.read(*(_array(w)[..., :m] for w in padded)), _array(losses), test_losses)


def _run(
    network: Model, X: torch.Tensor, y: torch.Tensor, adamw: torch.optim.AdamW, epochs: int, recreated: bool
) -> torch.Tensor:
    weights = adamw.param_groups[0]["params"]
    losses = []
    for _ in range(epochs):
        loss, gradients = network.gradient(X, y, *weights)
        losses.append(loss)
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = gradient
        if recreated:
            adamw.state.clear()
        adamw.step()
    return torch.stack([*losses, network.gradient(X, y, *weights)[0]], dim=1)


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.cpu().numpy().astype(np.float64)
