"""Facts by hand: recorded once, ended by their own end or a revocation, and never changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.store import Actor, Store

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ANN = Actor("cli", "ann")
DAY = timedelta(days=1)


def pin(store: Store, customers: list[int], at: datetime = NOW, until: datetime | None = None) -> int:
    return store.facts.record("pin", "grade", customers, "gold", reason="promised", actor=ANN, at=at, valid_until=until)


def test_a_fact_says_who_why_and_until_when(store: Store) -> None:
    number = pin(store, [7, 9], until=NOW + 30 * DAY)
    newest, oldest = store.facts.list(name="grade")
    assert (newest.customer_id, oldest.customer_id, oldest.batch) == (9, 7, number)
    assert (oldest.kind, oldest.value, oldest.reason, oldest.actor) == ("pin", "gold", "promised", ANN)
    assert (oldest.recorded_at, oldest.valid_from, oldest.valid_until) == (NOW, NOW, NOW + 30 * DAY)
    assert [fact.customer_id for fact in store.facts.list(customer_id=9)] == [9]


def test_a_revocation_ends_it_from_then_on(store: Store) -> None:
    number = pin(store, [7, 9], until=NOW + 30 * DAY)
    assert store.facts.version() == 2
    assert store.facts.revoke(number, reason="a slip", actor=ANN, at=NOW + DAY) == 2
    assert store.facts.version() == 3, "what an answer depends on has changed"
    assert {str(row["ends_at"]) for row in store.facts.valid().to_pylist()} == {"2026-06-02 00:00:00"}
    before = store.facts.valid(recorded_by=NOW)
    assert {str(row["ends_at"]) for row in before.to_pylist()} == {"2026-07-01 00:00:00"}, "as it was known then"
    assert store.facts.version(recorded_by=NOW) == 2
    assert store.facts.valid(recorded_by=NOW - DAY).num_rows == 0
    with pytest.raises(BadRequest, match="revoked already"):
        store.facts.revoke(number, reason="again", actor=ANN, at=NOW + DAY)
    with pytest.raises(UnknownName, match="no fact 99"):
        store.facts.revoke(99, reason="none", actor=ANN, at=NOW)


def test_what_is_not_said_properly_is_refused(store: Store) -> None:
    with pytest.raises(BadRequest, match="needs a reason"):
        store.facts.record("pin", "grade", [7], "gold", reason=" ", actor=ANN, at=NOW)
    with pytest.raises(BadRequest, match="about somebody"):
        pin(store, [])
    with pytest.raises(BadRequest, match="not after"):
        pin(store, [7], until=NOW)
    assert store.facts.version() == 0
