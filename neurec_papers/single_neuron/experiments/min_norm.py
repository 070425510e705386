"""Is the one neuron that gradient flow learns also the network of least norm? Minimal rank against minimal norm."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, Self

import numpy as np
from pydantic import model_validator

from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Status
from neurec_core.figures import Curves, Mark, matching
from neurec_core.params import Params, param
from neurec_core.trials import Draw, each_trial
from smallnets.errors import InvalidInput
from smallnets.geometry.dual_basis import Margin, Pair, cheaper, dual_basis, margin, obtuse

from .. import theory
from ..engine import angle
from .setup import CITATION, SMALLEST, SingleNeuron, points, start

# The solver closes a gap of 1e-9; norms that differ by less than this are equal.
EQUAL = 1e-8
# Neurons with a smaller share of the norm may be rounding, directions within this angle one, singular values zero.
FAINT, SAME, ZERO = 1e-5, 1e-4, 1e-6
# Smaller cosines are those of right angles.
ACUTE = 2e-9


class MinNorm(Params):
    """As many points as dimensions and a teacher of one neuron; the networks that fit, and one that is trained."""

    data: Literal["above", "below", "centred", "uncentred"] = param(
        "above", "points: families with M > 0 (for b > 10) or M < 0; random around the teacher or beside it"
    )
    d: int = param(3, "points and dimensions", ge=2, le=8, slider=(3, 6, 1))
    b: float = param(50.0, "size of the family with M > 0", gt=0, le=1e4, slider=(5, 200, 5))
    xi: float = param(0.3, "spread of the family with M < 0", gt=0, le=1, slider=(0.1, 1, 0.1))
    lengths: Literal["unit", "given"] = param(
        "unit", "whether points and labels are divided by the points' lengths, which changes nothing but training"
    )
    training: Literal["descent", "skipped"] = param("descent", "whether a network is trained, by gradient descent")
    m: int = param(25, "neurons of the trained network", ge=1, le=1000, slider=(5, 200, 5))
    scale: float = param(4.0**-7, "scale of the weights at the start", symbol="lambda", ge=SMALLEST, le=16)
    step: float = param(0.1, "step size", gt=0, le=10)
    target: float = param(1e-16, "training loss at which training ends", ge=0, le=1)
    limit: int = param(20_000_000, "most steps", ge=0, le=1_000_000_000)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.data == "above" and self.d < 3:
            raise ValueError(f"d (points and dimensions) must be a whole number in [3, 8] for these data, got {self.d}")
        if self.data in FAMILIES:
            name, meaning = FAMILIES[self.data]
            X, v = self._family()
            refused = f"{name} ({meaning}) must make points that are independent and meet the teacher at acute angles"
            try:
                dual_basis(X)
            except InvalidInput as error:
                raise ValueError(f"{refused}, got {getattr(self, name):g}: {error}") from None
            if not (X @ v / np.linalg.norm(X, axis=1)).min() > ACUTE:
                raise ValueError(f"{refused}, got {getattr(self, name):g}")
        return self

    def _family(self) -> tuple[np.ndarray, np.ndarray]:
        """Points (d, d) and teacher (d,) of a family, the same in every trial."""
        if self.data == "above":
            return theory.points_above(self.d, self.b)
        return theory.points_below(self.d, self.xi)

    def drawn(self, draw: Draw) -> tuple[np.ndarray, np.ndarray]:
        """Points (d, d) and teacher (d,)."""
        if self.data in ("centred", "uncentred"):
            X, _, W = points(SingleNeuron(d=self.d, data=self.data), draw.draws)
            return X[0], W[0, 0]
        return self._family()


# The parameter that each of the two families has.
FAMILIES = {"above": ("b", "size of the family with M > 0"), "below": ("xi", "spread of the family with M < 0")}


def data_sets(table: Any) -> Any:
    """One row of each data set in a table: the trials of a family share theirs."""
    trial = table["trial"].where(~table["data"].isin(list(FAMILIES)), 0)
    return table[~table[["data", "d", "b", "xi", "seed"]].assign(trial=trial).duplicated()]


class Found(NamedTuple):
    """What is found of one trial.

    margin : of M
    decision : whether the teacher is the only network of least norm, with its proof
    best : a network of least norm, with its proof
    pair : two neurons of less norm than the teacher, where M > 0
    trained : where gradient descent ended
    """

    margin: Margin
    decision: Any
    best: Any
    pair: Pair | None
    trained: Any


def sample(params: MinNorm, draw: Draw) -> Problem:
    """The teacher is a unit vector ``(d,)``; labels are positive."""
    X, v = params.drawn(draw)
    if params.lengths == "unit":
        X = X / np.linalg.norm(X, axis=1, keepdims=True)
    return Problem(X, np.einsum("nd,d->n", X, v), v)


def solve(params: MinNorm, given: Problem, draw: Draw) -> Found | Status:
    """M, the least norm over all patterns, two neurons that are cheaper than the teacher, and a trained network."""
    from smallnets.convex import interpolation
    from smallnets.descent import relu

    X, y, v = given.X, given.y, given.teacher
    between, trained = margin(X, v), None
    if params.training == "descent":
        (W,), (a,) = start(params.m, params.d, params.scale, draw.draws)
        trained = relu.descend(X, y, W, a, step=params.step, steps=params.limit, target=params.target)
    pair = cheaper(X, v, between.p, between.q) if between.sign > 0 else None
    found = Found(between, interpolation.decide(X, v), interpolation.least_norm(X, y), pair, trained)
    # Where M > 0, the two neurons are a proof, however little they save.
    decided = pair is not None or found.decision.outcome.name in ("UNIQUE", "CHEAPER")
    return found if between.sign and decided and found.best.converged else Status.UNDECIDED


def score(params: MinNorm, given: Problem, found: Found) -> dict[str, Any]:
    """The least norm beside the teacher's and that of the trained network, and what M says of it."""
    X, y, v = given.X, given.y, given.teacher
    best, pair, sign = found.best, found.pair, found.margin.sign
    units = directions(best.W, best.a)
    only = found.decision.outcome.name == "UNIQUE"
    other = pair.norm if pair else 1.0
    by_norm = abs(best.value - 1) <= EQUAL if sign < 0 else best.value <= other + EQUAL and other < 1
    fits = [_misfit(X, y, net.W, net.a) for net in (best, pair) if net is not None]
    return {
        "agrees": bool(only == (sign < 0) and by_norm),
        "negative": sign < 0,
        "only": only,
        "obtuse": obtuse(X),
        "M": found.margin.least,
        "slack": found.margin.most - found.margin.least,
        "minimum": best.value,
        "gap": max(best.gap, 0.0),
        "pair": other,
        "neurons": float(len(units)),
        "rank": float(np.linalg.matrix_rank(units, rtol=ZERO)),
        "misfit": max(fits),
        "angle": float(angle(X, v).max()),
        **_trained(found.trained),
    }


