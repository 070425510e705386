"""One given ReLU network and the samples that pin it down: what they give back, and what fewer of them leave open."""

from __future__ import annotations

from fractions import Fraction
from functools import partial
from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Guide, Problem, Replay, Solution, Status
from neurec_core.figures import Curves, PhaseDiagram, matching
from neurec_core.params import Params, param

from .. import theory
from ..engine import line
from ..engine.competitors import MOST_TURNED, competitor
from ..engine.networks import ShallowNet, relative_error
from ..engine.space import DRAWN, MOST, Lines, chosen_lines, kinks_on, recover_in_space
from . import teachers
from .setting import BIAS, CITATION, difference

FRESH = 400  # points at which a recovered network is compared
WELL = 1e-9  # relative error below which a network counts as recovered
BINARY = 2**20  # places on a line are multiples of its inverse, so that fractions hold them exactly


class ReluRecovery(Params):
    """Samples of a random network on one or more lines."""

    d: int = param(1, "inputs", ge=1, le=6, slider=(1, 4, 1))
    m: int = param(4, "neurons", ge=1, le=12, slider=(1, 8, 1))
    pairs: int = param(0, "opposite pairs among them", ge=0, le=2, slider=(0, 1, 1))
    bias: bool = BIAS
    placement: Literal["pieces", "blind"] = param(
        "pieces", "points: shared among the linear pieces, or uniform over all"
    )
    lines: int = param(1, "lines that samples lie on", symbol="L", ge=1, le=200)
    points: int = param(10, "points on each line", symbol="N", ge=1, le=400, slider=(2, 40, 1))
    evidence: Literal["kinks", "jumps"] = param(
        "jumps", "what lines must agree on: where hyperplanes meet them, or also how much f bends there"
    )
    arithmetic: Literal["float", "rational"] = param("float", "numbers: float64, or exact fractions")

    @property
    def kinks(self) -> int:
        """Hyperplanes with a net kink."""
        return self.m - self.pairs

    @property
    def sufficient(self) -> float:
        """Samples that separate the network from all of its width; NaN with opposite pairs, where none may do."""
        return np.nan if self.pairs else float(theory.points_on_each_line(self.m) * theory.least_lines(self.m, self.d))

    @model_validator(mode="after")
    def _check(self) -> Self:
        refused = {
            "m (neurons) must be at least two for each opposite pair": self.m < 2 * self.pairs,
            "pairs (opposite pairs) must be at most 1 where d = 1 and there is an output bias: two are reducible":
                self.pairs == 2 and self.d == 1 and self.bias,
            "lines (lines that samples lie on) must be 1 where d = 1": self.d == 1 and self.lines != 1,
            "evidence (what lines must agree on) must be jumps where d = 1": self.d == 1 and self.evidence != "jumps",
            "placement (points) must be pieces where d > 1": self.d > 1 and self.placement != "pieces",
            "arithmetic (numbers) must be float unless d = 1 and pairs = 0":
                self.arithmetic == "rational" and (self.d > 1 or self.pairs > 0),
            f"m (neurons) must leave at most {MOST} hyperplanes to try, m^d": self.kinks**self.d > MOST and self.d > 1,
        }  # fmt: skip
        for words, wrong in refused.items():
            if wrong:
                raise ValueError(f"{words}, got m = {self.m}, pairs = {self.pairs}, d = {self.d}, lines = {self.lines}")
        return self


class Samples(NamedTuple):
    """One trial: values (n,), the network, its lines or None on a line, places (L, N), fresh points (k, d)."""

    y: np.ndarray
    net: ShallowNet
    lines: Lines | None
    t: np.ndarray
    fresh: np.ndarray


def sample(params: ReluRecovery, draws: Draws) -> Problem:
    """Points X, values y, and ``teacher = (networks, lines, places)``; lines are None where d = 1."""
    B, lots = len(draws), draws.uniform("deal", params.lines, params.kinks + 1)
    if params.d == 1:
        nets = teachers.relu_on_line(draws, params.m, params.pairs, params.bias)
        kinks = [np.array(line.broken(net).kinks)[None] for net in nets]
        lines: list[Lines | None] = [None] * B
    else:
        nets = teachers.relu_in_space(draws, params.d, params.m, pairs=params.pairs, bias=params.bias)
        shape = (DRAWN, params.lines, params.d)
        drawn = zip(nets, draws.normal("through", *shape), draws.normal("along", *shape), strict=True)
        lines = [chosen_lines(net, p, v, params.lines) for net, p, v in drawn]
        kinks = [kinks_on(net, own) for net, own in zip(nets, lines, strict=True) if own]
    t = [_places(params, *parts) for parts in zip(kinks, lots, draws.uniform("blind", params.points), strict=True)]
    X = np.stack([own.at(at).reshape(-1, params.d) if own else at.T for own, at in zip(lines, t, strict=True)])
    return Problem(X, np.stack([net(x) for net, x in zip(nets, X, strict=True)]), (nets, lines, t))


