"""The comparison of training setups: its data, its starts, its training and the choice of step sizes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers.inconsistency.engine import distributions
from neurec_papers.inconsistency.engine.biases import BIASES, Given, start
from neurec_papers.inconsistency.experiments import rates
from neurec_papers.inconsistency.experiments.comparison import COMPARISON, SETTINGS, Comparison, best_rates

SHORT = {"iterations": 128, "every": 32, "held_out": 50}


# ----------------------------------------------------------------------------------------------------------- data


def test_moments_of_the_example_distribution():
    x, y = distributions.ex(Draws(0, range(20)), 5000, "train")
    assert x.shape == y.shape == (20, 5000)
    x, y = x.ravel(), y.ravel()
    # 100 000 points: five standard errors.
    assert abs(x.mean()) < 5 / 100_000**0.5
    assert x.var() == pytest.approx(1, abs=0.008)
    beta = np.abs(x) * (30 / 56) ** 0.5
    assert beta.max() < 1
    assert beta.mean() == pytest.approx(5 / 7, abs=5 * (10 / 392 / 100_000) ** 0.5)
    assert (beta < 0.5).mean() == pytest.approx(7 / 64, abs=0.005)  # P(Beta(5, 2) < 1/2) = 6/2^5 - 5/2^6
    assert (y**2).mean() == pytest.approx(1, abs=0.02)
    smooth = np.cos(7 * np.pi * (x - x / np.sqrt(1 + x**2))) + 0.2 * x**2 + 0.074
    noise = 0.727 * y - smooth
    assert noise.std() == pytest.approx(0.1, abs=0.002)
    assert abs(np.corrcoef(noise, x)[0, 1]) < 0.02
    for side in (x < 0, x > 0):
        _, intercept = np.polyfit(x[side], y[side], 1)
        assert abs(intercept) < 0.05, "the intercepts of both sides nearly vanish"


def test_noise_is_that_of_the_labels():
    draws = Draws(3, [4])
    x, y = distributions.ex(draws, 30, "test")
    smooth = (np.cos(7 * np.pi * (x - x / np.sqrt(1 + x**2))) + 0.2 * x**2 + 0.074) / 0.727
    assert np.allclose(y - smooth, distributions.ex_noise(draws, 30, "test"), atol=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_radial_data(d):
    X, y = distributions.radial(Draws(0, range(10)), 2000, d, "train")
    radii = np.linalg.norm(X, axis=2)
    assert np.allclose(y, np.cos(2 * np.pi * radii / 3**0.5))
    # E |x|^2 = 3 E u^2 = 1, in all directions alike.
    assert X.reshape(-1, d).var(0) == pytest.approx(np.full(d, 1 / d), abs=0.03)
    X, y = distributions.rbf(Draws(0, range(10)), 2000, d, "train")
    assert np.allclose(y, np.exp(-(np.linalg.norm(X, axis=2) ** 2)))
    assert X.reshape(-1, d).var(0) == pytest.approx(np.full(d, 1 / d), abs=0.03)


def test_samples_of_different_names_are_independent():
    for draw in distributions.DISTRIBUTIONS.values():
        (one, _), (other, _) = (draw(Draws(0, [0]), 20, 1, name) for name in ("train", "valid"))
        assert not np.isin(one, other).any()


# ---------------------------------------------------------------------------------------------------------- starts


def given(d=3, m=4000, n=50):
    draws = Draws(0, [0])
    return Given((2 / d) ** 0.5 * draws.normal("a", d, m), draws.normal("X", n, d), draws)


@pytest.mark.parametrize(
    ("law", "low", "high"),
    [
        ("pytorch", -(3**-0.5), 3**-0.5),
        ("uniform", -(6**0.5), 6**0.5),
        ("uniform_positive", 0, 6**0.5),
        ("uniform_negative", -(6**0.5), 0),
        ("narrow", -(3**0.5), 3**0.5),
        ("narrow_positive", 0, 3**0.5),
        ("narrow_negative", -(3**0.5), 0),
    ],
)
def test_uniform_biases_fill_their_intervals(law, low, high):
    b = BIASES[law](given())
    assert low <= b.min() < low + 0.01
    assert high - 0.01 < b.max() <= high
    assert b.mean() == pytest.approx((low + high) / 2, abs=0.15)


def test_kink_laws_place_the_kinks():
    g = given()
    distance = BIASES["kink_uniform_negative"](g) / np.linalg.norm(g.slopes, axis=1)
    assert -(3**0.5) <= distance.min() < -1.72
    assert -0.01 < distance.max() <= 0
    distance = BIASES["kink_uniform"](g) / np.linalg.norm(g.slopes, axis=1)
    assert abs(distance.mean()) < 0.1
    z = np.einsum("bnd,bdm->bnm", g.X, g.slopes)
    inside = -BIASES["kink_range"](g)
    assert ((z.min(1) <= inside) & (inside <= z.max(1))).all()
    for law in ("he1", "he5"):
        inside = -BIASES[law](g)  # up to rounding
        assert ((z.min(1) - 1e-12 <= inside) & (inside <= z.max(1) + 1e-12)).all()
    assert np.allclose(BIASES["mean"](g), -z.mean(1))
    # He+1 puts each kink on a point.
    assert np.abs(z + BIASES["he1"](g)[:, None]).min(1).max() < 1e-12


def test_shares_on_the_simplex_are_uniform():
    """He+k averages the pre-activations with Dirichlet(1, ..., 1) shares: variance (1 + 1/k)/(k + 1) of one's."""
    g = Given(np.ones((1, 1, 20_000)), np.random.default_rng(0).standard_normal((1, 5000, 1)), Draws(0, [0]))
    # E sum s_i^2 = 2 / (k + 1)
    assert BIASES["he5"](g).var() == pytest.approx(2 / 6, rel=0.05)
    assert BIASES["he1"](g).var() == pytest.approx(1, rel=0.05)


