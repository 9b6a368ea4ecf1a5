"""Every table of the store, with types that SQLite and PostgreSQL both know.

A change here needs a migration in `tierwise.store.migrations.versions`; a test compares the two.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

__all__ = [
    "METADATA",
    "Id",
    "Instant",
    "api_keys",
    "audit_entries",
    "audit_seals",
    "erasures",
    "exports",
    "facts",
    "identities",
    "identity_edges",
    "identity_reviews",
    "identity_versions",
    "import_keys",
    "jobs",
    "linkings",
    "log_segments",
    "people",
    "people_keys",
    "run_steps",
    "runs",
    "sequences",
    "sessions",
    "source_records",
    "tombstones",
    "users",
    "vault_keys",
]

#: A 64-bit id; SQLite gives 64 bits to `INTEGER`, and only that name makes a primary key the rowid.
Id = BigInteger().with_variant(Integer(), "sqlite")


class Instant(TypeDecorator[datetime]):
    """An instant, kept in UTC; a value without a zone is refused, because nobody could say what it means."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the instant in UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"an instant needs a time zone: {value!r}")
        instant = value.astimezone(UTC)
        return instant.replace(tzinfo=None) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Return the instant with its zone."""
        if value is None:
            return None
        assert isinstance(value, datetime)
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# The next free id of each kind. A row lock here orders those who number; a number taken is never given again.
sequences = Table(
    "sequences",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("next_id", Id, nullable=False),
)

# One row per key that a source uses for somebody; sources with one numbering share a key space.
source_records = Table(
    "source_records",
    METADATA,
    Column("source_record_id", Id, primary_key=True, autoincrement=False),
    Column("key_space", Text, nullable=False),
    Column("source_key", Text, nullable=False),
    UniqueConstraint("source_key", "key_space"),
)

# Every state the mapping of records to customers has had; a snapshot names the version it used.
identity_versions = Table(
    "identity_versions",
    METADATA,
    Column("version", Id, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("source_records_count", Id, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", Instant),
)

# Which customer a record belonged to, in versions [from_version, to_version).
identities = Table(
    "identities",
    METADATA,
    Column("source_record_id", Id, ForeignKey("source_records.source_record_id"), primary_key=True),
    Column("from_version", Id, ForeignKey("identity_versions.version"), primary_key=True),
    Column("to_version", Id),
    Column("customer_id", Id, nullable=False),
    CheckConstraint("to_version IS NULL OR to_version > from_version", name="interval"),
    Index(None, "customer_id"),
    sqlite_with_rowid=False,
)
Index(
    "uq_identities_current",
    identities.c.source_record_id,
    unique=True,
    sqlite_where=identities.c.to_version.is_(None),
    postgresql_where=identities.c.to_version.is_(None),
)

# What was run; a row that says `running` while nobody runs is what a killed run leaves, and what resumes.
runs = Table(
    "runs",
    METADATA,
    Column("run_id", Id, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("step", Text, nullable=False),
    Column("as_of", Instant),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("snapshot_id", Text),
    Column("definitions_hash", Text),
    Column("lake_version", Text),
    Column("actor", Text, nullable=False),
    Column("report", JSON(none_as_null=True)),
    Column("error", Text),
    CheckConstraint("state IN ('running', 'done', 'failed')", name="state"),
    CheckConstraint("(state = 'running') = (ended_at IS NULL)", name="ended"),
    Index(None, "state"),
)

# The steps a run has finished, with what the next attempt needs to know.
run_steps = Table(
    "run_steps",
    METADATA,
    Column("run_id", Id, ForeignKey("runs.run_id"), primary_key=True),
    Column("step", Text, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("payload", JSON(none_as_null=True)),
    UniqueConstraint("run_id", "position"),
)

# The vault's own secrets (roots of the blind indexes and of the tombstones), wrapped by a master key.
vault_keys = Table(
    "vault_keys",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_id", Text, nullable=False),
)

# The data key of each source record, wrapped by a master key: without its row nothing of the record can be read.
people_keys = Table(
    "people_keys",
    METADATA,
    Column("source_record_id", Id, ForeignKey("source_records.source_record_id"), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_id", Text, nullable=False),
    Index(None, "master_id"),
)

# Every personal value a record has had, once each; `digest` is a keyed hash of it, `blind_index` one of the identifier.
people = Table(
    "people",
    METADATA,
    Column("source_record_id", Id, ForeignKey("people_keys.source_record_id"), primary_key=True),
    Column("field", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("role", Text, nullable=False),
    Column("blind_index", LargeBinary),
    Column("ciphertext", LargeBinary, nullable=False),
    Column("first_received_at", Instant, nullable=False),
    Column("last_received_at", Instant, nullable=False),
    Column("last_line", Id, nullable=False),
    Index("ix_people_blind_index_role", "blind_index", "role"),
    sqlite_with_rowid=False,
)

# The key of the original texts that one import quarantined, wrapped by a master key; destroyed after 90 days.
import_keys = Table(
    "import_keys",
    METADATA,
    Column("import_id", Id, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_id", Text, nullable=False),
    Column("received_at", Instant, nullable=False),
)

# A segment of the log of received events: its key, wrapped by a master key, and how far it is in the lake.
log_segments = Table(
    "log_segments",
    METADATA,
    Column("segment_id", Id, primary_key=True, autoincrement=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_id", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("absorbed_to", Id, nullable=False),
)

# Who was erased or is being erased; `receipt` says what was destroyed, and never whose it was.
erasures = Table(
    "erasures",
    METADATA,
    Column("erasure_id", Id, primary_key=True, autoincrement=False),
    Column("customer_id", Id, nullable=False),
    Column("state", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("receipt", JSON(none_as_null=True)),
    CheckConstraint("state IN ('begun', 'destroyed', 'done')", name="state"),
    CheckConstraint("(state = 'done') = (ended_at IS NOT NULL)", name="ended"),
)

# Keyed hashes by which an erased person's rows are refused when they are imported again; they serve nothing else.
tombstones = Table(
    "tombstones",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("erasure_id", Id, ForeignKey("erasures.erasure_id"), nullable=False),
)

# Files that Tierwise wrote for somebody, so that an erasure can find them.
exports = Table(
    "exports",
    METADATA,
    Column("path", Text, primary_key=True),
    Column("table_name", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("written_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
)

# Work to be done by a worker. A row in state `running` whose lease is over belongs to whoever claims it next.
jobs = Table(
    "jobs",
    METADATA,
    Column("job_id", Id, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("payload", JSON, nullable=False),
    Column("idempotency_key", Text, unique=True),
    Column("actor", Text, nullable=False),
    Column("enqueued_at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("run_at", Instant, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("max_attempts", Integer, nullable=False),
    Column("worker", Text),
    Column("lease_until", Instant),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    Column("cancel_asked_at", Instant),
    Column("progress", JSON(none_as_null=True)),
    Column("result", JSON(none_as_null=True)),
    Column("error", Text),
    CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="leased"),
    CheckConstraint("(state = 'running') = (worker IS NOT NULL)", name="worked_on"),
    CheckConstraint("(state IN ('queued', 'running')) = (ended_at IS NULL)", name="ended"),
    CheckConstraint("attempt >= 0 AND attempt <= max_attempts", name="attempts"),
    Index(None, "state", "run_at"),
)

# Who did what; written in the transaction of the deed, never changed (a trigger refuses it). No personal data.
audit_entries = Table(
    "audit_entries",
    METADATA,
    Column("entry_id", Id, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("object", Text, nullable=False),
    Column("details", JSON(none_as_null=True)),
    Index(None, "object"),
    sqlite_autoincrement=True,
)

# The chain over the entries, written after their transactions: one head inside them would be one lock for all.
audit_seals = Table(
    "audit_seals",
    METADATA,
    Column("seq", Id, primary_key=True, autoincrement=False),
    Column("entry_id", Id, ForeignKey("audit_entries.entry_id"), nullable=False, unique=True),
    Column("method", Text, nullable=False),
    Column("prev_hash", Text, nullable=False),
    Column("hash", Text, nullable=False),
)

# What a person said of a customer: never changed, ended by a row that revokes its batch.
facts = Table(
    "facts",
    METADATA,
    Column("fact_id", Id, primary_key=True, autoincrement=False),
    Column("batch", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("customer_id", Id, nullable=False),
    Column("value", Text),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("valid_from", Instant, nullable=False),
    Column("valid_until", Instant),
    Column("revokes", Id, unique=True),
    CheckConstraint("kind IN ('pin', 'include', 'exclude', 'tag', 'list', 'revoke')", name="kind"),
    CheckConstraint("(kind = 'revoke') = (revokes IS NOT NULL)", name="revokes"),
    CheckConstraint("valid_until IS NULL OR valid_until > valid_from", name="interval"),
    Index(None, "customer_id"),
    Index(None, "batch"),
)

# Who uses the console. A password only as a slow hash; `failures` counts wrong ones in a row.
users = Table(
    "users",
    METADATA,
    Column("user_id", Id, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False, unique=True),
    Column("roles", JSON, nullable=False),
    Column("password_hash", Text),
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
    Column("failures", Integer, nullable=False),
    Column("locked_until", Instant),
)

# Who is logged in: the hash of what their browser holds.
sessions = Table(
    "sessions",
    METADATA,
    Column("digest", LargeBinary, primary_key=True),
    Column("user_id", Id, ForeignKey("users.user_id"), nullable=False),
    Column("csrf", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("seen_at", Instant, nullable=False),
    Index(None, "user_id"),
)

# Keys for programs: the hash of the secret, and the part of it that may be shown.
api_keys = Table(
    "api_keys",
    METADATA,
    Column("key_id", Id, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False, unique=True),
    Column("roles", JSON, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("created_by", Text, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

# Why two records are, or are not, one person, in identity versions [from_version, to_version). `method` is an
# identifier, `person` for a decision by hand, `model` for a probability. Of two `different` ones the first record was
# taken out of the customer in whom the other stayed.
identity_edges = Table(
    "identity_edges",
    METADATA,
    Column("edge_id", Id, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("method", Text, nullable=False),
    Column("source_record_id", Id, nullable=False),
    Column("other_record_id", Id, nullable=False),
    Column("score", Float),
    Column("from_version", Id, nullable=False),
    Column("to_version", Id),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("reason", Text),
    Column("retracted_at", Instant),
    Column("retracted_by", Text),
    Column("retracted_reason", Text),
    CheckConstraint("kind IN ('same', 'different')", name="kind"),
    CheckConstraint("source_record_id <> other_record_id", name="two"),
    CheckConstraint("(to_version IS NULL) = (retracted_at IS NULL)", name="retracted"),
    Index(None, "source_record_id"),
    Index(None, "other_record_id"),
)

# Two records that may be one person, for somebody to decide; `levels` says how far each field agrees, never what it is.
identity_reviews = Table(
    "identity_reviews",
    METADATA,
    Column("review_id", Id, primary_key=True, autoincrement=False),
    Column("source_record_id", Id, nullable=False),
    Column("other_record_id", Id, nullable=False),
    Column("score", Float, nullable=False),
    Column("levels", JSON(none_as_null=True)),
    Column("state", Text, nullable=False),
    Column("opened_at", Instant, nullable=False),
    Column("decided_at", Instant),
    Column("actor", Text),
    Column("reason", Text),
    CheckConstraint("state IN ('open', 'same', 'different', 'settled')", name="state"),
    CheckConstraint("(state = 'open') = (decided_at IS NULL)", name="decided"),
    UniqueConstraint("source_record_id", "other_record_id"),
    Index(None, "other_record_id"),
    Index(None, "state", "score"),
)

# A linking that has ended: of which rows of the lake, as declared how, and what it found.
linkings = Table(
    "linkings",
    METADATA,
    Column("linking_id", Id, primary_key=True, autoincrement=False),
    Column("identity_version", Id, nullable=False),
    Column("lake_version", Id, nullable=False),
    Column("declared", Text, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("report", JSON(none_as_null=True)),
)
