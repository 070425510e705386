"""The best that one would write today: a JAX loop, compiled, over all networks at once, in float64.

JAX is a peer here and no dependency: ``pip install 'neurec[bench]'``, which `make bench` does. A loop is compiled
before time counts. CPU time of the process is counted, whatever the number of threads, and XLA is asked for one.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from typing import Any

import cvxpy as cp
import numpy as np

os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
os.environ["JAX_PLATFORMS"] = "cpu"

try:
    import jax
    import jax.numpy as jnp
except ImportError:
    raise SystemExit("the benchmarks need JAX: pip install 'neurec[bench]'") from None

jax.config.update("jax_enable_x64", True)

Net = dict[str, Any]  # arrays by name; of B networks, (B, ...)
ADAM = 0.9, 0.999, 1e-8  # decays of both moments, and what keeps the quotient finite


# ---------------------------------------------------------------------------------------------------------- networks


def on_line(net: Net, x: jax.Array) -> jax.Array:
    """Outputs (n,) of a ReLU network with weights a, b, w (m,) and c () at x (n,)."""
    return jax.nn.relu(x[:, None] * net["a"] + net["b"]) @ net["w"] + net["c"]


def layers(net: list[tuple[Any, Any]], X: jax.Array) -> jax.Array:
    """Outputs (n, c) of a ReLU network of layers (W, b)."""
    for W, b in net[:-1]:
        X = jax.nn.relu(X @ W + b)
    return X @ net[-1][0] + net[-1][1]


def shares_on_line(net: Net, x: jax.Array, y: jax.Array, share: jax.Array) -> jax.Array:
    """Half the squared error, each point with its share."""
    return 0.5 * jnp.sum(share * (on_line(net, x) - y) ** 2)


def mean_on_line(net: Net, x: jax.Array, y: jax.Array) -> jax.Array:
    """The mean squared error."""
    return jnp.mean((on_line(net, x) - y) ** 2)


# ---------------------------------------------------------------------------------------------------------- training


@functools.partial(jax.jit, static_argnames=("loss",))
def descend(loss: Callable[..., jax.Array], nets: Any, data: tuple[Any, ...], rate: jax.Array, steps: int) -> Any:
    """Gradient descent of B networks on their own data, each with its step size ``rate (B,)``."""

    def one(net: Any, data: tuple[Any, ...], h: jax.Array) -> Any:
        def step(_: int, net: Any) -> Any:
            return jax.tree.map(lambda w, g: w - h * g, net, jax.grad(loss)(net, *data))

        return jax.lax.fori_loop(0, steps, step, net)

    return jax.vmap(one)(nets, data, rate)


@functools.partial(jax.jit, static_argnames=("loss", "decay"))
def adam(
    loss: Callable[..., jax.Array], nets: Any, data: tuple[Any, ...], rate: jax.Array, steps: int, decay: float = 0.0
) -> Any:
    """As `descend`, by Adam, or AdamW with a decay of the weights."""

    def one(net: Any, data: tuple[Any, ...], h: jax.Array) -> Any:
        def step(t: int, state: Any) -> Any:
            net, first, second = state
            g = jax.grad(loss)(net, *data)
            first = jax.tree.map(lambda m, g: ADAM[0] * m + (1 - ADAM[0]) * g, first, g)
            second = jax.tree.map(lambda v, g: ADAM[1] * v + (1 - ADAM[1]) * g * g, second, g)
            near, far = 1 - ADAM[0] ** (t + 1), 1 - ADAM[1] ** (t + 1)
            moved = jax.tree.map(
                lambda w, m, v: w * (1 - h * decay) - h * (m / near) / (jnp.sqrt(v / far) + ADAM[2]),
                net, first, second,
            )  # fmt: skip
            return moved, first, second

        nothing = jax.tree.map(jnp.zeros_like, net)
        return jax.lax.fori_loop(0, steps, step, (net, nothing, nothing))[0]

    return jax.vmap(one)(nets, data, rate)


@functools.partial(jax.jit, static_argnames=("loss", "normalize"))
def stochastic(
    loss: Callable[..., jax.Array], nets: Any, data: tuple[Any, ...], picked: jax.Array, rate: float, normalize: bool
) -> Any:
    """Gradient descent of B students of layers on batches ``picked (B, steps, batch)`` of points.

    Parameters
    ----------
    data : teachers, of layers, and their points (B, n, d)
    normalize : whether each neuron is brought to norm 1 after every step, as published
    """

    def one(net: Any, data: tuple[Any, ...], picked: jax.Array) -> Any:
        teacher, points = data

        def step(net: Any, some: jax.Array) -> Any:
            x = points[some]
            g = jax.grad(loss)(net, x, layers(teacher, x))
            net = jax.tree.map(lambda w, g: w - rate * g, net, g)
            if normalize:
                sizes = [jnp.linalg.norm(W, axis=0) + 1e-5 for W, _ in net]
                net = [(W / size, b / size) for (W, b), size in zip(net, sizes, strict=True)]
            return net, None

        return jax.lax.scan(step, net, picked)[0]

    return jax.vmap(one)(nets, data, picked)


def timed(run: Callable[[int], Any], steps: int, rounds: int = 3, first: int = 1) -> tuple[float, Any]:
    """CPU seconds of a step, the least of some rounds, and what came out.

    `first` steps are run before, for the compiler: as many as are timed where their number is a shape.
    """
    jax.block_until_ready(run(first))
    seconds = []
    for _ in range(rounds):
        begin = time.process_time()
        found = jax.block_until_ready(run(steps))
        seconds.append(time.process_time() - begin)
    return min(seconds) / steps, found


# --------------------------------------------------------------------------------------------------- convex programs


def dual(A: np.ndarray, y: np.ndarray, X: np.ndarray | None = None, sides: np.ndarray | None = None) -> cp.Problem:
    """The dual of a minimal-norm program: n variables and one cone per block, as one would write it today.

    maximise <l, y> subject to ||A_j^T l|| <= 1, or in the cones of ReLU patterns ||A_j^T l + X^T S_j m_j|| <= 1, for l
    and for -l, with multipliers m_j >= 0.

    Parameters
    ----------
    A : (p, n, r) array, the blocks
    y : (n,) array
    X : (n, d) array, for cones only
    sides : (p, n) array, the diagonals of S_j: 1 on active points, -1 on others; 0 for a block without a cone
    """
    p, n, r = A.shape
    outer = cp.Variable(n)
    flat = cp.reshape(A.transpose(0, 2, 1).reshape(p * r, n) @ outer, (p, r), order="C")
    if X is None or sides is None:
        return cp.Problem(cp.Maximize(y @ outer), [cp.norm(flat, axis=1) <= 1])
    limits = []
    for sign in (1, -1):
        held = cp.Variable((p, n), nonneg=True)
        limits.append(cp.norm(sign * flat + cp.multiply(sides, held) @ X, axis=1) <= 1)
    return cp.Problem(cp.Maximize(y @ outer), limits)
