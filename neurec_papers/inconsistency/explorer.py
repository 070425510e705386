"""Many networks in training and one of them in full, for looking at: not an experiment of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status

from . import setting
from .common import CITATION, X_SIX, Y_SIX
from .setting import Instance


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
    first = [setting.sample(params, Crowd(draws.seed, t, params.crowd)).weights for t in draws.trials]
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
