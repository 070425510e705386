"""From saddle to saddle on orthogonal inputs: nothing fitted, one class, all; and what the network is in the end."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Guide, Problem, Replay, Solution, Status
from neurec_core.params import param

from .. import engine, published, theory
from . import points
from .training import CITATION, SHARES, Training, scaled, start

FITTED = 1e-8  # of the loss at the start: below it a network interpolates
ENDED = {
    "TARGET": Status.SOLVED, "LIMIT": Status.CUTOFF, "STALLED": Status.STALLED, "DEAD": Status.STALLED,
    "DIVERGED": Status.DIVERGED,
}  # fmt: skip
LEVELS = (0.75, 0.51, 0.49, 0.25)  # of the loss at the start
SIGNS = {"positive": 1, "negative": -1}


class SaddleToSaddle(Training):
    """Orthogonal inputs: the published two points of a line, or any number of them with random labels."""

    data: Literal["orthogonal", "toy"] = param("orthogonal", "training points: along axes, or the published two")
    n: int = param(6, "training points, 2 for the toy", ge=2, le=1000, slider=(2, 8, 1))
    d: int = param(8, "inputs, 2 for the toy, which has a point and a 1", ge=2, le=1000, slider=(6, 20, 1))
    spread: float = param(0.0, "norms of the inputs are uniform on [1 - s, 1 + s]", symbol="s", ge=0, le=0.9)
    rng: Literal["addressed", "published"] = param("addressed", "where the toy's random weights come from")
    target: float = param(1e-26, "mean squared error at which training ends", ge=0, le=1)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.data == "toy" and (self.n, self.d) != (2, 2):
            raise ValueError(
                f"n and d (points and inputs) must be 2 and 2 where data is toy, got {self.n} and {self.d}"
            )
        if self.n > self.d:
            raise ValueError(f"n (training points) must be at most d = {self.d} to be orthogonal, got {self.n}")
        if self.rng == "published" and (self.data, self.balance, self.variance) != ("toy", "balanced", "published"):
            raise ValueError("rng (random numbers) = published needs data = toy, balanced weights, published variance")
        return self


def sample(params: SaddleToSaddle, draws: Draws) -> Problem:
    """Orthogonal inputs (B, n, d) and labels of both signs."""
    if params.data == "toy":
        return Problem(*points.repeated(points.TOY, len(draws)))
    return Problem(*points.orthogonal(draws, params.n, params.d, params.spread))


def begin(params: SaddleToSaddle, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Weights at the start, (B, m, d) and (B, m)."""
    if params.rng == "addressed":
        return start(params, draws, params.d)
    W, sign = map(np.stack, zip(*(published.toy(trial, params.m) for trial in draws.trials), strict=True))
    return scaled(params, W, sign, np.zeros_like(sign))


def solve(params: SaddleToSaddle, problem: Problem, draws: Draws) -> Solution:
    """Gradient descent, trial by trial, and what theory predicts for its start; the value is the trained weights."""
    from smallnets.descent.relu import descend

    log, found, runs = engine.marks(params.steps), [], []
    for X, y, W, a in zip(problem.X, problem.y, *begin(params, draws), strict=True):
        run = descend(X, y, W, a, step=params.step, steps=params.steps, target=params.target, log=log)
        with np.errstate(all="ignore"):  # weights that diverged
            found.append(measured(params, X, y, run) | predicted(params, X, y, W, a) | finish(X, y, run))
        runs.append(run)
    return solved(runs, found)


def solved(runs: list[engine.Run], found: list[dict[str, float]]) -> Solution:
    """The trained weights (B, m, d) and (B, m), how each training ended, and what was found of it."""
    stats = {name: np.array([one[name] for one in found]) for name in found[0]}
    return Solution(tuple(np.stack([getattr(run, p) for run in runs]) for p in ("W", "a")), statuses(runs), stats)


def statuses(runs: list[engine.Run]) -> list[Status]:
    """How each training ended; dead neurons are at rest, and networks that die count among the others."""
    return [ENDED[run.ended.name] for run in runs]


# ------------------------------------------------------------------------------------------------- of one training


def measured(params: SaddleToSaddle, X: np.ndarray, y: np.ndarray, run: engine.Run) -> dict[str, float]:
    """When each class loses half of its loss, when the loss passes each level, and how high the plateau is."""
    times, start_loss = {}, np.mean(y**2)
    for name, own in zip(SIGNS, theory.classes(y), strict=True):
        half = np.sum(y[own] ** 2) / len(y) / 2
        times[name] = first(params, X, y, run, [half], engine.mean_square(X, y, own))[0]
    levels = first(params, X, y, run, [level * start_loss for level in LEVELS])
    below = {f"below_{level * 100:.0f}": at for level, at in zip(LEVELS, levels, strict=True)}
    return times | below | {"plateau": plateau(params, X, y, run, *sorted(times.values()))}


