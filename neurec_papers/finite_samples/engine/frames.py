"""Functions given by their kinks, seen from near their hyperplanes: what follows does not hang on origin or unit."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .networks import ShallowNet

ROUNDING = 16 * float(np.finfo(float).eps)  # relative: of numbers that were added up from a few
FLAT = 1e-3  # relative: directions in which hyperplanes hardly bend apart are not moved along
AGREE = 1e-6  # relative: difference of a function and a reduced network near the hyperplanes


class Bends(NamedTuple):
    """f = sum_k alpha_k max(0, z_k) + affine + c.

    ``z (n, d+1)`` holds hyperplanes (u, t) with |u| = 1, ``alpha (n,)`` net kinks, ``affine (d+1,)`` a slope and a
    constant.
    """

    z: np.ndarray
    alpha: np.ndarray
    affine: np.ndarray
    c: float

    def __call__(self, X: np.ndarray) -> np.ndarray:
        """Outputs ``(n,)`` at inputs ``X (n, d)``."""
        kinks = np.maximum(X @ self.z[:, :-1].T + self.z[:, -1], 0) @ self.alpha
        return kinks + X @ self.affine[:-1] + self.affine[-1] + self.c


class Frame(NamedTuple):
    """The function f(place + unit x) / unit, given by its kinks, and what counts as nothing in it.

    `scale` is the size of all affine parts that may be turned; `small` and `rounding` are the tolerance and the
    rounding of the given numbers in its unit.
    """

    z: np.ndarray
    alpha: np.ndarray
    affine: np.ndarray
    c: float
    place: np.ndarray
    unit: float
    scale: float
    small: float
    rounding: float

    def back(self, net: ShallowNet) -> ShallowNet:
        """A network that was found in the frame, for inputs as they were given."""
        return ShallowNet(net.W, self.unit * net.b - net.W @ self.place, net.a, self.unit * net.c)

    def agrees(self, net: ShallowNet) -> bool:
        """Whether a network is the function, on all hyperplanes and three units away: it could only be affinely off."""
        d = len(self.place)
        feet = -self.z[:, -1:] * self.z[:, :-1]
        X = np.concatenate([np.zeros((1, d)), feet, 3 * np.eye(d), -3 * np.eye(d)])
        f = Bends(*self[:4])(X)
        return bool(np.abs(net(X) - f).max() <= AGREE * np.ptp(f) + ROUNDING * np.abs(f).max())


def near_all(z: np.ndarray) -> np.ndarray:
    """A point ``(d,)`` near all hyperplanes ``z (n, d+1)``, in the least-squares sense."""
    if not len(z):
        return np.zeros(z.shape[1] - 1)
    start = -z[0, -1] * z[0, :-1]  # on the first one, so that only differences are solved for
    return start + np.linalg.lstsq(z[:, :-1], -(z[:, -1] + z[:, :-1] @ start), rcond=FLAT)[0]


def framed(found: Bends, bias: bool, tolerance: float) -> Frame:
    """The function from a point near all hyperplanes, the farthest of them at distance 1.

    Parameters
    ----------
    bias : whether networks have an output bias, to which constants then belong
    tolerance : relative, of the sum of the sizes of all affine parts
    """
    z, affine, place, c = found.z.copy(), found.affine.copy(), near_all(found.z), found.c
    lost = ROUNDING * (np.abs(found.z[:, -1]) + np.linalg.norm(place))  # of distances, when they were rounded
    lost_constant = ROUNDING * (abs(affine[-1]) + np.linalg.norm(affine[:-1]) * np.linalg.norm(place))
    lost_constant += np.abs(found.alpha) @ lost
    z[:, -1] += z[:, :-1] @ place
    affine[-1] += affine[:-1] @ place
    z[np.abs(z[:, -1]) <= lost, -1] = 0.0
    affine[-1] *= abs(affine[-1]) > lost_constant
    if bias:
        c, affine[-1], lost_constant = c + affine[-1], 0.0, 0.0
    slopes = np.linalg.norm(affine[:-1]) + np.abs(found.alpha).sum()
    unit = max(np.abs(z[:, -1]).max(initial=0), abs(affine[-1]) / slopes if slopes else 0.0) or 1.0
    z[:, -1] /= unit
    affine[-1] /= unit
    scale = float(np.linalg.norm(affine) + np.abs(found.alpha) @ np.linalg.norm(z, axis=1)) or 1.0
    rounding = float(ROUNDING * max(len(z), 1) * scale + lost_constant / unit)
    return Frame(z, found.alpha, affine, c / unit, place, unit, scale, max(tolerance * scale, rounding), rounding)
