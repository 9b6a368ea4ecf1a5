"""The proof of the points' books: every entry balances, and every balance and lot is the sum of its postings."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, or_, select

from tierwise.store.audit import Finding
from tierwise.store.schema_points import point_accounts, point_entries, point_lots, point_postings

__all__ = ["check_points"]

_SHOWN: Final = 20
_OWN: Final = ("available", "pending", "owed")


def check_points(connection: Connection) -> Iterator[Finding]:
    """Look over the ledger; give what does not hold.

    Args:
        connection: a reading transaction.
    """
    yield from _entries(connection)
    yield from _accounts(connection)
    yield from _lots(connection)


def _entries(connection: Connection) -> Iterator[Finding]:
    lines = (
        select(point_postings.c.entry_id, func.sum(point_postings.c.amount).label("total"))
        .group_by(point_postings.c.entry_id)
        .having(func.sum(point_postings.c.amount) != 0)
    )
    yield from _each(connection, lines, "entry {} of the points does not balance: its postings sum to {}")
    there = select(point_postings.c.entry_id).where(point_postings.c.entry_id == point_entries.c.entry_id).exists()
    empty = select(point_entries.c.entry_id, point_entries.c.kind).where(~there, point_entries.c.points != 0)
    yield from _each(connection, empty, "entry {} of the points ({}) has no postings")
    row = select(point_entries.c.entry_id).where(point_entries.c.entry_id == point_postings.c.entry_id).exists()
    stray = select(point_postings.c.entry_id, point_postings.c.line).where(~row)
    yield from _each(connection, stray, "posting {}.{} belongs to no entry of the points")
    newest = select(func.max(point_entries.c.entry_id), func.count())
    highest, count = connection.execute(newest).one()
    if (highest or 0) != count:
        yield Finding("points", f"{count} entries are numbered up to {highest or 0}: some are missing")


def _accounts(connection: Connection) -> Iterator[Finding]:
    """Compare each customer's three balances with their postings, and the last entry's word with them."""
    sums = [
        func.sum(case((point_postings.c.account == name, point_postings.c.amount), else_=0)).label(name)
        for name in _OWN
    ]
    posted = select(point_postings.c.customer_id, *sums).where(point_postings.c.customer_id.is_not(None))
    mine = posted.group_by(point_postings.c.customer_id).subquery()
    kept = point_accounts.c
    joined = point_accounts.outerjoin(mine, mine.c.customer_id == kept.customer_id)
    differs = or_(
        kept.available != func.coalesce(mine.c.available, 0),
        kept.pending != func.coalesce(mine.c.pending, 0),
        kept.owed != -func.coalesce(mine.c.owed, 0),
    )
    wrong = select(kept.customer_id, kept.available, func.coalesce(mine.c.available, 0)).select_from(joined)
    message = "customer {}'s points differ from their postings: {} kept as available, {} posted"
    yield from _each(connection, wrong.where(differs), message)
    without = select(mine.c.customer_id).outerjoin(point_accounts, kept.customer_id == mine.c.customer_id)
    yield from _each(connection, without.where(kept.customer_id.is_(None)), "customer {} has postings and no account")
    negative = select(kept.customer_id).where(or_(kept.available < 0, kept.pending < 0, kept.owed < 0))
    yield from _each(connection, negative, "customer {} has a negative balance of points")


def _lots(connection: Connection) -> Iterator[Finding]:
    """Compare each lot with the postings that name it, and the lots of a customer with their balances."""
    account, amount = point_postings.c.account, point_postings.c.amount

    def total(names: Sequence[str], sign: int = 1) -> ColumnElement[int]:
        return func.sum(case((account.in_(names), sign * amount), else_=0))

    posted = (
        select(
            point_postings.c.lot_id,
            total(("available", "pending")).label("remaining"),
            total(("expired",)).label("expired"),
            total(("earned", "adjusted"), -1).label("kept"),
        )
        .where(point_postings.c.lot_id.is_not(None))
        .group_by(point_postings.c.lot_id)
        .subquery()
    )
    lot = point_lots.c
    joined = point_lots.outerjoin(posted, posted.c.lot_id == lot.lot_id)
    differs = or_(
        posted.c.lot_id.is_(None),
        lot.remaining != posted.c.remaining,
        lot.expired != posted.c.expired,
        lot.points - lot.reversed - lot.recalled != posted.c.kept,
    )
    wrong = select(lot.lot_id, lot.remaining, func.coalesce(posted.c.remaining, 0)).select_from(joined)
    message = "lot {} of points differs from its postings: {} kept as left, {} posted"
    yield from _each(connection, wrong.where(differs), message)
    sums = [
        func.sum(case((lot.released, lot.remaining), else_=0)).label("available"),
        func.sum(case((lot.released, 0), else_=lot.remaining)).label("pending"),
    ]
    held = select(lot.customer_id, *sums).group_by(lot.customer_id).subquery()
    kept = point_accounts.c
    other = or_(held.c.available != kept.available, held.c.pending != kept.pending)
    apart = select(kept.customer_id).join(held, and_(held.c.customer_id == kept.customer_id, other))
    yield from _each(connection, apart, "customer {}'s points differ from what is left in their lots")
    due = case((lot.remaining == 0, None), (lot.released, lot.expires_at), else_=lot.available_at)
    late = select(lot.lot_id).where(due.is_distinct_from(lot.due_at))
    yield from _each(connection, late, "lot {} of points would not be released, or expire, in time")


def _each(connection: Connection, chosen: Select[Any], message: str) -> Iterator[Finding]:
    for row in connection.execute(chosen.limit(_SHOWN)):
        yield Finding("points", message.format(*row))
