"""Where and how torch computes: the device that the environment names, one thread."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

import numpy as np
import torch

from ..arguments import checked, whole
from ..errors import InvalidInput

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@checked(n=whole("numbers", "[0, inf)"))
def padded(n: int) -> int:
    """The least number >= n that fills the widest vector register: a multiple of 16, in single precision."""
    return -(-n // 16) * 16


def numbers(tensor: torch.Tensor) -> np.ndarray:
    """A tensor, wherever it is, as an array of float64."""
    return tensor.detach().cpu().numpy().astype(np.float64)


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread, so that no sum depends on the number of cores; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def torch_device(name: str | None) -> torch.device:
    """The device called `name`; None reads the environment's NEUREC_DEVICE, and is the CPU without it.

    Raises
    ------
    InvalidInput : "device (where torch computes) must be one that torch can use, got 'abacus': ..."
    """
    name = name or os.environ.get("NEUREC_DEVICE") or "cpu"
    try:
        probe = torch.zeros(1, device=name)
        probe.item()  # which a device that holds no numbers, "meta", refuses
        return probe.device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidInput(
            f"device (where torch computes) must be one that torch can use, got {name!r}: {reason}"
        ) from None
