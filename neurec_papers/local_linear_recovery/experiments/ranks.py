"""Model ranks: the dimension of a network's tangent space at an embedded target."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.params import BadInput, param
from smallnets.nets.ranks import Rank, tangent_rank
from smallnets.nets.tanh_nets import Neurons, jacobian, placed, windows

from .. import theory
from .targets import CITATION, Target

# Entries of the largest tangent matrix that is factorised, half a gigabyte.
MOST = 2**26


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
            image=self.image, nulled=self.nulled,
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

    def many(self, draws: Draws) -> np.ndarray:
        """As many standard normal inputs as show the rank."""
        return draws.normal("inputs", self.inputs_for_rank, self.network().d)

    def tangent_rank(self, theta: np.ndarray, X: np.ndarray) -> Rank:
        """The rank at ``theta (B, M)`` on inputs ``X (B, n, d)``, one trial at a time."""
        net = self.network()
        found = [tangent_rank(jacobian(net, theta[b : b + 1], X[b : b + 1])) for b in range(len(X))]
        return Rank(*map(np.concatenate, zip(*found, strict=True)))


class Ranks(Embedded):
    """A target embedded in a wider network; the rank of the network's tangent space there."""

    inputs: Literal["line", "image"] = param("line", "inputs in a line or a square")

    @property
    def image(self) -> bool:
        """Whether the inputs are images."""
        return self.inputs == "image"


def statuses(found: Rank) -> list[Status]:
    """Whether each rank is decided by a gap in the singular values."""
    return [Status.SOLVED if decided else Status.UNDECIDED for decided in found.decided]


def sample(params: Ranks, draws: Draws) -> Problem:
    """Standard normal inputs, and the target's values there."""
    target, X = params.teacher(draws), params.many(draws)
    return Problem(X, target(X), target)


def solve(params: Ranks, problem: Problem, draws: Draws) -> Solution:
    """The embedded parameters, and the rank by singular values with its gap.

    **Source**: zhang2025local, Theorems 1, 5 and 6; the numbers of its experiment are those of ``d=5, s=3, k=1``.
    """
    theta = params.embedded(problem.teacher, draws)
    found = params.tangent_rank(theta, problem.X)
    return Solution(theta, statuses(found), found._asdict())


def score(params: Ranks, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The rank beside the closed form."""
    rank, B = solution.stats["rank"], len(problem.X)
    return {
        "rank": rank.astype(float),
        "formula": np.full(B, float(params.formula)),
        "agrees": rank == params.formula,
        "parameters": np.full(B, float(params.network().size)),
        "kept": solution.stats["kept"],
        "dropped": solution.stats["dropped"],
    }


COLUMNS = {
    "rank": Column("rank of the tangent space at the embedded target", "measure"),
    "formula": Column("optimistic sample size, in closed form", "measure"),
    "agrees": Column("the rank is the closed form", "event"),
    "parameters": Column("parameters of the network", "measure"),
    "kept": Column(
        "smallest singular value that counts",
        "measure",
        "the largest",
        optional=True,
        replay=Replay(1e-3, decades=True),
    ),
    "dropped": Column(
        "largest singular value that does not", "measure", "the largest", replay=Replay(1e-3, floor=1e-12)
    ),
}
ARCHITECTURES = {"architecture": ["ws", "ns", "fc"]}
BIASES = {"hidden_bias": [False, True], "output_bias": [False, True]}
EMBEDDINGS = {"embedding": ["null", "proportional", "unequal"]}

RANKS = Experiment(
    name="local_linear_recovery.ranks",
    question="What is the rank of the tangent space at a target, which is how many samples determine it there?",
    params=Ranks,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({**ARCHITECTURES, **EMBEDDINGS}, 2, {"factor": 2}),
        "quick": Grid({**ARCHITECTURES, "factor": [1, 3, 10], **EMBEDDINGS}, 3),
        "paper": Grid({**ARCHITECTURES, "factor": [1, 3, 10, 34, 100], **BIASES, **EMBEDDINGS}, 3, published=3),
        "paper_shifted": Grid(
            {**ARCHITECTURES, "target": ["shifted", "random"], "factor": [1, 3], **BIASES}, 3,
            {"s": 2, "k": 2}, published=3),
        "paper_nulled": Grid(
            {**ARCHITECTURES, "nulled": [0, 1, 2, 3], "factor": [1, 3], **BIASES}, 3, published=3
        ),
        "paper_images": Grid(
            {**ARCHITECTURES, "d": [3, 4, 5], "s": [2, 3], "k": [1, 2], "factor": [1, 3], **BIASES}, 2,
            {"inputs": "image", "target": "random"}, published=2),
    },
    citation=CITATION,
    batch=10,
)  # fmt: skip
