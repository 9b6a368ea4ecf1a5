"""The log of received events: the key of each segment, and how far it has been absorbed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0008"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('segment_id', 1)")
    op.create_table(
        "log_segments",
        sa.Column("segment_id", _ID, nullable=False, autoincrement=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("master_id", sa.Text, nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("absorbed_to", _ID, nullable=False),
        sa.PrimaryKeyConstraint("segment_id", name="pk_log_segments"),
    )
