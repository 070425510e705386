"""One instance as a figure: its numbers are those of the solution."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from neurec_core.draws import Draws
from neurec_papers.convex_recovery import view
from neurec_papers.convex_recovery.view import INSTANCE


def drawn(edges=None, **values):
    params = INSTANCE.params(**values)
    instance = INSTANCE.run(params, Draws(0, [0]))
    return view.recovery(params, *instance, edges=edges), *instance


@pytest.mark.parametrize("program", ["relaxed", "exact"])
@pytest.mark.parametrize("model", ["skip", "normalized"])
def test_an_instance_shows_plant_solution_and_certificate(model, program):
    fig, problem, _, scores = drawn(model=model, n=40, d=6, program=program)
    planted, found, norms, condition, one, _, _, place = fig.data
    assert scores["recovered"][0]
    assert np.allclose(planted.y, found.y, atol=1e-6)  # solved to a gap of 1e-9
    scale = np.linalg.norm(np.maximum(problem.X[0] @ problem.teacher.W[0], 0)) if model == "normalized" else 1
    assert np.linalg.norm(planted.y) * scale == pytest.approx(1)
    assert norms.y[0] == pytest.approx(1, abs=1e-6), "the planted block is tight"
    assert max(norms.y[1:]) < 1
    assert (np.diff(norms.y[1:]) <= 0).all()
    assert len(condition.y) == len(norms.y) - 1
    assert set(one.y) == {1}
    assert (place.x, place.y) == ((40,), (6,))
    assert "recovered" in fig.layout.title.text
    assert len(fig.layout.meta["alt"]) > 20


def test_only_edges_of_the_same_kind_are_drawn():
    edges = pd.DataFrame(
        {"model": ["skip", "skip", "normalized"], "k": 1, "n": [20.0, 40.0, 10.0], "d": [10.0, 20.0, 10.0]}
    )
    fig, *_ = drawn(edges, n=12, d=4)
    assert list(fig.data[5].x) == [20.0, 40.0]
    fig, *_ = drawn(edges, n=12, d=4, model="normalized")
    assert list(fig.data[5].x) == [10.0]


def test_the_title_says_why():
    assert "one direction is active on every point" in drawn(n=30, d=20)[0].layout.title.text
    assert "the noise is fitted" in drawn(n=30, d=5, sigma=0.2)[0].layout.title.text
    assert (
        "a cheaper net fits" in drawn(n=60, d=20, plant="smallest_singular", gates="adversarial")[0].layout.title.text
    )


def test_a_failed_instance_says_so():
    fig, *_ = drawn(n=20, d=4, sigma=0.5, patterns=1)
    assert fig.layout.title.text.startswith("no solution: ")
    assert len(fig.data) == 8, "the explorer updates traces in place"


def test_a_plant_without_a_pattern_is_named():
    params = INSTANCE.params(model="normalized", n=1, d=3)
    figs = [view.recovery(params, *INSTANCE.run(params, Draws(seed, [0]))) for seed in range(8)]
    titles = {fig.layout.title.text.split("<br>")[0] for fig in figs}
    assert "no solution: a planted neuron is active on no point" in titles
