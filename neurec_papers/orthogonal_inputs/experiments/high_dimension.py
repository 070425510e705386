"""Many nearly orthogonal inputs in high dimension, labelled by six neurons, and a start of 1e-20."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.params import param

from .. import engine, published, theory
from . import points
from .saddles import finish, first, plateau, solved
from .training import CITATION, SHARES, SMALLEST, Training, scaled, start

LEVELS = (0.99, 0.9, 0.75, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1, 0.05, 0.01, 0.001)  # of the loss at the start
UNFITTED = 0.5  # of a label: a point whose residual is above it
LEAST = 0.9  # between these shares of the loss at the start the plateau is looked for
MOST = 0.1


class HighDimension(Training):
    """Normal inputs, whose cosines are of size 1/sqrt(d)."""

    n: int = param(75, "training points", ge=2, le=10_000, slider=(5, 75, 5))
    d: int = param(150, "inputs", ge=2, le=10_000, slider=(10, 150, 10))
    m: int = param(200, "hidden neurons", ge=1, le=100_000, slider=(10, 200, 10))
    init: float = param(
        1e-20,
        "scale of the weights at the start",
        symbol="λ",
        ge=SMALLEST,
        le=10,
        slider=(1e-20, 1, 100),
        geometric=True,
    )
    rng: Literal["addressed", "published"] = param("addressed", "where random numbers come from")
    look: int = param(
        200_000, "steps of the published run, after which the network is looked at", ge=1, le=1_000_000_000
    )
    steps: int = param(600_000, "most steps", ge=1, le=1_000_000_000)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.look > self.steps:
            raise ValueError(f"look (step of the look) must be at most steps = {self.steps}, got {self.look}")
        if self.rng == "published" and (self.balance, self.variance) != ("balanced", "corrected"):
            raise ValueError("rng (random numbers) = published needs balanced weights and corrected variance")
        return self


def sample(params: HighDimension, draws: Draws) -> Problem:
    """Inputs (B, n, d) and the teacher's labels."""
    if params.rng == "published":
        X, y = zip(*(_published(params, trial)[:2] for trial in draws.trials), strict=True)
        return Problem(np.stack(X), np.stack(y))
    return Problem(*points.high_dimension(draws, params.n, params.d))


