"""Many rows over the driver are the same rows as one by one, on every database."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from sqlalchemy import bindparam, insert, update

from tests.store.people_data import AT
from tierwise.store import Store
from tierwise.store.bulk import bound, execute_rows
from tierwise.store.schema import Instant, import_keys
from tierwise.store.transactions import Transactions


def test_inserted_and_updated(where: str, store: Store, raw: Callable[..., list[tuple[Any, ...]]]) -> None:
    with closing(Transactions(where)) as transactions, transactions.write() as connection:
        at = bound(connection, Instant(), AT)
        names = ("master_id", "import_id", "wrapped", "received_at")
        rows = ((f"m{number}", number, bytes([number]), at) for number in range(3))
        execute_rows(connection, insert(import_keys), names, rows)
        change = (
            update(import_keys).where(import_keys.c.import_id == bindparam("its")).values(master_id=bindparam("new"))
        )
        execute_rows(connection, change, ("its", "new"), [(1, "other")])
        execute_rows(connection, change, ("its", "new"), [])
    found = raw("SELECT import_id, master_id, wrapped FROM import_keys ORDER BY import_id")
    assert [(number, master, bytes(wrapped)) for number, master, wrapped in found] == [
        (0, "m0", b"\x00"), (1, "other", b"\x01"), (2, "m2", b"\x02"),
    ]  # fmt: skip
    assert store.originals.purge(AT) == [], "the instant is the one that was written"
