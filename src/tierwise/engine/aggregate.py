"""Functions over a stream in SQL whose aggregates share one pass, each over the rows of its own condition."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import FLOAT, INTEGER, Kind
from tierwise.definitions.language.typed import Aggregate
from tierwise.engine.rows import StreamRows, window_start
from tierwise.engine.sql import all_of, cast, filtered, fn, literal, null, number, physical, text, try_cast, when

__all__ = ["INLINE", "both", "known", "of_nothing", "ratio", "total_of", "zero"]

_STAR: Final = exp.Star()
_US_PER_DAY: Final = 86_400_000_000.0
#: Windows of at most so many days are counted by bits.
_MOST_BITS: Final = 1_100


def of_nothing(expr: Aggregate, value: exp.Expression, key: exp.Expression) -> exp.Expression:
    """Return the aggregate with what it is of no rows; `key` is NULL for those a pass has no row of."""
    if expr.function in ("count", "distinct", "days", "streak", "periods"):
        return exp.Coalesce(this=value, expressions=[literal(0, INTEGER)])
    if expr.function == "exists":
        return exp.Coalesce(this=value, expressions=[exp.false()])
    if expr.function in ("sum", "score"):  # a sum can also be missing because it is out of range
        return exp.Case(ifs=[exp.If(this=exp.Is(this=key, expression=null()), true=zero(expr))], default=value)
    return value


def zero(expr: Aggregate) -> exp.Expression:
    """Return 0 of the aggregate's kind."""
    return literal(0.0, FLOAT) if expr.kind == FLOAT else cast(number(0), physical(expr.kind))


# -- one pass, many aggregates --------------------------------------------------------------------------------------

_Inline = Callable[[Aggregate, StreamRows, exp.Expression | None], exp.Expression]


def both(*conditions: exp.Expression | None) -> exp.Expression | None:
    """Return the conjunction of the conditions that are given."""
    return all_of([condition for condition in conditions if condition is not None])


def known(value: exp.Expression) -> exp.Expression:
    """Return whether a value is there."""
    return exp.Not(this=exp.Paren(this=exp.Is(this=value.copy(), expression=null())))


def _count(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Count(this=_STAR.copy()), condition)


def _exists(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return exp.GT(this=_count(expr, rows, condition), expression=number(0))


def _sum(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    total = filtered(total_of(rows.column(expr.column), expr.kind), condition)
    total = exp.Coalesce(this=total, expressions=[zero(expr)])
    return _finite(total) if expr.kind == FLOAT else try_cast(total, physical(expr.kind))


def total_of(value: exp.Expression, kind: Kind) -> exp.Expression:
    """Return the sum: exact, of floats with the lost digits carried along."""
    return fn("fsum", value) if kind == FLOAT else exp.Sum(this=value)


def _finite(value: exp.Expression) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=fn("isfinite", value), true=value.copy())])


def _avg(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    value, kind = rows.column(expr.column), rows.kind(expr.column)
    total = filtered(total_of(value, kind), condition)
    count = filtered(exp.Count(this=value.copy()), _copy(condition))
    mean = ratio(total, count)
    return _finite(mean) if kind == FLOAT else mean


def ratio(one: exp.Expression, other: exp.Expression) -> exp.Expression:
    """Return a quotient of two numbers as DOUBLEs, NULL where the second is 0."""
    below = exp.Nullif(this=cast(other, "DOUBLE"), expression=literal(0.0, FLOAT))
    return exp.Paren(this=exp.Div(this=cast(one, "DOUBLE"), expression=below, typed=False, safe=False))


def _min(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Min(this=rows.column(expr.column)), condition)


def _max(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Max(this=rows.column(expr.column)), condition)


def _distinct(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Count(this=exp.Distinct(expressions=[rows.column(expr.column)])), condition)


def _days(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    clock = rows.emitter.clock
    day = clock.local_date(rows.time, of_row=True)
    start = window_start(expr.window, clock)
    if start is not None and clock.fixed is not None:
        # one bit a day of the window: a third of what a set of dates costs
        span = (clock.zone.day_of(clock.fixed) - clock.zone.day_of(start)).days
        if span <= _MOST_BITS:
            back = fn("date_diff", text("day"), day, clock.today)
            return fn("bit_count", filtered(fn("bitstring_agg", back, number(0), number(span)), condition))
    return filtered(exp.Count(this=exp.Distinct(expressions=[day])), condition)


def _share(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    assert expr.of is not None
    met = filtered(exp.Count(this=_STAR.copy()), both(condition, rows.emitter.condition(expr.of)))
    return ratio(met, filtered(exp.Count(this=_STAR.copy()), condition.copy() if condition is not None else None))


def _first(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    if expr.column == "time":
        return filtered(exp.Min(this=rows.time), condition)
    value = rows.column(expr.column)
    return filtered(fn("arg_min", value, rows.pos), both(condition, known(value)))


def _last(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    if expr.column == "time":
        return filtered(exp.Max(this=rows.time), condition)
    value = rows.column(expr.column)
    return filtered(fn("arg_max", value, rows.pos), both(condition, known(value)))


def _nth(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    value = rows.column(expr.column)
    listed = exp.ArrayAgg(this=exp.Order(this=value, expressions=[exp.Ordered(this=rows.pos)]))
    return fn("list_extract", filtered(listed, both(condition, known(value))), number(expr.n or 1))


def _score(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    assert expr.length is not None
    micros = exp.Paren(
        this=exp.Sub(this=fn("epoch_us", rows.emitter.clock.as_of), expression=fn("epoch_us", rows.time))
    )
    age = exp.Paren(
        this=exp.Div(
            this=cast(micros, "DOUBLE"), expression=literal(float(expr.length.micros), FLOAT), typed=False, safe=False
        )
    )
    weight = fn("pow", literal(0.5, FLOAT), age)
    # a FILTER would work the power out of every row; a CASE only of those that count
    total = fn("fsum", weight if condition is None else when([(condition, weight)]))
    return exp.Coalesce(this=total, expressions=[zero(expr)])


def _avg_gap(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    last, first = filtered(exp.Max(this=rows.time), condition), filtered(exp.Min(this=rows.time), _copy(condition))
    span = exp.Paren(this=exp.Sub(this=fn("epoch_us", last), expression=fn("epoch_us", first)))
    gaps = exp.Paren(this=exp.Sub(this=filtered(exp.Count(this=_STAR.copy()), _copy(condition)), expression=number(1)))
    days = exp.Paren(
        this=exp.Div(this=cast(span, "DOUBLE"), expression=literal(_US_PER_DAY, FLOAT), typed=False, safe=False)
    )
    return ratio(days, gaps)


def _copy(condition: exp.Expression | None) -> exp.Expression | None:
    return None if condition is None else condition.copy()


#: Functions whose aggregate can share a pass with others.
INLINE: Final[Mapping[str, _Inline]] = {
    "count": _count,
    "exists": _exists,
    "sum": _sum,
    "avg": _avg,
    "min": _min,
    "max": _max,
    "distinct": _distinct,
    "days": _days,
    "share": _share,
    "first": _first,
    "last": _last,
    "nth": _nth,
    "score": _score,
    "avg_gap": _avg_gap,
}
