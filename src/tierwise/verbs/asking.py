"""Asking: what the last run found, and why; nothing is changed by it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.kinds import BOOLEAN, TEXT, Kind
from tierwise.engine import results
from tierwise.engine.standing import PROGRAMMES, RESULTS, STATE, Standing, last_run
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.store import Fact
from tierwise.verbs.opened import Opened
from tierwise.verbs.received import facts_of, rows_version
from tierwise.verbs.through import reads

if TYPE_CHECKING:  # what compiles and evaluates is imported by the verbs that do: a look at the results is quick
    from tierwise.engine.distributions import Published
    from tierwise.engine.evaluate import Evaluator
    from tierwise.engine.snapshot import Snapshot

__all__ = ["Asking", "held", "lake_table"]

_IN_LAKE: Final = ("memberships", "distributions")


class Asking:
    """The verbs that ask."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @reads
    def show(self, what: str) -> pa.Table:
        """Return a table for people: ``tiers``, ``segments``, ``tags`` or ``tables``."""
        engine = self.opened.engine
        if what == "tables":
            return results.tables_table(engine, self.opened.lake, lake_table(self.opened, "quarantine"))
        tables = {"tiers": results.tiers_table, "segments": results.segments_table, "tags": results.tags_table}
        if what not in tables:
            raise UnknownName(f"there is no table of {what!r}", near_name(what, [*tables, "runs", "tables"]))
        standing = self.standing()
        about = {"as_of": standing.as_of, "state": self.state(standing)}
        return tables[what](engine, self.current(), RESULTS, about)

    @reads
    def table(self, name: str) -> pa.Table:
        """Return a whole table of the engine."""
        engine = self.opened.engine
        tables = [table for table in engine.tables() if "$" not in table and table != STATE]
        if name not in tables:
            known = [*tables, *_IN_LAKE, "quarantine"]
            hint = near_name(name, known) or "`tierwise show tables` lists them"
            raise UnknownName(f"there is no table `{name}`", hint)
        select = exp.select("*").from_(exp.Table(this=exp.to_identifier(name, quoted=True)))
        order = next((c for c in ("customer_id", "pos") if c in engine.columns(name)), None)
        return engine.arrow(select.order_by(order) if order else select)

    @reads
    def evaluate(self, kind: str, as_of: datetime | None, table: pa.Table | None, names: Sequence[str]) -> pa.Table:
        """Return tags, tierings and segments for a spine."""
        from tierwise.engine.snapshot import Spine

        catalogue = self.opened.catalogue
        for name in names:
            known = [*catalogue.tags, *catalogue.tierings, *catalogue.segments]
            if name not in known:
                raise UnknownName(f"there is no tag, tiering or segment `{name}`", near_name(name, known))
        standing = self.standing()
        snapshot = self.snapshot(standing, as_of or standing.as_of, frozen=kind == "moments")
        with self.evaluator(standing, snapshot) as evaluator:
            return evaluator.evaluate(Spine(kind, as_of, table), names)

    @reads
    def estimate(self, expression: str) -> dict[str, Any]:
        """Count the customers for whom a condition holds at the last run's as_of, condition by condition."""
        from tierwise.engine.estimate import estimate, reads_rows

        standing = self.standing()
        fresh, catalogue = self._is_fresh(standing), self.opened.catalogue
        snapshot, known = self._of_results(standing, fresh), held(catalogue)
        reads = not fresh or reads_rows(catalogue, expression, known)
        with self.evaluator(standing, snapshot, reads) as evaluator:
            base = (RESULTS, known) if fresh and evaluator.backend is self.opened.engine else None
            return estimate(evaluator, catalogue, expression, base)

    @reads
    def explain(self, customer: str) -> dict[str, Any]:
        """Say why one customer is in their tiers, what would move them up, and when time alone would move them."""
        from tierwise.engine.explain import explain

        customer_id = self._customer(customer)
        standing = self.standing()
        fresh, catalogue = self._is_fresh(standing), self.opened.catalogue
        snapshot = self._of_results(standing, fresh)
        keys, tables = (
            exp.select("customer_key").where(exp.column("customer_id").eq(customer_id)),
            ("known_customers", RESULTS),
        )
        key, found_then = (self.opened.engine.rows(keys.from_(table)) for table in tables)
        with self.evaluator(standing, snapshot) as evaluator:
            here = fresh and found_then and evaluator.backend is self.opened.engine
            of_run = (RESULTS, PROGRAMMES, held(catalogue)) if here else None
            found = explain(evaluator, catalogue, customer_id, key[0][0] if key else customer, of_run)
        said = self.opened.store.facts.list(customer_id=customer_id)
        return {**found, "by_hand": [_fact_row(fact) for fact in said if fact.holds(standing.as_of)]}

    @reads
    def sql(self, query: str, limit: int | None = None) -> pa.Table:
        """Answer one SELECT over the engine's tables; it can change nothing and reach no file."""
        from tierwise.engine.backends.duckdb.reader import select

        tables = [table for table in self.opened.engine.tables() if "$" not in table and table != STATE]
        if not tables:
            raise UnknownName("there are no tables yet", "run `tierwise run` first")
        return select(self.opened.engine, query, tables, limit)

    # -- what is asked about ----------------------------------------------------------------------------------------

    def standing(self) -> Standing:
        """Return which run the results are of.

        Raises:
            UnknownName: when there are none yet.
        """
        found = Standing.of(self.opened.engine)
        if found is None:
            raise UnknownName("there are no results yet", "run `tierwise run` first")
        return found

    def state(self, standing: Standing) -> str:
        """Return ``fresh`` while the results show what is declared, received and recorded now, else ``stale``."""
        return "fresh" if self._is_fresh(standing) else "stale"

    def _is_fresh(self, standing: Standing) -> bool:
        """Whether the results show what is declared, received and recorded now."""
        shown = standing.definitions_hash, standing.lake_version, standing.log_run, standing.facts_version
        newest, said = int(last_run(self.opened.lake).get("run_id", 0)), self.opened.store.facts.version()
        return shown == (self.opened.definitions.digest, rows_version(self.opened), newest, said)

    def current(self) -> Catalogue:
        """Return the catalogue, when the results were computed with it.

        Raises:
            BadRequest: when something declared has not been computed yet.
        """
        catalogue, there = self.opened.catalogue, self.opened.engine.columns(RESULTS)
        missing = [n for n in (*catalogue.tags, *catalogue.tierings, *catalogue.segments) if n not in there]
        if missing:
            raise BadRequest(
                f"`{missing[0]}` has not been computed yet", "the definitions have changed: run `tierwise run`"
            )
        return catalogue

    def _of_results(self, standing: Standing, fresh: bool) -> Snapshot:
        """Return the snapshot of the results; while they are fresh it is that of their run, and has its id."""
        snapshot = self.snapshot(standing, standing.as_of, frozen=fresh and standing.compares_in_lake)
        return replace(snapshot, known_as=standing.snapshot_id) if fresh else snapshot

    def snapshot(self, standing: Standing, as_of: datetime, frozen: bool) -> Snapshot:
        """Return the snapshot of the tables as they stand, with the distributions published by then or none."""
        opened, store = self.opened, self.opened.store
        key = standing, as_of, frozen, opened.definitions.digest, store.facts.version(), store.ids.version()
        found, there = opened.rooms.kept("snapshot", key, lambda: self._frozen(standing, as_of, frozen))
        return replace(found, distributions={one.id: (one.distribution(),) for one in there} if frozen else None)

    def _frozen(self, standing: Standing, as_of: datetime, frozen: bool) -> tuple[Snapshot, list[Published]]:
        from tierwise.engine.distributions import fingerprints, published
        from tierwise.engine.history import recorded
        from tierwise.engine.membership import FORMER
        from tierwise.engine.snapshot import Snapshot

        opened, compared = self.opened, fingerprints(self.opened.catalogue)
        parameters = {name: value for name, (_, value) in opened.catalogue.parameters.items()}
        digest, versions = opened.definitions.digest, (standing.lake_version, standing.identity_version)
        log, position = recorded(opened.lake, as_of, standing.manifest)
        there = published(opened.lake, as_of, standing.manifest, compared) if frozen else []
        facts = facts_of(opened)
        former = FORMER if opened.engine.columns(FORMER) else ""
        return Snapshot(
            as_of, digest, parameters, *versions, None, log, position, *facts, compared, former=former
        ), there

    @contextmanager
    def evaluator(self, standing: Standing, snapshot: Snapshot, reads: bool = True) -> Iterator[Evaluator]:
        """Give an evaluator where the rows are; one that reads none works on the engine's results."""
        from tierwise.engine.build import source_of
        from tierwise.engine.evaluate import Evaluator
        from tierwise.verbs.running import inputs_then

        catalogue = self.opened.catalogue
        with self.opened.cluster(needed=reads) as cluster:
            if cluster is None:
                yield Evaluator(self.opened.engine, catalogue, source_of(catalogue), snapshot)
                return
            cluster.build(inputs_then(self.opened, standing), _silent)
            evaluator = Evaluator(cluster.engine, catalogue, source_of(catalogue), snapshot)
            yield evaluator
            evaluator.close()

    def _customer(self, customer: str) -> int:
        from tierwise.people.person import find_customer

        return find_customer(self.opened.store, customer, self.opened.definitions.key_spaces)


