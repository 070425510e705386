"""Deep students in batches against torch's own modules, tape and optimisers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from neurec_core.draws import Draws
from smallnets.descent import deep_relu, deep_training
from smallnets.descent.deep_relu import PLAIN, DeepNet, Form
from smallnets.descent.deep_training import Method, Schedule
from smallnets.errors import InvalidInput
from smallnets.nets.deep_nets import Layer, fan_ins

WIDTHS, TEACHER, N, BATCH, EPOCHS = (5, 8, 7, 4), (5, 3, 2, 4), 40, 12, 4
IMAGE = (2, 7, 6)  # of 84 numbers; two convolutions leave 3 by 2
CASES = {
    "plain": {},
    "half": {"loss": "half"},
    "cross_entropy": {"loss": "cross_entropy"},
    "leaky": {"form": Form(slope=0.2)},
    "linear": {"form": Form(slope=1.0)},
    "decay": {"weight_decay": 0.1},
    "momentum": {"momentum": 0.9, "weight_decay": 0.05},
    "adam": {"optimizer": "adam", "weight_decay": 0.01},
    "norm_after": {"form": Form(norm="after")},
    "norm_before": {"form": Form(0.1, "before")},
    "affine_after": {"form": Form(norm="after", affine=True)},
    "affine_before": {"form": Form(norm="before", affine=True), "weight_decay": 0.1},
    "normalize": {"normalize": True},
    "images": {"form": Form(image=IMAGE)},
    "images_norm_after": {"form": Form(norm="after", affine=True, image=IMAGE)},
    "images_norm_before": {"form": Form(0.1, norm="before", image=IMAGE)},
    "top": {"trained": [False, False, True]},
    "features": {"trained": [True, True, False]},
    "no_biases": {"biases": False},
    "no_biases_adam": {"biases": False, "optimizer": "adam"},
    "none": {"trained": [False, False, False]},
    "top_affine": {"form": Form(norm="before", affine=True), "trained": [False, True, True], "momentum": 0.5},
}


def net(draws, name, widths, form):
    sizes = enumerate(zip(fan_ins(widths[0], widths[1:-1], form.image), widths[1:], strict=True))
    layers = [(draws.normal(f"{name} {i}", a + 1, b) / a**0.5) for i, (a, b) in sizes]
    return DeepNet(tuple(Layer(part[:, :-1], part[:, -1]) for part in layers))


def choice(options):
    """Options as `train` takes them."""
    method = {name: value for name, value in options.items() if name in Method._fields}
    return {name: value for name, value in options.items() if name not in method} | {"method": Method(**method)}


def problem(trials=(0, 1, 2), form=PLAIN):
    draws = Draws(0, trials)
    X = draws.normal("X", N, int(np.prod(form.image)) if form.image else WIDTHS[0])

    def order(epoch):
        return np.argsort(draws.uniform(f"order {epoch}", N), axis=1)

    return net(draws, "student", WIDTHS, form), net(draws, "teacher", TEACHER, form), X, order


class PixelByPixel(torch.nn.Flatten):
    """(n, channels, height, width) to (n, all), the channels of a pixel side by side."""

    def forward(self, x):
        return super().forward(x.permute(0, 2, 3, 1))


def pictures(X, form):
    """Points as torch wants them: images by channel."""
    X = torch.tensor(X)
    if not form.image:
        return X
    channels, height, width = form.image
    return X.reshape(len(X), height, width, channels).permute(0, 3, 1, 2)


def by_pixel(weight):
    """A kernel's weights as ours stand, one row per neuron."""
    return (weight.permute(0, 2, 3, 1) if weight.ndim == 4 else weight).flatten(1)


def modules(parts, form):
    """The published network: linear, then ReLU and batch norm in one order or the other."""
    made = []
    for i, (W, b) in enumerate(parts):
        channels = W.shape[0] // 9
        if not form.image:
            linear = torch.nn.Linear(*W.shape).double()
        elif i < len(parts) - 1:
            linear = torch.nn.Conv2d(channels, W.shape[1], 3).double()
        else:
            made.append(PixelByPixel())
            linear = torch.nn.Linear(*W.shape).double()
        with torch.no_grad():
            weight = torch.tensor(W.T)
            if isinstance(linear, torch.nn.Conv2d):
                weight = weight.reshape(-1, 3, 3, channels).permute(0, 3, 1, 2)
            linear.weight.copy_(weight)
            linear.bias.copy_(torch.tensor(b))
        made.append(linear)
        if i < len(parts) - 1:
            act = torch.nn.Identity() if form.slope == 1 else torch.nn.LeakyReLU(form.slope)
            kind = torch.nn.BatchNorm2d if form.image else torch.nn.BatchNorm1d
            norm = kind(W.shape[1], affine=form.affine).double()
            made += {"none": [act], "after": [act, norm], "before": [norm, act]}[form.norm]
    return torch.nn.Sequential(*made)


