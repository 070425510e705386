"""Images as points: MNIST and CIFAR-10 where the user has them on disk, and drawn ones of the same shape.

An image is a row of numbers, pixel after pixel, the channels of a pixel side by side. Nothing is ever downloaded.
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from neurec_core.draws import Draws
from neurec_core.params import BadInput

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "mnist_like": (1, 28, 28), "cifar10_like": (3, 32, 32)}
STORED = {"mnist": ("MNIST", 60_000), "cifar10": ("CIFAR10", 50_000)}
# Mean and standard deviation of the channels, as the papers' code takes them.
SCALES = {
    "mnist": ([0.5], [0.5]),
    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]),
}
COARSE = 7  # places per side at which a drawn image is independent
BORDER = 4  # by which a CIFAR-10 image is moved at most


def number(kind: str, points: int) -> int:
    """How many training points there are: those asked for, or as many as are stored."""
    return min(points, STORED[kind][1]) if kind in STORED else points


def read(kind: str, draws: Draws, name: str, points: int) -> np.ndarray:
    """Images drawn by their name, (B, n, numbers), or stored ones, (1, n, numbers): the first of the file for training.

    Points called "looked at" are test images.

    Raises
    ------
    BadInput : torchvision is not there, or the images are not in the folder that NEUREC_DATA names
    """
    if kind not in STORED:
        return _drawn(kind, draws, name, points)
    channels, height, width = SHAPES[kind]
    pixels = _stored(kind, name != "looked at")[:points] / 255
    mean, scale = (np.array(part) for part in SCALES[kind])
    return ((pixels.reshape(-1, height, width, channels) - mean) / scale).reshape(1, -1, channels * height * width)


def _stored(kind: str, training: bool) -> np.ndarray:
    """Pixels from 0 to 255, (n, height, width) or (n, height, width, 3)."""
    folder = os.environ.get("NEUREC_DATA", "data")
    known = STORED[kind][0]
    try:
        from torchvision import datasets  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        raise BadInput(f"data (points) {kind!r} needs torchvision: pip install torchvision") from None
    try:
        found: Any = getattr(datasets, known)(folder, train=training, download=False)
    except RuntimeError:
        raise BadInput(
            f"data (points) {kind!r} is not in the folder {folder!r}, which NEUREC_DATA names; neurec downloads "
            f"nothing, torchvision.datasets.{known}({folder!r}, download=True) does"
        ) from None
    return np.asarray(found.data, dtype=float)


def _drawn(kind: str, draws: Draws, name: str, points: int) -> np.ndarray:
    """Smooth bright blots on a dark ground, between -1 and 1: like digits in shape and range, in nothing else."""
    channels, height, width = SHAPES[kind]
    spots = draws.normal(name, points, COARSE, COARSE, channels)
    for axis, side in ((2, height), (3, width)):
        spots = _stretched(spots, axis, side)
    return np.tanh(2 * spots - 1).reshape(len(spots), points, -1)


def _stretched(values: np.ndarray, axis: int, side: int) -> np.ndarray:
    """Linear interpolation along an axis to so many places."""
    at = np.linspace(0, values.shape[axis] - 1, side)
    low = np.minimum(at.astype(int), values.shape[axis] - 2)
    share = (at - low).reshape(-1, *[1] * (values.ndim - axis - 1))
    return (1 - share) * values.take(low, axis) + share * values.take(low + 1, axis)


def augmented(kind: str, X: np.ndarray, draws: Draws, epoch: int) -> np.ndarray:
    """CIFAR-10 as it is trained on: images moved by up to 4 pixels, what is uncovered black, and half of them mirrored.

    Other points stay the same array. Black is 0 before channels are scaled.
    """
    if kind != "cifar10":
        return X
    channels, height, width = SHAPES[kind]
    mean, scale = (np.array(part) for part in SCALES[kind])
    maps = X.reshape(-1, height, width, channels)
    first = Draws(draws.seed, [0])  # the same for all trials, as the images are
    moves = (first.uniform(f"moves {epoch}", len(maps), 2)[0] * (2 * BORDER + 1)).astype(int)
    mirrored = first.uniform(f"mirrored {epoch}", len(maps))[0] < 0.5
    wide = np.broadcast_to(-mean / scale, (len(maps), height + 2 * BORDER, width + 2 * BORDER, channels)).copy()
    wide[:, BORDER:-BORDER, BORDER:-BORDER] = maps
    rows, columns = moves[:, :1] + np.arange(height), moves[:, 1:] + np.arange(width)
    columns = np.where(mirrored[:, None], columns[:, ::-1], columns)
    return wide[np.arange(len(maps))[:, None, None], rows[:, :, None], columns[:, None, :]].reshape(X.shape)
