"""The engine's tables: everybody who appears anywhere, attributes with their history, current products and stores."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.projects import EVENTS, ORDERS, RECORDS, TAGS, Brand, csv

HEAD = "id,customer,time,amount"


def test_whoever_appears_in_any_stream_is_a_customer(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"sources/orders.yaml": ORDERS, "sources/events.yaml": EVENTS, "sources/customers.yaml": RECORDS}
    )
    brand.write({"data/orders.csv": csv(HEAD, "1,buyer,2026-01-02,10", "2,late,2026-06-01 13:00,5")})
    brand.write({"data/events.csv": csv("customer,time,type", "looker,2026-02-02,view", "buyer,2025-12-01,view")})
    brand.write({"data/customers.csv": csv("id,city", "member,上海", "buyer,北京"), "definitions/tags.yaml": TAGS})
    report = brand.run()
    rows = {row["customer_key"]: row["n"] for row in brand.rows("customers")}
    assert rows == {"buyer": 1, "looker": 0, "member": 0}, "who comes after as_of is not known yet"
    assert report["customers"] == 3
    assert brand.run(as_of="2026-01-01")["customers"] == 2, "a record without a date is always known, `looker` not yet"


def test_sources_share_customers_unless_they_say_otherwise(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"sources/orders.yaml": ORDERS, "sources/events.yaml": EVENTS, "definitions/tags.yaml": TAGS}
    )
    brand.write(
        {
            "data/orders.csv": csv(HEAD, "1,7,2026-01-02,10"),
            "data/events.csv": csv("customer,time,type", "7,2026-01-02,view"),
        }
    )
    assert brand.run()["customers"] == 1
    brand.write({"sources/events.yaml": EVENTS + "key_space: app\n"})
    assert brand.run()["customers"] == 2
    assert brand.values("customers", "customer_key", "n") == [("7", 1), ("7", 0)]


def test_attributes_have_a_history(tmp_path: Path) -> None:
    source = RECORDS.replace("{columns:", "{time: updated, columns:")
    brand = Brand(tmp_path, {"sources/customers.yaml": source, "definitions/tags.yaml": "tags: {town: city}\n"})
    rows = csv(
        "id,city,updated",
        "1,北京,2026-03-01",
        "1,上海,2026-01-01",
        "1,,2026-04-01",
        "2,广州,2026-01-01",
        "2,深圳,2026-01-01",
    )
    brand.write({"data/customers.csv": rows})
    towns = {"2026-02-01": "上海", "2026-03-02": "北京", "2026-05-01": "北京"}
    for day, town in towns.items():
        brand.run(as_of=day)
        assert brand.values("customers", "town") == [(town,), ("深圳",)], "of equal times the later line"


def test_the_first_known_value_holds_before_its_time(tmp_path: Path) -> None:
    source = RECORDS.replace("{columns:", "{time: updated, columns:")
    brand = Brand(tmp_path, {"sources/customers.yaml": source, "sources/orders.yaml": ORDERS})
    brand.write({"definitions/tags.yaml": "tags: {town: city}\n", "data/orders.csv": csv(HEAD, "1,1,2026-01-02,10")})
    brand.write({"data/customers.csv": csv("id,city,updated", "1,上海,2026-03-01", "1,北京,2026-04-01")})
    brand.run(as_of="2026-01-15")
    assert brand.values("customers", "town") == [("上海",)]


def test_records_without_a_time_are_as_old_as_their_import_and_the_later_line_wins(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/customers.yaml": RECORDS, "definitions/tags.yaml": "tags: {town: city}\n"})
    people = [f"{n},{town}{n}" for n in range(8) for town in ("A", "B")]
    brand.write({"data/customers.csv": csv("id,city", *people)})
    brand.run()
    assert brand.values("customers", "town") == [(f"B{n}",) for n in range(8)]
    brand.write({"data/customers.csv": csv("id,city", *people, "3,C")})
    brand.run(10)
    assert brand.values("customers", "town")[3] == ("C",)
    brand.run(11, as_of="2026-06-05")
    assert brand.values("customers", "town")[3] == ("B3",)


PRODUCTS = """\
file: data/products.csv
streams:
  products: {columns: {sku: sku, category: kind}}
"""
ITEMS = """\
file: data/items.csv
customer: customer
streams:
  items: {time: time, columns: {order_id: id, sku: sku, amount: amount}}
