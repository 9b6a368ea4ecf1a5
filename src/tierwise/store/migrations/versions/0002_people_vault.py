"""The people vault: wrapped keys, encrypted values, erasures and their tombstones, registered exports."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_JSON = sa.JSON(none_as_null=True)


def upgrade() -> None:
    _keys()
    _people()
    _erasures()


def _keys() -> None:
    op.create_table(
        "vault_keys",
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("master_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_vault_keys"),
    )
    op.create_table(
        "people_keys",
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("master_id", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("source_record_id", name="pk_people_keys"),
        sa.ForeignKeyConstraint(
            ["source_record_id"], ["source_records.source_record_id"], name="fk_people_keys_source_record_id"
        ),
    )
    op.create_index("ix_people_keys_master_id", "people_keys", ["master_id"])
    op.create_table(
        "import_keys",
        sa.Column("import_id", _ID, nullable=False, autoincrement=False),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("master_id", sa.Text, nullable=False),
        sa.Column("received_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("import_id", name="pk_import_keys"),
    )


def _people() -> None:
    op.create_table(
        "people",
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("role", sa.Text, nullable=False),
        sa.Column("blind_index", sa.LargeBinary),
        sa.Column("ciphertext", sa.LargeBinary, nullable=False),
        sa.Column("first_received_at", _INSTANT, nullable=False),
        sa.Column("last_received_at", _INSTANT, nullable=False),
        sa.Column("last_line", _ID, nullable=False),
        sa.PrimaryKeyConstraint("source_record_id", "field", "digest", name="pk_people"),
        sa.ForeignKeyConstraint(
            ["source_record_id"], ["people_keys.source_record_id"], name="fk_people_source_record_id"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_people_blind_index_role", "people", ["blind_index", "role"])


def _erasures() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('erasure_id', 1)")
    op.create_table(
        "erasures",
        sa.Column("erasure_id", _ID, nullable=False, autoincrement=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("begun_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT),
        sa.Column("receipt", _JSON),
        sa.PrimaryKeyConstraint("erasure_id", name="pk_erasures"),
        sa.CheckConstraint("state IN ('begun', 'destroyed', 'done')", name=op.f("ck_erasures_state")),
        sa.CheckConstraint("(state = 'done') = (ended_at IS NOT NULL)", name=op.f("ck_erasures_ended")),
    )
    op.create_table(
        "tombstones",
        sa.Column("digest", sa.LargeBinary, nullable=False),
        sa.Column("erasure_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_tombstones"),
        sa.ForeignKeyConstraint(["erasure_id"], ["erasures.erasure_id"], name="fk_tombstones_erasure_id"),
    )
    op.create_table(
        "exports",
        sa.Column("path", sa.Text, nullable=False),
        sa.Column("table_name", sa.Text, nullable=False),
        sa.Column("fingerprint", sa.Text, nullable=False),
        sa.Column("written_at", _INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("path", name="pk_exports"),
    )
