"""Ids: the same key has the same number for ever, also when processes ask at once or are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pysqlite3 import dbapi2

from tierwise.errors import BadRequest, ProjectBusy
from tierwise.store import Actor, Ids, Store
from tierwise.store.ids import ASSIGNED, CUSTOMERS

Raw = Callable[..., list[tuple[Any, ...]]]


def keys(*source_keys: str, space: str = "crm") -> pa.Table:
    names = list(source_keys)
    return pa.table({"key_space": [space] * len(names), "source_key": pa.array(names, pa.string())})


def numbers(table: pa.Table) -> dict[tuple[str, str], tuple[int, int]]:
    return {
        (row["key_space"], row["source_key"]): (row["source_record_id"], row["customer_id"])
        for row in table.to_pylist()
    }


def check_invariants(ids: Ids) -> None:
    """Every record has one customer, no number is used twice."""
    rows = ids.customers()
    assert len(set(rows["source_record_id"].to_pylist())) == rows.num_rows
    assert len(set(zip(rows["key_space"].to_pylist(), rows["source_key"].to_pylist(), strict=True))) == rows.num_rows
    assert len(set(rows["customer_id"].to_pylist())) == rows.num_rows


def test_new_keys_are_numbered_in_the_order_given(store: Store) -> None:
    assigned = store.ids.assign(keys("z", "a", "m"))
    assert assigned.schema.equals(ASSIGNED)
    assert assigned["source_key"].to_pylist() == ["z", "a", "m"]
    assert assigned["source_record_id"].to_pylist() == [1, 2, 3]
    assert assigned["customer_id"].to_pylist() == [1, 2, 3]


def test_the_customers_of_some_records(store: Store) -> None:
    store.ids.assign(keys("a", "b", "c"))
    assert store.ids.customers_of([3, 1, 99])["source_key"].to_pylist() == ["a", "c"]
    assert store.ids.customers_of([]).equals(CUSTOMERS.empty_table())
    many = list(range(3, 40_000))
    assert store.ids.customers_of(many)["customer_id"].to_pylist() == [3]


def test_twice_is_once(store: Store) -> None:
    first = store.ids.assign(keys("a", "b"))
    version = store.ids.version()
    assert store.ids.assign(keys("a", "b")).equals(first)
    assert store.ids.version() == version == 1


def test_known_and_new_keys_together_keep_the_order_of_the_call(store: Store) -> None:
    store.ids.assign(keys("b", "d"))
    assigned = store.ids.assign(keys("a", "b", "c", "d"))
    assert assigned["source_key"].to_pylist() == ["a", "b", "c", "d"]
    assert assigned["source_record_id"].to_pylist() == [3, 1, 4, 2]


def test_a_repeated_key_is_one_record(store: Store) -> None:
    assigned = store.ids.assign(keys("b", "a", "b", "a"))
    assert assigned["source_key"].to_pylist() == ["b", "a"]
    assert assigned["source_record_id"].to_pylist() == [1, 2]


def test_key_spaces_are_apart(store: Store) -> None:
    both = pa.concat_tables([keys("1", space="crm"), keys("1", space="till")])
    assert store.ids.assign(both)["customer_id"].to_pylist() == [1, 2]
    assert store.ids.find("1") == [1, 2]
    assert store.ids.find("1", key_space="till") == [2]


def test_nothing_in_nothing_out(store: Store) -> None:
    assert store.ids.assign(keys()).num_rows == 0
    assert store.ids.customers().schema.equals(CUSTOMERS)
    assert store.ids.version() == 0


@pytest.mark.parametrize(("key", "says"), [("", "is missing or empty"), ("a\x00b", "holds a NUL character")])
def test_keys_no_database_can_keep_are_refused(store: Store, key: str, says: str) -> None:
    with pytest.raises(BadRequest, match=says):
        store.ids.assign(keys("a", key))
    assert store.ids.version() == 0


@pytest.mark.parametrize("key", ["  ", "顾客-1", "O'Brien", "😀", "%", "c" * 5_000])
def test_keys_are_taken_as_they_are(store: Store, key: str) -> None:
    store.ids.assign(keys(key))
    assert store.ids.assign(keys(key))["source_key"].to_pylist() == [key]
    assert store.ids.find(key) == [1]


def test_a_missing_key_is_refused(store: Store) -> None:
    table = pa.table({"key_space": ["crm", "crm"], "source_key": ["a", None]})
    with pytest.raises(BadRequest, match="source_key is missing or empty"):
        store.ids.assign(table)
    with pytest.raises(BadRequest, match="no column key_space"):
        store.ids.assign(table.select(["source_key"]))
    assert store.ids.version() == 0


def test_other_arrow_types_of_text_are_accepted(store: Store) -> None:
    column = pa.chunked_array([pa.array(["a"], pa.large_string()), pa.array(["b"], pa.large_string())])
    table = pa.table({"key_space": pa.array(["crm", "crm"]).dictionary_encode(), "source_key": column})
    assert store.ids.assign(table)["source_record_id"].to_pylist() == [1, 2]


def test_find(store: Store) -> None:
    store.ids.assign(keys("a", "b"))
    assert store.ids.find("b") == [2]
    assert store.ids.find("id:2") == [2]
    assert store.ids.find("id:9") == []
    assert store.ids.find("nobody") == []
    for bad in ("id:", "id:x", "id:-1", "id:٣", "id:" + "9" * 40):
        with pytest.raises(BadRequest, match="not a customer id"):
            store.ids.find(bad)


def test_an_older_version_is_what_it_was(store: Store) -> None:
    store.ids.assign(keys("a"))
    store.ids.assign(keys("b", "c"), actor=Actor("cli", "ann"), at=datetime(2026, 3, 1, tzinfo=UTC))
    assert store.ids.version() == 2
    assert store.ids.customers(0).num_rows == 0
    assert store.ids.customers(1)["source_key"].to_pylist() == ["a"]
    assert store.ids.customers(2).equals(store.ids.customers())


def test_numbers_are_not_given_again_after_a_row_is_gone(store: Store, raw: Raw) -> None:
    store.ids.assign(keys("a", "b"))
    raw("DELETE FROM identities WHERE source_record_id = 2", "DELETE FROM source_records WHERE source_record_id = 2")
    again = store.ids.assign(keys("b"))
    assert (again["source_record_id"].to_pylist(), again["customer_id"].to_pylist()) == ([3], [3])


def test_a_failed_call_leaves_nothing(store: Store, raw: Raw) -> None:
    """The failure comes late: the record is written, its customer is not."""
    raw("CREATE UNIQUE INDEX no_room ON identities (from_version)")
    with pytest.raises(Exception, match=r"no_room|identities\.from_version"):
        store.ids.assign(keys("a", "b"))
    raw("DROP INDEX no_room")
    assert store.ids.customers().num_rows == 0
    assert store.ids.assign(keys("b"))["source_record_id"].to_pylist() == [1]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.lists(st.sampled_from([*"abcdefgh"]), max_size=6), max_size=6))
def test_any_split_gives_the_numbers_of_first_appearance(store: Store, calls: list[list[str]]) -> None:
    """Every example has a key space of its own in one store, which therefore also grows."""
    before = store.ids.customers().num_rows
    space = f"space {before} {store.ids.version()}"
    order: dict[str, int] = {}
    for call in calls:
        for key in call:
            order.setdefault(key, before + len(order) + 1)
        for (_, key), (record_id, customer_id) in numbers(store.ids.assign(keys(*call, space=space))).items():
            assert record_id == customer_id == order[key]
    assert store.ids.customers().num_rows == before + len(order)


ASSIGN = """
import random, sys, pyarrow as pa
from tierwise.store import Store
where, seed, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
names = [f"c{n}" for n in range(count)]
random.Random(seed).shuffle(names)
with Store.open(where) as store:
    print("open", flush=True)
    for start in range(0, count, 100):
        chunk = names[start : start + 100]
        store.ids.assign(pa.table({"key_space": ["crm"] * len(chunk), "source_key": chunk}))
        print(start + len(chunk), flush=True)
