"""Train a network on few points of a target, and see whether it has found the target."""

from __future__ import annotations

from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Problem, Replay, Solution, Status
from neurec_core.params import param
from smallnets.nets.tanh_nets import Neurons, outputs

from .targets import Target

TEST = 1000  # points
STRICT, LOOSE = 1e-12, 1e-4  # test errors that count as recovery
FITTED = 1e-8  # a training error that no bad minimum has
STALLED = 0.99  # of the loss a tenth of all steps ago
FINISH = 300  # iterations of the finish at most


class Training(Target):
    """Full-batch training on n standard normal points, from normal weights of a small standard deviation."""

    n: int = param(7, "training points", ge=1, le=100_000, slider=(1, 63, 1))
    optimizer: Literal["gd", "adam"] = param("gd", "optimiser: gradient descent or Adam")
    step: float = param(0.2, "step size", symbol="h", gt=0, le=100, slider=(0.05, 0.5, 0.05))
    steps: int = param(100_000, "most steps", ge=0, le=1_000_000_000)
    tolerance: float = param(1e-20, "training error at which training ends", ge=0, le=1)
    init: float = param(
        1e-10, "standard deviation of the weights at the start", symbol="σ", ge=0, le=10, slider=(1e-10, 1, 10),
        geometric=True,
    )  # fmt: skip
    weight_decay: float = param(0.0, "weight decay", ge=0, le=1)
    polish: bool = param(False, "a finish by Levenberg and Marquardt")
    precision: Literal["float64", "float32"] = param("float64", "numbers computed with")


def sample(params: Training, draws: Draws) -> Problem:
    """The target's values at n points."""
    X, target = draws.normal("X", params.n, params.network().d), params.teacher(draws)
    return Problem(X, target(X), target)


def fresh(params: Training, target: Neurons, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """The target's values at other points, ``(B, 1000, d)`` and ``(B, 1000)``."""
    X = draws.normal("test", TEST, params.network().d)
    return X, target(X)


def errors(params: Training, theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean squared errors (B,) of ``theta (B, M)``; not finite where the weights diverged."""
    with np.errstate(all="ignore"):
        return np.mean((outputs(params.network(), theta, X) - y) ** 2, axis=1)


def trained(
    params: Training, problem: Problem, draws: Draws, snapshots: tuple[int, ...] = ()
) -> tuple[Solution, np.ndarray]:
    """Train; the value holds the parameters (B, M). Beside it the weights at snapshots, (B, S, M)."""
    from smallnets.descent import tanh

    from ..engine.levenberg_marquardt import polish

    net = params.network()
    start = params.init * draws.normal("start", net.size)
    run = tanh.train(
        net, start, problem.X, problem.y, steps=params.steps, rate=params.step, optimizer=params.optimizer,
        weight_decay=params.weight_decay, tolerance=params.tolerance, snapshots=snapshots, dtype=params.precision,
    )  # fmt: skip
    finite = np.isfinite(run.loss) & np.isfinite(run.theta).all(axis=1)
    theta, loss, polished = run.theta, run.loss, np.zeros(len(draws), int)
    stalled = ~(run.loss < STALLED * run.earlier) & (run.steps == params.steps) & (params.steps >= 10)
    if params.polish and finite.any():
        end = polish(net, theta[finite], problem.X[finite], problem.y[finite], iterations=FINISH)
        theta, loss = theta.copy(), loss.copy()
        theta[finite], loss[finite], polished[finite] = end
        stalled = polished < FINISH  # it gave up before
    test = errors(params, theta, *fresh(params, problem.teacher, draws))
    stats = {"train": loss, "test": test, "steps": run.steps, "polished": polished, "stalled": stalled}
    status = [Status.SOLVED if good else Status.DIVERGED for good in finite & np.isfinite(test)]
    return Solution(theta, status, stats), run.shots


def solve(params: Training, problem: Problem, draws: Draws) -> Solution:
    """Train; the value holds the parameters (B, M)."""
    return trained(params, problem, draws)[0]


def score(params: Training, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Errors, and what became of the training."""
    stats = solution.stats
    train, test = stats["train"], stats["test"]
    return {
        "test": test,
        "recovered": test < STRICT,
        "loosely": test < LOOSE,
        "train": train,
        "stuck": stats["stalled"] & (train > FITTED),
        "taken": stats["steps"].astype(float),
        "polished": stats["polished"].astype(float),
    }


# Adam from weights of 1e-10 amplifies the last bit; errors below 1e-18 are rounding.
ERROR = Replay(0.05, floor=1e-18, chaotic=0.1)
COLUMNS = {
    "test": Column("test error", "measure", "MSE", logarithmic=True, replay=ERROR),
    "recovered": Column("target recovered: test error below 1e-12", "event", replay=Replay(chaotic=0.02)),
    "loosely": Column("test error below 1e-4", "event", replay=Replay(chaotic=0.02)),
    "train": Column("training error", "measure", "MSE", logarithmic=True, replay=ERROR),
    "stuck": Column("training no longer falls, above an error of 1e-8", "event", replay=Replay(chaotic=0.02)),
    "taken": Column("steps taken", "measure", replay=Replay(0.01, chaotic=0.1)),
    "polished": Column("iterations of the finish", "measure", replay=Replay(0.3, chaotic=0.1)),
}
