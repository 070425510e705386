"""The packages, their modules and the papers, as the tests of the house and of arguments list them."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from neurec_core import papers

ROOT = Path(__file__).parents[2]
# The law of imports: what a package may import of the others.
LAW = {"smallnets": set(), "neurec_core": set(), "neurec_papers": {"smallnets", "neurec_core"}}
SOURCES = sorted(path for package in LAW for path in (ROOT / package).rglob("*.py"))
FOLDERS = {package: importlib.import_module(package).__path__ for package in LAW}
MODULES = [*LAW, *(m.name for p, folder in FOLDERS.items() for m in pkgutil.walk_packages(folder, f"{p}."))]
PAPERS = papers.names()
BIBLIOGRAPHY = "".join(
    path.read_text(encoding="utf-8")
    for path in [ROOT / "book/references.bib", *ROOT.glob("neurec_papers/*/references.bib")]
)
