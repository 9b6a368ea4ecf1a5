"""The façade: one project folder, its verbs in the order of the river; it only sequences."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.language.kinds import BOOLEAN, TEXT, Kind
from tierwise.definitions.language.times import Zone
from tierwise.definitions.load import Definitions, load
from tierwise.engine import results
from tierwise.engine.as_of import read_as_of
from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import source_of
from tierwise.engine.cells import Cells
from tierwise.engine.complete import Completion, definition_causes, last_run
from tierwise.engine.distributions import from_rows
from tierwise.engine.estimate import estimate
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.explain import explain
from tierwise.engine.export import write_table
from tierwise.engine.run import RESULTS, Inputs, Progress, latest_row, stale_streams
from tierwise.engine.snapshot import Snapshot, Spine
from tierwise.errors import (
    BadRequest,
    DefinitionsInvalid,
    Problem,
    SourceUnreadable,
    TierwiseError,
    UnknownName,
    near_name,
)
from tierwise.lake import Lake
from tierwise.sources.collect import check_sources, pending
from tierwise.sources.collect import import_sources as collect
from tierwise.sources.lookups import lookup_columns, read_lookup
from tierwise.store import Actor, Store

__all__ = ["STAGES", "Project"]

#: The stages of the river that exist, in its order.
STAGES: Final = ("sources",)


def _silent(step: str, done: int, total: int) -> None:
    """Show no progress."""


class Project:
    """A project folder and what can be done with it; made by `tierwise.open`.

    Args:
        folder: the folder that holds ``tierwise.yaml``.
        clock: gives the current instant with its zone; nothing else reads a clock.
        actor: who is asking, for the records.
    """

    def __init__(self, folder: Path, clock: Callable[[], datetime], actor: Actor | None = None) -> None:
        self.folder = folder
        self._clock = clock
        self._actor = actor or Actor("system")
        self.lake = Lake(folder / "lake")
        self._loaded: tuple[Definitions | None, list[Problem]] = load(folder)
        self._catalogue: Catalogue | None = None
        self._engine: DuckEngine | None = None
        self._store: Store | None = None

    def __enter__(self) -> Project:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the engine and the store."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        if self._store is not None:
            self._store.close()
            self._store = None

    # -- what is open -----------------------------------------------------------------------------------------------

    @property
    def definitions(self) -> Definitions:
        """Return what was declared.

        Raises:
            DefinitionsInvalid: when it cannot be read.
        """
        definitions, problems = self._loaded
        errors = [problem for problem in problems if problem.severity == "error"]
        if definitions is None or errors:
            raise DefinitionsInvalid(errors)
        return definitions

    @property
    def catalogue(self) -> Catalogue:
        """Return the checked definitions.

        Raises:
            DefinitionsInvalid: with every problem, when there is one.
        """
        if self._catalogue is None:
            catalogue, problems = self._checked()
            errors = [problem for problem in problems if problem.severity == "error"]
            if catalogue is None or errors:
                raise DefinitionsInvalid(errors)
            self._catalogue = catalogue
        return self._catalogue

    @property
    def engine(self) -> DuckEngine:
        """Return the owner's connection to the engine's tables, opened when first needed."""
        if self._engine is None:
            self._engine = DuckEngine(self.folder / "engine" / "tierwise.duckdb")
        return self._engine

    @property
    def store(self) -> Store:
        """Return the store, opened when first needed."""
        if self._store is None:
            declared = self.definitions.settings.store
            where = declared if "://" in declared else str(self.folder / declared)
            if "://" not in declared:
                Path(where).parent.mkdir(parents=True, exist_ok=True)
            self._store = Store.open(where)
        return self._store

    @property
    def _quarantine(self) -> Path:
        return self.folder / "store" / "quarantine"

    # -- check and plan ---------------------------------------------------------------------------------------------

    def check(self) -> list[Problem]:
        """Return every problem and warning in what is declared, the sources' files included."""
        _, problems = self._checked()
        definitions = self._loaded[0]
        return problems if definitions is None else problems + check_sources(definitions)

    def _checked(self) -> tuple[Catalogue | None, list[Problem]]:
        """Return the catalogue, if there can be one, and every problem but those of the sources' files."""
        definitions, problems = self._loaded
        found = list(problems)
        if definitions is None:
            return None, found
        columns: dict[str, Sequence[str]] = {}
        for name, lookup in definitions.lookups.items():
            try:
                columns[name] = lookup_columns(lookup, self.folder)
            except SourceUnreadable as error:
                found.append(Problem("source", error.message, definitions.place(f"lookups.{name}.file"), error.hint))
        catalogue, more = check(definitions, columns)
        return catalogue, found + more

    def plan(self) -> dict[str, Any]:
        """Return what a run would do: files to import, tables to build, passes over the streams."""
        catalogue, definitions = self.catalogue, self.definitions
        inputs = self._inputs(read_lookups=False)
        stale = dict(stale_streams(self.engine, inputs))
        cells = Cells(catalogue)
        for name in (*catalogue.tags, *catalogue.tierings, *catalogue.segments):
            cells.want_name(name)
        return {
            "as_of": definitions.settings.as_of,
            "definitions_hash": definitions.digest,
            "changed_definitions": sorted(definition_causes(catalogue, last_run(self.lake))),
            "imports": [
                {"source": s, "file": shown, "state": state} for s, shown, state in pending(definitions, self.lake)
            ],
            "streams": [
                {"stream": name, "rebuild": name in stale, "why": stale.get(name, "")} for name in catalogue.streams
            ],
            "aggregates": len(cells.aggregates),
            "stages": cells.last_stage + 1,
            "distributions": len(cells.populations),
            "names": {
                "tags": len(catalogue.tags),
                "tierings": len(catalogue.tierings),
                "segments": len(catalogue.segments),
            },
        }

    # -- run --------------------------------------------------------------------------------------------------------

    def run(
        self, as_of: datetime | str | None = None, progress: Progress | None = None, import_sources: bool = True
    ) -> dict[str, Any]:
        """Import what is new, compute everything for everyone, record who moved; return the report.

        A run that dies leaves the last good state; the next one goes on from the files already imported and the tables
        already built.

        Args:
            as_of: the instant of the answers; by default what ``tierwise.yaml`` says.
            progress: called with (step, done, total).
            import_sources: whether to read the sources first.

        Raises:
            DefinitionsInvalid: when something declared is wrong.
            SourceUnreadable: when a file cannot be read.
            BadRequest: when `as_of` cannot be understood, or there is no row yet to take it from.
        """
        show = progress or _silent
        now = self._clock().astimezone(UTC).replace(tzinfo=None)
        definitions, _ = self.definitions, self.catalogue
        asked = self._asked_as_of(as_of, now) if as_of is not None else None
        engine, runs = self.engine, self.store.runs
        for dead in runs.list(1000, state="running"):  # the engine is ours, so nobody works on them any more
            runs.fail(dead.run_id, self._clock(), "the process died")
        run_id = runs.begin("run", self._actor, now.replace(tzinfo=UTC), definitions_hash=definitions.digest)
        try:
            imports = []
            if import_sources:
                imports = collect(self.definitions, self.lake, self._quarantine, self.store.ids.assign, now, show)

            def noted(step: str, seconds: float) -> None:
                runs.step(run_id, step, {"seconds": seconds})

            completion = Completion(engine, self._inputs(read_lookups=True), run_id, now, noted, show)
            report = completion.run(lambda: asked or self._asked_as_of(definitions.settings.as_of, now), self._snapshot)
            report = {"run_id": run_id, **report, "imports": [one.as_json() for one in imports]}
        except BaseException as error:
            message = error.message if isinstance(error, TierwiseError) else type(error).__name__
            runs.fail(run_id, self._clock(), message)
            raise
        lake_version = str(report["lake_version"])
        runs.finish(run_id, self._clock(), report, snapshot_id=report["snapshot_id"], lake_version=lake_version)
        return report

    def _inputs(self, read_lookups: bool) -> Inputs:
        ids = self.store.ids.customers().rename_columns({"source_key": "customer_key"})
        lookups = (
            {name: read_lookup(form, self.definitions) for name, form in self.definitions.lookups.items()}
            if read_lookups
            else {}
        )
        rows = [entry.number for entry in self.lake.entries("rows")]
        return Inputs(self.catalogue, self.lake, max(rows, default=0), ids, self.store.ids.version(), lookups)

    def _snapshot(self, as_of: datetime, inputs: Inputs | None = None, published: bool = False) -> Snapshot:
        parameters = {name: value for name, (_, value) in self.catalogue.parameters.items()}
        rows = [entry.number for entry in self.lake.entries("rows")]
        distributions = None
        if published:
            found = self.lake.read("distributions")
            known = [d for d in from_rows(found) if d.as_of <= as_of] if found is not None else []
            newest = {d.id: d for d in sorted(known, key=lambda d: d.as_of)}
            distributions = {key: (d,) for key, d in newest.items()}
        return Snapshot(
            as_of, self.definitions.digest, parameters, max(rows, default=0), self.store.ids.version(), distributions
        )

    def _asked_as_of(self, as_of: datetime | str, now: datetime) -> datetime:
        """Return an asked instant as naive UTC."""
        zone = Zone(self.definitions.settings.timezone)
        return read_as_of(as_of, zone, now, lambda: latest_row(self.engine, self.catalogue))

    # -- asking -----------------------------------------------------------------------------------------------------

    def _last_as_of(self) -> datetime:
        found = self._results_as_of()
        if found is None:
            raise UnknownName("there are no results yet", "run `tierwise run` first")
        return found

    def _results_as_of(self) -> datetime | None:
        if RESULTS not in self.engine.tables():
            return None
        found: datetime | None = self.engine.rows(exp.select(exp.Max(this=exp.column("as_of"))).from_(RESULTS))[0][0]
        recorded = last_run(self.lake).get("at")
        return found or (datetime.fromisoformat(recorded) if recorded else None)  # a brand without customers has no row

    def show(self, what: str) -> pa.Table:
        """Return a table for people: ``tiers``, ``segments``, ``tags``, ``tables`` or ``runs``.

        Raises:
            UnknownName: when there is no such table, or no results yet.
        """
        tables = {"tiers": results.tiers_table, "segments": results.segments_table, "tags": results.tags_table}
        if what in tables:
            about = {"as_of": self._last_as_of(), "state": self._state()}
            return tables[what](self.engine, self._current(), RESULTS, about)
        if what == "runs":
            return pa.Table.from_pylist([_run_row(run) for run in self.store.runs.list()])
        if what == "tables":
            return results.tables_table(self.engine, self.lake, self.table("quarantine"))
        raise UnknownName(f"there is no table of {what!r}", near_name(what, [*tables, "runs", "tables"]))

    def _current(self) -> Catalogue:
        """Return the catalogue, when the results were computed with it.

        Raises:
            BadRequest: when the definitions have changed in a way the results do not show yet.
        """
        there = self.engine.columns(RESULTS)
        missing = [
            n for n in (*self.catalogue.tags, *self.catalogue.tierings, *self.catalogue.segments) if n not in there
        ]
        if missing:
            raise BadRequest(
                f"`{missing[0]}` has not been computed yet", "the definitions have changed: run `tierwise run`"
            )
        return self.catalogue

    def _state(self) -> str:
        last = last_run(self.lake)
        rows = [entry.number for entry in self.lake.entries("rows")]
        fresh = last.get("definitions_hash") == self.definitions.digest and last.get("lake_version") == max(
            rows, default=0
        )
        return "fresh" if fresh else "stale"

    def table(self, name: str) -> pa.Table:
        """Return a whole table: ``customers`` (the results), a stream, ``memberships``, ``quarantine`` …

        Raises:
            UnknownName: when there is no such table.
        """
        if name == "quarantine":
            return self._quarantined()
        if name in ("memberships", "distributions"):
            found = self.lake.read(name)
            if found is None:
                raise UnknownName(f"{name} is empty", "run `tierwise run` first")
            return found
        tables = [table for table in self.engine.tables() if "$" not in table and table != "engine_state"]
        if name not in tables:
            hint = (
                near_name(name, [*tables, "memberships", "quarantine", "distributions"])
                or "`tierwise show tables` lists them"
            )
            raise UnknownName(f"there is no table `{name}`", hint)
        select = exp.select("*").from_(exp.to_table(exp.to_identifier(name, quoted=True).sql("duckdb")))
        order = next((c for c in ("customer_id", "pos") if c in self.engine.columns(name)), None)
        return self.engine.arrow(select.order_by(order) if order else select)

    def _quarantined(self) -> pa.Table:
        newest: dict[tuple[str, str], int] = {}  # a file is always read whole: its last reading counts
        for entry in self.lake.entries("rows"):
            bad = entry.about["report"]["quarantined"]
            newest[entry.about["source"], entry.about["file"]] = entry.number if bad else 0
        paths = [self._quarantine / f"{number:08d}.parquet" for number in sorted(newest.values())]
        found = [pq.read_table(path) for path in paths if path.is_file()]
        names = ("source", "file", "line", "column", "reason", "detail", "original", "import_id", "received_at")
        return pa.concat_tables(found) if found else pa.table({name: pa.array([], pa.string()) for name in names})

    def evaluate(self, spine: Spine, names: Sequence[str]) -> pa.Table:
        """Return tags, tierings and segments for a spine (see `tierwise.engine.snapshot`): customer_id, as_of, names.

        Raises:
            UnknownName: when a name is not defined.
        """
        catalogue = self.catalogue
        for name in names:
            known = [*catalogue.tags, *catalogue.tierings, *catalogue.segments]
            if name not in known:
                raise UnknownName(f"there is no tag, tiering or segment `{name}`", near_name(name, known))
        as_of = spine.as_of or self._last_as_of()
        snapshot = self._snapshot(as_of, published=spine.kind == "moments")
        return Evaluator(self.engine, catalogue, source_of(catalogue), snapshot).evaluate(spine, names)

    def estimate(self, expression: str) -> dict[str, Any]:
        """Count the customers for whom a condition holds at the last run's as_of, condition by condition."""
        as_of = self._last_as_of()
        catalogue = self.catalogue
        evaluator = Evaluator(
            self.engine, catalogue, source_of(catalogue), self._snapshot(as_of, published=self._state() == "fresh")
        )
        base = (RESULTS, self._held(catalogue)) if self._state() == "fresh" else None
        try:
            return estimate(evaluator, catalogue, expression, base)
        finally:
            evaluator.close()

    def _held(self, catalogue: Catalogue) -> dict[str, Kind]:
        tags = {name: rule.expr.kind for name, rule in catalogue.tags.items() if rule.expr is not None}
        return tags | dict.fromkeys(catalogue.tierings, TEXT) | dict.fromkeys(catalogue.segments, BOOLEAN)

    def explain(self, customer: str) -> dict[str, Any]:
        """Say why one customer is in their tiers, what would move them up, and when time alone would move them.

        Args:
            customer: the brand's number, or ``id:42``.

        Raises:
            UnknownName: when nobody has this number.
        """
        found = self.store.ids.find(customer)
        if not found:
            raise UnknownName(f"there is no customer `{customer}`", "use the brand's customer number, or id:42")
        if len(found) > 1:
            raise BadRequest(
                f"`{customer}` is the number of {len(found)} customers",
                "name one: " + ", ".join(f"id:{i}" for i in found),
            )
        as_of = self._last_as_of()
        catalogue = self.catalogue
        snapshot = self._snapshot(as_of, published=self._state() == "fresh")
        evaluator = Evaluator(self.engine, catalogue, source_of(catalogue), snapshot)
        keys = exp.select("customer_key").from_("known_customers").where(exp.column("customer_id").eq(found[0]))
        key = self.engine.rows(keys)
        try:
            return explain(evaluator, catalogue, found[0], key[0][0] if key else customer)
        finally:
            evaluator.close()

    def export(self, table: str, to: Path) -> dict[str, Any]:
        """Write a table to a ``.csv``, ``.xlsx`` or ``.parquet`` file that no spreadsheet can be tricked by."""
        rows = self.table(table)
        write_table(rows, to)
        return {"table": table, "to": str(to), "rows": rows.num_rows}

    def sql(self, query: str, limit: int | None = None) -> pa.Table:
        """Answer one SELECT over the engine's tables; it can change nothing and reach no file."""
        path = self.folder / "engine" / "tierwise.duckdb"
        if not path.is_file():
            raise UnknownName("there are no tables yet", "run `tierwise run` first")
        if self._engine is not None:  # a file is open for writing or for reading only, not both
            self._engine.close()
            self._engine = None
        return DuckEngine.read_only(path, query, limit)


def _run_row(run: Any) -> dict[str, Any]:
    report = run.report or {}
    return {
        "run_id": run.run_id,
        "state": run.state,
        "kind": run.kind,
        "as_of": str(report.get("as_of", "")),
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "customers": report.get("customers"),
        "snapshot_id": run.snapshot_id or "",
        "error": run.error or "",
    }
