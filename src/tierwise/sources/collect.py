"""Importing all sources of a project: which files are new, changed or known, each imported whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tierwise.definitions.check import effective_streams
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import Source
from tierwise.definitions.streams import Stream
from tierwise.errors import DefinitionsInvalid, Place, Problem, SourceUnreadable
from tierwise.lake import Entry, Lake
from tierwise.sources.importer import FileImport, ImportReport, import_file
from tierwise.sources.mapping import Mapping_, map_source
from tierwise.sources.origins import origins_of
from tierwise.sources.records import Reader
from tierwise.sources.related import UNMATCHED
from tierwise.sources.withdraw import files_of, superseded
from tierwise.store import Store
from tierwise.store.identifiers import CANONICAL

__all__ = [
    "check_sources",
    "import_sources",
    "in_order",
    "mapped",
    "native_types",
    "pending",
    "source_hash",
]


def native_types(reader: Reader, source: Source) -> dict[str, pa.DataType]:
    """Return the columns an import works with and their types: texts of a CSV file, native ones of Parquet.

    A personal column is not among them, except that of an identifier, which is a text: its blind index.
    """
    personal = source.personal()
    found = {field.name: _plain(field.type) for field in reader.schema if field.name not in personal}
    there = {name: pa.string() for name in reader.schema.names if personal.get(name) in CANONICAL}
    return {name: (found | there)[name] for name in reader.schema.names if name in found or name in there}


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
            for origin in origins_of(source, definitions.folder or Path()):
                with closing(origin):
                    mapping = mapped(name, source, definitions, streams, origin.open())
                problems += [problem for problem in mapping.problems if problem not in problems]
        except SourceUnreadable as error:
            key = error.details.get("key", "file" if source.database is None else "database")
            problems.append(Problem("source", error.message, definitions.place(f"sources.{name}.{key}"), error.hint))
    return problems


def mapped(
    name: str,
    source: Source,
    definitions: Definitions,
    streams: Mapping[str, Stream],
    reader: Reader,
) -> Mapping_:
    """Map a source onto an open file; a personal column the file does not have is a problem, for what else is one?"""
    mapping = map_source(name, source, definitions, streams, native_types(reader, source))
    hint = "a personal column is named as it stands in the file, so that nothing else of the file reads it"
    missing = tuple(
        Problem("source", f"{source.origin}: there is no column `{column}`", _place(definitions, name, column), hint)
        for column in source.personal()
        if column not in reader.columns
    )
    return replace(mapping, problems=(*missing, *mapping.problems)) if missing else mapping


def _place(definitions: Definitions, name: str, column: str) -> Place:
    """Return where a personal column is declared."""
    for stream, mapping in definitions.sources[name].streams.items():
        for target, form in mapping.columns.items():
            if form.value == column:
                return definitions.place(f"sources.{name}.streams.{stream}.columns.{target}")
    return definitions.place(f"sources.{name}.customer")


def pending(definitions: Definitions, lake: Lake) -> Iterator[tuple[str, str, str]]:
    """Yield (source, file or table, state) of every file and table, state being new, changed or unchanged."""
    for name, source in in_order(definitions.sources):
        known = _known(lake, name)
        for origin in origins_of(source, definitions.folder or Path()):
            with closing(origin):
                seen = origin.fingerprint() if origin.name in known else ""
                declared = source_hash(source, definitions)
                yield name, origin.shown, _state(known.get(origin.name), seen, declared, lake, source)


def source_hash(source: Source, definitions: Definitions) -> str:
    """Return the hash of everything declared that decides what a file's rows become."""
    settings = definitions.settings
    streams = {name: form.model_dump(mode="json", exclude_defaults=True) for name, form in definitions.streams.items()}
    said: list[Any] = [
        source.model_dump(mode="json", by_alias=True, exclude_defaults=True),
        settings.timezone,
        settings.currency,
        settings.earliest,
        streams,
    ]
    if source.personal():  # read before there was a vault, they have to be read again
        said.append("personal columns are kept in the vault")
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def in_order(sources: Mapping[str, Source]) -> list[tuple[str, Source]]:
    """Return the sources as declared, but each after those that say whose its rows are.

    Sources that rely on each other in a ring stay as they are declared: their rows find each other in a later run.
    """
    left, ordered = dict(sources), list[tuple[str, Source]]()
    while left:
        waits = {
            n: any(_brings(one, source.relies_on()) for m, one in left.items() if m != n) for n, source in left.items()
        }
        name = next((name for name, waiting in waits.items() if not waiting), next(iter(left)))
        ordered.append((name, left.pop(name)))
    return ordered


