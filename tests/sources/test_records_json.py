"""JSON Lines: values exactly as written, and every way in which a line is no row."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.projects import ORDERS, Brand, said
from tierwise.errors import SourceUnreadable
from tierwise.sources.records_json import read_json_lines


@pytest.fixture
def put(tmp_path: Path) -> Path:
    return tmp_path / "a.jsonl"


VALUES = {
    "1": "1", "12345678901234567890": "12345678901234567890", "0.10": "0.10", "1e400": "1e400", "-0": "-0", '"a"': "a",
    "true": "true", "false": "false", "null": "", '""': "", '"e\\u0301"': "é", '"\\ud83d\\ude00"': "😀", '"0012"': "0012",
    '{"b": 0.10, "c": [1, null]}': '{"b": 0.10, "c": [1, null]}', "[]": "[]", '"a\\nb"': "a\nb",
}  # fmt: skip

BROKEN = {
    '{"v": 1, "v": 2}': ("bad_json", 'the key "v" stands twice'), '{"v": {"a": 1, "a": 1}}': ("bad_json", 'the key "a" stands twice'),
    '{"v": NaN}': ("bad_json", "NaN is no number of JSON"), '{"v": -Infinity}': ("bad_json", "-Infinity is no number of JSON"),
    "[1]": ("bad_json", "the line is no object"), "7": ("bad_json", "the line is no object"), '{"v": 1': ("bad_json", "at character 8"),
    "{'v': 1}": ("bad_json", "at character 2"), '{"v": 1} {"v": 2}': ("bad_json", "extra data at character 10"),
    '{"v": 01}': ("bad_json", "at character"), '{"v": ' + "[" * 50 + "]" * 50 + "}": ("bad_json", "nested more than 40 deep"),
    '{"v": ' + "[" * 100_000: ("bad_json", "nested more than 40 deep"), '{"v": "\\ud800"}': ("encoding", "half a character at 1"),
    '{"v": "a\\u0000"}': ("nul", "at character 2"), '{"v": "\0"}': ("nul", "at character 8"), '{"v": "a\tb"}': ("bad_json", "invalid control"),
    '{"v": "' + "x" * 1_000_000 + '"}': ("too_long", "characters"),
}  # fmt: skip


def test_values_are_kept_as_written(put: Path) -> None:
    put.write_text("".join(f'{{"v": {value}}}\n' for value in VALUES), encoding="utf-8")
    (batch,) = read_json_lines(put)
    assert dict(zip(VALUES, batch.table.column("v").to_pylist(), strict=True)) == VALUES


def test_lines_that_are_no_rows(put: Path) -> None:
    put.write_text("\n".join(['{"v": "good"}', "", *BROKEN, '{"v": "last"}']), encoding="utf-8")
    reader = read_json_lines(put)
    batches = list(reader)
    assert [row["v"] for batch in batches for row in batch.table.to_pylist()] == ["good", "last"]
    rejects = [reject for batch in batches for reject in batch.rejects]
    assert [reject.line for reject in rejects] == list(range(3, 3 + len(BROKEN)))
    for (text, (reason, detail)), reject in zip(BROKEN.items(), rejects, strict=True):
        assert (reject.reason, detail in reject.detail) == (reason, True), (text[:40], reject)
    assert (reader.rows_read, reader.blank_lines) == (2 + len(BROKEN), 1)


def test_columns_are_the_keys_of_all_lines(put: Path) -> None:
    put.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n{"b": 2, "a": 3}\r\n' + '{" 金额 ": 4}'.encode())
    reader = read_json_lines(put, batch_rows=2)
    assert reader.columns == ("a", "b", "金额")
    rows = [row for batch in reader for row in batch.table.to_pylist()]
    assert rows[1:] == [{"a": "3", "b": "2", "金额": ""}, {"a": "", "b": "", "金额": "4"}]
    assert [field.name for field in read_json_lines(put, without={"b"}).schema] == ["a", "金额"]


REFUSED = {
    "": "is empty", "\n\n": "is empty", '[{"id": 1}]': "holds no object", "{}": "no object has a key", '{"": 1}': "has no name",
    '{"a": 1, " a": 2}': "are both named", "\n".join(json.dumps({f"k{n}": 1}) for n in range(2001)): "different keys",
}  # fmt: skip


@pytest.mark.parametrize("content", REFUSED, ids=lambda content: REFUSED[content])
def test_files_that_are_refused(put: Path, content: str) -> None:
    put.write_text(content)
    with pytest.raises(SourceUnreadable, match=REFUSED[content]) as refused:
        read_json_lines(put)
    assert refused.value.hint


def test_a_file_becomes_rows(tmp_path: Path) -> None:
    rows = [
        {"id": 9007199254740993, "customer": 7, "time": "2026-01-02T08:00:00+08:00", "amount": 1.5},
        {"id": 2, "customer": None, "time": "2026-01-02", "amount": 1},
        {"id": 3, "customer": "x", "time": 20260103, "amount": "1,5"},
    ]
    source = ORDERS.replace(".csv", ".jsonl.gz") + "numbers: {decimal: ','}\n"
    packed = gzip.compress("\n".join(map(json.dumps, rows)).encode())
    brand = Brand(tmp_path, {"sources/orders.yaml": source, "data/orders.jsonl.gz": packed})
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 2, "quarantined": 1}]
    amount = Decimal("1.50")
    assert brand.received("orders", "order_id", "amount", "line") == [("9007199254740993", amount, 1), ("3", amount, 3)]


@given(st.lists(st.text(alphabet='{}[]":,1aé\\\n ', max_size=20), max_size=6))
def test_every_line_is_a_row_a_reject_or_blank(tmp_path_factory: pytest.TempPathFactory, soup: list[str]) -> None:
    path = tmp_path_factory.getbasetemp() / "soup.jsonl"
    lines = ['{"id": 1}', *"\n".join(soup).split("\n")]
    path.write_text("\n".join(lines), encoding="utf-8")
    reader = read_json_lines(path)
    found = [line for batch in reader for line in batch.lines.to_pylist() + [one.line for one in batch.rejects]]
    blank = [n for n, text in enumerate(lines, 1) if not text.strip()]
    assert sorted(found) == [n for n in range(1, len(lines) + 1) if n not in blank]
    assert reader.rows_read == len(found)
