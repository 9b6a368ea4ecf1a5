"""The past: who was where, who went where, and how sizes went."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tierwise.errors import UnknownName
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import rows_of

__all__ = ["count", "migration", "retention", "router", "sizes"]

router = APIRouter(prefix="/v1/history", tags=["history"])
_READ = who_may("answers.read")


@router.get("/count")
def count(what: str, on: str, caller: Caller = _READ) -> dict[str, Any]:
    """Return how many were in a segment or a tier (`tiering.tier`) at an instant, or at the end of a date."""
    _visible(caller, what)
    return {"what": what, "on": on, "customers": caller.project.history.count(what, on)}


@router.get("/sizes")
def sizes(what: str, first: str, last: str, every: str = "1mo", caller: Caller = _READ) -> dict[str, Any]:
    """Return how large a segment, a tier, or each tier of a tiering was at each instant."""
    _visible(caller, what)
    return {"items": rows_of(caller.project.history.sizes(what, first, every, last))}


@router.get("/migration")
def migration(tiering: str, earlier: str, later: str, caller: Caller = _READ) -> dict[str, Any]:
    """Return how many went from which tier to which between two instants."""
    _visible(caller, tiering)
    return {"items": rows_of(caller.project.history.migration(tiering, earlier, later))}


@router.get("/retention")
def retention(tiering: str, first: str, last: str, every: str = "1mo", caller: Caller = _READ) -> dict[str, Any]:
    """Return for who was in a tier at one instant how many still were at each later one."""
    _visible(caller, tiering)
    return {"items": rows_of(caller.project.history.retention(tiering, first, every, last))}


def _visible(caller: Caller, what: str) -> None:
    """Answer of what somebody may not see as of what is not there."""
    if what.partition(".")[0] in caller.hidden():
        raise UnknownName(f"there is no tiering or segment `{what}`")
