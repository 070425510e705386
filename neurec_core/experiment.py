"""Core data types: what an experiment is, what it takes and what it returns.

An `Experiment` is three pure functions, ``sample -> solve -> score``, over one point of a `Params` model. All else
(command line, sliders, range checks, table columns, axis labels) is derived from what `Params` and `Column` declare.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple

import numpy as np

from . import details, memory
from .columns import Claim as Claim
from .columns import Column as Column
from .columns import History as History
from .columns import Replay as Replay
from .draws import Draws
from .figures import Figure
from .foreign import FileFormat
from .grids import Grid as Grid
from .params import BadInput, Params, unknown
from .values import word


class Status(StrEnum):
    """How a trial ended. A member *is* the message a user reads."""

    SOLVED = "solved"
    INACCURATE = "solved to reduced accuracy"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "stopped at a limit of the solver"
    FAILED = "the solver failed"
    UNDECIDED = "undecided: no certificate either way"
    EMPTY = "a planted neuron is active on no point"
    UNSEEN = "too few samples to see every linear piece"
    DIVERGED = "the iterates diverged"
    CUTOFF = "stopped at the limit of iterations"
    STALLED = "came to rest above the target"
    DEAD = "no neuron is active on any point"
    NOT_FINITE = "a measure is not finite"
    RAISED = "raised an error"

    @property
    def usable(self) -> bool:
        """Whether the trial's measures mean anything."""
        return self in (Status.SOLVED, Status.INACCURATE, Status.CUTOFF, Status.STALLED, Status.UNSEEN)


VALUE_BYTES = 100  # a number of a row while it is computed, stored and printed


class Problem(NamedTuple):
    """What is given: inputs ``X (B, n, d)``, labels ``y (B, n)``, the net that was planted, shares of the points.

    Of a net with c outputs labels are ``(B, n, c)``. ``weights (B, n)`` sum to 1; None where points count the same.
    ``trials`` is the list of what functions of one trial have drawn, see `trials.each_trial`.
    """

    X: np.ndarray
    y: np.ndarray
    teacher: Any = None
    weights: np.ndarray | None = None
    trials: list[Any] | None = None


class Solution(NamedTuple):
    """What is found: a net (or weights) for each trial, its `Status`, figures of the solve, a history."""

    value: Any
    status: Sequence[Status]
    stats: Mapping[str, np.ndarray] = {}
    trace: Mapping[str, np.ndarray] = {}


class Guide(NamedTuple):
    """A curve that theory predicts: parameter `x` as a function of parameter `y`, where `holds` holds.

    It is drawn only over tables in which each parameter named in `holds` takes one of the values there.
    """

    x: str
    y: str
    curve: Callable[[np.ndarray], np.ndarray]
    label: str
    holds: Mapping[str, Sequence[Any]] = {}


