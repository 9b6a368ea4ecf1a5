"""Who is probably one person: what the records say, matched, linked where it is sure enough, else put up for review."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa

from tierwise.definitions.identity import Identity, Matching
from tierwise.errors import BadRequest
from tierwise.identity.evidence import BY_MODEL
from tierwise.identity.graph import Ints
from tierwise.identity.linking import Decision, Linker
from tierwise.identity.matching import match
from tierwise.lake import Lake
from tierwise.store import Actor, Store

__all__ = ["match_records", "records_said"]

#: Of the sample on which chance agreement is estimated: the same records give the same model.
_SEED: Final = 1


def match_records(
    store: Store, lake: Lake, declared: Identity, matching: Matching, actor: Actor, at: datetime
) -> dict[str, Any]:
    """Match all records, link the pairs that are sure enough, put the doubtful ones up for review; return the report.

    Pairs that an earlier matching linked and that are no longer sure enough come apart. What was decided by hand stays.

    Args:
        store: the store; its vault is read in plain text, into memory only.
        lake: what else the records say.
        declared: what identifies.
        matching: which fields say what, and the thresholds.
        actor: who asks.
        at: when.

    Raises:
        BadRequest: when a field is nowhere, or there is too little to learn from.
        EngineRefused: when no model can be trained.
        VaultLocked: when the vault's key is missing.
    """
    held = store.ids.customers()
    said = records_said(store, lake, [*matching.fields], held["source_record_id"].to_pylist())
    pairs = match(said, matching.fields, _SEED)
    left, right, score = (pairs[name].to_numpy() for name in ("left", "right", "score"))
    customers = dict(zip(held["source_record_id"].to_pylist(), held["customer_id"].to_pylist(), strict=True))
    edges = store.links.edges()
    known = {
        (row["source_record_id"], row["other_record_id"]): row["edge_id"]
        for row in edges.to_pylist()
        if row["method"] == BY_MODEL
    }
    sure = score >= matching.link
    linked = {(int(a), int(b)): float(s) for a, b, s in zip(left[sure], right[sure], score[sure], strict=True)}
    new = [pair for pair in linked if pair not in known and customers[pair[0]] != customers[pair[1]]]
    decision = Decision(
        "match",
        [("same", BY_MODEL, *pair, linked[pair]) for pair in new],
        [edge for pair, edge in known.items() if pair not in linked],
    )
    concerned = sorted({record for pair in new for record in pair} | {record for pair in known for record in pair})
    report = Linker(store, declared, actor, at).decide(decision, concerned)
    doubtful = np.flatnonzero((score >= matching.review) & ~sure)
    parted = {
        frozenset((row["source_record_id"], row["other_record_id"]))
        for row in edges.to_pylist()
        if row["kind"] == "different"
    }
    opened = store.reviews.open(_doubtful(pairs, left, right, score, doubtful, matching, parted), at)
    return {**report, "matched": said.num_rows, "pairs": len(pairs), "linked": len(new), "reviews_opened": opened}


def _doubtful(
    pairs: pa.Table,
    left: Ints,
    right: Ints,
    score: np.ndarray[Any, np.dtype[np.float64]],
    places: Ints,
    matching: Matching,
    parted: set[frozenset[int]],
) -> list[tuple[int, int, float, Mapping[str, int]]]:
    levels = {name: pairs[f"level_{name}"].to_pylist() for name in matching.fields}
    return [
        (int(left[place]), int(right[place]), float(score[place]), {name: levels[name][place] for name in levels})
        for place in places.tolist()
        if frozenset((int(left[place]), int(right[place]))) not in parted
    ]


def records_said(store: Store, lake: Lake, fields: list[str], records: list[int]) -> pa.Table:
    """Return what records say now: `record`, and a column of texts for each field, of the vault or of the lake.

    Args:
        store: the store.
        lake: where the columns of customers are that are no secret.
        fields: which.
        records: of whom.

    Raises:
        BadRequest: when nobody has a field.
    """
    found: dict[str, dict[int, str]] = {name: {} for name in fields}
    for value in store.people.values(records):  # of each field the newest comes first
        if value.field in found:
            found[value.field].setdefault(value.source_record_id, value.value)
    rows = lake.read("customers")
    if rows is not None:
        rows = rows.sort_by([("received_at", "ascending"), ("line", "ascending")])
        whose = rows["source_record_id"].to_pylist()
        for name in fields:
            if name in rows.column_names:
                said = rows[name].cast(pa.string()).to_pylist()
                found[name] |= {record: text for record, text in zip(whose, said, strict=True) if text is not None}
    for name, values in found.items():
        if not values:
            raise BadRequest(f"no record has a `{name}`", "matching takes columns of customers and fields of the vault")
    columns = {
        name: pa.array([values.get(record) for record in records], pa.string()) for name, values in found.items()
    }
    return pa.table({"record": pa.array(records, pa.int64()), **columns})
