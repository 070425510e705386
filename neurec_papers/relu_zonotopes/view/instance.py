"""One data set with three inputs, whose zonotope can be drawn: a walk over its vertices, and a training beside it."""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param
from smallnets.geometry import zonotopes

from ..engine import search
from ..engine.landscape import Landscape, cells_of, signed
from ..experiments import setting as common
from ..experiments.setting import CITATION

LOOKS = 48  # at a training
D3 = 3


class Instance(Params):
    """Points of the plane with a 1 for the bias, and where the first unit's weights point."""

    n: int = param(6, "training points", ge=3, le=12, slider=(4, 9, 1))
    m: int = param(2, "hidden units", ge=1, le=4, slider=(1, 3, 1))
    longitude: float = param(
        30.0, "unit 1 points around", symbol="φ", unit="degrees", ge=-360, le=360, slider=(-180, 180, 10)
    )
    latitude: float = param(20.0, "unit 1 points up", symbol="θ", unit="degrees", ge=-90, le=90, slider=(-80, 80, 10))
    turn: float = param(40.0, "view, around", unit="degrees", ge=-360, le=360, slider=(-180, 180, 10))
    step: float = param(0.05, "step size of gradient descent", symbol="h", gt=0, le=1)
    steps: int = param(4000, "steps of gradient descent", symbol="T", ge=1, le=100_000)


def sample(params: Instance, draws: Draws) -> Problem:
    """Points that end in a 1, and random labels."""
    return Problem(common.points(draws, params.n, D3, "with_bias"), common.labels(draws, params.n))


def direction(longitude: float, latitude: float) -> np.ndarray:
    """The unit vector (3,) at two angles in degrees."""
    a, b = np.radians([longitude, latitude])
    return np.array([np.cos(a) * np.cos(b), np.sin(a) * np.cos(b), np.sin(b)])


def start(params: Instance, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Directions (B, m, 3) and output signs (B, m) of the units; directions of all but the first are drawn."""
    W = draws.normal("W", params.m, D3)
    W /= np.linalg.norm(W, axis=2, keepdims=True)
    W[:, 0] = direction(params.longitude, params.latitude)
    return W, common.signs(draws, "alternating", params.m)


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """A greedy walk, the loss at every vertex with the first unit there and the others where they end, a training.

    The trace has the zonotope as arrays (see `_zonotope`), ``losses (B, p)``, ``path (B, K, m)`` cells on the way,
    ending in copies of the last, ``at (B, L)``, ``W (B, L, m, 3)`` and ``loss (B, L)`` of the training, and ``cells
    (B, L, m)`` its units are in.
    """
    found = [_one(params, *trial) for trial in zip(problem.X, problem.y, *start(params, draws), strict=True)]
    longest = max(len(one["path"]) for one in found)
    for one in found:
        one["path"] = np.concatenate([one["path"], np.repeat(one["path"][-1:], longest - len(one["path"]), axis=0)])
    trace = {name: np.stack([one[name] for one in found]) for name in found[0]}
    return Solution(trace.pop("ends"), [Status.SOLVED] * len(found), {}, trace)


def _one(params: Instance, X: np.ndarray, y: np.ndarray, W: np.ndarray, signs: np.ndarray) -> dict[str, Any]:
    land = Landscape(X, y)
    units = signed(land.at(W.T), signs)
    walk = search.greedy(land, units)
    losses = [land.loss(np.append(cell, walk.units[-1, 1:])) for cell in range(land.cells)]
    log = np.unique(np.append(0, np.geomspace(1, params.steps, LOOKS - 1).astype(int)))
    run, own = common.trained(X, y, W, signs / np.sqrt(params.m), params.step, params.steps, log)
    rest = LOOKS - len(run.at)
    return {
        "turn": np.array(params.turn),
        "ends": np.array([walk.losses[0], walk.losses[-1], run.loss, own, len(walk.losses) - 1]),
        "losses": np.array(losses),
        "path": cells_of(walk.units),
        "at": np.append(run.at, np.repeat(run.steps, rest)),
        "loss": np.append(run.losses, np.repeat(run.loss, rest)),
        "W": np.concatenate([run.Ws, np.repeat(run.W[None], rest, axis=0)]),
        "cells": np.stack([land.at(w.T) for w in [*run.Ws, *[run.W] * rest]]),
        **_zonotope(X, land.fan),
    }  # fmt: skip


def _zonotope(X: np.ndarray, fan: zonotopes.Fan) -> dict[str, np.ndarray]:
    """The zonotope as it is drawn.

    ``V (p, 3)`` vertices, ``H (p, 3)`` directions in the cells, ``D (p, n)`` patterns, ``rays (r, 3)`` that the faces
    look along, ``faces (r, 4)`` vertices around each, ``edges (e, 2)`` between vertices, ``beside (e, 2)`` their faces.
    """
    touching = [np.flatnonzero(fan.spans == ray) for ray in range(len(fan.rays))]
    owner = np.repeat(np.arange(fan.D.shape[1]), np.diff(fan.starts))
    faces = np.array([_around(fan, owner[places]) for places in touching])
    cells, rows = np.nonzero(fan.beyond >= 0)
    ends = np.column_stack([cells, fan.beyond[cells, rows]])
    ends = ends[ends[:, 0] < ends[:, 1]]
    beside = np.array([np.intersect1d(fan.corners(a), fan.corners(b)) for a, b in ends])
    V = zonotopes.vertices(X, fan.D)
    return {"V": V, "H": fan.H.T, "D": fan.D.T, "rays": fan.rays, "faces": faces, "edges": ends, "beside": beside}


def _around(fan: zonotopes.Fan, cells: np.ndarray) -> np.ndarray:
    """The four cells at a ray, each beside the next."""
    first = cells[0]
    near = cells[np.isin(cells, fan.beyond[first])]
    (far,) = np.setdiff1d(cells, [first, *near])
    return np.array([first, near[0], far, near[1]])


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Losses at the start and the end of the walk, and those of the training."""
    return dict(zip(COLUMNS, np.asarray(solution.value).T, strict=True))


COLUMNS = {
    "start": Column("least loss at the start's vertex", "measure", "of the labels'"),
    "end": Column("least loss at the walk's end", "measure", "of the labels'"),
    "trained": Column("loss after gradient descent", "measure", "of the labels'"),
    "polished": Column("least loss at its last vertex", "measure", "of the labels'"),
    "edges": Column("edges walked", "measure"),
}

INSTANCE = Experiment(
    name="relu_zonotopes.instance",
    question="Where does a network walk on its zonotope?",
    params=Instance,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={"tiny": Grid({"n": [4, 5], "m": [1, 2]}, trials=1, fixed={"steps": 100})},
    citation=CITATION,
)
