"""Zonotopes against sums over all subsets, walks along edges, closed forms and sampled directions."""

from __future__ import annotations

import warnings
from itertools import product

import numpy as np
import pytest
from scipy.spatial import ConvexHull

from neurec_core.draws import Draws
from smallnets.errors import InvalidInput
from smallnets.geometry import arrangements, zonotopes


def normal(n, d, trial=0):
    return Draws(0, [trial]).normal("X", n, d)[0]


def names(D):
    return {column.tobytes() for column in D.T}


SIZES = [(5, 2), (6, 3), (8, 3), (9, 4), (3, 3), (4, 4)]
each_size = pytest.mark.parametrize(("n", "d"), SIZES)


@pytest.mark.parametrize(
    ("n", "d", "cells"), [(5, 2, 10), (8, 3, 58), (10, 3, 92), (12, 3, 134), (10, 4, 260), (12, 5, 1124)]
)
def test_counts_are_those_of_general_position(n, d, cells):
    fan = zonotopes.fan(normal(n, d))
    assert fan.D.shape == (n, cells)
    assert arrangements.count(n, d) == cells
    assert (fan.beyond >= 0).sum() == 2 * zonotopes.walls(n, d)
    assert (fan.beyond >= 0).sum(axis=1).min() >= d, "a pointed cone has at least d walls"


@each_size
def test_vertices_are_those_of_the_hull_of_all_subset_sums(n, d):
    X = normal(n, d)
    subsets = np.array(list(product([False, True], repeat=n)))
    hull = ConvexHull(subsets @ X)
    assert names(zonotopes.fan(X).D) == names(subsets[hull.vertices].T)


@each_size
def test_a_vertex_is_farthest_along_every_direction_of_its_cell(n, d):
    X = normal(n, d)
    fan = zonotopes.fan(X)
    V, W = zonotopes.vertices(X, fan.D), np.random.default_rng(0).standard_normal((d, 50))
    found = fan.find(X @ W >= 0)
    assert (found == (V @ W).argmax(axis=0)).all()
    for w, j in zip(W.T, found, strict=True):
        # Sums of at most nine products: rounding is all that is left.
        assert zonotopes.support(X, w) == pytest.approx(V[j] @ w, abs=1e-12)


@each_size
def test_edges_are_single_points_and_lead_back(n, d):
    X = normal(n, d)
    fan = zonotopes.fan(X)
    V = zonotopes.vertices(X, fan.D)
    for j, i in zip(*np.nonzero(fan.beyond >= 0), strict=True):
        k = fan.beyond[j, i]
        assert fan.beyond[k, i] == j
        assert np.flatnonzero(fan.D[:, j] ^ fan.D[:, k]).tolist() == [i]
        assert np.allclose(np.abs(V[k] - V[j]), np.abs(X[i]))


@each_size
def test_rays_span_the_cells(n, d):
    X = normal(n, d)
    fan = zonotopes.fan(X)
    for j in range(fan.D.shape[1]):
        R = fan.rays[fan.corners(j)]
        slack = np.where(fan.D[:, [j]], 1, -1) * (X @ R.T)
        assert slack.min() > -1e-12, "in the closed cell"
        assert (np.abs(slack) < 1e-12).sum(axis=0).tolist() == [d - 1] * len(R), "on d - 1 of its walls"
        assert np.linalg.matrix_rank(R) == d
        walls = np.flatnonzero((np.abs(slack) < 1e-12).any(axis=1))
        assert walls.tolist() == np.flatnonzero(fan.beyond[j] >= 0).tolist()


@each_size
def test_one_cell_alone_is_the_cell_of_the_fan(n, d):
    X = normal(n, d)
    fan = zonotopes.fan(X)
    for j in range(fan.D.shape[1]):
        rays, walls = zonotopes.cone(X, fan.H[:, j] * 3)
        expected = fan.rays[fan.corners(j)]
        assert len(rays) == len(expected)
        # Thin cells have rays that nearly agree; 1e-8 is far below the distance of any two of these.
        assert np.abs(rays[:, None] - expected).max(axis=2).min(axis=1).max() < 1e-8
        assert walls.tolist() == np.flatnonzero(fan.beyond[j] >= 0).tolist()


