"""A refresh: only the customers whose answers can have changed are evaluated; the result is that of a full run."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import BOOLEAN, INSTANT, TEXT, Kind
from tierwise.definitions.language.typed import HistoryOf
from tierwise.definitions.streams import ORDERS, REFUNDS
from tierwise.engine.arrivals import ARRIVED, Arrivals, semi_join
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import RECORDS, build_lookup, source_of, stream_table
from tierwise.engine.by_hand import BY_HAND
from tierwise.engine.cells import Cells, named_cell
from tierwise.engine.complete import Completion, Stopwatch
from tierwise.engine.crossing import Crossing
from tierwise.engine.distributions import fingerprint, newest
from tierwise.engine.due import changes_between
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Evaluator
from tierwise.engine.joins import Source
from tierwise.engine.reading import reading_streams, streams_read
from tierwise.engine.run import (
    Inputs,
    evaluate_everyone,
    in_order,
    note_state,
    stream_digest,
)
from tierwise.engine.snapshot import Snapshot, Spine
from tierwise.engine.sql import col, literal, null, text
from tierwise.engine.standing import PROGRAMMES, RESULTS, STATE, Standing, read_state
from tierwise.lake import Lake

__all__ = ["Refresh", "held_by", "new_records", "rebuild_because"]

#: The temporary table of the customers that are evaluated: customer_id.
_TOUCHED: Final = "touched_by$"
#: The temporary table of the results that they had.
_HELD: Final = "held$"
#: Beyond this share of all customers everyone is evaluated: no rows are set apart for them then.
_SHARE_OF_EVERYONE: Final = 0.3
#: Columns that are read whatever is declared: for time and order, for `kept` and its like, to find a row's parts.
_READ_UNSAID: Final = frozenset(
    {"customer_id", "time", "pos", "amount", "cancelled", "refunds", "left_at", "key_space", "order_id"}
)
#: Tables whose rows stand as columns of other streams' rows.
_REFERENCE: Final = ("products", "stores")
#: Tables of the lake that hold no rows of customers.
_NO_ROWS: Final = (*_REFERENCE, "memberships", "distributions")


def rebuild_because(engine: DuckEngine, inputs: Inputs) -> str:
    """Say why the engine's tables have to be built again instead of being added to; "" when they need not be.

    Args:
        engine: where the tables are.
        inputs: what they would be built from.
    """
    standing = Standing.of(engine)
    if standing is None:
        return "there are no results yet"
    then = replace(inputs, lake_version=standing.lake_version, identity_version=standing.identity_version)
    state, there = read_state(engine), set(engine.tables())
    for stream in in_order(inputs.catalogue):
        if stream_table(stream.name) not in there or state.get(stream.name) != stream_digest(stream, then):
            return f"{stream.name} are declared otherwise than they were built"
    for name in _REFERENCE:
        if inputs.lake.paths(name, inputs.lake_version, standing.lake_version):
            return f"{name} have changed"
    missing = {f"lookup_{name}" for name in inputs.catalogue.lookups} | {KNOWN_CUSTOMERS, PROGRAMMES, BY_HAND}
    return "" if missing <= there else "a table is missing"


def new_records(lake: Lake, since: int, version: int) -> list[int]:
    """Return the source records of the rows that came after one version of the lake, up to another."""
    paths = [
        path for table in lake.tables(version) if table not in _NO_ROWS for path in lake.paths(table, version, since)
    ]
    columns = [pq.read_table(path, columns=["source_record_id"]).column(0).unique() for path in paths]
    return sorted({value for column in columns for value in column.to_pylist() if value is not None})


@dataclass
class Refresh(Completion):
    """One refresh after the import, over tables that need not be built again (see `rebuild_because`).

    `streams` are those whose rows alone are why the touched are touched; None when there are other reasons.

    Args:
        everyone_beyond: the share of all customers beyond which everyone is evaluated; three in ten by default.
    """

    everyone_beyond: float | None = None
    streams: set[str] | None = field(default=None, init=False)

    def refresh(self, snapshot: Snapshot, publish: bool) -> dict[str, Any]:
        """Put the new rows into the tables, evaluate whom they or time touch, record; return the report.

        Everything is put in place by one transaction: until then, and when it fails, the last good state stands.

        Args:
            snapshot: what is frozen, at the instant of the answers; without distributions when they are published anew.
            publish: whether population functions compare with everyone at this instant, instead of with what was
                published before.
        """
        engine, standing = self.engine, Standing.of(self.engine)
        assert standing is not None, "the tables are there"
        clock = Stopwatch(self.step)
        arrivals, crossing = Arrivals(engine, self.inputs, standing.lake_version), Crossing(engine, self.inputs)
        reason = "the distributions are published anew" if publish else self.everyone_because(standing, snapshot)
        why = {} if reason else self.touch(arrivals, standing, snapshot, crossing)
        clock.lap("touched")
        touched = 0 if reason else engine.count(_TOUCHED)
        most = _SHARE_OF_EVERYONE if self.everyone_beyond is None else self.everyone_beyond
        if not reason and touched > most * engine.count(RESULTS):
            reason = "most customers are touched"
        with engine.transaction():
            arrivals.put()
            crossing.add(arrivals.fresh)
            clock.lap("put")
            without = standing.refunds_without_order
            if without is None or any(stream in (ORDERS, REFUNDS) for stream in arrivals.changed):
                without = self.refunds_without_order()
            place = self.evaluate_all if reason else self.evaluate_touched
            written, causes, published = place(snapshot, clock)
            note_state(engine, self.inputs, self.standing(snapshot, without), crossing.state())
            engine.exchange(STATE, f"{STATE}$new")
        arrivals.close()
        for name in (_TOUCHED, _HELD):
            engine.drop(name)
        clock.lap("record")
        report = self.report(snapshot)
        return {
            **report,
            "built": {},
            "refunds_without_order": without,
            "memberships_written": written,
            "changes": causes,
            "recorded": True,
            "distributions": published,
            "touched": report["customers"] if reason else touched,
            "everyone_because": reason,
            "why": why,
            "arrived": arrivals.customers,
            "seconds": clock.laps,
        }

    def outlook(self, snapshot: Snapshot) -> dict[str, Any]:
        """Return whom a refresh at the snapshot's instant would compute beside those whose rows come; write nothing.

        Returns:
            ``everyone_because`` ("" when the due are enough), ``due`` customers, and ``why``: how many by reason.
        """
        standing = Standing.of(self.engine)
        assert standing is not None, "the tables are there"
        reason = self.everyone_because(standing, snapshot)
        if reason:
            return {"everyone_because": reason, "due": self.engine.count(RESULTS), "why": {}}
        evaluator = Evaluator(
            self.engine,
            self.inputs.catalogue,
            source_of(self.inputs.catalogue),
            replace(snapshot, as_of=standing.as_of),
        )
        due = self.due(evaluator, snapshot, Crossing(self.engine, self.inputs).tables)
        customers = exp.Count(this=exp.Distinct(expressions=[col("customer_id")]))
        by_why = exp.select(col("why"), customers.copy()).from_(_t(due)).group_by(col("why")).order_by(col("why"))
        why = dict(self.engine.rows(by_why))
        total = int(self.engine.rows(exp.select(customers).from_(_t(due)))[0][0])
        evaluator.close()
        return {"everyone_because": "", "due": total, "why": why}

    # -- whom -------------------------------------------------------------------------------------------------------

    def everyone_because(self, standing: Standing, snapshot: Snapshot) -> str:
        """Say why everyone has to be evaluated, "" when the touched are enough."""
        catalogue, lake = self.inputs.catalogue, self.inputs.lake
        if standing.definitions_hash != snapshot.definitions_hash:
            return "the definitions have changed"
        if standing.run_id != standing.log_run:
            return "the last results were not recorded"
        if standing.facts_version != snapshot.facts_version:
            return "something was said by hand"
        if any(not self.same_lookup(name, table) for name, table in self.inputs.lookups.items()):
            return "a lookup has changed"
        cells = _cells(catalogue)
        before, now = newest(lake, standing.as_of, standing.manifest), snapshot.distributions or {}
        for node in cells.populations:
            known = fingerprint(node, catalogue)
            versions = [[one.as_of for one in found.get(known, ())] for found in (before, now)]
            if versions[0] != versions[1] or not versions[1]:
                return "other distributions have been published"
        appended = lake.paths("memberships", since=standing.manifest)
        if appended and any(isinstance(part, HistoryOf) for part in cells.parts()):
            return "the membership log has grown otherwise"
        return ""

    def same_lookup(self, name: str, table: pa.Table) -> bool:
        """Whether a lookup's table holds what its file says now."""
        held = self.engine.arrow(exp.select("*").from_(_t(f"lookup_{name}")))
        if held.column_names != table.column_names or held.num_rows != table.num_rows:
            return False
        return bool(held.sort_by("key").cast(table.schema).equals(table.sort_by("key").combine_chunks()))

    def due(self, evaluator: Evaluator, snapshot: Snapshot, by_time: Mapping[str, str]) -> str:
        """Return the temporary table of those whose answers time alone may change, from an evaluator's instant on."""
        held = RESULTS, held_by(self.inputs.catalogue)
        return changes_between(
            evaluator, list(held[1]), snapshot.as_of, base=held, programmes=PROGRAMMES, by_time=by_time
        )

    def touch(
        self, arrivals: Arrivals, standing: Standing, snapshot: Snapshot, crossing: Crossing
    ) -> Mapping[str, int]:
        """Make the table of the customers to evaluate: those of changed rows and those due; count them by reason."""
        engine, catalogue = self.engine, self.inputs.catalogue
        before = replace(snapshot, as_of=standing.as_of)
        evaluator = Evaluator(engine, catalogue, source_of(catalogue), before)
        due = self.due(evaluator, snapshot, crossing.prepare())
        arrived = exp.select(col("customer_id"), text("row").as_("why"), text("").as_("stream")).from_(_t(ARRIVED))
        both = exp.Union(this=exp.select("*").from_(_t(due)), expression=arrived, distinct=False)
        rows = exp.Subquery(this=both, alias=exp.TableAlias(this=exp.to_identifier("u")))
        reasons = exp.select(col("why"), col("stream")).distinct().from_(rows)
        found = [(str(why), str(stream)) for why, stream in engine.rows(reasons)]
        customers = exp.Count(this=exp.Distinct(expressions=[col("customer_id")]))
        by_why = exp.select(col("why"), customers).from_(rows.copy()).group_by(col("why")).order_by(col("why"))
        counted = dict(engine.rows(by_why))
        engine.create(_TOUCHED, exp.select(col("customer_id")).from_(rows.copy()).distinct(), temporary=True)
        evaluator.close()
        self.streams = {stream.name for stream in arrivals.changed} | {stream for _, stream in found if stream}
        if any(why not in ("row", "visible", "window") for why, _ in found):
            self.streams = None
        return counted

    def to_compute(self, snapshot: Snapshot) -> list[str] | None:
        """Return which names can have other answers when rows of some streams alone are others; None of all of them.

        Then the touched all have results, and nothing holds by hand or remembers.
        """
        catalogue, engine = self.inputs.catalogue, self.engine
        by_hand = snapshot.facts is not None and snapshot.facts.num_rows
        if self.streams is None or by_hand or any(form.remembers for form in catalogue.definitions.tierings.values()):
            return None
        if engine.count(_HELD) < engine.count(_TOUCHED):
            return None
        names = reading_streams(catalogue, self.streams)
        return names if len(names) < len(held_by(catalogue)) else None

    # -- inside the transaction -------------------------------------------------------------------------------------

    def evaluate_all(self, snapshot: Snapshot, clock: Stopwatch) -> tuple[int, dict[str, int], int]:
        """Evaluate everyone; return how many changes were recorded, by cause, and how many distributions."""
        engine = self.engine
        for name, table in self.inputs.lookups.items():
            build_lookup(engine, name, table)
        distributions = evaluate_everyone(engine, self.inputs.catalogue, snapshot, f"{RESULTS}$new", self.progress)
        clock.lap("evaluate")
        written, causes = self.record(snapshot, distributions, arrived=ARRIVED)
        for name in (RESULTS, PROGRAMMES, BY_HAND):
            engine.exchange(name, f"{name}$new")
        return written, causes, len(distributions)

    def evaluate_touched(self, snapshot: Snapshot, clock: Stopwatch) -> tuple[int, dict[str, int], int]:
        """Evaluate the touched over their rows alone; return how many changes were recorded, by cause, and 0."""
        engine, some = self.engine, f"{RESULTS}$some"
        held = exp.select("*").from_(_t(RESULTS)).where(semi_join(col("customer_id"), _TOUCHED))
        engine.create(_HELD, held, temporary=True)
        names = self.to_compute(snapshot)
        if names is None:
            self.evaluate_whole(snapshot, some)
        else:
            self.evaluate_names(snapshot, names, some)
        clock.lap("evaluate")
        written, causes = self.record(snapshot, [], some, _HELD, ARRIVED)
        for name in (RESULTS, PROGRAMMES, BY_HAND) if names is None else (RESULTS,):
            self.put_some(name)
        now = exp.EQ(this=col("as_of"), expression=literal(snapshot.as_of, INSTANT))
        engine.execute(exp.Update(this=_t(RESULTS), expressions=[now]))
        return written, causes, 0

    def evaluate_whole(self, snapshot: Snapshot, table: str) -> None:
        """Evaluate everything for the touched into temporary tables."""
        engine, catalogue = self.engine, self.inputs.catalogue
        source = source_of(catalogue)
        source = self.carve({*source.streams.values(), RECORDS})
        known = exp.select(col("customer_id")).from_(_t(KNOWN_CUSTOMERS)).where(semi_join(col("customer_id"), _TOUCHED))
        never = exp.Is(this=col("known_since"), expression=null())
        by_now = exp.LTE(this=col("known_since"), expression=literal(snapshot.as_of, INSTANT))
        ids = engine.arrow(known.where(exp.or_(never, by_now)))
        spine = Spine("customers", snapshot.as_of, ids)
        evaluate_everyone(engine, catalogue, snapshot, table, self.progress, (spine, source))

    def evaluate_names(self, snapshot: Snapshot, names: Sequence[str], table: str) -> None:
        """Evaluate some names for the touched into a temporary table; their other answers are those they had."""
        engine, catalogue = self.engine, self.inputs.catalogue
        kept = {name: kind for name, kind in held_by(catalogue).items() if name not in set(names)}
        cells = Cells(catalogue, available=kept)
        for name in names:
            cells.want_name(name)
        read = streams_read(expr for named in cells.named.values() for expr in named.expressions())
        source = self.carve({stream_table(stream) for stream in read})
        evaluator = Evaluator(engine, catalogue, source, snapshot, self.progress)
        try:
            spine = Spine("customers", snapshot.as_of, engine.arrow(exp.select(col("customer_id")).from_(_t(_HELD))))
            relation = evaluator.relation(spine, [named_cell(catalogue, name) for name in names], base=(_HELD, kept))
            values = {name: col(name, "t") for name in names} | {"as_of": literal(snapshot.as_of, INSTANT)}
            columns = [values.get(name, col(name, "h")).as_(name, quoted=True) for name in engine.columns(RESULTS)]
            same = exp.EQ(this=col("customer_id", "t"), expression=col("customer_id", "h"))
            select = exp.select(*columns).from_(_t(_HELD).as_("h")).join(relation.subquery("t", copy=False), on=same)
            engine.create(table, select, temporary=True)
        finally:
            evaluator.close()

    def carve(self, tables: Collection[str]) -> Source:
        """Set the rows of the touched apart, with the columns that what is declared may read; return where they are."""
        source, names = source_of(self.inputs.catalogue), {}
        written = self.inputs.catalogue.definitions.written
        declared = json.dumps({room: forms for room, forms in written.items() if room != "sources"}, ensure_ascii=False)
        for table in tables:
            names[table] = f"{table}_carved$"
            read = [name for name in self.engine.columns(table) if name in _READ_UNSAID or name in declared]
            rows = exp.select(*(col(name) for name in read)).from_(_t(table))
            rows = rows.where(semi_join(col("customer_id"), _TOUCHED))
            self.engine.create(names[table], rows, temporary=True)
        streams = {stream: names.get(table, table) for stream, table in source.streams.items()}
        return replace(source, streams=streams, records=names.get(RECORDS, RECORDS))

    def put_some(self, name: str) -> None:
        """Put the new answers of the touched in the place of their old ones."""
        engine, columns = self.engine, list(self.engine.columns(name))
        of_theirs = semi_join(col("customer_id"), _TOUCHED)
        engine.execute(exp.Delete(this=_t(name), where=exp.Where(this=of_theirs)))
        into = exp.Schema(this=_t(name), expressions=[exp.to_identifier(column, quoted=True) for column in columns])
        select = exp.select(*(col(column) for column in columns)).from_(_t(f"{name}$some"))
        engine.execute(exp.Insert(this=into, expression=select))


def held_by(catalogue: Catalogue) -> dict[str, Kind]:
    """Return the names the results hold, with their kinds."""
    tags = {name: rule.expr.kind for name, rule in catalogue.tags.items() if rule.expr is not None}
    return tags | dict.fromkeys(catalogue.tierings, TEXT) | dict.fromkeys(catalogue.segments, BOOLEAN)


def _cells(catalogue: Catalogue) -> Cells:
    cells = Cells(catalogue)
    for name in held_by(catalogue):
        cells.want_name(name)
    return cells


def _t(name: str) -> exp.Table:
    return exp.Table(this=exp.to_identifier(name, quoted=True))
