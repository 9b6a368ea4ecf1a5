"""The orders that were kept, by customer and local day: what models of repeat purchases learn from."""

from __future__ import annotations

from datetime import datetime

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.times import Zone
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.clock import Clock
from tierwise.engine.emit import Emitter
from tierwise.engine.rows import row_column
from tierwise.engine.sql import cast, col

__all__ = ["purchase_days"]


def purchase_days(engine: DuckEngine, zone: Zone, as_of: datetime) -> pa.Table:
    """Return (customer_id, on): each local day on which a customer placed an order that is kept at as_of."""
    clock = Clock(zone, as_of)
    # Only the clock is asked: neither a rule nor a parameter stands in ``orders.kept``.
    emitter = Emitter(clock, lambda expr: exp.null(), {}, lambda *_: exp.null())
    time = col("time", "r")
    select = (
        exp.select(col("customer_id", "r"), clock.local_date(time).as_("on", quoted=True))
        .from_(
            exp.Table(this=exp.to_identifier("orders", quoted=True), alias=exp.TableAlias(this=exp.to_identifier("r")))
        )
        .where(
            exp.LTE(this=time.copy(), expression=clock.as_of), cast(row_column("orders", "kept", emitter), "BOOLEAN")
        )
        .distinct()
        .order_by(exp.column("customer_id"), exp.column("on", quoted=True))
    )
    return engine.arrow(select)
