"""The channel `outbox`: every message becomes a file that one can look at, and nothing leaves the machine."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel

from tierwise.channels.base import Absent, Accepted, Outcome, Outgoing, Refused, masked
from tierwise.definitions.model import Form

__all__ = ["FolderChannel", "FolderSettings"]


class FolderSettings(Form):
    """The settings of `outbox`: the folder, seen from the project's."""

    folder: str = "outbox"


class FolderChannel:
    """Writes ``<folder>/<customer_id>/<message_id>.json``; a message that is there already is not written again.

    The address is masked. All of a customer's messages lie in one folder, so that erasing the customer takes them away.
    """

    Settings: ClassVar[type[BaseModel]] = FolderSettings
    address: ClassVar[str] = ""
    medium: ClassVar[str] = "other"
    deduplicates: ClassVar[bool] = True
    timeout_seconds: float = 5.0

    def __init__(self, name: str, settings: FolderSettings) -> None:
        self.name = name
        self.folder = Path(settings.folder)

    def send(self, message: Outgoing) -> Outcome:
        """Write the file, whole or not at all."""
        path = self._path(message)
        if path.exists():
            return Accepted(path.name)
        whole = {
            "message_id": message.message_id,
            "to": masked(message.to),
            "at": message.at.isoformat() + "Z",
            "subject": message.subject,
            "text": message.text,
            "html": message.html,
            "code": message.code,
            "fields": dict(message.fields),
            "unsubscribe_url": message.unsubscribe_url,
        }
        draft = path.with_suffix(".tmp")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            text = json.dumps({key: value for key, value in whole.items() if value}, ensure_ascii=False, indent=2)
            draft.write_text(text + "\n", encoding="utf-8")
            os.replace(draft, path)
        except OSError as error:
            with suppress(OSError):
                draft.unlink()
            return Refused("unwritable", f"{self.folder} cannot be written: {error.strerror or error}", again=True)
        return Accepted(path.name)

    def lookup(self, message: Outgoing, ref: str = "") -> Outcome | Absent:
        """Say whether the file is there."""
        path = self._path(message)
        return Accepted(path.name) if path.exists() else Absent()

    def _path(self, message: Outgoing) -> Path:
        whose = "nobody" if message.customer_id is None else str(message.customer_id)
        return self.folder / whose / f"{_safe(message.message_id)}.json"


def _safe(message_id: str) -> str:
    """Return a name that is a file's, and another one for every message."""
    if message_id and len(message_id) <= 100 and all(one.isalnum() or one in "-_" for one in message_id):
        return message_id
    return "x" + message_id.encode().hex()[:200]
