"""Many rows at once, over the driver: as dictionaries through SQLAlchemy a million of them take minutes longer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final

from sqlalchemy import Connection, Executable
from sqlalchemy.types import TypeEngine

__all__ = ["bound", "execute_rows"]

_CHUNK: Final = 50_000


def execute_rows(connection: Connection, statement: Executable, names: Sequence[str], rows: Iterable[Any]) -> None:
    """Execute a statement once for each row.

    Args:
        connection: inside the caller's transaction.
        statement: an INSERT or UPDATE whose parameters are `names`.
        names: the parameters, in the order of each row's values.
        rows: tuples of values as the driver takes them; see `bound` for those it does not.
    """
    compiled = statement.compile(dialect=connection.dialect, column_keys=list(names))  # type: ignore[attr-defined]
    order = compiled.positiontup
    waiting: list[Any] = []

    def send() -> None:
        if waiting:
            connection.exec_driver_sql(str(compiled), waiting)
            waiting.clear()

    if order is None:
        rows = (dict(zip(names, row, strict=True)) for row in rows)
    elif list(order) != list(names):
        places = [list(names).index(name) for name in order]
        rows = (tuple(row[place] for place in places) for row in rows)
    for row in rows:
        waiting.append(row)
        if len(waiting) >= _CHUNK:
            send()
    send()


def bound(connection: Connection, kind: TypeEngine[Any], value: Any) -> Any:
    """Return a value as the driver takes it, converted once instead of once a row."""
    processor = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
    return value if processor is None else processor(value)
