"""A refresh: only the customers whose answers can have changed are evaluated; the result is that of a full run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import BOOLEAN, INSTANT, TEXT, Kind
from tierwise.definitions.language.typed import HistoryOf
from tierwise.engine.arrivals import ARRIVED, Arrivals, semi_join
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import RECORDS, build_lookup, source_of, stream_table
from tierwise.engine.by_hand import BY_HAND
from tierwise.engine.cells import Cells
from tierwise.engine.complete import Completion, Stopwatch
from tierwise.engine.distributions import fingerprint, newest
from tierwise.engine.due import changes_between
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Evaluator
from tierwise.engine.plan import Source
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
#: Beyond this share of all customers everyone is evaluated: no rows are set apart for them then.
_SHARE_OF_EVERYONE: Final = 0.3
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

    Args:
        everyone_beyond: the share of all customers beyond which everyone is evaluated; three in ten by default.
    """

    everyone_beyond: float | None = None

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
        arrivals = Arrivals(engine, self.inputs, standing.lake_version)
        reason = "the distributions are published anew" if publish else self.everyone_because(standing, snapshot)
        why = {} if reason else self.touch(arrivals, standing, snapshot)
        clock.lap("touched")
        touched = 0 if reason else engine.count(_TOUCHED)
        most = _SHARE_OF_EVERYONE if self.everyone_beyond is None else self.everyone_beyond
        if not reason and touched > most * engine.count(RESULTS):
            reason = "most customers are touched"
        with engine.transaction():
            arrivals.put()
            clock.lap("put")
            place = self.evaluate_all if reason else self.evaluate_touched
            written, causes, published = place(snapshot, clock)
            note_state(engine, self.inputs, self.standing(snapshot))
            engine.exchange(STATE, f"{STATE}$new")
        arrivals.close()
        engine.drop(_TOUCHED)
        clock.lap("record")
        report = self.report(snapshot)
        return {
            **report,
            "built": {},
            "refunds_without_order": self.refunds_without_order(),
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

    def touch(self, arrivals: Arrivals, standing: Standing, snapshot: Snapshot) -> Mapping[str, int]:
        """Make the table of the customers to evaluate: those of changed rows and those due; count them by reason."""
        engine, catalogue = self.engine, self.inputs.catalogue
        before = replace(snapshot, as_of=standing.as_of)
        evaluator = Evaluator(engine, catalogue, source_of(catalogue), before)
        held = RESULTS, held_by(catalogue)
        due = changes_between(evaluator, list(held[1]), snapshot.as_of, base=held, programmes=PROGRAMMES)
        arrived = exp.select(col("customer_id"), text("row").as_("why")).from_(_t(ARRIVED))
        counts = exp.Union(this=exp.select("*").from_(_t(due)), expression=arrived, distinct=False)
        alias = exp.TableAlias(this=exp.to_identifier("u"))
        by_why = exp.select(col("why"), exp.Count(this=exp.Star())).from_(exp.Subquery(this=counts, alias=alias))
        why = dict(engine.rows(by_why.group_by(col("why")).order_by(col("why"))))
        everyone = exp.select(col("customer_id")).from_(exp.Subquery(this=counts.copy(), alias=alias.copy())).distinct()
        engine.create(_TOUCHED, everyone, temporary=True)
        evaluator.close()
        return why

    # -- inside the transaction -------------------------------------------------------------------------------------

    def evaluate_all(self, snapshot: Snapshot, clock: Stopwatch) -> tuple[int, dict[str, int], int]:
        """Evaluate everyone; return how many changes were recorded, by cause, and how many distributions."""
        engine = self.engine
        for name, table in self.inputs.lookups.items():
            build_lookup(engine, name, table)
        distributions = evaluate_everyone(engine, self.inputs.catalogue, snapshot, f"{RESULTS}$new", self.progress)
        clock.lap("evaluate")
        written, causes = self.record(snapshot, distributions)
        for name in (RESULTS, PROGRAMMES, BY_HAND):
            engine.exchange(name, f"{name}$new")
        return written, causes, len(distributions)

    def evaluate_touched(self, snapshot: Snapshot, clock: Stopwatch) -> tuple[int, dict[str, int], int]:
        """Evaluate the touched over their rows alone; return how many changes were recorded, by cause, and 0."""
        engine, catalogue = self.engine, self.inputs.catalogue
        source = self.carve()
        known = exp.select(col("customer_id")).from_(_t(KNOWN_CUSTOMERS)).where(semi_join(col("customer_id"), _TOUCHED))
        never = exp.Is(this=col("known_since"), expression=null())
        by_now = exp.LTE(this=col("known_since"), expression=literal(snapshot.as_of, INSTANT))
        ids = engine.arrow(known.where(exp.or_(never, by_now)))
        spine = Spine("customers", snapshot.as_of, ids)
        some = f"{RESULTS}$some"
        evaluate_everyone(engine, catalogue, snapshot, some, self.progress, (spine, source))
        clock.lap("evaluate")
        written, causes = self.record(snapshot, [], some, exp.select(col("customer_id")).from_(_t(_TOUCHED)))
        for name in (RESULTS, PROGRAMMES, BY_HAND):
            self.put_some(name)
        now = exp.EQ(this=col("as_of"), expression=literal(snapshot.as_of, INSTANT))
        engine.execute(exp.Update(this=_t(RESULTS), expressions=[now]))
        return written, causes, 0

    def carve(self) -> Source:
        """Set the rows of the touched apart; return where they are."""
        source, names = source_of(self.inputs.catalogue), {}
        for table in {*source.streams.values(), RECORDS}:
            names[table] = f"{table}_carved$"
            rows = exp.select("*").from_(_t(table)).where(semi_join(col("customer_id"), _TOUCHED))
            self.engine.create(names[table], rows, temporary=True)
        streams = {stream: names[table] for stream, table in source.streams.items()}
        return replace(source, streams=streams, records=names[RECORDS])

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
