"""A hash of the code that decides what a row holds: the same under every version of Python and every locale."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import itertools
from collections.abc import Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .experiment import Experiment


UNKNOWN = "unknown"  # the hash of code that stands in no file
# Packages whose code counts beside that of an experiment's own package; what else these import does not.
OWN = ("neurec_core", "smallnets")


def fingerprint(experiment: Experiment) -> str:
    """Hash of the code that decides what an experiment's rows hold.

    It covers the modules that hold the parameters and the three functions, and whatever these modules import of the
    same packages, at the top or inside a function. All that stands in these modules counts, labels and presets too;
    comments, docstrings and line breaks do not, and neither does a module that only draws, stores or explores rows.

    Returns
    -------
    Twelve hexadecimal digits, or `UNKNOWN` for what is written in a script that is run, in a notebook or at a prompt
    """
    parts: list[Any] = [experiment.params, experiment.sample, experiment.solve, experiment.score]
    if experiment.detailed:  # the rows of a sweep with details
        parts.append(experiment.detailed)
    modules = {named.__module__ for part in parts for named in _named(part)}
    return _of_modules(tuple(sorted(modules))) if all(map(_source, modules)) else UNKNOWN


def _named(part: Any) -> Iterator[Any]:
    """A function or class, or those that a partial application holds."""
    if isinstance(part, partial):
        for item in (part.func, *part.args, *part.keywords.values()):
            yield from _named(item) if callable(item) else ()
    else:
        yield part


@cache
def _of_modules(names: tuple[str, ...]) -> str:
    digest = hashlib.sha256()
    for name, path in sorted(closure(names).items()):
        digest.update(f"{name}\n{_text(_tree(path))}\n".encode())
    return digest.hexdigest()[:12]


def closure(names: Iterable[str]) -> dict[str, Path]:
    """The source files of modules and of whatever they import of their own packages and of `OWN`."""
    homes = {*OWN, *(name.partition(".")[0] for name in names)}
    found: dict[str, Path] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name.partition(".")[0] in homes and name not in found and (path := _source(name)):
            found[name] = path
            waiting += imported(path, name)
    return found


def imported(path: Path, name: str) -> Iterator[str]:
    """The absolute names that a module imports; of ``from a import b`` a.b, and a if b is no module but stands in a."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *filter(None, [node.module])])
            modules = [f"{base}.{alias.name}" for alias in node.names]
            yield from modules
            if not all(_source(module) for module in modules):
                yield base


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


@cache
def _source(name: str) -> Path | None:
    home, *rest = name.split(".")
    if home == "__main__":  # a worker has another one, and a prompt or a notebook changes it without a file
        return None
    # Only the outermost package is looked up: to look up one inside imports what it stands in, torch maybe.
    try:
        spec = importlib.util.find_spec(home)
    except ValueError:  # a module that was made while the program ran
        return None
    if spec is None:
        return None
    files = [] if rest or spec.origin is None else [Path(spec.origin)]
    for folder in spec.submodule_search_locations or []:  # of a package without __init__.py, maybe several
        inner = Path(folder).joinpath(*rest)
        files += [inner.with_suffix(".py"), inner / "__init__.py"] if rest else []
    return next((path for path in files if path.suffix == ".py" and path.is_file()), None)


def canonical(source: str | bytes) -> str:
    """A program's syntax tree as text, without docstrings; no field of the tree that is empty, or new, is in it."""
    return _text(ast.parse(source))


def _text(node: object) -> str:
    """A node as (kind field=...), a list as [...], a constant by its type and value."""
    if isinstance(node, ast.AST):
        fields = ((name, _text(value)) for name, value in _fields(node))
        return f"({type(node).__name__}{''.join(f' {name}={text}' for name, text in fields)})"
    if isinstance(node, list):
        return f"[{' '.join(map(_text, node))}]"
    # Not as `repr` writes text: which characters it prints as they are is a matter of Python's version.
    return f"{type(node).__name__}:{node!a}"


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    # What says how a thing was written, or follows from where it stands, is left out, as is whatever is empty: a
    # newer Python may have added it (type_params in 3.12), and an older one never heard of it.
    for name in sorted(node._fields):
        value = getattr(node, name, None)
        if isinstance(node, ast.JoinedStr):
            value = list(_pieces(node.values))
        elif isinstance(value, ast.JoinedStr) and name == "format_spec" and not value.values:
            value = None  # an empty one is as good as none
        elif isinstance(value, list):
            value = [item for item in value if not _is_docstring(item)]
        omitted = name in ("ctx", "kind", "type_comment", "type_ignores")
        if not (omitted or (value is None and not isinstance(node, ast.Constant)) or value == []):
            yield name, value


def _pieces(values: list[ast.expr]) -> Iterator[ast.expr]:
    """The pieces of an f-string, neighbouring texts as one and none of them empty."""
    for plain, group in itertools.groupby(values, lambda value: isinstance(value, ast.Constant)):
        if not plain:
            yield from group
        elif text := "".join(str(piece.value) for piece in group if isinstance(piece, ast.Constant)):
            yield ast.Constant(text)


def _is_docstring(node: object) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
