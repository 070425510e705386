"""Deep ReLU networks side by side in torch: the states of every layer as a function of parameters and points.

    h_0 = x,   h_l = act(h_{l-1} W_l + b_l),   f(x) = h_{L-1} W_L + b_L

The networks stand on a leading axis B. Over images hidden layers are convolutions, 3 by 3 without a border, and a state
has a row for each position of each point; the output layer sees the whole map. With a batch norm, hidden states are
normalised over the points of a batch, after the activation or before it; away from training by running means, as in
torch. A product of B pairs of matrices is computed pair by pair: a network's last bit does not depend on those beside
it (measured on x86 processors; on a GPU the sums of a matrix product may be ordered by the size of the batch).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..arguments import array, checked, choice, number, shaped
from ..errors import InvalidInput
from ..nets.deep_nets import Layer, fan_ins
from .device import DTYPES, numbers, one_thread, torch_device

EPS, MOMENTUM = 1e-5, 0.1  # of a batch norm, as in torch
AT_ONCE = 1024  # points of a pass that is only looked at


class Form(NamedTuple):
    """What hidden layers do: the activation's slope below zero, where a batch norm stands, if it has weights.

    With ``image``, channels, height and width, inputs are images, pixel after pixel, and hidden layers convolutions.
    """

    slope: float = 0.0
    norm: Literal["none", "after", "before"] = "none"
    affine: bool = False
    image: tuple[int, int, int] | None = None

    @property
    def teachers(self) -> Form:
        """The same without a batch norm."""
        return Form(self.slope, image=self.image)


PLAIN = Form()


class Norm(NamedTuple):
    """A batch norm's weights and running means, ``(B, m)`` each."""

    scale: np.ndarray
    shift: np.ndarray
    mean: np.ndarray
    variance: np.ndarray


class DeepNet(NamedTuple):
    """B networks: layers of ``W (B, m_{l-1}, m_l)`` and ``b (B, m_l)``; a `Norm` for each hidden one, or none."""

    layers: tuple[Layer, ...]
    norms: tuple[Norm, ...] = ()


def fresh_norms(layers: Sequence[Layer]) -> tuple[Norm, ...]:
    """Batch norms as they start: scale and variance 1, shift and mean 0."""
    hidden = [layer.b for layer in layers[:-1]]
    return tuple(Norm(np.ones_like(b), np.zeros_like(b), np.zeros_like(b), np.ones_like(b)) for b in hidden)


class Network(NamedTuple):
    """Parameters and running means on a device, layer by layer; all but the weights ``(B, 1, m)``, changed in place."""

    form: Form
    W: list[torch.Tensor]
    b: list[torch.Tensor]
    scale: list[torch.Tensor]
    shift: list[torch.Tensor]
    mean: list[torch.Tensor]
    variance: list[torch.Tensor]

    @property
    def inputs(self) -> int:
        """How many numbers a point has."""
        return int(np.prod(self.form.image)) if self.form.image else self.W[0].shape[1]

    def read(self) -> DeepNet:
        """The networks as arrays."""
        layers = tuple(Layer(numbers(W), numbers(b)[:, 0]) for W, b in zip(self.W, self.b, strict=True))
        norms = zip(self.scale, self.shift, self.mean, self.variance, strict=True)
        return DeepNet(layers, tuple(Norm(*(numbers(part)[:, 0] for part in norm)) for norm in norms))

    def finite(self) -> torch.Tensor:
        """Which networks have no weight that is infinite or no number, (B,) of bool."""
        weights = (*self.W, *self.b, *self.scale, *self.shift)
        return torch.stack([part.flatten(1).isfinite().all(1) for part in weights]).all(0)


def forward(net: Network, x: torch.Tensor, training: bool = False) -> list[torch.Tensor]:
    """States of the hidden layers and outputs at points x (B, n, d); training moves the running means."""
    made, h = [], x
    for i in range(len(net.W) - 1):
        h = torch.baddbmm(net.b[i], _seen(net, h, i), net.W[i])
        if net.form.norm == "before":
            h = _normalized(net, h, i, training)
        h = functional.leaky_relu_(h, net.form.slope) if net.form.slope else h.relu_()
        if net.form.norm == "after":
            h = _normalized(net, h, i, training)
        made.append(h)
    return [*made, torch.baddbmm(net.b[-1], _seen(net, h, len(made)), net.W[-1])]


