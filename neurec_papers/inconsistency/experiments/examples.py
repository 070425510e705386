"""One network in training, beside one that shows what is possible (figures 1 and 2)."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.figures import Computed, Drawing
from neurec_core.params import Params, param

from .. import published
from ..engine import distributions
from ..engine.distributions import X_SIX, Y_SIX
from .shared import CITATION

GROWTH = 1.1  # of the steps between two snapshots
GUIDED = 1000  # steps of the reference network during which its kinks are held where they should be
PUBLISHED_SEED, PUBLISHED_REFERENCE = 8634587, 673888


class TrainingExamples(Params):
    """Gradient descent on one half-sided data set; on either side its best line has no intercept."""

    points: Literal["ex", "six"] = param("ex", "training points: P_ex without its intercepts, or Example 1")
    m: int = param(16, "hidden neurons", ge=2, le=100_000, slider=(4, 64, 4))
    n: int = param(256, "training points, 6 for Example 1", ge=4, le=1_000_000, slider=(32, 512, 32))
    step: float = param(0.01, "step size", symbol="h", gt=0, le=10, slider=(0.002, 0.05, 0.002))
    steps: int = param(92_708, "steps of gradient descent", ge=1, le=100_000_000)
    reference_steps: int = param(200_000, "Adam steps of the reference network, 0 for none", ge=0, le=100_000_000)
    rng: Literal["addressed", "published"] = param("addressed", "where random numbers come from")

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.points == "six" and self.n != 6:
            raise ValueError(f"n (training points, 6 for Example 1) must be 6 where points is six, got {self.n}")
        if self.rng == "published" and self.points == "six":
            raise ValueError("rng (where random numbers come from) = published needs points = ex")
        return self


def snapshots(steps: int) -> np.ndarray:
    """Distinct floor(1.1^k) - 1 up to the last step."""
    at = np.floor(GROWTH ** np.arange(np.log(steps + 1.5) / np.log(GROWTH) + 1)).astype(np.int64) - 1
    return np.unique(np.append(at[at <= steps], steps))


def sample(params: TrainingExamples, draws: Draws) -> Problem:
    """Points x (B, n, 1) and labels; on either side the least-squares line's intercept is removed."""
    x, y = drawn(params, draws)
    return Problem(x[:, :, None], y if params.points == "six" else y - _intercepts(x, y))


