"""The configuration and the results of the published program of local linear recovery, and what they can set."""

from __future__ import annotations

import json

import numpy as np
import pytest

from neurec_core.__main__ import main
from neurec_core.draws import Draws
from neurec_core.params import BadInput
from neurec_papers.local_linear_recovery import HMKT_SWEEP

NAME = HMKT_SWEEP.name
CONFIG = """
experiment: {name: demo, seed: 3, device: cpu}
data: {input_dim: 4, train_size: 9, test_size: 50}
model: {type: cnn_shared}
training: {lr: 0.05, max_steps: 300, tol: 1e-10, optimizer: sgd, weight_decay: 0.001}
init: {std: 1e-3}
sweep: {enabled: false, sample_sizes: [5, 10]}
"""
FLAGS = {
    "seed": 3, "device": "cpu", "d": 4, "n": 9, "test-size": 50, "architecture": "ws", "step": 0.05, "steps": 300,
    "tolerance": 1e-10, "optimizer": "gd", "weight-decay": 0.001, "init": 1e-3,
}  # fmt: skip


@pytest.fixture
def neurec(capsys):
    def call(*words):
        status = main([str(word) for word in words])
        streams = capsys.readouterr()
        return status, streams.out, streams.err

    return call


@pytest.fixture
def file(tmp_path):
    def written(text):
        path = tmp_path / "config.yaml"
        path.write_text(text)
        return path

    return written


def rows(out):
    return [{**json.loads(line), "seconds": 0} for line in out.splitlines()]


def test_a_configuration_is_the_run_that_flags_ask_for(neurec, file):
    words = ["run", NAME, "--trials", 2, "--json"]
    flags = [word for name, value in FLAGS.items() for word in (f"--{name}", value)]
    by_file, by_flags = (neurec(*words, *more) for more in (["--config", file(CONFIG)], flags))
    assert by_file[0] == by_flags[0] == 0
    assert rows(by_file[1]) == rows(by_flags[1])
    assert rows(by_file[1])[0]["taken"] > 0
    (first, _) = rows(neurec(*words, "--config", file(CONFIG), "--n", 7, "--seed", 1)[1])
    assert (first["n"], first["seed"], first["d"]) == (7, 1, 4)  # what is typed wins


def test_a_sweep_takes_all_models_at_all_sizes_and_writes_results(neurec, file, tmp_path):
    config = file(CONFIG.replace("enabled: false", "enabled: true"))
    out, results = tmp_path / "out", tmp_path / "results.json"
    assert neurec("sweep", NAME, "--config", config, "--trials", 2, "--out", out, "--jobs", 1)[0] == 0
    assert neurec("export", out, results)[0] == 0
    assert "asks for a sweep: use `neurec sweep`" in neurec("run", NAME, "--config", config)[2]
    found = json.loads(results.read_text())
    assert len(found) == 3 * 2 * 2
    assert {(one["model"], one["train_size"], one["trial"]) for one in found} == {
        (model, n, trial) for model in ("mlp", "cnn_shared", "cnn_noshare") for n in (5, 10) for trial in (0, 1)
    }
    one = next(r for r in found if (r["model"], r["train_size"], r["trial"]) == ("cnn_shared", 10, 1))
    params = HMKT_SWEEP.params(
        architecture="ws", d=4, n=10, test_size=50, step=0.05, steps=300, weight_decay=1e-3, init=1e-3
    )
    row = HMKT_SWEEP.rows(params, 3, [0, 1])[1]
    assert (one["seed"], one["lr"], one["steps"]) == (3, 0.05, int(row["taken"]))
    assert np.isclose(one["train_mse"], row["train"], rtol=1e-9)
    assert np.isclose(one["test_mse"], row["test"], rtol=1e-9)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("lr: 0.05", "lrr: 0.05"), "unknown key 'training.lrr': did you mean training.lr?"),
        (("model:", "models:"), "unknown key 'models.type': did you mean model.type?"),
        (("cnn_shared", "cnn"), "unknown model.type 'cnn'"),
        (("sgd", "lbfgs"), "unknown training.optimizer 'lbfgs'"),
        (("input_dim: 4", "input_dim: many"), "d (inputs; pixels per side of an image) must be"),
        (("lr: 0.05", "lr: -1"), "step (step size) must be"),
        (("seed: 3", "seed: -3"), "experiment.seed (seed of every draw) must be"),
        (("[5, 10]", "5"), "sweep.sample_sizes (training points) must be a list of whole numbers, got 5"),
        (("[5, 10]", "[5, few]"), "n (training points) must be"),
        ((CONFIG, "lr"), "must hold keys and values, got 'lr'"),
        ((CONFIG, "a: [1"), "cannot be read"),
        ((CONFIG, "a: &a {b: *a}"), "cannot be read"),
        ((CONFIG, "[" * 5000), "cannot be read"),
        ((CONFIG, "date: 2024-99-01"), "cannot be read"),
        (("type: cnn_shared", "type: [mlp]"), "unknown model.type"),
        (("enabled: false", "enabled: 'no'"), "sweep.enabled (whether to sweep) must be true or false, got 'no'"),
    ],
)
def test_what_a_configuration_may_not_say_is_one_line(neurec, file, tmp_path, change, says):
    config = file(CONFIG.replace(*change).replace("enabled: false", "enabled: true"))
    status, _, err = neurec("sweep", NAME, "--config", config, "--out", tmp_path / "out", "--jobs", 1)
    assert status == 2
    assert says in err
    assert len(err.splitlines()) == 1


