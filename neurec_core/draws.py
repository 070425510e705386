"""Random draws by name: every array is a pure function of (seed, trial, name, shape).

More trials extend a table and change no earlier row; another solver or noise level sees the same data;
the order in which arrays are asked for does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np

from .params import BadInput, received
from .values import whole, wholes


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

    def __init__(self, seed: int, trials: Sequence[int]) -> None:
        self.seed = whole("seed", "seed of every draw", seed)
        self.trials = wholes("trials", "numbers of draws", trials)

    def __len__(self) -> int:
        return len(self.trials)

    def _generator(self, trial: int, name: str, shape: tuple[int, ...]) -> np.random.Generator:
        # A digest of fixed length keeps two addresses apart: no name can run into a shape or a trial.
        digest = hashlib.blake2b(f"{name}{shape}".encode(), digest_size=16).digest()
        address = np.frombuffer(digest, dtype="<u4").tolist()
        sequence = np.random.SeedSequence(self.seed, spawn_key=(trial, *address))
        return np.random.Generator(np.random.Philox(sequence))

    def normal(self, name: str, *shape: int) -> np.ndarray:
        """Independent standard normals, ``(B, *shape)``."""
        shape = wholes("shape", "sizes", shape)
        return np.stack([self._generator(t, name, shape).standard_normal(shape) for t in self.trials])

    def uniform(self, name: str, *shape: int) -> np.ndarray:
        """Independent uniforms on [0, 1), ``(B, *shape)``."""
        shape = wholes("shape", "sizes", shape)
        return np.stack([self._generator(t, name, shape).random(shape) for t in self.trials])

    def multinomial(self, name: str, number: int, p: np.ndarray, *shape: int) -> np.ndarray:
        """Counts of `number` draws with probabilities ``p (k,)`` or ``(B, k)``, ``(B, *shape, k)``."""
        number, shape, p = whole("number", "draws", number), wholes("shape", "sizes", shape), self._probabilities(p)
        addresses = ((t, name, (*shape, number)) for t in self.trials)
        return np.stack([self._generator(*a).multinomial(number, q, shape) for a, q in zip(addresses, p, strict=True)])

    def _probabilities(self, p: np.ndarray) -> np.ndarray:
        """Probabilities as an array (B, k)."""
        values = np.asarray(p, float)
        if values.ndim not in (1, 2) or not values.size or (values.ndim == 2 and len(values) != len(self)):
            raise BadInput(f"p (probabilities) must be an array of shape (k,) or ({len(self)}, k), got {values.shape}")
        if not (np.isfinite(values) & (values >= 0)).all():
            raise BadInput(f"p (probabilities) must hold numbers in [0, inf), got {received(p)}")
        return np.broadcast_to(values, (len(self), values.shape[-1]))
