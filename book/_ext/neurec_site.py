"""Sphinx extension of the book: figures and cubes drawn from the site's own files, and the API page.

A page of the built site asks no other host for anything. Figures travel inside the page as JSON and are
drawn by ``_static/neurec.js`` with the plotly.js that came with the installed plotly package.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import math
import os
import pkgutil
import re
import shutil
import sys
from collections import namedtuple
from collections.abc import Iterator
from html import escape
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from docutils import nodes
from docutils.statemachine import StringList
from myst_nb.core.render import MimeData, MimeRenderPlugin, NbElementRenderer, load_mime_renders
from sphinx.application import Sphinx
from sphinx.util import logging
from sphinx.util.docutils import SphinxDirective
from sphinx.writers.html5 import HTML5Translator

from neurec_core import papers

sys.path.insert(0, str(Path(__file__).parents[1]))
import contents
import exhibits

PLOTLY = "application/vnd.plotly.v1+json"
CUBE = "application/vnd.neurec.cube+json"
PAGE_LIMIT = 4_000_000  # characters of figure JSON; a reader on a slow line waits for all of it
PACKAGES = ("smallnets", "neurec_core", "neurec_papers")

logger = logging.getLogger(__name__)


class FigureNode(nodes.General, nodes.Element):
    """One figure or cube: its JSON, the words for it, and the height to keep free."""


class FigureMime(MimeRenderPlugin):
    """Turns the two figure mime types of a notebook output into a `FigureNode`."""

    # A cube also carries its first figure, for those who do not know cubes: the cube comes first.
    mime_priority_overrides: ClassVar = [
        (builder, mime, priority)
        for builder in ("html", "dirhtml", "singlehtml")
        for priority, mime in enumerate((CUBE, PLOTLY), start=1)
    ]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        """The node for a figure or cube; None for anything else."""
        if inline or data.mime_type not in (PLOTLY, CUBE):
            return None
        content: Any = data.content
        content = content if isinstance(content, dict) else json.loads(content)
        place = f"cell {(data.cell_index or 0) + 1}"
        for fault in faults(content):
            renderer.logger.warning(f"{place}: {fault}", subtype="figure", line=data.line)
        return [figure_node(content, f"figure-{data.cell_index or 0}-{data.output_index or 0}")]


def faults(content: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a figure, in words; the strict build refuses it."""
    if not alt_text(content):
        yield "a figure needs words: set layout.meta.alt or a title"
    if "axes" in content:
        cells = math.prod(len(axis["values"]) for axis in content["axes"])
        if cells != len(content["frames"]):
            yield f"a cube needs one frame per point of its grid: {cells} points, {len(content['frames'])} frames"


