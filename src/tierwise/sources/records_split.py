"""One block of CSV lines as rows and rejects: clean lines in bulk by Arrow, the others one by one.

A line that is a whole record by itself goes to Arrow's CSV reader. Which lines are is told by one regular expression
over all of them; the few that are not (a field over several lines, a stray quote) are walked character by character.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from tierwise.sources.decode import Decoded
from tierwise.sources.decode_lines import LINE_LIMIT
from tierwise.sources.records_batch import Reject, shorten

__all__ = ["RECORD_CHARACTERS", "RECORD_LINES", "Broken", "Layout", "Record", "RecordWalk", "Split", "split_block"]

#: A quoted field that is still open after so many lines, or characters, was not meant to be one.
RECORD_LINES: Final = 1000
RECORD_CHARACTERS: Final = 1_000_000


class Record(NamedTuple):
    """The fields of a record and the index of its last line."""

    fields: list[str]
    last: int


class Broken(NamedTuple):
    """Why no record begins at a line, and in which field (0-based)."""

    reason: str
    position: int
    detail: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How the lines of a file are to be read: separator, quote (empty: none), names, and positions of columns kept."""

    delimiter: str
    quote: str
    names: tuple[str, ...]
    kept: tuple[int, ...]

    def name_at(self, position: int) -> str | None:
        """Return the column's name, None beyond the last one."""
        return self.names[position] if position < len(self.names) else None


@dataclass(frozen=True, slots=True)
class Split:
    """The records of a block: `at` is the line index each row of `table` begins at; `taken` of the lines are used."""

    table: pa.Table
    first_line: int
    at: pa.Int64Array
    rejects: list[Reject]
    blank: int
    taken: int
    lines: pa.StringArray
    extents: dict[int, int] = field(repr=False)

    def text_at(self, index: int) -> str:
        """Return the text of the record that begins at this line."""
        return "\n".join(self.lines.slice(index, self.extents.get(index, 1)).to_pylist())


class RecordWalk:
    """Reads single records from lines, strictly: text after a closing quote is an error, doubled quotes are one."""

    def __init__(self, lines: Sequence[str], delimiter: str, quote: str, last: bool) -> None:
        self._lines = lines
        self._delimiter = delimiter
        self._quote = quote
        self._last = last
        # Being inside quotes at the start of one of these lines is known to lead nowhere; without that memory a file
        # of nothing but opening quotes would be read a thousand times.
        self._doomed = range(0)

    def record(self, start: int) -> Record | Broken | None:
        """Return the record that begins at line `start`; None when it goes on behind the lines at hand."""
        return (None if start + 1 in self._doomed else self._well_formed(start)) or self._walked(start)

    def _well_formed(self, start: int) -> Record | None:
        """Read it by the csv module, which is five times as quick and tells little about what is wrong."""
        if not self._quote:
            return None
        stop = min(start + RECORD_LINES, len(self._lines))
        feed = (self._lines[row] + "\n" for row in range(start, stop))
        reader = csv.reader(feed, delimiter=self._delimiter, quotechar=self._quote, strict=True)
        try:
            fields = next(reader)
        except (csv.Error, StopIteration):
            return None
        end = start + reader.line_num
        if reader.line_num > 1 and sum(map(len, self._lines[start:end])) + reader.line_num > RECORD_CHARACTERS:
            return None
        return Record(fields, end - 1)

    def _walked(self, start: int) -> Record | Broken | None:
        quote, delimiter = self._quote, self._delimiter
        fields: list[str] = []
        row, text, at = start, self._lines[start], 0
        size = len(text)
        while True:
            if not quote or not text.startswith(quote, at):
                end = text.find(delimiter, at)
                if end < 0:
                    fields.append(text[at:])
                    return Record(fields, row)
                fields.append(text[at:end])
                at = end + 1
                continue
            parts: list[str] = []
            at += 1
            while (close := self._closing(text, at)) < 0:
                parts.append(text[at:])
                row, at = row + 1, 0
                if row in self._doomed:
                    return self._unclosed(len(fields), range(0))
                if row == len(self._lines) and not self._last:
                    return None
                if row < len(self._lines):
                    text = self._lines[row]
                    size += len(text) + 1
                if row == len(self._lines) or row - start >= RECORD_LINES or size > RECORD_CHARACTERS:
                    return self._unclosed(len(fields), range(start + 1, row))
            parts.append(text[at:close])
            fields.append("\n".join(parts).replace(quote * 2, quote))
            at = close + 1
            if at == len(text):
                return Record(fields, row)
            if not text.startswith(delimiter, at):
                if row > start:  # more likely a stray quote on the first line than so many bad ones
                    return self._unclosed(len(fields) - 1, range(start + 1, row + 1))
                return Broken("bad_quote", len(fields) - 1, f"text follows the closing quote at character {at + 1}")
            at += 1

    def _closing(self, text: str, at: int) -> int:
        """Return the position of the quote that closes a field, -1 if none on this line; doubled ones do not."""
        while (found := text.find(self._quote, at)) >= 0:
            if not text.startswith(self._quote, found + 1):
                return found
            at = found + 2
        return -1

    def _unclosed(self, position: int, doomed: range) -> Broken:
        if doomed:
            self._doomed = doomed
        return Broken("unclosed_quote", position, "a quote opens here and does not close")


