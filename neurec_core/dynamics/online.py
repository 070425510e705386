"""The dynamics of `matrix_rule` for two layers and one input a step, compiled; a network at a time.

With one input the matrix rule and the exact rule are the same. A step costs what its active units cost, and nothing
is laid out for a batch.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..arguments import array, checked, choice, number, parts, whole, wholes
from ..draws import Draws
from ..params import BadInput
from ._ascent import RULES, Ascended, followed, prepared
from .batches import batches
from .compiled import njit


@checked(
    teacher=parts(array("weights of a layer", "B _ _")),
    start=parts(array("weights of a layer", "B _ _")),
    rule=choice("rule", RULES),
    rate=number("step size", "(0, inf)"),
    steps=whole("iterations"),
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
    biases: bool = True,
    log: Collection[int] = (),
) -> Ascended:
    """As `matrix_rule.ascend` with batches of one input: the same inputs, the same steps, sums in another order.

    Parameters
    ----------
    teacher, start : the weights of both layers, (B, n_in + 1, n_out) arrays, the biases in the last row
    draws : the randomness of the inputs
    rule : "matrix" or "exact", which are the same here, or "gradient"
    rate : step size, > 0
    steps : iterations, >= 0
    biases : whether the student's biases are trained; otherwise they are 0
    log : iterations at which the weights are noted, 0 the start

    Raises
    ------
    BadInput : as there, and for another number of layers

    **Source**: tian2019luck, its code with the published batch of 1.
    """
    teacher, start, marks = prepared(teacher, start, draws, rule, steps, biases, log)
    if len(start) != 2 or rule == "population":
        raise BadInput(
            f"start (weights of the layers) must have 2 layers and steps of one input, got {len(start)}, {rule}"
        )
    drawn, above = batches(draws, start[0].shape[1] - 1, 1), rule == "gradient"
    return followed(start, drawn, steps, marks, lambda X: _steps(*teacher, *start, X[:, :, 0], rate, above, biases))


@njit(error_model="numpy", fastmath={"contract", "reassoc"})
def _steps(
    hidden: np.ndarray, outer: np.ndarray, W: np.ndarray, V: np.ndarray, X: np.ndarray, rate: float, above: bool,
    biases: bool,
) -> None:  # fmt: skip
    """Change W (B, d + 1, n) and V (B, n + 1, o) by a step on each input X (B, T, d); `above` counts output biases."""
    B, T, d = X.shape
    n, m, o = W.shape[2], hidden.shape[2], V.shape[2]
    z, on, f, g = np.empty(n), np.empty(n, np.int64), np.empty(max(n, m)), np.empty(n)
    r, bias, size = np.empty(o), np.empty(o), np.empty(max(n, o))
    for b in range(B):
        w, v = W[b], V[b]
        for k in range(o):
            bias[k] = outer[b, m, k]
        for t in range(T):
            x = X[b, t]
            for k in range(o):
                r[k] = 0.0
            _respond(hidden[b], x, f)
            for j in range(m):
                if f[j] > 0:
                    for k in range(o):
                        r[k] -= f[j] * outer[b, j, k]
            _respond(w, x, z)
            active = 0
            for j in range(n):
                if z[j] > 0:
                    on[active] = j
                    active += 1
            for i in range(active):
                a = z[on[i]]
                for k in range(o):
                    r[k] += a * v[on[i], k]
            if above:
                for k in range(o):
                    r[k] += v[n, k] - bias[k]
            for j in range(n):
                g[j] = 0.0
            for i in range(active):
                total = 0.0
                for k in range(o):
                    total += r[k] * v[on[i], k]
                g[on[i]] = rate * total
            if not above:
                for k in range(o):
                    r[k] += v[n, k] - bias[k]
            for i in range(active):
                a = rate * z[on[i]]
                for k in range(o):
                    v[on[i], k] -= a * r[k]
            if biases:
                for k in range(o):
                    v[n, k] -= rate * r[k]
                for j in range(n):
                    w[d, j] -= g[j]
            for i in range(d):
                for j in range(n):
                    w[i, j] -= x[i] * g[j]
            _normalize(w, size)
            _normalize(v, size)


@njit(error_model="numpy", fastmath={"contract"})
def _respond(w: np.ndarray, x: np.ndarray, z: np.ndarray) -> None:
    """Pre-activations of neurons, the columns of w, the bias in the last row."""
    d, n = len(x), w.shape[1]
    for j in range(n):
        z[j] = w[d, j]
    for i in range(d):
        for j in range(n):
            z[j] += x[i] * w[i, j]


@njit(error_model="numpy", fastmath={"contract"})
def _normalize(w: np.ndarray, size: np.ndarray) -> None:
    """Bring every column to norm 1."""
    rows, n = w.shape
    for j in range(n):
        size[j] = 0.0
    for i in range(rows):
        for j in range(n):
            size[j] += w[i, j] * w[i, j]
    for j in range(n):
        size[j] = 1 / np.sqrt(size[j])
    for i in range(rows):
        for j in range(n):
            w[i, j] *= size[j]
