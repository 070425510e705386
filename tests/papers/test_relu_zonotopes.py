"""Searches over vertices against all of them, the selected vertex against its labels, descent and its vertex."""

from __future__ import annotations

from itertools import combinations_with_replacement, product

import numpy as np
import pytest
from scipy.optimize import linprog

from neurec_core import drawing, tables
from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers import relu_zonotopes as paper
from neurec_papers.relu_zonotopes import view
from neurec_papers.relu_zonotopes.engine import descent, search, selection
from neurec_papers.relu_zonotopes.engine.landscape import Landscape, cells_of, signed
from neurec_papers.relu_zonotopes.experiments import polish, setting
from neurec_papers.relu_zonotopes.experiments.sensitivity import least_loss
from smallnets.convex import cell
from smallnets.descent.relu import descend
from smallnets.errors import InvalidInput
from smallnets.geometry import zonotopes


def landscape(n, d, trial=0):
    draws = Draws(3, [trial])
    return Landscape(setting.points(draws, n, d, "normal")[0], setting.labels(draws, n)[0])


def random_units(land, m, seed=0):
    return np.random.default_rng(seed).integers(-land.cells, land.cells, m)


# ------------------------------------------------------------------------------------------------------- the landscape


@pytest.mark.parametrize(("n", "d", "m"), [(6, 2, 2), (8, 3, 3), (10, 3, 5), (9, 4, 2)])
def test_losses_are_those_of_the_convex_problem(n, d, m):
    land = landscape(n, d)
    for seed in range(20):
        units = random_units(land, m, seed)
        D, signs = land.fan.D[:, cells_of(units)], np.where(units < 0, -1, 1)
        vertex, fitted = land.vertex(units), cell.fit(land.X, land.y, D, signs)
        if fitted.converged:
            # Proximal steps stop at a gradient of 1e-12; thin cells turn that into this much loss.
            assert land.loss(units) == pytest.approx(fitted.loss, abs=1e-8)
        assert vertex.loss == pytest.approx(land.loss(units), abs=1e-10)
        outputs = np.maximum(land.X @ vertex.W.T, 0) @ signs
        assert np.allclose(land.y - outputs, vertex.residual, atol=1e-7), "weights that do what is said"
        sides = np.where(D, 1, -1) * (land.X @ vertex.W.T)
        assert sides.min() > -1e-9 * max(np.abs(vertex.W).max(), 1)


def test_order_and_repetition_of_units_change_nothing():
    land = landscape(8, 3)
    units = random_units(land, 3)
    assert land.loss(units) == land.loss(units[::-1]) == land.loss(np.append(units, units[0]))
    assert land.solves == 1, "each set is solved once"


def test_labels_that_are_not_numbers_are_refused():
    X = landscape(6, 2).X
    with pytest.raises(InvalidInput, match="y \\(labels\\) must be finite, got 6 of 6"):
        Landscape(X, np.full(6, np.nan))


# ---------------------------------------------------------------------------------------------------------- the search


@pytest.mark.parametrize("rule", ["greedy", "first", "binding", "flipping"])
@pytest.mark.parametrize("trial", range(3))
def test_walks_go_down_along_edges(rule, trial):
    land = landscape(9, 3, trial)
    walk = search.greedy(land, random_units(land, 2, trial), rule)
    assert (np.diff(walk.losses) < 0).all()
    for a, b in zip(walk.units, walk.units[1:], strict=False):
        (j,) = np.flatnonzero(a != b)
        flipped = a[j] == ~b[j]
        assert (rule == "flipping" and flipped) or b[j] in [
            ~c if a[j] < 0 else c for c in land.fan.beyond[cells_of(a[j])] if c >= 0
        ]


