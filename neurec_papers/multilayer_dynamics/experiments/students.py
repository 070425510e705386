"""Deep students of deep teachers: what both papers' multilayer programs start from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Self

import numpy as np
from pydantic import field_validator, model_validator

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_core.params import BadInput, Params, param
from smallnets.nets.deep_nets import Layer, fan_ins

from ..engine import images
from ..engine.teachers import VALUES, default_layer, enough, normalized, rates, separated, widths
from .shared import BIASES, FRESH, NORMALIZE, WIDTHS, node_multi

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet, Form
    from smallnets.descent.deep_training import Epoch

LAYERS = 4  # hidden layers that a row describes


class DeepStudents(Params):
    """A teacher, students with more neurons in every hidden layer, and how they are trained."""

    d: int = param(20, "inputs; images, and convolutions, have their own number", ge=1, le=10_000)
    widths: str = WIDTHS
    outputs: int = param(100, "numbers that a network puts out", symbol="c", ge=1, le=10_000, slider=(1, 100, 9))
    node_multi: int = node_multi(10)
    teacher: Literal["separated", "default"] = param("separated", "teacher's weights: separated, or torch's default")
    values: Literal["five", "nine"] = param("five", "values that a weight of a separated teacher takes")
    biases: bool = BIASES
    tuned: bool = param(False, "teacher's biases moved so that each hidden neuron is active on half of the points")
    decay: float = param(
        0.0, "decay of the teacher's strength: inputs i of higher layers have weights over i to this power", symbol="p",
        ge=0, le=10,
    )  # fmt: skip
    standardized: bool = param(False, "teacher's outputs brought to mean 0 and variance 1")
    pairs: Literal["own", "shared"] = param("own", "whether each trial has its own teacher and points")
    data: Literal["gaussian", "uniform", "mnist", "cifar10", "mnist_like", "cifar10_like"] = param(
        "gaussian", "points; images are read from disk, their likes are drawn"
    )
    data_std: float = param(10.0, "standard deviation of the points, or uniform width", symbol="s", gt=0, le=1e4,
                            slider=(1, 20, 1))  # fmt: skip
    points: int = param(100_000, "training points", symbol="N", ge=1, le=10_000_000)
    fresh: bool = FRESH
    network: Literal["dense", "convolutional"] = param("dense", "hidden layers")
    slope: float = param(0.0, "activation's slope below zero", ge=0, le=1)
    batch_norm: Literal["without", "after", "before"] = param(
        "without", "student's batch norm, after the ReLU or before"
    )
    affine: bool = param(False, "weights of the batch norm")
    normalize: bool = NORMALIZE
    loss: Literal["mean", "cross_entropy"] = param(
        "mean", "loss: mean square, or cross entropy with the largest output"
    )
    optimizer: Literal["sgd", "adam"] = param("sgd", "optimiser")
    rate: str = param("0.05", "step size, or from which epoch on which")
    momentum: float = param(0.0, "momentum of sgd", ge=0, le=0.999)
    weight_decay: float = param(0.0, "weight decay", ge=0, le=1)
    batch: int = param(64, "points per step", ge=2, le=100_000)
    epochs: int = param(40, "passes over the training points", symbol="E", ge=0, le=10_000)
    eval_points: int = param(4096, "points on which correlations are measured", ge=2, le=100_000)
    dtype: Literal["float64", "float32"] = param("float64", "precision; the published one is float32")

    @field_validator("widths")
    @classmethod
    def _not_too_deep(cls, words: str) -> str:
        if len(widths(words)) > LAYERS:
            raise BadInput(f"widths (neurons of the hidden layers) must name at most {LAYERS} layers, got {words!r}")
        return words

    @field_validator("rate")
    @classmethod
    def _readable(cls, words: str) -> str:
        rates(words, 1)
        return words

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.image:
            if self.tuned:
                raise BadInput("tuned (teacher's biases moved) must be false for convolutional layers")
            sides = self.image[1:]
            if min(sides) <= 2 * len(self.hidden):
                raise BadInput(f"widths (hidden layers) must be fewer than {min(sides) // 2} over images of {sides}")
        if self.teacher == "separated":
            sizes = zip(fan_ins(self.inputs, self.hidden, self.image), (*self.hidden, self.outputs), strict=True)
            for into, out in sizes:
                enough(out, into, VALUES[self.values])
        self._agrees()
        return self

    def _agrees(self) -> None:
        """Refuse what would be silently left aside."""
        if self.momentum and self.optimizer == "adam":
            raise BadInput(f"momentum (of sgd) must be 0 with adam, got {self.momentum:g}")
        if self.affine and self.batch_norm == "without":
            raise BadInput("affine (weights of the batch norm) must be false where there is no batch norm")
        if self.batch_norm != "without" and self.points % self.batch == 1:
            raise BadInput(f"points (training points) must not leave a batch of one to a batch norm, got {self.points}")
        if self.fresh and self.data in images.STORED:
            raise BadInput(f"fresh (new points in every epoch) must be false for stored images, got {self.data}")
        if self.loss == "cross_entropy" and self.outputs == 1:
            raise BadInput("outputs (numbers that a network puts out) must be at least 2 for cross entropy, got 1")

    @property
    def hidden(self) -> tuple[int, ...]:
        """Neurons of the teacher's hidden layers."""
        return widths(self.widths)

    def form(self) -> Form:
        """What the student's hidden layers do."""
        from smallnets.descent.deep_relu import Form

        norm = {"without": "none", "after": "after", "before": "before"}[self.batch_norm]
        return Form(self.slope, norm, self.affine, self.image)  # type: ignore[arg-type]

    @property
    def image(self) -> tuple[int, int, int] | None:
        """Channels, height and width that convolutions see."""
        return images.SHAPES.get(self.data, (1, 16, 16)) if self.network == "convolutional" else None

    @property
    def inputs(self) -> int:
        """Numbers of a point: of an image, or d."""
        if self.network == "convolutional" or self.data in images.SHAPES:
            return int(np.prod(images.SHAPES.get(self.data, (1, 16, 16))))
        return self.d


