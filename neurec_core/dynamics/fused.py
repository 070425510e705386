"""A student and its teacher side by side in one matrix a layer, and the pulls of four rules on the student.

With the constant unit 1 behind every layer's units, the states of layer l are S_l = (f, 1, f*, 1), those of the inputs
(x, 1), and S_{l+1} = relu(S_l G_l), where G_l holds the student's and the teacher's weights as blocks and hands the
ones on. The last one holds (V; -V*), so that S_{L-1} G_{L-1} = y - y*. Rows are filled up with zeros to LANES numbers:
then every matrix begins where whole vectors of a processor do, and no sum depends on what stands beside it.

A pull is what a step subtracts, times the step size; ``pull[:, :n + 1]`` belongs to the weights and biases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

LANES = 16
Pulls = list[torch.Tensor]


def filled(n: int) -> int:
    """The next multiple of LANES."""
    return -(-n // LANES) * LANES


class Pair:
    """A student and its teacher: fused matrices `G`, the student's part `W` of each, a view, and the teacher's weights `V`."""

    def __init__(
        self, teacher: Sequence[np.ndarray], start: Sequence[np.ndarray], number: torch.dtype, place: torch.device
    ) -> None:
        last = len(start) - 1
        fused = [_fused(w, v, l == 0, l == last) for l, (w, v) in enumerate(zip(start, teacher, strict=True))]
        self.G = [torch.tensor(part, dtype=number, device=place) for part in fused]
        self.W = [G[:, : w.shape[1], : w.shape[2]] for G, w in zip(self.G, start, strict=True)]
        self.V = [torch.tensor(part, dtype=number, device=place) for part in teacher]
        self.sizes = [w.shape[1] - 1 for w in start]
        self.outputs = start[-1].shape[2]
        self.ones = [(w.shape[1] - 1, w.shape[1] + v.shape[1] - 1) for w, v in zip(start, teacher, strict=True)]

    def forward(self, X: torch.Tensor) -> tuple[Pulls, Pulls]:
        """States S_0, ..., S_{L-1}, and what comes out of each G before the relu; the last is y - y*."""
        states, before = [X], []
        for G in self.G[:-1]:
            before.append(torch.bmm(states[-1], G))
            states.append(torch.relu(before[-1]))
        before.append(torch.bmm(states[-1], self.G[-1]))
        return states, before

    def step(self, pulls: Pulls, rate: float) -> None:
        """Subtract, then bring every column, its bias with it, to norm 1."""
        for W, pull in zip(self.W, pulls, strict=True):
            W.sub_(pull[:, : W.shape[1], : W.shape[2]], alpha=rate)
            W.div_((W * W).sum(1, keepdim=True).sqrt_())


def _fused(W: np.ndarray, V: np.ndarray, first: bool, last: bool) -> np.ndarray:
    (B, rows, n), (_, others, m) = W.shape, V.shape
    below, beside = (0, n + 1) if first else (rows, 0 if last else n + 1)
    G = np.zeros((B, filled(below + others), filled(n if last else n + m + 2)))
    G[:, :rows, :n] = W
    G[:, below : below + others, beside : beside + m] = -V if last else V
    if not last:
        G[:, rows - 1, n] = G[:, below + others - 1, n + 1 + m] = 1
    return G


# -------------------------------------------------------------------------------------------------------- rules


def gradient(pair: Pair, X: torch.Tensor) -> Pulls:
    """The gradient of 1/2 mean |y* - y|^2 by backpropagation."""
    states, before = pair.forward(X)
    return _backward(pair, states, before[-1], 0)[::-1]


def _backward(pair: Pair, states: Pulls, r: torch.Tensor, lowest: int) -> Pulls:
    """Pulls of layers L-1, ..., `lowest`, of residuals r (B, N, .) at the outputs."""
    g, pulls = r[:, :, : pair.outputs] / len(r[0]), []
    for l in range(len(pair.W) - 1, lowest - 1, -1):
        n = pair.sizes[l]
        pulls.append(torch.bmm(states[l][:, :, : n + 1].mT, g))
        if l > lowest:
            g = torch.bmm(g, pair.W[l][:, :n].mT).mul_(states[l][:, :, :n].sign())
    return pulls


def exact(pair: Pair, X: torch.Tensor) -> Pulls:
    """The published rule sample by sample, averaged.

    What pulls on layer l is y* - y with both networks linear above it, by their gates, and without biases there.
    """
    states, before = pair.forward(X)
    depth = len(pair.W)
    pulls = [_backward(pair, states, before[-1], depth - 1)[0]]
    for l in range(depth - 1, 0, -1):
        v = before[l] - sum(pair.G[l][:, one, None] for one in pair.ones[l])
        for k in range(l + 1, depth):
            v = torch.bmm(v.mul_(states[k].sign()), pair.G[k])
        pulls.append(_backward(pair, states, v, l - 1)[-1])
    return pulls[::-1]


def matrix(pair: Pair, X: torch.Tensor) -> Pulls:
    """L W H^T - L* W* H*^T of every layer, each factor a mean over the batch by itself.

    H = beta o <D D^T> and beta = W H W^T from the outputs down, without the rows and columns of constants.
    """
    states, before = pair.forward(X)
    pulls = _backward(pair, states, before[-1], len(pair.W) - 1)
    beta = torch.bmm(pair.W[-1][:, :-1], pair.G[-1][:, :, : pair.outputs].mT)
    for l in range(len(pair.W) - 1, 0, -1):
        for one in pair.ones[l]:
            beta[:, :, one] = 0
        gates = states[l].sign()
        H = torch.bmm(gates[:, :, : pair.sizes[l]].mT, gates).mul_(beta)
        S = states[l - 1][:, :, : pair.sizes[l - 1] + 1].mT
        # Few inputs: their second moments are smaller than the states.
        LW = torch.bmm(torch.bmm(S, states[0]), pair.G[0]) if l == 1 else torch.bmm(S, before[l - 1])
        pulls.append(torch.bmm(LW, H.mT) / len(X[0]) ** 2)
        if l > 1:
            beta = torch.bmm(torch.bmm(pair.W[l - 1][:, :-1], H / len(X[0])), pair.G[l - 1].mT)
    return pulls[::-1]


RULES: dict[str, Callable[[Pair, torch.Tensor], Pulls]] = {"matrix": matrix, "exact": exact, "gradient": gradient}
