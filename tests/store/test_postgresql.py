"""The same verbs on PostgreSQL: the same numbers, also when two ask at once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from tierwise.errors import BadRequest
from tierwise.store import Actor, Store

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("postgres")]
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)


def keys(*source_keys: str) -> pa.Table:
    return pa.table({"key_space": ["crm"] * len(source_keys), "source_key": list(source_keys)})


def test_ids(empty_server: str) -> None:
    with Store.open(empty_server) as store:
        assert store.ids.assign(keys("b", "d"))["source_record_id"].to_pylist() == [1, 2]
        assert store.ids.assign(keys("a", "b", "c"))["source_record_id"].to_pylist() == [3, 1, 4]
        assert store.ids.find("c") == store.ids.find("id:4") == [4]
        assert store.ids.version() == 2
        assert store.ids.customers(1)["source_key"].to_pylist() == ["b", "d"]
    Store.open(empty_server, upgrade=False).close()


def test_two_at_once(empty_server: str) -> None:
    Store.open(empty_server).close()
    answers: list[pa.Table] = []

    def assign(order: int) -> None:
        with Store.open(empty_server) as store:
            for start in range(0, 500, 50):
                names = [f"c{number}" for number in range(start, start + 50)][::order]
                answers.append(store.ids.assign(keys(*names)))

    threads = [threading.Thread(target=assign, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(empty_server) as store:
        current = store.ids.customers()
        assert current.num_rows == len(set(current["customer_id"].to_pylist())) == 500
        known = dict(zip(current["source_key"].to_pylist(), current["source_record_id"].to_pylist(), strict=True))
        for row in pa.concat_tables(answers).to_pylist():
            assert known[row["source_key"]] == row["source_record_id"]


def test_runs(empty_server: str) -> None:
    with Store.open(empty_server) as store:
        run_id = store.runs.begin("run", Actor("cli", "ann"), AT, as_of=AT)
        store.runs.step(run_id, "tags", {"顾客": 3})
        store.runs.finish(run_id, AT, {"rows": 1})
        run = store.runs.get(run_id)
        assert (run.state, run.as_of, run.report, run.steps["tags"]) == ("done", AT, {"rows": 1}, {"顾客": 3})
        with pytest.raises(BadRequest, match="has ended"):
            store.runs.step(run_id, "more")
