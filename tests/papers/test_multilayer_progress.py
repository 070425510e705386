"""Students epoch by epoch: the published log, convergence over runs, and the L of fan-out against correlation."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
import torch

from neurec_core.__main__ import main
from neurec_core.draws import Draws
from neurec_papers import multilayer_dynamics as paper
from neurec_papers.multilayer_dynamics import progress
from neurec_papers.multilayer_dynamics.experiments import reconstruction, students

DEEP = paper.RECONSTRUCTION
SHORT = DEEP.params(**{**reconstruction.SHORT, "epochs": 2})
TWO = paper.TWO_LAYER_SPECIALIZATION
SMALL = TWO.params(d=8, m=3, node_multi=2, outputs=4, points=100, steps=20, epochs=3, eval_points=150)
# As the program's format strings print them.
LAYER = r"L(\d): len: \((\d+),\), min/max: (\d\.\d{6})/(\d\.\d{6}), mean: (\d\.\d{6}), "
ERROR = r"\[(-?\d+)\] Err: (\d+\.\d{6}), accuracy: (\d+\.\d{6})%"


def states(net, X):
    """Hidden states and outputs of one dense network, layer by layer."""
    found = [X]
    for W, b in net.layers[:-1]:
        found.append(np.maximum(found[-1] @ W[0] + b[0], 0))
    return found[1:], found[-1] @ net.layers[-1].W[0] + net.layers[-1].b[0]


def correlated(t, s):
    """Plain correlations, 0 where a neuron does not vary."""
    with np.errstate(all="ignore"):
        return np.nan_to_num(np.corrcoef(t.T, s.T)[: t.shape[1], t.shape[1] :])


def test_the_log_is_that_of_the_published_program():
    draws = Draws(3, [1])
    lines = list(progress.log(SHORT, draws))
    assert lines[:4] == ["=== Start ===", "=== Trial 1, std = 10.000000 ===", "Before optimization: ", "Train stats:"]
    block = ["Train stats:", "Corrs", "Err", "Eval stats:", "Corrs", "Err"]
    kinds = [re.sub(r"^Corrs.*", "Corrs", re.sub(r"^\[-?\d+\] Err.*", "Err", line)) for line in lines]
    assert kinds[3:] == [*block, "[0]: lr = 0.005", *block, *block, "After optimization: ", "Corrs"]
    assert [int(re.fullmatch(ERROR, line)[1]) for line in lines if "Err" in line] == [-1, -1, 0, 0, 1, 1]
    problem = DEEP.sample(SHORT, draws)
    start, end = DEEP.solve(SHORT, problem, draws).value
    given = students.cloud(SHORT, draws, "points", SHORT.points)[0, : SHORT.eval_points]
    summaries = [line for line in lines if line.startswith("Corrs Summary: ")]
    errors = [re.fullmatch(ERROR, line) for line in lines if "Err" in line]
    for place, net, X in ((0, start, given), (1, start, problem.X[0]), (4, end, given), (5, end, problem.X[0])):
        (T, y), (S, f) = states(problem.teacher, X), states(net, X)
        found = re.findall(LAYER, summaries[place])
        assert summaries[place] == "Corrs Summary: " + "".join(m[0] for m in re.finditer(LAYER, summaries[place]))
        assert [int(layer[1]) for layer in found] == [3, 4]
        for (_, _, *shown), t, s in zip(found, T, S, strict=True):
            best = correlated(t, s).max(axis=1)
            assert np.allclose(np.array(shown, float), [best.min(), best.max(), best.mean()], atol=2e-6)
        assert float(errors[place][2]) == pytest.approx(((f - y) ** 2).mean(), abs=2e-6)
        assert float(errors[place][3]) == 0, "as the program prints where there are no labels"
    assert summaries[-1] == summaries[5]


def test_the_log_names_each_step_size_and_ends_where_a_student_diverges():
    stepwise = list(progress.log(SHORT.with_(rate="0:0.005,1:0.001"), Draws(0, [0])))
    assert [line for line in stepwise if "lr" in line] == ["[0]: lr = 0.005", "[1]: lr = 0.001"]
    lost = list(progress.log(SHORT.with_(rate="1e200"), Draws(0, [0])))
    assert "After optimization: " not in lost
    assert lost[-1].startswith("[0]: lr")


def test_the_log_of_cross_entropy_has_its_loss():
    params = SHORT.with_(loss="cross_entropy", data="uniform", epochs=0)
    lines, problem = list(progress.log(params, Draws(0, [0]))), DEEP.sample(params, Draws(0, [0]))
    _, f = states(students.student(params, Draws(0, [0])), problem.X[0])
    right = problem.y[0].argmax(axis=1)
    shown = re.fullmatch(ERROR, [line for line in lines if "Err" in line][1])
    wanted = torch.nn.functional.cross_entropy(torch.tensor(f), torch.tensor(right)).item()
    assert float(shown[2]) == pytest.approx(wanted, abs=2e-6)
    assert float(shown[3]) == pytest.approx(100 * (f.argmax(axis=1) == right).mean(), abs=2e-6)


def test_the_command_prints_the_log_instead_of_rows(capsys):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in {**reconstruction.SHORT, "epochs": 1}.items()]
    assert main(["run", DEEP.name, *words, "--published-log", "2", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines() == list(progress.log(SHORT.with_(epochs=1), Draws(3, [2])))
    assert err == ""
    assert main(["run", TWO.name, "--published-log", "0"]) == 2
    assert "unknown option '--published-log'" in capsys.readouterr().err


def test_a_log_that_fails_is_one_line(capsys, monkeypatch):
    words = [f"--{name.replace('_', '-')}={value}" for name, value in {**reconstruction.SHORT, "epochs": 1}.items()]
    monkeypatch.setenv("NEUREC_DEVICE", "abacus")
    assert main(["run", DEEP.name, *words, "--published-log", "0"]) == 2
    assert re.fullmatch(r"neurec: device \(where torch computes\) must be .* got 'abacus'.*\n", capsys.readouterr().err)
    monkeypatch.setattr(progress, "log", lambda *_: (1 / 0 for _ in "a"))
    assert main(["run", DEEP.name, *words, "--published-log", "0"]) == 1
    assert capsys.readouterr().err == "neurec: the trial failed: ZeroDivisionError: division by zero\n"


@pytest.mark.parametrize("method", ["sgd", "gd"])
def test_errors_after_each_epoch_are_those_of_rows_that_end_there(method):
    params = SMALL.with_(method=method, rate=0.05)
    found = progress.errors(params, Draws(0, [0, 1]))
    rows = [TWO.rows(params.with_(epochs=epochs), 0, [0, 1]) for epochs in range(4)]
    assert np.allclose(found, [[row["error"] for row in pair] for pair in rows], rtol=1e-9)


def test_errors_of_a_student_that_diverges_are_missing():
    found = progress.errors(SMALL.with_(rate=10.0), Draws(0, [0]))
    assert np.isfinite(found[0]).all()
    assert np.isnan(found[-1]).all()


def test_convergence_is_that_of_another_implementation():
    """Measured elsewhere, eight runs of its own random numbers: -4.53 with a deviation of 0.08 over runs."""
    params = TWO.params(m=20, node_multi=5, decay=0.0, epochs=15)
    logs = np.log10(progress.errors(params, Draws(0, [0, 1])))
    assert logs[-1].mean() == pytest.approx(-4.53, abs=0.25)
    assert (np.diff(logs[:6], axis=0) < 0).all()


def test_the_l_shape_is_drawn_of_what_columns_say():
    draws = Draws(0, [0, 1])
    near, fan_out = progress.shape(SMALL.with_(rate=0.05), draws)
    problem = TWO.sample(SMALL, draws)
    assert near.shape == fan_out.shape == (2, 6)
    net = TWO.solve(SMALL.with_(rate=0.05), problem, draws).value[1]
    for b in range(2):
        one = [type(part)(tuple(type(layer)(*(p[[b]] for p in layer)) for layer in part.layers)) for part in (
            problem.teacher, net
        )]  # fmt: skip
        ((t,), _), ((s,), _) = (states(part, problem.X[b]) for part in one)
        assert np.allclose(near[b], correlated(t, s).max(axis=0), atol=1e-9)
        assert np.allclose(fan_out[b], np.sqrt((net.layers[1].W[b] ** 2).sum(axis=1)))


def test_students_without_a_teacher_neuron_lie_low():
    near, fan_out = progress.shape(TWO.params(m=5, d=20, node_multi=5, decay=0.0, epochs=8), Draws(0, [0]))
    matched = near > 0.95
    assert 5 <= matched.sum() < 25
    assert np.median(fan_out[matched]) > 2 * np.median(fan_out[~matched])


def test_figures_show_mean_and_deviation_and_every_neuron(monkeypatch):
    noted = {}

    def errors(params, draws):
        noted[params.node_multi, params.decay] = 10.0 ** -np.outer(np.arange(3) + params.decay, draws.trials)
        return noted[params.node_multi, params.decay]

    monkeypatch.setattr(progress, "errors", errors)
    fig = progress.convergence(multis=(1, 2), runs=4, epochs=2)
    lines = [trace for trace in fig.data if trace.name != "band"]
    bands = [trace for trace in fig.data if trace.name == "band"]
    assert len(lines) == len(bands) == len(noted) == 6
    assert [trace.name for trace in lines if trace.showlegend] == [
        "1 times the teacher's neurons", "2 times the teacher's neurons"
    ]  # fmt: skip
    logs = pd.DataFrame(np.log10(noted[1, 2.0])).T
    line, band = lines[4], bands[4]
    assert line.xaxis == "x3"
    assert np.allclose(line.y, logs.mean())
    assert np.allclose(band.y, [*(logs.mean() + logs.std(ddof=0)), *(logs.mean() - logs.std(ddof=0))[::-1]])
    monkeypatch.setattr(progress, "shape", lambda params, draws: (np.full((2, 3), 0.5), np.full((2, 3), params.decay)))
    dots = progress.l_shape(multis=(5,), runs=2).data
    assert [(trace.mode, len(trace.x), trace.y[0]) for trace in dots] == [("markers", 6, p) for p in (0.0, 1.0, 2.0)]
