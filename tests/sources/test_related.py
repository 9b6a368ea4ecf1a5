"""Rows that name no customer: order lines, payments and reviews that only know their order."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.projects import ORDERS, Brand, csv, said

KEYED = ORDERS + "row_key: id\n"
LINES = """\
file: data/lines.csv
customer: {value: order_no, through: orders.order_id}
row_key: [order_no, line_no]
streams:
  items: {columns: {order_id: order_no, sku: sku, amount: paid}}
"""
HEAD, LINE = "id,customer,time,amount", "order_no,line_no,sku,paid"
TWO = csv(HEAD, "A1,ann,2026-01-02 10:00,30", "A2,bob,2026-01-03,5")
TAGS = "tags: {bought: sum(items.amount), sku: 'last(items.sku)'}\n"


def brand_of(folder: Path, *lines: str, source: str = LINES, orders: str = TWO) -> Brand:
    files = {"sources/orders.yaml": KEYED, "sources/lines.yaml": source, "definitions/t.yaml": TAGS}
    return Brand(folder, {**files, "data/orders.csv": orders, "data/lines.csv": csv(LINE, *lines)})


def bought(brand: Brand) -> dict[str, tuple[int | None, str | None]]:
    """Return what everybody bought, from the results of a run."""
    brand.run(1)
    return {key: (int(n), sku) for key, n, sku in brand.values("customers", "customer_key", "bought", "sku")}


def test_a_line_is_of_the_customer_of_its_order_and_of_its_time(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "A1,1,tea,10", "A1,2,cup,20", "A2,1,tea,5")
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 2}, {"new": 3}], "orders first, though `lines` comes before `orders`"
    assert bought(brand) == {"ann": (30, "cup"), "bob": (5, "tea")}
    assert brand.received("items", "time")[0] == (datetime(2026, 1, 2, 2, 0),)


def test_a_line_may_say_its_own_time(tmp_path: Path) -> None:
    source = LINES.replace("{columns:", "{time: at, columns:")
    brand = brand_of(tmp_path, source=source)
    brand.write({"data/lines.csv": csv(f"{LINE},at", "A1,1,tea,10,2026-01-05")})
    brand.imports()
    assert brand.received("items", "time") == [(datetime(2026, 1, 4, 16, 0),)]


def test_a_line_that_comes_before_its_order_waits_for_it(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "A1,1,tea,10", "A3,1,cup,7", ",1,cup,7")
    (_, report) = brand.receive()
    assert (report.new, report.reasons) == (1, {"missing_customer": 1, "unmatched": 1})
    ((column, original),) = [
        line[1:] for line in brand.values("quarantine", "reason", "column", "original") if line[0] == "unmatched"
    ]
    assert (column, original) == ("order_no", "A3,1,cup,7")
    assert [report.state for report in brand.receive()] == ["unchanged", "unchanged"], "nothing came that could help"
    brand.write({"data/orders.csv": TWO + "A3,cat,2026-01-04,7\n"})
    assert brand.imports() == [{"new": 1, "duplicate": 2}, {"new": 1, "duplicate": 1, "quarantined": 1}]
    assert bought(brand) == {"ann": (10, "tea"), "bob": (0, None), "cat": (7, "cup")}
    brand.write({"data/orders.csv": TWO + "A3,cat,2026-01-04,7\nA4,cat,2026-01-04,7\n"})
    assert [report.state for report in brand.receive()] == ["imported", "unchanged"], "no line waits any more"


def test_an_order_that_turns_out_to_be_somebody_elses(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "A1,1,tea,10")
    brand.imports()
    brand.write({"data/orders.csv": TWO.replace("A1,ann", "A1,bob")})
    brand.write({"data/lines.csv": csv(LINE, "A1,1,tea,10", "A2,1,cup,5")})
    assert brand.imports() == [{"replaced": 1, "duplicate": 1}, {"new": 1, "replaced": 1}]
    assert bought(brand)["bob"][0] == 15


def test_a_withdrawn_order_is_nobodys(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "A1,1,tea,10", "A2,1,cup,5")
    brand.write({"sources/orders.yaml": KEYED + "exclude: {small: amount < 10}\n"})
    (_, report) = brand.receive()
    assert report.reasons == {"unmatched": 1}
    brand.write({"sources/orders.yaml": KEYED})
    assert brand.imports() == [{"new": 1, "duplicate": 1}, {"new": 1, "duplicate": 1}]
    brand.write({"sources/orders.yaml": KEYED + "exclude: {small: amount < 10}\n"})
    brand.imports()
    brand.write({"data/lines.csv": csv(LINE, "A1,1,tea,10", "A2,1,cup,6")})
    assert brand.receive()[1].reasons == {"unmatched": 1}


def test_customers_of_another_key_space_are_others(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "A1,1,tea,10")
    brand.write({"sources/lines.yaml": LINES + "key_space: web\n"})
    assert "no source of the key space `web` maps `orders.order_id`" in said(brand.problems())


def test_through_two_streams(tmp_path: Path) -> None:
    source = """\
