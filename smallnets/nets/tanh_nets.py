"""Two-layer tanh networks whose neurons may see a part of the input and share their weights.

    f(x) = sum_j a_j tanh(sum_i w_ij x_{inputs_ij} + b_j) + c,   j = 1, ..., m

An architecture says which parameter every weight reads. A convolution is a network whose neurons read the same
parameters; outputs, gradients and ranks are then written once for all architectures. Parameters stand in one vector
``theta (B, M)``: hidden weights, hidden biases, output weights, output bias.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..arguments import array, checked, choice, record, sizes_of, whole
from ..errors import InvalidInput

NAMES = {"fc": "fully connected", "ws": "convolution", "ns": "convolution without weight sharing"}


class Architecture(NamedTuple):
    """Which input each weight of each neuron multiplies, and which entry of theta it reads.

    ``inputs (s, m)`` and ``weights (s, m)`` for a fan-in of s; ``biases (m,)``, empty without hidden biases;
    ``outputs (m,)``; ``constant`` is the output bias, -1 without one; ``d`` inputs; ``size`` is M, the number of
    parameters.
    """

    inputs: np.ndarray
    weights: np.ndarray
    biases: np.ndarray
    outputs: np.ndarray
    constant: int
    d: int
    size: int

    @property
    def m(self) -> int:
        """Neurons."""
        return len(self.outputs)


class Neurons(NamedTuple):
    """The same network without any structure: ``W (B, d, m)``, ``b (B, m)``, ``a (B, m)``, ``c (B,)``."""

    W: np.ndarray
    b: np.ndarray
    a: np.ndarray
    c: np.ndarray

    @checked(self=record(W=array("hidden weights", "_ d m", finite=False)), X=array("points", "_ n d", finite=False))
    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs ``(B, n)`` at inputs ``X (B, n, d)``."""
        return (np.tanh(X @ self.W + self.b[:, None]) @ self.a[:, :, None])[:, :, 0] + self.c[:, None]


@checked(
    name=choice("architecture", NAMES),
    d=whole("inputs", "[1, inf)"),
    s=whole("kernel size", "[1, inf)"),
    kernels=whole("number of kernels", "[1, inf)"),
)
def architecture(
    name: str,
    d: int,
    s: int,
    kernels: int,
    *,
    hidden_bias: bool = True,
    output_bias: bool = False,
    image: bool = False,
) -> Architecture:
    """The network that holds `kernels` convolution kernels, in one of three architectures; stride 1, no padding.

    Parameters
    ----------
    name : "fc", fully connected with a neuron for every kernel and position; "ws", a convolution; "ns", a convolution
        whose kernels differ from position to position (locally connected)
    d : inputs, >= 1; of an image, pixels per side
    s : kernel size, in [1, d]; of an image, pixels per side
    kernels : how many, >= 1
    hidden_bias : whether neurons have a bias, shared where the weights are
    output_bias : whether the output has one
    image : whether inputs are d x d images, row by row, and kernels s x s

    Raises
    ------
    InvalidInput : "s (kernel size) must be a whole number in [1, 5], got 6", or a name that is not known
    """
    if s > d:
        raise InvalidInput(f"s (kernel size) must be a whole number in [1, {d}], got {s}")
    window = windows(d, s, image)
    places, fan_in = window.shape
    m, inputs = kernels * places, d * d if image else d
    kernel = np.repeat(np.arange(kernels), places)
    if name == "fc":
        window, fan_in = np.broadcast_to(np.arange(inputs), (places, inputs)), inputs
    owner = kernel if name == "ws" else np.arange(m)
    owners = kernels if name == "ws" else m
    first = owners * fan_in
    biases = first + owner if hidden_bias else np.empty(0, int)
    outputs = first + owners * hidden_bias + np.arange(m)
    return Architecture(
        inputs=np.tile(window, (kernels, 1)).T.copy(),
        weights=owner * fan_in + np.arange(fan_in)[:, None],
        biases=biases,
        outputs=outputs,
        constant=int(outputs[-1]) + 1 if output_bias else -1,
        d=inputs,
        size=int(outputs[-1]) + 1 + output_bias,
    )


