"""The folder of a sweep: whose it is, what is kept in it, and what is made of whatever else lies there."""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import filelock
import numpy as np
import pandas as pd
import pytest
from calls import LONG
from toys import FLIP, OTHER, TOGETHER, TOY, solve

from neurec_core import shards, store, tables
from neurec_core.experiment import Grid, Status
from neurec_core.params import BadInput
from neurec_core.sweep import SweepFailed, sweep

GRID = Grid({"x": [0, 4, 8], "y": [1, 2]}, trials=3)


def run(grid=GRID, experiment=TOY, **options):
    return sweep(experiment, grid, **{"progress": False, **options})


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True)


def test_points_that_differ_in_what_is_true_or_false_are_found_again(tmp_path, monkeypatch):
    grid = Grid({"tails": [False, True]}, trials=3)
    first = run(grid, FLIP, out=tmp_path)
    monkeypatch.setattr("neurec_core.sweep.run_shard", None)  # nothing is left to compute
    same(run(Grid({"tails": ["no", "yes"]}, trials=3), FLIP, out=tmp_path), first)
    assert store.read_table(tmp_path, print).attrs["params"]["tails"] == [False, True]
    heads = first["heads"].to_numpy(bool)
    assert (heads[:3] != heads[3:]).all()


# ------------------------------------------------------------------------------------------- trials that raised


def failing(times: int, error: Exception):
    """The toy's solve, which raises so many times before it goes well."""
    left = iter([error] * times)

    def flaky(params, problem, draws):
        if error := next(left, None):
            raise error
        return solve(params, problem, draws)

    return replace(TOY, solve=flaky)


@pytest.fixture
def one_code(monkeypatch):
    """Functions made in a test count as the code of the toy itself."""
    monkeypatch.setattr(store, "fingerprint", lambda experiment: "0123456789ab")
    monkeypatch.setattr("neurec_core.sweep.fingerprint", lambda experiment: "0123456789ab")
    monkeypatch.setattr("neurec_core.provenance.fingerprint", lambda experiment: "0123456789ab")


def test_a_trial_that_raised_is_tried_again(tmp_path, one_code):
    grid = Grid({"x": [5]}, trials=4)
    first = run(grid, failing(2, MemoryError("none left")), out=tmp_path)
    assert first["status"].tolist() == [Status.RAISED] * 2 + ["solved"] * 2
    again = run(grid, failing(1, MemoryError("still none")), out=tmp_path)
    assert again["status"].tolist() == [Status.RAISED] + ["solved"] * 3
    assert again["detail"][0] == "MemoryError: still none", "the newest of two that raised"
    same(run(grid, out=tmp_path), run(grid))
    same(store.read_table(tmp_path, pytest.fail), run(grid))
    files = sorted(tmp_path.glob("*.parquet"))
    same(run(grid, out=tmp_path), run(grid))
    assert sorted(tmp_path.glob("*.parquet")) == files, "no trial is computed once it went well"


def test_merging_keeps_the_row_that_went_well(tmp_path, one_code, monkeypatch):
    grid = Grid({"x": [5]}, trials=3)
    run(grid, failing(3, MemoryError()), out=tmp_path)
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 6)
    whole = run(grid, out=tmp_path)
    shards.compact(tmp_path, store.summary)
    (merged,) = tmp_path.glob("*.parquet")
    assert shards.read(merged).table["status"].to_pylist() == ["solved"] * 3
    same(store.read_table(tmp_path, pytest.fail), whole)


@pytest.mark.parametrize("experiment", [TOY, TOGETHER], ids=["alone", "together"])
def test_a_missing_package_is_refused_once_and_is_no_row(tmp_path, experiment):
    def needs(params, problem, draws):
        import no_such_package  # noqa: F401

    message = r"^toys\.\w+ needs a package that cannot be imported here: No module named 'no_such_package'$"
    with pytest.raises(BadInput, match=message):
        run(experiment=replace(experiment, solve=needs), out=tmp_path)
    assert not list(tmp_path.glob("*.parquet"))


# -------------------------------------------------------------------------------------------- damage of any kind


