"""From saddle to saddle on orthogonal inputs: nothing fitted, one class, all; and what the network is in the end."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Guide, Problem, Replay, Solution
from neurec_core.figures import Computed, Curves, PhaseDiagram, matching
from neurec_core.params import param

from .. import engine, published, theory
from . import points, training

LEVELS = training.below((0.75, 0.51, 0.49, 0.25), 2)
SIGNS = {"positive": 1, "negative": -1}


class SaddleToSaddle(training.GradientDescent):
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


def solve(params: SaddleToSaddle, problem: Problem, draws: Draws) -> Solution:
    """Gradient descent, trial by trial, and what theory predicts for its start; the value is the trained weights."""
    return engine.train(params, problem, begin(params, draws), described)


def begin(params: SaddleToSaddle, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Weights (B, m, d) and (B, m) at the start."""
    stream = partial(published.toy, m=params.m) if params.rng == "published" else None
    return training.start(params, draws, params.d, stream)


def described(params: SaddleToSaddle, path: engine.Trajectory) -> dict[str, float]:
    """What a training did, what was predicted, and how it ended."""
    return measured(path) | predicted(params, path) | path.end() | {"kinks": kinks(path)}


def measured(path: engine.Trajectory) -> dict[str, float]:
    """When each class loses half of its loss, when the loss passes each level, and how high the plateau is."""
    y, times = path.y, {}
    for name, own in zip(SIGNS, theory.classes(y), strict=True):
        times[name] = path.first_below([np.sum(y[own] ** 2) / len(y) / 2], own)[0]
    passed = path.first_below([level * np.mean(y**2) for level in LEVELS])
    return times | dict(zip(LEVELS.values(), passed, strict=True)) | {"plateau": path.flattest(*sorted(times.values()))}


def kinks(path: engine.Trajectory) -> float:
    """How far the farthest kink of an active neuron is from two points of a line; NaN for other points."""
    W = path.run.W[(path.run.W @ path.X.T > 0).any(axis=1)]
    if path.X.shape != (2, 2) or not len(W):
        return np.nan
    return float(np.abs((-W[:, 1] / W[:, 0])[:, None] - path.X[:, 0]).min(axis=1).max())


def predicted(params: SaddleToSaddle, path: engine.Trajectory) -> dict[str, float]:
    """Rates, escapes, plateau, least norm and the power of the excess; escapes are NaN where S+ or S- is empty.

    **Source**: derived here; boursier2022gradient claims the saddles' order and the least norm (wording unverified).
    """
    X, y, W, a = path.X, path.y, path.run.Ws[0], path.run.As[0]
    sets, grown, rates = theory.extremal(X, y, W, a), engine.aligned(X, y, W, a), theory.rates(X, y)
    ahead, balanced = theory.ahead(X, y), params.balance == "balanced"
    found = {
        "ahead": float(ahead), "extremal": float(sets.any(axis=1).all()), "minimum": theory.minimum_norm(X, y),
        "saddle": float(theory.plateaus(y, ahead)[1]),
        "exponent": theory.excess_exponent(engine.competitor(X, y, grown, a)) if balanced else np.nan,
    }  # fmt: skip
    for name, rate, mass in zip(SIGNS, rates, engine.masses(grown, sets), strict=True):
        known = balanced and mass > 0
        step = engine.escape(X, y, SIGNS[name], mass=mass, step=params.step) if known else np.nan
        found |= {f"rate_{name}": rate, f"predicted_{name}": step}
    return found


