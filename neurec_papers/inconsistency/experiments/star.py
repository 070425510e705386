"""Two dimensions: does training on a star of points ever beat the best function that is affine on every arm?"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.figures import Curves
from neurec_core.params import Params, param

from . import claims
from .shared import CITATION

# A loss counts as better than affine arms allow from this share of theirs on.
BETTER = 0.999999
# Epochs, as shares of all, at which the loss is noted.
NOTED = 200


class Star(Params):
    """A wide network is trained on few points, on arms from the origin, which its kinks would have to cross."""

    m: int = param(128, "hidden neurons", ge=1, le=1_000_000, slider=(16, 1024, 16))
    points: Literal["star", "cross", "double_cross"] = param("star", "where the arms point", symbol="X")
    arms: int = param(11, "arms of the star", ge=1, le=100, slider=(3, 15, 2))
    gap: float = param(0.1, "distance of the points on an arm of the star", gt=0, le=0.9, slider=(0.1, 0.9, 0.1))
    weights: Literal["multinomial", "uniform"] = param(
        "multinomial", "shares of the points: of m² draws, or equal", symbol="ν"
    )
    bias: Literal["zero", "random"] = param("zero", "biases at the start")
    step_rule: Literal["spectral", "published"] = param(
        "spectral", "step size 1/λmax of the tangent kernel; 2/‖W₀‖² as the published code has it", symbol="h"
    )
    epochs: int = param(1_000_000, "most steps", ge=0, le=1_000_000_000)


class Arms(NamedTuple):
    """Points X (n, 2), labels y (n,) and the arm (n,) of each point."""

    X: np.ndarray
    y: np.ndarray
    arm: np.ndarray


def _rays(directions: np.ndarray, radii: np.ndarray, labels: np.ndarray) -> Arms:
    X = directions[:, None, :] * radii[:, None]
    k, r = X.shape[:2]
    return Arms(X.reshape(-1, 2), np.broadcast_to(labels, (k, r)).ravel(), np.repeat(np.arange(k), r))


def star(params: Star) -> Arms:
    """Three points on each arm, at radii 1 - gap, 1, 1 + gap, labels 1, -2, 1."""
    angles = 2 * np.pi * np.arange(params.arms) / params.arms
    directions = np.column_stack([np.cos(angles), np.sin(angles)])
    return _rays(directions, 1 + params.gap * np.arange(-1, 2), np.array([1.0, -2.0, 1.0]))


def _crossed(axes: list[tuple[int, int]]) -> Arms:
    """The six points of Example 1 on each axis: labels 1, -2, 1 on one side and -1, 2, -1 on the other."""
    both = np.array([sign * np.array(axis) for axis in axes for sign in (1, -1)])
    labels = np.array([[1.0, -2.0, 1.0], [-1.0, 2.0, -1.0]] * len(axes))
    return _rays(both, np.arange(1.0, 4.0), labels)


POINTS: dict[str, Any] = {
    "star": star,
    "cross": lambda _: _crossed([(0, 1), (1, 0)]),
    "double_cross": lambda _: _crossed([(0, 1), (1, 0), (1, 1), (1, -1)]),
}


def sample(params: Star, draws: Draws) -> Problem:
    """The points, the same in every trial, and how often each was drawn among m^2; figure 7 shows them."""
    X, y, _ = POINTS[params.points](params)
    B, n = len(draws), len(y)
    nu = np.full((B, n), 1 / n)
    if params.weights == "multinomial":
        nu = draws.multinomial("weights", params.m**2, nu[0]) / params.m**2
    return Problem(np.broadcast_to(X, (B, n, 2)), np.broadcast_to(y, (B, n)), weights=nu)


def affine_loss(arms: Arms, nu: np.ndarray) -> np.ndarray:
    """The least loss 1/2 sum nu_j (f_j - y_j)^2 of functions that are affine in the radius on every arm.

    Parameters
    ----------
    arms : points
    nu : (B, n) shares of the points

    Returns
    -------
    loss : (B,) array
    """
    radius, loss = np.linalg.norm(arms.X, axis=1), np.zeros(len(nu))
    for k in np.unique(arms.arm):
        on = arms.arm == k
        root = np.sqrt(nu[:, on])
        A = root[..., None] * np.stack([radius[on], np.ones(on.sum())], axis=1)
        Q = np.linalg.svd(A, full_matrices=False)[0]
        left = root * arms.y[on]
        left = left - np.einsum("bni,bki,bk->bn", Q, Q, left)
        # A point that was not drawn leaves an arm of two, which a line fits.
        loss += 0.5 * np.where((root > 0).sum(axis=1) > 2, (left**2).sum(axis=1), 0)
    return loss


def start(params: Star, draws: Draws) -> Any:
    """Initial weights, all N(0, 2/fan-in), and biases, zero or of the same law; an array each, (B, ...)."""
    m, B = params.m, len(draws)
    a, w = draws.normal("a", m, 2), (2 / m) ** 0.5 * draws.normal("w", m)
    if params.bias == "zero":
        return a, np.zeros((B, m)), w, np.zeros(B)
    return a, draws.normal("b", m), w, (2 / m) ** 0.5 * draws.normal("c")


def tangent_eigenvalue(X: np.ndarray, nu: np.ndarray, weights: Any) -> float:
    """The largest eigenvalue of sqrt(nu_j) K(x_j, x_l) sqrt(nu_l), K the net's tangent kernel.

    K(x, x') = 1 + sum_i (z_i)_+ (z_i')_+ + (<x, x'> + 1) sum_i w_i^2 1[z_i > 0] 1[z_i' > 0], z_i = <a_i, x> + b_i:
    the inner product of the output's gradients. Gradient descent on the linearised net converges for
    h < 2 / this.

    Parameters
    ----------
    X, nu : (n, d) points and their shares (n,)
    weights : (a, b, w, c) of one net
    """
    a, b, w, _ = weights
    # Sums in one order whatever the number of threads: a chaotic training depends on the last bit.
    z = np.einsum("jd,id->ji", X, a) + b
    on = (z > 0) * w
    units = np.maximum(z, 0)
    K = 1 + np.einsum("ji,li->jl", units, units) + (1 + np.einsum("jd,ld->jl", X, X)) * np.einsum("ji,li->jl", on, on)
    root = np.sqrt(nu)
    return float(np.linalg.eigvalsh(root[:, None] * K * root)[-1])


def square_norm(weights: Any) -> float:
    """||W||^2, all weights and biases of one net together."""
    return float(sum(np.sum(part**2) for part in weights))


STEPS: dict[str, Any] = {
    "spectral": lambda X, nu, weights: 1 / tangent_eigenvalue(X, nu, weights),
    "published": lambda X, nu, weights: 2 / square_norm(weights),
}


def solve(params: Star, problem: Problem, draws: Draws) -> Solution:
    """Full-batch gradient descent, until a pattern has changed and the loss is below the threshold.

    The value is a `smallnets.descent.grouped.Descent` for each trial; the trace holds the loss over the
    threshold at some epochs, NaN once training has ended.

    **Source**: holzmuller2022training, Figures 7 and 8 and its code; differs: float64 where the code has float32. With
    ``step_rule="published"`` the step is what that code takes: its kernel matrix is built from the weights where
    the text means their gradients, which makes it ||W_0||^2, and each update is applied twice.
    """
    from smallnets.descent import grouped

    nu = np.asarray(problem.weights)
    threshold = BETTER * affine_loss(POINTS[params.points](params), nu)
    epochs = np.unique(np.linspace(0, params.epochs, NOTED + 1).astype(np.int64))
    nets = list(zip(*start(params, draws), strict=True))
    h = np.array([STEPS[params.step_rule](X, n, net) for X, n, net in zip(problem.X, nu, nets, strict=True)])
    kernel = np.array([tangent_eigenvalue(X, n, net) for X, n, net in zip(problem.X, nu, nets, strict=True)])
    ends = [
        grouped.descend(
            problem.X[i], problem.y[i], nu[i], grouped.Weights(*net),
            h=h[i], steps=params.epochs, threshold=threshold[i], stop=True, schedule=epochs,
        )
        for i, net in enumerate(nets)
    ]  # fmt: skip
    status = [Status.DIVERGED if end.diverged else Status.SOLVED for end in ends]
    losses = _relative(np.stack([end.losses for end in ends]), threshold[:, None])
    stats = {"h": h, "kernel": kernel, "loss": _relative(np.array([end.loss for end in ends]), threshold)}
    return Solution(ends, status, stats, {"epoch": epochs, "loss": losses})


def _relative(losses: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    # Where so few points were drawn that affine arms fit them, nothing is below and there is no unit to measure in.
    return np.divide(losses, threshold, out=np.full_like(losses, np.nan), where=threshold > 0)


def score(params: Star, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Figure 8: the two events and when they happened, tested before each update."""
    ends = solution.value
    changed, below = (np.array([getattr(end, name) for end in ends]) for name in ("changed", "below"))
    return {
        "mse_below": below >= 0,
        "kink_crossed": changed >= 0,
        "below_epoch": np.where(below >= 0, below, np.nan),
        "crossing_epoch": np.where(changed >= 0, changed, np.nan),
        "loss": solution.stats["loss"],
        "step": solution.stats["h"] * params.m,
        "kernel": solution.stats["kernel"] / params.m,
    }


