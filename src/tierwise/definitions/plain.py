"""Answers as JSON can hold them, the same on the command line and in the API."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

__all__ = ["plain"]


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: instants in UTC with Z, decimals as texts, no number that is none.

    Example:
        >>> plain({"at": datetime(2026, 3, 1, 8), "spend": Decimal("1.50"), "share": float("nan")})
        {'at': '2026-03-01T08:00:00Z', 'spend': '1.50', 'share': None}
    """
    if isinstance(value, datetime):
        moment = value if value.tzinfo is None else value.astimezone(UTC).replace(tzinfo=None)
        return moment.isoformat() + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value
