"""Convex recovery where data are few, repeated, empty, zero or broken: an answer, a status or a refusal."""

from __future__ import annotations

import itertools
import typing

import numpy as np
import pytest

from neurec_core.draws import Draws
from neurec_core.experiment import Problem, Status
from neurec_papers import convex_recovery as paper
from neurec_papers.convex_recovery.engine import instance, solutions
from smallnets.convex import certify, recovery, solving
from smallnets.convex.blocks import Blocks
from smallnets.convex.cones import Cones
from smallnets.convex.recovery import Outcome
from smallnets.errors import InvalidInput
from smallnets.nets.two_layer import Net, NormalizedNet

MODELS = ("skip", "plain", "normalized")


def problem_of(model, X, w):
    """Labels of one neuron w at given points."""
    one, none = np.ones((1, 1)), np.zeros((1, len(w)))
    W = w[None, :, None]
    teacher = {"skip": Net.linear(w[None]), "plain": Net(W, one, none), "normalized": NormalizedNet(W, one)}[model]
    return Problem(X[None], teacher(X[None]), teacher)


def treated(method, model, X, w, program="relaxed"):
    """The solution for a neuron w at points X, over eight sampled patterns."""
    params = paper.CONVEX_TRAINING.params(model=model, n=len(X), d=len(w), patterns=8, program=program)
    return solutions.solve_trials(params, problem_of(model, X, w), Draws(0, [0]), method)


def rows(experiment, seed=0, trials=3, **values):
    return experiment.rows(experiment.params(**values), seed, range(trials))


def reached(X, D):
    """A function that says whether labels are sums of D_j X w_j, by least squares on all columns."""
    columns = np.column_stack([D[:, [j]] * X for j in range(D.shape[1])])
    return lambda y: np.linalg.norm(columns @ np.linalg.lstsq(columns, y)[0] - y) < 1e-9 * np.linalg.norm(y)


# ------------------------------------------------------------------------------------------ few points


@pytest.mark.parametrize("scale", [1.0, 1e-4])
@pytest.mark.parametrize("d", [1, 2, 3])
def test_many_points_in_few_dimensions_are_answered(d, scale):
    # Few blocks, so that sum_j A_j A_j^T (n, n) has a low rank: rounding may leave it below zero.
    for n, seed in itertools.product((100, 300), range(5)):
        rng = np.random.default_rng([d, n, seed])
        X = scale * rng.normal(size=(n, d))
        D = np.unique(X @ rng.normal(size=(d, 4)) >= 0, axis=1)
        within = reached(X, D)
        for y, answered in ((D[:, 0] * X[:, 0], True), (D[:, 0] * X[:, 0] + 1e-6 * scale * rng.normal(size=n), False)):
            assert within(y) == answered
            found = solving.solve(Blocks(X, D), y)
            assert found.converged == answered
            assert np.isinf(found.gap) != answered
            assert solving.solve(Blocks(X, D), y, ridge=0.1 * scale).converged


@pytest.mark.parametrize("program", ["relaxed", "exact"])
def test_noise_out_of_reach_is_a_status(program):
    found = rows(paper.SKIP_DISTANCE, trials=4, n=300, d=1, sigma=1e-6, program=program)
    assert {row["status"] for row in found} == {Status.INFEASIBLE.value}


@pytest.mark.parametrize("program", ["relaxed", "exact"])
@pytest.mark.parametrize(("n", "d"), [(1, 1), (1, 4), (3, 1), (2, 5), (4, 3)])
def test_every_experiment_answers_however_few_the_points(n, d, program):
    for experiment in paper.EXPERIMENTS:
        fields, small = experiment.params.model_fields, {"patterns": 10, "epochs": 5, "repeats": 20}
        models = typing.get_args(fields["model"].annotation) if "model" in fields else [None]
        for model, design in itertools.product(models, ("gaussian", "whitened")):
            given = {"n": n, "d": d, "program": program, "model": model, "design": design, **small}
            given["k"] = 1 if model == "skip" else 2
            ends = rows(experiment, **{name: value for name, value in given.items() if name in fields})
            assert not any(row["detail"] for row in ends), ends


