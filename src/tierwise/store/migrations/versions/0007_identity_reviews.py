"""Identity: pairs of records that may be one person, for somebody to decide."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('review_id', 1)")
    op.create_table(
        "identity_reviews",
        sa.Column("review_id", _ID, nullable=False, autoincrement=False),
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("other_record_id", _ID, nullable=False),
        sa.Column("score", sa.Float, nullable=False),
        sa.Column("levels", sa.JSON(none_as_null=True)),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("opened_at", _INSTANT, nullable=False),
        sa.Column("decided_at", _INSTANT),
        sa.Column("actor", sa.Text),
        sa.Column("reason", sa.Text),
        sa.PrimaryKeyConstraint("review_id", name="pk_identity_reviews"),
        sa.UniqueConstraint(
            "source_record_id", "other_record_id", name="uq_identity_reviews_source_record_id_other_record_id"
        ),
        sa.CheckConstraint("state IN ('open', 'same', 'different', 'settled')", name=op.f("ck_identity_reviews_state")),
        sa.CheckConstraint("(state = 'open') = (decided_at IS NULL)", name=op.f("ck_identity_reviews_decided")),
    )
    op.create_index("ix_identity_reviews_other_record_id", "identity_reviews", ["other_record_id"])
    op.create_index("ix_identity_reviews_state_score", "identity_reviews", ["state", "score"])