def _misfit(X: np.ndarray, y: np.ndarray, W: np.ndarray, a: np.ndarray) -> float:
    return float(np.abs(np.maximum(X @ W.T, 0) @ a - y).max() / np.abs(y).max())


def directions(W: np.ndarray, a: np.ndarray) -> np.ndarray:
    """(k, d) unit vectors of a network's neurons, strongest first: those that a solver's gap does not leave open.

    Neurons with less than a share `FAINT` of the norm are left out; directions within an angle `SAME` count once. So
    the number does not hang on how the last digits of one neuron are shared among several cells that meet in it.
    """
    sizes = np.abs(a) * np.linalg.norm(W, axis=1)
    order = np.argsort(-sizes, kind="stable")
    order = order[sizes[order] > FAINT * sizes.sum()]
    units = W[order] / np.linalg.norm(W[order], axis=1, keepdims=True)
    near = np.linalg.norm(units[:, None] - units, axis=2) < SAME
    kept: list[int] = []
    for k in range(len(units)):
        if not near[k, kept].any():
            kept.append(k)
    return units[kept]


def _trained(trained: Any) -> dict[str, Any]:
    """Norm and rank of the trained network; NaN where none was, or where it ended elsewhere than at its target."""
    if trained is None or trained.ended.name != "TARGET":
        return {"fitted": False, **dict.fromkeys(("trained_norm", "trained_rank", "steps"), np.nan)}
    values = np.linalg.svd(trained.W, compute_uv=False)
    norm = float((trained.W**2).sum() + (trained.a**2).sum()) / 2
    rank = float((values.sum() / np.linalg.norm(values)) ** 2)
    return {"fitted": True, "trained_norm": norm, "trained_rank": rank, "steps": float(trained.steps)}


