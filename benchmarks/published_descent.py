"""The published scheme of the Monte-Carlo experiment, as an oracle and for timing: NumPy, many networks in parallel.

Every step evaluates every neuron of every network on all six points, as the paper's code does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


class Networks:
    """B networks of width m on shared points, each with its own shares of them."""

    def __init__(self, x: np.ndarray, y: np.ndarray, nu: np.ndarray, a: np.ndarray, w: np.ndarray, h: np.ndarray):
        self.x, self.y, self.nu = x, y, nu
        self.a, self.b, self.w, self.c = a.copy(), np.zeros_like(a), w.copy(), np.zeros(len(a))
        self.h = h
        self.kink = np.zeros(len(a))

    def outputs(self) -> np.ndarray:
        """(B, n)"""
        z = self.a[:, None] * self.x[:, None] + self.b[:, None]
        return np.einsum("bnm,bm->bn", np.where(z < 0, 0, z), self.w) + self.c[:, None]

    def step(self, nu: np.ndarray | None = None) -> None:
        """One gradient step of 1/2 sum nu (f - y)^2, all blocks from the old weights."""
        nu = self.nu if nu is None else nu
        z = self.a[:, None] * self.x[:, None] + self.b[:, None]
        active = ~(z < 0)
        z *= active
        r = nu * (np.einsum("bnm,bm->bn", z, self.w) + self.c[:, None] - self.y)
        pulled = active * r[:, :, None]
        db = pulled.sum(1) * self.w
        da = (pulled * self.x[:, None]).sum(1) * self.w
        dw = np.einsum("bnm,bn->bm", z, r)
        h = self.h[:, None]
        self.a -= h * da
        self.b -= h * db
        self.w -= h * dw
        self.c -= self.h * r.sum(1)
        # Differs: what has crossed and then overflows stays crossed; np.maximum would forget it.
        self.kink = np.fmax(self.kink, np.abs(self.b / self.a).max(1))

    def keep(self, which: np.ndarray) -> None:
        """Drop the other networks."""
        for name in ("nu", "a", "b", "w", "c", "h", "kink"):
            setattr(self, name, getattr(self, name)[which])


def live(
    nets: Networks,
    interval: int,
    limit: int,
    validation: np.ndarray | None = None,
    converged: Callable[[Networks, int], bool] | None = None,
    minibatch: Callable[[np.ndarray, int], Any] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Outcome, numbered as in the paper's code, and step of the check that ended it, for every network.

    At each check: 3 if a kink has reached a point; else 5 if the validation loss has waited; else, where `converged` is
    given, 1 if a side has at most one point, 2 if all neurons face one side, 4 if `converged` holds; else it goes on.
    """
    B = len(nets.c)
    outcome, steps, who = np.zeros(B, int), np.zeros(B, int), np.arange(B)
    best, wait = np.full(B, np.inf), np.zeros(B, int)
    reach = np.abs(nets.x).min()
    while len(who) and steps[who].max() < limit:
        batches = minibatch(who, interval) if minibatch else None
        for k in range(interval):
            nets.step(None if batches is None else batches[:, k])
        steps[who] += interval
        outcome[who[nets.kink >= reach]] = 3
        if validation is not None:
            loss = np.sum(validation[who] * (nets.y - nets.outputs()) ** 2, axis=1)
            wait[who] += 1
            better = loss < best[who] - 1e-8
            best[who[better]], wait[who[better]] = loss[better], 0
            outcome[who[(wait[who] >= 10) & (outcome[who] == 0)]] = 5
        if converged:
            right, opposite = ((nets.nu[:, own] > 0).sum(1) for own in (nets.x > 0, nets.x < 0))
            for i, b in enumerate(who):
                if outcome[b] == 0 and (right[i] <= 1 or opposite[i] <= 1):
                    outcome[b] = 1
                elif outcome[b] == 0 and ((nets.a[i] > 0).all() or (nets.a[i] < 0).all()):
                    outcome[b] = 2
                elif outcome[b] == 0 and converged(nets, i):
                    outcome[b] = 4
        left = outcome[who] == 0
        nets.keep(left)
        who = who[left]
    return outcome, steps
