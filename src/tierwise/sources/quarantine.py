"""Where refused rows go, with line, column, reason and text: encrypted in a file, or looked at by whoever rehearses."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.store import Originals

__all__ = ["QUARANTINE", "Preview", "Quarantine", "Refusing"]

#: The columns of a quarantine file.
QUARANTINE: Final = pa.schema(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("line", pa.int64()),
        ("column", pa.string()),
        ("reason", pa.string()),
        ("detail", pa.string()),
        ("sealed", pa.binary()),
        ("import_id", pa.int64()),
        ("received_at", pa.timestamp("us")),
    ]
)
#: So many refused rows are held before they are written.
_HELD: Final = 50_000


class Refusing(Protocol):
    """Who takes the refused rows of one file; `reasons` counts them."""

    reasons: Counter[str]

    def add(self, line: int, column: str | None, reason: str, original: str | None, detail: str = "") -> None:
        """Take in one row; without an original, there is none that may be kept."""

    def close(self) -> None:
        """Put what was taken in its place, once every row has been judged."""


class Preview:
    """The first refused rows of a file that is only looked at: in memory, and gone with it.

    Args:
        most: how many rows are kept; all of them are counted.

    Example:
        >>> preview = Preview(1)
        >>> for line in (2, 5):
        ...     preview.add(line, "time", "not_a_date", "c-7,soon")
        >>> preview.reasons["not_a_date"], [row["line"] for row in preview.rows]
        (2, [2])
    """

    def __init__(self, most: int) -> None:
        self.reasons: Counter[str] = Counter()
        self.rows: list[dict[str, Any]] = []
        self._most = most

    def add(self, line: int, column: str | None, reason: str, original: str | None, detail: str = "") -> None:
        """Take in one row."""
        self.reasons[reason] += 1
        if len(self.rows) < self._most:
            row = {"line": line, "column": column, "reason": reason, "detail": detail, "original": original}
            self.rows.append(row)

    def close(self) -> None:
        """Leave everything as it is: a preview has no place of its own."""


class Quarantine:
    """Where the refused rows of one file go; `reasons` counts them.

    The file appears under its name by `close`, just before the lake's manifest names the import. What writers left that
    died before their manifest is of no import, and is removed by the next one.

    Args:
        folder: the folder of all quarantine files.
        source: the source's name.
        file: what the file is called in reports.
        import_id: the number of the import.
        received_at: when the file is read, naive UTC.
        originals: encrypts the original texts.
    """

    def __init__(
        self, folder: Path, source: str, file: str, import_id: int, received_at: datetime, originals: Originals
    ) -> None:
        self._originals = originals
        self.reasons: Counter[str] = Counter()
        self._folder, self._name = folder, f"{import_id:08d}"
        self._about: dict[str, Any] = {
            "source": source,
            "file": file,
            "import_id": import_id,
            "received_at": received_at,
        }
        self._held: list[dict[str, Any]] = []
        self._writer: pq.ParquetWriter | None = None
        for left in folder.glob("*.*"):
            if left.stem.isdigit() and int(left.stem) >= import_id:
                left.unlink()

    def add(self, line: int, column: str | None, reason: str, original: str | None, detail: str = "") -> None:
        """Take in one row; without an original, there is none that may be kept."""
        self.reasons[reason] += 1
        row = {"line": line, "column": column, "reason": reason, "detail": detail, "original": original}
        self._held.append(self._about | row)
        if len(self._held) >= _HELD:
            self._write()

    def close(self) -> None:
        """Put the file in its place, if a row was refused."""
        if self._held:
            self._write()
        if self._writer is not None:
            self._writer.close()
            self._draft.replace(self._folder / f"{self._name}.parquet")

    @property
    def _draft(self) -> Path:
        return self._folder / f"{self._name}.tmp"

    def _write(self) -> None:
        if self._writer is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self._draft, QUARANTINE, compression="zstd")
        at = self._about["received_at"].replace(tzinfo=UTC)
        sealed = self._originals.seal(self._about["import_id"], [row["original"] for row in self._held], at)
        rows = [row | {"sealed": text} for row, text in zip(self._held, sealed, strict=True)]
        self._writer.write_table(pa.Table.from_pylist(rows, schema=QUARANTINE))
        self._held.clear()
