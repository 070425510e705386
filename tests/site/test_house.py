"""The house rules: layers, papers in three places, docstrings, notebooks, one list of versions."""

from __future__ import annotations

import ast
import collections
import functools
import graphlib
import importlib
import importlib.metadata
import inspect
import re
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import contents
import jupytext
import pytest
import yaml
from jupytext.compare import compare_notebooks
from layout import BIBLIOGRAPHY, LAW, MODULES, PAPERS, ROOT, SOURCES
from packaging.requirements import Requirement
from packaging.version import Version

import neurec_core
from neurec_core import papers

# Where heavy or narrow packages may be imported; all else of core and library is free of them. A paper imports what it
# needs, as long as listing it stays light.
ENTRANCES = {
    "cvxpy": {"smallnets/convex/programs.py"},
    "torch": {
        "smallnets/descent/device.py",
        "smallnets/descent/optimizers.py",
        "smallnets/descent/_tanh_batched.py",
        "smallnets/descent/_relu_dense.py",
        "smallnets/descent/deep_relu.py",
        "smallnets/descent/deep_training.py",
        "smallnets/descent/training.py",
    },
    "plotly": {
        "neurec_core/style.py",
        "neurec_core/plots.py",
        "neurec_core/animation.py",
        "neurec_core/drawing.py",
        "neurec_core/explore.py",
        "neurec_core/cli/pictures.py",
    },
    "ipywidgets": {"neurec_core/explore.py"},
    "numba": {"smallnets/descent/compiled.py"},
    "distributed": {"neurec_core/sweep.py", "neurec_core/cluster.py"},
    "dask_jobqueue": {"neurec_core/cluster.py"},
    "papermill": {"neurec_core/notebook.py"},
    "click": {
        f"neurec_core/{name}.py"
        for name in ("__main__", *(f"cli/{n}" for n in ("inputs", "runs", "results", "studies")))
    },
}


def short(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_name(path): path for path in SOURCES}


