"""A first look at a file: encoding, delimiter, columns, and a source that reads it; what is unclear is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import Brand
from tierwise.errors import SourceUnreadable
from tierwise.sources.suggesting import Look, look_at
from tierwise.verbs.importing import source_of

ORDERS = (
    "会员号,订单号,支付时间,实付金额,手机号,备忘\nm-1,A1,2026-05-01 10:00,9.90,13800138000,x\nm-2,A2,2026/5/2,20,,y\n"
)


def look(tmp_path: Path, content: str | bytes, name: str = "orders.csv") -> Look:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return look_at(path, f"data/{name}")


def test_a_chinese_export_reads_as_suggested(tmp_path: Path) -> None:
    brand = Brand(tmp_path / "shop", {"data/orders.csv": ORDERS.encode("gb18030")})
    found = look_at(brand.folder / "data/orders.csv", "data/orders.csv")
    assert (found.encoding, found.how, found.rows, found.questions) == ("gb18030", "guessed", 2, ())
    assert [(one.name, one.meaning, one.filled) for one in found.columns] == [
        ("会员号", "customer", 2), ("订单号", "order_id", 2), ("支付时间", "time", 2), ("实付金额", "amount", 2),
        ("手机号", "phone", 1), ("备忘", "", 2),
    ]  # fmt: skip
    assert found.columns[4].examples == ("138****8000",), "what is personal is masked"
    assert found.source == {
        "file": "data/orders.csv", "encoding": "gb18030", "customer": "会员号", "row_key": ["订单号"],
        "streams": {"orders": {"time": "支付时间", "columns": {"order_id": "订单号", "amount": "实付金额"}}},
    }  # fmt: skip
    with brand.open() as project:
        report = project.importing.rehearse(str(brand.folder / "data/orders.csv"), "orders", dict(found.source))
    assert (report["rows_read"], report["new"], report["quarantine"]) == (2, 2, [])
    assert brand.received("orders", "order_id") == [], "a rehearsal takes nothing in"


@pytest.mark.parametrize(
    ("content", "stream", "delimiter", "questions"),
    [
        ("user_id;event;timestamp\nu1;view;2026-05-01T10:00:00\n", "events", ";", 0),
        ("member\tname\tbirthday\nm1\t王芳\t1990-01-02\n", "customers", "\t", 0),
        ("order_no|sku|qty|paid|date|customer\nA|s|1|9|2026-05-01|c\n", "items", "|", 0),
        ("order,amount,time,member\nA,1,03/04/2026,m\n", "orders", ",", 1),
        ("order,amount,time,member\nA,1,13/04/2026,m\n", "orders", ",", 0),
        ("order,amount,time,member\nA,1,yesterday,m\n", "orders", ",", 1),
        ("order,amount,time\nA,1,2026-05-01\n", "orders", ",", 1),
        ("a,b\n1,2\n", "", ",", 2),
    ],
)
def test_what_one_row_is(tmp_path: Path, content: str, stream: str, delimiter: str, questions: int) -> None:
    found = look(tmp_path, content)
    assert next(iter(found.source.get("streams", {})), "") == stream
    assert found.source.get("delimiter", ",") == delimiter
    assert len(found.questions) == questions, found.questions
    if not questions:
        assert source_of(found.source, "x").file == "data/orders.csv"


def test_a_date_that_can_be_read_in_one_way_only_is_declared(tmp_path: Path) -> None:
    found = look(tmp_path, "order,amount,time,member\nA,1,13/04/2026,m\n")
    assert found.source["streams"]["orders"]["time"] == {"value": "time", "formats": ["%d/%m/%Y"]}


def test_a_number_that_comes_twice_tells_no_row_apart(tmp_path: Path) -> None:
    assert "row_key" not in look(tmp_path, "order,amount,time,member\nA,1,2026-05-01,m\nA,1,2026-05-01,m\n").source


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("events.jsonl", '{"userId": "u", "event": "view", "timestamp": "2026-05-01"}\n', "json"),
        ("events.csv", "userId,event,timestamp\nu,view,2026-05-01\n", "csv"),
    ],
)
def test_kinds_of_files(tmp_path: Path, name: str, content: str, kind: str) -> None:
    found = look(tmp_path, content, name)
    assert (found.kind, list(found.source["streams"])) == (kind, ["events"])


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04rubbish", b"\x00\x01\x02" * 99, b"<html></html>", b"a,a\n1,2\n"])
def test_what_is_no_table(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(SourceUnreadable):
        look(tmp_path, content)