def _seen(net: Network, h: torch.Tensor, i: int) -> torch.Tensor:
    """What layer i multiplies with its weights: the state itself, windows of an image, or the whole map."""
    if not net.form.image:
        return h
    B, inputs, _ = net.W[i].shape
    if i == len(net.W) - 1:
        return h.reshape(B, -1, inputs)
    height, width = (side - 2 * i for side in net.form.image[1:])
    maps = h.reshape(-1, height, width, inputs // 9)
    # Row by row of a window, channels side by side. (The gradient of `unfold` takes twice as long.)
    windows = [maps[:, row : row + height - 2, column : column + width - 2] for row in range(3) for column in range(3)]
    return torch.cat(windows, 3).reshape(B, -1, inputs)


def _normalized(net: Network, x: torch.Tensor, i: int, training: bool) -> torch.Tensor:
    mean = x.mean(1, keepdim=True) if training else net.mean[i]
    centred = x - mean
    variance = centred.square().mean(1, keepdim=True) if training else net.variance[i]
    if training:
        n = x.shape[1]
        net.mean[i].lerp_(mean.detach(), MOMENTUM)
        net.variance[i].lerp_(variance.detach() * (n / max(n - 1, 1)), MOMENTUM)
    return torch.addcmul(net.shift[i], net.scale[i], centred * (variance + EPS).rsqrt())


@checked(X=array("points", "B N d"))
def states(net: DeepNet, X: np.ndarray, form: Form = PLAIN, *, device: str | None = None) -> list[np.ndarray]:
    """States (B, n, m_l) of the hidden layers and outputs (B, n, c) of networks, away from training.

    Parameters
    ----------
    net : the networks
    X : (B, n, d) array
    form : what hidden layers do
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    InvalidInput : "X (points) must be an array of shape (B, n, d) = (3, any, 20), got (3, 9, 10)"
    """
    placed = network(net, form, "float64", device)
    shaped("X", "points", "(B, n, d)", X, shape=(len(net.layers[0].W), None, placed.inputs))
    with one_thread(), torch.no_grad():
        parts = []
        for some in torch.tensor(X, dtype=torch.float64, device=placed.W[0].device).split(AT_ONCE, 1):
            parts.append([numbers(part) for part in forward(placed, some)])
    return [np.concatenate(part, axis=1) for part in zip(*parts, strict=True)]


@checked(dtype=choice("dtype", DTYPES))
def network(net: DeepNet, form: Form, dtype: str, device: str | None) -> Network:
    """The networks on a device.

    Raises
    ------
    InvalidInput : layers that do not fit together, or a name that is not known
    """
    B, d, _ = net.layers[0].W.shape
    if form.image and min(form.image[1:]) <= 2 * (len(net.layers) - 1):
        raise InvalidInput(
            f"image (channels, height, width) must have sides above {2 * (len(net.layers) - 1)}, two for each hidden "
            f"layer, got {form.image}"
        )
    inputs = fan_ins(d, [layer.W.shape[2] for layer in net.layers[:-1]], form.image)
    for i, (layer, into) in enumerate(zip(net.layers, inputs, strict=True), start=1):
        shaped(f"W_{i}", "weights of a layer", "(B, inputs, m_l)", layer.W, shape=(B, into, None))
        shaped(f"b_{i}", "biases of a layer", "(B, m_l)", layer.b, shape=(B, layer.W.shape[2]))
    norms = () if form.norm == "none" else net.norms or fresh_norms(net.layers)
    number("slope below zero", "[0, inf)")("slope", form.slope, {})
    precision, place = DTYPES[dtype], torch_device(device)

    def tensors(parts: Iterable[np.ndarray]) -> list[torch.Tensor]:
        # In rows: a product of matrices that lie otherwise in memory adds in another order.
        return [torch.tensor(np.ascontiguousarray(part), dtype=precision, device=place) for part in parts]

    return Network(
        form,
        tensors(layer.W for layer in net.layers),
        tensors(layer.b[:, None] for layer in net.layers),
        *(tensors(norm[part][:, None] for norm in norms) for part in range(4)),
    )
