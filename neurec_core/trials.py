"""Functions of one trial, lifted to the batches that an `Experiment` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from .draws import Draws
from .experiment import Problem, Solution, Status


class Draw:
    """The randomness of one trial: the arrays of `Draws`, `draws`, without their leading axis."""

    def __init__(self, seed: int, trial: int) -> None:
        self.draws = Draws(seed, [trial])

    def normal(self, name: str, *shape: int) -> np.ndarray:
        """Independent standard normals of a shape, under a name."""
        return self.draws.normal(name, *shape)[0]

    def uniform(self, name: str, *shape: int) -> np.ndarray:
        """Independent uniforms on [0, 1) of a shape, under a name."""
        return self.draws.uniform(name, *shape)[0]


def each_trial(
    sample: Callable[[Any, Draw], Any],
    solve: Callable[[Any, Any, Draw], Any],
    score: Callable[[Any, Any, Any], Mapping[str, float]],
) -> dict[str, Any]:
    """The three functions of an experiment from functions of one trial, as ``Experiment(..., **each_trial(...))``.

    Parameters
    ----------
    sample : ``(params, draw) -> problem``, with inputs ``problem.X (n, d)`` and labels ``problem.y (n,)``; whatever
        else is drawn, such as points to test on, is an attribute of the problem, too
    solve : ``(params, problem, draw) -> found``, whatever was found, or the `Status` that says why nothing was
    score : ``(params, problem, found) -> {column: number}``

    Returns
    -------
    ``sample``, ``solve`` and ``score``. Problems of the trials are the list ``problem.trials``, what was found is the
    list ``solution.value``
    """
    return {"sample": partial(_sample, sample), "solve": partial(_solve, solve), "score": partial(_score, score)}


def _each(draws: Draws) -> list[Draw]:
    return [Draw(draws.seed, trial) for trial in draws.trials]


def _sample(one: Callable[[Any, Draw], Any], params: Any, draws: Draws) -> Problem:
    problems = [one(params, draw) for draw in _each(draws)]
    X, y = (np.stack([getattr(problem, name) for problem in problems]) for name in ("X", "y"))
    return Problem(X, y, trials=problems)


def _solve(one: Callable[[Any, Any, Draw], Any], params: Any, problem: Problem, draws: Draws) -> Solution:
    found = [one(params, *pair) for pair in zip(problem.trials or [], _each(draws), strict=True)]
    return Solution(found, [end if isinstance(end, Status) else Status.SOLVED for end in found])


def _score(
    one: Callable[[Any, Any, Any], Mapping[str, float]], params: Any, problem: Problem, solution: Solution
) -> dict[str, np.ndarray]:
    ends = [
        {} if isinstance(found, Status) else one(params, given, found)
        for given, found in zip(problem.trials or [], solution.value, strict=True)
    ]
    scores = {name: value for end in ends for name, value in end.items()}
    # A trial that ended otherwise has no row of measures; what stands here keeps the column's type.
    none = {name: False if isinstance(value, bool | np.bool) else np.nan for name, value in scores.items()}
    return {name: np.array([end.get(name, none[name]) for end in ends]) for name in scores}
