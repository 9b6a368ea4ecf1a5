"""Taking customers out of the engine's tables, so that no byte of them is left in its file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, col, null, number, text, when

__all__ = ["erase_customers"]

_CUSTOMER: Final = "customer_id"
_ORDER: Final = ("customer_id", "pos")


def erase_customers(engine: DuckEngine, customers: Sequence[int], words: Sequence[str]) -> dict[str, int]:
    """Write the engine's file again without some customers; return how many rows of each table went.

    Texts in other people's rows that name them become missing. Tables that were being made are left out: they are made
    again.

    Args:
        engine: the engine, which its owner alone has open.
        customers: who is erased.
        words: texts that name nobody else.
    """
    gone: dict[str, int] = {}
    tables: dict[str, exp.Expression] = {}
    for name in engine.tables():
        if "$" in name:
            continue
        columns = engine.columns(name)
        table = exp.Table(this=exp.to_identifier(name, quoted=True))
        select = exp.select(*(_without(column, kind, words) for column, kind in columns.items())).from_(table)
        if _CUSTOMER in columns:
            mine = exp.In(this=col(_CUSTOMER), expressions=[number(one) for one in customers])
            counted = exp.select(exp.Count(this=exp.Star())).from_(table.copy()).where(mine)
            gone[name] = int(engine.rows(counted)[0][0])
            select = select.where(exp.Not(this=mine.copy()))
        order = [col(column) for column in _ORDER if column in columns]
        tables[name] = select.order_by(*order) if order else select
    engine.rewrite(tables)
    return {name: count for name, count in gone.items() if count}


def _without(column: str, kind: str, words: Sequence[str]) -> exp.Expr:
    if kind != "VARCHAR" or not words:
        return col(column)
    named = exp.In(this=col(column), expressions=[text(word) for word in words])
    return when([(named, cast(null(), "VARCHAR"))], col(column)).as_(column, quoted=True)
