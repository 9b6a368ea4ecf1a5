"""Rows that are sent are judged as a file's rows are, taken once, and safe once they are acknowledged."""

from __future__ import annotations

import shutil
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.projects import RECORDS, TAGS, Brand, counted, csv, said
from tests.sources.test_personal import NAME, PHONE, written
from tierwise.errors import BadRequest, DefinitionsInvalid, SourceUnreadable, UnknownName
from tierwise.sources.absorb import accept, as_rows
from tierwise.sources.known import KnownKeys

LIVE = """\
live: true
customer: customer
row_key: id
streams:
  orders: {time: time, columns: {order_id: id, amount: amount}}
"""
NOON = datetime(2026, 5, 20, 12)  # in the project's zone, as every time without one
#: What an owner of the engine keeps from one batch to the next.
KNOWN: dict[Path, KnownKeys] = {}


def shop(folder: Path, source: str = LIVE) -> Brand:
    return Brand(folder, {"sources/till.yaml": source, "definitions/tags.yaml": TAGS})


def send(brand: Brand, rows: pa.Table | list[dict[str, Any]], position: str = "1", day: float = 0) -> dict[str, Any]:
    """Send rows without computing anything."""
    with brand.open(day) as project:
        quarantine, at = brand.folder / "store" / "quarantine", project._opened.now()
        table = as_rows(rows)
        rooms = (project.lake, quarantine, project.store)
        known = KNOWN.setdefault(brand.folder, KnownKeys())
        return accept(project.definitions, *rooms, "till", table, position, at, known).report()


def order(number: str, amount: Any = "10", customer: str = "a", time: Any = NOON) -> dict[str, Any]:
    return {"id": number, "customer": customer, "time": time, "amount": amount}


def test_every_row_becomes_something(tmp_path: Path) -> None:
    brand = shop(tmp_path)
    assert said(brand.problems()) == "", "there is no file to compare a live source with"
    rows = [
        order("1"),
        order("1"),
        order("2", time=datetime(2026, 6, 3)),
        order("3", time=datetime(1999, 12, 31)),
        order("4", amount="much"),
        order("5", customer=" "),
    ]
    report = send(brand, rows)
    assert counted(report) == {"new": 1, "duplicate": 1, "quarantined": 4}
    assert report["reasons"] == {"before_earliest": 1, "future": 1, "missing_customer": 1, "not_a_number": 1}
    assert brand.received("orders", "order_id", "amount") == [("1", 10)]
    assert {row["line"]: row["original"] for row in brand.rows("quarantine")}[5] == (
        '{"id": "4", "customer": "a", "time": "2026-05-20 12:00:00", "amount": "much"}'
    )
    assert counted(send(brand, [order("1", "12"), order("7")], "2")) == {"new": 1, "replaced": 1}


def test_the_same_rows_at_the_same_position_are_taken_once(tmp_path: Path) -> None:
    brand = shop(tmp_path)
    rows = as_rows([order("1"), order("2")])
    assert send(brand, rows)["state"] == "accepted"
    pieces = pa.concat_tables([rows.slice(0, 1), rows.slice(1)])
    again = send(brand, pieces, day=1)
    assert (again["state"], counted(again)) == ("known", {"new": 2}), "the first answer, however it is cut"
    with brand.open() as project:
        assert project.lake.version == 1
    assert counted(send(brand, rows, "2")) == {"duplicate": 2}, "a key is known wherever it comes again"
    assert counted(send(brand, [order("3"), order("2", "7")], "4")) == {"new": 1, "replaced": 1}
    assert counted(send(brand, [order("2", "7"), order("3", "6"), order("1")], "5")) == {"replaced": 1, "duplicate": 2}
    with pytest.raises(BadRequest, match="other rows of `till` were sent at position 1"):
        send(brand, [order("1", "11")])
    assert counted(send(brand, rows.slice(0, 0), "3")) == {}, "no rows are rows too"


def test_sent_rows_and_those_of_a_file_are_rows_of_one_source(tmp_path: Path) -> None:
    brand = shop(tmp_path, LIVE.replace("live: true", "file: data/till.csv"))
    brand.write({"data/till.csv": csv("id,customer,time,amount", "1,a,2026-05-20 12:00,10", "2,b,2026-05-20 12:00,5")})
    assert counted(send(brand, [order("1"), order("3")])) == {"new": 2}
    assert brand.imports() == [{"new": 1, "duplicate": 1}]
    assert brand.imports() == [{}], "a file is still known when rows have been sent since"


@pytest.mark.parametrize("position", ["", " ", "a\nb", "x" * 201])
def test_what_is_no_position(tmp_path: Path, position: str) -> None:
    with pytest.raises(BadRequest, match="is no position"):
        send(shop(tmp_path), [order("1")], position)


def test_what_does_not_fit_is_refused_and_nothing_is_taken(tmp_path: Path) -> None:
    brand = shop(tmp_path)
    with pytest.raises(DefinitionsInvalid, match="amount"):
        send(brand, [{"id": "1", "customer": "a", "time": NOON}])
    with pytest.raises(SourceUnreadable, match="nested"):
        send(brand, [order("1", ["10"])])
    with pytest.raises(BadRequest, match="`amount` are of several kinds"):
        send(brand, [order("1", 10), order("2", "10")])
    with pytest.raises(SourceUnreadable, match="no column"):
        send(brand, [])
    with brand.open() as project, pytest.raises(UnknownName, match="did you mean `till`"):
        project.absorb("tell", [order("1")], 1)
    assert not (tmp_path / "lake/manifests").exists()


def test_records_need_not_all_have_every_key(tmp_path: Path) -> None:
    brand = shop(tmp_path)
    first, second = order("1"), order("2")
    del second["amount"]
    report = send(brand, [second, first])
    assert (counted(report), report["reasons"]) == ({"new": 1, "quarantined": 1}, {"missing": 1})


def test_personal_columns_go_to_the_vault(tmp_path: Path) -> None:
    source = RECORDS.replace("file: data/customers.csv", "live: true").replace("city: city", "name: name, phone: phone")
    brand = shop(tmp_path, source)
    assert counted(send(brand, [{"id": "1", "name": NAME, "phone": PHONE}])) == {"new": 1}
    with brand.open() as project:
        assert len(project.people.show("1")["records"][0]["values"]) == 2
    bytes_ = written(brand)
    assert NAME.encode() not in bytes_ and PHONE.encode() not in bytes_


def test_a_source_is_live_or_has_a_file(tmp_path: Path) -> None:
    brand = shop(tmp_path, LIVE + "file: data/x.csv\n")
    assert "one of `file:`, `database:` and `live: true`" in said(brand.problems())


def test_what_was_sent_outlives_the_engine_and_another_zone(tmp_path: Path) -> None:
    """A zone that is declared otherwise holds for what comes; what was sent cannot be read again."""
    brand = shop(tmp_path)
    send(brand, [order("1", time="2026-05-20 12:00")])
    brand.run()
    brand.write({"sources/till.yaml": LIVE + "zone: Europe/London\n"})
    send(brand, [order("2", time="2026-05-20 12:00")], "2")
    shutil.rmtree(tmp_path / "engine")
    brand.run(1)
    assert brand.values("orders", "row_key", "time") == [
        ("1", datetime(2026, 5, 20, 4)), ("2", datetime(2026, 5, 20, 11)),
    ]  # fmt: skip
