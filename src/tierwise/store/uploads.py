"""Files that somebody has sent: who, when, what became of each; the bytes lie beside the store until then."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from tierwise.errors import BadRequest, UnknownName
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.schema_server import uploads
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["Upload", "Uploads"]


@dataclass(frozen=True, slots=True)
class Upload:
    """One file that was sent; `state` is uploaded, committed or discarded.

    Once it is committed, `file` is its place in the project, `source` what reads it, `job_id` the job that imports it.
    """

    upload_id: int
    name: str
    size_bytes: int
    fingerprint: str
    state: str
    uploaded_at: datetime
    actor: Actor
    source: str | None
    file: str | None
    job_id: int | None
    ended_at: datetime | None


class Uploads:
    """The verbs of uploads, on one store. No verb reads the clock: the caller says when."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(self, name: str, size_bytes: int, fingerprint: str, actor: Actor, at: datetime) -> Upload:
        """Record a file that was sent.

        Args:
            name: what the sender calls it.
            size_bytes: how large it is.
            fingerprint: the hash of its bytes.
            actor: who sent it.
            at: when.
        """
        with self._transactions.write() as connection:
            upload_id = take(connection, "upload_id")
            row = {"upload_id": upload_id, "name": name, "size_bytes": size_bytes, "fingerprint": fingerprint}
            connection.execute(insert(uploads).values(**row, state="uploaded", uploaded_at=at, actor=str(actor)))
            note(connection, at, actor, "upload.begin", f"upload:{upload_id}", {"bytes": size_bytes})
            return _get(connection, upload_id)

    def get(self, upload_id: int) -> Upload:
        """Return one upload.

        Raises:
            UnknownName: when there is none of this number.
        """
        with self._transactions.read() as connection:
            return _get(connection, upload_id)

    def waiting(self, before: datetime) -> list[Upload]:
        """Return the uploads from before an instant that nobody has committed or discarded."""
        chosen = select(uploads).where(uploads.c.state == "uploaded", uploads.c.uploaded_at < before)
        with self._transactions.read() as connection:
            return [_upload(row) for row in connection.execute(chosen.order_by(uploads.c.upload_id))]

    def commit(self, upload_id: int, source: str, file: str, job_id: int, actor: Actor, at: datetime) -> Upload:
        """Record that a file is the project's now, and which job imports it.

        Raises:
            UnknownName: when there is none of this number.
            BadRequest: when it was committed or discarded before.
        """
        said = {"source": source, "file": file, "job_id": job_id}
        return self._end(upload_id, "committed", actor, at, said)

    def discard(self, upload_id: int, actor: Actor, at: datetime) -> Upload:
        """Record that a file was thrown away.

        Raises:
            UnknownName: when there is none of this number.
            BadRequest: when it was committed or discarded before.
        """
        return self._end(upload_id, "discarded", actor, at, {})

    def _end(self, upload_id: int, state: str, actor: Actor, at: datetime, said: dict[str, Any]) -> Upload:
        waiting = (uploads.c.upload_id == upload_id) & (uploads.c.state == "uploaded")
        with self._transactions.write() as connection:
            change = update(uploads).where(waiting).values(state=state, ended_at=at, **said)
            if not connection.execute(change).rowcount:
                found = _get(connection, upload_id)
                raise BadRequest(f"upload {upload_id} was {found.state} before", "send the file again")
            told = {name: value for name, value in said.items() if name != "file"}
            note(connection, at, actor, f"upload.{state}", f"upload:{upload_id}", told)
            return _get(connection, upload_id)

    def list(self, limit: int = 20) -> list[Upload]:
        """Return the newest uploads, the newest first."""
        chosen = select(uploads).order_by(uploads.c.upload_id.desc()).limit(limit)
        with self._transactions.read() as connection:
            return [_upload(row) for row in connection.execute(chosen)]


def _get(connection: Connection, upload_id: int) -> Upload:
    row = connection.execute(select(uploads).where(uploads.c.upload_id == upload_id)).one_or_none()
    if row is None:
        raise UnknownName(f"there is no upload {upload_id}", "GET /v1/imports lists them")
    return _upload(row)


def _upload(row: Row[Any]) -> Upload:
    return Upload(**{**row._mapping, "actor": Actor.parse(row.actor)})
