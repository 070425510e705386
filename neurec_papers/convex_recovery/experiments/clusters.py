"""Two clusters: how likely is it that one given gate is open on the first and closed on the second?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution, Status
from neurec_core.figures import Curves, Theory
from neurec_core.params import Params, param

from .. import theory
from .shared import CITATION


class ClusterPatterns(Params):
    """Points mu_1 + g/s and mu_2 + g/s; the gate is the difference of the normalised centres."""

    d: int = param(20, "input dimension", ge=1, le=100_000, slider=(10, 100, 10))
    s: float = param(3.5, "inverse noise level", gt=0, le=1e6, slider=(1, 8.5, 0.5))
    centres: Literal["unit", "gaussian", "signs"] = param("unit", "distribution of the centres", symbol="μ")
    size: int = param(50, "points in each cluster", ge=1, le=100_000, slider=(10, 100, 10))
    repeats: int = param(5000, "draws of the points for each draw of the centres", ge=1, le=10_000_000)


def centres(kind: str, g: np.ndarray) -> np.ndarray:
    """Centres from standard normals, (B, 2, d): themselves, of unit norm, or their signs."""
    if kind == "signs":
        return np.sign(g)
    return g / np.linalg.norm(g, axis=-1, keepdims=True) if kind == "unit" else g


def sample(params: ClusterPatterns, draws: Draws) -> Problem:
    """Two centres per trial, X (B, 2, d); the labels are the sides of the gate on which they should be."""
    X = centres(params.centres, draws.normal("mu", 2, params.d))
    return Problem(X, np.tile([1.0, -1.0], (len(X), 1)), None)


def margins(mu: np.ndarray) -> np.ndarray:
    """a_i = |mu_i^T u| / ||u|| for u = mu_1/||mu_1|| - mu_2/||mu_2||, (B, 2): distances from the gate's hyperplane.

    Centres in one direction have no such gate: u = 0 is open on both clusters, whatever the noise, and a_i = -inf.
    """
    units = mu / np.linalg.norm(mu, axis=-1, keepdims=True)
    u = units[:, 0] - units[:, 1]
    size = np.linalg.norm(u, axis=-1)[:, None]
    along = np.abs(np.einsum("bid,bd->bi", mu, u))
    return np.divide(along, size, out=np.full_like(along, -np.inf), where=size > 1e-12)


def simulate(params: ClusterPatterns, problem: Problem, draws: Draws) -> Solution:
    """Count how often the gate opens on exactly the first cluster.

    A point's distance from the hyperplane is a_i + g/s with g standard normal, whatever d: only these
    numbers are drawn, which is the same in distribution as drawing the points.
    """
    a = margins(problem.X)
    g = draws.normal("points", params.repeats, 2, params.size)
    opened = (params.s * a[:, None, :, None] + g >= 0).all(axis=(2, 3))
    predicted = theory.separation_probability(a, params.s, params.size)
    return Solution(opened.mean(axis=1), [Status.SOLVED] * len(a), {"predicted": predicted})


def score(params: ClusterPatterns, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Counted beside predicted, and the difference in standard deviations of the count."""
    counted, predicted = solution.value, solution.stats["predicted"]
    deviation = np.sqrt(predicted * (1 - predicted) / params.repeats)
    z = np.divide(counted - predicted, deviation, out=np.zeros_like(counted), where=deviation > 0)
    return {"frequency": counted, "predicted": predicted, "z": z}


COLUMNS = {
    "frequency": Column("share of draws in which the gate is open on exactly the first cluster", "measure"),
    "predicted": Column("its probability, given the centres", "measure", replay=Replay(1e-5, floor=1e-12)),
    "z": Column("counted minus predicted", "measure", "standard deviations"),
}


def right_angles(s: np.ndarray, at: Any) -> np.ndarray:
    """The probability for unit centres at right angles, as large d makes them."""
    return theory.separation_probability(np.full((len(s), 2), 0.5**0.5), s, int(at["size"]))


def scatter(table: Any) -> float:
    """Counts scatter about a probability between 0.01 and 0.99 as they should (root mean square of z)."""
    return float((table.loc[table["predicted"].between(0.01, 0.99), "z"] ** 2).mean() ** 0.5)


CLUSTER_PATTERNS = Experiment(
    name="convex_recovery.cluster_patterns",
    question="When does one gate separate two clusters of points?",
    params=ClusterPatterns,
    sample=sample,
    solve=simulate,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid({"s": [2.0, 4.0], "d": [5]}, 2, {"repeats": 50}),
        "quick": Grid({"s": np.arange(1, 8.6, 0.5).tolist(), "d": [20, 80]}, 10, {"repeats": 500}),
        "paper": Grid(
            {"centres": ["unit", "gaussian", "signs"], "d": [20, 40, 60, 80], "s": np.arange(1, 8.6, 0.5).tolist()},
            20,
            published=20,
        ),
    },
    citation=CITATION,
    batch=5,
    figures={
        "unit": Curves(
            "s", lines="d", where={"centres": "unit"}, theory=Theory("predicted, centres at right angles", right_angles)
        ),
        **{centres: Curves("s", lines="d", where={"centres": centres}) for centres in ("gaussian", "signs")},
    },
    claims=(Claim(scatter, 1, 0.15, "derived here"),),
)
