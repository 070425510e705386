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

At the outputs the first three agree, and with one input per batch the first two do.

`smallnets.descent.training` takes the steps. Two layers on the processor have a compiled kernel for the first three
rules instead: for the published 10-20-30 networks, 64 inputs or one per step, torch takes 1.8 to 2.4 times its time.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from neurec_core.params import BadInput
from smallnets.arguments import array, checked, choice, number, parts, record, shaped, whole, wholes
from smallnets.descent import training
from smallnets.descent.device import DTYPES, numbers, torch_device
from smallnets.descent.optimizers import gd

from ..theory import population
from . import matrix_kernels
from ._fused import RULES, FusedPair, Pulls, padded

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


class Method(NamedTuple):
    """How a student steps: by the ``rule`` "matrix", "exact", "gradient" or "population", with step size ``rate``.

    ``biases`` says whether the student's biases are trained; otherwise they are 0.
    """

    rule: str = "matrix"
    rate: float = 0.05
    biases: bool = True


@checked(
    teacher=parts(array("weights of a layer", "B _ _")),
    start=parts(array("weights of a layer", "B _ _")),
    method=record(rule=choice("rule", NAMES), rate=number("step size", "(0, inf)")),
    steps=whole("iterations"),
    log=wholes("iterations to note"),
    dtype=choice("dtype", DTYPES),
)
def ascend(
    teacher: Sequence[np.ndarray],
    start: Sequence[np.ndarray],
    batches: Iterable[np.ndarray],
    method: Method,
    *,
    steps: int,
    log: Collection[int] = (),
    dtype: str = "float64",
) -> Ascended:
    """So many steps W_l <- W_l + rate dW_l of all layers, each followed by dividing columns by their norms.

    torch computes on the device that the environment's NEUREC_DEVICE names, and on the CPU without it.

    Parameters
    ----------
    teacher, start : the layers' weights, first to last, at least two
    batches : inputs of the steps, several steps at a time, (B, several, N, d) arrays as of `batches.batches`; the
        population has none
    method : how the student steps
    steps : iterations, >= 0
    log : iterations at which the weights are noted, 0 the start
    dtype : float32 or float64

    Raises
    ------
    BadInput : "start (weights of layer 1) must be an array of shape (B, n + 1, m) = (3, 41, any), got (3, 40, 30)",
        or a name or number that is not known or allowed

    **Source**: tian2019luck, its code ("matrix version"); differs: published evaluations draw
    from the same stream as training and change it, ours change nothing; published accurate gradients are sums.
    """
    _check(teacher, start, method)
    stops = np.unique([0, steps, *(t for t in log if t <= steps)])
    place, chunks = torch_device(None), iter(batches)
    if len(start) == 2 and method.rule in RULES and place.type == "cpu":
        course = _compiled((teacher, start), chunks, method, stops=stops, number=np.dtype(dtype).type)
    else:
        course = _in_torch(FusedPair(teacher, start, DTYPES[dtype], place), chunks, method, stops)
    with threadpool_limits(1):  # products are too small to share
        layers = [np.stack(states, axis=1).astype(np.float64, copy=False) for states in zip(*course, strict=True)]
    noted, weights = np.isin(stops, list(log)), tuple(np.ascontiguousarray(W[:, -1]) for W in layers)
    diverged = ~np.all([np.isfinite(W).all(axis=(1, 2)) for W in weights], axis=0)
    return Ascended(weights, diverged, stops[noted], tuple(W[:, noted] for W in layers))


def _compiled(
    pair: tuple[Sequence[np.ndarray], Sequence[np.ndarray]],
    chunks: Iterator[np.ndarray],
    method: Method,
    *,
    stops: np.ndarray,
    number: type[np.floating],
) -> Iterator[Weights]:
    """The student at each stop, by the kernel."""
    teacher, student = (tuple(part.astype(number) for part in net) for net in pair)
    B, rows, _ = student[0].shape
    yield tuple(part.copy() for part in student)
    for pieces in _cut(chunks, stops, (B, rows - 1)):
        for X in pieces:
            rate = number(method.rate / X.shape[2])  # pulls are sums over the batch
            code = matrix_kernels.CODES[method.rule]
            matrix_kernels.advance(teacher, student, X.astype(number, copy=False), rate, code, method.biases)
        yield tuple(part.copy() for part in student)


