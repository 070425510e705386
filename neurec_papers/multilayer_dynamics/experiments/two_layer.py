"""Which neurons of a two-layer teacher does a student learn, and does their strength decide?"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, Self

import numpy as np
from pydantic import model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Claim, Column, Experiment, Grid, Problem, Replay, Solution
from neurec_core.figures import Computed
from neurec_core.params import Params, param
from smallnets.nets.deep_nets import Layer

from ..engine import specialization
from ..engine.outcome import one, trained
from ..engine.teachers import VALUES, enough, separated
from .shared import BIASES, CITATION, FRESH, NORMALIZE, README, node_multi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from smallnets.descent.deep_relu import DeepNet
    from smallnets.descent.deep_training import Epoch

FOUND = 0.95  # correlation from which a teacher neuron counts as recovered
NEURONS = 20  # teacher neurons that a row describes one by one


class TwoLayer(Params):
    """A teacher whose neurons grow weaker one by one, and a student that starts small."""

    d: int = param(100, "inputs", ge=1, le=10_000, slider=(10, 100, 10))
    m: int = param(10, "teacher neurons", ge=1, le=1000, slider=(5, 20, 5))
    node_multi: int = node_multi(10)
    outputs: int = param(50, "numbers that a network puts out", symbol="c", ge=1, le=10_000)
    decay: float = param(
        1.0, "decay of the teacher's strength: neuron i has output weights over i to this power", symbol="p", ge=0,
        le=10, slider=(0, 2.5, 0.5),
    )  # fmt: skip
    bias: float = param(-0.1, "teacher's biases, both layers", ge=-10, le=10)
    biases: bool = BIASES
    scale: float = param(0.005, "standard deviation of the student's weights at the start", gt=0, le=10)
    start: Literal["random", "towards", "against"] = param(
        "random", "student neurons at the start: of any side, or all on one side of the weakest teacher neuron"
    )
    trained: Literal["both", "hidden", "output"] = param("both", "layers that learn")
    slope: float = param(0.0, "activation's slope below zero; 1 is linear", ge=0, le=1)
    data: Literal["gaussian", "boundaries"] = param("gaussian", "points: normal, or near the teacher's boundaries")
    data_std: float = param(1.5, "standard deviation of the points", symbol="s", gt=0, le=100, slider=(0.5, 5, 0.5))
    shift: float = param(1.0, "least distance from a boundary, of points near boundaries", ge=0, le=100)
    shift_range: float = param(1.0, "range of that distance", ge=0, le=100)
    points: int = param(10_000, "training points", symbol="N", ge=1, le=10_000_000)
    fresh: bool = FRESH
    method: Literal["sgd", "gd"] = param("sgd", "points of a step: drawn with replacement, or all of them")
    batch: int = param(16, "points per step of sgd; gd takes all", ge=1, le=100_000)
    rate: float = param(0.01, "step size", gt=0, le=10)
    halving: int = param(0, "epochs after which the step size is halved, again and again; 0: never", ge=0, le=10_000)
    normalize: bool = NORMALIZE
    steps: int = param(1000, "steps per epoch", ge=1, le=10_000_000)
    epochs: int = param(100, "passes, of as many steps each", symbol="E", ge=0, le=10_000)
    eval_points: int = param(10_000, "points on which correlations are measured", ge=2, le=100_000)
    dtype: Literal["float64", "float32"] = param("float64", "precision")

    @model_validator(mode="after")
    def _fits(self) -> Self:
        enough(self.m, self.d, VALUES["nine"])
        enough(self.outputs, self.m, VALUES["nine"])
        return self

    @property
    def rates(self) -> np.ndarray:
        """The step size of every epoch."""
        return self.rate * 0.5 ** (np.arange(self.epochs) // self.halving if self.halving else np.zeros(self.epochs))


def teacher(params: TwoLayer, draws: Draws) -> DeepNet:
    """Separated neurons of norm 1; output weights separated over the outputs, those of neuron i over i^p; equal biases.

    **Source**: tian2020student, its code: the bias is not rescaled with the weights.
    """
    from smallnets.descent.deep_relu import DeepNet

    W = separated(draws, "teacher 1", params.m, params.d, values=VALUES["nine"])
    V = separated(draws, "teacher 2", params.outputs, params.m, values=VALUES["nine"])
    V = V / (np.arange(1, params.m + 1) ** params.decay)[:, None]
    bias = params.bias * (params.biases)
    sizes = (len(draws), params.m), (len(draws), params.outputs)
    b = [np.full(size, bias) for size in sizes]
    return DeepNet((Layer(W / np.linalg.norm(W, axis=1, keepdims=True), b[0]), Layer(V, b[1])))


def student(params: TwoLayer, net: DeepNet, draws: Draws) -> DeepNet:
    """Small normal weights, no biases; mirrored to one side of the last teacher neuron where that is asked for."""
    n = params.m * params.node_multi
    W = params.scale * draws.normal("student 1", params.d, n)
    V = params.scale * draws.normal("student 2", n, params.outputs)
    if params.start != "random":
        sides = np.sign(net.layers[0].W[:, None, :, -1] @ W)
        W = W * (sides if params.start == "towards" else -sides)
    layers = Layer(W, np.zeros((len(W), n))), Layer(V, np.zeros((len(W), params.outputs)))
    return type(net)(layers)


def cloud(params: TwoLayer, net: DeepNet, draws: Draws, name: str) -> np.ndarray:
    """Normal points; or a third of them on the teacher's boundaries, and two thirds as far on one side as on the other.

    Those near boundaries have norm s sqrt(d), or are the origin where a boundary goes through it.

    **Source**: tian2020student, its code (theory_suggest_train).
    """
    number = params.points
    X = params.data_std * draws.normal(name, number, params.d)
    if params.data == "gaussian":
        return X
    W, b = net.layers[0]
    which = np.arange(number) // 3 % params.m
    w, bias = W.swapaxes(1, 2)[:, which], b[:, which]
    base = X[:, np.arange(number) // 3 * 3]  # three points from one
    on = base - ((base * w).sum(axis=2) + bias)[..., None] * w
    far = params.shift + params.shift_range * draws.uniform(f"{name} shifts", number)[:, np.arange(number) // 3 * 3]
    X = on + (far * np.array([0.0, 1.0, -1.0])[np.arange(number) % 3])[..., None] * w
    sizes = np.linalg.norm(X, axis=2, keepdims=True)
    return X * (params.data_std * params.d**0.5 / np.where(sizes > 0, sizes, 1.0))


def sample(params: TwoLayer, draws: Draws) -> Problem:
    """Normal points on which networks are compared, the teacher's outputs there, and the teacher."""
    from smallnets.descent.deep_relu import Form, states

    net = teacher(params, draws)
    X = params.data_std * draws.normal("looked at", params.eval_points, params.d)
    return Problem(X, states(net, X, Form(params.slope))[-1], net)


