"""Which files of the lake stand for many small ones that were put together, and copies of parts of them."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tierwise.errors import EngineRefused
from tierwise.lake.entries import Entry, LakeFile, plain, sync

__all__ = ["Compacted"]


class Compacted:
    """The records in ``compacted/``: each appears whole or not at all, and from then on its files are read.

    A record never changes what a version of the lake has: the rows know the manifest they came with, so whoever asks
    for a version between two manifests gets a copy of the rows up to it.

    Args:
        folder: the lake's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._room, self._copies = folder, folder / "compacted", folder / "copies"
        self._seen = 0
        self._records: dict[int, Mapping[str, Any]] = {}
        self._gone: dict[int, set[str]] = {}
        self._instead: dict[int, list[LakeFile]] = {}
        self._purged: set[int] = set()

    def look(self) -> set[int]:
        """Read the records that have appeared since; return the numbers of the manifests they are about."""
        try:
            stamp = self._room.stat().st_mtime_ns
        except FileNotFoundError:
            return set()
        if stamp == self._seen:
            return set()
        about: set[int] = set()
        for path in sorted(self._room.glob("*.json")):
            if int(path.stem) not in self._records:
                about |= self._take(int(path.stem), _read(path))
        self._seen = stamp
        return about

    def _take(self, number: int, record: Mapping[str, Any]) -> set[int]:
        self._records[number] = record
        about: set[int] = set()
        for made in record["made"]:
            for entry, path in made["of"]:
                self._gone.setdefault(entry, set()).add(path)
                about.add(entry)
            self._instead.setdefault(made["entry"], []).append(LakeFile(**made["file"]))
        return about

    def presented(self, entry: Entry) -> Entry:
        """Return a manifest with the files that stand for those it names."""
        gone = self._gone.get(entry.number, set())
        own = [one for one in entry.files if one.path not in gone]
        there = {one.path for one in own}
        own += [one for one in self._instead.get(entry.number, ()) if one.path not in gone | there]
        return replace(entry, files=tuple(own)) if tuple(own) != entry.files else entry

    def had(self, entry: Entry, table: str) -> bool:
        """Whether a manifest added rows to a table, in a file of its own or one that another stands for."""
        gone = self._gone.get(entry.number, ())
        return any(one.table == table for one in entry.files) or any(path.startswith(f"{table}/") for path in gone)

    def record(self, made: Sequence[tuple[int, LakeFile, Mapping[int, str]]], at: datetime) -> set[int]:
        """Record files that stand for others, all at once; return the manifests concerned.

        Args:
            made: (the manifest whose file it becomes, the file, the path of each manifest's file it stands for).
            at: when, naive UTC.
        """
        self.look()
        number = max(self._records, default=0) + 1
        said = {
            "at": at.isoformat(),
            "made": [
                {"entry": entry, "file": plain(file), "of": [[of, path] for of, path in files.items()]}
                for entry, file, files in made
            ],
        }
        self._room.mkdir(exist_ok=True)
        draft = self._room / f".{number:08d}.tmp"
        draft.write_text(json.dumps(said, indent=1), encoding="utf-8")
        sync(draft)
        os.replace(draft, self._room / f"{number:08d}.json")
        sync(self._room)
        return self.look()

    def purge(self, before: datetime | None) -> None:
        """Remove files that others have stood for since an instant; without one all of them, and every copy."""
        self.look()
        for number, record in self._records.items():
            if number not in self._purged and (before is None or record["at"] <= before.isoformat()):
                for made in record["made"]:
                    for _, path in made["of"]:
                        (self._folder / path).unlink(missing_ok=True)
                self._purged.add(number)
        if before is None:
            shutil.rmtree(self._copies, ignore_errors=True)

    def cut(self, file: LakeFile, between: Iterable[Entry], since: int, up_to: int) -> Path:
        """Return a copy of those rows of a file that came with some manifests, made when it is first needed.

        Args:
            file: the file.
            between: the manifests.
            since: their numbers are higher.
            up_to: their numbers are not.
        """
        copy = self._copies / f"{file.table}-{Path(file.path).stem}-{since}-{up_to}.parquet"
        if copy.is_file():
            return copy
        rows = pq.read_table(self._folder / file.path)
        if "import_id" in rows.column_names:
            mine = pc.is_in(rows["import_id"], value_set=pa.array([entry.number for entry in between], pa.int64()))
        else:
            runs = [entry.about["run_id"] for entry in between]
            mine = pc.is_in(rows["run_id"], value_set=pa.array(runs, pa.int64()))
        self._copies.mkdir(exist_ok=True)
        draft = copy.with_name(f".{copy.name}.{os.getpid()}")
        pq.write_table(rows.filter(mine), draft, compression="zstd")
        os.replace(draft, copy)
        return copy


def _read(path: Path) -> Mapping[str, Any]:
    try:
        found: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise EngineRefused(f"the lake's record {path} cannot be read: {error}", "restore it from a backup") from error
    return found
