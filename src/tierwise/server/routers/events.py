"""Events as they happen: in batches of one's own, and as the usual event libraries send them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from tierwise.errors import BadRequest
from tierwise.server.access import Caller, who_may
from tierwise.server.ingest import Ingest
from tierwise.server.ingest.events import decode, spec_rows

__all__ = ["batch", "events", "identify", "page", "router", "track"]

router = APIRouter(prefix="/v1", tags=["events"])
_WRITE = who_may("events.write")


def _said(example: dict[str, Any]) -> dict[str, Any]:
    """Describe a body that the route reads itself."""
    schema = {"type": "object", "example": example}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_EVENT = {"messageId": "m-1", "userId": "u-1", "event": "Order Completed", "properties": {"revenue": 12.5}}


@router.post("/events", openapi_extra=_said({"source": "till", "events": [{"id": "A-9", "member": "m-01"}]}))
async def events(request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take events of a live source: objects with the columns that it maps.

    The answer comes once those that were accepted are on the disk; it says of every other one what is wrong with it.
    Sent again, an event has its effect once, by the source's `row_key`.
    """
    body = decode(await request.body())
    ingest: Ingest = request.app.state.ingest
    if unknown := body.keys() - {"source", "events"}:
        raise BadRequest(f"there is no `{min(unknown)[:80]}`", "send `source` and `events`")
    source = body.get("source")
    if not isinstance(source, str):
        raise BadRequest("`source` is missing", "name the live source that the events belong to")
    return await ingest.take(source, body.get("events"))


@router.post("/batch", openapi_extra=_said({"batch": [{"type": "track", **_EVENT}]}))
async def batch(request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take a batch as event libraries send it; the key is the user name of basic authentication."""
    return await _taken(request, caller, "batch")


@router.post("/track", openapi_extra=_said(_EVENT))
async def track(request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take what somebody did."""
    return await _taken(request, caller, "track")


@router.post("/identify", openapi_extra=_said({"messageId": "m-2", "userId": "u-1", "traits": {"city": "Suzhou"}}))
async def identify(request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take what is known about somebody."""
    return await _taken(request, caller, "identify")


@router.post("/page", openapi_extra=_said({"messageId": "m-3", "userId": "u-1", "name": "Home"}))
async def page(request: Request, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take which page somebody looked at."""
    return await _taken(request, caller, "page")


async def _taken(request: Request, caller: Caller, kind: str) -> dict[str, Any]:
    body = decode(await request.body())
    ingest: Ingest = request.app.state.ingest
    rows, where = spec_rows(body, kind)
    return {"success": True, **await ingest.take(ingest.source_of(caller.actor.id), rows, where)}
