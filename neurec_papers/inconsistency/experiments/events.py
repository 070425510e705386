"""How likely is the event on which the paper's proof rests? Its conditions, one by one (App. E)."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.params import Params, param

from ..engine.distributions import X_SIX, Y_SIX
from . import claims
from .shared import CITATION, POINTS

VARIANCE = 2.0  # of Z_a and Z_w, He et al.
SECOND_MOMENTS = np.array([[14.0, 6.0], [6.0, 3.0]]) / 6  # of the distribution, on x > 0


class EventEstimation(Params):
    """Conditions W2 to W7 on the weights of a width-m network, D1 and D2 on its m² points."""

    m: int = param(256, "hidden neurons", ge=2, le=2**22, slider=(16, 2**18, 2), geometric=True)
    gamma: float = param(0.25, "exponent of the probability's rate", symbol="γ", ge=0, le=10, slider=(0, 0.5, 0.05))
    epsilon: float | None = param(None, "slack of the exponents (none: (1/2 - γ)/2)", symbol="ε", ge=-10, le=10)
    factor: float = param(1.0, "factor on the right-hand sides", gt=0, le=1e6)
    n: int | None = POINTS

    @property
    def slack(self) -> float:
        """ε as used."""
        return 0.25 - self.gamma / 2 if self.epsilon is None else self.epsilon


def sample(params: EventEstimation, draws: Draws) -> Problem:
    """The six points with the shares of n draws."""
    B, n = len(draws), params.n or params.m**2
    shares = draws.multinomial("weights", n, np.full(6, 1 / 6)) / n
    return Problem(np.tile(X_SIX[:, None], (B, 1, 1)), np.tile(Y_SIX, (B, 1)), weights=shares)


def solve(params: EventEstimation, problem: Problem, draws: Draws) -> Solution:
    """Each condition's truth; the value is a mapping from its name."""
    theta = draws.normal("theta", params.m, 2)
    a, w = VARIANCE**0.5 * theta[:, :, 0], (VARIANCE / params.m) ** 0.5 * theta[:, :, 1]
    held = {**_weights(params, a, w), **_data(params, problem)}
    held["event"] = np.logical_and.reduce(list(held.values()))
    return Solution(held, [Status.SOLVED] * len(draws))


def _weights(params: EventEstimation, a: np.ndarray, w: np.ndarray) -> dict[str, np.ndarray]:
    m, f, power = params.m, params.factor, params.m**params.slack
    sides = [a > 0, a < 0]
    of_a, of_w, cross = (np.stack([(z * s).sum(1) for s in sides]) for z in (a * a, w * w, w * a))

    def between(sums: np.ndarray, unit: float) -> np.ndarray:
        return np.all((sums >= unit * VARIANCE / 4 / f) & (sums <= unit * VARIANCE * f), axis=0)

    return {
        "W2": np.abs(w).max(1) <= f * m**-0.5 * power,
        "W3": np.abs(a).max(1) <= f * power,
        "W4": np.abs(a).min(1) >= m ** (-1 - params.gamma) / f,
        "W5": between(of_a, m),
        "W6": between(of_w, 1.0),
        "W7": (np.abs(cross) <= f * power).all(axis=0),
    }


def _data(params: EventEstimation, problem: Problem) -> dict[str, np.ndarray]:
    x, nu, n = problem.X[:, :, 0], problem.weights, params.n or params.m**2
    assert nu is not None
    with np.errstate(divide="ignore"):
        bound = params.factor * float(n) ** ((params.slack - 1) / 2)
    near, ordinary = np.ones(len(x), bool), np.ones(len(x), bool)
    expected = np.linalg.eigvalsh(SECOND_MOMENTS)
    for side in (1, -1):
        share = nu * (np.sign(x) == side)
        M = np.einsum("bn,bni,bnj->bij", share, *[np.stack([x, np.ones_like(x)], axis=2)] * 2)
        values = np.linalg.eigvalsh(M)
        ordinary &= (values[:, 0] >= expected[0] / 2) & (values[:, 1] <= 2 * expected[1])
        solvable = values[:, 0] > 1e-12
        target = np.einsum("bn,bni->bi", share * problem.y, np.stack([x, np.ones_like(x)], axis=2))
        best = np.linalg.solve(np.where(solvable[:, None, None], M, np.eye(2)), target[..., None])[..., 0]
        near &= solvable & (np.abs(best) <= bound).all(axis=1)
    return {"D1": near, "D2": ordinary}


def score(params: EventEstimation, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """The event holds if all conditions do; W1 and D3 always hold here."""
    return {name: solution.value[name] for name in COLUMNS}


COLUMNS = {
    "event": Column("the event: all conditions hold", "event"),
    "W2": Column("W2: no output weight is large", "event"),
    "W3": Column("W3: no hidden weight is large", "event"),
    "W4": Column("W4: no hidden weight is near zero", "event"),
    "W5": Column("W5: sums of a² are of order m", "event"),
    "W6": Column("W6: sums of w² are of order 1", "event"),
    "W7": Column("W7: sums of w a are small", "event"),
    "D1": Column("D1: the best lines are near those of the distribution", "event"),
    "D2": Column("D2: the points' moments are near those of the distribution", "event"),
}

EVENT_ESTIMATION = Experiment(
    name="inconsistency.event_estimation",
    question="How likely is the event on which the proof of inconsistency rests?",
    params=EventEstimation,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"m": [16, 64]}, trials=4),
        "quick": Grid({"m": [2**k for k in range(4, 13, 2)]}, trials=100),
        "paper": Grid({"m": [2**k for k in range(4, 20)]}, trials=100, published=100),
    },
    claims=(
        Claim(claims.events_that_happen, 0, 0, "measured here"),
        Claim(claims.conditions_off, 0, 4, "derived here"),
    ),
    citation=CITATION,
    batch=4,
)
