"""Which row keys the lake has: their hashes, in memory, so that a few rows that are sent cost no reading of all."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import col, equals, fn, number, text
from tierwise.sources.withdraw import ReceivedFile

__all__ = ["KnownKeys"]

#: A run of hashes is merged into the one before it when it is at least one such part of it: few runs, little merging.
_PART: Final = 3
_Array = np.ndarray[Any, Any]


@dataclass
class _Index:
    """The hashes of one source's rows of one stream, of all imports up to `top`: sorted runs of (hashes, imports)."""

    top: int = 0
    runs: list[tuple[_Array, _Array]] = field(default_factory=list)

    def add(self, hashes: _Array, imports: _Array) -> None:
        """Take in the hashes of rows, each with the import that brought it."""
        self.runs.append(_sorted(hashes, imports))
        while len(self.runs) > 1 and len(self.runs[-1][0]) * _PART >= len(self.runs[-2][0]):
            one, other = self.runs[-2:]
            self.runs[-2:] = [_sorted(np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]]))]

    def having(self, hashes: _Array) -> set[int]:
        """Return the imports that may have brought a row of one of some hashes."""
        found: set[int] = set()
        for known, imports in self.runs:
            first, last = np.searchsorted(known, hashes, "left"), np.searchsorted(known, hashes, "right")
            for start, end in zip(first[last > first].tolist(), last[last > first].tolist(), strict=True):
                found.update(imports[start:end].tolist())
        return found


class KnownKeys:
    """Finds the files of the lake that may have a row of some keys, at twelve bytes of memory a row.

    What an import brought is read once, when somebody first asks after it; whether a key is really there, the files
    that are found say. Safe for threads.
    """

    def __init__(self) -> None:
        self._indexes: dict[tuple[str, str], _Index] = {}
        self._lock = threading.Lock()

    def having(
        self, engine: DuckEngine, source: str, stream: str, files: Sequence[ReceivedFile], keys: exp.Select
    ) -> list[Path]:
        """Return those of a source's files of a stream that may have a row of some keys.

        Args:
            engine: what reads the files.
            source: the source.
            stream: the stream.
            files: all of them.
            keys: selects the keys, as ``row_key``.
        """
        with self._lock:
            index = self._indexes.setdefault((source, stream), _Index())
            unread = [file.path for file in files if file.last > index.top]
            if unread:
                listed = exp.Array(expressions=[text(str(path)) for path in unread])
                rows = exp.select(col("row_key"), col("import_id")).from_(exp.Table(this=fn("read_parquet", listed)))
                newer = exp.GT(this=col("import_id"), expression=number(index.top))
                index.add(*_hashes(engine, rows.where(equals(col("source"), text(source))).where(newer)))
                index.top = max(file.last for file in files)
            wanted = exp.select(col("row_key"), number(0).as_("import_id")).from_(keys.subquery("w"))
            imports = index.having(_hashes(engine, wanted)[0])
        return [file.path for file in files if any(file.first <= one <= file.last for one in imports)]


def _hashes(engine: DuckEngine, keys: exp.Select) -> tuple[_Array, _Array]:
    hashed = exp.select(fn("hash", col("row_key")).as_("hash"), col("import_id")).from_(keys.subquery("k"))
    found = engine.arrow(hashed)
    hashes, imports = (
        found.column(name).combine_chunks().to_numpy(zero_copy_only=False) for name in found.column_names
    )
    return hashes.astype(np.uint64), imports.astype(np.int32)


def _sorted(hashes: _Array, imports: _Array) -> tuple[_Array, _Array]:
    order = np.argsort(hashes, kind="stable")
    return hashes[order], imports[order]
