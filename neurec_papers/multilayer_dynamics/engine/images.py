"""Images as points: MNIST and CIFAR-10 where the user has them on disk, and drawn ones of the same shape.

An image is a row of numbers, pixel after pixel, the channels of a pixel side by side. Nothing is ever downloaded.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from functools import lru_cache
from pathlib import Path

import numpy as np

from neurec_core.draws import Draws
from neurec_core.params import BadInput

SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "mnist_like": (1, 28, 28), "cifar10_like": (3, 32, 32)}
# Files for training and for tests; where they lie in a folder of their own, its name.
STORED = {
    "mnist": ("MNIST/raw", ["train-images-idx3-ubyte"], ["t10k-images-idx3-ubyte"]),
    "cifar10": ("cifar-10-batches-bin", [f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]),
}
TEST = "looked at"  # the draw of the points on which networks are compared; stored ones are those of the test
IDX = b"\x00\x00\x08\x03"  # how a file of bytes with three dimensions begins
# Mean and standard deviation of the channels, as the papers' code takes them.
SCALES = {
    "mnist": ([0.5], [0.5]),
    "cifar10": ([0.4914, 0.4822, 0.4465], [0.2023, 0.1994, 0.2010]),
}
CLASSES = 10  # labels of CIFAR-10
COARSE = 7  # places per side at which a drawn image is independent
BORDER = 4  # by which a CIFAR-10 image is moved at most


def number(kind: str, points: int) -> int:
    """How many training points there are: those asked for, or as many as are stored."""
    return min(points, len(_stored(kind, _folder(), True))) if kind in STORED else points


def read(kind: str, draws: Draws, name: str, points: int) -> np.ndarray:
    """Images drawn by their name, (B, n, numbers), or stored ones, (1, n, numbers): the first of the file for training.

    Those called `TEST` are test images.

    Raises
    ------
    BadInput : the files are not in the folder that NEUREC_DATA names, or they hold something else
    """
    if kind not in STORED:
        return _drawn(kind, draws, name, points)
    channels, height, width = SHAPES[kind]
    pixels = _stored(kind, _folder(), name != TEST)[:points] / 255
    mean, scale = (np.array(part) for part in SCALES[kind])
    return ((pixels - mean) / scale).reshape(1, -1, channels * height * width)


def _folder() -> Path:
    return Path(os.environ.get("NEUREC_DATA") or "data").resolve()


@lru_cache(maxsize=4)
def _stored(kind: str, folder: Path, training: bool) -> np.ndarray:
    """Pixels from 0 to 255, (n, height, width, channels)."""
    shape, (own, *files) = SHAPES[kind], STORED[kind]
    parts = []
    for name in files[0 if training else 1]:
        places = [at / f"{name}{end}" for at in (folder, folder / own) for end in ("", ".gz")]
        found = next((place for place in places if place.is_file()), None)
        if found is None:
            raise BadInput(
                f"data (points) {kind!r} needs the file {name} (or {name}.gz) in the folder {str(folder)!r}, which "
                f"NEUREC_DATA names, or in its {own}; neurec downloads nothing"
            )
        try:
            content = gzip.decompress(found.read_bytes()) if found.suffix == ".gz" else found.read_bytes()
        except (OSError, EOFError, zlib.error) as error:
            raise BadInput(f"data (points) {kind!r} cannot be read from {found}: {error}") from None
        maps = _idx(content, shape) if kind == "mnist" else _records(content, shape)
        if maps is None:
            raise BadInput(f"data (points) {kind!r} must be images in the published binary format, {found} is not")
        parts.append(maps)
    return np.concatenate(parts).transpose(0, 2, 3, 1)


def _idx(content: bytes, shape: tuple[int, int, int]) -> np.ndarray | None:
    """Images (n, 1, height, width) of a file of MNIST: four bytes of kind, three sizes, then bytes row by row."""
    sizes = np.frombuffer(content, ">u4", 4).tolist() if len(content) >= 16 else []
    whole = (
        content[:4] == IDX
        and sizes[1] > 0
        and sizes[2:] == [*shape[1:]]
        and len(content) == 16 + sizes[1] * math.prod(shape)
    )
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, *shape) if whole else None


def _records(content: bytes, shape: tuple[int, int, int]) -> np.ndarray | None:
    """Images (n, 3, height, width) of a file of CIFAR-10: records of a label, and bytes channel after channel."""
    size = 1 + math.prod(shape)
    if not content or len(content) % size:
        return None
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    return records[:, 1:].reshape(-1, *shape) if records[:, 0].max() < CLASSES else None


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
