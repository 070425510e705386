"""How much memory this machine has, and one line where something would not fit into it."""

from __future__ import annotations

import contextlib
import math
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from .params import BadInput

SYSTEM = Path("/")  # where /proc and /sys stand on Linux


def total() -> float:
    """Bytes that this process may use: the machine's memory or, if less, its container's; inf where unknown."""
    installed = math.inf
    with contextlib.suppress(AttributeError, ValueError, OSError):  # no such call, no such name, no answer
        installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([installed if installed > 0 else math.inf, *_limits()])


def _limits() -> list[float]:
    """The limits of the control groups that this process is in (Linux), with those of the groups around them."""
    found = []
    for line in _text(SYSTEM / "proc/self/cgroup").splitlines():
        _, controllers, place = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = ("memory", "memory.limit_in_bytes") if controllers else ("", "memory.max")
        # Inside a container the group itself may not be visible, and then stands at the root.
        for group in (PurePosixPath(place), *PurePosixPath(place).parents):
            limit = _text(SYSTEM / "sys/fs/cgroup" / root / str(group).lstrip("/") / name).strip()
            if limit.isdecimal():  # version 2 writes "max" where there is none, version 1 nearly 2^63
                found.append(float(limit))
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        return ""


def require(what: str, size: float) -> None:
    """Refuse, before anything is computed, what would take more memory than this machine has.

    Parameters
    ----------
    what : the subject of the sentence, with the values that ask for so much
    size : an estimate of the bytes, in [0, inf]

    Raises
    ------
    BadInput : "trials = 100000000 would take about 121 GiB of memory, this machine has 24 GiB"
    """
    if size > (here := total()):
        raise BadInput(f"{what} would take about {_words(size)} of memory, this machine has {_words(here)}")


def refuse(what: str, error: BaseException) -> None:
    """Refuse what failed with `error` if that is because it asked for more memory than this machine has.

    Parameters
    ----------
    what : the subject of the sentence, with the values that ask for so much
    error : of NumPy or torch, when they cannot have an array; of any other error nothing is known

    Raises
    ------
    BadInput : "a trial of paper.experiment with m = 100000 would take about 74 GiB of memory, this machine has 24 GiB",
        or "would take more than ..." where every array fits, but not all of them together
    """
    if not (one := _asked_for(error)):
        return
    require(what, one)
    if (most := _enforced()) and _text(SYSTEM / "proc/sys/vm/overcommit_memory").strip() != "2":
        # Under the other rules Linux grants what the limit allows, whatever other processes hold.
        raise BadInput(f"{what} would take more than the {_words(most)} of memory that this machine has")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    """Let what exceeds this machine's memory fail when it is asked for (Linux), instead of ending the process later."""
    if not (most := _enforced()):
        yield
        return
    import resource  # there is none on other systems

    before, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (before, hard))


def _enforced() -> int:
    """The limit of `limited` in bytes; 0 where the system knows none or a lower one is set already."""
    if sys.platform != "linux" or not math.isfinite(total()):
        return 0
    import resource

    set_already = [limit for limit in resource.getrlimit(resource.RLIMIT_DATA) if limit != resource.RLIM_INFINITY]
    return int(total()) if min([*set_already, total()]) >= total() else 0


def _asked_for(error: BaseException) -> float:
    """Bytes of the one array that could not be had, of NumPy or of torch; 0 for any other error."""
    if isinstance(error, MemoryError) and hasattr(error, "shape") and hasattr(error, "dtype"):
        return float(math.prod(error.shape) * error.dtype.itemsize)
    found = re.search(r"tried to allocate (\d+) bytes", str(error)) if isinstance(error, RuntimeError) else None
    return float(found[1]) if found else 0.0


def _words(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{size:.0f} {unit}" if 10 <= size < 1e6 else f"{size:.2g} {unit}"
