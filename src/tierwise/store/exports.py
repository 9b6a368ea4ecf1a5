"""The files that Tierwise wrote for somebody: where each is, what it held, so that an erasure can find them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from tierwise.store.actors import Actor
from tierwise.store.schema import exports
from tierwise.store.transactions import Transactions

__all__ = ["Export", "Exports"]


@dataclass(frozen=True, slots=True)
class Export:
    """One written file; `fingerprint` is that of its bytes when it was written."""

    path: str
    table_name: str
    fingerprint: str
    written_at: datetime
    actor: Actor


class Exports:
    """The verbs of exports, on one store."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def record(self, path: str, table_name: str, fingerprint: str, actor: Actor, at: datetime) -> None:
        """Record that a file was written; one written in the place of another takes its place here too."""
        with self._transactions.write() as connection:
            connection.execute(delete(exports).where(exports.c.path == path))
            row = {"path": path, "table_name": table_name, "fingerprint": fingerprint}
            connection.execute(insert(exports).values(**row, written_at=at, actor=str(actor)))

    def list(self) -> list[Export]:
        """Return the files, the oldest first."""
        with self._transactions.read() as connection:
            rows = connection.execute(select(exports).order_by(exports.c.written_at, exports.c.path)).all()
        return [Export(**{**row._mapping, "actor": Actor.parse(row.actor)}) for row in rows]

    def forget(self, path: str) -> None:
        """Forget a file that is no longer there."""
        with self._transactions.write() as connection:
            connection.execute(delete(exports).where(exports.c.path == path))
