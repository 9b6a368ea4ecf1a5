"""What people say by hand in an evaluation: joined to the spine, it overrules what the rule of the name gives."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import INSTANT
from tierwise.engine.cells import Cells, Named
from tierwise.engine.snapshot import Spine
from tierwise.engine.sql import KEY, cast, coalesce, col, equals, filtered, fn, literal, null, physical, text, try_cast

if TYPE_CHECKING:  # an evaluator joins what is said by hand, which is worked out with it
    from tierwise.engine.evaluate import Evaluator

__all__ = [
    "BY_HAND",
    "SAID",
    "by_hand",
    "by_rule",
    "contradictions",
    "moved_by_hand",
    "overruling",
    "said",
    "with_by_hand",
]

#: The engine's table of what holds by hand: customer, name, what was said, what the rule gives.
BY_HAND: Final = "by_hand"
#: What is said by hand, as an evaluation reads it.
SAID: Final = pa.schema(
    [
        ("fact_id", pa.int64()),
        ("customer_id", pa.int64()),
        ("name", pa.string()),
        ("value", pa.string()),
        ("valid_from", pa.timestamp("us")),
        ("ends_at", pa.timestamp("us")),
    ]
)


def said(facts: pa.Table, catalogue: Catalogue) -> pa.Table:
    """Return the store's facts as values of tierings, segments and tags: fact_id, customer_id, name, value, when.

    What is about names that are no longer declared says nothing; a list says it of the segments that name it.
    """
    lists: dict[str, list[str]] = {}
    for name, segment in catalogue.definitions.segments.items():
        if segment.list:
            lists.setdefault(segment.list, []).append(name)
    rows = [
        {
            **{key: fact[key] for key in ("fact_id", "customer_id", "valid_from", "ends_at")},
            "name": name,
            "value": value,
        }
        for fact in facts.to_pylist()
        for name, value in _meant(fact, catalogue, lists)
    ]
    return pa.Table.from_pylist(rows, schema=SAID)


def _meant(fact: Mapping[str, str], catalogue: Catalogue, lists: Mapping[str, list[str]]) -> Iterator[tuple[str, str]]:
    name, value = fact["name"], fact["value"]
    match fact["kind"]:
        case "pin" if name in catalogue.tierings and value in catalogue.tierings[name]:
            yield name, value
        case "include" | "exclude" if name in catalogue.segments:
            yield name, "true" if fact["kind"] == "include" else "false"
        case "tag" if name in catalogue.tags:
            yield name, value
        case "list":
            yield from ((segment, "true") for segment in lists.get(name, ()))


def by_rule(name: str) -> str:
    """Return the column that holds what a name's rule gives where something is said by hand."""
    return f"{name}.rule$"


def by_hand(name: str) -> str:
    """Return the column that holds what was said by hand of a name."""
    return f"{name}.hand$"


def overruling(cell: Named) -> exp.Expression:
    """Return what was said by hand, or else what the rule gives."""
    return coalesce(try_cast(col(by_hand(cell.name), "t"), physical(cell.kind)), col(by_rule(cell.name), "t"))


def with_by_hand(evaluator: Evaluator, cells: Cells, names: frozenset[str], spine: Spine, before: str) -> str:
    """Return a spine's table with what holds by hand of each of the names; tierings that remember are overruled here.

    Of what is said of one customer and name at once the newest holds.
    """
    facts = evaluator.snapshot.facts
    assert facts is not None
    table = evaluator.registered("said", facts)
    as_of = col("as_of", "t") if spine.as_of is None else literal(spine.as_of, INSTANT)
    ends = exp.Or(
        this=exp.Is(this=col("ends_at", "f"), expression=null()),
        expression=exp.GT(this=col("ends_at", "f"), expression=as_of.copy()),
    )
    on = exp.and_(
        equals(col("customer_id", "f"), col("customer_id", "t")),
        exp.LTE(this=col("valid_from", "f"), expression=as_of),
        exp.Paren(this=ends),
        copy=False,
    )
    holds = exp.select(col(KEY, "t").as_(KEY, quoted=True, copy=False), copy=False)
    for name in sorted(names):
        newest = fn("arg_max", col("value", "f"), col("fact_id", "f"))
        about = equals(col("name", "f"), text(name))
        holds = holds.select(filtered(newest, about).as_(by_hand(name), quoted=True, copy=False), copy=False)
    holds = holds.from_(exp.to_table(before).as_("t", copy=False), copy=False)
    holds = holds.join(exp.to_table(table).as_("f", copy=False), on=on, copy=False).group_by(col(KEY, "t"), copy=False)
    found = evaluator.temporary("hand", holds)
    remembered = [name for name in cells.remembered if name in names]
    rest = exp.Star(except_=[exp.to_identifier(name, quoted=True) for name in remembered] or None)
    select = exp.Select(expressions=[exp.Column(this=rest, table=exp.to_identifier("t"))])
    select = select.select(*(col(by_hand(name), "h") for name in sorted(names)), copy=False)
    for name in remembered:
        own = coalesce(col(by_hand(name), "h"), col(name, "t")).as_(name, quoted=True, copy=False)
        select = select.select(own, col(name, "t").as_(by_rule(name), quoted=True, copy=False), copy=False)
    select = select.from_(exp.to_table(before).as_("t", copy=False), copy=False).join(
        exp.to_table(found).as_("h", copy=False), on=equals(col(KEY, "h"), col(KEY, "t")), join_type="left", copy=False
    )
    return evaluator.temporary("spine", select)


def contradictions(catalogue: Catalogue, names: frozenset[str], found: exp.Expression) -> exp.Expression:
    """Return (customer_id, customer_key, name, by_hand, by_rule) of all that holds by hand; lists have no rule."""
    columns = ("customer_key", "name", "by_hand", "by_rule")
    none = [cast(null(), "VARCHAR").as_(name) for name in columns]
    nobody = cast(null(), "BIGINT").as_("customer_id")
    union: exp.Expression = exp.select(nobody, *none).where(exp.false())
    for name in sorted(names):
        segment = catalogue.definitions.segments.get(name)
        rule = null() if segment is not None and segment.list else col(by_rule(name))
        part = exp.select(
            col("customer_id"),
            col("customer_key"),
            text(name).as_("name"),
            cast(col(name), "VARCHAR").as_("by_hand"),
            cast(rule, "VARCHAR").as_("by_rule"),
        ).from_(found.copy())
        part = part.where(exp.Not(this=exp.Paren(this=exp.Is(this=col(by_hand(name)), expression=null()))))
        union = exp.Union(this=union, expression=part, distinct=False)
    return exp.select("*").from_(exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier("u"))))


def moved_by_hand(facts: pa.Table | None, since: datetime | None, until: datetime, version: int) -> pa.Table:
    """Return (customer_id, name) of whom something said by hand began or ended since the last run.

    Args:
        facts: what is said, see `said`.
        since: the instant of the last run, None before the first.
        until: the instant of this one.
        version: the number of the newest fact the last run knew.
    """
    found: dict[tuple[int, str], None] = {}
    for row in facts.to_pylist() if facts is not None else []:
        new = row["fact_id"] > version
        began = row["valid_from"] <= until and (since is None or new or row["valid_from"] > since)
        ended = row["ends_at"] is not None and row["ends_at"] <= until and (since is None or row["ends_at"] > since)
        if began or ended:
            found[row["customer_id"], row["name"]] = None
    columns = {"customer_id": pa.int64(), "name": pa.string()}
    rows = [dict(zip(columns, key, strict=True)) for key in found]
    return pa.Table.from_pylist(rows, schema=pa.schema(columns))
