"""The membership log: what was believed of whom and acted on, appended run by run, never rewritten."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import INSTANT
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.received import IDS
from tierwise.engine.sql import cast, col, equals, literal, null, number, text
from tierwise.lake import Entry, Lake

__all__ = ["MEMBERSHIPS", "LogEntry", "closing_changes", "membership_changes", "recorded"]

#: The columns of the membership log.
MEMBERSHIPS: Final = pa.schema(
    [
        ("seq", pa.int64()),
        ("customer_id", pa.int64()),
        *((name, pa.string()) for name in ("kind", "name", "was", "is")),
        ("at", pa.timestamp("us")),
        ("recorded_at", pa.timestamp("us")),
        *((name, pa.string()) for name in ("cause", "clause", "definitions_hash")),
        ("run_id", pa.int64()),
    ]
)
#: The temporary table of changes, while what they were is looked up.
_CHANGED: Final = "changed$"
#: Tables of the lake whose rows are no customer's.
_OF_NOBODY: Final = ("products", "stores", "memberships", "distributions")


@dataclass(frozen=True)
class LogEntry:
    """What stands on every row of the membership log that one run writes.

    `backfills` says that the row is of an instant before the first run: it is compared with what the log says before
    that instant, and its cause is always ``backfill``. `manual` are the customers and names of which something said
    by hand began or ended since the last run, `regrouped` the customers whose records have become others; `arrived` is
    the table of those whose rows have changed (customer_id, corrected), where a refresh has it.
    """

    run_id: int
    at: datetime
    recorded_at: datetime
    definitions_hash: str
    definition_causes: Mapping[str, str]
    population: frozenset[str]
    since_version: int
    backfills: bool = False
    manual: pa.Table | None = None
    regrouped: pa.Table | None = None
    arrived: str = ""


def recorded(lake: Lake, as_of: datetime, up_to: int | None = None) -> tuple[tuple[str, ...], int]:
    """Return the files of the membership log, and the newest manifest that recorded something before an instant.

    Args:
        lake: where the log is.
        as_of: the instant of the answer, naive UTC.
        up_to: the newest manifest that counts; all by default.
    """
    entries = lake.entries("memberships", up_to)
    position = max((entry.number for entry in entries if entry.about.get("at", "") < as_of.isoformat()), default=0)
    return tuple(str(path) for path in lake.paths("memberships", up_to)), position


def membership_changes(
    engine: DuckEngine,
    catalogue: Catalogue,
    results: str,
    lake: Lake,
    entry: LogEntry,
    ids: pa.Table,
    held: str = "",
) -> pa.Table:
    """Return the rows to append to the membership log: everyone whose tier or segment is another than the log says.

    Args:
        engine: where the results are.
        catalogue: the checked definitions.
        results: the table of results.
        lake: where the log is.
        entry: what stands on every row.
        ids: the customers of the records whose rows have come since `entry.since_version`.
        held: the table of the results that the log holds of the same customers, when `results` is not of everyone.
    """
    now = _now(catalogue, results)
    before = _now(catalogue, held) if held else _before(lake, entry.at if entry.backfills else None)
    engine.register(IDS, ids)
    # whose rows came matters only to what is declared as it was
    as_before = {*catalogue.tierings, *catalogue.segments} - entry.definition_causes.keys()
    engine.create("touched$", _touched(lake, entry, as_before), temporary=True)
    joined = exp.select(
        exp.Coalesce(this=col("customer_id", "n"), expressions=[col("customer_id", "b")]).as_("customer_id"),
        exp.Coalesce(this=col("kind", "n"), expressions=[col("kind", "b")]).as_("kind"),
        exp.Coalesce(this=col("name", "n"), expressions=[col("name", "b")]).as_("name"),
        col("is", "b").as_("was"),
        exp.Coalesce(this=col("is", "n"), expressions=[text("out")]).as_("is"),
    ).from_(_sub(now, "n"))
    on = exp.and_(*(equals(col(name, "n"), col(name, "b")) for name in ("customer_id", "kind", "name")))
    joined = joined.join(_sub(before, "b"), on=on, join_type="full")
    known = exp.In(
        this=col("name"), expressions=[text(name) for name in (*catalogue.tierings, *catalogue.segments)] or [text("")]
    )
    differs = exp.NullSafeNEQ(this=col("was"), expression=col("is"))
    stays_out = exp.And(this=exp.Is(this=col("was"), expression=null()), expression=equals(col("is"), text("out")))
    vanished = exp.And(this=equals(col("kind"), text("tier")), expression=equals(col("is"), text("out")))
    changed = exp.select("*").from_(joined.subquery("c")).where(known).where(differs)
    changed = changed.where(
        exp.Not(this=exp.Paren(this=exp.Or(this=exp.Paren(this=stays_out), expression=exp.Paren(this=vanished))))
    )
    if held:
        engine.create(_CHANGED, changed, temporary=True)
        changed = _with_the_log(engine, lake)
    select = _logged(changed, entry, lake, _cause(entry)).join(
        _t("touched$", "t"), on=equals(col("customer_id", "t"), col("customer_id", "c")), join_type="left"
    )
    if entry.manual is not None and entry.manual.num_rows:
        engine.register("manual$", entry.manual)
        same = [equals(col(name, "m"), col(name, "c")) for name in ("customer_id", "name")]
        select = select.join(_t("manual$", "m"), on=exp.and_(*same), join_type="left")
    if entry.regrouped is not None and entry.regrouped.num_rows:
        engine.register("regrouped$", entry.regrouped)
        same_one = equals(col("customer_id", "g"), col("customer_id", "c"))
        select = select.join(_t("regrouped$", "g"), on=same_one, join_type="left")
    found = engine.arrow(select)
    for name in ("touched$", "manual$", "regrouped$", IDS, *([_CHANGED] if held else [])):
        engine.drop(name)
    return found


def _with_the_log(engine: DuckEngine, lake: Lake) -> exp.Select:
    """Return the changes with what the log says they were where no result did.

    Results do not name who had left a segment, nor who was unknown for a while, when their only row was another's.
    """
    nothing = exp.Is(this=col("was"), expression=null())
    who = exp.select(col("customer_id")).from_(_t(_CHANGED)).where(nothing)
    if not engine.rows(who.limit(1)):
        return exp.select("*").from_(_t(_CHANGED))
    on = exp.and_(*(equals(col(name, "b"), col(name, "n")) for name in ("customer_id", "kind", "name")))
    was = exp.Coalesce(this=col("was", "n"), expressions=[col("is", "b")])
    columns = [*(col(name, "n") for name in ("customer_id", "kind", "name")), was.as_("was"), col("is", "n")]
    joined = exp.select(*columns).from_(_t(_CHANGED, "n"))
    joined = joined.join(_sub(_before(lake, None, who), "b"), on=on, join_type="left")
    return joined.where(exp.NullSafeNEQ(this=was.copy(), expression=col("is", "n")))


def closing_changes(engine: DuckEngine, lake: Lake, entry: LogEntry, names: Sequence[str], after: int) -> pa.Table:
    """Return the rows that say who had left a segment by the run that recorded it first.

    Args:
        engine: where the log is read.
        lake: where the log is.
        entry: what stands on every row; its `at` is the instant of that run.
        names: the segments that it recorded first.
        after: the number of its manifest; what was backfilled since is closed.
    """
    backfilled = [
        entry for entry in lake.entries("memberships") if entry.number > after and entry.about.get("backfill")
    ]
    before = _newest(_paths(lake, backfilled), entry.at)
    recorded = exp.select(col("customer_id"), col("name")).from_(_parquet(_paths(lake, lake.entries("memberships"))))
    recorded = recorded.where(equals(col("at"), literal(entry.at, INSTANT)), equals(col("kind"), text("segment")))
    key = exp.Tuple(expressions=[col("customer_id", "b"), col("name", "b")])
    left = exp.select(
        *(col(name, "b") for name in ("customer_id", "kind", "name")),
        col("is", "b").as_("was"),
        text("out").as_("is", quoted=True),
    ).from_(_sub(before, "b"))
    left = left.where(
        equals(col("kind", "b"), text("segment")),
        equals(col("is", "b"), text("in")),
        exp.In(this=col("name", "b"), expressions=[text(name) for name in names] or [text("")]),
        exp.Not(this=exp.In(this=key, query=recorded.subquery())),
    )
    return engine.arrow(_logged(left, entry, lake, text("backfill")))


def _logged(changed: exp.Select, entry: LogEntry, lake: Lake, cause: exp.Expression) -> exp.Select:
    """Return changes (customer_id, kind, name, was, is) as rows of the log, numbered on."""
    last = max((int(e.about.get("last_seq", 0)) for e in lake.entries("memberships")), default=0)
    order = exp.Order(expressions=[exp.Ordered(this=col(name, "c")) for name in ("customer_id", "kind", "name")])
    seq = exp.Add(this=exp.Window(this=exp.RowNumber(), order=order), expression=number(last))
    is_tier = equals(col("kind", "c"), text("tier"))
    tier = exp.DPipe(this=text("tiers."), expression=col("is", "c"))
    return (
        exp.select(
            cast(exp.Paren(this=seq), "BIGINT").as_("seq"),
            *(col(name, "c") for name in ("customer_id", "kind", "name", "was", "is")),
            literal(entry.at, INSTANT).as_("at"),
            literal(entry.recorded_at, INSTANT).as_("recorded_at"),
            cause.as_("cause"),
            exp.Case(ifs=[exp.If(this=is_tier, true=tier)], default=text("rule")).as_("clause"),
            text(entry.definitions_hash).as_("definitions_hash"),
            cast(number(entry.run_id), "BIGINT").as_("run_id"),
        )
        .from_(changed.subquery("c"))
        .order_by(col("seq"))
    )


def _now(catalogue: Catalogue, results: str) -> exp.Expression:
    parts = [
        exp.select(
            col("customer_id"), text("tier").as_("kind"), text(name).as_("name"), col(name).as_("is", quoted=True)
        ).from_(_t(results))
        for name in catalogue.tierings
    ] + [
        exp.select(
            col("customer_id"), text("segment").as_("kind"), text(name).as_("name"), text("in").as_("is", quoted=True)
        )
        .from_(_t(results))
        .where(col(name))
        for name in catalogue.segments
    ]
    if not parts:
        return _no_memberships()
    union: exp.Expression = parts[0]
    for part in parts[1:]:
        union = exp.Union(this=union, expression=part, distinct=False)
    return union


def _no_memberships() -> exp.Select:
    empty = [
        cast(null(), "BIGINT").as_("customer_id"),
        *(cast(null(), "VARCHAR").as_(name, quoted=True) for name in ("kind", "name", "is")),
    ]
    return exp.select(*empty).where(exp.false())


def _before(lake: Lake, earlier_than: datetime | None, of: exp.Select | None = None) -> exp.Expression:
    """Return what the log says now, or what it says before an instant.

    What was backfilled after the first run had recorded everyone says nothing of now.
    """
    entries = lake.entries("memberships")
    if earlier_than is None:
        recorded = min((e.number for e in entries if not e.about.get("backfill")), default=0)
        entries = [e for e in entries if not (e.about.get("backfill") and recorded and e.number > recorded)]
    return _newest(_paths(lake, entries), earlier_than, of)


def _newest(paths: Sequence[str], earlier_than: datetime | None, of: exp.Select | None = None) -> exp.Expression:
    """Return the newest value of each customer, kind and name: by the instant it is of, then by when it was written."""
    if not paths:
        return _no_memberships()
    order = exp.Anonymous(this="row", expressions=[col("at"), col("seq")])
    newest = exp.Anonymous(this="arg_max", expressions=[col("is"), order])
    keys = [col("customer_id"), col("kind"), col("name")]
    select = exp.Select(expressions=[*keys, newest.as_("is", quoted=True)]).from_(_parquet(paths))
    if earlier_than is not None:
        select = select.where(exp.LT(this=col("at"), expression=literal(earlier_than, INSTANT)))
    if of is not None:
        select = select.where(exp.In(this=col("customer_id"), query=of.subquery()))
    return select.group_by(*(key.copy() for key in keys))


def _paths(lake: Lake, entries: Sequence[Entry]) -> list[str]:
    return [str(lake.folder / file.path) for e in entries for file in e.files if file.table == "memberships"]


def _touched(lake: Lake, entry: LogEntry, as_before: Collection[str]) -> exp.Expression:
    """Return (customer_id, corrected) of the customers whose rows have come or gone since the last run.

    A row that was another customer's before is a correction for both.
    """
    since = entry.since_version if as_before else lake.version
    tables = [table for table in lake.tables() if table not in _OF_NOBODY]
    came = {table: [str(path) for path in lake.paths(table, since=since)] for table in tables}
    paths = [path for own in came.values() for path in own]
    parts: list[exp.Select] = []
    if paths:
        rows = exp.select(col("source_record_id"), _replaced().as_("corrected")).from_(_parquet(paths))
        parts.append(_of_records(rows))
    if entry.arrived:
        parts.append(exp.select(col("customer_id"), col("corrected")).from_(_t(entry.arrived)).where(col("corrected")))
    elif paths:
        replaced = {name for e in lake.entries("rows") if e.number > since for name in e.about.get("replaced", ())}
        for table in sorted(replaced & came.keys()):
            if before := [str(path) for path in lake.paths(table, since)]:
                keys = exp.select(col("source"), col("row_key")).from_(_parquet(came[table])).where(_replaced())
                key = exp.Tuple(expressions=[col("source"), col("row_key")])
                rows = exp.select(col("source_record_id"), exp.true().as_("corrected")).from_(_parquet(before))
                parts.append(_of_records(rows.where(exp.In(this=key, query=keys.subquery()))))
    if not parts:
        return exp.select(cast(null(), "BIGINT").as_("customer_id"), exp.false().as_("corrected")).where(exp.false())
    union: exp.Expression = parts[0]
    for part in parts[1:]:
        union = exp.Union(this=union, expression=part, distinct=False)
    corrected = exp.Anonymous(this="bool_or", expressions=[col("corrected")]).as_("corrected")
    return exp.select(col("customer_id"), corrected).from_(_sub(union, "u")).group_by(col("customer_id"))


def _replaced() -> exp.Expression:
    return equals(col("fate"), text("replaced"))


def _of_records(rows: exp.Select) -> exp.Select:
    """Return the customers of rows of the lake, with what is said of the rows."""
    same = equals(col("source_record_id", "i"), col("source_record_id", "r"))
    return (
        exp.select(col("customer_id", "i"), col("corrected", "r")).from_(rows.subquery("r")).join(_t(IDS, "i"), on=same)
    )


def _cause(entry: LogEntry) -> exp.Expression:
    """A change's cause: by hand, a merge or split, the definition, the customer's rows, a new distribution, or time."""
    if entry.backfills:
        return text("backfill")
    branches: list[tuple[exp.Expression, exp.Expression]] = []
    if entry.manual is not None and entry.manual.num_rows:
        said = exp.Not(this=exp.Paren(this=exp.Is(this=col("name", "m"), expression=null())))
        branches.append((said, text("manual")))
    if entry.regrouped is not None and entry.regrouped.num_rows:
        other = exp.Not(this=exp.Paren(this=exp.Is(this=col("customer_id", "g"), expression=null())))
        branches.append((other, text("merge")))
    branches += [(equals(col("name", "c"), text(name)), text(cause)) for name, cause in entry.definition_causes.items()]
    touched = exp.Not(this=exp.Paren(this=exp.Is(this=col("customer_id", "t"), expression=null())))
    branches.append((exp.And(this=touched, expression=col("corrected", "t")), text("correction")))
    branches.append((touched.copy(), text("event")))
    if entry.population:
        branches.append(
            (
                exp.In(this=col("name", "c"), expressions=[text(name) for name in sorted(entry.population)]),
                text("distribution"),
            )
        )
    return exp.Case(ifs=[exp.If(this=condition, true=value) for condition, value in branches], default=text("time"))


def _parquet(paths: Sequence[str]) -> exp.Table:
    listed = exp.Array(expressions=[text(path) for path in paths])
    by_name = exp.EQ(this=exp.column("union_by_name"), expression=exp.true())
    return exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[listed, by_name]))


def _t(name: str, alias: str = "") -> exp.Table:
    return exp.Table(
        this=exp.to_identifier(name, quoted=True),
        alias=exp.TableAlias(this=exp.to_identifier(alias)) if alias else None,
    )


def _sub(query: exp.Expression, alias: str) -> exp.Subquery:
    return exp.Subquery(this=query, alias=exp.TableAlias(this=exp.to_identifier(alias)))
