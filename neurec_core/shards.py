"""The files of a sweep's folder: whole Parquet files only, added by any number of processes, read at any time.

``level-0-*.parquet`` is a finished shard. As soon as a level holds `FILES_A_LEVEL` files they become one
file of the next level, so that 100,000 rows are some dozens of files. A crash between writing the
merged file and removing its sources leaves rows twice, which reading undoes.

A file's name holds the hash of its content: nothing that was changed since it was written is ever parsed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from filelock import FileLock

from .details import FOLDER, Damaged
from .experiment import Status
from .files import packed, replacing, temporary, unpacked
from .params import BadInput
from .values import location

FILES_A_LEVEL = 64
STALE_SECONDS = 3600  # a temporary file this old belongs to a process that was killed
CLAIM = ".sweep.json"  # says whose folder it is while it holds no shard
NAME = re.compile(r"level-(\d+)-([0-9a-f]{32})\.parquet")
TEMPORARY = re.compile(rf"\.({NAME.pattern}|[0-9a-f]{{20}}\.npz|{re.escape(CLAIM)}|writable)\.[0-9a-f]{{8}}\.tmp")


class Part(NamedTuple):
    """Rows and their provenance."""

    table: pa.Table
    about: dict[str, Any]


def prepare(out: str | Path) -> Path:
    """The folder at `out`, made if it is not there; temporary files that killed sweeps left in it are removed.

    Raises
    ------
    BadInput : a folder that cannot be written to
    """
    folder: Path = location("out", "folder of the sweep", out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with temporary(folder / "writable") as probe:
            probe.touch()
    except (OSError, ValueError) as error:  # a name with a zero byte
        reason = getattr(error, "strerror", None) or error
        raise BadInput(f"out (folder of the sweep) cannot be written to, got {str(out)!r}: {reason}") from None
    for old in [*folder.glob(".*.tmp"), *folder.glob(f"{FOLDER}/.*.tmp")]:
        with contextlib.suppress(FileNotFoundError):
            if TEMPORARY.fullmatch(old.name) and time.time() - old.stat().st_mtime > STALE_SECONDS:
                old.unlink()
    return folder


def claim(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Claim an unowned folder for one sweep; of several processes one succeeds. Returns the owner's claim.

    Raises
    ------
    BadInput : a claim that was cut short, or is just being written where the file system has no hard links
    """
    path, content = folder / CLAIM, json.dumps(about)
    with temporary(path) as mine:
        mine.write_text(content, encoding="utf-8")
        try:
            path.hardlink_to(mine)
        except FileExistsError:
            pass
        except OSError:  # no hard links on this file system
            with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
                file.write(content)
    try:
        owner = json.loads(path.read_text(encoding="utf-8"))
        return {name: str(owner[name]) for name in about}
    except (ValueError, TypeError, KeyError):
        # Whoever moved it away could move the claim that another process has made in the meantime.
        hint = f"remove {path} unless another sweep is just starting there"
        raise BadInput(f"out (folder of the sweep) holds a damaged claim, got {str(folder)!r}: {hint}") from None


def write(folder: Path, level: int, part: Part) -> Path:
    """Write a file, under its final name only when it is whole."""
    content = packed(*part)
    path = folder / f"level-{level}-{_hash(content)}.parquet"
    with replacing(path) as temporary:
        temporary.write_bytes(content)
    return path


def read(path: Path) -> Part:
    """A file's rows and their provenance.

    Raises
    ------
    Damaged : cut short, changed, or never written by neurec
    OSError : it cannot be read
    """
    content = path.read_bytes()
    named = NAME.fullmatch(path.name)
    if not named or named[2] != _hash(content):
        raise Damaged(path.name)
    return Part(*unpacked(content))


def read_folder(folder: Path, warn: Callable[[str], None], *, set_aside: bool = False) -> list[Part]:
    """Every whole file of a sweep that may be running.

    Parameters
    ----------
    folder : the sweep's
    warn : called with a line for each file that is not read
    set_aside : rename damaged files to ``*.damaged``, so that other readers of ``*.parquet`` do not trip
    """
    parts, seen = [], set()
    # Another process may merge files while they are read: list again until nothing new has come.
    while new := [path for path in sorted(folder.glob("*.parquet")) if path not in seen]:
        for path in new:
            seen.add(path)
            if not NAME.fullmatch(path.name):
                warn(f"{path} is not a shard of a sweep: not read")
                continue
            try:
                parts.append(read(path))
            except FileNotFoundError:
                continue  # merged just now; its rows are in a file that the next listing shows
            except Damaged:
                warn(f"{path} is cut short or damaged: not read, its trials are computed again")
                if set_aside:
                    with contextlib.suppress(OSError):  # another process did it, or nobody may
                        path.rename(path.with_name(path.name + ".damaged"))
            except Exception as error:  # whole, but not for us, or not for this version of pyarrow
                reason = " ".join(str(getattr(error, "strerror", None) or error).split())
                warn(f"{path} cannot be read ({reason}): its trials are computed again")
    return parts


def compact(folder: Path, summary: Callable[[Sequence[dict[str, Any]]], dict[str, Any]]) -> None:
    """Merge every full level into one file of the next, its provenance the `summary` of the files' own.

    Left to another process if one is at it, and left undone where the file system has no locks.
    """
    lock = FileLock(folder / ".compact.lock", timeout=0)
    try:
        lock.acquire()
    except (OSError, NotImplementedError):
        return
    try:
        level = 0
        while len(files := _files(folder, level)) >= FILES_A_LEVEL:
            parts = {path: part for path in files if (part := _whole(path))}
            abouts = [part.about for part in parts.values()]
            if len(parts) < 2 or len({(about["experiment"], about["code"]) for about in abouts}) > 1:
                break
            merged = write(folder, level + 1, Part(distinct(parts.values()), summary(abouts)))
            if not _is_on_disk(merged):
                break
            for source in parts:
                source.unlink(missing_ok=True)
            level += 1
    finally:
        lock.release()


def distinct(parts: Iterable[Part]) -> pa.Table:
    """Each trial once: of its rows one that did not raise, or else the newest."""
    newest = sorted(parts, key=lambda part: listed(part.about["created"])[-1])[::-1]
    table = pa.concat_tables([part.table for part in newest])
    names = table.column_names[: table.column_names.index("trial") + 1]
    raised = [status == Status.RAISED for status in table["status"].to_pylist()]
    best: dict[tuple[Any, ...], int] = {}
    for row, address in enumerate(zip(*(table[name].to_pylist() for name in names), strict=True)):
        if raised[best.setdefault(address, row)] and not raised[row]:
            best[address] = row
    return table.take(list(best.values()))


def listed(value: Any) -> list[Any]:
    """A value of a provenance as a list: of one shard it is one, of merged ones it may be many."""
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_on_disk(path: Path) -> bool:
    """Whether a file and its name would survive a power cut now; not every file system says so of a folder."""
    try:
        for place in (path, path.parent):
            descriptor = os.open(place, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
    except OSError:
        return False
    return True


def _whole(path: Path) -> Part | None:
    """A file's content, or None for one that cannot be read; reading the folder reports it."""
    try:
        return read(path)
    except Exception:
        return None


def _files(folder: Path, level: int) -> list[Path]:
    named = [(path, NAME.fullmatch(path.name)) for path in folder.glob(f"level-{level}-*.parquet")]
    return sorted(path for path, name in named if name)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
