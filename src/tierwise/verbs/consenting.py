"""Consent: the desk of an open project, and files of statements read as sources are; it needs the store only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.definitions.language.times import Zone
from tierwise.engine.export import write_table
from tierwise.errors import BadRequest
from tierwise.people.consents import ConsentDesk
from tierwise.people.files import digest_of
from tierwise.people.person import find_customer
from tierwise.people.statements import FileRow
from tierwise.sources.records import REJECT_REASONS, Reader, read_csv
from tierwise.sources.records_workbook import read_workbook
from tierwise.store import Statement
from tierwise.verbs.opened import Opened

__all__ = ["Consenting"]

_SHEETS: Final = (".xlsx", ".xls", ".xlsm", ".ods")
_REFUSALS: Final = pa.schema(
    [("line", pa.int64()), *((name, pa.string()) for name in ("column", "code", "reason", "hint", "original"))]
)


class Consenting:
    """The verbs of consent; hangs on the façade as `project.consent`. See `tierwise.people.consents.ConsentDesk`."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def record(
        self, customer: str, purpose: str, channels: Sequence[str] = (), *, key: str, **words: str
    ) -> list[Statement]:
        """Record that a customer has granted a purpose; return one statement a channel."""
        return self._desk().record(customer, purpose, channels, key=key, **words)

    def withdraw(
        self, customer: str, purpose: str = "", channels: Sequence[str] = (), *, key: str, **words: str
    ) -> list[Statement]:
        """Record that a customer withdraws: everything, a purpose, or some of its channels; it holds at once."""
        return self._desk().withdraw(customer, purpose, channels, key=key, **words)

    def show(self, customer: str) -> dict[str, Any]:
        """Return how a customer stands to every purpose and channel, and everything that was said, newest first."""
        return self._desk().show(customer)

    def load(self, file: Path, *, dry_run: bool = False, refused: Path | None = None) -> dict[str, Any]:
        """Record the statements of a CSV file or a workbook; return what became of each of its rows.

        Args:
            file: the file.
            dry_run: only say what would be refused.
            refused: where to write the refused rows with their reasons, if there are any; such a file is an export.

        Raises:
            SourceUnreadable: when the file cannot be read.
            BadRequest: when a column is missing, or one has no meaning.
        """
        if not file.is_file():
            raise BadRequest(f"there is no file {file}", "give a CSV file or a workbook")
        reader: Reader = read_workbook(file) if file.suffix.lower() in _SHEETS else read_csv(file)
        done = self._desk().load(reader.columns, _rows(reader), dry_run=dry_run)
        if refused is not None and done["refusals"]:
            write_table(pa.Table.from_pylist(done["refusals"], schema=_REFUSALS), refused)
            path, opened = refused.resolve(), self.opened
            opened.store.exports.record(str(path), "refusals", digest_of(path), opened.actor, opened.clock())
        return done

    def report(self) -> dict[str, Any]:
        """Return how many customers stand how, and the texts that people agreed to."""
        return self._desk().report()

    def _desk(self) -> ConsentDesk:
        opened = self.opened
        definitions = opened.definitions
        find = partial(find_customer, opened.store, key_spaces=definitions.key_spaces)
        zone = Zone(definitions.settings.timezone)
        return ConsentDesk(opened.store, definitions.consent, zone, find, opened.clock, opened.actor)


def _rows(reader: Reader) -> Iterator[FileRow]:
    """Yield the records of a file, those that are no rows among them."""
    for batch in reader:
        lines = batch.lines.to_pylist()
        for index, cells in enumerate(batch.table.to_pylist()):
            yield FileRow(lines[index], {name: str(cell or "") for name, cell in cells.items()}, batch.text_of(index))
        for reject in batch.rejects:
            why = f"{REJECT_REASONS[reject.reason]} {reject.detail}".strip()
            yield FileRow(reject.line, {}, reject.text, why)