def test_one_cell_does_not_depend_on_where_in_it_one_looks_from():
    X = normal(7, 3)
    fan = zonotopes.fan(X)
    for j in range(fan.D.shape[1]):
        # A millionth of the way from a ray to the middle: almost on two walls.
        h = fan.rays[fan.corners(j)[0]] + 1e-6 * fan.H[:, j]
        middle, near = zonotopes.cone(X, fan.H[:, j])[0], zonotopes.cone(X, h)[0]
        assert np.allclose(np.sort(middle, axis=0), np.sort(near, axis=0), atol=1e-10)


# ------------------------------------------------------------------------------------------------- the law of a vertex


def test_solid_angles_of_a_plane_are_angles():
    X = np.array([[1.0, 0.0], [-1.0, 1.0]])  # lines at 90 and 45 degrees
    fan = zonotopes.fan(X)
    angles = zonotopes.solid_angles(X, fan) * 360
    assert sorted(angles.round(9)) == [45, 45, 135, 135]


@pytest.mark.parametrize(("n", "d"), [(7, 2), (6, 3), (9, 3)])
def test_sampled_directions_follow_the_solid_angles(n, d):
    X = normal(n, d, 2)
    fan = zonotopes.fan(X)
    angles = zonotopes.solid_angles(X, fan)
    assert angles.sum() == pytest.approx(1, abs=1e-12)
    assert np.allclose(angles, angles[fan.find(~fan.D)], atol=1e-12), "a cell and its mirror image"
    k = 200_000
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", zonotopes.MissedCells)
        D, times = zonotopes.sampled(X, np.random.default_rng(0).standard_normal((d, k)))
    found = np.zeros(len(angles))
    found[fan.find(D)] = times
    deviation = np.sqrt(k * angles * (1 - angles))
    # Five standard deviations and one direction: passes with probability 0.9999 for seventy cells.
    assert (np.abs(found - k * angles) < 5 * deviation + 1).all()


def test_solid_angles_need_at_most_three_inputs():
    X = normal(6, 4)
    with pytest.raises(InvalidInput, match="d \\(inputs\\) must be at most 3 for exact solid angles, got 4"):
        zonotopes.solid_angles(X, zonotopes.fan(X))


def test_missed_cells_are_reported():
    X = normal(10, 3)
    H = np.random.default_rng(0).standard_normal((3, 100))
    with pytest.warns(zonotopes.MissedCells, match="100 directions met [0-9]+ of 92 cells; enumerate them"):
        D, times = zonotopes.sampled(X, H)
    assert times.sum() == 100
    assert names(D) == names(X @ H >= 0)


def test_nothing_is_reported_where_nothing_is_missed():
    X = normal(10, 3)
    zonotopes.sampled(X, zonotopes.fan(X).H)  # a warning would be an error here


# ----------------------------------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    ("X", "says"),
    [
        (np.ones((2, 3)), "must be at least as many as there are inputs, d = 3, got n = 2"),
        (np.ones((4, 1)), "d \\(inputs\\) must be at least 2"),
        (np.array([[1.0, 2], [0, 1], [2, 4]]), "not be zero, equal or parallel to one another, got 1 of 3 that are"),
        (np.array([[1.0, 2], [0, 1], [0, 0]]), "not be zero, equal or parallel to one another, got 1 of 3 that are"),
        (np.array([[1.0, 2], [0, np.nan]]), "X \\(points\\) must be finite, got 1 of 4 entries that are not"),
        (np.array([[1.0, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]]), "general position: some 3 of them are dependent"),
    ],
)
def test_points_in_special_position_are_refused(X, says):
    with pytest.raises(InvalidInput, match=says):
        zonotopes.fan(X)


def test_a_direction_on_a_wall_has_no_cell():
    X = normal(5, 3)
    with pytest.raises(InvalidInput, match="h \\(a direction\\) must lie inside a cell"):
        zonotopes.cone(X, zonotopes.fan(X).rays[0] * 0)
    with pytest.raises(InvalidInput, match="must be at least as many as there are inputs"):
        zonotopes.cone(X[:2], np.ones(3))
    with pytest.raises(InvalidInput, match="must span the d = 3 inputs, got rank 2"):
        zonotopes.cone(np.array([[1.0, 1, 0], [2, 2, 1], [3, 3, 5], [1, 1, 4]]), np.ones(3))
    with pytest.raises(InvalidInput, match="h \\(a direction\\) must be finite, got 1 of 3"):
        zonotopes.cone(X, np.array([1.0, np.nan, 0]))
    with pytest.raises(InvalidInput, match="directions \\(directions\\) must be finite, got 15 of 15"):
        zonotopes.sampled(X, np.full((3, 5), np.nan))