def _brings(source: Source, streams: Collection[str]) -> bool:
    return any(name in streams and mapping.from_ is None for name, mapping in source.streams.items())


def _known(lake: Lake, name: str) -> dict[str, Entry]:
    """Return the last import of each file of a source."""
    return {entry.about["file"]: entry for entry in lake.entries("rows") if entry.about.get("source") == name}


def _state(known: Entry | None, seen: str, declared: str, lake: Lake, source: Source) -> str:
    """Return whether a file is new, changed (also: some of its rows may find their customers now) or unchanged."""
    if known is None:
        return "new"
    same = known.about["source_hash"] == declared and known.about["fingerprint"] == seen
    if same and known.about["report"]["reasons"].get(UNMATCHED):
        streams = source.relies_on()
        later = (file.table for entry in lake.entries("rows") if entry.number > known.number for file in entry.files)
        same = not any(table in streams for table in later)
    return "unchanged" if same else "changed"


def import_sources(
    definitions: Definitions,
    lake: Lake,
    quarantine: Path,
    store: Store,
    received_at: datetime,
    progress: Callable[[str, int, int], None] = lambda step, done, total: None,
) -> list[ImportReport]:
    """Import every file that is new or changed, or whose source is declared otherwise than when it was read.

    Args:
        definitions: what is declared.
        lake: where accepted rows go.
        quarantine: the folder of the quarantine's files.
        store: gives customers their numbers and keeps what is personal.
        received_at: when it is read, naive UTC.
        progress: called with (what is being done, files done, files in all).

    Raises:
        DefinitionsInvalid: when a source does not fit its file; files before it stay imported.
        SourceUnreadable: when a file cannot be read.
    """
    streams, problems = effective_streams(definitions)
    if problems:
        raise DefinitionsInvalid(problems)
    reports = []
    origins = [
        (name, source, origin)
        for name, source in in_order(definitions.sources)
        for origin in origins_of(source, definitions.folder or Path())
    ]
    for index, (name, source, origin) in enumerate(origins):
        progress(f"import {name}: {origin.shown}", index, len(origins))
        with closing(origin):
            declared, known = source_hash(source, definitions), _known(lake, name)
            seen = origin.fingerprint()
            if _state(known.get(origin.name), seen, declared, lake, source) == "unchanged":
                reports.append(ImportReport(name, origin.shown, state="unchanged"))
                continue
            reader = origin.open()
            mapping = mapped(name, source, definitions, streams, reader)
            if mapping.problems:
                raise DefinitionsInvalid(mapping.problems)
            there = {one.name for other, _, one in origins if other == name}
            otherwise = any(known[one].about["source_hash"] != declared for one in there & known.keys())
            earlier = files_of(lake, name, origin.name)
            again = superseded(earlier, seen) if earlier and earlier[-1].about["source_hash"] != declared else ()
            work = FileImport(
                name, origin.name, source, definitions, mapping, seen, declared, received_at,
                remapped=otherwise, earlier=tuple(entry.number for entry in earlier), superseded=again,
            )  # fmt: skip
            reading = _reading(progress, f"import {name}: {origin.shown}", index, len(origins))
            reports.append(import_file(work, origin.shown, reader, lake, quarantine, store, reading))
    lake.sweep()
    return reports


def _reading(progress: Callable[[str, int, int], None], step: str, done: int, total: int) -> Callable[[int], None]:
    """Return what shows how many rows of a file have been read."""
    return lambda rows: progress(f"{step}, {rows:,} rows", done, total)
