"""The comparison of training setups: how well do nets generalise from which start, with which optimiser?"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.params import Params, param

from ..engine.biases import Start, start
from ..engine.distributions import DISTRIBUTIONS, ex_noise
from .shared import CITATION

# Step size at k = 0, by parametrisation and optimiser.
BASE_RATES = {
    ("he", "gd"): 0.008, ("he", "momentum"): 0.008, ("he", "adam"): 0.01,
    ("ntk", "gd"): 0.8, ("ntk", "momentum"): 0.8, ("ntk", "adam"): 0.08,
}  # fmt: skip


class Comparison(Params):
    """One net of a setting; every net draws its own training, validation and test points."""

    parameterization: Literal["he", "ntk"] = param("he", "where the scale of a weight stands")
    optimizer: Literal["gd", "momentum", "adam"] = param("gd", "optimiser")
    distribution: Literal["ex", "radial", "rbf"] = param("ex", "distribution of the points", symbol="P")
    d: int = param(1, "input dimension, 1 for ex", ge=1, le=1024)
    bias: Literal[
        "zero", "pytorch", "uniform", "uniform_positive", "uniform_negative", "kink_uniform_negative",
        "kink_point_negative", "he5", "he1", "normal", "narrow", "narrow_positive", "narrow_negative",
        "kink_uniform", "kink_range", "mean",
    ] = param("zero", "law of the first layer's biases", symbol="b")  # fmt: skip
    k: float = param(0.0, "step size as a power of 2, times a base", ge=-20, le=20, slider=(-6, 5, 0.5))
    width: int = param(512, "hidden units", symbol="m", ge=1, le=100_000)
    points: int = param(256, "training points for each dimension, and points per step", ge=2, le=100_000)
    held_out: int = param(1024, "validation points, and as many test points", ge=2, le=1_000_000)
    iterations: int = param(8192, "steps", ge=1, le=10_000_000)
    every: int = param(64, "steps from one evaluation to the next", ge=1, le=10_000_000)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.distribution == "ex" and self.d != 1:
            raise ValueError(f"d (input dimension) must be 1 where distribution is ex, got {self.d}")
        if self.every % self.d:
            raise ValueError(f"every (steps from one evaluation to the next) must be a multiple of d, got {self.every}")
        if self.iterations % self.every:
            raise ValueError(f"iterations (steps) must be a multiple of every, got {self.iterations}")
        return self

    @property
    def rate(self) -> float:
        """The step size: 0.008 2^k, for Adam 0.01 2^k; for the NTK parametrisation 0.8 2^k and 0.08 2^k."""
        return BASE_RATES[self.parameterization, self.optimizer] * 2**self.k


class Scaling(NamedTuple):
    """Mean and unbiased standard deviation of a net's training points: of x (B, 1, d), of y (B, 1)."""

    x_mean: np.ndarray
    x_std: np.ndarray
    y_mean: np.ndarray
    y_std: np.ndarray

    def of(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in these units."""
        return (X - self.x_mean) / self.x_std, (y - self.y_mean) / self.y_std


class Predictor(NamedTuple):
    """B trained nets as functions of points in their own units; the scales are taken into a and w."""

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    c: np.ndarray
    scaling: Scaling

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs at X (B, n, d), (B, n); of a net that has diverged they are not finite."""
        Z, _ = self.scaling.of(X, np.zeros(1))
        with np.errstate(over="ignore", invalid="ignore"):
            units = np.maximum(np.einsum("bnd,bdm->bnm", Z, self.a) + self.b[:, None], 0)
            f = np.einsum("bnm,bm->bn", units, self.w) + self.c[:, None]
        return self.scaling.y_mean + self.scaling.y_std * f


class TrainedSetup(NamedTuple):
    """Weights after the last step, and mean squared errors: of the training points, and of two samples over time."""

    net: Start
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray


def sample(params: Comparison, draws: Draws) -> Problem:
    """The training points, as drawn."""
    X, y = DISTRIBUTIONS[params.distribution](draws, params.points * params.d, params.d, "train")
    return Problem(X, y)


def solve(params: Comparison, problem: Problem, draws: Draws) -> Solution:
    """Train each net on its normalised points, and look at its validation and test errors on the way."""
    X, y = problem.X, problem.y
    scaling = Scaling(
        X.mean(1, keepdims=True), X.std(1, ddof=1, keepdims=True),
        y.mean(1, keepdims=True), y.std(1, ddof=1, keepdims=True),
    )  # fmt: skip
    draw = DISTRIBUTIONS[params.distribution]
    others = [scaling.of(*draw(draws, params.held_out, params.d, name)) for name in ("valid", "test")]
    X, y = scaling.of(X, y)
    begin = start(params.parameterization, params.bias, params.width, X, draws)
    train = train_line if params.d == 1 else train_wide
    trained = train(params, begin, (X, y), others, draws)
    a, b, w, c, (inner, outer) = trained.net
    value = Predictor(inner * a, b, outer * w, c, scaling)
    status = [Status.SOLVED if np.isfinite(loss) else Status.DIVERGED for loss in trained.train]
    noise = ex_noise(draws, params.held_out, "test") if params.distribution == "ex" else np.zeros((len(y), 1))
    stats = {"train": trained.train, "bayes": np.sqrt((noise**2).mean(1))}
    return Solution(value, status, stats, {"valid": trained.valid, "test": trained.test})


Labelled = tuple[np.ndarray, np.ndarray]


def train_line(params: Comparison, begin: Start, train: Labelled, others: list[Labelled], draws: Draws) -> TrainedSetup:
    """d = 1: full batch, in double precision, every neuron by itself; one step per epoch.

    **Source**: holzmuller2022training, Section 10; differs: float64 where the published code has float32.
    """
    from ..engine import neurons

    run = neurons.begin(neurons.Neurons(begin.a[:, 0], *begin[1:4]))
    (x, y), *watched = [_ascending(X[..., 0], labels) for X, labels in (train, *others)]

    def loss(points: np.ndarray, labels: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return ((neurons.outputs(run.neurons, points, scales=begin.scales) - labels) ** 2).mean(1)

    losses = []
    for _ in range(params.iterations // params.every):
        run = neurons.advance(
            run, x, y, steps=params.every, rate=params.rate, method="prefix", optimizer=params.optimizer,
            loss_scale=1.0, scales=begin.scales,
        )  # fmt: skip
        losses.append([loss(*points) for points in watched])
    last = np.where(run.diverged < 0, loss(x, y), np.nan)
    a, b, w, c = run.neurons
    return TrainedSetup(Start(a[:, None], b, w, c, begin.scales), last, *np.transpose(losses, (1, 2, 0)))


def _ascending(x: np.ndarray, y: np.ndarray) -> Labelled:
    order = np.argsort(x, axis=1)
    return np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)


def train_wide(params: Comparison, begin: Start, train: Labelled, others: list[Labelled], draws: Draws) -> TrainedSetup:
    """d >= 2: minibatches reshuffled in each of the iterations / d epochs, in single precision as published."""
    from ..engine import wide

    *weights, scales = begin
    fit = wide.fit(
        wide.Layers(*weights), train, others, draws, optimizer=params.optimizer, rate=params.rate,
        epochs=params.iterations // params.d, every=params.every // params.d, batch=params.points, scales=scales,
    )  # fmt: skip
    return TrainedSetup(Start(*fit.net, scales), fit.train_loss, *fit.losses.swapaxes(0, 1))


def score(params: Comparison, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Root mean squared errors in the units of the labels; the best epoch is that of the least validation error.

    The published code reports the least validation error as its test error, except of a net whose first
    evaluation is its best.
    """
    valid, test = solution.trace["valid"], solution.trace["test"]
    nets, best = np.arange(len(valid)), valid.argmin(1)
    squares = {
        "test_rmse": test[nets, best],
        "valid_rmse": valid[nets, best],
        "last_train_rmse": solution.stats["train"],
        "last_valid_rmse": valid[:, -1],
        "last_test_rmse": test[:, -1],
    }
    units = solution.value.scaling.y_std[:, 0]
    return {**{name: units * np.sqrt(s) for name, s in squares.items()}, "bayes_rmse": solution.stats["bayes"]}


# Steps near the largest that converges amplify rounding.
CHAOTIC = Replay(0.01, chaotic=0.1)
COLUMNS = {
    "test_rmse": Column("test error at the epoch of the least validation error", "measure", "RMSE", replay=CHAOTIC),
    "valid_rmse": Column("least validation error, published as test error", "measure", "RMSE", replay=CHAOTIC),
    "last_train_rmse": Column("training error after the last step", "measure", "RMSE", replay=CHAOTIC),
    "last_valid_rmse": Column("validation error after the last step", "measure", "RMSE", replay=CHAOTIC),
    "last_test_rmse": Column("test error after the last step", "measure", "RMSE", replay=CHAOTIC),
    "bayes_rmse": Column("size of the noise in the test labels", "measure", "RMSE"),
}

# The rows of Table L.1, and the published exponents of the step size.
SETTINGS: dict[str, list[Any]] = {
    "parameterization": ["he", "ntk"],
    "optimizer": ["gd", "momentum", "adam"],
    "bias": ["zero", "pytorch", "uniform", "uniform_positive", "uniform_negative", "kink_uniform_negative",
             "kink_point_negative", "he5"],
    "k": [k / 2 for k in range(-12, 11)],
}  # fmt: skip

COMPARISON = Experiment(
    name="inconsistency.comparison",
    question="Does a net with biases from zero generalise worse than one with random biases?",
    params=Comparison,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"d": [1, 2], "optimizer": ["gd", "momentum", "adam"], "bias": ["kink_point_negative", "he5"]}, trials=2,
            fixed={"distribution": "radial", "width": 24, "points": 16, "held_out": 20, "iterations": 32, "every": 8},
        ),
        "quick": Grid(
            {"optimizer": ["gd", "momentum", "adam"], "bias": ["zero", "uniform", "kink_uniform_negative"],
             "k": [-4.0, -2.0, 0.0, 2.0, 4.0]},
            trials=4,
        ),
        "paper": Grid({"d": [1, 2, 4, 8, 16, 32, 64], **SETTINGS}, trials=100, fixed={"distribution": "radial"}),
        "paper_line": Grid({"distribution": ["ex", "radial"], **SETTINGS}, trials=100, published=10),
    },
    citation=CITATION,
    batch=10,
)  # fmt: skip
