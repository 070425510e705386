"""Where the Monte-Carlo experiment starts: shares of the six points and random weights, in three ways.

``addressed`` draws every weight by address. ``published`` takes the networks of the authors' own stream. ``law`` draws
what a training without biases depends on, the moments and the extreme neurons of either side, from its
distribution: the cost does not depend on the width.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.experiment import Problem
from neurec_core.params import BadInput
from smallnets.descent.line.data import HiddenLayer, gather

from .. import published
from .distributions import X_SIX, Y_SIX

LISTED = 32  # neurons from either end that are drawn from their law
ENTRIES = 2**22  # weights held in memory at a time


def sample(params: Any, draws: Draws) -> Problem:
    """The six points of Example 1, their labels shifted; each network has its own shares of them."""
    X, y = np.tile(X_SIX[:, None], (len(draws), 1, 1)), np.tile(Y_SIX + params.shift, (len(draws), 1))
    return Problem(X, y, weights=shares(params, draws, "weights"))


def shares(params: Any, draws: Draws, name: str) -> np.ndarray:
    """Shares of the six points, ``(B, 6)``; ``name`` is "weights" or "validation"."""
    if params.weights == "uniform":
        return np.full((len(draws), 6), 1 / 6)
    if params.rng == "published":
        return np.stack([getattr(task, name)[i] for task, i in _published(params, draws)])
    n = params.n or params.m**2
    return draws.multinomial(name, n, np.full(6, 1 / 6)) / n


def deviations(params: Any) -> tuple[float, float]:
    """Standard deviations of a and of w: sqrt(2) and sqrt(2/m), He et al.; swapped where ``init`` says so."""
    narrow, wide = (2 / params.m) ** 0.5, 2**0.5
    return (narrow, wide) if params.init == "swapped" else (wide, narrow)


def weights(params: Any, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Every weight, a and w, ``(B, m)``."""
    if params.rng == "published":
        found = _published(params, draws)
        return np.stack([task.a[i] for task, i in found]), np.stack([task.w[i] for task, i in found])
    theta = draws.normal("theta", params.m, 2)
    of_a, of_w = deviations(params)
    return of_a * theta[:, :, 0], of_w * theta[:, :, 1]


def neurons(params: Any, draws: Draws, keep: int = 16) -> HiddenLayer:
    """Moments and ends of the networks, from all their weights or from the law."""
    if params.rng == "law":
        return from_law(params, draws)
    if len(draws) * params.m <= ENTRIES:
        return gather(*weights(params, draws), keep)
    some = max(1, ENTRIES // params.m)
    parts = [draws.trials[i : i + some] for i in range(0, len(draws), some)]
    found = [gather(*weights(params, Draws(draws.seed, part)), keep) for part in parts]
    return HiddenLayer(*map(np.concatenate, zip(*found, strict=True)))


def from_law(params: Any, draws: Draws) -> HiddenLayer:
    """Moments and ends of networks of any width, drawn from their distributions, at a cost that does not depend on m.

    A side has binomially many neurons. Its moments have a Wishart distribution (Bartlett's decomposition), whatever the
    sign of a; w/a has a Cauchy distribution, whose extremes come from uniform order statistics; given w/a, a^2 is
    exponential. Differs: the listed neurons are drawn apart from the moments, of which they are a share O(1/m).

    **Source**: derived here.
    """
    from scipy.stats import binom, chi2  # takes longer to load than all else

    B, m = len(draws), params.m
    of_a, of_w = deviations(params)
    right = binom.ppf(draws.uniform("side"), m, 0.5)
    size = np.stack([right, m - right], axis=1).astype(np.int64)
    first, second = (chi2.ppf(draws.uniform(f"chi {i}", 2), np.maximum(size - i, 1)) for i in (0, 1))
    cross = draws.normal("cross", 2)
    T = np.empty((B, 2, 2, 2))
    T[..., 0, 0], T[..., 1, 1] = of_a**2 * first, of_w**2 * (cross**2 + second)
    T[..., 0, 1] = T[..., 1, 0] = of_a * of_w * np.sqrt(first) * cross
    left = size[:, :, None] - np.arange(LISTED)  # neurons that are not listed yet
    ends = np.empty((B, 2, 2 * LISTED, 2))
    for end, order in ((-1, slice(None, LISTED)), (1, slice(None, LISTED - 1, -1))):
        steps = np.log1p(-draws.uniform(f"end {end}", 2, LISTED)) / np.maximum(left, 1)
        tail = -np.expm1(np.cumsum(steps, axis=2))  # share of the distribution beyond the neuron
        ratio = end / np.tan(np.pi * tail) * of_w / of_a
        scale = (1 / of_a**2 + ratio**2 / of_w**2) / 2
        a = np.sqrt(-np.log1p(-draws.uniform(f"size {end}", 2, LISTED)) / scale) * np.array([[1], [-1]])
        ends[:, :, order, 0], ends[:, :, order, 1] = a, ratio * a
    return HiddenLayer(T, ends, np.full((B, 2), 2 * LISTED), size)


def _published(params: Any, draws: Draws) -> list[tuple[published.PublishedTask, int]]:
    if max(draws.trials) >= published.NETWORKS:
        raise BadInput(f"trial (published network) must lie in [0, {published.NETWORKS - 1}], got {max(draws.trials)}")
    places = [published.place(params.m, trial) for trial in draws.trials]
    return [(published.task(params.m, number, params.init == "swapped"), i) for number, i in places]
