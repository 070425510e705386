"""The papers' statements on small instances, and every score computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

from neurec_core import patterns
from neurec_core.draws import Draws
from neurec_core.experiment import Problem, Solution, Status
from neurec_core.nets import GatedNet, Net
from neurec_core.papers import convex_recovery
from neurec_core.papers.convex_recovery import SKIP_RECOVERY, SkipRecovery


def solved(count=12, **values):
    """Scores of usable trials, one array a column."""
    rows = SKIP_RECOVERY.rows(SkipRecovery(**values), 11, range(count))
    return {name: np.array([row[name] for row in rows]) for name in SKIP_RECOVERY.columns}


@pytest.mark.parametrize("design", ["whitened", "whitened_cubic"])
@pytest.mark.parametrize("plant", ["random", "smallest_singular"])
def test_whitened_inputs_recover_exactly_without_an_all_ones_pattern(design, plant):
    found = solved(n=16, d=8, design=design, plant=plant)
    # n = 2d, where both happen; exact, so not one exception.
    assert (found["recovered"] == ~found["all_ones"]).all()
    assert 0 < found["recovered"].sum() < len(found["recovered"])


@pytest.mark.parametrize("plant", ["random", "smallest_singular"])
def test_the_isometry_condition_implies_recovery(plant):
    found = solved(n=30, d=10, plant=plant, count=20)
    assert found["isometry_held"].any()
    assert found["recovered"][found["isometry_held"]].all()
    assert not (found["isometry_held"] & found["all_ones"]).any()


def test_too_few_points_never_recover():
    found = solved(n=6, d=8)
    assert found["all_ones"].all()
    assert not found["recovered"].any()


def test_noise_is_fitted_and_moves_the_weights_in_proportion():
    quiet, loud = solved(n=60, d=8, sigma=0.02), solved(n=60, d=8, sigma=0.04)
    assert not quiet["recovered"].any()
    # The same noise, twice as large: to first order the answer moves twice as far.
    assert np.median(loud["weight_distance"] / quiet["weight_distance"]) == pytest.approx(2, rel=0.2)


@pytest.fixture
def by_hand():
    """Two points in two dimensions, one gate, numbers that can be checked on paper."""
    w = np.array([[0.6, 0.8]])
    X = np.array([[[1.0, 0.0], [0.0, 1.0]]])
    net = GatedNet(np.array([[[0.0], [0.5]]]), np.array([[[1.0], [0.0]]]), np.array([[0.6, 0.5]]))
    stats = {
        "X_test": np.array([[[1.0, 2.0], [-1.0, 2.0]]]),
        "isometry": np.array([[0.25, np.nan]]),
        "consistent": np.array([True]),
        "all_ones": np.array([False]),
    }
    return Problem(X, X @ w[0], Net.linear(w)), Solution(net, [Status.SOLVED], stats)


def test_scores_by_hand(by_hand):
    scores = convex_recovery.score(SkipRecovery(), *by_hand)
    assert not scores["recovered"][0]
    assert scores["weight_distance"][0] == pytest.approx(0.3)
    # Plant: 2.2 and 1.0. Fit: 1.6 and 0.4, plus the gate, open for the first point only, 1.0: 2.6 and 0.4.
    assert scores["test_distance"][0] == pytest.approx(np.hypot(0.4, 0.6))
    # As ReLU the unit is open for both: 2.6 and 1.4.
    assert scores["test_distance_relu"][0] == pytest.approx(np.hypot(0.4, 0.4))
    assert (scores["isometry"][0], scores["isometry_held"][0]) == (0.25, True)


@pytest.mark.parametrize(("size", "recovered"), [(0.9e-4, True), (1.2e-4, False)])
def test_recovery_is_judged_at_the_published_tolerance(by_hand, size, recovered):
    problem, solution = by_hand
    w = problem.teacher.skip
    for skip, gate in ((w + np.array([[size, 0]]), 0.0), (w, size)):
        net = GatedNet(np.full((1, 2, 1), gate), np.zeros((1, 2, 1)), skip)
        assert convex_recovery.score(SkipRecovery(), problem, solution._replace(value=net))["recovered"][0] == recovered


def test_a_tie_or_an_inconsistent_dual_certifies_nothing(by_hand):
    problem, solution = by_hand
    tie = {**solution.stats, "isometry": np.array([[1.0, 0.2]])}
    assert not convex_recovery.score(SkipRecovery(), problem, solution._replace(stats=tie))["isometry_held"][0]
    loose = {**solution.stats, "consistent": np.array([False])}
    scores = convex_recovery.score(SkipRecovery(), problem, solution._replace(stats=loose))
    assert not scores["isometry_held"][0]
    assert np.isnan(scores["isometry"][0])


def test_the_fitted_net_reproduces_its_labels():
    params = SkipRecovery(n=12, d=5, sigma=0.3)
    problem, solution, _ = SKIP_RECOVERY.run(params, Draws(0, range(3)))
    # The program's constraint, met to the solver's accuracy: the decoded gated net passes through every label.
    assert np.allclose(solution.value(problem.X), problem.y, atol=1e-6)
    assert (patterns.all_ones(problem.X)[1] == solution.stats["all_ones"]).all()
