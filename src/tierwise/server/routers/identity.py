"""Who is one person: what links the records, the pairs that wait for somebody, merging and splitting by hand."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from tierwise.definitions.plain import plain
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body

__all__ = ["Decided", "Merge", "Split", "decide", "merge", "report", "review", "reviews", "router", "split", "why"]

router = APIRouter(prefix="/v1/identity", tags=["identity"])
_READ, _LOOK, _WRITE = who_may("answers.read"), who_may("people.read"), who_may("identity.write")
_REASON = Field(min_length=1, max_length=500, examples=["the same person at the counter"])


class Decided(Body):
    """What somebody decides of a pair."""

    verdict: Literal["same", "different"]
    reason: str = _REASON


class Merge(Body):
    """Two customers who are one person."""

    one: str = Field(min_length=1, max_length=200, examples=["m-01"])
    other: str = Field(min_length=1, max_length=200, examples=["id:42"])
    reason: str = _REASON


class Split(Body):
    """Records that are another person than the customer they belong to."""

    customer: str = Field(min_length=1, max_length=200, examples=["m-01"])
    records: list[str] = Field(min_length=1, max_length=1000, examples=[["pos:c-7"]])
    reason: str = _REASON


@router.get("")
def report(caller: Caller = _READ) -> dict[str, Any]:
    """Return how many records are how many customers, what links them, and what the last linking found."""
    return _plain(caller.project.identity.report())


@router.get("/why")
def why(one: str, other: str, caller: Caller = _LOOK) -> dict[str, Any]:
    """Say why two records are one customer, step by step, or what is known of their being two."""
    return _plain(caller.project.identity.why(one, other))


@router.get("/reviews")
def reviews(limit: int = Query(20, ge=1, le=1000), caller: Caller = _LOOK) -> dict[str, Any]:
    """Return the pairs that wait for a decision, the likeliest first: what agrees how far, but not what it is."""
    return {"items": plain(caller.project.identity.reviews(limit))}


@router.get("/reviews/{review_id}")
def review(review_id: int, caller: Caller = _LOOK) -> dict[str, Any]:
    """Return one pair with what both records say side by side; the audit keeps who looked."""
    return _plain(caller.project.identity.review(review_id))


@router.post("/reviews/{review_id}/decide")
def decide(review_id: int, decided: Decided, caller: Caller = _WRITE) -> dict[str, Any]:
    """Decide a pair: `same` makes both one customer, `different` keeps them apart for good."""
    return _plain(caller.project.identity.decide(review_id, decided.verdict, decided.reason))


@router.post("/merge")
def merge(asked: Merge, caller: Caller = _WRITE) -> dict[str, Any]:
    """Say that two customers are one person; the older number survives."""
    return _plain(caller.project.identity.merge(asked.one, asked.other, asked.reason))


@router.post("/split")
def split(asked: Split, caller: Caller = _WRITE) -> dict[str, Any]:
    """Take records out of a customer, as another person."""
    return _plain(caller.project.identity.split(asked.customer, asked.records, asked.reason))


def _plain(found: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = plain(found)
    return row
