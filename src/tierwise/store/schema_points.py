"""The tables of the points ledger: entries and postings, never changed; lots and accounts, which follow from them."""

from __future__ import annotations

from sqlalchemy import Boolean, CheckConstraint, Column, ForeignKey, Index, Integer, LargeBinary, Table, Text

from tierwise.store.schema import METADATA, Id, Instant

__all__ = ["point_accounts", "point_entries", "point_lots", "point_postings", "point_proposals"]

# What happened to points, one row per deed; `points` is what the customer gained or lost by it. `key` and `body` are
# digests of the caller's key and of what was asked.
point_entries = Table(
    "point_entries",
    METADATA,
    Column("entry_id", Id, primary_key=True, autoincrement=False),
    Column("key", LargeBinary, unique=True),
    Column("body", LargeBinary),
    Column("kind", Text, nullable=False),
    Column("customer_id", Id, nullable=False),
    Column("from_customer_id", Id),
    Column("points", Id, nullable=False),
    Column("at", Instant, nullable=False),
    Column("recorded_at", Instant, nullable=False),
    Column("actor", Text, nullable=False),
    Column("rule", Text),
    Column("reference", Text),
    Column("reason", Text),
    Column("of_entry", Id, ForeignKey("point_entries.entry_id")),
    Column("available_after", Id, nullable=False),
    Column("pending_after", Id, nullable=False),
    Column("owed_after", Id, nullable=False),
    CheckConstraint(
        "kind IN ('earn', 'release', 'expire', 'redeem', 'give_back', 'reverse', 'adjust', 'transfer')", name="kind"
    ),
    CheckConstraint("(key IS NULL) = (kind IN ('release', 'expire'))", name="key"),
    CheckConstraint("(kind = 'transfer') = (from_customer_id IS NOT NULL)", name="transfer"),
    CheckConstraint("available_after >= 0 AND pending_after >= 0 AND owed_after >= 0", name="after"),
    Index(None, "customer_id"),
)
for _name in ("from_customer_id", "reference", "of_entry"):
    _column = point_entries.c[_name]
    Index(
        f"ix_point_entries_{_name}", _column, sqlite_where=_column.is_not(None), postgresql_where=_column.is_not(None)
    )

# The lines of an entry, which sum to 0: what each account gains or loses, and of which lot.
point_postings = Table(
    "point_postings",
    METADATA,
    Column("entry_id", Id, ForeignKey("point_entries.entry_id"), primary_key=True),
    Column("line", Integer, primary_key=True),
    Column("account", Text, nullable=False),
    Column("customer_id", Id),
    Column("lot_id", Id),
    Column("amount", Id, nullable=False),
    CheckConstraint("amount <> 0", name="amount"),
    CheckConstraint("(customer_id IS NOT NULL) = (account IN ('available', 'pending', 'owed'))", name="customer"),
    CheckConstraint(
        "account IN ('available', 'pending', 'owed', 'earned', 'redeemed', 'expired', 'adjusted')", name="account"
    ),
    sqlite_with_rowid=False,
)

# Points earned at once: what is left of them, and when they become available and expire. Its number is its entry's.
# Of what was taken back `reversed` was still in the lot; `recalled` had been spent: it came from elsewhere, or is owed.
point_lots = Table(
    "point_lots",
    METADATA,
    Column("lot_id", Id, ForeignKey("point_entries.entry_id"), primary_key=True, autoincrement=False),
    Column("customer_id", Id, nullable=False),
    Column("source", Text, nullable=False),
    Column("points", Id, nullable=False),
    Column("remaining", Id, nullable=False),
    Column("expired", Id, nullable=False),
    Column("reversed", Id, nullable=False),
    Column("recalled", Id, nullable=False),
    Column("released", Boolean, nullable=False),
    Column("available_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("due_at", Instant),
    CheckConstraint("source IN ('earned', 'adjusted')", name="source"),
    CheckConstraint("points > 0", name="points"),
    CheckConstraint("remaining >= 0 AND expired >= 0 AND reversed >= 0 AND recalled >= 0", name="parts"),
    CheckConstraint("remaining + expired + reversed <= points AND reversed + recalled <= points", name="whole"),
    CheckConstraint("expires_at IS NULL OR expires_at > available_at", name="interval"),
    Index(None, "customer_id"),
)
Index(
    "ix_point_lots_due_at",
    point_lots.c.due_at,
    sqlite_where=point_lots.c.due_at.is_not(None),
    postgresql_where=point_lots.c.due_at.is_not(None),
)

# What a customer has now. Only customers have a row: a balance of the brand would be one row that everybody waits for.
point_accounts = Table(
    "point_accounts",
    METADATA,
    Column("customer_id", Id, primary_key=True, autoincrement=False),
    Column("available", Id, nullable=False),
    Column("pending", Id, nullable=False),
    Column("owed", Id, nullable=False),
    Column("last_at", Instant),
    CheckConstraint("available >= 0 AND pending >= 0 AND owed >= 0", name="balances"),
    CheckConstraint("owed = 0 OR available = 0", name="owed"),
)

# Adjustments that wait for a second person.
point_proposals = Table(
    "point_proposals",
    METADATA,
    Column("proposal_id", Id, primary_key=True, autoincrement=False),
    Column("customer_id", Id, nullable=False),
    Column("points", Id, nullable=False),
    Column("reason", Text),
    Column("expires_at", Instant),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Instant, nullable=False),
    Column("state", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Instant),
    Column("entry_id", Id, ForeignKey("point_entries.entry_id")),
    CheckConstraint("state IN ('proposed', 'approved', 'declined')", name="state"),
    CheckConstraint("(state = 'proposed') = (decided_by IS NULL)", name="decided"),
    CheckConstraint("decided_by IS NULL OR decided_by <> proposed_by", name="second_person"),
    CheckConstraint("(state = 'approved') = (entry_id IS NOT NULL)", name="approved"),
    Index(None, "customer_id"),
)
