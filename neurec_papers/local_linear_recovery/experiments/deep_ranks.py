"""Ranks of deep networks: a wider one has that of the narrow one, at most the narrow one's number of parameters."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution
from neurec_core.params import Params, param
from smallnets.nets.deep_nets import Deep, deep, embedded, jacobian, outputs
from smallnets.nets.ranks import Rank, tangent_rank

from .ranks import COLUMNS, statuses
from .targets import CITATION


class DeepRanks(Params):
    """A fully connected tanh network with random weights, embedded in one with more neurons in every hidden layer."""

    d: int = param(3, "inputs", ge=1, le=20)
    depth: int = param(2, "hidden layers", symbol="L-1", ge=1, le=6, slider=(1, 4, 1))
    first: int = param(2, "neurons of the target's first hidden layer", symbol="m₁", ge=1, le=10, slider=(1, 5, 1))
    width: int = param(2, "neurons of its other hidden layers", symbol="m", ge=1, le=10, slider=(1, 5, 1))
    extra: int = param(0, "neurons added to every hidden layer", ge=0, le=30, slider=(0, 10, 1))
    biases: bool = param(True, "biases of all layers")

    def network(self, extra: int = 0) -> Deep:
        """The target's network, or one with more neurons."""
        hidden = [self.first] + [self.width] * (self.depth - 1)
        return deep(self.d, [m + extra for m in hidden], biases=self.biases)


def sample(params: DeepRanks, draws: Draws) -> Problem:
    """Standard normal inputs, 50 more than three times the target's parameters; normal weights of that many inputs."""
    net = params.network()
    theta = draws.normal("theta", net.size)
    X = draws.normal("X", 3 * net.size + 50, params.d)
    return Problem(X, outputs(net, theta, X), theta)


def solve(params: DeepRanks, problem: Problem, draws: Draws) -> Solution:
    """The rank where the wider network is the narrow one.

    Behind a layer of one or two neurons singular values can fall off without a gap, as derivatives of a smooth function
    of few variables do; such a rank is undecided. A drawn weight that happens to be nearly zero costs rank like zero.

    **Source**: zhang2025local, Theorem 3: at most the narrow network's parameters.
    """
    wide = params.network(params.extra)
    theta = embedded(params.network(), problem.teacher, wide)
    found = [tangent_rank(jacobian(wide, theta[b : b + 1], problem.X[b : b + 1])) for b in range(len(draws))]
    rank = Rank(*map(np.concatenate, zip(*found, strict=True)))
    return Solution(theta, statuses(rank), rank._asdict())


def score(params: DeepRanks, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The rank beside the bound, which random weights attain."""
    B, rank, bound = len(problem.X), solution.stats["rank"], params.network().size
    return {
        "rank": rank.astype(float),
        "formula": np.full(B, float(bound)),
        "agrees": rank == bound,
        "parameters": np.full(B, float(params.network(params.extra).size)),
        "kept": solution.stats["kept"],
        "dropped": solution.stats["dropped"],
    }


DEEP_RANKS = Experiment(
    name="local_linear_recovery.deep_ranks",
    question="Is the rank of a deep network that of the narrowest one that expresses the target?",
    params=DeepRanks,
    sample=sample,
    solve=solve,
    score=score,
    columns={**COLUMNS, "formula": Column("parameters of the target's network, a bound", "measure")},
    presets={
        "tiny": Grid({"depth": [1, 2, 3], "biases": [True, False]}, 2, {"extra": 1}),
        "quick": Grid({"depth": [1, 2, 3], "first": [1, 2, 3], "extra": [0, 3], "biases": [True, False]}, 5),
        "paper": Grid(
            {"depth": [1, 2, 3], "first": [1, 2, 3], "width": [1, 2], "extra": [0, 3, 10], "biases": [True, False]},
            20,
            published=20,
        ),
    },
    citation=CITATION,
    batch=10,
)
