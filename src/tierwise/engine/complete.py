"""A run from the lake's rows to recorded results: build, evaluate, append to the membership log, swap, report."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import UnionType
from typing import Any

import pyarrow as pa
from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.definitions.language.typed import Expr, GroupOf, Population, walk_typed
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.by_hand import BY_HAND, moved_by_hand
from tierwise.engine.cells import Cells
from tierwise.engine.cluster import Cluster
from tierwise.engine.distributions import Distribution, to_rows
from tierwise.engine.evaluate import Backend
from tierwise.engine.history import LogEntry, membership_changes
from tierwise.engine.results import segment_sizes, tier_sizes
from tierwise.engine.run import Inputs, build_tables, evaluate_everyone, keep_former, put_in_place
from tierwise.engine.snapshot import Snapshot
from tierwise.engine.sql import col, equals, null
from tierwise.engine.standing import RESULTS, Standing, last_run, recorded_declaration

__all__ = ["Completion", "Stopwatch", "definition_causes"]


def definition_causes(catalogue: Catalogue, last: Mapping[str, Any]) -> dict[str, str]:
    """Return the tierings and segments that are new (`first_run`) or declared otherwise than at the last run."""
    before = last.get("digests", {})
    return {
        name: "first_run" if name not in before else "definition"
        for name in (*catalogue.tierings, *catalogue.segments)
        if before.get(name) != catalogue.digests[name]
    }


@dataclass
class Completion:
    """One run after the import.

    Args:
        engine: the project's engine.
        inputs: what the tables are built from.
        run_id: the run's number in the store.
        now: when the run was started, naive UTC.
        step: called with (name of a finished step, its seconds).
        progress: called with (what is being done, steps done, steps in all).
        records: whether who moved is recorded; not when the answers are of what was known at another time.
        cluster: where the rows are read and everyone is evaluated, when that is not the engine itself.
    """

    engine: DuckEngine
    inputs: Inputs
    run_id: int
    now: datetime
    step: Callable[[str, float], None]
    progress: Callable[[str, int, int], None]
    records: bool = True
    cluster: Cluster | None = None

    def run(self, as_of: Callable[[], datetime], snapshot_at: Callable[[datetime], Snapshot]) -> dict[str, Any]:
        """Build, evaluate, record; return the report.

        Args:
            as_of: gives the instant of the answers, asked once the tables are built.
            snapshot_at: gives the snapshot of an instant.
        """
        catalogue, engine, lake = self.inputs.catalogue, self.engine, self.inputs.lake
        clock = Stopwatch(self.step)
        built = (self.cluster.build if self.cluster else partial(build_tables, engine))(self.inputs, self.progress)
        if self.cluster:
            keep_former(engine, self.inputs)
        clock.lap("build")
        instant = as_of()
        snapshot = snapshot_at(instant)
        evaluate = self.cluster.evaluate_everyone if self.cluster else evaluate_everyone
        distributions = evaluate(engine, catalogue, snapshot, f"{RESULTS}$new", self.progress)
        if self.cluster:
            self.cluster.bring_customers(engine)
        clock.lap("evaluate")
        newest = max((entry.about["at"] for entry in lake.entries("memberships")), default="")
        is_current = self.records and instant.isoformat() >= newest
        written, causes = self.record(snapshot, distributions) if is_current else (0, {})
        without = self.refunds_without_order()
        standing = self.standing(snapshot, without)
        put_in_place(engine, self.inputs, f"{RESULTS}$new", standing, self.cluster is not None)
        clock.lap("record")
        return {
            **self.report(snapshot),
            "built": built,
            "refunds_without_order": without,
            "memberships_written": written,
            "changes": causes,
            "recorded": is_current,
            "distributions": len(distributions),
            "seconds": clock.laps,
        }

    def report(self, snapshot: Snapshot) -> dict[str, Any]:
        """Return what is to be said of the results that are in place."""
        catalogue, engine = self.inputs.catalogue, self.engine
        tiers = tier_sizes(engine, catalogue, RESULTS)
        return {
            "as_of": snapshot.as_of,
            "snapshot_id": snapshot.id,
            "definitions_hash": snapshot.definitions_hash,
            "lake_version": self.inputs.lake_version,
            "identity_version": self.inputs.identity_version,
            "customers": engine.rows(exp.select(exp.Count(this=exp.Star())).from_(RESULTS))[0][0],
            "tierings": tiers,
            "segments": segment_sizes(engine, catalogue, RESULTS),
            "by_hand": self.by_hand(),
            "never_matched": [
                {"tiering": t, "tier": tier} for t, sizes in tiers.items() for tier, n in sizes.items() if not n
            ],
            "warnings": [str(warning) for warning in catalogue.warnings],
        }

    def standing(self, snapshot: Snapshot, refunds_without_order: int) -> Standing:
        """Return what the results of this run depend on, once the run is in the membership log."""
        return Standing(
            self.run_id,
            snapshot.as_of,
            snapshot.id,
            snapshot.definitions_hash,
            self.inputs.lake_version,
            self.inputs.identity_version,
            self.inputs.lake.version,
            int(last_run(self.inputs.lake).get("run_id", 0)),
            snapshot.facts_version,
            snapshot.distributions is not None,
            refunds_without_order,
        )

    def by_hand(self) -> dict[str, Any]:
        """Count what holds by hand, and name what contradicts its rule: the first twenty of it."""
        table = exp.Table(this=exp.to_identifier(BY_HAND))
        differs = exp.NullSafeNEQ(this=col("by_hand"), expression=col("by_rule"))
        against = exp.and_(exp.Not(this=exp.Paren(this=exp.Is(this=col("by_rule"), expression=exp.Null()))), differs)
        counts = [exp.Count(this=exp.Star()), exp.Anonymous(this="count_if", expressions=[against])]
        facts, contradicting = self.engine.rows(exp.select(*counts).from_(table))[0]
        names = ("customer_key", "name", "by_hand", "by_rule")
        first = exp.select(*(col(name) for name in names)).from_(table.copy()).where(against.copy())
        shown = self.engine.arrow(first.order_by(col("name"), col("customer_id")).limit(20)).to_pylist()
        return {"facts": int(facts), "contradicting": int(contradicting or 0), "contradictions": shown}

    def record(
        self,
        snapshot: Snapshot,
        distributions: Sequence[Distribution],
        results: str = f"{RESULTS}$new",
        held: str = "",
        arrived: str = "",
    ) -> tuple[int, dict[str, int]]:
        """Append the membership changes and the distributions to the lake, in one manifest; return changes by cause.

        Args:
            snapshot: what was frozen.
            distributions: those that were published for it.
            results: the table of results.
            held: the table of the results that the log holds of the same customers, when they are not everyone.
            arrived: the table of the customers whose rows have changed (customer_id, corrected), where there is one.
        """
        catalogue, lake, last = self.inputs.catalogue, self.inputs.lake, last_run(self.inputs.lake)
        instant, before = snapshot.as_of, last.get("at")
        known = int(last.get("facts_version", 0))
        manual = moved_by_hand(snapshot.facts, datetime.fromisoformat(before) if before else None, instant, known)
        digest = catalogue.definitions.digest
        names = (*catalogue.tierings, *catalogue.segments)
        others = Population | GroupOf if distributions else GroupOf  # what was published before moves nobody
        population = frozenset(name for name in names if _reads(catalogue, name, others))
        since = int(last.get("lake_version", 0))
        entry = LogEntry(
            self.run_id,
            instant,
            self.now,
            digest,
            definition_causes(catalogue, last),
            population,
            since,
            manual=manual,
            regrouped=self.inputs.regrouped,
            arrived=arrived,
        )
        log = membership_changes(self.engine, catalogue, results, lake, entry, self.inputs.ids, held)
        about = {
            "run_id": self.run_id,
            "at": instant.isoformat(),
            "lake_version": self.inputs.lake_version,
            "identity_version": self.inputs.identity_version,
            "digests": dict(catalogue.digests),
            "last_seq": log.column("seq")[-1].as_py() if log.num_rows else int(last.get("last_seq", 0)),
            "definitions_hash": digest,
            "facts_version": snapshot.facts_version,
            "recorded_at": self.now.isoformat(),
        }
        if recorded_declaration(lake) is None or last.get("definitions_hash") != digest:
            about["declared"] = catalogue.definitions.written
        tables: dict[str, pa.Table] = {"memberships": log} if log.num_rows else {}
        if distributions:
            tables["distributions"] = to_rows(distributions)
        lake.append("memberships", tables, f"run-{self.run_id:08d}", about)
        counted = log.column("cause").value_counts()
        return log.num_rows, {one["values"].as_py(): one["counts"].as_py() for one in counted}

    def refunds_without_order(self) -> int:
        """Count the refunds that change no order, because they name none that is known."""
        keys = ("order_id", "key_space")
        orders = exp.select(*(col(name) for name in keys)).distinct().from_("orders").subquery("o")
        same = exp.and_(*(equals(col(name, "r"), col(name, "o")) for name in keys))
        counted = exp.select(exp.Count(this=exp.Star()).as_("n")).from_(exp.to_table("refunds").as_("r"))
        unknown = counted.join(orders, on=same, join_type="left").where(
            exp.Is(this=col("order_id", "o"), expression=null())
        )
        backend: Backend = self.cluster.engine if self.cluster else self.engine
        return int(backend.arrow(unknown)["n"][0].as_py())


class Stopwatch:
    """Tells how long each step took, and keeps it, in seconds."""

    def __init__(self, step: Callable[[str, float], None]) -> None:
        self.step, self.laps, self.started = step, {}, time.monotonic()  # type: ignore[var-annotated]

    def lap(self, name: str) -> None:
        """Say that a step is done."""
        now = time.monotonic()
        self.laps[name] = round(now - self.started, 3)
        self.started = now
        self.step(name, self.laps[name])


def _reads(catalogue: Catalogue, name: str, others: type[Expr] | UnionType) -> bool:
    """Whether a tiering or segment compares, directly or by what it reads, with other customers in such a way."""
    cells = Cells(catalogue)
    cells.want_name(name)
    read: list[Expr] = [expr for named in cells.named.values() for expr in named.expressions()]
    return any(isinstance(part, others) for expr in read for part in walk_typed(expr))
