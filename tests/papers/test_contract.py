"""What every experiment must do; a new one is tested here by being there."""

from __future__ import annotations

import collections
import json
import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest
from toys import TOGETHER, TOY, WALK

from neurec_core import papers, tables
from neurec_core.draws import Draws
from neurec_core.experiment import Experiment, Status
from neurec_core.params import BadInput, Params

EXPERIMENTS = [TOY, TOGETHER, WALK, *papers.experiments().values()]
# Parameters that change what is solved or seen, never what is drawn.
PAIRED = {"sigma": 0.7, "solver": "SCS", "patterns": 60, "program": "exact", "gates": "all", "beta": 0.1}

each = pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)


def points(experiment: Experiment):
    return experiment.presets["tiny"].points(experiment.params)


def content(row):
    return {name: value for name, value in row.items() if name != "seconds"}


KEPT: dict[tuple[str, Params], list[dict[str, Any]]] = {}


def rows_of(experiment, params):
    """Three trials of a point, computed together and once."""
    if (key := (experiment.name, params)) not in KEPT:
        KEPT[key] = experiment.rows(params, 0, [0, 1, 2])
    return KEPT[key]


@each
def test_it_declares_the_presets_that_everything_relies_on(experiment):
    wanted = {"tiny"} if experiment in (TOY, TOGETHER, WALK) else {"tiny", "quick", "paper"}
    assert wanted <= set(experiment.presets)
    for grid in experiment.presets.values():
        assert len(grid.points(experiment.params)) == grid.cells


@each
def test_parameters_are_described(experiment):
    for name, d in experiment.params.declared().items():
        assert d.label != name, f"{name} says what it means"
        assert not {"with", "without", "yes", "no", "true", "false"} >= set(d.choices) > set(), f"{name} is a boolean"
        if d.slider:
            low, high, step = d.slider
            assert step > 0
            experiment.params(**{name: d.default}).with_(**{name: low}).with_(**{name: high})


@each
def test_columns_have_names_of_their_own(experiment):
    taken = {*experiment.params.model_fields, "seed", "trial", "status", "detail", "seconds"}
    assert not taken & set(experiment.columns)


@each
def test_shapes(experiment):
    for params in points(experiment):
        problem, solution, scores = experiment.run(params, Draws(0, [0, 1, 2]))
        assert problem.X.shape[0] == 3
        assert problem.y.shape[:2] == problem.X.shape[:2], "one label a point, or several"
        assert len(solution.status) == 3
        assert set(scores) == set(experiment.columns)
        assert all(np.shape(values) == (3,) for values in scores.values())


@each
def test_rows_do_not_depend_on_batch_or_order(experiment):
    for params in points(experiment):
        together = rows_of(experiment, params)
        alone = [row for trial in (2, 0, 1) for row in experiment.rows(params, 0, [trial])]
        # To the bit: the same arithmetic on the same numbers, whatever stands beside them.
        assert sorted(map(repr, map(content, together))) == sorted(map(repr, map(content, alone)))


@each
def test_rows_do_not_depend_on_the_points_solved_beside_them(experiment):
    assert set(experiment.sampled) <= set(experiment.params.model_fields)
    together: dict[tuple, list] = {}
    for params in points(experiment):
        together.setdefault(experiment.solved_as(params), []).append(params)
    assert not experiment.sampled or any(len(group) > 1 for group in together.values()), "tiny shows it"
    for group in together.values():
        rows = experiment.rows_together([(params, trial) for params in group for trial in (1, 0)], 0)
        alone = [rows_of(experiment, params)[trial] for params in group for trial in (1, 0)]
        # To the bit, as above, and with other trials beside them.
        assert list(map(repr, map(content, rows))) == list(map(repr, map(content, alone)))


@pytest.mark.parametrize("experiment", [e for e in EXPERIMENTS if e.follow], ids=lambda e: e.name)
def test_what_is_followed_ends_as_what_is_solved(experiment):
    for params in points(experiment):
        _, solution, scores = experiment.run(params, Draws(0, [0, 1, 2]))
        states = list(experiment.states(params, Draws(0, [0, 1, 2])))
        for _, _, early in states:
            assert {name: np.shape(values) for name, values in early.items()} == dict.fromkeys(scores, (3,))
        _, followed, last = states[-1]
        assert list(followed.status) == list(solution.status)
        for name, values in scores.items():
            # To the bit, as above: the same arithmetic, looked at on its way.
            assert np.array_equal(last[name], values, equal_nan=values.dtype.kind == "f"), name


def test_what_cannot_be_followed_has_one_state():
    ((_, _, scores),) = TOY.states(TOY.params(), Draws(0, [0, 1]))
    assert np.array_equal(scores["size"], TOY.run(TOY.params(), Draws(0, [0, 1]))[2]["size"])


@each
def test_another_seed_is_another_draw(experiment):
    (params, *_) = points(experiment)
    one, other = (experiment.sample(params, Draws(seed, [0])) for seed in (0, 1))
    assert any(not np.array_equal(a, b) for a, b in [(one.X, other.X), (one.y, other.y), (one.weights, other.weights)])


@each
def test_solver_and_noise_see_the_same_data(experiment):
    (params, *_) = points(experiment)
    for name in PAIRED.keys() & experiment.params.model_fields.keys():
        changed = params.with_(**{name: PAIRED[name]})
        a, b = (experiment.sample(p, Draws(0, [0, 1])) for p in (params, changed))
        assert np.array_equal(a.X, b.X)
        assert repr(a.teacher) == repr(b.teacher)
        assert (name == "sigma") != np.array_equal(a.y, b.y), "only noise changes the labels"


