"""The door to numba: kernels are cached on disk, and the cache is as old as all of their sources.

numba itself looks at the source file of a kernel only: a cached kernel would go on calling what it called before a
file next to it was edited.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numba

HERE = Path(__file__).parent


def _folder() -> Path | None:
    """Where compiled kernels are kept: beside the sources, else in the temporary folder; None if in neither."""
    sources = b"".join(path.read_bytes() for path in sorted(HERE.glob("*.py")))
    name = f"kernels-{hashlib.blake2b(sources, digest_size=8).hexdigest()}"
    for folder in (HERE / "__pycache__" / name, Path(tempfile.gettempdir(), f"neurec-{os.getuid()}", name)):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError:
            continue
        if os.access(folder, os.W_OK):
            return folder
    return None


FOLDER = _folder()


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with that cache; options as there."""

    def decorate(function: Callable[..., Any]) -> Any:
        config: Any = numba.config
        before = config.CACHE_DIR
        try:
            config.CACHE_DIR = str(FOLDER or "")
            return numba.njit(cache=FOLDER is not None, **options)(function)
        finally:
            config.CACHE_DIR = before

    return decorate
