"""Tell whether what the notebooks call is still what they were run with.

``python book/stamp.py BUILD`` exits with 1 if the three packages, the tables, the book's own code or the locked
versions have changed since ``python book/stamp.py BUILD --write``. The notebook cache cannot know:
it compares the cells only.
"""

from __future__ import annotations

import hashlib
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


def main(build: str, *flags: str) -> int:
    """Compare with the stamp in folder `build`; after the build, ``--write`` keeps the one compared."""
    kept, begun = Path(build, "stamp"), Path(build, "stamp.begun")
    if "--write" in flags:
        begun.replace(kept)
        return 0
    # Taken before the build: what changes while the notebooks run was not what they ran with.
    begun.parent.mkdir(parents=True, exist_ok=True)
    begun.write_text(stamp(), encoding="utf-8")
    return 0 if kept.is_file() and kept.read_bytes() == begun.read_bytes() else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