def test_negative_kinks_at_points_open_away_from_the_origin():
    X = Draws(0, [0, 1]).normal("X", 40, 3)
    for parameterization in ("he", "ntk"):
        begin = start(X, Draws(0, [0, 1]), 300, parameterization=parameterization, bias="kink_point_negative")
        z = begin.scales[0] * np.einsum("bnd,bdm->bnm", X, begin.a) + begin.b[:, None]
        # Some point lies on each kink, and there the slope points away from the origin.
        assert np.abs(z).min(1).max() < 1e-12
        assert (begin.b < 0).all()
    assert (np.sign(begin.a) != np.sign(Draws(0, [0, 1]).normal("a", 3, 300))).any(), "some slopes are turned"


@pytest.mark.parametrize("bias", BIASES)
def test_both_parametrisations_start_as_the_same_function(bias):
    X = Draws(0, [0]).normal("X", 30, 4)
    he, ntk = (start(X, Draws(0, [0]), 100, parameterization=name, bias=bias) for name in ("he", "ntk"))
    assert np.allclose(he.b, ntk.b)
    assert np.allclose(he.a, ntk.scales[0] * ntk.a)
    assert np.allclose(he.w, ntk.scales[1] * ntk.w)
    assert he.scales == (1, 1)
    assert ntk.w.std() == pytest.approx(1, abs=0.2)


# -------------------------------------------------------------------------------------------------------- training


class Published(torch.nn.Module):
    """One net of Section 10, with its two factors."""

    def __init__(self, begin):
        super().__init__()
        self.inner, self.outer = begin.scales
        self.a, self.b, self.w, self.c = (torch.nn.Parameter(torch.tensor(part[0])) for part in begin[:4])

    def forward(self, X):
        return self.outer * torch.relu(self.inner * X @ self.a + self.b) @ self.w + self.c