@pytest.mark.parametrize("trial", range(4))
def test_greedy_walks_end_where_no_neighbour_is_better(trial):
    land = landscape(9, 3, trial)
    end = search.greedy(land, random_units(land, 2, trial)).units[-1]
    near = []
    for j in range(2):
        pattern = land.fan.D[:, cells_of(end[j])]
        for i in range(9):
            cells = land.fan.find((pattern ^ (np.arange(9) == i))[:, None])
            if cells[0] >= 0:
                other = end.copy()
                other[j] = ~cells[0] if end[j] < 0 else cells[0]
                near.append(Landscape(land.X, land.y).loss(other))
    assert min(near) >= land.loss(end) - 1e-9


def test_walks_through_binding_walls_are_cheaper():
    solves = {"greedy": 0, "binding": 0}
    for trial in range(5):
        for rule in solves:
            land = landscape(9, 3, trial)
            solves[rule] += search.greedy(land, random_units(land, 2, trial), rule).solves
    assert solves["binding"] < solves["greedy"]


@pytest.mark.parametrize(("n", "d", "m"), [(5, 2, 1), (5, 2, 2), (6, 2, 3), (5, 3, 2), (6, 3, 1)])
@pytest.mark.parametrize("trial", range(2))
def test_the_best_vertex_of_all_is_found(n, d, m, trial):
    land = landscape(n, d, trial)
    every = product(range(-land.cells, land.cells), repeat=m)
    least = min(Landscape.loss(land, np.array(units)) for units in every)
    fresh = Landscape(land.X, land.y, land.fan)
    best = search.exhaustive(fresh, m)
    # A set may be left out if it improves by less than 1e-10.
    assert best.loss == pytest.approx(least, abs=1e-9)
    assert fresh.loss(best.units) == best.loss
    assert best.solves <= land.solves, "no more than one by one"


def test_a_search_that_would_take_for_ever_is_refused():
    with pytest.raises(
        BadInput, match=r"m \(neurons\) must leave at most 20000000 sets of signed cells, got 6e\+10 for m = 6"
    ):
        search.exhaustive(landscape(10, 3), 6)


# -------------------------------------------------------------------------------------------------- the selected vertex


