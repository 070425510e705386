"""The cache of compiled kernels: the user's own, and never more than a matter of time."""

from __future__ import annotations

import errno
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from smallnets.descent import compiled


def double(x):
    return 2 * x


def squares(x):
    return (x * x).sum()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    return tmp_path


def run(function, argument):
    """What a freshly decorated kernel returns, and whether it came from the cache."""
    kernel = compiled.njit()(function)
    found = kernel(argument)
    return found, sum(kernel.stats.cache_hits.values()) == 1


def test_a_kernel_is_compiled_once_for_each_signature(folder):
    assert run(double, 2) == (4, False)
    assert run(double, 3) == (6, True)
    assert run(double, 1.5) == (3.0, False)
    assert run(squares, np.arange(3.0)) == (5.0, False)
    assert run(squares, np.arange(4.0)) == (14.0, True)
    assert len(list(folder.iterdir())) == 3


def test_a_kernel_with_a_closure_is_not_kept(folder):
    def times(factor):
        def multiply(x):
            return factor * x

        return multiply

    assert run(times(2), 3) == (6, False)
    assert run(times(5), 3) == (15, False)
    assert not list(folder.iterdir())


def damages(whole):
    """Cut short, emptied, and with one bit flipped, at many places."""
    for place in {0, 1, 31, 32, 33, *range(64, len(whole), len(whole) // 20), len(whole) - 1}:
        yield whole[:place]
        yield whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :]


def test_a_damaged_file_costs_time_and_is_mended(folder):
    run(double, 2)
    (file,) = folder.iterdir()
    whole = file.read_bytes()
    for damaged in damages(whole):
        file.write_bytes(damaged)
        assert run(double, 2) == (4, False)
        assert run(double, 2) == (4, True), "what was compiled again is kept"
    assert list(folder.iterdir()) == [file]


def test_a_full_disk_costs_time(folder, monkeypatch):
    class Full:
        """A file on a disk without room."""

        def __init__(self, file):
            self.file = file

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.file.close()

        def fileno(self):
            return self.file.fileno()

        def write(self, content):
            self.file.write(content[:100])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    opened = Path.open

    def full(path, mode="r", **options):
        return Full(opened(path, mode)) if "x" in mode else opened(path, mode, **options)

    monkeypatch.setattr(Path, "open", full)
    assert run(double, 2) == (4, False)
    assert not list(folder.iterdir()), "nothing half written is left"
    monkeypatch.undo()


@pytest.mark.parametrize("reason", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_folder_that_cannot_be_written_to_costs_time(folder, monkeypatch, reason):
    opened = Path.open

    def refused(path, *words, **options):
        if path.is_relative_to(folder):
            raise OSError(reason, os.strerror(reason))
        return opened(path, *words, **options)  # what the compiler reads when it is called first

    monkeypatch.setattr(Path, "open", refused)
    assert run(double, 2) == (4, False)


def test_a_folder_that_vanishes_costs_time(folder):
    run(double, 2)
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    assert run(double, 2) == (4, False)


def test_a_kernel_that_cannot_be_pickled_costs_time(folder, monkeypatch):
    def refused(content):
        raise pickle.PicklingError("not this")

    monkeypatch.setattr(compiled, "dumps", refused)
    assert run(double, 2) == (4, False)
    assert not list(folder.iterdir())


class Trap:
    """Something that, when it is unpickled, makes a file."""

    def __init__(self, made):
        self.made = made

    def __reduce__(self):
        return Path.touch, (self.made,)


@pytest.mark.parametrize("whose", ["anybody", "another"])
def test_what_somebody_else_could_have_written_is_not_loaded(folder, tmp_path_factory, monkeypatch, whose):
    run(double, 2)
    (file,) = folder.iterdir()
    made = tmp_path_factory.mktemp("trap") / "sprung"
    content = pickle.dumps(Trap(made))
    file.write_bytes(compiled._digest(content) + content)
    if whose == "anybody":
        file.chmod(0o666)
    else:
        owner = file.stat().st_uid
        monkeypatch.setattr(compiled.os, "getuid", lambda: owner + 1)
    assert run(double, 2) == (4, False)
    assert not made.exists()


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache/neurec"


def test_the_cache_is_the_users_own(home):
    found = compiled._folder()
    assert found is not None
    assert found.parent == home
    assert home.stat().st_mode & 0o777 == found.stat().st_mode & 0o777 == 0o700
    assert compiled._folder() == found


def test_no_temporary_folder_is_used_where_there_is_no_cache(tmp_path):
    (tmp_path / "file").touch()
    code = "from smallnets.descent import compiled; print(compiled.FOLDER)"
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path / "file"), "TMPDIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("mode", [0o777, 0o770, 0o1777])
def test_a_cache_that_others_can_write_to_is_not_used(home, mode):
    home.mkdir(parents=True)
    home.chmod(mode)
    assert compiled._folder() is None


def test_a_link_to_a_folder_that_others_can_write_to_is_not_used(home, tmp_path):
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o777)
    home.parent.mkdir()
    home.symlink_to(tmp_path / "shared")
    assert compiled._folder() is None