def published(student, teacher, X, orders, rates, **options):
    """One network, one loop: torch's tape and optimiser."""
    form = options.get("form", PLAIN)
    model, wise = modules(student, form), modules(teacher, form.teachers)
    linears = [part for part in model if isinstance(part, torch.nn.Linear | torch.nn.Conv2d)]
    norms = [part for part in model if isinstance(part, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d)]
    trained = options.get("trained", [True] * 3)
    for norm, learns in zip(norms, trained, strict=False):
        norm.requires_grad_(learns)
    for linear, learns in zip(linears, trained, strict=True):
        linear.requires_grad_(learns)
        linear.bias.requires_grad_(learns and options.get("biases", True))
    learning = [p for p in model.parameters() if p.requires_grad]
    kind = torch.optim.Adam if options.get("optimizer") == "adam" else torch.optim.SGD
    more = {"momentum": options["momentum"]} if "momentum" in options else {}
    optimizer = kind(learning or [torch.zeros(1)], lr=1.0, weight_decay=options.get("weight_decay", 0.0), **more)
    inputs, losses = pictures(X, form), []
    for order, rate in zip(orders, rates, strict=True):
        optimizer.param_groups[0]["lr"] = rate
        sums = 0.0
        for some in torch.tensor(order).split(BATCH):
            y = wise(inputs[some]).detach()
            f = model(inputs[some])
            loss = {
                "mean": lambda f, y: torch.nn.functional.mse_loss(f, y),
                "half": lambda f, y: ((f - y) ** 2).sum() / 2 / len(y),
                "cross_entropy": lambda f, y: torch.nn.functional.cross_entropy(f, y.argmax(1)),
            }[options.get("loss", "mean")](f, y)
            sums += loss.item() * len(y)
            if learning:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            if options.get("normalize"):
                with torch.no_grad():
                    for linear in linears:
                        for j in range(len(linear.weight)):
                            size = linear.weight[j].norm() + 1e-5
                            linear.weight[j] /= size
                            linear.bias[j] /= size
        losses.append(sums / len(order))
    return model.eval(), linears, losses


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_it_is_what_torch_does(options):
    form = options.get("form", PLAIN)
    student, teacher, X, order = problem(form=form)
    rates = [0.1, 0.1, 0.05, 0.02]
    epochs = list(deep_training.train(student, teacher, Schedule(lambda _: X, order, rates, BATCH), **choice(options)))
    made = epochs[-1].net.read()
    Z = Draws(9, [0, 1, 2]).normal("Z", 30, X.shape[2])
    outputs = deep_relu.states(made, Z, form)[-1]
    for b in range(3):
        single = [[(W[b], bias[b]) for W, bias in part.layers] for part in (student, teacher)]
        orders = [order(epoch)[b] for epoch in range(EPOCHS)]
        model, linears, losses = published(*single, X[b], orders, rates, **options)
        # Sixteen steps in double precision: sums in another order, 1e-16 each, and no step magnifies them much.
        for (W, bias), linear in zip(made.layers, linears, strict=True):
            assert np.allclose(W[b], by_pixel(linear.weight.detach()).numpy().T, rtol=0, atol=1e-12)
            assert np.allclose(bias[b], linear.bias.detach().numpy(), rtol=0, atol=1e-12)
        assert np.allclose([epoch.losses[b] for epoch in epochs], losses, rtol=1e-12)
        assert np.allclose(outputs[b], model(pictures(Z[b], form)).detach().numpy(), rtol=0, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["plain", "adam", "affine_after", "cross_entropy", "images"])
def test_a_network_does_not_depend_on_those_beside_it(name, dtype):
    def trained(trials):
        student, teacher, X, order = problem(trials, CASES[name].get("form", PLAIN))
        *_, last = deep_training.train(
            student, teacher, Schedule(lambda _: X, order, [0.1] * 3, BATCH), dtype=dtype, **choice(CASES[name])
        )
        return last.net.read().layers

    together = trained((0, 1, 2, 3, 4))
    for trials in ((0,), (1, 2), (4, 0, 3)):
        for whole, part in zip(together, trained(trials), strict=True):
            assert np.array_equal(whole.W[list(trials)], part.W)
            assert np.array_equal(whole.b[list(trials)], part.b)


def test_points_may_be_shared_or_new_in_every_epoch():
    student, teacher, X, order = problem()
    one = np.broadcast_to(X[:1], X.shape).copy()

    def end(points):
        *_, last = deep_training.train(student, teacher, Schedule(points, order, [0.1] * 3, BATCH))
        return last.net.read().layers[0].W

    assert np.array_equal(end(lambda _: X[:1]), end(lambda _: one))
    moved = end(lambda epoch: X + epoch)
    assert not np.allclose(moved, end(lambda _: X))
    model = student
    for epoch in range(3):  # by hand, an epoch at a time
        *_, last = deep_training.train(
            model, teacher, Schedule(lambda _, e=epoch: X + e, lambda _, e=epoch: order(e), [0.1], BATCH)
        )
        model = last.net.read()
    assert np.array_equal(moved, model.layers[0].W)


