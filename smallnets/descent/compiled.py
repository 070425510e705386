"""The only entrance to numba: kernels are cached on disk, and the cache is as old as all of their sources.

numba itself looks at the source file of a kernel only: a cached kernel would go on calling what it called before a
file next to it was edited. It also loads whatever lies in its folder, and loading runs code: here nothing is loaded
that somebody else could have written, or that is not whole. A cache that cannot be used costs time and nothing else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import platform
import shutil
import stat
import sys
import uuid
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numba
from llvmlite.binding import address_of_symbol
from numba.core.compiler import CompileResult
from numba.core.runtime.nrt import rtsys
from numba.core.serialize import dumps
from numba.core.types import unliteral

HERE = Path(__file__).parent
KEPT = 20  # folders of kernels, of as many versions of the sources
DIGEST = 32  # bytes in front of each file's content


def _folder() -> Path | None:
    """Where compiled kernels are kept: in the user's own cache; None where there is no such place."""
    sources = b"".join(path.read_bytes() for path in sorted(HERE.rglob("*.py")))
    versions = f"{numba.__version__} {platform.python_implementation()} {sys.version_info[:3]}".encode()
    name = f"kernels-{hashlib.blake2b(sources + versions, digest_size=8).hexdigest()}"
    try:
        usual = Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache")
        cache = Path(os.environ.get("XDG_CACHE_HOME") or usual, "neurec").absolute()
        folder = cache / name
        new = not folder.is_dir()
        cache.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not _is_ours(cache.stat()):
            return None
        folder.mkdir(mode=0o700, exist_ok=True)
        if not (_is_ours(folder.stat()) and os.access(folder, os.W_OK)):
            return None
        os.utime(folder)
        if new:
            _remove_stale(cache)
    except (OSError, RuntimeError):  # no home, no room, no right to write
        return None
    return folder


def _is_ours(found: os.stat_result) -> bool:
    """Whether this user owns a file or folder, and nobody else can write to it."""
    return hasattr(os, "getuid") and found.st_uid == os.getuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _remove_stale(cache: Path) -> None:
    """Remove the kernels of all but the newest versions; who still runs one of the others compiles again."""
    folders = [path for path in cache.glob("kernels-*") if path.is_dir() and not path.is_symlink()]
    for folder in sorted(folders, key=lambda path: path.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(folder, ignore_errors=True)


class KernelCache:
    """What numba asks of a cache: for each kernel and signature a file that begins with the digest of its content.

    Parameters
    ----------
    folder : where the files are
    kernel : without a closure, whose values no name here would distinguish
    wrapped : whether it can be called from Python
    """

    def __init__(self, folder: Path, kernel: Callable[..., Any], *, wrapped: bool = True) -> None:
        self.folder, self.kernel, self.wrapped = folder, kernel, wrapped

    @property
    def cache_path(self) -> str:
        """The folder, by the name that numba has for it."""
        return str(self.folder)

    def flush(self) -> None:
        """Forget the kernel, as numba does before it compiles one again."""
        for path in self.folder.glob(f"{self._stem()}-*"):
            path.unlink(missing_ok=True)

    def load_overload(self, signature: Any, context: Any) -> Any:
        """The compiled kernel, or None where there is none that is whole and ours."""
        # What a file of another numba, or of a disk that forgot, makes of itself is not to be foreseen.
        with contextlib.suppress(Exception):
            with self._path(signature, context).open("rb") as file:
                content = file.read() if _is_ours(os.fstat(file.fileno())) else b""
            if content and content[:DIGEST] == _digest(content[DIGEST:]):
                needed, parts = pickle.loads(content[DIGEST:])
                rtsys.initialize(context)
                # To learn all that numba can compile takes longer than many a run; what is compiled needs its symbols.
                if not all(map(address_of_symbol, needed)):
                    context.refresh()
                return CompileResult._rebuild(context, *parts)
        return None

    def save_overload(self, signature: Any, compiled: Any) -> None:
        """Keep a compiled kernel, if there is room and it can be kept."""
        if compiled.lifted or compiled.library.has_dynamic_globals:
            return
        path = self._path(signature, compiled.target_context)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex[:8]}.tmp")
        with contextlib.suppress(Exception):  # no room, or something in it that cannot be pickled
            content = dumps((_symbols(compiled.library), compiled._reduce()))
            try:
                with temporary.open("xb") as file:
                    os.fchmod(file.fileno(), 0o600)
                    file.write(_digest(content) + content)
                temporary.replace(path)
            finally:
                temporary.unlink(missing_ok=True)

    def _stem(self) -> str:
        return f"{self.kernel.__module__}.{self.kernel.__qualname__}".replace("<", "").replace(">", "")

    def _path(self, signature: Any, context: Any) -> Path:
        beside = _sources(Path(self.kernel.__code__.co_filename).parent)
        key = repr((signature, context.codegen().magic_tuple(), self.kernel.__code__.co_code, self.wrapped, beside))
        return self.folder / f"{self._stem()}-{_digest(key.encode()).hex()[:24]}.kernel"


@cache
def _sources(folder: Path) -> bytes:
    """A digest of the modules in a folder: a kernel outside of this package calls those beside it."""
    return _digest(b"".join(path.read_bytes() for path in sorted(folder.glob("*.py"))))


def _symbols(library: Any) -> list[str]:
    """The names of what a compiled kernel calls or reads outside of itself."""
    module = library._final_module
    outside = [item.name for item in (*module.functions, *module.global_variables) if item.is_declaration]
    return [name for name in outside if not name.startswith("llvm.")]


def _digest(content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST).digest()


FOLDER = _folder()


def njit(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """`numba.njit` with that cache; options as there.

    What other kernels call is compiled without the wrapper that Python calls, which takes as long as the kernel where
    there are many arrays, and once for all whole numbers, not anew for each that is written out.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        kernel, inner = _kernel(function, options, wrapped=True), _kernel(function, options, wrapped=False)
        template = inner.get_call_template

        def called_by_a_kernel(args: Any, keywords: Any) -> Any:
            return template([*map(unliteral, args)], {name: unliteral(kind) for name, kind in keywords.items()})

        kernel.get_call_template, kernel.get_overload, kernel.inner = called_by_a_kernel, inner.get_overload, inner
        return kernel

    return decorate


def _kernel(function: Callable[..., Any], options: dict[str, Any], *, wrapped: bool) -> Any:
    # Where sums may be regrouped, a kernel that stands alone rounds otherwise than inside its caller; and which of
    # the two runs would hang on whether this process has compiled both or found the caller in the cache.
    inlined = bool(options.get("fastmath"))
    # No kernel is handed to another one as a function, which is what the wrapper for C is for.
    wrappers = {"no_cpython_wrapper": not wrapped, "no_cfunc_wrapper": True}
    kernel = numba.njit(**{**options, **wrappers, "forceinline": inlined})(function)
    if FOLDER is not None and function.__closure__ is None:
        kernel._cache = KernelCache(FOLDER, function, wrapped=wrapped)
    return kernel


@njit()
def assign(target, source):  # type: ignore[no-untyped-def]
    """As ``target[:] = source`` for vectors of one length; numba takes 10 s to compile its message about others."""
    for i in range(len(target)):
        target[i] = source[i]
