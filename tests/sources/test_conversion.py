"""What a cell becomes: numbers, dates, times and truth values as people write them; never a silent guess."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlglot import exp

from tests.projects import ORDERS, Brand, csv, said
from tierwise.definitions.language.kinds import FLOAT
from tierwise.definitions.language.times import Zone
from tierwise.definitions.sources import NumbersForm
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.clock import Clock
from tierwise.engine.sql import fn, try_cast, when
from tierwise.sources.convert import DEFAULT_FORMATS, Converter, kind_of_arrow

STREAM = (
    "streams: {cells: {columns: {m: money, i: integer, d: decimal, f: float, b: boolean, day: date, at: instant}}}\n"
)
SOURCE = """\
file: data/cells.csv
customer: id
row_key: id
streams:
  cells: {time: time, columns: {%s: v}}
"""


def converted(folder: Path, column: str, cells: list[str], more: str = "", settings: str = "") -> list[Any]:
    """Return what cells become as a column of a stream: a value, or the reason why the row is quarantined."""
    rows = [f'{n},2026-01-02,"{cell}"' for n, cell in enumerate(cells)]
    files = {"sources/cells.yaml": SOURCE % column + more, "data/cells.csv": csv("id,time,v", *rows)}
    brand = Brand(folder, {**files, "definitions/cells.yaml": STREAM})
    brand.write({"tierwise.yaml": f"name: test\n{settings}"})
    (report,) = brand.receive()
    assert report.rows_read == len(cells)
    found: dict[int, Any] = {int(key): value for key, value in brand.received("cells", "row_key", column)}
    found |= {line - 2: reason for line, reason in brand.values("quarantine", "line", "reason")}
    return [found[n] for n in range(len(cells))]


AMOUNTS: dict[str, Decimal | str | None] = {
    "10": Decimal("10.00"), "1,234.50": Decimal("1234.50"), "￥99": Decimal("99.00"), "¥ 1,000": Decimal("1000.00"),
    "99元": Decimal("99.00"), "１２３．５": Decimal("123.50"), "CNY 5": Decimal("5.00"), "+3": Decimal("3.00"),
    "-5": Decimal("-5.00"), "1e5": Decimal("100000.00"), "0.005": Decimal("0.01"), "-0.005": Decimal("-0.01"),
    ".5": Decimal("0.50"), "5.": Decimal("5.00"), " 5 ": Decimal("5.00"), "　７　": Decimal("7.00"), "": None, "  ": None,
}  # fmt: skip
NO_AMOUNTS = [
    "NaN", "inf", "-Infinity", "infinity", "1e400", "1_000", "0x1F", "12,34", "1,2345", "1.234,50", "$5", "5 000", "true",
    "99999999999999999999", "1-2", "--1", "1e", "五", "10 CNY 5", "＝1+1", "=1+1",
]  # fmt: skip


def test_amounts(tmp_path: Path) -> None:
    found = converted(tmp_path, "m", [*AMOUNTS, *NO_AMOUNTS])
    assert dict(zip(AMOUNTS, found, strict=False)) == AMOUNTS
    assert dict(zip(NO_AMOUNTS, found[len(AMOUNTS) :], strict=True)) == dict.fromkeys(NO_AMOUNTS, "not_a_number")


def test_amounts_with_a_decimal_comma(tmp_path: Path) -> None:
    cells = ["1,5", "1.234,50", "€ 7", "1.5", "1234", "1.234", "1,234,5", "1.234.567,8"]
    found = converted(tmp_path, "d", cells, "numbers: {decimal: ','}\n", "currency: EUR\n")
    bad = "not_a_number"
    assert found == [
        *map(Decimal, ("1.5", "1234.5", "7")),
        bad,
        Decimal(1234),
        Decimal(1234),
        bad,
        Decimal("1234567.8"),
    ]


def test_the_two_signs_of_numbers_differ(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS + "numbers: {decimal: ',', thousands: ','}\n"})
    (problem,) = brand.problems()
    assert "both `,`" in problem.message
    assert problem.where.line == 5


def test_whole_numbers_floats_and_truth(tmp_path: Path) -> None:
    whole = {"3": 3, "3.0": 3, "3.5": "not_a_number", "1e3": 1000, "-7": -7, "9223372036854775808": "not_a_number"}
    assert converted(tmp_path / "i", "i", [*whole]) == [*whole.values()]
    floats = {"0.1": 0.1, "1e300": "not_a_number", "nan": "not_a_number", "1e99": 1e99, "": None}
    assert converted(tmp_path / "f", "f", [*floats]) == [*floats.values()]
    truth = {
        "true": True,
        "否": False,
        "是": True,
        "Y": True,
        "0": False,
        "2": "not_a_boolean",
        "maybe": "not_a_boolean",
    }
    assert converted(tmp_path / "b", "b", [*truth]) == [*truth.values()]


DAYS = {
    "2026-01-03": date(2026, 1, 3), "2026/1/3": date(2026, 1, 3), "20260104": date(2026, 1, 4),
    "2026年1月5日": date(2026, 1, 5), "2026.1.6": date(2026, 1, 6), "2026-02-28 23:59": date(2026, 2, 28),
    "2026-02-30": "not_a_date", "01/02/2026": "not_a_date", "2026-13-01": "not_a_date", "46025": "not_a_date",
    "tomorrow": "not_a_date", "epoch": "not_a_date", "infinity": "not_a_date", "2025-02-29": "not_a_date",
    "1880-05-01": date(1880, 5, 1), "": None,
}  # fmt: skip


def test_dates(tmp_path: Path) -> None:
    assert dict(zip(DAYS, converted(tmp_path, "day", [*DAYS]), strict=True)) == DAYS


def test_an_ambiguous_date_is_read_as_declared(tmp_path: Path) -> None:
    cells = ["01/02/2026", "13/02/2026", "2026-01-02"]
    by_day = converted(tmp_path / "a", "day", cells, "formats: {v: '%d/%m/%Y'}\n")
    by_month = converted(tmp_path / "b", "day", cells, "formats: {v: ['%m/%d/%Y', '%Y-%m-%d']}\n")
    assert by_day == [date(2026, 2, 1), date(2026, 2, 13), "not_a_date"]
    assert by_month == [date(2026, 1, 2), "not_a_date", date(2026, 1, 2)]


def test_times_with_and_without_an_offset(tmp_path: Path) -> None:
    cells = {
        "2026-01-02 08:00": datetime(2026, 1, 2, 0), "2026-01-02T08:00:00Z": datetime(2026, 1, 2, 8),
        "2026-01-02T08:00:00+09:00": datetime(2026, 1, 1, 23), "2026-01-02 08:00:00.123456": datetime(2026, 1, 2, 0, 0, 0, 123456),
        "2026/1/2 8:05": datetime(2026, 1, 2, 0, 5), "20260102080000": datetime(2026, 1, 2),
        "2026年1月2日 8时5分": datetime(2026, 1, 2, 0, 5), "2026-01-02 24:00:00": "not_a_date", "08:00": "not_a_date",
    }  # fmt: skip
    assert dict(zip(cells, converted(tmp_path, "at", [*cells]), strict=True)) == cells


def test_hours_that_do_not_exist_or_exist_twice(tmp_path: Path) -> None:
    cells = ["2026-03-29 00:59", "2026-03-29 01:30", "2026-03-29 02:00", "2025-10-26 01:30", "2025-10-26 02:00"]
    found = converted(tmp_path, "at", cells, "zone: Europe/London\n")
    assert [str(at)[11:16] for at in found] == ["00:59", "01:30", "01:00", "00:30", "02:00"], (
        "forward; the first of two"
    )


def test_seconds_since_1970(tmp_path: Path) -> None:
    cells = ["1767283200", "99999999999999999", "9223372036854775807", "1767283200.5", "-1", "x"]
    noon, bad = datetime(2026, 1, 1, 16), ["not_a_date"] * 5
    assert converted(tmp_path / "s", "at", cells, "formats: {v: epoch}\n") == [noon, *bad]
    assert converted(tmp_path / "ms", "at", ["1767283200000"], "formats: {v: epoch_ms}\n") == [noon]
    assert converted(tmp_path / "us", "at", ["1767283200000000"], "formats: {v: epoch_us}\n") == [noon]


def test_a_row_of_the_future_or_of_ancient_times(tmp_path: Path) -> None:
    rows = [
        "1,a,2026-06-02 11:59,1",
        "2,a,2026-06-02 12:01,1",
        "3,a,9999-12-31,1",
        "4,a,1999-12-31 23:59,1",
        "5,a,2000-01-01,1",
    ]
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": csv("id,customer,time,amount", *rows)})
    (report,) = brand.receive()
    assert report.reasons == {"before_earliest": 1, "future": 2}, "a day of skew is believed"
    assert [key for (key,) in sorted(brand.received("orders", "order_id"))] == ["1", "5"]


def test_amounts_in_other_currencies(tmp_path: Path) -> None:
    more = "currency: {column: cur, rates: {USD: 7.1, eur: 8}}\n"
    rows = [
        "1,a,2026-01-02,10,CNY",
        "2,a,2026-01-02,10,usd",
        "3,a,2026-01-02,10,XYZ",
        "4,a,2026-01-02,10,",
        "5,a,2026-01-02,1,EUR",
    ]
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS + more})
    brand.write({"data/orders.csv": csv("id,customer,time,amount,cur", *rows)})
    brand.receive()
    assert sorted(brand.received("orders", "order_id", "amount")) == [
        ("1", Decimal(10)),
        ("2", Decimal(71)),
        ("5", Decimal(8)),
    ]
    bad = sorted(brand.values("quarantine", "line", "column", "reason"))
    assert bad == [(4, "cur", "unknown_currency"), (5, "cur", "unknown_currency")]


def test_words_that_stand_for_nothing(tmp_path: Path) -> None:
    assert converted(tmp_path, "m", ["-", "NULL", "1"], "missing: ['-', 'NULL']\n") == [None, None, Decimal(1)]


def test_a_product_of_columns_that_is_too_large(tmp_path: Path) -> None:
    source = ORDERS.replace("amount: amount", "amount: 'q * p'")
    rows = csv(
        "id,customer,time,q,p", "1,a,2026-01-02,2,3.5", "2,a,2026-01-02,999999999999,999999999999", "3,a,2026-01-02,x,1"
    )
    brand = Brand(tmp_path, {"sources/orders.yaml": source, "data/orders.csv": rows})
    brand.receive()
    assert brand.received("orders", "amount") == [(Decimal(7),)]
    bad = sorted(brand.values("quarantine", "line", "column", "reason"))
    assert bad == [(3, "q, p", "not_a_number"), (4, "q, p", "not_a_number")]


def test_native_values_of_parquet(tmp_path: Path) -> None:
    day = datetime(2026, 1, 2)
    columns = {
        "id": pa.array([1.0, 2.0, 3.0, 4.0, 5.0]),
        "customer": pa.array([17.0, float("nan"), 17.5, 18.0, 19.0]),
        "time": pa.array([day] * 5, pa.timestamp("ns")),
        "amount": pa.array([1.5, 2.0, 3.0, float("nan"), float("inf")]),
    }
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS.replace("orders.csv", "orders.parquet")})
    (tmp_path / "data").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "data/orders.parquet")
    brand.receive()
    with brand.open() as project:
        assert [project.store.ids.find(key) for key in ("17", "17.5", "nan")] == [[1], [2], []]
    bad = sorted(brand.values("quarantine", "line", "reason"))
    assert bad == [(2, "missing_customer"), (4, "not_a_number"), (5, "not_a_number")]


@pytest.mark.parametrize("content", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
def test_the_encodings_of_a_file(tmp_path: Path, content: str) -> None:
    rows = csv("订单号,customer,time,amount", *(f"{n},顾客张三{n},2026-01-02,￥{n}元" for n in range(1, 60)))
    source = ORDERS.replace("order_id: id", "order_id: 订单号")
    brand = Brand(tmp_path, {"sources/orders.yaml": source, "data/orders.csv": rows.encode(content)})
    (report,) = brand.receive()
    assert (report.new, report.encoding) == (59, "utf-8" if "utf-8" in content else report.encoding)
    with brand.open() as project:
        assert project.store.ids.find("顾客张三7")


def test_the_wrong_encoding(tmp_path: Path) -> None:
    rows = csv("id,customer,time,amount", *(f"{n},Renée,2026-01-02,1" for n in range(5)))
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": rows.encode("cp1252")})
    (problem,) = brand.problems()
    assert "not UTF-8" in problem.message
    assert "encoding" in problem.hint
    brand.write({"sources/orders.yaml": ORDERS + "encoding: cp1252\n"})
    assert said(brand.problems()) == ""
    brand.write({"sources/orders.yaml": ORDERS + "encoding: klingon\n"})
    assert "klingon" in said(brand.problems())


def test_kinds_of_native_columns() -> None:
    kinds = [pa.bool_(), pa.int32(), pa.decimal128(9, 2), pa.date32(), pa.timestamp("ms"), pa.string()]
    assert [str(kind_of_arrow(kind)) for kind in kinds] == ["boolean", "integer", "decimal", "date", "instant", "text"]


# -- quick ways are the slow way ---------------------------------------------------------------------------------------

CONVERTER = Converter(Clock(Zone("Asia/Shanghai"), datetime(2026, 6, 1)), NumbersForm(), "CNY")
numbers = st.text(st.sampled_from("0159.,+-eE_ ￥１x"), max_size=8) | st.decimals(allow_nan=False).map(str)
two = st.integers(0, 99).map(str) | st.integers(0, 31).map(lambda n: f"{n:02d}")
days = st.tuples(st.sampled_from(["2026", "26", "12026"]), two, two, st.sampled_from("-/.年 ") | st.just(""))
times = st.tuples(st.sampled_from(["", " ", "T"]), two, two, st.sampled_from(["", ":30", ":30.5", ":"]), st.just(":"))
moments = st.tuples(days, times | st.none()).map(
    lambda parts: (
        parts[0][3].join(parts[0][:3])
        + ("" if parts[1] is None else f"{parts[1][0]}{parts[1][1]}:{parts[1][2]}{parts[1][3]}")
    )
)


def worked_out(cells: list[str], *values: exp.Expression) -> list[list[Any]]:
    """Return what expressions over ``v`` make of cells, one list for each."""
    with DuckEngine(None) as engine:
        engine.register("t", pa.table({"n": range(len(cells)), "v": pa.array(cells, pa.string())}))
        select = exp.select(*(value.as_(f"x{i}") for i, value in enumerate(values))).from_("t").order_by("n")
        return [column.to_pylist() for column in engine.arrow(select).columns]


@settings(max_examples=30)
@given(st.lists(numbers, min_size=1, max_size=40))
def test_a_float_read_quickly_is_the_float_read_slowly(cells: list[str]) -> None:
    slow = try_cast(CONVERTER.plain(exp.column("v")), "DOUBLE")
    quick = CONVERTER.from_text(exp.column("v"), FLOAT)
    finite = when([(fn("isfinite", slow.copy()), slow)])
    first, second = worked_out(cells, quick, finite)
    assert first == second


@settings(max_examples=30)
@given(st.lists(moments, min_size=1, max_size=40))
def test_the_order_of_the_formats_does_not_matter(cells: list[str]) -> None:
    usual = CONVERTER.moment(exp.column("v"), DEFAULT_FORMATS)
    turned = CONVERTER.moment(exp.column("v"), DEFAULT_FORMATS[::-1])
    first, second = worked_out(cells, usual, turned)
    assert first == second
