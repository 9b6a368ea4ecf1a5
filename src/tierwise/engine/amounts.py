"""What the rows of a stream that meet a condition amount to, for each order, row or day of a customer."""

from __future__ import annotations

from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.typed import Aggregate
from tierwise.engine.cells import Cells, row_reads
from tierwise.engine.clock import Clock
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.joins import Joins
from tierwise.engine.plan import Compiler
from tierwise.engine.sql import all_of, cast, col, fn, number, text

__all__ = ["amounts", "reads_customers"]

_EXACT: Final = "DECIMAL(38, 6)"


def reads_customers(expr: Aggregate) -> bool:
    """Say whether the condition on the rows also asks something of the customer, which `amounts` cannot answer."""
    return any(True for _ in row_reads(expr))


def amounts(evaluator: Evaluator, expr: Aggregate, each: str) -> pa.Table:
    """Return (customer_id, reference, at, amount) of the rows that an aggregate adds up or counts, at the as_of.

    Args:
        evaluator: over the state of the tables that is asked.
        expr: ``sum`` or ``count`` over a stream, whose condition only reads the row.
        each: what one line stands for: an ``order`` (where the stream has an ``order_id``), a ``row``, or a ``day``,
            on which the rows count as one.
    """
    assert expr.function in ("sum", "count") and not reads_customers(expr)
    catalogue, snapshot, source = evaluator.catalogue, evaluator.snapshot, evaluator.source
    clock = Clock(catalogue.zone, snapshot.as_of, col("as_of", "t"))
    compiler = Compiler(Cells(catalogue), source, clock, snapshot.parameters, False)
    joins = Joins(source)
    rows = compiler.rows(expr.stream, False, joins, "")
    conditions = [exp.LTE(this=rows.time, expression=clock.as_of), *rows.conditions(expr)]
    amount = rows.column(expr.column) if expr.function == "sum" else number(1)
    by_order = each == "order" and catalogue.streams[expr.stream].column("order_id") is not None
    if each == "day":
        reference: exp.Expression = cast(clock.local_date(rows.time), "VARCHAR")
        whole: exp.Expression = number(1) if expr.function == "count" else exp.Sum(this=amount)
    elif by_order:
        reference, whole = cast(col("order_id", "r"), "VARCHAR"), exp.Sum(this=amount)
    else:
        reference, whole = fn("concat", col("source", "r"), text("/"), col("row_key", "r")), exp.Sum(this=amount)
    select = compiler.from_stream(source.streams[expr.stream], False, "")
    select = select.select(
        col("customer_id", "r").as_("customer_id"),
        reference.as_("reference"),
        exp.Min(this=rows.time).as_("at"),
        cast(whole, _EXACT).as_("amount"),
        copy=False,
    )
    select = joins.add_to(select).where(all_of(conditions), copy=False)
    return evaluator.backend.arrow(select.group_by(col("customer_id", "r"), reference.copy(), copy=False))
