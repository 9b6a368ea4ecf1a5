"""The average over time in SQL: each value weighs as long as it holds inside the window."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import FLOAT, Kind
from tierwise.definitions.language.typed import Aggregate
from tierwise.engine.rows import StreamRows, window_ends
from tierwise.engine.sql import KEY, cast, col, fn, literal, null, number

__all__ = ["time_average"]

#: By what an exact value is multiplied to be a whole number, and its digits after the point.
_SCALE: Final = {"integer": (1, 0), "money": (100, 2), "decimal": (1_000_000, 6)}


def time_average(expr: Aggregate, rows: StreamRows, source: exp.Select) -> exp.Select:
    """Return ``SELECT key, answer`` of ``time_avg``: values times the time they hold, exactly, divided by that time.

    Args:
        expr: the aggregate.
        rows: how columns are written.
        source: ``SELECT … FROM stream …`` with the cut at as_of, still without columns.
    """
    kind = rows.kind(expr.column)
    lows, highs = window_ends(expr, rows.emitter)
    held = source.select(
        rows.key.as_(KEY, quoted=True, copy=False),
        rows.time.as_("time", copy=False),
        rows.pos.as_("pos", copy=False),
        _whole(rows.column(expr.column), kind).as_("v", copy=False),
        _latest(lows, fn("greatest", *lows) if lows else null()).as_("low", copy=False),
        _latest(highs, fn("least", *highs)).as_("high", copy=False),
        copy=False,
    )
    present = exp.Not(this=exp.Paren(this=exp.Is(this=rows.column(expr.column), expression=null())))
    held = held.where(present, copy=False)
    if expr.where is not None:
        held = held.where(rows.emitter.condition(expr.where), copy=False)
    following = exp.Window(
        this=fn("lead", col("time")),
        partition_by=[col(KEY)],
        order=exp.Order(expressions=[exp.Ordered(this=col("pos"))]),
    )
    from_ = fn("greatest", col("time"), col("low")) if lows else col("time")
    until = fn("least", exp.Coalesce(this=following, expressions=[col("high")]), col("high"))
    micros = exp.Sub(this=fn("epoch_us", until), expression=fn("epoch_us", from_))
    weighed = exp.select(col(KEY), col("v"), micros.as_("us", copy=False), copy=False).from_(
        held.subquery("h", copy=False), copy=False
    )
    for ends, name in ((lows, "low"), (highs, "high")):
        if ends:  # a bound that is missing leaves nothing
            weighed = weighed.where(exp.Not(this=exp.Paren(this=exp.Is(this=col(name), expression=null()))), copy=False)
    return (
        exp.select(col(KEY), _average(kind).as_("answer", copy=False), copy=False)
        .from_(weighed.subquery("w", copy=False), copy=False)
        .where(exp.GT(this=col("us"), expression=number(0)), copy=False)
        .group_by(col(KEY), copy=False)
    )


def _latest(ends: list[exp.Expression], value: exp.Expression) -> exp.Expression:
    """Return a bound, missing when one of those it is made of is: the engine's own function would skip it."""
    if len(ends) < 2:
        return cast(value, "TIMESTAMP")
    missing: exp.Expression = exp.Is(this=ends[0].copy(), expression=null())
    for end in ends[1:]:
        missing = exp.Or(this=missing, expression=exp.Is(this=end.copy(), expression=null()))
    return exp.Case(ifs=[exp.If(this=exp.Not(this=exp.Paren(this=missing)), true=value)])


def _whole(value: exp.Expression, kind: Kind) -> exp.Expression:
    """Return an exact value as a whole number of its smallest units; a float stays."""
    if kind == FLOAT:
        return value
    scale, places = _SCALE[kind.name]
    wide = cast(value, f"DECIMAL(38, {places})") if places else value
    return cast(exp.Mul(this=wide, expression=number(scale)) if places else wide, "HUGEINT")


def _average(kind: Kind) -> exp.Expression:
    length: exp.Expression = exp.Sum(this=col("us"))
    if kind == FLOAT:
        mean = exp.Div(
            this=fn("fsum", exp.Mul(this=col("v"), expression=cast(col("us"), "DOUBLE"))),
            expression=cast(length, "DOUBLE"),
            typed=False,
            safe=False,
        )
        return exp.Case(ifs=[exp.If(this=fn("isfinite", exp.Paren(this=mean)), true=mean.copy())])
    total = exp.Sum(this=exp.Mul(this=col("v"), expression=cast(col("us"), "HUGEINT")))
    scaled = exp.Mul(this=cast(length, "DOUBLE"), expression=literal(float(_SCALE[kind.name][0]), FLOAT))
    return exp.Div(this=cast(total, "DOUBLE"), expression=exp.Paren(this=scaled), typed=False, safe=False)
