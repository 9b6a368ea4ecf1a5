"""The tables of the server: uploaded files, what people ask about their own data, second factors of its users."""

from __future__ import annotations

from sqlalchemy import CheckConstraint, Column, ForeignKey, Index, LargeBinary, Table, Text

from tierwise.store.schema import METADATA, Id, Instant

__all__ = ["second_factors", "subject_requests", "uploads"]

# A file that somebody has sent: looked at, then committed to the project's files, or discarded.
uploads = Table(
    "uploads",
    METADATA,
    Column("upload_id", Id, primary_key=True, autoincrement=False),
    Column("name", Text, nullable=False),
    Column("size_bytes", Id, nullable=False),
    Column("fingerprint", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("uploaded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("source", Text),
    Column("file", Text),
    Column("job_id", Id),
    Column("ended_at", Instant),
    CheckConstraint("state IN ('uploaded', 'committed', 'discarded')", name="state"),
    CheckConstraint("(state = 'uploaded') = (ended_at IS NULL)", name="ended"),
    CheckConstraint("(state = 'committed') = (job_id IS NOT NULL)", name="job"),
    Index(None, "state"),
)

# What a person has asked about their own data, by when it is due, and how it ended.
subject_requests = Table(
    "subject_requests",
    METADATA,
    Column("request_id", Id, primary_key=True, autoincrement=False),
    Column("customer_id", Id, nullable=False),
    Column("kind", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("note", Text),
    Column("requested_at", Instant, nullable=False),
    Column("due_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("closed_at", Instant),
    Column("closed_by", Text),
    CheckConstraint("kind IN ('export', 'rectify', 'restrict', 'erase')", name="kind"),
    CheckConstraint("state IN ('open', 'done', 'refused')", name="state"),
    CheckConstraint("(state = 'open') = (closed_at IS NULL)", name="closed"),
    Index(None, "state", "due_at"),
    Index(None, "customer_id"),
)

# The secret that a user's authenticator has too, wrapped by a master key; `last_step` is that of the last code used.
second_factors = Table(
    "second_factors",
    METADATA,
    Column("user_id", Id, ForeignKey("users.user_id"), primary_key=True),
    Column("wrapped", LargeBinary, nullable=False),
    Column("master_id", Text, nullable=False),
    Column("begun_at", Instant, nullable=False),
    Column("confirmed_at", Instant),
    Column("last_step", Id, nullable=False),
)
