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


_IN_STORE: Final = tuple(
    Table(name, "store", grain, key, about)
    for name, key, grain, about in (
        ("source_records", ("source_record_id",), "a customer number of a source", "with its key space"),
        (
            "identities",
            ("source_record_id", "from_version"),
            "a source record's customer in some identity versions",
            "a merge closes a row and opens another; nothing is overwritten",
        ),
        ("identity_versions", ("version",), "a state of the whole mapping", "what made it, and when"),
        (
            "identity_edges",
            ("edge_id",),
            "a reason why two records are, or are not, one person",
            "by identifier, by hand or by a probability; retracted, never deleted",
        ),
        (
            "identity_reviews",
            ("review_id",),
            "two records that may be one person",
            "for somebody to decide; what is decided stays",
        ),
        ("linkings", ("linking_id",), "a linking that has ended", "of which rows, and what it found"),
        ("people", ("source_record_id", "field", "digest"), "a personal value", "encrypted; its blind index, if any"),
        (
            "people_keys",
            ("source_record_id",),
            "the data key of a source record",
            "wrapped; without it nothing is read",
        ),
        (
            "vault_keys",
            ("name",),
            "a root of the vault's keyed hashes",
            "wrapped by the master key, which is in no table",
        ),
        ("import_keys", ("import_id",), "the key of an import's quarantined originals", "wrapped, for 90 days"),
        ("log_segments", ("segment_id",), "a segment of the event log", "its key, wrapped; how far it is absorbed"),
        ("erasures", ("erasure_id",), "an erasure", "how far it is, and its receipt"),
        ("tombstones", ("digest",), "a keyed hash", "by which an erased person's rows are refused"),
        ("exports", ("path",), "a file written for somebody", "so that an erasure finds it"),
        ("uploads", ("upload_id",), "a file that somebody has sent", "until it is committed or discarded"),
        (
            "subject_requests",
            ("request_id",),
            "what a person asks about their own data",
            "with the day by which it is due; the words go when they are erased",
        ),
        ("runs", ("run_id",), "a run", "when, at which as_of, with what result"),
        ("run_steps", ("run_id", "step"), "a step that a run has finished", "with what the next attempt needs to know"),
        ("jobs", ("job_id",), "work for a worker", "leased while it is done; forgotten `jobs_kept` after its end"),
        ("audit_entries", ("entry_id",), "a deed", "who, when, what, to what; never changed"),
        ("audit_seals", ("seq",), "an entry's place in the chain", "the hash of the entry and of the seal before it"),
        ("users", ("user_id",), "who uses the server", "with a slow hash of the password, and the roles"),
        ("sessions", ("digest",), "a login", "the hash of what the browser holds"),
        ("second_factors", ("user_id",), "a user's authenticator", "its secret, wrapped; each code is taken once"),
        ("api_keys", ("key_id",), "a key for a program", "the hash of its secret, and its roles"),
        ("point_entries", ("entry_id",), "an entry of the points ledger", "what was posted, under which key, by whom"),
        ("point_postings", ("entry_id", "line"), "one side of an entry", "all of an entry add up to 0; never changed"),
        ("point_lots", ("lot_id",), "points that were earned together", "what is left of them, and when they expire"),
        ("point_accounts", ("customer_id",), "a customer's points", "the balance; never below 0"),
        ("point_proposals", ("proposal_id",), "an adjustment for a second person", "who proposed it, who decided"),
        (
            "consent_statements",
            ("statement_id",),
            "what a person said about a purpose on a channel",
            "granted, withdrawn or expired, in whose words, with what evidence; never changed",
        ),
        (
            "consent_records",
            ("source_record_id", "statement_id"),
            "a source record that a statement is about",
            "all that were the customer's then; a split takes them along",
        ),
        (
            "consent_states",
            ("customer_id", "purpose", "channel"),
            "what follows for a customer",
            "the strictest of what their records say; no row is a refusal",
        ),
        ("sequences", ("name",), "the next number of a kind", "a number is never given twice"),
    )
)

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
        *_IN_STORE,
    )
}
