"""Many networks in training and one of them in full, for looking at: not an experiment of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
from pydantic import model_validator

from ...draws import Draws
from ...experiment import Column, Experiment, Grid, Problem, Solution, Status
from ...params import param
from . import crossing
from .common import CITATION, X_SIX, Y_SIX
from .crossing import Training

GRID = np.linspace(-4, 4, 321)
GROWTH = 1.15  # of the steps between two snapshots
# What may be spent on the crowd, in steps of a network: some tenths of a second.
BUDGET = {"gd": 7e7, "sgd": 6e5, "adam": 1.5e6}
FEWEST = {"gd": 8, "sgd": 1, "adam": 1}  # eight are stepped side by side
TYPICAL = {"gd": 180, "sgd": 0, "adam": 0}  # steps of a training, in units of m
DRAWN = 4096  # widths up to which every weight is drawn


class Instance(Training):
    """A crowd of networks is trained, and the first of them is followed from step to step."""

    networks: int = param(1000, "networks at most", ge=1, le=100_000, slider=(100, 1000, 100))
    limit: int = param(1_000_000_000, "most steps", ge=1, le=1_000_000_000)

    @model_validator(mode="before")
    @classmethod
    def _by_law(cls, values: Any) -> Any:
        # Beyond some width a crowd is drawn by its law, so that the slider can go on.
        wide = isinstance(values, dict) and isinstance(values.get("m"), int) and values["m"] > DRAWN
        return {**values, "rng": "law"} if wide and values.get("rng", "addressed") == "addressed" else values

    @property
    def crowd(self) -> int:
        """How many networks are trained: fewer where each takes long."""
        steps = 15_000 + TYPICAL[self.optimizer] * self.m
        cost = steps * (1 + self.m / 64 if self.optimizer == "adam" else 1)
        return int(min(self.networks, max(BUDGET[self.optimizer] // cost, FEWEST[self.optimizer])))


class Crowd(Draws):
    """Draws of many networks at once: one address per array, not one per network, which takes ten times as long."""

    def __init__(self, seed: int, trial: int, networks: int) -> None:
        super().__init__(seed, range(networks))
        self.one = Draws(seed, [trial])

    def normal(self, name: str, *shape: int) -> np.ndarray:
        """As of `Draws`."""
        return self.one.normal(name, len(self), *shape)[0]

    def uniform(self, name: str, *shape: int) -> np.ndarray:
        """As of `Draws`."""
        return self.one.uniform(name, len(self), *shape)[0]

    def multinomial(self, name: str, number: int, p: np.ndarray, *shape: int) -> np.ndarray:
        """As of `Draws`, for the same p everywhere."""
        return self.one.multinomial(name, number, p, len(self), *shape)[0]


def sample(params: Instance, draws: Draws) -> Problem:
    """The six points; every network has its own shares of them, and those of the first are given."""
    B = len(draws)
    X, y = np.tile(X_SIX[:, None], (B, 1, 1)), np.tile(Y_SIX + params.shift, (B, 1))
    first = [crossing.sample(params, Crowd(draws.seed, t, params.crowd)).weights for t in draws.trials]
    return Problem(X, y, weights=np.stack([shares[0] for shares in first if shares is not None]))


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """Outcomes of the crowd, and the way of its first network."""
    from . import path

    found = [path.followed(params, Crowd(draws.seed, t, params.crowd)) for t in draws.trials]
    names = ("networks", "not_affine", "outcome", "left")
    stats = {name: np.array([one[name] for one in found]) for name in names}
    trace: dict[str, Any] = {name: [one[name] for one in found] for name in found[0] if name not in names}
    return Solution(stats["outcome"], [Status.SOLVED] * len(draws), stats, trace)


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The share of networks that are not affine on either side, and how many were trained."""
    stats = solution.stats
    return {"probability": stats["not_affine"] / stats["networks"], "networks": stats["networks"].astype(float)}


INSTANCE = Experiment(
    name="inconsistency.instance",
    question="What becomes of one network, and of many like it?",
    params=Instance,
    sample=sample,
    solve=solve,
    score=score,
    columns={
        "probability": Column("share of networks that are not affine on either side", "measure"),
        "networks": Column("networks trained", "measure"),
    },
    presets={"tiny": Grid({"m": [16, 32]}, trials=1, fixed={"networks": 3})},
    citation=CITATION,
)
