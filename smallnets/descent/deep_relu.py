"""Deep ReLU networks side by side in torch: states of every layer, and gradients written out.

    h_0 = x,   h_l = act(h_{l-1} W_l + b_l),   f(x) = h_{L-1} W_L + b_L

The networks stand on a leading axis B. Over images hidden layers are convolutions, 3 by 3 without a border, and a state
has a row for each position of each point; the output layer sees the whole map. With a batch norm, hidden states are
normalised over the points of a batch, after the activation or before it; away from training by running means, as in
torch. A product of B pairs of matrices is computed pair by pair: a network's last bit does not depend on those beside
it (measured on x86 processors; on a GPU the sums of a matrix product may be ordered by the size of the batch).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch

from ..arguments import array, checked, choice, shaped, whole
from ..errors import InvalidInput
from ..nets.deep_nets import Layer, fan_ins
from .device import DTYPES, one_thread, torch_device

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


class Pass(NamedTuple):
    """States h_0, ..., h_{L-1}, what each layer sees of them, and outputs; in training what the batch norms made."""

    states: list[torch.Tensor]
    seen: list[torch.Tensor]
    outputs: torch.Tensor
    inner: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]]  # of a norm: its inverse scale, its result, the units


class Network:
    """Weights on a device. They are changed in place."""

    def __init__(self, net: DeepNet, form: Form, number: torch.dtype, place: torch.device) -> None:
        def tensor(array: np.ndarray) -> torch.Tensor:
            # In rows: a product of matrices that lie otherwise in memory adds in another order.
            return torch.tensor(np.ascontiguousarray(array), dtype=number, device=place)

        self.form = form
        self.W = [tensor(layer.W) for layer in net.layers]
        self.b = [tensor(layer.b)[:, None] for layer in net.layers]
        norms = net.norms or (fresh_norms(net.layers) if form.norm != "none" else ())
        self.scale, self.shift, self.mean, self.variance = (
            [tensor(norm[i])[:, None] for norm in norms] for i in range(4)
        )

    @property
    def inputs(self) -> int:
        """How many numbers a point has."""
        return int(np.prod(self.form.image)) if self.form.image else self.W[0].shape[1]

    def read(self) -> DeepNet:
        """The networks as arrays."""
        layers = tuple(Layer(_array(W), _array(b)[:, 0]) for W, b in zip(self.W, self.b, strict=True))
        norms = zip(self.scale, self.shift, self.mean, self.variance, strict=True)
        return DeepNet(layers, tuple(Norm(*(_array(part)[:, 0] for part in norm)) for norm in norms))

    @property
    def weights(self) -> list[torch.Tensor]:
        """All that a gradient has an entry for, layer by layer: W, b, and an affine norm's scale and shift."""
        parts = []
        for i in range(len(self.W)):
            parts += [self.W[i], self.b[i]]
            if self.form.affine and i < len(self.scale):
                parts += [self.scale[i], self.shift[i]]
        return parts

    def finite(self) -> torch.Tensor:
        """Which networks have no weight that is infinite or no number, (B,) of bool."""
        return torch.stack([part.flatten(1).isfinite().all(1) for part in self.weights]).all(0)

    def forward(self, x: torch.Tensor, training: bool = False) -> Pass:
        """States and outputs at points x (B, n, d)."""
        states, seen, inner = [x], [], []
        for i in range(len(self.W) - 1):
            seen.append(self._seen(states[-1], i))
            h = torch.baddbmm(self.b[i], seen[-1], self.W[i])
            if self.form.norm == "before":
                h, *kept = self._normalized(h, i, training)
            h = self._active(h)
            units = h
            if self.form.norm == "after":
                h, *kept = self._normalized(h, i, training)
            if self.form.norm != "none":
                inner.append((kept[0], kept[1], units))
            states.append(h)
        seen.append(self._seen(states[-1], len(self.W) - 1))
        return Pass(states, seen, torch.baddbmm(self.b[-1], seen[-1], self.W[-1]), inner)

    @checked(lowest=whole("first layer"))
    def backward(self, made: Pass, g: torch.Tensor, lowest: int = 0) -> list[tuple[torch.Tensor, ...]]:
        """How the loss changes with z_l = h_{l-1} W_l + b_l, and with a norm's scale and shift; layer by layer.

        Parameters
        ----------
        made : a training pass
        g : (B, n, outputs), how the loss changes with the outputs
        lowest : the first layer to go down to

        Returns
        -------
        for each layer from `lowest` on (gradient of z_l,), or (gradient of z_l, of its scale, of its shift)
        """
        found: list[tuple[torch.Tensor, ...]] = [(g,)]
        for i in range(len(self.W) - 2, lowest - 1, -1):
            g, pulled = self._felt(torch.bmm(g, self.W[i + 1].mT), i + 1), []
            if self.form.norm == "none":
                g = self._masked(g, made.states[i + 1])
            elif self.form.norm == "after":
                g, *pulled = self._through_norm(g, i, made)
                g = self._masked(g, made.inner[i][2])
            else:
                g, *pulled = self._through_norm(self._masked(g, made.inner[i][2]), i, made)
            found.append((g, *pulled))
        return found[::-1]

    def _sides(self, i: int) -> list[int]:
        return [side - 2 * i for side in self.form.image[1:]] if self.form.image else []

    def _seen(self, h: torch.Tensor, i: int) -> torch.Tensor:
        """What layer i multiplies with its weights: the state itself, windows of an image, or the whole map."""
        if not self.form.image:
            return h
        height, width = self._sides(i)
        if i == len(self.W) - 1:
            return h.reshape(len(h), -1, self.W[i].shape[1])
        maps = h.reshape(-1, height, width, self.W[i].shape[1] // 9)
        # Row by row of a window, channels side by side: they lie so in memory, too.
        windows = maps.unfold(1, 3, 1).unfold(2, 3, 1).permute(0, 1, 2, 4, 5, 3)
        return windows.reshape(len(h), -1, self.W[i].shape[1])

    def _felt(self, g: torch.Tensor, i: int) -> torch.Tensor:
        """How the loss changes with a state, from how it changes with what layer i sees of it."""
        if not self.form.image:
            return g
        height, width = self._sides(i)
        if i == len(self.W) - 1:
            return g.reshape(len(g), -1, self.W[i].shape[1] // (height * width))
        channels = self.W[i].shape[1] // 9
        windows = g.reshape(-1, height - 2, width - 2, 3, 3, channels)
        maps = windows.new_zeros(len(windows), height, width, channels)
        for a in range(3):
            for b in range(3):
                maps[:, a : a + height - 2, b : b + width - 2] += windows[:, :, :, a, b]
        return maps.reshape(len(g), -1, channels)

    def _active(self, z: torch.Tensor) -> torch.Tensor:
        slope = self.form.slope
        return z.relu_() if slope == 0 else z if slope == 1 else torch.nn.functional.leaky_relu_(z, slope)

    def _masked(self, g: torch.Tensor, units: torch.Tensor) -> torch.Tensor:
        """What passes the activation, of which ``units`` are the results: all of it where they are positive."""
        slope = self.form.slope
        if slope == 0:
            return torch.ops.aten.threshold_backward(g, units, 0)
        return g if slope == 1 else torch.where(units > 0, g, slope * g)

    def _normalized(self, x: torch.Tensor, i: int, training: bool) -> tuple[torch.Tensor, ...]:
        if training:
            mean, variance, n = x.mean(1, keepdim=True), x.var(1, keepdim=True, correction=0), x.shape[1]
            self.mean[i].lerp_(mean, MOMENTUM)
            self.variance[i].lerp_(variance * (n / max(n - 1, 1)), MOMENTUM)
        else:
            mean, variance = self.mean[i], self.variance[i]
        inverse = (variance + EPS).rsqrt()
        made = (x - mean) * inverse
        return torch.addcmul(self.shift[i], self.scale[i], made), inverse, made

    def _through_norm(self, g: torch.Tensor, i: int, made: Pass) -> list[torch.Tensor]:
        inverse, unit, _ = made.inner[i]
        along, whole = (g * unit).sum(1, keepdim=True), g.sum(1, keepdim=True)
        n = g.shape[1]
        through = (g - whole / n - unit * (along / n)) * (self.scale[i] * inverse)
        return [through, along, whole] if self.form.affine else [through]


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
    shaped("X", "points", "(B, n, d)", X, (len(net.layers[0].W), None, placed.inputs))
    with one_thread(), torch.no_grad():
        parts = []
        for some in torch.tensor(X, dtype=torch.float64, device=placed.W[0].device).split(AT_ONCE, 1):
            made = placed.forward(some)
            parts.append([_array(part) for part in (*made.states[1:], made.outputs)])
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
        shaped(f"W_{i}", "weights of a layer", "(B, inputs, m_l)", layer.W, (B, into, None))
        shaped(f"b_{i}", "biases of a layer", "(B, m_l)", layer.b, (B, layer.W.shape[2]))
    return Network(net, form, DTYPES[dtype], torch_device(device))


def _array(tensor: torch.Tensor) -> np.ndarray:
    return tensor.detach().cpu().numpy().astype(np.float64)
