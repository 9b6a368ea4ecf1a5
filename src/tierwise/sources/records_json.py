"""JSON Lines files, one object a line, as batches of text rows: strict, and no number ever becomes a float."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from unicodedata import normalize

import pyarrow as pa

from tierwise.errors import SourceUnreadable
from tierwise.sources.decode import Encoding, decode_block, detect_encoding, source_lines
from tierwise.sources.decode_lines import LINE_LIMIT, LongLine
from tierwise.sources.records_batch import RawBatch, Reject, checked_names, shorten
from tierwise.sources.records_files import stamp_of, unchanged_since

__all__ = ["JSON_ENDINGS", "JsonReader", "read_json_lines"]

JSON_ENDINGS: Final = (".jsonl", ".ndjson", ".json")
#: A file with more keys than this holds values where names belong.
_MOST_COLUMNS: Final = 2_000
#: Values nested deeper than this are no data of a row.
_DEEPEST: Final = 40


def read_json_lines(
    path: Path,
    *,
    encoding: str | None = None,
    decimal: str = ".",
    batch_rows: int = 65536,
    without: Collection[str] = (),
) -> JsonReader:
    r"""Open a JSON Lines file, plain or packed, and read which keys it has.

    The columns are all keys of all lines, in the order they first appear, so the file is read once for them. A number
    is kept as it is written, with the `decimal` sign; ``null`` and an absent key are ``''``; an object or a list is
    its JSON text. A line is a `Reject` (`bad_json`) when it is no object, has a key twice, is nested more than 40 deep
    or holds NaN or Infinity, which JSON has no numbers for; (`encoding`) when a text holds half a character.

    Args:
        path: The file.
        encoding: How it is encoded; by default told from its bytes.
        decimal: The decimal sign of the source.
        batch_rows: No batch has more rows than this.
        without: Keys that are not read.

    Raises:
        SourceUnreadable: The file is no JSON Lines, or cannot be read at all.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder, "orders.jsonl")
        ...     _ = path.write_text('{"id": 12345678901234567890, "amount": 0.10}\n{"id": 1, "id": 2}\n')
        ...     batch = next(iter(read_json_lines(path)))
        >>> batch.table.to_pylist(), [(reject.line, reject.detail) for reject in batch.rejects]
        ([{'id': '12345678901234567890', 'amount': '0.10'}], [(2, 'the key "id" stands twice')])
    """
    return JsonReader(path, encoding, decimal, batch_rows, without)


class JsonReader:
    """An open JSON Lines file: its `columns`; iterate it, any number of times, for batches of texts."""

    def __init__(
        self, path: Path, encoding: str | None, decimal: str, batch_rows: int, without: Collection[str]
    ) -> None:
        assert batch_rows > 0, "a batch has at least one row"
        self.path = path
        self._stamp = stamp_of(path)
        self.encoding: Encoding = detect_encoding(path, encoding)
        self.rows_read = self.blank_lines = 0
        self._decimal, self._batch_rows = decimal, batch_rows
        keys = self._find_keys()
        self.columns = checked_names(str(path), keys)
        self._kept = [(key, name) for key, name in zip(keys, self.columns, strict=True) if name not in without]

    @property
    def schema(self) -> pa.Schema:
        """Every value is a text."""
        return pa.schema([(name, pa.string()) for _, name in self._kept])

    @property
    def encoding_name(self) -> str:
        """Return the encoding as it was found or declared."""
        return self.encoding.name

    def __iter__(self) -> Iterator[RawBatch]:
        self.rows_read = self.blank_lines = 0
        for found in self._blocks():
            rows: list[tuple[int, list[str]]] = []
            rejects: list[Reject] = []
            for line, text, row in found:
                reject = row if isinstance(row, Reject) else None
                values: list[str] = []
                if reject is None:
                    assert not isinstance(row, Reject), "a row is one or the other"
                    values = [self._text(row.get(key)) for key, _ in self._kept]
                    reject = self._unfit(line, text, values)
                if reject is not None:
                    rejects.append(reject)
                else:
                    rows.append((line, values))
            self.rows_read += len(rows) + len(rejects)
            yield from self._batches(rows, rejects)
        unchanged_since(self.path, self._stamp)

    def _batches(self, rows: Sequence[tuple[int, list[str]]], rejects: list[Reject]) -> Iterator[RawBatch]:
        for start in range(0, max(1, len(rows)), self._batch_rows):
            part = rows[start : start + self._batch_rows]
            columns = [pa.array([values[at] for _, values in part], pa.string()) for at in range(len(self._kept))]
            table = pa.table(columns, schema=self.schema)
            lines = pa.array([line for line, _ in part], pa.int64())
            refused = rejects if start == 0 else []
            if part or refused:
                yield RawBatch(table, lines, refused, _text_of(table))

    def _find_keys(self) -> list[str]:
        """Return every key of the file."""
        keys: dict[str, None] = {}
        rows = lines = 0
        for found in self._blocks():
            for _, _, row in found:
                lines += 1
                if not isinstance(row, Reject):
                    rows += 1
                    keys.update(dict.fromkeys(row))
            if len(keys) > _MOST_COLUMNS:
                hint = "a key names a column; values belong behind the colon"
                raise SourceUnreadable(f"{self.path}: has more than {_MOST_COLUMNS:,} different keys", hint)
        if not rows:
            what = "holds no object" if lines else "is empty"
            hint = 'every line is one object, such as {"id": 1}; a list of objects is split by: jq -c ".[]"'
            raise SourceUnreadable(f"{self.path}: {what}", hint)
        if not keys:
            raise SourceUnreadable(f"{self.path}: no object has a key", "export it again")
        return list(keys)

    def _blocks(self) -> Iterator[list[tuple[int, str, dict[str, Any] | Reject]]]:
        """Yield the lines of the file in blocks: (line, text, object or why it is none)."""
        self.blank_lines = 0
        for item in source_lines(self.path, self.encoding):
            if isinstance(item, LongLine):
                head = decode_block(item.head, self.encoding).data.decode().replace("\n", " ")
                text = shorten(head).rstrip("…") + "…"
                yield [(item.line, text, Reject(item.line, None, "too_long", text, "more than 2 MB"))]
                continue
            decoded = decode_block(item.data, self.encoding)
            found: list[tuple[int, str, dict[str, Any] | Reject]] = []
            for index, text in enumerate(decoded.data.decode().split("\n")[:-1]):
                line = item.first_line + index
                if not text.strip():
                    self.blank_lines += 1
                elif index in decoded.broken:
                    found.append((line, text, Reject(line, None, "encoding", text)))
                else:
                    found.append((line, text, _parsed(line, text)))
            yield found

    def _text(self, value: Any) -> str:
        if isinstance(value, _Number):
            return value if self._decimal == "." else value.replace(".", self._decimal)
        if isinstance(value, str):
            return value if value.isascii() else normalize("NFC", value)
        return "" if value is None else _written(value)

    def _unfit(self, line: int, text: str, values: Sequence[str]) -> Reject | None:
        """Return why a row's texts cannot be kept, if so."""
        for (_, name), value in zip(self._kept, values, strict=True):
            if "\0" in value:
                return Reject(line, name, "nul", text, f"at character {value.index(chr(0)) + 1} of the value")
            try:
                value.encode()
            except UnicodeEncodeError as error:
                return Reject(line, name, "encoding", text, f"half a character at {error.start + 1} of the value")
        return None


