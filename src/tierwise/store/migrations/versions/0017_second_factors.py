"""Second factors: the secret that a user's authenticator has too, and the last code that was used."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0014"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_AT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "second_factors",
        sa.Column("user_id", _ID, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("master_id", sa.Text, nullable=False),
        sa.Column("begun_at", _AT, nullable=False),
        sa.Column("confirmed_at", _AT),
        sa.Column("last_step", _ID, nullable=False),
        sa.PrimaryKeyConstraint("user_id", name="pk_second_factors"),
        sa.ForeignKeyConstraint(["user_id"], ["users.user_id"], name="fk_second_factors_user_id"),
    )
