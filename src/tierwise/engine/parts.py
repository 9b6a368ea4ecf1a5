"""The parts a large table is built in: ranges of customers, so that what is sorted at once fits into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from sqlglot import exp

from tierwise.engine.sql import col, number
from tierwise.lake import Lake

__all__ = ["Part", "parts_of", "rows_in", "together"]

#: So many rows are sorted at once, where the most parts allow it.
_ROWS: Final = 12_500_000
#: Fewer rows than this are sorted faster than they are divided.
_FEW: Final = 1_000_000
#: Every part reads the stream's files once more; beyond so many that would cost more than a larger sort.
_MOST: Final = 8
#: The places of a part's rows begin after so many times its number: no part has as many rows.
_APART: Final = 2**40


@dataclass(frozen=True)
class Part:
    """The customers from `first` to `last`; the places of their rows are counted from `before`."""

    first: int
    last: int
    before: int

    def of(self, ids: exp.Table) -> exp.Expression:
        """Return the table of ids with this part's customers only."""
        inside = exp.Between(this=col("customer_id"), low=number(self.first), high=number(self.last))
        alias = ids.alias
        ids.set("alias", None)
        return exp.select("*", copy=False).from_(ids, copy=False).where(inside, copy=False).subquery(alias, copy=False)


def parts_of(rows: int, ids: pa.Table, threads: int) -> list[Part]:
    """Return the parts to build a table in; none when it is small enough to be built as a whole.

    Their number is a multiple of how many are built at a time: numbering sorted rows is the work of one thread, so
    there is one part for each.

    Args:
        rows: how many rows the stream has.
        ids: the records, with their ``customer_id``.
        threads: how many the engine works with.

    Example:
        >>> parts_of(5_000_000, pa.table({"customer_id": [1, 7, 100]}), threads=2)
        [Part(first=1, last=50, before=0), Part(first=51, last=100, before=1099511627776)]
    """
    if rows < _FEW or not ids.num_rows:
        return []
    at_a_time = min(threads, _MOST)
    count = at_a_time * math.ceil(min(rows / _ROWS, _MOST) / at_a_time)
    bounds = pc.min_max(ids.column("customer_id")).as_py()
    lowest, span = bounds["min"], bounds["max"] - bounds["min"] + 1
    edges = [lowest + span * n // count for n in range(count + 1)]
    return [Part(edges[n], edges[n + 1] - 1, n * _APART) for n in range(count)]


def rows_in(lake: Lake, table: str, version: int) -> int:
    """Return how many rows a table of the lake has, replaced ones included."""
    return sum(one.rows for entry in lake.entries("rows", version) for one in entry.files if one.table == table)


def together(selects: Sequence[exp.Select], threads: int) -> Iterator[exp.Expression]:
    """Yield the SELECTs as statements of as many as are worked on at a time."""
    for first in range(0, len(selects), min(threads, _MOST)):
        union: exp.Expression = selects[first]
        for select in selects[first + 1 : first + min(threads, _MOST)]:
            union = exp.Union(this=union, expression=select, distinct=False)
        yield union
