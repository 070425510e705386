"""Adam, with dropout or without, for two-layer tanh networks of one input, many at once; compiled.

    f(x) = sum_j a_j k_j tanh(w_j x + b_j) + c,   k_j = 0 with probability p, else 1 / (1 - p)

Every point has factors k_j of its own in every step. Units are dropped at places that are counted through steps, points
and units: the distance from one to the next is geometric, so that random numbers are drawn for the units dropped
alone. Every sum, product, quotient and root is rounded by itself and in one order, whatever the processor: a
training with Adam shows a last bit, and should show the same one everywhere.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neurec_core.draws import Draws
from smallnets.arguments import array, checked, number, parts, record, whole
from smallnets.descent.compiled import njit
from smallnets.nets.tanh_nets import Neurons

# Neurons whose (w, b) have a |cosine| above this share a direction; that of two of the target's is at most 0.96.
SAME = 0.99
CHUNK = 16  # steps whose random numbers are drawn together
PARTS = 8  # partial sums that are added in turn
SATURATED = 19.1  # tanh is 1 from here on
FIRST, SECOND, SMALL = 0.9, 0.999, 1e-8  # Adam's, as in torch

# Quotients by zero are not checked for, or loops would not be vectorised. Nothing is fused or reordered, so the faster
# tanh and sums of gradient descent elsewhere are not for Adam.
exact = njit(error_model="numpy")


class Units(NamedTuple):
    """Input weights, biases and output weights of one network, (m,) each, or a gradient at them."""

    w: np.ndarray
    b: np.ndarray
    a: np.ndarray


class Adam(NamedTuple):
    """Moments (2, 3m + 1) of a gradient, FIRST and SECOND to the number of steps, (2,), and the step size."""

    moments: np.ndarray
    powers: np.ndarray
    rate: float


class DropoutFit(NamedTuple):
    """The trained ``net``; ``losses (B, chunks)``, of the training itself, means of 16 steps; ``diverged (B,)``."""

    net: Neurons
    losses: np.ndarray
    diverged: np.ndarray


@checked(
    start=record(
        a=array("output weights", "B m"),
        W=array("hidden weights", "B 1 m"),
        b=array("hidden biases", "B m"),
        c=array("output bias", "B"),
    ),
    points=parts(array("inputs", "B n 1"), array("labels", "B n")),
    dropout=number("probability", "[0, 1)"),
    rate=number("step size", "(0, inf)"),
    steps=whole("how many"),
)
def train(
    start: Neurons,
    points: tuple[np.ndarray, np.ndarray],
    draws: Draws,
    *,
    dropout: float,
    rate: float,
    steps: int,
    output_bias: bool = True,
) -> DropoutFit:
    """Full-batch Adam on the mean squared error; more steps go on where fewer end.

    Parameters
    ----------
    start : networks with ``W (B, 1, m)``
    points : inputs and labels, (B, n, 1) and (B, n) arrays
    draws : the randomness of the dropped units
    dropout : p, in [0, 1)
    rate : step size, > 0
    steps : how many, >= 0
    output_bias : whether c is trained

    Returns
    -------
    DropoutFit

    Raises
    ------
    InvalidInput : "points[1] (labels) must be an array of shape (B, n) = (3, 10), got (3, 9)", and the like

    **Source**: zhang2025local, Figure 4.
    """
    (X, y), (B, m) = points, start.a.shape
    n, chunks = y.shape[1], -(-steps // CHUNK)
    theta = np.concatenate([start.W[:, 0], start.b, start.a, start.c[:, None]], axis=1)
    losses = np.zeros((B, chunks))
    for b, trial in enumerate(draws.trials):
        own, adam = Draws(draws.seed, [trial]), Adam(np.zeros((2, 3 * m + 1)), np.ones(2), float(rate))
        keep = np.full(n * m, 1 / (1 - dropout))
        for chunk in range(chunks):
            here = min(CHUNK, steps - chunk * CHUNK)
            places = dropped(own, chunk, n * m, dropout)[0] if 1 - dropout < 1 else np.empty(0, np.int64)
            losses[b, chunk] = _advance(theta[b], adam, (X[b, :, 0], y[b]), keep, places, here, output_bias)
    W, b_, a, c = np.split(theta, [m, 2 * m, 3 * m], axis=1)
    return DropoutFit(Neurons(W[:, None], b_, a, c[:, 0]), losses, ~np.isfinite(theta).all(axis=1))


@checked(chunk=whole("chunk of steps"), size=whole("places", "[1, inf)"), dropout=number("share", "(0, 1)"))
def dropped(draws: Draws, chunk: int, size: int, dropout: float) -> np.ndarray:
    """The places dropped in a chunk of steps, counted through its steps and the `size` places of each, ``(B, .)``.

    Increasing; those from 16 `size` on are of no step, and there are as many as that it takes.
    """
    mean = CHUNK * size * dropout
    number = int(mean + 10 * (mean * (1 - dropout)) ** 0.5) + 10  # enough, but for one chunk in 10^20
    u = draws.uniform(f"dropped {chunk}", number)
    gaps = np.log(np.subtract(1, u, out=u), out=u)
    gaps *= 1 / np.log(1 - dropout)
    places = gaps.astype(np.int64)
    places += 1
    return np.cumsum(places, axis=1, out=places) - 1


@checked(z=array("preactivations", "|_|_ _|_ _ _", empty=True, finite=False))
def tanh(z: np.ndarray) -> np.ndarray:
    """The hyperbolic tangent as the training computes it, of any array: the same bits on every processor."""
    return _tanh_all(z.ravel()).reshape(z.shape)


def outputs(net: Neurons, x: np.ndarray) -> np.ndarray:
    """Outputs ``(B, n)`` at ``x (B, n)``, a network at a time: no last bit depends on those beside it."""
    parts = zip(*net, x, strict=True)
    return np.array([np.tanh(x[:, None] * W[0] + b) @ a + c for W, b, a, c, x in parts])


@checked(net=record(W=array("hidden weights", "B d m", finite=False), b=array("hidden biases", "B m", finite=False)))
def cosines(net: Neurons) -> np.ndarray:
    """|cosine| of the angle between (w_i, b_i) and (w_j, b_j), ``(B, m, m)``."""
    directions = np.stack([net.W[:, 0], net.b], axis=2)
    directions = directions / np.linalg.norm(directions, axis=2, keepdims=True)
    products = directions @ directions.swapaxes(1, 2)
    np.abs(products, out=products)
    return np.minimum(products, 1, out=products)


@checked(
    net=record(
        W=array("hidden weights", "B d m", finite=False),
        b=array("hidden biases", "B m", finite=False),
        a=array("output weights", "B m", finite=False),
    )
)
def condensation(net: Neurons) -> tuple[np.ndarray, np.ndarray]:
    """Share of pairs of neurons in one direction, and the effective number of directions, (B,) each.

    The number is 1 / sum_ij p_i p_j 1[|cos_ij| > 0.99], p_i proportional to |a_i| |(w_i, b_i)|: k if k directions far
    apart have equal shares.
    """
    same = cosines(net) > SAME
    m = same.shape[1]
    share = (same.sum(axis=(1, 2)) - m) / max(m * (m - 1), 1)
    p = np.abs(net.a) * np.hypot(net.W[:, 0], net.b)
    p = p / p.sum(axis=1, keepdims=True)
    return share, 1 / (p[:, None] @ same @ p[..., None])[:, 0, 0]


# ----------------------------------------------------------------------------------------------------- compiled


@exact
def _tanh(z: Any) -> Any:
    """Seven levels of Lambert's continued fraction at z / 8, doubled three times."""
    u = min(max(z, -SATURATED), SATURATED) * 0.125
    s = u * u
    p = u * (135135.0 + s * (17325.0 + s * (378.0 + s)))
    q = 135135.0 + s * (62370.0 + s * (3150.0 + s * 28.0))
    p, q = 2.0 * p * q, q * q + p * p
    p, q = 2.0 * p * q, q * q + p * p
    p, q = 2.0 * p * q, q * q + p * p
    return p / q


