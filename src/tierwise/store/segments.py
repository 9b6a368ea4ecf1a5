"""Segments of the log of received events: each has a key of its own, destroyed once its events are absorbed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select, update

from tierwise.store.keys import make_key
from tierwise.store.schema import log_segments
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions
from tierwise.store.vault import Vault

__all__ = ["Segment", "Segments"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment of the log; what lies before the offset `absorbed_to` is in the lake."""

    segment_id: int
    begun_at: datetime
    absorbed_to: int


class Segments:
    """The verbs of the event log's segments, on one store."""

    def __init__(self, transactions: Transactions, vault: Vault) -> None:
        self._transactions, self._vault = transactions, vault

    def begin(self, at: datetime) -> tuple[Segment, bytes]:
        """Number a new segment; return it with the key that encrypts it.

        Raises:
            VaultLocked: when the master key is missing or wrong.
        """
        key = make_key()
        _ = self._vault.wrap(log_segments, 0, key)  # opens the vault, which may write, before the transaction begins
        with self._transactions.write() as connection:
            segment_id = take(connection, "segment_id")
            wrapped, master_id = self._vault.wrap(log_segments, segment_id, key)
            row = {"segment_id": segment_id, "wrapped": wrapped, "master_id": master_id}
            connection.execute(insert(log_segments).values(**row, begun_at=at, absorbed_to=0))
        return Segment(segment_id, at, 0), key

    def all(self) -> list[Segment]:
        """Return the segments that are still there, in the order in which they were written."""
        chosen = select(log_segments.c.segment_id, log_segments.c.begun_at, log_segments.c.absorbed_to)
        with self._transactions.read() as connection:
            return [Segment(*row) for row in connection.execute(chosen.order_by(log_segments.c.segment_id))]

    def key(self, segment_id: int) -> bytes | None:
        """Return the key of a segment, or nothing once it has been destroyed.

        Raises:
            VaultLocked: when the master key is missing or wrong.
        """
        mine = log_segments.c.segment_id == segment_id
        with self._transactions.read() as connection:
            row = connection.execute(select(log_segments.c.wrapped, log_segments.c.master_id).where(mine)).first()
        return None if row is None else self._vault.unwrap(log_segments, segment_id, row.wrapped, row.master_id)

    def absorbed(self, segment_id: int, offset: int) -> None:
        """Note that everything before an offset is in the lake; a smaller offset than before changes nothing."""
        mine = (log_segments.c.segment_id == segment_id) & (log_segments.c.absorbed_to < offset)
        with self._transactions.write() as connection:
            connection.execute(update(log_segments).where(mine).values(absorbed_to=offset))

    def destroy(self, segment_id: int) -> None:
        """Destroy the key of a segment; nobody can read it any more."""
        with self._transactions.write() as connection:
            connection.execute(delete(log_segments).where(log_segments.c.segment_id == segment_id))
