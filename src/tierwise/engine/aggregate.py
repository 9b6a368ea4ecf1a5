"""Functions over a stream in SQL: many conditional aggregates in one pass, a pass of its own where order matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import DATE, FLOAT, INSTANT, INTEGER, Kind
from tierwise.definitions.language.typed import Aggregate, Expr
from tierwise.definitions.streams import Stream
from tierwise.engine.emit import Emitter, round9
from tierwise.engine.sql import (
    KEY,
    all_of,
    cast,
    col,
    equals,
    filtered,
    fn,
    literal,
    null,
    number,
    physical,
    text,
    try_cast,
)

__all__ = [
    "INLINE",
    "StreamRows",
    "of_nothing",
    "own_pass",
    "row_column",
    "window_conditions",
]

_STAR: Final = exp.Star()
_US_PER_DAY: Final = 86_400_000_000.0


class StreamRows:
    """The rows of one stream as a pass reads them: `r` the stream, `s` the spine (when joined)."""

    def __init__(self, stream: Stream, emitter: Emitter, key: exp.Expression) -> None:
        self.stream, self.emitter, self.key = stream, emitter, key

    @property
    def time(self) -> exp.Expression:
        """Return the row's time."""
        return col("time", "r")

    @property
    def pos(self) -> exp.Expression:
        """Return the row's place in the order of (customer, time, row_key)."""
        return col("pos", "r")

    def column(self, name: str) -> exp.Expression:
        """Return a column of the row; computed ones at as_of."""
        return row_column(self.stream.name, name, self.emitter)

    def kind(self, name: str) -> Kind:
        """Return the kind of a column."""
        column = self.stream.column(name)
        return INSTANT if column is None else column.kind

    def conditions(self, expr: Aggregate) -> list[exp.Expression]:
        """Return what a row must meet to be counted, beside ``time <= as_of``."""
        found = window_conditions(expr, self.emitter, self.time)
        if expr.where is not None:
            found.append(self.emitter.condition(expr.where))
        return found


def row_column(stream: str, name: str, emitter: Emitter) -> exp.Expression:
    """Return a stream's column in SQL, working out ``orders.kept`` and its like at as_of."""
    if stream == "orders" and name in ("kept", "kept_amount"):
        refunds = col("refunds", "r")
        earlier = exp.Lambda(
            this=exp.LTE(
                this=exp.Dot(this=exp.to_identifier("x"), expression=exp.to_identifier("time")),
                expression=emitter.clock.as_of,
            ),
            expressions=[exp.to_identifier("x")],
        )
        amounts = exp.Lambda(
            this=exp.Dot(this=exp.to_identifier("x"), expression=exp.to_identifier("amount")),
            expressions=[exp.to_identifier("x")],
        )
        back = exp.Coalesce(
            this=fn("list_sum", fn("list_transform", fn("list_filter", refunds, earlier), amounts)),
            expressions=[number(0)],
        )
        amount = col("amount", "r")
        rest = fn("greatest", exp.Paren(this=exp.Sub(this=amount.copy(), expression=back)), number(0))
        untouched = exp.Is(this=refunds.copy(), expression=null())
        positive = exp.Case(
            ifs=[
                exp.If(this=exp.Is(this=amount.copy(), expression=null()), true=null()),
                exp.If(this=untouched, true=fn("greatest", amount, cast(number(0), "DECIMAL(18, 2)"))),
            ],
            default=try_cast(rest, "DECIMAL(18, 2)"),
        )
        if name == "kept_amount":
            return positive
        live = exp.Not(this=exp.Paren(this=exp.Coalesce(this=col("cancelled", "r"), expressions=[exp.false()])))
        worth = exp.Or(
            this=equals(col("amount", "r"), number(0)), expression=exp.GT(this=positive, expression=number(0))
        )
        return exp.Paren(
            this=exp.Coalesce(
                this=exp.Paren(this=exp.And(this=live, expression=exp.Paren(this=worth))), expressions=[exp.false()]
            )
        )
    if stream == "visits" and name == "dwell_minutes":
        return _dwell_minutes(emitter)
    return col(name, "r")


