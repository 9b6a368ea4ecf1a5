"""Consent: statements, the records they are about, and the state that follows for each customer."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
_STATES = "state IN ('granted', 'withdrawn', 'expired')"
# An erasure empties `evidence` and `salt`; nothing else of a statement is ever changed.
_KEPT = (
    "statement_id", "batch", "key", "place", "body", "source_record_id", "customer_id", "purpose", "channel",
    "sensitive", "state", "text_version", "text_digest", "source", "mark", "said_at", "expires_at", "recorded_at",
    "actor",
)  # fmt: skip
_SQLITE_FROZEN = """
CREATE TRIGGER {table}_{event} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, 'statements of consent are only added to'); END
"""
_POSTGRESQL_REFUSE = """
CREATE FUNCTION consents_are_only_added_to() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'statements of consent are only added to'; END $$
"""
_POSTGRESQL_FROZEN = """
CREATE TRIGGER {table}_frozen BEFORE {what} OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION consents_are_only_added_to()
"""


def upgrade() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('consent_statement_id', 1)")
    _statements()
    _records()
    _states()
    _freeze()


def _statements() -> None:
    op.create_table(
        "consent_statements",
        sa.Column("statement_id", _ID, nullable=False, autoincrement=False),
        sa.Column("batch", _ID, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("place", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("sensitive", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("text_version", sa.Text),
        sa.Column("text_digest", sa.LargeBinary),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("evidence", sa.Text),
        sa.Column("salt", sa.LargeBinary),
        sa.Column("mark", sa.LargeBinary),
        sa.Column("said_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("statement_id", name="pk_consent_statements"),
        sa.UniqueConstraint("key", "place", name="uq_consent_statements_key_place"),
        sa.CheckConstraint(_STATES, name=op.f("ck_consent_statements_state")),
        sa.CheckConstraint("state <> 'granted' OR text_version IS NOT NULL", name=op.f("ck_consent_statements_text")),
        sa.CheckConstraint("(text_version IS NULL) = (text_digest IS NULL)", name=op.f("ck_consent_statements_words")),
        sa.CheckConstraint(
            "expires_at IS NULL OR (state = 'granted' AND expires_at > said_at)",
            name=op.f("ck_consent_statements_interval"),
        ),
    )
    for columns in (("source_record_id",), ("batch",), ("purpose", "text_version")):
        op.create_index(f"ix_consent_statements_{'_'.join(columns)}", "consent_statements", list(columns))


def _records() -> None:
    op.create_table(
        "consent_records",
        sa.Column("source_record_id", _ID, nullable=False),
        sa.Column("statement_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("source_record_id", "statement_id", name="pk_consent_records"),
        sa.ForeignKeyConstraint(
            ["statement_id"], ["consent_statements.statement_id"], name="fk_consent_records_statement_id"
        ),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_consent_records_statement_id", "consent_records", ["statement_id"])


def _states() -> None:
    op.create_table(
        "consent_states",
        sa.Column("customer_id", _ID, nullable=False, autoincrement=False),
        sa.Column("purpose", sa.Text, nullable=False),
        sa.Column("channel", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("since", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("statement_id", _ID, nullable=False),
        sa.PrimaryKeyConstraint("customer_id", "purpose", "channel", name="pk_consent_states"),
        sa.CheckConstraint(_STATES, name=op.f("ck_consent_states_state")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_consent_states_purpose_channel_state", "consent_states", ["purpose", "channel", "state"])


def _freeze() -> None:
    columns = ", ".join(f'"{column}"' for column in _KEPT)
    changes = {"consent_statements": f"UPDATE OF {columns}", "consent_records": "UPDATE"}
    if op.get_bind().dialect.name == "postgresql":
        op.execute(sa.text(_POSTGRESQL_REFUSE))
        for table, what in changes.items():
            op.execute(sa.text(_POSTGRESQL_FROZEN.format(table=table, what=what)))
        return
    for table, what in changes.items():
        for event in ("UPDATE", "DELETE"):
            op.execute(
                sa.text(_SQLITE_FROZEN.format(table=table, event=event, what=what if event == "UPDATE" else event))
            )
