"""The portions everyone is evaluated in: ranges of customers, so that what is grouped at once fits into memory."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlglot import exp

from tierwise.engine.joins import Source
from tierwise.engine.sql import col, number

if TYPE_CHECKING:
    from tierwise.engine.evaluate import Backend

__all__ = ["Portions", "ranges_of"]


def ranges_of(backend: Backend, spine: str) -> list[tuple[int, int]]:
    """Return the first and last customer of each portion; none when everyone is evaluated at once.

    What is known of a million customers is grouped in the memory that a million need, but a hash table of lists or of
    sets does not go to disk: beyond what the backend says that it holds at once, they are taken range by range.

    Args:
        backend: where the tables are.
        spine: the table of everyone asked about, with their ``customer_id``.
    """
    if backend.at_once is None:
        return []
    bounds = (exp.Min(this=col("customer_id")).as_("low"), exp.Max(this=col("customer_id")).as_("high"))
    counted = exp.select(exp.Count(this=exp.Star()).as_("n"), *bounds).from_(_t(spine))
    found = backend.arrow(counted).to_pylist()[0]
    if found["n"] <= backend.at_once:
        return []
    count = math.ceil(found["n"] / backend.at_once)
    span = found["high"] - found["low"] + 1
    edges = [found["low"] + span * part // count for part in range(count + 1)]
    return [(edges[part], edges[part + 1] - 1) for part in range(count)]


class Portions:
    """Views of the rows of one range of customers at a time, over which the SELECT of a stage is written once.

    Args:
        backend: where the tables are.
        source: the tables of everyone's rows.
        ranges: the first and last customer of each portion.
        progress: called with (portions done, portions in all).

    Attributes:
        source: the views of the streams and records; lookups and the membership log are whole.
        before: the view of the table of the stage before.
    """

    def __init__(
        self,
        backend: Backend,
        source: Source,
        ranges: Sequence[tuple[int, int]],
        progress: Callable[[int, int], None],
    ) -> None:
        self.backend, self.ranges, self.progress = backend, ranges, progress
        self._views = {table: f"{table}_portion$" for table in {*source.streams.values(), source.records}}
        streams = {stream: self._views[table] for stream, table in source.streams.items()}
        self.source = replace(source, streams=streams, records=self._views[source.records])
        self.before = "stage_portion$"

    @property
    def views(self) -> list[str]:
        """Return the names of the views, which stay until they are dropped."""
        return [*self._views.values(), self.before]

    def fill(self, table: str, before: str, select: exp.Select) -> None:
        """Make a temporary table of a SELECT over the views, one portion after the other.

        Args:
            table: its name.
            before: the table that the view `before` shows.
            select: what is worked out for a portion.
        """
        read = {table.name for table in select.find_all(exp.Table)}
        shown = [(whole, view) for whole, view in (*self._views.items(), (before, self.before)) if view in read]
        for done, (low, high) in enumerate(self.ranges):
            self.progress(done, len(self.ranges))
            for whole, view in shown:
                inside = exp.Between(this=col("customer_id"), low=number(low), high=number(high))
                self.backend.view(view, exp.select("*").from_(_t(whole)).where(inside))
            if done:
                self.backend.insert(table, select.copy())
            else:
                self.backend.create(table, select.copy(), temporary=True)


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
