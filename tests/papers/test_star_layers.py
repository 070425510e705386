"""The star experiment's other networks, tanh and deep ones, its other point sets and its linear step: plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
from loops import backward, layered

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_papers.inconsistency.engine import arms
from neurec_papers.inconsistency.engine import layers as torch_layers
from neurec_papers.inconsistency.experiments import star
from neurec_papers.inconsistency.experiments.star import STAR, Star

VARIANTS = [
    {"activation": "tanh", "m": 16, "points": "cross"},
    {"activation": "tanh", "m": 24, "bias": "random", "weights": "uniform", "step_rule": "published"},
    {"layers": 3, "m": 16, "points": "line", "bias": "random"},
    {"layers": 3, "m": 20, "points": "line", "step_rule": "published", "weights": "uniform"},
    {"layers": 2, "m": 8, "activation": "tanh", "points": "multi_axis", "half_axes": 3, "step_rule": "linear"},
    {"m": 24, "points": "random_with_line", "step_rule": "linear"},
    {"m": 24, "points": "multi_axis", "half_axes": 4},
]
each = pytest.mark.parametrize("options", VARIANTS, ids=str)


def given(params, trials):
    """Each trial's points, shares, layers, step and threshold."""
    draws = Draws(0, range(trials))
    problem = STAR.sample(params, draws)
    weights = star.layers(params, draws, problem.X.shape[2])
    h, kernel = star.step_sizes(params, problem, draws)
    threshold = 0.999999 * arms.affine_loss(arms.POINTS[params.points](params), problem.weights)
    for t in range(trials):
        net = [(W[t], b[t]) for W, b in weights]
        yield problem.X[t], problem.y[t], problem.weights[t], net, h[t], kernel[t], threshold[t]


def flat(gradient):
    return np.concatenate([np.ravel(part) for layer in gradient for part in layer])


# ----------------------------------------------------------------------------------------------------- training


@each
def test_rows_are_those_of_a_plain_loop(options):
    params, trials = Star(epochs=200, **options), 3
    rows = STAR.rows(params, 0, range(trials))
    ends = STAR.run(params, Draws(0, range(trials)))[1].value
    events = []
    for row, end, (X, y, nu, net, h, _, least) in zip(rows, ends, given(params, trials), strict=True):
        last, losses, changed, below = layered(X, y, nu, net, params.activation, h, 200, least)
        events.append((changed >= 0, below >= 0))
        assert (row["kink_crossed"], row["mse_below"]) == events[-1]
        assert row["crossing_epoch"] == pytest.approx(changed if changed >= 0 else np.nan, nan_ok=True)
        assert row["below_epoch"] == pytest.approx(below if below >= 0 else np.nan, nan_ok=True)
        assert row["loss"] == pytest.approx(losses[-1] / least, rel=1e-9)
        assert row["step"] == pytest.approx(h * params.m)
        if not params.grouped:
            assert end.steps == len(losses) - 1
            assert flat(end.weights) == pytest.approx(flat(last), rel=1e-8, abs=1e-10)
    assert any(changed for changed, _ in events), "something happens"


def test_a_network_does_not_depend_on_those_beside_it():
    for options in VARIANTS[:5]:
        params = Star(epochs=60, **options)
        together, alone = STAR.rows(params, 0, range(3)), STAR.rows(params, 0, [1])
        # To the bit.
        assert repr([together[1][name] for name in STAR.columns]) == repr([alone[0][name] for name in STAR.columns])


def test_one_that_diverges_harms_no_other():
    params = Star(m=16, layers=2, points="line", weights="uniform")
    draws = Draws(0, range(3))
    problem = STAR.sample(params, draws)
    data, net = torch_layers.Data(problem.X, problem.y, problem.weights), star.layers(params, draws, 1)
    options = {"steps": 200, "threshold": np.zeros(3), "schedule": np.array([0, 200])}
    calm, wild = (torch_layers.descend(net, data, "relu", h=np.array([0.01, h, 0.01]), **options) for h in (0.01, 1e3))
    assert [end.diverged for end in wild] == [False, True, False]
    assert [wild[i].loss for i in (0, 2)] == [calm[i].loss for i in (0, 2)]
    assert np.isfinite(calm[1].losses).all()
    status = STAR.rows(params.with_(epochs=3), 0, [0])[0]["status"]
    assert status == Status.SOLVED


