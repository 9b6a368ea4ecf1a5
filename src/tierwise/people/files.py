"""Files that Tierwise wrote for somebody: which of them name a person, and their removal."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterable
from html import unescape
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.people.person import Person
from tierwise.store import Export, Exports

__all__ = ["digest_of", "erase_files", "files_naming"]


def files_naming(written: Iterable[Export], who: Person) -> list[Path]:
    """Return the written files that are still there and name a person."""
    return [path for one in written if (path := Path(one.path)).is_file() and _names(path, who)]


def erase_files(exports: Exports, who: Person) -> tuple[list[str], list[str]]:
    """Remove the written files that name a person.

    Returns:
        Those that were removed, and those that somebody has changed since: they are no longer ours to remove.
    """
    written = {one.path: one.fingerprint for one in exports.list()}
    removed, changed = [], []
    for path in files_naming(exports.list(), who):
        if digest_of(path) == written[str(path)]:
            path.unlink()
            removed.append(str(path))
        else:
            changed.append(str(path))
        exports.forget(str(path))
    for path_text in written:  # the path of a file may name somebody as well
        if who.named_in(path_text):
            exports.forget(path_text)
    return removed, changed


def digest_of(path: Path) -> str:
    """Return a hash of a file's bytes, the same that an import takes of it."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _names(path: Path, who: Person) -> bool:
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            texts = [name for name in file.schema_arrow.names if pa.types.is_string(file.schema_arrow.field(name).type)]
            groups = (file.read_row_group(group, columns=texts) for group in range(file.num_row_groups))
            return any(
                who.named_in(text) for rows in groups for column in rows.columns for text in column.unique().to_pylist()
            )
    if path.suffix == ".xlsx":
        try:
            with zipfile.ZipFile(path) as book:
                parts = [name for name in book.namelist() if name.endswith(".xml")]
                return any(who.named_in(unescape(book.read(name).decode(errors="replace"))) for name in parts)
        except zipfile.BadZipFile:
            return False  # somebody has put another file in its place
    with path.open(encoding="utf-8", errors="replace") as stream:
        return any(who.named_in(line) for line in stream)