@checked(d=whole("inputs", "[1, inf)"), s=whole("inputs of a kernel", "[1, inf)"))
def windows(d: int, s: int, image: bool = False) -> np.ndarray:
    """The inputs that a kernel sees at each of its positions, ``(positions, s)`` or, for images, ``(., s^2)``."""
    line = np.arange(d + 1 - s)[:, None] + np.arange(s)
    if not image:
        return line
    return (line[:, None, :, None] * d + line[None, :, None, :]).reshape(len(line) ** 2, s * s)


@checked(net=sizes_of(M="size"), theta=array("parameters", "B M", finite=False))
def neurons(net: Architecture, theta: np.ndarray) -> Neurons:
    """The network neuron by neuron, weights that it does not have being zero; ``theta (B, M)``."""
    B, m = len(theta), net.m
    W = np.zeros((B, net.d, m))
    W[:, net.inputs, np.arange(m)] = theta[:, net.weights]
    b = theta[:, net.biases] if len(net.biases) else np.zeros((B, m))
    c = theta[:, net.constant] if net.constant >= 0 else np.zeros(B)
    return Neurons(W, b, theta[:, net.outputs], c)


@checked(net=sizes_of(m="m", d="d"), shares=array("shares of the copies", "m|B m"))
def placed(net: Architecture, target: Neurons, shares: np.ndarray | None = None) -> np.ndarray:
    """Parameters ``(B, M)`` with which a network is a narrower one: an embedding.

    Neuron j of the network is neuron j modulo k of the target's k. Its output weight is that neuron's times a
    share; the shares of a neuron's copies must sum to 1. One copy with all of it is the null embedding, several
    are a splitting embedding.

    Parameters
    ----------
    target : k neurons; the network's architecture must be able to hold them, such as those of `neurons` of a
        network of the same or a more restricted architecture
    shares : (m,) or (B, m) array; None is the null embedding, in which further neurons have no weights at all

    Raises
    ------
    InvalidInput : the network has fewer neurons than the target

    **Source**: zhang2025local, critical embeddings.
    """
    B, k, m = len(target.a), target.a.shape[1], net.m
    if m < k:
        raise InvalidInput(f"m (neurons of the network) must be a whole number in [{k}, inf), got {m}")
    of = np.arange(m) % k
    copied = np.arange(m) < k if shares is None else np.ones(m, bool)
    theta = np.zeros((B, net.size))
    theta[:, net.weights] = target.W[:, net.inputs, of] * copied
    if len(net.biases):
        theta[:, net.biases] = target.b[:, of] * copied
    theta[:, net.outputs] = target.a[:, of] * (copied if shares is None else shares)
    if net.constant >= 0:
        theta[:, net.constant] = target.c
    return theta


@checked(net=sizes_of(M="size", d="d"), theta=array("parameters", "B M", finite=False), X=array("points", "B n d"))
def outputs(net: Architecture, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Outputs ``(B, n)`` of ``theta (B, M)`` at ``X (B, n, d)``."""
    return neurons(net, theta)(X)


@checked(net=sizes_of(M="size", d="d"), theta=array("parameters", "B M"), X=array("points", "B n d"))
def jacobian(net: Architecture, theta: np.ndarray, X: np.ndarray) -> np.ndarray:
    """Derivatives of the outputs with respect to the parameters, ``(B, n, M)``, in closed form.

    df/da_j = t_j, df/db_j = a_j (1 - t_j^2), df/dw_ij = a_j (1 - t_j^2) x_i with t_j = tanh(w_j . x + b_j). A
    parameter that several weights read gets the sum.
    """
    W, b, a, _ = neurons(net, theta)
    t = np.tanh(X @ W + b[:, None])
    slope = a[:, None] * (1 - t * t)
    J = np.zeros((net.size, *t.shape[:2]))
    for inputs, weights in zip(net.inputs, net.weights, strict=True):
        np.add.at(J, weights, np.moveaxis(slope * X[:, :, inputs], 2, 0))
    if len(net.biases):
        np.add.at(J, net.biases, np.moveaxis(slope, 2, 0))
    J[net.outputs] = np.moveaxis(t, 2, 0)
    if net.constant >= 0:
        J[net.constant] = 1
    return np.moveaxis(J, 0, 2)
