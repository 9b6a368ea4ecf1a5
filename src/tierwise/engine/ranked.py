"""Functions over a stream in SQL that need a pass of their own: their rows are ranked, grouped or paired first."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.kinds import FLOAT, INTEGER
from tierwise.definitions.language.typed import Aggregate
from tierwise.engine.aggregate import INLINE, both, known, ratio, total_of, zero
from tierwise.engine.emit import Emitter
from tierwise.engine.rows import StreamRows
from tierwise.engine.sql import KEY, cast, col, equals, filtered, fn, literal, null, number, physical, text, try_cast
from tierwise.engine.timed import time_average
from tierwise.engine.values import round9

__all__ = ["counted_beside", "own_pass"]

_STAR: Final = exp.Star()
_US_PER_DAY: Final = 86_400_000_000.0
_OwnPass = Callable[[Aggregate, exp.Select, StreamRows], exp.Select]


def own_pass(expr: Aggregate, rows: StreamRows, source: exp.Select) -> exp.Select:
    """Return ``SELECT key, answer`` of an aggregate that needs its rows ranked, grouped or paired first.

    Args:
        expr: the aggregate.
        rows: how columns are written.
        source: ``SELECT … FROM stream …`` with the cut at as_of, still without columns.
    """
    if expr.function == "time_avg":
        return time_average(expr, rows, source)
    condition = both(*rows.conditions(expr))
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
    if expr.function in ("days", "streak", "periods") or (expr.by is not None and expr.by.function == "days"):
        base = base.select(rows.emitter.clock.local_date(rows.time, of_row=True).as_("d", copy=False), copy=False)
    if expr.function in ("streak", "periods"):
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


def counted_beside(aggregates: Iterable[Aggregate]) -> dict[Aggregate, Aggregate]:
    """Return, of each ``distinct``, the ``top`` over the same rows in whose pass its values are counted.

    That pass has one row for each value of a customer before it chooses, so it need not be done twice.
    """
    tops = {_rows_of(expr): expr for expr in aggregates if expr.function == "top" and _chooses_first(expr)}
    return {
        expr: tops[_rows_of(expr)]
        for expr in aggregates
        if expr.function == "distinct" and expr.latest is None and _rows_of(expr) in tops
    }


def _rows_of(expr: Aggregate) -> tuple[object, ...]:
    return expr.stream, expr.column, expr.where, expr.window, expr.latest


def _chooses_first(expr: Aggregate) -> bool:
    """Whether only the best value is asked for, by a number."""
    return (expr.n or 1) == 1 and (expr.by is None or expr.by.kind.is_number)


def _row_number(partition: list[exp.Expression], order: list[exp.Expression]) -> exp.Expression:
    return exp.Window(this=exp.RowNumber(), partition_by=partition, order=exp.Order(expressions=order))


def _limited(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
    """An ordinary aggregate over the latest n rows, their columns worked out as v, o, d."""
    worked = _WorkedRows(rows)
    match expr.function:
        case "share":
            value = ratio(filtered(exp.Count(this=_STAR.copy()), col("o", "r")), exp.Count(this=_STAR.copy()))
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
    total = total_of(col("w"), kind)
    measures: dict[str, exp.Expression] = {
        "count": exp.Count(this=_STAR.copy()),
        "sum": exp.Coalesce(this=total, expressions=[zero(by)]),
        "avg": ratio(total.copy(), exp.Count(this=col("w"))),
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
        .where(known(col("v")), copy=False)
        .group_by(col(KEY), col("v"), copy=False)
    )
    if _chooses_first(expr):
        return _first_of(groups, wide=expr.by is not None and expr.by.kind == INTEGER)
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


def _first_of(groups: exp.Select, wide: bool) -> exp.Select:
    """The best of each customer's values (v, m, t): the smallest in the order turned round, without sorting them.

    `wide`: whether the measure's own type has no room for the negative of its smallest number.
    """
    turned = [
        exp.Is(this=col("m"), expression=null()),
        exp.Neg(this=cast(col("m"), "HUGEINT") if wide else col("m")),
        exp.Neg(this=fn("epoch_us", col("t"))),
        col("v"),
    ]
    return (
        exp.select(col(KEY), fn("arg_min", col("v"), fn("row", *turned)).as_("answer", copy=False), copy=False)
        .from_(groups.subquery("g", copy=False), copy=False)
        .group_by(col(KEY), copy=False)
    )


def _periods_back(expr: Aggregate, base: exp.Select) -> exp.Select:
    """Return (key, k) of the calendar periods that have a row, k counted back from the current one."""
    assert expr.length is not None
    unit = {"1d": "day", "1w": "week", "1mo": "month", "3mo": "quarter", "1y": "year"}[expr.length.text]
    begins = [fn("date_trunc", text(unit), col(name)) for name in ("d", "today")]
    back = fn("date_diff", text(unit), begins[0], begins[1])
    return (
        exp.select(col(KEY), cast(back, "BIGINT").as_("k", copy=False), copy=False)
        .from_(base.subquery("b", copy=False), copy=False)
        .distinct()
    )


def _periods(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
    return (
        exp.select(col(KEY), exp.Count(this=_STAR.copy()).as_("answer", copy=False), copy=False)
        .from_(_periods_back(expr, base).subquery("p", copy=False), copy=False)
        .where(exp.LT(this=col("k"), expression=number(expr.n or 1)), copy=False)
        .group_by(col(KEY), copy=False)
    )


def _streak(expr: Aggregate, base: exp.Select, rows: StreamRows) -> exp.Select:
    periods = _periods_back(expr, base)
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
    "periods": _periods,
    "min_gap": _gap(exp.Min),
    "max_gap": _gap(exp.Max),
}
