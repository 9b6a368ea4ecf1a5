"""Importing one file step by step: looked at, rehearsed, and only then taken in by a run."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from tierwise.definitions.check import effective_streams
from tierwise.definitions.load import Definitions
from tierwise.definitions.sources import Source
from tierwise.errors import DefinitionsInvalid, Place, Problem, UnknownName, near_name
from tierwise.sources.collect import mapped
from tierwise.sources.importer import FileImport, rehearse_file
from tierwise.sources.origins import open_file
from tierwise.sources.records import Reader
from tierwise.sources.suggesting import look_at
from tierwise.verbs.opened import Opened
from tierwise.verbs.through import reads

__all__ = ["Importing", "source_of"]


class Importing:
    """The verbs of a file before it is imported; hangs on the façade as ``project.importing``."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def look(self, path: str, file: str) -> dict[str, Any]:
        """Say how a file is written, what its columns may mean, and which source would read it.

        Args:
            path: where the file is.
            file: what the source is to call it, below the project's folder.

        Raises:
            SourceUnreadable: when it is no file that can be read.
        """
        found = look_at(Path(path), file).as_json()
        names = {column["name"] for column in found["columns"]}
        fitting = [name for name, source in self.opened.definitions.sources.items() if _reads_these(source, names)]
        return {**found, "fits": fitting}

    @reads
    def fit(self, path: str, name: str, source: dict[str, Any] | None = None) -> None:
        """Refuse a file that a source cannot read; only its columns are looked at.

        Args:
            path: where the file is.
            name: the source that would read it.
            source: how that source is to be declared; without it, as it is declared now.

        Raises:
            UnknownName: when no such source is declared and none was given.
            DefinitionsInvalid: when the source cannot be so, or does not fit the file's columns.
            SourceUnreadable: when the file cannot be read.
        """
        self._mapped(path, name, source)

    @reads
    def rehearse(
        self, path: str, name: str, source: dict[str, Any] | None = None, most: int = 100, shown: str = ""
    ) -> dict[str, Any]:
        """Say what an import of a file would do now, row by row, and take nothing in.

        Args:
            path: where the file is.
            name: the source that would read it.
            source: how that source is to be declared; without it, as it is declared now.
            most: how many of the refused rows to show.
            shown: what the file is called in the report.

        Returns:
            The counts (``rows_read = new + replaced + duplicate + quarantined``), the reasons, and the first refused
            rows with line, column, reason and text.

        Raises:
            UnknownName: when no such source is declared and none was given.
            DefinitionsInvalid: when the source cannot be so, or does not fit the file's columns.
            SourceUnreadable: when the file cannot be read.
        """
        opened = self.opened
        work, reader = self._mapped(path, name, source)
        with tempfile.TemporaryDirectory(prefix="tierwise-rehearsal-") as folder:
            report, refused = rehearse_file(
                work, shown or Path(path).name, reader, opened.lake, opened.store, Path(folder), most
            )
        return {**report.as_json(), "quarantine": refused}

    def _mapped(self, path: str, name: str, source: dict[str, Any] | None) -> tuple[FileImport, Reader]:
        """Map a source onto a file; return what an import of it needs."""
        definitions, form = _with_source(self.opened.definitions, name, source)
        streams, problems = effective_streams(definitions)
        reader = open_file(Path(path), form)
        mapping = mapped(name, form, definitions, streams, reader)
        if problems or mapping.problems:
            raise DefinitionsInvalid([*problems, *mapping.problems])
        return FileImport(name, "", form, definitions, mapping, "", "", self.opened.now()), reader


def source_of(source: Mapping[str, Any], name: str) -> Source:
    """Return a source that somebody describes as YAML would.

    Raises:
        DefinitionsInvalid: when it cannot be so, with every problem.

    Example:
        >>> source_of({"file": "a.csv", "streams": {"orders": {"time": "t", "columns": {"amount": "a"}}}}, "a").file
        'a.csv'
    """
    try:
        return Source.model_validate(source)
    except ValidationError as error:
        raise DefinitionsInvalid(
            [
                Problem("shape", str(one["msg"]), Place(path=".".join(["sources", name, *map(str, one["loc"])])))
                for one in error.errors()
            ]
        ) from None


def _with_source(definitions: Definitions, name: str, source: dict[str, Any] | None) -> tuple[Definitions, Source]:
    if source is None:
        if name not in definitions.sources:
            raise UnknownName(f"there is no source `{name}`", near_name(name, definitions.sources))
        return definitions, definitions.sources[name]
    form = source_of(source, name)
    return replace(definitions, sources={**definitions.sources, name: form}), form


def _reads_these(source: Source, columns: set[str]) -> bool:
    """Whether a source of files could read a file with these columns, as far as the plain ones tell."""
    if not source.file:
        return False
    named = [] if source.customer is None else [source.customer.value]
    for stream in source.streams.values():
        named += [form.value for form in (stream.time, *stream.columns.values()) if form is not None]
    plain = [text for text in named if text.replace("_", "").isalnum()]
    return bool(plain) and columns.issuperset(plain)
