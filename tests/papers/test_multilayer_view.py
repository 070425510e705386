"""Which neuron matches which, drawn: what the figures hold."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_papers import multilayer_dynamics as paper
from neurec_papers.multilayer_dynamics import view
from neurec_papers.multilayer_dynamics.experiments.matrix_rule import falling
from neurec_papers.multilayer_dynamics.view import INSTANCE

FEW = {"widths": "3-4", "outputs": 5, "rate": 0.005}


@pytest.fixture(scope="module")
def instance():
    params = INSTANCE.params(**FEW, steps=500)
    return params, *INSTANCE.run(params, Draws(0, [0]))


def test_winners_stand_first_in_the_teachers_order():
    last = np.array([[0.1, 0.9, 0.3, 0.2], [0.8, 0.1, 0.2, 0.7], [0.2, 0.95, 0.1, 0.0]])
    assert view._ordered(last).tolist() == [
        1,
        0,
        3,
        2,
    ]  # student 1 wins twice; 3 beats 2 among the rest


def test_the_live_view_always_has_the_same_traces(instance):
    params, problem, solution, scores = instance
    fig = view.in_training(params, problem, solution, scores)
    early = next(INSTANCE.states(params, Draws(0, [0])))
    first = view.in_training(params, *early)
    assert (
        [trace.type for trace in fig.data] == [trace.type for trace in first.data] == ["heatmap"] * 2 + ["scatter"] * 3
    )
    C = solution.trace["correlations"][-1][1][0]
    shown = np.array(fig.data[1].z)
    assert np.allclose(np.sort(shown, axis=1), np.sort(np.maximum(C, 0), axis=1), atol=5e-4)  # three digits
    assert np.array_equal(fig.data[3].y, solution.trace["best"][0, :, 1])
    assert f"{scores['live_1'][0]:.3f}" in fig.layout.title.text
    assert fig.layout.meta["alt"]


@pytest.mark.parametrize("widths", ["3", "3-4-5", "3-4-5-3"])
def test_the_live_view_has_a_panel_a_layer(widths):
    params = INSTANCE.params(**{**FEW, "widths": widths}, steps=100)
    fig = view.in_training(params, *INSTANCE.run(params, Draws(0, [0])))
    layers = widths.count("-") + 1
    assert [trace.type for trace in fig.data].count("heatmap") == layers
    assert len(fig.layout.annotations) == layers + 2
    assert fig.layout[f"yaxis{layers + 2}"].type == "log"


def test_the_live_view_says_that_a_student_diverged():
    params = INSTANCE.params(**{**FEW, "rate": 100.0}, steps=100)
    fig = view.in_training(params, *INSTANCE.run(params, Draws(0, [0])))
    assert Status.DIVERGED in fig.layout.title.text


def test_training_is_played_look_by_look(instance):
    *_, solution, _ = instance
    fig = view.training(solution)
    assert [frame.name for frame in fig.frames] == ["0", "100", "200", "400", "500"]
    assert fig.frames[0].data[0].z == fig.data[0].z, "what is shown is where the slider stands"
    assert fig.frames[-1].data[0].z != fig.data[0].z


def test_fan_outs_are_split_into_winners_and_others():
    noted = falling(paper.MATRIX_RULE.params(iterations=300), Draws(0, [0]), snapshots=5)
    fig = view.falling(noted, "title")
    others, winners, ends = fig.data
    assert noted["at"][0] == 0
    assert noted["at"][-1] == 300
    assert noted["won"].sum() == 20
    for trace, won in ((others, False), (winners, True)):
        lines = np.reshape(trace.y, (-1, len(noted["at"]) + 1))
        assert np.array_equal(lines[:, :-1], noted["fan_out"][:, noted["won"] == won].T)
    assert np.allclose(sorted(ends.y), sorted(noted["teacher"]))
    # Columns have norm 1 throughout: squared fan-outs, the bias among them, sum to the outputs.
    assert ((noted["fan_out"] ** 2).sum(axis=1) <= 30 + 1e-9).all()
    assert ((noted["fan_out"] ** 2).sum(axis=1) > 29).all()


def test_rates_are_drawn_against_strength():
    rows = {"decay": [0.0, 0.0, 1.0, 1.0], "status": ["solved", "solved", "solved", "the iterates diverged"]}
    found = {"found_1": [1.0, 1.0, 1.0, np.nan], "found_2": [1.0, 0.0, 0.0, np.nan], "found_3": [np.nan] * 4}
    fig = view.by_strength(pd.DataFrame(rows | found), "decay", "title")
    lines = [trace for trace in fig.data if trace.name]
    assert [line.name for line in lines] == ["decay = 0.0", "decay = 1.0"]
    assert [list(line.x) for line in lines] == [[1, 2], [1, 2]], "no third neuron"
    assert [list(line.y) for line in lines] == [[1.0, 0.5], [1.0, 0.0]], "a failed trial counts for nothing"
