"""A project's tables on a Spark cluster: built and asked there, the answers brought to the DuckDB file."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Final

from sqlglot import exp

from tierwise.definitions.check import Catalogue
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.backends.spark.engine import SparkEngine
from tierwise.engine.build import RECORDS, build_known_customers, build_lookup, source_of, stream_table
from tierwise.engine.cells import named_cell
from tierwise.engine.distributions import Distribution
from tierwise.engine.evaluate import KNOWN_CUSTOMERS, Evaluator
from tierwise.engine.membership import FORMER
from tierwise.engine.received import IDS
from tierwise.engine.run import (
    Inputs,
    Progress,
    build_one,
    in_order,
    keep_answers,
    latest_row,
    published_now,
    stream_digest,
)
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.engine.sql import col

__all__ = ["Cluster"]

#: The folder, below that of the engine, where the executors leave what is brought over.
_LANDING: Final = "spark"


class Cluster:
    """The tables of one project on a cluster, for as long as its session lasts.

    A table that is built stays with the executors and is built again only when something it depends on has changed.

    Args:
        master: the cluster's address.
        conf: further settings of Spark.
        folder: the project's folder.
        seen_as: what the cluster's machines call that folder; "" when they call it the same.
    """

    def __init__(self, master: str, conf: Mapping[str, str], folder: Path, seen_as: str) -> None:
        self.engine = SparkEngine(master, conf, {folder: seen_as})
        self._landing = folder / "engine" / _LANDING
        self._state: dict[str, str] = {}

    def close(self) -> None:
        """Forget the tables and leave the session."""
        self.engine.close()

    def build(self, inputs: Inputs, progress: Progress) -> dict[str, int]:
        """Build the tables that something has changed for; return the rows of each table built."""
        engine = self.engine
        built: dict[str, int] = {}
        shutil.rmtree(self._landing, ignore_errors=True)  # what a run that died has left
        stale = [s for s in in_order(inputs.catalogue) if self._state.get(s.name) != stream_digest(s, inputs)]
        engine.register(IDS, inputs.ids)
        for stream in stale:
            progress(f"build {stream.name}", len(built), len(stale))
            self._state.pop(stream.name, None)
            built[stream.name] = build_one(engine, stream, inputs, stream_table(stream.name))
            self._state[stream.name] = stream_digest(stream, inputs)
        for name, table in inputs.lookups.items():
            build_lookup(engine, name, table)
        streams = [stream_table(name) for name in inputs.catalogue.streams]
        registered = "registered_at" in engine.columns(RECORDS)
        build_known_customers(engine, streams, True, registered, KNOWN_CUSTOMERS)
        engine.drop(IDS)
        if inputs.former is not None:
            engine.register(FORMER, inputs.former)
        return built

    def evaluate_everyone(
        self, engine: DuckEngine, catalogue: Catalogue, snapshot: Snapshot, table: str, progress: Progress
    ) -> list[Distribution]:
        """Evaluate every definition for everyone on the cluster, into new tables of the DuckDB file.

        Returns:
            The distributions that were published for it.

        Args:
            engine: the DuckDB file.
            catalogue: the checked definitions.
            snapshot: what is frozen.
            table: the new table of answers; what goes beside it is named after its own table.
            progress: called with (step, steps done, steps in all).
        """
        evaluator = Evaluator(self.engine, catalogue, source_of(catalogue), snapshot, progress)
        try:
            names = (*catalogue.tags, *catalogue.tierings, *catalogue.segments)
            relation = evaluator.relation(everyone(snapshot.as_of), [named_cell(catalogue, name) for name in names])
            with self.brought(relation, "answers") as found:
                keep_answers(engine, catalogue, snapshot, found, table)
            return published_now(evaluator)
        finally:
            evaluator.close()

    def bring_customers(self, engine: DuckEngine) -> None:
        """Bring the table of customers over; the DuckDB file finds it under its name from now on."""
        name = f"{KNOWN_CUSTOMERS}$new"
        with self.brought(exp.select("*").from_(KNOWN_CUSTOMERS), "customers") as found:
            engine.create(name, exp.select("*").from_(found).order_by(col("customer_id")))
        engine.stand_in(KNOWN_CUSTOMERS, name)

    def latest_row(self, catalogue: Catalogue) -> datetime | None:
        """Return the time of the newest row of any stream, or None of no rows."""
        return latest_row(self.engine, catalogue)

    @contextmanager
    def brought(self, select: exp.Select, name: str) -> Iterator[exp.Table]:
        """Bring the rows of a SELECT over and give them as a table that the DuckDB file can read meanwhile.

        The executors write them, so that no machine has to hold them all.

        Args:
            select: what is asked of the cluster.
            name: of the folder the files lie in.
        """
        folder = self._landing / name
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            files = [exp.Literal.string(str(path)) for path in self.engine.write_parquet(select, folder)]
            yield exp.Table(this=exp.Anonymous(this="read_parquet", expressions=[exp.Array(expressions=files)]))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
