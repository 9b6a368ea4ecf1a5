"""Hindsight: what was so of everybody at past instants by the definitions of now, and what they brought afterwards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tierwise.definitions.language.kinds import BOOLEAN
from tierwise.definitions.language.nodes import Node
from tierwise.definitions.language.printer import print_tree
from tierwise.definitions.language.times import parse_duration
from tierwise.definitions.streams import ORDERS
from tierwise.engine.as_of import read_as_of
from tierwise.engine.cells import Named
from tierwise.engine.snapshot import everyone
from tierwise.engine.sql import col
from tierwise.engine.standing import Standing
from tierwise.errors import BadRequest
from tierwise.verbs.asking import Asking

__all__ = ["VALUE", "Hindsight", "aligned", "numbers_of"]

#: The column of what a customer brought.
VALUE: Final = "value$"


@dataclass(frozen=True)
class Hindsight:
    """A past instant, and the time after it and before it that is looked at.

    Args:
        asking: what evaluates.
        standing: which run the results are of.
        at: the instant.
        end: up to when it is known what came after it.
        before: since when what came before it is looked at.
        value: what customers bring: a column of a stream, such as ``orders.kept_amount``.
    """

    asking: Asking
    standing: Standing
    at: datetime
    end: datetime
    before: datetime
    value: str

    @classmethod
    def of(cls, asking: Asking, at: datetime | str | None, horizon: str, value: str) -> Hindsight:
        """Return what is asked about; without an instant, the newest one whose whole horizon is known.

        Raises:
            UnknownName: when there are no results yet.
            BadRequest: when the horizon is no length of time, or what came within it is not known yet.
        """
        standing, zone = asking.standing(), asking.opened.catalogue.zone
        duration = parse_duration(horizon)
        if duration is None or not (duration.months or duration.micros):
            raise BadRequest(f"`{horizon}` is no length of time", "write 90d, 12w or 6mo")
        if at is None:
            begin, end = zone.add(standing.as_of, duration, -1), standing.as_of
        else:
            begin = read_as_of(at, zone, asking.opened.now(), lambda: standing.as_of)
            end = zone.add(begin, duration, 1)
        if end > standing.as_of:
            raise BadRequest(
                f"what came within {horizon} after {begin} UTC is known only after {end} UTC, "
                f"and the results are of {standing.as_of} UTC",
                "name an earlier --at or a shorter --horizon",
            )
        return cls(asking, standing, begin, end, zone.add(begin, duration, -1), value)

    @property
    def earlier(self) -> Hindsight:
        """Return the same one horizon earlier: what was not known yet at this one's instant is not read."""
        span = self.at - self.before
        return Hindsight(self.asking, self.standing, self.before, self.at, self.before - span, self.value)

    def named(self, nodes: Mapping[str, Node]) -> list[Named]:
        """Return written expressions as columns of an answer, by their names."""
        found = []
        for name, node in nodes.items():
            _, expr = self.asking.opened.catalogue.expression(print_tree(node))
            found.append(Named(name, expr.kind, expr, condition=expr.kind == BOOLEAN))
        return found

    def table(self, as_of: datetime, wanted: Sequence[Named], since: datetime) -> pa.Table:
        """Return the wanted columns of everybody known at an instant, and what they brought since another one.

        Columns: customer_id, the wanted names, `VALUE`; in the order of customers.

        Raises:
            DefinitionsInvalid: when what customers bring is no column of a stream.
            BadRequest: when it is no number.
        """
        snapshot = self.asking.snapshot(self.standing, as_of, frozen=False)
        with self.asking.evaluator(self.standing, snapshot) as evaluator:
            try:
                cells = [*wanted, self._brought(since)]
                relation = evaluator.relation(everyone(as_of), cells)
                columns = [col("customer_id"), *(col(cell.name) for cell in cells)]
                select = exp.select(*columns, copy=False).from_(relation.subquery("t", copy=False), copy=False)
                return evaluator.backend.arrow(select.order_by(col("customer_id"), copy=False))
            finally:
                evaluator.close()

    def _brought(self, since: datetime) -> Named:
        stream = self.value.partition(".")[0]
        kept = ", where=kept" if stream == ORDERS.name else ""
        text = f'sum({self.value}{kept}, since="{since.isoformat(timespec="microseconds")}Z")'
        _, expr = self.asking.opened.catalogue.expression(text)
        if not expr.kind.is_number:
            raise BadRequest(f"`{self.value}` is {expr.kind}, not a number", "name a column such as orders.kept_amount")
        return Named(VALUE, expr.kind, expr)


def aligned(later: pa.Table, customers: pa.Table) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return what customers of one table brought by another; those it does not know brought nothing."""
    place = pc.index_in(customers["customer_id"], value_set=later["customer_id"].combine_chunks())
    brought = later[VALUE].combine_chunks().cast(pa.float64()).take(place.combine_chunks())
    return np.asarray(pc.fill_null(brought, 0.0).to_numpy(zero_copy_only=False), np.float64)


def numbers_of(column: pa.ChunkedArray) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return a column of numbers as floats, what is missing as NaN."""
    return np.asarray(column.cast(pa.float64()).to_numpy(), np.float64)
