"""A student and its teacher side by side in one matrix per layer, and the pulls of four rules on the student.

With the constant 1 behind every layer's neurons, the states of layer l are S_l = (f, 1, f*, 1), those of the inputs
(x, 1), and S_{l+1} = relu(S_l G_l), where G_l holds the student's and the teacher's weights as blocks and hands the
ones on. The last one holds (V; -V*), so that S_{L-1} G_{L-1} = y - y*. Rows are filled up with zeros (`padded`):
then every matrix begins where whole vectors of a processor do, and no sum depends on what stands beside it.

A pull is what a step subtracts, times the step size; ``pull[:, :n + 1]`` belongs to the weights and biases.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from smallnets.descent.device import padded

Pulls = list[torch.Tensor]


class FusedPair:
    """A student and its teacher: fused matrices `G`, the student's part `W` of each, a view; the teacher's weights `V`.

    `sizes` are the student's inputs of every layer, `ones` the rows of both constants.
    """

    def __init__(
        self, teacher: Sequence[np.ndarray], start: Sequence[np.ndarray], number: torch.dtype, place: torch.device
    ) -> None:
        last = len(start) - 1
        fused = [
            _fused(w, v, layer == 0, layer == last) for layer, (w, v) in enumerate(zip(start, teacher, strict=True))
        ]
        self.G = [torch.tensor(part, dtype=number, device=place) for part in fused]
        self.W = [G[:, : w.shape[1], : w.shape[2]] for G, w in zip(self.G, start, strict=True)]
        self.V = [torch.tensor(part, dtype=number, device=place) for part in teacher]
        self.sizes = [w.shape[1] - 1 for w in start]
        self.ones = [(w.shape[1] - 1, w.shape[1] + v.shape[1] - 1) for w, v in zip(start, teacher, strict=True)]

    def forward(self, X: torch.Tensor) -> tuple[Pulls, torch.Tensor]:
        """States S_0, ..., S_{L-1} and y - y*."""
        states = [X]
        for G in self.G[:-1]:
            states.append(torch.bmm(states[-1], G).relu_())
        return states, torch.bmm(states[-1], self.G[-1])

    def normalize(self) -> None:
        """Bring every column, its bias with it, to norm 1."""
        for W in self.W:
            W.div_((W * W).sum(1, keepdim=True).sqrt_())


def _fused(W: np.ndarray, V: np.ndarray, first: bool, last: bool) -> np.ndarray:
    (B, rows, n), (_, others, m) = W.shape, V.shape
    below, beside = (0, n + 1) if first else (rows, 0 if last else n + 1)
    G = np.zeros((B, padded(below + others), padded(n if last else n + m + 2)))
    G[:, :rows, :n] = W
    G[:, below : below + others, beside : beside + m] = -V if last else V
    if not last:
        G[:, rows - 1, n] = G[:, below + others - 1, n + 1 + m] = 1
    return G


# -------------------------------------------------------------------------------------------------------- rules
# Pulls come times the size of the batch: numbers are multiplied where there are fewest of them. What stands in the
# columns with which products are filled up is never read.


def gradient(pair: FusedPair, X: torch.Tensor) -> Pulls:
    """The gradient of 1/2 mean |y* - y|^2 by backpropagation."""
    states, r = pair.forward(X)
    return _backward(pair, states, r, 0)[::-1]


def _backward(pair: FusedPair, states: Pulls, r: torch.Tensor, lowest: int) -> Pulls:
    """Pulls of layers L-1, ..., `lowest`, of residuals r (B, N, .) at the outputs."""
    pulls = []
    for layer in range(len(pair.W) - 1, lowest - 1, -1):
        n = pair.sizes[layer]
        pulls.append(torch.bmm(states[layer][:, :, : n + 1].mT, r))
        if layer > lowest:
            # Zeros where a student's neuron does not reach: the columns filled up pull on nothing.
            r = torch.bmm(r, pair.G[layer][:, : padded(n), : r.shape[2]].mT).mul_(
                states[layer][:, :, : padded(n)].sign()
            )
    return pulls


def exact(pair: FusedPair, X: torch.Tensor) -> Pulls:
    """The published rule sample by sample.

    What pulls on layer layer is y* - y with both networks linear above it, by their gates, and without biases there.
    """
    states, r = pair.forward(X)
    depth = len(pair.W)
    pulls = _backward(pair, states, r, depth - 1)
    for layer in range(depth - 1, 0, -1):
        biases = sum(pair.G[layer][:, one, None] for one in pair.ones[layer])
        v = (r if layer == depth - 1 else torch.bmm(states[layer], pair.G[layer])) - biases
        for k in range(layer + 1, depth):
            v = torch.bmm(v.mul_(states[k].sign()), pair.G[k])
        pulls.append(_backward(pair, states, v, layer - 1)[-1])
    return pulls[::-1]


def matrix(pair: FusedPair, X: torch.Tensor) -> Pulls:
    """L W H^T - L* W* H*^T of every layer, each factor a mean over the batch by itself.

    H = beta o <D D^T> and beta = W H W^T from the outputs down, without the rows and columns of constants.
    """
    states, r = pair.forward(X)
    pulls = _backward(pair, states, r, len(pair.W) - 1)
    beta = torch.bmm(pair.W[-1][:, :-1] / len(X[0]), pair.G[-1][:, :, : pair.W[-1].shape[2]].mT)
    for layer in range(len(pair.W) - 1, 0, -1):
        n = pair.sizes[layer]
        for one in pair.ones[layer]:
            beta[:, :, one] = 0
        gates = states[layer].sign().float()  # counts up to 2^24 are exact
        H = beta.mul_(torch.bmm(gates[:, :, :n].mT, gates).to(beta.dtype))
        S = states[layer - 1][:, :, : pair.sizes[layer - 1] + 1].mT
        # Few inputs: their second moments are smaller than the states.
        LW = (
            torch.bmm(torch.bmm(S, X), pair.G[0])
            if layer == 1
            else torch.bmm(S, torch.bmm(states[layer - 1], pair.G[layer - 1]))
        )
        pulls.append(torch.bmm(LW, H.mT))
        if layer > 1:
            beta = torch.bmm(torch.bmm(pair.W[layer - 1][:, :-1] / len(X[0]), H), pair.G[layer - 1].mT)
    return pulls[::-1]


RULES: dict[str, Callable[[FusedPair, torch.Tensor], Pulls]] = {"matrix": matrix, "exact": exact, "gradient": gradient}
