"""How arguments, answers and errors cross the door: JSON that keeps instants and decimals, tables as Arrow."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from tierwise.errors import DefinitionsInvalid, Place, Problem, TierwiseError

__all__ = ["PROTOCOL", "decode", "decode_error", "encode", "encode_error", "pack", "schema_of", "unpack"]

#: Goes up when an older process could not understand a newer one.
PROTOCOL: Final = 1
_TABLE: Final = {"$": "table"}


def pack(message: Mapping[str, Any]) -> bytes:
    """Return a message as bytes."""
    return json.dumps(message, ensure_ascii=False).encode()


def unpack(content: Any) -> dict[str, Any]:
    """Return the message in some bytes."""
    found: dict[str, Any] = json.loads(bytes(content))
    return found


def encode(value: Any) -> tuple[Any, pa.Table | None]:
    """Return a value as JSON can hold it, and the one table that may be in it.

    Example:
        >>> plain, table = encode([Decimal("1.50"), pa.table({"x": [1]})])
        >>> plain, decode(plain, table)[0]
        ([{'$': 'decimal', 'v': '1.50'}, {'$': 'table'}], Decimal('1.50'))
    """
    tables: list[pa.Table] = []
    plain = _plain(value, tables)
    assert len(tables) <= 1, "one table at a time crosses the door"
    return plain, tables[0] if tables else None


def _plain(value: Any, tables: list[pa.Table]) -> Any:
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, pa.Table):
        tables.append(value)
        return dict(_TABLE)
    if isinstance(value, datetime):
        return {"$": "instant", "v": value.isoformat()}
    if isinstance(value, date):
        return {"$": "date", "v": value.isoformat()}
    if isinstance(value, Decimal):
        return {"$": "decimal", "v": str(value)}
    if isinstance(value, Path):
        return {"$": "path", "v": str(value)}
    if isinstance(value, Mapping):
        if all(isinstance(key, str) for key in value) and "$" not in value:
            return {key: _plain(item, tables) for key, item in value.items()}
        return {"$": "pairs", "v": [[_plain(key, tables), _plain(item, tables)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"$": "tuple", "v": [_plain(item, tables) for item in value]}
    if isinstance(value, list):
        return [_plain(item, tables) for item in value]
    raise AssertionError(f"a {type(value).__name__} does not cross the door")


_READ: Final[Mapping[str, Any]] = {
    "instant": datetime.fromisoformat,
    "date": date.fromisoformat,
    "decimal": Decimal,
    "path": Path,
}


def decode(plain: Any, table: pa.Table | None) -> Any:
    """Return what `encode` wrote."""
    if isinstance(plain, list):
        return [decode(item, table) for item in plain]
    if not isinstance(plain, dict):
        return plain
    kind = plain.get("$")
    if kind is None:
        return {key: decode(item, table) for key, item in plain.items()}
    if kind == "table":
        return table
    if kind == "pairs":
        return {decode(key, table): decode(item, table) for key, item in plain["v"]}
    if kind == "tuple":
        return tuple(decode(item, table) for item in plain["v"])
    return _READ[kind](plain["v"])


def schema_of(table: pa.Table | None) -> str | None:
    """Return a table's schema as text, which also an empty stream of rows needs."""
    return None if table is None else base64.b64encode(table.schema.serialize().to_pybytes()).decode()


def encode_error(error: TierwiseError) -> dict[str, Any]:
    """Return an error as plain values."""
    found: dict[str, Any] = {"code": error.code, "message": error.message, "hint": error.hint}
    if isinstance(error, DefinitionsInvalid):
        found["problems"] = [asdict(problem) for problem in error.problems]
    else:
        found["details"] = encode(error.details)[0]
    return found


def decode_error(plain: Mapping[str, Any]) -> TierwiseError:
    """Return the error that `encode_error` wrote, of the same class.

    Example:
        >>> from tierwise.errors import UnknownName
        >>> error = decode_error(encode_error(UnknownName("no table `x`", "did you mean `y`?")))
        >>> type(error).__name__, error.hint
        ('UnknownName', 'did you mean `y`?')
    """
    if "problems" in plain:
        problems = [Problem(**{**one, "where": Place(**one["where"])}) for one in plain["problems"]]
        return DefinitionsInvalid(problems)
    kind = next((one for one in _classes(TierwiseError) if one.code == plain["code"]), TierwiseError)
    return kind(plain["message"], plain["hint"], **decode(plain["details"], None))


def _classes(kind: type[TierwiseError]) -> Iterator[type[TierwiseError]]:
    for one in kind.__subclasses__():
        yield one
        yield from _classes(one)
