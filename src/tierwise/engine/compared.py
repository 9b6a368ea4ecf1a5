"""Functions that compare customers in SQL: with their group, or with a published population by its steps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.language.kinds import FLOAT, INTEGER
from tierwise.definitions.language.typed import GroupOf, Population
from tierwise.engine.distributions import Distribution
from tierwise.engine.joins import Joins
from tierwise.engine.placing import place, plain, scaled, spread
from tierwise.engine.plan import Compiler
from tierwise.engine.sql import KEY, all_of, cast, col, equals, fn, literal, null, number, text, when

__all__ = ["Compared", "answer", "answered_in_place", "group_rows", "grouped", "published", "step_rows"]

#: Functions that are answered by the place of a value among steps.
_BY_STEPS: Final = ("ntile", "percent_rank", "rank", "in_top")
#: So few steps are written out instead of joined.
_FEW_STEPS: Final = 16


@dataclass(frozen=True)
class Compared:
    """The tables an answer joins: the steps (see `step_rows`), the groups with their sizes (see `group_rows`)."""

    steps: str
    groups: str
    of_each: bool


def grouped(compiler: Compiler, node: GroupOf, table: str) -> exp.Select:
    """Return ``SELECT key, x, by_value`` of a function over groups, over a stage's table."""
    joins = Joins(compiler.source)
    emitter = compiler.emitter("t", joins)
    x = null() if node.x is None else emitter.stored(node.x)
    select = exp.select(
        col(KEY, "t").as_(KEY, quoted=True, copy=False),
        x.as_("x", copy=False),
        emitter.stored(node.by).as_("by_value", copy=False),
        copy=False,
    ).from_(exp.to_table(table).as_("t", copy=False), copy=False)
    if compiler.clock.fixed is None:
        select = select.select(col("as_of", "t").as_("as_of", copy=False), copy=False)
    return joins.add_to(select)


def published(compiler: Compiler, node: Population, table: str) -> exp.Select:
    """Return ``SELECT by_value, x, n`` : the distinct values of the population and how often each occurs."""
    known = [exp.column("inside"), _is_known(col("x"))]
    if node.by is not None:
        known.append(_is_known(col("by_value")))
    return (
        exp.select(col("by_value"), col("x"), exp.Count(this=exp.Star()).as_("n", copy=False), copy=False)
        .from_(_measured(compiler, node, table).subquery("m", copy=False), copy=False)
        .where(exp.and_(*known, copy=False), copy=False)
        .group_by(col("by_value"), col("x"), copy=False)
        .order_by(col("by_value"), col("x"), copy=False)
    )


def answered_in_place(compiler: Compiler, node: Population, versions: Sequence[Distribution]) -> exp.Expression | None:
    """Return the answer in the columns of a stage's table `t`, where so few steps count that none need be joined.

    Args:
        compiler: of the stage.
        node: the population function.
        versions: what is compared with.
    """
    if compiler.clock.fixed is None or node.by is not None or node.function not in _BY_STEPS or len(versions) != 1:
        return None
    group = versions[0].groups.get(None)
    if group is None or not group.size:
        return None
    values, positions = group.steps(node.function, node.n, node.best == "low")
    joins = Joins(compiler.source)
    emitter = compiler.emitter("t", joins)
    x = scaled(emitter.value(node.x), node.x.kind)
    inside = None if node.among is None else emitter.certain(node.among)
    if len(values) > _FEW_STEPS or joins.needed:
        return None
    passed = exp.GTE if _at_or_below(node) else exp.GT
    of_kind = FLOAT if values.dtype.kind == "f" else INTEGER
    position = when(
        [
            (passed(this=x.copy(), expression=literal(value, of_kind)), number(reached))
            for value, reached in zip(values[::-1].tolist(), positions[::-1].tolist(), strict=True)
        ],
        number(0),
    )
    usable = all_of([_is_known(x), *([] if inside is None else [inside])])
    assert usable is not None
    return when([(usable, place(node, position, number(group.size)))])


