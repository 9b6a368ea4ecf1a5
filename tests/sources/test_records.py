"""Every record of a CSV file is a row or a reject, with its line, and the rest of the file is not harmed by it."""

from __future__ import annotations

import csv
import gzip
import io
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tierwise.errors import SourceUnreadable
from tierwise.sources import decode, decode_lines
from tierwise.sources.records import CsvDialect, RawBatch, Reject, find_files, fingerprint, read_csv


@pytest.fixture
def put(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def rows_of(path: Path, dialect: CsvDialect | None = None, **options: Any) -> list[tuple[int, list[str] | str]]:
    """Return (line, fields) of each row and (line, reason) of each reject, in the order of the lines."""
    reader = read_csv(path, dialect, **options)
    found: list[tuple[int, list[str] | str]] = []
    for batch in reader:
        found += [(r.line, r.reason) for r in batch.rejects]
        columns = [column.to_pylist() for column in batch.table.columns]
        found += [(n, list(row)) for n, row in zip(batch.lines.to_pylist(), zip(*columns, strict=True), strict=True)]
    assert reader.rows_read == len(found)
    return sorted(found, key=lambda each: each[0])


def rejects_of(path: Path, dialect: CsvDialect | None = None) -> list[Reject]:
    return [reject for batch in read_csv(path, dialect) for reject in batch.rejects]


def test_a_clean_file(put: Path) -> None:
    for end in ("\n", "\r\n", "\r"):
        put.write_bytes(end.join(["id, 姓名 ", "1,张三", "", "2,", ",", "3,  x "]).encode())
        reader = read_csv(put)
        assert (reader.columns, reader.encoding.name) == (("id", "姓名"), "utf-8")
        assert rows_of(put) == [(2, ["1", "张三"]), (4, ["2", ""]), (5, ["", ""]), (6, ["3", "  x "])]
        list(reader)
        assert (reader.rows_read, reader.blank_lines) == (4, 1)
        assert sum(batch.records for batch in reader) == 4, "a reader can be iterated again"
        assert (reader.rows_read, reader.blank_lines) == (4, 1)


def test_every_reason(put: Path) -> None:
    long = "x" * (decode_lines.LINE_LIMIT + 1)
    text = 'a,b\n1,2,3\n4\n"5"x,6\n7,"8\n9,10\n\0,11\n' + long + ',1\n12,"13"\n14,"open\n'
    put.write_bytes(text.encode())
    found = rejects_of(put)
    assert [(r.line, r.column, r.reason, r.detail) for r in found] == [
        (2, None, "ragged", "3 fields, the header has 2"),
        (3, None, "ragged", "1 field, the header has 2"),
        (4, "a", "bad_quote", "text follows the closing quote at character 4"),
        (5, "b", "unclosed_quote", "a quote opens here and does not close"),
        (7, "a", "nul", "at character 1"),
        (8, None, "too_long", "1,000,003 characters"),
        (10, "b", "unclosed_quote", "a quote opens here and does not close"),
    ]
    assert [r.text for r in found][:4] == ["1,2,3", "4", '"5"x,6', '7,"8']
    assert found[5].text == "x" * 200 + "…"
    assert [row for row in rows_of(put) if isinstance(row[1], list)] == [(6, ["9", "10"]), (9, ["12", "13"])]


def test_undecodable_lines_are_rejected_alone(put: Path) -> None:
    rows = [f"{n},张三".encode() for n in range(200)]
    rows[50] = b"50,\xff\xfe"
    rows[60] = b'60,"a\xff'
    rows[61] = b'b"'
    put.write_bytes(b"id,name\n" + b"\n".join(rows))
    assert rejects_of(put, CsvDialect(encoding="utf-8")) == [
        Reject(52, "name", "encoding", "50,��", "at character 4"),
        Reject(62, None, "encoding", '60,"a�\nb"', "at character 6"),
    ]
    assert len(rows_of(put)) == 199, "told to be UTF-8 from the other lines"
    put.write_bytes("编号,名\n1,张\n".encode("gbk") + b"2,\xff\xff\n" + "3,李\n".encode("gbk"))
    assert [(r.line, r.reason) for r in rejects_of(put, CsvDialect(encoding="gbk"))] == [(3, "encoding")]
    put.write_bytes("a,b\n1,x".encode("utf-16") + b"\x00\xd8" + "\n2,y\n".encode("utf-16-le") + b"z")
    assert rows_of(put) == [(2, "encoding"), (3, ["2", "y"]), (4, "encoding")]


def test_a_field_over_several_lines(put: Path) -> None:
    put.write_bytes(b'a,b\r\n1,"x\r\n""y"", z\r\n\r\n"\r\n2,w\r\n"3",5" pipe\r\n"q\n",1,2\n"","x\n"\n')
    batch = next(iter(read_csv(put)))
    assert batch.table.to_pydict() == {"a": ["1", "2", "3", ""], "b": ['x\n"y", z\n\n', "w", '5" pipe', "x\n"]}
    assert batch.lines.to_pylist() == [2, 6, 7, 10]
    assert [batch.text_of(i) for i in range(4)] == ['1,"x\n""y"", z\n\n"', "2,w", '"3",5" pipe', '"","x\n"']
    assert [(r.line, r.reason, r.text) for r in batch.rejects] == [(8, "ragged", '"q\n",1,2')]


def test_a_stray_quote_costs_its_line_only(put: Path) -> None:
    rows = [f"{n},x" for n in range(5000)]
    rows[10] = '10,"stray'
    rows[3000] = '3000,"closed, late"'
    rows[4900] = '4900,"stray'
    put.write_text("a,b\n" + "\n".join(rows))
    found = rows_of(put)
    assert len(found) == 5000
    assert [row for row in found if isinstance(row[1], str)] == [(12, "unclosed_quote"), (4902, "unclosed_quote")]
    put.write_text('a,b\n1,"' + "y\n" * 999 + '"\n2,"' + "y\n" * 1000 + '"\n')
    found = rows_of(put)
    assert found[0][0] == 2
    assert isinstance(found[0][1], list)
    assert found[1] == (1002, "unclosed_quote")


def test_nothing_but_opening_quotes_stays_linear(put: Path) -> None:
    put.write_text("a,b\n" + 'a","\n' * 60_000)
    assert len(rows_of(put)) == 60_000


def test_one_line_of_many_megabytes(put: Path) -> None:
    put.write_bytes(b"a,b\n1,2\n" + b'"' + b"x" * 9_000_000 + b"\n3,4\n" + b"\n" * 3 + b"y" * 9_000_000)
    assert rows_of(put) == [(2, ["1", "2"]), (3, "too_long"), (4, ["3", "4"]), (8, "too_long")]
    put.write_bytes(b"x" * 9_000_000 + b"\na,b\n1,2\n")
    assert rows_of(put, CsvDialect(skip_lines=1)) == [(3, ["1", "2"])]
    with pytest.raises(SourceUnreadable, match="longer than 1 MB"):
        read_csv(put)


def test_batches_hold_their_rejects(put: Path) -> None:
    put.write_text("a,b\n" + "".join("bad\n" if n % 10 == 9 else f"{n},x\n" for n in range(100)))
    batches = list(read_csv(put, batch_rows=20))
    assert next((len(b.table), len(b.rejects), b.records) for b in batches) == (20, 2, 22)
    assert sum(batch.records for batch in batches) == 100
    for batch in batches:
        for index, line in enumerate(batch.lines.to_pylist()):
            assert batch.text_of(index) == f"{line - 2},x"
        assert max(r.line for r in batch.rejects) <= batch.lines[-1].as_py() + 1


def test_columns_and_dialects(put: Path) -> None:
    put.write_text("made by hand\n\n\na|b|c\n1|'2|2'|3\n4|5\n")
    dialect = CsvDialect(delimiter="|", quote="'", skip_lines=1)
    assert rows_of(put, dialect, columns=["c", "b"]) == [(5, ["3", "2|2"]), (6, "ragged")]
    assert read_csv(put, dialect).blank_lines == 2
    put.write_text('1,"2"\n3,4\n')
    plain = CsvDialect(quote="", header=False)
    assert read_csv(put, plain).columns == ("column_1", "column_2")
    assert rows_of(put, plain) == [(1, ["1", '"2"']), (2, ["3", "4"])]
    put.write_bytes(gzip.compress(b'\xef\xbb\xbf"a\nb",c\n1,2\n'))
    assert read_csv(put).columns == ("a\nb", "c")
    assert rows_of(put) == [(3, ["1", "2"])]
    put.write_text('id\nx\n\n""\n')
    assert rows_of(put) == [(2, ["x"]), (4, [""])]
    put.write_text("id,name\n")
    assert rows_of(put) == []
    put.write_bytes("a,b\n\ufeff1,2\n".encode())
    assert rows_of(put) == [(2, ["\ufeff1", "2"])], "a mark inside the file is text"


def test_texts_are_nfc(put: Path) -> None:
    put.write_bytes('cafe\u0301,b\nre\u0301,"x\ne\u0301"\n'.encode())
    batch = next(iter(read_csv(put, columns=["cafe\u0301"])))
    assert batch.table.to_pydict() == {"café": ["ré"]}
    assert batch.text_of(0) == 're\u0301,"x\ne\u0301"'


@pytest.mark.parametrize(
    ("data", "dialect", "message", "hint"),
    [
        (b"", CsvDialect(), "is empty", "names of its columns"),
        (b"\n\n \n"[:2], CsvDialect(), "is empty", "names of its columns"),
        (b"\xef\xbb\xbf", CsvDialect(), "is empty", "names of its columns"),
        (b"a\nb\n", CsvDialect(skip_lines=2), "empty below the 2 lines", "skip_lines"),
        (b"a,b,\n", CsvDialect(), ":1: column 3 of 3 has no name", "separator at the end"),
        (b"x\na,b, a \n", CsvDialect(skip_lines=1), ':2: columns 1 and 3 are both named "a"', "rename"),
        (
            b"a;b;c\n1;2;3\n",
            CsvDialect(),
            "one column when split at comma, 3 when split at semicolon",
            '`delimiter: ";"`',
        ),
        (b"a\tb\n1\t2\n", CsvDialect(), "split at tab", r'`delimiter: "\t"`'),
        (b"a,b\n", CsvDialect(delimiter="|"), "one column when split at bar, 2", '`delimiter: ","`'),
        (b"1;2\n", CsvDialect(header=False), "split at semicolon", '`delimiter: ";"`'),
        (b'a,"b\n1,2\n', CsvDialect(), "the header cannot be read, a quote opens", "header: false"),
        (b"a,\0\n", CsvDialect(), "NUL", "encoding"),
        (b"a,\xff\n", CsvDialect(encoding="utf-8"), "bytes that are not utf-8", "encoding"),
        (b"a,b\n", CsvDialect(delimiter=";;"), "not one ASCII character", "usual"),
        (b"a,b\n", CsvDialect(delimiter=""), "not one ASCII character", "usual"),
        (b"a,b\n", CsvDialect(quote="，"), "not one ASCII character", "usual"),
        (b"a,b\n", CsvDialect(quote=","), "both", "differ"),
        (b"a,b\n", CsvDialect(skip_lines=-1), "negative", "0"),
    ],
)
def test_refusals(put: Path, data: bytes, dialect: CsvDialect, message: str, hint: str) -> None:
    put.write_bytes(data)
    with pytest.raises(SourceUnreadable) as caught:
        read_csv(put, dialect)
    assert message in caught.value.message
    assert str(put) in caught.value.message
    assert hint in caught.value.hint


def test_an_unknown_column(put: Path) -> None:
    put.write_text("amount,id\n")
    with pytest.raises(SourceUnreadable) as caught:
        read_csv(put, columns=["amuont"])
    assert caught.value.hint == "did you mean `amount`?"


def slow_records(text: str, delimiter: str, quote: str) -> list[tuple[int, list[str] | str]]:
    """Read all records character by character, from lines to fields, with no thought of speed."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    found: list[tuple[int, list[str] | str]] = []
    index = 0
    while index < len(lines):
        if lines[index] == "":
            index += 1
            continue
        fields, state, row, at, broken = [""], "start", index, 0, ""
        while not broken:
            if at == len(lines[row]):
                if state != "quoted":
                    break
                row, at = row + 1, 0
                fields[-1] += "\n"
                if row == len(lines):
                    broken = "unclosed_quote"
                continue
            character = lines[row][at]
            if state == "quoted":
                if character != quote:
                    fields[-1] += character
                elif lines[row][at + 1 : at + 2] == quote:
                    fields[-1] += quote
                    at += 1
                else:
                    state = "closed"
            elif character == delimiter:
                fields.append("")
                state = "start"
            elif state == "closed":
                broken = "bad_quote" if row == index else "unclosed_quote"
            elif character == quote and state == "start":
                state = "quoted"
            else:
                fields[-1] += character
                state = "plain"
            at += 1
        text_seen = lines[index] if broken else "\n".join(lines[index : row + 1])
        if "\0" in text_seen:
            found.append((index + 1, "nul"))
        elif broken:
            found.append((index + 1, broken))
        else:
            found.append((index + 1, fields))
        index = index + 1 if broken else row + 1
    return found


@settings(max_examples=300)
@given(
    st.text(alphabet='a"",,\n\r\0é\u0301', max_size=60),
    st.integers(1, 40),
    st.sampled_from([1, 2, 3, 65536]),
)
@example('a","\na","\na","\n"x', 1, 1)
@example('"\n\n"\n', 2, 1)
def test_soup_is_read_as_by_the_slow_reader(
    tmp_path_factory: pytest.TempPathFactory, text: str, size: int, batch_rows: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "soup.csv"
    path.write_bytes(b"a,b\n" + text.encode())
    expected: list[tuple[int, list[str] | str]] = []
    for line, fields in slow_records(text, ",", '"'):
        if isinstance(fields, list):
            normal = [unicodedata.normalize("NFC", field) for field in fields]
            expected.append((line + 1, normal if len(normal) == 2 else "ragged"))
        else:
            expected.append((line + 1, fields))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "read_chunks", lambda path: decode_lines.read_chunks(path, size))
        assert rows_of(path, CsvDialect(encoding="utf-8"), batch_rows=batch_rows) == expected


cells = st.text(alphabet='xy,"\n; 张é', max_size=6)


@given(st.integers(1, 4).flatmap(lambda n: st.lists(st.lists(cells, min_size=n, max_size=n), min_size=1, max_size=12)))
def test_what_the_csv_module_writes_comes_back(tmp_path_factory: pytest.TempPathFactory, rows: list[list[str]]) -> None:
    path = tmp_path_factory.getbasetemp() / "written.csv"
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL if len(rows) % 2 else csv.QUOTE_MINIMAL)
    writer.writerow([f"c{n}" for n in range(len(rows[0]))])
    writer.writerows(rows)
    for name in ("utf-8", "gb18030", "utf-16"):
        path.write_bytes(out.getvalue().encode(name))
        assert [fields for _, fields in rows_of(path, CsvDialect(encoding=name))] == rows


@settings(max_examples=200)
@given(
    st.binary(max_size=120), st.booleans(), st.sampled_from(["utf-8", "gb18030", "utf-16", "shift_jis", "cp1252", None])
)
def test_arbitrary_bytes_lose_no_line(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, header: bool, encoding: str | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "bytes.csv"
    path.write_bytes((b"a,b\n" if header and encoding != "utf-16" else b"") + data)
    try:
        reader = read_csv(path, CsvDialect(header=header, encoding=encoding))
        batches: list[RawBatch] = list(reader)
    except SourceUnreadable as refused:
        assert refused.hint
        return
    seen = [line for batch in batches for line in [*batch.lines.to_pylist(), *(r.line for r in batch.rejects)]]
    assert reader.rows_read == len(seen) == len(set(seen))
    texts = [batch.text_of(i) for batch in batches for i in range(len(batch.lines))]
    texts += [reject.text for batch in batches for reject in batch.rejects]
    assert all(texts)


def test_find_files(tmp_path: Path) -> None:
    for name in ("data/b.csv", "data/a.csv", "data/deep/er/c.csv", "data/x[1].csv", "data/.hidden.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("id\n")

    def names(pattern: str) -> list[str]:
        return [str(path.relative_to(tmp_path)) for path in find_files(pattern, tmp_path)]

    assert names("data/a.csv") == ["data/a.csv"]
    assert names("data/?.csv") == ["data/a.csv", "data/b.csv"]
    assert names("**/*.csv") == ["data/a.csv", "data/b.csv", "data/deep/er/c.csv", "data/x[1].csv"]
    assert names("data/x[1].csv") == ["data/x[1].csv"]
    assert find_files("../data/a.csv", tmp_path / "data")[0].read_text() == "id\n"
    assert find_files(str(tmp_path / "data/*.csv"), Path("/elsewhere"))[0].name == "a.csv"
    for pattern, message, hint in (
        ("data/aa.csv", "there is no such file", "did you mean `a.csv`?"),
        ("dta/a.csv", "there is no such file", "did you mean `data`?"),
        ("data/*.tsv", "no file matches", "did you mean `b.csv`?"),
        ("data", "is a folder", "`file: data/*.csv`"),
        ("data/deep/er/../../../nothing.csv", "there is no such file", ""),
        ("", "not the name of a file", "data/orders.csv"),
        ("a\0b", "not the name of a file", ""),
        ("x" * 5000, "", ""),
    ):
        with pytest.raises(SourceUnreadable) as caught:
            find_files(pattern, tmp_path)
        assert message in caught.value.message
        assert hint in caught.value.hint
    (tmp_path / "gone.csv").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SourceUnreadable, match="not a regular file"):
        find_files("go*.csv", tmp_path)


def test_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"x")
    (tmp_path / "b").write_bytes(b"x")
    (tmp_path / "c").write_bytes(b"y")
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "b") != fingerprint(tmp_path / "c")
    with pytest.raises(SourceUnreadable):
        fingerprint(tmp_path)
