"""Functions over groups of customers in SQL: everyone's values by group, joined to who is asked about."""

from __future__ import annotations

from sqlglot import exp

from tierwise.definitions.language.kinds import FLOAT
from tierwise.definitions.language.typed import GroupOf
from tierwise.engine.aggregate import ratio, total_of
from tierwise.engine.sql import KEY, cast, col, equals, filtered, fn, literal, number, physical, try_cast

__all__ = ["group_answer"]


def group_answer(node: GroupOf, own: exp.Select, everyone: exp.Select, by_moment: bool) -> exp.Select:
    """Return ``SELECT key, answer`` of a function over groups.

    Args:
        node: the function.
        own: SELECT (key, by_value) of who is asked about; (…, as_of) with `by_moment`.
        everyone: SELECT (x, by_value) of all customers; (…, as_of) with `by_moment`.
        by_moment: whether each is asked about at an instant of its own.
    """
    groups = [col("by_value"), *([col("as_of")] if by_moment else [])]
    known = exp.Not(this=exp.Paren(this=exp.Is(this=col("by_value"), expression=exp.Null())))
    answers = (
        exp.select(*groups, _of_group(node).as_("answer", copy=False), copy=False)
        .from_(everyone.subquery("e", copy=False), copy=False)
        .where(known, copy=False)
        .group_by(*(group.copy() for group in groups), copy=False)
    )
    on = [equals(col(group.name, "g"), col(group.name, "o")) for group in groups]
    return (
        exp.select(col(KEY, "o"), col("answer", "g"), copy=False)
        .from_(own.subquery("o", copy=False), copy=False)
        .join(answers.subquery("g", copy=False), on=exp.and_(*on, copy=False), copy=False)
    )


def _of_group(node: GroupOf) -> exp.Expression:
    x = col("x")
    match node.function:
        case "group_count":
            return filtered(exp.Count(this=exp.Star()), None if node.x is None else x)
        case "group_min":
            return exp.Min(this=x)
        case "group_max":
            return exp.Max(this=x)
    assert node.x is not None
    total = total_of(x, node.x.kind)
    if node.function == "group_avg":
        mean = ratio(total, exp.Count(this=x.copy()))
        return _finite(mean) if node.x.kind == FLOAT else mean
    nothing = literal(0.0, FLOAT) if node.kind == FLOAT else cast(number(0), physical(node.kind))
    total = exp.Coalesce(this=total, expressions=[nothing])
    return _finite(total) if node.kind == FLOAT else try_cast(total, physical(node.kind))


def _finite(value: exp.Expression) -> exp.Expression:
    return exp.Case(ifs=[exp.If(this=fn("isfinite", value), true=value.copy())])