def test_a_file_that_is_not_there_and_a_preset_beside_it_are_refused(neurec, file, tmp_path):
    assert "cannot be read: No such file" in neurec("run", NAME, "--config", tmp_path / "none.yaml")[2]
    words = ["sweep", NAME, "--preset", "tiny", "--config", file(CONFIG), "--out", tmp_path / "out"]
    assert "do not go together" in neurec(*words)[2]
    assert "unknown option '--config'" in neurec("run", "relu_zonotopes.vertex_counts", "--config", "x")[2]


def test_the_targets_biases_are_in_its_labels():
    params = HMKT_SWEEP.params(n=6, b1=0.3, b2=-2.0, test_size=40)
    problem = HMKT_SWEEP.sample(params, Draws(0, [0, 1]))
    w = np.array([0.6, 0.8, 1.0])  # one kernel at three positions, output weights 1
    for X, y in zip(problem.X, problem.y, strict=True):
        expected = [sum(np.tanh(w @ x[i : i + 3] + 0.3) for i in range(3)) - 2.0 for x in X]
        assert np.allclose(y, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize(("bias", "held"), [("b1", "hidden_bias"), ("b2", "output_bias")])
def test_a_target_with_a_bias_that_the_network_lacks_is_refused(bias, held):
    HMKT_SWEEP.params(**{bias: 0.5})
    with pytest.raises(BadInput, match=rf"{bias} \(bias of the target\) must be 0 where {held} is false, got 0\.5"):
        HMKT_SWEEP.params(**{bias: 0.5, held: False})


def test_the_test_error_is_the_mean_over_as_many_points_as_are_asked_for():
    """After no step the network is nearly zero, and the error is the mean square of the labels."""
    for size in (1, 700):
        params, draws = HMKT_SWEEP.params(n=3, steps=0, test_size=size), Draws(0, [0])
        _, _, scores = HMKT_SWEEP.run(params, draws)
        X = draws.normal("test", size, params.d)
        y = HMKT_SWEEP.sample(params, draws).teacher(X)
        assert X.shape == (1, size, 5)
        assert np.isclose(scores["test"][0], np.mean(y**2), rtol=1e-6)


@pytest.mark.parametrize("device", ["abacus", "meta"])
def test_a_device_that_cannot_compute_is_refused_in_one_line(neurec, device):
    status, _, err = neurec("run", NAME, "--device", device, "--steps", 1)
    assert status == 2
    assert f"device (where torch computes) must be one that torch can use, got '{device}'" in err
    assert len(err.splitlines()) == 1