def split_block(block: Decoded, first_line: int, layout: Layout, last: bool) -> Split:
    """Return the records of a block; unless it is the `last`, a record open at its end is left for the next one."""
    return _Splitter(block, first_line, layout).split(last)


class _Splitter:
    """The state of splitting one block; line indexes are 0-based within it."""

    def __init__(self, block: Decoded, first_line: int, layout: Layout) -> None:
        self.block = block
        self.first_line = first_line
        self.layout = layout
        self.lines = _lines_of(block.data)
        self.taken = len(self.lines)
        self.flags = _flagged(block, self.lines)
        self.rejects: list[Reject] = []
        self.walked: dict[int, list[str]] = {}
        self.extents: dict[int, int] = {}
        self.done: set[int] = set()

    def split(self, last: bool) -> Split:
        self._walk(_odd_lines(self.block.data, self.lines, self.layout), last)
        for index, reason in self.flags.items():
            if index < self.taken and index not in self.done:
                self._reject(index, reason)
        empty = pc.indices_nonzero(pc.equal(pc.binary_length(self.lines), 0)).to_pylist()
        blank = {index for index in empty if index < self.taken and index not in self.done}
        table, at = self._bulk(self.done | blank | self.flags.keys())
        table, at = self._with_walked(table, at)
        self.rejects.sort(key=lambda reject: reject.line)
        spread = sum(self.extents.values()) - len(self.extents)
        assert len(at) + len(self.rejects) + len(blank) + spread == self.taken, "a line was lost"
        return Split(table, self.first_line, at, self.rejects, len(blank), self.taken, self.lines, self.extents)

    def _walk(self, odd: list[int], last: bool) -> None:
        """Read the records that begin at odd lines, one by one."""
        if not odd:
            return
        walk = RecordWalk(self.lines.to_pylist(), self.layout.delimiter, self.layout.quote, last)
        free = 0
        for start in odd:
            if start < free or self.flags.get(start) == "too_long":
                continue
            found = walk.record(start)
            if found is None:
                self.taken = start
                return
            if isinstance(found, Broken):
                self.done.add(start)
                name = self.layout.name_at(found.position)
                self._reject(start, self.flags.get(start) or found.reason, name, found.detail)
                continue
            free = found.last + 1
            self.done.update(range(start, free))
            if free - start > 1:
                self.extents[start] = free - start
            reason = next((self.flags[i] for i in range(start, free) if i in self.flags), "") if self.flags else ""
            if reason:
                self._reject(start, reason)
            elif len(found.fields) != len(self.layout.names):
                self._reject(start, "ragged", detail=self._ragged(len(found.fields)))
            else:
                self.walked[start] = found.fields

    def _reject(self, index: int, reason: str, column: str | None = None, detail: str = "") -> None:
        text = "\n".join(self.lines.slice(index, self.extents.get(index, 1)).to_pylist())
        if reason == "too_long":
            text, column, detail = shorten(text), None, f"{len(text):,} characters"
        elif reason in _MARKS:
            before = text.partition(_MARKS[reason])[0]
            plain = not self.layout.quote or self.layout.quote not in before
            column = self.layout.name_at(before.count(self.layout.delimiter)) if plain else None
            detail = f"at character {len(before) + 1}"
        self.rejects.append(Reject(self.first_line + index, column, reason, text, detail))

    def _ragged(self, count: int) -> str:
        return f"{count} field{'s' if count != 1 else ''}, the header has {len(self.layout.names)}"

    def _bulk(self, excluded: set[int]) -> tuple[pa.Table, pa.Int64Array]:
        """Read all lines that are whole records by themselves; ragged ones are rejected."""
        at = pa.arange(0, len(self.lines))
        data = self.block.data
        if excluded or self.taken < len(self.lines):
            mask = _mask(len(self.lines), excluded, self.taken)
            at = at.filter(mask)
            data = _joined(self.lines.filter(mask))
        if not len(at):
            return self._empty(), at
        ragged: list[tuple[int, int]] = []

        def on_ragged(row: pa.csv.InvalidRow) -> str:
            ragged.append((row.number - 1, row.actual_columns))
            return "skip"

        table = _read(data, self.layout, on_ragged)
        for number, count in ragged:
            self._reject(at[number].as_py(), "ragged", detail=self._ragged(count))
        if ragged:
            at = at.filter(_mask(len(at), {number for number, _ in ragged}, len(at)))
        return table, at

    def _with_walked(self, table: pa.Table, at: pa.Int64Array) -> tuple[pa.Table, pa.Int64Array]:
        """Put the walked records where they stand in the file; normalise the texts."""
        if self.walked:
            rows = list(self.walked.values())
            columns = [pa.array([row[i] for row in rows], pa.string()) for i in self.layout.kept]
            table = pa.concat_tables([table, pa.table(columns, names=table.column_names)])
            at = pa.concat_arrays([at, pa.array(list(self.walked), pa.int64())])
            order = pc.array_sort_indices(at)
            table, at = table.take(order), at.take(order)
        if not self.block.nfc:
            columns = [pc.utf8_normalize(column, form="NFC") for column in table.columns]
            table = pa.table(columns, names=table.column_names)
        return table, at

    def _empty(self) -> pa.Table:
        names = [self.layout.names[i] for i in self.layout.kept]
        return pa.table([pa.array([], pa.string())] * len(names), names=names)


