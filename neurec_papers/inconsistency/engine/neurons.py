"""Training two-layer ReLU nets with one input, neuron by neuron: many nets, each exactly as if it were alone.

    f(x) = c + alpha_2 sum_i w_i relu(alpha_1 a_i x + b_i),   i = 1, ..., m

A step costs O(m + n), for any number of points. All numbers are float64.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from neurec_core.params import BadInput, received
from smallnets.arguments import Check, array, ascending, checked, choice, indices, record, shaped, whole

from . import neuron_kernels as kernels

SCALES = array("factors of the slopes and of the output weights", "2")
OPTIMIZERS = {"gd": kernels.GD, "momentum": kernels.MOMENTUM, "adam": kernels.ADAM}


class Neurons(NamedTuple):
    """B nets: slopes ``a (B, m)``, biases ``b (B, m)``, output weights ``w (B, m)``, output bias ``c (B,)``.

    Snapshots have one more axis, ``(B, S, m)`` and ``(B, S)``.
    """

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    c: np.ndarray


class Points(NamedTuple):
    """Points ``x``, (n,) or (B, n), in any order; labels ``y`` as well; and their shares nu.

    ``shares`` are (B, n), or (B, steps, n) with one row per step, as for minibatches; None: 1/n each. The loss is
    1/2 sum_j nu_j (f(x_j) - y_j)^2: shares 2/n make it the mean squared error without 1/2.
    """

    x: np.ndarray
    y: np.ndarray
    shares: np.ndarray | None = None


def _nets(finite: bool) -> Check:
    return record(
        a=array("slopes", "B m", finite=finite),
        b=array("biases", "B m", finite=finite),
        w=array("output weights", "B m", finite=finite),
        c=array("output biases", "B", finite=finite),
    )


def _split(theta: np.ndarray) -> Neurons:
    m = theta.shape[-1] // 3
    return Neurons(theta[..., :m], theta[..., m : 2 * m], theta[..., 2 * m : 3 * m], theta[..., 3 * m])


def _joined(neurons: Neurons) -> np.ndarray:
    a, b, w, c = neurons
    return np.concatenate([a, b, w, c[:, None]], axis=1)


class LineTraining(NamedTuple):
    """B nets on their way, with all that is needed to go on as if there had been no stop.

    ``theta, first, second (B, 3m + 1)`` are the weights (a, b, w, c) and the optimiser's two moments of them;
    ``step`` counts the steps taken; ``kink (B,)`` is the largest |b_i / (alpha_1 a_i)| after any of them;
    ``reached (B,)`` is the step after which it had first come to `reach`, -1 if it has not; ``diverged (B,)`` is
    the step after which the outputs were not finite, -1 if they are: such a net is left as it is.
    ``shots (B, S, 3m + 1)`` are the weights that the last call was asked to note, NaN after divergence. ``scales`` are
    alpha_1 and alpha_2, the same for all nets.
    """

    theta: np.ndarray
    first: np.ndarray
    second: np.ndarray
    step: int
    kink: np.ndarray
    reached: np.ndarray
    diverged: np.ndarray
    shots: np.ndarray
    scales: tuple[float, float]

    @property
    def neurons(self) -> Neurons:
        """The nets as they are."""
        return _split(self.theta)

    @property
    def snapshots(self) -> Neurons:
        """The nets as they were at the steps noted, with a second axis S."""
        return _split(self.shots)

    @checked(self=record(theta=array("weights", "B _", finite=False)), keep=indices("nets", "_", "B"))
    def pick(self, keep: np.ndarray) -> LineTraining:
        """Some of the nets only; `keep` indexes the trial axis."""
        return LineTraining._make(part[keep] if isinstance(part, np.ndarray) else part for part in self)


@checked(neurons=_nets(finite=True), scales=SCALES)
def begin(neurons: Neurons, *, scales: tuple[float, float] = (1.0, 1.0)) -> LineTraining:
    """A run at step 0, with moments of zero; the scales are alpha_1, alpha_2, > 0.

    Raises
    ------
    BadInput : "b (biases) must be an array of shape (B, m) = (3, 16), got (3, 15)", or entries that are not finite
    """
    theta = _joined(neurons)
    B = len(theta)
    never = np.full(B, -1)
    moments, shots = (np.zeros_like(theta), np.zeros_like(theta)), np.empty((B, 0, theta.shape[1]))
    inner, outer = map(float, scales)
    return LineTraining(theta, *moments, 0, np.zeros(B), never, never.copy(), shots, (inner, outer))


@checked(
    run=record(theta=array("weights", "B _", finite=False)),
    points=record(
        x=array("points", "n|B n"), y=array("labels", "n|B n"), shares=array("shares of the points", "B n|B _ n")
    ),
    steps=whole("how many to take"),
    rate=array("step size", "|B"),
    optimizer=choice("optimizer", OPTIMIZERS),
    reach=array("x_D", "|B", finite=False, interval="[0, inf]"),
    snapshots=ascending("steps to note"),
)
def advance(
    run: LineTraining,
    points: Points,
    *,
    steps: int,
    rate: float | np.ndarray,
    optimizer: str = "gd",
    reach: float | np.ndarray = np.inf,
    snapshots: Sequence[int] = (),
) -> LineTraining:
    """Take steps on ``1/2 sum_j nu_j (f(x_j) - y_j)^2``, all weights at once from their old values.

    A neuron is active where a x + b >= 0: at a pre-activation of exactly 0, too, as in the NumPy code of the
    paper's Monte-Carlo experiment; torch counts it as inactive. It matters only to a neuron whose kink is a
    point to the last bit.

    Parameters
    ----------
    run : from `begin` or from the last call; several calls take the same steps as one
    points : what the nets are trained on
    steps : how many, >= 0
    rate : step size, one or (B,)
    optimizer : "gd"; "momentum": v <- 0.9 v + g, theta <- theta - rate v; "adam": decays 0.9 and 0.999, corrected
        for their bias, 1e-8 added to the root
    reach : x_D, one or (B,)
    snapshots : steps, counted from `begin`, of the weights to note; ascending, between the first and last here

    Returns
    -------
    run : a new one; the old is not changed

    Raises
    ------
    BadInput : "points.y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", or a name that is not known

    **Source**: holzmuller2022training, Section 2 and its code; differs: the sums are ordered by neuron, not by point.
    """
    B, (inner, outer) = len(run.theta), run.scales
    x, y, nu = _ascending(points, inner, B, steps)
    powers = np.arange(run.step + 1.0, run.step + steps + 1)
    task = kernels.KernelCall(
        x, y, nu, _each(rate, B), inner * _each(reach, B), outer, OPTIMIZERS[optimizer],
        run.step, steps, 1 / (1 - kernels.KEPT**powers), (1 - kernels.KEPT_SQUARES**powers) ** -0.5,
        _within(snapshots, run.step, run.step + steps),
    )  # fmt: skip
    return _trained(run, task)


def _trained(run: LineTraining, task: kernels.KernelCall) -> LineTraining:
    inner, _ = run.scales
    theta, first, second = (part.copy() for part in run[:3])
    shots = np.full((len(theta), len(task.at), theta.shape[1]), np.nan)
    tally = kernels.Tally(inner * run.kink, run.reached.copy(), run.diverged.copy(), shots)
    kernels.train(theta, first, second, task, tally)
    step = task.done + task.steps
    tally.diverged[(tally.diverged < 0) & ~np.isfinite(theta).all(axis=1)] = step
    shots[:, task.at == step] = np.where(tally.diverged < 0, theta.T, np.nan).T[:, None]
    return LineTraining(
        theta, first, second, step, tally.kink / inner, tally.reached, tally.diverged, shots, run.scales
    )


@checked(neurons=_nets(finite=False), x=array("points", "n|B n"), scales=SCALES)
def outputs(neurons: Neurons, x: np.ndarray, *, scales: tuple[float, float] = (1.0, 1.0)) -> np.ndarray:
    """f(x) in O((m + n) log n) per net.

    Parameters
    ----------
    neurons : B nets; one that has diverged has outputs that are not finite
    x : (n,) or (B, n) array
    scales : alpha_1, alpha_2

    Returns
    -------
    f : (B, n) array

    Raises
    ------
    BadInput : "x (points) must be an array of shape (B, n) = (3, any), got (2, 6)"
    """
    theta = _joined(neurons)
    x = _broad(x, len(theta))
    inner, outer = map(float, scales)
    order = np.argsort(x, axis=1, kind="stable")
    f = kernels.outputs(theta, inner * np.take_along_axis(x, order, axis=1), outer)
    return np.take_along_axis(f, np.argsort(order, axis=1), axis=1)


def _broad(line: np.ndarray, B: int) -> np.ndarray:
    return np.broadcast_to(line, (B, line.shape[-1]))


def _ascending(points: Points, inner: float, B: int, steps: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scaled points, labels, and shares (B, 1 or steps, n), for each net in the order of its points."""
    n = points.x.shape[-1]
    nu = np.full((B, 1, n), 1 / n) if points.shares is None else points.shares.reshape(B, -1, n)
    if nu.shape[1] != 1:
        shaped("points.shares", "shares of the points", "(B, n) or (B, steps, n)", nu, shape=(B, steps, n))
    x, y = inner * _broad(points.x, B), _broad(points.y, B)
    order = np.argsort(x, axis=1, kind="stable")
    x, y = (np.take_along_axis(part, order, axis=1) for part in (x, y))
    return x, y, np.take_along_axis(nu, order[:, None], axis=2)


def _each(values: float | np.ndarray, B: int) -> np.ndarray:
    return np.array(np.broadcast_to(values, (B,)))


def _within(snapshots: Sequence[int], low: int, high: int) -> np.ndarray:
    at = np.asarray(snapshots, np.int64)
    if len(at) and (at[0] < low or at[-1] > high):
        raise BadInput(f"snapshots (steps to note) must ascend in [{low}, {high}], got {received(at.tolist())}")
    return at
