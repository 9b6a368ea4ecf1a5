"""A full run over the lake: tables built where something changed, everyone evaluated, results swapped in at once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import INSTANT
from tierwise.definitions.streams import CUSTOMERS, ORDERS, REFUNDS, Stream
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import (
    RECORDS,
    build_known_customers,
    build_lookup,
    build_stream,
    derived_orders,
    placed,
    source_of,
    stream_table,
    with_refunds,
)
from tierwise.engine.by_hand import BY_HAND, contradictions
from tierwise.engine.cells import named_cell
from tierwise.engine.distributions import Distribution
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Backend, Evaluator
from tierwise.engine.joins import Source
from tierwise.engine.membership import FORMER
from tierwise.engine.parts import parts_of, rows_in
from tierwise.engine.received import IDS
from tierwise.engine.remembering import STATE_COLUMNS
from tierwise.engine.snapshot import Snapshot, Spine, everyone
from tierwise.engine.sql import cast, col, literal, null, text
from tierwise.engine.standing import PROGRAMMES, RESULTS, STATE, Standing, read_state, state_rows
from tierwise.lake import Lake

__all__ = [
    "Inputs",
    "Progress",
    "build_one",
    "build_tables",
    "derived",
    "evaluate_everyone",
    "in_order",
    "keep_answers",
    "keep_former",
    "latest_row",
    "note_state",
    "published_now",
    "put_in_place",
    "sources_of",
    "stale_streams",
    "stream_digest",
]

#: Goes up when the same lake gives tables of another form, so that those of an earlier version are built again.
_FORM: Final = 3
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Inputs:
    """What the engine's tables are built from, beside the lake.

    `former` are the customers who have become part of another (former_id, customer_id, merged_at), `regrouped` those
    whose records are others than when a run was recorded last (customer_id).
    """

    catalogue: Catalogue
    lake: Lake
    lake_version: int
    ids: pa.Table
    identity_version: int
    lookups: Mapping[str, pa.Table]
    former: pa.Table | None = None
    regrouped: pa.Table | None = None


def derived(catalogue: Catalogue) -> tuple[str, tuple[str, ...]] | None:
    """Return (by, columns of the items) when orders are derived from items."""
    for source in catalogue.definitions.sources.values():
        mapping = source.streams.get(ORDERS.name)
        if mapping is not None and mapping.from_ is not None and mapping.by is not None:
            return mapping.by, tuple(source.streams[mapping.from_].columns)
    return None


def in_order(catalogue: Catalogue) -> list[Stream]:
    """Return every table to build: reference tables, refunds and items before orders, which read them."""
    first = {name: i for i, name in enumerate(("products", "stores", CUSTOMERS.name, REFUNDS.name, "items"))}
    last = {ORDERS.name: 99}
    everything = {**catalogue.reference, **catalogue.streams}
    return sorted(
        everything.values(), key=lambda stream: (first.get(stream.name, last.get(stream.name, 50)), stream.name)
    )


def sources_of(catalogue: Catalogue, stream: str) -> list[str]:
    """Return the sources that map a stream: rows of others (renamed, no longer declared) stay in the lake, unread."""
    return [name for name, source in catalogue.definitions.sources.items() if stream in source.streams]


def stream_digest(stream: Stream, inputs: Inputs) -> str:
    """Return the hash of everything a stream's table depends on."""
    lake, version = inputs.lake, inputs.lake_version
    read = [stream.name]
    read += [name for name in ("products", "stores") if any(column.origin == name for column in stream.columns)]
    if stream.name == ORDERS.name:
        read += [REFUNDS.name, *(["items"] if derived(inputs.catalogue) else [])]
    said: list[Any] = [lake.numbers(name, version) for name in read]
    said += [[column.name, str(column.kind), column.origin] for column in stream.columns]
    said += [sources_of(inputs.catalogue, name) for name in read]
    said += [
        inputs.identity_version if stream.customer else 0,
        repr(derived(inputs.catalogue)) if stream.name == ORDERS.name else "",
    ]
    return hashlib.sha256(json.dumps([_FORM, *said]).encode()).hexdigest()[:16]


def stale_streams(engine: DuckEngine, inputs: Inputs) -> list[tuple[str, str]]:
    """Return (stream, why) of every table that has to be built again."""
    state, there = read_state(engine), set(engine.tables())
    found = []
    for stream in in_order(inputs.catalogue):
        if stream_table(stream.name) not in there:
            found.append((stream.name, "not built yet"))
        elif state.get(stream.name) != stream_digest(stream, inputs):
            found.append((stream.name, "rows, columns or identities changed"))
    return found


