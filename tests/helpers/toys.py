"""Experiments that are quick, and that fail in the ways that real ones do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from calls import wait_for

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, History, Problem, Solution, Status
from neurec_core.params import Params, param


class Toy(Params):
    """A coin that lands heads with probability x / 10."""

    x: int = param(5, "tenths", ge=0, le=10, slider=(0, 10, 1))
    y: int = param(1, "another number", ge=0, le=100)
    z: float = param(0.0, "a number of account to nothing", ge=0, le=60)
    gate: str = param("", "file that all trials from the fourth on wait for")
    raises: int = param(-1, "trial that raises", ge=-1)
    fails: int = param(-1, "trial that its solver gives up", ge=-1)
    kills: str = param("", "file whose absence kills the worker, once")


def sample(params: Toy, draws: Draws) -> Problem:
    X = draws.normal("X", 3, 2)
    return Problem(X, X.sum(axis=2), None)


def solve(params: Toy, problem: Problem, draws: Draws) -> Solution:
    if params.gate and max(draws.trials) >= 3:
        wait_for(params.gate)
    if params.raises in draws.trials:
        raise ZeroDivisionError("as asked")
    if params.kills and 1 in draws.trials and not Path(params.kills).exists():
        if params.kills != "always":
            Path(params.kills).touch()
        kill_this_worker()
    status = [Status.FAILED if t == params.fails else Status.SOLVED for t in draws.trials]
    return Solution(draws.normal("coin")[:], status)


def kill_this_worker() -> None:
    """Kill this process as soon as its nanny knows that it has started; one that dies before is not started again."""
    from distributed import get_client, get_worker

    here = get_worker().address
    while not get_client().run(has_started, workers=[here], nanny=True)[here]:
        pass
    os.kill(os.getpid(), signal.SIGKILL)


def has_started(dask_worker: Any) -> bool:
    """Whether a nanny's process has announced itself; Dask wants the argument named like this."""
    return bool(dask_worker.process.status.name == "running")


def score(params: Toy, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    return {"heads": solution.value < (params.x - 5) / 2, "size": problem.y[:, 0] * params.y}


TOY = Experiment(
    name="toys.coin",
    question="Does the coin land heads?",
    params=Toy,
    sample=sample,
    solve=solve,
    score=score,
    columns={"heads": Column("heads", "event"), "size": Column("size", "measure", "m")},
    presets={"tiny": Grid({"x": [2, 8]}, trials=3)},
    citation="none",
)
OTHER = Experiment(**{**vars(TOY), "name": "toys.other"})
# Its points are solved together, and a batch of five cuts through the three trials of a point.
TOGETHER = Experiment(**{**vars(TOY), "name": "toys.together", "sampled": ("x", "y"), "batch": 5})


class Flip(Toy):
    """The same coin, of which tails may count."""

    tails: bool = param(False, "whether tails count")


def score_flip(params: Flip, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    scores = score(params, problem, solution)
    return {**scores, "heads": scores["heads"] != params.tails}


FLIP = Experiment(**{**vars(TOY), "name": "toys.flip", "params": Flip, "score": score_flip})


class Walk(Params):
    """A walk of so many steps, each drawn from the normal law."""

    steps: int = param(3, "number of steps", ge=1, le=1000, slider=(1, 100, 1))
    gate: str = param("", "file that all steps from the fifth on wait for")
    raises: int = param(-1, "step that raises", ge=-1)


def begin(params: Walk, draws: Draws) -> Problem:
    return Problem(np.zeros((len(draws), 1, 1)), draws.normal("label", 1))


def walk(params: Walk, problem: Problem, draws: Draws) -> Solution:
    seen = np.cumsum(draws.normal("stride", params.steps), axis=1)
    return Solution(seen[:, -1], [Status.SOLVED] * len(draws), trace={"seen": seen})


def walk_counted(params: Walk, problem: Problem, draws: Draws) -> Solution:
    """The same walk, which also notes the hour at which each place was seen."""
    if params.raises >= 0:
        raise ZeroDivisionError("as asked")
    solution = walk(params, problem, draws)
    hours = np.tile(np.arange(1, params.steps + 1) * 0.5, (len(draws), 1))
    return solution._replace(trace={"seen": solution.trace["seen"], "hour": hours})


def follow(params: Walk, problem: Problem, draws: Draws) -> Iterator[Solution]:
    place, seen = np.zeros(len(draws)), []
    for step, stride in enumerate(draws.normal("stride", params.steps).T):
        if params.gate and step >= 4:
            wait_for(params.gate)
        if step == params.raises:
            raise ZeroDivisionError("as asked")
        place = place + stride
        seen.append(place)
        yield Solution(place, [Status.SOLVED] * len(draws), trace={"seen": np.stack(seen, axis=1)})


def distance(params: Walk, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    return {"distance": np.abs(solution.value), "seen": solution.trace["seen"].sum(axis=1)}


WALK = Experiment(
    name="toys.walk",
    question="How far does the walk lead?",
    params=Walk,
    sample=begin,
    solve=walk,
    score=distance,
    columns={"distance": Column("distance", "measure"), "seen": Column("sum of the places seen", "measure")},
    history=History("hour", {"seen": Column("place", "measure", "m")}),
    detailed=walk_counted,
    presets={"tiny": Grid({"steps": [1, 7]}, trials=3)},
    citation="none",
    follow=follow,
)
