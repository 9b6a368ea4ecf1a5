"""The catalogue of bad input: what each file or cell becomes, row by row; nothing vanishes, nothing is guessed."""

from __future__ import annotations

import gzip
import io
import os
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.projects import ORDERS, REFUNDS, Brand, csv
from tierwise.engine.export import write_table
from tierwise.errors import SourceUnreadable
from tierwise.lake import Lake
from tierwise.sources import importer
from tierwise.sources.records import read_csv
from tierwise.sources.records_workbook import read_workbook

HEAD: Final = "id,customer,time,amount"
GOOD: Final = "1,a,2026-01-02,10"
BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True)
class Case:
    """A file, what else its source declares, and what becomes of it.

    `kept` are the (line, order_id, amount) of the accepted rows, `refused` the (line, column, reason) of the others.
    """

    data: bytes
    kept: list[tuple[int, str, Any]] = field(default_factory=list)
    refused: list[tuple[int, str | None, str]] = field(default_factory=list)
    more: str = ""
    name: str = "orders.csv"
    blank: int = 0


def lines(*rows: str, end: str = "\n", encoding: str = "utf-8") -> bytes:
    return (end.join([HEAD, *rows]) + end).encode(encoding)


def zipped(*members: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in members:
            packed.writestr(name, data)
    return buffer.getvalue()


TEN: Final = Decimal("10.00")
ONE: Final = [(2, "1", TEN)]
CHINESE: Final = "\n".join([HEAD, *(f"{n},张三丰的店,2026-01-02,￥1{n}" for n in range(60))]) + "\n"

FILES: dict[str, Case] = {
    # -- how the lines are separated and the fields of a line
    "tabs": Case(lines(GOOD).replace(b",", b"\t"), ONE, more='delimiter: "\\t"\n', name="orders.tsv"),
    "semicolons": Case(lines(GOOD).replace(b",", b";"), ONE, more='delimiter: ";"\n'),
    "bars": Case(lines(GOOD).replace(b",", b"|"), ONE, more='delimiter: "|"\n', name="orders.txt"),
    "CR LF": Case(lines(GOOD, end="\r\n"), ONE),
    "CR": Case(lines(GOOD, end="\r"), ONE),
    "no last line end": Case(lines(GOOD)[:-1], ONE),
    "only a header": Case(lines()),
    "only a header without an end": Case(HEAD.encode()),
    "blank lines": Case(lines("", GOOD, "", "  ", ",,,"), [(3, "1", TEN)], [(5, None, "ragged"), (6, "customer", "missing_customer")], blank=2),
    "lines above the header": Case(b"report\nof June\n" + lines(GOOD), [(4, "1", TEN)], more="skip_lines: 2\n"),
    "no header": Case((GOOD + "\n").encode(), [(1, "1", TEN)], more="header: false\ncolumns: [id, customer, time, amount]\n"),
    "a header replaced": Case(b"id,id,,x\n" + (GOOD + "\n").encode(), ONE, more="skip_lines: 1\nheader: false\ncolumns: [id, customer, time, amount]\n"),
    "blanks around names": Case(lines(GOOD).replace(b"id,customer", b" id , customer\xe3\x80\x80"), ONE),
    "fewer fields": Case(lines("2,a,2026-01-02", GOOD), [(3, "1", TEN)], [(2, None, "ragged")]),
    "more fields": Case(lines(GOOD + ",", GOOD), [(3, "1", TEN)], [(2, None, "ragged")]),
    "an unclosed quote": Case(lines('2,"a,2026-01-02,5', GOOD), [(3, "1", TEN)], [(2, "customer", "unclosed_quote")]),
    "an unclosed quote at the end": Case(lines(GOOD, '2,a,2026-01-02,"5'), ONE, [(3, "amount", "unclosed_quote")]),
    "text behind a quote": Case(lines('2,"a"b,2026-01-02,5', GOOD), [(3, "1", TEN)], [(2, "customer", "bad_quote")]),
    "quotes and line ends in a field": Case(lines('"1","a ""b""\nc",2026-01-02,"10"', GOOD), [(2, "1", TEN), (4, "1", TEN)]),
    "NUL": Case(lines("2,a\0,2026-01-02,5", GOOD), [(3, "1", TEN)], [(2, "customer", "nul")]),
    "a line of 40 MB": Case(lines("2," + "x" * 40_000_000 + ",2026-01-02,5", GOOD), [(3, "1", TEN)], [(2, None, "too_long")]),
    "a line of 1 MB": Case(lines("2," + "x" * 1_000_000 + ",2026-01-02,5", GOOD), [(3, "1", TEN)], [(2, None, "too_long")]),
    # -- encodings
    "a mark of UTF-8": Case(BOM + lines(GOOD), ONE),
    "UTF-16": Case(lines(GOOD, encoding="utf-16"), ONE),
    "UTF-16 without a mark": Case(lines(GOOD, encoding="utf-16-le"), ONE),
    "GB18030": Case(CHINESE.encode("gb18030"), [(n + 2, str(n), Decimal(f"1{n}.00")) for n in range(60)]),
    "a broken character": Case(CHINESE.encode() + "x,张".encode()[:-1] + b",2026-01-02,1\n", [(n + 2, str(n), Decimal(f"1{n}.00")) for n in range(60)], [(62, "customer", "encoding")]),
    "Big5 as declared": Case("id,customer,time,amount\n1,訂購人,2026-01-02,10\n".encode("big5"), ONE, more="encoding: big5\n"),
    # -- packed
    "gzip": Case(gzip.compress(lines(GOOD)), ONE, name="orders.csv.gz"),
    "gzip under another name": Case(gzip.compress(lines(GOOD)), ONE),
    "two gzips in one": Case(gzip.compress(lines(GOOD)) + gzip.compress(b"2,b,2026-01-02,10\n"), [*ONE, (3, "2", TEN)], name="orders.csv.gz"),
    "zip": Case(zipped(("in/orders.csv", lines(GOOD)), ("__MACOSX/in/._orders.csv", b"\0\5"), ("in/", b"")), ONE, name="orders.zip"),
    "zip of JSON Lines": Case(zipped(("o.jsonl", b'{"id": 1, "customer": "a", "time": "2026-01-02", "amount": 10}\n')), [(1, "1", TEN)], name="orders.zip"),
    # -- JSON Lines
    "JSON Lines": Case(
        b'{"id": 1, "customer": "a", "time": "2026-01-02", "amount": 10}\n\n{"id": 2, "id": 3}\n{"id": 4, "customer": "a", "time": "2026-01-02", "amount": 1e400}\n'
        b'{"id": 5, "customer": "\\ud800"}\n{"id": 6, "customer": "a", "time": "2026-01-02", "amount": Infinity}\n{"id": 12345678901234567890, "customer": "a", "time": "2026-01-02", "amount": 10.00}',
        [(1, "1", TEN), (7, "12345678901234567890", TEN)], [(3, None, "bad_json"), (4, "amount", "not_a_number"), (5, "customer", "encoding"), (6, None, "bad_json")],
        name="orders.jsonl", blank=1,
    ),
}  # fmt: skip


def imported(folder: Path, case: Case, source: str = ORDERS) -> Brand:
    brand = Brand(folder, {"sources/orders.yaml": source.replace("orders.csv", case.name) + case.more})
    brand.write({f"data/{case.name}": case.data})
    (report,) = brand.receive()
    assert report.rows_read == report.new + report.replaced + report.duplicate + report.quarantined
    assert (report.rows_read, report.blank_lines) == (len(case.kept) + len(case.refused), case.blank)
    return brand


@pytest.mark.parametrize("case", FILES)
def test_files(tmp_path: Path, case: str) -> None:
    wanted = FILES[case]
    brand = imported(tmp_path, wanted)
    assert brand.received("orders", "line", "order_id", "amount") == wanted.kept
    refused = brand.values("quarantine", "line", "column", "reason", "original", "file")
    assert [tuple(row[:3]) for row in sorted(refused)] == wanted.refused
    assert all(original for *_, original, _ in refused), "the original text is kept"
    assert {name for *_, name in refused} <= {wanted.name}


# -- files that are refused as a whole ----------------------------------------------------------------------------------

WHOLE: dict[str, tuple[str, bytes, str]] = {
    "empty": ("orders.csv", b"", "is empty"),
    "only a mark": ("orders.csv", BOM, "is empty"),
    "a name twice": ("orders.csv", b"id,customer,time,id\n", "both named"),
    "a name twice, differing in blanks and form": ("orders.csv", "é, e\u0301,time,amount\n".encode(), "both named"),
    "a column without a name": ("orders.csv", b"id,,time,amount\n", "column 2 of 4 has no name"),
    "an open quote in the header": ("orders.csv", b'id,"customer,time\n', "header cannot be read"),
    "another delimiter": ("orders.csv", lines(GOOD).replace(b",", b";"), "semicolon"),
    "an encoding nobody can tell": ("orders.csv", lines("1,Müller,2026-01-02,1", encoding="cp1252"), "not UTF-8"),
    "UTF-32": ("orders.csv", lines(GOOD, encoding="utf-32"), "UTF-32"),
    "HTML": ("orders.csv", b"<html><table></table></html>", "web page"),
    "a workbook": ("orders.csv", zipped(("xl/workbook.xml", b"<x/>")), "workbook"),
    "binary": ("orders.csv", bytes(range(8)) * 200, "binary"),
    "a gzip cut short": ("orders.csv.gz", gzip.compress(lines(GOOD) * 1000)[:-20], "gzip file is damaged"),
    "a zip of two": ("orders.zip", zipped(("a.csv", b"x"), ("b.csv", b"x")), "holds 2 files"),
    "a zip of nothing": ("orders.zip", zipped(), "is empty"),
    "a zip of a zip": ("orders.zip", zipped(("a.zip", zipped(("a.csv", lines(GOOD))))), "not read packed"),
    "a zip cut short": ("orders.zip", zipped(("a.csv", lines(GOOD) * 1000))[:-30], "zip file is damaged"),
    "a zip that is none": ("orders.zip", lines(GOOD), "zip file is damaged"),
    "no Parquet": ("orders.parquet", lines(GOOD), "cannot be read as Parquet"),
    "no workbook": ("orders.xlsx", lines(GOOD), "is not a valid workbook"),
    "a JSON list": ("orders.json", b'[{"id": 1}]', "holds no object"),
}  # fmt: skip


@pytest.mark.parametrize("case", WHOLE)
def test_files_that_are_refused(tmp_path: Path, case: str) -> None:
    name, data, words = WHOLE[case]
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS.replace("orders.csv", name), f"data/{name}": data})
    (problem,) = brand.problems()
    assert words in problem.message and problem.hint
    assert (problem.where.file, problem.where.line) == ("sources/orders.yaml", 1)
    with pytest.raises(SourceUnreadable) as refused:
        brand.receive()
    assert refused.value.message == problem.message
    assert Lake(tmp_path / "lake").version == 0


