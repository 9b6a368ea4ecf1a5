"""One SELECT that a person wrote, over the engine's tables and nothing else.

DuckDB's own parser reads the text, so what is looked through is what would be run: only the tables that are offered,
no function that reads a file, a setting or a secret. It then runs in a transaction that cannot write, in an engine
whose files outside the project are out of reach (`DuckEngine.confine`).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, Final

import duckdb
import pyarrow as pa

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.errors import BadRequest, near_name

__all__ = ["select"]

#: Functions that stand where a table does and read nothing from outside.
_TABLE_FUNCTIONS: Final = frozenset({"range", "generate_series", "unnest", "repeat_row"})
#: Functions whose answer does not come from the tables, that leave a trace, or that only take time.
_REFUSED: Final = frozenset(
    (
        *("getenv", "current_setting", "getvariable", "write_log", "setseed", "sleep_ms", "pg_sleep"),
        *("nextval", "currval", "setval"),
    )
)
_SCHEMAS: Final = frozenset({"tables", "columns"})
_TABLES_HINT: Final = "`tierwise show tables` lists the tables and their columns"


def select(engine: DuckEngine, query: str, tables: Collection[str], limit: int | None) -> pa.Table:
    """Answer one SELECT.

    Args:
        engine: a pinned connection.
        query: the text.
        tables: the tables it may read.
        limit: at most so many rows.

    Raises:
        BadRequest: when it is not exactly one SELECT over these tables, or cannot be answered.

    Example:
        >>> with DuckEngine(None) as engine:
        ...     engine.register("t", pa.table({"x": [1, 2]}))
        ...     select(engine, "SELECT max(x) AS x FROM t", ["t"], None).to_pylist()
        [{'x': 2}]
    """
    try:
        _look_through(_parsed(engine, query), {name.lower() for name in tables})
        return engine.written_by_hand(query, limit)
    except duckdb.Error as error:
        raise BadRequest(_first_line(error), _TABLES_HINT) from error


def _parsed(engine: DuckEngine, query: str) -> Any:
    if engine.kinds_of(query) != ["SELECT"]:
        raise BadRequest("sql takes one SELECT", "to change something, edit the definitions or the sources")
    found = json.loads(engine.parsed(query))
    if found["error"]:
        raise BadRequest(f"sql takes one SELECT: {found['error_message']}", _TABLES_HINT)
    return found["statements"]


def _look_through(tree: Any, tables: Collection[str]) -> None:
    named = set()
    for node in _nodes(tree):
        for entry in (node.get("cte_map") or {}).get("map", ()):
            if not entry["key"].isidentifier():  # elsewhere in the query it could be taken for a file's name
                raise BadRequest(f"`{entry['key']}` is no name for a part of a query", "use letters, digits and _")
            named.add(entry["key"].lower())
    for node in _nodes(tree):
        kind = node.get("type")
        if kind == "BASE_TABLE":
            _check_table(node["qualified_name"]["path"], tables, named)
        elif kind == "SHOW_REF" and not node.get("query"):
            raise BadRequest("sql takes one SELECT", _TABLES_HINT)
        elif kind == "TABLE_FUNCTION":
            name = str(node["function"].get("function_name", ""))
            if name.lower() not in _TABLE_FUNCTIONS:
                raise BadRequest(f"`{name}` is not available: sql reads the engine's tables only", _TABLES_HINT)
        name = str(node.get("function_name", "")).lower()
        if name in _REFUSED or name.startswith("__"):
            raise BadRequest(f"`{name}` is not available: sql reads the engine's tables only", _TABLES_HINT)


def _check_table(path: list[str], tables: Collection[str], named: Collection[str]) -> None:
    *schema, name = (part.lower() for part in path)
    if schema == ["information_schema"] and name in _SCHEMAS:
        return
    if (schema in ([], ["main"]) and name in tables) or (not schema and name in named):
        return
    raise BadRequest(f"there is no table `{'.'.join(path)}`", near_name(name, tables) or _TABLES_HINT)


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Yield every node of the tree, however deep."""
    waiting = [tree]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            yield part
            waiting += part.values()
        elif isinstance(part, list):
            waiting += part


def _first_line(error: duckdb.Error) -> str:
    return str(error).splitlines()[0]
