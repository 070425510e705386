"""What computed a table: versions, commit, machine, and the hash of the code."""

from __future__ import annotations

import contextlib
import importlib.metadata
import platform
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from .experiment import Experiment
from .fingerprint import fingerprint
from .threads import libraries

PACKAGES = ("neurec", "numpy", "scipy", "cvxpy", "clarabel", "scs", "torch", "numba", "pandas", "pyarrow")


def provenance(experiment: Experiment) -> dict[str, Any]:
    """What computed a table: versions, git commit ("+" if the sources were changed since), code hash, machine."""
    return {**_installed(), "code": fingerprint(experiment), "machine": machine()}


@cache
def _installed() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"versions": versions, "git": _commit()}


def machine() -> dict[str, Any]:
    """What rounding hangs on beside the versions: the processor, and the kernels that linear algebra chose for it.

    Returns
    -------
    ``processor``, its name; ``blas``, a list as "openblas 0.3.31 Haswell" of every library that is loaded now
    """
    found = (info for info in libraries().info() if info["user_api"] == "blas")
    names = {" ".join(filter(None, map(info.get, ("internal_api", "version", "architecture")))) for info in found}
    return {"processor": _processor(), "blas": sorted(names)}


def _processor() -> str:
    with contextlib.suppress(OSError):  # only Linux has the file
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _commit() -> str | None:
    def git(*words: str) -> str:
        folder = str(Path(__file__).parent)
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, encoding="utf-8", check=True)
        return done.stdout.strip()

    try:
        # A package installed inside some other repository must not take that one's commit for its own.
        tracked = git("ls-files", "--", Path(__file__).name)
        return (
            git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ":/*.py") else "")
            if tracked
            else None
        )
    except (OSError, subprocess.CalledProcessError):
        return None
