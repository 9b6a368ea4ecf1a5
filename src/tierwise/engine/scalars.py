"""The scalar functions of the language in SQL, one emitter each."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Final

from sqlglot import exp

from tierwise.definitions.language.kinds import DATE, EARTH_RADIUS_KM, FLOAT, INSTANT, INTEGER, Kind
from tierwise.definitions.language.typed import Apply, ColumnOf, Const, Expr
from tierwise.engine.clock import bound
from tierwise.engine.lunar import lunar_anniversary
from tierwise.engine.sql import all_of, cast, fn, literal, null, number, physical, text, try_cast, when
from tierwise.engine.values import days_step, in_calendar, once

if TYPE_CHECKING:
    from tierwise.engine.emit import Emitter

__all__ = ["SCALARS"]

_Emit = Callable[["Emitter", tuple[Expr, ...], Kind], exp.Expression]


def _extract(part: str) -> _Emit:
    def emit(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
        if part == "hour" and args[0].kind == DATE:
            day = emitter.value(args[0])
            return when([(exp.Not(this=exp.Paren(this=exp.Is(this=day, expression=null()))), literal(0, INTEGER))])
        return cast(fn("date_part", text(part), emitter.local_wall(args[0])), "BIGINT")

    return emit


def _days_since(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    return cast(fn("date_diff", text("day"), emitter.day(args[0]), emitter.clock.today), "BIGINT")


def _days_until(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    return cast(fn("date_diff", text("day"), emitter.clock.today, emitter.day(args[0])), "BIGINT")


def _hours_since(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    instant = emitter.value(args[0])
    if args[0].kind == DATE:
        instant = in_calendar(emitter.clock.midnight(instant), INSTANT)
    micros = exp.Paren(this=exp.Sub(this=fn("epoch_us", emitter.clock.as_of), expression=fn("epoch_us", instant)))
    return exp.Paren(
        this=exp.Div(this=cast(micros, "DOUBLE"), expression=literal(3_600_000_000.0, FLOAT), typed=False, safe=False)
    )


def _months_between(start: exp.Expression, end: exp.Expression) -> exp.Expression:
    """Return the completed calendar months from one local date to another."""

    def part(name: str, of: exp.Expression) -> exp.Expression:
        return fn("date_part", text(name), of.copy())

    years = exp.Paren(this=exp.Sub(this=part("year", end), expression=part("year", start)))
    months = exp.Paren(this=exp.Sub(this=part("month", end), expression=part("month", start)))
    whole = exp.Add(this=exp.Mul(this=years, expression=number(12)), expression=months)
    due = fn("least", part("day", start), part("day", fn("last_day", end.copy())))
    short = when([(exp.LT(this=part("day", end), expression=due), number(1))], number(0))
    return exp.Paren(this=exp.Sub(this=whole, expression=short))


def _months_since(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    today = emitter.clock.today
    return cast(once(emitter.day(args[0]), lambda day: _months_between(day, today)), "BIGINT")


def _age(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    today = emitter.clock.today
    months = once(emitter.day(args[0]), lambda day: _months_between(day, today))
    return cast(
        fn(
            "floor",
            exp.Paren(
                this=exp.Div(this=cast(months, "DOUBLE"), expression=literal(12.0, FLOAT), typed=False, safe=False)
            ),
        ),
        "BIGINT",
    )


def _anniversary(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    today, length = emitter.clock.today, emitter.duration(args[1])
    last = cast(exp.Paren(this=exp.Add(this=today.copy(), expression=days_step(length, 1))), "DATE")
    return once(emitter.value(args[0]), lambda day: exp.LTE(this=_next_anniversary(day, today), expression=last))


def _next_anniversary(day: exp.Expression, today: exp.Expression) -> exp.Expression:
    """Return the first anniversary of a date that is not before today; 29 February falls on the 28th."""

    def in_year(plus: int) -> exp.Expression:
        this_year, its_year = (fn("date_part", text("year"), of.copy()) for of in (today, day))
        years = exp.Add(this=exp.Paren(this=exp.Sub(this=this_year, expression=its_year)), expression=number(plus))
        step = fn("to_years", cast(exp.Paren(this=years), "INTEGER"))
        return cast(exp.Paren(this=exp.Add(this=day.copy(), expression=step)), "DATE")

    return when([(exp.GTE(this=in_year(0), expression=today.copy()), in_year(0))], in_year(1))


def _lunar_anniversary(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    return lunar_anniversary(emitter, emitter.value(args[0]), emitter.duration(args[1]))


def _distance_km(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    """The haversine formula; missing where a point is none. The four numbers are worked out once, as a list."""
    listed = exp.Array(expressions=[cast(emitter.value(arg), "DOUBLE") for arg in args])

    def point(index: int) -> exp.Expression:
        return fn("list_extract", exp.column("v"), number(index))

    def half(one: int, other: int) -> exp.Expression:
        difference = fn("radians", exp.Sub(this=point(other), expression=point(one)))
        sine = fn("sin", exp.Div(this=difference, expression=literal(2.0, FLOAT), typed=False, safe=False))
        return exp.Mul(this=sine, expression=sine.copy())

    cosines = exp.Mul(this=fn("cos", fn("radians", point(1))), expression=fn("cos", fn("radians", point(3))))
    part = exp.Add(this=half(1, 3), expression=exp.Mul(this=cosines, expression=exp.Paren(this=half(2, 4))))
    angle = fn("asin", fn("sqrt", fn("least", part, literal(1.0, FLOAT))))
    known = [exp.LTE(this=fn("abs", point(i)), expression=number(90 if i in (1, 3) else 180)) for i in range(1, 5)]
    usable = all_of(known)
    assert usable is not None
    distance = exp.Mul(this=literal(2 * EARTH_RADIUS_KM, FLOAT), expression=angle)
    return bound(listed, when([(usable, distance)]))


def _band(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    x, edges = args[0], args[1:]
    shown = [_plain(edge) for edge in edges]
    names = [f"<{shown[0]}", *(f"{low}-{high}" for low, high in itertools.pairwise(shown))]

    def choose(value: exp.Expression) -> exp.Expression:
        inner = emitter.reading(lambda leaf: value.copy())
        leaf = ColumnOf("v", kind=x.kind)
        branches: list[tuple[exp.Expression, exp.Expression]] = [(exp.Is(this=value.copy(), expression=null()), null())]
        branches += [(inner.comparison("<", leaf, edge), text(name)) for edge, name in zip(edges, names, strict=True)]
        return when(branches, text(f"{shown[-1]}+"))

    return once(emitter.value(x), choose)


def _plain(edge: Expr) -> str:
    assert isinstance(edge, Const) and isinstance(edge.value, int | Decimal)
    shown = f"{edge.value:f}" if isinstance(edge.value, Decimal) else str(edge.value)
    return shown.rstrip("0").rstrip(".") if "." in shown else shown


def _fitted(emitter: Emitter, arg: Expr, kind: Kind) -> exp.Expression:
    """Return one of several values as the kind they share; missing when it is out of its range."""
    value = emitter.value(arg)
    return value if arg.kind == kind else try_cast(value, physical(kind))


def _coalesce(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    first, *rest = [_fitted(emitter, arg, kind) for arg in args]
    return exp.Coalesce(this=first, expressions=rest)


def _case(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    otherwise = _fitted(emitter, args[-1], kind) if len(args) % 2 else None
    body = args[: len(args) - (len(args) % 2)]
    pairs = [(emitter.condition(c), _fitted(emitter, v, kind)) for c, v in zip(body[::2], body[1::2], strict=True)]
    return when(pairs, otherwise)


def _extreme(name: str) -> _Emit:
    def emit(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
        return fn(name, *(_fitted(emitter, arg, kind) for arg in args))

    return emit


def _lookup(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    table, key, column = args
    assert isinstance(table, Const) and isinstance(column, Const)
    return emitter.lookup(str(table.value), emitter.value(key), str(column.value), kind)


def _call(name: str) -> _Emit:
    def emit(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
        return fn(name, *(emitter.value(arg) for arg in args))

    return emit


def _local_date(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    return emitter.day(args[0])


def _to_number(emitter: Emitter, args: tuple[Expr, ...], kind: Kind) -> exp.Expression:
    """A text column of a file read as a number: how, the importer knows."""
    return emitter.resolve(Apply("to_number", args, kind=kind))


SCALARS: Final[Mapping[str, _Emit]] = {
    "days_since": _days_since,
    "days_until": _days_until,
    "hours_since": _hours_since,
    "months_since": _months_since,
    "year": _extract("year"),
    "month": _extract("month"),
    "day": _extract("day"),
    "weekday": _extract("isodow"),
    "hour": _extract("hour"),
    "age": _age,
    "anniversary": _anniversary,
    "lunar_anniversary": _lunar_anniversary,
    "distance_km": _distance_km,
    "band": _band,
    "coalesce": _coalesce,
    "case": _case,
    "least": _extreme("least"),
    "greatest": _extreme("greatest"),
    "lookup": _lookup,
    "contains": _call("contains"),
    "startswith": _call("starts_with"),
    "matches": _call("regexp_full_match"),
    "lower": _call("lower"),
    "local_date": _local_date,
    "to_number": _to_number,
}
