"""Who did what: the audit, and whether anybody has touched it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Query

from tierwise.definitions.plain import plain
from tierwise.server.access import Caller, who_may
from tierwise.store import AuditEntry

__all__ = ["entries", "router", "verify"]

router = APIRouter(prefix="/v1/audit", tags=["audit"])
_READ = who_may("audit.read")


@router.get("")
def entries(
    on: str | None = Query(None, max_length=200, examples=["customer:42"]),
    limit: int = Query(50, ge=1, le=1000),
    caller: Caller = _READ,
) -> dict[str, Any]:
    """Return the newest entries, newest first, if need be only those of one object."""
    return {"items": [_entry(entry) for entry in caller.project.store.audit.list(limit, on=on)]}


@router.get("/verify")
def verify(caller: Caller = _READ) -> dict[str, Any]:
    """Recompute the whole chain and say what does not fit."""
    caller.project.store.audit.seal()
    report: dict[str, Any] = plain(caller.project.store.audit.verify().as_json())
    return report


def _entry(entry: AuditEntry) -> dict[str, Any]:
    row: dict[str, Any] = plain({**asdict(entry), "actor": str(entry.actor)})
    return row
