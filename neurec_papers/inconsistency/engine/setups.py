"""The setups that are compared: nets trained on normalised points, as functions of points in their own units."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from neurec_core.draws import Draws

from . import neurons
from .biases import Fitted, Start

Labelled = tuple[np.ndarray, np.ndarray]


class Scaling(NamedTuple):
    """Mean and unbiased standard deviation of a net's training points: of x (B, 1, d), of y (B, 1)."""

    x_mean: np.ndarray
    x_std: np.ndarray
    y_mean: np.ndarray
    y_std: np.ndarray

    def of(self, X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points in these units."""
        return (X - self.x_mean) / self.x_std, (y - self.y_mean) / self.y_std


class Predictor(NamedTuple):
    """B trained nets as functions of points in their own units; the scales are taken into a and w."""

    a: np.ndarray
    b: np.ndarray
    w: np.ndarray
    c: np.ndarray
    scaling: Scaling

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs at X (B, n, d), (B, n); of a net that has diverged they are not finite."""
        Z, _ = self.scaling.of(X, np.zeros(1))
        with np.errstate(over="ignore", invalid="ignore"):
            units = np.maximum(np.einsum("bnd,bdm->bnm", Z, self.a) + self.b[:, None], 0)
            f = np.einsum("bnm,bm->bn", units, self.w) + self.c[:, None]
        return self.scaling.y_mean + self.scaling.y_std * f


def train(params: Any, begin: Start, samples: list[Labelled], draws: Draws) -> Fitted:
    """Train nets of `experiments.comparison.Comparison` on the first sample; errors on the others are computed, too."""
    return (_train_line if params.d == 1 else _train_wide)(params, begin, samples, draws)


def _train_line(params: Any, begin: Start, samples: list[Labelled], draws: Draws) -> Fitted:
    """d = 1: full batch, in double precision, every neuron by itself; one step per epoch.

    **Source**: holzmuller2022training, Section 10; differs: float64 where the published code has float32.
    """
    run = neurons.begin(neurons.Neurons(begin.a[:, 0], *begin[1:4]), scales=begin.scales)
    (x, y), *watched = [_ascending(X[..., 0], labels) for X, labels in samples]

    def loss(x: np.ndarray, labels: np.ndarray) -> np.ndarray:
        with np.errstate(over="ignore", invalid="ignore"):
            return ((neurons.outputs(run.neurons, x, scales=begin.scales) - labels) ** 2).mean(1)

    losses, points = [], neurons.Points(x, y, np.full_like(x, 2 / x.shape[1]))  # the mean squared error without 1/2
    for _ in range(params.iterations // params.every):
        run = neurons.advance(run, points, steps=params.every, rate=params.rate, optimizer=params.optimizer)
        losses.append([loss(*sample) for sample in watched])
    last = np.where(run.diverged < 0, loss(x, y), np.nan)
    a, b, w, c = run.neurons
    return Fitted(Start(a[:, None], b, w, c, begin.scales), last, np.transpose(losses, (2, 1, 0)))


def _ascending(x: np.ndarray, y: np.ndarray) -> Labelled:
    order = np.argsort(x, axis=1)
    return np.take_along_axis(x, order, 1), np.take_along_axis(y, order, 1)


def _train_wide(params: Any, begin: Start, samples: list[Labelled], draws: Draws) -> Fitted:
    """d >= 2: minibatches reshuffled in each of the iterations / d epochs, in single precision as published."""
    from . import wide  # torch, which a line does without

    method = wide.Method(params.optimizer, params.rate, params.points)
    watched = wide.Watched(samples[1:], params.every // params.d)
    return wide.fit(begin, samples[0], watched, draws, method=method, epochs=params.iterations // params.d)
