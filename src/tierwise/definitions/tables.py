"""Every table of Tierwise: in which memory it lives, what one row is, its key."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tierwise.definitions.streams import BUILT_IN, REFERENCE_TABLES

__all__ = ["TABLES", "Table"]


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `memory` is lake, engine or store: what lives in the engine can be computed again."""

    name: str
    memory: str
    grain: str
    key: tuple[str, ...]
    about: str = ""


TABLES: Final = {
    table.name: table
    for table in (
        *(
            Table(s.name, "engine", f"a row of {s.name}", ("customer_id", "pos"), f"current rows: {s.about}")
            for s in BUILT_IN.values()
        ),
        *(
            Table(s.name, "engine", f"one of the {s.name}", (s.key,), s.about)
            for s in REFERENCE_TABLES.values()
            if not s.customer
        ),
        Table(
            "customer_records",
            "engine",
            "a version of a customer's record",
            ("customer_id", "pos"),
            "attributes with history",
        ),
        Table(
            "customers",
            "engine",
            "a customer",
            ("customer_id",),
            "every tag, tiering and segment at the last run's as_of",
        ),
        Table(
            "programmes",
            "engine",
            "a customer in a programme",
            ("customer_id", "tiering"),
            "tier, since when, when its term ends, and its grace",
        ),
        Table(
            "by_hand",
            "engine",
            "a tier, segment or tag of a customer that holds by hand",
            ("customer_id", "name"),
            "what was said and what the rule gives",
        ),
        Table("known_customers", "engine", "a customer", ("customer_id",), "the brand's number, and since when known"),
        Table(
            "memberships",
            "lake",
            "a change of a customer's tier or segment",
            ("seq",),
            "what was believed and acted on",
        ),
        Table(
            "membership_intervals",
            "engine",
            "a stay of a customer in a tier or segment",
            ("kind", "name", "customer_id", "valid_from"),
            "the membership log as intervals, valid_to is missing while it lasts",
        ),
        Table(
            "distributions",
            "lake",
            "a group of a published distribution",
            ("id", "as_of", "by_value"),
            "what population functions compare with",
        ),
        Table(
            "quarantine",
            "store",
            "a row of a file that was not believed",
            ("import_id", "line"),
            "with line, column, reason and original text",
        ),
        Table(
            "facts",
            "store",
            "a statement by hand",
            ("fact_id",),
            "pins, inclusions, exclusions, tag values, lists; revocations are rows too",
        ),
        Table("runs", "store", "a run", ("run_id",), "when, at which as_of, with what result"),
        Table("source_records", "store", "a customer number of a source", ("source_record_id",), "with its key space"),
        Table(
            "identities",
            "store",
            "a source record's customer in some identity versions",
            ("source_record_id", "from_version"),
        ),
    )
}
