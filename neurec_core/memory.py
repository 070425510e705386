"""How much memory this machine has, and one line where something would not fit into it."""

from __future__ import annotations

import contextlib
import math
import os
import re
from collections.abc import Callable, Iterator
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


def require(what: str, size: float, *, at_least: bool = False) -> None:
    """Refuse, before anything is computed, what would take more memory than this machine has.

    Parameters
    ----------
    what : the subject of the sentence, with the values that ask for so much
    size : an estimate of the bytes, in [0, inf]
    at_least : whether it was reached on the way, and more may have been to come

    Raises
    ------
    BadInput : "trials = 100000000 would take about 121 GiB of memory, this machine has 24 GiB"
    """
    if size > (here := total()):
        much = f"more than {_words(here)} of" if at_least else f"about {_words(size)} of"
        raise BadInput(f"{what} would take {much} memory, this machine has {_words(here)}")


@contextlib.contextmanager
def limited() -> Iterator[Callable[[], float]]:
    """Let no more be allocated than this machine has, all arrays together; on Linux, elsewhere nothing is limited.

    An array beyond it is then a MemoryError of NumPy's, or torch's error, instead of a process that the system kills.
    What is reserved is counted, used or not; what other processes have is not.

    Yields
    ------
    reached : a function that says how many bytes have been added since, at most and at one time
    """
    data, size = _bytes("VmData"), _bytes("VmSize")
    limit = data + total()
    if not data or limit == math.inf:
        yield lambda: 0.0
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (min([int(limit), *(x for x in (soft, hard) if x >= 0)]), hard))
    try:
        yield lambda: _bytes("VmPeak") - size
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _bytes(entry: str) -> float:
    """What the system says of this process's memory (Linux); 0 where it says nothing."""
    found = re.search(rf"^{entry}:\s*(\d+) kB$", _text(SYSTEM / "proc/self/status"), re.MULTILINE)
    return 1024.0 * int(found[1]) if found else 0.0


def asked_for(error: BaseException) -> float:
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
