"""Written files are remembered with what they held, and forgotten when they are gone."""

from __future__ import annotations

from datetime import timedelta

from tests.store.people_data import AT
from tierwise.store import Actor, Store


def test_recorded_replaced_and_forgotten(store: Store) -> None:
    ann = Actor("cli", "ann")
    store.exports.record("/a.csv", "customers", "f1", ann, AT)
    store.exports.record("/b.csv", "orders", "f2", ann, AT + timedelta(days=1))
    store.exports.record("/a.csv", "orders", "f3", ann, AT + timedelta(days=2))
    found = [(one.path, one.table_name, one.fingerprint, one.actor) for one in store.exports.list()]
    assert found == [("/b.csv", "orders", "f2", ann), ("/a.csv", "orders", "f3", ann)]
    store.exports.forget("/b.csv")
    assert [one.path for one in store.exports.list()] == ["/a.csv"]
