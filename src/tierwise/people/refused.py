"""A person in the quarantine: the original texts that name them, and the files without these texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tierwise.people.person import Person
from tierwise.store import Originals
from tierwise.store.keys import make_key

__all__ = ["Named", "erase_originals", "named_originals", "with_originals"]


@dataclass
class Named:
    """Where a person is named: the lines by the number of their import."""

    lines: dict[int, list[int]] = field(default_factory=dict)

    @property
    def rows(self) -> int:
        """How many quarantined rows name them."""
        return sum(map(len, self.lines.values()))


def with_originals(rows: pa.Table, originals: Originals) -> pa.Table:
    """Return quarantined rows with their original texts, empty where the import's key has been destroyed."""
    if "sealed" not in rows.column_names:
        return rows
    sealed: list[bytes | None] = rows["sealed"].to_pylist()
    texts: list[str | None] = [None] * len(sealed)
    places: dict[int, list[int]] = {}
    for place, number in enumerate(rows["import_id"].to_pylist()):
        places.setdefault(number, []).append(place)
    for number, mine in places.items():
        for place, text in zip(mine, originals.open(number, [sealed[one] for one in mine]), strict=True):
            texts[place] = text
    at = rows.schema.get_field_index("sealed")
    return rows.set_column(at, "original", pa.array(texts, pa.string()))


def named_originals(folder: Path, who: Person, originals: Originals) -> Named:
    """Find the quarantined rows that name a person."""
    found = Named()
    for number, _, rows in _files(folder, originals):
        for row in rows:
            if _names(who, row):
                found.lines.setdefault(number, []).append(row["line"])
    return found


def erase_originals(folder: Path, who: Person, originals: Originals) -> Named:
    """Take a person's texts out of the quarantine; the lines stay, with their reason.

    What remains of a file is encrypted under a new key and the old key destroyed, so that no copy of the old file can
    be read either. A draft that a killed process left is the file, if the key in the store opens it.
    """
    found = named_originals(folder, who, originals)
    for number in found.lines:
        path = folder / f"{number:08d}.parquet"
        table = pq.read_table(path)
        rows = with_originals(table, originals).to_pylist()
        mine = [_names(who, row) for row in rows]
        texts = [None if hit else row["original"] for hit, row in zip(mine, rows, strict=True)]
        details = ["" if hit else row["detail"] for hit, row in zip(mine, rows, strict=True)]
        table = table.set_column(table.schema.get_field_index("detail"), "detail", pa.array(details, pa.string()))
        draft = path.with_name(f".{path.name}.erased")
        if "sealed" not in table.column_names:
            table = table.set_column(table.schema.get_field_index("original"), "original", pa.array(texts, pa.string()))
            pq.write_table(table, draft, compression="zstd")
            draft.replace(path)
            continue
        key = make_key()
        again = pa.array(originals.seal_anew(key, number, texts), pa.binary())
        table = table.set_column(table.schema.get_field_index("sealed"), "sealed", again)
        pq.write_table(table, draft, compression="zstd")
        originals.replace_key(number, key)
        draft.replace(path)
    return found


def _files(folder: Path, originals: Originals) -> Iterator[tuple[int, Path, list[dict[str, Any]]]]:
    for draft in sorted(folder.glob(".*.parquet.erased")):
        path = draft.with_name(draft.name.removeprefix(".").removesuffix(".erased"))
        if originals.opens(int(path.stem), pq.read_table(draft, columns=["sealed"])["sealed"].to_pylist()):
            draft.replace(path)
        else:
            draft.unlink()
    for path in sorted(folder.glob("*.parquet")):
        yield int(path.stem), path, with_originals(pq.read_table(path), originals).to_pylist()


def _names(who: Person, row: dict[str, Any]) -> bool:
    return who.named_in(row["original"]) or who.named_in(row["detail"])
