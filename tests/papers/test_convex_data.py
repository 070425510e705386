"""Designs and plants have the statistics that the paper asks for."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core.draws import Draws
from neurec_papers.convex_recovery.engine import data

N, D, B = 40, 12, 200


@pytest.mark.parametrize("kind", ["gaussian", "cubic"])
def test_entries_have_variance_one_over_n(kind):
    X = data.design(kind, Draws(0, range(B)), N, D)
    assert X.shape == (B, N, D)
    # 96,000 entries; a cubed normal's square has a standard deviation of 6.7 times its mean, so 6.7/310 = 2 %.
    assert np.mean(X**2) * N == pytest.approx(1, abs=0.08)
    assert abs(np.mean(X)) < 4 * N**-0.5 / np.sqrt(X.size)


@pytest.mark.parametrize("kind", ["whitened", "whitened_cubic"])
@pytest.mark.parametrize(("n", "d"), [(N, D), (D, N), (D, D)])
def test_whitened_designs_are_orthonormal(kind, n, d):
    (X,) = data.design(kind, Draws(0, [0]), n, d)
    gram = X.T @ X if n >= d else X @ X.T
    assert np.allclose(gram, np.eye(min(n, d)), atol=1e-12)


def test_whitening_keeps_the_range():
    G = Draws(0, [0]).normal("G", N, D)
    projector = data.whiten(G)[0] @ data.whiten(G)[0].T
    assert np.allclose(projector @ G[0], G[0], atol=1e-12)


@pytest.mark.parametrize("kind", list(data.PLANTS))
@pytest.mark.parametrize(("n", "d"), [(N, D), (D, N)])
def test_plants_have_unit_norm(kind, n, d):
    draws = Draws(0, range(3))
    X = data.design("gaussian", draws, n, d)
    w = data.linear_teacher(kind, X, draws).skip
    assert np.allclose(np.linalg.norm(w, axis=1), 1, atol=1e-12)


def test_the_smallest_singular_direction_is_shrunk_most():
    draws = Draws(0, range(3))
    X = data.design("gaussian", draws, N, D)
    w = data.linear_teacher("smallest_singular", X, draws).skip
    shrunk = np.linalg.norm(np.einsum("bnd,bd->bn", X, w), axis=1)
    assert np.allclose(shrunk, np.linalg.svd(X, compute_uv=False)[:, -1], rtol=1e-9)


def test_random_plants_are_uniform_on_the_sphere():
    draws = Draws(0, range(2000))
    w = data.linear_teacher("random", np.zeros((2000, 1, 3)), draws).skip
    # Each coordinate is uniform on [-1, 1] in three dimensions (Archimedes): mean 0, mean square 1/3.
    assert np.allclose(w.mean(axis=0), 0, atol=4 * (1 / 3 / 2000) ** 0.5)
    assert np.allclose((w**2).mean(axis=0), 1 / 3, atol=4 * (4 / 45 / 2000) ** 0.5)
