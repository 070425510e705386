"""Two dimensions: does training on a star of points ever beat the best function that is affine on every arm?"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Solution, Status
from neurec_core.figures import Curves
from neurec_core.params import Params, param

from ..engine.arms import POINTS, affine_loss
from . import claims
from .shared import CITATION

# A loss counts as better than affine arms allow from this share of theirs on.
BETTER = 0.999999
# Epochs, as shares of all, at which the loss is noted.
NOTED = 200


class Star(Params):
    """A wide network is trained on few points, on arms from the origin, which its kinks would have to cross."""

    m: int = param(128, "hidden neurons of a layer", ge=1, le=1_000_000, slider=(16, 1024, 16))
    layers: int = param(1, "hidden layers", symbol="L", ge=1, le=10, slider=(1, 3, 1))
    activation: Literal["relu", "tanh"] = param("relu", "activation function")
    points: Literal["star", "cross", "double_cross", "line", "random_with_line", "multi_axis"] = param(
        "star", "where the arms point", symbol="X"
    )
    arms: int = param(11, "arms of the star", ge=1, le=100, slider=(3, 15, 2))
    gap: float = param(0.1, "distance of the points on an arm of the star", gt=0, le=0.9, slider=(0.1, 0.9, 0.1))
    half_axes: int = param(5, "half-axes of multi_axis, as many as inputs", ge=1, le=100, slider=(2, 10, 1))
    weights: Literal["multinomial", "uniform"] = param(
        "multinomial", "shares of the points: of m² draws, or equal", symbol="ν"
    )
    bias: Literal["zero", "random"] = param("zero", "biases at the start")
    step_rule: Literal["spectral", "published", "linear"] = param(
        "spectral",
        "step size: 1/λmax of the tangent kernel; 2/‖W₀‖² as the published code has it; the largest that is linear",
        symbol="h",
    )
    epochs: int = param(1_000_000, "most steps", ge=0, le=1_000_000_000)

    @property
    def grouped(self) -> bool:
        """Whether the network is one whose neurons can be followed in groups: ReLU, with one hidden layer."""
        return self.layers == 1 and self.activation == "relu"


def sample(params: Star, draws: Draws) -> Problem:
    """The points, the same in every trial, and how often each was drawn among m^2; figure 7 shows them."""
    X, y, _ = POINTS[params.points](params)
    B, n = len(draws), len(y)
    nu = np.full((B, n), 1 / n)
    if params.weights == "multinomial":
        nu = draws.multinomial("weights", params.m**2, nu[0]) / params.m**2
    return Problem(np.broadcast_to(X, (B, *X.shape)), np.broadcast_to(y, (B, n)), weights=nu)


def start(params: Star, draws: Draws, d: int = 2) -> Any:
    """Initial weights of one hidden layer, all N(0, 2/fan-in), and biases, zero or of the same law.

    Returns (a, b, w, c), an array each, ``(B, ...)``; there are d inputs.
    """
    m, B = params.m, len(draws)
    inner, outer = (2 / d) ** 0.5, (2 / m) ** 0.5
    a, w = inner * draws.normal("a", m, d), outer * draws.normal("w", m)
    if params.bias == "zero":
        return a, np.zeros((B, m)), w, np.zeros(B)
    return a, inner * draws.normal("b", m), w, outer * draws.normal("c")


def layers(params: Star, draws: Draws, d: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """The same for any number of hidden layers: weights (B, inputs, outputs) and biases (B, outputs) of each layer."""
    m, scale = params.m, (2 / params.m) ** 0.5
    a, b, w, c = start(params, draws, d)
    between = []
    for i in range(1, params.layers):
        bias = scale * draws.normal(f"b {i}", m) if params.bias == "random" else np.zeros_like(b)
        between.append((scale * draws.normal(f"a {i}", m, m), bias))
    return [(a.swapaxes(1, 2), b), *between, (w[:, :, None], c[:, None])]


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


def tangent_bytes(params: Star) -> float:
    """Memory of the gradients at all points, which the kernel of a network with several layers or tanh is made of."""
    if params.grouped:
        return 0.0
    X = POINTS[params.points](params)[0]
    weights = params.m * (X.shape[1] + 2) + (params.layers - 1) * params.m * (params.m + 1) + 1
    return 4 * 8.0 * len(X) * weights  # rows, stacked, in units of the shares, as an array


def step_sizes(params: Star, problem: Problem, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """The step of each network by the rule, and the largest eigenvalue of its weighted tangent kernel, (B,) each."""
    nu, d = np.asarray(problem.weights), problem.X.shape[2]
    if params.grouped and params.step_rule != "linear":
        nets = list(zip(*start(params, draws, d), strict=True))
        kernel = np.array([tangent_eigenvalue(X, n, net) for X, n, net in zip(problem.X, nu, nets, strict=True)])
        return (1 / kernel if params.step_rule == "spectral" else 2 / np.array(list(map(square_norm, nets)))), kernel
    from ..engine import layers as torch_layers

    net, data = layers(params, draws, d), torch_layers.Data(problem.X, problem.y, nu)
    kernel = torch_layers.tangent_eigenvalues(net, data, params.activation)
    if params.step_rule == "linear":
        return torch_layers.linear_steps(net, data, params.activation), kernel
    norms = sum(((part**2).reshape(len(nu), -1).sum(1) for layer in net for part in layer), np.zeros(len(nu)))
    return 1 / kernel if params.step_rule == "spectral" else 2 / norms, kernel


def solve(params: Star, problem: Problem, draws: Draws) -> Solution:
    """Full-batch gradient descent, until a pattern has changed and the loss is below the threshold.

    The value holds where each trial ended, `smallnets.descent.grouped.Descent` or `engine.layers.LayeredDescent`; the
    trace holds the loss over the threshold at some epochs, NaN once training has ended.

    **Source**: holzmuller2022training, Figures 7 and 8 and its code; differs: float64 where the code has float32. With
    ``step_rule="published"`` the step is what that code takes: its kernel matrix is built from the weights where
    the text means their gradients, which makes it ||W_0||^2, and each update is applied twice.
    """
    nu = np.asarray(problem.weights)
    threshold = BETTER * affine_loss(POINTS[params.points](params), nu)
    epochs = np.unique(np.linspace(0, params.epochs, NOTED + 1).astype(np.int64))
    h, kernel = step_sizes(params, problem, draws)
    options = {"h": h, "steps": params.epochs, "threshold": threshold, "schedule": epochs}
    ends = (_grouped if params.grouped else _layered)(params, problem, draws, options)
    status = [Status.DIVERGED if end.diverged else Status.SOLVED for end in ends]
    losses = _relative(np.stack([end.losses for end in ends]), threshold[:, None])
    stats = {"h": h, "kernel": kernel, "loss": _relative(np.array([end.loss for end in ends]), threshold)}
    return Solution(ends, status, stats, {"epoch": np.tile(epochs, (len(ends), 1)), "loss": losses})


def _grouped(params: Star, problem: Problem, draws: Draws, options: dict[str, Any]) -> list[Any]:
    from smallnets.descent import grouped

    nets = zip(*start(params, draws, problem.X.shape[2]), strict=True)
    shared = {"steps": options["steps"], "stop": True, "schedule": options["schedule"]}
    own = zip(problem.X, problem.y, np.asarray(problem.weights), nets, options["h"], options["threshold"], strict=True)
    return [
        grouped.descend(X, y, nu, grouped.Weights(*net), h=h, threshold=threshold, **shared)
        for X, y, nu, net, h, threshold in own
    ]


def _layered(params: Star, problem: Problem, draws: Draws, options: dict[str, Any]) -> list[Any]:
    from ..engine import layers as torch_layers

    data = torch_layers.Data(problem.X, problem.y, np.asarray(problem.weights))
    return torch_layers.descend(layers(params, draws, problem.X.shape[2]), data, params.activation, **options)


def _relative(losses: np.ndarray, threshold: np.ndarray) -> np.ndarray:
    # Where so few points were drawn that affine arms fit them, nothing is below and there is no unit to measure in.
    return np.divide(losses, threshold, out=np.full_like(losses, np.nan), where=threshold > 0)


def score(params: Star, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Figure 8: the two events and when they happened, tested before each update.

    A unit is active where its input is positive. With tanh it has no kink: a change of that sign is counted.
    """
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
    "kink_crossed": Column("a unit is active on other points than at the start: a kink has crossed one", "event"),
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
            {"m": [16, 64], "step_rule": ["spectral", "published"], "points": ["star", "cross", "double_cross"]},
            trials=2, fixed={"epochs": 300},
        ),
        "quick": Grid({"m": [128, 256, 512, 1024, 2048]}, trials=20, fixed={"epochs": 100_000}),
        "paper": Grid(WIDTHS, trials=1000, fixed={"step_rule": "published"}, published=100),
        "paper_narrow": Grid({"m": [128, 256, 512]}, trials=1000, fixed={"step_rule": "published"}, published=300),
        "paper_1024": Grid({"m": [1024]}, trials=1000, fixed={"step_rule": "published"}, published=120),
        "paper_spectral": Grid(WIDTHS, trials=1000, published=60),
        "program_three_layers": Grid(
            {"m": [16, 32, 64, 128, 256]}, trials=1000,
            fixed={"layers": 3, "points": "line", "step_rule": "published", "epochs": 100_000},
        ),
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
    bytes=tangent_bytes,
)  # fmt: skip
