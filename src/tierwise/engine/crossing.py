"""The times of large streams in their order, beside their tables, so that rows crossing an edge are found at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from tierwise.definitions.streams import Stream
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import stream_table
from tierwise.engine.run import Inputs, in_order, stream_digest
from tierwise.engine.sql import col
from tierwise.engine.standing import read_state

__all__ = ["Crossing"]

#: A stream of fewer rows is read whole: that takes a few milliseconds.
_FEW: Final = 1_000_000


class Crossing:
    """For each large stream a table (time, customer_id), sorted by time: made when a refresh first needs it.

    A row that is replaced or withdrawn stays in it: a customer too many is computed to what they were. It is of the
    stream as long as the engine's table about itself says the same of both.

    Args:
        engine: where the tables are.
        inputs: what the streams are built from.
    """

    def __init__(self, engine: DuckEngine, inputs: Inputs) -> None:
        self.engine, self.inputs = engine, inputs
        self.tables: dict[str, str] = {}
        state, there = read_state(engine), set(engine.tables())
        for stream in in_order(inputs.catalogue):
            name = _name(stream)
            if name in there and stream.name in state and state.get(name) == state[stream.name]:
                self.tables[stream.name] = name

    def prepare(self) -> dict[str, str]:
        """Make the tables that are not there yet; return the table of each large stream."""
        for stream in in_order(self.inputs.catalogue):
            table = stream_table(stream.name)
            if stream.customer and stream.name not in self.tables and self.engine.count(table) >= _FEW:
                select = exp.select(col("time"), col("customer_id")).from_(_t(table)).order_by(col("time"))
                self.engine.create(_name(stream), select)
                self.tables[stream.name] = _name(stream)
        return self.tables

    def add(self, fresh: Mapping[str, str]) -> None:
        """Add new rows, inside a transaction.

        Args:
            fresh: the table of the new rows, by stream.
        """
        names = [exp.to_identifier("time"), exp.to_identifier("customer_id")]
        for stream, rows in fresh.items():
            if stream in self.tables:
                into = exp.Schema(this=_t(self.tables[stream]), expressions=[name.copy() for name in names])
                select = exp.select(col("time"), col("customer_id")).from_(_t(rows)).order_by(col("time"))
                self.engine.execute(exp.Insert(this=into, expression=select))

    def state(self) -> dict[str, str]:
        """Return what the engine's table about itself is to say of these tables."""
        streams = {stream.name: stream for stream in in_order(self.inputs.catalogue)}
        return {table: stream_digest(streams[name], self.inputs) for name, table in self.tables.items()}


def _name(stream: Stream) -> str:
    return f"{stream_table(stream.name)}$time"


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
