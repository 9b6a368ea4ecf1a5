"""Which encoding a text file has, told from its bytes and never guessed silently, and its lines as UTF-8."""

from __future__ import annotations

import codecs
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from charset_normalizer import from_bytes

from tierwise.errors import SourceUnreadable, near_name
from tierwise.sources.decode_lines import LineBlock, LongLine, line_blocks, read_chunks, read_head

__all__ = ["ENCODINGS", "Decoded", "Encoding", "decode_block", "detect_encoding", "source_lines"]

#: Encodings a source may declare. Each is a superset of ASCII whose multi-byte characters hold no line end, or UTF-16.
ENCODINGS: Final = (
    "utf-8", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk", "gb2312", "big5", "big5hkscs", "cp950",
    "shift_jis", "cp932", "euc_jp", "euc_kr", "cp949", "ascii", "cp437", "cp850", "cp852", "cp866", "cp874",
    "koi8-r", "koi8-u", "mac-roman",
    *(f"cp125{n}" for n in range(9)), *(f"iso8859-{n}" for n in range(1, 17) if n != 12),
)  # fmt: skip
_SUPERSETS: Final = {"gbk": "gb18030", "gb2312": "gb18030", "utf-8-sig": "utf-8"}
_UTF8_BOM: Final = codecs.BOM_UTF8
_BOMS: Final = ((_UTF8_BOM, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_DECLARE: Final = "declare the encoding in the source, such as `encoding: {}`, or save the file as UTF-8"

#: How other files begin, and what to do with them.
_FOREIGN: Final = (
    (
        b"PK\x03\x04",
        "an Excel workbook (xlsx) or another zip file",
        "give a workbook the ending .xlsx, a zip .zip",
    ),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook (xls)", "give it the ending .xls"),
    (b"PAR1", "a Parquet file", "give it the ending .parquet"),
    (b"SQLite format 3\x00", "an SQLite database", "export the table as CSV"),
    (b"%PDF", "a PDF document", "ask for the data as CSV"),
    (b"Obj\x01", "an Avro file", "convert it to Parquet"),
    (b"ORC", "an ORC file", "convert it to Parquet"),
    (b"BZh", "a bzip2 file", "unpack it first, or pack it with gzip"),
    (b"\x28\xb5\x2f\xfd", "a zstd file", "unpack it first, or pack it with gzip"),
    (b"\xfd7zXZ", "an xz file", "unpack it first, or pack it with gzip"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip file", "unpack it first"),
    (b"Rar!\x1a", "a RAR file", "unpack it first"),
)
_WEB_PAGES: Final = (b"<!doctype html", b"<html", b"<?xml")
#: Control characters that no text file holds in number.
_CONTROLS: Final = bytes(n for n in range(32) if n not in b"\t\n\x0b\x0c\r\x1a\x1b")

#: A file is UTF-8 with some broken lines when at least this share of its lines with other than ASCII is valid UTF-8 …
_MOSTLY_UTF8: Final = 0.99
#: … or this share, when it is not GB18030 either.
_RATHER_UTF8: Final = 0.90
#: GB18030 is believed when, among the characters other than ASCII, at most this share is unassigned or private …
_ODD_SHARE: Final = 0.02
#: … and at least this share is in GB 2312, which holds 99.7 % of running Chinese; Latin-1 read as GB18030 is not.
_COMMON_SHARE: Final = 0.70
#: Characters and bytes looked at for that.
_SAMPLE_CHARS, _SAMPLE_BYTES = 1_000_000, 1 << 15


@dataclass(frozen=True, slots=True)
class Encoding:
    """The encoding of a file: a Python codec name, the bytes of its byte order mark, and how it was found.

    `how` is ``declared``, ``bom`` (byte order mark), ``valid`` (every byte is valid UTF-8), ``mostly`` (UTF-8 with a
    few broken lines, which are rejected one by one) or ``guessed`` (UTF-16 without a mark, GB18030).
    """

    name: str
    bom_length: int
    how: str


class Decoded(NamedTuple):
    """Lines as UTF-8; `broken` has the index of each line that could not be decoded; `nfc`: nothing to normalise."""

    data: bytes
    broken: frozenset[int]
    nfc: bool


def detect_encoding(path: Path, declared: str | None = None) -> Encoding:
    """Return the encoding of a text file: the declared one, or what its bytes say.

    In order: byte order mark; UTF-16 without one (NUL in every other byte); UTF-8, if every byte is valid; UTF-8 with
    broken lines, if 99 % of the lines with other than ASCII characters are valid (90 %, if it is no GB18030 either);
    GB18030, if the whole file decodes into common characters. Otherwise the file is refused.

    Args:
        path: A text file, possibly gzipped.
        declared: The encoding its source declares, any spelling Python knows.

    Raises:
        SourceUnreadable: The file is empty, is no text, or has an encoding that must be declared.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.csv")
        ...     _ = path.write_bytes("订单号,实付金额".encode("gbk"))
        ...     detect_encoding(path)
        Encoding(name='gb18030', bom_length=0, how='guessed')
    """
    name = _declared_name(path, declared) if declared is not None else ""
    head = read_head(path)
    if not head:
        raise SourceUnreadable(f"{path}: is empty", "a CSV file has at least a line with the names of its columns")
    _refuse_foreign(path, head)
    mark, marked = next(((mark, which) for mark, which in _BOMS if head.startswith(mark)), (b"", ""))
    if name:
        if marked and name not in (marked, marked[:6]):
            hint = f"remove `encoding:`, or declare `encoding: {marked}`"
            raise SourceUnreadable(f"{path}: declared as {declared}, but begins with the mark of {marked}", hint)
        return Encoding(marked or ("utf-16-le" if name == "utf-16" else name), len(mark), "declared")
    if marked:
        return Encoding(marked, len(mark), "bom")
    if wide := _utf16_without_mark(head):
        return Encoding(wide, 0, "guessed")
    _refuse_binary(path, head)
    first = _first_invalid(path)
    return Encoding("utf-8", 0, "valid") if first is None else _when_not_utf8(path, *first)


def source_lines(path: Path, encoding: Encoding) -> Iterator[LineBlock | LongLine]:
    """Yield the lines of a file without its byte order mark; those of a UTF-16 file already as UTF-8."""
    chunks = _without_mark(read_chunks(path), encoding.bom_length)
    return line_blocks(_utf8_chunks(chunks, encoding.name) if encoding.name.startswith("utf-16") else chunks)


def decode_block(data: bytes, encoding: Encoding) -> Decoded:
    r"""Return the lines of a block as UTF-8; a broken line has replacement characters for what cannot be read.

    Example:
        >>> decode_block(b"a\n\xff,b\n", Encoding("utf-8", 0, "valid"))
        Decoded(data=b'a\n\xef\xbf\xbd,b\n', broken=frozenset({1}), nfc=True)
    """
    if data.isascii():
        return Decoded(data, frozenset(), True)
    codec = "utf-8" if encoding.name.startswith("utf-16") else encoding.name
    try:
        text = data.decode(codec)
        return Decoded(data if codec == "utf-8" else text.encode(), frozenset(), unicodedata.is_normalized("NFC", text))
    except UnicodeError:
        pass
    lines, broken = [], set()
    for index, line in enumerate(data.split(b"\n")):
        try:
            shown = line.decode(codec)
            shown.encode()
        except UnicodeError:
            shown = line.decode(codec, "replace").encode("utf-8", "replace").decode()
            broken.add(index)
        lines.append(shown)
    text = "\n".join(lines)
    return Decoded(text.encode(), frozenset(broken), unicodedata.is_normalized("NFC", text))


def _declared_name(path: Path, declared: str) -> str:
    try:
        found = codecs.lookup(declared.strip()).name
    except (LookupError, ValueError):
        found = ""
    name = _SUPERSETS.get(found, found)
    if name not in ENCODINGS:
        near = near_name(declared.strip().lower(), ENCODINGS)
        hint = near or "usual ones: utf-8, gb18030, utf-16, big5, shift_jis, cp1252"
        raise SourceUnreadable(f"{path}: `encoding: {declared}` is not an encoding Tierwise reads", hint)
    return name


def _refuse_foreign(path: Path, head: bytes) -> None:
    if head.startswith((codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE)):
        raise SourceUnreadable(f"{path}: is text in UTF-32", "save it as UTF-8")
    for magic, what, hint in _FOREIGN:
        if head.startswith(magic):
            raise SourceUnreadable(f"{path}: is not a CSV file, it looks like {what}", hint)
    if head.removeprefix(_UTF8_BOM).lstrip()[:20].lower().startswith(_WEB_PAGES):
        hint = "the download may need a login, or the system exports HTML under another name: export as CSV"
        raise SourceUnreadable(f"{path}: is not a CSV file, it looks like a web page (HTML) or XML", hint)


def _refuse_binary(path: Path, head: bytes) -> None:
    controls = len(head) - len(head.translate(None, _CONTROLS))
    if controls >= 16 and controls > 0.1 * len(head):
        raise SourceUnreadable(f"{path}: is not a text file, it looks binary", "export the table as CSV or Parquet")


def _utf16_without_mark(head: bytes) -> str:
    """Return the byte order of a text in which the one half of every ASCII character is NUL, or nothing."""
    head = head[: len(head) // 2 * 2]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if even + odd < max(4, 0.1 * len(head)):
        return ""
    name = "utf-16-le" if odd > even else "utf-16-be"
    if min(even, odd) > 0.05 * (even + odd):
        return ""
    try:
        text = codecs.getincrementaldecoder(name)().decode(head)
    except UnicodeDecodeError:
        return ""
    return name if "\n" in text or "\r" in text else ""


def _first_invalid(path: Path) -> tuple[int, int] | None:
    """Return (byte offset, line) of the first byte that is not UTF-8; a file cut inside a character counts too."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    start = lines = 0
    before = b""
    for chunk in read_chunks(path):
        waiting = len(decoder.getstate()[0])
        try:
            if waiting or not chunk.isascii():
                decoder.decode(chunk)
        except UnicodeDecodeError as error:
            at = error.start - waiting
            return start + at, lines + _line_ends(before + chunk[: max(at, 0)]) - _line_ends(before) + 1
        lines += _line_ends(before + chunk) - _line_ends(before)
        before = b"\r" if chunk.endswith(b"\r") else b""
        start += len(chunk)
    waiting = len(decoder.getstate()[0])
    return (start - waiting, lines + 1) if waiting else None


def _line_ends(data: bytes) -> int:
    return data.count(b"\n") + (data.count(b"\r") - data.count(b"\r\n") if b"\r" in data else 0)


@dataclass(slots=True)
class _Chinese:
    """Whether a stream decodes as GB18030, and which characters come out."""

    clean: bool = True
    seen: Counter[str] = field(default_factory=Counter)
    sampled: int = 0
    decoder: codecs.IncrementalDecoder = field(default_factory=codecs.getincrementaldecoder("gb18030"))

    def watch(self, chunks: Iterable[bytes]) -> Iterator[bytes]:
        for chunk in chunks:
            self._feed(chunk, False)
            yield chunk
        self._feed(b"", True)

    def _feed(self, chunk: bytes, last: bool) -> None:
        if not self.clean:
            return
        try:
            text = self.decoder.decode(chunk, last)
        except UnicodeDecodeError:
            self.clean = False
            return
        if self.sampled < _SAMPLE_CHARS:
            self.seen.update(text[:_SAMPLE_CHARS])
            self.sampled += len(text)

    @property
    def plausible(self) -> bool:
        """Whether the characters are such as people write."""
        counts = {character: count for character, count in self.seen.items() if character > "\x7f"}
        total = sum(counts.values())
        odd = sum(n for c, n in counts.items() if unicodedata.category(c) in ("Cn", "Co", "Cs", "Cc"))
        common = sum(n for c, n in counts.items() if _in_gb2312(c))
        return self.clean and total > 0 and odd <= _ODD_SHARE * total and common >= _COMMON_SHARE * total


def _in_gb2312(character: str) -> bool:
    try:
        character.encode("gb2312")
    except UnicodeEncodeError:
        return False
    return True


def _when_not_utf8(path: Path, offset: int, line: int) -> Encoding:
    """Read the whole file once more and decide between broken UTF-8 and GB18030, or refuse."""
    chinese, total, valid, sample = _Chinese(), 0, 0, b""
    for block in line_blocks(chinese.watch(read_chunks(path))):
        if isinstance(block, LongLine) or block.data.isascii():
            continue
        others = [text for text in block.data.split(b"\n") if not text.isascii()]
        total += len(others)
        valid += sum(map(_is_utf8, others))
        if len(sample) < _SAMPLE_BYTES:
            sample += b"\n".join(islice(others, 1000))[:_SAMPLE_BYTES]
    share = valid / total if total else 0.0
    if share >= _MOSTLY_UTF8 or (share >= _RATHER_UTF8 and not chinese.clean):
        return Encoding("utf-8", 0, "mostly")
    if chinese.plausible:
        return Encoding("gb18030", 0, "guessed")
    likely = from_bytes(sample).best() if sample else None
    example = likely.encoding if likely is not None else "cp1252"
    neither = "read as GB18030 it gives characters nobody writes" if chinese.clean else "the file is not GB18030 either"
    message = f"{path}:{line}: the byte at offset {offset} is not UTF-8, and {neither}"
    raise SourceUnreadable(message, _DECLARE.format(example), offset=offset, line=line)


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True


def _without_mark(chunks: Iterable[bytes], length: int) -> Iterator[bytes]:
    for chunk in chunks:
        kept = chunk[length:]
        length = max(0, length - len(chunk))
        if kept:
            yield kept


def _utf8_chunks(chunks: Iterable[bytes], name: str) -> Iterator[bytes]:
    """Yield UTF-16 as UTF-8; a lone half of a character becomes bytes that are no UTF-8, which rejects its line."""
    decoder = codecs.getincrementaldecoder(name)("surrogatepass")
    for chunk in chunks:
        yield decoder.decode(chunk).encode("utf-8", "surrogatepass")
    try:
        yield decoder.decode(b"", True).encode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        yield b"\xff"
