"""Teachers whose neurons are apart, students, and what is read from words such as "10-15-20-25"."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws
from neurec_core.params import BadInput
from smallnets.nets.deep_nets import Layer

# What the entries of a separated neuron are picked from.
VALUES = {"five": np.arange(-2, 3) / 4, "nine": np.arange(-4, 5) / 4}
SMALL = 1e-5  # added to norms by the published normalisation
TRIES = 10_000


def enough(neurons: int, inputs: int, values: np.ndarray) -> None:
    """Refuse more neurons than there are different ones.

    Raises
    ------
    BadInput : "neurons (of a separated layer) must be at most 24 with 2 inputs and 5 values, got 30"
    """
    most = len(values) ** inputs - (0 in values)
    if neurons > most:
        raise BadInput(
            f"neurons (of a separated layer) must be at most {most} with {inputs} inputs and {len(values)} values, "
            f"got {neurons}"
        )


def separated(draws: Draws, name: str, neurons: int, inputs: int, *, values: np.ndarray) -> np.ndarray:
    """Weights of neurons that are apart: entries picked from `values`, no neuron zero or equal to one before it.

    Neurons that are get drawn again.

    Returns
    -------
    (B, inputs, neurons) array

    Raises
    ------
    BadInput : "neurons (of a separated layer) must be at most 24 with 2 inputs and 5 values, got 30"

    **Source**: tian2019luck, its code.
    """
    enough(neurons, inputs, values)
    picked = np.zeros((len(draws), neurons, inputs))
    wrong = np.ones((len(draws), neurons), dtype=bool)
    for attempt in range(TRIES):
        left = np.flatnonzero(wrong.any(axis=1))
        if not len(left):
            return picked.swapaxes(1, 2)
        now = Draws(draws.seed, [draws.trials[b] for b in left]).uniform(f"{name} {attempt}", neurons, inputs)
        fresh = values[(now * len(values)).astype(int)]
        picked[left] = np.where(wrong[left][:, :, None], fresh, picked[left])
        wrong[left] = [_repeated(rows) for rows in picked[left]]
    raise ValueError(f"{TRIES} draws left two neurons alike: more inputs, or fewer neurons, will do")


def _repeated(rows: np.ndarray) -> np.ndarray:
    """Which rows are zero or equal to an earlier one."""
    _, first = np.unique(rows, axis=0, return_index=True)
    wrong = np.ones(len(rows), dtype=bool)
    wrong[first] = False
    return wrong | ~rows.any(axis=1)


def widths(words: str) -> tuple[int, ...]:
    """The widths of hidden layers, written as "10-15-20-25".

    Raises
    ------
    BadInput : "widths (neurons of the hidden layers) must be whole numbers above 0 with dashes between, got '10-x'"
    """
    try:
        found = tuple(int(word) for word in words.split("-"))
    except ValueError:
        found = (0,)
    if min(found) < 1:
        raise BadInput(
            "widths (neurons of the hidden layers) must be whole numbers above 0 with dashes between, such as "
            f"10-15-20-25, got {words!r}"
        )
    return found


def rates(words: str, epochs: int) -> np.ndarray:
    """The step size of every epoch, written as "0.01", or as "0:0.2,20:0.1": from the epoch before the colon on.

    Raises
    ------
    BadInput : "rate (step size) must be a number above 0, or epoch:number pairs from epoch 0 on, got 'fast'"
    """
    try:
        pairs = [part.split(":") for part in (words if ":" in words else f"0:{words}").split(",")]
        known = {int(epoch): float(size) for epoch, size in pairs}
    except ValueError:
        known = {}
    starts = sorted(known)
    if not starts or starts[0] != 0 or not all(0 < size < np.inf for size in known.values()):
        raise BadInput(
            "rate (step size) must be a number above 0, or epoch:number pairs from epoch 0 on, such as 0:0.2,20:0.1, "
            f"got {words!r}"
        )
    sizes = np.array([known[start] for start in starts])
    return sizes[np.searchsorted(starts, np.arange(epochs), side="right") - 1]


def default_layer(draws: Draws, name: str, inputs: int, neurons: int) -> Layer:
    """Weights and biases U(+-1/sqrt(inputs)): what torch starts linear layers with."""
    parts = draws.uniform(name, inputs + 1, neurons)
    parts = (2 * parts - 1) / inputs**0.5
    return Layer(parts[:, :-1], parts[:, -1])


def normalized(layer: Layer) -> Layer:
    """Each neuron's weights and bias over the norm of its weights (plus 1e-5), as published."""
    size = np.linalg.norm(layer.W, axis=1) + SMALL
    return Layer(layer.W / size[:, None], layer.b / size)