@pytest.mark.parametrize(("n", "d"), [(20, 4), (50, 6), (100, 10), (200, 5), (7, 3), (3, 5), (2000, 20)])
def test_the_selected_vertex_fits_any_labels(n, d):
    draws = Draws(0, [0])
    X = setting.points(draws, n, d, "with_bias")[0]
    chosen = selection.widest(X, draws.normal("way", 16, d - 1)[0])
    assert chosen.m == 2 * -(-n // d)
    for name in ("y", "z"):  # one vertex for all labels
        y = draws.normal(name, n)[0]
        W, a = selection.fit(X, y, chosen)
        # Weights of 10^7 cancel: rounding of 1e-16 times that, added up; less where pairs are taken together.
        assert np.abs(np.maximum(X @ W.T, 0) @ a - y).max() < 1e-6
        assert np.abs(np.sum(chosen.D * (X @ (W[::2] - W[1::2]).T), axis=1) - y).max() < 1e-7
        assert np.array_equal(X @ W.T > 0, np.repeat(chosen.D, 2, axis=1)), "strictly inside its cells"
    assert np.array_equal(X @ chosen.inside > 0, chosen.D)


def test_the_selected_vertex_is_one_of_the_zonotope():
    draws = Draws(0, [0])
    X = setting.points(draws, 9, 3, "with_bias")[0]
    chosen = selection.select(X, draws.normal("way", 2)[0])
    assert (zonotopes.fan(X).find(chosen.D) >= 0).all()
    land = Landscape(X, setting.labels(draws, 9)[0])
    units = signed(np.repeat(land.fan.find(chosen.D), 2), np.tile([1, -1], 3))
    assert land.loss(units) < 1e-20, "so that the convex problem there has a loss of 0"


@pytest.mark.parametrize(
    ("X", "direction", "says"),
    [
        (np.zeros((4, 2)), np.ones(1), "end in a column of ones"),
        (np.array([[np.nan, 1.0]]), np.ones(1), "X \\(points\\) must be finite, got 1 of 2"),
        (np.array([[1.0, 1], [1, 1], [2, 1]]), np.ones(1), "must differ along the direction, got 2 that do not"),
        (
            np.array([[1.0, 1], [3, 1], [2, 1]]),
            np.zeros(1),
            "direction \\(of the cuts\\) must be 1 numbers that are not all 0, got \\[0.0\\]",
        ),
    ],
)
def test_points_that_cannot_be_cut_are_refused(X, direction, says):
    with pytest.raises((BadInput, InvalidInput), match=says):
        selection.select(X, direction)


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_points_can_be_cut_at_any_scale(scale):
    X = np.column_stack([scale * np.array([3.0, 1, 2, 5, 4]), np.ones(5)])
    chosen = selection.select(X, np.ones(1))
    assert chosen.D[:, 0].all(), "all points are behind the first cut"
    W, a = selection.fit(X, np.array([1.0, -1, 2, 0, 1]), chosen)
    assert np.allclose(np.maximum(X @ W.T, 0) @ a, [1, -1, 2, 0, 1], atol=1e-9)


def test_points_that_only_rounding_separates_are_not_cut():
    X = np.column_stack([[0.0, 1, np.nextafter(1, 2), 2], np.ones(4)])
    with pytest.raises(BadInput, match="by more than rounding, where they are cut"):
        selection.select(X, np.ones(1))


def test_units_outside_of_all_cells_are_refused():
    land = landscape(6, 2)
    with pytest.raises(BadInput, match="must lie inside cells, got 1 of 2 that do not"):
        land.at(np.array([[1.0, np.nan], [0.5, np.nan]]))
    with pytest.raises(BadInput, match="units \\(signed cells\\) must be at least one"):
        land.loss(np.zeros(0, int))
    with pytest.raises(BadInput, match="unknown rule 'greed': did you mean greedy"):
        search.greedy(land, np.array([0]), "greed")
    with pytest.raises(InvalidInput, match=r"W \(hidden weights\) must be an array of shape .*, got \(0, 2\)"):
        descent.own_vertex(land.X, land.y, np.zeros((0, 2)), np.zeros(0))


def test_dependent_points_in_a_block_are_refused():
    X = np.column_stack([np.arange(6.0), 2 * np.arange(6.0), np.ones(6)])  # on a line of the plane
    with pytest.raises(BadInput, match="a block of points is dependent"):
        selection.fit(X, np.arange(6.0) ** 2, selection.select(X, np.ones(2)))


def fits_somewhere(X: np.ndarray, y: np.ndarray, signs: tuple[int, ...]) -> bool:
    """Whether any network with these output signs fits, by a linear program for each choice of patterns."""
    n, d = X.shape
    patterns = [np.array(bits) for bits in product([1, 0], repeat=n) if any(bits)]
    if n > 3:  # the four points below are on a line, which has no patterns but these
        patterns = [bits for bits in patterns if np.count_nonzero(np.diff(bits)) <= 1]
    plus, minus = (list(combinations_with_replacement(patterns, signs.count(s))) for s in (1, -1))
    ordered = sorted(signs, reverse=True)
    for chosen in product(plus, minus):
        D = [bits for side in chosen for bits in side]
        outputs = np.hstack([s * bits[:, None] * X for s, bits in zip(ordered, D, strict=True)])
        walls = np.zeros((n * len(D), d * len(D)))
        for j, bits in enumerate(D):
            walls[j * n : (j + 1) * n, j * d : (j + 1) * d] = (1 - 2 * bits)[:, None] * X
        found = linprog(
            np.zeros(d * len(D)), A_ub=walls, b_ub=np.zeros(len(walls)), A_eq=outputs, b_eq=y, bounds=(None, None)
        )
        if found.status == 0:
            return True
    return False


BIASED = np.column_stack([np.arange(4.0), np.ones(4)])
CORNERS = np.array([[0.0, 0, 1], [1, 1, 1], [2, 0, 1]])
COLLINEAR = np.array([[0.0, 0, 1], [1, 1, 1], [2, 2, 1]])


@pytest.mark.parametrize(
    ("X", "y", "signs", "fits"),
    [
        # Two points with a bias; without it, f(2) = 2 f(1) however many neurons there are.
        (BIASED[1:3], [1.0, 1], (1, -1), True),
        (BIASED[1:3, :1], [1.0, 1], (1, -1, 1, -1), False),
        # Three independent points of the plane, and three on a line of it.
        (CORNERS, [1.0, -1, 1], (1, -1), True),
        (COLLINEAR, [1.0, -1, 1], (1, -1), False),
        (COLLINEAR, [1.0, -1, 1], (1, 1), False),
        (COLLINEAR, [1.0, -1, 1], (-1, -1), False),
        # Four points on a line, two blocks: a pair of signs for each, and one neuron of another sign.
        (BIASED, [-1.0, 1, -1, 1], (1, -1, 1, -1), True),
        (BIASED, [-1.0, 1, -1, 1], (1, 1, 1, -1), False),
        (BIASED, [-1.0, 1, -1, 1], (1, 1, 1, 1), False),
    ],
)  # fmt: skip
def test_a_bias_independent_blocks_and_pairs_of_signs_are_each_needed(X, y, signs, fits):
    n, d = X.shape
    assert len(signs) == 2 * -(-n // d), "as many neurons as are selected"
    assert fits_somewhere(X, np.array(y), signs) == fits
    if fits:
        W, a = selection.fit(X, np.array(y), selection.select(X, np.arange(1.0, d)))
        assert sorted(a) == sorted(signs)
        assert np.allclose(np.maximum(X @ W.T, 0) @ a, y, atol=1e-9)
    elif signs == (1, -1, 1, -1):
        with pytest.raises(InvalidInput, match="direction \\(direction of the cuts\\) must be an array of shape"):
            selection.select(X, np.ones(0))
    elif d == 3:
        with pytest.raises(BadInput, match="a block of points is dependent"):
            selection.fit(X, np.array(y), selection.select(X, np.arange(1.0, d)))


# ------------------------------------------------------------------------------------------------------ the experiments


def test_the_least_loss_of_coincident_points_is_that_of_their_mean():
    X = np.column_stack([[-1.0, 0, 0, 1, 2], np.ones(5)])
    y = np.array([0.3, 1, -1, 0.2, 0.1])
    apart = np.array([y[0], 0, 0, *y[3:]])  # labels 1 and -1 leave 2/5, whatever is said there
    assert least_loss(X, y, 2) == pytest.approx(least_loss(X, apart, 2) + 2 / 5, abs=1e-9)


@pytest.mark.parametrize("steps", [1, 100, 10_000])
def test_the_convex_optimum_of_a_trained_networks_vertex_is_never_worse(steps):
    draws = Draws(1, [0])
    X, y = setting.points(draws, 15, 3, "normal")[0], setting.labels(draws, 15)[0]
    W, a = draws.normal("W", 4, 3)[0], np.array([1.0, -1, 1, -1])
    run = descend(X, y, W, a, step=0.02, steps=steps)
    own = descent.own_vertex(X, y, run.W, run.a)
    assert own.loss <= run.loss + 1e-12
    D = X @ run.W.T > 0
    fitted = cell.fit(X, y, D, np.sign(run.a))
    assert own.loss == pytest.approx(fitted.loss, abs=1e-8)
    assert np.allclose(y - np.maximum(X @ own.W.T, 0) @ np.sign(run.a), own.residual, atol=1e-9)


def test_all_methods_begin_at_the_same_vertices():
    experiment = paper.LOCAL_SEARCH
    starts = {
        method: [row["start"] for row in experiment.rows(experiment.params(n=6, d=2, method=method), 0, range(2))]
        for method in ("greedy", "first", "binding", "flipping", "descent")
    }
    assert len({tuple(values) for values in starts.values()}) == 1


def test_walks_end_between_their_start_and_the_best_vertex():
    experiment = paper.LOCAL_SEARCH
    for method in ("greedy", "first", "binding", "flipping"):
        for row in experiment.rows(experiment.params(n=7, method=method, starts=4), 0, range(3)):
            assert row["least"] - 1e-9 <= row["best"] <= row["end"] <= row["start"] + 1e-12
            assert row["never_above_start"] == 1


def test_descent_ends_no_lower_than_its_last_vertex():
    experiment = paper.LOCAL_SEARCH
    params = experiment.params(n=8, method="descent", optimum="unknown", steps=2000)
    for row in experiment.rows(params, 0, range(3)):
        assert row["vertex"] <= row["end"] + 1e-12
        assert np.isnan(row["least"])
        assert np.isnan(row["hit_rate"])


@pytest.mark.parametrize(
    ("experiment", "values", "says"),
    [
        (paper.VERTEX_COUNTS, {"n": 2, "d": 3}, "n \\(training points\\) must be at least d = 3, got 2"),
        (paper.LOCAL_SEARCH, {"n": 2, "d": 3}, "n \\(training points\\) must be at least d = 3, got 2"),
        (paper.LOCAL_SEARCH, {"steps": 10}, "step and steps .* must be left alone where method is greedy"),
        (paper.LOCAL_SEARCH, {"n": 14, "m": 4}, "must leave at most 20000000 sets of signed cells to search, got "),
        (paper.SENSITIVITY, {"case": "general", "n": 40, "m": 4}, "must leave at most 20000000 sets of signed cells"),
        (paper.LOCAL_SEARCH, {"n": 200, "d": 4, "optimum": "unknown"}, "must leave at most 50000000 signs to try, got"),
        (paper.LOCAL_SEARCH, {"n": 100_000, "d": 1000, "optimum": "unknown"}, "signs to try, got inf for n = 100000"),
        (paper.VERTEX_COUNTS, {"n": 10_000, "d": 20}, "must leave at most 50000000 signs to try, got "),
        (
            paper.SENSITIVITY,
            {"moved": 1e-9},
            "moved \\(how far one point is moved\\) must be a number in \\[1e-08, 0.5\\]",
        ),
        (paper.RANDOM_VERTEX, {"m": 3, "outputs": "paired"}, "m \\(hidden neurons\\) must be even"),
        (paper.SENSITIVITY, {"n": 5}, "n and d .* must be 4 and 2 where case is coincident, got 5, 2"),
        (paper.SENSITIVITY, {"case": "general", "n": 3, "d": 4}, "n \\(training points\\) must be at least d = 4"),
    ],
)
def test_what_makes_no_sense_is_refused_at_the_entrance(experiment, values, says):
    with pytest.raises(BadInput, match=says):
        experiment.params(**values)


def test_numbers_of_thousands_of_digits_are_abbreviated():
    with pytest.raises(BadInput, match=r"got 1e\+\d+ for m = 100000"):
        search.exhaustive(landscape(10, 3), 100_000)


@pytest.mark.parametrize("method", ["descent", "greedy"])
def test_descent_that_blows_up_is_a_row(method):
    experiment = paper.LOCAL_SEARCH
    steps = {"step": 10.0, "steps": 500} if method == "descent" else {}
    (row,) = experiment.rows(experiment.params(method=method, n=6, d=2, starts=2, **steps), 0, [0])
    assert row["status"] == (Status.DIVERGED if method == "descent" else Status.SOLVED)
    assert (row["end"] is None) == (method == "descent")


def test_a_training_that_blows_up_is_a_row():
    experiment = paper.POLISH
    (row,) = experiment.rows(experiment.params(step=10, steps=1000), 0, [0])
    assert row["status"] == Status.DIVERGED
    assert row["trained"] is None


def test_directions_of_a_selected_vertex_are_measured_by_their_gap():
    experiment = paper.VERTEX_SELECTION
    few, many = (
        [row["largest"] for row in experiment.rows(experiment.params(n=300, d=5, tries=k), 0, range(5))]
        for k in (1, 64)
    )
    assert np.median(many) < np.median(few)


# --------------------------------------------------------------------------------------------------------- the pictures


@pytest.mark.parametrize("n", [3, 6, 9])
def test_the_drawn_zonotope_is_the_zonotope(n):
    problem, solution, _ = view.INSTANCE.run(view.INSTANCE.params(n=n, steps=10), Draws(0, [1]))
    t = {name: part[0] for name, part in solution.trace.items()}
    X = problem.X[0]
    assert np.allclose(t["V"], t["D"] @ X)
    assert len(t["V"]) - len(t["edges"]) + len(t["faces"]) == 2, "Euler's formula"
    assert len(t["faces"]) == n * (n - 1)
    for face, ray in zip(t["faces"], t["rays"], strict=True):
        heights = t["V"] @ ray
        assert np.allclose(heights[face], heights.max()), "farthest along their ray"
        assert np.allclose(t["V"][face[0]] + t["V"][face[2]], t["V"][face[1]] + t["V"][face[3]]), "a parallelogram"
    for edge, beside in zip(t["edges"], t["beside"], strict=True):
        assert all(set(edge) <= set(t["faces"][face]) for face in beside)


def test_the_map_keeps_areas():
    eye = view._eye(33.0)
    assert np.allclose(eye @ eye.T, np.eye(3))
    w = np.random.default_rng(0).standard_normal((200_000, 3))
    r2 = (view._disc(w, eye) ** 2).sum(axis=1) / 4
    assert r2.max() <= 1 + 1e-9
    # Uniform on the disc: the squared radius is uniform; 5 standard deviations of its mean.
    assert r2.mean() == pytest.approx(0.5, abs=5 / np.sqrt(12 * len(r2)))


def test_the_explorers_figure_always_has_the_same_traces():
    kinds = []
    for values in ({"n": 4, "m": 1}, {"n": 9, "m": 3}, {"n": 6, "m": 4, "turn": -100.0}):
        params = view.INSTANCE.params(steps=50, **values)
        fig = view.walk(params, *view.INSTANCE.run(params, Draws(0, [0])))
        kinds.append([(trace.mode, trace.xaxis) for trace in fig.data])
        assert "greedy walk" in fig.layout.title.text.lower()
    assert kinds[0] == kinds[1] == kinds[2]


def test_vertices_light_up_where_the_weights_are():
    params = view.INSTANCE.params(n=5, m=2, steps=200)
    problem, solution, _ = view.INSTANCE.run(params, Draws(0, [0]))
    fig = view.training(params, problem, solution)
    assert len(fig.frames) == solution.trace["W"].shape[1]
    t = {name: part[0] for name, part in solution.trace.items()}
    for i, W in enumerate(t["W"]):
        patterns = problem.X[0] @ W.T >= 0
        assert np.array_equal(t["D"][t["cells"][i]], patterns.T)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_units_of_any_size_are_on_walls_or_not(size):
    X = np.array([[1.0, 0, 1], [0, 1, 1], [2, 1, 1]])
    W = np.array([[1.0, 3, -1], [1, 1, 1], [0, 0, 0]])  # of three neurons the first meets the first point, the last all
    assert polish._on_walls(X, size * W) == polish._on_walls(X, W) == 2 / 3


def test_the_figure_of_output_signs_holds_means_and_standard_errors():
    table = tables.load(tables.published(paper.LOCAL_SEARCH))
    fig = drawing.draw(table, paper.LOCAL_SEARCH, "signs")
    assert [bars.name for bars in fig.data] == ["output signs alternating", "output signs random"]
    for bars, outputs in zip(fig.data, ("alternating", "random"), strict=True):
        for method, height, error in zip(bars.x, bars.y, bars.error_y.array, strict=True):
            rows = table[(table["n"] == 8) & (table["m"] == 2) & (table["optimum"] == "searched")]
            ends = rows.loc[(rows["outputs"] == outputs) & (rows["method"] == method), "end"].to_numpy(float)
            assert len(ends) == 50
            assert height == pytest.approx(ends.mean())
            assert error == pytest.approx(ends.std(ddof=1) / 50**0.5)
