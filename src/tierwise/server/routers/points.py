"""Points: what a customer has and how it came, redemptions and corrections, the second person, the report."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Header, Query
from pydantic import Field

from tierwise.definitions.plain import plain
from tierwise.errors import BadRequest
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body
from tierwise.store import Entry, Proposal

__all__ = [
    "Adjustment",
    "Amount",
    "Redemption",
    "adjust",
    "approve",
    "balance",
    "decline",
    "entries",
    "give_back",
    "proposals",
    "redeem",
    "report",
    "reverse",
    "router",
]

router = APIRouter(prefix="/v1", tags=["points"])
_READ, _WRITE = who_may("points.read"), who_may("points.write")
_KEY = Header(max_length=200, description="a key of your own: what is asked again with it is done once")
_MOST = 10**12


class Redemption(Body):
    """Points to spend, and on what."""

    points: int = Field(ge=1, le=_MOST, examples=[200])
    reference: str | None = Field(None, max_length=200, examples=["order A-9"])


class Adjustment(Body):
    """A correction by hand, upwards or downwards."""

    points: int = Field(ge=-_MOST, le=_MOST, examples=[-50])
    reason: str = Field(min_length=1, max_length=500, examples=["credited twice on 1 March"])


class Amount(Body):
    """How many points of an entry."""

    points: int = Field(ge=1, le=_MOST, examples=[100])


@router.get("/points")
def report(caller: Caller = _READ) -> dict[str, Any]:
    """Return what the points outstanding amount to, and what became of those earned."""
    found: dict[str, Any] = plain(caller.project.points.report())
    return found


@router.get("/customers/{customer}/points")
def balance(customer: str, caller: Caller = _READ) -> dict[str, Any]:
    """Return what a customer can spend, what is pending or owed, and when what they have comes and goes."""
    found: dict[str, Any] = plain(caller.project.points.balance(customer).as_json())
    return found


@router.get("/customers/{customer}/points/entries")
def entries(customer: str, limit: int = Query(50, ge=1, le=1000), caller: Caller = _READ) -> dict[str, Any]:
    """Return a customer's newest entries, the newest first."""
    return {"items": [_entry(entry) for entry in caller.project.points.statement(customer, limit)]}


@router.post("/customers/{customer}/points/redeem")
def redeem(customer: str, asked: Redemption, idempotency_key: str = _KEY, caller: Caller = _WRITE) -> dict[str, Any]:
    """Spend a customer's points, those that expire first before others."""
    key = _key(caller, idempotency_key)
    return _entry(caller.project.points.redeem(customer, asked.points, key=key, reference=asked.reference))


@router.post("/customers/{customer}/points/adjust")
def adjust(customer: str, asked: Adjustment, idempotency_key: str = _KEY, caller: Caller = _WRITE) -> dict[str, Any]:
    """Correct a balance by hand; above what one person may do alone it becomes a proposal for a second one."""
    if not asked.reason.strip():
        raise BadRequest("an adjustment needs a reason", "say why in `reason`")
    key = _key(caller, idempotency_key)
    done = caller.project.points.adjust(customer, asked.points, reason=asked.reason, key=key)
    return {"proposal": _proposal(done)} if isinstance(done, Proposal) else {"entry": _entry(done)}


@router.post("/points/entries/{entry_id}/give-back")
def give_back(entry_id: int, asked: Amount, idempotency_key: str = _KEY, caller: Caller = _WRITE) -> dict[str, Any]:
    """Undo a redemption or a part of it: the points go back to where they came from."""
    return _entry(caller.project.points.give_back(entry_id, asked.points, key=_key(caller, idempotency_key)))


@router.post("/points/entries/{entry_id}/reverse")
def reverse(entry_id: int, asked: Amount, idempotency_key: str = _KEY, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take back what an entry earned, or a part of it; what is spent already is owed."""
    return _entry(caller.project.points.reverse(entry_id, asked.points, key=_key(caller, idempotency_key)))


@router.get("/points/proposals")
def proposals(caller: Caller = _READ) -> dict[str, Any]:
    """Return the adjustments that wait for a second person."""
    return {"items": [_proposal(one) for one in caller.project.points.proposals()]}


@router.post("/points/proposals/{proposal_id}/approve")
def approve(proposal_id: int, caller: Caller = _WRITE) -> dict[str, Any]:
    """Agree to an adjustment that somebody else proposed, and do it."""
    return _entry(caller.project.points.approve(proposal_id))


@router.post("/points/proposals/{proposal_id}/decline")
def decline(proposal_id: int, caller: Caller = _WRITE) -> dict[str, Any]:
    """Refuse an adjustment that somebody else proposed."""
    return _proposal(caller.project.points.decline(proposal_id))


def _key(caller: Caller, key: str) -> str:
    """Return the ledger's key: those of two callers never meet."""
    if not key.strip():
        raise BadRequest("the `Idempotency-Key` is empty", "send what tells this deed from all others")
    return f"{caller.actor}:{key}"


def _entry(entry: Entry) -> dict[str, Any]:
    row: dict[str, Any] = plain(entry.as_json())
    return row


def _proposal(proposal: Proposal) -> dict[str, Any]:
    found = {name: getattr(proposal, name) for name in Proposal.__dataclass_fields__}
    decided = None if proposal.decided_by is None else str(proposal.decided_by)
    row: dict[str, Any] = plain({**found, "proposed_by": str(proposal.proposed_by), "decided_by": decided})
    return row
