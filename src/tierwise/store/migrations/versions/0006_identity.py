"""Identity: edges between records, and the linkings that found them."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    for name in ("edge_id", "linking_id"):
        op.execute(f"INSERT INTO sequences (name, next_id) VALUES ('{name}', 1)")
    op.create_table(
        "identity_edges",
        sa.Column("edge_id", _ID, nullable=False, autoincrement=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("other_record_id", _ID, nullable=False),
        sa.Column("score", sa.Float),
        sa.Column("from_version", _ID, nullable=False),
        sa.Column("to_version", _ID),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("retracted_at", _INSTANT),
        sa.Column("retracted_by", sa.Text),
        sa.Column("retracted_reason", sa.Text),
        sa.PrimaryKeyConstraint("edge_id", name="pk_identity_edges"),
        sa.CheckConstraint("kind IN ('same', 'different')", name=op.f("ck_identity_edges_kind")),
        sa.CheckConstraint("source_record_id <> other_record_id", name=op.f("ck_identity_edges_two")),
        sa.CheckConstraint("(to_version IS NULL) = (retracted_at IS NULL)", name=op.f("ck_identity_edges_retracted")),
    )
    op.create_index("ix_identity_edges_source_record_id", "identity_edges", ["source_record_id"])
    op.create_index("ix_identity_edges_other_record_id", "identity_edges", ["other_record_id"])
    op.create_table(
        "linkings",
        sa.Column("linking_id", _ID, nullable=False, autoincrement=False),
        sa.Column("identity_version", _ID, nullable=False),
        sa.Column("lake_version", _ID, nullable=False),
        sa.Column("declared", sa.Text, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("report", sa.JSON(none_as_null=True)),
        sa.PrimaryKeyConstraint("linking_id", name="pk_linkings"),
    )