def published(params, trial):
    """The training loop with a tape, in double precision; best validation and test errors as they should be."""
    draws = Draws(0, [trial])
    draw = distributions.DISTRIBUTIONS[params.distribution]
    sizes = {"train": params.points * params.d, "valid": params.held_out, "test": params.held_out}
    data = {name: [torch.tensor(part[0]) for part in draw(draws, n, params.d, name)] for name, n in sizes.items()}
    X, y = data["train"]
    mean, std, y_mean, y_std = X.mean(0), X.std(0), y.mean(), y.std()
    data = {name: ((P - mean) / std, (q - y_mean) / y_std) for name, (P, q) in data.items()}
    X, y = data["train"]
    laws = {"parameterization": params.parameterization, "bias": params.bias}
    net = Published(start(X.numpy()[None], draws, params.width, **laws))
    optimizer = {
        "gd": lambda w: torch.optim.SGD(w, lr=params.rate),
        "momentum": lambda w: torch.optim.SGD(w, lr=params.rate, momentum=0.9),
        "adam": lambda w: torch.optim.Adam(w, lr=params.rate),
    }[params.optimizer](net.parameters())
    best = (np.inf, np.nan)
    for epoch in range(params.iterations // params.d):
        order = np.arange(len(y)) if params.d == 1 else np.argsort(draws.uniform(f"order_{epoch}", len(y))[0])
        for some in order.reshape(-1, params.points):
            optimizer.zero_grad()
            ((net(X[some]) - y[some]) ** 2).mean().backward()
            optimizer.step()
        if (epoch + 1) * params.d % params.every == 0:
            with torch.no_grad():
                valid, test = (((net(P) - q) ** 2).mean().item() for P, q in (data["valid"], data["test"]))
            best = min(best, (valid, test))
    last = ((net(X) - y) ** 2).mean().item()
    return [y_std.item() * s**0.5 for s in (best[1], best[0], last, valid, test)]


@pytest.mark.parametrize("d", [1, 4])
@pytest.mark.parametrize("optimizer", ["gd", "momentum", "adam"])
def test_a_row_is_the_published_training(optimizer, d):
    # As many points per step as fit one minibatch in d = 1, so that every route is full batch there.
    params = Comparison(
        distribution="radial", d=d, optimizer=optimizer, parameterization="ntk", bias="kink_uniform_negative", width=40,
        points=32, k=-2.0, **SHORT,
    )  # fmt: skip
    (row,) = COMPARISON.rows(params, 0, [3])
    names = ["test_rmse", "valid_rmse", "last_train_rmse", "last_valid_rmse", "last_test_rmse"]
    # d = 1 is in double precision; d = 4 in single, 128 steps deep.
    assert [row[name] for name in names] == pytest.approx(published(params, 3), rel=1e-10 if d == 1 else 1e-4)
    assert row["bayes_rmse"] == 0


def test_the_noise_is_the_bayes_error():
    params = Comparison(width=20, **SHORT)
    (row,) = COMPARISON.rows(params, 0, [2])
    assert row["bayes_rmse"] == pytest.approx(distributions.ex_noise(Draws(0, [2]), 50, "test").std(), rel=0.05)
    assert row["bayes_rmse"] == pytest.approx(0.1376, rel=0.3)


@pytest.mark.parametrize("d", [1, 4])
def test_the_value_is_the_net_that_was_trained(d):
    params = Comparison(distribution="radial", d=d, width=30, bias="he5", parameterization="ntk", k=-3.0, **SHORT)
    draws = Draws(0, [0, 1])
    _, solution, scores = COMPARISON.run(params, draws)
    X, y = distributions.radial(draws, params.held_out, d, "test")
    rmse = np.sqrt(((solution.value(X) - y) ** 2).mean(1))
    assert rmse == pytest.approx(scores["last_test_rmse"], rel=1e-4)


@pytest.mark.parametrize(("d", "k"), [(1, 12.0), (2, 14.0)])
def test_a_net_that_diverges_is_a_row_with_a_status(d, k):
    rows = COMPARISON.rows(Comparison(distribution="radial", d=d, k=k, width=30, **SHORT), 0, range(2))
    assert {row["status"] for row in rows} == {Status.DIVERGED.value}
    assert rows[0]["test_rmse"] is None


def test_settings_share_data_and_directions():
    one, other = (
        Comparison(**SHORT),
        Comparison(bias="uniform", optimizer="adam", k=1.5, parameterization="ntk", **SHORT),
    )
    a, b = (COMPARISON.sample(p, Draws(0, [0])) for p in (one, other))
    assert np.array_equal(a.X, b.X)
    assert np.array_equal(a.y, b.y)
    assert one.rate == 0.008
    assert other.rate == pytest.approx(0.08 * 2**1.5)


@pytest.mark.parametrize("d", [1, 2])
def test_a_net_of_the_published_size_does_not_depend_on_those_beside_it(d):
    for bias in ("he5", "kink_point_negative"):
        params = Comparison(distribution="radial", d=d, bias=bias, optimizer="adam", iterations=64)
        together = COMPARISON.rows(params, 0, range(3))
        alone = COMPARISON.rows(params, 0, [1])
        # To the bit.
        assert [together[1][c] for c in COMPARISON.columns] == [alone[0][c] for c in COMPARISON.columns]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"d": 2}, r"d \(input dimension\) must be 1 where distribution is ex, got 2"),
        (
            {"distribution": "radial", "d": 3},
            r"every \(steps from one evaluation to the next\) must be a multiple of d",
        ),
        ({"iterations": 100}, r"iterations \(steps\) must be a multiple of every, got 100"),
        ({"bias": "kink"}, r"bias \(law of the first layer's biases\) must be one of zero, "),
    ],
)
def test_settings_that_do_not_fit_are_refused(values, message):
    with pytest.raises(BadInput, match=message):
        Comparison(**values)


