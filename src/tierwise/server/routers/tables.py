"""Rows as they came, and questions in SQL, for those who may."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body, page, read_cursor, rows_of

__all__ = ["Asked", "quarantine", "router", "sql", "tables"]

router = APIRouter(prefix="/v1", tags=["tables"])


@router.get("/tables")
def tables(caller: Caller = who_may("answers.read")) -> dict[str, Any]:
    """List the tables with their rows and columns."""
    return {"items": rows_of(caller.project.show("tables"))}


@router.get("/quarantine")
def quarantine(
    request: Request,
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
    caller: Caller = who_may("quarantine.read"),
) -> dict[str, Any]:
    """Return a page of the rows that were refused: file, line, column, reason and original text."""
    rows, first = caller.project.table("quarantine"), read_cursor(cursor)
    found = [{"row": first + n, **row} for n, row in enumerate(rows_of(rows.slice(first, limit + 1)), 1)]
    caller.project.store.audit.record(request.app.state.clock(), caller.actor, "quarantine.show", "quarantine")
    return {"total": rows.num_rows, **page(found, limit, "row")}


class Asked(Body):
    """One SELECT over the engine's tables."""

    query: str = Field(max_length=100_000, examples=["select count(*) from customers"])
    limit: int = Field(1000, ge=1, le=10_000)


@router.post("/sql")
def sql(asked: Asked, request: Request, caller: Caller = who_may("sql")) -> dict[str, Any]:
    """Answer one SELECT; it can change nothing and reach no file."""
    rows = caller.project.sql(asked.query, asked.limit)
    caller.project.store.audit.record(request.app.state.clock(), caller.actor, "sql", "engine", {"rows": rows.num_rows})
    return {"columns": rows.column_names, "rows": rows_of(rows)}