def test_a_network_that_diverges_touches_no_other_and_all_of_them_end_training():
    student, teacher, X, order = problem()
    calm = list(deep_training.train(student, teacher, Schedule(lambda _: X, order, [0.1] * 4, BATCH)))
    wild = X.copy()
    wild[1] *= 1e200
    epochs = list(deep_training.train(student, teacher, Schedule(lambda _: wild, order, [0.1] * 4, BATCH)))
    assert [epoch.finite.tolist() for epoch in epochs] == [[True, False, True]] * 4
    for whole, part in zip(epochs[-1].net.read().layers, calm[-1].net.read().layers, strict=True):
        assert np.array_equal(whole.W[[0, 2]], part.W[[0, 2]])
    none = list(deep_training.train(student, teacher, Schedule(lambda _: 1e200 * X, order, [0.1] * 4, BATCH)))
    assert len(none) == 1
    assert not none[0].finite.any()


def test_a_neuron_that_overflows_below_zero_is_off():
    layers = Layer(np.full((1, 1, 2), [-1e200, 1.0]), np.zeros((1, 2))), Layer(np.ones((1, 2, 1)), np.zeros((1, 1)))
    hidden, outputs = deep_relu.states(DeepNet(layers), np.full((1, 1, 1), 1e200))
    assert hidden.tolist() == [[[0.0, 1e200]]]
    assert outputs.tolist() == [[[1e200]]]


def test_single_precision_is_near():
    student, teacher, X, order = problem()
    ends = [
        list(deep_training.train(student, teacher, Schedule(lambda _: X, order, [0.1] * 4, BATCH), dtype=dtype))[-1]
        for dtype in ("float32", "float64")
    ]
    a, b = (end.net.read().layers[0].W for end in ends)
    assert 0 < np.abs(a - b).max() < 1e-5  # sixteen steps, 6e-8 each, on weights of about one


BAD = {
    "momentum": ({"momentum": 1.5}, r"momentum \(share of the last step\) must be a number in \[0, 1\), got 1.5"),
    "decay": ({"weight_decay": -1.0}, r"weight_decay \(pull to zero\) must be"),
    "loss": ({"loss": "men"}, "unknown loss 'men': did you mean mean?"),
    "optimizer": ({"optimizer": "adm"}, "unknown optimizer 'adm': did you mean adam?"),
    "dtype": ({"dtype": "float16"}, "unknown dtype 'float16'"),
    "device": ({"device": "abacus"}, r"device \(where torch computes\) must be one that torch can use"),
}


@pytest.mark.parametrize(("options", "message"), BAD.values(), ids=BAD)
def test_bad_options_are_refused_at_the_entrance(options, message):
    student, teacher, X, order = problem()
    with pytest.raises(InvalidInput, match=message):
        deep_training.train(student, teacher, Schedule(lambda _: X, order, [0.1]), **choice(options))


def test_layers_and_points_that_do_not_fit_are_refused():
    student, teacher, X, order = problem()
    schedule = Schedule(lambda _: X, order, [0.1])
    with pytest.raises(InvalidInput, match=r"schedule.batch \(points per step\) must be a whole number in \[1, inf\)"):
        deep_training.train(student, teacher, schedule._replace(batch=0))
    with pytest.raises(InvalidInput, match=r"slope \(slope below zero\) must be a number in \[0, inf\), got -0\.5"):
        deep_training.train(student, teacher, schedule, form=Form(slope=-0.5))
    with pytest.raises(InvalidInput, match=r"trained \(which layers learn\) must name 3 layers, got \(True,\)"):
        deep_training.train(student, teacher, schedule, method=Method(trained=(True,)))
    with pytest.raises(InvalidInput, match=r"order \(points of an epoch\) must hold at least one, got none in epoch 0"):
        list(deep_training.train(student, teacher, schedule._replace(order=lambda epoch: order(epoch)[:, :0])))
    left = student._replace(norms=deep_relu.fresh_norms(student.layers))  # of a time with batch norm: not used
    assert list(deep_training.train(left, teacher, schedule, form=Form(affine=True)))
    with pytest.raises(InvalidInput, match=r"teacher \(.*\) must have the student's B, inputs and out"):
        deep_training.train(student, DeepNet(teacher.layers[:-1]), schedule)
    with pytest.raises(InvalidInput, match=r"image \(channels, height, width\) must have sides above 4"):
        deep_relu.states(student, X, Form(image=(1, 4, 9)))
    with pytest.raises(InvalidInput, match=r"W_2 \(weights of a layer\) must be an array of shape"):
        deep_training.train(DeepNet(student.layers[::2]), teacher, schedule)
    with pytest.raises(InvalidInput, match=r"X \(points\) must be an array of shape"):
        list(deep_training.train(student, teacher, schedule._replace(points=lambda _: X[:, :, 1:])))
    with pytest.raises(InvalidInput, match=r"X \(points\) must be an array of shape"):
        deep_relu.states(student, X[:2])
