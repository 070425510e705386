"""Expectations over standard normal inputs of pairs of ReLU neurons with biases, in closed form, in torch.

For z_j = <w_j, x> + b_j let s_j = |w_j|, a_j = b_j / s_j, rho the correlation of z_j and z_k, r = sqrt(1 - rho^2),
phi and Phi the normal density and distribution, Phi2 that of two with correlation rho; with
u = (a_k - rho a_j) / r and v = (a_j - rho a_k) / r

    D = P(z_j > 0, z_k > 0) = Phi2(a_j, a_k; rho)
    K = E[z_j+ z_k+] = s_j s_k ((a_j a_k + rho) D + a_k phi(a_j) Phi(u) + a_j phi(a_k) Phi(v) + r phi(a_j) phi(u))
    M = E[1{z_j > 0} z_k+] = s_k (a_k D + phi(a_k) Phi(v) + rho phi(a_j) Phi(u))
    P = E[delta(z_j) z_k+] = phi(a_j) s_k / s_j r (u Phi(u) + phi(u))

Neurons are columns of ``(B, d + 1, n)`` arrays, the bias in the last row.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch.nn.functional import pad

from smallnets.descent.device import padded

NODES = 16  # of the Gauss-Legendre rule for Phi2: errors of 1e-15


class PairMoments(NamedTuple):
    """D, K, M and P, ``(B, n, k)`` each."""

    D: torch.Tensor
    K: torch.Tensor
    M: torch.Tensor
    P: torch.Tensor


class Single(NamedTuple):
    """P(z > 0), E[z+] and E[delta(z)] = phi(a) / s, ``(B, n)`` each."""

    gate: torch.Tensor
    mean: torch.Tensor
    density: torch.Tensor


def phi(t: torch.Tensor) -> torch.Tensor:
    """The standard normal density."""
    return torch.exp(t * t * -0.5) * (2 * math.pi) ** -0.5


def single(W: torch.Tensor) -> Single:
    """Expectations of single neurons ``W (B, d + 1, n)``."""
    s, a = _scaled(W)
    gate, density = torch.special.ndtr(a), phi(a)
    return Single(gate, s * (a * gate + density), density / s)


def _scaled(W: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    s = (W[:, :-1] * W[:, :-1]).sum(1).sqrt_()
    return s, W[:, -1] / s


def moments(W: torch.Tensor, V: torch.Tensor, *, biased: bool = True) -> PairMoments:
    """Expectations of all pairs of neurons, j of ``W (B, d + 1, n)`` and k of ``V (B, d + 1, k)``.

    Parameters
    ----------
    W, V : tensors, no column of weights zero
    biased : False takes every bias for 0, which is several times faster

    **Source**: tian2019luck has the batch means of these; zero biases are the arc-cosine kernels.
    """
    (s, a), (t, b) = _scaled(W), _scaled(V)
    cosine = torch.bmm((W[:, :-1] / s[:, None]).mT, V[:, :-1] / t[:, None])
    most = 1 - torch.finfo(W.dtype).eps
    rho = cosine.clamp_(-most, most)
    r = torch.sqrt((1 - rho) * (1 + rho))
    s, t, a, b = s[:, :, None], t[:, None], a[:, :, None], b[:, None]
    if not biased:
        D = 0.25 + torch.asin(rho) / (2 * math.pi)
        root = (2 * math.pi) ** -0.5
        M = t * (1 + rho) * (root / 2)
        return PairMoments(D, s * t * (rho * D + r / (2 * math.pi)), M, t / s * r / (2 * math.pi))
    D = orthant(a, b, rho)
    u, v = (b - rho * a) / r, (a - rho * b) / r
    at_a, at_b, below_u, below_v = phi(a), phi(b), torch.special.ndtr(u), torch.special.ndtr(v)
    K = s * t * ((a * b + rho) * D + r * at_a * phi(u) + b * at_a * below_u + a * at_b * below_v)
    M = t * (b * D + at_b * below_v + rho * at_a * below_u)
    return PairMoments(D, K, M, at_a * t / s * r * (u * below_u + phi(u)))


def orthant(a: torch.Tensor, b: torch.Tensor, rho: torch.Tensor) -> torch.Tensor:
    """Phi2(a, b; rho), the probability that two standard normals of correlation rho lie below a and b.

    Up to |rho| = 0.9 by Gauss and Legendre,

        Phi(a) Phi(b) + 1/(2 pi) int_0^{asin rho} exp(-(a^2 - 2 a b sin t + b^2) / (2 cos^2 t)) dt.

    From there to 1 as what is missing there, with x = cos t, s = sin t, p = a b and R the square root of 1 - rho^2,

        Phi(min(a, b)) - 1/(2 pi) int_0^R exp(-(a - b)^2 / (2 x^2)) exp(-p / (1 + s)) / s dx,

    where the last two factors less their expansion to x^4 are integrated by the same rule, and the expansion exactly.
    """
    points, weights = (part.tolist() for part in np.polynomial.legendre.leggauss(NODES))
    below, span, total = torch.special.ndtr(a), torch.asin(rho) / 2, torch.zeros_like(rho)
    for point, weight in zip(points, weights, strict=True):
        sine = torch.sin(span * (1 + point))
        total += weight * torch.exp((a * a - 2 * a * b * sine + b * b) / (-2 * (1 - sine) * (1 + sine)))
    middle = below * torch.special.ndtr(b) + span * total / (2 * math.pi)
    if not (rho.abs() > 0.9).any():
        return middle
    other = torch.where(rho < 0, -b, b)
    near = torch.special.ndtr(torch.minimum(a, other)) - _missing(a, other, rho, points=points, weights=weights) / (
        2 * math.pi
    )
    return torch.where(rho.abs() > 0.9, torch.where(rho < 0, below - near, near), middle)


def _missing(
    a: torch.Tensor, b: torch.Tensor, rho: torch.Tensor, *, points: list[float], weights: list[float]
) -> torch.Tensor:
    """The integral from 0 to R; that of exp(-(a - b)^2 / (2 x^2)) x^k in closed form for k = 0, 2, 4."""
    # Below -60 the gap, whose square is at least -4 p, leaves nothing of what exp(-p / 2) would overflow with.
    R, gap, p = torch.sqrt((1 - rho) * (1 + rho)), (a - b).abs(), (a * b).clamp(min=-60)
    end = torch.exp(-((gap / R) ** 2) / 2)
    zeroth = R * end - gap * (2 * math.pi) ** 0.5 * torch.special.ndtr(-gap / R)
    second = (R**3 * end - gap**2 * zeroth) / 3
    fourth = (R**5 * end - gap**2 * second) / 5
    c = (4 - p) / 8
    d = c * (12 - p) / 16
    first, total = torch.exp(-p / 2), torch.zeros_like(rho)
    for point, weight in zip(points, weights, strict=True):
        square = (R * ((1 + point) / 2)) ** 2
        s = torch.sqrt(1 - square)
        rest = torch.exp(-p / (1 + s)) / s - first * (1 + square * (c + square * d))
        total += weight * torch.exp(-(gap**2) / (2 * square)) * rest
    return first * (zeroth + c * second + d * fourth) + R / 2 * total


def population(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor], *, biased: bool = True
) -> list[torch.Tensor]:
    """The gradient of 1/2 E|y* - y|^2 for two layers, biases in the last rows; unless `biased` hidden ones are 0.

    With C = V V^T, C* = V V*^T without biases, c the outputs' biases and h = V (c* - c):

        -dV = K* V* - K V + E[f] (c* - c)^T,    -dc = E[f*] V* - E[f] V + c* - c
        -dw_j = sum_k C*_jk D*_jk w*_k - sum_k C_jk D_jk w_k + w_j (sum_k C*_jk P*_jk - C_jk P_jk + h_j phi(a_j) / s_j)
        -db_j = sum_k C*_jk M*_jk - C_jk M_jk + h_j Phi(a_j)
    """
    (W, V), (others, outer) = student, teacher
    # The student's own neurons and the teacher's, whose outer weights count negative: all sums are single products.
    # Neurons of no outer weight fill up whole vectors of the processor: no sum then depends on what stands beside it.
    every, signed = torch.cat([W, others], dim=2), torch.cat([V[:, :-1], -outer[:, :-1]], dim=1)
    more, wider = padded(every.shape[2]) - every.shape[2], padded(V.shape[2]) - V.shape[2]
    every, signed = pad(every, (0, more), value=1.0), pad(signed, (0, wider, 0, more))
    V, offset = pad(V, (0, wider)), pad(V[:, -1:] - outer[:, -1:], (0, wider))
    pairs, own = moments(W, every, biased=biased), single(W)
    C, h = torch.bmm(V[:, :-1], signed.mT), (V[:, :-1] * offset).sum(2)
    means = torch.cat([own.mean, torch.ones_like(own.mean[:, :1])], dim=1)
    dV = torch.bmm(torch.cat([pairs.K, single(every).mean[:, None]], dim=1), signed) + means[:, :, None] * offset
    along = (C * pairs.P).sum(2) + h * own.density
    dw = torch.bmm(every[:, :-1], (C * pairs.D).mT) + W[:, :-1] * along[:, None]
    db = (C * pairs.M).sum(2) + h * own.gate
    return [torch.cat([dw, db[:, None]], dim=1), dV[:, :, : outer.shape[2]]]