def _places(params: ReluRecovery, kinks: np.ndarray, lots: np.ndarray, blind: np.ndarray) -> np.ndarray:
    """Places ``(lines, points)``, sorted: as many in each piece as can be, the rest in pieces by lot."""
    if params.placement == "blind":
        low, high = kinks.min() - 1, kinks.max() + 1
        return np.sort(np.round((low + (high - low) * blind) * BINARY) / BINARY)[None]
    counts = line.shared_out(params.points, lots)
    t = np.stack([line.sample_points(own, count.tolist()) for own, count in zip(kinks, counts, strict=True)])
    return np.round(t * BINARY) / BINARY


def solve(params: ReluRecovery, problem: Problem, draws: Draws) -> Solution:
    """The recovered network of each trial, or None; the difference from a rival that fits as well, on a line."""
    trials = map(Samples, problem.y, *problem.teacher, 2 * draws.normal("fresh", FRESH, params.d))
    recovery = {"float": _on_line, "rational": _exactly}[params.arithmetic] if params.d == 1 else _in_space
    found = [recovery(params, given) for given in trials]
    stats = {name: np.array([stat[name] for _, _, stat in found], float) for name in NOTHING}
    return Solution([net for net, _, _ in found], [status for _, status, _ in found], stats)


Recovered = tuple[Any, Status, dict[str, float]]
NOTHING = {"error": np.nan, "width": np.nan, "seen": 0.0, "consistent": np.nan, "match": np.nan, "rival": np.nan}


def _on_line(params: ReluRecovery, given: Samples) -> Recovered:
    stat = NOTHING | {"rival": _rival(params, given.net, given.t[0])}
    found = line.recover(given.t[0].tolist(), given.y.tolist(), params.m)
    if found is None:
        return None, Status.UNSEEN, stat
    least = line.least_network(found, bias=params.bias)
    stat |= {"error": relative_error(given.net(given.fresh), least.network(given.fresh)), "seen": 1.0}
    return least.network, least.status, stat | {"width": float(least.network.m), "consistent": float(len(found.kinks))}


def _exactly(params: ReluRecovery, given: Samples) -> Recovered:
    stat = NOTHING | {"rival": _rival(params, given.net, given.t[0])}
    # Weights and places are binary fractions of few digits, so that values y are exact, too.
    t, y = ([Fraction(one) for one in part.tolist()] for part in (given.t[0], given.y))
    found = line.recover(t, y, params.m, 0)
    left = None if found is None else line.exact_orientation(found, bias=params.bias)
    if found is None or left is None:
        return None, Status.UNSEEN, stat
    back = line.exact_network(found, left, bias=params.bias)
    places = [Fraction(round(x * BINARY), BINARY) for x in given.fresh[:, 0].tolist()]
    f, other = line.in_fractions(given.net)(places), back(places)
    error = float(max(abs(p - q) for p, q in zip(f, other, strict=True)) / max(map(abs, f)))
    width = float(len(left))
    return back, Status.SOLVED, stat | {"error": error, "width": width, "seen": 1.0, "consistent": width}


def _rival(params: ReluRecovery, net: ShallowNet, t: np.ndarray) -> float:
    """How far another network of the width is off that fits the samples; NaN if none was found or searched for."""
    truth = line.broken(net)
    if params.pairs or params.m > MOST_TURNED:
        return np.nan
    other = competitor(truth, t, bias=params.bias)
    if other is None:
        return np.nan
    x = np.linspace(truth.kinks[0] - 1, truth.kinks[-1] + 1, FRESH)
    return relative_error(line.outputs(truth, x), line.outputs(other.function, x))


def _in_space(params: ReluRecovery, given: Samples) -> Recovered:
    assert given.lines
    values, jumps = list(given.y.reshape(given.t.shape)), params.evidence == "jumps"
    found = recover_in_space(given.lines, list(given.t), values, params.m, bias=params.bias, jumps=jumps)
    stat = NOTHING | {"seen": float(found.seen), "consistent": float(found.consistent), "match": found.match}
    if found.reduction is None:
        return None, found.status, stat
    back = found.reduction.network
    error = relative_error(given.net(given.fresh), back(given.fresh))
    return back, found.status, stat | {"error": error, "width": float(back.m)}


