"""What was sold in lengths of time that follow each other: orders kept at as_of, who placed them, what they brought."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from sqlglot import exp

from tierwise.definitions.language.times import Zone
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.rows import row_column
from tierwise.engine.sql import cast, col, number, timestamp

__all__ = ["sales"]


def sales(engine: DuckEngine, zone: Zone, as_of: datetime, edges: Sequence[datetime]) -> list[dict[str, Any]]:
    """Return (since, until, orders, customers, amount) of each length of time (edge, next edge].

    Args:
        engine: has the table of orders.
        zone: the project's zone.
        as_of: what was paid back by then is not counted.
        edges: instants in their order, naive UTC; there are as many lengths of time as gaps between them.
    """
    assert list(edges) == sorted(edges) and len(edges) > 1, "a length of time has a beginning and an end"
    clock = Clock(zone, as_of)
    # Only the clock is asked: neither a rule nor a parameter stands in the computed columns of an order.
    emitter = Emitter(clock, lambda expr: exp.null(), {}, lambda *_: exp.null())
    time = col("time", "r")
    steps = [cast(exp.GT(this=time.copy(), expression=timestamp(edge)), "BIGINT") for edge in edges[1:-1]]
    place: exp.Expression = number(0)
    for step in steps:
        place = exp.Add(this=place, expression=step)
    inside = exp.select(
        place.as_("place"),
        col("customer_id", "r"),
        row_column("orders", "kept_amount", emitter).as_("amount"),
    )
    inside = inside.from_(
        exp.Table(this=exp.to_identifier("orders", quoted=True), alias=exp.TableAlias(this=exp.to_identifier("r")))
    ).where(
        exp.GT(this=time.copy(), expression=timestamp(edges[0])),
        exp.LTE(this=time.copy(), expression=timestamp(edges[-1])),
        exp.LTE(this=time.copy(), expression=clock.as_of),
        cast(row_column("orders", "kept", emitter), "BOOLEAN"),
    )
    customers = exp.Count(this=exp.Distinct(expressions=[exp.column("customer_id")]))
    counted = (
        exp.select(exp.column("place"), exp.Count(this=exp.Star()), customers, exp.Sum(this=exp.column("amount")))
        .from_(inside.subquery("o"))
        .group_by(exp.column("place"))
    )
    found = {int(row[0]): row[1:] for row in engine.rows(counted)}
    rows = []
    for index, (since, until) in enumerate(pairwise(edges)):
        orders, buyers, amount = found.get(index, (0, 0, None))
        said = {"orders": int(orders), "customers": int(buyers), "amount": amount or Decimal(0)}
        rows.append({"since": since, "until": until, **said})
    return rows