def first(
    params: Training,
    X: np.ndarray,
    y: np.ndarray,
    run: engine.Run,
    levels: list[float],
    value: engine.Value | None = None,
) -> np.ndarray:
    """Steps at which the loss, or a value, first is below levels."""
    return engine.first_below(X, y, run, params.step, levels, value)


def plateau(params: Training, X: np.ndarray, y: np.ndarray, run: engine.Run, begin: float, end: float) -> float:
    """The loss where it falls slowest between two steps, NaN if they are not there or next to one another."""
    from smallnets.descent.relu import descend

    if not end - begin > 1:
        return np.nan
    i = int(np.searchsorted(run.at, begin, side="right")) - 1
    log = np.unique(np.linspace(begin, end, engine.EVEN).astype(np.int64)) - run.at[i]
    again = descend(X, y, run.Ws[i], run.As[i], step=params.step, steps=int(log[-1]), log=log)
    slowest = int((np.diff(again.losses) / np.diff(again.at)).argmax())
    return float(again.losses[slowest : slowest + 2].mean())


def finish(X: np.ndarray, y: np.ndarray, run: engine.Run) -> dict[str, float]:
    """Loss, norm and neurons at the end; how far from the points the kinks of two-dimensional weights are."""
    on = (run.W @ X.T > 0).any(axis=1)
    kinks = np.nan
    if len(y) == 2 and X.shape[1] == 2 and on.any():
        place = -run.W[on, 1] / run.W[on, 0]
        kinks = np.abs(place[:, None] - X[:, 0]).min(axis=1).max()
    norm = (np.sum(run.W**2) + np.sum(run.a**2)) / 2
    held = run.spent["groups"] / max(run.steps, 1)
    end = {"loss": run.loss, "norm": norm, "active": float(on.sum()), "kinks": kinks, "taken": float(run.steps)}
    return end | {"held": held}