@pytest.mark.parametrize("program", ["relaxed", "exact"])
def test_one_dimension_is_solved_by_hand(program):
    # Patterns w > 0 and w < 0 have disjoint points: nothing but the planted ones puts out their labels.
    ends = rows(paper.NORMALIZED_RECOVERY, n=5, d=1, k=2, program=program, trials=8)
    assert all(row["recovered"] for row in ends if row["status"] == Status.SOLVED)
    assert sum(row["status"] == Status.SOLVED for row in ends) > 4
    # The skip connection is the sum of both, at half their cost; with all points on one side it ties with one.
    ends = rows(paper.SKIP_RECOVERY, n=3, d=1, program=program, trials=8)
    assert all(row["recovered"] != row["all_ones"] for row in ends)
    assert 0 < sum(row["recovered"] for row in ends) < 8


# --------------------------------------------------------------------------------- repeated and zero rows


@pytest.mark.parametrize("program", ["relaxed", "exact"])
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("kind", ["twice", "opposite", "zero", "zero column", "whole numbers"])
def test_rows_that_repeat_or_vanish_are_answered(kind, model, program):
    X, w = Draws(2, [0]).normal("X", 9, 3)[0], np.array([0.6, 0.0, 0.8])
    X = np.round(X) if kind == "whole numbers" else X
    X[:, 1] *= kind != "zero column"
    X[-1] = {"twice": X[0], "opposite": -X[0], "zero": 0 * X[0]}.get(kind, X[-1])
    y = problem_of(model, X, w).y
    for method in (solutions.decide, solutions.solve):
        solution = treated(method, model, X, w, program)
        assert solution.status[0] is Status.SOLVED
        assert np.allclose(solution.value(X[None]), y, atol=1e-6 * np.linalg.norm(y)), "the net has these labels"
    # To ask for the same label twice, or for 0 at 0, is to ask for nothing.
    if kind in ("twice", "zero") and model != "normalized":
        fewer = treated(solutions.solve, model, X[:-1], w, program)
        assert np.allclose(fewer.value(X[None]), solution.value(X[None]), atol=1e-6)
        for name in ("weight_distance", "stray"):
            assert solution.stats[name] == pytest.approx(fewer.stats[name], abs=1e-5)


def test_points_that_are_all_zero_are_out_of_reach_unless_their_labels_are_zero():
    X, D = np.zeros((4, 3)), np.ones((4, 2), bool)
    for blocks in (Blocks(X, D), Blocks(X, D, whitened=True), Cones(Blocks(X, D), np.ones((3, 2)))):
        assert solving.solve(blocks, np.ones(4)).gap == np.inf
        assert solving.solve(blocks, np.zeros(4)).converged
        trained = solving.solve(blocks, np.ones(4), ridge=0.1)
        assert trained.converged
        assert not trained.W.any()
        assert np.allclose(trained.dual, 10)


# ------------------------------------------------------------------------------------------ empty patterns


def test_a_neuron_that_is_active_nowhere_is_a_status_and_the_trials_beside_it_are_untouched():
    values = {"n": 3, "d": 4, "k": 2}
    both = [(experiment, {"model": m}) for experiment in (paper.CONVEX_TRAINING, paper.ISOMETRY) for m in MODELS[1:]]
    others = [(paper.NORMALIZED_RECOVERY, {}), (paper.NETWORK_TRAINING, {"model": "normalized", "epochs": 3})]
    for experiment, more in both + others:
        together = rows(experiment, trials=8, **values, **more)
        empty = [row["status"] == Status.EMPTY for row in together]
        assert 0 < sum(empty) < 8
        for trial, row in enumerate(together):
            assert empty[trial] == all(row[name] is None for name in experiment.columns)
            (alone,) = experiment.rows(experiment.params(**values, **more), 0, [trial])
            one, other = ([float(end[name] or 0) for name in experiment.columns] for end in (row, alone))
            # Networks are trained in single precision, in other batches in another order.
            assert one == pytest.approx(other, rel=1e-4, abs=1e-6, nan_ok=True)


def test_an_empty_pattern_among_others_reaches_nothing_and_costs_nothing():
    # One pattern would do to reach all labels; the first is taken, which is empty.
    X, y, D = np.array([[3.0, 0.0, 0.0, 4.0]]), np.array([1.0]), np.array([[False, True]])
    for blocks in (Blocks(X, D, whitened=True), Cones(Blocks(X, D, whitened=True), np.stack([-X[0], X[0]], axis=1))):
        found = solving.solve(blocks, y)
        assert found.converged
        assert np.linalg.norm(found.W, axis=0).sum() == pytest.approx(1)


