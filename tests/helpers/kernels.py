"""Run a command as on another processor: ``python tests/helpers/kernels.py plain COMMAND ...``.

The libraries choose kernels for the processor that they find, and kernels round differently. All of them can be told
to take kernels of other processors.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from numpy._core._multiarray_umath import __cpu_dispatch__

KERNELS = {
    "Haswell": {"OPENBLAS_CORETYPE": "Haswell"},
    "Zen": {"OPENBLAS_CORETYPE": "Zen"},
    "SkylakeX": {"OPENBLAS_CORETYPE": "SkylakeX"},
    "Nehalem": {"OPENBLAS_CORETYPE": "Nehalem"},
    "numba": {"NUMBA_CPU_NAME": "generic"},
    "numpy": {"NPY_DISABLE_CPU_FEATURES": " ".join(__cpu_dispatch__)},  # all that this numpy has kernels for
    "torch": {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "COMPATIBLE", "ONEDNN_MAX_CPU_ISA": "SSE41"},
}
KERNELS["plain"] = KERNELS["Nehalem"] | KERNELS["numba"] | KERNELS["numpy"] | KERNELS["torch"]

# Flags of Linux' list without which the kernels are illegal instructions.
NEEDS = {
    "Haswell": {"avx2", "fma"},
    "Zen": {"avx2", "fma"},
    "SkylakeX": {"avx512f", "avx512dq", "avx512bw", "avx512vl"},
}


def lacking(name: str, cpuinfo: Path = Path("/proc/cpuinfo")) -> str:
    """Why kernels cannot run on this processor; empty where they can."""
    if not cpuinfo.is_file():
        return "no list of the processor's instructions here"
    lines = cpuinfo.read_text(encoding="utf-8").splitlines()
    flags = next((set(line.split()) for line in lines if line.startswith("flags")), set())
    missing = sorted(NEEDS.get(name, {"sse2"}) - flags)
    return f"this processor lacks {', '.join(missing)}" if missing else ""


def main(name: str, *command: str) -> int:
    if why := lacking(name):
        print(f"{name} kernels are not tried: {why}")
        return 0
    return subprocess.run(command, env=os.environ | KERNELS[name], check=False).returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
