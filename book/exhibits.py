"""What papers and their programs show, the command that makes it here, and how well the two agree (exhibits.yml)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import yaml

from neurec_core import claims, papers, tables

HERE = Path(__file__).parent


class Exhibit(NamedTuple):
    """One figure, table, theorem or command of a source.

    ``claims`` are names of functions that the paper's experiments declare as claims.
    """

    shows: str
    commands: list[str]
    section: str
    agreement: str
    claims: list[str]


@cache
def declared() -> dict[str, list[Exhibit]]:
    """The exhibits of each paper."""
    found = yaml.safe_load((HERE / "exhibits.yml").read_text(encoding="utf-8"))
    return {paper: [_exhibit(**entry) for entry in entries] for paper, entries in found.items()}


def _exhibit(
    *, shows: str, command: str | list[str], section: str, agreement: str = "", claims: list[str] | None = None
) -> Exhibit:
    return Exhibit(shows, [command] if isinstance(command, str) else command, section, agreement, claims or [])


def headings(paper: str) -> list[str]:
    """The headings of a paper's chapter, without their marks."""
    lines = (HERE.parent / f"notebooks/{paper}.py").read_text(encoding="utf-8").splitlines()
    return [line.lstrip("# ") for line in lines if line.startswith("# #")]


def decided(paper: str) -> dict[str, str]:
    """What each claim of a paper says and comes to, in a sentence, by the name of its function."""
    found = {}
    for experiment in papers.paper(paper).EXPERIMENTS:
        if experiment.claims:
            rows = claims.decided(tables.load(tables.published(experiment)), experiment)
            for claim, row in zip(experiment.claims, rows.itertuples(), strict=True):
                near = f" ± {row.tolerance:.3g}" if row.tolerance else ""
                numbers = f"{row.measured:.4g}, expected {row.expected:.4g}{near}"
                found[claim.measured.__name__] = f"{row.claim.rstrip('.')}: {numbers}"
    return found


def lines(paper: str) -> list[str]:
    """The exhibits of a paper as a list of definitions, in Markdown."""
    numbers, found = decided(paper), []
    titles = headings(paper)
    for exhibit in declared()[paper]:
        section = next(title for title in titles if title.startswith(exhibit.section))
        words = [exhibit.agreement] * bool(exhibit.agreement) + [f"{numbers[name]}." for name in exhibit.claims]
        chapter = f"Section “{section}” of {{doc}}`the chapter <../notebooks/{paper}>`."
        found += [exhibit.shows, "", ": ```bash", *(f"  {command}" for command in exhibit.commands), "  ```", ""]
        found += [f"  {chapter}", "", *(f"  - {_plain(line)}" for line in words), ""]
    return found


def _plain(words: str) -> str:
    """Words as they are: nothing in them is mathematics or emphasis."""
    return words.replace("*", r"\*").replace("|", r"\|").replace("^", r"\^").replace("<", r"\<")
