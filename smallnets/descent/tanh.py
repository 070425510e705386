"""Full-batch training of two-layer tanh networks of any architecture, many of a shape: arrays in, arrays out.

The mean squared error, without 1/2, is minimised by gradient descent or by Adam from a given start, step by step as a
plain loop would, in float64. Two methods take the same steps: a compiled one, one network at a time, and one in torch
with all networks in a batch, for a graphics processor.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

import numpy as np

from ..arguments import array, ascending, checked, choice, number, sizes_of, whole
from ..errors import InvalidInput
from ..nets.tanh_nets import Architecture

OPTIMIZERS = {"gd": False, "adam": True}
METHODS = ("compiled", "batched")


class Run(NamedTuple):
    """What training ends with.

    ``theta (B, M)``; ``steps (B,)`` taken; ``loss (B,)``, the mean squared error after them, not finite where training
    diverged; ``earlier (B,)``, the same when nine tenths of the steps allowed were taken, NaN if training ended before;
    ``shots (B, S, M)``, weights at the steps noted, NaN after the end.
    """

    theta: np.ndarray
    steps: np.ndarray
    loss: np.ndarray
    earlier: np.ndarray
    shots: np.ndarray


@checked(
    net=sizes_of(M="size", d="d"),
    X=array("inputs", "B n d"),
    y=array("labels", "B n"),
    theta=array("weights to start from", "B M"),
    steps=whole("how many to take"),
    rate=number("step size", "(0, inf)"),
    optimizer=choice("optimizer", OPTIMIZERS),
    weight_decay=number("pull towards zero", "[0, inf)"),
    tolerance=number("of the mean squared error", "[0, inf)"),
    snapshots=ascending("steps at which to note weights"),
    method=choice("method", METHODS),
    dtype=choice("dtype", ("float32", "float64")),
)
def train(
    net: Architecture,
    theta: np.ndarray,
    X: np.ndarray,
    y: np.ndarray,
    *,
    steps: int,
    rate: float,
    optimizer: str = "gd",
    weight_decay: float = 0.0,
    tolerance: float = 0.0,
    snapshots: tuple[int, ...] = (),
    method: str | None = None,
    dtype: str = "float64",
    device: str | None = None,
) -> Run:
    """Train B networks, each by itself, until its mean squared error is below the tolerance.

    Parameters
    ----------
    net : the architecture
    theta : (B, M) array to start from
    X, y : (B, n, d) and (B, n) arrays
    steps : most steps, >= 0
    rate : step size, > 0
    optimizer : "gd" or "adam" (0.9, 0.999, 1e-8), as in torch
    weight_decay : added to the gradient, times the weights, as in torch; >= 0
    tolerance : of the mean squared error on the training points; looked at before each step
    snapshots : steps at which weights are noted, ascending
    method : "compiled" or "batched"; None takes the compiled one on the CPU in float64
    dtype : "float64", or "float32", which only the batched method knows
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    InvalidInput : "y (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", a number out of range, or a name

    **Source**: zhang2025local, Section 5; steps, loss and stopping as spelt out here, which the paper leaves open.
    """
    rule, marks = (OPTIMIZERS[optimizer], rate, weight_decay, tolerance, steps), np.asarray(snapshots)
    elsewhere = (device or os.environ.get("NEUREC_DEVICE") or "cpu").partition(":")[0] != "cpu"
    chosen = method or ("batched" if elsewhere or dtype != "float64" else "compiled")
    if chosen == "batched":
        from . import _tanh_batched

        return Run(*_tanh_batched.train(net, theta, (X, y), rule, marks=marks, dtype=dtype, device=device))
    if dtype != "float64":
        raise InvalidInput(f"dtype (numbers computed with) must be float64 for method compiled, got {dtype!r}")
    return _one_by_one(net, theta.copy(), X, y, rule=rule, marks=marks)


def _one_by_one(
    net: Architecture, theta: np.ndarray, X: np.ndarray, y: np.ndarray, *, rule: Any, marks: np.ndarray
) -> Run:
    from . import tanh_kernels as kernels

    B = len(y)
    # Unsigned: numba would look at signed indices for a count from the end.
    arrays = (part.astype(np.uint64, order="C") for part in (net.inputs, net.weights, net.biases, net.outputs))
    parts = (*arrays, net.constant)
    ends, shots = np.empty((B, 3)), np.full((B, len(marks), net.size), np.nan)
    for b in range(B):
        ends[b] = kernels.train(theta[b], np.ascontiguousarray(X[b].T), y[b], parts, rule, marks, shots[b])
    return Run(theta, ends[:, 0].astype(np.int64), ends[:, 1], ends[:, 2], shots)