def theorem_8(table: Any) -> Any:
    """On every data set the teacher is a network of least norm exactly if M < 0."""
    return table["agrees"].mean()


def family_error(table: Any) -> Any:
    """The least norms of the family with M > 0 are known to six digits for b = 11, 20, 50 and 200."""
    rows = matching(table, {"data": "above", "d": 3}).groupby("b")["minimum"].first()
    return (rows[[*LEAST_NORMS]] - [*LEAST_NORMS.values()]).abs().max()


COLUMNS = {
    "agrees": Column("the least norm is the teacher's exactly if M < 0", "event"),
    "negative": Column("M < 0", "event"),
    "only": Column("the teacher is the only network of least norm, proved", "event"),
    "obtuse": Column("no two vectors of the dual basis meet at an acute angle", "event"),
    "M": Column("M", "measure"),
    "slack": Column("what is left open of M", "measure"),
    "minimum": Column("least half squared norm of all networks that fit", "measure", "the teacher's"),
    "gap": Column("share of it that its proof leaves open", "measure", replay=Replay(1e-5, floor=1e-8)),
    "pair": Column("half squared norm of the cheaper pair of neurons, 1 where M < 0", "measure", "the teacher's"),
    "neurons": Column("neurons of the network of least norm", "measure"),
    "rank": Column("rank of its hidden weights", "measure"),
    "misfit": Column(
        "largest error of these networks' labels", "measure", "the largest label", replay=Replay(1e-5, floor=1e-9)
    ),
    "angle": Column("largest angle between the teacher and a point", "measure", "degrees"),
    "fitted": Column("gradient descent reached its target", "event"),
    "trained_norm": Column("half squared norm of the trained network", "measure", "the teacher's", optional=True),
    "trained_rank": Column("effective rank of its hidden weights, (nuclear/Frobenius)^2", "measure", optional=True),
    "steps": Column("steps of gradient descent", "measure", logarithmic=True, optional=True),
}
LEAST_NORMS = {11.0: 0.999607, 20.0: 0.981650, 50.0: 0.936021, 200.0: 0.876641}  # of other solvers
# M changes its sign at 91/9.
SIZES = [5, 7, 9, 10, 11, 13, 16, 20, 25, 32, 40, 50, 65, 80, 100, 130, 160, 200]

MIN_RANK_VS_MIN_NORM = Experiment(
    name="single_neuron.min_rank_vs_min_norm",
    question="Is the one neuron that gradient flow learns also the network of least norm?",
    params=MinNorm,
    **each_trial(sample, solve, score),
    columns=COLUMNS,
    presets={
        "tiny": Grid({"data": ["uncentred", "centred", "below", "above"]}, trials=2),
        "quick": Grid({"b": [5, 8, 10, 11, 14, 20, 30, 50, 100, 200]}, trials=3, fixed={"target": 1e-12}),
        "paper": Grid({"b": SIZES}, trials=5, fixed={"target": 1e-18}, published=5),
        "paper_below": Grid(
            {"d": [2, 3, 4, 5, 6], "xi": [0.1, 0.2, 0.3]}, trials=5, fixed={"data": "below"}, published=5
        ),
        "paper_random": Grid({"data": ["centred", "uncentred"], "d": [2, 3, 4, 5]}, trials=50, published=50),
    },
    figures={
        "norms": Curves(
            "b",
            ["minimum", "pair", "trained_norm"],
            where={"data": "above", "d": 3},
            marks=[Mark(91 / 9, "M = 0")],
            title="Half the squared norm of networks that fit",
        )
    },
    claims=(
        Claim(theorem_8, 1, 0, "chistikov2023learning, Theorem 8"),
        Claim(family_error, 0, 2e-6, "derived here"),
    ),
    citation=CITATION,
    batch=5,
)
