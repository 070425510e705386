"""Empty the notebook cache when what the notebooks call is no longer what they were run with.

``python book/stamp.py BUILD`` does so if the three packages, the tables, the book's own code or the locked versions
have changed since. The cache cannot know: it compares the cells only.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
WATCHED = (
    *(f"{package}/**/*.py" for package in ("neurec_core", "smallnets", "neurec_papers")),
    "neurec_papers/*/tables/*",
    "book/*.py",
    "constraints.txt",
    "pyproject.toml",
)


def stamp() -> str:
    """Hash of every watched file's name and content."""
    digest = hashlib.sha256()
    for path in sorted(path for pattern in WATCHED for path in ROOT.glob(pattern)):
        digest.update(f"{path.relative_to(ROOT)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def main(build: str) -> None:
    """Empty the notebook cache in folder `build` unless all is as it was when the cache was last emptied.

    The stamp is kept before any notebook runs: what changes while they run is not what they ran with.
    """
    kept, now = Path(build, "stamp"), stamp()
    if not kept.is_file() or kept.read_text(encoding="utf-8") != now:
        shutil.rmtree(Path(build, ".jupyter_cache"), ignore_errors=True)
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(now, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