file: data/reviews.csv
customer: {value: sku_of, through: items.line_id}
streams:
  events: {columns: {type: stars}}
"""
    lines = LINES.replace("sku: sku,", "sku: sku, line_id: line_no,")
    brand = brand_of(tmp_path, "A1,L-1,tea,10", "A2,L-2,tea,5", source=lines)
    brand.write({"sources/a_reviews.yaml": source, "data/reviews.csv": csv("sku_of,stars", "L-2,5", "L-9,1")})
    brand.write({"definitions/t.yaml": "tags: {stars: 'last(events.type)'}\n"})
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 2}, {"new": 2}, {"new": 1, "quarantined": 1}]
    brand.run(1)
    assert sorted(brand.values("customers", "customer_key", "stars")) == [("ann", None), ("bob", "5")]


def test_personal_columns_of_such_a_row(tmp_path: Path) -> None:
    source = LINES.replace("sku: sku,", "sku: sku, address: {value: to, role: address},")
    brand = brand_of(tmp_path, source=source)
    brand.write({"data/lines.csv": csv(f"{LINE},to", "A1,1,tea,10,Canary Road 1", "A9,1,tea,10,Canary Road 2")})
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 2}, {"new": 1, "quarantined": 1}]
    with brand.open() as project:
        (record,) = project.people.show("ann")["records"]
    assert [one["value"] for one in record["values"]] == ["Canary Road 1"]
    assert brand.values("quarantine", "reason", "original") == [("unmatched", None)], "nobody knows whose it is"


def test_rows_of_somebody_erased_do_not_come_back(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, "A1,1,tea,10", "A2,1,cup,5")
    brand.run()
    with brand.open() as project:
        project.people.erase("ann")
    assert [sku for (sku,) in brand.received("items", "sku")] == ["cup"]
    brand.write({"data/lines.csv": csv(LINE, "A1,1,tea,10", "A2,1,cup,5", "A2,2,cup,5")})
    assert brand.imports()[-1] == {"new": 1, "duplicate": 1, "quarantined": 1}
    assert set(bought(brand)) == {"bob"}


@pytest.mark.parametrize(
    ("through", "words"),
    [
        ("order.order_id", "there is no stream `order` with customers"),
        ("products.sku", "there is no stream `products` with customers"),
        ("orders.order_no", "`orders` has no column `order_no`"),
        ("items.order_id", "cannot find its customer in `items` itself"),
        ("refunds.order_id", "no source of the key space `default` maps `refunds.order_id`"),
        ("orders", "does not name a column of a stream"),
    ],
)
def test_what_cannot_be_gone_through(tmp_path: Path, through: str, words: str) -> None:
    brand = brand_of(tmp_path, source=LINES.replace("orders.order_id", through))
    assert words in said(brand.problems())


def test_only_a_customer_goes_through_a_stream(tmp_path: Path) -> None:
    brand = brand_of(tmp_path, source=LINES.replace("sku: sku", "sku: {value: sku, through: orders.order_id}"))
    assert "`items.sku`: only a `customer:` goes through another stream" in said(brand.problems())
