"""Ranks: the dimension of the tangent space of a two-layer or a deep network at an embedded target."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.columns import exceptions
from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.figures import matching
from neurec_core.params import Params, param
from smallnets.nets.deep_nets import Deep, deep, embedded, jacobian, outputs

from .targets import ARCHITECTURES, CITATION, Embedded, ranks, statuses


class Ranks(Embedded):
    """A target embedded in a wider network; the rank of the network's tangent space there."""

    inputs: Literal["line", "image"] = param("line", "inputs in a line or a square")

    @property
    def image(self) -> bool:
        """Whether the inputs are images."""
        return self.inputs == "image"


def sample(params: Ranks, draws: Draws) -> Problem:
    """Standard normal inputs, and the target's values there."""
    target, X = params.teacher(draws), params.inputs_of_rank(draws)
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
    return _beside(solution, params.formula, params.network().size)


def _beside(solution: Solution, formula: int, parameters: int) -> dict[str, np.ndarray]:
    """Ranks beside what they should be, and the gap in the singular values."""
    rank = solution.stats["rank"]
    return {
        "rank": rank.astype(float),
        "formula": np.full(len(rank), float(formula)),
        "agrees": rank == formula,
        "parameters": np.full(len(rank), float(parameters)),
        "kept": solution.stats["kept"],
        "dropped": solution.stats["dropped"],
    }


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


def sample_deep(params: DeepRanks, draws: Draws) -> Problem:
    """Standard normal inputs, 50 more than three times the target's parameters; normal weights of that many inputs."""
    net = params.network()
    theta = draws.normal("theta", net.size)
    X = draws.normal("X", 3 * net.size + 50, params.d)
    return Problem(X, outputs(net, theta, X), theta)


def solve_deep(params: DeepRanks, problem: Problem, draws: Draws) -> Solution:
    """The rank where the wider network is the narrow one.

    Behind a layer of one or two neurons singular values can fall off without a gap, as derivatives of a smooth function
    of few variables do; such a rank is undecided. A drawn weight that happens to be nearly zero costs rank like zero.

    **Source**: zhang2025local, Theorem 3: at most the narrow network's parameters.
    """
    wide = params.network(params.extra)
    theta = embedded(params.network(), problem.teacher, wide)
    found = ranks(jacobian(wide, theta[b : b + 1], problem.X[b : b + 1]) for b in range(len(draws)))
    return Solution(theta, statuses(found), found._asdict())


def score_deep(params: DeepRanks, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The rank beside the bound, which random weights attain."""
    return _beside(solution, params.network().size, params.network(params.extra).size)


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


def odd_ranks(table: Any) -> float:
    """The rank is the closed form unless kernels are shifts or a kernel's copies have different shares (exceptions)."""
    unequal = (table["embedding"] == "unequal") & (table["architecture"] == "ws")
    return exceptions(~table.loc[~unequal & (table["target"] != "shifted"), "agrees"])


def paper_ranks(table: Any) -> float:
    """At the paper's target, with hidden biases, ranks are 7 (ws), 15 (ns) and 21 (fc) at any width (exceptions)."""
    rows = matching(table, {**PAPER, "target": "paper", "hidden_bias": True, "output_bias": False})
    return exceptions(rows["rank"] != rows["architecture"].map({"ws": 7, "ns": 15, "fc": 21}))


def shifted_ranks(table: Any) -> float:
    """Shifted kernels have ranks 9, 18, 30 and not 12, 24, 48; with equal hidden biases 11, 23, 35 (exceptions)."""
    rows = matching(table, {"target": "shifted", "output_bias": False})
    plain, biased = {"ws": 9, "ns": 18, "fc": 30}, {"ws": 11, "ns": 23, "fc": 35}
    expected = rows["architecture"].map(plain).mask(rows["hidden_bias"], rows["architecture"].map(biased))
    return exceptions(rows["rank"] != expected)


def changed_by_embedding(table: Any) -> float:
    """Embedding a deep network in a wider one does not change its rank, where both are decided (exceptions)."""
    ranks = table.groupby(["depth", "first", "width", "biases", "trial"])["rank"]
    return exceptions(ranks.nunique()[ranks.count() > 1] > 1)


PAPER = {"embedding": "null", "inputs": "line", "d": 5, "s": 3, "nulled": 0}
EVERY = {"architecture": ARCHITECTURES}
IMAGES = {"inputs": "image", "target": "random"}
DEEP = {"depth": [1, 2, 3], "first": [1, 2, 3]}
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
        "tiny": Grid({**EVERY, **EMBEDDINGS}, 2, {"factor": 2}),
        "quick": Grid({**EVERY, "factor": [1, 3, 10], **EMBEDDINGS}, 3),
        "paper": Grid({**EVERY, "factor": [1, 3, 10, 34, 100], **BIASES, **EMBEDDINGS}, 3, published=3),
        "paper_shifted": Grid(
            {**EVERY, "target": ["shifted", "random"], "factor": [1, 3], **BIASES}, 3, {"s": 2, "k": 2}, published=3
        ),
        "paper_nulled": Grid({**EVERY, "nulled": [0, 1, 2, 3], "factor": [1, 3], **BIASES}, 3, published=3),
        "paper_images": Grid(
            {**EVERY, "d": [3, 4, 5], "s": [2, 3], "k": [1, 2], "factor": [1, 3], **BIASES}, 2, IMAGES, published=2
        ),
    },
    citation=CITATION,
    batch=10,
    claims=(
        Claim(odd_ranks, 0, 0, "zhang2025local, Theorems 5 and 6"),
        Claim(paper_ranks, 0, 0, "zhang2025local, Theorem 1"),
        Claim(shifted_ranks, 0, 0, "measured here, against Theorems 5 and 6"),
    ),
)
DEEP_RANKS = Experiment(
    name="local_linear_recovery.deep_ranks",
    question="Is the rank of a deep network that of the narrowest one that expresses the target?",
    params=DeepRanks,
    sample=sample_deep,
    solve=solve_deep,
    score=score_deep,
    columns={**COLUMNS, "formula": Column("parameters of the target's network, a bound", "measure")},
    presets={
        "tiny": Grid({"depth": [1, 2, 3], "biases": [True, False]}, 2, {"extra": 1}),
        "quick": Grid({**DEEP, "extra": [0, 3], "biases": [True, False]}, 5),
        "paper": Grid({**DEEP, "width": [1, 2], "extra": [0, 3, 10], "biases": [True, False]}, 20, published=20),
    },
    citation=CITATION,
    batch=10,
    claims=(Claim(changed_by_embedding, 0, 0, "zhang2025local, Theorem 3"),),
)
