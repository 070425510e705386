"""The functions that are to be recovered, and the parameters that say which."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Guide
from neurec_core.params import BadInput, Params, param
from smallnets.nets.tanh_nets import Architecture, Neurons, architecture, neurons, windows

from ..theory import optimistic_sample_size

CITATION = (
    "Zhang, Zhang, Zhang and Bai, Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization, "
    "JMLR 26(69), 1-30, 2025 (arXiv 2406.18035)"
)
Name = Literal["fc", "ns", "ws"]
Kernels = Literal["paper", "random", "shifted"]


def output_bias(default: bool) -> Any:
    """The declaration of the output's bias; protocols differ in whether there is one."""
    return param(default, "bias of the output")


class Target(Params):
    """A function made of convolution kernels, and a network with as many of them or more."""

    architecture: Name = param("ws", "network: fully connected, convolution without or with shared weights")
    factor: int = param(
        1, "width, in units of the target's", symbol="N", ge=1, le=1000, slider=(1, 64, 2), geometric=True
    )
    d: int = param(5, "inputs; pixels per side of an image", ge=1, le=100)
    s: int = param(3, "kernel size; pixels per side of an image", ge=1, le=100)
    k: int = param(1, "kernels of the target", ge=1, le=20)
    target: Kernels = param("paper", "the target's kernels")
    nulled: int = param(0, "output weights of the target that are zero", ge=0, le=100)
    hidden_bias: bool = param(True, "biases of the hidden neurons")
    output_bias: bool = output_bias(False)

    @model_validator(mode="after")
    def _fits(self) -> Target:
        if self.s > self.d:
            raise BadInput(f"s (kernel size) must be a whole number in [1, {self.d}], the inputs, got {self.s}")
        if self.target == "shifted" and self.k > self.s:
            raise BadInput(f"k (kernels of the target) must be at most s = {self.s} for shifted ones, got {self.k}")
        places = len(windows(self.d, self.s, self.image))
        if self.nulled > self.k * places:
            raise BadInput(
                f"nulled (output weights that are zero) must be at most {self.k * places}, got {self.nulled}"
            )
        return self

    @property
    def image(self) -> bool:
        """Whether the inputs are images."""
        return False

    def network(self, name: str | None = None, factor: int | None = None) -> Architecture:
        """The network that is trained; another architecture or width on demand."""
        return architecture(
            name or self.architecture,
            self.d,
            self.s,
            (factor or self.factor) * self.k,
            hidden_bias=self.hidden_bias,
            output_bias=self.output_bias,
            image=self.image,
        )

    def teacher(self, draws: Draws) -> Neurons:
        """The target, neuron by neuron: kernels at all positions, no biases.

        "paper" is one kernel (0.6, 0.8, 1) with output weights of 1 (equally spaced entries for another s; random
        ones from the second kernel on). "random" kernels and output weights are normal. "shifted" kernels are
        unit vectors, each a shift of the next, with normal output weights.
        """
        net = self.network("ws", 1)
        theta = np.zeros((len(draws), net.size))
        kernels, outer = draws.normal("kernels", *net.weights.shape), draws.normal("outer", net.m)
        first = net.weights < len(net.weights)
        if self.target == "paper":
            ramp = np.linspace(0.6, 1, len(net.weights))[:, None]
            kernels, outer = np.where(first, ramp, kernels), np.where(first[0], 1.0, outer)
        if self.target == "shifted":
            size = len(net.weights)
            kernels = np.broadcast_to(np.eye(size, self.k)[:, net.weights[0] // size], kernels.shape)
        outer[:, : self.nulled] = 0
        theta[:, net.weights], theta[:, net.outputs] = kernels, outer
        return neurons(net, theta)


def guide(name: str, hidden: bool, output: bool) -> Guide:
    """The optimistic sample size of the paper's target (d = 5, s = 3, k = 1) in an architecture, over n and width."""
    size = optimistic_sample_size(name, 5, 3, 1, hidden_bias=hidden, output_bias=output)
    fixed: dict[str, Any] = {
        "architecture": name, "d": 5, "s": 3, "k": 1, "nulled": 0, "hidden_bias": hidden, "output_bias": output,
    }  # fmt: skip
    holds = {**{parameter: [value] for parameter, value in fixed.items()}, "target": ["paper", "random"]}
    return Guide("n", "factor", partial(_constant, float(size)), "optimistic sample size", holds)


def _constant(value: float, y: np.ndarray) -> np.ndarray:
    return np.full(np.shape(y), value)
