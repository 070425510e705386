"""Matrix factorisation, and a linear function with one coefficient factored: recovery from how few samples?"""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.columns import exceptions
from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Guide, Problem, Replay, Solution, Status
from neurec_core.figures import PhaseDiagram, matching
from neurec_core.params import Params, param

from .. import theory
from .targets import CITATION

# Errors below which a target counts as recovered; that of a typical coefficient is 1. Training ends at a loss of
# 1e-9, and error and loss differ by the condition of the samples.
RECOVERED, LOOSE = 1e-6, 1e-3
# Singular values below this share of the largest are zero.
ZERO = 1e-9


class MatrixAndToy(Params):
    """Gradient descent from tiny parameters, on some entries of a matrix or on some values of a linear function."""

    model: Literal["matrix", "toy"] = param("matrix", "a d x d matrix, or theta0 + theta1 x1 + theta2 x2")
    parameters: Literal["factors", "entries"] = param(
        "factors", "whether the matrix (in the toy, the coefficient of x2) is a product, or all are parameters"
    )
    r: int = param(1, "rank of the matrix; in the toy, 0 if the target has no x2", ge=0, le=16, slider=(0, 4, 1))
    n: int = param(8, "samples", ge=1, le=256, slider=(1, 16, 1))
    d: int = param(4, "rows and columns of the matrix", ge=1, le=16)
    target: Literal["isometry", "gaussian"] = param(
        "isometry", "target: equal singular values, coefficients 1 in the toy; or a product of normal factors"
    )
    variance: float = param(1e-8, "variance of the parameters at the start", ge=0, le=1)
    step: float = param(0.05, "step size", symbol="h", gt=0, le=10, slider=(0.01, 0.2, 0.01))
    loss: Literal["mean", "sum"] = param("mean", "loss: mean or sum of the squares")
    tolerance: float = param(1e-9, "training loss at which training ends", ge=0, le=1)
    limit: int = param(1_000_000, "most steps", ge=0, le=1_000_000_000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        most = self.d if self.model == "matrix" else 1
        if self.r > most:
            raise ValueError(f"r (rank) must be a whole number in [0, {most}] for this model, got {self.r}")
        if self.model == "matrix" and self.n > self.d**2:
            raise ValueError(f"n (samples) must be at most {self.d**2}, the entries of the matrix, got {self.n}")
        return self


# --------------------------------------------------------------------------------------------- sample, solve, score


def sample(params: MatrixAndToy, draws: Draws) -> Problem:
    """The teacher is the target's coefficients (B, p), root mean square 1 for a matrix.

    Inputs are places (row, column), no place twice, more samples adding places; in the toy (x1, x2), normal.
    """
    c = TARGETS[params.model](params, draws)
    if params.model == "matrix":
        places = draws.uniform("places", params.d**2).argsort(axis=1)[:, : params.n]
        X = np.stack(np.divmod(places, params.d), axis=2).astype(float)
    else:
        X = draws.normal("X", params.n, 2)
    return Problem(X, values(params, X, c), c)


def _matrix(params: MatrixAndToy, draws: Draws) -> np.ndarray:
    d, r = params.d, params.r
    U, V = draws.normal("U", d, r), draws.normal("V", d, r)
    if params.target == "isometry":
        U, V = np.linalg.qr(U)[0], np.linalg.qr(V)[0]
    c = (U @ V.swapaxes(1, 2)).reshape(len(draws), d * d)
    return c if r == 0 else c / np.sqrt((c**2).mean(axis=1, keepdims=True))


def _toy(params: MatrixAndToy, draws: Draws) -> np.ndarray:
    c = draws.normal("coefficients", 3) if params.target == "gaussian" else np.ones((len(draws), 3))
    return c * [1, 1, params.r]


TARGETS: dict[str, Any] = {"matrix": _matrix, "toy": _toy}


def seen(params: MatrixAndToy, X: np.ndarray) -> np.ndarray:
    """What a sample sees of the coefficients, ``(B, n, p)``: one entry of the matrix; in the toy 1, x1, x2."""
    if params.model == "toy":
        return np.concatenate([np.ones_like(X[..., :1]), X], axis=2)
    return ((X @ [params.d, 1.0])[..., None] == np.arange(params.d**2)).astype(float)


def values(params: MatrixAndToy, X: np.ndarray, c: np.ndarray) -> np.ndarray:
    """Values ``(B, n)`` at ``X (B, n, 2)`` of coefficients ``c (B, p)``."""
    return (seen(params, X) @ c[..., None])[..., 0]


def form(params: MatrixAndToy) -> Any:
    """The model, as `neurec_papers.local_linear_recovery.engine.factors` reads it."""
    from ..engine import factors

    p = params.d**2 if params.model == "matrix" else 3
    if params.parameters == "entries":
        return factors.linear(p)
    return factors.matrix(params.d) if params.model == "matrix" else factors.last_factored(p)


def solve(params: MatrixAndToy, problem: Problem, draws: Draws) -> Solution:
    """Gradient descent; the value holds the parameters (B, M).

    **Source**: zhang2023optimistic, Figures 1 to 3; differs: targets are drawn,
    steps have a limit, and the loss, not specified there, is a mean.
    """
    from ..engine import factors

    model = form(params)
    start = params.variance**0.5 * draws.normal("theta", model.size)
    fit = factors.descend(
        model, start, (seen(params, problem.X), problem.y),
        rate=params.step, tolerance=params.tolerance, steps=params.limit, loss=params.loss
    )  # fmt: skip
    status = [Status.DIVERGED if diverged else Status.SOLVED for diverged in fit.diverged]
    return Solution(fit.theta, status, {"steps": fit.steps, "loss": fit.loss})


def simplest(params: MatrixAndToy, c: np.ndarray) -> np.ndarray:
    """Parameters (B, M) of a target (B, p) at which the model's rank is least: balanced factors, zeros behind."""
    if params.parameters == "entries":
        return c
    if params.model == "toy":
        root = np.sqrt(np.abs(c[:, 2:]))
        return np.concatenate([c[:, :2], root, np.copysign(root, c[:, 2:])], axis=1)
    U, S, V = np.linalg.svd(c.reshape(-1, params.d, params.d))
    root = np.sqrt(S) * (np.arange(params.d) < params.r)
    A, B = U * root[:, None], root[:, :, None] * V
    return np.concatenate([A.reshape(len(c), -1), B.reshape(len(c), -1)], axis=1)


def determined(params: MatrixAndToy, problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """The model's rank at the target, and whether these very samples keep it: local linear recovery, (B,) each.

    The tangent space at the simplest parameters lies in that at any others of the target, so if they do not
    distinguish two of its elements, no others can.

    **Source**: zhang2025local, Lemma 1.
    """
    from ..engine import factors

    tangent = factors.jacobian(form(params), simplest(params, problem.teacher))
    rank, kept = (np.linalg.matrix_rank(part, rtol=ZERO) for part in (tangent, seen(params, problem.X) @ tangent))
    return rank, kept == rank


def score(params: MatrixAndToy, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Errors are means of squares over all coefficients."""
    from ..engine import factors

    with np.errstate(over="ignore", invalid="ignore"):  # of trials that diverged
        c = factors.coefficients(form(params), solution.value)
        error = ((c - problem.teacher) ** 2).mean(axis=1)
        train = ((values(params, problem.X, c) - problem.y) ** 2).mean(axis=1)
    rank, kept = determined(params, problem)
    return {
        "recovered": error < RECOVERED,
        "recovered_loose": error < LOOSE,
        "determined": kept,
        "stalled": solution.stats["loss"] >= params.tolerance,
        "error": error,
        "train": train,
        "steps": solution.stats["steps"].astype(float),
        "rank": rank.astype(float),
    }


COLUMNS = {
    "recovered": Column("the target is recovered: error below 1e-6", "event"),
    "recovered_loose": Column("error below 1e-3", "event"),
    "determined": Column("these samples determine the target in its tangent space", "event"),
    "stalled": Column("training ended at the limit of its steps", "event"),
    "error": Column("mean squared error of all coefficients", "measure", replay=Replay(1e-3, decades=True)),
    "train": Column("training mean squared error", "measure", replay=Replay(1e-3, decades=True)),
    "steps": Column("steps made", "measure", "steps"),
    "rank": Column("model rank of the target", "measure"),
}
FACTORS: dict[str, Any] = {"model": ["matrix"], "parameters": ["factors"]}
ENTRIES = {"n": list(range(1, 17))}
BOTH: dict[str, Any] = {"target": ["isometry", "gaussian"], "parameters": ["factors", "entries"]}


def undetermined(table: Any) -> float:
    """No matrix is recovered that its samples do not determine in its tangent space (exceptions)."""
    rows = matching(table, FACTORS)
    return exceptions(~rows.loc[rows["recovered"], "determined"])


MATRIX_AND_TOY = Experiment(
    name="local_linear_recovery.matrix_and_toy",
    question="From how few samples does a factored model recover what a linear one needs all of them for?",
    params=MatrixAndToy,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"model": ["matrix", "toy"], "parameters": BOTH["parameters"], "r": [0, 1], "n": [2, 3]}, 2, {"limit": 3000}
        ),
        "quick": Grid({"r": [1, 2, 3, 4], **ENTRIES}, 10),
        "paper": Grid({**BOTH, "r": [1, 2, 3, 4], **ENTRIES}, 50, published=50),
        "paper_toy": Grid({**BOTH, "r": [0, 1], "n": [1, 2, 3]}, 100, {"model": "toy", "step": 0.01}, published=100),
    },
    citation=CITATION,
    guides=(Guide("n", "r", theory.matrix_rank_size, "2 r d - r²", {**FACTORS, "d": [4]}),),
    batch=25,
    figures={
        target: PhaseDiagram("n", "r", where={**FACTORS, "target": target}) for target in ("isometry", "gaussian")
    },
    claims=(Claim(undetermined, 0, 0, "zhang2025local, Lemma 1"),),
)