# ----------------------------------------------------------------------------------------- broken data


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_data_that_are_not_finite_are_refused_by_name(wrong):
    X, y, D = np.ones((4, 2)), np.ones(4), np.ones((4, 1), bool)
    blocks, plant = Blocks(X.copy(), D), certify.Plant.of(np.array([0]), np.array([[0.5], [0.5]]))
    X[1, 0] = wrong
    broken = np.where(np.arange(4) == 2, wrong, y)
    with pytest.raises(InvalidInput, match=r"^X \(points\) must be finite, got 1 of 8 entries that are not$"):
        Blocks(X, D, whitened=True)
    for model in MODELS:
        # The planted network is asked for labels first, and calls them points.
        with (
            pytest.raises(InvalidInput, match=r"^X \((training )?points\) must be finite"),
            np.errstate(invalid="ignore"),
        ):
            treated(solutions.solve, model, X, np.array([0.6, 0.8]))
    for call in (solving.solve, lambda blocks, y: recovery.decide(blocks, y, plant)):
        with pytest.raises(InvalidInput, match=r"^y \(labels\) must be finite, got 1 of 4 entries that are not$"):
            call(blocks, broken)
        with pytest.raises(InvalidInput, match=r"^y \(labels\) must be .* \(n,\) = \(4,\), got \(4, 1\)$"):
            call(blocks, y[:, None])
    with pytest.raises(InvalidInput, match=r"^y \(labels\) must be what the plant puts out, got labels 1 away"):
        recovery.decide(blocks, y + np.eye(4)[0], plant)


# --------------------------------------------------------------------------------- ties, merged and no plants


@pytest.mark.parametrize(("program", "distance", "unique"), [("relaxed", 0.5, False), ("exact", 0.0, True)])
def test_ties_are_reported_and_the_even_solution_is_measured(program, distance, unique):
    # n = d: some gate is open everywhere, and does what the skip connection does; a ReLU unit only if X w >= 0.
    for row in rows(paper.SKIP_DISTANCE, n=6, d=6, design="whitened", program=program, patterns=10):
        assert row["all_ones"]
        assert row["unique"] == unique
        assert (row["weight_distance"], row["stray"]) == pytest.approx((distance, distance), abs=1e-6)
    decided = rows(paper.SKIP_RECOVERY, n=6, d=6, design="whitened", program=program, patterns=10)
    assert {row["unique"] for row in decided} == {row["recovered"] for row in decided} == {unique}


@pytest.mark.parametrize("program", ["relaxed", "exact"])
def test_two_neurons_in_one_pattern_are_planted_as_one(program):
    shared = 0
    for trial in range(12):
        params = paper.NORMALIZED_DISTANCE.params(n=5, d=2, k=2, patterns=10, program=program)
        problem, solution, _ = paper.NORMALIZED_DISTANCE.run(params, Draws(3, [trial]))
        gates = problem.X[0] @ problem.teacher.W[0] >= 0
        if solution.status[0].usable and (gates[:, 0] == gates[:, 1]).all():
            shared += 1
            (one,) = instance.pose(params, problem, Draws(3, [trial]))
            assert len(one.plant.where) == 1
            planted = one.plant.weights(one.blocks.D.shape[1])
            assert np.allclose(one.blocks.forward(planted), problem.y[0]), "together they put out the labels"
    assert shared


@pytest.mark.parametrize("whitened", [False, True])
def test_a_zero_plant_is_found_by_zero_weights(whitened):
    X, H = Draws(2, [0]).normal("X", 5, 2)[0], Draws(2, [0]).normal("h", 2, 4)[0]
    blocks, nothing = Blocks(X, X @ H >= 0, whitened), certify.Plant.of(np.array([0]), np.zeros((2, 1)))
    for each in (blocks, Cones(blocks, H)):
        proof = recovery.decide(each, np.zeros(5), nothing)
        assert (proof.outcome, proof.margin) == (Outcome.UNIQUE, 1)
        with pytest.raises(InvalidInput, match=r"^y \(labels\) must be what the plant puts out"):
            recovery.decide(each, np.ones(5), nothing)


def test_more_planted_blocks_than_points_are_not_unique():
    plant = certify.Plant.of(np.array([0, 1]), np.ones((2, 2)))
    assert not certify.isometry(Blocks(np.array([[1.0, 2.0]]), np.ones((1, 2), bool)), plant).independent
