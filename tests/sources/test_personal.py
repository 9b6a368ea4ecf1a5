"""Personal columns go to the vault and nowhere else, whatever becomes of the row they stand in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.projects import EVENTS, RECORDS, Brand, counted, csv, said
from tierwise.errors import UnknownName
from tierwise.store import Ids
from tierwise.store.people import People

NAME, PHONE = "金丝雀", "13800138000"
SOURCE = """\
file: data/customers.csv
customer: id
streams:
  customers: {columns: {phone: {value: 手机, role: phone}, name: 姓名, city: city, birth_date: birthday}}
"""
HEAD = "id,姓名,手机,city,birthday"


def brand_of(folder: Path, *rows: str) -> Brand:
    tags = "tags: {town: city}\n"
    return Brand(
        folder,
        {"sources/customers.yaml": SOURCE, "data/customers.csv": csv(HEAD, *rows), "definitions/tags.yaml": tags},
    )


def held(brand: Brand, key: str) -> list[tuple[str, str]]:
    with brand.open() as project:
        return [
            (one["field"], one["value"]) for record in project.people.show(key)["records"] for one in record["values"]
        ]


def written(brand: Brand) -> bytes:
    """Return every byte that was written, with what Parquet files hold unpacked."""
    found = b""
    for path in sorted(brand.folder.rglob("*")):
        if path.is_file() and path.parent.name not in ("data", "sources", "definitions"):
            found += path.read_bytes()
            if path.suffix == ".parquet":
                found += str(pq.read_table(path).to_pylist()).encode()
    return found


def test_values_in_the_vault_and_indexes_in_the_lake(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, f"1,{NAME},{PHONE},上海,1990-01-02", f"2,李,+86 {PHONE},,", "3,,n/a,,")
    assert said(brand.problems()) == ""
    report = brand.run()["imports"][0]
    assert (counted(report), report["personal_columns"]) == ({"new": 3}, ["姓名", "手机"])
    assert held(brand, "1") == [("name", NAME), ("phone", PHONE)]
    assert held(brand, "2") == [("name", "李"), ("phone", f"+86 {PHONE}")]
    assert held(brand, "3") == [("phone", "n/a")], "what is no telephone number is kept as it was given"
    (first, second, third) = brand.received("customers", "phone_index")
    assert first == second != third == (None,), "however it is written, it is one number"
    assert "name" not in pq.read_schema(next((tmp_path / "lake/customers").glob("*.parquet"))).names
    assert NAME.encode() not in written(brand)
    assert PHONE.encode() not in written(brand)


def test_whatever_is_wrong_with_a_row_its_text_is_encrypted(tmp_path: Path) -> None:
    rows = (
        f"2,{NAME},{PHONE},北京,1990-02-31", f"3,{NAME},{PHONE}", f'4,"{NAME},{PHONE},x,y', f"5,{NAME},{PHONE}\0,x,",
        f'6,"{NAME}"x,{PHONE},x,', f",{NAME},{PHONE},x,",
    )  # fmt: skip
    brand = brand_of(tmp_path, f"1,{NAME},{PHONE},上海,1990-01-02", *rows)
    (report,) = brand.receive()
    assert counted(report.as_json()) == {"new": 1, "quarantined": 6}
    assert NAME.encode() not in written(brand)
    assert PHONE.encode() not in written(brand)
    bad = dict(brand.values("quarantine", "line", "original"))
    assert (bad[3], bad[4]) == (rows[0], rows[1]), "the owner reads it as it was"
    assert held(brand, "1") == [("name", NAME), ("phone", PHONE)]
    with pytest.raises(UnknownName):
        held(brand, "2")


def test_read_again_adds_nothing_and_a_change_is_kept(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, f"1,{NAME},{PHONE},上海,")
    brand.receive()
    brand.write({"data/customers.csv": csv(HEAD, f"1,{NAME}二,{PHONE},上海,")})
    (report,) = brand.receive(1)
    assert counted(report.as_json()) == {"duplicate": 1}, "nothing that the lake holds has changed"
    assert held(brand, "1") == [("name", f"{NAME}二"), ("name", NAME), ("phone", PHONE)]
    brand.write({"data/customers.csv": csv(HEAD, f"1,{NAME}二,13800138001,上海,")})
    assert brand.imports(2) == [{"new": 1}], "without a key, a row with another telephone is another row"
    assert brand.imports(3) == [{}]


def test_an_import_that_is_killed_before_the_lake_names_it_is_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brand = brand_of(tmp_path, f"1,{NAME},{PHONE},上海,", f"2,{NAME},x")
    put = People.put

    def put_and_die(self: People, *rows: object) -> int:
        put(self, *rows)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(People, "put", put_and_die)
    with pytest.raises(KeyboardInterrupt):
        brand.receive()
    assert not (tmp_path / "lake/manifests").exists()
    monkeypatch.undo()
    assert brand.imports() == [{"new": 1, "quarantined": 1}]
    assert held(brand, "1") == [("name", NAME), ("phone", PHONE)]


def test_a_customer_known_by_a_telephone_number(tmp_path: Path) -> None:
    source = EVENTS.replace("customer: customer", "customer: {value: 手机, role: phone}")
    rows = csv("手机,time,type", f"{PHONE},2026-01-02,view", f"+86 {PHONE},2026-01-03,like", "n/a,2026-01-03,like")
    brand = Brand(tmp_path, {"sources/events.yaml": source, "data/events.csv": rows})
    brand.write({"definitions/tags.yaml": "tags: {seen: count(events)}\n"})
    assert said(brand.problems()) == ""
    report = brand.run()["imports"][0]
    assert (counted(report), report["reasons"]) == ({"new": 2, "quarantined": 1}, {"missing_customer": 1})
    ((key, seen),) = brand.values("customers", "customer_key", "seen")
    assert (len(key), seen) == (32, 2), "one person, under the blind index"
    with brand.open() as project:
        assert project.explain("138 0013 8000")["customer_key"] == key
    assert PHONE.encode() not in written(brand)


def test_personal_columns_of_other_streams_and_kinds(tmp_path: Path) -> None:
    source = """\
