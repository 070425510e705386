"""Linearised recovery: from which number of samples on is the target the only fit in its tangent hyperplane?"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.columns import exceptions
from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Guide, Problem, Replay, Solution
from neurec_core.figures import PhaseDiagram
from neurec_core.params import param
from smallnets.nets.ranks import leakage, tangent_rank
from smallnets.nets.tanh_nets import jacobian

from .targets import ARCHITECTURES, CITATION, Embedded, guide, statuses

# Points on which what is left undetermined is measured.
TEST = 200
# A leakage below is rounding: what is left undetermined by one sample too few is some per cent.
EXACT = 1e-20
# Rounding is not computed again to the digit; it is reported as this.
FLOOR = 1e-12


class LinearizedRecovery(Embedded):
    """n samples of an embedded target; what they determine within the tangent hyperplane there."""

    n: int = param(7, "training points", ge=1, le=1000, slider=(1, 63, 1))


def sample(params: LinearizedRecovery, draws: Draws) -> Problem:
    """Standard normal inputs, and the target's values there."""
    target = params.teacher(draws)
    X = draws.normal("X", params.n, params.d)
    return Problem(X, target(X), target)


def solve(params: LinearizedRecovery, problem: Problem, draws: Draws) -> Solution:
    """Rank of the model, rank on the samples, and what these leave open of a random function in the hyperplane.

    **Source**: zhang2025local, Lemma 1: the target is the only fit if both ranks agree.
    """
    net, theta = params.network(), params.embedded(problem.teacher, draws)
    direction = draws.normal("direction", net.size)
    test = draws.normal("test", TEST, net.d)
    found = []
    for b in range(len(draws)):
        one = slice(b, b + 1)
        J = jacobian(net, theta[one], problem.X[one])
        found.append((tangent_rank(J).rank, leakage(J, jacobian(net, theta[one], test[one]), direction[one])))
    seen, leak = map(np.concatenate, zip(*found, strict=True))
    model = params.tangent_rank(theta, params.inputs_of_rank(draws))
    return Solution(theta, statuses(model), {"rank": model.rank, "sampled": seen, "leak": leak})


def score(params: LinearizedRecovery, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Lemma 1's condition, and whether what it promises is so."""
    rank, seen, leak = (solution.stats[name] for name in ("rank", "sampled", "leak"))
    return {
        "recovered": leak < EXACT,
        "determined": seen == rank,
        "leak": np.maximum(leak, FLOOR),
        "sampled_rank": seen.astype(float),
        "rank": rank.astype(float),
    }


COLUMNS = {
    "recovered": Column("determined in the tangent hyperplane", "event"),
    "determined": Column("rank on the samples is that of the model", "event"),
    "leak": Column(
        "share of a random tangent function left open, mean square (at least 1e-12)",
        "measure",
        replay=Replay(1e-3, floor=1e-9, decades=True),
    ),
    "sampled_rank": Column("rank of the tangent matrix on the samples", "measure"),
    "rank": Column("rank of the tangent space", "measure"),
}


def _guide(architecture: str, hidden: bool, output: bool) -> Guide:
    embedding = ["null", "proportional"] if architecture == "ws" else ["null", "proportional", "unequal"]
    size = guide(architecture, hidden, output)
    return size._replace(holds={**size.holds, "embedding": embedding})


PUBLISHED: dict[str, Any] = {"architecture": ARCHITECTURES, "factor": [1, 10, 34], "n": range(1, 26)}


def lemma_1(table: Any) -> float:
    """Samples determine the target exactly where their tangent matrix has the rank of the model (exceptions)."""
    return exceptions(table["recovered"] != table["determined"])


LINEARIZED_RECOVERY = Experiment(
    name="local_linear_recovery.linearized_recovery",
    question="From how many samples on is the target the only fit in the tangent hyperplane of a wide network?",
    params=LinearizedRecovery,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"architecture": ARCHITECTURES, "n": [6, 22]}, 2, {"factor": 2, "embedding": "proportional"}),
        "quick": Grid({"architecture": ARCHITECTURES, "factor": [1, 3, 10], "n": range(1, 26)}, 3),
        "paper": Grid(PUBLISHED, 20, published=20),
        "paper_output_bias": Grid(PUBLISHED, 20, {"output_bias": True}, published=20),
        "split": Grid(PUBLISHED, 20, {"embedding": "unequal"}, published=20),
    },
    citation=CITATION,
    guides=tuple(_guide(a, h, o) for a in ARCHITECTURES for h in (True, False) for o in (True, False)),
    batch=10,
    figures={
        "null": PhaseDiagram("n", "factor", None, "architecture", {"output_bias": False, "embedding": "null"}),
    },
    claims=(Claim(lemma_1, 0, 0, "zhang2025local, Lemma 1"),),
)
