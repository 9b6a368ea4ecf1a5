"""Encodings are declared or told from the bytes; what cannot be told is refused with the place and the way out."""

from __future__ import annotations

import gzip
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.errors import SourceUnreadable
from tierwise.sources.decode import ENCODINGS, Encoding, decode_block, detect_encoding, source_lines
from tierwise.sources.decode_lines import LINE_LIMIT, LineBlock, LongLine, line_blocks, read_chunks

CHINESE = "订单号,姓名,金额\n" + "".join(f"A{n},张三丰,{n}.50\n" for n in range(200))


@pytest.fixture
def put(tmp_path: Path) -> Path:
    return tmp_path / "orders.csv"


def test_the_encodings_told_from_bytes(put: Path) -> None:
    cases = [
        (b"id,amount\n1,2\n", Encoding("utf-8", 0, "valid")),
        (CHINESE.encode(), Encoding("utf-8", 0, "valid")),
        (CHINESE.encode("utf-8-sig"), Encoding("utf-8", 3, "bom")),
        (b"\xff\xfe" + CHINESE.encode("utf-16-le"), Encoding("utf-16-le", 2, "bom")),
        (b"\xfe\xff" + CHINESE.encode("utf-16-be"), Encoding("utf-16-be", 2, "bom")),
        (CHINESE.encode("utf-16-le"), Encoding("utf-16-le", 0, "guessed")),
        (CHINESE.encode("utf-16-be"), Encoding("utf-16-be", 0, "guessed")),
        (b"id,a\n1,2\n".decode().encode("utf-16-le"), Encoding("utf-16-le", 0, "guessed")),
        (CHINESE.encode("gb18030"), Encoding("gb18030", 0, "guessed")),
        ((CHINESE + "B,龘靐𠮷,1\n").encode("gb18030"), Encoding("gb18030", 0, "guessed")),
        (gzip.compress(CHINESE.encode("gbk")), Encoding("gb18030", 0, "guessed")),
        (b"id,a\n1,\x00\n", Encoding("utf-8", 0, "valid")),
    ]
    for data, expected in cases:
        put.write_bytes(data)
        assert detect_encoding(put) == expected


def test_a_character_at_the_edge_of_a_chunk(put: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 5, 7):
        monkeypatch.setattr("tierwise.sources.decode.read_chunks", lambda path, size=size: read_chunks(path, size))
        for name in ("utf-8", "gb18030", "utf-16"):
            put.write_bytes((CHINESE[:60] + "😀,é\n").encode(name))
            encoding = detect_encoding(put)
            lines = list(source_lines(put, encoding))
            assert all(isinstance(block, LineBlock) for block in lines)
            text = b"".join(block.data for block in lines if isinstance(block, LineBlock))
            assert decode_block(text, encoding).data.decode() == CHINESE[:60] + "😀,é\n"


def test_broken_utf8_stays_utf8(put: Path) -> None:
    rows = CHINESE.splitlines(keepends=True)
    data = b"".join(r.encode() for r in rows[:100]) + "A,张三".encode()[:-1] + b",1\n"
    data += b"".join(r.encode() for r in rows[101:])
    put.write_bytes(data)
    encoding = detect_encoding(put)
    assert encoding == Encoding("utf-8", 0, "mostly")
    assert decode_block(data, encoding).broken == {100}
    put.write_bytes(CHINESE.encode()[:-3] + "店".encode()[:2])  # cut short on the way
    assert detect_encoding(put).how == "mostly"


def test_what_cannot_be_told_names_the_first_byte(put: Path) -> None:
    put.write_bytes("id,name\n1,ok\n2,Müller £20\n3,José £5\n".encode("cp1252"))
    with pytest.raises(SourceUnreadable, match=rf"{put}:3: the byte at offset 16 is not UTF-8") as caught:
        detect_encoding(put)
    assert "encoding: " in caught.value.hint
    # Each of these decodes as GB18030, into characters nobody writes.
    for text, name in (("Müller\nJürgen\nGrößer\n", "cp1252"), ("訂單編號,金額,訂購人姓名\n", "big5")):
        put.write_bytes(text.encode(name))
        with pytest.raises(SourceUnreadable, match="not UTF-8"):
            detect_encoding(put)
        assert detect_encoding(put, name).how == "declared"


