"""A paper's notebook as a batch job, through papermill."""

from __future__ import annotations

import ast
import os
import tempfile
from pathlib import Path
from typing import Any

from . import papers
from .params import BadInput, unknown


class NotebookFailed(RuntimeError):
    """A cell raised; the message says where and what."""


def execute(paper: str, parameters: dict[str, Any], out: str | Path) -> Path:
    """Execute a paper's notebook with some of its parameters changed.

    Parameters
    ----------
    paper : the notebook's stem
    parameters : values by name; text is read as a Python literal where it is one
    out : folder of the executed notebook

    Returns
    -------
    path of the executed notebook, under its name only when every cell has run

    Raises
    ------
    BadInput : no such notebook, a parameter that it does not have, or a folder that cannot be written to
    NotebookFailed : a cell raised; the notebook as far as it came is kept as ``<paper>.failed.ipynb``
    """
    try:
        import papermill
        from traitlets.config import Config
    except ImportError:
        raise BadInput("notebook needs papermill: pip install 'neurec[lab]'") from None

    source = source_of(paper).resolve()
    known = papermill.inspect_notebook(str(source))
    for name in parameters:
        if name not in known:
            raise BadInput(unknown("notebook parameter", name, known))
    folder = Path(out)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"out (folder of the notebook) cannot be made, got {str(folder)!r}: {error.strerror}") from None
    done, failed = folder / f"{paper}.ipynb", folder / f"{paper}.failed.ipynb"
    os.environ["NEUREC_STATIC"] = "1"  # nobody will be there to move a slider
    with tempfile.TemporaryDirectory(prefix="neurec-") as sockets:
        # Sockets in a folder instead of ports: kernels started side by side cannot take each other's.
        ipc = {"transport": "ipc", "ip": str(Path(sockets, "kernel"))}
        try:
            papermill.execute_notebook(
                str(source), str(failed), parameters={k: _read(v) for k, v in parameters.items()},
                kernel_name="python3", config=Config(KernelManager=ipc, AsyncKernelManager=ipc),
            )  # fmt: skip
        except papermill.exceptions.PapermillExecutionError as error:
            raise NotebookFailed(f"cell {error.exec_count} of {failed}: {error.ename}: {error.evalue}") from None
        except (OSError, RuntimeError) as error:  # a full disk; a kernel that died
            raise NotebookFailed(f"{failed}: {error}") from None
    return failed.replace(done)


def source_of(paper: str) -> Path:
    """A paper's notebook: that of the folder ``notebooks`` here, else the one that came with the paper.

    It comes as ``notebooks/<paper>.ipynb`` in the package of the paper or, in a checkout, beside that package.

    Raises
    ------
    BadInput : it is in none of these folders
    """
    package = papers.home(paper)
    folders = [Path.cwd() / "notebooks", package / "notebooks", package.parent / "notebooks"]
    for folder in folders:
        if (path := folder / f"{paper}.ipynb").is_file():
            return path
    raise BadInput(f"paper {paper} has no notebook: {paper}.ipynb is in none of {', '.join(map(str, folders))}")


def _read(value: Any) -> Any:
    try:
        return ast.literal_eval(value) if isinstance(value, str) else value
    except (ValueError, SyntaxError):
        return value
