"""Every row of a file is new, replaced, duplicate or quarantined, whatever the file holds and how often it is read."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.projects import EVENTS, NOW, ORDERS, REFUNDS, TAGS, Brand, counted, csv
from tierwise.definitions.load import load
from tierwise.errors import DefinitionsInvalid
from tierwise.lake import Lake
from tierwise.sources.collect import import_sources
from tierwise.store import Store

HEAD = "id,customer,time,amount"
KEYED = ORDERS + "row_key: id\n"


@pytest.fixture
def shop(tmp_path: Path) -> Brand:
    first = csv(HEAD, "1,a,2026-01-02,10", "2,b,2026-01-03,20")
    return Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": first, "definitions/tags.yaml": TAGS})


def spend(brand: Brand) -> dict[str, tuple[int, Decimal]]:
    brand.run(30)
    return {row["customer_key"]: (row["n"], row["spend"]) for row in brand.rows("customers")}


# -- the same rows again -----------------------------------------------------------------------------------------------


def test_a_file_that_did_not_change_is_not_read(shop: Brand) -> None:
    assert shop.imports() == [{"new": 2}]
    (again,) = shop.receive()
    assert (again.state, again.rows_read) == ("unchanged", 0)


def test_the_same_rows_in_another_file_and_an_appended_one(shop: Brand) -> None:
    shop.write({"sources/orders.yaml": ORDERS.replace("orders.csv", "orders*.csv")})
    shop.imports()
    shop.write({"data/orders2.csv": (shop.folder / "data/orders.csv").read_bytes()})
    assert shop.imports()[1] == {"duplicate": 2}
    shop.write({"data/orders2.csv": csv(HEAD, "2,b,2026-01-03,20", "3,b,2026-01-04,5")})
    assert shop.imports()[1] == {"new": 1, "duplicate": 1}
    shop.write({"data/orders.csv": (shop.folder / "data/orders.csv").read_text() + "4,a,2026-01-05,1\n"})
    assert shop.imports()[0] == {"new": 1, "duplicate": 2}
    assert spend(shop) == {"a": (2, Decimal("11.00")), "b": (2, Decimal("25.00"))}


def test_without_a_key_two_equal_rows_of_one_file_are_two(shop: Brand) -> None:
    shop.write({"data/orders.csv": csv(HEAD, "1,a,2026-01-02,10", "1,a,2026-01-02,10")})
    assert shop.imports() == [{"new": 2}]
    shop.write({"data/orders.csv": csv(HEAD, *["1,a,2026-01-02,10"] * 3)})
    assert shop.imports() == [{"new": 1, "duplicate": 2}]
    assert spend(shop) == {"a": (3, Decimal("30.00"))}


def test_a_project_that_was_moved_reads_nothing_again(shop: Brand) -> None:
    shop.imports()
    moved = shop.folder.rename(shop.folder.with_name("moved"))
    assert Brand(moved).receive()[0].state == "unchanged"


# -- a row with a known key and other content --------------------------------------------------------------------------

CHANGES = {
    "replace": ({"replaced": 1, "duplicate": 1}, 11),
    "keep_first": ({"duplicate": 2, "kept_first": 1}, 10),
    "quarantine": ({"duplicate": 1, "quarantined": 1}, 10),
}


@pytest.mark.parametrize("on_change", CHANGES)
def test_a_changed_row(shop: Brand, on_change: str) -> None:
    counts, kept = CHANGES[on_change]
    shop.write({"sources/orders.yaml": f"{KEYED}on_change: {on_change}\n"})
    shop.imports()
    shop.write({"data/orders.csv": csv(HEAD, "1,a,2026-01-02,11", "2,b,2026-01-03,20")})
    assert shop.imports(1) == [counts]
    assert spend(shop)["a"] == (1, Decimal(kept))
    bad = shop.values("quarantine", "line", "reason", "detail", "original")
    assert bad == ([(2, "changed", "row key 1", "1,a,2026-01-02,11")] if on_change == "quarantine" else [])


TWICE = {
    "replace": ({"new": 1, "replaced": 2}, 10),
    "keep_first": ({"new": 1, "duplicate": 2, "kept_first": 1}, 10),
    "quarantine": ({"new": 1, "duplicate": 1, "quarantined": 1}, 10),
}


@pytest.mark.parametrize("on_change", TWICE)
def test_a_row_that_changes_and_changes_back_inside_one_file(shop: Brand, on_change: str) -> None:
    counts, kept = TWICE[on_change]
    rows = csv(HEAD, "1,a,2026-01-02,10", "1,a,2026-01-02,11", "1,a,2026-01-02,10")
    shop.write({"sources/orders.yaml": f"{KEYED}on_change: {on_change}\n", "data/orders.csv": rows})
    assert shop.imports() == [counts]
    assert spend(shop) == {"a": (1, Decimal(kept))}


def test_of_two_lines_with_one_key_the_later_wins(shop: Brand) -> None:
    rows = csv(HEAD, "1,a,2026-01-02,10", "1,b,2026-01-02,12")
    shop.write({"sources/orders.yaml": KEYED, "data/orders.csv": rows})
    assert shop.imports() == [{"new": 1, "replaced": 1}]
    assert spend(shop) == {"b": (1, Decimal("12.00"))}, "the row's customer is the later line's"


def test_a_key_of_several_columns_and_an_empty_one(shop: Brand) -> None:
    rows = csv("type,customer,time,id", "view,a,2026-01-02,1", "view,a,2026-01-02,", "like,a,2026-01-02,", ",a,,")
    keyed = EVENTS.replace("events.csv", "orders.csv") + "row_key: id\n"
    shop.write({"sources/orders.yaml": keyed, "data/orders.csv": rows})
    assert shop.imports() == [{"new": 1, "quarantined": 3}], "rows without a key are not taken for one row"
    assert shop.values("quarantine", "line", "column", "reason")[0] == (3, "id", "missing")
    shop.write({"sources/orders.yaml": keyed.replace("row_key: id", "row_key: [type, id]")})
    assert shop.imports() == [{"new": 3, "quarantined": 1, "withdrawn": 1}]


# -- a source that is declared otherwise -------------------------------------------------------------------------------


def test_another_key_replaces_the_rows_that_were_read_with_the_old_one(shop: Brand) -> None:
    shop.imports()
    shop.write({"sources/orders.yaml": KEYED})
    assert shop.imports() == [{"new": 2, "withdrawn": 2}]
    assert spend(shop) == {"a": (1, Decimal("10.00")), "b": (1, Decimal("20.00"))}
    assert shop.imports() == [{}], "nothing is read a third time"


def test_rows_excluded_afterwards_are_gone_and_come_back(shop: Brand) -> None:
    shop.imports()
    shop.write({"sources/orders.yaml": ORDERS + "exclude: {small: 'amount < 15'}\n"})
    assert shop.imports() == [{"duplicate": 1, "quarantined": 1, "withdrawn": 1}]
    assert spend(shop) == {"b": (1, Decimal("20.00"))}
    shop.write({"sources/orders.yaml": ORDERS})
    assert shop.imports() == [{"new": 1, "duplicate": 1}]
    assert len(spend(shop)) == 2


def test_another_mapping_replaces_whatever_on_change_says(shop: Brand) -> None:
    keyed = f"{KEYED}on_change: quarantine\n"
    shop.write({"sources/orders.yaml": keyed})
    shop.imports()
    shop.write({"sources/orders.yaml": keyed.replace("amount: amount", "amount: '2 * amount'")})
    assert shop.imports() == [{"replaced": 2}]
    assert spend(shop)["a"] == (1, Decimal("20.00"))
    shop.write({"data/orders.csv": csv(HEAD, "1,a,2026-01-02,99", "2,b,2026-01-03,20")})
    assert shop.imports() == [{"duplicate": 1, "quarantined": 1}], "from then on it holds again"


@pytest.mark.parametrize("edit", ["amount: coupon_amount", "key_space: default", "customer: customer"])
def test_whatever_is_edited_the_rows_follow(shop: Brand, edit: str) -> None:
    """The same cells mean something else: under another column, another number space, another customer."""
    source = ORDERS.replace("amount: amount", "amount: amount, coupon_amount: c") + "key_space: default\nrow_key: id\n"
    shop.write({"sources/orders.yaml": source, "data/orders.csv": csv(f"{HEAD},c,other", "1,a,2026-01-02,10,,b")})
    shop.imports()
    edited = {
        "amount: coupon_amount": source.replace("coupon_amount: c", "store_id: c"),
        "key_space: default": source.replace("key_space: default", "key_space: app"),
        "customer: customer": source.replace("customer: customer", "customer: other"),
    }[edit]
    shop.write({"sources/orders.yaml": edited})
    assert shop.imports() == [{"replaced": 1}]


def test_rows_of_a_file_that_was_overwritten_are_kept(shop: Brand) -> None:
    shop.imports()
    shop.write({"data/orders.csv": csv(HEAD, "3,c,2026-01-04,30")})
    assert shop.imports() == [{"new": 1}]
    shop.write({"sources/orders.yaml": KEYED})
    assert shop.imports() == [{"new": 1, "withdrawn": 1}]
    assert spend(shop).keys() == {"a", "b", "c"}


def test_a_source_renamed_or_removed(shop: Brand) -> None:
    shop.imports()
    (shop.folder / "sources/orders.yaml").rename(shop.folder / "sources/sales.yaml")
    assert shop.imports() == [{"new": 2}]
    assert spend(shop)["a"] == (1, Decimal("10.00")), "the rows of the old name do not count beside the new one's"
    (shop.folder / "sources/sales.yaml").unlink()
    assert shop.imports() == []
    assert spend(shop) == {}


# -- quarantine --------------------------------------------------------------------------------------------------------


def test_each_quarantined_row_keeps_line_column_reason_and_text(shop: Brand) -> None:
    rows = (
        '1,a,2026-01-02,10', '"2",a,"2026-02-30",1', '3,,2026-01-02,1', '4,"a', 'b",2026-01-02,x', "5,a,2026-01-02",
        "", '6,a,2026-01-02,"1', "7,a,2026-01-02,nan", "8,a,2026-01-02,7",
    )  # fmt: skip
    shop.write({"data/orders.csv": csv(HEAD, *rows)})
    (report,) = shop.receive()
    assert counted(report.as_json()) == {"new": 2, "quarantined": 6}
    assert report.blank_lines == 1
    bad = sorted(shop.values("quarantine", "line", "column", "reason", "original"))
    assert bad == [
        (3, "time", "not_a_date", '"2",a,"2026-02-30",1'),
        (4, "customer", "missing_customer", "3,,2026-01-02,1"),
        (5, "amount", "not_a_number", '4,"a\nb",2026-01-02,x'),
        (7, None, "ragged", "5,a,2026-01-02"),
        (9, "amount", "unclosed_quote", '6,a,2026-01-02,"1'),
        (10, "amount", "not_a_number", "7,a,2026-01-02,nan"),
    ]


def test_exclusions_are_quarantined_under_their_name(shop: Brand) -> None:
    source = ORDERS + "exclude: {too small: 'amount < 15', a test: 'customer == \"b\"'}\n"
    shop.write({"sources/orders.yaml": source})
    (report,) = shop.receive()
    assert report.reasons == {"a test": 1, "too small": 1}


def test_one_file_into_several_streams(shop: Brand) -> None:
    source = """\
