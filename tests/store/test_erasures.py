"""Erasing: begun once, destroyed as a whole, no byte left, and refused when the person's rows come again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.store.people_data import AT, NAME, PHONE, records, values
from tierwise.store import Actor, Store
from tierwise.store.personal import PERSONAL

ANN = Actor("cli", "ann")
Raw = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def two(store: Store) -> tuple[int, int]:
    a, b = records(store, "canary-a", "canary-b")
    store.people.put(values((a, "phone", PHONE), (a, "email", "a@canary.cn"), (a, "name", NAME)), AT)
    store.people.put(values((b, "phone", PHONE), (b, "name", "李")), AT)
    return a, b


def erase(store: Store, record: int) -> int:
    (customer,) = [row["customer_id"] for row in store.ids.customers().to_pylist() if row["source_record_id"] == record]
    erasure = store.erasures.begin(customer, ANN, AT)
    store.erasures.destroy(erasure, store.erasures.records(customer), {"lake": 3})
    store.erasures.finish(erasure, AT)
    return erasure


def test_what_is_destroyed_and_what_stays(store: Store, two: tuple[int, int]) -> None:
    a, b = two
    customers = [store.ids.find(key)[0] for key in ("canary-a", "canary-b")]
    store.facts.record("pin", "grade", customers, "gold", reason="a friend", actor=ANN, at=AT)
    erasure = store.erasures.get(erase(store, a))
    untouched = {one.table: 0 for one in PERSONAL if one.by != "path"}
    gone = {**untouched, "people": 3, "people_keys": 1, "facts": 1, "identities": 1, "source_records": 1}
    assert (erasure.state, erasure.ended_at, erasure.actor, erasure.receipt) == (
        "done",
        AT,
        ANN,
        {"lake": 3, "store": gone},
    )
    assert store.people.values([a]) == []
    assert [value.value for value in store.people.values([b])] == ["李", PHONE]
    assert [fact.customer_id for fact in store.facts.list()] == customers[1:]
    assert store.ids.find("canary-a") == []
    assert store.ids.find("canary-b") != []


def test_no_byte_is_left_in_the_file(path: Path) -> None:
    with Store.open(path) as store:
        (a,) = records(store, "canary-a")
        store.people.put(values((a, "name", NAME)), AT)
        ciphertexts = [one.value for one in store.people.values([a])]
        erase(store, a)
        assert ciphertexts
        held = b"".join(one.read_bytes() for one in path.parent.iterdir())
        assert b"canary-a" not in held


def test_what_the_tombstones_refuse(store: Store, two: tuple[int, int]) -> None:
    assert not store.erasures.refusals()
    erase(store, two[0])
    refusals = store.erasures.refusals()
    assert refusals.of_keys("crm", ["canary-a", "canary-b"]) == {"canary-a"}
    assert refusals.of_keys("app", ["canary-a"]) == set(), "another key space is another numbering"
    index = store.people.index_of("email", "A@canary.cn")
    shared = store.people.index_of("phone", PHONE)
    assert index is not None and shared is not None
    assert refusals.of_indexes("email", [index.hex()]) == {index.hex()}
    assert refusals.of_indexes("phone", [shared.hex()]) == set(), "somebody else has this telephone too"
    assert refusals.of_texts("crm", ["x", "canary-a"]) and refusals.of_texts("crm", ["a@CANARY.cn"])
    assert not refusals.of_texts("crm", ["canary-b", PHONE])


def test_tombstones_say_nothing(store: Store, two: tuple[int, int], raw: Raw) -> None:
    index = store.people.index_of("email", "a@canary.cn")
    erase(store, two[0])
    digests = [bytes(row[0]) for row in raw("SELECT digest FROM tombstones")]
    assert digests and index not in digests, "hashed under a key of their own"


def test_begun_twice_is_begun_once(store: Store, two: tuple[int, int], where: str, key_file: Path) -> None:
    first = store.erasures.begin(1, ANN, AT)
    with Store.open(where, key_file=key_file) as again:
        assert again.erasures.begin(1, ANN, AT) == first
        (pending,) = again.erasures.pending()
        assert (pending.state, pending.customer_id) == ("begun", 1)
        again.erasures.destroy(first, again.erasures.records(1), {})
        (pending,) = again.erasures.pending()
        assert pending.state == "destroyed"
        again.erasures.finish(first, AT)
        assert again.erasures.pending() == []


def test_who_was_erased_is_known_by_number_or_identifier(store: Store, two: tuple[int, int]) -> None:
    assert store.erasures.of("canary-a", ["crm"]) is None
    erasure = erase(store, two[0])
    for name in ("canary-a", "A@canary.cn", "id:1"):
        found = store.erasures.of(name, ["crm"])
        assert found is not None and found.erasure_id == erasure
    for name in ("canary-b", PHONE, "id:2"):
        assert store.erasures.of(name, ["crm"]) is None
