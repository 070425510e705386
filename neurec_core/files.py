"""Whole files: written beside their name and renamed when they are done; tables with their provenance as Parquet."""

from __future__ import annotations

import contextlib
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

KEY = b"neurec"  # the Parquet metadata entry that holds the provenance


def packed(table: pa.Table, about: dict[str, Any]) -> bytes:
    """A table with its provenance, as the bytes of a Parquet file."""
    sink = pa.BufferOutputStream()
    whole = table.replace_schema_metadata({KEY: json.dumps(about).encode()})
    pq.write_table(whole, sink, write_page_checksum=True, compression="zstd")
    return sink.getvalue().to_pybytes()


def unpacked(content: bytes) -> tuple[pa.Table, dict[str, Any]]:
    """What `packed` made bytes of; of other bytes any error of pyarrow's, and some of Python's."""
    table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
    return table, json.loads((table.schema.metadata or {})[KEY])


@contextlib.contextmanager
def temporary(path: Path) -> Iterator[Path]:
    """A name beside `path` that no other process uses; what bears it is removed."""
    name = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        yield name
    finally:
        name.unlink(missing_ok=True)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it if the block ends well and removed if it does not."""
    with temporary(path) as name:
        yield name
        name.replace(path)
