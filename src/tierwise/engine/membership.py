"""What the membership log says strictly before as_of, in SQL: an input like rows are, never worked out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from tierwise.definitions.language.typed import HistoryOf
from tierwise.engine.clock import Clock
from tierwise.engine.sql import KEY, cast, col, equals, fn, null, text

__all__ = ["FORMER", "LogRows", "history", "membership_log"]

#: The engine's table of customers who have become part of another: former_id, customer_id, merged_at.
FORMER: Final = "former_customers"


@dataclass(frozen=True)
class LogRows:
    """The log as a pass reads it: ``SELECT … FROM log r …`` still without columns, whose key, at which clock.

    `attributed` says that rows of former customers are in it (see `membership_log`).
    """

    source: exp.Select
    key: exp.Expression
    clock: Clock
    attributed: bool = False


def membership_log(paths: Sequence[str], former: str = "") -> exp.Expression:
    """Return the log as a table: the lake's files of it, or nothing where it has none yet.

    Args:
        paths: the files.
        former: the table of former customers. What was recorded of them is then of the customer they became part of:
            `recorded_id` says of whom it was recorded, and `merged_at` when that ended.
    """
    if paths and former:
        log = membership_log(paths)
        into = exp.Coalesce(this=col("customer_id", "f"), expressions=[col("customer_id", "r")])
        star = exp.Column(this=exp.Star(except_=[exp.to_identifier("customer_id")]), table=exp.to_identifier("r"))
        columns = [star, into.as_("customer_id"), col("customer_id", "r").as_("recorded_id"), col("merged_at", "f")]
        joined = exp.select(*columns, copy=False).from_(log, copy=False)
        on = equals(col("former_id", "f"), col("customer_id", "r"))
        return joined.join(exp.to_table(former).as_("f"), on=on, join_type="left", copy=False).subquery("r", copy=False)
    if paths:
        listed = exp.Array(expressions=[text(path) for path in paths])
        by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
        files = exp.Anonymous(this="read_parquet", expressions=[listed, by_name])
        return exp.Table(this=files, alias=exp.TableAlias(this=exp.to_identifier("r")))
    kinds = {"customer_id": "BIGINT", "seq": "BIGINT", "at": "TIMESTAMP"} | dict.fromkeys(
        ("kind", "name", "was", "is", "cause"), "VARCHAR"
    )
    nothing = [cast(null(), kind).as_(name, quoted=True, copy=False) for name, kind in kinds.items()]
    return exp.select(*nothing, copy=False).where(exp.false(), copy=False).subquery("r", copy=False)


def history(expr: HistoryOf, log: LogRows) -> exp.Select:
    """Return ``SELECT key, answer`` of what an expression asks of the log."""
    found = log.source.where(equals(col("kind", "r"), text(expr.of)), copy=False)
    found = found.where(equals(col("name", "r"), text(expr.name)), copy=False)
    found = found.where(exp.LT(this=col("at", "r"), expression=log.clock.as_of), copy=False)
    key = log.key.as_(KEY, quoted=True, copy=False)
    if expr.function == "tier_since":
        if log.attributed:
            found = found.where(_own(), copy=False)
        newest = exp.Max(this=col("at", "r")).as_("answer", copy=False)
        return found.select(key, newest, copy=False).group_by(log.key.copy(), copy=False)
    yes = exp.true().as_("answer", copy=False)
    if expr.function == "was_tier":
        spells = _spells(expr, log, found.select(key, copy=False))
        return (
            exp.select(col(KEY), yes, copy=False).from_(spells.subquery("p", copy=False), copy=False).group_by(col(KEY))
        )
    wanted, other = (
        (col("is", "r"), col("was", "r")) if expr.function == "entered" else (col("was", "r"), col("is", "r"))
    )
    if log.attributed:  # becoming part of another customer is no leaving
        merged = equals(col("cause", "r"), text("merge"))
        found = found.where(exp.Or(this=_own(), expression=exp.Not(this=exp.Paren(this=merged))), copy=False)
    moved = [
        equals(wanted, text(expr.value)),
        exp.NullSafeNEQ(this=other, expression=text(expr.value)),
        exp.NEQ(this=col("cause", "r"), expression=text("first_run")),
    ]
    if expr.within is not None:
        moved.append(exp.GT(this=col("at", "r"), expression=log.clock.minus(expr.within)))
    return found.select(key, yes, copy=False).where(exp.and_(*moved, copy=False), copy=False).group_by(log.key.copy())


def _spells(expr: HistoryOf, log: LogRows, found: exp.Select) -> exp.Select:
    """Return the key of every spell in the tier, from one entry to the next, that reaches into the window."""
    ends = [log.clock.as_of]
    spells_of = [log.key.copy()]
    if log.attributed:  # each one's spells are their own, and a former customer's last one ends with the merge
        ends = [fn("least", col("merged_at", "r"), log.clock.as_of)]
        spells_of.append(col("recorded_id", "r"))
    following = exp.Window(
        this=exp.Anonymous(this="lead", expressions=[col("at", "r")]),
        partition_by=spells_of,
        order=exp.Order(expressions=[exp.Ordered(this=col(name, "r")) for name in ("at", "seq")]),
    )
    low = log.clock.minus(expr.within) if expr.within is not None else cast(null(), "TIMESTAMP")
    spells = found.select(
        col("is", "r"),
        col("at", "r"),
        exp.Coalesce(this=following, expressions=ends).as_("until", copy=False),
        low.as_("low", copy=False),
        copy=False,
    )
    met = [equals(col("is"), text(expr.value)), exp.GT(this=col("until"), expression=col("at"))]
    if expr.within is not None:
        met.append(exp.GT(this=col("until"), expression=col("low")))
    return (
        exp.select(col(KEY), copy=False)
        .from_(spells.subquery("s", copy=False), copy=False)
        .where(exp.and_(*met, copy=False), copy=False)
    )


def _own() -> exp.Expression:
    """Whether a row was recorded of the customer themselves, not of one who became part of them."""
    return equals(col("recorded_id", "r"), col("customer_id", "r"))
