"""What computed a table: versions, commit, and a hash of the code that decides what a row holds."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import io
import platform
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

PACKAGES = ("neurec-core", "numpy", "scipy", "cvxpy", "clarabel", "scs", "torch", "pandas", "pyarrow")
# What runs, keeps and shows rows but cannot change one; all other modules are part of the fingerprint.
AROUND = {"__main__", "background", "batch", "cli", "cluster", "explore", "memory", "plots", "portrait"}
AROUND |= {"provenance", "store", "sweep", "tables"}


@cache
def fingerprint(experiment: str = "") -> str:
    """Hash of the code that decides what a row of `experiment` (its name) holds.

    The core without what stands around it, and of the papers only the experiment's own. Comments,
    docstrings and line breaks do not count, nor does the version of Python.
    """
    root, digest = Path(__file__).parent, hashlib.sha256()
    paper = experiment.partition(".")[0]
    for path in sorted(root.rglob("*.py")):
        room, *rest = path.relative_to(root).with_suffix("").parts
        if room not in AROUND and (room != "papers" or rest[0] in ("__init__", paper)):
            digest.update("\0".join(_words(path.read_text())).encode())
    return digest.hexdigest()[:12]


def _words(source: str) -> Iterator[str]:
    """The tokens that a program is made of; a string that stands alone, as docstrings do, is none."""
    silent = {tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
    starts = {tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT}
    fresh, silenced = True, False  # at the start of a statement; just after a string that stands alone
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in silent:
            continue
        if (token.type == tokenize.STRING and fresh) or (token.type == tokenize.NEWLINE and silenced):
            silenced = token.type == tokenize.STRING
            continue
        # Where a block begins and ends, not how deep in spaces.
        yield tokenize.tok_name[token.type] if token.type in starts else token.string
        fresh, silenced = token.type in starts, False


@cache
def provenance(experiment: str = "") -> dict[str, Any]:
    """What computed a table: versions, git commit ("+" if the sources were changed since), code hash."""
    versions = {"python": platform.python_version()}
    for name in PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[name] = importlib.metadata.version(name)
    return {"versions": versions, "git": _commit(), "code": fingerprint(experiment)}


def _commit() -> str | None:
    def git(*words: str) -> str:
        folder = str(Path(__file__).parent)
        done = subprocess.run(["git", "-C", folder, *words], capture_output=True, text=True, check=True)
        return done.stdout.strip()

    try:
        # A package installed inside some other repository must not take that one's commit for its own.
        tracked = git("ls-files", "--", Path(__file__).name)
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "") if tracked else None
    except (OSError, subprocess.CalledProcessError):
        return None
