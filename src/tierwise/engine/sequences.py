"""Sequences in SQL: rows of all steps in one order, and for each step the latest beginning that leads up to it.

Of all ways to come to a row, the one that began last is within every bound that another one is within. So each step is
one window function over the step before, whatever number of rows there is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlglot import exp

from tierwise.definitions.language.kinds import INTEGER
from tierwise.definitions.language.typed import Followed, StepOf
from tierwise.engine.rows import StreamRows
from tierwise.engine.sql import KEY, all_of, col, fn, literal, null, number

__all__ = ["StepRows", "sequence"]


@dataclass(frozen=True)
class StepRows:
    """How the rows of one stream are read: their columns, and ``SELECT … FROM stream …`` still without columns."""

    rows: StreamRows
    source: exp.Select


def sequence(expr: Followed, read: Callable[[str], StepRows]) -> exp.Select:
    """Return ``SELECT key, answer`` of the customers for whom the steps follow each other.

    Args:
        expr: the sequence.
        read: gives the rows of a stream.
    """
    table = _rows_in_order(expr, read)
    table = _beginnings(expr, table)
    for index in range(1, len(expr.steps)):
        table = _next_step(expr, table, index)
    last = f"f{len(expr.steps) - 1}"
    met = [_known(col(last))]
    if expr.within is not None:
        met.append(exp.LTE(this=_since(last), expression=number(expr.within.micros)))
    if expr.without is not None and expr.within is None:
        ordered = exp.select(
            "*", _over(expr, exp.Max(this=_when(col("c"), col("t"))), None, True).as_("lastc", copy=False), copy=False
        )
        table = ordered.from_(table.subquery("b", copy=False), copy=False)
        before = exp.LTE(this=col("lastc"), expression=col(last))
        met.append(exp.Paren(this=exp.Or(this=exp.Is(this=col("lastc"), expression=null()), expression=before)))
    return (
        exp.select(col(KEY), exp.true().as_("answer", copy=False), copy=False)
        .from_(table.subquery("m", copy=False), copy=False)
        .where(exp.and_(*met, copy=False), copy=False)
        .group_by(col(KEY), copy=False)
    )


def _rows_in_order(expr: Followed, read: Callable[[str], StepRows]) -> exp.Select:
    """Return (key, t, z, v, m0 … , c) of every row that is one of the steps, or must not come."""
    steps = [*expr.steps, *([expr.without] if expr.without is not None else [])]
    union: exp.Expression | None = None
    for stream in dict.fromkeys(step.stream for step in steps):
        part = _rows_of(expr, read(stream), stream)
        union = part if union is None else exp.Union(this=union, expression=part, distinct=False)
    assert union is not None
    inner = exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier("u")))
    return exp.select("*", copy=False).from_(inner, copy=False)


def _rows_of(expr: Followed, step_rows: StepRows, stream: str) -> exp.Select:
    rows, clock = step_rows.rows, step_rows.rows.emitter.clock

    def met(step: StepOf | None) -> exp.Expression:
        if step is None or step.stream != stream:
            return exp.false()
        return exp.true() if step.where is None else rows.emitter.certain(step.where)

    marks = {f"m{i}": met(step) for i, step in enumerate(expr.steps)} | {"c": met(expr.without)}
    select = step_rows.source.select(
        rows.key.as_(KEY, quoted=True, copy=False),
        fn("epoch_us", rows.time).as_("t", copy=False),
        fn("epoch_us", clock.as_of).as_("z", copy=False),
        (rows.column(expr.same) if expr.same else null()).as_("v", copy=False),
        *(mark.as_(name, copy=False) for name, mark in marks.items()),
        copy=False,
    )
    if expr.same:
        select = select.where(_known(rows.column(expr.same)), copy=False)
    some = [mark for mark in marks.values() if mark != exp.false()]
    if exp.true() in some:
        return select
    if not some:  # conditions that are false whatever the row
        return select.where(exp.false(), copy=False)
    either = some[0].copy()
    for mark in some[1:]:
        either = exp.Or(this=either, expression=mark.copy())
    return select.where(exp.Paren(this=either), copy=False)


def _beginnings(expr: Followed, table: exp.Select) -> exp.Select:
    """Add f0: the time of a row that can begin the sequence."""
    begins: list[exp.Expression] = [col("m0")]
    if expr.without is not None and expr.within is not None:
        following = _over(expr, exp.Min(this=_when(col("c"), col("t"))), None, False)
        table = exp.select("*", following.as_("nextc", copy=False), copy=False).from_(
            table.subquery("b", copy=False), copy=False
        )
        end = exp.Add(this=col("t"), expression=number(expr.within.micros))
        begins.append(exp.LTE(this=end, expression=col("z")))
        never = exp.Is(this=col("nextc"), expression=null())
        begins.append(exp.Paren(this=exp.Or(this=never, expression=exp.GT(this=col("nextc"), expression=end.copy()))))
    condition = all_of(begins)
    assert condition is not None
    return exp.select("*", _when(condition, col("t")).as_("f0", copy=False), copy=False).from_(
        table.subquery("b", copy=False), copy=False
    )


def _next_step(expr: Followed, table: exp.Select, index: int) -> exp.Select:
    """Add f1, f2 …: the latest beginning of what leads up to a row of this step."""
    bounds = [bound.micros for bound in (expr.gap, expr.within) if bound is not None]
    led = _over(expr, exp.Max(this=col(f"f{index - 1}")), min(bounds, default=None), True)
    ranged = exp.select("*", led.as_(f"g{index}", copy=False), copy=False).from_(
        table.subquery("b", copy=False), copy=False
    )
    reached = _when(col(f"m{index}"), col(f"g{index}"))
    return exp.select("*", reached.as_(f"f{index}", copy=False), copy=False).from_(
        ranged.subquery("b", copy=False), copy=False
    )


def _over(expr: Followed, value: exp.Expression, reach: int | None, before: bool) -> exp.Expression:
    """Return a window function over the rows strictly before (or after) a row, at most `reach` µs away."""
    far: object = "UNBOUNDED" if reach is None else literal(reach, INTEGER)
    side, other = ("PRECEDING", "PRECEDING") if before else ("FOLLOWING", "FOLLOWING")
    near = literal(1, INTEGER)
    spec = exp.WindowSpec(
        kind="RANGE",
        start=far if before else near,
        start_side=side,
        end=near if before else far,
        end_side=other,
    )
    return exp.Window(
        this=value,
        partition_by=[col(KEY), *([col("v")] if expr.same else [])],
        order=exp.Order(expressions=[exp.Ordered(this=col("t"))]),
        spec=spec,
    )


def _since(beginning: str) -> exp.Expression:
    return exp.Paren(this=exp.Sub(this=col("t"), expression=col(beginning)))


def _when(condition: exp.Expression, value: exp.Expression) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=condition, true=value)])


def _known(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=value, expression=null())))
