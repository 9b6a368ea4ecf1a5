"""What a source declares against what its file has: everything that does not fit is said at once, with its place."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from tests.projects import ORDERS, RECORDS, Brand, csv, placed, said
from tierwise.errors import DefinitionsInvalid

HEAD = "id,customer,time,amount"
ROW = "1,a,2026-01-02,10"


def brand_of(folder: Path, source: str, rows: str = csv(HEAD, ROW)) -> Brand:
    return Brand(folder, {"sources/orders.yaml": source, "data/orders.csv": rows})


def only_problem(folder: Path, source: str, rows: str = csv(HEAD, ROW)) -> str:
    brand = brand_of(folder, source, rows)
    (problem,) = brand.problems()
    assert placed(problem), problem
    with pytest.raises(DefinitionsInvalid), brand.open() as project:
        project.run()
    assert not (folder / "lake/manifests").exists(), "nothing is half-written"
    return str(problem)


def test_a_missing_column(tmp_path: Path) -> None:
    text = only_problem(tmp_path, ORDERS.replace("amount: amount", "amount: amout"))
    assert text.startswith("sources/orders.yaml:4:56: data/orders.csv: there is no column `amout`")
    assert text.endswith("did you mean `amount`?")


def test_every_problem_at_once(tmp_path: Path) -> None:
    source = """\
file: data/orders.csv
customer: client
row_key: nr
formats: {day: '%d/%m/%Y'}
exclude: {test: 'amnt < 0'}
streams:
  orders: {time: when, columns: {order_id: id}}
  items:  {columns: {amount: 'amount * '}}
"""
    problems = brand_of(tmp_path, source).problems()
    assert all(map(placed, problems))
    assert [problem.where.line for problem in problems] == [4, 3, 2, 5, 7, 7, 8, 8]
    text = said(problems)
    for words in ("`client`", "`nr`", "`day`", "`when`", "`orders` needs the column `amount`", "`items` needs a time"):
        assert words in text


STREAMS_WRONG = {
    "no customer": (ORDERS.replace("customer: customer\n", ""), "`orders` needs a customer"),
    "no stream": (ORDERS.replace("orders:", "order:"), "there is no stream `order`"),
    "computed": (ORDERS.replace("amount: amount", "amount: amount, kept: id"), "`orders.kept` is worked out"),
    "kind": (ORDERS.replace("order_id: id", "order_id: '2 * amount'"), "`order_id` is text"),
    "type": (
        ORDERS.replace("amount: amount", "amount: {value: amount, type: text}"),
        "`orders.amount` is money, not text",
    ),
    "system": (ORDERS.replace("amount: amount", "amount: amount, row_key: id"), "`row_key` cannot be the name"),
    "condition": (ORDERS + "exclude: {odd: 'amount + 1'}\n", "a condition is needed"),
    "derived": (ORDERS + "  refunds: {from: orders, by: order_id}\n", "cannot be derived"),
}


@pytest.mark.parametrize("case", STREAMS_WRONG)
def test_a_stream_declared_wrong(tmp_path: Path, case: str) -> None:
    source, words = STREAMS_WRONG[case]
    assert words in only_problem(tmp_path, source)


def test_columns_with_blanks_chinese_names_and_reserved_words(tmp_path: Path) -> None:
    source = """\
file: data/orders.csv
customer: 客户 编号
streams:
  orders:
    where: 'column("from") == "app" and column("Order No.") != "x"'
    time: 下单 时间
    columns: {order_id: Order No., amount: '数量 * column("unit price")', channel: from}
