"""Teachers and students of the matrix version: every column of a layer, its bias in the last row, has norm 1."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Problem, Solution
from neurec_core.params import BadInput, Params, param

from ..engine.batches import batches, check_batch
from ..engine.measures import states
from ..engine.outcome import statuses
from ..engine.teachers import VALUES, enough, separated, widths
from .shared import node_multi

if TYPE_CHECKING:
    from ..engine.matrix_ascent import Ascended


Start = Literal["random", "perturbed", "opposed"]


def start(default: str) -> Any:
    """The declaration of how the student starts; experiments differ in the default."""
    added = "with the teacher added to its first neurons; in the first layer also minus a random one in the others"
    return param(default, f"student at the start: noise; {added}")


class MatrixNets(Params):
    """A teacher, a student with more neurons, and the rule by which it steps."""

    d: int = param(10, "inputs", ge=1, le=1000, slider=(5, 20, 1))
    widths: str = param("20", "neurons of the teacher's hidden layers, such as 20 or 20-25")
    outputs: int = param(30, "outputs of both networks", symbol="o", ge=1, le=1000, slider=(5, 50, 5))
    node_multi: int = node_multi(2)
    bias: float = param(
        0.0, "what is subtracted in each teacher neuron before columns are brought to norm 1", ge=-10, le=10
    )
    start: Start = start("perturbed")
    noise: float = param(
        0.1, "standard deviation of the noise at the start; without a teacher added it is of no account",
        ge=1e-9, le=100, slider=(0.05, 0.5, 0.05),
    )  # fmt: skip
    rule: Literal["matrix", "exact", "exact_summed", "gradient", "population"] = param(
        "matrix",
        "how the student steps: by products of means; sample by sample, averaged, or summed as published; by the "
        "gradient of the loss; by its expectation",
    )
    rate: float = param(0.05, "step size", gt=0, le=1000, slider=(0.01, 0.3, 0.01))
    iterations: int = param(20_000, "steps of the student", symbol="t", ge=0, le=10**8, slider=(0, 5000, 100))
    batch: int = param(64, "inputs per step", ge=1, le=100_000, slider=(16, 128, 16))
    sampling: Literal["iid", "antithetic", "whitened"] = param(
        "iid", "inputs of a batch: independent; in opposite pairs; of sample covariance 1, too"
    )
    inputs: Literal["fresh", "fixed"] = param("fresh", "inputs of every step: new, or always the first batch")
    biases: bool = param(True, "student's biases")
    points: int = param(1024, "points on which networks are compared", ge=2, le=1_000_000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        hidden = widths(self.widths)
        for into, out in itertools.pairwise(self.teacher_sizes):
            enough(out, into, VALUES["five"])
        if self.rule == "population" and len(hidden) > 1:
            raise BadInput(f"rule (how the student steps) must not be population for hidden layers {self.widths}")
        if self.rule != "population":
            check_batch(self.d, self.batch, self.sampling)
        return self

    @property
    def teacher_sizes(self) -> tuple[int, ...]:
        """Inputs, hidden layers, outputs."""
        return (self.d, *widths(self.widths), self.outputs)

    @property
    def student_sizes(self) -> tuple[int, ...]:
        """The same, hidden layers times node_multi."""
        return (self.d, *(self.node_multi * m for m in widths(self.widths)), self.outputs)


def unit(W: np.ndarray) -> np.ndarray:
    """Columns over their norms."""
    return W / np.linalg.norm(W, axis=1, keepdims=True)


def teachers(params: MatrixNets, draws: Draws) -> list[np.ndarray]:
    """Separated neurons, a common bias, columns of norm 1.

    **Source**: tian2019luck, its code; differs: the published teacher is drawn before any seed is set.
    """
    layers = []
    for i, (into, out) in enumerate(zip(params.teacher_sizes[:-1], params.teacher_sizes[1:], strict=True)):
        W = separated(draws, f"teacher {i}", out, into, values=VALUES["five"])
        layers.append(unit(np.concatenate([W, np.full_like(W[:, :1], -params.bias)], axis=1)))
    return layers


def students(params: MatrixNets, teacher: list[np.ndarray], draws: Draws) -> list[np.ndarray]:
    """Noise, and what the start adds to it; columns of norm 1. The same draws whatever is added, and to which scale.

    **Source**: tian2019luck, its code (--perturb, --init_std); differs: --init_neg_teacher stops with an error there
    unless --perturb is given, and in every layer but the first, where alone teacher and student have the same inputs.
    """
    layers = []
    for i, (into, out) in enumerate(zip(params.student_sizes[:-1], params.student_sizes[1:], strict=True)):
        W, V = params.noise * draws.normal(f"student {i}", into + 1, out), teacher[i]
        if params.start != "random":
            W[:, : V.shape[1] - 1, : V.shape[2]] += V[:, :-1]
            W[:, -1, : V.shape[2]] += V[:, -1]
        if params.start == "opposed" and i == 0:
            m = V.shape[2]
            which = (draws.uniform("opposed", out)[:, m:] * m).astype(int)
            W[:, :, m:] -= np.take_along_axis(V, which[:, None], axis=2)
        if not params.biases:
            W[:, -1] = 0
        layers.append(unit(W))
    return layers


def sample(params: MatrixNets, draws: Draws) -> Problem:
    """Standard normal points on which networks are compared and the teacher's outputs, (B, points, d), (B, points, o).

    Training draws its batches by other names: comparing changes nothing, which in the published program it does.
    """
    teacher = teachers(params, draws)
    X = draws.normal("X", params.points, params.d)
    return Problem(X, states(teacher, X)[1], teacher)


def solve(params: MatrixNets, problem: Problem, draws: Draws) -> Solution:
    """The value holds the student at the start and at the end; where that is not finite the trial has diverged."""
    start = students(params, problem.teacher, draws)
    end = advance(params, problem.teacher, start, draws)
    fine = ~end.diverged[:, None, None]
    last = [np.where(fine, W, first) for W, first in zip(end.weights, start, strict=True)]
    return Solution((start, last), statuses(~end.diverged))


def advance(
    params: MatrixNets, teacher: list[np.ndarray], start: list[np.ndarray], draws: Draws, *, log: tuple[int, ...] = ()
) -> Ascended:
    """The student from `start` on, noted at the iterations `log`."""
    from ..engine.matrix_ascent import Method, ascend

    # What is published as a sum over the batch is its mean with a larger step.
    rate = params.rate * (params.batch if params.rule == "exact_summed" else 1)
    method = Method(params.rule.removesuffix("_summed"), rate, params.biases)
    inputs: Iterable[np.ndarray] = ()
    if params.rule != "population":
        inputs = batches(draws, params.d, params.batch, params.sampling, fresh=params.inputs == "fresh")
    return ascend(teacher, start, inputs, method, steps=params.iterations, log=log)