def _in_torch(pair: FusedPair, chunks: Iterator[np.ndarray], method: Method, stops: np.ndarray) -> Iterator[Weights]:
    """The student at each stop, by torch."""
    unknown = pair.V[0].new_full((len(pair.V[0]),), torch.nan)  # no rule asks for the loss
    rule, biased = RULES.get(method.rule), method.biases or bool(pair.V[0][:, -1].any())

    def slopes(student: Pulls, *batch: torch.Tensor) -> tuple[torch.Tensor, Pulls]:
        if rule:
            size = batch[0].shape[1]  # pulls are sums over the batch
            found = zip(student, rule(pair, *batch), strict=True)
            pulls = [pull[:, : W.shape[1], : W.shape[2]] / size for W, pull in found]
        else:
            pulls = population(student, batch, biased=biased)
        for pull in pulls if not method.biases else ():
            pull[:, -1] = 0
        return unknown, pulls

    intervals: Iterator[Iterator[Sequence[torch.Tensor]]]
    if rule:
        intervals = (_points(pieces, pair.V[0]) for pieces in _cut(chunks, stops, (len(unknown), pair.sizes[0])))
    else:
        intervals = (itertools.repeat(pair.V, after - before) for before, after in itertools.pairwise(stops))
    epochs = ((interval, method.rate) for interval in intervals)
    yield tuple(map(numbers, pair.W))
    for _ in training.follow(slopes, pair.W, epochs, gd(), after=lambda _: pair.normalize()):
        yield tuple(map(numbers, pair.W))


def _cut(chunks: Iterator[np.ndarray], stops: np.ndarray, shape: tuple[int, int]) -> Iterator[Iterator[np.ndarray]]:
    """For each interval between stops its batches, (B, T, N, d) as many at a time as lie together."""
    rest = np.empty((0, 0))

    def pieces(number: int) -> Iterator[np.ndarray]:
        nonlocal rest
        while number:
            if not rest.shape[1]:
                if (chunk := next(chunks, None)) is None:
                    raise BadInput(f"batches (inputs of the steps) must go on for {stops[-1]} steps, and ended before")
                B, d = shape
                shaped("batches", "inputs of the steps", "(B, several, N, d)", chunk, shape=(B, None, None, d))
                rest = chunk
            piece, rest = rest[:, :number], rest[:, number:]
            number -= piece.shape[1]
            yield np.ascontiguousarray(piece)

    return (pieces(after - before) for before, after in itertools.pairwise(stops))


def _points(chunks: Iterator[np.ndarray], like: torch.Tensor) -> Iterator[tuple[torch.Tensor]]:
    """Batch after batch, (B, N, .), the constant 1 behind the inputs; on the device, and of the type, of `like`."""
    for chunk in chunks:
        B, several, batch, d = chunk.shape
        points = like.new_zeros((several, B, batch, padded(d + 1)))
        points[..., :d] = torch.from_numpy(chunk).to(like.device).swapaxes(0, 1)
        points[..., d] = 1
        yield from zip(points)


def _check(teacher: Sequence[np.ndarray], start: Sequence[np.ndarray], method: Method) -> None:
    """Refuse layers that do not fit together, or to the method.

    Raises
    ------
    BadInput : "start (weights of layer 1) must be an array of shape (B, n + 1, m) = (3, 41, any), got (3, 40, 30)",
        and the like
    """
    if len(start) != len(teacher) or len(start) < 2:
        raise BadInput(
            f"start (weights of the layers) must have as many layers as the teacher, at least 2, got {len(start)} "
            f"beside {len(teacher)}"
        )
    if method.rule == "population" and len(start) > 2:
        raise BadInput(
            f"rule (of the steps) must be one of {', '.join(RULES)} for {len(start)} layers, got {method.rule!r}"
        )
    rows, below = None, start[0].shape[1]
    for layer, (W, V) in enumerate(zip(start, teacher, strict=True)):
        meaning, last = f"weights of layer {layer}", layer == len(start) - 1
        shaped("start", meaning, "(B, n + 1, m)", W, shape=(None, rows, None))
        shaped("teacher", meaning, "(B, n + 1, m)", V, shape=(None, below, W.shape[2] if last else None))
        if not method.biases and W[:, -1].any():
            raise BadInput(f"start ({meaning}) must have biases 0 where they are not trained")
        rows, below = W.shape[2] + 1, V.shape[2] + 1