def _folder(path: Path) -> None:
    path.mkdir()


def _loop(path: Path) -> None:
    path.symlink_to(path)


def _away(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere.csv"))


def _long(path: Path) -> None:
    path.with_name("x").touch()


PLACES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "a folder": (_folder, "orders.csv", "is a folder"),
    "a pipe": (os.mkfifo, "orders.csv", "not a regular file"),
    "a link to itself": (_loop, "orders.csv", "orders.csv"),
    "a link to nowhere": (_away, "orders.csv", "orders.csv"),
    "a device": (_long, "../../../../../../../../../dev/zero", "not a regular file"),
    "a pattern of nothing": (_long, "*.tsv", "no file matches"),
    "a name too long": (_long, "n" * 300 + ".csv", "n" * 300),
    "a name with NUL": (_long, '"\\0"', "not the name of a file"),
}  # fmt: skip


@pytest.mark.parametrize("case", PLACES)
def test_what_is_no_file(tmp_path: Path, case: str) -> None:
    make, name, words = PLACES[case]
    file = f'file: "data/{name}"' if '"' not in name else 'file: "\\0"'
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS.replace("file: data/orders.csv", file), "data/keep": ""})
    make(tmp_path / "data/orders.csv")
    (problem,) = brand.problems()
    assert words in problem.message and problem.hint, problem
    with pytest.raises(SourceUnreadable):
        brand.receive()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_rights(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": lines(GOOD)})
    (tmp_path / "data/orders.csv").chmod(0)
    (problem,) = brand.problems()
    assert "may not be read" in problem.message


def test_names_of_files(tmp_path: Path) -> None:
    names = ["订单 [6月].csv", "a'b\"c.csv", "*.csv", "é.csv", "e\u0301.csv", "👨‍👩‍👧.csv", "-rf.csv", "a\nb.csv"]
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS.replace("orders.csv", "*.csv") + "row_key: id\n"})
    for number, name in enumerate(names):
        brand.write({f"data/{name}": lines(f"{number},a,2026-01-02,10")})
    assert len(list((tmp_path / "data").iterdir())) == len(names)
    (report,) = brand.receive()
    assert (report.file, report.new) == ("*.csv", 1), "a file whose name is the pattern itself wins"
    (tmp_path / "data/*.csv").unlink()
    assert sorted(report.file for report in brand.receive(1)) == sorted({*names} - {"*.csv"})
    assert {report.state for report in brand.receive(2)} == {"unchanged"}


CHANGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: os.truncate(path, 40),
    "appended": lambda path: path.open("ab").write(b"9,a,2026-01-02,1\n"),
    "replaced": lambda path: (
        path.with_name("new").write_bytes(path.read_bytes()) and path.with_name("new").replace(path)
    ),
    "removed": lambda path: path.unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read(tmp_path: Path, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "data/orders.csv": lines(*[GOOD] * 1000)})
    real = importer.import_file

    def import_then(work: Any, shown: Any, reader: Any, *rest: Any) -> Any:
        CHANGES[change](tmp_path / "data/orders.csv")
        return real(work, shown, reader, *rest)

    monkeypatch.setattr("tierwise.sources.collect.import_file", import_then)
    with pytest.raises(SourceUnreadable, match=r"has changed while it was read|cannot be read"):
        brand.receive()
    assert Lake(tmp_path / "lake").version == 0


# -- values --------------------------------------------------------------------------------------------------------------

NO, YES = "not_a_number", None
VALUES: dict[str, tuple[str, str, list[tuple[str, Any]]]] = {
    "amounts": ("amount", "", [
        ("1,234.50", Decimal("1234.50")), ("￥99", Decimal(99)), ("１２３．５", Decimal("123.5")), ("99元", Decimal(99)), ("1 234", NO),
        ("1.234,50", NO), ("12,34", NO), ("NaN", NO), ("Inf", NO), ("-Infinity", NO), ("1e400", NO), ("1e5", Decimal(100000)), ("0x10", NO),
        ("1_000", NO), ("$5", NO), ("９９９９９９９９９９９９９９９９９", NO), ("99999999999999999999", NO), ("五", NO), ("-5", "negative"), ("-0", Decimal(0)), ("0", Decimal(0)),
        ("10.005", Decimal("10.01")), ("'5", NO), ("=1+1", NO), ("＝1+1", NO), ("", "missing"), ("  ", "missing"), ("\u3000", "missing"),
    ]),
    "times": ("time", "", [
        ("2026/1/3", datetime(2026, 1, 2, 16)), ("20260104", datetime(2026, 1, 3, 16)), ("2026年1月5日", datetime(2026, 1, 4, 16)), ("2026.1.6", datetime(2026, 1, 5, 16)),
        ("01/02/2026", "not_a_date"), ("1/2/26", "not_a_date"), ("13/02/2026", "not_a_date"), ("46025", "not_a_date"), ("2026-02-30", "not_a_date"), ("2025-02-29", "not_a_date"),
        ("2026-00-10", "not_a_date"), ("0000-00-00", "not_a_date"), ("2026-01-02 25:00", "not_a_date"), ("now", "not_a_date"), ("infinity", "not_a_date"), ("epoch", "not_a_date"),
        ("2026-01-02T08:00:00Z", datetime(2026, 1, 2, 8)), ("2026-01-02T08:00:00-05:00", datetime(2026, 1, 2, 13)), ("2026-01-02 08:00", datetime(2026, 1, 2)),
        ("2026-06-02 11:59", datetime(2026, 6, 2, 3, 59)), ("2026-06-02 12:01", "future"), ("9999-12-31", "future"), ("1999-12-31", "before_earliest"), ("1900-01-00", "not_a_date"),
        ("", "missing"), ("２０２６-01-02", "not_a_date"), ("2026-1-2 8:5:9", datetime(2026, 1, 2, 0, 5, 9)),
    ]),
    "declared formats": ("time", "formats: {time: ['%d/%m/%Y', '%d/%m/%Y %H:%M']}\n", [
        ("01/02/2026", datetime(2026, 1, 31, 16)), ("13/02/2026", datetime(2026, 2, 12, 16)), ("02/13/2026", "not_a_date"), ("2026-01-02", "not_a_date"), ("1/2/2026 8:30", datetime(2026, 2, 1, 0, 30)),
    ]),
    "serial days of a sheet": ("time", "formats: {time: excel}\n", [
        ("46025", datetime(2026, 1, 2, 16)), ("46025.5", datetime(2026, 1, 3, 4)), ("60", "not_a_date"), ("2026-01-02", "not_a_date"), ("-1", "not_a_date"), ("1e9", "not_a_date"), ("46025.0", datetime(2026, 1, 2, 16)),
    ]),
    "hours of a zone with daylight saving": ("time", "zone: Europe/London\n", [
        ("2026-03-29 01:30", datetime(2026, 3, 29, 1, 30)), ("2025-10-26 01:30", datetime(2025, 10, 26, 0, 30)), ("2025-10-26T01:30:00+00:00", datetime(2025, 10, 26, 1, 30)),
    ]),
    "names": ("id", "", [
        ("𠮷野家", "𠮷野家"), ("👨‍👩‍👧", "👨‍👩‍👧"), ("שלום", "שלום"), ("e\u0301", "é"), ("a\u200bb", "a\u200bb"), ("a\u202eb", "a\u202eb"), ("·", "·"), ("0012", "0012"), ("12345678901234567890123", "12345678901234567890123"),
        ("1.0", "1.0"), ("1e5", "1e5"), ("a\x07b", "a\x07b"), (" a ", "a"), ("龘靐", "龘靐"), ("x" * 9000, "x" * 9000),
    ]),
    "our own prefix": ("id", "", [
        ("'=1+1", "=1+1"), ("'+86", "+86"), ("'-1", "-1"), ("'@x", "@x"), ("'＝A", "＝A"), ("'＠x", "＠x"), ("''=1", "'=1"), ("'0012", "'0012"), ("'a", "'a"), ("'", "'"), ("''", "''"), ("=1", "=1"),
    ]),
}  # fmt: skip