def damaged(content: bytes, rng: np.random.Generator, kind: str) -> bytes:
    """A file's content with a bit flipped, some bytes zeroed or set, a piece cut off, taken out or put in."""
    at, length = int(rng.integers(len(content))), int(rng.integers(1, 64))
    noise = rng.bytes(length)
    return {
        "flip": content[:at] + bytes([content[at] ^ (1 << int(rng.integers(8)))]) + content[at + 1 :],
        "zero": content[:at] + bytes(len(content[at : at + length])) + content[at + length :],
        "set": content[:at] + b"\xff" * len(content[at : at + length]) + content[at + length :],
        "cut": content[:at],
        "empty": b"",
        "remove": content[:at] + content[at + length :],
        "insert": content[:at] + noise + content[at:],
        "end": content[:-4] + noise[:4].ljust(4, b"\0"),
        "length": content[:-8] + rng.bytes(4) + content[-4:],
    }[kind]


@pytest.mark.parametrize("kind", ["flip", "zero", "set", "cut", "remove", "insert", "end", "length"])
def test_whatever_is_changed_in_a_shard_is_seen_and_never_read(tmp_path, kind):
    run(Grid({"x": [5]}, trials=2), out=tmp_path)
    victim, other = sorted(tmp_path.glob("*.parquet"))
    content, rng = victim.read_bytes(), np.random.default_rng(17)
    (kept,) = (shards.read(other).table["trial"].to_pylist(),)
    for _ in range(100):
        changed = damaged(content, rng, kind)
        victim.write_bytes(changed)
        said: list[str] = []
        trials = store.read_table(tmp_path, said.append)["trial"].tolist()
        if changed == content:
            assert (sorted(trials), said) == ([0, 1], [])
        else:
            assert trials == kept
            assert said == [f"{victim} is cut short or damaged: not read, its trials are computed again"]


@pytest.mark.parametrize("kind", ["flip", "zero", "cut", "empty"])
def test_a_damaged_shard_is_set_aside_and_computed_again(tmp_path, kind):
    grid = Grid({"x": [5]}, trials=2)
    whole = run(grid, out=tmp_path)
    rng = np.random.default_rng(3)
    for i in range(5):
        victim = sorted(tmp_path.glob("*.parquet"))[0]
        victim.write_bytes(damaged(victim.read_bytes(), rng, kind))
        said: list[str] = []
        same(run(grid, out=tmp_path, warn=said.append), whole)
        assert len(said) == 1
        assert len(list(tmp_path.glob("*.damaged"))) == i + 1
        same(run(grid, out=tmp_path, warn=pytest.fail), whole)


@pytest.mark.parametrize("kind", ["flip", "zero", "set", "cut", "remove", "insert", "end", "length"])
def test_a_published_table_that_was_changed_is_read_whole_or_refused(tmp_path, kind):
    """A single file has no hash in its name: what is let through must at least be a table."""
    path = tmp_path / "t.parquet"
    tables.export(run(Grid({"x": [5]}, trials=2)), path)
    content, rng = path.read_bytes(), np.random.default_rng(5)
    refused = 0
    for _ in range(60):
        path.write_bytes(damaged(content, rng, kind))
        line = outcome(path)
        refused += line.startswith("table (a Parquet file written by neurec) cannot be read from")
        assert line == "a table" or "\n" not in line
    assert refused


def outcome(path: Path) -> str:
    try:
        return "a table" if {"status", "trial"} <= set(tables.load(path).columns) else "something else\n"
    except BadInput as error:
        return str(error)


def test_files_that_nobody_may_read_and_folders_are_reported(tmp_path):
    whole = run(out=tmp_path)
    (tmp_path / f"level-0-{'ab' * 16}.parquet").mkdir()
    said: list[str] = []
    same(run(out=tmp_path, warn=said.append), whole)
    assert len(said) == 1
    assert "cannot be read (Is a directory)" in said[0]


def test_files_that_vanish_while_a_folder_is_read_are_no_error(tmp_path, monkeypatch):
    whole = run(out=tmp_path)
    cut = tmp_path / f"level-0-{'0c' * 16}.parquet"
    stale = tmp_path / f".level-0-{'0c' * 16}.parquet.01234567.tmp"
    read, stat, rename = Path.read_bytes, Path.stat, Path.rename

    def read_bytes(path):
        if path in gone:
            path.unlink()
        return read(path)

    def stat_(path, **options):
        if path == stale and sys._getframe(1).f_code.co_name == "prepare":
            path.unlink(missing_ok=True)
        return stat(path, **options)

    def rename_(path, target):
        path.unlink()  # another process sets it aside at the same time
        return rename(path, target)

    gone = set(sorted(tmp_path.glob("*.parquet"))[:2])
    stale.touch()
    cut.write_bytes(b"PAR1")
    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    monkeypatch.setattr(Path, "stat", stat_)
    monkeypatch.setattr(Path, "rename", rename_)
    same(run(out=tmp_path, warn=lambda line: None), whole)
    assert not cut.exists()
    assert not stale.exists()


