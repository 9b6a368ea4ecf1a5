"""Jobs and the audit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True)
_AUDIT = ("audit_entries", "audit_seals")

_SQLITE_FROZEN = """
CREATE TRIGGER {table}_{event} BEFORE {event} ON {table}
BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END
"""
_POSTGRESQL_REFUSE = """
CREATE FUNCTION audit_is_append_only() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the audit is append-only'; END $$
"""
_POSTGRESQL_FROZEN = """
CREATE TRIGGER {table}_frozen BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION audit_is_append_only()
"""


def upgrade() -> None:
    op.execute(sa.text("INSERT INTO sequences (name, next_id) VALUES ('job_id', 1), ('audit_seq', 1)"))
    _jobs()
    _audit()
    _freeze()


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("job_id", _ID, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("payload", sa.JSON, nullable=False),
        sa.Column("idempotency_key", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("enqueued_at", _INSTANT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("run_at", _INSTANT, nullable=False),
        sa.Column("attempt", sa.Integer, nullable=False),
        sa.Column("max_attempts", sa.Integer, nullable=False),
        sa.Column("worker", sa.Text),
        sa.Column("lease_until", _INSTANT),
        sa.Column("started_at", _INSTANT),
        sa.Column("ended_at", _INSTANT),
        sa.Column("cancel_asked_at", _INSTANT),
        sa.Column("progress", _JSON),
        sa.Column("result", _JSON),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("job_id", name="pk_jobs"),
        sa.UniqueConstraint("idempotency_key", name="uq_jobs_idempotency_key"),
        sa.CheckConstraint("state IN ('queued', 'running', 'done', 'failed', 'cancelled')", name=op.f("ck_jobs_state")),
        sa.CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name=op.f("ck_jobs_leased")),
        sa.CheckConstraint("(state = 'running') = (worker IS NOT NULL)", name=op.f("ck_jobs_worked_on")),
        sa.CheckConstraint("(state IN ('queued', 'running')) = (ended_at IS NULL)", name=op.f("ck_jobs_ended")),
        sa.CheckConstraint("attempt >= 0 AND attempt <= max_attempts", name=op.f("ck_jobs_attempts")),
    )
    op.create_index("ix_jobs_state_run_at", "jobs", ["state", "run_at"])


def _audit() -> None:
    op.create_table(
        "audit_entries",
        sa.Column("entry_id", _ID, nullable=False, autoincrement=True),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("object", sa.Text, nullable=False),
        sa.Column("details", _JSON),
        sa.PrimaryKeyConstraint("entry_id", name="pk_audit_entries"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_entries_object", "audit_entries", ["object"])
    op.create_table(
        "audit_seals",
        sa.Column("seq", _ID, nullable=False, autoincrement=False),
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("prev_hash", sa.Text, nullable=False),
        sa.Column("hash", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit_seals"),
        sa.ForeignKeyConstraint(["entry_id"], ["audit_entries.entry_id"], name="fk_audit_seals_entry_id"),
        sa.UniqueConstraint("entry_id", name="uq_audit_seals_entry_id"),
    )


def _freeze() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(_POSTGRESQL_REFUSE))
        for table in _AUDIT:
            op.execute(sa.text(_POSTGRESQL_FROZEN.format(table=table)))
        return
    for table in _AUDIT:
        for event in ("UPDATE", "DELETE"):
            op.execute(sa.text(_SQLITE_FROZEN.format(table=table, event=event)))
