"""The published log of a training, beside a plain loop, and the figures over scales."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from neurec_core.__main__ import main
from neurec_core.draws import Draws
from neurec_papers import single_neuron as paper
from neurec_papers.single_neuron import log, published, view
from neurec_papers.single_neuron.experiments import setup

PARAMS = paper.TRAJECTORIES.params(d=4, m=9, steps=400, step=0.05, scale=0.2, data="uncentred")
# The names in the order of the published program, with what depends on the numbers of points and inputs at the end.
STATISTICS = [f"{of} {what} ({sign})" for what in ("length grad", "direction grad norm") for sign in "+-"
              for of in ("min", "max", "mean")]  # fmt: skip
NAMES = [
    "iteration", "loss", *STATISTICS,
    *(f"{of} angle between {sign} neurons" for sign in ("positive", "negative") for of in ("average", "maximum")),
    "norm of combined neuron", "distance to teacher", "angle between combined neuron and early direction target",
    "angle between combined neuron and teacher neuron", "sum of squared weights", "nuclear norm", "nonzero predictions",
    "average num of points seen (+)", "val loss", "val loss outside dist 1", "val loss outside dist 4",
    "val loss outside dist 16", *(f"difference to target in dim {k}" for k in range(1, 5)),
]  # fmt: skip


def read(lines):
    """Header and rows of a log."""
    lines = list(lines)
    head = json.loads("".join(line[2:] for line in lines if line.startswith("# ")))
    rows = list(csv.DictReader(io.StringIO("\n".join(line for line in lines if not line.startswith("#")))))
    return head, rows


def descended(X, y, W, a, steps):
    """A plain loop of gradient descent on the mean squared error."""
    for _ in range(steps):
        H = X @ W.T
        r = 2 / len(y) * (np.maximum(H, 0) @ a - y)
        W, a = W - PARAMS.step * ((H > 0) * r[:, None] * a).T @ X, a - PARAMS.step * np.maximum(H, 0).T @ r
    return W, a


def test_the_log_has_the_published_columns_and_rows():
    head, rows = read(log.log(PARAMS, Draws(2, [1])))
    assert list(rows[0]) == NAMES
    assert [int(row["iteration"]) for row in rows] == published.schedule(400)[1:].tolist()
    assert (head["d"], head["n"], head["width"], head["init scale"], head["cutoff"]) == (4, 4, 9, 0.2, 400)
    assert head["training points noise scale"] == pytest.approx((2**0.5 - 1) ** 0.5), "the program's default"
    assert (head["uncentered training points"], head["two teachers"]) == (True, False)


def test_the_log_is_what_a_plain_loop_measures():
    draws = Draws(2, [1])
    head, rows = read(log.log(PARAMS, draws))
    X, W0, a, v = (
        np.array(head[name]) for name in ("data points", "init weights", "predict weights", "teacher neuron")
    )
    a0 = np.linalg.norm(W0, axis=1) * np.sign(a[0])
    y = np.maximum(X @ v, 0)
    positive, dead = np.array(head["positive group"]), np.array(head["always dead"])
    assert np.array_equal(dead, (X @ W0.T <= 0).all(axis=0))
    assert np.array_equal(positive, (a0 > 0) & ~dead)
    assert np.allclose(sorted(head["eigenvalues"]), np.linalg.eigvalsh(X.T @ X))
    angles = np.degrees(np.arccos(X @ v / np.linalg.norm(X, axis=1)))
    assert head["maximum angle to teacher"] == pytest.approx(angles.max())
    assert head["large angle point count"] == (angles > 45).sum()
    tests = setup.sample(PARAMS, draws).teacher.sets
    for row in (rows[0], rows[len(rows) // 2], rows[-1]):
        W, b = descended(X, y, W0, a0, int(row["iteration"]))

        def error(Z, W=W, b=b):
            return ((np.maximum(Z @ W.T, 0) @ b - np.maximum(Z @ v, 0)) ** 2).mean()

        together = b[positive] @ W[positive]
        wanted = {
            "loss": error(X), "norm of combined neuron": np.linalg.norm(together),
            "distance to teacher": np.linalg.norm(v - together), "nuclear norm": np.linalg.norm(W, "nuc"),
            "sum of squared weights": (W**2).sum() + (b**2).sum(), "val loss": error(tests.inside[0]),
            "val loss outside dist 1": error(tests.small[0]), "val loss outside dist 4": error(tests.middle[0]),
            "val loss outside dist 16": error(tests.large[0]),
            "average num of points seen (+)": (X @ W[positive].T > 0).sum() / positive.sum(),
        }  # fmt: skip
        for name, value in wanted.items():
            assert float(row[name]) == pytest.approx(value, rel=1e-6, abs=1e-12), name
        along = [float(row[f"difference to target in dim {k}"]) for k in range(1, 5)]
        basis = np.linalg.eigh(X.T @ X)[1][:, ::-1]
        assert np.allclose(np.abs(along), np.abs((v - together) @ basis), atol=1e-8)
    assert np.allclose(W, head["weights"])


def test_two_teachers_are_both_named_and_groups_may_be_empty():
    head, rows = read(log.log(PARAMS.with_(teachers="two"), Draws(0, [0])))
    assert np.linalg.norm(head["teacher neuron 2"]) == pytest.approx(3)
    assert len(head["data points"]) == 8
    logs = (read(log.log(PARAMS.with_(m=1), Draws(0, [trial]))) for trial in range(20))
    rows = next(rows for head, rows in logs if any(head["positive group"]))
    names = set(rows[0])
    assert "min length grad (+)" in names
    assert "min length grad (-)" not in names
    assert rows[0]["maximum angle between positive neurons"] == "", "of one neuron"


def test_the_command_writes_the_log(capsys):
    words = ["--d=4", "--m=9", "--steps=400", "--step=0.05", "--scale=0.2", "--data=uncentred", "--seed=2"]
    assert main(["run", "single_neuron.trajectories", *words, "--published-log", "1", "--json"]) == 2
    assert "goes with neither --json nor --history" in capsys.readouterr().err
    assert main(["run", "single_neuron.trajectories", *words, "--published-log", "1"]) == 0
    assert capsys.readouterr().out.splitlines() == list(log.log(PARAMS, Draws(2, [1])))


def test_losses_are_drawn_for_seven_scales(monkeypatch):
    """Published: training loss on logarithmic axes, loss on 64 normal points on a linear axis of iterations."""
    point = view.SingleNeuron
    monkeypatch.setattr(view, "SingleNeuron", lambda **given: point(**{**given, "steps": 200}))
    fig = view.losses_uncentred()
    assert (fig.layout.xaxis.type, fig.layout.xaxis2.type) == ("log", None)
    assert [trace.name for trace in fig.data if trace.showlegend] == [f"λ = 4<sup>-{k}</sup>" for k in range(2, 9)]
    params = point(d=16, m=25, data="uncentred", scale=4.0**-3, steps=200, tail=1e-6)
    _, rows = read(log.log(params, Draws(0, [0])))
    train, test = (next(t for t in fig.data[2:4] if (t.xaxis == "x2") == right) for right in (False, True))
    assert np.allclose(train.y[1:], [float(row["loss"]) for row in rows])
    assert np.allclose(test.y[1:], [float(row["val loss outside dist 64"]) for row in rows])
    assert list(test.x[1:]) == [int(row["iteration"]) for row in rows]


def test_with_two_teachers_each_fall_of_the_loss_follows_the_alignment_of_one_sign():
    fig = view.two_saddles()
    loss, positive, negative = fig.data
    assert [trace.name for trace in fig.data[1:]] == ["positive neurons", "negative neurons"]
    full, at = loss.y[0], loss.x
    drops = [at[np.argmax(loss.y < share * full)] for share in (0.5, 0.05)]
    assert drops[0] < drops[1]
    # The second teacher, of norm 3 and negative sign, is learnt first.
    assert negative.y[np.argmax(at >= drops[0])] < 1
    assert positive.y[np.argmax(at >= drops[1])] < 1
