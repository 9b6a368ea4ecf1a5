"""Taking a person out of the lake: their rows, the words that name them, nothing else, however often it is done."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from tierwise.lake import Lake
from tierwise.lake.rewriting import mentions, rewrite_without, rows_about


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    made = Lake(tmp_path)
    base: dict[str, object] = {"source": "s", "row_key": "k"}
    people = [
        base | {"source_record_id": 1, "import_id": 1, "line": 2, "referred_by": None, "city": "上海"},
        base | {"source_record_id": 2, "import_id": 1, "line": 3, "referred_by": "p1", "city": "13800138000"},
        base | {"source_record_id": 3, "import_id": 1, "line": 4, "referred_by": "p2", "city": "p1"},
    ]
    orders = [base | {"source_record_id": record, "import_id": 2, "line": None, "channel": "p1"} for record in (1, 2)]
    made.append("rows", {"customers": pa.Table.from_pylist(people)}, "a")
    made.append("rows", {"orders": pa.Table.from_pylist(orders), "stores": pa.table({"store_id": ["p1"]})}, "b")
    made.append("memberships", {"memberships": pa.table({"customer_id": [1], "name": ["p1"]})}, "c")
    return made


def test_found_and_taken_out(lake: Lake) -> None:
    found = mentions(lake, [1], ["13800138000"], ["p1"])
    assert (dict(found.rows), found.words, found.lines) == ({"customers": 1, "orders": 1}, 2, {1: [2, 3, 3]})
    assert set(rows_about(lake, [1])) == {"customers", "orders"}
    rewrite_without(lake, [1], ["13800138000"], ["p1"])
    again = Lake(lake.folder)
    customers, orders = again.read("customers"), again.read("orders")
    assert customers is not None and orders is not None
    assert [(row["source_record_id"], row["referred_by"], row["city"]) for row in customers.to_pylist()] == [
        (2, None, None), (3, "p2", "p1"),
    ], "a number is a person's only in a column that names people"  # fmt: skip
    assert orders["channel"].to_pylist() == ["p1"]
    assert {one.table: one.rows for entry in again.entries() for one in entry.files} == {
        "customers": 2, "orders": 1, "stores": 1, "memberships": 1,
    }  # fmt: skip


def test_done_again_after_a_kill_it_is_done_once(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(self: Lake) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Lake, "correct_counts", killed)
    with pytest.raises(KeyboardInterrupt):
        rewrite_without(lake, [1], [], ["p1"])
    monkeypatch.undo()
    assert not rewrite_without(Lake(lake.folder), [1], [], ["p1"]).files
    assert [one.rows for one in Lake(lake.folder).entries("rows")[0].files] == [2]
    assert not list(lake.folder.rglob("*.tmp"))
