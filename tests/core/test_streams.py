"""The `neurec` command with standard streams that are closed, full or of another encoding."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pandas as pd
import pytest

NAME = "convex_recovery.skip_recovery"
SWEEP = ["sweep", NAME, "--over", "n=6,8", "--d", "2", "--trials", "2", "--jobs", "1", "--out"]


def neurec(redirections: str, *words: object, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """The command as a shell starts it, with real descriptors; of a pipeline, the status of the command."""
    script = f'"$0" -m neurec_core "$@" {redirections}'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", script, sys.executable, *map(os.fsencode, map(str, words))],
        env={**os.environ, **environment},
        capture_output=True,
        check=False,
    )


@pytest.mark.parametrize("redirection", [">/dev/full", ">&-"])
def test_results_that_cannot_be_written_are_one_line_and_end_with_1(redirection):
    done = neurec(redirection, "list")
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert line.startswith("neurec: standard output cannot be written to: ")


@pytest.mark.parametrize(
    "words", [["list"], ["run", NAME, "--n", "8", "--d", "2", "--trials", "3", "--json"]], ids=["list", "run"]
)
def test_a_pipe_that_its_reader_closed_ends_silently(words):
    done = neurec("| true", *words)
    assert (done.returncode, done.stdout, done.stderr) == (141, b"", b"")


def test_what_was_read_before_the_pipe_closed_is_whole():
    done = neurec("| head -1", "run", NAME, "--n", "8", "--d", "2", "--trials", "400", "--json")
    assert (done.returncode, done.stderr) == (141, b"")
    assert json.loads(done.stdout)["trial"] == 0


@pytest.mark.parametrize(
    ("redirections", "status"),
    [("2>/dev/full", 0), ("2>&-", 0), ("2>/dev/full | true", 141), ("<&- >&- 2>&-", 1), (">/dev/full 2>/dev/full", 1)],
)
def test_a_sweep_keeps_every_row_whatever_its_streams_take(tmp_path, redirections, status):
    done = neurec(redirections, *SWEEP, tmp_path)
    assert done.returncode == status
    assert done.stdout.decode() == ("" if status else f"4 trials in {tmp_path}: 4 solved\n")
    rows = pd.concat([pd.read_parquet(path) for path in tmp_path.glob("*.parquet")])
    assert sorted(zip(rows["n"], rows["trial"], strict=True)) == [(6, 0), (6, 1), (8, 0), (8, 1)]


def test_bad_input_ends_with_2_where_no_message_can_be_written():
    assert neurec("2>/dev/full", "show", "convex").returncode == 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("sweep")
    done = neurec("", *SWEEP, path)
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.parametrize(
    ("encoding", "name", "shown"),
    [
        ("latin-1", "кé", "\\u043aé".encode("latin-1")),
        ("utf-8", os.fsdecode(b"\xff"), b"\\udcff"),  # a name that is no text in any encoding
        ("ascii", "к", "к".encode()),  # click takes ASCII for an encoding that nobody chose, and writes UTF-8
    ],
    ids=["latin-1", "no text", "ascii"],
)
def test_names_that_the_terminal_cannot_write_are_escaped(folder, tmp_path, encoding, name, shown):
    settings = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "1"}
    done = neurec("", "export", folder, tmp_path / f"{name}.csv", **settings)
    assert done.returncode == 0, done.stderr
    assert done.stdout == b"4 trials in " + os.fsencode(tmp_path) + b"/" + shown + b".csv\n"
