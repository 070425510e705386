"""Training: does a network that is trained on few points of a target find it, and how does that depend on its width?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import model_validator

from neurec_core.columns import exceptions
from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.figures import Curves, PhaseDiagram
from neurec_core.params import BadInput, param
from smallnets.nets.tanh_nets import Neurons, outputs

from ..published import HMKT
from ..theory import optimistic_sample_size
from .targets import ARCHITECTURES, CITATION, Target, guide, output_bias

STRICT, LOOSE = 1e-12, 1e-4  # test errors that count as recovery
FITTED = 1e-8  # a training error that no bad minimum has
STALLED = 0.99  # of the loss a tenth of all steps ago
FINISH = 300  # iterations of the finish at most


class SampleSweep(Target):
    """Full-batch training on n standard normal points, from normal weights of a small standard deviation.

    What the paper leaves open of its main figure, steps, step size and end, is as in the defaults.
    """

    n: int = param(7, "training points", ge=1, le=100_000, slider=(1, 63, 1))
    optimizer: Literal["gd", "adam"] = param("gd", "optimiser: gradient descent or Adam")
    step: float = param(0.2, "step size", symbol="h", gt=0, le=100, slider=(0.05, 0.5, 0.05))
    steps: int = param(100_000, "most steps", ge=0, le=1_000_000_000)
    tolerance: float = param(1e-20, "training error at which training ends", ge=0, le=1)
    init: float = param(
        1e-10, "standard deviation of the weights at the start", symbol="σ", ge=0, le=10, slider=(1e-10, 1, 10),
        geometric=True
    )  # fmt: skip
    weight_decay: float = param(0.0, "weight decay", ge=0, le=1)
    polish: bool = param(False, "a finish by Levenberg and Marquardt")
    precision: Literal["float64", "float32"] = param("float64", "numbers computed with")
    test_size: int = param(1000, "points on which the test error is measured", ge=1, le=10_000_000)
    device: str = param("", "where torch computes, such as cuda:0; without a name where NEUREC_DEVICE says")
    b1: float = param(0.0, "biases of the target's hidden neurons", ge=-100, le=100)
    b2: float = param(0.0, "bias of the target's output", ge=-100, le=100)

    @model_validator(mode="after")
    def _expresses(self) -> SampleSweep:
        for bias, held in (("b1", "hidden_bias"), ("b2", "output_bias")):
            if getattr(self, bias) and not getattr(self, held):
                raise BadInput(
                    f"{bias} (bias of the target) must be 0 where {held} is false, got {getattr(self, bias)}"
                )
        return self

    def teacher(self, draws: Draws) -> Neurons:
        """The target with its biases."""
        target = super().teacher(draws)
        return target._replace(b=target.b + self.b1, c=target.c + self.b2)


class HmktSweep(SampleSweep):
    """The protocol of the HMKT code: output biases, a step size of 0.1, at most 20,000 steps, an end at 1e-10."""

    n: int = param(20, "training points", ge=1, le=100_000, slider=(5, 200, 5))
    step: float = param(0.1, "step size", symbol="h", gt=0, le=100, slider=(0.05, 0.5, 0.05))
    steps: int = param(20_000, "most steps", ge=0, le=1_000_000_000)
    tolerance: float = param(1e-10, "training error at which training ends", ge=0, le=1)
    output_bias: bool = output_bias(True)


def sample(params: SampleSweep, draws: Draws) -> Problem:
    """The target's values at n points."""
    X, target = draws.normal("X", params.n, params.network().d), params.teacher(draws)
    return Problem(X, target(X), target)


