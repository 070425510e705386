"""The dynamics of a deep ReLU student of a ReLU teacher with columns of norm 1, many pairs at once.

A layer's weights are ``(B, n_in + 1, n_out)`` arrays: one column per neuron, its bias in the last row, which acts on a
constant 1. After every step each column is divided by its norm, the outputs' too.

    dW_l = L*_l W*_l (H*_l)^T - L_l W_l H_l^T,     L_l = <f f^T>,   L*_l = <f f*^T>,   f the inputs of layer l
    H_l = beta_l o <D D^T>,   H*_l = beta*_l o <D D*^T>,   beta_{l-1} = W_l H_l W_l^T,   beta*_{l-1} = W_l H*_l W*_l^T

with H = I at the outputs, D = 1{f > 0} and < > the mean over a batch. Rules:

- "matrix": as above. Rows of biases are dropped from beta, so that hidden layers never see a difference of biases
  above them; and a mean of products is replaced by the product of means, so that it is no gradient.
- "exact": the mean over the batch of the same rule sample by sample. With equal biases above it is the gradient.
- "gradient": the gradient of 1/2 <|y* - y|^2>.
- "population": its expectation over standard normal inputs, in closed form, for two layers.

At the outputs the first three agree, and with one input per batch the first two do. On the processor the first three
follow two layers by a compiled kernel; all else is torch's, on any device.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from smallnets.arguments import array, checked, choice, number, parts, shaped, whole, wholes
from smallnets.descent.device import DTYPES, one_thread, torch_device

from ..theory import population
from . import matrix_kernels
from ._fused import RULES, FusedPair, filled
from .batches import SAMPLINGS, batches

Weights = tuple[np.ndarray, ...]
NAMES = (*RULES, "population")


class Ascended(NamedTuple):
    """Where the dynamics lead: a layer's ``weights (B, n_in + 1, n_out)``, and which networks ``diverged (B,)``.

    ``noted`` are the weights ``(B, T, n_in + 1, n_out)`` at the iterations ``at (T,)``. The weights of a network that
    has diverged are not finite.
    """

    weights: Weights
    diverged: np.ndarray
    at: np.ndarray
    noted: Weights


@checked(
    teacher=parts(array("weights of a layer", "B _ _")),
    start=parts(array("weights of a layer", "B _ _")),
    rule=choice("rule", NAMES),
    rate=number("step size", "(0, inf)"),
    steps=whole("iterations"),
    batch=whole("inputs per step", "[1, inf)"),
    sampling=choice("sampling", SAMPLINGS),
    dtype=choice("dtype", DTYPES),
    log=wholes("iterations to note"),
)
def ascend(
    teacher: Sequence[np.ndarray],
    start: Sequence[np.ndarray],
    draws: Draws,
    *,
    rule: str = "matrix",
    rate: float,
    steps: int,
    batch: int = 64,
    sampling: str = "iid",
    fresh: bool = True,
    summed: bool = False,
    biases: bool = True,
    log: Collection[int] = (),
    dtype: str = "float64",
    device: str | None = None,
) -> Ascended:
    """So many steps W_l <- W_l + rate dW_l of all layers, each followed by dividing columns by their norms.

    Parameters
    ----------
    teacher, start : the layers' weights, first to last, at least two
    draws : the randomness of the batches
    rule : "matrix", "exact", "gradient" or "population"
    rate : step size, > 0
    steps : iterations, >= 0
    batch : inputs per step
    sampling : "iid", "antithetic" or "whitened", as in `batches`
    fresh : whether every step has new inputs; otherwise the first batch serves for all
    summed : whether "exact" adds up over the batch, as published, where all else takes means
    biases : whether the student's biases are trained; otherwise they are 0
    log : iterations at which the weights are noted, 0 the start
    dtype : float32 or float64
    device : where torch computes; None reads the environment's NEUREC_DEVICE, and is the CPU without it

    Raises
    ------
    BadInput : "start (weights of layer 1) must be an array of shape (B, n + 1, m) = (3, 41, any), got (3, 40, 30)",
        or a name or number that is not known or allowed

    **Source**: tian2019luck, its code ("matrix version"); differs: published evaluations draw
    from the same stream as training and change it, ours change nothing; published accurate gradients are sums.
    """
    teacher, start, marks = _prepared(teacher, start, draws, rule, steps, biases, log)
    if summed and rule != "exact":
        raise BadInput(f"rule (of the steps) must be exact where steps are summed over the batch, got {rule!r}")
    kind, place = DTYPES[dtype], torch_device(device)
    drawn = iter(()) if rule == "population" else batches(draws, start[0].shape[1] - 1, batch, sampling)
    if not fresh and rule != "population":
        first = next(drawn)
        drawn = itertools.repeat(np.repeat(first[:, :1], first.shape[1], axis=1))
    # Pulls of batches are sums over them.
    size = rate if summed or rule == "population" else rate / batch
    if len(start) == 2 and rule in RULES and place.type == "cpu":
        return _compiled(
            teacher, start, drawn, matrix_kernels.CODES[rule], steps, np.dtype(dtype).type(size), biases, marks
        )
    pair = FusedPair(teacher, start, kind, place)
    return _in_torch(pair, rule, _points(drawn, kind, place), steps, size, biases, marks)


def _compiled(
    teacher: Weights, start: Weights, drawn: Iterator[np.ndarray], code: int, steps: int, size: np.floating[Any],
    biases: bool, marks: list[int],
) -> Ascended:  # fmt: skip
    kind = size.dtype
    teacher, start = (tuple(part.astype(kind) for part in parts) for parts in (teacher, start))

    def advance(X: np.ndarray) -> None:
        matrix_kernels.advance(*teacher, *start, X.astype(kind, copy=False), size, code, biases)

    with threadpool_limits(1):  # products are too small to share
        return _followed(start, drawn, steps, marks, advance)


def _in_torch(
    pair: FusedPair, rule: str, points: Iterator[torch.Tensor], steps: int, size: float, biases: bool, marks: list[int]
) -> Ascended:
    noted, biased = [], biases or bool(pair.V[0][:, -1].any())
    with one_thread(), torch.no_grad():
        for t in range(steps + 1):
            if t in marks:
                noted.append(_read(pair))
            if t < steps:
                pulls = RULES[rule](pair, next(points)) if rule in RULES else population(pair.W, pair.V, biased=biased)
                pair.step(pulls, size, biases)
        return _ascended(_read(pair), marks, noted)


def _points(drawn: Iterator[np.ndarray], kind: torch.dtype, place: torch.device) -> Iterator[torch.Tensor]:
    """Batch after batch, (B, N, .), the constant 1 behind the inputs."""
    for chunk in drawn:
        B, several, batch, d = chunk.shape
        points = torch.zeros((several, B, batch, filled(d + 1)), dtype=kind, device=place)
        points[..., :d] = torch.from_numpy(chunk).to(place).swapaxes(0, 1)
        points[..., d] = 1
        yield from points


def _read(pair: FusedPair) -> Weights:
    return tuple(W.cpu().numpy().astype(np.float64) for W in pair.W)


def _followed(
    student: Weights, drawn: Iterator[np.ndarray], steps: int, marks: list[int], advance: Callable[[np.ndarray], None]
) -> Ascended:
    """Let `advance` change the student by a step on each batch (B, T, N, d) that it is handed, and note it at marks."""
    noted, t, used, chunk = [], 0, 0, next(drawn)
    for mark in sorted({*marks, steps}):
        while t < mark:
            if used == chunk.shape[1]:
                chunk, used = next(drawn), 0
            taken = min(mark - t, chunk.shape[1] - used)
            advance(np.ascontiguousarray(chunk[:, used : used + taken]))
            t, used = t + taken, used + taken
        if mark in marks:
            noted.append([W.copy() for W in student])
    return _ascended(student, marks, noted)


def _ascended(weights: Sequence[np.ndarray], at: Sequence[int], noted: Sequence[Sequence[np.ndarray]]) -> Ascended:
    """The last weights of every layer, and the layers noted at each of the iterations."""
    finite = np.all([np.isfinite(part).all(axis=(1, 2)) for part in weights], axis=0)
    snapshots = [
        np.stack([snapshot[layer] for snapshot in noted], axis=1) if noted else np.empty((len(W), 0, *W.shape[1:]))
        for layer, W in enumerate(weights)
    ]
    weights, snapshots = ([W.astype(np.float64) for W in parts] for parts in (weights, snapshots))
    return Ascended(tuple(weights), ~finite, np.array(at, dtype=np.int64), tuple(snapshots))


def _prepared(
    teacher: Sequence[np.ndarray], start: Sequence[np.ndarray], draws: Draws, rule: str, steps: int,
    biases: bool, log: Collection[int],
) -> tuple[Weights, Weights, list[int]]:  # fmt: skip
    """Both networks as arrays of floats that nobody else holds, and the iterations to note, rising.

    Raises
    ------
    BadInput : "start (weights of layer 1) must be an array of shape (B, n + 1, m) = (3, 41, any), got (3, 40, 30)",
        and the like
    """
    teacher, start = (tuple(np.array(part) for part in parts) for parts in (teacher, start))
    if len(start) != len(teacher) or len(start) < 2:
        raise BadInput(
            f"start (weights of the layers) must have as many layers as the teacher, at least 2, got {len(start)} "
            f"beside {len(teacher)}"
        )
    if rule == "population" and len(start) > 2:
        raise BadInput(f"rule (of the steps) must be one of {', '.join(RULES)} for {len(start)} layers, got {rule!r}")
    B, rows, below = len(draws), None, start[0].shape[1]
    for layer, (W, V) in enumerate(zip(start, teacher, strict=True)):
        meaning, last = f"weights of layer {layer}", layer == len(start) - 1
        shaped("start", meaning, "(B, n + 1, m)", W, (B, rows, None))
        shaped("teacher", meaning, "(B, n + 1, m)", V, (B, below, W.shape[2] if last else None))
        if not biases and W[:, -1].any():
            raise BadInput(f"start ({meaning}) must have biases 0 where they are not trained")
        rows, below = W.shape[2] + 1, V.shape[2] + 1
    return teacher, start, sorted({int(t) for t in log if 0 <= t <= steps})