def drawn(params: TrainingExamples, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Points x (B, n) and labels before intercepts are removed; those of Example 1 have none."""
    B = len(draws)
    if params.points == "six":
        return np.tile(X_SIX, (B, 1)), np.tile(Y_SIX, (B, 1))
    if params.rng == "published":
        x, y = published.example_points(params.n)
        return np.tile(x, (B, 1)), np.tile(y, (B, 1))
    return distributions.ex(draws, params.n, "points")


def _intercepts(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """At each point the intercept of its side's least-squares line; 0 where a side has fewer than two points."""
    found = np.zeros_like(y)
    for side in (1, -1):
        here = np.sign(x) == side
        count = np.maximum(here.sum(1, keepdims=True), 1)
        x_mean, y_mean = ((z * here).sum(1, keepdims=True) / count for z in (x, y))
        spread = (here * (x - x_mean) ** 2).sum(1, keepdims=True)
        product = (here * (x - x_mean) * (y - y_mean)).sum(1, keepdims=True)
        slope = np.divide(product, spread, out=np.zeros_like(spread), where=spread > 0)
        found += here * np.where(spread > 0, y_mean - slope * x_mean, 0)
    return found


def half_affine_loss(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The least of sum (y - f)^2 / (2 n) over functions f that are affine on either side, ``(B,)``."""
    loss = np.zeros(len(x))
    for b, (xs, ys) in enumerate(zip(x, y, strict=True)):
        for side in (xs > 0, xs < 0):
            columns = np.stack([xs[side], np.ones(side.sum())], axis=1)
            rest = ys[side] - columns @ np.linalg.lstsq(columns, ys[side], rcond=None)[0]
            loss[b] += (rest**2).sum() / (2 * len(xs))
    return loss


def solve(params: TrainingExamples, problem: Problem, draws: Draws) -> Solution:
    """Gradient descent with snapshots; the value is the trained network, the trace its way and the reference."""
    from ..engine import neurons

    x, y, B = problem.X[:, :, 0], problem.y, len(draws)
    reach = np.abs(x).min(1)
    run = neurons.begin(_start(params, draws, "theta", PUBLISHED_SEED))
    at = snapshots(params.steps)
    options = {"steps": params.steps, "rate": params.step, "reach": reach, "snapshots": at}
    run = neurons.advance(run, neurons.Points(x, y), **options)
    way = run.snapshots
    losses = np.stack([_loss(neurons, _at(way, s), x, y) for s in range(len(at))], axis=1)
    trace = {"steps": np.tile(at, (B, 1)), "a": way.a, "b": way.b, "w": way.w, "c": way.c, "loss": losses}
    stats = {"kink": run.kink, "reached": run.reached, "reach": reach, "best": half_affine_loss(x, y)}
    stats["reference"] = np.full(B, np.nan)
    if params.reference_steps:
        reference = _reference(params, neurons, x, y=y, draws=draws)
        stats["reference"] = _loss(neurons, reference, x, y)
        trace |= {f"reference_{name}": part for name, part in reference._asdict().items()}
    status = [Status.DIVERGED if d >= 0 else Status.SOLVED for d in run.diverged]
    return Solution(run.neurons, status, stats, trace)


def _start(params: TrainingExamples, draws: Draws, name: str, seed: int) -> Any:
    from ..engine.neurons import Neurons

    B, m = len(draws), params.m
    if params.rng == "published":
        a, w = (np.tile(part, (B, 1)) for part in published.example_weights(m, seed))
    else:
        theta = draws.normal(name, m, 2)
        a, w = 2**0.5 * theta[:, :, 0], (2 / m) ** 0.5 * theta[:, :, 1]
    return Neurons(a, np.zeros((B, m)), w, np.zeros(B))


def _at(way: Any, s: int) -> Any:
    return type(way)(*(part[:, s] for part in way))


@np.errstate(over="ignore", invalid="ignore")  # of weights that diverged
def _loss(neurons: Any, net: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return ((neurons.outputs(net, x) - y) ** 2).mean(1) / 2


def _reference(params: TrainingExamples, neurons: Any, x: np.ndarray, *, y: np.ndarray, draws: Draws) -> Any:
    """A network that fits well: trained by Adam, its kinks spread over the data during the first steps."""
    run = neurons.begin(_start(params, draws, "reference", PUBLISHED_REFERENCE))
    left = np.where(x < 0, x, -np.inf).max(1), x.min(1)
    right = np.where(x > 0, x, np.inf).min(1), x.max(1)
    share = np.linspace(0, 1, params.m // 2), np.linspace(0, 1, params.m - params.m // 2)
    kinks = np.concatenate([_between(*left, share[0]), _between(*right, share[1])], axis=1)
    points, options = neurons.Points(x, y), {"optimizer": "adam", "rate": 0.01}
    guided = min(GUIDED, params.reference_steps)
    for _ in range(guided):
        net = run.neurons
        theta = np.concatenate([net.a, -net.a * kinks, net.w, net.c[:, None]], axis=1)
        run = neurons.advance(run._replace(theta=theta), points, steps=1, **options)
    return neurons.advance(run, points, steps=params.reference_steps - guided, **options).neurons


def _between(low: np.ndarray, high: np.ndarray, share: np.ndarray) -> np.ndarray:
    return low[:, None] + (high - low)[:, None] * share


def score(params: TrainingExamples, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Losses are sum (y - f)^2 / (2 n)."""
    stats = solution.stats
    return {
        "stayed": stats["reached"] < 0,
        "kink": stats["kink"],
        "reach": stats["reach"],
        "excess": solution.trace["loss"][:, -1] - stats["best"],
        "half_affine": stats["best"],
        "possible": stats["reference"] < 0.9 * stats["best"],
    }


COLUMNS = {
    "stayed": Column("no kink has reached a point", "event"),
    "kink": Column("largest distance of a kink from 0, over neurons and steps", "measure"),
    "reach": Column("smallest distance of a point from 0", "measure"),
    "excess": Column(
        "final loss above the best function that is affine on either side", "measure", replay=Replay(1e-5, floor=1e-9)
    ),
    "half_affine": Column("loss of that function", "measure"),
    # An event: 200,000 steps of Adam at this rate amplify the last bit to some per cent of the loss.
    "possible": Column("another network of this width has a loss a tenth lower than that function", "event"),
}

TRAINING_EXAMPLES = Experiment(
    name="inconsistency.training_examples",
    question="What does gradient descent make of one data set, and what would be possible?",
    params=TrainingExamples,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"points": ["ex"], "m": [4, 8]}, trials=2, fixed={"n": 24, "steps": 50, "reference_steps": 20}),
        "quick": Grid({"m": [16, 64]}, trials=10, fixed={"reference_steps": 20_000}),
        "paper": Grid({"rng": ["published"]}, trials=1, published=1),
        "paper_repeated": Grid({"m": [16, 32, 64, 128]}, trials=100, published=100),
    },
    figures={
        "best_lines": Drawing("neurec_papers.inconsistency.figures:best_lines", ("m", "rng")),
        "training": Computed("neurec_papers.inconsistency.figures:published_training"),
    },
    citation=CITATION,
    batch=5,
)
