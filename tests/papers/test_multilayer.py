"""Deep and two-layer students: setups, measures against plain ones, images, statuses."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from neurec_core.experiment import Status
from neurec_core.params import BadInput
from neurec_papers.multilayer_dynamics.engine import images, measures, outcome
from neurec_papers.multilayer_dynamics.experiments import students, two_layer
from neurec_papers.multilayer_dynamics.experiments.reconstruction import DEEP_SPECIALIZATION, KNOBS, RECONSTRUCTION
from neurec_papers.multilayer_dynamics.experiments.two_layer import TWO_LAYER_SPECIALIZATION as TWO_LAYER
from neurec_papers.multilayer_dynamics.view import INSTANCE
from smallnets.descent.deep_relu import states

SMALL = {"widths": "3-4", "d": 5, "outputs": 6, "node_multi": 2, "points": 130, "eval_points": 150, "epochs": 2}


def small(**changes):
    return RECONSTRUCTION.params(**{**SMALL, **changes})


# ---------------------------------------------------------------------------------------------------- deep students


def test_teachers_are_normalized_neuron_by_neuron():
    wise = students.teacher(small(), Draws(0, [0, 1]))
    assert [layer.W.shape for layer in wise.layers] == [(2, 5, 3), (2, 3, 4), (2, 4, 6)]
    for W, b in wise.layers:
        assert np.allclose(np.linalg.norm(W, axis=1), 1, atol=1e-4)  # up to the published 1e-5 over a norm
        assert np.abs(b).max() > 0.01
    bare = students.teacher(small(biases=False), Draws(0, [0, 1]))
    assert not any(layer.b.any() for layer in bare.layers)
    assert np.array_equal(bare.layers[0].W, wise.layers[0].W)


def test_standardized_outputs_have_mean_zero_and_variance_one():
    params = small(standardized=True, eval_points=4000)
    y = RECONSTRUCTION.sample(params, Draws(0, [0, 1])).y
    # The scale comes from as many other points; ReLU outputs have heavier tails than normal ones.
    assert np.abs(y.mean(axis=1)).max() < 0.1
    assert np.abs(y.std(axis=1) - 1).max() < 0.1


def test_pairs_are_own_or_shared():
    draws = Draws(0, [0, 1, 2])
    own, shared = (RECONSTRUCTION.sample(small(pairs=pairs), draws) for pairs in ("own", "shared"))
    assert not np.array_equal(own.X[0], own.X[1])
    for part in (shared.X, shared.y, shared.teacher.layers[1].W):
        assert np.array_equal(part[0], part[1])
        assert np.array_equal(part[0], part[2])
    assert np.array_equal(own.X[0], shared.X[0])
    rows = RECONSTRUCTION.rows(small(pairs="shared"), 0, range(3))
    assert len({row["error"] for row in rows}) == 3, "students differ"


def test_students_without_biases_get_none():
    params = small(biases=False)
    draws = Draws(0, [0])
    end = RECONSTRUCTION.solve(params, RECONSTRUCTION.sample(params, draws), draws).value[1]
    assert not any(layer.b.any() for layer in end.layers)


def test_new_points_come_in_every_epoch():
    rows = {fresh: RECONSTRUCTION.rows(small(fresh=fresh), 0, [0])[0] for fresh in (True, False)}
    first = {fresh: RECONSTRUCTION.rows(small(fresh=fresh, epochs=0), 0, [0])[0] for fresh in (True, False)}
    assert rows[True]["error"] != rows[False]["error"]
    assert first[True]["error"] == first[False]["error"]


def test_measures_are_those_of_plain_loops():
    params = small()
    draws = Draws(0, [0, 1])
    problem, solution, scores = RECONSTRUCTION.run(params, draws)
    b = 1
    wise, start, end = (outcome.one(net, b) for net in (problem.teacher, *solution.value))
    T, A, Z = (states(net, problem.X[b : b + 1]) for net in (wise, start, end))
    for depth in (1, 2):
        t, a, z = (part[depth - 1][0] for part in (T, A, Z))
        best, ranks, matches = [], [], []
        for i in range(t.shape[1]):
            if not t[:, i].any():
                continue
            now = [np.corrcoef(t[:, i], z[:, j])[0, 1] if z[:, j].any() else 0.0 for j in range(z.shape[1])]
            before = [np.corrcoef(t[:, i], a[:, j])[0, 1] if a[:, j].any() else 0.0 for j in range(a.shape[1])]
            winner = int(np.argmax(now))
            best.append(now[winner])
            ranks.append(sorted(before, reverse=True).index(before[winner]) / (len(before) - 1))
            matches.append(sum(c >= 0.9 for c in now))
        assert scores[f"live_{depth}"][b] == pytest.approx(np.mean(best), abs=1e-12)
        assert scores[f"rank_{depth}"][b] == pytest.approx(np.mean(ranks), abs=1e-12)
        assert scores[f"matches_{depth}"][b] == pytest.approx(np.mean(matches), abs=1e-12)
        assert scores[f"best_{depth}"][b] == pytest.approx(np.sum(best) / t.shape[1], abs=1e-12)
    assert np.isnan(scores["live_3"][b])
    assert scores["error"][b] == pytest.approx(((Z[-1][0] - problem.y[b]) ** 2).mean(), rel=1e-12)
    moved = end.layers[0].W - start.layers[0].W
    assert scores["moved"][b] == pytest.approx(np.linalg.norm(moved) / np.linalg.norm(start.layers[0].W), rel=1e-12)


def test_the_strength_of_a_neuron_is_the_norm_of_the_outputs_derivative():
    params = small()
    draws = Draws(0, [0])
    wise = students.teacher(params, draws)
    X = draws.normal("X", 40, 5)
    found = measures.beta_diagonal(wise.layers, X)
    layers = [[torch.tensor(part[0]) for part in layer] for layer in wise.layers]
    for depth, h in enumerate(states(wise, X)[:-1], start=1):

        def rest(x, depth=depth):
            for W, b in layers[depth:-1]:
                x = torch.relu(x @ W + b)
            return x @ layers[-1][0] + layers[-1][1]

        J = torch.stack([torch.autograd.functional.jacobian(rest, torch.tensor(x)) for x in h[0]]).numpy()
        assert np.allclose(found[depth - 1][0, :-1], (J**2).sum(axis=1).mean(axis=0), rtol=1e-12)


def test_strengths_are_compared_by_rank_and_by_match():
    assert outcome.order(np.array([1.0, 2.0, 3.0]), np.array([0.1, 0.5, 0.9])) == pytest.approx(1.0)
    assert np.isnan(outcome.order(np.ones(3), np.arange(3.0)))
    assert np.isnan(outcome.order(np.arange(2.0), np.arange(2.0)))
    found = np.array([[0.95, 0.2, 0.1], [0.1, 0.3, 0.91]])
    assert outcome.shares(np.array([2.0, 1.0, 6.0]), found, 0.9) == pytest.approx(1 / 4)
    assert np.isnan(outcome.shares(np.ones(3), found, 0.99))


@pytest.mark.parametrize("batch_norm", ["without", "after"])
def test_a_student_that_diverges_is_a_row_with_its_status(batch_norm):
    rows = RECONSTRUCTION.rows(small(rate="1e200", batch_norm=batch_norm), 0, range(2))
    assert [row["status"] for row in rows] == [Status.DIVERGED] * 2
    assert all(row[name] is None for row in rows for name in RECONSTRUCTION.columns)


@pytest.mark.parametrize("experiment", [RECONSTRUCTION, KNOBS, DEEP_SPECIALIZATION], ids=lambda e: e.name)
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"widths": "3-4-5-6-7"}, r"widths \(neurons of the teacher's hidden layers\) .* at most 4 layers"),
        ({"widths": "ten"}, r"widths \(neurons of the hidden layers\) must be whole numbers above 0"),
        ({"rate": "fast"}, r"rate \(step size\) must be a number above 0"),
        ({"data": "mnst"}, r"data \(points.*\) must be one of .*: did you mean mnist"),
    ],
)
def test_words_that_mean_nothing_are_refused(experiment, changes, message):
    with pytest.raises(BadInput, match=message):
        experiment.params(**changes)


# What each parameter may be changed to, and what must then be different: all of them mean something.
CHANGES = {
    "d": 6, "widths": "4-3", "outputs": 5, "node_multi": 3, "teacher": "default", "values": "nine", "biases": False,
    "tuned": True, "decay": 1.0, "standardized": True, "data": "uniform", "data_std": 3.0, "points": 140,
    "fresh": True, "slope": 0.1, "batch_norm": "after", "normalize": True, "loss": "cross_entropy",
    "optimizer": "adam", "rate": "0:0.005,1:0.001", "momentum": 0.5, "weight_decay": 0.1, "batch": 32, "epochs": 1,
    "eval_points": 140, "dtype": "float32",
}  # fmt: skip


def test_every_parameter_has_an_effect():
    base = {**SMALL, "rate": "0.005"}
    usual = RECONSTRUCTION.rows(RECONSTRUCTION.params(**base), 0, [1])[0]
    rest = set(RECONSTRUCTION.params.model_fields) - set(CHANGES)
    assert rest == {"pairs", "network", "affine"}, "these have tests of their own, or need another one beside them"
    for name, value in CHANGES.items():
        changed = RECONSTRUCTION.rows(RECONSTRUCTION.params(**{**base, name: value}), 0, [1])[0]
        assert changed["status"] == Status.SOLVED, (name, changed["detail"])
        assert changed["error"] != usual["error"], name
    normed = [{**base, "batch_norm": "before", "affine": affine, "weight_decay": 0.1} for affine in (True, False)]
    rows = [RECONSTRUCTION.rows(RECONSTRUCTION.params(**some), 0, [1])[0]["error"] for some in normed]
    assert rows[0] != rows[1]


def test_a_tuned_teacher_is_active_on_half_of_the_points():
    params = DEEP_SPECIALIZATION.params(widths="5-6-4", outputs=3, eval_points=2000)
    draws = Draws(0, [0, 1])
    wise = students.teacher(params, draws)
    X = students.cloud(params, draws, "standardized", 2000)  # the points by which it was tuned
    *hidden, y = states(wise, X)
    assert np.allclose((hidden[0] > 0).mean(axis=1), 0.5, atol=1e-3)
    # Above, points at which all neurons below are silent look alike: a median among them leaves fewer than half.
    assert all(np.allclose((h > 0).mean(axis=1), 0.5, atol=0.05) for h in hidden)
    assert np.allclose(y.mean(axis=1), 0, atol=1e-12)
    assert np.allclose(y.std(axis=1), 1)


def test_a_teachers_strength_may_decay_with_the_input_of_a_layer():
    flat, steep = (students.teacher(small(decay=p), Draws(0, [0])) for p in (0.0, 2.0))
    assert np.array_equal(flat.layers[0].W, steep.layers[0].W)
    given = flat.layers[1].W[0] / (np.arange(1, 4) ** 2)[:, None]
    assert np.allclose(steep.layers[1].W[0], given / np.linalg.norm(given, axis=0), atol=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"optimizer": "adam", "momentum": 0.9}, r"momentum \(of sgd\) must be 0 with adam, got 0.9"),
        ({"affine": True}, "affine .* must be false where there is no batch norm"),
        ({"batch_norm": "after", "points": 129}, r"points \(training points\) must not leave a batch of one"),
        ({"data": "mnist", "fresh": True}, "fresh .* must be false for stored images"),
        ({"loss": "cross_entropy", "outputs": 1, "widths": "9"}, "outputs .* must be at least 2 for cross entropy"),
        (
            {"widths": "1", "d": 5},
            r"neurons \(of a separated layer\) must be at most 4 with 1 inputs and 5 values, got 6",
        ),
        ({"network": "convolutional", "tuned": True}, "tuned .* must be false for convolutional"),
    ],
)
def test_what_would_be_left_aside_is_refused(changes, message):
    with pytest.raises(BadInput, match=message):
        small(**changes)


def test_a_student_far_above_silence_has_diverged():
    y = np.ones((3, 10, 4))
    fine = outcome.settled(np.array([True, True, False]), np.array([99.0, 101.0, 1.0]), y, "mean")
    assert fine.tolist() == [True, False, False]
    assert outcome.settled(np.array([True]), np.array([199.0]), y[:1], "half").tolist() == [True]
    assert outcome.settled(np.array([True]), np.array([np.nan]), y[:1], "half").tolist() == [True], "not yet trained"
    assert RECONSTRUCTION.rows(small(rate="1000"), 0, [0])[0]["status"] == Status.DIVERGED


@pytest.mark.parametrize("data", ["gaussian", "cifar10"])
@pytest.mark.usefixtures("stored")
def test_students_of_one_teacher_do_not_depend_on_those_beside_them(data):
    params = small(pairs="shared", data=data, points=130 if data == "gaussian" else 3, batch=2, epochs=1)
    together, alone = RECONSTRUCTION.rows(params, 0, range(3)), RECONSTRUCTION.rows(params, 0, [2])
    assert repr({**together[2], "seconds": 0}) == repr({**alone[0], "seconds": 0})


# ----------------------------------------------------------------------------------------------------------- images


@pytest.mark.parametrize("kind", ["mnist_like", "cifar10_like"])
def test_drawn_images_are_images(kind):
    channels, height, width = images.SHAPES[kind]
    X = images.read(kind, Draws(0, [0, 1]), "points", 20)
    assert X.shape == (2, 20, channels * height * width)
    assert np.abs(X).max() < 1
    maps = X.reshape(2, 20, height, width, channels)
    near, far = (np.corrcoef(maps[:, :, : -k or None].ravel(), maps[:, :, k:].ravel())[0, 1] for k in (1, 14))
    assert near > 0.9 > 0.2 > abs(far), "smooth, and no more than that"
    assert np.array_equal(X[1], images.read(kind, Draws(0, [1]), "points", 20)[0])


def write(folder, kind, training, images, zipped=False):
    """Images (n, channels, height, width) as the published files hold them, in plain Python."""
    if kind == "mnist":
        names = ["train-images-idx3-ubyte" if training else "t10k-images-idx3-ubyte"]
        contents = [struct.pack(">IIII", 2051, len(images), 28, 28) + images.tobytes()]
    else:
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] if training else ["test_batch.bin"]
        parts = [images[i :: len(names)] for i in range(len(names))]
        contents = [b"".join(bytes([k % 10]) + one.tobytes() for k, one in enumerate(part)) for part in parts]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in zip(names, contents, strict=True):
        (folder / f"{name}{'.gz' if zipped else ''}").write_bytes(gzip.compress(content) if zipped else content)


@pytest.fixture
def stored(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUREC_DATA", str(tmp_path))
    rng, made = np.random.default_rng(0), {}
    for kind, shape in (("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))):
        for training, count in ((True, 10), (False, 4)):
            made[kind, training] = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
            own = {"mnist": tmp_path, "cifar10": tmp_path / "cifar-10-batches-bin"}[kind]
            write(own, kind, training, made[kind, training], zipped=kind == "mnist" and training)
    return made


SCALES = {"mnist": [(0.5, 0.5)], "cifar10": [(0.4914, 0.2023), (0.4822, 0.1994), (0.4465, 0.2010)]}


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
@pytest.mark.parametrize("training", [True, False])
def test_stored_images_are_read_pixel_by_pixel(stored, kind, training):
    """The files of CIFAR-10 hold every fifth image each: they are read one after another."""
    pixels, count = stored[kind, training], 4
    if kind == "cifar10" and training:
        pixels = np.concatenate([pixels[i::5] for i in range(5)])
    X = images.read(kind, Draws(0, [4]), "points" if training else images.TEST, count)
    channels = pixels.shape[1]
    assert X.shape == (1, count, pixels[0].size)
    for image, x in zip(pixels, X[0], strict=False):
        for c, (mean, scale) in enumerate(SCALES[kind]):
            assert np.allclose(x[c::channels], (image[c].ravel() / 255 - mean) / scale, rtol=0, atol=1e-12)
    assert images.number(kind, 1000) == 10
    assert images.number(kind, 3) == 3


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
def test_images_that_are_not_there_are_asked_for(kind, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUREC_DATA", str(tmp_path))
    with pytest.raises(BadInput, match=rf"data \(points\) '{kind}' needs the file .* downloads nothing"):
        images.read(kind, Draws(0, [0]), "points", 2)


@pytest.mark.parametrize("kind", ["mnist", "cifar10"])
@pytest.mark.parametrize(
    "change",
    [
        lambda c: c[:-1],
        lambda c: c + b"x",
        lambda c: b"",
        lambda c: c[:4] + bytes(4) + c[8:16],
        lambda c: b"\xff" + c[1:],
    ],
)
def test_files_that_hold_something_else_are_refused(kind, change, tmp_path, monkeypatch):
    monkeypatch.setenv("NEUREC_DATA", str(tmp_path))
    shape = images.SHAPES[kind]
    write(tmp_path, kind, False, np.zeros((2, *shape), np.uint8))
    (file,) = tmp_path.iterdir()
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(BadInput, match=r"must be images in the published binary format, .* is not"):
        images.read(kind, Draws(0, [0]), images.TEST, 2)


def test_a_compressed_file_that_is_cut_short_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("NEUREC_DATA", str(tmp_path))
    write(tmp_path, "mnist", False, np.zeros((2, 1, 28, 28), np.uint8), zipped=True)
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(BadInput, match="cannot be read from"):
        images.read("mnist", Draws(0, [0]), images.TEST, 2)


@pytest.mark.usefixtures("stored")
def test_a_student_learns_from_stored_images():
    rows = KNOBS.rows(
        KNOBS.params(data="mnist", node_multi=1, widths="3", outputs=4, points=3, eval_points=3, batch=2, epochs=1),
        0,
        [0],
    )
    assert rows[0]["status"] == Status.SOLVED, rows[0]["detail"]


def test_cifar_images_are_moved_and_mirrored():
    channels, height, width = images.SHAPES["cifar10"]
    X = Draws(0, [0]).normal("X", 30, channels * height * width)
    Y = images.augmented("cifar10", X, Draws(0, [0, 1]), 0)
    black = -np.array(images.SCALES["cifar10"][0]) / np.array(images.SCALES["cifar10"][1])
    mirrored = 0
    for x, y in zip(X[0].reshape(-1, height, width, 3), Y[0].reshape(-1, height, width, 3), strict=True):
        wide = np.pad(x, ((4, 4), (4, 4), (0, 0)), constant_values=np.nan)
        wide = np.where(np.isnan(wide), black, wide)
        cuts = [wide[i : i + height, j : j + width] for i in range(9) for j in range(9)]
        same = [np.array_equal(cut, y) for cut in cuts], [np.array_equal(cut[:, ::-1], y) for cut in cuts]
        assert sum(map(sum, same)) == 1
        mirrored += any(same[1])
    assert 5 < mirrored < 25
    assert not np.array_equal(Y, images.augmented("cifar10", X, Draws(0, [0]), 1)), "anew in every epoch"
    assert images.augmented("mnist", X, Draws(0, [0]), 0) is X


@pytest.mark.parametrize("data", ["gaussian", "mnist_like"])
def test_convolutional_students_are_trained(data):
    changes = {"network": "convolutional", "data": data, "points": 64, "eval_points": 32, "epochs": 1, "rate": "0.001"}
    row, still = (RECONSTRUCTION.rows(small(**{**changes, **more}), 0, [0])[0] for more in ({}, {"epochs": 0}))
    assert row["status"] == Status.SOLVED, row["detail"]
    assert row["error"] < still["error"]


# ------------------------------------------------------------------------------------------------- two-layer students


def two(**changes):
    given = {
        "d": 12,
        "m": 4,
        "node_multi": 3,
        "outputs": 5,
        "points": 120,
        "steps": 20,
        "epochs": 2,
        "eval_points": 100,
    }
    return TWO_LAYER.params(**{**given, **changes})


def test_teachers_grow_weaker_by_a_power():
    flat, steep = (two_layer.teacher(two(decay=p), Draws(0, [0, 1])) for p in (0.0, 1.5))
    assert np.allclose(np.linalg.norm(flat.layers[0].W, axis=1), 1)
    assert np.allclose(steep.layers[1].W * (np.arange(1, 5) ** 1.5)[:, None], flat.layers[1].W)
    assert all((layer.b == -0.1).all() for layer in flat.layers)


def test_a_start_may_be_on_one_side():
    draws = Draws(0, [0, 1])
    wise = two_layer.teacher(two(), draws)
    weakest = wise.layers[0].W[:, None, :, -1]
    towards, against, random = (
        (weakest @ two_layer.student(two(start=start), wise, draws).layers[0].W)[:, 0]
        for start in ("towards", "against", "random")
    )
    assert (towards > 0).all()
    assert (against < 0).all()
    assert np.array_equal(np.abs(towards), np.abs(random))
    assert 0 < (random > 0).mean() < 1


def test_points_near_boundaries_are_where_they_should_be():
    params = two(data="boundaries", shift=0.5, shift_range=0.25)
    draws = Draws(0, [0])
    wise = two_layer.teacher(params, draws)
    X = two_layer.cloud(params, wise, draws, "points")
    assert np.allclose(np.linalg.norm(X, axis=2), params.data_std * params.d**0.5)
    (w,) = wise.layers[0].W.swapaxes(1, 2)
    for k in range(0, 120, 3):  # each three scaled, so that signs and the plane through them are what can be checked
        neuron = k // 3 % 4
        on, above, below = X[0, k : k + 3]
        assert np.linalg.matrix_rank(np.stack([on, above, below, w[neuron]]), tol=1e-9) == 2
        assert above @ w[neuron] / np.linalg.norm(above) > on @ w[neuron] / np.linalg.norm(on)
        assert below @ w[neuron] / np.linalg.norm(below) < on @ w[neuron] / np.linalg.norm(on)


def test_the_step_size_may_be_halved():
    assert two(rate=0.8, halving=2, epochs=5).rates.tolist() == [0.8, 0.8, 0.4, 0.4, 0.2]
    assert two(rate=0.8, epochs=2).rates.tolist() == [0.8, 0.8]


@pytest.mark.parametrize("changes", [{"method": "gd"}, {"slope": 1.0}, {"trained": "output"}, {"trained": "hidden"},
                                     {"data": "boundaries"}, {"fresh": True}, {"biases": False}])  # fmt: skip
def test_every_switch_trains(changes):
    params = two(**changes, rate=0.05)
    draws = Draws(0, [0, 1])
    problem = TWO_LAYER.sample(params, draws)
    start, end = TWO_LAYER.solve(params, problem, draws).value
    learns = {"output": [False, True], "hidden": [True, False]}.get(params.trained, [True, True])
    for before, after, learning in zip(start.layers, end.layers, learns, strict=True):
        assert np.array_equal(before.W, after.W) != learning
        assert np.array_equal(before.b, after.b) != (learning and params.biases)
    losses = [((states(net, problem.X, params_form(params))[-1] - problem.y) ** 2).mean() for net in (start, end)]
    assert losses[1] < losses[0]


def params_form(params):
    from smallnets.descent.deep_relu import Form

    return Form(params.slope)


def test_gradient_descent_takes_all_points_in_every_step():
    params = two(method="gd", steps=1, epochs=1, scale=0.3)
    draws = Draws(0, [0])
    problem = TWO_LAYER.sample(params, draws)
    start, end = TWO_LAYER.solve(params, problem, draws).value
    X = torch.tensor(two_layer.cloud(params, problem.teacher, draws, "points")[0])
    (W, b), (V, c) = ([torch.tensor(part[0], requires_grad=True) for part in layer] for layer in start.layers)
    y = torch.tensor(states(problem.teacher, X.numpy()[None])[-1][0])
    (((torch.relu(X @ W + b) @ V + c - y) ** 2).sum() / 2 / len(X)).backward()
    for old, new in zip((W, b, V, c), (part for layer in end.layers for part in layer), strict=True):
        assert np.allclose(new[0], (old - params.rate * old.grad).detach().numpy(), rtol=0, atol=1e-14)


def test_observed_boundaries_by_counting():
    T, Z = np.array([[1.0, 0], [1, 0], [0, 2], [0, 3], [0, 1]]), np.array([[1.0, 0], [0, 2], [1, 1], [0, 1], [1, 0]])
    # Student 0 is active on points 0, 2, 4: one where teacher 0 is, two where not; student 1 on 1, 2, 3.
    assert two_layer._observed(T, Z).tolist() == [1 / 5, 1 / 5]


def test_the_published_start_of_the_second_paper():
    rows = TWO_LAYER.rows(TWO_LAYER.params(epochs=2), 1, range(4))
    # The authors' program says 0.983 and 1.79e-3 for one seed after as many steps. Seeds differ, by a factor of two in
    # the error: the published one has to lie among ours, or near.
    best, error = ([row[name] for row in rows] for name in ("best", "error"))
    assert min(best) < 0.983 < max(best)
    assert min(error) / 1.5 < 1.79e-3 < max(error) * 1.5


# ---------------------------------------------------------------------------------------------------------- explorer


def test_the_explorer_follows_what_it_solves():
    params = INSTANCE.params(steps=700, widths="3-4", outputs=5, node_multi=2, rate=0.005)
    draws = Draws(0, [0, 1])
    parts = list(INSTANCE.states(params, draws))
    assert len(parts) == 8
    assert [part[1].trace["shown"].tolist() for part in parts[-4:]] == [
        [0, 1, 2, 4], [0, 1, 2, 4, 5], [0, 1, 2, 4, 6], [0, 1, 2, 4, 7]
    ]  # fmt: skip
    _, whole, scores = INSTANCE.run(params, draws)
    last = parts[-1]
    assert all(np.array_equal(last[2][name], scores[name], equal_nan=True) for name in scores)
    assert np.array_equal(last[1].trace["best"], whole.trace["best"])
    assert whole.trace["best"].shape == (2, 8, 2)
    assert (whole.trace["best"][:, -1, 0] > whole.trace["best"][:, 0, 0]).all()


def test_the_explorer_goes_on_beside_a_student_that_diverges():
    _, solution, _ = INSTANCE.run(INSTANCE.params(steps=200, rate=100.0), Draws(0, [0]))
    assert solution.status == [Status.DIVERGED]
    assert np.isfinite(solution.trace["best"]).all()


# -------------------------------------------------------------------------------------- large points and large steps


def test_points_ten_times_as_large_are_steps_a_hundred_times_as_large():
    """Without biases outputs are proportional to the points' size s, and gradients to s^2."""
    runs = [
        RECONSTRUCTION.run(small(biases=False, epochs=4, data_std=s, rate=h), Draws(0, [0, 1]))
        for s, h in ((10.0, "0.05"), (1.0, "5"))
    ]
    (start, large), (same, unit) = (solution.value for _, solution, _ in runs)
    for first, one, other, again in zip(start.layers, large.layers, unit.layers, same.layers, strict=True):
        assert np.array_equal(first.W, again.W)
        assert np.abs(one.W - first.W).max() > 0.1
        assert pytest.approx(one.W, rel=1e-9, abs=1e-11) == other.W
    assert runs[0][2]["live_1"] == pytest.approx(runs[1][2]["live_1"], rel=1e-9)


