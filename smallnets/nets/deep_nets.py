"""Deep fully connected tanh networks with one output, for questions of rank.

    h_0 = x,   h_l = tanh(h_{l-1} W_l + b_l),   f(x) = h_{L-1} W_L + b_L

Parameters stand in one vector ``theta (B, M)``, layer after layer: weights row by row, then biases.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, sizes_of, whole, wholes
from ..errors import InvalidInput

HIDDEN = wholes("neurons of the hidden layers", "[1, inf)", empty=False)


class Deep(NamedTuple):
    """A network's ``widths (d, m_1, ..., m_{L-1}, 1)`` and whether its layers, the last one too, have biases."""

    widths: tuple[int, ...]
    biases: bool

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """Inputs and outputs of every layer."""
        return list(zip(self.widths[:-1], self.widths[1:], strict=True))

    @property
    def size(self) -> int:
        """M, the number of parameters: sum of m_{l-1} m_l, and of m_l with biases."""
        return sum((into + self.biases) * out for into, out in self.shapes)


@checked(
    d=whole("inputs", "[1, inf)"),
    hidden=wholes("neurons of the hidden layers", "[1, inf)"),
    image=wholes("channels, height and width", "[1, inf)"),
)
def fan_ins(d: int, hidden: Sequence[int], image: tuple[int, int, int] | None = None) -> list[int]:
    """How many weights a neuron of each layer has, for d inputs and hidden layers of these widths.

    Over an ``image``, channels, height and width, hidden layers are convolutions, 3 by 3 without a border.
    """
    if not image:
        return [d, *hidden]
    channels, *sides = image
    last = hidden[-1] * math.prod(side - 2 * len(hidden) for side in sides)
    return [*(9 * width for width in (channels, *hidden[:-1])), last]


class Layer(NamedTuple):
    """Weights ``W (B, m_{l-1}, m_l)`` and biases ``b (B, m_l)`` of a layer."""

    W: np.ndarray
    b: np.ndarray


@checked(d=whole("inputs", "[1, inf)"), hidden=HIDDEN)
def deep(d: int, hidden: Sequence[int], *, biases: bool = True) -> Deep:
    """The network with inputs d and hidden layers of these widths.

    Raises
    ------
    InvalidInput : "hidden (neurons of the hidden layers) must be whole numbers in [1, inf), got (2, 0)", or d likewise
    """
    return Deep((d, *hidden, 1), biases)


@checked(net=sizes_of(M="size"), theta=array("parameters", "B M"))
def layers(net: Deep, theta: np.ndarray) -> list[Layer]:
    """The parameters ``theta (B, M)`` layer by layer; biases that the network does not have are zero."""
    B, found, first = len(theta), [], 0
    for into, out in net.shapes:
        W = theta[:, first : first + into * out].reshape(B, into, out)
        first += into * out
        b = theta[:, first : first + out] if net.biases else np.zeros((B, out))
        first += out * net.biases
        found.append(Layer(W, b))
    return found


def joined(net: Deep, parts: Sequence[Layer]) -> np.ndarray:
    """The parameters ``theta (B, M)`` of these layers, the other way round of `layers`."""
    flat = [part for W, b in parts for part in (W.reshape(len(W), -1), b)]
    return np.concatenate(flat if net.biases else flat[::2], axis=1)


def _states(parts: Sequence[Layer], X: np.ndarray) -> list[np.ndarray]:
    """Inputs (B, n, .) of every layer."""
    states = [X]
    for W, b in parts[:-1]:
        states.append(np.tanh(states[-1] @ W + b[:, None]))
    return states


@checked(net=sizes_of(M="size"), theta=array("parameters", "B M"), X=array("points", "B n d"))
def outputs(net: Deep, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Outputs ``(B, n)`` of ``theta (B, M)`` at ``X (B, n, d)``."""
    parts = layers(net, theta)
    W, b = parts[-1]
    return (_states(parts, X)[-1] @ W + b[:, None])[..., 0]


@checked(net=sizes_of(M="size"), theta=array("parameters", "B M"), X=array("points", "B n d"))
def jacobian(net: Deep, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Derivatives of the outputs with respect to the parameters, ``(B, n, M)``, by backpropagation at every input.

    With g_L = 1 and g_{l-1} = (W_l g_l) (1 - h_{l-1}^2): df/dW_l = h_{l-1} g_l^T and df/db_l = g_l.
    """
    parts = layers(net, theta)
    states = _states(parts, X)
    B, n = X.shape[:2]
    pulled, columns = np.ones((B, n, 1)), []
    for (W, _), h in zip(reversed(parts), reversed(states), strict=True):
        of_weights = (h[..., :, None] * pulled[..., None, :]).reshape(B, n, -1)
        columns += [pulled, of_weights] if net.biases else [of_weights]
        pulled = (pulled @ W.transpose(0, 2, 1)) * (1 - h * h)
    return np.concatenate(columns[::-1], axis=2)


@checked(net=sizes_of(M="size"), theta=array("parameters", "B M"))
def embedded(net: Deep, theta: np.ndarray, wide: Deep) -> np.ndarray:
    """Parameters with which a wider network of the same depth is this one: neurons are added that have no weights.

    Raises
    ------
    InvalidInput : "wide (network to embed in) must have widths of at least (3, 2, 2, 1), got (3, 2, 1, 1)", or another
        depth, another d, or biases in one network only

    **Source**: zhang2025local, null embedding.
    """
    fits = (len(wide.widths), wide.widths[0], wide.biases) == (len(net.widths), net.widths[0], net.biases)
    if not fits or any(w < m for w, m in zip(wide.widths, net.widths, strict=True)):
        biases = "biases" if net.biases else "no biases"
        raise InvalidInput(
            f"wide (network to embed in) must have widths of at least {net.widths} and {biases}, "
            f"got {wide.widths} and {'biases' if wide.biases else 'no biases'}"
        )
    placed = []
    for (W, b), shape in zip(layers(net, theta), wide.shapes, strict=True):
        larger = Layer(np.zeros((len(theta), *shape)), np.zeros((len(theta), shape[1])))
        larger.W[:, : W.shape[1], : W.shape[2]] = W
        larger.b[:, : b.shape[1]] = b
        placed.append(larger)
    return joined(wide, placed)