def _dwell_minutes(emitter: Emitter) -> exp.Expression:
    """A minute has 60,000,000 µs, so its millionths are the µs / 60, rounded half away from zero."""
    micros = exp.Paren(
        this=exp.Sub(this=fn("epoch_us", col("left_at", "r")), expression=fn("epoch_us", col("time", "r")))
    )
    twice = exp.Paren(this=exp.Add(this=exp.Mul(this=fn("abs", micros), expression=number(2)), expression=number(60)))
    rounded = fn("divide", twice, number(120))
    millionths = cast(exp.Mul(this=rounded, expression=fn("sign", micros.copy())), "DECIMAL(18, 0)")
    minutes = exp.Mul(this=millionths, expression=cast(text("0.000001"), "DECIMAL(6, 6)"))
    gone = exp.LTE(this=col("left_at", "r"), expression=emitter.clock.as_of)
    return exp.Case(ifs=[exp.If(this=gone, true=try_cast(minutes, "DECIMAL(18, 6)"))])


def window_conditions(expr: Aggregate, emitter: Emitter, time: exp.Expression) -> list[exp.Expression]:
    """Return the conditions of a window on a row's time."""
    window, clock = expr.window, emitter.clock
    found: list[exp.Expression] = []
    if window.within is not None:
        found.append(exp.GT(this=time.copy(), expression=clock.minus(window.within)))
    if window.ago is not None:
        near, far = window.ago
        found.append(exp.GT(this=time.copy(), expression=clock.minus(far)))
        found.append(exp.LTE(this=time.copy(), expression=clock.minus(near)))
    if window.on:
        first, after = clock.calendar(window.on)
        found += [exp.GTE(this=time.copy(), expression=first), exp.LT(this=time.copy(), expression=after)]
    if window.since is not None:
        on_day = window.since.kind == DATE
        found.append((exp.GTE if on_day else exp.GT)(this=time.copy(), expression=_bound(window.since, emitter, 0)))
    if window.until is not None:
        on_day = window.until.kind == DATE
        found.append((exp.LT if on_day else exp.LTE)(this=time.copy(), expression=_bound(window.until, emitter, 1)))
    return found


def _bound(bound: Expr, emitter: Emitter, plus_days: int) -> exp.Expression:
    """Return an instant bound, or the midnight that begins (or ends) a date."""
    value = emitter.value(bound)
    if bound.kind != DATE:
        return value
    if plus_days:
        value = cast(exp.Paren(this=exp.Add(this=value, expression=fn("to_days", number(plus_days)))), "DATE")
    return emitter.clock.midnight(value)


def of_nothing(expr: Aggregate, value: exp.Expression, key: exp.Expression) -> exp.Expression:
    """Return the aggregate with what it is of no rows; `key` is NULL for those a pass has no row of."""
    if expr.function in ("count", "distinct", "days", "streak"):
        return exp.Coalesce(this=value, expressions=[literal(0, INTEGER)])
    if expr.function == "exists":
        return exp.Coalesce(this=value, expressions=[exp.false()])
    if expr.function in ("sum", "score"):  # a sum can also be missing because it is out of range
        return exp.Case(ifs=[exp.If(this=exp.Is(this=key, expression=null()), true=_zero(expr))], default=value)
    return value


def _zero(expr: Aggregate) -> exp.Expression:
    return literal(0.0, FLOAT) if expr.kind == FLOAT else cast(number(0), physical(expr.kind))


# -- one pass, many aggregates --------------------------------------------------------------------------------------

_Inline = Callable[[Aggregate, StreamRows, exp.Expression | None], exp.Expression]


def _and(*conditions: exp.Expression | None) -> exp.Expression | None:
    return all_of([condition for condition in conditions if condition is not None])


def _present(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=value.copy(), expression=null())))


def _count(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Count(this=_STAR.copy()), condition)


