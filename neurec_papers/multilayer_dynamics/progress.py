"""Students epoch by epoch: how fast their error falls, the L of fan-out and correlation, the published log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from neurec_core.draws import Draws
from neurec_core.style import COLORS, panel_trace, stacked, style

from .engine import specialization
from .engine.teachers import rates
from .experiments import students, two_layer

if TYPE_CHECKING:
    from smallnets.descent.deep_relu import DeepNet

MULTIS, DECAYS = (1, 2, 5, 10), (0.0, 1.0, 2.0)


def errors(params: two_layer.TwoLayer, draws: Draws) -> np.ndarray:
    """Mean squared errors (E + 1, B) on new points before the first epoch and after each; NaN once a student diverged.

    **Source**: tian2020student, its code (eval_loss).
    """
    from smallnets.descent.deep_relu import Form, states

    problem = two_layer.sample(params, draws)
    start = two_layer.student(params, problem.teacher, draws)
    found = np.full((params.epochs + 1, len(draws)), np.nan)

    def error(net: DeepNet) -> np.ndarray:
        return np.asarray(((states(net, problem.X, Form(params.slope))[-1] - problem.y) ** 2).mean(axis=(1, 2)))

    found[0] = error(start)
    times = params.steps if params.method == "gd" else 1
    for epoch in two_layer.training(params, problem, start, draws):
        if epoch.number % times == 0:
            found[epoch.number // times] = np.where(epoch.finite, error(epoch.net.read()), np.nan)
    return found


def shape(params: two_layer.TwoLayer, draws: Draws) -> tuple[np.ndarray, np.ndarray]:
    """Largest correlation of each trained student neuron with a teacher neuron, and its fan-out, (B, k) each.

    **Source**: tian2020student, its code (l-shape).
    """
    from smallnets.descent.deep_relu import Form, states

    problem = two_layer.sample(params, draws)
    net = two_layer.solve(params, problem, draws).value[1]
    T, Z = (states(one, problem.X, Form(params.slope))[0] for one in (problem.teacher, net))
    return specialization.correlations(T, Z).max(axis=1), np.linalg.norm(net.layers[1].W, axis=2)


def convergence(multis: Sequence[int] = MULTIS, runs: int = 4, epochs: int = 15) -> go.Figure:
    """Errors of two-layer students over epochs: the mean of their logarithms over runs, with its standard deviation."""
    fig, draws = _panels("epoch", "log10 of the mean squared error"), Draws(0, range(runs))
    for panel, decay in enumerate(DECAYS, start=1):
        for multi, color in zip(multis, COLORS, strict=False):
            params = two_layer.TwoLayer(m=20, node_multi=multi, decay=decay, epochs=epochs)
            logs = np.log10(errors(params, draws))
            at, mean, spread = np.arange(epochs + 1), logs.mean(axis=1), logs.std(axis=1)
            band = np.r_[at, at[::-1]], np.r_[mean + spread, (mean - spread)[::-1]]
            shade: dict[str, Any] = {"fill": "toself", "fillcolor": color, "opacity": 0.2, "line": {"width": 0}}
            fig.add_trace(panel_trace(panel, *band, "band", showlegend=False, hoverinfo="skip", **shade))
            name = f"{multi} times the teacher's neurons"
            fig.add_trace(panel_trace(panel, at, mean, name, line={"color": color}, showlegend=panel == 1))
    return _finished(fig, "Error on new points", f"20 teacher neurons; mean and standard deviation over {runs} runs")


def l_shape(multis: Sequence[int] = MULTIS, runs: int = 1, epochs: int = 4) -> go.Figure:
    """Fan-out against correlation of all neurons of two-layer students: those without a teacher neuron lie low."""
    fig, draws = _panels("largest correlation", "norm of the output weights"), Draws(0, range(runs))
    for panel, decay in enumerate(DECAYS, start=1):
        for multi, color in zip(multis, COLORS, strict=False):
            params = two_layer.TwoLayer(m=10, node_multi=multi, decay=decay, epochs=epochs)
            near, fan_out = (part.ravel() for part in shape(params, draws))
            name, look = f"{multi} times the teacher's neurons", {"color": color, "size": 6, "opacity": 0.6}
            fig.add_trace(panel_trace(panel, near, fan_out, name, mode="markers", marker=look, showlegend=panel == 1))
    fig.update_xaxes(range=[0, 1.05])
    return _finished(fig, "Fan-out against correlation", f"10 teacher neurons; students of each width: {runs}")


def _panels(x: str, y: str) -> go.Figure:
    fig = make_subplots(1, len(DECAYS), subplot_titles=[f"p = {decay:g}" for decay in DECAYS], shared_yaxes=True)
    fig.update_xaxes(title=x)
    return fig.update_yaxes(title=y, col=1)


def _finished(fig: go.Figure, title: str, words: str) -> go.Figure:
    small = f"{words}; output weights of teacher neuron i fall as 1/i^p"
    return style(fig, f"{title}<br><sup>{small}</sup>", alt=f"{title}: {small}", narrow=stacked(fig, height=1140))


# ---------------------------------------------------------------------------------------------------------- the log


def log(params: students.DeepStudents, draws: Draws) -> Iterator[str]:
    """What the first paper's multilayer program prints of a trial, line by line, as it comes along.

    Before the first epoch and after each, for training and for new points: of each hidden layer the number of teacher
    neurons, and least, largest and mean of their largest correlations with a student neuron; and the error.

    Parameters
    ----------
    params : of `multilayer_dynamics.reconstruction`; the program looks at 192 points, ``eval_points=192``
    draws : of one trial

    **Source**: tian2019luck, its code; differs: accuracy is agreement with the teacher, as images come without labels.
    """
    problem, start = students.sample(params, draws), students.student(params, draws)
    own = students.of_pairs(params, draws)
    yield "=== Start ==="
    yield f"=== Trial {draws.trials[0]}, std = {params.data_std:f} ==="
    yield "Before optimization: "

    def report(number: int, net: DeepNet) -> Iterator[str]:
        name = f"points {max(number, 0)}" if params.fresh else "points"
        given = students.cloud(params, own, name, params.points)[:, : params.eval_points]
        for words, X in (("Train", given), ("Eval", problem.X)):
            yield f"{words} stats:"
            yield from _stats(params, number, problem.teacher, net, X=X)

    yield from report(-1, start)
    steps, last = rates(params.rate, params.epochs), start
    for epoch in students.training(params, problem, start, draws):
        number = epoch.number - 1
        if number == 0 or steps[number] != steps[number - 1]:
            yield f"[{number}]: lr = {float(steps[number])}"
        if not epoch.finite.all():
            return
        last = epoch.net.read()
        yield from report(number, last)
    yield "After optimization: "
    yield next(_stats(params, params.epochs, problem.teacher, last, X=problem.X))


def _stats(
    params: students.DeepStudents, number: int, teacher: DeepNet, net: DeepNet, *, X: np.ndarray
) -> Iterator[str]:
    from smallnets.descent.deep_relu import states

    (*T, y), (*Z, f) = states(teacher, X, params.form().teachers), states(net, X, params.form())
    layers = []
    for k, (t, z) in enumerate(zip(T, Z, strict=True)):
        best = specialization.best(specialization.correlations(t, z))[0]
        spread = f"{best.min():f}/{best.max():f}"
        layers.append(f"L{k}: len: {best.shape}, min/max: {spread}, mean: {best.mean():f}, ")
    yield f"Corrs Summary: {''.join(layers)}"
    error: Any = _cross_entropy(f, y) if params.loss == "cross_entropy" else ((f - y) ** 2).mean()
    agreed = 100 * (f.argmax(axis=-1) == y.argmax(axis=-1)).mean() if params.data != "gaussian" else 0.0
    yield f"[{number}] Err: {error:f}, accuracy: {agreed:f}%"


def _cross_entropy(f: np.ndarray, y: np.ndarray) -> float:
    right = np.take_along_axis(f, y.argmax(axis=-1)[..., None], axis=-1)[..., 0]
    top = f.max(axis=-1)
    return float((np.log(np.exp(f - top[..., None]).sum(axis=-1)) + top - right).mean())