def answer(compiler: Compiler, node: Population, table: str, among: Compared) -> exp.Select:
    """Return ``SELECT key, answer``: each customer's x placed among the published steps.

    Args:
        compiler: of the stage.
        node: the population function.
        table: the stage's table.
        among: the tables of what was published.
    """
    of_group = ("version", "size", "mean", "deviation")
    inner = exp.select("m.*", *(col(name, "g").as_(name, copy=False) for name in of_group), copy=False)
    inner = inner.from_(_measured(compiler, node, table).subquery("m", copy=False), copy=False)
    same_group: exp.Expression = fn("coalesce", col("by_value", "m"), text(""))
    same_group = equals(same_group, col("by_value", "g"))
    groups = exp.to_table(among.groups).as_("g", copy=False)
    if compiler.clock.fixed is None:
        version = exp.GTE(this=col("as_of", "m"), expression=col("version", "g"))
        on = exp.And(this=same_group, expression=version)
        inner = inner.join(groups, on=on, join_type="asof left", copy=False)
    else:
        inner = inner.join(groups, on=same_group, join_type="left", copy=False)
    outer = exp.select(col(KEY, "m").as_(KEY, quoted=True, copy=False), copy=False)
    by_steps = node.function in _BY_STEPS
    reached = exp.Coalesce(this=col("position", "p"), expressions=[number(0)])
    value = place(node, reached, col("size", "m")) if by_steps else spread(node)
    known = ["x", "size", *(["by_value"] if node.by is not None else [])]
    usable = all_of([col("inside", "m"), *(_is_known(col(name, "m")) for name in known)])
    assert usable is not None
    outer = outer.select(when([(usable, value)]).as_("answer", copy=False), copy=False).from_(
        inner.subquery("m", copy=False), copy=False
    )
    if not by_steps:
        return outer
    same_group = equals(fn("coalesce", col("by_value", "m"), text("")), col("by_value", "p"))
    steps, x, step = exp.to_table(among.steps).as_("p", copy=False), col("x", "m"), col("value", "p")
    if among.of_each:
        same = exp.and_(same_group, equals(x, step), copy=False)
        return outer.join(steps, on=same, join_type="left", copy=False)
    passed = exp.GTE if _at_or_below(node) else exp.GT
    same_version = equals(col("version", "m"), col("version", "p"))
    nearest = exp.and_(same_group, same_version, passed(this=x, expression=step), copy=False)
    return outer.join(steps, on=nearest, join_type="asof left", copy=False)


def step_rows(node: Population, versions: Sequence[Distribution], of_each: bool) -> pa.Table:
    """Return (version, by_value, value, position): the steps of each group; x has the place of the last passed.

    Args:
        node: the population function.
        versions: what is compared with.
        of_each: whether every value of the population stands for itself, with the position it has: then nothing need
            be passed, and equal values find each other.
    """
    versions_of, by_values, values, positions = [], [], [], []
    for version in versions if node.function in _BY_STEPS else ():
        for by_value, group in version.groups.items():
            steps, reached = group.steps(node.function, node.n, node.best == "low")
            if of_each:
                passed = np.searchsorted(steps, group.values, side="right" if _at_or_below(node) else "left")
                steps, reached = group.values, np.concatenate([[0], reached])[passed]
            versions_of.append(version.as_of)
            by_values.append(by_value or "")
            values.append(steps)
            positions.append(reached)
    of_group = pa.array(np.repeat(np.arange(len(values)), [len(steps) for steps in values]), pa.int64())
    return pa.table(
        {
            "version": pa.array(versions_of, pa.timestamp("us")).take(of_group),
            "by_value": pa.array(by_values, pa.string()).take(of_group),
            "value": pa.array(np.concatenate([np.array([], _number_type(node)), *values])),
            "position": pa.array(np.concatenate([np.array([], np.int64), *positions]), pa.int64()),
        }
    )


def group_rows(versions: Sequence[Distribution]) -> pa.Table:
    """Return (version, by_value, size, mean, deviation) of each group."""
    rows = [
        {
            "version": version.as_of,
            "by_value": by_value or "",
            "size": group.size,
            "mean": None if math.isnan(group.mean) else group.mean,
            "deviation": None if math.isnan(group.deviation) else group.deviation,
        }
        for version in versions
        for by_value, group in version.groups.items()
    ]
    return pa.Table.from_pylist(rows, schema=_GROUPS)


_GROUPS: Final = pa.schema(
    [
        ("version", pa.timestamp("us")),
        ("by_value", pa.string()),
        ("size", pa.int64()),
        ("mean", pa.float64()),
        ("deviation", pa.float64()),
    ]
)


def _measured(compiler: Compiler, node: Population, table: str) -> exp.Select:
    """Return ``SELECT key, x, plain, by_value, inside`` of a population function over a stage's table."""
    joins = Joins(compiler.source)
    emitter = compiler.emitter("t", joins)
    x = emitter.value(node.x)
    inside = emitter.certain(node.among) if node.among is not None else exp.true()
    by = cast(emitter.value(node.by), "VARCHAR") if node.by is not None else cast(null(), "VARCHAR")
    select = exp.select(
        col(KEY, "t").as_(KEY, quoted=True, copy=False),
        scaled(x, node.x.kind).as_("x", copy=False),
        plain(x.copy(), node.x.kind).as_("plain", copy=False),
        by.as_("by_value", copy=False),
        inside.as_("inside", copy=False),
        copy=False,
    ).from_(exp.to_table(table).as_("t", copy=False), copy=False)
    if compiler.clock.fixed is None:
        select = select.select(col("as_of", "t").as_("as_of", copy=False), copy=False)
    return joins.add_to(select)


def _at_or_below(node: Population) -> bool:
    """Whether a step is passed by reaching it."""
    ranked = node.function in ("rank", "in_top")
    return ranked if node.best == "high" else node.function == "percent_rank"


def _is_known(value: exp.Expression) -> exp.Expression:
    return exp.Not(this=exp.Paren(this=exp.Is(this=value.copy(), expression=null())))


def _number_type(node: Population) -> type[np.generic]:
    """What the values a population is placed by are held in."""
    return np.float64 if node.x.kind == FLOAT else np.int64