"""
    rows = csv(
        "Order No.,客户 编号,下单 时间,数量,unit price,from", "1,a,2026-01-02,2,3.5,app", "2,a,2026-01-02,2,3.5,web"
    )
    brand = brand_of(tmp_path, source, rows)
    assert said(brand.problems()) == ""
    assert brand.imports() == [{"new": 1, "quarantined": 1}]
    assert brand.received("orders", "order_id", "amount", "channel") == [("1", Decimal(7), "app")]


def test_new_columns_of_a_stream(tmp_path: Path) -> None:
    source = ORDERS.replace("amount: amount", "amount: amount, weight: {value: w, type: decimal}, note: n")
    brand = brand_of(tmp_path, source, csv(f"{HEAD},w,n", f"{ROW},1.5,hello", f"{ROW},x,hello"))
    brand.write({"definitions/tags.yaml": "tags: {heaviest: max(orders.weight), notes: distinct(orders.note)}\n"})
    assert said(brand.problems()) == ""
    brand.run()
    assert brand.values("customers", "heaviest", "notes") == [(Decimal("1.5"), 1)]
    assert brand.values("quarantine", "line", "column", "reason") == [(3, "w", "not_a_number")]


# -- personal columns --------------------------------------------------------------------------------------------------

NAME, PHONE = "金丝雀", "13800138000"
PERSONAL = """\
file: data/customers.csv
customer: id
streams:
  customers: {columns: {phone: {value: 手机, role: phone}, name: 姓名, city: city, birth_date: birthday}}
"""
PEOPLE = csv(
    "id,姓名,手机,city,birthday", f"1,{NAME},{PHONE},上海,1990-01-02", f"2,{NAME},{PHONE},北京,1990-02-31", f"3,{NAME},{PHONE}",
    f'4,"{NAME},{PHONE},x,y', f"5,{NAME},{PHONE}\0,x,", f'6,"{NAME}"x,{PHONE},x,', f",{NAME},{PHONE},x,",
)  # fmt: skip


MISNAMED = {
    "expression": "phone: {value: 'lower(手机)', role: phone}",
    "typo": "phone: {value: 手机号, role: phone}",
    "other name": "phone: {value: 手机, role: phone}, district: 手机",
    "expression over it": "phone: {value: 手机, role: phone}, district: 'lower(手机)'",
}


@pytest.mark.parametrize("case", MISNAMED)
def test_a_personal_column_must_be_named_so_that_nothing_else_reads_it(tmp_path: Path, case: str) -> None:
    source = RECORDS.replace("city: city", MISNAMED[case])
    brand = Brand(tmp_path, {"sources/customers.yaml": source, "data/customers.csv": PEOPLE})
    text = said(brand.problems())
    assert "sources/customers.yaml:4" in text
    with pytest.raises(DefinitionsInvalid), brand.open() as project:
        project.run()
    assert not (tmp_path / "lake/manifests").exists()
    assert not (tmp_path / "store/quarantine").exists()


def test_a_key_cannot_be_personal(tmp_path: Path) -> None:
    source = RECORDS.replace("city: city", "phone: {value: 手机, role: phone}") + "row_key: 手机\n"
    brand = Brand(tmp_path, {"sources/customers.yaml": source, "data/customers.csv": PEOPLE})
    assert "holds personal data, which only the people vault keeps" in said(brand.problems())


NOBODYS = {
    "a name does not tell people apart": (
        RECORDS.replace("customer: id", "customer: {value: 姓名, role: name}"),
        "cannot be known by `name`",
    ),
    "products have no customers": (
        "file: data/customers.csv\nstreams:\n  products: {columns: {sku: id, seller: {value: 姓名, role: name}}}\n",
        "`products` has no customers",
    ),
    "the name of an index": (
        RECORDS.replace("city: city", "phone: {value: 手机, role: phone}, phone_index: city"),
        "is the name of the blind index of `phone`",
    ),
}


@pytest.mark.parametrize("case", NOBODYS)
def test_personal_data_that_the_vault_cannot_keep(tmp_path: Path, case: str) -> None:
    source, words = NOBODYS[case]
    brand = Brand(tmp_path, {"sources/customers.yaml": source, "data/customers.csv": PEOPLE})
    text = said(brand.problems())
    assert words in text
    assert "sources/customers.yaml:" in text