def build_tables(engine: DuckEngine, inputs: Inputs, progress: Progress) -> dict[str, int]:
    """Build the tables that something has changed for; return the rows of each table built.

    A new table stands beside the old one until `put_in_place`; only this connection reads it, under its final name.
    One that a run which died had finished is taken as it is.
    """
    stale = [name for name, _ in stale_streams(engine, inputs)]
    engine.register(IDS, inputs.ids)
    built: dict[str, int] = {}
    state, there = read_state(engine), engine.tables()
    for stream in in_order(inputs.catalogue):
        if stream.name not in stale:
            continue
        progress(f"build {stream.name}", len(built), len(stale))
        table = stream_table(stream.name)
        new, digest = f"{table}$new", stream_digest(stream, inputs)
        if new in there and state.get(new) == digest:
            built[stream.name] = engine.count(new)
        else:
            built[stream.name] = build_one(engine, stream, inputs, new)
            state[new] = digest
            engine.create(f"{STATE}$new", state_rows(state))
            engine.swap({STATE: f"{STATE}$new"})
        engine.stand_in(table, new)
    for name, table in inputs.lookups.items():
        build_lookup(engine, f"{name}$new", table)
        engine.stand_in(f"lookup_{name}", f"lookup_{name}$new")
    streams = [stream_table(name) for name in inputs.catalogue.streams]
    registered = "registered_at" in engine.columns(RECORDS)
    build_known_customers(engine, streams, True, registered, f"{KNOWN_CUSTOMERS}$new")
    engine.stand_in(KNOWN_CUSTOMERS, f"{KNOWN_CUSTOMERS}$new")
    engine.drop(IDS)
    keep_former(engine, inputs)
    return built


def keep_former(engine: DuckEngine, inputs: Inputs) -> None:
    """Make the new table of the customers who have become part of others, when somebody has."""
    if inputs.former is not None:
        engine.register(f"{FORMER}$given", inputs.former)
        engine.create(f"{FORMER}$new", exp.select("*").from_(_t(f"{FORMER}$given")))
        engine.drop(f"{FORMER}$given")
        engine.stand_in(FORMER, f"{FORMER}$new")


def build_one(backend: Backend, stream: Stream, inputs: Inputs, table: str) -> int:
    """Make the table of one stream, `IDS` registered and what it reads built; return how many rows it has."""
    of_items = derived(inputs.catalogue) if stream.name == ORDERS.name else None
    if of_items is not None:
        return backend.create(table, placed(with_refunds(derived_orders(stream, "items", *of_items))))
    replaced = _has_replaced(inputs.lake, stream.name, inputs.lake_version)
    sources = sources_of(inputs.catalogue, stream.name)
    if not isinstance(backend, DuckEngine):
        return build_stream(backend, stream, inputs.lake, inputs.lake_version, replaced, table, sources)
    # which version of a row is the newest shows only among all of them
    rows = 0 if replaced else rows_in(inputs.lake, stream.name, inputs.lake_version)
    parts, threads = parts_of(rows, inputs.ids, backend.threads), backend.threads
    return build_stream(backend, stream, inputs.lake, inputs.lake_version, replaced, table, sources, parts, threads)


def put_in_place(engine: DuckEngine, inputs: Inputs, results: str, standing: Standing, elsewhere: bool = False) -> None:
    """Put the new tables, the new results and what they depend on in the place of the old ones, all at once.

    Args:
        engine: where the tables are.
        inputs: what they were built from.
        results: the new table of answers.
        standing: what the results depend on.
        elsewhere: whether the rows were read elsewhere; those that are here then go, as nobody keeps them up.
    """
    note_state(engine, inputs, standing, elsewhere=elsewhere)
    beside = {name: f"{name}$new" for name in (PROGRAMMES, BY_HAND, STATE)}
    engine.settle({RESULTS: results, **beside})
    rows = {stream_table(stream.name) for stream in in_order(inputs.catalogue)} if elsewhere else set()
    for name in engine.tables():  # what a run that died had begun and nobody needs any more
        if name.endswith("$new") or name in rows or (elsewhere and name.startswith("lookup_")):
            engine.drop(name)


def note_state(
    engine: DuckEngine,
    inputs: Inputs,
    standing: Standing,
    more: Mapping[str, str] | None = None,
    elsewhere: bool = False,
) -> None:
    """Write what the tables and results depend on, and `more`, to a new table of the engine about itself."""
    state = {key: value for key, value in read_state(engine).items() if not key.endswith("$new")}
    for stream in in_order(inputs.catalogue):
        state.pop(stream.name, None)
        if not elsewhere:
            state[stream.name] = stream_digest(stream, inputs)
    state |= standing.entry()
    state |= more or {}
    engine.create(f"{STATE}$new", state_rows(state))


def _has_replaced(lake: Lake, stream: str, version: int) -> bool:
    """Whether some row of a stream may stand in more than one of its files."""
    return any(stream in entry.about.get("replaced", ()) for entry in lake.entries("rows", version))