def predicted(params: SaddleToSaddle, X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> dict[str, float]:
    """Rates, escapes, plateau, least norm and the power of the excess; escapes are NaN where S+ or S- is empty.

    **Source**: derived here; boursier2022gradient claims the saddles' order and the least norm (wording unverified).
    """
    sets = theory.extremal(X, y, W, a)
    grown = engine.aligned(X, y, W, a)
    rates = np.linalg.norm(theory.direction(X, y, theory.classes(y)), axis=1)
    ahead = 1 if rates[0] > rates[1] else -1
    found = {
        "ahead": float(ahead), "extremal": float(sets.any(axis=1).all()), "minimum": theory.minimum_norm(X, y),
        "saddle": float(theory.plateaus(y, ahead)[1]), "exponent": np.nan,
    }  # fmt: skip
    if params.balance == "balanced":
        found["exponent"] = theory.excess_exponent(engine.competitor(X, y, grown, a))
    mass = engine.masses(grown, sets)
    for i, (name, sign) in enumerate(SIGNS.items()):
        known = params.balance == "balanced" and mass[i] > 0
        found[f"rate_{name}"] = rates[i]
        found[f"predicted_{name}"] = engine.escape(X, y, sign, mass[i], params.step) if known else np.nan
    return found


# ------------------------------------------------------------------------------------------------------------ score


def score(params: SaddleToSaddle, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Escapes against their predictions, plateau, norm against its minimum."""
    s = solution.stats
    start_loss, growths = np.mean(problem.y**2, axis=1), np.log(1 / params.init) if params.init < 1 else np.nan
    escaped = np.isfinite(s["positive"]) & np.isfinite(s["negative"])
    columns = {
        "interpolated": s["loss"] < FITTED * start_loss,
        "extremal": s["extremal"] > 0,
        "in_order": escaped & ((s["positive"] < s["negative"]) == (s["ahead"] > 0)),
        "plateau": s["plateau"] / start_loss,
        "saddle": s["saddle"] / start_loss,
        "norm": s["norm"],
        "minimum": s["minimum"],
        "excess": s["norm"] / s["minimum"] - 1,
    }
    for name in SIGNS:
        columns[f"escape_{name}"] = s[name]
        columns[f"error_{name}"] = s[name] - s[f"predicted_{name}"]
        columns[f"ratio_{name}"] = s[name] * 2 * params.step * s[f"rate_{name}"] / growths
    same = ("exponent", "active", "kinks", "below_75", "below_51", "below_49", "below_25", "loss", "taken", *SHARES)
    return columns | {name: s[name] for name in same}


COLUMNS = {
    "interpolated": Column("loss below 1e-8 of that at the start", "event"),
    "extremal": Column("for each sign there is a neuron active on all of its points", "event"),
    "in_order": Column("the class of larger |D| is fitted first", "event"),
    "escape_positive": Column(
        "positive labels: half of their loss is gone", "measure", "steps", logarithmic=True, optional=True
    ),
    "escape_negative": Column(
        "negative labels: half of their loss is gone", "measure", "steps", logarithmic=True, optional=True
    ),
    "error_positive": Column("positive labels: that, less what is predicted", "measure", "steps", optional=True),
    "error_negative": Column("negative labels: that, less what is predicted", "measure", "steps", optional=True),
    "ratio_positive": Column("positive labels: escape time |D+| / ln(1/λ)", "measure", optional=True),
    "ratio_negative": Column("negative labels: escape time |D-| / ln(1/λ)", "measure", optional=True),
    "plateau": Column("loss where it falls slowest between the escapes", "measure", "of the start's", optional=True),
    "saddle": Column("loss with the class of larger |D| fitted, formula", "measure", "of the start's"),
    "norm": Column("|theta|²/2 at the end", "measure"),
    "minimum": Column("least |theta|²/2 of an interpolator, formula", "measure"),
    "excess": Column(
        "|theta|²/2 above its minimum", "measure", "of the minimum", logarithmic=True, replay=Replay(1e-5, floor=1e-9)
    ),
    "exponent": Column("power of λ in that excess, formula", "measure", optional=True),
    "active": Column("neurons active on a point at the end", "measure"),
    "kinks": Column(
        "farthest kink from a point, for points on a line",
        "measure",
        logarithmic=True,
        optional=True,
        replay=Replay(1e-4, floor=1e-9),
    ),
    "below_75": Column("loss below 0.75 of the start's", "measure", "steps", logarithmic=True, optional=True),
    "below_51": Column("loss below 0.51 of the start's", "measure", "steps", logarithmic=True, optional=True),
    "below_49": Column("loss below 0.49 of the start's", "measure", "steps", logarithmic=True, optional=True),
    "below_25": Column("loss below 0.25 of the start's", "measure", "steps", logarithmic=True, optional=True),
    "loss": Column("mean squared error at the end", "measure", logarithmic=True, replay=Replay(0.01, floor=1e-20)),
    # The last steps go where the loss is a rounding error.
    "taken": Column("steps taken", "measure", "steps", logarithmic=True, replay=Replay(1e-3)),
    **SHARES,
}
SCALES = [1e-2, 1e-4, 1e-8, 1e-16, 1e-32]
TOY = {"data": "toy", "n": 2, "d": 2}
FAST = {"step": 0.01, "steps": 60_000}


def half_width(n: np.ndarray) -> np.ndarray:
    """For each number of points, the width at which both S+ and S- are there half of the time."""
    return np.array([theory.half_width(int(k)) for k in np.ravel(n)]).reshape(np.shape(n))


SADDLE_TO_SADDLE = Experiment(
    name="orthogonal_inputs.saddle_to_saddle",
    question="Does descent from small weights visit the saddles in the predicted order, at the predicted times?",
    params=SaddleToSaddle,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"n": [2, 3], "init": [1e-2, 1e-3]}, trials=2, fixed={"d": 4, "m": 20, "step": 0.02, "steps": 4000}
        ),
        "quick": Grid({"init": SCALES}, trials=4, fixed={"n": 4, "d": 4, "m": 200, **FAST}),
        "paper": Grid(
            {"init": [1e-2, 1e-4, 1e-6, 1e-8, 1e-16, 1e-32]}, trials=20, fixed={**TOY, "steps": 100_000}, published=20
        ),
        "paper_orthogonal": Grid(
            {"n": [2, 4, 6], "init": SCALES}, trials=20, fixed={"m": 400, "step": 0.002, "steps": 400_000}, published=20
        ),
        "paper_width": Grid(
            {"n": list(range(2, 13, 2)), "m": [2**k for k in range(9)]}, trials=50,
            fixed={"d": 12, "init": 1e-8, **FAST}, published=50,
        ),
        "published": Grid(
            {"init": [1e-6]}, trials=20,
            fixed={**TOY, "variance": "published", "rng": "published", "target": 0.0}, published=20,
        ),
    },
    citation=CITATION,
    guides=(Guide("m", "n", half_width, "S+ and S- with probability 1/2", {"data": ["orthogonal"]}),),
    batch=5,
)  # fmt: skip