@pytest.mark.parametrize("inner", [False, True])
def test_a_cache_of_somebody_else_is_not_used(home, monkeypatch, inner):
    found = compiled._folder()
    other = found if inner else home
    real = Path.stat

    def stat(path, **options):
        seen = real(path, **options)
        return os.stat_result((*seen[:4], seen.st_uid + (path == other), *seen[5:]))

    monkeypatch.setattr(Path, "stat", stat)
    assert compiled._folder() is None


def test_kernels_of_old_sources_are_removed_and_new_ones_kept(home):
    home.mkdir(parents=True, mode=0o700)
    for age in range(compiled.KEPT + 10):
        old = home / f"kernels-{age:016x}"
        old.mkdir()
        (old / "some.kernel").touch()
        os.utime(old, (1e9 - age, 1e9 - age))
    (home / "other").mkdir()
    found = compiled._folder()
    kept = {found, home / "other", *(home / f"kernels-{age:016x}" for age in range(compiled.KEPT - 1))}
    assert set(home.iterdir()) == kept


TRAINED = """
from neurec_papers.inconsistency import COMPARISON as experiment
points = [p for p in experiment.presets["tiny"].points(experiment.params) if p.optimizer == "adam"]
for p in points[:1]:
    print([{k: v for k, v in row.items() if k != "seconds"} for row in experiment.rows(p, 0, [0, 1, 2])])
"""


def test_rows_do_not_depend_on_who_compiled_the_kernels(tmp_path):
    """The first process compiles them, the second finds them in the cache: the same to the bit."""
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path), "HOME": str(tmp_path)}
    first, second = (
        subprocess.run(
            [sys.executable, "-c", TRAINED], env=environment, capture_output=True, text=True, check=True
        ).stdout
        for _ in range(2)
    )
    assert list(tmp_path.rglob("*.kernel"))
    assert first == second


INNER = "from smallnets.descent.compiled import njit\n\n\n@njit()\ndef inner(x):\n    return {factor} * x\n"
OUTER = """
from inner import inner
from smallnets.descent.compiled import njit


@njit()
def outer(x):
    return inner(x) + 1.0


print(outer(3.0), sum(outer.stats.cache_hits.values()))
"""


def test_a_kernel_is_as_old_as_those_beside_it(tmp_path, root):
    environment = os.environ | {"XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(root)}
    (tmp_path / "outer.py").write_text(OUTER)
    said = []
    for factor in (2.0, 2.0, 5.0):
        (tmp_path / "inner.py").write_text(INNER.format(factor=factor))
        words = [sys.executable, "-B", tmp_path / "outer.py"]
        said.append(subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout)
    assert said == ["7.0 0\n", "7.0 1\n", "16.0 0\n"]


def test_a_kernel_is_compiled_for_python_and_for_kernels_apart(folder):
    inner = compiled.njit()(double)

    def outer(x):
        return inner(x) + inner(7)

    assert [compiled.njit()(outer)(1) for _ in range(2)] == [16, 16]
    assert run(double, 1) == (2, False), "what kernels call cannot be called from Python"
    assert run(double, 1) == (2, True)
    assert len(inner.inner.overloads) == 1, "a number that is written out is a number as any other"
