"""Small builders of SQLGlot nodes, so that no SQL is ever made by joining strings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import Kind
from tierwise.definitions.language.typed import Value

__all__ = [
    "KEY",
    "PHYSICAL",
    "all_of",
    "cast",
    "coalesce",
    "col",
    "equals",
    "filtered",
    "fn",
    "interval_micros",
    "literal",
    "null",
    "number",
    "physical",
    "text",
    "timestamp",
    "try_cast",
    "when",
]

#: The column that joins a spine, its passes and its answers; no definition can have this name.
KEY: Final = "key$"
#: How a kind is stored.
PHYSICAL: Final = {
    "boolean": "BOOLEAN",
    "integer": "BIGINT",
    "decimal": "DECIMAL(18, 6)",
    "money": "DECIMAL(18, 2)",
    "float": "DOUBLE",
    "text": "VARCHAR",
    "date": "DATE",
    "instant": "TIMESTAMP",
    "tier": "VARCHAR",
}


def physical(kind: Kind) -> str:
    """Return the storage type of a kind.

    Example:
        >>> from tierwise.definitions.language.kinds import MONEY, list_of
        >>> physical(list_of(MONEY))
        'DECIMAL(18, 2)[]'
    """
    return f"{physical(kind.of)}[]" if kind.of is not None else PHYSICAL[kind.name]


def col(name: str, table: str = "") -> exp.Column:
    """Return a quoted column."""
    return exp.column(
        exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True) if table else None
    )


def fn(name: str, *args: exp.Expression) -> exp.Expression:
    """Return a call of an engine function, its name passed through."""
    return exp.Anonymous(this=name, expressions=list(args))


def number(value: int | float | Decimal) -> exp.Expression:
    """Return a number as written."""
    return (
        exp.Literal.number(str(value)) if value >= 0 else exp.Paren(this=exp.Neg(this=exp.Literal.number(str(-value))))
    )


def text(value: str) -> exp.Expression:
    """Return a quoted text."""
    return exp.Literal.string(value)


def null() -> exp.Expression:
    """Return NULL."""
    return exp.Null()


def cast(value: exp.Expression, to: str) -> exp.Expression:
    """Return a cast that fails on a value that does not fit."""
    return exp.Cast(this=value, to=_type(to))


@lru_cache(maxsize=256)
def _parsed_type(name: str) -> exp.DataType:
    return exp.DataType.build(name, dialect="duckdb")


def _type(name: str) -> exp.DataType:
    return _parsed_type(name).copy()


def try_cast(value: exp.Expression, to: str) -> exp.Expression:
    """Return a cast that is NULL for a value that does not fit."""
    return exp.TryCast(this=value, to=_type(to))


def timestamp(value: datetime) -> exp.Expression:
    """Return a naive UTC instant."""
    return cast(text(value.isoformat(sep=" ")), "TIMESTAMP")


def interval_micros(micros: int) -> exp.Expression:
    """Return an exact interval."""
    if micros % 1_000_000 == 0:
        return exp.Interval(this=exp.Literal.string(str(micros // 1_000_000)), unit=exp.var("SECOND"))
    return fn("to_microseconds", cast(number(micros), "BIGINT"))


def coalesce(value: exp.Expression, otherwise: exp.Expression) -> exp.Expression:
    """Return the value, or the other one where it is NULL."""
    return exp.Coalesce(this=value, expressions=[otherwise])


def when(
    branches: Sequence[tuple[exp.Expression, exp.Expression]], otherwise: exp.Expression | None = None
) -> exp.Expression:
    """Return a CASE."""
    return exp.Case(ifs=[exp.If(this=condition, true=value) for condition, value in branches], default=otherwise)


def equals(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """Return ``left = right``."""
    return exp.EQ(this=left, expression=right)


def all_of(conditions: Sequence[exp.Expression]) -> exp.Expression | None:
    """Return the conjunction, or None of nothing."""
    if not conditions:
        return None
    found = conditions[0]
    for condition in conditions[1:]:
        found = exp.And(this=found, expression=condition)
    return exp.Paren(this=found) if len(conditions) > 1 else found


def filtered(aggregate: exp.Expression, condition: exp.Expression | None) -> exp.Expression:
    """Return the aggregate over the rows that meet the condition."""
    if condition is None:
        return aggregate
    return exp.Filter(this=aggregate, expression=exp.Where(this=condition))


def literal(value: Value, kind: Kind) -> exp.Expression:
    """Return a constant of a kind, typed as the kind is stored."""
    if value is None:
        return cast(null(), physical(kind))
    if isinstance(value, tuple):
        assert kind.of is not None
        return exp.Array(expressions=[literal(item, kind.of) for item in value])
    if isinstance(value, bool):
        return exp.Boolean(this=value)
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, date):
        return cast(text(value.isoformat()), "DATE")
    if isinstance(value, str):
        return text(value)
    if isinstance(value, Decimal):
        return cast(text(f"{value:f}"), physical(kind))
    if isinstance(value, float):
        return cast(text(repr(value)), "DOUBLE")
    if isinstance(value, int):
        return cast(number(value), physical(kind))
    raise AssertionError(value)