@exact
def _tanh_all(z: np.ndarray) -> np.ndarray:
    out = np.empty_like(z)
    for i in range(len(z)):
        out[i] = _tanh(z[i])
    return out


@exact
def _units(w: np.ndarray, b: np.ndarray, x: float, t: np.ndarray) -> None:
    """t_j = tanh(w_j x + b_j)."""
    for j in range(len(t)):
        t[j] = _tanh(w[j] * x + b[j])


@exact
def _output(a: np.ndarray, c: float, keep: np.ndarray, first: int, t: np.ndarray, parts: np.ndarray) -> float:
    """The output at one point, whose factors stand in `keep` from `first` on; `parts` is zeros, a multiple of PARTS."""
    for j in range(len(t)):
        parts[j] = a[j] * (keep[first + j] * t[j])
    s0 = s1 = s2 = s3 = s4 = s5 = s6 = s7 = 0.0
    for k in range(0, len(parts), PARTS):
        s0 += parts[k]
        s1 += parts[k + 1]
        s2 += parts[k + 2]
        s3 += parts[k + 3]
        s4 += parts[k + 4]
        s5 += parts[k + 5]
        s6 += parts[k + 6]
        s7 += parts[k + 7]
    return c + (((s0 + s4) + (s2 + s6)) + ((s1 + s5) + (s3 + s7)))