def training(params: TwoLayer, problem: Problem, start: DeepNet, draws: Draws) -> Iterator[Epoch]:
    """The students' epochs."""
    from smallnets.descent.deep_relu import Form
    from smallnets.descent.deep_training import Method, Schedule, train

    batch = params.batch if params.method == "sgd" else params.points

    @lru_cache(maxsize=1)
    def drawn(name: str) -> np.ndarray:
        return cloud(params, problem.teacher, draws, name)

    def points(epoch: int) -> np.ndarray:
        return drawn(f"points {epoch // times}" if params.fresh else "points")

    def order(epoch: int) -> np.ndarray:
        if params.method == "gd":
            return np.tile(np.arange(params.points), (len(draws), 1))
        return (draws.uniform(f"order {epoch}", params.steps * batch) * params.points).astype(int)

    learns = params.trained != "output", params.trained != "hidden"
    method = Method("half", normalize=params.normalize, trained=learns, biases=params.biases)
    # Gradient descent has a single step in what `train` calls an epoch: its points need not be copied many times.
    times = params.steps if params.method == "gd" else 1
    schedule = Schedule(points, order, np.repeat(params.rates, times), batch)
    return train(start, problem.teacher, schedule, form=Form(params.slope), method=method, dtype=params.dtype)


def solve(params: TwoLayer, problem: Problem, draws: Draws) -> Solution:
    """Train; the value holds the students at the start and at the end, which for one that diverges is the start."""
    start = student(params, problem.teacher, draws)
    return trained(start, training(params, problem, start, draws), problem.y, "half")


def score(params: TwoLayer, problem: Problem, solution: Solution) -> dict[str, np.ndarray]:
    """Recovered teacher neurons, one by one, and what the others' weights are like."""
    rows = [_row(params, problem, solution, b) for b in range(len(problem.X))]
    return {name: np.array([row[name] for row in rows]) for name in COLUMNS}


