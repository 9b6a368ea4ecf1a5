"""Many rows at once, over the driver: as dictionaries through SQLAlchemy a million of them take minutes longer."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any, Final

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Dialect,
    Executable,
    Table,
    bindparam,
    func,
    insert,
    literal,
    select,
    update,
)
from sqlalchemy.types import TypeEngine

__all__ = ["among", "bound", "execute_rows", "insert_rows", "update_rows"]

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


def among(connection: Connection, column: ColumnElement[Any], values: Collection[int]) -> ColumnElement[bool]:
    """Return the condition that a column is one of many numbers, which are one parameter however many they are."""
    if connection.dialect.name == "postgresql":
        return column == func.any(literal(list(values), ARRAY(column.type)))
    listed = func.json_each(f"[{','.join(map(str, values))}]").table_valued("value")
    return column.in_(select(listed.c.value))


def insert_rows(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Insert rows; on a server all of them in one statement.

    Args:
        connection: inside the caller's transaction.
        table: where to.
        names: its columns, in the order of each row's values.
        rows: Python values, as the columns' types take them.
    """
    if not rows:
        return
    if connection.dialect.name == "postgresql":
        connection.execute(insert(table).from_select(list(names), select(*_columns(table, names, rows))))
        return
    _send(connection, _inserting, table, tuple(names), rows)


def update_rows(connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Update rows by the first of the columns named, their number; on a server all of them in one statement."""
    if not rows:
        return
    key, *changed = names
    if connection.dialect.name == "postgresql":
        given = select(*_columns(table, names, rows)).subquery("given")
        changes = update(table).where(table.c[key] == given.c[key])
        connection.execute(changes.values({name: given.c[name] for name in changed}))
        return
    _send(connection, _updating, table, tuple(names), rows)


def _columns(table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[ColumnElement[Any]]:
    columns = zip(*rows, strict=True)
    return [
        func.unnest(literal(list(values), ARRAY(table.c[name].type)), type_=table.c[name].type).label(name)
        for name, values in zip(names, columns, strict=True)
    ]


def _send(
    connection: Connection,
    written: Callable[[Dialect, Table, tuple[str, ...]], tuple[str, tuple[int, ...]]],
    table: Table,
    names: tuple[str, ...],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Send rows over the driver, with a statement that is written once and not again for each transaction."""
    statement, order = written(connection.dialect, table, names)
    columns = list(zip(*rows, strict=True))
    sent: list[Sequence[Any]] = []
    for place in order:
        kind = table.c[names[place]].type
        processor = kind.dialect_impl(connection.dialect).bind_processor(connection.dialect)
        values = columns[place]
        if processor is not None:
            # Few different values, most of them instants: each is converted once.
            different = list(set(values))
            known = dict(zip(different, map(processor, different), strict=True))
            values = tuple([known[value] for value in values])
        sent.append(values)
    connection.exec_driver_sql(statement, list(zip(*sent, strict=True)))


@lru_cache(maxsize=64)
def _inserting(dialect: Dialect, table: Table, names: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """Return an INSERT as the driver takes it, and the place of each parameter among the names."""
    statement = insert(table).values({name: bindparam(name) for name in names})
    compiled = statement.compile(dialect=dialect, column_keys=list(names))
    return str(compiled), tuple(names.index(name) for name in compiled.positiontup or ())


@lru_cache(maxsize=64)
def _updating(dialect: Dialect, table: Table, names: tuple[str, ...]) -> tuple[str, tuple[int, ...]]:
    """Return an UPDATE by the first name as the driver takes it, and the place of each parameter among the names."""
    key, *changed = names
    statement = update(table).where(table.c[key] == bindparam(f"{key}_"))
    statement = statement.values({name: bindparam(f"{name}_") for name in changed})
    compiled = statement.compile(dialect=dialect, column_keys=[f"{name}_" for name in names])
    return str(compiled), tuple(names.index(name[:-1]) for name in compiled.positiontup or ())