# ------------------------------------------------------------------------------------------------------ step sizes


def rows_of(valid, **fields):
    """Rows of a setting: {k: validation errors}; None has diverged."""
    params = Comparison(**fields)
    measures = dict.fromkeys(COMPARISON.columns, 0.5)
    return [
        {**params.with_(k=k).model_dump(), **measures, "valid_rmse": v, "test_rmse": v if v is None else v + 0.1,
         "status": (Status.DIVERGED if v is None else Status.SOLVED).value}
        for k, values in valid.items()
        for v in values
    ]  # fmt: skip


def test_the_best_step_size_has_the_least_mean_and_no_net_that_diverged():
    one = rows_of({-1.0: [0.3, 0.5], 0.0: [0.2, 0.4], 1.0: [0.1, None]})
    two = rows_of({-1.0: [0.3, 0.5], 0.0: [0.2, 0.8]}, bias="he5")
    none = rows_of({0.0: [None, None]}, bias="uniform")
    best = best_rates(pd.DataFrame([*one, *two, *none]))
    assert best[["bias", "k", "nets"]].to_numpy().tolist() == [["he5", -1.0, 2], ["zero", 0.0, 2]]
    zero = best.iloc[1]
    # The error of a mean is |0.4 - 0.2| / 2.
    assert [zero["valid_rmse"], zero["test_rmse"], zero["valid_rmse_error"]] == pytest.approx([0.3, 0.4, 0.1])
    grids = rates.refined(best, trials=7)
    assert grids[0].axes["k"] == [-1.375, -1.25, -1.125, -1.0, -0.875, -0.75, -0.625]
    assert all(grid.trials == 7 for grid in grids)
    assert [point.bias for point in grids[0].points(Comparison)] == ["he5"] * 7


def test_presets_hold_the_published_grid():
    assert len(SETTINGS["k"]) == 23
    assert SETTINGS["k"][0] == -6
    assert SETTINGS["k"][-1] == 5
    paper, line = (COMPARISON.presets[name] for name in ("paper", "paper_line"))
    # Seven published laws of the biases, and He+5.
    assert paper.cells == 7 * 2 * 3 * 8 * 23
    assert line.cells == 2 * 2 * 3 * 8 * 23
    (point,) = {p.with_(k=0.0) for p in line.points(Comparison) if p.distribution == "ex" and p.bias == "zero"
                and p.optimizer == "gd" and p.parameterization == "he"}  # fmt: skip
    assert (point.width, point.points, point.held_out, point.iterations, point.every) == (512, 256, 1024, 8192, 64)
