"""What was received and said, as known now or by an instant: versions of rows and of facts by hand."""

from __future__ import annotations

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.definitions.check import Catalogue
from tierwise.verbs.opened import Opened

__all__ = ["facts_of", "recorded_by", "rows_version"]


def rows_version(opened: Opened, known_at: datetime | None = None) -> int:
    """Return the number of the lake's newest manifest of rows, or of the newest received by an instant; 0 of none."""
    received = [
        entry.number
        for entry in opened.lake.entries("rows")
        if known_at is None or datetime.fromisoformat(entry.about["received_at"]) <= known_at
    ]
    return max(received, default=0)


def facts_of(
    opened: Opened, known_at: datetime | None = None, catalogue: Catalogue | None = None
) -> tuple[pa.Table, int]:
    """Return what is said by hand, in the terms of what is declared, and the number of the newest of it."""
    # Imported late: what only asks how new the results are needs none of them.
    from tierwise.engine.by_hand import said

    facts, by = opened.store.facts, recorded_by(known_at)
    valid = _of_whom_they_became(opened, facts.valid(by), by)
    return said(valid, catalogue or opened.catalogue), facts.version(by)


def _of_whom_they_became(opened: Opened, valid: pa.Table, by: datetime | None) -> pa.Table:
    """Return facts with what was said of a customer who is now part of another said of that one."""
    former = opened.store.ids.aliases(by) if valid.num_rows else None
    if former is None or not former.num_rows:
        return valid
    place = pc.index_in(valid["customer_id"], value_set=former["former_id"].combine_chunks()).combine_chunks()
    now = pc.coalesce(former["customer_id"].combine_chunks().take(place), valid["customer_id"].combine_chunks())
    return valid.set_column(valid.schema.get_field_index("customer_id"), "customer_id", now)


def recorded_by(known_at: datetime | None) -> datetime | None:
    """Return an instant of what was known (naive UTC) as the store takes it."""
    return None if known_at is None else known_at.replace(tzinfo=UTC)
