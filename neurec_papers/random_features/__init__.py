"""Random features and double descent: where is the test error largest?

What Belkin, Hsu, Ma and Mandal found (arXiv 1812.11118), for a random first layer and a second that is fitted.

- features and labels: `neurec_papers.random_features.sample`
- least norm, or ridge: `neurec_papers.random_features.solve`
- expected risk of Gaussian features: `neurec_papers.random_features.risk`
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from neurec_core.experiment import Claim, Column, Experiment, Grid
from neurec_core.figures import Curves, Mark, Theory
from neurec_core.params import Params, derived, param
from neurec_core.trials import Draw, each_trial
from smallnets.arguments import array, checked


class RandomFeatures(Params):
    """A linear function with noise, fitted through m random features of n points."""

    m: int = param(50, "features", ge=1, le=5000, slider=(5, 300, 5))
    n: int = param(50, "training points", ge=2, le=5000, slider=(10, 200, 10))
    d: int = param(400, "input dimension", ge=1, le=5000, slider=(10, 400, 10))
    sigma: float = param(0.3, "noise level", symbol="σ", ge=0, le=10, slider=(0, 1, 0.1))
    ridge: float = param(0.0, "weight of the squared norm", symbol="λ", ge=0, le=1e6, slider=(0, 20, 1))
    features: Literal["relu", "gaussian"] = param("relu", "ReLU units, or the first m coordinates of the input")

    @derived("features per training point", symbol="m/n")
    def ratio(self) -> Any:
        """1 where there are as many features as training points."""
        return self.m / self.n


class Sampled(NamedTuple):
    """Features (n, m) and labels (n,) to train on, and those to test on, whose labels have no noise."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray


def sample(p: RandomFeatures, draw: Draw) -> Sampled:
    """Gaussian inputs, a linear teacher of unit norm, and what the first layer makes of the inputs."""
    x, x_test, beta = draw.normal("x", p.n, p.d), draw.normal("x_test", 1000, p.d), draw.normal("teacher", p.d)
    layer = np.eye(p.d, p.m) if p.features == "gaussian" else draw.normal("layer", p.d, p.m) / p.d**0.5
    X, X_test = (np.maximum(z @ layer, 0) if p.features == "relu" else z @ layer for z in (x, x_test))
    beta /= np.linalg.norm(beta)
    return Sampled(X, x @ beta + p.sigma * draw.normal("noise", p.n), X_test, x_test @ beta)


def solve(p: RandomFeatures, given: Sampled, draw: Draw) -> np.ndarray:
    """The second layer a (m,) of least ||X a - y||^2 + ridge ||a||^2, or without ridge the shortest that fits best."""
    U, s, Vt = np.linalg.svd(given.X, full_matrices=False)
    kept = s > s[0] * max(given.X.shape) * np.finfo(float).eps
    return np.asarray(Vt[kept].T @ (s[kept] / (s[kept] ** 2 + p.ridge) * (given.y @ U[:, kept])))


def score(p: RandomFeatures, given: Sampled, a: np.ndarray) -> dict[str, float]:
    """Mean squared errors, and the norm of the second layer."""
    errors = {"test": given.X_test @ a - given.y_test, "train": given.X @ a - given.y}
    return {**{name: np.mean(e**2) for name, e in errors.items()}, "norm": np.linalg.norm(a)}


@checked(ratio=array("features per training point", "k", interval="(0, inf)"))
def risk(ratio: np.ndarray, at: Any) -> np.ndarray:
    """Expected test error of least squares on m of d Gaussian coordinates, against m/n; infinite for |m - n| <= 1.

    **Source**: belkin2020two, Theorem 1, averaged over the teacher's direction, without the noise of the test labels.
    """
    n, m, noise = at["n"], np.minimum(at["n"] * ratio, at["d"]), at["sigma"] ** 2
    rest = 1 - m / at["d"] + noise  # what the features leave of the labels' variance
    with np.errstate(divide="ignore"):
        below, above = rest * (1 + m / (n - m - 1)), (m - n) / at["d"] + rest * (1 + n / (m - n - 1))
    return np.where(m < n - 1, below, np.where(m > n + 1, above, np.inf)) - noise


def peak(table: Any) -> float:
    """Without ridge the test error of ReLU features is largest at m = n."""
    rows = table.query("features == 'relu' and ridge == 0 and sigma == 0.3")
    return float(rows.groupby("ratio")["test"].median().idxmax())


def furthest(table: Any) -> float:
    """The mean test error of Gaussian features is its expectation, within a fifth, ten features or more from m = n."""
    rows = table.query("features == 'gaussian' and ridge == 0 and sigma == 0.3 and abs(m - n) >= 10")
    means = rows.groupby("ratio")["test"].mean()
    return float(abs(means / risk(means.index.to_numpy(), rows.iloc[0]) - 1).max())


KINDS = ["relu", "gaussian"]
WIDTHS = [5, 10, 15, 20, 25, 30, 35, 40, 44, 47, 50, 53, 56, 60, 70, 80, 100, 150, 200, 300]
GAUSSIAN = {"features": "gaussian", "ridge": 0.0}
RANDOM_FEATURES = Experiment(
    name="random_features.double_descent",
    question="Where is the test error largest?", citation="an original study",
    params=RandomFeatures, **each_trial(sample, solve, score),
    columns={
        "test": Column("test error", "measure", logarithmic=True),
        "train": Column("training error", "measure"),
        "norm": Column("norm of the second layer", "measure", logarithmic=True),
    },
    presets={
        "tiny": Grid({"m": [4, 8, 16], "ridge": [0, 1], "features": KINDS}, 2, {"n": 8, "d": 24}),
        "quick": Grid({"m": WIDTHS[::2], "sigma": [0, 0.3]}, trials=5),
        "paper": Grid({"m": WIDTHS, "sigma": [0, 0.3, 1], "ridge": [0, 10], "features": KINDS}, 40, published=40),
    },
    figures={
        "peak": Curves("ratio", "test", "sigma", {"features": "relu", "ridge": 0.0}, "xy", [Mark(1, "m = n")]),
        "ridge": Curves("ratio", "test", "ridge", {"features": "relu", "sigma": 0.3}, "xy", [Mark(1, "m = n")]),
        "exact": Curves("ratio", "test", "sigma", GAUSSIAN, "xy", [], Theory("expected", risk), average=True),
    },
    claims=(Claim(peak, 1, 0, "belkin2019reconciling"), Claim(furthest, 0, 0.2, "belkin2020two, Theorem 1")),
)  # fmt: skip
EXPERIMENTS, CITED = (RANDOM_FEATURES,), ("belkin2019reconciling",)