def begin(params: HighDimension, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Weights at the start, (B, m, d) and (B, m)."""
    if params.rng == "addressed":
        return start(params, draws, params.d)
    W, sign = map(np.stack, zip(*(_published(params, trial)[2:] for trial in draws.trials), strict=True))
    return scaled(params, W, sign, np.zeros_like(sign))


def _published(params: HighDimension, trial: int) -> tuple[np.ndarray, ...]:
    return published.high_dimension(trial, params.n, params.d, params.m)


def solve(params: HighDimension, problem: Problem, draws: Draws) -> Solution:
    """Gradient descent, trial by trial, with a look on the way; the value is the trained weights."""
    from smallnets.descent.relu import descend

    log, found, runs = np.union1d(engine.marks(params.steps), params.look), [], []
    for X, y, W, a in zip(problem.X, problem.y, *begin(params, draws), strict=True):
        run = descend(X, y, W, a, step=params.step, steps=params.steps, target=params.target, log=log)
        with np.errstate(all="ignore"):  # weights that diverged
            found.append(measured(params, X, y, run))
        runs.append(run)
    return solved(runs, found)


def measured(params: HighDimension, X: np.ndarray, y: np.ndarray, run: engine.Run) -> dict[str, float]:
    """Crossings, the plateau, and the network at the look and at the end."""
    full = np.mean(y**2)
    passed = first(params, X, y, run, [level * full for level in LEVELS])
    below = {_name(level): at for level, at in zip(LEVELS, passed, strict=True)}
    D = np.linalg.norm(theory.direction(X, y, theory.classes(y)), axis=1)
    saddle = theory.plateaus(y, 1 if D[0] > D[1] else -1)[1]
    flat = plateau(params, X, y, run, *(first(params, X, y, run, [share * full for share in (LEAST, MOST)])))
    there = int(np.searchsorted(run.at, params.look))  # a training that ended before is looked at in its end
    W, a = (run.Ws[there], run.As[there]) if there < len(run.at) else (run.W, run.a)
    then = {f"{name}_then": value for name, value in network(X, y, W, a).items()}
    now = network(X, y, run.W, run.a) | finish(X, y, run)
    unit = X / np.linalg.norm(X, axis=1, keepdims=True)
    below["cosine"] = float(np.abs(unit @ unit.T - np.eye(len(y))).max())
    return below | {"plateau": flat, "saddle": float(saddle), "minimum": theory.minimum_norm(X, y)} | then | now


def network(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> dict[str, float]:
    """Loss, norm, points that are not fitted, and the shares of |W|² along its first two singular vectors."""
    residual = engine.outputs(W, a, X) - y
    finite = np.isfinite(W).all()
    squares = np.linalg.svd(W, compute_uv=False) ** 2 if finite else np.full(2, np.nan)
    shares = np.append(squares / squares.sum(), 0.0)[:2]
    return {
        "loss": float(np.mean(residual**2)), "norm": float(np.sum(W**2) + np.sum(a**2)) / 2,
        "unfitted": float(np.sum(np.abs(residual) > UNFITTED * np.abs(y))),
        "first": float(shares[0]), "second": float(shares[1]),
    }  # fmt: skip


def _name(level: float) -> str:
    return f"below_{level * 1000:03.0f}"


def score(params: HighDimension, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Crossings; plateau and norm beside the formulas for orthogonal inputs; the look and the end."""
    s, full = solution.stats, np.mean(problem.y**2, axis=1)
    columns = {"plateau": s["plateau"] / full, "saddle": s["saddle"] / full}
    return columns | {name: s[name] for name in COLUMNS if name not in columns}


COLUMNS = {
    "plateau": Column(
        "loss where it falls slowest between 0.9 and 0.1 of the start's", "measure", "of the start's", optional=True
    ),
    "saddle": Column("loss with the class of larger |D| fitted, for orthogonal inputs", "measure", "of the start's"),
    **{_name(f): Column(f"loss below {f:g} of the start's", "measure", "steps", True, True) for f in LEVELS},
    "minimum": Column("least |theta|²/2 of an interpolator of orthogonal inputs", "measure"),
    "loss_then": Column(
        "mean squared error at the look", "measure", logarithmic=True, replay=Replay(0.01, floor=1e-20)
    ),
    "norm_then": Column("|theta|²/2 at the look", "measure"),
    "unfitted_then": Column("points at the look whose residual is above half of the label", "measure"),
    "first_then": Column("share of |W|² along its first singular vector at the look", "measure"),
    "second_then": Column("share of |W|² along its second singular vector at the look", "measure"),
    "loss": Column("mean squared error at the end", "measure", logarithmic=True, replay=Replay(0.01, floor=1e-20)),
    "norm": Column("|theta|²/2 at the end", "measure"),
    "unfitted": Column("points at the end whose residual is above half of the label", "measure"),
    "first": Column("share of |W|² along its first singular vector at the end", "measure"),
    "second": Column("share of |W|² along its second singular vector at the end", "measure"),
    "cosine": Column("largest |cosine| between two inputs", "measure"),
    "active": Column("neurons active on a point at the end", "measure"),
    "taken": Column("steps taken", "measure", "steps", logarithmic=True),
    **SHARES,
}

HIGH_DIMENSION = Experiment(
    name="orthogonal_inputs.high_dimension",
    question="How much of the picture is left where inputs are only nearly orthogonal?",
    params=HighDimension,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"init": [1e-2, 1e-3]}, trials=2,
            fixed={"n": 5, "d": 12, "m": 20, "step": 0.02, "look": 1000, "steps": 2000},
        ),
        "quick": Grid(
            {"init": [1e-10, 1e-20]}, trials=2,
            fixed={"n": 15, "d": 60, "m": 50, "step": 0.01, "look": 20_000, "steps": 40_000},
        ),
        "paper": Grid({"rng": ["published"]}, trials=1, published=1),
        "paper_dimension": Grid(
            {"d": [10, 20, 40, 80, 160, 320, 640]}, trials=20,
            fixed={"n": 10, "m": 100, "init": 1e-10, "step": 0.01, "look": 20_000, "steps": 60_000}, published=20,
        ),
        "paper_large": Grid({"rng": ["published"], "init": [1.0]}, trials=1, published=1),
    },
    citation=CITATION,
)  # fmt: skip
