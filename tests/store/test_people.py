"""Personal values are kept once, read by whoever has the key, found by what they say and however it is written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.store.people_data import AT, NAME, PHONE, records, values
from tierwise.errors import VaultLocked
from tierwise.store import Store

LATER = AT + timedelta(days=1)


def said(store: Store, record: int) -> list[tuple[str, str]]:
    return [(one.field, one.value) for one in store.people.values([record])]


def test_what_was_put_is_read(store: Store) -> None:
    a, b = records(store, "a", "b")
    assert store.people.put(values((a, "name", NAME), (b, "phone", PHONE), (a, "phone", "")), AT) == 3
    assert said(store, a) == [("name", NAME), ("phone", "")]
    assert said(store, b) == [("phone", PHONE)]


def test_the_same_again_adds_nothing_but_a_date(store: Store) -> None:
    (a,) = records(store, "a")
    assert store.people.put(values((a, "phone", PHONE), (a, "phone", PHONE)), AT) == 1
    assert store.people.put(values((a, "phone", PHONE)), LATER) == 0
    (value,) = store.people.values([a])
    assert (value.first_received_at, value.last_received_at) == (AT, LATER)


def test_the_newest_value_of_a_field_stands_first(store: Store) -> None:
    (a,) = records(store, "a")
    store.people.put(values((a, "phone", "1380013"), (a, "phone", "1380014")), AT)
    assert said(store, a)[0] == ("phone", "1380014"), "of one import the later line's"
    store.people.put(values((a, "phone", "1380013")), LATER)
    assert said(store, a) == [("phone", "1380013"), ("phone", "1380014")]


def test_found_by_an_identifier_however_it_is_written(store: Store) -> None:
    a, b = records(store, "a", "b")
    store.people.put(values((a, "phone", PHONE), (b, "phone", "+8613800138000"), (b, "email", "x@y.cn")), AT)
    customers = store.ids.customers()["customer_id"].to_pylist()
    assert store.people.find("138 0013 8000") == customers
    assert store.people.find("X@Y.cn") == customers[1:]
    assert store.people.find("13800138001") == []


def test_indexes_are_equal_for_equal_identifiers_only(store: Store) -> None:
    written = pa.array([PHONE, "13800138000", None, "n/a", "13800138001"])
    first, same, nothing, none, other = store.people.index("phone", written).to_pylist()
    assert first == same != other
    assert (nothing, none, len(first)) == (None, None, 32)
    assert store.people.index("openid", pa.array(["13800138000"])).to_pylist() != [first], "a key for each role"


def test_nothing_of_a_value_is_in_the_file(path: Path) -> None:
    with Store.open(path) as store:
        (a,) = records(store, "a")
        store.people.put(values((a, "name", NAME), (a, "phone", PHONE)), AT)
        held = b"".join(one.read_bytes() for one in path.parent.iterdir() if one.name != "master.key")
    for secret in (NAME, PHONE, "13800138000"):
        assert secret.encode() not in held


def test_values_that_were_exchanged_are_not_believed(store: Store, raw: Callable[..., list[tuple[Any, ...]]]) -> None:
    a, b = records(store, "a", "b")
    store.people.put(values((a, "name", NAME), (b, "name", "x")), AT)
    other = f"(SELECT ciphertext FROM people WHERE source_record_id = {b})"
    raw(f"UPDATE people SET ciphertext = {other} WHERE source_record_id = {a}")
    with pytest.raises(VaultLocked, match="damaged or exchanged"):
        store.people.values([a])


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["phone", "name"]), st.text("1a王", max_size=3)), max_size=30)
)
def test_any_values_come_back_once_each(store: Store, rows: list[tuple[int, str, str]]) -> None:
    found = records(store, *(f"c{number}" for number in range(4)))
    store.people.put(values(*((found[at], role, text) for at, role, text in rows)), AT)
    for at, record in enumerate(found):
        mine = {(role, text) for place, role, text in rows if place == at}
        assert mine <= set(said(store, record))
        assert len(said(store, record)) == len(set(said(store, record)))
