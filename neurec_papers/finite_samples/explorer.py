"""One network on a line whose kink is moved past its samples, for looking at: not an experiment of the paper."""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param

from . import teachers
from .common import BIAS, CITATION, Network, relative_error
from .competitors import competitor
from .line import as_network, broken, outputs, recover, sample_points, seen, shared_out

PLACES = 301  # at which functions are drawn
AROUND = 1.0  # how far beyond kinks and samples


class Instance(Params):
    """A network, samples for it, and one of its kinks moved after the samples were chosen."""

    m: int = param(4, "neurons", ge=1, le=8, slider=(1, 8, 1))
    bias: bool = BIAS
    placement: Literal["pieces", "even"] = param(
        "pieces", "samples: shared among the pieces before the move, or evenly spaced"
    )
    points: int = param(10, "samples", symbol="N", ge=2, le=60, slider=(2, 24, 1))
    moved: int = param(2, "which kink is moved, from the left", symbol="k", ge=1, le=8, slider=(1, 8, 1))
    shift: float = param(0.0, "how far it is moved", symbol="Δ", ge=-10, le=10, slider=(-2, 2, 0.1))

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.moved > self.m:
            raise ValueError(
                f"moved (which kink is moved, from the left) must be at most m = {self.m}, got {self.moved}"
            )
        return self


def sample(params: Instance, draws: Draws) -> Problem:
    """Samples ``X (B, n, 1)``, values of the network after the move, and the network."""
    nets, X = [], []
    for net, deal in zip(
        teachers.relu_on_line(draws, params.m, 0, params.bias),
        draws.uniform("deal", params.m + 1),
        strict=True,
    ):
        t = -net.b / net.W[:, 0]
        counts = shared_out(params.points, deal)
        ends = np.array([t.min() - AROUND, t.max() + AROUND])
        even = ends[0] + np.ptp(ends) * (np.arange(params.points) + 0.5) / params.points
        X.append(sample_points(t, counts.tolist()) if params.placement == "pieces" else even)
        b = net.b.copy()
        b[params.moved - 1] -= net.W[params.moved - 1, 0] * params.shift
        nets.append(Network(net.W, b, net.a, net.c))
    points = np.stack(X)[:, :, None]
    return Problem(points, np.stack([net(x) for net, x in zip(nets, points, strict=True)]), nets)


def solve(params: Instance, problem: Problem, draws: Draws) -> Solution:
    """What is recovered from the samples and what else fits; the trace has both functions and each piece's samples."""
    found = [_look(params, x[:, 0], y, net) for x, y, net in zip(problem.X, problem.y, problem.teacher, strict=True)]
    status = [Status.SOLVED if one["error"] >= 0 else Status.UNSEEN for one in found]
    trace = {name: np.stack([one[name] for one in found]) for name in ("x", "f", "rival", "back", "kinks", "held")}
    stats = {name: np.array([one[name] for one in found]) for name in ("apart", "error", "least", "place")}
    return Solution(problem.teacher, status, stats, trace)


def _look(params: Instance, x: np.ndarray, y: np.ndarray, net: Network) -> dict[str, np.ndarray]:
    truth, bias = broken(net), params.bias
    t = np.array(truth.kinks)
    place = np.linspace(min(t[0], x[0]) - AROUND, max(t[-1], x[-1]) + AROUND, PLACES)
    where = np.sort(np.concatenate([place, t]))
    f = net(where[:, None])
    other, read = competitor(truth, x, bias=bias), recover(x.tolist(), y.tolist(), params.m)
    rival = outputs(other.function, where) if other else np.full(len(where), np.nan)
    back = as_network(read, bias=bias)(where[:, None]) if read else np.full(len(where), np.nan)
    held, nothing = seen(x.tolist(), truth.kinks), params.m - len(t)
    return {
        "x": np.append(where, [where[-1]] * nothing), "f": np.append(f, [f[-1]] * nothing),
        "rival": np.append(rival, [np.nan] * nothing), "back": np.append(back, [np.nan] * nothing),
        "kinks": np.append(t, [np.nan] * nothing), "held": np.append(np.array(held, float), [np.nan] * nothing),
        "apart": np.array(relative_error(f, rival) if other else np.nan),
        "error": np.array(relative_error(f, back) if read else np.nan),
        "least": np.array(float(min(held))),
        "place": np.array(-net.b[params.moved - 1] / net.W[params.moved - 1, 0]),
    }  # fmt: skip


def score(params: Instance, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether the samples identify the network; how far another one is off that fits them."""
    s = solution.stats
    identified = (s["least"] >= 2) & np.isfinite(solution.trace["kinks"]).all(axis=1)
    return {"identified": identified, "apart": s["apart"], "error": s["error"], "least": s["least"]}


COLUMNS = {
    "identified": Column("every piece holds two samples, so that no other network of the width fits", "event"),
    "apart": Column("difference from another network that fits, where one was met", "measure", "of max |f|"),
    "error": Column("recovered network's largest difference", "measure", "of max |f|", logarithmic=True),
    "least": Column("samples in the piece that holds fewest", "measure"),
}

INSTANCE = Experiment(
    name="finite_samples.instance",
    question="Which samples see a kink?",
    params=Instance,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={"tiny": Grid({"shift": [0.0, 0.5]}, trials=1)},
    citation=CITATION,
)
