"""Ids and runs: the first tables of the store."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _ids()
    _runs()


def _ids() -> None:
    sequences = op.create_table(
        "sequences",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("next_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_sequences"),
    )
    op.bulk_insert(
        sequences,
        [{"name": name, "next_id": 1} for name in ("source_record_id", "customer_id", "identity_version", "run_id")],
    )
    op.create_table(
        "source_records",
        sa.Column("source_record_id", _ID, nullable=False, autoincrement=False),
        sa.Column("key_space", sa.Text, nullable=False),
        sa.Column("source_key", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_record_id", name="pk_source_records"),
        sa.UniqueConstraint("source_key", "key_space", name="uq_source_records_source_key_key_space"),
    )
    op.create_table(
        "identity_versions",
        sa.Column("version", _ID, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("source_records_count", _ID, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("recorded_at", _INSTANT),
        sa.PrimaryKeyConstraint("version", name="pk_identity_versions"),
    )
    op.create_table(
        "identities",
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("from_version", _ID, nullable=False),
        sa.Column("to_version", _ID),
        sa.Column("customer_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("source_record_id", "from_version", name="pk_identities"),
        sa.ForeignKeyConstraint(
            ["source_record_id"], ["source_records.source_record_id"], name="fk_identities_source_record_id"
        ),
        sa.ForeignKeyConstraint(["from_version"], ["identity_versions.version"], name="fk_identities_from_version"),
        sa.CheckConstraint("to_version IS NULL OR to_version > from_version", name=op.f("ck_identities_interval")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_identities_customer_id", "identities", ["customer_id"])
    current = sa.text("to_version IS NULL")
    op.create_index(
        "uq_identities_current",
        "identities",
        ["source_record_id"],
        unique=True,
        sqlite_where=current,
        postgresql_where=current,
    )


def _runs() -> None:
    op.create_table(
        "runs",
        sa.Column("run_id", _ID, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("as_of", _INSTANT),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("snapshot_id", sa.Text),
        sa.Column("definitions_hash", sa.Text),
        sa.Column("lake_version", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("report", _JSON),
        sa.Column("error", sa.Text),
        sa.PrimaryKeyConstraint("run_id", name="pk_runs"),
        sa.CheckConstraint("state IN ('running', 'done', 'failed')", name=op.f("ck_runs_state")),
        sa.CheckConstraint("(state = 'running') = (ended_at IS NULL)", name=op.f("ck_runs_ended")),
    )
    op.create_index("ix_runs_state", "runs", ["state"])
    op.create_table(
        "run_steps",
        sa.Column("run_id", _ID, nullable=False),
        sa.Column("step", sa.Text, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("payload", _JSON),
        sa.PrimaryKeyConstraint("run_id", "step", name="pk_run_steps"),
        sa.ForeignKeyConstraint(["run_id"], ["runs.run_id"], name="fk_run_steps_run_id"),
        sa.UniqueConstraint("run_id", "position", name="uq_run_steps_run_id_position"),
    )
