"""When will no kink ever reach a point? The step size and the sufficient condition of inconsistent descent.

With slopes and intercepts in the order (p+, q+, p-, q-), M is the block diagonal matrix of the points' moments and
A = C + blockdiag(S_ab + S_ww I), with the second moments S = sum (a, b, w)^T (a, b, w) of a side's neurons and C = e
e^T, e = (0, 1, 0, 1). Near a minimum a gradient step multiplies the error by I - h A M, which is similar to I - h H
with H = M^(1/2) A M^(1/2).

**Source**: holzmuller2022training and its code, for ReLU; the leaky slopes that the theorems
allow are not in the code either.
"""

from __future__ import annotations

import numpy as np

from ...arguments import array, checked
from ..compiled import njit
from .data import Sample

# What the certificate reads of either side: second moments of its neurons, the root of its points' moments, and by how
# much slope and intercept fall short of the best line's.
AA, AB, AW, BB, BW, WW, ROOT_XX, ROOT_X, ROOT_1, SLOPE, INTERCEPT, READ = range(12)


@checked(sums=array("moments by side", "B 6 2"))
def roots(sums: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Square root of each side's moments and its pseudo-inverse, ``(B, 2, 2, 2)``, from `data.Sample.sums`."""
    xx, x, one = sums[:, 0], sums[:, 1], sums[:, 2]
    values, vectors = np.linalg.eigh(np.stack([xx, x, x, one], axis=2).reshape(-1, 2, 2, 2))
    root = np.sqrt(np.maximum(values, 0))
    large = root > 1e-8 * root.max(axis=-1, keepdims=True)
    inverse = np.divide(1, root, out=np.zeros_like(root), where=large)
    return tuple((vectors * d[..., None, :]) @ vectors.mT for d in (root, inverse))


@checked(sums=array("moments by side", "B 6 2"), S=array("second moments of the neurons", "B 2 3 3"))
def hessian(sums: np.ndarray, S: np.ndarray) -> np.ndarray:
    """H = M^(1/2) A M^(1/2), ``(B, 4, 4)``, from ``sums (B, 6, 2)`` and ``S (B, 2, 3, 3)``.

    **Source**: holzmuller2022training, Lemma F.3.
    """
    root, _ = roots(sums)
    whole, A = np.zeros((len(S), 4, 4)), np.zeros((len(S), 4, 4)) + np.outer([0, 1, 0, 1], [0, 1, 0, 1])
    for s in (0, 1):
        block = slice(2 * s, 2 * s + 2)
        whole[:, block, block] = root[:, s]
        A[:, block, block] += S[:, s, :2, :2] + S[:, s, 2, 2, None, None] * np.eye(2)
    return whole @ A @ whole


@checked(sums=array("moments by side", "B 6 2"), S=array("second moments of the neurons", "B 2 3 3"))
def largest_step(sums: np.ndarray, S: np.ndarray) -> np.ndarray:
    """h = 1/lambda_max(H) at the start, ``(B,)``: the largest step of Rem. 11, inf without any moment."""
    with np.errstate(divide="ignore"):
        return 1 / np.linalg.eigvalsh(hessian(sums, S))[:, -1]


def constants(sample: Sample) -> np.ndarray:
    """What `certified` reads of the points, ``(B, 6, 2)``.

    These are the root of either side's moments as (xx, x, 1), slope and intercept of its best line, and the norm of
    the roots.
    """
    root, inverse = roots(sample.sums)
    line = inverse @ inverse @ sample.sums[:, 3:5].transpose(0, 2, 1)[..., None]
    norm = np.abs(root).sum(axis=3).max(axis=(1, 2))
    parts = (root[:, :, 0, 0], root[:, :, 0, 1], root[:, :, 1, 1], line[:, :, 0, 0], line[:, :, 1, 0])
    return np.stack([*parts, np.repeat(norm[:, None], 2, axis=1)], axis=1)


@njit(error_model="numpy")
def _bounds(sides):  # type: ignore[no-untyped-def]
    """Lower bounds of what `_drift` finds, without eigenvectors, from z = H^(-1) psi.

    The sum is at least the largest \\|z\\| and half the 2-norm; the decay is at least twice any Rayleigh quotient of
    H^(-1), here z^T z / psi^T z.
    """
    # A^(-1) by Sherman-Morrison: A is block diagonal but for e e^T.
    top, bottom, size, largest, along = 0.0, 1.0, 0.0, 0.0, 0.0
    for s in range(2):
        d0, d01, d1 = sides[s, AA] + sides[s, WW], sides[s, AB], sides[s, BB] + sides[s, WW]
        det = d0 * d1 - d01 * d01
        top += (d0 * sides[s, INTERCEPT] - d01 * sides[s, SLOPE]) / det
        bottom += d0 / det
    for s in range(2):
        d0, d01, d1 = sides[s, AA] + sides[s, WW], sides[s, AB], sides[s, BB] + sides[s, WW]
        det, p, q = d0 * d1 - d01 * d01, sides[s, SLOPE], sides[s, INTERCEPT] - top / bottom
        v0, v1 = (d1 * p - d01 * q) / det, (d0 * q - d01 * p) / det
        along += v0 * p + v1 * sides[s, INTERCEPT]
        r0, r01, r1 = sides[s, ROOT_XX], sides[s, ROOT_X], sides[s, ROOT_1]
        det = r0 * r1 - r01 * r01
        z0, z1 = abs(r1 * v0 - r01 * v1) / det, abs(r0 * v1 - r01 * v0) / det
        size += z0 * z0 + z1 * z1
        largest = max(largest, max(z0, z1))
    return max(largest, np.sqrt(size) / 2), 2 * size / along if along > 0 else 0.0


@njit(error_model="numpy")
def holds(sides, neurons, norm, reach, total, decay):  # type: ignore[no-untyped-def]
    """Whether, with these sums over all later steps, neither the linear system nor any neuron moves too much."""
    kappa = 2 * norm * total
    if not kappa < 0.5:
        return False
    # The bound on how much the moments S change the linear system while neurons move by kappa.
    w = ab = wab = 0.0
    square, power = 8 * kappa * kappa * np.exp(4 * kappa), 2 * kappa * kappa * np.exp(2 * kappa)
    for s in range(2):
        aa, bb, ww, xy = sides[s, AA], sides[s, BB], sides[s, WW], abs(sides[s, AB])
        wa, wb = abs(sides[s, AW]), abs(sides[s, BW])
        rest = square * max(aa + xy + wa, max(xy + bb + wb, wa + wb + ww))
        # kappa (Q |S| + |S| Q), where Q swaps w with a and with b
        both = kappa * (wa + wb)
        w, ab = max(w, 2 * both + rest), max(ab, 3 * both + 3 * rest)
        wab = max(wab, both + kappa * (kappa * (aa + 2 * xy + bb + 2 * ww) + 2 * rest))
    if not decay * norm * norm * (w + ab + wab) <= 0.5:
        return False
    # Does every neuron's kink stay within reach while its side's map moves by kappa?
    for v in range(len(neurons)):
        a, b, c = abs(neurons[v, 0]), abs(neurons[v, 1]), abs(neurons[v, 2])
        moved = kappa * c + power * max(a, max(b, c))
        if not reach * (a - moved) > b + moved:
            return False
    return True


@njit(error_model="numpy")
def possible(sides, neurons, norm, reach):  # type: ignore[no-untyped-def]
    """Whether lower bounds do not exclude what `certified` asks for, of one network."""
    total, decay = _bounds(sides)
    return holds(sides, neurons, norm, reach, total, decay)


@checked(
    S=array("second moments of the neurons", "N 2 3 3", finite=False, empty=True),
    c=array("output biases", "N", finite=False, empty=True),
    constants=array("what `constants` has found", "N 6 2", empty=True),
)
def read(S: np.ndarray, c: np.ndarray, constants: np.ndarray) -> np.ndarray:
    """What `certified` reads, (N, 2, READ), from moments S (N, 2, 3, 3), output biases c (N,) and `constants`."""
    line = constants[:, 3:5].transpose(0, 2, 1) - S[:, :, 2, :2] - np.array([0.0, 1.0]) * c[:, None, None]
    upper = np.triu_indices(3)
    return np.concatenate([S[:, :, *upper], constants[:, :3].transpose(0, 2, 1), line], axis=2)


@checked(
    sides=array("what `read` has found", f"N 2 {READ}", finite=False, empty=True),
    neurons=array("neurons that decide", "N K 3", finite=False, empty=True),
    norm=array("norms of the roots", "N", empty=True),
    reach=array("smallest distances of a point from 0", "N", interval="(0, inf)", empty=True),
    h=array("step sizes", "N", interval="(0, inf)", empty=True),
)
def certified(
    sides: np.ndarray, neurons: np.ndarray, norm: np.ndarray, reach: np.ndarray, *, h: np.ndarray, sharp: bool
) -> np.ndarray:
    """Whether no neuron will ever leave its side, ``(N,)``: the paper's sufficient condition, from current weights.

    Parameters
    ----------
    sides : (N, 2, READ) array, from `read`; every side has neurons
    neurons : (N, K, 3) array of those that decide
    norm : (N,) array of the norms of the points' moments' roots
    reach, h : (N,) arrays of the smallest \\|x\\| and the step sizes
    sharp : whether an eigenvector weighs with its largest entry; as published, with the 1-norm of a row of the
        eigenvectors' matrix

    **Source**: holzmuller2022training, its code; differs: eigenvectors weigh with their
    largest entry, not with the 1-norm of a row (``sharp=False``).
    """
    # Most checks fail, and most failures follow from lower bounds: eigenvectors cost thirty times as much.
    held = np.array([possible(*one) for one in zip(sides, neurons, norm, reach, strict=True)], bool)
    some = np.flatnonzero(held)
    if len(some):
        parts = [part[some] for part in (sides, neurons, norm, reach)]
        held[some] = [holds(*one) for one in zip(*parts, *_drift(sides[some], h[some], sharp), strict=True)]
    return held


def _drift(sides: np.ndarray, h: np.ndarray, sharp: bool) -> tuple[np.ndarray, np.ndarray]:
    """Sums over all later steps, of \\|psi\\| by entries and of the decay alone; inf if there is none."""
    H, psi = np.zeros((len(h), 4, 4)), np.empty((len(h), 4))
    g = sides[:, :, [ROOT_X, ROOT_1]].reshape(-1, 4)
    for s in (0, 1):
        root = sides[:, s][:, [[ROOT_XX, ROOT_X], [ROOT_X, ROOT_1]]]
        A = sides[:, s][:, [[AA, AB], [AB, BB]]] + sides[:, s, WW, None, None] * np.eye(2)
        H[:, 2 * s : 2 * s + 2, 2 * s : 2 * s + 2] = root @ A @ root
        psi[:, 2 * s : 2 * s + 2] = np.einsum("nij,nj->ni", root, sides[:, s, SLOPE:READ])
    values, vectors = np.linalg.eigh(H + g[:, :, None] * g[:, None])
    factor = 1 - h[:, None] * values
    # As published, 1 - mu, which equals 1 - |mu| for h <= 1/lambda_max only.
    left = 1 - np.abs(factor) if sharp else np.abs(1 - factor)
    weight = np.abs(vectors).max(axis=1) if sharp else np.abs(vectors).sum(axis=2)
    along = np.abs(np.einsum("nji,nj->ni", vectors, psi))
    slowest = np.abs(factor).max(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        total = (h[:, None] / left * along * weight).sum(axis=1)
        decay = np.where(slowest < 1, 2 * h / (1 - slowest), np.inf)
    return np.where((left > 0).all(axis=1), total, np.inf), decay