def test_only_own_old_temporary_files_are_removed(tmp_path):
    own = [f".level-0-{'0c' * 16}.parquet.01234567.tmp", "..sweep.json.89abcdef.tmp", ".writable.01234567.tmp"]
    foreign = [".mine.tmp", ".level-0-mine.parquet.tmp", ".notes.01234567.tmp", "x.tmp"]
    for name in [*own, *foreign]:
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))
    young = tmp_path / own[0].replace("0c", "0d")  # of a process that is at it
    young.touch()
    os.utime(young, (time.time() - shards.STALE_SECONDS / 2,) * 2)
    run(out=tmp_path)
    assert {path.name for path in tmp_path.glob("*.tmp")} == {*foreign, young.name}


# ---------------------------------------------------------------------------------------------- whose folder it is


def test_one_of_two_sweeps_that_start_at_once_gets_the_folder(tmp_path, monkeypatch):
    both = threading.Barrier(2, timeout=LONG)
    claimed = shards.claim

    def claim(folder, about):
        both.wait()  # neither has seen anything of the other's in the folder
        return claimed(folder, about)

    monkeypatch.setattr(shards, "claim", claim)
    ends: dict[str, object] = {}

    def begin(experiment) -> None:
        try:
            ends[experiment.name] = run(experiment=experiment, out=tmp_path)
        except BadInput as error:
            ends[experiment.name] = error

    threads = [threading.Thread(target=begin, args=(experiment,)) for experiment in (TOY, OTHER)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (loser,) = [name for name, end in ends.items() if isinstance(end, BadInput)]
    (winner,) = {"toys.coin", "toys.other"} - {loser}
    assert f"belongs to a sweep of {winner}, not of {loser}; choose another folder" in str(ends[loser])
    assert store.read_table(tmp_path, pytest.fail).attrs["experiment"] == winner


@pytest.mark.parametrize("links", [True, False])
def test_a_folder_is_claimed_once_by_experiment_and_code(tmp_path, monkeypatch, links):
    def refuse(path, target):
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    mine, others = {"experiment": "a.b", "code": "1"}, {"experiment": "a.b", "code": "2"}
    assert shards.claim(tmp_path, mine) == mine
    assert shards.claim(tmp_path, others) == mine
    assert [path.name for path in tmp_path.iterdir()] == [".sweep.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"experiment": 1}', b"\xff\xfe", b"null"])
def test_a_damaged_claim_is_refused_and_never_moved(tmp_path, content):
    """Who moved it could move the claim that another sweep has made in the meantime: both would own the folder."""
    damaged = tmp_path / ".sweep.json"
    damaged.write_bytes(content)
    for experiment in (TOY, OTHER):
        with pytest.raises(BadInput, match=r"holds a damaged claim, got .*: remove .*\.sweep\.json unless another"):
            run(experiment=experiment, out=tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == [".sweep.json"]
        assert damaged.read_bytes() == content
    damaged.unlink()
    same(run(out=tmp_path), run())
    damaged.write_bytes(content)
    same(run(out=tmp_path, warn=pytest.fail), run())  # the rows say whose it is


SCRIPT = """
import sys
from dataclasses import replace
import toys
from neurec_core.experiment import Grid
from neurec_core.params import BadInput
from neurec_core.sweep import sweep

def solve(params, problem, draws):
    return toys.solve(params, problem, draws)

here = replace(toys.TOY, solve=solve)
try:
    sweep(here, Grid({}, 1), out=sys.argv[1], progress=False)
except BadInput as error:
    print(error)
print(len(sweep(here, Grid({}, 1), progress=False)))
"""


def test_an_experiment_that_no_file_holds_has_no_folder(tmp_path):
    """Rows of a function that a script or a notebook defines could be given out as those of another one."""
    (tmp_path / "script.py").write_text(SCRIPT, encoding="utf-8")
    for words in (["-c", SCRIPT], [str(tmp_path / "script.py")]):
        done = subprocess.run(
            [sys.executable, *words, str(tmp_path / "out")], capture_output=True, encoding="utf-8", check=True
        )
        refused, count = done.stdout.splitlines()
        assert refused.startswith("out (folder of the sweep) must be left out for toys.coin: its functions stand in")
        assert count == "1"
    assert not (tmp_path / "out").exists()


def test_rows_of_two_versions_of_the_code_are_not_read_as_one(tmp_path):
    run(out=tmp_path)
    table, about = shards.read(next(tmp_path.glob("*.parquet")))
    shards.write(tmp_path, 0, shards.Part(table, about | {"code": "0123456789ab"}))
    with pytest.raises(BadInput, match=r"holds rows of toys\.coin, computed by 2 versions of the code"):
        store.read_table(tmp_path, pytest.fail)


# ------------------------------------------------------------------------------------------ systems and their ways


@pytest.mark.parametrize("error", [errno.ENOLCK, errno.EOPNOTSUPP, errno.EPERM, errno.ENOSPC, None])
def test_without_locks_nothing_is_merged_and_nothing_lost(tmp_path, monkeypatch, error):
    def acquire(lock, *args, **options):
        raise OSError(error, os.strerror(error)) if error else NotImplementedError("no flock here")

    monkeypatch.setattr(filelock.FileLock, "acquire", acquire)
    monkeypatch.setattr(shards, "FILES_A_LEVEL", 3)
    same(run(out=tmp_path), run())
    assert len(list(tmp_path.glob("level-0-*.parquet"))) == 18
    same(run(out=tmp_path), run())


def test_merged_files_are_on_the_disk_before_their_sources_go(tmp_path, monkeypatch):
    run(out=tmp_path)
    done: list[str] = []
    synced, unlinked = os.fsync, Path.unlink

    def fsync(descriptor):
        done.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name[:7]}")
        return synced(descriptor)

    def unlink(path, **options):
        done.append(f"unlink {path.name[:7]}")
        return unlinked(path, **options)

    monkeypatch.setattr(shards, "FILES_A_LEVEL", 18)
    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "unlink", unlink)
    shards.compact(tmp_path, store.summary)
    first = done.index("unlink level-0")
    assert done.index("sync level-1") < done.index(f"sync {tmp_path.name[:7]}") < first
    assert done.count("unlink level-0") == 18


def test_sources_stay_where_the_disk_gives_no_word(tmp_path, monkeypatch):
    def fsync(descriptor):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(shards, "FILES_A_LEVEL", 3)
    monkeypatch.setattr(os, "fsync", fsync)
    same(run(out=tmp_path), run())
    assert len(list(tmp_path.glob("level-0-*.parquet"))) == 18
    same(store.read_table(tmp_path, pytest.fail), store.read_table(tmp_path, pytest.fail))


@pytest.mark.parametrize("name", ["run-2026-11-30T12:00", "s3:x", "file:x", "a b%20c", "σ"])
def test_a_folder_may_have_any_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    same(run(out=name), run())
    same(run(out=Path(name)), run())
    same(store.read_table(name, pytest.fail).drop(columns="seconds").assign(seconds=0), run().assign(seconds=0))
    assert [path.name for path in tmp_path.iterdir()] == [name]
    tables.export(run(), f"{name}.parquet")
    assert len(tables.load(f"{name}.parquet")) == 18


def test_the_home_folder_is_expanded(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    run(out="~/x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


@pytest.mark.parametrize("out", ["", "~no_such_user/x", "a\0b"])
def test_a_place_that_is_none_is_refused(out):
    with pytest.raises(BadInput, match=r"^out \(folder of the sweep\) (must be a path|cannot be written to), got"):
        run(out=out)


def test_a_disk_that_is_full_from_the_start_is_one_line(tmp_path, monkeypatch):
    @contextlib.contextmanager
    def no_room(path):
        yield path
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shards, "replacing", no_room)
    with pytest.raises(SweepFailed, match=r"cannot write to .*: No space left on device; 0 of 18 trials are kept"):
        run(out=tmp_path)


HOSTILE = """
import sys
from toys import TOY
from neurec_core.experiment import Grid
from neurec_core.sweep import sweep
print(len(sweep(TOY, Grid({"x": [1, 2]}, trials=2), out=sys.argv[1], progress=False)))
"""


def test_a_folder_is_the_same_under_any_locale(tmp_path):
    grid = Grid({"x": [1, 2]}, trials=2)
    run(grid, out=tmp_path / "σ")
    plain = {**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    words = [sys.executable, "-c", HOSTILE, str(tmp_path / "σ")]
    done = subprocess.run(words, env=plain, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"4\n"), done.stderr
    same(run(grid, out=tmp_path / "σ", warn=pytest.fail), run(grid))