# ---------------------------------------------------------------------------------------------------- step sizes


@each
def test_the_kernel_is_that_of_all_gradients(options):
    params = Star(epochs=0, **options)
    for X, _, nu, net, h, kernel, _ in given(params, 2):
        rows = [flat(backward(X, net, r, params.activation)[2]) for r in np.eye(len(X))]
        eigenvalue = np.linalg.norm(np.sqrt(nu)[:, None] * np.array(rows), 2) ** 2
        assert kernel == pytest.approx(eigenvalue, rel=1e-10)
        if params.step_rule == "spectral":
            assert h == pytest.approx(1 / eigenvalue, rel=1e-10)
        if params.step_rule == "published":
            assert h == pytest.approx(2 / np.sum(flat(net) ** 2), rel=1e-12)


@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("layers", [1, 3])
def test_the_linear_step_is_the_largest_along_which_the_loss_falls_as_predicted(activation, layers):
    params = Star(m=12, points="line", activation=activation, layers=layers, step_rule="linear")
    for X, y, nu, net, h, _, _ in given(params, 3):

        def loss(step, X=X, y=y, nu=nu, net=net):
            _, _, gradient = backward(X, net, lambda f: nu * (f - y), activation)
            moved = [(W - step * dW, b - step * db) for (W, b), (dW, db) in zip(net, gradient, strict=True)]
            f, _, _ = backward(X, moved, lambda f: nu * (f - y), activation)
            return 0.5 * np.sum(nu * (f - y) ** 2), np.sum(flat(gradient) ** 2)

        start, square = loss(0)
        found = 1e-6
        for step in np.logspace(-6, 0, 200):
            if abs((start - loss(step)[0]) / (step * square) - 1) > 0.1:
                break
            found = step
        assert h == pytest.approx(found, rel=1e-12)
        assert 1e-6 < h < 1


# -------------------------------------------------------------------------------------------------------- points


def test_a_line_and_random_points_are_the_published_ones():
    X, y, arm = arms.random_with_line(Star())
    assert X[:6].tolist() == [[0, t] for t in (-1, -2, -3, 1, 2, 3)]
    assert y[:6].tolist() == [-1, 2, -1, 1, -2, 1]
    # The first normals of torch's seed 1.
    assert X[6:].ravel()[:6] == pytest.approx([0.6614, 0.2669, 0.0617, 0.6213, -0.4519, -0.1661], abs=1e-4)
    assert np.bincount(arm).tolist() == [3, 3, 1, 1, 1, 1, 1, 1]
    # Only the six points of Example 1 are not fitted by what is affine on every arm: 1/2 mean y^2 of each side is 1.
    assert arms.affine_loss(arms.Arms(X, y, arm), np.full((1, 12), 1 / 12)) == pytest.approx([0.5])


def test_points_on_axes_have_best_lines_through_the_origin():
    X, y, arm = arms.multi_axis(Star(half_axes=5))
    assert X.shape == (25, 5)
    for k in range(5):
        on = arm == k
        x = X[on, k]
        assert np.count_nonzero(X[on]) == 5
        assert ((x > 1) & (x < 2)).all()
        _, intercept = np.polyfit(x, y[on], 1)
        assert intercept == pytest.approx(0, abs=1e-12)
    # The first uniforms of NumPy's seed 1; fewer axes are the first of them.
    assert X[:2, 0] == pytest.approx([1.417022, 1.720324], abs=1e-6)
    assert np.array_equal(arms.multi_axis(Star(half_axes=2)).y, y[:10])


def test_a_line_has_two_arms():
    X, y, arm = arms.line(Star())
    assert X.shape == (6, 1)
    assert arms.affine_loss(arms.Arms(X, y, arm), np.full((1, 6), 1 / 6)) == pytest.approx([1])
