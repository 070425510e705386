"""Randomness by address: every array is a pure function of (seed, trial, name, shape).

More trials extend a table and change no earlier row; another solver or noise level sees the same data;
the order in which arrays are asked for does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from .arguments import array, checked, count, shaped, whole, wholes
from .params import LARGEST

SHAPE = wholes("sizes")


class Draws:
    """Random arrays with a leading trial axis.

    Parameters
    ----------
    seed : the experiment's seed, >= 0
    trials : which trials, each >= 0; they need not start at 0 or be in order

    Raises
    ------
    BadInput : "trials (numbers of draws) must be whole numbers in [0, 9223372036854775807], got [-1]"
    """

    @checked(seed=count("seed of every draw"), trials=wholes("numbers of draws", f"[0, {LARGEST}]"))
    def __init__(self, seed: int, trials: Sequence[int]) -> None:
        self.seed = seed
        self.trials = tuple(trials)

    def __len__(self) -> int:
        return len(self.trials)

    def _generator(self, trial: int, name: str, shape: tuple[int, ...]) -> np.random.Generator:
        # A digest of fixed length keeps two addresses apart: no name can run into a shape or a trial.
        digest = hashlib.blake2b(f"{name}{shape}".encode(), digest_size=16).digest()
        address = np.frombuffer(digest, dtype="<u4").tolist()
        sequence = np.random.SeedSequence(self.seed, spawn_key=(trial, *address))
        return np.random.Generator(np.random.Philox(sequence))

    @checked(shape=SHAPE)
    def normal(self, name: str, *shape: int) -> np.ndarray:
        """Independent standard normals, ``(B, *shape)``."""
        return np.stack([self._generator(t, name, shape).standard_normal(shape) for t in self.trials])

    @checked(shape=SHAPE)
    def uniform(self, name: str, *shape: int) -> np.ndarray:
        """Independent uniforms on [0, 1), ``(B, *shape)``."""
        return np.stack([self._generator(t, name, shape).random(shape) for t in self.trials])

    @checked(number=whole("draws"), p=array("probabilities", "k|B k", interval="[0, inf)"), shape=SHAPE)
    def multinomial(self, name: str, number: int, p: np.ndarray, *shape: int) -> np.ndarray:
        """Counts of `number` draws with probabilities ``p (k,)`` or ``(B, k)``, ``(B, *shape, k)``."""
        if p.ndim == 2:
            shaped("p", "probabilities", "(B, k)", p, (len(self), None))
        p = np.broadcast_to(p, (len(self), np.shape(p)[-1]))
        addresses = ((t, name, (*shape, number)) for t in self.trials)
        return np.stack([self._generator(*a).multinomial(number, q, shape) for a, q in zip(addresses, p, strict=True)])