def _exists(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return exp.GT(this=_count(expr, rows, condition), expression=number(0))


def _sum(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    total = filtered(_total(rows.column(expr.column), expr.kind), condition)
    total = exp.Coalesce(this=total, expressions=[_zero(expr)])
    return _finite(total) if expr.kind == FLOAT else try_cast(total, physical(expr.kind))


def _total(value: exp.Expression, kind: Kind) -> exp.Expression:
    """The sum: exact, of floats with the lost digits carried along."""
    return fn("fsum", value) if kind == FLOAT else exp.Sum(this=value)


def _finite(value: exp.Expression) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=fn("isfinite", value), true=value.copy())])


def _avg(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    value, kind = rows.column(expr.column), rows.kind(expr.column)
    total = filtered(_total(value, kind), condition)
    count = filtered(exp.Count(this=value.copy()), _copy(condition))
    mean = _ratio(total, count)
    return _finite(mean) if kind == FLOAT else mean


def _ratio(one: exp.Expression, other: exp.Expression) -> exp.Expression:
    below = exp.Nullif(this=cast(other, "DOUBLE"), expression=literal(0.0, FLOAT))
    return exp.Paren(this=exp.Div(this=cast(one, "DOUBLE"), expression=below, typed=False, safe=False))


def _min(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Min(this=rows.column(expr.column)), condition)


def _max(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Max(this=rows.column(expr.column)), condition)


def _distinct(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    return filtered(exp.Count(this=exp.Distinct(expressions=[rows.column(expr.column)])), condition)


def _days(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    day = rows.emitter.clock.local_date(rows.time, of_row=True)
    return filtered(exp.Count(this=exp.Distinct(expressions=[day])), condition)


def _share(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    assert expr.of is not None
    met = filtered(exp.Count(this=_STAR.copy()), _and(condition, rows.emitter.condition(expr.of)))
    return _ratio(met, filtered(exp.Count(this=_STAR.copy()), condition.copy() if condition is not None else None))


def _first(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    if expr.column == "time":
        return filtered(exp.Min(this=rows.time), condition)
    value = rows.column(expr.column)
    return filtered(fn("arg_min", value, rows.pos), _and(condition, _present(value)))


def _last(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    if expr.column == "time":
        return filtered(exp.Max(this=rows.time), condition)
    value = rows.column(expr.column)
    return filtered(fn("arg_max", value, rows.pos), _and(condition, _present(value)))


def _nth(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    value = rows.column(expr.column)
    listed = exp.ArrayAgg(this=exp.Order(this=value, expressions=[exp.Ordered(this=rows.pos)]))
    return fn("list_extract", filtered(listed, _and(condition, _present(value))), number(expr.n or 1))


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
    total = filtered(fn("fsum", fn("pow", literal(0.5, FLOAT), age)), condition)
    return exp.Coalesce(this=total, expressions=[_zero(expr)])


def _avg_gap(expr: Aggregate, rows: StreamRows, condition: exp.Expression | None) -> exp.Expression:
    last, first = filtered(exp.Max(this=rows.time), condition), filtered(exp.Min(this=rows.time), _copy(condition))
    span = exp.Paren(this=exp.Sub(this=fn("epoch_us", last), expression=fn("epoch_us", first)))
    gaps = exp.Paren(this=exp.Sub(this=filtered(exp.Count(this=_STAR.copy()), _copy(condition)), expression=number(1)))
    days = exp.Paren(
        this=exp.Div(this=cast(span, "DOUBLE"), expression=literal(_US_PER_DAY, FLOAT), typed=False, safe=False)
    )
    return _ratio(days, gaps)


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


# -- a pass of its own ----------------------------------------------------------------------------------------------


_OwnPass = Callable[[Aggregate, exp.Select, StreamRows], exp.Select]


def own_pass(expr: Aggregate, rows: StreamRows, source: exp.Select) -> exp.Select:
    """Return ``SELECT key, answer`` of an aggregate that needs its rows ranked, grouped or paired first.

    Args:
        expr: the aggregate.
        rows: how columns are written.
        source: ``SELECT … FROM stream …`` with the cut at as_of, still without columns.
    """
    condition = _and(*rows.conditions(expr))
    base = source.select(
        rows.key.as_(KEY, quoted=True, copy=False),
        rows.time.as_("time", copy=False),
        rows.pos.as_("pos", copy=False),
        copy=False,
    )
    if expr.column:
        base = base.select(rows.column(expr.column).as_("v", copy=False), copy=False)
    if expr.by is not None and expr.by.column:
        base = base.select(rows.column(expr.by.column).as_("w", copy=False), copy=False)
    if expr.of is not None:
        base = base.select(rows.emitter.certain(expr.of).as_("o", copy=False), copy=False)
    if expr.function in ("days", "streak") or (expr.by is not None and expr.by.function == "days"):
        base = base.select(rows.emitter.clock.local_date(rows.time, of_row=True).as_("d", copy=False), copy=False)
    if expr.function == "streak":
        base = base.select(rows.emitter.clock.today.as_("today", copy=False), copy=False)
    if expr.function == "score":
        base = base.select(rows.emitter.clock.as_of.as_("as_of", copy=False), copy=False)
    if condition is not None:
        base = base.where(condition, copy=False)
    if expr.latest is not None:
        ranked = exp.select(
            "*", _row_number([col(KEY)], [exp.Ordered(this=col("pos"), desc=True)]).as_("rn", copy=False), copy=False
        ).from_(base.subquery("b", copy=False), copy=False)
        base = (
            exp.select("*", copy=False)
            .from_(ranked.subquery("b", copy=False), copy=False)
            .where(exp.LTE(this=col("rn"), expression=number(expr.latest)), copy=False)
        )
    return _OWN[expr.function](expr, base, rows) if expr.function in _OWN else _limited(expr, base, rows)


def _row_number(partition: list[exp.Expression], order: list[exp.Expression]) -> exp.Expression:
    return exp.Window(this=exp.RowNumber(), partition_by=partition, order=exp.Order(expressions=order))


def _limited(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
    """An ordinary aggregate over the latest n rows, their columns worked out as v, o, d."""
    worked = _WorkedRows(rows)
    match expr.function:
        case "share":
            value = _ratio(filtered(exp.Count(this=_STAR.copy()), col("o", "r")), exp.Count(this=_STAR.copy()))
        case "days":
            value = exp.Count(this=exp.Distinct(expressions=[col("d", "r")]))
        case _:
            value = INLINE[expr.function](expr, worked, None)
    return (
        exp.select(col(KEY), value.as_("answer", copy=False), copy=False)
        .from_(base.subquery("r", copy=False), copy=False)
        .group_by(col(KEY), copy=False)
    )


class _WorkedRows(StreamRows):
    """Rows whose column a subquery has already worked out."""

    def __init__(self, rows: StreamRows) -> None:
        clock = rows.emitter.clock
        if clock.fixed is None:
            clock = replace(clock, column=col("as_of", "r"))
        emitter = Emitter(clock, rows.emitter.resolve, rows.emitter.parameters, rows.emitter.lookup)
        super().__init__(rows.stream, emitter, col(KEY))

    def column(self, name: str) -> exp.Expression:
        return col("v", "r")


def _measure(by: Aggregate | None, rows: StreamRows) -> exp.Expression:
    """What the values of `top` are ranked by, over the rows of one value: a float rounded, a missing one last."""
    if by is None:
        return exp.Count(this=_STAR.copy())
    kind = rows.kind(by.column) if by.column else by.kind
    total = _total(col("w"), kind)
    measures: dict[str, exp.Expression] = {
        "count": exp.Count(this=_STAR.copy()),
        "sum": exp.Coalesce(this=total, expressions=[_zero(by)]),
        "avg": _ratio(total.copy(), exp.Count(this=col("w"))),
        "min": exp.Min(this=col("w")),
        "max": exp.Max(this=col("w")),
        "distinct": exp.Count(this=exp.Distinct(expressions=[col("w")])),
        "days": exp.Count(this=exp.Distinct(expressions=[col("d")])),
    }
    measure = measures[by.function]
    if by.kind == FLOAT:
        return round9(cast(measure, "DOUBLE"))
    return try_cast(measure, physical(by.kind)) if by.function == "sum" else measure


def _top(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
    measure = _measure(expr.by, rows)
    groups = (
        exp.select(
            col(KEY),
            col("v"),
            measure.as_("m", copy=False),
            exp.Max(this=col("time")).as_("t", copy=False),
            copy=False,
        )
        .from_(base.subquery("b", copy=False), copy=False)
        .where(_present(col("v")), copy=False)
        .group_by(col(KEY), col("v"), copy=False)
    )
    order: list[exp.Expression] = [
        exp.Ordered(this=col("m"), desc=True, nulls_first=False),
        exp.Ordered(this=col("t"), desc=True),
        exp.Ordered(this=col("v")),
    ]
    ranked = exp.select(col(KEY), col("v"), _row_number([col(KEY)], order).as_("rn", copy=False), copy=False).from_(
        groups.subquery("g", copy=False), copy=False
    )
    if (expr.n or 1) == 1:
        return (
            exp.select(col(KEY), col("v").as_("answer", copy=False), copy=False)
            .from_(ranked.subquery("k", copy=False), copy=False)
            .where(equals(col("rn"), number(1)), copy=False)
        )
    listed = exp.ArrayAgg(this=exp.Order(this=col("v"), expressions=[exp.Ordered(this=col("rn"))]))
    few = exp.LTE(this=col("rn"), expression=number(expr.n or 1))
    return (
        exp.select(col(KEY), listed.as_("answer", copy=False), copy=False)
        .from_(ranked.subquery("k", copy=False), copy=False)
        .where(few, copy=False)
        .group_by(col(KEY), copy=False)
    )


def _streak(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
    assert expr.length is not None
    unit = {"1d": "day", "1w": "week", "1mo": "month", "3mo": "quarter", "1y": "year"}[expr.length.text]
    begins = [fn("date_trunc", text(unit), col(name)) for name in ("d", "today")]
    back = fn("date_diff", text(unit), begins[0], begins[1])
    periods = (
        exp.select(col(KEY), cast(back, "BIGINT").as_("k", copy=False), copy=False)
        .from_(base.subquery("b", copy=False), copy=False)
        .distinct()
    )
    numbered = exp.select(
        col(KEY),
        col("k"),
        _row_number([col(KEY)], [exp.Ordered(this=col("k"))]).as_("rn", copy=False),
        exp.Window(this=exp.Min(this=col("k")), partition_by=[col(KEY)]).as_("start", copy=False),
        copy=False,
    ).from_(periods.subquery("p", copy=False), copy=False)
    unbroken = equals(exp.Sub(this=col("k"), expression=col("rn")), exp.Sub(this=col("start"), expression=number(1)))
    recent = exp.LTE(this=col("start"), expression=number(1))
    return (
        exp.select(col(KEY), exp.Count(this=_STAR.copy()).as_("answer", copy=False), copy=False)
        .from_(numbered.subquery("n", copy=False), copy=False)
        .where(exp.And(this=unbroken, expression=recent), copy=False)
        .group_by(col(KEY), copy=False)
    )


def _gap(extreme: type[exp.Min] | type[exp.Max]) -> _OwnPass:
    def build(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
        before = exp.Window(
            this=exp.Anonymous(this="lag", expressions=[fn("epoch_us", col("time"))]),
            partition_by=[col(KEY)],
            order=exp.Order(expressions=[exp.Ordered(this=col("pos"))]),
        )
        gaps = exp.select(
            col(KEY), exp.Sub(this=fn("epoch_us", col("time")), expression=before).as_("gap", copy=False), copy=False
        ).from_(base.subquery("b", copy=False), copy=False)
        days = exp.Div(
            this=cast(extreme(this=col("gap")), "DOUBLE"),
            expression=literal(_US_PER_DAY, FLOAT),
            typed=False,
            safe=False,
        )
        return (
            exp.select(col(KEY), days.as_("answer", copy=False), copy=False)
            .from_(gaps.subquery("g", copy=False), copy=False)
            .group_by(col(KEY), copy=False)
        )

    return build


_OWN: Final[Mapping[str, _OwnPass]] = {
    "top": _top,
    "streak": _streak,
    "min_gap": _gap(exp.Min),
    "max_gap": _gap(exp.Max),
}
