"""Does dropout bring the samples that training needs closer to the optimistic sample size? (Figure 4)"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.figures import Curves
from neurec_core.params import Params, param
from smallnets.nets.tanh_nets import Neurons

from .targets import CITATION, output_bias

LOW, HIGH = -15.0, 14.0  # the inputs' interval
TESTED = 1000  # test points, equally spaced there
KINKS = (-7.0, 0.0, 7.0)  # biases of the target's three neurons
OPTIMISTIC = 9  # three neurons of three parameters each
# Test errors below which the target counts as recovered. With dropout, training ends near 1e-3.
RECOVERED, LOOSE = 1e-3, 1e-2
LAST = 100  # of the training's loss notes, 16 steps each: what a noisy loss is averaged over


class Dropout(Params):
    """Adam from PyTorch's initialisation, on a function of one variable that three tanh neurons make."""

    n: int = param(9, "training points", ge=1, le=10_000, slider=(1, 50, 1))
    dropout: float = param(
        0.1, "probability that a hidden unit is dropped", symbol="p", ge=0, le=0.9, slider=(0, 0.5, 0.05)
    )
    m: int = param(300, "hidden neurons", ge=1, le=100_000, slider=(3, 300, 3))
    inputs: Literal["grid", "uniform"] = param("grid", "training points: equally spaced, or drawn")
    output_bias: bool = output_bias(True)
    step: float = param(1e-3, "step size of Adam", symbol="h", gt=0, le=1, slider=(1e-4, 1e-3, 1e-4))
    steps: int = param(100_000, "steps of Adam", ge=1, le=100_000_000, slider=(3125, 1_600_000, 2), geometric=True)


# --------------------------------------------------------------------------------------------- sample, solve, score


def target(x: np.ndarray) -> np.ndarray:
    """tanh(x - 7) + tanh(x) + tanh(x + 7), of any array; the same bits on every processor."""
    from ..engine.dropout import tanh

    return tanh(x + KINKS[0]) + tanh(x + KINKS[1]) + tanh(x + KINKS[2])


def sample(params: Dropout, draws: Draws) -> Problem:
    """Points on [-15, 14] without noise, the target's neurons as the teacher."""
    B, k = len(draws), len(KINKS)
    x = np.tile(np.linspace(LOW, HIGH, params.n), (B, 1))
    if params.inputs == "uniform":
        x = LOW + (HIGH - LOW) * draws.uniform("X", params.n)
    teacher = Neurons(np.ones((B, 1, k)), np.tile(KINKS, (B, 1)), np.ones((B, k)), np.zeros(B))
    return Problem(x[..., None], target(x), teacher)


def start(params: Dropout, draws: Draws) -> Neurons:
    """PyTorch's: weights and biases of a layer with k inputs uniform on [-1, 1] / sqrt(k)."""
    m = params.m
    hidden, outer = 2 * draws.uniform("hidden", 2, m) - 1, (2 * draws.uniform("outer", m + 1) - 1) / m**0.5
    c = outer[:, m] if params.output_bias else np.zeros(len(draws))
    return Neurons(hidden[:, :1], hidden[:, 1], outer[:, :m], c)


def solve(params: Dropout, problem: Problem, draws: Draws) -> Solution:
    """Train; the value is the network, to be used without dropout, and the trace the loss with it.

    **Source**: zhang2025local, Figure 4; differs: steps and output bias are not specified there, nor where
    the test points are; one step size for all.
    """
    from ..engine import dropout

    fit = dropout.train(
        start(params, draws), (problem.X, problem.y), draws,
        dropout=params.dropout, rate=params.step, steps=params.steps, output_bias=params.output_bias
    )  # fmt: skip
    status = [Status.DIVERGED if diverged else Status.SOLVED for diverged in fit.diverged]
    return Solution(fit.net, status, {}, {"loss": fit.losses})


def score(params: Dropout, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Errors are means of squares, of the network without dropout."""
    from ..engine.dropout import condensation, outputs

    net, B = solution.value, len(problem.y)
    x = np.tile(np.linspace(LOW, HIGH, TESTED), (B, 1))
    test = ((outputs(net, x) - target(x)) ** 2).mean(axis=1)
    share, directions = condensation(net)
    return {
        "recovered_loose": test < LOOSE,
        "recovered": test < RECOVERED,
        "test": test,
        "train": ((outputs(net, problem.X[..., 0]) - problem.y) ** 2).mean(axis=1),
        "train_dropped": solution.trace["loss"][:, -LAST:].mean(axis=1),
        "directions": directions,
        "aligned": share,
    }


COLUMNS = {
    "recovered_loose": Column("test error below 1e-2", "event"),
    "recovered": Column("test error below 1e-3", "event"),
    "test": Column("test mean squared error, without dropout", "measure", replay=Replay(0.01, decades=True)),
    "train": Column("training mean squared error, without dropout", "measure", replay=Replay(1e-3, floor=1e-12)),
    "train_dropped": Column("training loss, with its dropped units, over the last 1600 steps", "measure"),
    "directions": Column("effective number of directions of (w, b)", "measure"),
    "aligned": Column("share of pairs of neurons whose (w, b) have a |cosine| above 0.99", "measure"),
}
COMPARED = {"dropout": [0.0, 0.1]}


def size(params: Dropout) -> float:
    """Bytes of a trial at its peak: cosines of all pairs of neurons, outputs on the test points, dropped units."""
    drawn = 3 * 16 * params.n * params.m * params.dropout
    return 8 * (1.2 * params.m**2 + (3 * TESTED + params.n) * params.m + drawn)


def earlier(table: Any) -> float:
    """With dropout the median test error falls below 1e-2 from fewer samples on than without (by how many)."""
    below = medians(table)["test"].unstack("dropout") < LOOSE
    first = below.idxmax().where(below.any())  # NaN where it never does
    return float(first[0.0] - first[0.1])


def fewer_directions(table: Any) -> float:
    """From nine samples dropout leaves fewer effective directions of hidden weights (difference of medians)."""
    directions = medians(table)["directions"]
    return float(directions[0.0, OPTIMISTIC] - directions[0.1, OPTIMISTIC])


def floor_of_dropout(table: Any) -> float:
    """With dropout the median test error from 50 samples is near 1e-3 (in powers of ten of that)."""
    return float(np.log10(medians(table)["test"][0.1, 50] / 1e-3))


def medians(table: Any) -> Any:
    """Medians of test errors and directions for each probability and sample size."""
    return table.groupby(["dropout", "n"])[["test", "directions"]].median()


DROPOUT = Experiment(
    name="local_linear_recovery.dropout",
    question="Does dropout condense neurons, and recover the target from fewer samples?",
    params=Dropout,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"inputs": ["uniform", "grid"], **COMPARED, "output_bias": [True, False]}, 2, {"m": 20, "steps": 200}
        ),
        "quick": Grid({**COMPARED, "n": [5, 9, 15, 25]}, 2, {"steps": 20_000}),
        "paper": Grid({**COMPARED, "n": list(range(1, 51))}, 10),
        "part": Grid({**COMPARED, "n": [*range(1, 21), *range(25, 51, 5)]}, 10, published=6),
    },
    citation=CITATION,
    bytes=size,
    batch=1,
    figures={"test": Curves("n", "test", "dropout", {}, "y")},
    claims=(
        Claim(earlier, 5, 4.5, "zhang2025local, Figure 4"),
        Claim(fewer_directions, 1.1, 1, "zhang2025local, Figure 4"),
        Claim(floor_of_dropout, 0, 0.5, "zhang2025local, Figure 4"),
    ),
)