@pytest.mark.parametrize("case", VALUES)
def test_values(tmp_path: Path, case: str) -> None:
    column, more, cells = VALUES[case]
    row = {"id": "9", "customer": "a", "time": "2026-01-02", "amount": "1"}
    written = [
        ",".join('"' + {**row, column: cell}[name].replace('"', '""') + '"' for name in row) for cell, _ in cells
    ]
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS + more, "data/orders.csv": csv(HEAD, *written)})
    (report,) = brand.receive()
    assert report.rows_read == len(cells)
    target = {"id": "order_id"}.get(column, column)
    found: dict[int, Any] = dict(brand.received("orders", "line", target))
    refused = {line: (where, reason) for line, where, reason in brand.values("quarantine", "line", "column", "reason")}
    assert {where for where, _ in refused.values()} <= {column}
    found |= {line: reason for line, (_, reason) in refused.items()}
    assert {cell: found[line] for line, (cell, _) in enumerate(cells, 2)} == dict(cells)


@settings(max_examples=15)  # a workbook starts a process
@given(st.lists(st.text(alphabet="'=+-@＝aé,\"", min_size=1, max_size=6), min_size=1, max_size=8))
def test_what_an_export_wrote_comes_back(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.getbasetemp()
    for ending, read in ((".csv", read_csv), (".xlsx", read_workbook)):
        write_table(pa.table({"v": texts}), folder / f"export{ending}")
        assert [row["v"] for batch in read(folder / f"export{ending}") for row in batch.table.to_pylist()] == texts


def test_refunds_are_rows_of_their_own(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "sources/refunds.yaml": REFUNDS})
    brand.write(
        {
            "data/orders.csv": lines(GOOD, "2,a,2026-01-02,-5"),
            "data/refunds.csv": lines("1,a,2026-01-03,4", "1,a,2026-01-03,-4"),
        }
    )
    assert brand.imports() == [{"new": 1, "quarantined": 1}, {"new": 1, "quarantined": 1}]
    assert brand.values("quarantine", "line", "column", "reason") == [(3, "amount", "negative")] * 2
