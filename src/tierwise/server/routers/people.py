"""What is known of a person by name, and their rights: to be given it, to be forgotten; what they have asked."""

from __future__ import annotations

import secrets
from dataclasses import asdict
from datetime import timedelta
from typing import Any, Final, Literal

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tierwise.definitions.plain import plain
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body
from tierwise.store import SubjectRequest

__all__ = ["Asked", "Closed", "close", "erase", "export", "person", "requests", "router", "write_down"]

router = APIRouter(prefix="/v1", tags=["people"])
_RIGHTS = who_may("people.rights")
#: A person is answered within so many days, unless somebody says otherwise.
_DUE_DAYS: Final = 15
_FILE: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"application/json": {}}, "description": "the file"}}


class Asked(Body):
    """What a person asks about their own data."""

    customer: str = Field(min_length=1, max_length=200, examples=["m-01"])
    kind: Literal["export", "rectify", "restrict", "erase"]
    note: str = Field("", max_length=2000, description="in which words, if that matters; it goes when they are erased")
    days: int = Field(_DUE_DAYS, ge=1, le=366, description="after which it is due")


class Closed(Body):
    """How a request ended."""

    state: Literal["done", "refused"]


@router.get("/customers/{customer}/person")
def person(customer: str, masked: bool = True, caller: Caller = who_may("people.read")) -> dict[str, Any]:
    """Return a customer's numbers and personal values, masked unless asked otherwise; the audit keeps who looked."""
    found: dict[str, Any] = plain(caller.project.people.show(customer, masked=masked))
    return found


@router.post("/customers/{customer}/export", responses=_FILE, response_class=Response)
def export(customer: str, caller: Caller = _RIGHTS) -> Response:
    """Return everything held on a person as one JSON file, for them; no copy of it is left on the server."""
    project = caller.project
    room = project.folder / "store" / "exports"
    room.mkdir(mode=0o700, parents=True, exist_ok=True)
    # Registered while it is there, so that an erasure finds it even if this process dies before it removes it.
    file = room / f"person-{secrets.token_hex(8)}.json"
    try:
        done = project.people.export(customer, file)
        content = file.read_bytes()
    finally:
        file.unlink(missing_ok=True)
        project.store.exports.forget(str(file.resolve()))
    headers = {"Content-Disposition": f'attachment; filename="customer-{done["customer_id"]}.json"'}
    return Response(content, media_type="application/json", headers=headers)


@router.post("/customers/{customer}/erase")
def erase(customer: str, dry_run: bool = False, caller: Caller = who_may("people.erase")) -> dict[str, Any]:
    """Erase a person from everything Tierwise has written; return the receipt. Asked again it is the same one."""
    found: dict[str, Any] = plain(caller.project.people.erase(customer, dry_run=dry_run))
    return found


@router.get("/requests")
def requests(
    state: Literal["open", "done", "refused"] | None = None,
    limit: int = Query(50, ge=1, le=1000),
    caller: Caller = _RIGHTS,
) -> dict[str, Any]:
    """Return what people have asked about their own data, what is due first before others."""
    return {"items": [_request(one) for one in caller.project.store.requests.list(limit, state=state)]}


@router.post("/requests", status_code=201)
def write_down(asked: Asked, request: Request, caller: Caller = _RIGHTS) -> dict[str, Any]:
    """Write down what a person asks about their own data."""
    customer_id, now = caller.project.people.find(asked.customer), request.app.state.clock()
    due_at = now + timedelta(days=asked.days)
    register = caller.project.store.requests
    return _request(register.open(customer_id, asked.kind, asked.note, caller.actor, now, due_at))


@router.post("/requests/{request_id}/close")
def close(request_id: int, closed: Closed, request: Request, caller: Caller = _RIGHTS) -> dict[str, Any]:
    """Write down how a request ended."""
    register = caller.project.store.requests
    return _request(register.close(request_id, closed.state, caller.actor, request.app.state.clock()))


def _request(found: SubjectRequest) -> dict[str, Any]:
    closed = None if found.closed_by is None else str(found.closed_by)
    row: dict[str, Any] = plain({**asdict(found), "actor": str(found.actor), "closed_by": closed})
    return row
