"""Random irreducible networks to be recovered, a network a trial."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws

from ..engine.networks import Network

GRID = 64  # weights on a line are multiples of its inverse, so that fractions can hold them exactly


def relu_on_line(draws: Draws, m: int, pairs: int, bias: bool) -> list[Network]:
    """m neurons of one input with kinks 0.4 to 1.2 apart, |a| and |w| in [0.5, 2]; the first `pairs` kinks have two."""
    k = m - pairs
    gaps, sides = 0.4 + 0.8 * draws.uniform("gaps", k), _signs(draws, "sides", k)
    place = np.cumsum(gaps, axis=1) - gaps.sum(axis=1, keepdims=True) / 2
    w = sides * (0.5 + 1.5 * draws.uniform("scales", k))
    a = _signs(draws, "signs", k) * (0.5 + 1.5 * draws.uniform("weights", k))
    opposite = np.sign(a[:, :pairs]) * (0.5 + 1.5 * draws.uniform("opposite", pairs))
    c = draws.uniform("output bias") if bias else np.zeros(len(draws))
    w, a, opposite, c = (np.round(part * GRID) / GRID for part in (w, a, opposite, c))
    b = np.round(-w * place * GRID) / GRID
    nets = zip(_twice(w, pairs, -1), _twice(b, pairs, -1), np.hstack([a, opposite]), c, strict=True)
    return [Network(w[:, None], b, a, float(c)) for w, b, a, c in nets]


def relu_in_space(draws: Draws, d: int, m: int, pairs: int, bias: bool) -> list[Network]:
    """m neurons with normals in random directions, at most 1 from the origin, and kinks |a| |w| in [0.5, 2]."""
    k = m - pairs
    u = draws.normal("normals", k, d)
    u /= np.linalg.norm(u, axis=2, keepdims=True)
    offset = 2 * draws.uniform("offsets", k) - 1
    a = _signs(draws, "signs", k) * (0.5 + 1.5 * draws.uniform("weights", k))
    opposite = np.sign(a[:, :pairs]) * (0.5 + 1.5 * draws.uniform("opposite", pairs))
    c = draws.uniform("output bias") if bias else np.zeros(len(draws))
    nets = zip(_twice(u, pairs, -1), _twice(offset, pairs, -1), np.hstack([a, opposite]), c, strict=True)
    return [Network(u, b, a, float(c)) for u, b, a, c in nets]


def smooth(draws: Draws, d: int, m: int, bias: bool) -> list[Network]:
    """m neurons with |w| in [1, 2.5] in random directions, centres 0.6 to 1.4 apart, |a| in [0.5, 2]."""
    W = draws.normal("normals", m, d)
    size = 1 + 1.5 * draws.uniform("scales", m)
    W *= (size / np.linalg.norm(W, axis=2))[:, :, None]
    gaps = 0.6 + 0.8 * draws.uniform("gaps", m)
    b = -size * (np.cumsum(gaps, axis=1) - gaps.sum(axis=1, keepdims=True) / 2)
    a = _signs(draws, "signs", m) * (0.5 + 1.5 * draws.uniform("weights", m))
    c = draws.uniform("output bias") if bias else np.zeros(len(draws))
    return [Network(*parts[:3], float(parts[3])) for parts in zip(W, b, a, c, strict=True)]


def _signs(draws: Draws, name: str, *shape: int) -> np.ndarray:
    return np.where(draws.uniform(name, *shape) < 0.5, -1.0, 1.0)


def _twice(part: np.ndarray, pairs: int, factor: float) -> np.ndarray:
    """With the first `pairs` neurons again, times a factor; ``part (B, k, ...)``."""
    return np.concatenate([part, factor * part[:, :pairs]], axis=1)
