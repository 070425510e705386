"""Random ReLU networks with planted structure: which of them are irreducible, and how few neurons they need."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Status
from neurec_core.figures import Curves
from neurec_core.params import Params, param
from neurec_core.trials import Draw, each_trial

from ..engine.irreducibility import Reduction, bends, enumerated, reduce
from ..engine.networks import ShallowNet, relative_error
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


def sample(params: Irreducibility, draw: Draw) -> Problem:
    """Points, outputs there, and the network as teacher."""
    rows = draw.normal("hidden", params.m, params.d + 1)
    a = draw.normal("outer", params.m)
    a += 0.5 * np.sign(a)  # no output weight near zero
    scale = 0.5 + draw.uniform("scales", params.m)
    p, q, s = params.pairs, params.flat, params.singles
    single, first = 2 * p + 2 * q, 2 * p + 2 * q + (params.copies > 0)
    for i in range(p + q):
        rows[2 * i + 1] = -scale[i] * rows[2 * i]
        a[2 * i + 1] = abs(a[2 * i + 1]) * np.sign(a[2 * i]) if i < p else -a[2 * i] / scale[i]
    for i in range(single + s, params.m):
        rows[i] = scale[i] * rows[single]
        a[i] = abs(a[i]) * np.sign(a[single])
    if params.relation == "planted":
        # Two single neurons at least, or the last would be parallel to the pair's; none of those that have copies.
        *rest, last = [*range(0, 2 * p, 2), *range(first, first + max(2, (s - 1) // 2))]
        rows[last] = -(a[rest, None] * rows[rest]).sum(axis=0) / a[last]
    net = ShallowNet(rows[:, :-1], rows[:, -1], a, float(draw.normal("output bias")) if params.bias else 0.0)
    X = 2 * draw.normal("probes", PROBES, params.d)
    return Problem(X, net(X), net)


def solve(params: Irreducibility, given: Problem, draw: Draw) -> tuple[Reduction, float] | Status:
    """The network with fewest neurons; beside it, the least width by trying all orientations, where these are few."""
    found, function = reduce(given.teacher, bias=params.bias), bends(given.teacher)
    if found.status is not Status.SOLVED:
        return found.status
    few = len(function.alpha) <= MOST_ENUMERATED
    return found, float(enumerated(function, bias=params.bias)) if few else np.nan


def score(params: Irreducibility, given: Problem, found: tuple[Reduction, float]) -> dict[str, Any]:
    """Whether it is irreducible; the reduced network against the one that was planted."""
    reduced, width = found[0].network, found[0].network.m
    return {
        "irreducible": width == params.m, "as_planted": width == params.least, "width": float(width),
        "enumerated": found[1], "hyperplanes": float(found[0].hyperplanes), "removed": float(params.m - width),
        "error": relative_error(given.y, reduced(given.X)),
    }  # fmt: skip


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


TWELVE = {"m": 12, "d": 3, "relation": "generic", "flat": 0, "copies": 0, "bias": True}

IRREDUCIBILITY = Experiment(
    name="finite_samples.irreducibility",
    question="Which ReLU networks can do with fewer neurons?",
    params=Irreducibility, **each_trial(sample, solve, score), columns=COLUMNS,
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
    figures={"widths": Curves("pairs", ["width", "enumerated"], None, TWELVE, title="Least width of twelve neurons")},
    claims=(Claim(enumeration, 1, 0, "derived here"), Claim(planted, 1, 0, "derived here")),
    batch=10,
)  # fmt: skip
