"""The bytes of a file, unpacked where they are packed, as blocks of whole lines in bounded memory."""

from __future__ import annotations

import gzip
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Final

from tierwise.errors import SourceUnreadable

__all__ = [
    "CHUNK_BYTES", "LINE_LIMIT", "LineBlock", "LongLine", "line_blocks", "read_chunks", "read_head",
    "unpacked_name",
]  # fmt: skip

#: How much of a file is in memory at a time.
CHUNK_BYTES: Final = 4 << 20
#: A line of more bytes than this, counted as UTF-8, is rejected (`too_long`).
LINE_LIMIT: Final = 1_000_000
#: A line is given up without being kept from here on. Twice the limit, because a character can shrink to half its
#: bytes when it becomes UTF-8: what is given up here would have been rejected in any case.
_GIVE_UP_BYTES: Final = 2 * LINE_LIMIT
#: How many bytes of such a line are kept, to show it.
_HEAD_BYTES: Final = 1024


@dataclass(frozen=True, slots=True)
class LineBlock:
    r"""Whole lines, each ended by one ``\n`` whatever ended it in the file; `first_line` is 1-based."""

    data: bytes
    first_line: int


@dataclass(frozen=True, slots=True)
class LongLine:
    """A line too long to be kept, and how it begins."""

    line: int
    head: bytes


def read_chunks(path: Path, size: int = CHUNK_BYTES) -> Generator[bytes, None, None]:
    """Yield the bytes of a file; a gzipped one, known by its first two bytes, is unpacked on the way.

    Of a zip file, known by its ending, the only file in it is read.

    Example:
        >>> import gzip, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "a.csv.gz")
        ...     _ = path.write_bytes(gzip.compress(b"id,amount"))
        ...     b"".join(read_chunks(path))
        b'id,amount'
    """
    try:
        with path.open("rb") as stream, _unpacked(path, stream) as source:
            while chunk := source.read(size):
                yield chunk
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise SourceUnreadable(f"{path}: the zip file is damaged ({error})", "copy it again, or unpack it") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        hint = "it may have been cut short on the way: copy it again, or unpack it and name the unpacked file"
        raise SourceUnreadable(
            f"{path}: the {'zip' if _is_zip(path) else 'gzip'} file is damaged ({error})", hint
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise SourceUnreadable(f"{path}: cannot be read ({reason})", "check its name and rights") from error


@contextmanager
def _unpacked(path: Path, stream: IO[bytes]) -> Iterator[IO[bytes]]:
    if _is_zip(path):
        with zipfile.ZipFile(stream) as packed, packed.open(_only_member(path, packed)) as member:
            yield member
        return
    packed_by_gzip = stream.read(2) == b"\x1f\x8b"
    stream.seek(0)
    yield gzip.GzipFile(fileobj=stream, mode="rb") if packed_by_gzip else stream  # type: ignore[misc]


def _is_zip(path: Path) -> bool:
    return path.suffix.lower() == ".zip"


def _only_member(path: Path, packed: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the file in a zip file; what systems put beside it (``__MACOSX/…``) does not count."""
    members = [one for one in packed.infolist() if not one.is_dir() and not _beside(one.filename)]
    if len(members) != 1:
        what = "is empty" if not members else f"holds {len(members)} files"
        raise SourceUnreadable(
            f"{path}: the zip file {what}", "pack each file for itself, or unpack them: `file: *.csv`"
        )
    if members[0].flag_bits & 1:
        raise SourceUnreadable(f"{path}: the zip file is protected by a password", "unpack it first")
    return members[0]


def _beside(name: str) -> bool:
    parts = PurePosixPath(name).parts
    return "__MACOSX" in parts or not parts or parts[-1].startswith(".")


def unpacked_name(path: Path) -> str:
    """Return the name of a file, in lower case, that tells its kind: of a packed one the name it has unpacked.

    Raises:
        SourceUnreadable: It is a zip file that cannot be read, or with other than one file in it.

    Example:
        >>> unpacked_name(Path("data/Orders.JSONL.gz"))
        'orders.jsonl'
    """
    if not _is_zip(path):
        return path.name.lower().removesuffix(".gz")
    try:
        with zipfile.ZipFile(path) as packed:
            return PurePosixPath(_only_member(path, packed).filename).name.lower()
    except (zipfile.BadZipFile, NotImplementedError, OSError, ValueError) as error:
        hint = "copy it again, or unpack it"
        raise SourceUnreadable(f"{path}: the zip file is damaged ({error})", hint) from error


def read_head(path: Path, size: int = 1 << 16) -> bytes:
    """Return the first bytes of a file, unpacked."""
    head = b""
    chunks = read_chunks(path, size)
    for chunk in chunks:
        head += chunk
        if len(head) >= size:
            break
    chunks.close()
    return head[:size]


def line_blocks(chunks: Iterable[bytes]) -> Iterator[LineBlock | LongLine]:
    r"""Yield the lines of an ASCII-compatible stream, in order, in blocks about as large as the chunks.

    ``\r\n``, ``\n`` and a lone ``\r`` end a line; so does the end of the stream.

    Example:
        >>> list(line_blocks([b"a,b\r", b"\n1,2\r3", b",4"]))
        [LineBlock(data=b'a,b\n1,2\n', first_line=1), LineBlock(data=b'3,4\n', first_line=3)]
    """
    line, rest, held, giving_up = 1, b"", b"", b""
    for piece in chunks:
        chunk = held + piece
        held = b"\r" if chunk.endswith(b"\r") else b""  # a \n may follow in the next chunk
        data = rest + _one_line_end(chunk[: len(chunk) - len(held)])
        rest = b""
        if giving_up:
            end = data.find(b"\n")
            if end < 0:
                continue
            yield LongLine(line, giving_up)
            line, data, giving_up = line + 1, data[end + 1 :], b""
        cut = data.rfind(b"\n") + 1
        if cut:
            yield LineBlock(data[:cut], line)
            line += data.count(b"\n", 0, cut)
        rest = data[cut:]
        if len(rest) > _GIVE_UP_BYTES:
            giving_up, rest = rest[:_HEAD_BYTES], b""
    if giving_up:
        yield LongLine(line, giving_up)
    elif rest or held:
        yield LineBlock(rest + b"\n", line)


def _one_line_end(chunk: bytes) -> bytes:
    if b"\r" not in chunk:
        return chunk
    return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