def test_with_biases_these_are_divided_by_ten_and_keep_their_step():
    params, draws = small(data_std=10.0, rate="0.05"), Draws(0, [0])
    problem, solution, _ = RECONSTRUCTION.run(params, draws)
    wise, (start, end) = problem.teacher, solution.value
    X = torch.tensor(students.cloud(params, draws, "points", params.points)[0] / 10)

    def scaled(net):
        return [(torch.tensor(layer.W[0]), torch.tensor(layer.b[0] / 10)) for layer in net.layers]

    def outputs(layers, X):
        for i, (W, b) in enumerate(layers):
            X = X @ W + b
            X = torch.relu(X) if i < len(layers) - 1 else X
        return X

    net, y = [tuple(p.requires_grad_() for p in layer) for layer in scaled(start)], outputs(scaled(wise), X)
    for epoch in range(params.epochs):
        order = np.argsort(draws.uniform(f"order {epoch}", params.points), axis=1)[0]
        for first in range(0, params.points, params.batch):
            some = order[first : first + params.batch]
            loss = ((outputs(net, X[some]) - y[some]) ** 2).mean()
            parts = [part for layer in net for part in layer]
            with torch.no_grad():
                for part, slope in zip(parts, torch.autograd.grad(loss, parts), strict=True):
                    part -= (5 if part.ndim == 2 else 0.05) * slope
    for (W, b), layer, first in zip(net, end.layers, start.layers, strict=True):
        assert np.abs(layer.W - first.W).max() > 0.01
        assert W.detach().numpy() == pytest.approx(layer.W[0], rel=1e-9, abs=1e-11)
        assert 10 * b.detach().numpy() == pytest.approx(layer.b[0], rel=1e-9, abs=1e-11)
