"""Convex recovery, the other side: does a network trained on the same data find the planted model?"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, History, Problem, Replay, Solution, Status
from neurec_core.figures import PhaseDiagram
from neurec_core.params import param

from ..engine import data
from . import shared
from .shared import NOISE_LEVELS, PUBLISHED

# Labels have norm 1 (skip) or about sqrt(k) (normalised): what is left is a thousandth of their square or less.
FITTED = 1e-3


class NetworkTraining(shared.PlantedParams):
    """A linear neuron (skip) or k normalised ones are planted; a wider network is trained on their labels."""

    model: Literal["skip", "normalized"] = param("skip", "network and planted neurons")
    n: int = param(60, "training points", ge=1, le=100_000, slider=(5, 120, 5))
    d: int = param(20, "input dimension", ge=1, le=10_000, slider=(2, 40, 2))
    k: int = param(1, "planted neurons, 1 for the skip model", ge=1, le=10_000)
    sigma: float = shared.SIGMA
    design: shared.Design = shared.DESIGN
    plant: shared.Plant = shared.PLANT
    optimizer: Literal["adamw", "adamw_recreated"] = param("adamw", "optimiser; recreated every epoch as published")
    epochs: int = param(400, "full-batch steps", ge=0, le=1_000_000)
    width: int | None = param(None, "hidden neurons (none: n + 1, as published)", symbol="m", ge=1, le=1_000_000)
    learning_rate: float = param(2e-3, "step size", symbol="η", gt=0, le=10)
    weight_decay: float = param(1e-6, "decoupled weight decay", ge=0, le=10)


def solve(params: NetworkTraining, problem: Problem, draws: Draws, *, every: bool = False) -> Solution:
    """Full-batch training from the usual random start; the value is the trained net.

    Where a planted neuron is active on no training point there is nothing to learn: zeros stand in for the
    labels, and the status says so. On n fresh points, drawn as the training points were, the trained net and
    the plant are compared without noise, at the end or in `every` epoch; a normalised net takes its norms over them.
    """
    from ..engine import descent

    X, y, teacher, *_ = problem
    planted = np.isfinite(y).all(axis=1)
    X_test = data.design(params.design, draws, params.n, params.d, name="X_test")
    start = descent.start(params.model, draws, params.d, params.width or params.n + 1)
    adamw = descent.AdamW(params.learning_rate, params.weight_decay, params.optimizer == "adamw_recreated")
    targets, test = np.where(planted[:, None], y, 0), descent.FreshPoints(X_test, teacher(X_test), every)
    trained = descent.descend(X, targets, start, adamw, epochs=params.epochs, test=test)
    ended = [Status.SOLVED if np.isfinite(loss) else Status.FAILED for loss in trained.losses[:, -1]]
    status = [end if there else Status.EMPTY for end, there in zip(ended, planted, strict=True)]
    losses = {"train_loss": trained.losses, "test_loss": trained.test_losses}
    trace = {"train_distance": np.sqrt(trained.losses), "test_distance": np.sqrt(trained.test_losses)}
    return Solution(trained.net, status, {name: loss[:, -1] for name, loss in losses.items()}, trace)


def score(params: NetworkTraining, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Does it fit, and how far is it from the plant on fresh points?

    As published, ``test_distance`` is the root of the last test loss. Whitened test inputs are whitened by
    themselves, as in the published code: a new draw of the same design, not the training points' map.
    """
    train_loss = solution.stats["train_loss"]
    if params.model == "skip":
        weight_distance = np.linalg.norm(solution.value.skip - problem.teacher.skip, axis=1)
    else:
        weight_distance = np.full(len(train_loss), np.nan)
    return {
        "fitted": train_loss < FITTED,
        "train_loss": train_loss,
        "test_distance": np.sqrt(solution.stats["test_loss"]),
        "weight_distance": weight_distance,
    }


COLUMNS = {
    "fitted": Column("fitted: squared norm of the residual below 1e-3", "event"),
    # AdamW divides gradients by their own size: where they vanish, rounding is amplified to some per cent of the loss.
    "train_loss": Column(
        "training loss after the last epoch", "measure", "squared 2-norm", replay=Replay(0.05, floor=1e-9, decades=True)
    ),
    # Normalised neurons that are active on no fresh point have no outputs there.
    "test_distance": Column(
        "distance from the plant on n fresh points", "measure", "2-norm", optional=True, replay=Replay(1e-3)
    ),
    "weight_distance": Column(
        "distance of the skip branch from the plant, which hidden neurons share",
        "measure",
        "in units of its norm",
        optional=True,
        replay=Replay(1e-4),
    ),
}

# The published program keeps both losses of every epoch.
DISTANCES = {
    "train_distance": Column("distance from the training labels", "measure", "2-norm", logarithmic=True),
    "test_distance": Column("distance from the plant on n fresh points", "measure", "2-norm", logarithmic=True),
}

NETWORK_TRAINING = Experiment(
    name="convex_recovery.network_training",
    question="Does a trained network come near the planted neurons?",
    params=NetworkTraining,
    sample=data.sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"model": ["skip", "normalized"], "n": [8, 13], "sigma": [0.0, 0.2]}, 2, {"d": 3, "epochs": 20}),
        "quick": Grid(
            {"n": range(20, 201, 20), "d": range(10, 41, 10), "sigma": [0.0, 0.2]}, 5, {"plant": "smallest_singular"}
        ),
        "part": Grid({"sigma": NOISE_LEVELS, **shared.EVERY_FOURTH}, 2, {"plant": "smallest_singular"}, published=2),
        "part_normalized": Grid(
            {"plant": list(data.NEURONS), "sigma": NOISE_LEVELS, **shared.EVERY_FOURTH},
            2,
            {"model": "normalized", "k": 2},
            published=2,
        ),
        "paper": Grid({"sigma": NOISE_LEVELS, **PUBLISHED}, 10, {"plant": "smallest_singular"}),
        **{
            f"paper_{plant}": Grid(
                {"sigma": NOISE_LEVELS, **PUBLISHED}, 10, {"model": "normalized", "k": 2, "plant": plant}
            )
            for plant in ("random", "axis", "opposite")
        },
    },
    citation=shared.CITATION,
    history=History("epoch", DISTANCES),
    detailed=partial(solve, every=True),
    batch=40,
    sampled=("sigma", "plant"),
    figures={"skip": PhaseDiagram("n", "d", "test_distance", "sigma", {"model": "skip"})}
    | {
        plant: PhaseDiagram("n", "d", "test_distance", "sigma", {"model": "normalized", "plant": plant})
        for plant in data.NEURONS
    },
)