@exact
def _pull(
    a: np.ndarray, keep: np.ndarray, first: int, t: np.ndarray, x: float, e: float, gradient: Units
) -> None:  # fmt: skip
    """Add e times the output's derivative at the point x to the gradient."""
    w_, b_, a_ = gradient
    for j in range(len(t)):
        k = e * keep[first + j]
        pull = (k * a[j]) * (1.0 - t[j] * t[j])
        w_[j] += pull * x
        b_[j] += pull
        a_[j] += k * t[j]


@exact
def _adam(theta: np.ndarray, gradient: np.ndarray, adam: Adam) -> None:
    """One step."""
    moments, powers, rate = adam
    powers[0] *= FIRST
    powers[1] *= SECOND
    size, root = rate / (1.0 - powers[0]), np.sqrt(1.0 - powers[1])
    for i in range(len(theta)):
        g = gradient[i]
        moments[0, i] += (1.0 - FIRST) * (g - moments[0, i])
        moments[1, i] = SECOND * moments[1, i] + (1.0 - SECOND) * (g * g)
        theta[i] -= size * (moments[0, i] / (np.sqrt(moments[1, i]) / root + SMALL))


@exact
def _advance(
    theta: np.ndarray, adam: Adam, points: tuple[np.ndarray, np.ndarray], keep: np.ndarray, dropped: np.ndarray,
    steps: int, output_bias: bool
) -> float:  # fmt: skip
    """Train one network in place; the mean loss. `keep` holds 1 / (1 - p) everywhere, before and after."""
    x, y = points
    n, m = len(x), len(theta) // 3
    t, parts, gradient = np.empty(m), np.zeros(-(-m // PARTS) * PARTS), np.empty(len(theta))
    scale, next_, total = keep[0], 0, 0.0
    # Views are made once: each costs a count of references.
    w, b, a = theta[:m], theta[m : 2 * m], theta[2 * m : 3 * m]
    pulled = Units(gradient[:m], gradient[m : 2 * m], gradient[2 * m : 3 * m])
    for step in range(steps):
        begin = next_
        while next_ < len(dropped) and dropped[next_] < (step + 1) * n * m:
            keep[dropped[next_] - step * n * m] = 0.0
            next_ += 1
        gradient[:] = 0.0
        loss = 0.0
        for i in range(n):
            _units(w, b, x[i], t)
            e = _output(a, theta[3 * m], keep, i * m, t, parts) - y[i]
            loss += e * e
            _pull(a, keep, i * m, t, x[i], 2.0 * e / n, pulled)
            gradient[3 * m] += 2.0 * e / n
        if not output_bias:
            gradient[3 * m] = 0.0
        _adam(theta, gradient, adam)
        for d in range(begin, next_):
            keep[dropped[d] - step * n * m] = scale
        total += loss / n
    return total / steps
