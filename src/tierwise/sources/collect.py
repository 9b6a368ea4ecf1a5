"""Importing all sources of a project: which files are new, changed or known, each imported whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.check import effective_streams
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import Source
from tierwise.definitions.streams import Stream
from tierwise.errors import DefinitionsInvalid, Place, Problem, SourceUnreadable
from tierwise.lake import Lake
from tierwise.sources.importer import FileImport, ImportReport, import_file
from tierwise.sources.mapping import Mapping_, map_source
from tierwise.sources.records import (
    CsvDialect,
    CsvReader,
    ParquetReader,
    find_files,
    fingerprint,
    read_csv,
    read_parquet,
)
from tierwise.sources.withdraw import files_of, relative_name, superseded

__all__ = [
    "check_sources",
    "import_sources",
    "native_types",
    "open_file",
    "pending",
    "source_files",
    "source_hash",
]

#: Rows converted at once: enough for the engine to use every core, few enough to stay small.
_BATCH_ROWS: Final = 262_144


def source_files(source: Source, folder: Path) -> list[Path]:
    """Return the files a source names; ``${NAME}`` in the path is an environment variable.

    Raises:
        SourceUnreadable: when a variable is not set, or no file is there.
    """
    missing = [name for name in re.findall(r"\$\{(\w+)\}", source.file) if name not in os.environ]
    if missing:
        raise SourceUnreadable(
            f"{source.file}: the environment variable {missing[0]} is not set",
            f"set it to the path of the file: export {missing[0]}=…",
        )
    pattern = re.sub(r"\$\{(\w+)\}", lambda match: os.environ[match[1]], source.file)
    return find_files(pattern, folder)


def open_file(path: Path, source: Source) -> CsvReader | ParquetReader:
    """Open a file of a source, without its personal columns.

    Raises:
        SourceUnreadable: when it cannot be read.
    """
    personal = source.personal()
    if path.name.lower().endswith((".parquet", ".pq")):
        columns = [name for name in read_parquet(path).columns if name not in personal]
        return read_parquet(path, columns, batch_rows=_BATCH_ROWS)
    dialect = CsvDialect(source.delimiter, source.quote, True, source.encoding, source.skip_lines)
    columns = [name for name in read_csv(path, dialect).columns if name not in personal]
    return read_csv(path, dialect, columns=columns, batch_rows=_BATCH_ROWS)


def native_types(reader: CsvReader | ParquetReader, source: Source) -> dict[str, pa.DataType]:
    """Return the columns a reader yields with their types: texts of a CSV file, native ones of Parquet."""
    personal = source.personal()
    if isinstance(reader, ParquetReader):
        return {name: _plain(reader.schema.field(name).type) for name in reader.columns if name not in personal}
    return {name: pa.string() for name in reader.columns if name not in personal}


def _plain(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain(kind.value_type)
    return pa.string() if pa.types.is_large_string(kind) or pa.types.is_string_view(kind) else kind


def check_sources(definitions: Definitions) -> list[Problem]:
    """Return what does not fit between the sources' declarations and their files' columns."""
    streams, _ = effective_streams(definitions)
    problems: list[Problem] = []
    for name, source in definitions.sources.items():
        try:
            for path in source_files(source, definitions.folder or Path()):
                mapping = _mapped(name, source, definitions, streams, open_file(path, source))
                problems += [problem for problem in mapping.problems if problem not in problems]
        except SourceUnreadable as error:
            problems.append(Problem("source", error.message, definitions.place(f"sources.{name}.file"), error.hint))
    return problems


def _mapped(
    name: str,
    source: Source,
    definitions: Definitions,
    streams: Mapping[str, Stream],
    reader: CsvReader | ParquetReader,
) -> Mapping_:
    """Map a source onto an open file; a personal column the file does not have is a problem, for what else is one?"""
    mapping = map_source(name, source, definitions, streams, native_types(reader, source))
    there = _all_columns(reader) if source.personal() else ()
    hint = "a personal column is named as it stands in the file, so that it can be left unread"
    missing = tuple(
        Problem("source", f"{source.file}: the file has no column `{column}`", _place(definitions, name, column), hint)
        for column in source.personal()
        if column not in there
    )
    return replace(mapping, problems=(*missing, *mapping.problems)) if missing else mapping


def _place(definitions: Definitions, name: str, column: str) -> Place:
    """Return where a personal column is declared."""
    for stream, mapping in definitions.sources[name].streams.items():
        for target, form in mapping.columns.items():
            if form.value == column:
                return definitions.place(f"sources.{name}.streams.{stream}.columns.{target}")
    return definitions.place(f"sources.{name}.customer")


def _all_columns(reader: CsvReader | ParquetReader) -> tuple[str, ...]:
    if isinstance(reader, CsvReader):
        return tuple(read_csv(reader.path, reader.dialect).columns)
    return tuple(read_parquet(reader.path).columns)


def pending(definitions: Definitions, lake: Lake) -> Iterator[tuple[str, Path, str]]:
    """Yield (source, file, state) of every file, state being new, changed or unchanged."""
    for name, source in definitions.sources.items():
        known = _known(lake, name)
        for path in source_files(source, definitions.folder or Path()):
            file = relative_name(path, definitions.folder or Path())
            yield name, path, _state(known.get(file), path, source_hash(source, definitions))


def source_hash(source: Source, definitions: Definitions) -> str:
    """Return the hash of everything declared that decides what a file's rows become."""
    settings = definitions.settings
    streams = {name: form.model_dump(mode="json", exclude_defaults=True) for name, form in definitions.streams.items()}
    said = [
        source.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        settings.timezone,
        settings.currency,
        settings.earliest,
        streams,
    ]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _known(lake: Lake, name: str) -> dict[str, Mapping[str, Any]]:
    """Return what the lake says of the last import of each file of a source."""
    return {entry.about["file"]: entry.about for entry in lake.entries("rows") if entry.about.get("source") == name}


