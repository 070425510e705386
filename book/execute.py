"""Run the notebooks whose outputs the cache lacks, as many at a time as there are processors.

``python book/execute.py BUILD`` puts each executed notebook into ``BUILD/.jupyter_cache``, where the build of the site
finds it. Prints a line for each, and the traceback of a cell that raises; then it exits with 1, after all have run.
"""

from __future__ import annotations

import sys
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import nbformat
import yaml
from contents import ROOT, papers
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import single_nb_execution

from neurec_core.cluster import cores


def execute(path: Path) -> tuple[nbformat.NotebookNode, float, str]:
    """The notebook with its outputs, the seconds that it took, and the traceback of a cell that raised, or nothing."""
    timeout = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))["execute"]["timeout"]
    result = single_nb_execution(read(path), cwd=str(path.parent), timeout=timeout, allow_errors=False)
    return result.nb, result.time, result.exc_string or ""


def read(path: Path) -> nbformat.NotebookNode:
    """A notebook as Sphinx reads it."""
    return nbformat.read(path, as_version=4)


def is_kept(cache: JupyterCacheAbstract, path: Path) -> bool:
    """Whether the cache holds outputs of these very cells."""
    try:
        cache.match_cache_notebook(read(path))
    except KeyError:
        return False
    return True


def run(paths: list[Path], cache: JupyterCacheAbstract) -> int:
    """Execute what is not kept and keep it; the number of notebooks with a cell that raises."""
    failed = 0
    with ProcessPoolExecutor(cores()) as pool:
        running = {pool.submit(execute, path): path for path in paths if not is_kept(cache, path)}
        for done in as_completed(running):
            path = running[done]
            try:
                notebook, seconds, raised = done.result()
            except Exception as error:  # of a kernel that does not start, or a process that died
                failed += 1
                print(f"{path.name}: not executed, {type(error).__name__}: {error}", file=sys.stderr, flush=True)
                continue
            if raised:
                failed += 1
                print(f"{path.name}: a cell raises\n{raised}", file=sys.stderr, flush=True)
                continue
            kept = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(kept, check_validity=False, overwrite=True)
            print(f"{path.name}: executed in {seconds:.0f} s", flush=True)
    return failed


if __name__ == "__main__":
    notebooks = [ROOT / f"notebooks/{name}.ipynb" for name in papers()]
    sys.exit(run(notebooks, get_cache(f"{sys.argv[1]}/.jupyter_cache")) > 0)
