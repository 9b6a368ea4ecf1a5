"""Facts by hand: what a person said of a customer, why and until when."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('fact_id', 1)")
    op.create_table(
        "facts",
        sa.Column("fact_id", _ID, nullable=False, autoincrement=False),
        sa.Column("batch", _ID, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("value", sa.Text),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("valid_from", _INSTANT, nullable=False),
        sa.Column("valid_until", _INSTANT),
        sa.Column("revokes", _ID),
        sa.PrimaryKeyConstraint("fact_id", name="pk_facts"),
        sa.UniqueConstraint("revokes", name="uq_facts_revokes"),
        sa.CheckConstraint(
            "kind IN ('pin', 'include', 'exclude', 'tag', 'list', 'revoke')", name=op.f("ck_facts_kind")
        ),
        sa.CheckConstraint("(kind = 'revoke') = (revokes IS NOT NULL)", name=op.f("ck_facts_revokes")),
        sa.CheckConstraint("valid_until IS NULL OR valid_until > valid_from", name=op.f("ck_facts_interval")),
    )
    op.create_index("ix_facts_customer_id", "facts", ["customer_id"])
    op.create_index("ix_facts_batch", "facts", ["batch"])
