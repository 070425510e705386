"""The arrays with which the compiled steps of ReLU networks work, see `_relu_steps`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Data(NamedTuple):
    """Kernel K = X X^T (n, n), labels y (n,) and c = 2 step / n."""

    K: np.ndarray
    y: np.ndarray
    c: float


class Neurons(NamedTuple):
    """All neurons that take steps, free and grouped; columns without a neuron hold zeros.

    H : (n, F), preactivations of the free neurons
    a : (F,), their output weights
    active : (n, F), 1.0 where they are active
    ids : (F,), their numbers
    H_group : (n, L), preactivations of the combinations of grouped neurons
    a_group : (L,), their output weights
    first : (G + 1,), the first column of each group
    patterns : (G, n), 1.0 where a group is active
    """

    H: np.ndarray
    a: np.ndarray
    active: np.ndarray
    ids: np.ndarray
    H_group: np.ndarray
    a_group: np.ndarray
    first: np.ndarray
    patterns: np.ndarray


class Room(NamedTuple):
    """Flat views of H, active, H_group, patterns and K, and arrays to work in."""

    H: np.ndarray
    active: np.ndarray
    H_group: np.ndarray
    patterns: np.ndarray
    K: np.ndarray
    residuals: np.ndarray
    e: np.ndarray
    flips: np.ndarray
    KR: np.ndarray
    da: np.ndarray
    da_group: np.ndarray
    G: np.ndarray
    before: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]

    @classmethod
    def of(cls, neurons: Neurons, K: np.ndarray) -> Room:
        """The room that `take_steps` needs."""
        n, F, L = *neurons.H.shape, len(neurons.a_group)
        H, active, H_group, patterns = (
            array.reshape(-1) for array in (neurons.H, neurons.active, neurons.H_group, neurons.patterns)
        )
        before = np.zeros(n * F), np.zeros(F), np.zeros(n * L), np.zeros(L)
        return cls(
            H, active, H_group, patterns, K.reshape(-1), np.zeros(n), np.zeros(n), np.zeros(n), np.zeros((n + 1) * n),
            np.zeros(F), np.zeros(L), np.zeros(2 * F), before,
        )  # fmt: skip


class Record(NamedTuple):
    """Arrays for what is recorded during the steps.

    log : (R,), increasing, the iterations at which the loss and all neurons are recorded
    losses : (R,), the loss there
    H, a, H_group, a_group : (R, ...), the neurons there
    crossings : (C, 3), iteration, neuron and training point of each change of a pattern
    counts : (2,), how many rows of the log and of the crossings are filled in
    """

    log: np.ndarray
    losses: np.ndarray
    H: np.ndarray
    a: np.ndarray
    H_group: np.ndarray
    a_group: np.ndarray
    crossings: np.ndarray
    counts: np.ndarray
    room: Room
