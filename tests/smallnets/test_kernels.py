"""The variables that make libraries compute as on another processor do so, and kernels that cannot run are skipped."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import kernels
import pytest

BLAS = """
import json, numpy, scipy.linalg
from threadpoolctl import threadpool_info
scipy.linalg.lu_factor(numpy.eye(3))
print(json.dumps([info["architecture"] for info in threadpool_info() if info["internal_api"] == "openblas"]))
"""
ASK = """
import json, warnings
warnings.simplefilter("ignore")
import numba.core.registry, numpy, torch, scipy.linalg
from numpy._core._multiarray_umath import __cpu_features__, __cpu_dispatch__
from threadpoolctl import threadpool_info
from pathlib import Path
from smallnets.descent.compiled import KernelCache
scipy.linalg.lu_factor(numpy.eye(3))
context = numba.core.registry.cpu_target.target_context
print(json.dumps({
    "blas": [info["architecture"] for info in threadpool_info() if info["internal_api"] == "openblas"],
    "wide": [name for name in __cpu_dispatch__ if __cpu_features__[name]],
    "numba": context.codegen().magic_tuple()[1:],
    "file": KernelCache(Path(), lambda: None)._path((), context).name,
    "torch": torch.backends.cpu.get_cpu_capability(),
}))
"""


def asked(name: str, root: Path, what: str = ASK) -> Any:
    command = [sys.executable, str(root / "tests/helpers/kernels.py"), name, sys.executable, "-c", what]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("name", ["Haswell", "Zen", "SkylakeX", "Nehalem"])
def test_linear_algebra_takes_the_kernels_that_are_named(name, root):
    if why := kernels.lacking(name):
        pytest.skip(why)
    # A build of OpenBLAS without kernels for Zen takes those of Haswell.
    assert set(asked(name, root, BLAS)) <= {name, "Haswell" if name == "Zen" else name}


def test_plain_kernels_are_those_of_an_old_processor(root):
    if why := kernels.lacking("plain"):
        pytest.skip(why)
    plain = asked("plain", root)
    assert set(plain["blas"]) == {"Nehalem"}
    assert plain["wide"] == []
    assert plain["numba"] == ["generic", ""]
    assert plain["torch"] == "DEFAULT"
    # Kernels compiled for one processor are illegal instructions on another: their files are kept apart.
    generic = os.environ.get("NUMBA_CPU_NAME") == "generic"
    assert (asked("torch", root)["file"] == plain["file"]) == generic


def test_what_a_processor_lacks_is_named(tmp_path, capfd):
    listed = tmp_path / "cpuinfo"
    listed.write_text("processor : 0\nflags : fpu sse2 avx2 fma avx512f avx512bw\n")
    assert kernels.lacking("SkylakeX", listed) == "this processor lacks avx512dq, avx512vl"
    assert kernels.lacking("Haswell", listed) == kernels.lacking("plain", listed) == ""
    assert kernels.lacking("Zen", tmp_path / "none") == "no list of the processor's instructions here"
