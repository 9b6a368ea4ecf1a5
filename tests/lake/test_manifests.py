"""The lake: what a manifest names is there, whole and for good; what no manifest names is nobody's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tierwise.errors import EngineRefused
from tierwise.lake import Entry, Lake, LakeFile


def rows(*numbers: int) -> pa.Table:
    return pa.table({"n": pa.array(numbers, pa.int64())})


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(tmp_path / "lake")


def test_an_empty_lake(lake: Lake) -> None:
    assert (lake.version, lake.entries(), lake.paths("orders"), lake.tables()) == (0, [], [], [])
    assert lake.read("orders") is None
    assert not lake.folder.exists()


def test_what_is_added_together_is_one_entry(lake: Lake) -> None:
    entry = lake.append("rows", {"orders": rows(1, 2), "微信": rows(3)}, "imp1", {"import": 1, "file": "訂單.csv"})
    files = (LakeFile("orders", "orders/imp1.parquet", 2), LakeFile("微信", "微信/imp1.parquet", 1))
    assert entry == Entry(1, "rows", files, {"import": 1, "file": "訂單.csv"})
    assert Lake(lake.folder).entries() == [entry]
    assert lake.tables() == ["orders", "微信"]


def test_versions_are_kept(lake: Lake) -> None:
    lake.append("rows", {"orders": rows(1)}, "a")
    lake.append("memberships", {"log": rows(7)}, "b")
    lake.append("rows", {"orders": rows(2)}, "c")
    assert lake.version == 3
    assert [path.stem for path in lake.paths("orders")] == ["a", "c"]
    assert [path.stem for path in lake.paths("orders", up_to=2)] == ["a"]
    assert [entry.number for entry in lake.entries("rows")] == [1, 3]
    assert [entry.number for entry in lake.entries("rows", up_to=2)] == [1]
    assert lake.tables(up_to=1) == ["orders"]
    found = lake.read("orders")
    assert found is not None and found.to_pydict() == {"n": [1, 2]}


def test_a_column_a_later_file_brings_is_missing_before(lake: Lake) -> None:
    lake.append("rows", {"orders": rows(1)}, "a")
    lake.append("rows", {"orders": pa.table({"n": [2], "t": ["x"]})}, "b")
    found = lake.read("orders")
    assert found is not None and found.to_pylist() == [{"n": 1, "t": None}, {"n": 2, "t": "x"}]


def test_another_writer_is_seen(lake: Lake) -> None:
    assert lake.version == 0
    Lake(lake.folder).append("rows", {"orders": rows(1)}, "a")
    assert lake.version == 1
    assert [path.stem for path in lake.paths("orders")] == ["a"]


def test_files_nobody_named_are_not_read(lake: Lake) -> None:
    lake.append("rows", {"orders": rows(1)}, "a")
    pq.write_table(rows(99), lake.folder / "orders" / "stray.parquet")
    found = lake.read("orders")
    assert found is not None and found.to_pydict() == {"n": [1]}


def test_a_writer_that_dies_before_its_manifest_leaves_nothing(lake: Lake, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(self: Lake, entry: Entry) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Lake, "_write", die)
        lake.append("rows", {"orders": rows(1)}, "a")
    assert (lake.version, lake.read("orders")) == (0, None)
    entry = lake.append("rows", {"orders": rows(5, 6)}, "a")  # the same name again: the dead writer's file makes way
    assert entry.files[0].rows == 2
    found = lake.read("orders")
    assert found is not None and found.to_pydict() == {"n": [5, 6]}


def test_a_writer_that_dies_while_it_writes_the_manifest_leaves_nothing(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake.append("rows", {"orders": rows(1)}, "a")
    draft = lake.folder / "manifests" / ".00000002.tmp"
    draft.write_text('{"number": 2, "ki', encoding="utf-8")
    assert Lake(lake.folder).version == 1
    assert Lake(lake.folder).append("rows", {"orders": rows(2)}, "b").number == 2


def test_drafts_are_fresh_and_swept(lake: Lake) -> None:
    draft = lake.draft("imp1")
    (draft / "half.parquet").write_bytes(b"half")
    assert not list(lake.draft("imp1").iterdir())
    (lake.draft("imp2") / "half.parquet").write_bytes(b"half")
    lake.sweep()
    assert not (lake.folder / "drafts").exists()
    lake.sweep()
    lake.append("rows", {"orders": rows(1)}, "a")
    assert not list(lake.folder.glob("drafts/*"))


def test_committed_files_move_out_of_their_draft(lake: Lake) -> None:
    path = lake.draft("one") / "part.parquet"
    pq.write_table(rows(1, 2, 3), path)
    entry = lake.commit("rows", [("orders", path)], "one", {})
    assert not path.exists()
    assert (lake.folder / "orders" / "one.parquet").exists()
    assert entry.files == (LakeFile("orders", "orders/one.parquet", 3),)


def test_an_entry_may_hold_no_file(lake: Lake) -> None:
    assert lake.append("rows", {}, "nothing", {"why": "all rows were known"}).files == ()
    assert lake.version == 1


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"number": 1}', '{"number": 1, "kind": "rows", "files": [{}], "about": {}}']
)
def test_a_broken_manifest_is_named(lake: Lake, content: str) -> None:
    lake.append("rows", {"orders": rows(1)}, "a")
    path = lake.folder / "manifests" / "00000001.json"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(EngineRefused, match=r"00000001\.json"):
        Lake(lake.folder).paths("orders")


def test_a_gap_between_manifests_is_named(lake: Lake) -> None:
    for name in "abc":
        lake.append("rows", {"orders": rows(1)}, name)
    (lake.folder / "manifests" / "00000002.json").unlink()
    with pytest.raises(EngineRefused, match=r"00000002\.json"):
        Lake(lake.folder).entries()


def test_manifests_are_plain_and_relative(lake: Lake, tmp_path: Path) -> None:
    lake.append("rows", {"orders": rows(1)}, "a", {"when": "2026-07-01"})
    content: Any = json.loads((lake.folder / "manifests" / "00000001.json").read_text(encoding="utf-8"))
    assert content == {
        "number": 1,
        "kind": "rows",
        "files": [{"table": "orders", "path": "orders/a.parquet", "rows": 1}],
        "about": {"when": "2026-07-01"},
    }
    moved = lake.folder.rename(tmp_path / "moved")
    found = Lake(moved).read("orders")
    assert found is not None and found.num_rows == 1