def score(params: ReluRecovery, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Whether the network is back, with how many samples, and whether no other one can fit.

    With a kink for each neuron on enough lines that is a theorem; with opposite pairs nothing is proved, and if there
    is an output bias, another network always fits (`competitors.split_pair`).
    """
    s, B = solution.stats, len(problem.X)
    counts = {"samples": params.points * params.lines, "sufficient": params.sufficient}
    recovered = (s["error"] < WELL) & (s["width"] <= params.m)
    every = (s["consistent"] == params.m) & (s["seen"] >= theory.least_lines(params.m, params.d))
    return {
        "recovered": recovered,
        "identified": recovered & every,
        **{name: s[name] for name in NOTHING},
        **{name: np.full(B, float(count)) for name, count in counts.items()},
    }


COLUMNS = {
    "recovered": Column("function recovered, by a network of the width", "event"),
    "identified": Column("and no other network of the width fits, as is proved", "event"),
    "error": difference("recovered network's largest difference on fresh points", Replay(1e-3, floor=1e-9)),
    "width": Column("width of the recovered network", "measure", "neurons", optional=True),
    "seen": Column("lines on which every piece is seen", "measure"),
    "consistent": Column("hyperplanes that all lines agree with", "measure", optional=True),
    "match": Column(
        "farthest miss of a kink by such a hyperplane", "measure", "of 1 + spread", True, True, Replay(1e-3, floor=1e-9)
    ),
    "rival": Column(
        "difference from another network that fits, where one was found", "measure", "of max |f|", optional=True
    ),
    "samples": Column("samples", "measure"),
    "sufficient": Column("samples that suffice", "measure", optional=True),
}


PIECES = {"d": 1, "pairs": 0, "placement": "pieces", "arithmetic": "float"}


def last_error(table: Any) -> Any:
    """On a line 14 samples recover every network of six neurons to the last digits."""
    return matching(table, {**PIECES, "m": 6, "points": 14})["error"].max()


def exact_error(table: Any) -> Any:
    """In fractions, with 14 samples or more, the same networks are recovered exactly."""
    return matching(table, {"arithmetic": "rational", "points": [14, 15]})["error"].max()


def rivals(table: Any) -> Any:
    """With 2(m + 1) samples in the pieces on a line no rival is found."""
    rows = matching(table, PIECES)
    return rows.loc[rows["points"] == theory.points_on_each_line(rows["m"].to_numpy()), "rival"].notna().mean()


def one_less(table: Any) -> Any:
    """With 13 samples a rival is found for some networks of six neurons."""
    return matching(table, {**PIECES, "bias": True, "m": 6, "points": 13})["rival"].notna().any()


def in_space(table: Any) -> Any:
    """In three dimensions 90 samples on nine lines recover every network of four neurons."""
    return matching(table, {"d": 3, "m": 4, "lines": 9, "points": 10})["recovered"].mean()


RELU_RECOVERY = Experiment(
    name="finite_samples.relu_recovery",
    question="How many samples give one ReLU network back?",
    params=ReluRecovery, sample=sample, solve=solve, score=score, columns=COLUMNS,
    presets={
        "tiny": Grid({"points": [7, 8]}, trials=2, fixed={"m": 3}),
        "quick": Grid({"m": [1, 2, 3, 4, 5], "points": [2, 4, 6, 8, 10, 12, 14]}, trials=10),
        "paper": Grid(
            {"bias": [True, False], "m": [1, 2, 3, 4, 5, 6], "points": list(range(2, 17))}, trials=40,
            published=40,
        ),
        "paper_blind": Grid(
            {"m": [1, 2, 4, 6], "points": [4, 8, 12, 16, 24, 32, 48, 64, 96]}, trials=40,
            fixed={"placement": "blind"}, published=40,
        ),
        "paper_lines": Grid(
            {"evidence": ["kinks", "jumps"], "m": [1, 2, 3, 4, 6], "lines": list(range(1, 14))}, trials=20,
            fixed={"d": 3, "points": 14}, published=20,
        ),
        "paper_rational": Grid(
            {"points": [13, 14, 15]}, trials=20, fixed={"m": 6, "arithmetic": "rational"}, published=20
        ),
        "paper_space": Grid({"points": [8, 9, 10]}, trials=20, fixed={"d": 3, "m": 4, "lines": 9}, published=20),
        "paper_pairs": Grid(
            {"points": [18, 24, 32], "pairs": [1, 2]}, trials=20, fixed={"d": 3, "m": 5, "lines": 11}, published=20
        ),
    },
    citation=CITATION,
    figures={
        "blind": Curves("points", "recovered", "m", {"d": 1, "placement": "blind"}),
        "lines": PhaseDiagram("lines", "m", "recovered", "evidence", {"d": 3, "points": 14, "pairs": 0}),
    },
    claims=(
        Claim(last_error, 0, 1e-12, "derived here"),
        Claim(exact_error, 0, 0, "derived here"),
        Claim(rivals, 0, 0, "derived here"),
        Claim(one_less, 1, 0, "derived here"),
        Claim(in_space, 1, 0, "derived here"),
    ),
    guides=(
        Guide("points", "m", theory.points_on_each_line, "2(m + 1)", {"d": [1], "pairs": [0]}),
        *(Guide("lines", "m", partial(theory.least_lines, d=d), "m(d - 1) + 1", {"d": [d]}) for d in (2, 3, 4)),
    ),
    batch=10,
)  # fmt: skip
