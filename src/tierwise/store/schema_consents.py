"""The tables of consent: statements, never changed; the records they are about; and what follows for each customer."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text, UniqueConstraint

from tierwise.store.schema import METADATA, Id, Instant

__all__ = ["consent_records", "consent_statements", "consent_states"]

# What a person said about one purpose on one channel. `key` and `body` are digests of the caller's key and of what was
# asked, `place` tells apart what was asked at once; `batch` is the first of those that one audit entry answers for,
# with a digest of them all. `mark` is a hash of the evidence under `salt`; an erasure empties evidence and salt.
consent_statements = Table(
    "consent_statements",
    METADATA,
    Column("statement_id", Id, primary_key=True, autoincrement=False),
    Column("batch", Id, nullable=False),
    Column("key", LargeBinary, nullable=False),
    Column("place", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("source_record_id", Id, nullable=False),
    Column("customer_id", Id, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("sensitive", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("text_version", Text),
    Column("text_digest", LargeBinary),
    Column("source", Text, nullable=False),
    Column("evidence", Text),
    Column("salt", LargeBinary),
    Column("mark", LargeBinary),
    Column("said_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    UniqueConstraint("key", "place"),
    CheckConstraint("state IN ('granted', 'withdrawn', 'expired')", name="state"),
    CheckConstraint("state <> 'granted' OR text_version IS NOT NULL", name="text"),
    CheckConstraint("(text_version IS NULL) = (text_digest IS NULL)", name="words"),
    CheckConstraint("expires_at IS NULL OR (state = 'granted' AND expires_at > said_at)", name="interval"),
    Index(None, "source_record_id"),
    Index(None, "batch"),
    Index(None, "purpose", "text_version"),
)

# The source records that a statement is about: all that were the customer's when it was recorded.
consent_records = Table(
    "consent_records",
    METADATA,
    Column("source_record_id", Id, primary_key=True),
    Column("statement_id", Id, ForeignKey("consent_statements.statement_id"), primary_key=True),
    Index(None, "statement_id"),
    sqlite_with_rowid=False,
)

# What follows for a customer as of the newest statement: granted (until `expires_at`), withdrawn or expired, and since
# which statement. No row means that nothing was ever said, which is a refusal.
consent_states = Table(
    "consent_states",
    METADATA,
    Column("customer_id", Id, primary_key=True, autoincrement=False),
    Column("purpose", Text, primary_key=True),
    Column("channel", Text, primary_key=True),
    Column("state", Text, nullable=False),
    Column("since", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("statement_id", Id, nullable=False),
    CheckConstraint("state IN ('granted', 'withdrawn', 'expired')", name="state"),
    Index(None, "purpose", "channel", "state"),
    sqlite_with_rowid=False,
)