def score(params: SaddleToSaddle, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Escapes against their predictions, plateau, norm against its minimum."""
    s = solution.stats
    start_loss, growths = np.mean(problem.y**2, axis=1), np.log(1 / params.init) if params.init < 1 else np.nan
    escaped = np.isfinite(s["positive"]) & np.isfinite(s["negative"])
    columns = {
        "interpolated": s["loss"] < training.FITTED * start_loss,
        "extremal": s["extremal"] > 0,
        "in_order": escaped & ((s["positive"] < s["negative"]) == (s["ahead"] > 0)),
        "plateau": s["plateau"] / start_loss,
        "saddle": s["saddle"] / start_loss,
        "excess": s["norm"] / s["minimum"] - 1,
    }
    for name in SIGNS:
        columns[f"escape_{name}"] = s[name]
        columns[f"error_{name}"] = s[name] - s[f"predicted_{name}"]
        columns[f"ratio_{name}"] = s[name] * 2 * params.step * s[f"rate_{name}"] / growths
    return columns | {name: s[name] for name in COLUMNS if name not in columns}


ORTHOGONAL = {"data": "orthogonal", "m": 400, "step": 0.002}
SMALLEST = {**ORTHOGONAL, "init": 1e-32}
PUBLISHED = {"rng": "published"}


def fitted(table: Any) -> Any:
    """Where S+ and S- are not empty, the loss goes to 0."""
    return matching(table, ORTHOGONAL)["interpolated"].mean()


def ordered(table: Any) -> Any:
    """The labels with the larger |D| are fitted first, from every scale of the start."""
    return matching(table, ORTHOGONAL)["in_order"].mean()


def escape_ratio(table: Any) -> Any:
    """From λ = 1e-32 each escape takes the time ln(1/λ) / |D|, within a tenth."""
    ratios = matching(table, SMALLEST)[["ratio_positive", "ratio_negative"]].to_numpy(float)
    return np.abs(ratios - 1).max()  # NaN where an escape is missing


def escape_error(table: Any) -> Any:
    """From λ = 1e-32 every escape is predicted from the start alone to less than five steps."""
    return np.abs(matching(table, SMALLEST)[["error_positive", "error_negative"]].to_numpy(float)).max()


def largest_excess(table: Any) -> Any:
    """From λ = 1e-32 the norm |θ|²/2 is above its minimum by a thousandth at most."""
    return matching(table, SMALLEST)["excess"].max()


def plateau_error(table: Any) -> Any:
    """From λ = 1e-32 the loss rests at that of the saddle, within a thousandth in the median."""
    rows = matching(table, SMALLEST)
    return (rows["plateau"] / rows["saddle"] - 1).abs().median()


def powers(table: Any) -> Any:
    """The power of λ by which the excess falls from λ = 1e-8 to 1e-16, and `theory.excess_exponent`, of each trial."""
    rows = matching(table, {**ORTHOGONAL, "n": [4, 6]})
    cells = rows.pivot_table(index=["n", "trial"], columns="init", values=["excess", "exponent"])
    measured = np.log10(cells["excess"][1e-8] / cells["excess"][1e-16]) / 8
    return measured.to_frame("measured").assign(expected=cells["exponent"][1e-8])


def power_error(table: Any) -> Any:
    """The excess falls with the power 2(1 - ρ) of λ, within a tenth in the median."""
    found = powers(table)
    return (found["measured"] / found["expected"] - 1).abs().median()


def toy_norm(table: Any) -> Any:
    """The toy's norm |θ|²/2 is 1/√5 + 1/√1.25."""
    return matching(table, PUBLISHED)["norm"].median()


def toy_crossings(table: Any) -> Any:
    """All twelve crossings of the toy are those of the authors' code, to the step."""
    rows = matching(table, PUBLISHED).sort_values("trial").iloc[: len(published.TOY_CROSSINGS)]
    return np.abs(rows[[*LEVELS.values()]].to_numpy(float) - published.TOY_CROSSINGS).max()


DERIVED = "derived here"
CLAIMS = (
    Claim(fitted, 1, 0, "boursier2022gradient"),
    Claim(ordered, 1, 0, "boursier2022gradient"),
    Claim(escape_ratio, 0, 0.1, DERIVED),
    Claim(escape_error, 0, 5, DERIVED),
    Claim(largest_excess, 0, 1e-3, "boursier2022gradient"),
    Claim(plateau_error, 0, 1e-3, DERIVED),
    Claim(power_error, 0, 0.1, DERIVED),
    Claim(toy_norm, 5**-0.5 + 1.25**-0.5, 1e-6, DERIVED),
    Claim(toy_crossings, 0, 0, "the authors' code"),
)

STEPS: tuple[Any, Any] = "measure", "steps"
COLUMNS = {
    "interpolated": training.INTERPOLATED,
    "extremal": Column("for each sign there is a neuron active on all of its points", "event"),
    "in_order": Column("the class of larger |D| is fitted first", "event"),
    **{f"escape_{s}": Column(f"{s} labels: half of their loss is gone", *STEPS, True, True) for s in SIGNS},
    **{f"error_{s}": Column(f"{s} labels: that, less what is predicted", *STEPS, optional=True) for s in SIGNS},
    **{f"ratio_{s}": Column(f"{s} labels: escape time |D| / ln(1/λ)", "measure", optional=True) for s in SIGNS},
    "plateau": Column("loss where it falls slowest between the escapes", "measure", "of the start's", optional=True),
    "saddle": Column("loss with the class of larger |D| fitted, formula", "measure", "of the start's"),
    "norm": training.NORM,
    "minimum": training.MINIMUM,
    "excess": Column(
        "|theta|²/2 above its minimum", "measure", "of the minimum", logarithmic=True, replay=Replay(1e-5, floor=1e-9)
    ),
    "exponent": Column("power of λ in that excess, formula", "measure", optional=True),
    "active": training.ACTIVE,
    "kinks": Column(
        "farthest kink from a point, for points on a line", "measure", None, True, True, replay=Replay(1e-4, floor=1e-9)
    ),
    **training.crossings(LEVELS),
    "loss": training.LOSS,
    "taken": training.TAKEN._replace(replay=training.ROUNDED),
    "grouped": training.GROUPED,
}
SCALES = [1e-2, 1e-4, 1e-8, 1e-16, 1e-32]
TOY = {"data": "toy", "n": 2, "d": 2}
FAST = {"step": 0.01, "steps": 60_000}


HALF_WIDTHS = np.vectorize(theory.half_width, otypes=[float])


SADDLE_TO_SADDLE = Experiment(
    name="orthogonal_inputs.saddle_to_saddle",
    question="Does descent from small weights visit the saddles in the predicted order, at the predicted times?",
    params=SaddleToSaddle, sample=sample, solve=solve, score=score, columns=COLUMNS,
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
    citation=training.CITATION,
    figures={
        "escape": Curves("init", "ratio_positive", "n", ORTHOGONAL, "x"),
        "excess": Curves("init", "excess", "n", {**ORTHOGONAL, "n": [4, 6]}, "xy"),
        "extremal": PhaseDiagram("n", "m", "extremal", where={"data": "orthogonal", "d": 12}),
        "training": Computed("neurec_papers.orthogonal_inputs.view:toy"),
    },
    claims=CLAIMS,
    guides=(Guide("m", "n", HALF_WIDTHS, "S+ and S- with probability 1/2", {"data": ["orthogonal"]}),),
    batch=5,
)  # fmt: skip
