"""The words generated expressions are made of: streams with their columns, attributes, literals, windows, patterns."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

__all__ = [
    "ATTRIBUTES",
    "COLUMNS_OF",
    "DAYS",
    "DURATIONS",
    "EXACT",
    "LITERALS",
    "NUMBERS",
    "PATTERNS",
    "SPANS",
    "TIERS",
    "WORDS",
]

NUMBERS: Final = ("integer", "money", "decimal", "float")
COLUMNS_OF: Final[dict[str, dict[str, str]]] = {
    "orders": {"amount": "money", "kept_amount": "money", "coupon_amount": "money", "channel": "text", "cancelled": "boolean", "kept": "boolean", "time": "instant"},
    "refunds": {"amount": "money", "kind": "text", "time": "instant"},
    "events": {"type": "text", "sku": "text", "time": "instant"},
    "visits": {"store_id": "text", "left_at": "instant", "dwell_minutes": "decimal", "time": "instant"},
    "s": {"n": "integer", "q": "decimal", "m": "money", "f": "float", "t": "text", "b": "boolean", "d": "date", "i": "instant", "time": "instant"},
}  # fmt: skip
ATTRIBUTES: Final = {
    "birth_date": "date", "city": "text", "registered_at": "instant", "children": "integer", "income": "money",
    "weight": "decimal", "ratio": "float", "vip": "boolean",
}  # fmt: skip
LITERALS: Final[dict[str, Sequence[str]]] = {
    "boolean": ("True", "False"),
    "integer": ("0", "1", "2", "3", "18", "30", "9007199254740993", "9223372036854775807", "param.p"),
    "decimal": ("0.5", "0.1", "1.5", "19.90", "100.000001", "999999999999.999999", "0.000001", "param.share"),
    "text": tuple(json.dumps(text, ensure_ascii=False) for text in ("app", "store", "", "微信", "İ", "a", "é", "👍", "10", "o'ne")),
    "date": ('"2026-03-01"', '"2026-02-28"', '"2024-02-29"', '"2025-12-31"'),
    "instant": ('"2026-03-01 08:00"', '"2026-03-29T01:00:00Z"', '"2025-10-26 01:30"', '"2026-01-31 23:59:59.999999"'),
}  # fmt: skip
DURATIONS: Final = (
    '"30m"',
    '"1d"',
    '"7d"',
    '"30d"',
    '"90d"',
    '"2w"',
    '"1mo"',
    '"2mo"',
    '"1y"',
    '"400d"',
    "param.span",
)
EXACT: Final = ('"30m"', '"1d"', '"7d"', '"30d"', '"2w"', '"400d"')
DAYS: Final = ('"0d"', '"1d"', '"30d"', '"2w"', '"1mo"', '"13mo"', '"1y"', '"200y"')
TIERS: Final = ("gold", "silver", "none")
SPANS: Final = ('"30d..90d"', '"0d..1d"', '"1mo..2mo"', '"7d..1mo"', '"1w..52w"')
WORDS: Final = (
    "today", "yesterday", "this week", "last week", "this month", "last month", "this quarter", "last quarter", "this year", "last year",
    "same day last year", "same month last year", "same quarter last year", "last year to date",
)  # fmt: skip
PATTERNS: Final = ("a.*", ".", "a.b", "[A-Z]+", "(?i)APP", "", "\\\\w+", ".*ß.*")
