"""Looking for a text in everything that was written: bytes as they are, and what Parquet, DuckDB and XLSX pack."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from pathlib import Path

import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine

__all__ = ["found_in"]

#: What the brand wrote itself; the key is no trace of anybody.
_THEIRS = {"data", "sources", "definitions"}


def found_in(folder: Path, texts: Iterable[str]) -> list[str]:
    """Return ``file: text`` of each text found below a project's folder, in files that are not the brand's own."""
    found = []
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and name.parts[0] not in _THEIRS:
            content = path.read_bytes() + _unpacked(path)
            found += [f"{name}: {text}" for text in texts if text.encode() in content]
            found += [f"{name}: {text}" for text in texts if text in str(name)]
    return found


def _unpacked(path: Path) -> bytes:
    if path.suffix == ".parquet":
        return str(pq.read_table(path).to_pylist()).encode()
    if path.suffix == ".duckdb":
        with DuckEngine(path) as engine:
            tables = [
                engine.arrow(exp.select("*").from_(exp.to_identifier(name, quoted=True))) for name in engine.tables()
            ]
        return b"".join(str(table.to_pylist()).encode() for table in tables)
    if path.suffix == ".xlsx":
        with zipfile.ZipFile(path) as book:
            return b"".join(book.read(name) for name in book.namelist())
    return b""