@dataclass(frozen=True)
class Experiment:
    """Three pure functions and what they declare.

    Parameters
    ----------
    name : "paper.experiment"
    question : one line of what is asked
    params : the `Params` model
    sample : ``(params, draws) -> Problem``
    solve : ``(params, problem, draws) -> Solution``
    score : ``(params, problem, solution) -> {column: (B,) array}``
    columns : every score's `Column`; the first is the headline
    presets : "tiny" (tests, seconds), "quick" (notebook, under a minute), "paper" (the published figure)
    citation : the paper, one line
    guides : predicted curves
    batch : trials solved together, which is also the most that an interrupted sweep loses per worker
    sampled : parameters that only `sample` and `score` read; points that differ in these alone are solved
        together, and everything in a `Problem` and a `Solution` then has a leading trial axis
    follow : `solve` as it comes along: yields solutions that grow and can be scored, the last one what `solve` returns
    figures : what is drawn of its tables, by name; the first is what `neurec plot` draws
    claims : what its published table is to show
    log : ``"module:function"`` of the published program's log of a trial, ``(params, draws) -> lines``, if there is one
    form : the files that the published program reads and writes, if `neurec` is to read and write them, too
    history : what a trial records step by step, if `neurec run --history` is to show it
    detailed : as `solve`, with what costs time and only `--details` and `--history` show; None where it is `solve`
    bytes : ``params -> float``, about the memory that one trial takes at its peak; what would not fit is refused
    """

    name: str
    question: str
    params: type[Params]
    sample: Callable[[Any, Draws], Problem]
    solve: Callable[[Any, Problem, Draws], Solution]
    score: Callable[[Any, Problem, Solution], dict[str, np.ndarray]]
    columns: Mapping[str, Column]
    presets: Mapping[str, Grid]
    citation: str
    guides: tuple[Guide, ...] = ()
    batch: int = 1
    sampled: tuple[str, ...] = ()
    follow: Callable[[Any, Problem, Draws], Iterator[Solution]] | None = None
    figures: Mapping[str, Figure] = field(default_factory=dict)
    claims: tuple[Claim, ...] = ()
    log: str = ""
    form: FileFormat | None = None
    history: History | None = None
    detailed: Callable[[Any, Problem, Draws], Solution] | None = None
    bytes: Callable[[Any], float] | None = None

    def preset(self, name: str) -> Grid:
        """The grid called `name`.

        Raises
        ------
        BadInput : "unknown preset 'papr': did you mean paper? (one of tiny, quick, paper)"
        """
        if name not in self.presets:
            raise BadInput(unknown("preset", name, self.presets))
        return self.presets[name]

    @property
    def published(self) -> dict[str, Grid]:
        """The presets that make up the published table, each with the trials that it has there."""
        return {name: grid.part for name, grid in self.presets.items() if grid.published}

    def solved_as(self, params: Params) -> tuple[Any, ...]:
        """What `solve` reads of a point: points for which it is equal can be solved together."""
        return tuple(value for name, value in params.model_dump().items() if name not in self.sampled)

    def require_rows(self, rows: int) -> None:
        """Refuse a number of rows that this machine cannot hold.

        Raises
        ------
        BadInput : "100000000 trials would take about 121 GiB of memory, this machine has 24 GiB"
        """
        values = len(self.params.model_fields) + len(self.columns) + 5  # seed, trial, status, detail, seconds
        memory.require(f"{rows} trials", rows * values * VALUE_BYTES)

    def require_memory(self, params: Params, trials: int = 1) -> None:
        """Refuse a point of which so many trials, computed at once, do not fit into this machine.

        Raises
        ------
        BadInput : "a trial of paper.experiment with m = 100000 would take about 74 GiB of memory, ..."
        """
        if self.bytes is not None:
            count = "a trial" if trials == 1 else f"{trials} trials at once"
            memory.require(f"{count} of {self._named(params)}", trials * self.bytes(params))

    def _named(self, params: Params) -> str:
        changed = [f"{name} = {word(value)}" for name, value in params if value != self.params.declared()[name].default]
        return f"{self.name}{' with ' * bool(changed)}{', '.join(changed)}"

    def run(self, params: Params, draws: Draws) -> tuple[Problem, Solution, dict[str, np.ndarray]]:
        """Sample, solve and score one point; an error of the experiment is raised."""
        problem = self._sampled(params, draws)
        solution = self.solve(params, problem, draws)
        return problem, solution, self.score(params, problem, solution)

    def states(self, params: Params, draws: Draws) -> Iterator[tuple[Problem, Solution, dict[str, np.ndarray]]]:
        """What `run` returns as it comes along: once for each solution of `follow`, or once where there is none."""
        if self.follow is None:
            yield self.run(params, draws)
            return
        problem = self._sampled(params, draws)
        for solution in self.follow(params, problem, draws):
            yield problem, solution, self.score(params, problem, solution)

    def rows(self, params: Params, seed: int, trials: Sequence[int]) -> list[dict[str, Any]]:
        """One plain row per trial: parameters, seed, trial, scores, status, detail, seconds."""
        return self.rows_together([(params, trial) for trial in trials], seed)

    def rows_together(
        self, places: Sequence[tuple[Params, int]], seed: int, *, detailed: bool = False
    ) -> list[dict[str, Any]]:
        """The rows of trials of points that differ in `sampled` only.

        At most `batch` trials are computed together. A trial that raises, or that its solver gives up, is a
        row with its status and no measures; the trials beside it are not touched.

        Raises
        ------
        BadInput : parameters that only `sample` or `solve` can see do not go together, or need too much memory;
            a package that is not installed

        Parameters
        ----------
        places : (point, trial) pairs, the trials of a point one after another
        seed : the seed of every draw
        detailed : whether a row also holds, as `details`, data and solution of its trial (`details.of_trial`)
        """
        if len(places) > self.batch:
            parts = (places[i : i + self.batch] for i in range(0, len(places), self.batch))
            return [row for part in parts for row in self.rows_together(part, seed, detailed=detailed)]
        start = time.perf_counter()
        try:
            with memory.limited():
                ends = self._ends(places, seed, detailed)
        except BadInput:  # what the user asked for, no trial's failure: whoever asks hears of it
            raise
        except ImportError as error:  # nor is a package that is not there; it would be missing in every trial
            raise BadInput(f"{self.name} needs a package that cannot be imported here: {error}") from error
        except Exception as error:  # whatever else an experiment raises, the sweep goes on
            if getattr(error, "refuses_input", False):  # a library's word for bad input
                raise BadInput(str(error)) from error
            if len(places) > 1:
                return [row for place in places for row in self.rows_together([place], seed, detailed=detailed)]
            memory.refuse(f"a trial of {self._named(places[0][0])}", error)
            nothing = dict.fromkeys(self.columns)
            ends = [{**nothing, "status": Status.RAISED.value, "detail": f"{type(error).__name__}: {error}"}]
        seconds = (time.perf_counter() - start) / len(places)
        return [
            {**params.model_dump(), "seed": seed, "trial": int(trial), **end, "seconds": seconds}
            for (params, trial), end in zip(places, ends, strict=True)
        ]

    def _ends(self, places: Sequence[tuple[Params, int]], seed: int, detailed: bool) -> list[dict[str, Any]]:
        points = [(p, [trial for _, trial in own]) for p, own in itertools.groupby(places, key=lambda place: place[0])]
        problems = [self._sampled(params, Draws(seed, trials)) for params, trials in points]
        # Randomness goes by address: a trial's draws are the same whatever point stands beside it.
        given = _joined(problems)
        solve = (detailed and self.detailed) or self.solve
        solution = solve(points[0][0], given, Draws(seed, [trial for _, trial in places]))
        ends, first = [], 0
        for (params, trials), problem in zip(points, problems, strict=True):
            own = _cut(solution, slice(first, first + len(trials))) if len(points) > 1 else solution
            scores = self.score(params, problem, own)
            ends += [self._end(status, scores, b) for b, status in enumerate(own.status)]
            first += len(trials)
        if detailed:
            ends = [{**end, "details": details.of_trial(given, solution, b)} for b, end in enumerate(ends)]
        return ends

    def _sampled(self, params: Params, draws: Draws) -> Problem:
        self.require_memory(params, len(draws))
        return self.sample(params, draws)

    def _end(self, status: Status, scores: Mapping[str, np.ndarray], b: int) -> dict[str, Any]:
        measures, detail = {name: scores[name][b].tolist() if status.usable else None for name in self.columns}, ""
        wrong = [name for name, column in self.columns.items() if not column.allows(measures[name])]
        if status.usable and wrong:
            measures, status, detail = dict.fromkeys(measures), Status.NOT_FINITE, f"not finite: {', '.join(wrong)}"
        return {**measures, "status": status.value, "detail": detail}


def _joined(parts: Sequence[Any]) -> Any:
    """Arrays, and named tuples of arrays such as nets, one after another along the trial axis."""
    first = parts[0]
    if len(parts) == 1 or first is None:
        return first
    if isinstance(first, np.ndarray):
        return np.concatenate(parts)
    if isinstance(first, list):
        return [*itertools.chain(*parts)]
    return type(first)(*map(_joined, zip(*parts, strict=True)))


def _cut(whole: Any, trials: slice) -> Any:
    """Some trials of an array or a list, or of all that a named tuple or a mapping holds."""
    if isinstance(whole, Mapping):
        return {name: _cut(part, trials) for name, part in whole.items()}
    if isinstance(whole, tuple):
        return type(whole)(*(_cut(part, trials) for part in whole))
    return whole if whole is None else whole[trials]