def _row(params: TwoLayer, problem: Problem, solution: Solution, b: int) -> dict[str, float | bool]:
    from smallnets.descent.deep_relu import Form, states

    X, form = problem.X[b : b + 1], Form(params.slope)
    T = states(one(problem.teacher, b), X, form)[0]
    (A, _), (Z, f) = (states(one(net, b), X, form) for net in solution.value)
    first, last = (specialization.correlations(T, part) for part in (A, Z))
    best, ranks = specialization.best(last)[0], specialization.winner_ranks(first, last) / max(last.shape[2] - 1, 1)
    fan_out = np.linalg.norm(solution.value[1].layers[1].W[b], axis=1)
    near = last[0].max(axis=0) > FOUND
    reached = np.full(NEURONS, np.nan)
    reached[: len(best)] = (best > FOUND)[:NEURONS]
    error = float(((f - problem.y[b]) ** 2).mean())
    return {
        "recovered": bool((best > FOUND).all()),
        "share": float((best > FOUND).mean()),
        "best": float(best.mean()),
        "error": error,
        "rank": float(specialization.mean_over(ranks, specialization.live(T))[0]),
        "students": float(specialization.matches(last, FOUND).mean()),
        "strong_fan_out": float(fan_out[near].mean()) if near.any() else np.nan,
        "weak_fan_out": float(fan_out[~near].mean()) if not near.all() else np.nan,
        "observed": float(_observed(T[0], Z[0]).mean()),
        **{f"found_{i}": float(found) for i, found in enumerate(reached, start=1)},
    }


def _observed(T: np.ndarray, Z: np.ndarray) -> np.ndarray:
    """How well each teacher neuron's boundary is seen: points on its rarer side where a student neuron is active.

    The best student counts; a share of the points, (m,).
    """
    on, seen = (T > 0).astype(float), (Z > 0).astype(float)
    both = on.T @ seen
    return np.minimum(both, seen.sum(axis=0) - both).max(axis=1) / len(T)


COLUMNS = {
    "recovered": Column("each teacher neuron has a student neuron with a correlation above 0.95", "event"),
    "share": Column("share of teacher neurons with such a student neuron", "measure"),
    "best": Column("largest correlation with a student neuron, mean over teacher neurons", "measure"),
    "error": Column("mean squared error on new points", "measure", logarithmic=True, replay=Replay(1e-3, floor=1e-20)),
    "rank": Column("rank of the winners at the start over that of the last", "measure", optional=True),
    "students": Column("such student neurons per teacher neuron", "measure"),
    "strong_fan_out": Column(
        "norm of the output weights of student neurons with a teacher neuron", "measure", optional=True
    ),
    "weak_fan_out": Column("norm of the output weights of the others", "measure", optional=True),
    "observed": Column("share of points on the rarer side of a teacher's boundary that one student sees", "measure"),
    **{
        f"found_{i}": Column(f"teacher neuron {i} has a student neuron", "measure", optional=True)
        for i in range(1, NEURONS + 1)
    },
}


def strong_first(table: Any) -> float:
    """With p = 2.5 the strongest of 20 teacher neurons is found more often than the weakest (difference of rates)."""
    rows = table.query("start == 'random' and m == 20 and epochs == 100 and decay == 2.5")
    return float(rows["found_1"].mean() - rows["found_20"].mean())


MULTIS, DECAYS = [1, 2, 5, 10], [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]

TWO_LAYER_SPECIALIZATION = Experiment(
    name="multilayer_dynamics.two_layer_specialization",
    question="Which teacher neurons does a two-layer student find?",
    params=TwoLayer,
    sample=sample,
    solve=solve,
    score=score,
    columns=COLUMNS,
    presets={
        "tiny": Grid(
            {"decay": [0.0, 1.0], "start": ["random", "against"]}, 2,
            {"d": 10, "m": 3, "node_multi": 2, "outputs": 5, "points": 200, "steps": 50, "epochs": 2,
                   "eval_points": 200}),
        "quick": Grid(
            {"node_multi": [1, 5], "decay": [0.0, 1.0, 2.0]}, 4,
            {"d": 30, "epochs": 6, "eval_points": 2000}),
        "paper": Grid(
            {"epochs": [6, 100], "m": [5, 10, 20], "node_multi": MULTIS, "decay": DECAYS}, 32),
        "early": Grid({"epochs": [6], "m": [5, 10, 20], "node_multi": MULTIS, "decay": DECAYS}, 32, published=2),
        "strength": Grid({"epochs": [100], "m": [20], "node_multi": MULTIS, "decay": DECAYS}, 32, published=2),
        "narrow": Grid({"epochs": [100], "m": [5], "node_multi": [1], "decay": DECAYS}, 32, published=2),
        "shape": Grid({"epochs": [100], "m": [10], "node_multi": MULTIS, "decay": [0.0, 1.0, 2.0]}, 32),
        "readme": Grid({"epochs": [1, 2, 3, 4]}, 8, published=8),
        "adversarial": Grid(
            {"start": ["random", "towards", "against"], "decay": DECAYS}, 8, {"epochs": 20}, published=4),
    },
    citation=CITATION,
    batch=16,
    sampled=("decay",),
    figures={
        "convergence": Computed("neurec_papers.multilayer_dynamics.progress:convergence"),
        "l_shape": Computed("neurec_papers.multilayer_dynamics.progress:l_shape"),
    },
    claims=(Claim(strong_first, 1, 0.1, README),),
)  # fmt: skip
