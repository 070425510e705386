"""Random irreducible networks to be recovered, one per trial."""

from __future__ import annotations

import numpy as np

from neurec_core.draws import Draws

from ..engine.networks import ShallowNet

GRID = 64  # weights on a line are multiples of its inverse, so that fractions can hold them exactly


def relu_on_line(draws: Draws, m: int, pairs: int, bias: bool) -> list[ShallowNet]:
    """m neurons of one input with kinks 0.4 to 1.2 apart, |a| and |w| in [0.5, 2]; the first `pairs` kinks have two."""
    k = m - pairs
    gaps, sides = 0.4 + 0.8 * draws.uniform("gaps", k), _signs(draws, "sides", k)
    place = np.cumsum(gaps, axis=1) - gaps.sum(axis=1, keepdims=True) / 2
    w = sides * (0.5 + 1.5 * draws.uniform("scales", k))
    w, a, c = (np.round(part * GRID) / GRID for part in (w, *_outer(draws, k, pairs, bias)))
    b = np.round(-w * place * GRID) / GRID
    return _networks(w[:, :, None], b, a, c, pairs=pairs)


def relu_in_space(draws: Draws, d: int, m: int, *, pairs: int, bias: bool) -> list[ShallowNet]:
    """m neurons with normals in random directions, at most 1 from the origin, and kinks |a| |w| in [0.5, 2]."""
    k = m - pairs
    u = draws.normal("normals", k, d)
    u /= np.linalg.norm(u, axis=2, keepdims=True)
    return _networks(u, 2 * draws.uniform("offsets", k) - 1, *_outer(draws, k, pairs, bias), pairs=pairs)


def _outer(draws: Draws, k: int, pairs: int, bias: bool) -> tuple[np.ndarray, np.ndarray]:
    """Output weights (B, k + pairs), of equal signs for the two of a pair, and output biases (B,)."""
    a = _signs(draws, "signs", k) * (0.5 + 1.5 * draws.uniform("weights", k))
    opposite = np.sign(a[:, :pairs]) * (0.5 + 1.5 * draws.uniform("opposite", pairs))
    return np.hstack([a, opposite]), draws.uniform("output bias") if bias else np.zeros(len(draws))


def _networks(W: np.ndarray, b: np.ndarray, a: np.ndarray, c: np.ndarray, *, pairs: int) -> list[ShallowNet]:
    """Each of the first `pairs` neurons (w, b) gets an opposite one."""
    W, b = (np.concatenate([part, -part[:, :pairs]], axis=1) for part in (W, b))
    return [ShallowNet(*parts[:3], float(parts[3])) for parts in zip(W, b, a, c, strict=True)]


def smooth(draws: Draws, d: int, m: int, bias: bool) -> list[ShallowNet]:
    """m neurons with |w| in [1, 2.5] in random directions, centres 0.6 to 1.4 apart, |a| in [0.5, 2]."""
    W = draws.normal("normals", m, d)
    size = 1 + 1.5 * draws.uniform("scales", m)
    W *= (size / np.linalg.norm(W, axis=2))[:, :, None]
    gaps = 0.6 + 0.8 * draws.uniform("gaps", m)
    b = -size * (np.cumsum(gaps, axis=1) - gaps.sum(axis=1, keepdims=True) / 2)
    a = _signs(draws, "signs", m) * (0.5 + 1.5 * draws.uniform("weights", m))
    c = draws.uniform("output bias") if bias else np.zeros(len(draws))
    return [ShallowNet(*parts[:3], float(parts[3])) for parts in zip(W, b, a, c, strict=True)]


def _signs(draws: Draws, name: str, *shape: int) -> np.ndarray:
    return np.where(draws.uniform(name, *shape) < 0.5, -1.0, 1.0)