def lake_table(opened: Opened, name: str) -> pa.Table | None:
    """Return a table that lies in the lake or beside the store, or nothing when it is none of them.

    Raises:
        UnknownName: when it is one and has no row yet.
    """
    if name == "quarantine":
        return _quarantined(opened)
    if name not in _IN_LAKE:
        return None
    found = opened.lake.read(name)
    if found is None:
        raise UnknownName(f"{name} is empty", "run `tierwise run` first")
    return found


def _quarantined(opened: Opened) -> pa.Table:
    from tierwise.people.refused import with_originals

    newest: dict[tuple[str, str], int] = {}  # a file is always read whole: its last reading counts
    for entry in opened.lake.entries("rows"):
        bad = entry.about["report"]["quarantined"]
        newest[entry.about["source"], entry.about["file"]] = entry.number if bad else 0
    paths = [opened.quarantine / f"{number:08d}.parquet" for number in sorted(newest.values())]
    found = [pq.read_table(path) for path in paths if path.is_file()]
    names = ("source", "file", "line", "column", "reason", "detail", "original", "import_id", "received_at")
    found = [with_originals(rows, opened.store.originals).select(names) for rows in found]
    return pa.concat_tables(found) if found else pa.table({name: pa.array([], pa.string()) for name in names})


def _fact_row(fact: Fact) -> dict[str, Any]:
    """Return what is said by hand, by whom, why and until when."""
    said = {"fact": fact.batch, "kind": fact.kind, "name": fact.name, "value": fact.value, "reason": fact.reason}
    return {**said, "by": str(fact.actor), "since": fact.valid_from, "until": fact.valid_until}


def held(catalogue: Catalogue) -> dict[str, Kind]:
    """Return the names the results hold, with their kinds."""
    tags = {name: rule.expr.kind for name, rule in catalogue.tags.items() if rule.expr is not None}
    return tags | dict.fromkeys(catalogue.tierings, TEXT) | dict.fromkeys(catalogue.segments, BOOLEAN)


def _silent(step: str, done: int, total: int) -> None:
    """Show no progress."""
