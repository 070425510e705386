"""The page of every figure and command: commands can be given, sections and claims exist, nothing is left out."""

from __future__ import annotations

import pkgutil
import re
import shlex

import click
import exhibits
import pytest

import neurec_papers
from neurec_core import papers, tables
from neurec_core.__main__ import cli
from neurec_core.cli.inputs import normalise

PAPERS = exhibits.declared()
COMMANDS = [command for found in PAPERS.values() for exhibit in found for command in exhibit.commands]


def parsed(command):
    """The context in which a command would run, by the command line's own parser; nothing is run."""
    program, *words = shlex.split(command)
    assert program == "neurec"
    context, group = click.Context(cli, token_normalize_func=normalise, info_name="neurec"), cli
    while isinstance(group, click.Group):
        name, group, words = group.resolve_command(context, words)
        context = group.make_context(name, words, parent=context) if not isinstance(group, click.Group) else context
    return context


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_can_be_given(command):
    given = parsed(command)
    name = given.params.get("source") or given.info_name
    if given.info_name == "plot" and not str(name).startswith("runs/"):
        experiment = papers.experiment(name)
        assert given.params["figure"] in experiment.figures
        assert tables.published(experiment).is_file()
    if preset := given.params.get("preset"):
        papers.experiment(name).preset(preset)
    if name in papers.experiments() and given.info_name != "plot":  # values are allowed, together, too
        experiment = papers.experiment(name)
        set_ = {f: given.params[f] for f in experiment.params.model_fields if given.params.get(f) is not None}
        experiment.params(**set_)


def test_what_cannot_be_given_is_found():
    for command in ("neurec plot convex_recovery.isometry --fig held", "neurec run convex_recovery.isometry --m 3"):
        with pytest.raises((click.UsageError, ValueError)):
            parsed(command)
    with pytest.raises(ValueError, match="points"):
        test_every_command_can_be_given("neurec run inconsistency.star --points ring")


@pytest.mark.parametrize("paper", PAPERS)
def test_exhibits_stand_in_a_chapter_and_say_how_they_agree(paper):
    numbers, titles = exhibits.decided(paper), exhibits.headings(paper)
    for exhibit in PAPERS[paper]:
        assert any(title.startswith(exhibit.section) for title in titles), exhibit.section
        assert exhibit.agreement or exhibit.claims, exhibit.shows
        assert numbers.keys() >= {*exhibit.claims}, exhibit.shows
        assert not re.search("missing|to do|todo", " ".join([exhibit.shows, exhibit.agreement]), re.IGNORECASE)


@pytest.mark.parametrize("paper", PAPERS)
def test_every_experiment_and_declared_figure_is_on_the_page(paper):
    page = " ".join(command for exhibit in PAPERS[paper] for command in exhibit.commands)
    for experiment in papers.paper(paper).EXPERIMENTS:
        assert experiment.name in page
        for figure in experiment.figures:
            assert f"plot {experiment.name} --figure {figure}" in page


def test_every_paper_is_on_the_page():
    chapters = {module.name for module in pkgutil.iter_modules(neurec_papers.__path__)}
    assert PAPERS.keys() == chapters - {"random_features"}, "the smallest example reproduces no paper"


def test_what_stays_smaller_is_listed_with_its_cost():
    listed = exhibits.smaller().set_index(["experiment", "preset"])
    rows = tables.load(tables.published(papers.experiment("convex_recovery.isometry")))
    hours = sum(40 * part["seconds"].mean() for _, part in rows[rows["k"] == 2].groupby(["n", "d"])) / 3600
    found = listed.loc[("convex_recovery.isometry", "paper")]
    assert (found["trials"], found["cells"], found["cells beyond"]) == ("10/50", "400/400", 0)
    assert found["core hours"] == pytest.approx(hours)
    assert listed.loc[("single_neuron.alignment_vs_scale", "paper"), "cells beyond"] == 96, "of 64 dimensions and more"
    assert ("convex_recovery.skip_recovery", "paper") not in listed.index, "it is there as a whole"
