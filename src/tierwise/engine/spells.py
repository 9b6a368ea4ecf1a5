"""The membership log as spells, in SQL: who was in what from which instant to which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlglot import exp

from tierwise.engine.evaluate import KNOWN_CUSTOMERS
from tierwise.engine.sql import cast, col, equals, fn, null, text

__all__ = ["KEYS", "ending", "intervals_of", "rekeyed", "spells_of", "with_keys", "within"]

#: Of what there is one spell after another.
KEYS: Final = ("kind", "name", "customer_id")


def intervals_of(paths: Sequence[str]) -> exp.Select:
    """Return the log as intervals: of one instant the newest row counts, a row that says nothing new begins none.

    The log is in the order of recording; what `backfill` adds is of earlier instants, so the order is (at, seq).
    """
    if not paths:
        empty = [cast(null(), "VARCHAR").as_(name) for name in ("kind", "name", "value")]
        times = [cast(null(), "TIMESTAMP").as_(name) for name in ("valid_from", "valid_to")]
        nobody = cast(null(), "BIGINT").as_("customer_id")
        return exp.select(*empty, nobody, *times, cast(null(), "VARCHAR").as_("cause")).where(exp.false())
    return within(spells_of(paths))


def spells_of(paths: Sequence[str]) -> exp.Select:
    """Return what the log says as spells, those outside of a segment too."""
    listed = exp.Array(expressions=[text(path) for path in paths])
    log = exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[listed]))
    newest = [fn("arg_max", col(name), col("seq")).as_(name, quoted=True, copy=False) for name in ("is", "cause")]
    by_instant = exp.select(*(col(key) for key in KEYS), col("at"), *newest, copy=False).from_(log, copy=False)
    by_instant = by_instant.group_by(*(col(key) for key in KEYS), col("at"), copy=False)
    changed = _over("lag", col("is"), KEYS)
    seen = exp.select("*", changed.as_("before$", quoted=True, copy=False), copy=False).from_(
        by_instant.subquery("l", copy=False), copy=False
    )
    steps = exp.select("*", copy=False).from_(seen.subquery("s", copy=False), copy=False)
    steps = steps.where(exp.NullSafeNEQ(this=col("is"), expression=col("before$")), copy=False)
    following = _over("lead", col("at"), KEYS)
    return exp.select(
        col("kind"),
        col("name"),
        col("is").as_("value", copy=False),
        col("customer_id"),
        col("at").as_("valid_from", copy=False),
        following.as_("valid_to", copy=False),
        col("cause"),
        copy=False,
    ).from_(steps.subquery("c", copy=False), copy=False)


def within(spells: exp.Select) -> exp.Select:
    """Leave the spells outside of a segment out."""
    out = exp.and_(equals(col("kind"), text("segment")), equals(col("value"), text("out")), copy=False)
    inside = exp.select("*", copy=False).from_(spells.subquery("i", copy=False), copy=False)
    return inside.where(exp.Not(this=exp.Paren(this=out)), copy=False)


def with_keys(spells: exp.Select) -> exp.Select:
    """Add the brand's number of each customer."""
    select = exp.select("w.*", col("customer_key", "k"), copy=False).from_(spells.subquery("w", copy=False), copy=False)
    same = equals(col("customer_id", "k"), col("customer_id", "w"))
    return select.join(_named(KNOWN_CUSTOMERS, "k"), on=same, join_type="left", copy=False)


def ending(intervals: str, firsts: exp.Subquery) -> exp.Update:
    """Return the statement that ends each open interval where the next one of its customer and name begins."""
    same = [equals(col(key, intervals), col(key, "s")) for key in KEYS]
    is_open = exp.Is(this=col("valid_to", intervals), expression=null())
    ends = exp.EQ(this=col("valid_to"), expression=col("at", "s"))
    where = exp.Where(this=exp.and_(*same, is_open))
    return exp.Update(this=_named(intervals), expressions=[ends], from_=exp.From(this=firsts), where=where)


def _over(function: str, value: exp.Expression, keys: Sequence[str]) -> exp.Window:
    order = exp.Order(expressions=[exp.Ordered(this=col("at"))])
    return exp.Window(this=fn(function, value), partition_by=[col(key) for key in keys], order=order)


def rekeyed(intervals: str) -> exp.Update:
    """Return the statement that gives each interval the number its customer has now."""
    same = equals(col("customer_id", intervals), col("customer_id", "k"))
    other = exp.NullSafeNEQ(this=col("customer_key", intervals), expression=col("customer_key", "k"))
    key = exp.EQ(this=col("customer_key"), expression=col("customer_key", "k"))
    keys = exp.From(this=_named(KNOWN_CUSTOMERS, "k"))
    return exp.Update(
        this=_named(intervals), expressions=[key], from_=keys, where=exp.Where(this=exp.and_(same, other))
    )


def _named(table: str, alias: str = "") -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(table, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )
