"""Stochastic gradient descent of deep students on what their teachers say, many pairs at once.

The losses are ``mean`` (f - y)^2 over points and outputs, ``half`` of the mean over points of |f - y|^2, and the
``cross_entropy`` of f with the teacher's largest output.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn import functional

from ..arguments import array, checked, choice, record, whole
from ..errors import InvalidInput
from . import training
from .deep_relu import PLAIN, DeepNet, Form, Network, forward, network
from .device import DTYPES
from .optimizers import adam, gd

Source = Callable[[int], np.ndarray]
Loss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
CHUNK = 16  # batches that are gathered, and that the teacher is asked about, at once
SMALL = 1e-5  # added to norms by the published normalisation


class Epoch(NamedTuple):
    """Where training stands: ``losses (B,)`` are means over the epoch, each before its step; ``finite (B,)``."""

    number: int
    losses: np.ndarray
    finite: np.ndarray
    net: Network


def _mean(f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (f - y).square().mean((1, 2))


def _half(f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (f - y).square().sum((1, 2)) / (2 * f.shape[1])


def _cross_entropy(f: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return -functional.log_softmax(f, 2).gather(2, y.argmax(2, keepdim=True)).mean((1, 2))


POINTS = array("points", "B N d")
LOSSES: dict[str, Loss] = {"mean": _mean, "half": _half, "cross_entropy": _cross_entropy}


class Method(NamedTuple):
    """How weights are changed.

    ``loss`` is a key of `LOSSES`; ``optimizer`` "sgd" with ``momentum`` in [0, 1), or "adam" (0.9, 0.999, 1e-8), with
    ``weight_decay`` times the weights added to the gradient, all as in torch. With ``normalize`` every neuron's weights
    are brought to norm 1 after each step, its bias with them. ``trained`` says for each layer whether it learns, and
    ``biases`` whether biases do.
    """

    loss: str = "mean"
    optimizer: str = "sgd"
    momentum: float = 0.0
    weight_decay: float = 0.0
    normalize: bool = False
    trained: Sequence[bool] | None = None
    biases: bool = True


class Schedule(NamedTuple):
    """What networks are trained on, epoch by epoch, in what order and with what step size.

    ``points`` are ``epoch -> X``, (B, N, d), or (1, N, d) for all networks; the same array again is not loaded again.
    ``order`` is ``epoch -> (B, n) of whole numbers``, the points in the order in which they come, ``batch`` per step;
    the last step of an epoch takes those that are left. ``rates`` are the step sizes of the epochs.
    """

    points: Source
    order: Source
    rates: Sequence[float] | np.ndarray
    batch: int = 64


USUAL = Method()


@checked(
    schedule=record(
        rates=array("step size of every epoch", "E", empty=True, interval="[0, inf)"),
        batch=whole("points per step", "[1, inf)"),
    ),
    dtype=choice("dtype", DTYPES),
)
def train(
    student: DeepNet,
    teacher: DeepNet,
    schedule: Schedule,
    *,
    form: Form = PLAIN,
    method: Method = USUAL,
    dtype: str = "float64",
    device: str | None = None,
) -> Iterator[Epoch]:
    """Train; what is yielded after each epoch holds the networks themselves, which go on changing.

    A network whose loss or weights are not finite stays so, and the others are not touched; when none is left,
    training ends.

    Parameters
    ----------
    student : where to start
    teacher : whose outputs are learnt; no batch norm, the same slope
    schedule : points, their order and step sizes
    form : what the student's hidden layers do
    method : how weights are changed
    dtype : float32 or float64
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    InvalidInput : "schedule.batch (points per step) must be a whole number in [1, inf), got 0", layers that do not fit,
        or names

    **Source**: tian2019luck and tian2020student, their code (float32); differs: a network's points and start do not
    depend on the networks beside it, and teachers are asked about many batches at once.
    """
    net, wise = (network(one, kind, dtype, device) for one, kind in ((student, form), (teacher, form.teachers)))
    if net.W[0].shape[:2] != wise.W[0].shape[:2] or net.W[-1].shape[2] != wise.W[-1].shape[2]:
        raise InvalidInput(
            f"teacher (networks to learn from) must have the student's B, inputs and outputs, got layers of "
            f"{[tuple(W.shape) for W in wise.W]} for {[tuple(W.shape) for W in net.W]}"
        )
    return _reports(net, _course(net, method, _epochs(net, wise, schedule)))


def _course(net: Network, method: Method, epochs: training.Epochs) -> Iterator[training.Progress]:
    choice("loss", tuple(LOSSES))("loss", method.loss, {})
    choice("optimizer", ("sgd", "adam"))("optimizer", method.optimizer, {})
    rule = adam(method.weight_decay) if method.optimizer == "adam" else gd(method.momentum, method.weight_decay)
    if method.trained is not None and len(method.trained) != len(net.W):
        raise InvalidInput(f"trained (which layers learn) must name {len(net.W)} layers, got {method.trained}")
    apart, layers = LOSSES[method.loss], [i for i in range(len(net.W)) if method.trained is None or method.trained[i]]

    def loss(net: Network, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return apart(forward(net, x, training=True)[-1], y)

    def normalize(net: Network) -> None:
        for i in layers:
            size = torch.linalg.vector_norm(net.W[i], dim=1, keepdim=True).add_(SMALL)
            net.W[i].div_(size)
            net.b[i].div_(size)

    groups = [net.W, *([net.b] if method.biases else []), *([net.scale, net.shift] if net.form.affine else [])]
    learning = [group[i] for group in groups for i in layers if i < len(group)]
    after = normalize if method.normalize else None
    return training.train(loss, net, epochs, rule, learning=learning, after=after)


def _reports(net: Network, course: Iterator[training.Progress]) -> Iterator[Epoch]:
    finite = np.ones(len(net.W[0]), dtype=bool)
    for number, progress in enumerate(course, start=1):
        mean = np.average(progress.losses, axis=1, weights=progress.points)
        finite = finite & np.isfinite(mean) & net.finite().cpu().numpy()
        yield Epoch(number, mean, finite, net)
        if not finite.any():
            return


def _epochs(net: Network, teacher: Network, schedule: Schedule) -> Iterator[tuple[Iterator[training.Batch], float]]:
    """The batches of each epoch, and its step size."""
    points, order, rates, batch = schedule
    B = len(net.W[0])
    given: np.ndarray | None = None
    for epoch, rate in enumerate(rates):
        found = points(epoch)
        if found is not given:
            found = POINTS("X", found, {"B": B if len(found) > 1 else 1, "d": net.inputs})
            X, given = torch.tensor(found, dtype=net.W[0].dtype, device=net.W[0].device), found
            rows = X.flatten(0, 1)  # picked out as rows, points are copied in one piece each
            first = torch.arange(B, device=X.device)[:, None] * (len(rows) // len(X) if len(X) > 1 else 0)
        at = torch.tensor(order(epoch), device=rows.device) + first
        if not at.numel():
            raise InvalidInput(f"order (points of an epoch) must hold at least one, got none in epoch {epoch}")
        yield _batches(teacher, rows, at, batch), float(rate)


def _batches(teacher: Network, rows: torch.Tensor, at: torch.Tensor, batch: int) -> Iterator[training.Batch]:
    for some in at.split(CHUNK * batch, 1):
        x = rows[some]
        yield from zip(x.split(batch, 1), forward(teacher, x)[-1].split(batch, 1), strict=True)
