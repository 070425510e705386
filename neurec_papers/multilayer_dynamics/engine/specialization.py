"""Which student neuron matches which teacher neuron: correlations, winners, and how lucky they were at the start.

Activations come layer by layer as ``(B, n, m)`` arrays, n points (or points times positions), m neurons.
"""

from __future__ import annotations

import numpy as np

from smallnets.arguments import array, checked, number, pattern


@checked(teacher=array("activations", "B n m", finite=False), student=array("activations", "B n k", finite=False))
def correlations(teacher: np.ndarray, student: np.ndarray) -> np.ndarray:
    """Correlation over the points of every teacher neuron with every student neuron, 0 where one does not vary.

    Parameters
    ----------
    teacher : (B, n, m) array
    student : (B, n, k) array

    Returns
    -------
    (B, m, k) array in [-1, 1]

    **Source**: tian2019luck, its code; differs: there standard deviations carry an offset of 1e-10.
    """
    rows, columns = _centred(teacher).swapaxes(1, 2), _centred(student)
    return np.clip(np.ascontiguousarray(rows) @ columns, -1, 1)  # numpy multiplies transposed stacks without BLAS


def _centred(states: np.ndarray) -> np.ndarray:
    """Columns less their mean, of norm 1; a column that only rounding moves is zero."""
    size = np.abs(states).max(axis=1, keepdims=True)
    parts = np.divide(states, size, out=np.zeros_like(states), where=size > 0)  # no square overflows
    parts -= parts.mean(axis=1, keepdims=True)
    norms = np.linalg.norm(parts, axis=1, keepdims=True)
    least = 1e-12 * states.shape[1] ** 0.5
    return np.divide(parts, norms, out=np.zeros_like(parts), where=norms > least)


@checked(states=array("activations", "B n m", finite=False))
def live(states: np.ndarray) -> np.ndarray:
    """Neurons that are active on some point, (B, m) of bool, from ``states (B, n, m)``."""
    return np.any(states > 0, axis=1)


@checked(found=array("correlations", "B m k", finite=False))
def best(found: np.ndarray) -> np.ndarray:
    """Each teacher neuron's largest correlation with a student neuron, (B, m), from ``found (B, m, k)``."""
    return found.max(axis=2)


@checked(
    first=array("correlations at the start", "B m k", finite=False),
    last=array("correlations at the end", "B m k", finite=False),
)
def winner_ranks(first: np.ndarray, last: np.ndarray) -> np.ndarray:
    """How many students were nearer to a teacher neuron at the start than the one that is nearest at the end.

    Parameters
    ----------
    first, last : (B, m, k) correlations at the start and at the end

    Returns
    -------
    (B, m) whole numbers in [0, k - 1]; 0: the nearest stayed the nearest. Without any luck their mean is (k - 1) / 2.

    **Source**: tian2019luck, its code.
    """
    winner = last.argmax(axis=2)[:, :, None]
    return (first > np.take_along_axis(first, winner, axis=2)).sum(axis=2)


@checked(found=array("correlations", "B m k", finite=False), level=number("correlation"))
def matches(found: np.ndarray, level: float) -> np.ndarray:
    """Student neurons whose correlation with a teacher neuron is at least `level`, (B, m).

    **Source**: tian2020student, its code (MatchCnt).
    """
    return (found >= level).sum(axis=2)


@checked(values=array("values", "B m", finite=False), which=pattern("neurons named", "B m"))
def mean_over(values: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Means (B,) over the neurons named by ``which (B, m)`` of bool; NaN where it names none."""
    number = which.sum(axis=1)
    return np.divide(np.where(which, values, 0).sum(axis=1), number, out=np.full(len(values), np.nan), where=number > 0)
