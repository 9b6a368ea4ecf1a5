"""What a source names: files, each with its name in the lake, a fingerprint of its content and a reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from tierwise.definitions.sources import Source
from tierwise.errors import SourceUnreadable
from tierwise.sources.databases import DatabaseOrigin
from tierwise.sources.decode_lines import unpacked_name
from tierwise.sources.environment import with_environment
from tierwise.sources.records import CsvDialect, Reader, find_files, fingerprint, read_csv, read_parquet
from tierwise.sources.records_json import JSON_ENDINGS, read_json_lines
from tierwise.sources.records_workbook import WORKBOOK_ENDINGS, SheetLayout, read_workbook
from tierwise.sources.withdraw import relative_name

__all__ = ["FileOrigin", "Origin", "open_file", "origins_of"]

#: Rows converted at once: enough for the engine to use every core, few enough to stay small.
_BATCH_ROWS: Final = 262_144


class Origin(Protocol):
    """One file, table or query of a source."""

    @property
    def name(self) -> str:
        """Return what the lake calls it."""

    @property
    def shown(self) -> str:
        """Return what reports call it."""

    def fingerprint(self) -> str:
        """Return a hash that differs whenever the content does."""

    def open(self) -> Reader:
        """Return a reader of it."""

    def close(self) -> None:
        """Let go of what was opened."""


def origins_of(source: Source, folder: Path) -> list[Origin]:
    """Return what a source names, in order; ``${NAME}`` is an environment variable. A live source names nothing.

    Raises:
        SourceUnreadable: when a variable is not set, or nothing is there.
    """
    if source.live:
        return []
    if source.database is not None:
        return [DatabaseOrigin(source, folder)]
    pattern = with_environment(source.file, "the path of the file")
    return [FileOrigin(path, source, folder) for path in find_files(pattern, folder)]


@dataclass(frozen=True)
class FileOrigin:
    """A file of a source, in the project's `folder` or elsewhere."""

    path: Path
    source: Source
    folder: Path

    @property
    def name(self) -> str:
        """Return the path below the project's folder, or the whole one."""
        return relative_name(self.path, self.folder)

    @property
    def shown(self) -> str:
        """Return the file's name."""
        return self.path.name

    def fingerprint(self) -> str:
        """Return a hash of the file's bytes."""
        return fingerprint(self.path)

    def open(self) -> Reader:
        """Return a reader of the file."""
        return open_file(self.path, self.source)

    def close(self) -> None:
        """A reader of a file closes it by itself."""


def open_file(path: Path, source: Source) -> Reader:
    """Open a file of a source.

    Raises:
        SourceUnreadable: when it cannot be read.
    """
    name = unpacked_name(path)
    workbook = name.endswith(WORKBOOK_ENDINGS)
    if path.suffix.lower() in (".zip", ".gz") and (workbook or name.endswith((".parquet", ".pq", ".zip", ".gz"))):
        raise SourceUnreadable(f"{path}: a {name.rpartition('.')[2]} file is not read packed", "unpack it")
    if source.sheet is not None and not workbook:
        raise SourceUnreadable(f"{path}: has no sheets", f"`sheet:` belongs to {', '.join(WORKBOOK_ENDINGS)}")
    if workbook:
        sheet, formats = source.sheet, _formats(source)
        layout = SheetLayout(
            sheet, source.skip_lines, source.header, source.columns, source.numbers.decimal, formats, source.missing
        )
        return read_workbook(path, layout, batch_rows=_BATCH_ROWS)
    if name.endswith((".parquet", ".pq")):
        return read_parquet(path, batch_rows=_BATCH_ROWS)
    if name.endswith(JSON_ENDINGS):
        return read_json_lines(path, encoding=source.encoding, decimal=source.numbers.decimal, batch_rows=_BATCH_ROWS)
    dialect = CsvDialect(
        source.delimiter, source.quote, source.header, source.encoding, source.skip_lines, source.columns
    )
    return read_csv(path, dialect, batch_rows=_BATCH_ROWS)


def _formats(source: Source) -> Mapping[str, tuple[str, ...]]:
    """Return the formats that are declared for a column, wherever that is."""
    formats = dict(source.formats)
    for stream in source.streams.values():
        for form in (*stream.columns.values(), *([stream.time] if stream.time is not None else [])):
            if form.formats:
                formats.setdefault(form.value, form.formats)
    return formats