COLUMNS = {
    "mse_below": Column("loss below 0.999999 of the best that is affine on every arm", "event"),
    "kink_crossed": Column("a kink has crossed a point", "event"),
    "below_epoch": Column("first epoch with the loss below; NaN if there is none", "measure", "epochs", optional=True),
    "crossing_epoch": Column(
        "first epoch with a kink crossed; NaN if there is none", "measure", "epochs", optional=True
    ),
    "loss": Column(
        "loss when both have happened, or at the end; NaN where affine arms fit all points",
        "measure",
        "threshold",
        optional=True,
    ),
    "step": Column("step size", "measure", "1/m"),
    "kernel": Column("largest eigenvalue of the weighted tangent kernel", "measure", "m"),
}
WIDTHS = {"m": [2**k for k in range(7, 14)]}

STAR = Experiment(
    name="inconsistency.star",
    question="Does training on a star of points ever beat functions that are affine on every arm?",
    params=Star,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"m": [16, 64], "step_rule": ["spectral", "published"], "points": list(POINTS)}, trials=2,
            fixed={"epochs": 300},
        ),
        "quick": Grid({"m": [128, 256, 512, 1024, 2048]}, trials=20, fixed={"epochs": 100_000}),
        "paper": Grid(WIDTHS, trials=1000, fixed={"step_rule": "published"}, published=100),
        "paper_narrow": Grid({"m": [128, 256, 512]}, trials=1000, fixed={"step_rule": "published"}, published=300),
        "paper_1024": Grid({"m": [1024]}, trials=1000, fixed={"step_rule": "published"}, published=120),
        "paper_spectral": Grid(WIDTHS, trials=1000, published=60),
    },
    figures={
        "crossed": Curves("m", "kink_crossed", "step_rule", logarithmic="x"),
        "below": Curves("m", "mse_below", "step_rule", logarithmic="x"),
    },
    claims=(
        Claim(claims.figure_8, 0, 4, "figure 8"),
        Claim(claims.figure_8_as_stated, 0.467, 0.2, "measured here"),
        Claim(claims.step_as_used, 0.2, 0.02, "derived here"),
    ),
    citation=CITATION,
    batch=10,
)  # fmt: skip