def fresh(params: SampleSweep, target: Neurons, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """The target's values at ``test_size`` other points, ``(B, t, d)`` and ``(B, t)``."""
    X = draws.normal("test", params.test_size, params.network().d)
    return X, target(X)


def errors(params: SampleSweep, theta: np.ndarray, X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Mean squared errors (B,) of ``theta (B, M)``; not finite where the weights diverged."""
    with np.errstate(all="ignore"):
        return np.mean((outputs(params.network(), theta, X) - y) ** 2, axis=1)


def trained(
    params: SampleSweep, problem: Problem, draws: Draws, snapshots: tuple[int, ...] = ()
) -> tuple[Solution, np.ndarray]:
    """Train; the value holds the parameters (B, M). Beside it the weights at snapshots, (B, S, M)."""
    from smallnets.descent import tanh

    from ..engine.levenberg_marquardt import polish

    net = params.network()
    start = params.init * draws.normal("start", net.size)
    run = tanh.train(
        net, start, problem.X, problem.y, steps=params.steps, rate=params.step, optimizer=params.optimizer,
        weight_decay=params.weight_decay, tolerance=params.tolerance, snapshots=snapshots,
        dtype=params.precision, device=params.device or None
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


def solve(params: SampleSweep, problem: Problem, draws: Draws) -> Solution:
    """Train; the value holds the parameters (B, M)."""
    return trained(params, problem, draws)[0]


def score(params: SampleSweep, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
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


def below_rank(table: Any) -> float:
    """At no width is the target recovered from fewer samples than the optimistic sample size (exceptions)."""
    rows = table[table["polish"]]
    return exceptions(rows.loc[rows["n"] < rows["architecture"].map(OPTIMISTIC), "recovered"])


def first_recovery(table: Any) -> float:
    """At the width of the target the first recovery is at the optimistic sample size (largest difference)."""
    rows = table[table["polish"] & table["recovered"] & (table["factor"] == 1)]
    late = rows.groupby("architecture")["n"].min().reindex(list(OPTIMISTIC))  # NaN for one that never recovers
    return float((late - late.index.map(OPTIMISTIC)).abs().max(skipna=False))


OPTIMISTIC = {name: optimistic_sample_size(name, 5, 3, 1) for name in ARCHITECTURES}
DESCENT = {"polish": False, "step": 0.2}
EVERY = list(range(1, 64))
SIZES = [5, 10, 20, 50, 100, 200]
USUAL = {"factor": 1, "optimizer": "gd", "precision": "float64"}
POLISHED = {"polish": True, "steps": 5000}

SAMPLE_SWEEP = Experiment(
    name="local_linear_recovery.sample_sweep",
    question="From how many points does training find the target, and how does that depend on the width?",
    params=SampleSweep,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"architecture": ["ws", "fc"], "n": [6, 9]}, 3, {"steps": 2000}),
        "quick": Grid(
            {"architecture": ARCHITECTURES, "factor": [1, 3], "n": list(range(2, 43, 4))}, 4, {"steps": 20_000}
        ),
        "paper": Grid({"architecture": ARCHITECTURES, "factor": [1, 3, 10], "n": EVERY}, 50, published=10),
        "paper_wide": Grid({"architecture": ARCHITECTURES, "factor": [34, 100], "n": EVERY}, 50, published=3),
        "polished": Grid({"architecture": ARCHITECTURES, "factor": [1, 3, 10], "n": EVERY}, 50, POLISHED, published=10),
        "near_the_rank": Grid({"n": [5, 6, 7, 8]}, 200, POLISHED, published=200),
        "step_sizes": Grid(
            {"architecture": ARCHITECTURES, "step": [0.05, 0.1, 0.3, 0.4, 0.5], "n": EVERY}, 50, published=3
        ),
    },
    citation=CITATION,
    guides=tuple(guide(name, True, False) for name in ARCHITECTURES),
    batch=10,
    figures={
        "descent": PhaseDiagram("n", "factor", "test", "architecture", DESCENT, (1e-6, 1)),
        "polished": PhaseDiagram("n", "factor", "recovered", "architecture", {"polish": True}),
    },
    claims=(
        Claim(below_rank, 0, 0, "zhang2025local, Theorem 1"),
        Claim(first_recovery, 0, 0, "zhang2025local, Figure 3"),
    ),
)

HMKT_SWEEP = Experiment(
    name="local_linear_recovery.hmkt_sweep",
    question="What does a protocol with few sample sizes, few steps and a loose end say?",
    params=HmktSweep,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"architecture": ["ws", "fc"], "n": [5, 20]}, 3, {"steps": 1000}),
        "quick": Grid({"architecture": ARCHITECTURES, "n": SIZES}, 5),
        "paper": Grid({"architecture": ARCHITECTURES, "factor": [1, 10], "n": SIZES}, 20, published=20),
        "paper_adam": Grid(
            {"architecture": ARCHITECTURES, "factor": [1, 10], "n": SIZES},
            20,
            {"optimizer": "adam", "step": 0.01},
            published=20,
        ),
        "float32": Grid(
            {"architecture": ARCHITECTURES, "factor": [1, 10], "n": SIZES}, 20, {"precision": "float32"}, published=5
        ),
    },
    citation=CITATION,
    batch=10,
    figures={"means": Curves("n", "test", "architecture", USUAL, "xy", average=True)},
    form=HMKT,
)