def figure_node(content: dict[str, Any], name: str) -> FigureNode:
    """The node that carries a figure or cube through the build."""
    layout = content.get("figure", content).get("layout", {})
    # "<" escaped for good: no text inside a figure can then end the script element that holds it.
    payload = json.dumps(content, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")
    node = FigureNode(payload=payload, name=name, alt=alt_text(content), words=description(content))
    node["kind"] = "cube" if "axes" in content else "plot"
    node["height"] = layout.get("height", 450)
    return node


def plain(text: object) -> str:
    """A label as plain words: no HTML tags, no dollars, TeX commands by their names."""
    words = re.sub(r"<[^>]*>", " ", str(text or ""))
    words = re.sub(r"\\(?:text|mathrm|operatorname)\b|[${}]|\\[,;!]", "", words)
    return " ".join(re.sub(r"\\([A-Za-z]+)", r"\1 ", words).split())


def title(part: dict[str, Any]) -> str:
    """The title of a layout or an axis, which plotly writes as a text or as an object."""
    value = part.get("title")
    return plain(value.get("text") if isinstance(value, dict) else value)


def alt_text(content: dict[str, Any]) -> str:
    """The short words for a figure: its own ``alt``, ``layout.meta.alt``, else its title."""
    layout = content.get("figure", content).get("layout", {})
    meta = layout.get("meta")
    return plain(content.get("alt") or (meta.get("alt") if isinstance(meta, dict) else "") or title(layout))


def description(content: dict[str, Any]) -> str:
    """The longer words, for readers who hear the page: axes, curves and controls."""
    figure = content.get("figure", content)
    layout = figure.get("layout", {})
    axes = [title(part) for key, part in layout.items() if re.fullmatch(r"[xy]axis\d*", key)]
    curves = [plain(trace["name"]) for trace in figure.get("data", []) if trace.get("name")]
    sliders = [plain(axis.get("label") or axis["name"]) for axis in content.get("axes", [])]
    parts = {"Axes": filter(None, axes), "Series": dict.fromkeys(curves), "Controls below": sliders}
    return " ".join(f"{head}: {'; '.join(items)}." for head, found in parts.items() if (items := list(found)))


FIGURE_HTML = """
<figure class="neurec-figure" id="{name}" data-kind="{kind}" data-state="waiting" aria-label="{alt}">
<div class="neurec-plot" role="img" aria-label="{alt}" aria-describedby="{name}-words"
 style="--neurec-height:{height}px"></div>
<div class="neurec-controls"></div>
<p class="neurec-words" id="{name}-words">{words}</p>
<noscript><p>{alt} (This figure is drawn by JavaScript, which is switched off.)</p></noscript>
<script type="application/json">{payload}</script>
</figure>
"""


def visit_figure(writer: HTML5Translator, node: FigureNode) -> None:
    """Write a figure into the page."""
    words = {key: escape(str(node[key])) for key in ("name", "kind", "alt", "words", "height")}
    writer.body.append(FIGURE_HTML.format(payload=node["payload"], **words))
    raise nodes.SkipNode


def check_page(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Weigh the figures of a page, and ask for MathJax where a label holds maths."""
    payloads = [node["payload"] for node in doctree.findall(FigureNode)]
    weight = sum(map(len, payloads))
    if weight > PAGE_LIMIT:
        message = "%.1f MB of figures on one page; the limit is %.0f MB: use fewer frames or points"
        logger.warning(message, weight / 1e6, PAGE_LIMIT / 1e6, location=docname, type="neurec", subtype="size")
    if any("$" in payload for payload in payloads):
        # Sphinx loads MathJax only where the text has equations; it cannot see those inside figures.
        app.env.get_domain("math").data["has_equations"][docname] = True


def add_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Load plotly.js, 5 MB, on the pages that have a figure and on no other."""
    if doctree is not None and next(doctree.findall(FigureNode), None) is not None:
        app.add_js_file("vendor/plotly.min.js", loading_method="defer", priority=700)
        app.add_js_file("neurec.js", loading_method="defer", priority=710)


def copy_vendor(app: Sphinx) -> None:
    """Put plotly.js and MathJax among the site's own files, from the installed packages."""
    if app.builder.format != "html":
        return
    target = Path(app.outdir, "_static", "vendor")
    (target / "mathjax").mkdir(parents=True, exist_ok=True)
    plotly = importlib.metadata.distribution("plotly").locate_file("plotly/package_data/plotly.min.js")
    shutil.copy(str(plotly), target)
    # Only the files of sphinx-mathjax-offline are used: as an extension it forces MathJax's HTML output,
    # with which plotly's labels stay blank. plotly needs the SVG output.
    wheel = importlib.metadata.distribution("sphinx-mathjax-offline")
    mathjax = Path(str(wheel.locate_file("sphinx-mathjax-offline/static/mathjax")))
    shutil.copy(mathjax / "tex-mml-svg.js", target / "mathjax")
    for folder in ("input", "ui", "a11y", "sre"):
        if (mathjax / folder).is_dir():
            shutil.copytree(mathjax / folder, target / "mathjax" / folder, dirs_exist_ok=True)


class PapersDirective(SphinxDirective):
    """A card for each paper: its title and question, the first line of its docstring, and whom it cites."""

    def run(self) -> list[nodes.Node]:
        """The cards, in the order of the chapters."""
        lines = [":::::{grid} 1 1 2 3", ":gutter: 3", ""]
        for stem in contents.papers():
            lines += card(stem, papers.paper(stem))
        found = nodes.container()
        self.state.nested_parse(StringList([*lines, ":::::"], source="papers"), self.content_offset, found)
        return found.children


def card(stem: str, paper: ModuleType) -> list[str]:
    """The card of a paper, in Markdown."""
    title, _, question = str(paper.__doc__).splitlines()[0].partition(": ")
    cited = ", ".join(f"{{cite:t}}`{key}`" for key in paper.CITED)
    head = [f"::::{{grid-item-card}} {title}", f":link: ../notebooks/{stem}", ":link-type: doc"]
    foot = [":::{card-footer}", "{bdg-success-line}`notebook`", ":::", "::::", ""]
    return [*head, question[0].upper() + question[1:], cited, *foot]


class ExhibitsDirective(SphinxDirective):
    """What one paper shows and the command that makes it here."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """A list of definitions."""
        self.env.note_dependency(str(Path(exhibits.__file__).with_name("exhibits.yml")))
        found = nodes.container()
        self.state.nested_parse(StringList(exhibits.lines(self.arguments[0]), source="exhibits"), 0, found)
        return found.children


def add_bibliographies(app: Sphinx, config: Any) -> None:
    """Read the bibliographies that stand beside papers, too."""
    root = Path(app.srcdir)
    config.bibtex_bibfiles += sorted(
        path.relative_to(root).as_posix() for path in root.glob("neurec_papers/*/references.bib")
    )


class ApiDirective(SphinxDirective):
    """Every module of the three packages, found by listing them, with its docstrings."""

    def run(self) -> list[nodes.Node]:
        """One section per module."""
        names = [name for package in PACKAGES for name in public_modules(package)]
        for name in names:
            # All before any is documented: autodoc writes into the annotations of base classes, pydantic's
            # too, after which a model that is imported anew cannot be completed.
            importlib.import_module(name)
        return [self.section(name) for name in names]

    def section(self, module: str) -> nodes.section:
        """The heading and the documented members of one module."""
        found = nodes.section(ids=[nodes.make_id(f"module-{module}")], names=[module])
        found += nodes.title(module, module)
        lines = ["```{eval-rst}", f".. automodule:: {module}", "   :members:", "   :ignore-module-all:"]
        self.state.nested_parse(StringList([*lines, "```"], source=module), self.content_offset, found)
        return found


def public_modules(package: str) -> list[str]:
    """The package and every module below it whose name has no leading underscore."""
    root = importlib.import_module(package)
    found = pkgutil.walk_packages(root.__path__, prefix=f"{package}.")
    names = [info.name for info in found if not any(part.startswith("_") for part in info.name.split("."))]
    return [package, *sorted(names)]


# What the docstrings mark up on purpose: literals and bold words. All else in them is plain text.
MARKUP = re.compile(r"(``.+?``|`[^`]+`|\*\*\w+\*\*)")


TUPLE_FIELD = type(vars(namedtuple("_", "field"))["field"])  # the type has no public name


def keep_plain(app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Escape the mathematics of a docstring, ``||X^T u|| <= 1``, which reStructuredText would misread."""
    if what in ("property", "attribute"):
        lines[:0] = ["..", ""]  # else napoleon takes the words before a colon in the first line for a type
    for i, line in enumerate(lines):
        parts = MARKUP.split(line)
        parts[::2] = [re.sub(r"([\\|*]|_(?!\w))", r"\\\1", part) for part in parts[::2]]
        lines[i] = "".join(parts)


def skip_noise(app: Sphinx, what: str, name: str, item: object, skip: bool, options: object) -> bool | None:
    """Leave out the fields of named tuples, whose text is generated."""
    return True if isinstance(item, TUPLE_FIELD) else None


def setup(app: Sphinx) -> dict[str, Any]:
    """Register everything."""
    # myst-nb finds mime renderers through entry points, which belong to an installed package and would
    # change every other book in the same environment. Its list is built once and cached, so this book
    # adds to that list; if a release stops caching it, the build says "unknown output mime type".
    if FigureMime not in load_mime_renders():
        load_mime_renders().append(FigureMime)
    # The kernels that run the notebooks inherit this: nobody will be there to move a slider.
    os.environ["NEUREC_STATIC"] = "1"
    for extension in ("sphinx.ext.autodoc", "sphinx.ext.napoleon"):
        app.setup_extension(extension)
    app.add_node(FigureNode, html=(visit_figure, None))
    app.add_directive("neurec-api", ApiDirective)
    app.add_directive("neurec-papers", PapersDirective)
    app.add_directive("neurec-exhibits", ExhibitsDirective)
    app.connect("config-inited", add_bibliographies)
    app.add_css_file("neurec.css")
    app.connect("builder-inited", copy_vendor)
    app.connect("doctree-resolved", check_page)
    app.connect("html-page-context", add_scripts)
    app.connect("autodoc-process-docstring", keep_plain, priority=100)  # before napoleon reads the sections
    app.connect("autodoc-skip-member", skip_noise)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