@functools.cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in ast.walk(tree(path)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


@functools.cache
def imports(path: Path) -> set[str]:
    """Every module or name imported, absolute, wherever the import stands."""
    package = path.relative_to(ROOT).parts[:-1]
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
            base = base if node.level else str(node.module)
            found |= {f"{base}.{alias.name}" for alias in node.names}
    return found


def imported_modules(path: Path) -> set[str]:
    """Those of the three packages' modules that a file imports."""
    found = {name if name in FILES else name.rpartition(".")[0] for name in imports(path)}
    return (found & FILES.keys()) - {module_name(path)}


def test_no_parameter_is_declared_twice():
    """What several experiments of a paper share, label, range and default, stands once in its sources."""
    for paper in PAPERS:
        declared = collections.defaultdict(list)
        for path in sorted((ROOT / "neurec_papers" / paper).rglob("*.py")):
            for node in ast.walk(tree(path)):
                if isinstance(node, ast.AnnAssign) and ast.unparse(node.value or node.target).startswith("param("):
                    words = f"{ast.unparse(node.annotation)} = {ast.unparse(node.value)}"  # with the choices
                    declared[words].append(f"{short(path)}:{node.lineno}")
        assert declared, paper
        assert not {words: places for words, places in declared.items() if len(places) > 1}


def test_the_law_of_imports():
    for path in SOURCES:
        package, *inner = path.relative_to(ROOT).parts
        names = {name.split(".")[0] for name in imports(path)} & LAW.keys()
        assert names <= LAW[package] | {package}, short(path)
        others = tuple(f"neurec_papers.{name}." for name in PAPERS if name != inner[0])
        foreign = [name for name in imports(path) if f"{name}.".startswith(others)]
        assert package != "neurec_papers" or not foreign, short(path)


def test_no_modules_import_one_another_in_a_circle():
    graph = {name: imported_modules(path) for name, path in FILES.items()}
    graphlib.TopologicalSorter(graph).prepare()  # a CycleError names the modules


def test_heavy_packages_are_imported_in_one_place():
    for path in SOURCES:
        for package, entrances in ENTRANCES.items():
            if "neurec_papers" not in path.parts and any(
                f"{name}.".startswith(f"{package}.") for name in imports(path)
            ):
                assert short(path) in entrances, f"{package} is imported in {path.name}"


def test_importing_is_light():
    modules = ["smallnets", "neurec_core", "neurec_core.sweep", *(f"neurec_papers.{name}" for name in PAPERS)]
    heavy = {"torch", "cvxpy", "numba", "plotly", "distributed"}
    # In one process; the first module that brings a heavy one is named. The command line lists what there is without
    # what only counts rows, which takes a second.
    code = f"""
import importlib, sys
from neurec_core import papers, __main__
papers.experiment("random_features.double-descent")
if found := {{"neurec_papers.convex_recovery", "scipy.linalg"}} & sys.modules.keys():
    sys.exit(f"an experiment of another paper imports {{found}}")
papers.experiments()
if found := {{"pandas", "scipy.stats", "pyarrow"}} & sys.modules.keys():
    sys.exit(f"listing imports {{found}}")
for module in {modules}:
    importlib.import_module(module)
    if found := {heavy} & sys.modules.keys():
        sys.exit(f"{{module}} imports {{found}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_submodules_of_scipy_are_loaded_when_they_are_called():
    # ``scipy.optimize`` alone takes longer to load than many a run; after ``import scipy``, naming it loads it.
    for path in SOURCES:
        for node in ast.parse(path.read_bytes()).body:
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert not any(name.startswith("scipy.") for name in names), f"{short(path)}:{node.lineno}"
            assert not (isinstance(node, ast.ImportFrom) and node.module == "scipy"), f"{short(path)}:{node.lineno}"


# Lines of .py files, blank ones and docstrings included: none grows. The aims are 3000, 6000, 13,000 and 10,000.
MOST_LINES = {"neurec_core": 5489, "smallnets": 9106, "neurec_papers": 18_362, "tests": 20_371}


# Functions with more than seven parameters. Compiled kernels are none of them: a kernel takes no keywords.
MOST_PARAMETERS = 7
COMPILERS = {"njit", "compiled", "summing", "exact"}


# What a study beside the nine may add to the papers, so that it passes as it is.
NEW_STUDY = 500


def test_packages_do_not_grow():
    for folder, most in MOST_LINES.items():
        lines = sum(path.read_bytes().count(b"\n") for path in (ROOT / folder).rglob("*.py"))
        more = NEW_STUDY * (len(PAPERS) - 9) if folder == "neurec_papers" else 0
        assert lines <= most + more, f"{folder}: raise MOST_LINES for what is worth its lines"


def test_modules_and_functions_stay_small():
    for path in SOURCES:
        assert path.read_text(encoding="utf-8").count("\n") <= 300, f"{short(path)}: does it still have one job?"
        for node in functions(path):
            assert (node.end_lineno or 0) - node.lineno < 60, f"{node.name} of {short(path)} is long"


def test_functions_take_few_arguments():
    many, positional = [], []
    for path in SOURCES:
        for node in functions(path):
            if COMPILERS & {ast.unparse(d).partition("(")[0].rpartition(".")[2] for d in node.decorator_list}:
                continue
            inputs = [argument.arg for argument in node.args.posonlyargs + node.args.args]
            inputs = [name for name in inputs if name not in ("self", "cls", "ctx")]
            where = f"{short(path)}:{node.lineno} {node.name}"
            many += [where] * (len(inputs) + len(node.args.kwonlyargs) > 7)
            positional += [where] * (len(inputs) > 4)
    assert len(many) <= MOST_PARAMETERS, "\n".join(many)
    assert not positional, "\n".join(positional)


def test_kernels_assign_no_arrays_to_slices():
    """Such an assignment costs ten seconds of the compiler's time, for its message about other shapes."""
    for path in SOURCES:
        kernels = [f for f in functions(path) if any("njit" in ast.unparse(d) for d in f.decorator_list)]
        for node in (node for kernel in kernels for node in ast.walk(kernel) if isinstance(node, ast.Assign)):
            targets = [part for target in node.targets for part in getattr(target, "elts", [target])]
            values = getattr(node.value, "elts", [node.value])
            sliced = any(isinstance(part, ast.Slice) for target in targets for part in ast.walk(target))
            plain = all(isinstance(value, ast.Constant) for value in values)
            assert plain or not sliced, f"{short(path)}:{node.lineno} {ast.unparse(node)}: use `assign` or a loop"


def test_public_names_have_docstrings():
    for module in MODULES:
        loaded = importlib.import_module(module)
        assert loaded.__doc__, module
        for name, item in vars(loaded).items():
            own = inspect.isfunction(item) or inspect.isclass(item)
            if own and not name.startswith("_") and item.__module__ == module:
                assert inspect.getdoc(item), f"{module}.{name}"
                for attribute, member in vars(item).items() if inspect.isclass(item) else ():
                    if inspect.isfunction(member) and not attribute.startswith("_") and member.__module__ == module:
                        # click and pydantic prescribe some methods and document them.
                        assert inspect.getdoc(getattr(item, attribute)), f"{module}.{name}.{attribute}"


def test_english_counts_with_per():
    """One row per trial: English has no second article there."""
    nouns = "row|pattern|block|column|line|file|notebook|paper|step|trial|network|neuron|curve|array|panel|cell|figure"
    wrong = re.compile(rf"\b(?:one|a) (?:{nouns}) an? (?:{nouns}|point|vertex|week|program)\b", re.IGNORECASE)
    pages = [*ROOT.glob("*.md"), *ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.py"), *ROOT.glob("benchmarks/*.py")]
    for path in [*SOURCES, *pages]:
        assert not wrong.findall(path.read_text(encoding="utf-8")), short(path)


def test_a_paper_has_a_notebook_and_a_chapter():
    for name in PAPERS:
        assert (ROOT / f"notebooks/{name}.py").is_file(), f"notebooks/{name}.py is missing"
        assert (ROOT / f"notebooks/{name}.ipynb").is_file(), f"notebooks/{name}.ipynb is missing: run `make sync`"
        assert name in contents.papers()


def test_a_paper_says_which_function_is_which_equation():
    for name in PAPERS:
        module = papers.paper(name)
        assert re.match(r"[^:\n]+: [^:\n]+\?\n\n", module.__doc__), f"{name}: title: question?"
        assert module.CITED, name
        assert all(f"{{{key}," in BIBLIOGRAPHY for key in module.CITED), name
        named = re.findall(r"`((?:smallnets|neurec_core|neurec_papers)[\w.]+)`", module.__doc__)
        assert named, f"{name}: a table equation -> function"
        for path in named:
            owner, _, function = path.rpartition(".")
            assert callable(getattr(importlib.import_module(owner), function)), path
        assert all(e.name.startswith(f"{name}.") and e.citation for e in module.EXPERIMENTS), name


# ---------------------------------------------------------------------------------------------------- notebooks

SECTIONS = [
    "Claim",
    "One instance",
    "Small sweep",
    "The paper's figure",
    "Explore",
    "What we checked, and where we differ",
]


@functools.cache
def notebook(name: str):
    return jupytext.read(ROOT / f"notebooks/{name}.ipynb")


def code(nb) -> list[str]:
    return [cell.source for cell in nb.cells if cell.cell_type == "code"]


def test_both_halves_of_a_notebook_agree():
    for name in PAPERS:
        source = jupytext.read(ROOT / f"notebooks/{name}.py")
        compare_notebooks(notebook(name), source, fmt="py:percent", raise_on_first_difference=False)


def test_notebooks_are_committed_without_outputs():
    for name in PAPERS:
        cells = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
        assert not any(cell.outputs or cell.execution_count for cell in cells), name
        assert "widgets" not in notebook(name).metadata, name


def test_notebooks_are_thin_and_explain_themselves():
    for name in PAPERS:
        cells = notebook(name).cells
        headings = re.findall(r"^## (.+)$", "\n".join(c.source for c in cells if c.cell_type == "markdown"), re.M)
        assert headings == SECTIONS, name
        assert sum("parameters" in cell.metadata.get("tags", []) for cell in cells) == 1, name
        assert all(cell.source.strip() for cell in cells), f"{name} has an empty cell"
        for source in code(notebook(name)):
            assert len(source.splitlines()) <= 15, source
            assert not re.search(r"^\s*(import|from) (cvxpy|torch)\b", source, re.M), source
            assert not re.search(r"^# #+ ", source, re.M), f"a heading in a code cell: {source}"
            assert not re.search(r"^\s*(for|while) ", source, re.M), f"loops belong to the core: {source}"


def test_notebooks_check_what_they_claim():
    for name in PAPERS:
        assert len(re.findall(r"^assert ", "\n".join(code(notebook(name))), re.M)) >= 3, name


# Numbers of the prose that are no result: widths of bands, what the paper prints, a target, and something to try.
GIVEN = {
    "convex_recovery": {"95 %"},
    "inconsistency": {"0.002"},
    "local_linear_recovery": {"0.6"},
    "multilayer_dynamics": {"6.4"},
    "single_neuron": {"80 %"},
}


def stated(cells) -> set[str]:
    """Decimal fractions and percentages in the prose of a notebook, outside of tables, titles and code spans."""
    lines = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown").splitlines()
    prose = re.sub(r"`[^`]*`", "", "\n".join(line for line in lines if not line.startswith(("|", "#"))))
    return set(re.findall(r"(?<![\w.])\d+(?:\.\d+(?: %)?| %)", prose))


def test_a_fraction_in_the_prose_stands_in_a_cell_too():
    for name in PAPERS:
        known = {float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?", "\n".join(code(notebook(name))))}
        values = {text: float(text.removesuffix(" %")) for text in stated(notebook(name).cells)}
        unknown = {t for t, v in values.items() if not known & ({v, v / 100} if "%" in t else {v})}
        assert unknown == GIVEN.get(name, set()), f"{name}: neither asserted nor compared in a cell"


# ------------------------------------------------------------------------------------------------- one list of versions


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
PINS = {
    canonical(name): version
    for name, version in re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.M)
}
REQUIREMENTS = [
    requirement
    for group in [PROJECT["dependencies"], *PROJECT["optional-dependencies"].values()]
    for requirement in map(Requirement, group)
    if requirement.name != PROJECT["name"]
]


def test_constraints_hold_a_tested_version_of_every_requirement():
    for requirement in REQUIREMENTS:
        version = PINS[canonical(requirement.name)]
        assert requirement.specifier.contains(Version(version), prereleases=True), requirement


def test_constraints_are_what_runs_here():
    for name, version in PINS.items():
        try:
            installed = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another system
        assert Version(installed).public == version, f"{name}: `make lock` writes what is installed"
    assert not any("+" in version for version in PINS.values()), "a local label ties the file to one machine"


def test_environment_yml_installs_the_same():
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    plain = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert "pip" in plain, "conda asks for pip itself wherever there is a pip section"
    assert pip == ["--constraint constraints.txt", "--editable .[all]"]
    (python,) = [entry.split("=")[1] for entry in plain if entry.startswith("python=")]
    assert Requirement(f"python{PROJECT['requires-python']}").specifier.contains(f"{python}.0")


def test_versions_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == PROJECT["version"] == neurec_core.__version__
    assert importlib.metadata.version("neurec") == neurec_core.__version__
    assert PROJECT["license"] == citation["license"] == "MIT"


def test_every_make_target_that_is_spoken_of_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    for page in [ROOT / "README.md", *(ROOT / "book").glob("*.md")]:
        spoken = set(re.findall(r"`make (\w+)`|^make (\w+)", page.read_text(), re.M))
        assert {a or b for a, b in spoken} <= targets, page.name


EXAMPLE = "lazy_training"  # the study that a page tells a reader to write


def test_every_file_that_is_spoken_of_exists():
    folders = "neurec_core|smallnets|neurec_papers|notebooks|book|tests|benchmarks"
    for page in [ROOT / "README.md", *ROOT.glob("*/README.md"), *ROOT.glob("book/*.md"), *ROOT.glob("notebooks/*.py")]:
        spoken = re.findall(rf"`((?:{folders})/[\w./]+)`", page.read_text(encoding="utf-8"))
        assert [path for path in spoken if not (ROOT / path).exists() and EXAMPLE not in path] == [], short(page)


def test_every_test_that_the_makefile_names_exists():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    lists = re.findall(r"patsubst %,(tests/\w+/test_%\.py),([\w ]+)\)", makefile)
    named = [pattern.replace("%", name) for pattern, names in lists for name in names.split()]
    assert len(named) > 10
    assert [path for path in named if not (ROOT / path).is_file()] == []


def test_tests_reach_no_other_machine():
    with socket.socket() as out, pytest.raises(AssertionError, match="tests use no network"):
        out.connect(("203.0.113.1", 80))  # an address kept for documentation
