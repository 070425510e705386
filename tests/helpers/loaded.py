"""What the run of an experiment loads: for each of those named, in a process of its own, what it loads and never uses.

Packages of others that our modules import count, numpy aside; a submodule such as scipy.optimize stands for itself. One
is used if a function that was called names it, or what was imported from it; numba, if a kernel was called.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import CodeType, FrameType

import click  # noqa: F401  # the modules of the command line are those of every run

from neurec_core import __main__, papers
from neurec_core.values import word

ROOT = Path(__file__).parents[2]  # that of `layout`, which imports all packages
OWN = {"neurec_core", "smallnets", "neurec_papers"}
START = {"numpy", "click", "pydantic", "threadpoolctl"}  # what every run needs
OTHERS = {*sys.stdlib_module_names, *OWN, *START, "llvmlite"}
LAZY = {"scipy"}  # which loads its submodules when they are named


@cache
def imports(path: Path) -> dict[str, set[str]]:
    """The packages of others that a file imports at its top, and the names in it that stand for each.

    Those that a function imports are used: it was called.
    """
    found: dict[str, set[str]] = {}
    for node in ast.parse(path.read_bytes()).body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found.setdefault(_package(alias.name), set()).add(alias.asname or alias.name.partition(".")[0])
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}" if node.module == "scipy" else node.module
                found.setdefault(_package(whole), set()).add(alias.asname or alias.name)
    return {
        package: names
        for package, names in found.items()
        if package.partition(".")[0] not in OTHERS and package not in LAZY
    }


def _package(name: str) -> str:
    return ".".join(name.split(".")[: 2 if name.startswith("scipy.") else 1])


def ours() -> dict[Path, str]:
    """The files of our modules that are loaded."""
    files = {Path(str(getattr(module, "__file__", None))): name for name, module in [*sys.modules.items()]}
    return {path: name for path, name in files.items() if path.is_relative_to(ROOT) and name.partition(".")[0] in OWN}


def called_in(run: Callable[[], object]) -> set[CodeType]:
    """The code of every Python function that is called; the compiler's own work is not looked at, which takes long."""
    called: set[CodeType] = set()
    kernels: list[str] = []  # that are compiled now, each for the one before it

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and (code := frame.f_code) not in called:
            called.add(code)
            if code.co_filename.endswith("descent/compiled.py") and code.co_name == "decorate":
                _listen(away, back)

    def away(_: object, event: object) -> None:
        kernels.append(str(event))
        sys.setprofile(None)

    def back(_: object, event: object) -> None:
        kernels.pop()
        sys.setprofile(None if kernels else note)

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return called


def _listen(start: object, end: object) -> None:
    from numba.core import event

    event.register("numba:compile", type("Listener", (event.Listener,), {"on_start": start, "on_end": end})())


def dispatchers() -> dict[str, object]:
    """The kernels of our modules that are loaded."""
    if "numba" not in sys.modules:
        return {}
    from numba.core.dispatcher import Dispatcher

    return {
        f"{value.py_func.__module__}.{value.py_func.__qualname__}": value
        for name in ours().values()
        for value in vars(sys.modules[name]).values()
        if isinstance(value, Dispatcher)
    }


def plain(kind: object) -> str:
    """The type of an argument, without what a kernel need not be compiled for twice: layout, width of whole numbers."""
    from numba.core import types

    if isinstance(kind, types.Array):
        return f"array {kind.ndim} {plain(kind.dtype)}"
    if isinstance(kind, types.BaseTuple):
        return f"{type(kind).__name__}({', '.join(map(plain, kind))})"
    return "int" if isinstance(kind, types.Integer | types.IntegerLiteral) else str(kind)


def twice() -> list[str]:
    """Kernels that are compiled for two signatures of which one would do."""
    found = []
    for name, kernel in dispatchers().items():
        for some in (kernel, kernel.inner):  # called from Python, and by other kernels
            kinds = [tuple(map(plain, signature)) for signature in some.overloads]
            if len(set(kinds)) < len(kinds):
                found.append(f"{name}: {[*some.overloads]}")
    return found


def report(name: str) -> dict[str, list[str]]:
    """What a run of the first tiny point loads without using it, and what it compiles twice."""
    experiment = papers.experiment(name)
    point = experiment.presets["tiny"].points(experiment.params)[0].model_dump()
    flags = [text for field, value in point.items() for text in (f"--{field.replace('_', '-')}", word(value))]
    with contextlib.redirect_stdout(io.StringIO()):
        called = called_in(lambda: __main__.main(["run", name, "--trials", "1", *flags]))
    names: dict[str, set[str]] = {}
    for code in called:
        if code.co_name != "<module>":
            names.setdefault(code.co_filename, set()).update(code.co_names, code.co_varnames, code.co_cellvars)
    loaded, used = set(), {"numba"} if any(kernel.overloads for kernel in dispatchers().values()) else set()
    for path in ours():
        for package, bound in imports(path).items():
            loaded.add(package)
            used |= {package} if package != "numba" and bound & names.get(str(path), set()) else set()
    return {"idle": sorted(loaded - used), "twice": twice()}


def main(names: list[str]) -> None:
    # What a run loads is read from the modules of ours that it loads: theirs may wait here for all runs.
    for path in [*(ROOT / "smallnets").rglob("*.py"), *(ROOT / "neurec_papers").rglob("*.py")]:
        for package in imports(path):
            with contextlib.suppress(ImportError):
                importlib.import_module(package)
    for name in names:
        if not os.fork():
            print(json.dumps({name: report(name)}), flush=True)
            os._exit(0)
        os.wait()


if __name__ == "__main__":
    main(sys.argv[1:])
