"""What is held on one person: shown to the owner, or written out whole for the person who asks for it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tierwise.lake import Lake
from tierwise.lake.rewriting import rows_about
from tierwise.people.person import Person
from tierwise.people.refused import with_originals
from tierwise.store import Store
from tierwise.store.identifiers import mask

__all__ = ["everything", "held", "write_json"]


def held(store: Store, who: Person, *, masked: bool = False) -> dict[str, Any]:
    """Return a person's numbers and personal values, of each field the newest first.

    Args:
        store: the store.
        who: the person.
        masked: whether to show only as much of each value as is needed to recognise it.
    """
    spaces = dict(zip(who.records, who.keys, strict=True))
    return {
        "customer_id": who.customer_id,
        "records": [
            {
                "source_record_id": record,
                "key_space": spaces[record][0],
                "key": spaces[record][1],
                "values": [
                    {
                        "field": one.field,
                        "role": one.role,
                        "value": mask(one.role, one.value) if masked else one.value,
                        "first_received_at": one.first_received_at,
                        "last_received_at": one.last_received_at,
                    }
                    for one in who.values
                    if one.source_record_id == record
                ],
            }
            for record in who.records
        ],
    }


def everything(
    store: Store, lake: Lake, quarantine: Path, who: Person, computed: Mapping[str, Any] | None
) -> dict[str, Any]:
    """Return everything held on a person: what was received, what was computed of it, what was believed when.

    Args:
        store: the store.
        lake: the lake.
        quarantine: the folder of the quarantine's files.
        who: the person.
        computed: their row of the results, if there is one.
    """
    found = held(store, who)
    found["rows"] = {table: rows.to_pylist() for table, rows in rows_about(lake, who.records).items()}
    log = lake.read("memberships")
    former = store.ids.aliases()  # what was recorded of those who are now part of them is theirs too
    numbers = former.filter(pc.equal(former["customer_id"], who.customer_id))["former_id"].to_pylist()
    theirs = pa.array([who.customer_id, *numbers], pa.int64())
    found["memberships"] = [] if log is None else log.filter(pc.is_in(log["customer_id"], theirs)).to_pylist()
    found["computed"] = dict(computed) if computed is not None else None
    found["points"] = store.points.everything_of(who.customer_id)
    found["requests"] = [
        {**asdict(one), "actor": str(one.actor), "closed_by": None if one.closed_by is None else str(one.closed_by)}
        for one in store.requests.of(who.customer_id)
    ]
    found["consent"] = store.consents.everything_of(who.customer_id)
    found["quarantine"] = [
        row for rows in _quarantined(quarantine, store) for row in rows if who.named_in(row["original"])
    ]
    return found


def _quarantined(folder: Path, store: Store) -> list[list[dict[str, Any]]]:
    return [
        with_originals(pq.read_table(path), store.originals).to_pylist() for path in sorted(folder.glob("*.parquet"))
    ]


def write_json(found: Mapping[str, Any], to: Path) -> None:
    """Write what was found to a new file that only its owner may read."""
    draft = to.with_name(f".{to.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as stream:
        json.dump(found, stream, ensure_ascii=False, indent=2, default=_plain)
        stream.write("\n")
    os.replace(draft, to)


def _plain(value: Any) -> str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    assert isinstance(value, Decimal), f"a row holds a {type(value).__name__}"
    return str(value)
