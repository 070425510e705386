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

from ..arguments import array, checked, choice, number, whole
from ..errors import InvalidInput
from .deep_relu import PLAIN, DeepNet, Form, Network, Pass, network
from .device import DTYPES, one_thread
from .optimizers import OPTIMIZERS

Source = Callable[[int], np.ndarray]
Loss = Callable[[torch.Tensor, torch.Tensor], tuple[torch.Tensor, torch.Tensor]]
Gradients = list[tuple[torch.Tensor, ...]]
CHUNK = 16  # batches that are gathered, and that the teacher is asked about, at once
SMALL = 1e-5  # added to norms by the published normalisation


class Epoch(NamedTuple):
    """Where training stands: ``losses (B,)`` are means over the epoch, each before its step; ``finite (B,)``."""

    number: int
    losses: np.ndarray
    finite: np.ndarray
    net: Network


def _mean(f: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r = f.sub_(y)
    size = r.shape[1] * r.shape[2]
    return r.square().sum((1, 2)) / size, r.mul_(2 / size)


def _half(f: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    r = f.sub_(y)
    return r.square().sum((1, 2)) / (2 * r.shape[1]), r.div_(r.shape[1])


def _cross_entropy(f: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    named_class = y.argmax(2, keepdim=True)
    logs = functional.log_softmax(f, 2)
    g = logs.exp().scatter_add_(2, named_class, torch.full_like(logs[..., :1], -1))
    return -logs.gather(2, named_class).mean((1, 2)), g.div_(f.shape[1])


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


USUAL = Method()


@checked(
    rates=array("step size of every epoch", "E", empty=True, interval="[0, inf)"),
    batch=whole("points per step", "[1, inf)"),
    dtype=choice("dtype", DTYPES),
)
def train(
    student: DeepNet,
    teacher: DeepNet,
    points: Source,
    order: Source,
    rates: Sequence[float] | np.ndarray,
    *,
    batch: int = 64,
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
    points : ``epoch -> X``, (B, N, d), or (1, N, d) for all networks; the same array again is not loaded again
    order : ``epoch -> (B, n) of whole numbers``, the points in the order in which they come
    rates : the step size of every epoch
    batch : points per step; the last step of an epoch takes those that are left
    form : what the student's hidden layers do
    method : how weights are changed
    dtype : float32 or float64
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    InvalidInput : "batch (points per step) must be a whole number in (0, inf), got 0", layers that do not fit, or names

    **Source**: tian2019luck and tian2020student, their code (float32); differs: a network's points and start do not
    depend on the networks beside it, and teachers are asked about many batches at once.
    """
    net, wise = (network(one, kind, dtype, device) for one, kind in ((student, form), (teacher, form.teachers)))
    if net.W[0].shape[:2] != wise.W[0].shape[:2] or net.W[-1].shape[2] != wise.W[-1].shape[2]:
        raise InvalidInput(
            f"teacher (networks to learn from) must have the student's B, inputs and outputs, got layers of "
            f"{[tuple(W.shape) for W in wise.W]} for {[tuple(W.shape) for W in net.W]}"
        )
    return _epochs(wise, points, order, np.asarray(rates), batch, _Update(net, method))


def _epochs(
    teacher: Network, points: Source, order: Source, rates: np.ndarray, batch: int, update: _Update
) -> Iterator[Epoch]:
    net = update.net
    B = len(net.W[0])
    given: np.ndarray | None = None
    finite = np.ones(B, dtype=bool)
    for epoch, rate in enumerate(rates):
        with one_thread(), torch.no_grad():
            found = points(epoch)
            if found is not given:
                found = POINTS("X", found, {"B": B if len(found) > 1 else 1, "d": net.inputs})
                X, given = torch.tensor(found, dtype=net.W[0].dtype, device=net.W[0].device), found
                rows = X.flatten(0, 1)  # picked out as rows, points are copied in one piece each
                first = torch.arange(B, device=X.device)[:, None] * (len(rows) // len(X) if len(X) > 1 else 0)
            at = torch.tensor(order(epoch), device=rows.device)
            losses = torch.zeros(B, dtype=rows.dtype, device=rows.device)
            for some in at.split(CHUNK * batch, 1):
                x = rows[some + first]
                y = teacher.forward(x).outputs
                for inputs, labels in zip(x.split(batch, 1), y.split(batch, 1), strict=True):
                    made = net.forward(inputs, training=True)
                    lost, g = update.pull(made.outputs, labels)
                    update(made, g, float(rate))
                    losses.add_(lost, alpha=inputs.shape[1])
            finite &= (net.finite() & losses.isfinite()).cpu().numpy()
            mean = (losses / at.shape[1]).cpu().numpy().astype(np.float64)
        yield Epoch(epoch + 1, mean, finite.copy(), net)
        if not finite.any():
            return


class _Update:
    """One step of the optimiser; it counts its steps and keeps its moments."""

    def __init__(self, net: Network, method: Method) -> None:
        self.net, self.taken = net, 0
        choice("loss", tuple(LOSSES))("loss", method.loss, {})
        choice("optimizer", ("sgd", "adam"))("optimizer", method.optimizer, {})
        number("share of the last step", "[0, 1)")("momentum", method.momentum, {})
        number("pull to zero", "[0, inf)")("weight_decay", method.weight_decay, {})
        self.pull, self.sgd = LOSSES[method.loss], method.optimizer == "sgd"
        self.momentum, self.decay, self.normalize = method.momentum, method.weight_decay, method.normalize
        self.biases = method.biases
        learns = method.trained or [True] * len(net.W)
        self.layers = [i for i, learning in enumerate(learns) if learning]
        self.moments: list[list[torch.Tensor]] = []

    def __call__(self, made: Pass, g: torch.Tensor, rate: float) -> None:
        """Change the weights by the gradient that follows from a training pass and its outputs' gradient."""
        lowest = self.layers[0] if self.layers else len(self.net.W)
        pulled = self.net.backward(made, g, lowest)
        if self.sgd and not self.momentum and not self.net.form.affine:
            self._plain(made, pulled, lowest, rate)
        else:
            self._moved(made, pulled, lowest, rate)
        if self.normalize:
            for i in self.layers:
                size = torch.linalg.vector_norm(self.net.W[i], dim=1, keepdim=True).add_(SMALL)
                self.net.W[i].div_(size)
                self.net.b[i].div_(size)

    def _plain(self, made: Pass, pulled: Gradients, lowest: int, rate: float) -> None:
        # The gradient's product is added to the weights as it is made.
        kept = 1 - rate * self.decay
        for i in self.layers:
            (g,) = pulled[i - lowest]
            self.net.W[i].baddbmm_(made.seen[i].mT, g, beta=kept, alpha=-rate)
            if self.biases:
                b = self.net.b[i].mul_(kept) if self.decay else self.net.b[i]
                b.sub_(g.sum(1, keepdim=True), alpha=rate)

    def _moved(self, made: Pass, pulled: Gradients, lowest: int, rate: float) -> None:
        self.taken += 1
        parts, gradients = [], []
        for i in self.layers:
            g, *norm = pulled[i - lowest]
            parts.append(self.net.W[i])
            gradients.append(torch.bmm(made.seen[i].mT, g))
            if self.biases:
                parts.append(self.net.b[i])
                gradients.append(g.sum(1, keepdim=True))
            if norm:
                parts += [self.net.scale[i], self.net.shift[i]]
                gradients += norm
        if not self.moments:
            self.moments = [[torch.zeros_like(part) for _ in range(2)] for part in parts]
        for part, gradient, moments in zip(parts, gradients, self.moments, strict=True):
            gradient.add_(part, alpha=self.decay)
            if self.sgd:
                part.sub_(moments[0].mul_(self.momentum).add_(gradient), alpha=rate)
            else:
                OPTIMIZERS["adam"](part, gradient, moments, self.taken, rate)
