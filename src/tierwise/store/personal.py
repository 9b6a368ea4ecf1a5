"""Which columns of the store hold personal data: how each is shown to the person, and what erasing does to it.

Every column of every table that can hold a text is named here, as personal or as nobody's; a test fails when one is
missing. Erasing follows this list, so a new table is erased once it stands in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

__all__ = ["IMPERSONAL", "KEPT", "PERSONAL", "Personal"]


@dataclass(frozen=True, slots=True)
class Personal:
    """Columns of one table that hold personal data, of the person that the column `by` names.

    `by` is ``source_record_id``, ``customer_id``, or ``path`` of a file that is removed. `erase` says whether the row
    is deleted or only these columns are emptied; `export` how a person is given them; `mask` how somebody sees them
    who may not read them. `also` is a second column that names a person: a row about two goes with either.
    """

    table: str
    columns: tuple[str, ...]
    by: Literal["source_record_id", "customer_id", "path"]
    erase: Literal["row", "columns"]
    export: str
    mask: str
    also: str = ""


#: The personal columns, in the order in which they are erased: a row goes before the row it refers to.
PERSONAL: Final = (
    Personal(
        "people",
        ("digest", "blind_index", "ciphertext"),
        "source_record_id",
        "row",
        export="decrypted, with the dates it was received",
        mask="by role: see tierwise.store.identifiers.mask",
    ),
    Personal("people_keys", ("wrapped",), "source_record_id", "row", export="never: it is a key", mask="never shown"),
    Personal("facts", ("value", "reason"), "customer_id", "row", export="as it is", mask="never shown"),
    Personal(
        "identity_edges",
        ("reason", "retracted_reason"),
        "source_record_id",
        "row",
        export="as it is",
        mask="never shown",
        also="other_record_id",
    ),
    Personal(
        "identity_reviews",
        ("levels", "reason"),
        "source_record_id",
        "row",
        export="as it is",
        mask="never shown",
        also="other_record_id",
    ),
    Personal("point_entries", ("reference", "reason"), "customer_id", "columns", export="as it is", mask="never shown"),
    Personal("point_proposals", ("reason",), "customer_id", "columns", export="as it is", mask="never shown"),
    Personal("subject_requests", ("note",), "customer_id", "columns", export="as it is", mask="never shown"),
    Personal(
        "consent_statements",
        ("evidence", "salt"),
        "source_record_id",
        "columns",
        export="the evidence as it is, with the statement",
        mask="never shown",
    ),
    Personal(
        "consent_states",
        ("purpose", "channel", "state"),
        "customer_id",
        "row",
        export="as it is",
        mask="shown: a send depends on it",
    ),
    Personal("source_records", ("source_key",), "source_record_id", "row", export="as it is", mask="never shown"),
    Personal("exports", ("path",), "path", "row", export="never: it is the brand's", mask="never shown"),
)

#: Tables whose rows stay, under a number that nothing leads back to a person: the books would not balance without them,
#: and that something was agreed to could not be proved.
KEPT: Final = (
    "consent_records",
    "consent_statements",
    "point_accounts",
    "point_entries",
    "point_lots",
    "point_postings",
    "point_proposals",
    "subject_requests",
)

#: The other columns that could hold a text, by table: what is in them is nobody's.
IMPERSONAL: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sequences": ("name",),
        "source_records": ("key_space",),
        "identity_versions": ("kind", "actor"),
        "identity_edges": ("kind", "method", "actor", "retracted_by"),
        "identity_reviews": ("state", "actor"),
        "linkings": ("declared", "report"),
        "runs": (
            "kind",
            "state",
            "step",
            "snapshot_id",
            "definitions_hash",
            "lake_version",
            "actor",
            "report",
            "error",
        ),
        "run_steps": ("step", "payload"),
        "vault_keys": ("name", "wrapped", "master_id"),
        "people_keys": ("master_id",),
        "people": ("field", "role"),
        "import_keys": ("wrapped", "master_id"),
        "log_segments": ("wrapped", "master_id"),
        "erasures": ("state", "actor", "receipt"),
        "tombstones": ("digest",),
        "facts": ("kind", "name", "actor"),
        "uploads": ("name", "fingerprint", "state", "actor", "source", "file"),
        "subject_requests": ("kind", "state", "actor", "closed_by"),
        "exports": ("table_name", "fingerprint", "actor"),
        "jobs": (
            "kind",
            "payload",
            "idempotency_key",
            "actor",
            "state",
            "worker",
            "progress",
            "result",
            "error",
        ),
        "point_entries": ("key", "body", "kind", "actor", "rule"),
        "point_postings": ("account",),
        "point_lots": ("source",),
        "point_proposals": ("proposed_by", "state", "decided_by"),
        "consent_statements": (
            "key",
            "body",
            "purpose",
            "channel",
            "sensitive",
            "state",
            "text_version",
            "text_digest",
            "source",
            "mark",
            "actor",
        ),
        "audit_entries": ("actor", "action", "object", "details"),
        "audit_seals": ("method", "prev_hash", "hash"),
        # Those who work for the brand, not its customers.
        "users": ("name", "roles", "password_hash"),
        "sessions": ("digest", "csrf"),
        "second_factors": ("wrapped", "master_id"),
        "api_keys": ("name", "prefix", "digest", "roles", "created_by"),
    }
)