def latest_row(engine: Backend, catalogue: Catalogue) -> datetime | None:
    """Return the time of the newest row of any stream, or None of no rows."""
    return max(_extreme(engine, catalogue, exp.Max).values(), default=None)


def _oldest(engine: DuckEngine, catalogue: Catalogue) -> dict[str, datetime]:
    """Return the time of the oldest row of each stream that has one."""
    return _extreme(engine, catalogue, exp.Min)


def _extreme(engine: Backend, catalogue: Catalogue, of: type[exp.Min] | type[exp.Max]) -> dict[str, datetime]:
    found = {}
    for name in catalogue.streams:
        asked = exp.select(of(this=col("time")).as_("time")).from_(exp.to_table(stream_table(name)))
        value = engine.arrow(asked)["time"][0].as_py()
        if value is not None:
            found[name] = value
    return found


def evaluate_everyone(
    engine: DuckEngine,
    catalogue: Catalogue,
    snapshot: Snapshot,
    table: str,
    progress: Progress,
    some: tuple[Spine, Source] | None = None,
) -> list[Distribution]:
    """Evaluate every definition for everyone into new tables; return the distributions that were published for it.

    Args:
        engine: where the tables are.
        catalogue: the checked definitions.
        snapshot: what is frozen.
        table: the new table of answers; what goes beside it is named after its own table.
        progress: called with (step, steps done, steps in all).
        some: (who, the tables of their rows), instead of everyone; the new tables are temporary then.
    """
    names = [*catalogue.tags, *catalogue.tierings, *catalogue.segments]
    spine, source = some or (everyone(snapshot.as_of), replace(source_of(catalogue), oldest=_oldest(engine, catalogue)))
    evaluator = Evaluator(engine, catalogue, source, snapshot, progress)
    try:
        wanted = [named_cell(catalogue, name) for name in names]
        more = _said(snapshot) or any(form.keep is not None for form in catalogue.definitions.tierings.values())
        relation = evaluator.relation(spine, wanted)
        found = _t(evaluator.temporary("stage", relation)) if more else relation.subquery("t", copy=False)
        keep_answers(engine, catalogue, snapshot, found, table, temporary=some is not None)
    finally:
        evaluator.close()
    return published_now(evaluator)


def keep_answers(
    engine: DuckEngine,
    catalogue: Catalogue,
    snapshot: Snapshot,
    found: exp.Expression,
    table: str,
    temporary: bool = False,
) -> None:
    """Make the new table of answers, and what goes beside it, of what was found for everyone (or some)."""
    names = [*catalogue.tags, *catalogue.tierings, *catalogue.segments]
    as_of = literal(snapshot.as_of, INSTANT).as_("as_of")
    select = exp.select(col("customer_id"), col("customer_key"), as_of, *(col(name) for name in names))
    suffix = "$some" if temporary else "$new"
    engine.create(table, select.from_(found, copy=False), temporary=temporary)
    engine.create(f"{PROGRAMMES}{suffix}", _programmes(catalogue, found), temporary=temporary)
    engine.create(f"{BY_HAND}{suffix}", contradictions(catalogue, _said(snapshot), found), temporary=temporary)


def published_now(evaluator: Evaluator) -> list[Distribution]:
    """Return the distributions that an evaluation has published, beside those that were frozen for it."""
    frozen = evaluator.snapshot.distributions or {}
    return [one for versions in evaluator.published.values() for one in versions if one not in frozen.get(one.id, ())]


def _said(snapshot: Snapshot) -> frozenset[str]:
    """Return the names of which something is said by hand."""
    return frozenset(snapshot.facts["name"].unique().to_pylist()) if snapshot.facts is not None else frozenset()


def _programmes(catalogue: Catalogue, found: exp.Expression) -> exp.Expression:
    """Return (customer_id, tiering, tier, since, term_ends, grace_ends) of everyone in every programme."""
    ends = [suffix.removesuffix("$") for suffix in STATE_COLUMNS]
    none = [cast(null(), "BIGINT").as_("customer_id"), *(cast(null(), "VARCHAR").as_(n) for n in ("tiering", "tier"))]
    union: exp.Expression = exp.select(*none, *(cast(null(), "TIMESTAMP").as_(end) for end in ends)).where(exp.false())
    for name, form in catalogue.definitions.tierings.items():
        if form.keep is None:
            continue
        state = [col(f"{name}.{suffix}").as_(end, copy=False) for suffix, end in zip(STATE_COLUMNS, ends, strict=True)]
        part = exp.select(col("customer_id"), text(name).as_("tiering"), col(name).as_("tier"), *state)
        part = part.from_(found.copy())
        union = exp.Union(this=union, expression=part, distinct=False)
    return exp.select("*").from_(exp.Subquery(this=union, alias=exp.TableAlias(this=exp.to_identifier("u"))))


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