"""


def _assign_in_another_process(where: str, seed: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", ASSIGN, where, str(seed), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_processes_at_once_give_one_number_each(where: str) -> None:
    """The store does not exist yet: both also create it."""
    started = [_assign_in_another_process(where, seed, 2_000) for seed in (1, 2)]
    for process in started:
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
    with Store.open(where) as store:
        check_invariants(store.ids)
        assert sorted(store.ids.customers()["source_record_id"].to_pylist()) == list(range(1, 2_001))


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_kill_in_the_middle_leaves_a_good_store(where: str) -> None:
    chance = random.Random(7)
    acknowledged = 0
    for _ in range(4):
        process = _assign_in_another_process(where, 3, 50_000)
        assert process.stdout
        told = [process.stdout.readline() for _ in range(chance.randint(2, 12))]
        time.sleep(chance.uniform(0, 0.05))
        process.send_signal(signal.SIGKILL)
        told += process.communicate()[0].splitlines()
        acknowledged = max(acknowledged, *(int(line) for line in told if line.strip().isdigit()))
        with Store.open(where) as store:
            check_invariants(store.ids)
            assert store.ids.customers().num_rows >= acknowledged
    assert acknowledged > 0


def test_a_writer_that_does_not_end_is_named(path: Path) -> None:
    with Store.open(path, busy_timeout_seconds=0.1) as store:
        raw = dbapi2.connect(str(path), isolation_level=None)
        raw.execute("BEGIN IMMEDIATE")
        with pytest.raises(ProjectBusy, match=r"writing the store for 0\.1 seconds"):
            store.ids.assign(keys("a"))
        assert store.ids.version() == 0, "readers are not in the way of a writer"
        raw.execute("ROLLBACK")
        raw.close()
        assert store.ids.assign(keys("a")).num_rows == 1


@pytest.mark.slow
def test_many_keys_keep_their_order_over_every_batch(store: Store) -> None:
    count = 120_000  # more than two batches of what is written and read at once
    names = [f"c{number}" for number in random.Random(5).sample(range(count * 10), count)]
    store.ids.assign(keys(*names))
    assert store.ids.customers()["source_key"].to_pylist() == names
