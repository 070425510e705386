"""Random ReLU networks with planted structure: which of them are irreducible, and how few neurons they need."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.params import Params, param
from smallnets.arguments import checked, number

from ..engine.frames import Bends, framed
from ..engine.irreducibility import TOLERANCE, bends, reduce
from ..engine.networks import ShallowNet, relative_error
from ..engine.subsets import sums
from .setting import BIAS, CITATION

MOST_ENUMERATED = 14  # hyperplanes of which all orientations are tried
PROBES = 200  # points at which a reduced network is compared


class Irreducibility(Params):
    """A network of m neurons: opposite pairs, pairs without a kink, parallel copies, and single neurons."""

    d: int = param(3, "inputs", ge=1, le=100, slider=(1, 10, 1))
    m: int = param(12, "neurons", ge=1, le=60, slider=(4, 20, 1))
    pairs: int = param(1, "opposite pairs with a net kink", ge=0, le=20, slider=(0, 5, 1))
    flat: int = param(0, "opposite pairs without a net kink", ge=0, le=20, slider=(0, 2, 1))
    copies: int = param(0, "neurons parallel to another", ge=0, le=20, slider=(0, 3, 1))
    relation: Literal["generic", "planted"] = param(
        "generic", "weights: any, or with a subset with one neuron of each pair that sums to zero"
    )
    bias: bool = BIAS

    @property
    def singles(self) -> int:
        """Neurons that are alone on their hyperplane, copies apart."""
        return self.m - 2 * (self.pairs + self.flat) - self.copies

    @property
    def least(self) -> int:
        """The width that the planted structure leaves, for generic weights."""
        kinks, affine = self.pairs + self.singles, self.pairs + self.flat
        if not affine or self.relation == "planted":
            return kinks
        easy = (self.pairs, self.flat) == (1, 0) or (self.d == 1 and self.bias and kinks > 0)
        return kinks + (1 if easy else 2)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.singles < (self.copies > 0):
            least = 2 * (self.pairs + self.flat) + self.copies + (self.copies > 0)
            raise ValueError(f"m (neurons) must be at least {least} for these pairs and copies, got {self.m}")
        free = self.singles - (self.copies > 0)
        if self.relation == "planted" and (self.pairs not in (1, 2) or self.flat or free < 2):
            raise ValueError(
                "relation (weights) must be generic unless there are 1 or 2 pairs, no flat pairs and 2 single neurons "
                f"without copies, got pairs = {self.pairs}, flat = {self.flat} and {free} such neurons"
            )
        return self


def sample(params: Irreducibility, draws: Draws) -> Problem:
    """Points, outputs there, and the networks as rows (w, b, a) and c: ``teacher = (rows, c)``."""
    rows = draws.normal("hidden", params.m, params.d + 1)
    a = draws.normal("outer", params.m)
    a += 0.5 * np.sign(a)  # no output weight near zero
    scale = 0.5 + draws.uniform("scales", params.m)
    p, q, s = params.pairs, params.flat, params.singles
    single = slice(2 * p + 2 * q, 2 * p + 2 * q + s)
    for i in range(p + q):
        rows[:, 2 * i + 1] = -scale[:, i, None] * rows[:, 2 * i]
    for i in range(p, p + q):
        a[:, 2 * i + 1] = -a[:, 2 * i] / scale[:, i]
    for i in range(p):
        a[:, 2 * i + 1] = np.abs(a[:, 2 * i + 1]) * np.sign(a[:, 2 * i])
    for i in range(single.stop, params.m):
        rows[:, i] = scale[:, i, None] * rows[:, single.start]
        a[:, i] = np.abs(a[:, i]) * np.sign(a[:, single.start])
    if params.relation == "planted":
        # Two single neurons at least, or the last would be parallel to the pair's; none of those that have copies.
        first = single.start + (params.copies > 0)
        chosen = [*range(0, 2 * p, 2), *range(first, first + max(2, (s - 1) // 2))]
        rest, last = chosen[:-1], chosen[-1]
        rows[:, last] = -(a[:, rest, None] * rows[:, rest]).sum(axis=1) / a[:, last, None]
    c = draws.normal("output bias") if params.bias else np.zeros(len(draws))
    X = 2 * draws.normal("probes", PROBES, params.d)
    y = np.stack([net(points) for net, points in zip(_nets(rows, a, c), X, strict=True)])
    return Problem(X, y, (rows, a, c))


def _nets(rows: np.ndarray, a: np.ndarray, c: np.ndarray) -> list[ShallowNet]:
    return [ShallowNet(r[:, :-1], r[:, -1], outer, float(const)) for r, outer, const in zip(rows, a, c, strict=True)]


@checked(tolerance=number("relative tolerance", "[0, inf)"))
def enumerated(found: Bends, *, bias: bool = True, tolerance: float = TOLERANCE) -> int:
    """The least width by looking at all 2^n orientations, one by one."""
    frame, compared = framed(found, bias, tolerance), slice(-1) if bias else slice(None)
    n, z = len(frame.alpha), frame.z[:, compared]
    left = (frame.affine + sums(frame.alpha[:, None] * frame.z))[:, compared]
    if np.linalg.norm(left, axis=1).min() <= frame.small:
        return n
    for one in z:
        if np.linalg.norm(left - np.outer(left @ one / (one @ one), one), axis=1).min() <= frame.small:
            return n + 1
    return n + 2 if n or np.linalg.norm(frame.affine[:-1]) > frame.small else n + 4


def solve(params: Irreducibility, problem: Problem, draws: Draws) -> Solution:
    """Reduce each network; beside it, what looking at all orientations says."""
    bias, found, widths = params.bias, [], []
    for net in _nets(*problem.teacher):
        found.append(reduce(net, bias=bias))
        function = bends(net)
        widths.append(enumerated(function, bias=bias) if len(function.alpha) <= MOST_ENUMERATED else np.nan)
    stats = {
        "width": np.array([float(one.network.m) for one in found]),
        "hyperplanes": np.array([float(one.hyperplanes) for one in found]),
        "enumerated": np.array(widths, float),
    }
    return Solution([one.network for one in found], [one.status for one in found], stats)


def score(params: Irreducibility, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Is it irreducible; the reduced network against the one that was planted."""
    s = solution.stats
    trials = zip(solution.value, problem.X, problem.y, strict=True)
    return {
        "irreducible": s["width"] == params.m,
        "as_planted": s["width"] == params.least,
        "error": np.array([relative_error(y, net(X)) for net, X, y in trials]),
        "removed": params.m - s["width"],
        **s,
    }


