"""Which files the lake holds: numbered manifests, each written whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.errors import EngineRefused
from tierwise.lake.compacted import Compacted
from tierwise.lake.entries import Entry, LakeFile, plain, sync

__all__ = ["Lake"]


class Lake:
    """An append-only folder of Parquet files.

    A file counts only once a manifest names it, and a manifest appears by one atomic rename: a writer that dies leaves
    files nobody reads, which the next one sweeps away.

    Example:
        >>> import tempfile
        >>> lake = Lake(Path(tempfile.mkdtemp()))
        >>> entry = lake.append("rows", {"orders": pa.table({"order_id": ["a"]})}, name="first")
        >>> lake.version, lake.paths("orders")[0].name
        (1, 'first.parquet')
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._manifests = folder / "manifests"
        self._entries: dict[int, Entry] = {}
        self._seen = 0
        self._positions: dict[tuple[str, str], int] = {}
        self._indexed = 0
        self._compacted = Compacted(folder)

    @property
    def version(self) -> int:
        """Return the number of the newest manifest, 0 of an empty lake."""
        if not self._seen or not self._manifest(self._seen).exists():
            self._seen = max((int(path.stem) for path in self._manifests.glob("*.json")), default=0)
        while self._manifest(self._seen + 1).exists():
            self._seen += 1
        return self._seen

    def _manifest(self, number: int) -> Path:
        return self._manifests / f"{number:08d}.json"

    def entries(self, kind: str | None = None, up_to: int | None = None) -> list[Entry]:
        """Return the manifests in order, all of them or those of one kind, up to a version."""
        found = []
        for number in self._compacted.look():
            self._entries.pop(number, None)
        for number in range(1, (self.version if up_to is None else up_to) + 1):
            if number not in self._entries:
                self._entries[number] = self._compacted.presented(self._read(number))
            if kind is None or self._entries[number].kind == kind:
                found.append(self._entries[number])
        return found

    def paths(self, table: str, up_to: int | None = None, since: int = 0) -> list[Path]:
        """Return the files of a table in the order they were added, after one version and up to another.

        Of a file that was put together of older and newer ones, a copy of the rows between the two.
        """
        last = self.version if up_to is None else up_to
        found = []
        for entry in self.entries():
            for one in entry.files:
                oldest = one.first or entry.number
                if one.table != table or entry.number <= since or oldest > last:
                    continue
                whole = oldest > since and entry.number <= last
                found.append(self.folder / one.path if whole else self._cut(entry, one, since, last))
        return found

    def _cut(self, entry: Entry, file: LakeFile, since: int, up_to: int) -> Path:
        between = [one for one in self.entries(entry.kind, up_to) if one.number > max(since, file.first - 1)]
        return self._compacted.cut(file, between, since, up_to)

    def numbers(self, table: str, up_to: int | None = None) -> list[int]:
        """Return the numbers of the manifests that added rows to a table, wherever these are now."""
        entries = self.entries(up_to=up_to)
        return [entry.number for entry in entries if self._compacted.had(entry, table)]

    def tables(self, up_to: int | None = None) -> list[str]:
        """Return the names of the tables that have files."""
        return sorted({one.table for entry in self.entries(up_to=up_to) for one in entry.files})

    def at(self, source: str, position: str) -> Entry | None:
        """Return the manifest of the rows that a source sent at a position, or nothing."""
        for entry in self.entries("rows")[self._indexed :]:
            self._indexed += 1
            if "position" in entry.about:
                self._positions[entry.about["source"], entry.about["position"]] = entry.number
        number = self._positions.get((source, position))
        return None if number is None else self._entries[number]

    def draft(self, name: str) -> Path:
        """Return an empty folder for files on their way in; `commit` takes them from there."""
        folder = self.folder / "drafts" / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        return folder

    def commit(self, kind: str, files: Sequence[tuple[str, Path]], name: str, about: Mapping[str, Any]) -> Entry:
        """Move finished files in and name them in a new manifest.

        Args:
            kind: what the manifest adds (``rows``, ``memberships``, ``distributions``).
            files: (table, path of a Parquet file in a draft) pairs.
            name: the new files' name; unique for each table.
            about: what else the manifest says.
        """
        placed = []
        for table, path in files:
            target = self.folder / table / f"{name}.parquet"
            if target.exists():  # an earlier try died before its manifest: nobody reads that file
                target.unlink()
            target.parent.mkdir(parents=True, exist_ok=True)
            rows = pq.read_metadata(path).num_rows
            sync(path)
            os.replace(path, target)
            sync(target.parent)
            placed.append(LakeFile(table, f"{table}/{name}.parquet", rows))
        entry = Entry(self.version + 1, kind, tuple(placed), dict(about))
        self._write(entry)
        return entry

    def append(
        self, kind: str, tables: Mapping[str, pa.Table], name: str, about: Mapping[str, Any] | None = None
    ) -> Entry:
        """Write Arrow tables as files and commit them together."""
        draft = self.draft(name)
        files = []
        for table, rows in tables.items():
            path = draft / f"{table}.parquet"
            pq.write_table(rows, path, compression="zstd")
            files.append((table, path))
        entry = self.commit(kind, files, name, about or {})
        shutil.rmtree(draft, ignore_errors=True)
        return entry

    def read(self, table: str, up_to: int | None = None) -> pa.Table | None:
        """Return all rows of a table, or None when it has no file."""
        paths = self.paths(table, up_to)
        return pa.concat_tables([pq.read_table(path) for path in paths], promote_options="default") if paths else None

    def replace_file(self, path: Path, draft: Path) -> None:
        """Put another file in the place of one, all at once: only an erased person's rows are ever taken out so."""
        sync(draft)
        os.replace(draft, path)
        sync(path.parent)

    def correct_counts(self) -> None:
        """Make the manifests say how many rows their files have, after files were replaced."""
        for entry in self.entries():
            files = tuple(replace(one, rows=pq.read_metadata(self.folder / one.path).num_rows) for one in entry.files)
            if files != entry.files:
                self._write(Entry(entry.number, entry.kind, files, entry.about))

    def put_together(self, groups: Sequence[tuple[Sequence[tuple[Entry, LakeFile]], Path]], at: datetime) -> None:
        """Let files that were put together stand for the files they are of, all at once.

        Args:
            groups: (the files, each with its manifest, in order; a draft of one that has all their rows) pairs.
            at: when, naive UTC.
        """
        made = []
        for files, draft in groups:
            (first, oldest), (last, newest) = files[0], files[-1]
            name = f"{Path(newest.path).stem}-from-{oldest.first or first.number:08d}.parquet"
            path = f"{newest.table}/{name}"
            sync(draft)
            os.replace(draft, self.folder / path)
            sync((self.folder / path).parent)
            together = LakeFile(newest.table, path, sum(one.rows for _, one in files), oldest.first or first.number)
            made.append((last.number, together, {entry.number: one.path for entry, one in files}))
        for number in self._compacted.record(made, at):
            self._entries.pop(number, None)

    def purge(self, before: datetime | None = None) -> None:
        """Remove the files that others have stood for since an instant (naive UTC), or all of them, and copies."""
        self._compacted.purge(before)

    def sweep(self) -> None:
        """Remove drafts of writers that died."""
        shutil.rmtree(self.folder / "drafts", ignore_errors=True)

    def _read(self, number: int) -> Entry:
        path = self._manifest(number)
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            files = tuple(LakeFile(**one) for one in content["files"])
            return Entry(content["number"], content["kind"], files, content["about"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EngineRefused(
                f"the lake's manifest {path} cannot be read: {error}", "restore it from a backup"
            ) from error

    def _write(self, entry: Entry) -> None:
        self._manifests.mkdir(parents=True, exist_ok=True)
        content = {
            "number": entry.number,
            "kind": entry.kind,
            "files": [plain(file) for file in entry.files],
            "about": dict(entry.about),
        }
        draft = self._manifests / f".{entry.number:08d}.tmp"
        draft.write_text(json.dumps(content, ensure_ascii=False, indent=1, default=str), encoding="utf-8")
        sync(draft)
        os.replace(draft, self._manifest(entry.number))
        sync(self._manifests)
        self._entries[entry.number] = entry