#: What shows the place of the fault in a rejected text.
_MARKS: Final = {"nul": "\0", "encoding": "\ufffd"}


def _flagged(block: Decoded, lines: pa.StringArray) -> dict[int, str]:
    """Return the lines that are rejected whatever is in them, in the order the reasons count."""
    flags: dict[int, str] = {}
    if b"\0" in block.data:
        flags.update(dict.fromkeys(pc.indices_nonzero(pc.match_substring(lines, "\0")).to_pylist(), "nul"))
    flags.update(dict.fromkeys(block.broken, "encoding"))
    lengths = pc.binary_length(lines)
    if (pc.max(lengths).as_py() or 0) > LINE_LIMIT:
        flags.update(dict.fromkeys(pc.indices_nonzero(pc.greater(lengths, LINE_LIMIT)).to_pylist(), "too_long"))
    return flags


def _odd_lines(data: bytes, lines: pa.StringArray, layout: Layout) -> list[int]:
    """Return the lines with quotes that are no whole record by themselves, or hold a quote inside a plain field."""
    if not layout.quote or layout.quote.encode() not in data:
        return []
    quote, delimiter = (f"\\x{ord(character):02x}" for character in (layout.quote, layout.delimiter))
    item = f"(?:{quote}(?:[^{quote}]|{quote}{quote})*{quote}|[^{quote}{delimiter}]*)"
    whole = pc.match_substring_regex(lines, f"^{item}(?:{delimiter}{item})*$")
    return [] if pc.all(whole).as_py() else pc.indices_nonzero(pc.invert(whole)).to_pylist()


def _lines_of(data: bytes) -> pa.StringArray:
    """Return the lines without their ends; every line has one."""
    if not data:
        return pa.array([], pa.string())
    offsets = pa.array([0, len(data) - 1], pa.int32()).buffers()[1]
    whole = pa.StringArray.from_buffers(1, offsets, pa.py_buffer(data))
    return pc.split_pattern(whole, "\n").flatten()


def _joined(lines: pa.StringArray) -> pa.Buffer:
    offsets = pa.array([0, len(lines)], pa.int32())
    return pc.binary_join(pa.ListArray.from_arrays(offsets, lines), "\n")[0].as_buffer()


def _mask(length: int, excluded: set[int], end: int) -> pa.BooleanArray:
    """Return which of so many positions are before `end` and not excluded."""
    kept = bytearray(b"\1") * length
    kept[end:] = bytes(length - end)
    for index in excluded:
        kept[index] = 0
    return pa.UInt8Array.from_buffers(pa.uint8(), length, [None, pa.py_buffer(kept)]).cast(pa.bool_())


def _read(data: bytes | pa.Buffer, layout: Layout, on_ragged: object) -> pa.Table:
    """Read whole lines with as many fields as there are names; the others are handed to `on_ragged`."""
    numbers = [str(position) for position in range(len(layout.names))]
    kept = [numbers[position] for position in layout.kept]
    if pa.py_buffer(data)[:3].to_pybytes() == b"\xef\xbb\xbf":
        data = b"\xef\xbb\xbf" + pa.py_buffer(data).to_pybytes()  # Arrow drops one at the start, here it is text
    table = pyarrow.csv.read_csv(
        pa.BufferReader(data),
        read_options=pyarrow.csv.ReadOptions(use_threads=False, block_size=len(data) + 1, column_names=numbers),
        parse_options=pyarrow.csv.ParseOptions(
            delimiter=layout.delimiter,
            quote_char=layout.quote or False,
            newlines_in_values=False,
            ignore_empty_lines=False,
            invalid_row_handler=on_ragged,
        ),
        convert_options=pyarrow.csv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(numbers, pa.string()),
            include_columns=kept,
            null_values=[],
            strings_can_be_null=False,
        ),
    )
    return table.rename_columns([layout.names[position] for position in layout.kept])
