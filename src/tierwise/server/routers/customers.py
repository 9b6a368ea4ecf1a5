"""Customers: lists of them, and one with everything that was found and why."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from fastapi import APIRouter, Query, Request
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.plain import plain
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import page, read_cursor, rows_of

__all__ = ["customer", "customers", "router", "search", "timeline"]

router = APIRouter(prefix="/v1", tags=["customers"])
_READ = who_may("customers.read")
_ABOUT: Final = ("customer_id", "customer_key", "as_of")
#: The newest rows of each stream that a timeline shows.
_LATEST: Final = 50


@router.get("/customers")
def customers(
    caller: Caller = _READ,
    segment: str | None = None,
    tiering: str | None = None,
    tier: str | None = None,
    columns: list[str] | None = Query(None, description="tags, tierings and segments to show; all by default"),
    limit: int = Query(50, ge=1, le=1000),
    cursor: str | None = None,
) -> dict[str, Any]:
    """Return a page of customers by their number, if need be only those of a segment or a tier."""
    catalogue, hidden = caller.project.catalogue, caller.hidden()
    every = [name for name in (*catalogue.tags, *catalogue.tierings, *catalogue.segments) if name not in hidden]
    for name in columns or ():
        if name not in every:
            raise UnknownName(f"there is no tag, tiering or segment `{name}`", near_name(name, every))
    shown = columns or every
    select = exp.select(*(_column(name) for name in dict.fromkeys((*_ABOUT, *shown)))).from_(_table("customers"))
    for condition in _conditions(catalogue, hidden, segment, tiering, tier):
        select = select.where(condition)
    after = exp.GT(this=_column("customer_id"), expression=exp.Literal.number(read_cursor(cursor)))
    select = select.where(after).order_by(_column("customer_id")).limit(limit + 1)
    return page(rows_of(caller.project.sql(select.sql("duckdb"))), limit, "customer_id")


@router.get("/customers/search")
def search(
    request: Request, q: str = Query(min_length=1, max_length=200, examples=["13800138000"]), caller: Caller = _READ
) -> dict[str, Any]:
    """Find customers by the brand's number, `id:42`, or an identifier such as a telephone number, however written.

    What identifies is compared by its blind index: nothing is decrypted, and nothing that is only similar is found.
    """
    project = caller.project
    found = project.people.search(q)
    rows = _of_numbers(caller, found)
    at = request.app.state.clock()
    project.store.audit.record(at, caller.actor, "customer.search", "customers", {"found": len(found)})
    return {"items": [rows.get(number, {"customer_id": number}) for number in found]}


@router.get("/customers/{customer}")
def customer(customer: str, request: Request, caller: Caller = _READ) -> dict[str, Any]:
    """Return one customer: tags, tiers, segments, each with why, what would move them up, and when time would.

    Args:
        customer: the brand's number, an identifier such as a telephone number, or ``id:42``.
    """
    project = caller.project
    found = _without(plain(project.explain(customer)), caller.hidden())
    project.store.audit.record(
        request.app.state.clock(), caller.actor, "customer.show", f"customer:{found['customer_id']}"
    )
    return found


@router.get("/customers/{customer}/timeline")
def timeline(customer: str, request: Request, caller: Caller = _READ) -> dict[str, Any]:
    """Return what happened with one customer, newest first: rows of every stream, and what they moved into."""
    project, hidden = caller.project, caller.hidden()
    customer_id = project.people.find(customer)
    items = []
    for stream in project.catalogue.streams.values():
        items += _rows_of(caller, stream.name, customer_id)
    for row in rows_of(project.history.of(f"id:{customer_id}")):
        if row["name"] not in hidden:
            items.append({"at": row["valid_from"], "what": "membership", **row})
    items.sort(key=lambda item: str(item["at"]), reverse=True)
    at = request.app.state.clock()
    project.store.audit.record(at, caller.actor, "customer.timeline", f"customer:{customer_id}")
    return {"customer_id": customer_id, "items": items}


def _of_numbers(caller: Caller, numbers: Sequence[int]) -> dict[int, dict[str, Any]]:
    """Return the customers of some numbers with their tiers, those the last run knows."""
    if not numbers:
        return {}
    shown = [name for name in caller.project.catalogue.tierings if name not in caller.hidden()]
    mine = exp.In(this=_column("customer_id"), expressions=[exp.Literal.number(number) for number in numbers])
    select = exp.select(*(_column(name) for name in (*_ABOUT, *shown))).from_(_table("customers")).where(mine)
    try:
        rows = rows_of(caller.project.sql(select.sql("duckdb")))
    except (UnknownName, BadRequest):  # nothing has been run yet, or not since something was declared
        return {}
    return {row["customer_id"]: row for row in rows}


def _rows_of(caller: Caller, stream: str, customer_id: int) -> list[dict[str, Any]]:
    """Return the newest rows of a stream that are one customer's; nothing of a stream that has no rows yet."""
    mine = exp.EQ(this=_column("customer_id"), expression=exp.Literal.number(customer_id))
    latest = exp.Ordered(this=_column("time"), desc=True)
    select = exp.select("*").from_(_table(stream)).where(mine).order_by(latest).limit(_LATEST)
    try:
        rows = caller.project.sql(select.sql("duckdb"))
    except (UnknownName, BadRequest):
        return []
    kept = [name for name in rows.column_names if not name.startswith(("pos", "customer_id", "source_record"))]
    return [{"at": row["time"], "what": stream, **row} for row in rows_of(rows.select(kept))]


def _conditions(
    catalogue: Catalogue, hidden: frozenset[str], segment: str | None, tiering: str | None, tier: str | None
) -> Sequence[exp.Expression]:
    """Return the conditions of a list of customers.

    Raises:
        UnknownName: when there is no such segment, tiering or tier for whoever asks.
        BadRequest: when a tier is named without its tiering, or the other way round.
    """
    found: list[exp.Expression] = []
    if segment is not None:
        _known(segment, [name for name in catalogue.segments if name not in hidden], "segment")
        found.append(_column(segment))
    if (tiering is None) != (tier is None):
        raise BadRequest("a tier is named with its tiering", "send both `tiering` and `tier`")
    if tiering is not None and tier is not None:
        _known(tiering, [name for name in catalogue.tierings if name not in hidden], "tiering")
        _known(tier, list(catalogue.tierings[tiering]), "tier")
        found.append(exp.EQ(this=_column(tiering), expression=exp.Literal.string(tier)))
    return found


def _known(name: str, names: Sequence[str], what: str) -> None:
    if name not in names:
        raise UnknownName(f"there is no {what} `{name}`", near_name(name, names))


def _without(found: dict[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Leave out what somebody may not see, and say how much it is."""
    left = 0
    for section, name in (("tags", "tag"), ("tierings", "tiering"), ("segments", "segment")):
        rows: list[Mapping[str, Any]] = found.get(section, [])
        found[section] = [row for row in rows if row[name] not in hidden]
        left += len(rows) - len(found[section])
    found["by_hand"] = [row for row in found.get("by_hand", []) if row["name"] not in hidden]
    return {**found, "hidden": left}


def _column(name: str) -> exp.Column:
    return exp.Column(this=exp.to_identifier(name, quoted=True))


def _table(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
