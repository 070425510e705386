"""The deep students of `reconstruction`, one knob turned at a time, and the wider ones of the second paper."""

from __future__ import annotations

import dataclasses
from typing import Literal

from neurec_core.experiment import Grid
from neurec_core.params import param

from ..engine.teachers import node_multi
from .reconstruction import RECONSTRUCTION, SHORT
from .students import Setup


class Knobs(Setup):
    """As in `reconstruction`, with students of medium width that are trained for eight epochs."""

    node_multi: int = node_multi(5)
    epochs: int = param(8, "passes over the training points", symbol="E", ge=0, le=10_000)


class Specialization(Setup):
    """As the second paper's multilayer program."""

    widths: str = param("50-75-100-125", "neurons of the teacher's hidden layers")
    values: Literal["five", "nine"] = param("nine", "values that a separated weight takes")
    tuned: bool = param(True, "teacher's biases moved so that each hidden neuron is active on half of the points")
    standardized: bool = param(True, "teacher's outputs brought to mean 0 and variance 1")
    rate: str = param("0:0.2,20:0.1", "step size, or from which epoch on which")
    points: int = param(200_000, "training points", symbol="N", ge=1, le=10_000_000)
    epochs: int = param(100, "passes over the training points", symbol="E", ge=0, le=10_000)


TURNED = {
    "node_multi": Grid({"node_multi": [1, 2, 5, 10]}, trials=10),
    "outputs": Grid({"outputs": [1, 10, 100]}, trials=10, published=2),
    "data_std": Grid({"data_std": [1.0, 3.0, 10.0]}, trials=10, published=2),
    "small_points": Grid({"rate": ["0.05", "0.5", "1.5", "4"]}, trials=10, fixed={"data_std": 1.0}, published=2),
    "rate": Grid({"rate": ["0.01", "0.05", "0.2", "0.5"]}, trials=10, published=2),
    "normalize": Grid({"normalize": [False, True]}, trials=10, published=2),
    "batch_norm": Grid({"batch_norm": ["after", "before"], "affine": [False, True]}, trials=10, published=2),
    "fresh": Grid({"fresh": [False, True]}, trials=10, published=2),
    "momentum": Grid({"momentum": [0.0, 0.9]}, trials=10, fixed={"rate": "0.005"}, published=2),
    "adam": Grid({"optimizer": ["adam"]}, trials=10, fixed={"rate": "0.001"}, published=2),
    "cross_entropy": Grid({"loss": ["mean", "cross_entropy"]}, trials=10, fixed={"outputs": 10}, published=2),
    "images": Grid({"data": ["mnist", "cifar10"]}, trials=2, fixed={"outputs": 10, "rate": "0.01", "epochs": 40}),
    "images_like": Grid(
        {"data": ["mnist_like", "cifar10_like"], "network": ["dense", "convolutional"]}, trials=2,
        fixed={"outputs": 10, "rate": "0.01", "points": 2000, "looked_at": 200},
    ),
}  # fmt: skip
BRIEF = {"points": 20_000, "looked_at": 1000, "epochs": 4, "node_multi": 2}

KNOBS = dataclasses.replace(
    RECONSTRUCTION,
    name="multilayer_dynamics.knobs",
    question="What do width, outputs, the points' size, the step size and normalisation do to a reconstruction?",
    params=Knobs,
    presets={
        "tiny": Grid(
            {"normalize": [False, True], "data_std": [1.0, 10.0]}, trials=2, fixed={**SHORT, "epochs": 2}
        ),
        "quick": Grid({"data_std": [1.0, 3.0, 10.0], "rate": ["0.05", "0.5"]}, trials=2, fixed=BRIEF),
        "paper": Grid({"node_multi": [1, 2, 5, 10], "outputs": [10, 100]}, trials=10, published=2),
        **TURNED,
    },
)  # fmt: skip
DEEP_SPECIALIZATION = dataclasses.replace(
    RECONSTRUCTION,
    name="multilayer_dynamics.deep_specialization",
    question="Do wide students specialise from the lowest layer up, and let the others fade?",
    params=Specialization,
    presets={
        "tiny": Grid({"epochs": [0, 2]}, trials=2, fixed={**SHORT, "widths": "3-4-3"}),
        "quick": Grid({"epochs": [0, 1, 3]}, trials=1, fixed={"node_multi": 1, "points": 20_000, "looked_at": 1000}),
        "paper": Grid({"node_multi": [1, 2, 5, 10], "epochs": [1, 5, 20, 100]}, trials=10),
        "part": Grid({"node_multi": [1, 2], "epochs": [1, 5, 20]}, trials=3, published=2),
        "depth": Grid(
            {"widths": ["50", "50-75", "50-75-100"]}, trials=10, fixed={"node_multi": 2, "epochs": 5}, published=2
        ),
        "readme": Grid({"epochs": [100]}, trials=1, fixed={"dtype": "float32"}),
    },
)