def of_pairs(params: DeepStudents, draws: Draws) -> Draws:
    """The draws of teachers and points: those of the trials themselves, or of trial 0 for all of them."""
    return Draws(draws.seed, [0]) if params.pairs == "shared" else draws


def sample(params: DeepStudents, draws: Draws) -> Problem:
    """Points on which networks are compared, the teacher's outputs there, and the teacher.

    **Source**: tian2019luck, its code; that of tian2020student for standardized outputs.
    """
    from smallnets.descent.deep_relu import states

    own = of_pairs(params, draws)
    net = teacher(params, own)
    X = _stretched(cloud(params, own, images.TEST, params.eval_points), len(own))
    y = states(net, X, params.form().teachers)[-1]
    B = len(draws)
    layers = tuple(Layer(_stretched(W, B), _stretched(b, B)) for W, b in net.layers)
    return Problem(_stretched(X, B), _stretched(y, B), type(net)(layers))


def _stretched(array: np.ndarray, B: int) -> np.ndarray:
    """One for all of B trials, where there is one."""
    return array if len(array) == B else np.repeat(array, B, axis=0)


def teacher(params: DeepStudents, draws: Draws) -> DeepNet:
    """Separated or default weights, biases U(-1/2, 1/2) or default, every neuron brought to norm 1 with its bias."""
    from smallnets.descent.deep_relu import DeepNet, states

    layers = []
    sizes = zip(fan_ins(params.inputs, params.hidden, params.image), (*params.hidden, params.outputs), strict=True)
    for i, (into, out) in enumerate(sizes, start=1):
        if params.teacher == "separated":
            W = separated(draws, f"teacher {i}", out, into, values=VALUES[params.values])
            if i > 1 and params.decay:
                W = W / (np.arange(1, into + 1) ** params.decay)[:, None]
            layer = Layer(W, draws.uniform(f"teacher bias {i}", out) - 0.5)
        else:
            layer = default_layer(draws, f"teacher {i}", into, out)
        layers.append(normalized(layer if params.biases else Layer(layer.W, np.zeros_like(layer.b))))
    if not (params.tuned or params.standardized):
        return DeepNet(tuple(layers))
    X = _stretched(cloud(params, draws, "standardized", params.eval_points), len(draws))
    form = params.form().teachers
    for i in range(len(layers) - 1 if params.tuned else 0):
        linear = states(DeepNet(tuple(layers[: i + 1])), X, form)[-1]  # of the layer as if it were the last
        layers[i] = Layer(layers[i].W, layers[i].b - np.median(linear, axis=1))
    if params.standardized:
        y = states(DeepNet(tuple(layers)), X, form)[-1]
        (W, b), size = layers[-1], y.std(axis=1)
        size = np.where(size > 0, size, 1.0)  # an output that does not vary is brought to mean 0 only
        with np.errstate(over="ignore"):  # one that hardly varies may leave the range of floats: the trial diverges
            layers[-1] = Layer(W / size[:, None], (b - y.mean(axis=1)) / size)
    return DeepNet(tuple(layers))


def student(params: DeepStudents, draws: Draws) -> DeepNet:
    """torch's default start, U(+-1/sqrt(inputs)), with `node_multi` times the teacher's neurons."""
    from smallnets.descent.deep_relu import DeepNet

    hidden = [params.node_multi * width for width in params.hidden]
    sizes = zip(fan_ins(params.inputs, hidden, params.image), (*hidden, params.outputs), strict=True)
    layers = [default_layer(draws, f"student {i}", into, out) for i, (into, out) in enumerate(sizes, start=1)]
    if not params.biases:
        layers = [Layer(layer.W, np.zeros_like(layer.b)) for layer in layers]
    if params.normalize:
        layers = [normalized(layer) for layer in layers]
    return DeepNet(tuple(layers))


def cloud(params: DeepStudents, draws: Draws, name: str, number: int) -> np.ndarray:
    """Points (B, n, d) drawn by the name; images from disk are (1, n, d), the same for all."""
    if params.data in images.SHAPES:
        return images.read(params.data, draws, name, number)
    if params.data == "uniform":
        return params.data_std * (draws.uniform(name, number, params.inputs) - 0.5)
    return params.data_std * draws.normal(name, number, params.inputs)


def training(params: DeepStudents, problem: Problem, start: DeepNet, draws: Draws) -> Iterator[Epoch]:
    """The students' epochs."""
    from smallnets.descent.deep_training import Method, Schedule, train

    own = of_pairs(params, draws)

    @lru_cache(maxsize=1)
    def drawn(name: str) -> np.ndarray:
        return cloud(params, own, name, params.points)

    def points(epoch: int) -> np.ndarray:
        return images.augmented(params.data, drawn(f"points {epoch}" if params.fresh else "points"), own, epoch)

    def order(epoch: int) -> np.ndarray:
        return np.argsort(draws.uniform(f"order {epoch}", images.number(params.data, params.points)), axis=1)

    method = Method(
        params.loss, params.optimizer, params.momentum, params.weight_decay, params.normalize,
        biases=params.biases,
    )  # fmt: skip
    schedule = Schedule(points, order, rates(params.rate, params.epochs), params.batch)
    return train(start, problem.teacher, schedule, form=params.form(), method=method, dtype=params.dtype)
