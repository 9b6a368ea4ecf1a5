"""The points ledger: entries, postings, lots, accounts, and adjustments that wait for a second person."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)
# An erasure empties `reference` and `reason`; nothing else of an entry is ever changed.
_KEPT = (
    "entry_id", "key", "body", "kind", "customer_id", "from_customer_id", "points", "at", "recorded_at", "actor",
    "rule", "of_entry", "available_after", "pending_after", "owed_after",
)  # fmt: skip
_SQLITE_FROZEN = """
CREATE TRIGGER {table}_{event} BEFORE {what} ON {table}
BEGIN SELECT RAISE(ABORT, 'the points ledger is only added to'); END
"""
_POSTGRESQL_REFUSE = """
CREATE FUNCTION points_are_only_added_to() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'the points ledger is only added to'; END $$
"""
_POSTGRESQL_FROZEN = """
CREATE TRIGGER {table}_frozen BEFORE {what} OR DELETE OR TRUNCATE ON {table}
FOR EACH STATEMENT EXECUTE FUNCTION points_are_only_added_to()
"""


def upgrade() -> None:
    op.execute("INSERT INTO sequences (name, next_id) VALUES ('point_entry_id', 1), ('point_proposal_id', 1)")
    _entries()
    _postings()
    _lots()
    _accounts()
    _proposals()
    _freeze()


def _entries() -> None:
    kinds = "'earn', 'release', 'expire', 'redeem', 'give_back', 'reverse', 'adjust', 'transfer'"
    op.create_table(
        "point_entries",
        sa.Column("entry_id", _ID, nullable=False, autoincrement=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("body", sa.LargeBinary),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("from_customer_id", _ID),
        sa.Column("points", _ID, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.Column("recorded_at", _INSTANT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("rule", sa.Text),
        sa.Column("reference", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("of_entry", _ID),
        sa.Column("available_after", _ID, nullable=False),
        sa.Column("pending_after", _ID, nullable=False),
        sa.Column("owed_after", _ID, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", name="pk_point_entries"),
        sa.UniqueConstraint("key", name="uq_point_entries_key"),
        sa.ForeignKeyConstraint(["of_entry"], ["point_entries.entry_id"], name="fk_point_entries_of_entry"),
        sa.CheckConstraint(f"kind IN ({kinds})", name=op.f("ck_point_entries_kind")),
        sa.CheckConstraint("(key IS NULL) = (kind IN ('release', 'expire'))", name=op.f("ck_point_entries_key")),
        sa.CheckConstraint(
            "(kind = 'transfer') = (from_customer_id IS NOT NULL)", name=op.f("ck_point_entries_transfer")
        ),
        sa.CheckConstraint(
            "available_after >= 0 AND pending_after >= 0 AND owed_after >= 0", name=op.f("ck_point_entries_after")
        ),
    )
    op.create_index("ix_point_entries_customer_id", "point_entries", ["customer_id"])
    for column in ("from_customer_id", "reference", "of_entry"):
        there = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"ix_point_entries_{column}", "point_entries", [column], sqlite_where=there, postgresql_where=there
        )


def _postings() -> None:
    accounts = "'available', 'pending', 'owed', 'earned', 'redeemed', 'expired', 'adjusted'"
    op.create_table(
        "point_postings",
        sa.Column("entry_id", _ID, nullable=False),
        sa.Column("line", sa.Integer, nullable=False),
        sa.Column("account", sa.Text, nullable=False),
        sa.Column("customer_id", _ID),
        sa.Column("lot_id", _ID),
        sa.Column("amount", _ID, nullable=False),
        sa.PrimaryKeyConstraint("entry_id", "line", name="pk_point_postings"),
        sa.ForeignKeyConstraint(["entry_id"], ["point_entries.entry_id"], name="fk_point_postings_entry_id"),
        sa.CheckConstraint("amount <> 0", name=op.f("ck_point_postings_amount")),
        sa.CheckConstraint(
            "(customer_id IS NOT NULL) = (account IN ('available', 'pending', 'owed'))",
            name=op.f("ck_point_postings_customer"),
        ),
        sa.CheckConstraint(f"account IN ({accounts})", name=op.f("ck_point_postings_account")),
        sqlite_with_rowid=False,
    )


def _lots() -> None:
    op.create_table(
        "point_lots",
        sa.Column("lot_id", _ID, nullable=False, autoincrement=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("points", _ID, nullable=False),
        sa.Column("remaining", _ID, nullable=False),
        sa.Column("expired", _ID, nullable=False),
        sa.Column("reversed", _ID, nullable=False),
        sa.Column("recalled", _ID, nullable=False),
        sa.Column("released", sa.Boolean, nullable=False),
        sa.Column("available_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT),
        sa.Column("due_at", _INSTANT),
        sa.PrimaryKeyConstraint("lot_id", name="pk_point_lots"),
        sa.ForeignKeyConstraint(["lot_id"], ["point_entries.entry_id"], name="fk_point_lots_lot_id"),
        sa.CheckConstraint("source IN ('earned', 'adjusted')", name=op.f("ck_point_lots_source")),
        sa.CheckConstraint("points > 0", name=op.f("ck_point_lots_points")),
        sa.CheckConstraint(
            "remaining >= 0 AND expired >= 0 AND reversed >= 0 AND recalled >= 0", name=op.f("ck_point_lots_parts")
        ),
        sa.CheckConstraint(
            "remaining + expired + reversed <= points AND reversed + recalled <= points",
            name=op.f("ck_point_lots_whole"),
        ),
        sa.CheckConstraint("expires_at IS NULL OR expires_at > available_at", name=op.f("ck_point_lots_interval")),
    )
    op.create_index("ix_point_lots_customer_id", "point_lots", ["customer_id"])
    due = sa.text("due_at IS NOT NULL")
    op.create_index("ix_point_lots_due_at", "point_lots", ["due_at"], sqlite_where=due, postgresql_where=due)


def _accounts() -> None:
    op.create_table(
        "point_accounts",
        sa.Column("customer_id", _ID, nullable=False, autoincrement=False),
        sa.Column("available", _ID, nullable=False),
        sa.Column("pending", _ID, nullable=False),
        sa.Column("owed", _ID, nullable=False),
        sa.Column("last_at", _INSTANT),
        sa.PrimaryKeyConstraint("customer_id", name="pk_point_accounts"),
        sa.CheckConstraint("available >= 0 AND pending >= 0 AND owed >= 0", name=op.f("ck_point_accounts_balances")),
        sa.CheckConstraint("owed = 0 OR available = 0", name=op.f("ck_point_accounts_owed")),
    )


def _proposals() -> None:
    op.create_table(
        "point_proposals",
        sa.Column("proposal_id", _ID, nullable=False, autoincrement=False),
        sa.Column("customer_id", _ID, nullable=False),
        sa.Column("points", _ID, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("expires_at", _INSTANT),
        sa.Column("proposed_by", sa.Text, nullable=False),
        sa.Column("proposed_at", _INSTANT, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("decided_by", sa.Text),
        sa.Column("decided_at", _INSTANT),
        sa.Column("entry_id", _ID),
        sa.PrimaryKeyConstraint("proposal_id", name="pk_point_proposals"),
        sa.ForeignKeyConstraint(["entry_id"], ["point_entries.entry_id"], name="fk_point_proposals_entry_id"),
        sa.CheckConstraint("state IN ('proposed', 'approved', 'declined')", name=op.f("ck_point_proposals_state")),
        sa.CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name=op.f("ck_point_proposals_decided")),
        sa.CheckConstraint(
            "decided_by IS NULL OR decided_by <> proposed_by", name=op.f("ck_point_proposals_second_person")
        ),
        sa.CheckConstraint("(state = 'approved') = (entry_id IS NOT NULL)", name=op.f("ck_point_proposals_approved")),
    )
    op.create_index("ix_point_proposals_customer_id", "point_proposals", ["customer_id"])


def _freeze() -> None:
    columns = ", ".join(f'"{column}"' for column in _KEPT)
    changes = {"point_entries": f"UPDATE OF {columns}", "point_postings": "UPDATE"}
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
