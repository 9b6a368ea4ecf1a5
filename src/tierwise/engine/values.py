"""Keeps SQL values inside what their kind can hold: rounded, finite, in the calendar, wide enough for an operation."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import DATE, FLOAT, INTEGER, Kind
from tierwise.definitions.language.times import Duration
from tierwise.engine.clock import bound
from tierwise.engine.sql import cast, fn, literal, number, text, try_cast

__all__ = ["WIDTH", "days_step", "finite", "in_calendar", "once", "round9", "widened"]

#: Kinds of numbers from the narrowest to the widest.
WIDTH: Final = {"integer": 0, "money": 1, "decimal": 2, "float": 3}
_PLACES: Final = {"integer": 0, "money": 2, "decimal": 6}


def round9(value: exp.Expression) -> exp.Expression:
    """Return a DOUBLE rounded to 9 significant digits; NULL when it is not finite (`inf`, `nan`)."""
    return try_cast(fn("translate", fn("format", text("{:.8e}"), value), text("n"), text("-")), "DOUBLE")


def finite(value: exp.Expression) -> exp.Expression:
    """Return a DOUBLE, NULL when it is not finite; the value stands there once."""
    return _kept(value, fn("isfinite", exp.column("v")))


def in_calendar(value: exp.Expression, kind: Kind) -> exp.Expression:
    """Return a date or an instant, NULL outside the years 1 to 9999; the value stands there once."""
    low, high = (date.min, date.max) if kind == DATE else (datetime.min, datetime.max)
    return _kept(value, exp.Between(this=exp.column("v"), low=literal(low, kind), high=literal(high, kind)))


def _kept(value: exp.Expression, condition: exp.Expression) -> exp.Expression:
    """Return the value if it meets a condition on ``v``, else NULL."""
    keep = exp.Lambda(this=condition, expressions=[exp.to_identifier("v")])
    return fn("list_extract", fn("list_filter", exp.Array(expressions=[value]), keep), number(1))


def widened(value: exp.Expression, own: Kind, kind: Kind) -> exp.Expression:
    """Return a number in a type in which an operation that gives `kind` cannot overflow."""
    if kind == FLOAT:
        return cast(value, "DOUBLE")
    return cast(value, "HUGEINT" if kind == INTEGER else f"DECIMAL(38, {_PLACES[own.name]})")


def once(value: exp.Expression, body: Callable[[exp.Expression], exp.Expression]) -> exp.Expression:
    """Return what the body makes of a value that it names more than once; one that is long is worked out once."""
    if isinstance(value, exp.Column | exp.Cast) and not isinstance(value.this, exp.Anonymous | exp.Case):
        return body(value)
    return bound(value, body(exp.column("v")))


def days_step(length: Duration, sign: int) -> exp.Expression:
    """Return the interval of a duration that is added to dates."""
    if length.is_calendar:
        return fn("to_months", number(sign * length.months))
    return fn("to_days", number(sign * (length.micros // 86_400_000_000)))