def test_the_line_of_the_first_bad_byte_with_other_line_ends(put: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for size in (1, 2, 3, 100):
        monkeypatch.setattr("tierwise.sources.decode.read_chunks", lambda path, size=size: read_chunks(path, size))
        for end in (b"\n", b"\r", b"\r\n"):
            put.write_bytes(end.join([b"a,b", b"1,2", b"\xff\xff,3", b"4,5"]))
            with pytest.raises(SourceUnreadable, match=f"csv:3: the byte at offset {6 + 2 * len(end)} "):
                detect_encoding(put)


def test_declared_wins_unless_it_cannot_be(put: Path) -> None:
    put.write_bytes(CHINESE.encode("gbk"))
    assert detect_encoding(put, "GBK") == Encoding("gb18030", 0, "declared")
    assert detect_encoding(put, "utf8").name == "utf-8"
    for name in ENCODINGS:
        assert detect_encoding(put, name).how == "declared"
    with pytest.raises(SourceUnreadable, match="gbk2") as caught:
        detect_encoding(put, "gbk2")
    assert "`gbk`" in caught.value.hint
    for wrong in ("", "rot13", "utf-7", "utf-32", "编码", "a\0b", "idna", "hz", "iso2022_jp", "cp037"):
        with pytest.raises(SourceUnreadable):
            detect_encoding(put, wrong)
    put.write_bytes(CHINESE.encode("utf-8-sig"))
    assert detect_encoding(put, "utf-8") == Encoding("utf-8", 3, "declared")
    with pytest.raises(SourceUnreadable, match="begins with the mark of utf-8"):
        detect_encoding(put, "gb18030")
    put.write_bytes("a,b\n".encode("utf-16"))
    assert detect_encoding(put, "utf-16").name == "utf-16-le"
    with pytest.raises(SourceUnreadable, match="mark of utf-16-le"):
        detect_encoding(put, "utf-16-be")


def test_files_of_another_kind(put: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "book.xlsx", "w") as book:
        book.writestr("a", "b")
    cases = [
        ((tmp_path / "book.xlsx").read_bytes(), "Excel workbook"),
        (b"PAR1....PAR1", "Parquet"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "old Excel"),
        (b"\n <!DOCTYPE HTML><html>", "web page"),
        ("a,b".encode("utf-32"), "UTF-32"),
        (bytes(range(8)) * 100, "binary"),
        (b"", "is empty"),
        (gzip.compress(b""), "is empty"),
        (gzip.compress(CHINESE.encode())[:-20], "gzip file is damaged"),
        (b"\x1f\x8bnonsense", "gzip file is damaged"),
    ]
    for data, what in cases:
        put.write_bytes(data)
        with pytest.raises(SourceUnreadable, match=what) as caught:
            detect_encoding(put)
        assert caught.value.hint
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        detect_encoding(tmp_path)
    with pytest.raises(SourceUnreadable, match="cannot be read"):
        detect_encoding(tmp_path / "none.csv")


@given(st.text(alphabet="a,\r\n", max_size=40), st.integers(1, 6))
def test_lines_do_not_depend_on_chunks(text: str, size: int) -> None:
    data = text.encode()
    blocks = list(line_blocks(data[i : i + size] for i in range(0, len(data), size)))
    joined, line = b"", 1
    for block in blocks:
        assert isinstance(block, LineBlock)
        assert block.first_line == line
        joined += block.data
        line += block.data.count(b"\n")
    expected = text.replace("\r\n", "\n").replace("\r", "\n")
    assert joined.decode() == expected + ("\n" if expected and not expected.endswith("\n") else "")


def test_a_line_without_end_is_not_kept() -> None:
    chunk = b"x" * LINE_LIMIT
    found = list(line_blocks([b"a\nb", *[chunk] * 50, b"\nc\n", *[chunk] * 3]))
    assert found[0] == LineBlock(b"a\n", 1)
    assert found[1] == LongLine(2, b"b" + b"x" * 1023)
    assert found[2] == LineBlock(b"c\n", 3)
    assert found[3] == LongLine(4, b"x" * 1024)


@given(st.binary(max_size=200))
def test_any_bytes_have_an_encoding_or_a_refusal(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "soup.csv"
    path.write_bytes(data)
    try:
        encoding = detect_encoding(path)
    except SourceUnreadable as refused:
        assert refused.hint
        return
    for block in source_lines(path, encoding):
        assert isinstance(block, LineBlock)
        assert decode_block(block.data, encoding).data.count(b"\n") == block.data.count(b"\n")