file: data/orders.parquet
customer: id
streams:
  orders: {time: time, columns: {order_id: no, amount: amount, address: addr, contact: {value: tel, role: phone}}}
"""
    brand = Brand(tmp_path, {"sources/orders.yaml": source, "definitions/t.yaml": "tags: {n: count(orders)}\n"})
    (tmp_path / "data").mkdir()
    columns = {"id": ["a", "a"], "no": ["1", "2"], "time": ["2026-01-02"] * 2, "amount": [1, 2]}
    people = {"addr": ["金丝雀路一号", None], "tel": [13800138000.0, None]}
    pq.write_table(pa.table(columns | people), tmp_path / "data/orders.parquet")
    assert brand.imports() == [{"new": 2}]
    assert held(brand, PHONE) == [("address", "金丝雀路一号"), ("contact", PHONE)]
    assert [one[0] is None for one in brand.received("orders", "contact_index")] == [False, True]


def test_a_column_that_becomes_personal_is_read_again(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"sources/customers.yaml": RECORDS, "data/customers.csv": csv(HEAD, f"1,{NAME},{PHONE},上海,")}
    )
    brand.receive()
    brand.write({"sources/customers.yaml": SOURCE})
    assert brand.imports(1) == [{"new": 1, "withdrawn": 1}]
    assert held(brand, "1") == [("name", NAME), ("phone", PHONE)]


def test_the_values_of_a_large_file_wait_where_nobody_reads_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierwise.sources.personal._BYTES_MAX", 1)  # every batch is put aside
    monkeypatch.setattr("tierwise.sources.origins._BATCH_ROWS", 2)
    rows = [f"{n},{NAME}{n},138{n:08d},上海,1990-01-02" for n in range(1, 6)] + [f"6,{NAME},{PHONE},x,1990-02-31"]
    brand = brand_of(tmp_path, *rows)
    seen: list[bytes] = []
    assign = Ids.assign

    def looked_at(ids: Ids, keys: pa.Table, **options: Any) -> pa.Table:
        seen.append(written(brand))
        return assign(ids, keys, **options)

    monkeypatch.setattr(Ids, "assign", looked_at)
    assert counted(brand.receive()[0].as_json()) == {"new": 5, "quarantined": 1}
    (waiting,) = seen
    assert (tmp_path / "lake").exists() and NAME.encode() not in waiting and b"13800000001" not in waiting
    assert [held(brand, str(n)) for n in range(1, 6)] == [
        [("name", f"{NAME}{n}"), ("phone", f"138{n:08d}")] for n in range(1, 6)
    ]
    assert not list((tmp_path / "lake").rglob("personal-*"))