file: data/orders.csv
customer: customer
streams:
  orders:  {where: 'kind == "sale"', time: time, columns: {order_id: id, amount: amount}}
  refunds: {where: 'kind == "back"', time: time, columns: {order_id: id, amount: '-amount'}}
"""
    rows = csv(f"{HEAD},kind", "1,a,2026-01-02,10,sale", "1,a,2026-01-09,-4,back", "1,a,2026-01-09,4,back", "2,b,x,1,")
    shop.write({"sources/orders.yaml": source, "data/orders.csv": rows})
    (report,) = shop.receive()
    assert (counted(report.as_json()), report.reasons) == (
        {"new": 2, "quarantined": 2},
        {"negative": 1, "no_stream": 1},
    )
    assert spend(shop) == {"a": (1, Decimal("6.00"))}


def test_a_row_of_two_streams_is_one_row_read(shop: Brand) -> None:
    source = ORDERS.replace("streams:\n", "streams:\n  items: {time: time, columns: {order_id: id, amount: amount}}\n")
    shop.write({"sources/orders.yaml": source})
    assert shop.imports() == [{"new": 2}]
    assert (len(shop.received("orders", "line")), len(shop.received("items", "line"))) == (2, 2)


# -- orders of items, refunds ------------------------------------------------------------------------------------------

ITEMS = """\
file: data/orders.csv
customer: customer
streams:
  items: {time: time, columns: {order_id: id, amount: amount}}
  orders: {from: items, by: order_id}
