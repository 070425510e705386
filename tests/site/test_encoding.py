"""No text depends on the encoding of the reader's locale: every file and pipe of text names UTF-8."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDERS = ("neurec_core", "smallnets", "neurec_papers", "book", "benchmarks", "notebooks")
FILES = sorted(path for folder in FOLDERS for path in ROOT.glob(f"{folder}/**/*.py"))
TEXT = {"read_text", "write_text"}


def unnamed(source: str) -> list[str]:
    """The calls that read or write text without ``encoding="utf-8"``."""
    calls = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    wrong = [call for call in calls if is_text(call) and not names_utf8(call)]
    # Settings that a call takes as **given are written as a dictionary or as dict(...).
    given = (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Dict))
    keys = (
        (d, {k.value: v for k, v in zip(d.keys, d.values, strict=True) if isinstance(k, ast.Constant)}) for d in given
    )
    return [ast.unparse(node) for node in [*wrong, *(d for d, k in keys if is_true(k.get("text")))]]


def is_true(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value is True


def is_text(call: ast.Call) -> bool:
    function = call.func
    name = (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )
    owner = ast.unparse(function.value) if isinstance(function, ast.Attribute) else None
    if any(word.arg in ("text", "universal_newlines") and is_true(word.value) for word in call.keywords):
        return True
    if name in ("open", "fdopen") and (owner, name) != ("os", "open"):
        # The mode is the second argument of the functions, and the first of `Path.open`.
        place = 1 if owner in (None, "io", "os") else 0
        modes = [*call.args[place : place + 1], *(word.value for word in call.keywords if word.arg == "mode")]
        return not any(isinstance(mode, ast.Constant) and "b" in str(mode.value) for mode in modes)
    return name in TEXT


def names_utf8(call: ast.Call) -> bool:
    named = [word.value for word in call.keywords if word.arg == "encoding"]
    return [getattr(value, "value", None) for value in named] == ["utf-8"]


def test_every_file_and_pipe_of_text_names_utf8():
    for path in FILES:
        assert unnamed(path.read_text(encoding="utf-8")) == [], path.relative_to(ROOT)


WRONG = [
    "open(p)", "open(p, 'w')", "io.open(p)", "os.fdopen(3)", "path.open()", "path.open('w')", "path.read_text()",
    "path.read_text(errors='replace')", "path.write_text(s)", "path.write_text(s, encoding='latin-1')",
    "path.write_text(s, encoding=None)", "subprocess.run(c, text=True)", "run(c, universal_newlines=True)",
    "subprocess.run(c, **{'text': True})", "subprocess.run(c, **dict(text=True))", "open(p + '.b')",
]  # fmt: skip
RIGHT = [
    "open(p, 'rb')", "open(p, mode='wb')", "path.open('xb')", "os.open(p, os.O_RDONLY)", "os.fdopen(3, 'rb')",
    "path.read_text(encoding='utf-8')", "open(p, encoding='utf-8')", "subprocess.run(c)", "path.read_bytes()",
    "subprocess.run(c, text=False)", "subprocess.run(c, encoding='utf-8')",
]  # fmt: skip


def test_a_call_that_leaves_the_encoding_to_the_locale_is_found():
    assert [source for source in WRONG if len(unnamed(source)) != 1] == []
    assert [source for source in RIGHT if unnamed(source)] == []
