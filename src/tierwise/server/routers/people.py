"""What is known of a person by name, and their right to be forgotten."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from tierwise.definitions.plain import plain
from tierwise.server.access import Caller, who_may

__all__ = ["erase", "person", "router"]

router = APIRouter(prefix="/v1", tags=["people"])


@router.get("/customers/{customer}/person")
def person(customer: str, masked: bool = True, caller: Caller = who_may("people.read")) -> dict[str, Any]:
    """Return a customer's numbers and personal values, masked unless asked otherwise; the audit keeps who looked."""
    found: dict[str, Any] = plain(caller.project.people.show(customer, masked=masked))
    return found


@router.post("/customers/{customer}/erase")
def erase(customer: str, dry_run: bool = False, caller: Caller = who_may("people.erase")) -> dict[str, Any]:
    """Erase a person from everything Tierwise has written; return the receipt. Asked again it is the same one."""
    found: dict[str, Any] = plain(caller.project.people.erase(customer, dry_run=dry_run))
    return found
