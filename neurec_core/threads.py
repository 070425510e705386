"""One thread for each trial: problems are small, and more threads would cost more than they bring."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from functools import lru_cache

from threadpoolctl import ThreadpoolController

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@contextlib.contextmanager
def one_thread() -> Iterator[None]:
    """Let every library compute on one thread, those that are loaded inside the block among them."""
    before = {name: os.environ.get(name) for name in VARIABLES}
    os.environ.update(dict.fromkeys(VARIABLES, "1"))  # read by a library when it is loaded
    try:
        with libraries().limit(limits=1):
            yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def libraries() -> ThreadpoolController:
    """The libraries with threads that are loaded now."""
    return _libraries(len(sys.modules))


@lru_cache(maxsize=1)
def _libraries(modules: int) -> ThreadpoolController:
    # Finding the libraries takes longer than many a trial; only an import can have brought another one.
    return ThreadpoolController()
