"""The descent of `smallnets.descent.relu` in torch, by plain matrix products: for wide networks on a GPU.

Each step is that of all neurons; patterns are not followed, and no crossings are noted.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import torch

from . import training
from .device import numbers, torch_device
from .optimizers import gd

GLANCE = 1000  # steps from one look at whether the weights still move to the next: a look waits for the processor


def descend(
    given: tuple[np.ndarray, np.ndarray],
    start: tuple[np.ndarray, np.ndarray],
    *,
    step: float,
    steps: int,
    target: float,
    log: np.ndarray,
) -> tuple[Any, ...]:
    """As `smallnets.descent.relu.descend`, whose entrance this is behind, from points X, y and weights W, a.

    Returns
    -------
    W, a, steps, loss, the name of the end, and at, losses, Ws, As of the log
    """
    device = torch_device(None)
    points, labels, *weights = (
        torch.tensor(part[None], dtype=torch.float64, device=device) for part in (*given, *start)
    )
    stops = sorted({0, steps, *range(0, steps, GLANCE), *log[log <= steps].tolist()})
    pieces = ((itertools.repeat((points, labels), b - a), step) for a, b in itertools.pairwise(stops))
    course = training.follow(_slopes, weights, pieces, gd(), tolerance=target)
    noted, marks, taken, end = [], set(log.tolist()), 0, "LIMIT"
    for t in stops:
        if t:
            before = [part.clone() for part in weights]
            ended = int(next(course).ended[0])
            rest = ended < 0 and all(map(torch.equal, before, weights))
            taken = t if ended < 0 else ended
        loss = float(_slopes(weights, points, labels)[0])
        if t in marks and taken == t:
            noted.append((t, loss, *(numbers(part[0]) for part in weights)))
        if loss < target or not np.isfinite(loss):
            end = "TARGET" if loss < target else "DIVERGED"
            break
        if t and rest:
            end = "STALLED" if bool((weights[0] @ points.mT > 0).any()) else "DEAD"
            break
    at, losses, Ws, As = zip(*noted, strict=True) if noted else ([],) * 4
    shapes = [(len(noted), *part.shape) for part in start]
    logged = np.array(at, np.int64), np.array(losses, float), np.reshape(Ws, shapes[0]), np.reshape(As, shapes[1])
    return *(numbers(part[0]) for part in weights), taken, loss, end, *logged


def _slopes(weights: list[torch.Tensor], X: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, list[torch.Tensor]]:
    W, a = weights
    Z = W @ X.mT
    active = Z.clamp_min(0)
    r = (a[:, None] @ active)[:, 0] - y
    c = 2 / y.shape[1]
    along = (active @ r[..., None])[..., 0] * c
    return r.square().mean(1), [((Z > 0) * (c * a)[..., None] * r[:, None]) @ X, along]
