"""What every reader of files yields: rows with their line numbers, and the records that are no rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol
from unicodedata import normalize

import pyarrow as pa
import pyarrow.compute as pc

from tierwise.engine.export import FORMULA_SIGNS
from tierwise.errors import SourceUnreadable, near_name

__all__ = [
    "REJECT_REASONS", "RawBatch", "Reader", "Reject", "checked_names", "named_columns", "positions_of",
    "shorten", "without_prefix",
]  # fmt: skip

#: Why a record can be rejected before anybody looks at its values.
REJECT_REASONS: Final = {
    "ragged": "The record has more or fewer fields than the header.",
    "unclosed_quote": "A quoted field is not closed.",
    "bad_quote": "Text follows a closing quote.",
    "nul": "The record holds a NUL character.",
    "too_long": "The line is longer than 1 MB.",
    "encoding": "The record holds bytes that are no text in the file's encoding.",
    "bad_json": "The line is not one JSON object, has a key twice or holds what JSON has no numbers for.",
    "out_of_range": "A date or time of a database has no place in the calendar, such as `infinity`.",
    "error_cell": "A cell of a sheet holds an error such as #N/A, or a formula without its result.",
    "inexact": "A number has more digits than a sheet keeps exactly: write such numbers as text.",
}

#: What an export writes for a text that begins like a formula, see `tierwise.engine.export`.
_OUR_PREFIX: Final = "^'('*[" + re.escape(FORMULA_SIGNS) + "])"


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that is not in the table: where it begins, the column if known, why, and its original text.

    `detail` is a short phrase for people ("7 fields, the header has 8").
    """

    line: int
    column: str | None
    reason: str
    text: str
    detail: str = ""

    def __post_init__(self) -> None:
        assert self.reason in REJECT_REASONS, f"undeclared reason {self.reason!r}"


@dataclass(frozen=True, slots=True)
class RawBatch:
    """Some records of a file: the rows of `table`, record i beginning at line ``lines[i]``, and the rejected ones."""

    table: pa.Table
    lines: pa.Int64Array
    rejects: list[Reject]
    text: Callable[[int], str] = field(repr=False)

    @property
    def records(self) -> int:
        """How many records of the file these are: rows and rejects."""
        return len(self.lines) + len(self.rejects)

    def text_of(self, index: int) -> str:
        r"""Return the original text of row `index` (line ends as ``\n``); Parquet rows as JSON."""
        return self.text(index)


class Reader(Protocol):
    """An open file or table; iterate it for its batches, any number of times.

    `columns` are all of its columns, also those that the batches do not have. `rows_read` (rows and rejects) and
    `blank_lines` count the current or last iteration.
    """

    columns: tuple[str, ...]
    rows_read: int
    blank_lines: int

    @property
    def schema(self) -> pa.Schema:
        """Return the columns of the batches with their types."""

    @property
    def encoding_name(self) -> str:
        """Return the encoding of a text file."""

    def __iter__(self) -> Iterator[RawBatch]: ...


def checked_names(where: str, given: Sequence[str]) -> tuple[str, ...]:
    """Return column names in NFC without surrounding whitespace; refuses empty and repeated ones.

    Example:
        >>> checked_names("a.csv:1", [" id ", "amount"])
        ('id', 'amount')
    """
    names = tuple(normalize("NFC", name).strip() for name in given)
    first: dict[str, int] = {}
    for position, name in enumerate(names, 1):
        if not name:
            hint = "name the column in the file, or remove it; a separator at the end of the line makes one more column"
            raise SourceUnreadable(f"{where}: column {position} of {len(names)} has no name", hint)
        if name in first:
            message = f'{where}: columns {first[name]} and {position} are both named "{shorten(name)}"'
            raise SourceUnreadable(message, "rename one of them in the file")
        first[name] = position
    return names


def without_prefix(table: pa.Table) -> pa.Table:
    r"""Return the texts without the ``'`` that an export puts before what a spreadsheet would run as a formula.

    Any other ``'`` stays: ``'0012`` is what somebody wrote.

    Example:
        >>> without_prefix(pa.table({"v": ["'=1+1", "''-x", "'0012", "=1"]})).column("v").to_pylist()
        ['=1+1', "'-x", "'0012", '=1']
    """
    columns = []
    for column in table.columns:
        suspicious = pa.types.is_string(column.type) and pc.any(pc.starts_with(column, "'")).as_py()
        columns.append(pc.replace_substring_regex(column, _OUR_PREFIX, r"\1") if suspicious else column)
    return pa.table(columns, schema=table.schema)


def named_columns(where: str, declared: Sequence[str], found: Sequence[str]) -> tuple[str, ...]:
    """Return the names of the columns of a file without a header: the declared ones, or those they are found by.

    Example:
        >>> named_columns("a.csv:1", ["id", "amount"], ["column_1", "column_2"])
        ('id', 'amount')
    """
    if declared and len(declared) != len(found):
        message = f"{where}: has {len(found)} columns, `columns:` names {len(declared)}"
        raise SourceUnreadable(message, "name every column, in the order of the file")
    return checked_names(f"{where}: `columns:`", declared or found)


def positions_of(path: Path, names: Sequence[str], wanted: Sequence[str] | None) -> tuple[int, ...]:
    """Return which columns of the file are wanted, in the order wanted; all of them for None."""
    if wanted is None:
        return tuple(range(len(names)))
    assert wanted, "name at least one column, or pass None for all"
    index = {name: position for position, name in enumerate(names)}
    plain = [normalize("NFC", name).strip() for name in wanted]
    for name in plain:
        if name not in index:
            raise SourceUnreadable(f'{path}: has no column "{shorten(name)}"', near_name(name, names))
    return tuple(index[name] for name in dict.fromkeys(plain))


def shorten(text: str, length: int = 200) -> str:
    """Return the text, cut after so many characters."""
    return text if len(text) <= length else text[:length] + "…"
