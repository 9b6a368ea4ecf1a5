"""An as-of join said without one: Spark has none, so both sides are put in order and the last step is carried on."""

from __future__ import annotations

from typing import Final

from sqlglot import exp

from tierwise.engine.sql import col, number

__all__ = ["without_asof"]

_LEFT: Final = "l$"
_RIGHT: Final = "r$"


def without_asof(tree: exp.Expression) -> exp.Expression:
    """Return the tree with every ``ASOF LEFT JOIN`` of two tables replaced."""
    for select in list(tree.find_all(exp.Select)):
        joins = select.args.get("joins") or []
        if any(str(join.args.get("method") or "").upper() == "ASOF" for join in joins):
            assert len(joins) == 1, "an as-of join stands alone"
            _replace(select, joins[0])
    return tree


def _replace(select: exp.Select, join: exp.Join) -> None:
    """Carry the right side's last row before (or at) each row of the left along, in one ordered window.

    For each group of equal keys the rows of both sides are put in the order of what they are compared by. Where the
    comparison allows equality the right side's row comes first of equal ones, else last.
    """
    source = select.args["from_"].this
    left, right = source.alias_or_name, join.this.alias_or_name
    pairs, bound = _conditions(join.args["on"], left)
    rank = 0 if isinstance(bound, exp.GTE) else 2
    sides = exp.Union(
        this=_side(source, left, [one for one, _ in pairs], bound.this, 1),
        expression=_side(join.this, right, [other for _, other in pairs], bound.expression, rank),
        distinct=False,
    )
    keys = [col(f"e{index}$") for index, _ in enumerate(pairs)]
    order = exp.Order(expressions=[exp.Ordered(this=col("o$"), nulls_first=False), exp.Ordered(this=col("side$"))])
    last = exp.Window(
        this=exp.IgnoreNulls(this=exp.Anonymous(this="last_value", expressions=[col(_RIGHT)])),
        partition_by=keys,
        order=order,
        spec=exp.WindowSpec(kind="ROWS", start="UNBOUNDED", start_side="PRECEDING", end="CURRENT ROW"),
    )
    known = exp.Not(this=exp.Paren(this=exp.Is(this=col("o$"), expression=exp.Null())))
    carried = exp.Case(ifs=[exp.If(this=known, true=last)])
    ordered = exp.select(col(_LEFT), col("side$"), carried.as_(_RIGHT, quoted=True, copy=False), copy=False).from_(
        exp.Subquery(this=sides, alias=exp.TableAlias(this=exp.to_identifier("u"))), copy=False
    )
    own = exp.EQ(this=col("side$"), expression=number(1))
    joined = exp.select("*", copy=False).from_(ordered.subquery("o", copy=False), copy=False).where(own, copy=False)
    select.set("from_", exp.From(this=joined.subquery("j", copy=False)))
    select.set("joins", [])
    for part in [*select.expressions, *filter(None, [select.args.get("where")])]:
        for column in part.find_all(exp.Column):
            if column.table in (left, right):
                column.set("table", exp.to_identifier(_LEFT if column.table == left else _RIGHT, quoted=True))


def _side(
    source: exp.Expression, alias: str, keys: list[exp.Expression], order: exp.Expression, rank: int
) -> exp.Select:
    """Return the rows of one side as a struct, with their keys, their place and which side they are of."""
    row = exp.Anonymous(this="struct", expressions=[exp.Column(this=exp.Star(), table=exp.to_identifier(alias))])
    nothing = exp.Null()
    left, right = (row, nothing) if rank == 1 else (nothing, row)
    return exp.select(
        left.as_(_LEFT, quoted=True, copy=False) if rank == 1 else exp.alias_(left, _LEFT, quoted=True),
        right.as_(_RIGHT, quoted=True, copy=False) if rank != 1 else exp.alias_(right, _RIGHT, quoted=True),
        *(key.copy().as_(f"e{index}$", quoted=True, copy=False) for index, key in enumerate(keys)),
        order.copy().as_("o$", quoted=True, copy=False),
        exp.alias_(number(rank), "side$", quoted=True),
        copy=False,
    ).from_(source.copy(), copy=False)


def _conditions(on: exp.Expression, left: str) -> tuple[list[tuple[exp.Expression, exp.Expression]], exp.GTE | exp.GT]:
    """Return the pairs of equal expressions, the left side's first, and the one comparison."""
    pairs: list[tuple[exp.Expression, exp.Expression]] = []
    found: exp.GTE | exp.GT | None = None
    for part in on.flatten() if isinstance(on, exp.And) else [on]:
        condition = part.unnest()
        if isinstance(condition, exp.EQ):
            sides = condition.this, condition.expression
            of_left = any(column.table == left for column in sides[0].find_all(exp.Column))
            pairs.append(sides if of_left else (sides[1], sides[0]))
        else:
            assert isinstance(condition, exp.GTE | exp.GT), condition
            found = condition
    assert found is not None, "an as-of join compares once"
    return pairs, found
