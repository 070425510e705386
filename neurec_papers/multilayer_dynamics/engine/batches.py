"""Batches of standard normal inputs, as they are drawn or with less variance.

A batch is a function of (seed, trial, its number, its size): more steps change no earlier one, and evaluating a
network on other points changes none either.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from smallnets.arguments import checked, choice, whole

SAMPLINGS = ("iid", "antithetic", "whitened")
POINTS = 4096  # inputs drawn at a time; fixed, so that a batch does not depend on how many are taken


@checked(
    d=whole("inputs of a network", "[1, inf)"),
    batch=whole("inputs per step", "[1, inf)"),
    sampling=choice("sampling", SAMPLINGS),
)
def batches(draws: Draws, d: int, batch: int, sampling: str = "iid", *, fresh: bool = True) -> Iterator[np.ndarray]:
    """Arrays ``(B, several, batch, d)``: batch after batch, so many at a time, without end.

    Every input is standard normal, or nearly so when whitened.

    Parameters
    ----------
    draws : the randomness
    d : inputs of a network
    batch : inputs in a batch
    sampling : "iid"; "antithetic": the second half is minus the first; "whitened": also X^T X / batch = I
    fresh : False repeats the first batch

    Raises
    ------
    BadInput : "batch (inputs per step) must be even for antithetic sampling, got 5", or at least 2 d to be whitened
    """
    check_batch(d, batch, sampling)
    chunks = _chunks(draws, d, batch, sampling)
    if fresh:
        return chunks
    chunk = next(chunks)
    return itertools.repeat(np.repeat(chunk[:, :1], chunk.shape[1], axis=1))


def check_batch(d: int, batch: int, sampling: str) -> None:
    """Refuse a batch of a size that cannot be sampled so; parameters and errors as of `batches`."""
    if sampling != "iid" and batch % 2:
        raise BadInput(f"batch (inputs per step) must be even for {sampling} sampling, got {batch}")
    if sampling == "whitened" and batch < 2 * d:
        raise BadInput(f"batch (inputs per step) must be at least 2 d = {2 * d} to be whitened, got {batch}")


def _chunks(draws: Draws, d: int, batch: int, sampling: str) -> Iterator[np.ndarray]:
    several = max(POINTS // batch, 1)
    for chunk in itertools.count():
        if sampling == "iid":
            yield draws.normal(f"batches {chunk}", several, batch, d)
            continue
        half = draws.normal(f"batches {chunk}", several, batch // 2, d)
        if sampling == "whitened":
            # X C^{-T} with X^T X / n = C C^T is a uniformly random frame, whichever root C of the covariance is taken.
            root = np.linalg.cholesky(half.swapaxes(2, 3) @ half / (batch // 2))
            half = half @ np.linalg.inv(root).swapaxes(2, 3)
        yield np.concatenate([half, -half], axis=2)
