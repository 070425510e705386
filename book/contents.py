"""The table of contents: the chapters that book/_toc.yml puts in order, and after them every other paper's.

``python book/contents.py FILE`` writes it to FILE, from which Jupyter Book builds.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]


def contents() -> dict[str, Any]:
    """The table of contents, with a chapter for each notebook in its first part."""
    toc: dict[str, Any] = yaml.safe_load((ROOT / "book/_toc.yml").read_text(encoding="utf-8"))
    chapters = toc["parts"][0]["chapters"]
    listed = {chapter["file"] for chapter in chapters}
    found = sorted(f"notebooks/{path.stem}" for path in ROOT.glob("notebooks/*.ipynb"))
    chapters += [{"file": name} for name in found if name not in listed]
    return toc


def papers() -> list[str]:
    """The papers' names in the order of their chapters."""
    return [chapter["file"].partition("/")[2] for chapter in contents()["parts"][0]["chapters"]]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(yaml.safe_dump(contents(), sort_keys=False), encoding="utf-8")
