"""The functions that are to be recovered, as targets and embedded in wider networks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Guide, Status
from neurec_core.params import BadInput, Params, param
from smallnets.nets.ranks import Rank, tangent_rank
from smallnets.nets.tanh_nets import Architecture, Neurons, architecture, jacobian, neurons, placed, windows

from .. import theory

CITATION = (
    "Zhang, Zhang, Zhang and Bai, Local Linear Recovery Guarantee of Deep Neural Networks at Overparameterization, "
    "JMLR 26(69), 1-30, 2025 (arXiv 2406.18035)"
)
# Entries of the largest tangent matrix that is factorised, half a gigabyte.
MOST = 2**26
ARCHITECTURES = ["ws", "ns", "fc"]
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


class Embedded(Target):
    """A target in the network, as one of the parameters that express it."""

    embedding: Literal["null", "proportional", "unequal"] = param(
        "null", "further kernels: none, copies, or copies whose shares differ between positions"
    )

    @property
    def places(self) -> int:
        """Positions of a kernel."""
        return len(windows(self.d, self.s, self.image))

    @property
    def formula(self) -> int:
        """The least rank over all parameters that express the target, in closed form."""
        return theory.optimistic_sample_size(
            self.architecture, self.d, self.s, self.k,
            hidden_bias=self.hidden_bias, output_bias=self.output_bias,
            image=self.image, nulled=self.nulled
        )  # fmt: skip

    @property
    def inputs_for_rank(self) -> int:
        """Inputs that show the rank: 50 more than three times what it can be, so that nothing is near singular."""
        shared = self.architecture == "ws" and self.embedding == "unequal"
        most = self.formula * min(self.factor, self.places) if shared else self.formula
        return 3 * min(most, self.network().size) + 50

    @model_validator(mode="after")
    def _factorisable(self) -> Embedded:
        if (entries := self.inputs_for_rank * self.network().size) > MOST:
            raise BadInput(
                f"d, s, k and factor must give a tangent matrix of at most {MOST:.0e} entries, got {entries:.0e}"
            )
        return self

    def embedded(self, target: Neurons, draws: Draws) -> np.ndarray:
        """Parameters ``(B, M)`` that express the target, with random shares of the copies.

        The weights of neurons without an output weight are zero, too, which gives the least rank; shared ones are
        where no position has an output weight.
        """
        B, copies = len(draws), self.factor
        on = (target.a != 0).reshape(B, self.k, -1)
        if self.architecture == "ws":
            on = np.broadcast_to(on.any(axis=2, keepdims=True), on.shape)
        least = target._replace(W=target.W * on.reshape(B, 1, -1))
        if self.embedding == "null":
            return placed(self.network(), least)
        share = 1 + draws.uniform("shares", copies, self.k, self.places if self.embedding == "unequal" else 1)
        share = share / share.sum(axis=1, keepdims=True)
        each = np.broadcast_to(share, (B, copies, self.k, self.places)).reshape(B, -1)
        return placed(self.network(), least, each)

    def inputs_of_rank(self, draws: Draws) -> np.ndarray:
        """So many standard normal inputs that they show the rank."""
        return draws.normal("inputs", self.inputs_for_rank, self.network().d)

    def tangent_rank(self, theta: np.ndarray, X: np.ndarray) -> Rank:
        """The rank at ``theta (B, M)`` on inputs ``X (B, n, d)``, one trial at a time."""
        return ranks(jacobian(self.network(), theta[b : b + 1], X[b : b + 1]) for b in range(len(X)))


def ranks(tangents: Iterable[np.ndarray]) -> Rank:
    """The ranks of tangent matrices (1, n, M), of one trial after another."""
    return Rank(*map(np.concatenate, zip(*map(tangent_rank, tangents), strict=True)))


def statuses(found: Rank) -> list[Status]:
    """Whether each rank is decided by a gap in the singular values."""
    return [Status.SOLVED if decided else Status.UNDECIDED for decided in found.decided]


def guide(name: str, hidden: bool, output: bool) -> Guide:
    """The optimistic sample size of the paper's target (d = 5, s = 3, k = 1) in an architecture, over n and width."""
    size = theory.optimistic_sample_size(name, 5, 3, 1, hidden_bias=hidden, output_bias=output)
    fixed = {"architecture": name, "d": 5, "s": 3, "k": 1, "nulled": 0, "hidden_bias": hidden, "output_bias": output}
    holds: dict[str, Any] = {**{each: [value] for each, value in fixed.items()}, "target": ["paper", "random"]}
    curve = partial(np.full_like, fill_value=float(size), dtype=float)
    return Guide("n", "factor", curve, "optimistic sample size", holds)
