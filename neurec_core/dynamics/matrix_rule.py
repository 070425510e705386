"""The dynamics of a deep ReLU student of a ReLU teacher with columns of norm 1, many pairs at once, in torch.

A layer's weights are ``(B, n_in + 1, n_out)`` arrays: a column a neuron, its bias in the last row, which acts on a
constant 1. After every step each column is divided by its norm, the outputs' too.

    dW_l = L*_l W*_l (H*_l)^T - L_l W_l H_l^T,     L_l = <f f^T>,   L*_l = <f f*^T>,   f the inputs of layer l
    H_l = beta_l o <D D^T>,   H*_l = beta*_l o <D D*^T>,   beta_{l-1} = W_l H_l W_l^T,   beta*_{l-1} = W_l H*_l W*_l^T

with H = I at the outputs, D = 1{f > 0} and < > the mean over a batch. Rules:

- "matrix": as above. Rows of biases are dropped from beta, so that hidden layers never see a difference of biases
  above them; and a mean of products is replaced by the product of means, so that it is no gradient.
- "exact": the mean over the batch of the same rule sample by sample. With equal biases above it is the gradient.
- "gradient": the gradient of 1/2 <|y* - y|^2>.
- "population": its expectation over standard normal inputs, in closed form, for two layers.

At the outputs the first three agree, and with one input a batch the first two do.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch

from ..draws import Draws
from ..params import BadInput, unknown
from .batches import batches
from .checks import named, number, shaped
from .device import DTYPES, one_thread, torch_device
from .fused import RULES, Pair, Pulls, filled
from .gaussian import population

Weights = tuple[np.ndarray, ...]


class Ascended(NamedTuple):
    """Where the dynamics lead: a layer's ``weights (B, n_in + 1, n_out)``, and which networks ``diverged (B,)``.

    ``noted`` are the weights ``(B, T, n_in + 1, n_out)`` at the iterations ``at (T,)``. The weights of a network that
    has diverged are not finite.
    """

    weights: Weights
    diverged: np.ndarray
    at: np.ndarray
    noted: Weights


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
    batch : inputs a step
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

    **Source**: tian2019luck, Sections 3 and 4 and its code ("matrix version"); differs: published evaluations draw
    from the same stream as training and change it, ours change nothing; published accurate gradients are sums.
    """
    teacher, start = (tuple(np.asarray(part, dtype=float) for part in parts) for parts in (teacher, start))
    _check(teacher, start, rule, rate, steps, summed, biases)
    kind, place = named(dtype, "dtype", DTYPES), torch_device(device)
    drawn = batches(draws, start[0].shape[1] - 1, batch, sampling)
    if len(draws) != len(start[0]):
        raise BadInput(f"draws (of the batches) must be of {len(start[0])} trials, got {len(draws)}")
    marks = sorted({t for t in log if 0 <= t <= steps})
    with one_thread(), torch.no_grad():
        pair, noted = Pair(teacher, start, kind, place), []
        pulls = _pulls(rule, pair, _points(drawn, fresh, kind, place))
        for t in range(steps + 1):
            if t in marks:
                noted.append(_read(pair))
            if t < steps:
                pull = next(pulls)
                if not biases:
                    for part, n in zip(pull, pair.sizes, strict=True):
                        part[:, n] = 0
                pair.step(pull, rate * batch if summed else rate)
        weights = _read(pair)
    finite = np.all([np.isfinite(part).all(axis=(1, 2)) for part in weights], axis=0)
    layers = zip(*noted, strict=True) if noted else ([np.empty((0, *w.shape))] for w in weights)
    kept = tuple(np.stack(parts, axis=1) if noted else parts[0].swapaxes(0, 1) for parts in layers)
    return Ascended(weights, ~finite, np.array(marks, dtype=np.int64), kept)


def _pulls(rule: str, pair: Pair, points: Iterator[torch.Tensor]) -> Iterator[Pulls]:
    """The rule's pulls, step after step; the population rule draws no batches."""
    while True:
        yield population(pair.W, pair.V) if rule == "population" else RULES[rule](pair, next(points))


def _points(drawn: Iterator[np.ndarray], fresh: bool, kind: torch.dtype, place: torch.device) -> Iterator[torch.Tensor]:
    """Batch after batch, (B, N, .), the constant 1 behind the inputs."""
    for chunk in drawn:
        B, several, batch, d = chunk.shape
        points = torch.zeros((several, B, batch, filled(d + 1)), dtype=kind, device=place)
        points[..., :d] = torch.tensor(chunk, device=place).swapaxes(0, 1)
        points[..., d] = 1
        yield from points
        while not fresh:
            yield points[0]


def _read(pair: Pair) -> Weights:
    return tuple(W.cpu().numpy().astype(np.float64) for W in pair.W)


def _check(
    teacher: Weights, start: Weights, rule: str, rate: float, steps: int, summed: bool, biases: bool
) -> None:
    if rule not in (known := {*RULES, "population"}):
        raise BadInput(unknown("rule", rule, sorted(known)))
    number("rate", "step size", rate, above=0)
    number("steps", "iterations", steps, whole=True)
    if len(start) != len(teacher) or len(start) < 2:
        raise BadInput(
            f"start (weights of the layers) must have as many as the teacher, at least 2, got {len(start)} "
            f"beside {len(teacher)}"
        )
    if rule == "population" and len(start) > 2:
        raise BadInput(f"rule (of the steps) must be one of {', '.join(RULES)} for {len(start)} layers, got {rule!r}")
    if summed and rule != "exact":
        raise BadInput(f"rule (of the steps) must be exact where steps are summed over the batch, got {rule!r}")
    B, rows, below = len(start[0]), start[0].shape[1] if start[0].ndim == 3 else None, None
    for l, (W, V) in enumerate(zip(start, teacher, strict=True)):
        last = l == len(start) - 1
        shaped("start", f"weights of layer {l}", W, "(B, n + 1, m)", (B, rows, None))
        same = rows if below is None else below
        shaped("teacher", f"weights of layer {l}", V, "(B, n + 1, m)", (B, same, W.shape[2] if last else None))
        if not biases and W[:, -1].any():
            raise BadInput(f"start (weights of layer {l}) must have biases 0 where they are not trained")
        rows, below = W.shape[2] + 1, V.shape[2] + 1