@each
def test_points_and_rows_survive_tables_and_json(experiment):
    for params in points(experiment):
        assert experiment.params(**json.loads(params.model_dump_json())) == params
        rows = rows_of(experiment, params)
        assert {row["status"] for row in rows} <= {status.value for status in Status}
        assert repr(tables.arrow(rows, experiment).to_pylist()) == repr(rows) == repr(json.loads(json.dumps(rows)))


@each
def test_it_travels_to_a_worker(experiment):
    travelled = pickle.loads(pickle.dumps(experiment))
    assert travelled.name == experiment.name
    assert travelled.presets == experiment.presets


@each
def test_values_out_of_range_are_refused_by_name(experiment):
    for name, d in experiment.params.declared().items():
        if d.low is None:
            continue
        with pytest.raises(BadInput) as error:
            experiment.params(**{name: d.low - 1})
        assert str(error.value).startswith(f"{name} ({d.label}) must be {d.allowed}, got ")


@each
def test_guides_speak_of_its_own_parameters(experiment):
    for guide in experiment.guides:
        assert {guide.x, guide.y, *guide.holds} <= set(experiment.params.model_fields)
        assert np.shape(guide.curve(np.arange(1.0, 4.0))) == (3,)


@pytest.mark.parametrize("experiment", [TOY, TOGETHER], ids=lambda e: e.name)
def test_a_trial_that_raises_is_a_row_and_its_neighbours_are_untouched(experiment):
    plain = experiment.rows(experiment.params(), 0, range(4))
    rows = experiment.rows(experiment.params(raises=2), 0, range(4))
    assert rows[2]["status"] == Status.RAISED
    assert rows[2]["detail"] == "ZeroDivisionError: as asked"
    assert rows[2]["heads"] is None
    assert rows[2]["size"] is None
    for trial in (0, 1, 3):
        assert (rows[trial]["heads"], rows[trial]["size"]) == (plain[trial]["heads"], plain[trial]["size"])


def test_a_trial_that_its_solver_gives_up_has_no_measures():
    rows = TOY.rows(TOY.params(fails=1), 0, range(3))
    assert [row["status"] for row in rows] == [Status.SOLVED, Status.FAILED, Status.SOLVED]
    assert rows[1]["size"] is None


def refuse(params, problem, draws):
    if 1 in draws.trials:
        raise BadInput("x (tenths) must be odd where y is even, got 4")
    return TOY.solve(params, problem, draws)


@pytest.mark.parametrize("batch", [1, 5])
def test_input_that_only_the_solver_can_refuse_is_no_failed_trial(batch):
    strict = Experiment(**{**vars(TOY), "solve": refuse, "batch": batch})
    with pytest.raises(BadInput, match="must be odd"):
        strict.rows(strict.params(), 0, range(4))


@pytest.mark.parametrize(
    ("value", "optional", "status"),
    [
        (1.0, False, Status.SOLVED),
        (np.inf, False, Status.NOT_FINITE),
        (-np.inf, True, Status.NOT_FINITE),
        (np.nan, False, Status.NOT_FINITE),
        (np.nan, True, Status.SOLVED),
    ],
)
def test_a_measure_that_is_not_finite_is_no_answer(value, optional, status):
    def score(params, problem, solution):
        return {"heads": solution.value < 0, "size": np.array([value, 2.0])}

    columns = {"heads": TOY.columns["heads"], "size": TOY.columns["size"]._replace(optional=optional)}
    rows = Experiment(**{**vars(TOY), "batch": 2, "score": score, "columns": columns}).rows(TOY.params(), 0, [0, 1])
    assert [row["status"] for row in rows] == [status, Status.SOLVED]
    assert rows[1]["size"] == 2
    if status is Status.NOT_FINITE:
        assert (rows[0]["heads"], rows[0]["size"]) == (None, None)
        assert rows[0]["detail"] == "not finite: size"


@pytest.fixture(params=papers.experiments().values(), ids=lambda e: e.name, scope="module")
def published(request):
    """An experiment and its published table; the tests of one follow one another, so that it is read once."""
    return request.param, tables.load(tables.published(request.param))


# Tables that hold more than is declared: a second stage depends on the first.
MORE = {"inconsistency.comparison"}


def test_a_published_table_holds_the_points_and_trials_that_are_declared(published):
    experiment, table = published
    fields = list(experiment.params.model_fields)
    declared = collections.Counter()
    for grid in experiment.presets.values():
        if grid.published:  # points that several grids share are computed once
            declared |= collections.Counter(dict.fromkeys(grid.points(experiment.params), grid.published))
    held = {}
    for values, rows in table.groupby(fields, dropna=False, sort=False):
        point = {name: None if pd.isna(value) else value for name, value in zip(fields, values, strict=True)}
        held[experiment.params(**point)] = len(rows)
        assert sorted(rows["trial"]) == list(range(len(rows)))
    assert set(table["seed"]) == {0}
    assert declared
    if experiment.name in MORE:
        held = {point: held[point] for point in declared}
    assert held == declared


def test_published_measures_are_finite_or_declared_optional(published):
    experiment, table = published
    table = tables.usable(table)
    assert len(table)
    for name, column in experiment.columns.items():
        if column.kind == "measure":
            assert not np.isinf(table[name]).any(), name
            assert column.optional or table[name].notna().all(), name
