"""Is the least loss a continuous function of the points? Where they are in general position; elsewhere it may jump."""

from __future__ import annotations

from typing import Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay
from neurec_core.figures import Curves, matching
from neurec_core.params import Params, param
from neurec_core.trials import Draw, each_trial
from smallnets.arguments import array, checked, whole
from smallnets.geometry import zonotopes

from ..engine import search
from ..engine.landscape import Landscape
from .setting import CITATION, labels, points, searchable

PLACES = np.array([-1.0, 0.0, 0.0, 1.0])
LABELS = np.array([0.0, -1.0, 1.0, 0.0])
CONTINUOUS = 0.01  # a change of the least loss that counts as a jump, of labels of mean square 1


class Sensitivity(Params):
    """One point is moved by a little; the least loss of all networks with m neurons is searched before and after."""

    case: Literal["coincident", "general"] = param(
        "coincident", "two of four points of a line coincide before, or random points in general position"
    )
    moved: float = param(
        1e-3, "how far one point is moved", symbol="ε", ge=1e-8, le=0.5, slider=(1e-5, 0.1, 10), geometric=True
    )
    m: int = param(3, "hidden neurons", ge=1, le=4, slider=(1, 4, 1))
    n: int = param(4, "training points, 4 where two coincide", ge=2, le=40)
    d: int = param(2, "inputs, the constant 1 of the bias included; 2 where two points coincide", ge=2, le=5)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.case == "coincident" and (self.n, self.d) != (4, 2):
            raise ValueError(
                f"n and d (points, inputs) must be 4 and 2 where case is coincident, got {self.n}, {self.d}"
            )
        searchable(self.n, self.d, self.m)
        return self


def sample(params: Sensitivity, draw: Draw) -> Problem:
    """Points before the move, ending in a 1, and labels; the four points are the same in every trial."""
    if params.case == "coincident":
        # The trial says where the four points stand on the line; that changes no loss.
        return Problem(np.column_stack([PLACES + draw.normal("shift", 1), np.ones(4)]), LABELS)
    return Problem(points(draw, params.n, params.d, "with_bias"), labels(draw, params.n))


def move(params: Sensitivity, X: np.ndarray, draw: Draw) -> np.ndarray:
    """Points after the move: the third of the four to the right, the first of random ones anywhere."""
    X = X.copy()
    if params.case == "coincident":
        X[2, 0] += params.moved
        return X
    along = draw.normal("way", params.d - 1)
    X[0, :-1] += params.moved * along / np.linalg.norm(along)
    return X


@checked(X=array("points", "n d"), y=array("labels", "n"), m=whole("neurons", "[1, inf)"))
def least_loss(X: np.ndarray, y: np.ndarray, m: int) -> float:
    """The least mean squared error of networks with m neurons; points may coincide.

    Raises
    ------
    InvalidInput : as `zonotopes.fan` does for what is left when equal points are taken once
    """
    apart, which = np.unique(X, axis=0, return_inverse=True)
    fan = zonotopes.fan(apart)
    land = Landscape(X, y, fan.over(which.ravel()))
    return search.exhaustive(land, m).loss


def solve(params: Sensitivity, given: Problem, draw: Draw) -> tuple[float, float]:
    """The least losses before and after the move."""
    before, after = (least_loss(X, given.y, params.m) for X in (given.X, move(params, given.X, draw)))
    return before, after


def score(params: Sensitivity, given: Problem, found: tuple[float, float]) -> dict[str, Any]:
    """How much the least loss changes."""
    change = abs(found[1] - found[0])
    return {"jumped": change > CONTINUOUS, "change": change, "before": found[0], "after": found[1]}


COLUMNS = {
    "jumped": Column("the least loss changes by more than 0.01", "event"),
    "change": Column(
        "change of the least loss", "measure", "of the labels'", logarithmic=True, replay=Replay(1e-3, floor=1e-12)
    ),
    "before": Column("least loss before", "measure", replay=Replay(1e-5, floor=1e-12)),
    "after": Column("least loss after", "measure", replay=Replay(1e-5, floor=1e-12)),
}
MOVES = [1e-1, 1e-2, 1e-3, 1e-4, 1e-5]


def jumps(table: Any) -> Any:
    """Where two points coincide the least loss jumps from one half to 0, however small the move."""
    rows = matching(table, {"case": "coincident"})
    return np.maximum((rows["before"] - 0.5).abs(), rows["after"].abs()).max()


def continuous(table: Any) -> Any:
    """In general position the least loss changes by less than five times a move of a thousandth or less."""
    rows = matching(table, {"case": "general", "moved": MOVES[2:]})
    return (rows["change"] / rows["moved"]).max()


SENSITIVITY = Experiment(
    name="relu_zonotopes.sensitivity",
    question="Does the least loss jump when a point moves by a little?",
    params=Sensitivity, **each_trial(sample, solve, score), columns=COLUMNS,
    presets={
        "tiny": Grid({"moved": [0.1, 1e-4], "case": ["coincident", "general"]}, trials=2, fixed={"m": 2}),
        "quick": Grid({"moved": MOVES, "case": ["coincident", "general"]}, trials=3, fixed={"m": 2}),
        "paper": Grid({"moved": MOVES}, trials=3, published=3),
        "paper_line": Grid({"moved": MOVES}, trials=100, fixed={"case": "general", "n": 6, "m": 2}, published=100),
        "paper_plane": Grid(
            {"moved": MOVES}, trials=50, fixed={"case": "general", "n": 7, "d": 3, "m": 2}, published=50
        ),
    },
    citation=CITATION,
    figures={
        "line": Curves("moved", "change", "case", {"d": 2}, "xy", average=True),
        "plane": Curves("moved", "change", None, {"d": 3}, "xy", average=True),
    },
    claims=(Claim(jumps, 0, 1e-8, "derived here"), Claim(continuous, 0, 5, "measured here")),
)  # fmt: skip
