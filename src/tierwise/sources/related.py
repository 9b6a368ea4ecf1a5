"""Rows that name no customer of their own: they are of whom the row of another stream is, which has the same number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from sqlglot import exp

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.sql import cast, col, equals, fn, null, text
from tierwise.lake import Lake
from tierwise.sources.mapping import Through

__all__ = ["RECORD", "TIME", "UNMATCHED", "join_related", "make_related"]

#: Why a row is quarantined whose number no row of the other stream has.
UNMATCHED: Final = "unmatched"
#: What of the other row a row takes: the source record, as text; the time.
RECORD: Final = "record"
TIME: Final = "time"


def make_related(engine: DuckEngine, lake: Lake, key_space: str, throughs: Iterable[Through]) -> None:
    """Make, for each column to go through, a table of (key, record, time) of the rows that stand in the lake.

    Where several rows have the same number, the one received last counts.
    """
    for through in dict.fromkeys(throughs):
        paths = lake.paths(through.stream)
        if not paths:
            none = {"key": "VARCHAR", RECORD: "VARCHAR", TIME: "TIMESTAMP"}
            select = exp.select(*(cast(null(), kind).as_(name) for name, kind in none.items())).where(exp.false())
            engine.create(_table(through), select)
            continue
        listed = exp.Array(expressions=[text(str(path)) for path in paths])
        by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
        last = {
            name: fn("arg_max_null", col(column), col("import_id")).as_(name)
            for name, column in (("key", through.column), (RECORD, "source_record_id"), (TIME, "time"), ("op", "op"))
        }
        newest = exp.Select(expressions=[*last.values(), exp.Max(this=col("import_id")).as_("import_id")])
        newest = newest.from_(exp.Table(this=fn("read_parquet", listed, by_name)))
        newest = newest.where(equals(col("key_space"), text(key_space))).group_by(col("source"), col("row_key"))
        of_key = exp.select(
            cast(col("key"), "VARCHAR").as_("key"),
            cast(fn("arg_max", col(RECORD), col("import_id")), "VARCHAR").as_(RECORD),
            fn("arg_max", col(TIME), col("import_id")).as_(TIME),
        ).from_(newest.subquery("n"))
        there = equals(col("op"), text("put"))
        engine.create(_table(through), of_key.where(there).where(_is_said("key")).group_by(col("key")))


def join_related(rows: exp.Select, related: Mapping[tuple[Through, exp.Expression], str]) -> exp.Select:
    """Return the rows with, for each pair of (the column to go through, the value looked for there), what it finds.

    Args:
        rows: the rows so far.
        related: what the found columns begin with.
    """
    for (through, value), prefix in related.items():
        table = exp.Table(
            this=exp.to_identifier(_table(through), quoted=True),
            alias=exp.TableAlias(this=exp.to_identifier("w")),
        )
        found = (col(name, "w").as_(f"{prefix}{name}", quoted=True) for name in (RECORD, TIME))
        select = exp.select("r.*", *found).from_(rows.subquery("r"))
        rows = select.join(table, on=equals(col("key", "w"), value.copy()), join_type="left")
    return rows


def _table(through: Through) -> str:
    return f"related$ {through.stream}.{through.column}"


def _is_said(name: str) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=col(name), expression=null())))