"""
BOUGHT = csv("id,customer,time,sku,amount", "1,a,2026-01-02,x,5", "1,a,2026-01-02,y,7", "2,a,2026-01-03,z,1")


def test_a_products_columns_stand_on_items_as_they_are_now(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/products.yaml": PRODUCTS, "sources/items.yaml": ITEMS, "data/items.csv": BOUGHT})
    brand.write(
        {"definitions/tags.yaml": "tags: {n: count(items), best: 'top(items.category, by=sum(items.amount))'}\n"}
    )
    brand.write({"data/products.csv": csv("sku,kind", "x,tea", "y,milk", "y,wine", ",none")})
    report = brand.run()
    assert [one["reasons"] for one in report["imports"]] == [{}, {"missing": 1}]
    assert brand.values("customers", "n", "best") == [(3, "wine")], "the later of two lines with one sku"
    brand.write({"data/products.csv": csv("sku,kind", "x,tea", "y,tea")})
    report = brand.run()
    assert brand.values("customers", "n", "best") == [(3, "tea")]
    assert set(report["built"]) >= {"products", "items"}
    assert "customer_records" not in report["built"] and "refunds" not in report["built"]


def test_a_product_of_two_sources_is_one(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"sources/a.yaml": PRODUCTS, "sources/b.yaml": PRODUCTS.replace("products.csv", "more.csv")}
    )
    brand.write({"sources/items.yaml": ITEMS, "data/items.csv": BOUGHT, "data/products.csv": csv("sku,kind", "x,tea")})
    brand.write({"data/more.csv": csv("sku,kind", "x,milk"), "definitions/tags.yaml": "tags: {n: count(items)}\n"})
    brand.run()
    assert brand.values("customers", "n") == [(3,)]
    assert brand.values("products", "sku", "category") == [("x", "milk")]


def test_a_column_mapped_later_is_missing_in_older_files(tmp_path: Path) -> None:
    brand = Brand(
        tmp_path, {"sources/orders.yaml": ORDERS.replace("orders.csv", "*.csv"), "definitions/tags.yaml": TAGS}
    )
    brand.write({"data/a.csv": csv(f"{HEAD},ch", "1,a,2026-01-02,10,app")})
    brand.run()
    source = ORDERS.replace("orders.csv", "*.csv").replace("amount: amount", "amount: amount, channel: ch")
    brand.write({"sources/orders.yaml": source, "data/b.csv": csv(f"{HEAD},ch", "2,a,2026-01-02,10,web")})
    brand.run()
    assert sorted(brand.values("orders", "order_id", "channel")) == [("1", "app"), ("2", "web")]


def test_a_sum_too_large_for_money_is_missing(tmp_path: Path) -> None:
    source = ITEMS + "  orders: {from: items, by: order_id}\n"
    rows = csv("id,customer,time,sku,amount", "1,a,2026-01-02,x,9e15", "1,a,2026-01-02,y,9e15", "2,b,2026-01-02,x,1")
    brand = Brand(tmp_path, {"sources/items.yaml": source, "data/items.csv": rows, "definitions/tags.yaml": TAGS})
    brand.run()
    assert brand.values("customers", "n", "spend") == [(1, Decimal(0)), (1, Decimal(1))]


def test_rows_are_numbered_in_their_order(tmp_path: Path) -> None:
    rows = [f"{n:04d},c{n * 7 % 13},2026-01-{1 + n * 5 % 28:02d},{n}" for n in range(3000)]  # many equal times
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "definitions/tags.yaml": TAGS})
    brand.write({"data/orders.csv": csv(HEAD, *rows)})
    brand.run()
    found = brand.values("orders", "customer_id", "time", "row_key", "pos")
    assert [row[:3] for row in found] == sorted(row[:3] for row in found)
    assert [row[3] for row in found] == list(range(1, 3001))
    with brand.open() as project:
        stored = project.sql("SELECT pos FROM orders WHERE rowid = pos - 1")
    assert stored.num_rows == 3000, "one's rows lie together, so that few blocks are read for a customer"


def test_what_no_file_has_is_missing(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "definitions/tags.yaml": TAGS})
    brand.write({"data/orders.csv": csv(HEAD, "1,a,2026-01-02,10")})
    brand.run()
    (row,) = brand.rows("orders")
    assert {name for name, value in row.items() if value is None} == {
        "coupon_amount", "channel", "store_id", "cancelled", "store_name", "store_city", "store_district", "refunds",
    }  # fmt: skip
    assert "line" not in row, "how a row came in, the lake knows"