"""


def test_orders_made_of_items(shop: Brand) -> None:
    rows = csv(HEAD, "1,a,2026-01-02 08:00,10", "1,a,2026-01-02 09:00,5", "2,a,2026-01-03,1", ",a,2026-01-03,7")
    shop.write({"sources/orders.yaml": ITEMS, "data/orders.csv": rows})
    assert shop.imports() == [{"new": 4}]
    shop.run()
    orders = [
        (str(key), amount, str(time)) for key, amount, time in shop.values("orders", "order_id", "amount", "time")
    ]
    assert orders == [("1", Decimal(15), "2026-01-02 01:00:00"), ("2", Decimal(1), "2026-01-02 16:00:00")]
    assert spend(shop) == {"a": (2, Decimal("16.00"))}


def test_items_are_put_together_by_a_column_they_have(shop: Brand) -> None:
    shop.write({"sources/orders.yaml": ITEMS.replace("by: order_id", "by: order")})
    with pytest.raises(DefinitionsInvalid) as refused:
        shop.run()
    (problem,) = refused.value.problems
    assert "`items` has no column `order`" in problem.message
    assert (problem.where.line, problem.hint) == (5, "did you mean `order_id`?")


def test_orders_are_mapped_or_made_of_items_not_both(shop: Brand) -> None:
    shop.write({"sources/items.yaml": ITEMS})
    (problem,) = shop.problems()
    assert "mapped by the source `orders` and derived by the source `items`" in problem.message
    assert str(problem.where) == "sources/items.yaml:5:11"
    assert "leave `orders` out" in problem.hint


def test_refunds_in_full_in_part_and_of_an_unknown_order(shop: Brand) -> None:
    orders = csv(HEAD, "1,a,2026-01-02,10", "2,b,2026-01-03,20", "3,c,2026-01-03,0", "4,d,2026-01-03,8")
    refunds = csv(
        HEAD, "1,a,2026-02-01,4", "2,b,2026-02-01,15", "2,b,2026-03-01,15", "99,a,2026-02-01,5", ",z,2026-02-01,1"
    )
    refunds += "4,d,2026-06-02,8\n"
    shop.write({"sources/refunds.yaml": REFUNDS, "data/orders.csv": orders, "data/refunds.csv": refunds})
    kept = "tags: {n: count(orders), spend: sum(orders.kept_amount), kept: 'count(orders, where=kept)'}\n"
    shop.write({"definitions/tags.yaml": kept})
    report = shop.run()
    assert report["refunds_without_order"] == 2
    found = {
        key: (n, spend, kept) for key, n, spend, kept in shop.values("customers", "customer_key", "n", "spend", "kept")
    }
    assert found == {
        "a": (1, Decimal(6), 1),
        "b": (1, Decimal(0), 0),  # more was paid back than paid: never below zero
        "c": (1, Decimal(0), 1),  # free of charge
        "d": (1, Decimal(8), 1),  # the refund comes after as_of
        "z": (0, Decimal(0), 0),
    }
    assert shop.run(as_of="2026-02-15")["customers"] == 5
    assert dict(shop.values("customers", "customer_key", "spend"))["b"] == Decimal(5)


# -- whatever the file holds -------------------------------------------------------------------------------------------

cells = st.sampled_from(
    ["1", "2", "3", "", "a", "b", "2026-01-02", "2026-02-30", "10", "-1", "nan", "x,y", '"', '"q', "é", "\0"]
)
lines = st.lists(st.lists(cells, min_size=1, max_size=5).map(",".join), max_size=12)


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@example(
    ["1,a,2026-01-02,10", "1,a,2026-01-02,10", "1,b,2026-01-02", '2,b,"2026-01-02,3'],
    ["1,a,2026-01-02,11"],
    "quarantine",
    True,
)
@given(lines, lines, st.sampled_from(["replace", "keep_first", "quarantine"]), st.booleans())
def test_no_row_is_lost_or_counted_twice(first: list[str], second: list[str], on_change: str, keyed: bool) -> None:
    with tempfile.TemporaryDirectory() as folder, Store.open(f"{folder}/store.db") as store:
        source = ORDERS + f"on_change: {on_change}\n" + ("row_key: id\n" if keyed else "")
        brand = Brand(Path(folder), {"sources/orders.yaml": source})
        definitions, problems = load(brand.folder)
        assert definitions is not None and not problems
        lake = Lake(brand.folder / "lake")
        written = 0
        for rows in (first, second, second):
            brand.write({"data/orders.csv": csv(HEAD, *rows)})
            at = NOW.replace(tzinfo=None)
            (report,) = import_sources(definitions, lake, brand.folder / "quarantine", store, at)
            counts = counted(report.as_json())
            stored = lake.read("orders")
            now = stored.num_rows if stored is not None else 0
            if keyed:
                assert now - written <= counts.get("new", 0) + counts.get("replaced", 0)
            else:
                assert now - written == counts.get("new", 0), "without a key nothing is ever replaced"
            written = now
        assert report.state == "unchanged"
