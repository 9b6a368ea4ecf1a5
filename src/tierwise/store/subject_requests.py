"""What people ask about their own data: the register of requests, each with the day by which it is due."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, insert, select, update

from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.schema_server import subject_requests
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["REQUEST_KINDS", "REQUEST_STATES", "SubjectRequest", "SubjectRequests"]

#: What somebody may ask: what is held on them, that it be corrected, not be used, or be erased.
REQUEST_KINDS: Final = ("export", "rectify", "restrict", "erase")
#: How far a request is.
REQUEST_STATES: Final = ("open", "done", "refused")
_LONGEST_NOTE: Final = 2_000


@dataclass(frozen=True, slots=True)
class SubjectRequest:
    """One request as recorded; `note` goes when the person is erased."""

    request_id: int
    customer_id: int
    kind: str
    state: str
    note: str | None
    requested_at: datetime
    due_at: datetime
    actor: Actor
    closed_at: datetime | None
    closed_by: Actor | None


class SubjectRequests:
    """The verbs of the register, on one store. No verb reads the clock: the caller says when."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def open(
        self, customer_id: int, kind: str, said: str, actor: Actor, at: datetime, due_at: datetime
    ) -> SubjectRequest:
        """Record what somebody asks.

        Args:
            customer_id: who.
            kind: one of `REQUEST_KINDS`.
            said: in which words, if that matters; it goes when the person is erased.
            actor: who writes it down.
            at: when it was asked.
            due_at: by when it has to be answered.

        Raises:
            BadRequest: when there is no such kind, or too many words.
        """
        if kind not in REQUEST_KINDS:
            raise BadRequest(f"nobody can ask for `{kind}`", near_name(kind, REQUEST_KINDS))
        if len(said) > _LONGEST_NOTE:
            raise BadRequest(f"the note has {len(said)} characters", f"at most {_LONGEST_NOTE}")
        row = {"customer_id": customer_id, "kind": kind, "state": "open", "note": said.strip() or None}
        with self._transactions.write() as connection:
            request_id = take(connection, "subject_request_id")
            times = {"requested_at": at, "due_at": due_at, "actor": str(actor)}
            connection.execute(insert(subject_requests).values(request_id=request_id, **row, **times))
            note(connection, at, actor, f"request.{kind}", f"customer:{customer_id}", {"request_id": request_id})
            return _get(connection, request_id)

    def get(self, request_id: int) -> SubjectRequest:
        """Return one request.

        Raises:
            UnknownName: when there is none of this number.
        """
        with self._transactions.read() as connection:
            return _get(connection, request_id)

    def of(self, customer_id: int) -> list[SubjectRequest]:
        """Return what one customer has asked, in its order."""
        mine = subject_requests.c.customer_id == customer_id
        return self._read(select(subject_requests).where(mine).order_by(subject_requests.c.request_id))

    def close(self, request_id: int, state: str, actor: Actor, at: datetime) -> SubjectRequest:
        """Record how a request ended: ``done`` or ``refused``.

        Raises:
            UnknownName: when there is none of this number.
            BadRequest: when it ended before, or cannot end so.
        """
        if state not in REQUEST_STATES[1:]:
            raise BadRequest(f"a request does not end as `{state}`", "done, or refused")
        mine = (subject_requests.c.request_id == request_id) & (subject_requests.c.state == "open")
        values = {"state": state, "closed_at": at, "closed_by": str(actor)}
        with self._transactions.write() as connection:
            done = connection.execute(update(subject_requests).where(mine).values(**values)).rowcount
            found = _get(connection, request_id)
            if not done:
                raise BadRequest(f"request {request_id} is {found.state} already")
            note(connection, at, actor, "request.close", f"customer:{found.customer_id}", {"state": state})
            return found

    def _read(self, chosen: Any) -> list[SubjectRequest]:
        with self._transactions.read() as connection:
            return [_request(row) for row in connection.execute(chosen)]

    def list(self, limit: int = 50, *, state: str | None = None) -> list[SubjectRequest]:
        """Return the requests, those due first before others, if need be only those in a state.

        Raises:
            BadRequest: when there is no such state.
        """
        if state is not None and state not in REQUEST_STATES:
            raise BadRequest(f"no request is `{state}`", near_name(state, REQUEST_STATES))
        chosen = select(subject_requests)
        chosen = chosen if state is None else chosen.where(subject_requests.c.state == state)
        return self._read(chosen.order_by(subject_requests.c.due_at, subject_requests.c.request_id).limit(limit))


def _get(connection: Connection, request_id: int) -> SubjectRequest:
    mine = subject_requests.c.request_id == request_id
    row = connection.execute(select(subject_requests).where(mine)).one_or_none()
    if row is None:
        raise UnknownName(f"there is no request {request_id}", "GET /v1/requests lists them")
    return _request(row)


def _request(row: Row[Any]) -> SubjectRequest:
    closed = None if row.closed_by is None else Actor.parse(row.closed_by)
    return SubjectRequest(**{**row._mapping, "actor": Actor.parse(row.actor), "closed_by": closed})
