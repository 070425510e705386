"""What the dynamics of a student of norm-1 columns are given, and what they return."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from smallnets.arguments import shaped

Weights = tuple[np.ndarray, ...]
# The rules by which a student steps; their meaning is described in `matrix_rule`.
RULES = ("matrix", "exact", "gradient", "population")


class Ascended(NamedTuple):
    """Where the dynamics lead: a layer's ``weights (B, n_in + 1, n_out)``, and which networks ``diverged (B,)``.

    ``noted`` are the weights ``(B, T, n_in + 1, n_out)`` at the iterations ``at (T,)``. The weights of a network that
    has diverged are not finite.
    """

    weights: Weights
    diverged: np.ndarray
    at: np.ndarray
    noted: Weights


def followed(
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
    return ascended(student, marks, noted)


def ascended(weights: Sequence[np.ndarray], at: Sequence[int], noted: Sequence[Sequence[np.ndarray]]) -> Ascended:
    """The last weights of every layer, and the layers noted at each of the iterations."""
    finite = np.all([np.isfinite(part).all(axis=(1, 2)) for part in weights], axis=0)
    kept = [
        np.stack([snapshot[layer] for snapshot in noted], axis=1) if noted else np.empty((len(W), 0, *W.shape[1:]))
        for layer, W in enumerate(weights)
    ]
    weights, kept = ([W.astype(np.float64) for W in parts] for parts in (weights, kept))
    return Ascended(tuple(weights), ~finite, np.array(at, dtype=np.int64), tuple(kept))


def prepared(
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
        raise BadInput(
            f"rule (of the steps) must be one of {', '.join(RULES[:3])} for {len(start)} layers, got {rule!r}"
        )
    B, rows, below = len(draws), None, start[0].shape[1]
    for layer, (W, V) in enumerate(zip(start, teacher, strict=True)):
        meaning, last = f"weights of layer {layer}", layer == len(start) - 1
        shaped("start", meaning, "(B, n + 1, m)", W, (B, rows, None))
        shaped("teacher", meaning, "(B, n + 1, m)", V, (B, below, W.shape[2] if last else None))
        if not biases and W[:, -1].any():
            raise BadInput(f"start ({meaning}) must have biases 0 where they are not trained")
        rows, below = W.shape[2] + 1, V.shape[2] + 1
    return teacher, start, sorted({int(t) for t in log if 0 <= t <= steps})
