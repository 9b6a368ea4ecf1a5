"""People for the tests of the vault: source records with personal values."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa

from tierwise.store import Store
from tierwise.store.people import VALUES

__all__ = ["AT", "NAME", "PHONE", "records", "values"]

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
NAME, PHONE = "金丝雀", "138-0013-8000"


def records(store: Store, *keys: str) -> list[int]:
    """Return the source records of keys, made if need be."""
    spaces = pa.array(["crm"] * len(keys), pa.string())
    found = store.ids.assign(pa.table({"key_space": spaces, "source_key": pa.array(keys, pa.string())}))
    numbers: list[int] = found["source_record_id"].to_pylist()
    return numbers


def values(*rows: tuple[int, str, str]) -> pa.Table:
    """Return (record, role, value) rows as `People.put` takes them: the field is the role, the line the position."""
    whole = [
        {"source_record_id": record, "field": role, "role": role, "value": value, "line": line}
        for line, (record, role, value) in enumerate(rows, 2)
    ]
    return pa.Table.from_pylist(whole, schema=VALUES)