def _text_of(table: pa.Table) -> Callable[[int], str]:
    return lambda index: json.dumps(table.slice(index, 1).to_pylist()[0], ensure_ascii=False)


class _Number(str):
    """A number as it is written."""


class _NotJsonError(ValueError):
    """What JSON allows and a row does not, or Python and JSON do not."""


def _no_number(word: str) -> Any:
    raise _NotJsonError(f"{word} is no number of JSON")


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise _NotJsonError(f'the key "{shorten(twice, 60)}" stands twice')
    return found


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_without_repeats, parse_float=_Number, parse_int=_Number, parse_constant=_no_number
)


def _parsed(line: int, text: str) -> dict[str, Any] | Reject:
    if len(text) > LINE_LIMIT:
        return Reject(line, None, "too_long", shorten(text), f"{len(text):,} characters")
    if "\0" in text:
        return Reject(line, None, "nul", text, f"at character {text.index(chr(0)) + 1}")
    try:
        value = _DECODER.decode(text)
        if not isinstance(value, dict):
            raise _NotJsonError("the line is no object")
        if text.count("{") + text.count("[") > _DEEPEST:
            _check_depth(value, 1)
        return value
    except json.JSONDecodeError as error:
        detail = f"{error.msg[:1].lower()}{error.msg[1:]} at character {error.pos + 1}"
    except RecursionError:
        detail = f"nested more than {_DEEPEST} deep"
    except _NotJsonError as error:
        detail = str(error)
    return Reject(line, None, "bad_json", text, detail)


def _check_depth(value: Any, depth: int) -> None:
    if depth > _DEEPEST:
        raise _NotJsonError(f"nested more than {_DEEPEST} deep")
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            _check_depth(item, depth + 1)


def _written(value: Any) -> str:
    """Return a value as JSON, its numbers as they were written."""
    if isinstance(value, _Number):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(k, ensure_ascii=False)}: {_written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)