def _state(known: Mapping[str, Any] | None, path: Path, declared: str) -> str:
    if known is None:
        return "new"
    same = known["source_hash"] == declared and known["fingerprint"] == fingerprint(path)
    return "unchanged" if same else "changed"


def import_sources(
    definitions: Definitions,
    lake: Lake,
    quarantine: Path,
    assign: Callable[[pa.Table], pa.Table],
    received_at: datetime,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> list[ImportReport]:
    """Import every file that is new or changed, or whose source is declared otherwise than when it was read.

    Raises:
        DefinitionsInvalid: when a source does not fit its file; files before it stay imported.
        SourceUnreadable: when a file cannot be read.
    """
    streams, problems = effective_streams(definitions)
    if problems:
        raise DefinitionsInvalid(problems)
    reports = []
    files = [
        (name, source, path)
        for name, source in definitions.sources.items()
        for path in source_files(source, definitions.folder or Path())
    ]
    for index, (name, source, path) in enumerate(files):
        progress(f"import {name}: {path.name}", index, len(files))
        file, declared = relative_name(path, definitions.folder or Path()), source_hash(source, definitions)
        known = _known(lake, name)
        if _state(known.get(file), path, declared) == "unchanged":
            reports.append(ImportReport(name, path.name, state="unchanged"))
            continue
        reader = open_file(path, source)
        mapping = _mapped(name, source, definitions, streams, reader)
        if mapping.problems:
            raise DefinitionsInvalid(mapping.problems)
        there = {relative_name(one, definitions.folder or Path()) for other, _, one in files if other == name}
        otherwise = any(known[one]["source_hash"] != declared for one in there & known.keys())
        earlier, seen = files_of(lake, name, file), fingerprint(path)
        again = superseded(earlier, seen) if earlier and earlier[-1].about["source_hash"] != declared else ()
        work = FileImport(
            name, file, source, definitions, mapping, seen, declared, received_at,
            remapped=otherwise, earlier=tuple(entry.number for entry in earlier), superseded=again,
        )  # fmt: skip
        reports.append(import_file(work, path, reader, lake, quarantine, assign))
    lake.sweep()
    return reports
