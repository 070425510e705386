"""What computed a table: versions, commit, and the hash of the code."""

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

PACKAGES = ("neurec-core", "numpy", "scipy", "cvxpy", "clarabel", "scs", "torch", "pandas", "pyarrow")


def provenance(experiment: Experiment) -> dict[str, Any]:
    """What computed a table: versions, git commit ("+" if the sources were changed since), code hash."""
    return {**_installed(), "code": fingerprint(experiment)}


@cache
def _installed() -> dict[str, Any]:
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"versions": versions, "git": _commit()}


def _commit() -> str | None:
    def git(*words: str) -> str:
        folder = str(Path(__file__).parent)
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, encoding="utf-8", check=True)
        return done.stdout.strip()

    try:
        # A package installed inside some other repository must not take that one's commit for its own.
        tracked = git("ls-files", "--", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "") if tracked else None
    except (OSError, subprocess.CalledProcessError):
        return None
