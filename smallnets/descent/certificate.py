"""When will no kink ever reach a point? The step size and the sufficient condition of inconsistent descent.

In the notation of `smallnets.descent.sides`, with slopes and intercepts in the order (p+, q+, p-, q-): M is the
block diagonal matrix of the points' moments and A = C + blockdiag(S_ab + S_ww I), with the second moments
S = sum (a, b, w)^T (a, b, w) of a side's neurons and C = e e^T, e = (0, 1, 0, 1). Near a minimum a gradient step
multiplies the error by I - h A M, which is similar to I - h H with H = M^(1/2) A M^(1/2).

**Source**: holzmuller2022training and its code, for ReLU; the leaky slopes that the theorems
allow are not in the code either.
"""

from __future__ import annotations

import numpy as np

from ..arguments import array, checked
from .compiled import njit

E = np.array([0.0, 1.0, 0.0, 1.0])


@checked(M=array("moments by side", "B 2 3"))
def roots(M: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root of each side's moments and its pseudo-inverse, ``(B, 2, 2, 2)``, from ``M (B, 2, 3)``."""
    full = np.stack([M[..., :2], M[..., 1:]], axis=-2)
    values, vectors = np.linalg.eigh(full)
    root = np.sqrt(np.maximum(values, 0))
    large = root > 1e-8 * root.max(axis=-1, keepdims=True)
    inverse = np.divide(1, root, out=np.zeros_like(root), where=large)
    return tuple((vectors * d[..., None, :]) @ vectors.mT for d in (root, inverse))


@checked(M=array("moments by side", "B 2 3"), S=array("second moments of the neurons", "B 2 3 3"))
def hessian(M: np.ndarray, S: np.ndarray) -> np.ndarray:
    """H = M^(1/2) A M^(1/2), ``(B, 4, 4)``, from ``M (B, 2, 3)`` and ``S (B, 2, 3, 3)``.

    **Source**: holzmuller2022training, Lemma F.3.
    """
    root, _ = roots(M)
    whole, A = np.zeros((len(M), 4, 4)), np.zeros((len(M), 4, 4)) + np.outer(E, E)
    for s in (0, 1):
        block = slice(2 * s, 2 * s + 2)
        whole[:, block, block] = root[:, s]
        A[:, block, block] += S[:, s, :2, :2] + S[:, s, 2, 2, None, None] * np.eye(2)
    return whole @ A @ whole


@checked(M=array("moments by side", "B 2 3"), S=array("second moments of the neurons", "B 2 3 3"))
def largest_step(M: np.ndarray, S: np.ndarray) -> np.ndarray:
    """h = 1/lambda_max(H) at the start, ``(B,)``: the largest step of Rem. 11, inf without any moment."""
    with np.errstate(divide="ignore"):
        return 1 / np.linalg.eigvalsh(hessian(M, S))[:, -1]


@njit(error_model="numpy")
def _error(root, inverse, S, pulls):  # type: ignore[no-untyped-def]
    """H, and psi = M^(-1/2) u with the pulls u = (r+, s+, r-, s-)."""
    H, psi, g = np.empty((4, 4)), np.empty(4), np.empty(4)
    for s in range(2):
        for i in range(2):
            psi[2 * s + i] = inverse[s, i, 0] * pulls[s, 0] + inverse[s, i, 1] * pulls[s, 1]
            g[2 * s + i] = root[s, i, 1]
    for i in range(4):
        for j in range(4):
            H[i, j] = g[i] * g[j]
    for s in range(2):
        x, y, z = S[s, 0, 0] + S[s, 2, 2], S[s, 0, 1], S[s, 1, 1] + S[s, 2, 2]
        for i in range(2):
            for j in range(2):
                one = root[s, i, 0] * (x * root[s, 0, j] + y * root[s, 1, j])
                H[2 * s + i, 2 * s + j] += one + root[s, i, 1] * (y * root[s, 0, j] + z * root[s, 1, j])
    return H, psi


@njit(error_model="numpy")
def _at_least(M, inverse, S, pulls):  # type: ignore[no-untyped-def]
    """Lower bounds of what `_drift` returns, without eigenvectors, from z = H^(-1) psi.

    The sum is at least the largest \\|z\\| and half the 2-norm; the decay is at least twice any Rayleigh quotient of
    H^(-1), here z^T z / psi^T z.
    """
    z = np.empty(4)
    reduced = np.empty((2, 2))
    top = bottom = 0.0
    for s in range(2):  # A^-1 M^-1 u by Sherman-Morrison: A is block diagonal but for e e^T
        det = M[s, 0] * M[s, 2] - M[s, 1] * M[s, 1]
        v0 = (M[s, 2] * pulls[s, 0] - M[s, 1] * pulls[s, 1]) / det
        v1 = (M[s, 0] * pulls[s, 1] - M[s, 1] * pulls[s, 0]) / det
        x, y, w = S[s, 0, 0] + S[s, 2, 2], S[s, 0, 1], S[s, 1, 1] + S[s, 2, 2]
        det = x * w - y * y
        z[2 * s], z[2 * s + 1] = (w * v0 - y * v1) / det, (x * v1 - y * v0) / det
        reduced[s, 0], reduced[s, 1] = -y / det, x / det
        top += z[2 * s + 1]
        bottom += reduced[s, 1]
    size, largest, along = 0.0, 0.0, 0.0
    for s in range(2):
        z0 = z[2 * s] - reduced[s, 0] * top / (1 + bottom)
        z1 = z[2 * s + 1] - reduced[s, 1] * top / (1 + bottom)
        for i in range(2):
            one = inverse[s, i, 0] * z0 + inverse[s, i, 1] * z1
            size += one * one
            largest = max(largest, abs(one))
            along += one * (inverse[s, i, 0] * pulls[s, 0] + inverse[s, i, 1] * pulls[s, 1])
    return max(largest, np.sqrt(size) / 2), 2 * size / along


@njit(error_model="numpy")
def _drift(H, psi, h, sharp):  # type: ignore[no-untyped-def]
    """Sums over all later steps, of \\|psi\\| by entries and of the decay alone; inf where there is none.

    An eigenvector weighs with its largest entry; as published, with the 1-norm of a row of the eigenvectors' matrix.
    """
    values, vectors = np.linalg.eigh(H)
    total, slowest = 0.0, 0.0
    for i in range(4):
        factor = 1 - h * values[i]
        slowest = max(slowest, abs(factor))
        along, weight = 0.0, 0.0
        for j in range(4):
            along += vectors[j, i] * psi[j]
            weight = max(weight, abs(vectors[j, i])) if sharp else weight + abs(vectors[i, j])
        # As published, 1 - mu, which equals 1 - |mu| for h <= 1/lambda_max only.
        left = 1 - abs(factor) if sharp else abs(1 - factor)
        if left <= 0:
            return np.inf, np.inf
        total += h / left * abs(along) * weight
    return total, 2 * h / (1 - slowest) if slowest < 1 else np.inf


@njit(error_model="numpy")
def _growth(S, kappa, norm, decay):  # type: ignore[no-untyped-def]
    """The bound delta on how much the moments S change the linear system while neurons move by kappa."""
    w = ab = wab = 0.0
    for s in range(2):
        aa, b2, ww = S[s, 0, 0], S[s, 1, 1], S[s, 2, 2]
        xy, wa, wb = abs(S[s, 0, 1]), abs(S[s, 0, 2]), abs(S[s, 1, 2])
        size = max(aa + xy + wa, max(xy + b2 + wb, wa + wb + ww))
        rest = 8 * kappa**2 * np.exp(4 * kappa) * size
        # kappa (Q |S| + |S| Q), where Q swaps w with a and with b
        d_aa, d_ab, d_bb = 2 * kappa * wa + rest, kappa * (wa + wb) + rest, 2 * kappa * wb + rest
        d_ww = 2 * kappa * (wa + wb) + rest
        d_wa, d_wb = kappa * (aa + xy + ww) + rest, kappa * (xy + b2 + ww) + rest
        w, ab = max(w, d_ww), max(ab, d_aa + d_ab + d_bb)
        wab = max(wab, kappa * (wa + wb + d_wa + d_wb))
    return decay * norm**2 * (w + ab + wab)


@njit()
def _all_stay(neurons, kappa, reach):  # type: ignore[no-untyped-def]
    """Whether every neuron's kink stays within reach while its side's map moves by kappa."""
    for i in range(len(neurons)):
        a, b, w = abs(neurons[i, 0]), abs(neurons[i, 1]), abs(neurons[i, 2])
        moved = kappa * w + 2 * kappa**2 * np.exp(2 * kappa) * max(a, max(b, w))
        if not reach * (a - moved) > b + moved:
            return False
    return True


@njit(error_model="numpy")
def converged(M, root, inverse, S, pulls, h, reach, neurons, sharp):  # type: ignore[no-untyped-def]
    """Whether no neuron will ever leave its side: the paper's sufficient condition, from the current weights.

    ``M (2, 3)``, ``root`` and ``inverse (2, 2, 2)``, ``S (2, 3, 3)``, ``pulls (2, 2)``: r and s of either side,
    ``neurons (K, 3)``: those that decide. ``S`` need not be given where a side has no neurons: then it is False.

    **Source**: holzmuller2022training, its code; differs: eigenvectors weigh with their
    largest entry, not with the 1-norm of a row (``sharp=False``).
    """
    norm = 0.0
    for s in range(2):
        for i in range(2):
            norm = max(norm, abs(root[s, i, 0]) + abs(root[s, i, 1]))
    # Most checks fail, and most failures follow from lower bounds: eigenvectors cost thirty times as much.
    total, decay = _at_least(M, inverse, S, pulls)
    kappa = 2 * norm * total
    if not kappa < 0.5 or _growth(S, kappa, norm, decay) > 0.5 or not _all_stay(neurons, kappa, reach):
        return False
    H, psi = _error(root, inverse, S, pulls)
    total, decay = _drift(H, psi, h, sharp)
    kappa = 2 * norm * total
    return kappa < 0.5 and _growth(S, kappa, norm, decay) <= 0.5 and _all_stay(neurons, kappa, reach)
