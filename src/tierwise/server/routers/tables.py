"""Rows as they came, and questions in SQL, for those who may."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from tierwise.engine.export import write_table
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body, page, read_cursor, rows_of

__all__ = ["Asked", "quarantine", "quarantine_file", "router", "sql", "tables"]

router = APIRouter(prefix="/v1", tags=["tables"])
_CSV: Final[dict[int | str, dict[str, Any]]] = {200: {"content": {"text/csv": {}}, "description": "the file"}}


@router.get("/tables")
def tables(caller: Caller = who_may("answers.read")) -> dict[str, Any]:
    """List the tables with their rows and columns."""
    return {"items": rows_of(caller.project.show("tables"))}


@router.get("/quarantine")
def quarantine(
    request: Request,
    source: str | None = Query(None, max_length=64),
    file: str | None = Query(None, max_length=200),
    limit: int = Query(100, ge=1, le=1000),
    cursor: str | None = None,
    caller: Caller = who_may("quarantine.read"),
) -> dict[str, Any]:
    """Return a page of the rows that were refused, if need be of one source or file: line, column, reason and text."""
    rows, first = _refused(caller, source, file), read_cursor(cursor)
    found = [{"row": first + n, **row} for n, row in enumerate(rows_of(rows.slice(first, limit + 1)), 1)]
    caller.project.store.audit.record(request.app.state.clock(), caller.actor, "quarantine.show", "quarantine")
    return {"total": rows.num_rows, **page(found, limit, "row")}


@router.get("/quarantine/file", responses=_CSV, response_class=Response)
def quarantine_file(
    request: Request,
    source: str | None = Query(None, max_length=64),
    file: str | None = Query(None, max_length=200),
    caller: Caller = who_may("quarantine.read"),
) -> Response:
    """Return the rows that were refused as a CSV file that no spreadsheet can be tricked by."""
    with tempfile.TemporaryDirectory(prefix="tierwise-quarantine-") as folder:
        path = Path(folder) / "quarantine.csv"
        write_table(_refused(caller, source, file), path)
        content = path.read_bytes()
    at = request.app.state.clock()
    caller.project.store.audit.record(at, caller.actor, "quarantine.export", "quarantine", {"bytes": len(content)})
    headers = {"Content-Disposition": 'attachment; filename="quarantine.csv"'}
    return Response(content, media_type="text/csv; charset=utf-8", headers=headers)


def _refused(caller: Caller, source: str | None, file: str | None) -> pa.Table:
    """Return the quarantined rows, if need be those of one source or file."""
    rows = caller.project.table("quarantine")
    for name, wanted in (("source", source), ("file", file)):
        if wanted is not None:
            rows = rows.filter(pc.equal(rows[name], wanted))
    return rows


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
