"""What the last run found: tiers, segments and tags with their sizes."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import rows_of

__all__ = ["router", "segments", "tags", "tierings"]

router = APIRouter(prefix="/v1", tags=["answers"])
_READ = who_may("answers.read")


@router.get("/tierings")
def tierings(caller: Caller = _READ) -> dict[str, Any]:
    """Return every tier with its labels, how many customers it has, the instant and whether that is fresh."""
    return {"items": _shown(caller, "tiers", "tiering")}


@router.get("/segments")
def segments(caller: Caller = _READ) -> dict[str, Any]:
    """Return every segment with its labels, how many customers it has, the instant and whether that is fresh."""
    return {"items": _shown(caller, "segments", "segment")}


@router.get("/tags")
def tags(caller: Caller = _READ) -> dict[str, Any]:
    """Return every tag with its kind, its labels, how many customers it is known of, and its range."""
    return {"items": _shown(caller, "tags", "tag")}


def _shown(caller: Caller, what: str, name: str) -> list[dict[str, Any]]:
    hidden = caller.hidden()
    return [row for row in rows_of(caller.project.show(what)) if row[name] not in hidden]
