"""What routes are told and answer with: bodies, Arrow rows as plain values, pages of them."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Collection
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from tierwise.definitions.plain import plain
from tierwise.errors import BadRequest

__all__ = ["Body", "cursor_of", "page", "read_cursor", "rows_of"]


class Body(BaseModel):
    """What a request says; a key that is not known is refused, for it may be a slip of the pen."""

    model_config = ConfigDict(extra="forbid")


def rows_of(table: pa.Table, hidden: Collection[str] = ()) -> list[dict[str, Any]]:
    """Return a table's rows as JSON has them, without the columns that are hidden."""
    shown = [name for name in table.column_names if name not in hidden]
    found: list[dict[str, Any]] = plain(table.select(shown).to_pylist())
    return found


def page(items: list[dict[str, Any]], limit: int, by: str) -> dict[str, Any]:
    """Return a page of `limit` items, of which one more was asked for, and where the next one begins.

    Args:
        items: at most ``limit + 1``, in the order of `by`.
        limit: how many a page has.
        by: the number each item has.
    """
    more = len(items) > limit
    shown = items[:limit]
    return {"items": shown, "next": cursor_of(shown[-1][by]) if more else None}


def cursor_of(after: int) -> str:
    """Return where a page begins, as a text that means nothing to others."""
    return base64.urlsafe_b64encode(json.dumps(after).encode()).decode().rstrip("=")


def read_cursor(cursor: str | None, first: int = 0) -> int:
    """Return what `cursor_of` was given, or where the first page begins.

    Raises:
        BadRequest: when it is no cursor.
    """
    if cursor is None:
        return first
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, UnicodeError, ValueError):
        found = None
    if not isinstance(found, int) or isinstance(found, bool) or abs(found) >= 2**63:
        raise BadRequest("this is no cursor", "send the `next` of the page before, as it is")
    return found
