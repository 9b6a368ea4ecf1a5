"""Running: from the files to recorded results, one run at a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from sqlglot import exp

from tierwise.definitions.language.times import Zone
from tierwise.engine.as_of import read_as_of
from tierwise.engine.cluster import Cluster
from tierwise.engine.complete import Completion
from tierwise.engine.distributions import fingerprints, newest
from tierwise.engine.history import MEMBERSHIPS, recorded
from tierwise.engine.membership import FORMER
from tierwise.engine.refresh import Refresh, new_records, rebuild_because
from tierwise.engine.run import Inputs, Progress, latest_row
from tierwise.engine.snapshot import Snapshot
from tierwise.engine.standing import Standing, last_run
from tierwise.errors import BadRequest, EngineRefused, TierwiseError
from tierwise.lake import Entry, Lake
from tierwise.lake.compacting import compact
from tierwise.sources.absorb import accept
from tierwise.sources.collect import import_sources as collect
from tierwise.sources.lookups import read_lookup
from tierwise.store import Store
from tierwise.verbs.declared import Declaration, declared_then
from tierwise.verbs.identifying import link
from tierwise.verbs.opened import Opened
from tierwise.verbs.received import facts_of, recorded_by, rows_version
from tierwise.verbs.through import repeats, writes

__all__ = ["Running", "inputs_of", "inputs_then", "snapshot_of"]


#: So many small files of one table are put together while rows are sent.
_FILES_OF_SENT_ROWS: Final = 64


class Running:
    """The verbs that compute."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    @repeats
    def run(
        self,
        as_of: datetime | str | None = None,
        import_sources: bool = True,
        progress: Progress | None = None,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
        known_at: datetime | str | None = None,
        as_believed: bool = False,
        as_declared: bool = False,
    ) -> dict[str, Any]:
        """Import what is new, compute everything for everyone, record who moved; return the report."""
        opened, show = self.opened, progress or _silent
        now = opened.now()
        asked = self._instant(as_of, now) if as_of is not None else None
        known = self._instant(known_at, now) if known_at is not None else None

        if as_declared:
            opened.go_by(_declared_by(opened, known))

        def body(run_id: int, noted: Callable[[str, float], None]) -> dict[str, Any]:
            inputs = inputs_of(opened, read_lookups=True, known_at=known)
            of_now = known is None and not as_believed and not as_declared
            with opened.cluster() as cluster:
                completion = Completion(opened.engine, inputs, run_id, now, noted, show, of_now, cluster)
                report = completion.run(
                    lambda: asked or self._instant(opened.definitions.settings.as_of, now, cluster),
                    lambda instant: snapshot_of(opened, inputs, instant, known, as_believed),
                )
            if not of_now:
                report |= {"known_at": known, "as_believed": as_believed, **_definitions_then(opened, known)}
            return report

        return self._reported("run", import_sources and known is None and not as_declared, now, show, body)

    @repeats
    def refresh(
        self,
        as_of: datetime | str | None = None,
        import_sources: bool = True,
        publish: bool = False,
        progress: Progress | None = None,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Import what is new, compute the customers it or time touches, record who moved; return the report."""
        return self._refreshed(as_of, import_sources, publish, progress or _silent)

    @repeats
    def absorb(
        self,
        source: str,
        rows: pa.Table,
        position: str,
        compute: bool = True,
        as_of: datetime | str | None = None,
        progress: Progress | None = None,
        waiting: Callable[[str], None] | None = None,
        wait: bool = True,
    ) -> dict[str, Any]:
        """Take rows that were sent into the lake, compute the customers they touch; return what became of both."""
        opened = self.opened
        if compute:
            opened.refuse_on_cluster("what rows that are sent change", "take them with `compute=False`, then run")
        rooms = (opened.lake, opened.quarantine, opened.store)
        accepted = accept(opened.definitions, *rooms, source, rows, position, opened.now(), opened.rooms.known_keys)
        entry = accepted.entry
        run = _run_of(opened.lake, entry.number)
        if run is None and compute:
            link(opened, rows_version(opened), progress or _silent)
            self._refreshed(as_of, False, False, progress or _silent)
            run = _run_of(opened.lake, entry.number)
        changes = _changes(opened.lake, run)
        self._compacted(_FILES_OF_SENT_ROWS)
        return {
            "source": source,
            "position": position,
            **accepted.report(),
            "lake_version": entry.number,
            "run_id": None if run is None else run.about["run_id"],
            "changes": changes,
        }

    @writes
    def compact(self, waiting: Callable[[str], None] | None = None, wait: bool = True) -> dict[str, Any]:
        """Put the lake's small files together; return how many files there are fewer."""
        return {"files": self._compacted(2)}

    def _compacted(self, least: int) -> int:
        standing = Standing.of(self.opened.engine)
        if standing is None:
            return 0
        return compact(self.opened.lake, self.opened.now(), standing.lake_version, least)

    def _refreshed(
        self, as_of: datetime | str | None, import_sources: bool, publish: bool, show: Progress
    ) -> dict[str, Any]:
        """Do a refresh; return its report."""
        opened = self.opened
        now = opened.now()
        opened.refuse_on_cluster("a refresh", "`tierwise run` computes everyone there")

        def body(run_id: int, noted: Callable[[str, float], None]) -> dict[str, Any]:
            asked = opened.definitions.settings.as_of if as_of is None else as_of
            if asked == "latest row":
                because = "as_of is the time of the newest row"
            else:
                instant = self._instant(asked, now)
                self._refuse_before(instant)
                standing = Standing.of(opened.engine)
                inputs = inputs_of(opened, read_lookups=True, since=standing.lake_version if standing else 0)
                because = rebuild_because(opened.engine, inputs)
                if standing and not because and opened.store.links.changed_since(standing.identity_version):
                    because = "records have come to other customers"
                if not because:
                    snapshot = snapshot_of(opened, inputs, instant, as_believed=not publish)
                    return Refresh(opened.engine, inputs, run_id, now, noted, show).refresh(snapshot, publish)
            inputs = inputs_of(opened, read_lookups=True)
            report = Completion(opened.engine, inputs, run_id, now, noted, show).run(
                lambda: self._instant(asked, now),
                lambda at: snapshot_of(opened, inputs, at, as_believed=not publish),
            )
            everyone = {"touched": report["customers"], "everyone_because": because, "why": {}, "arrived": 0}
            return {**report, **everyone}

        return self._reported("refresh", import_sources, now, show, body)

    def _refuse_before(self, instant: datetime) -> None:
        standing = Standing.of(self.opened.engine)
        newest_at = max((entry.about["at"] for entry in self.opened.lake.entries("memberships")), default="")
        if newest_at > instant.isoformat() or (standing is not None and standing.as_of > instant):
            raise BadRequest(
                f"{instant} UTC is before the newest results, and a refresh goes on from them",
                "`tierwise run --as-of` answers for the past",
            )

    def _reported(
        self,
        kind: str,
        import_sources: bool,
        now: datetime,
        show: Progress,
        body: Callable[[int, Callable[[str, float], None]], dict[str, Any]],
    ) -> dict[str, Any]:
        """Do a run of a kind, kept in the store with its steps and how it ended; return its report.

        Args:
            kind: ``run`` or ``refresh``.
            import_sources: whether to import what is new first.
            now: when it was asked for, naive UTC.
            show: called with what is being done.
            body: computes; gets the run's number and what notes a finished step.
        """
        opened = self.opened
        definitions, _ = opened.definitions, opened.catalogue
        runs, digest = opened.store.runs, definitions.digest
        opened.rooms.end_dead_runs(opened.store, opened.clock())
        request = opened.request
        if request is not None and request.again:
            done = _done_before(opened.store, request.key)
            if done is not None:
                return done
        opened.store.originals.purge(opened.clock())
        run_id = runs.begin(kind, opened.actor, now.replace(tzinfo=UTC), definitions_hash=digest)
        try:
            show(f"{kind} {run_id}", 0, 1)
            if request is not None:
                runs.step(run_id, "asked", {"key": request.key})
            imports, linked = [], None
            if import_sources:
                imports = collect(definitions, opened.lake, opened.quarantine, opened.store, now, show)
                linked = link(opened, rows_version(opened), show)
            report = body(run_id, lambda step, seconds: runs.step(run_id, step, {"seconds": seconds}))
            report = {"run_id": run_id, **report, "imports": [one.as_json() for one in imports], "identity": linked}
        except BaseException as error:
            self._failed(run_id, error)
            if isinstance(error, OSError):
                raise EngineRefused(
                    f"a file could not be written: {error}",
                    "free disk space and run again; the last good state is untouched",
                ) from error
            raise
        lake_version = str(report["lake_version"])
        runs.finish(run_id, opened.clock(), report, snapshot_id=report["snapshot_id"], lake_version=lake_version)
        return report

    def _failed(self, run_id: int, error: BaseException) -> None:
        message = error.message if isinstance(error, TierwiseError) else type(error).__name__
        try:
            self.opened.store.runs.fail(run_id, self.opened.clock(), message)
        except TierwiseError:  # what failed is what must be told, not that it could not be written down
            return

    def _instant(self, as_of: datetime | str, now: datetime, cluster: Cluster | None = None) -> datetime:
        """Return an asked instant as naive UTC; the rows are on the cluster, if there is one."""
        zone = Zone(self.opened.definitions.settings.timezone)
        engine = self.opened.engine if cluster is None else cluster.engine
        return read_as_of(as_of, zone, now, lambda: latest_row(engine, self.opened.catalogue))


def _run_of(lake: Lake, rows: int) -> Entry | None:
    """Return the manifest of the first recorded run that had read a manifest of rows, or nothing."""
    for entry in lake.entries("memberships"):
        if entry.number > rows and not entry.about.get("backfill") and int(entry.about["lake_version"]) >= rows:
            return entry
    return None


def _changes(lake: Lake, run: Entry | None) -> pa.Table:
    """Return who moved by a run: rows of the membership log."""
    paths = [] if run is None else lake.paths("memberships", run.number, run.number - 1)
    rows = pa.concat_tables(pq.read_table(path) for path in paths) if paths else MEMBERSHIPS.empty_table()
    return rows.select(MEMBERSHIPS.names).cast(MEMBERSHIPS)


def _done_before(store: Store, key: str) -> dict[str, Any] | None:
    """Return the report of the run that an earlier attempt at a request has finished, or nothing."""
    for run in store.runs.list(50, state="done"):
        if run.steps.get("asked", {}).get("key") == key and run.report is not None:
            return {**run.report, "as_of": datetime.fromisoformat(run.report["as_of"])}
    return None


def inputs_of(opened: Opened, read_lookups: bool, known_at: datetime | None = None, since: int | None = None) -> Inputs:
    """Return what the engine's tables are built from, as known now or by an instant (naive UTC).

    The lookups are files, read only if asked, and always as they are now. With `since`, a version of the lake, the ids
    are only those of the customers of rows that came after it.
    """
    ids = opened.store.ids
    version = ids.version(recorded_by(known_at))
    rows = rows_version(opened, known_at)
    if since is None:
        customers = ids.customers(None if known_at is None else version)
    else:
        customers = ids.customers_of(new_records(opened.lake, since, rows))
    customers = customers.rename_columns({"source_key": "customer_key"})
    lookups = (
        {name: read_lookup(form, opened.definitions) for name, form in opened.definitions.lookups.items()}
        if read_lookups
        else {}
    )
    former, regrouped = _regrouped(opened, recorded_by(known_at))
    return Inputs(opened.catalogue, opened.lake, rows, customers, version, lookups, former, regrouped)


def _regrouped(opened: Opened, by: datetime | None) -> tuple[pa.Table | None, pa.Table | None]:
    """Return who is now part of whom, and whose records are others than when a run was recorded last."""
    ids, links = opened.store.ids, opened.store.links
    if not links.changed_since(0):
        return None, None
    aliases = ids.aliases(by)
    versions = aliases["merged_in"].unique().to_pylist()
    instants = {number: at for number, at in ids.recorded(versions).items() if at is not None}
    merged_at = [instants[number].replace(tzinfo=None) for number in aliases["merged_in"].to_pylist()]
    former = aliases.drop_columns("merged_in").append_column("merged_at", pa.array(merged_at, pa.timestamp("us")))
    last = last_run(opened.lake)
    since = last.get("identity_version")
    customers = [] if since is None else links.regrouped(int(since))
    return former, pa.table({"customer_id": pa.array(customers, pa.int64())})


def inputs_then(opened: Opened, standing: Standing) -> Inputs:
    """Return what the results were computed from, as a cluster's tables are built of it again; lookups are of now."""
    customers = opened.store.ids.customers(standing.identity_version).rename_columns({"source_key": "customer_key"})
    lookups = {name: read_lookup(form, opened.definitions) for name, form in opened.definitions.lookups.items()}
    versions = standing.lake_version, standing.identity_version
    there = opened.engine.columns(FORMER)
    former = opened.engine.arrow(exp.select("*").from_(FORMER)) if there else None
    return Inputs(opened.catalogue, opened.lake, versions[0], customers, versions[1], lookups, former)


def snapshot_of(
    opened: Opened, inputs: Inputs, as_of: datetime, known_at: datetime | None = None, as_believed: bool = False
) -> Snapshot:
    """Return the snapshot of a run at an instant.

    It publishes the distributions it compares with; `as_believed` takes the newest ones published by then instead.
    """
    parameters = {name: value for name, (_, value) in opened.catalogue.parameters.items()}
    digest, versions = opened.definitions.digest, (inputs.lake_version, inputs.identity_version)
    entries = opened.lake.entries("memberships")
    known = max((e.number for e in entries if known_at is None or _recorded_at(e) <= known_at), default=0)
    compared = fingerprints(opened.catalogue)
    believed = newest(opened.lake, as_of, known, compared) if as_believed else None
    log, position = recorded(opened.lake, as_of, None if known_at is None else known)
    facts = facts_of(opened, known_at)
    former = FORMER if opened.engine.columns(FORMER) else ""
    return Snapshot(as_of, digest, parameters, *versions, believed, log, position, *facts, compared, former=former)


def _declared_by(opened: Opened, known_at: datetime | None) -> Declaration:
    """Return what the run was declared with that was recorded last by an instant."""
    entries = opened.lake.entries("memberships")
    known = [e.number for e in entries if known_at is None or _recorded_at(e) <= known_at]
    found = declared_then(opened.lake, opened.folder, max(known, default=0))
    if found is None:
        raise BadRequest("no run had been recorded by then", "leave --as-declared out, or name a later --known-at")
    return found


def _definitions_then(opened: Opened, known_at: datetime | None) -> dict[str, str]:
    """Return the hash of the definitions of the run that was recorded last by an instant, "" before the first."""
    entries = [e for e in opened.lake.entries("memberships") if not e.about.get("backfill")]
    hashes = [e.about["definitions_hash"] for e in entries if known_at is None or _recorded_at(e) <= known_at]
    return {"definitions_then": hashes[-1] if hashes else ""}


def _recorded_at(entry: Entry) -> datetime:
    return datetime.fromisoformat(entry.about["recorded_at"])


def _silent(step: str, done: int, total: int) -> None:
    """Show no progress."""
