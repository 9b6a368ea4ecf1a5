"""Numbers that are given once: the next ids of a kind, taken in order and never again."""

from __future__ import annotations

from sqlalchemy import Connection, select, update

from tierwise.store.schema import sequences

__all__ = ["reserve", "take"]


def reserve(connection: Connection, name: str) -> None:
    """Make other writers of this kind wait until the transaction ends; what is read from now on holds.

    SQLite has one writer anyway; there this reads one row.
    """
    row = select(sequences.c.next_id).where(sequences.c.name == name)
    connection.execute(row.with_for_update()).scalar_one()


def take(connection: Connection, name: str, count: int = 1) -> int:
    """Take `count` consecutive numbers and return the first; other writers wait until the transaction ends."""
    assert count >= 1
    raised = update(sequences).where(sequences.c.name == name).values(next_id=sequences.c.next_id + count)
    next_id = connection.execute(raised.returning(sequences.c.next_id)).scalar_one()
    return int(next_id) - count