COLUMNS = {
    "irreducible": Column("no fewer neurons are the same function", "event"),
    "as_planted": Column("least width is that of the planted structure", "event"),
    "width": Column("least width", "measure", "neurons"),
    "enumerated": Column("least width, of all orientations one by one", "measure", "neurons", optional=True),
    "hyperplanes": Column("distinct hyperplanes with a net kink", "measure"),
    "removed": Column("neurons that are not needed", "measure", "neurons"),
    "error": Column(
        "reduced network's largest difference on fresh points",
        "measure",
        "of max |f|",
        replay=Replay(1e-4, floor=1e-12),
    ),
}


def enumeration(table: Any) -> Any:
    """The least width is that of all orientations one by one, wherever these are few."""
    rows = table[table["enumerated"].notna()]
    return (rows["width"] == rows["enumerated"]).mean()


def planted(table: Any) -> Any:
    """The least width is that of the planted structure in every decided trial."""
    return table["as_planted"].mean()


IRREDUCIBILITY = Experiment(
    name="finite_samples.irreducibility",
    question="Which ReLU networks can do with fewer neurons?",
    params=Irreducibility, sample=sample, solve=solve, score=score, columns=COLUMNS,
    presets={
        "tiny": Grid({"pairs": [0, 1, 3]}, trials=2, fixed={"m": 7}),
        "quick": Grid({"pairs": [0, 1, 2, 3, 4], "d": [1, 2, 3]}, trials=20, fixed={"m": 10}),
        "paper": Grid(
            {"bias": [True, False], "d": [1, 2, 3, 10], "pairs": [0, 1, 2, 3, 4, 5]}, trials=50,
            fixed={"m": 12}, published=50,
        ),
        "paper_planted": Grid(
            {"bias": [True, False], "pairs": [1, 2], "d": [1, 2, 3, 10]}, trials=50,
            fixed={"m": 12, "relation": "planted"}, published=50,
        ),
        "paper_flat": Grid(
            {"bias": [True, False], "flat": [0, 1, 2], "copies": [0, 2], "d": [1, 3]}, trials=50,
            fixed={"m": 12, "pairs": 0}, published=50,
        ),
        "paper_wide": Grid(
            {"m": [16, 24, 32, 36, 40]}, trials=10, fixed={"pairs": 2, "relation": "planted"}, published=10
        ),
    },
    citation=CITATION,
    claims=(Claim(enumeration, 1, 0, "derived here"), Claim(planted, 1, 0, "derived here")),
    batch=10,
)  # fmt: skip
