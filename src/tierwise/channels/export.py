"""The channel `file`: rows of a CSV file for somebody else to send, a file for each day."""

from __future__ import annotations

import csv
import io
import os
from pathlib import Path
from typing import ClassVar, Final

from pydantic import BaseModel

from tierwise.channels.base import Absent, Accepted, Outcome, Outgoing, Refused
from tierwise.definitions.model import Form
from tierwise.engine.export import safe_cell

__all__ = ["ExportChannel", "ExportSettings"]

_COLUMNS: Final = ("message_id", "to", "subject", "text", "code", "fields")


class ExportSettings(Form):
    """The settings of `file`: the folder, and the personal field that is the address in it (`phone`, `email`)."""

    folder: str = "outbox"
    address: str = "phone"


class ExportChannel:
    """Adds a row to ``<folder>/<name>-<day>.csv``; a row is on the disk before it is accepted.

    Cells that a spreadsheet would run as formulas are made texts.
    """

    Settings: ClassVar[type[BaseModel]] = ExportSettings
    address: str = "phone"
    medium: ClassVar[str] = "other"
    deduplicates: ClassVar[bool] = False
    timeout_seconds: float = 5.0

    def __init__(self, name: str, settings: ExportSettings) -> None:
        self.name = name
        self.folder = Path(settings.folder)
        self.address = settings.address

    def send(self, message: Outgoing) -> Outcome:
        """Add the row."""
        path = self._path(message)
        fields = "; ".join(f"{name}={value}" for name, value in message.fields.items())
        values = (message.message_id, message.to, message.subject, message.text, message.code, fields)
        row = io.StringIO()
        csv.writer(row).writerow([safe_cell(value) for value in values])
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            new = not path.exists()
            with path.open("ab", buffering=0) as file:
                head = "\ufeff" + ",".join(_COLUMNS) + "\r\n" if new else ""
                # One write: a row that another process adds at the same time stands before or after it.
                file.write((head + row.getvalue()).encode())
                os.fsync(file.fileno())
        except OSError as error:
            return Refused("unwritable", f"{self.folder} cannot be written: {error.strerror or error}", again=True)
        return Accepted(path.name)

    def lookup(self, message: Outgoing, ref: str = "") -> Outcome | Absent:
        """Say whether the file of that day has the row."""
        path = self._path(message)
        if not path.exists():
            return Absent()
        with path.open(encoding="utf-8-sig", newline="") as file:
            written = safe_cell(message.message_id)
            return Accepted(path.name) if any(row[:1] == [written] for row in csv.reader(file)) else Absent()

    def _path(self, message: Outgoing) -> Path:
        return self.folder / f"{self.name}-{message.at:%Y-%m-%d}.csv"
