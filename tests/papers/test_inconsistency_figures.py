"""Figures 3 and 9 to 12 of the inconsistency paper, against plain computations and rows made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import kstest

from neurec_core import drawing
from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers.inconsistency import figures, published, theory
from neurec_papers.inconsistency.engine import distributions
from neurec_papers.inconsistency.engine.biases import start
from neurec_papers.inconsistency.experiments import comparison
from neurec_papers.inconsistency.experiments.comparison import COMPARISON, Comparison
from neurec_papers.inconsistency.experiments.examples import TRAINING_EXAMPLES, TrainingExamples


def lines(fig):
    return {trace.name: trace for trace in fig.data if trace.mode in ("lines", "lines+markers") and trace.fill is None}


# ------------------------------------------------------------------------------------------------------- best lines


def test_best_lines_are_least_squares_and_those_trained_on_pass_through_the_origin():
    rows = pd.DataFrame(
        [TrainingExamples(m=m, rng=rng).model_dump() for m, rng in ((8, "addressed"), (16, "published"))]
    )
    fig = drawing.draw(rows.assign(seed=0, trial=0), TRAINING_EXAMPLES, "best_lines")
    x, y = published.example_points(256)
    drawn = [trace for trace in fig.data if trace.mode == "lines"]
    assert len(drawn) == 4
    intercepts = []
    for trace, (side, panel) in zip(drawn, [(s, p) for p in (1, 2) for s in (-1, 1)], strict=True):
        on = x * side > 0
        A = np.stack([x[on], np.ones(on.sum())], axis=1)
        slope, intercept = np.linalg.solve(A.T @ A, A.T @ y[on])
        assert trace.y[0] == pytest.approx(intercept if panel == 1 else 0, abs=1e-9)
        assert trace.y[1] - trace.y[0] == pytest.approx(slope * trace.x[1], rel=1e-9)
        assert np.sign(trace.x[1]) == side
        intercepts.append(intercept)
    assert intercepts[:2] == pytest.approx([0.2695, -0.0391], abs=5e-5)  # of the authors' points
    assert f"{intercepts[0]:.3f} and {intercepts[1]:.3f}" in fig.layout.title.text


def test_the_film_ends_as_the_paper_s_figures_1_and_2():
    fig = drawing.draw(pd.DataFrame(), TRAINING_EXAMPLES, "training")
    steps = [int(frame.name) for frame in fig.frames]
    assert (steps[0], steps[-1], len(steps)) == (0, 92_708, 60)
    (way,) = [np.array(trace.y, float) for trace in fig.data if trace.name == "kinks"]
    assert [np.nanmin(way), np.nanmax(way)] == pytest.approx([-0.082, 0.131], abs=5e-4)
    assert len(fig.frames[-1].data[1].x) == 16
    x, f = np.array(fig.frames[-1].data[0].x), np.array(fig.frames[-1].data[0].y)
    for side in (x < -0.14, x > 0.14):
        assert np.abs(np.diff(f[side], 2)).max() < 1e-9, "affine on either side"


# --------------------------------------------------------------------------------------------------- distances of kinks


@pytest.mark.parametrize("d", [1, 2, 5, 64])
def test_distances_of_kinks_have_the_law_of_random_draws(d):
    rng = np.random.default_rng(d)
    a = (2 / d) ** 0.5 * rng.standard_normal((20_000, d))
    distance = rng.uniform(0, 6**0.5, 20_000) / np.linalg.norm(a, axis=1)
    assert kstest(distance, lambda t: theory.kink_distance_cdf(t, d)).pvalue > 1e-3
    other = 1.1 * distance  # a law that is a tenth wider is refused
    assert kstest(other, lambda t: theory.kink_distance_cdf(t, d)).pvalue < 1e-3


def test_distances_of_kinks_tend_to_a_uniform_law():
    t = np.linspace(0, 4, 41)
    assert theory.kink_distance_cdf(t, 1_000_000) == pytest.approx(np.minimum(t / 3**0.5, 1), abs=1e-3)
    rows = pd.DataFrame([Comparison(distribution="radial", d=d).model_dump() for d in (4, 2)])
    fig = drawing.draw(rows, COMPARISON, "kink_distances")
    assert [trace.name for trace in fig.data] == ["U−, d = 2", "U−, d = 4", "Uk−, any d"]
    assert fig.data[1].y == pytest.approx(theory.kink_distance_cdf(np.array(fig.data[1].x), 4))


# ---------------------------------------------------------------------------------------------------- errors compared


def rows_of(errors, **fields):
    """Rows of a setting, {k: test errors}; None has diverged."""
    measures = dict.fromkeys(COMPARISON.columns, 0.5)
    return [
        {**Comparison(distribution="radial", k=k, **fields).model_dump(), **measures, "valid_rmse": e, "test_rmse": e,
         "status": (Status.DIVERGED if e is None else Status.SOLVED).value}
        for k, values in errors.items() for e in values
    ]  # fmt: skip


def test_errors_over_the_dimension_are_relative_to_zero_biases_at_the_best_step_sizes():
    small = {"width": 32}
    rows = [
        *rows_of({0.0: [0.9, 0.7], 1.0: [0.2, None]}, d=1, **small),  # a step size with which one diverged is out
        *rows_of({0.0: [0.3, 0.5] * 4, 1.0: [0.8, 0.9] * 4}, d=1, bias="uniform", **small),
        *rows_of({0.0: [0.5, 0.5], 1.0: [0.6, 0.6]}, d=4, **small),
        *rows_of({0.0: [0.4, 0.6] * 4, 1.0: [0.35, 0.45] * 4}, d=4, bias="uniform", **small),
        *rows_of({0.0: [0.1, 0.1]}, d=1, optimizer="adam", **small),
        *rows_of({0.0: [0.01, 0.01]}, d=1, bias="uniform"),  # of another width, in fewer dimensions
    ]
    fig = drawing.draw(pd.DataFrame(rows), COMPARISON, "over_dimension")
    sgd = [trace for trace in fig.data if trace.mode == "lines+markers" and trace.xaxis in (None, "x")]
    assert {trace.name: list(trace.y) for trace in sgd} == {
        "zero": [1, 1], "U": [pytest.approx(0.4 / 0.8), pytest.approx(0.4 / 0.5)],
    }  # fmt: skip
    assert all(list(trace.x) == [1, 4] for trace in sgd)
    (band,) = [trace for trace in fig.data if trace.fill and trace.xaxis in (None, "x")]
    assert band.name == "U", "two networks have no band"
    # Eight values 0.1, or 0.05, away from their mean have an error of this over the root of seven.
    wide, narrow = 2 * 0.1 / 7**0.5, 2 * 0.05 / 7**0.5
    edges = [(0.4 + wide) / 0.8, (0.4 + narrow) / 0.5, (0.4 - narrow) / 0.5, (0.4 - wide) / 0.8]
    assert np.array(band.y) == pytest.approx(edges)
    assert "width 32" in fig.layout.title.text


def test_setups_with_zero_biases_are_relative_to_gradient_descent():
    rows = [
        row for d, errors in {1: (0.8, 0.2), 2: (0.5, 0.4)}.items()
        for optimizer, error in zip(("gd", "adam"), errors, strict=True)
        for row in rows_of({0.0: [error, error]}, d=d, optimizer=optimizer)
    ] + rows_of({0.0: [0.01, 0.01]}, d=1, bias="uniform")  # fmt: skip
    fig = drawing.draw(pd.DataFrame(rows), COMPARISON, "zero_over_dimension")
    assert {name: list(trace.y) for name, trace in lines(fig).items()} == {
        "He, SGD": [1, 1], "He, Adam": [pytest.approx(0.25), pytest.approx(0.8)],
    }  # fmt: skip


def test_claims_over_dimensions_count_what_contradicts_them():
    def table(zero, kinks):
        return pd.DataFrame([
            row for d, *errors in zip((1, 4, 16), zero, kinks, strict=True)
            for bias, error in zip(("zero", "kink_uniform_negative"), errors, strict=True)
            for parameterization in ("he", "ntk")
            for row in rows_of(
                {0.0: [error, error]}, d=d, bias=bias, parameterization=parameterization, width=128, iterations=2048
            )
        ])  # fmt: skip

    good = table([0.9, 0.6, 0.5], [0.3, 0.4, 0.4])
    assert comparison.kinks_cost_nothing(good) == 0
    assert comparison.gain_with_one_input(good) == pytest.approx(0.9 / 0.3)
    assert comparison.gain_with_four_inputs(good) == pytest.approx(0.6 / 0.4)
    assert comparison.kinks_cost_nothing(table([0.9, 0.3, 0.5], [0.3, 0.4, 0.4])) == 2
    gone = good[(good["bias"] != "zero") | (good["d"] != 4)]  # what is not there cannot confirm anything
    assert comparison.kinks_cost_nothing(gone) == 2


def test_a_figure_without_a_step_size_that_converged_says_so():
    rows = pd.DataFrame(rows_of({0.0: [None, 0.5]}))
    with pytest.raises(
        BadInput, match=r"rows \(to draw\) must hold a step size with which every net converged, got none"
    ):
        drawing.draw(rows, COMPARISON, "over_dimension")


# -------------------------------------------------------------------------------------------------------- median nets


def descended(params, x, y, draws):
    """One net of width m on points of a line, by plain gradient steps on the mean squared error."""
    a, b, w, c, (inner, outer) = start(x[None, :, None], draws, params.width, parameterization="ntk", bias=params.bias)
    a, b, w, c = a[0, 0], b[0], w[0], c[0]
    for _ in range(params.iterations):
        z = inner * np.outer(x, a) + b
        on, units = z >= 0, np.maximum(z, 0)
        r = 2 / len(x) * (outer * units @ w + c - y)
        back = outer * (r[:, None] * on) * w
        a, b, w, c = (
            a - params.rate * inner * x @ back, b - params.rate * back.sum(0),
            w - params.rate * outer * r @ units, c - params.rate * r.sum(),
        )  # fmt: skip
    return lambda at: outer * np.maximum(inner * np.outer(at, a) + b, 0) @ w + c


def test_median_nets_are_those_of_plain_gradient_descent():
    small = {"width": 12, "points": 20, "held_out": 40, "iterations": 64, "every": 64}
    params = Comparison(parameterization="ntk", bias="zero", k=-2.0, **small)
    other = params.with_(k=-1.0)
    rows = [
        {**p.model_dump(), **dict.fromkeys(COMPARISON.columns, e), "status": "solved"}
        for p, e in ((params, 1), (other, 2))
    ]
    fig = drawing.draw(pd.DataFrame(rows), COMPARISON, "median_nets")
    x, y = (part[0] for part in distributions.ex(Draws(figures.SEED, [0]), 20, "train"))
    assert list(fig.data[0].x) == list(x)
    units = [x.mean(), x.std(ddof=1), y.mean(), y.std(ddof=1)]
    at, found = np.array(fig.data[1].x), []
    for trial in range(figures.CANDIDATES):
        draws = Draws(figures.SEED, [trial])
        net = descended(params, (x - units[0]) / units[1], (y - units[2]) / units[3], draws)
        xv, yv = (part[0] for part in distributions.ex(draws, 40, "valid"))
        outputs = [units[2] + units[3] * net((p - units[0]) / units[1]) for p in (xv, at)]
        found.append((np.sqrt(np.mean((outputs[0] - yv) ** 2)), outputs[1]))
    error, f = sorted(found, key=lambda one: one[0])[figures.CANDIDATES // 2]
    assert fig.data[1].y == pytest.approx(f, abs=1e-9)
    assert fig.data[1].name == f"NTK, zero: error {error:.2f}"
