"""Backfill: history for the time before the first recorded run, worked out from the rows and appended to the log."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Final

import pyarrow as pa

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.by_hand import BY_HAND
from tierwise.engine.cluster import Cluster
from tierwise.engine.history import LogEntry, closing_changes, membership_changes
from tierwise.engine.run import Inputs, Progress, build_tables, evaluate_everyone, keep_former
from tierwise.engine.snapshot import Snapshot
from tierwise.engine.standing import PROGRAMMES
from tierwise.errors import BadRequest
from tierwise.lake import Lake

__all__ = ["Backfill", "first_recorded"]

_RESULTS: Final = "backfill$new"


def first_recorded(lake: Lake) -> datetime | None:
    """Return the instant of the first recorded run, None before it."""
    recorded = [e.about["at"] for e in lake.entries("memberships") if not e.about.get("backfill")]
    return datetime.fromisoformat(recorded[0]) if recorded else None


@dataclass
class Backfill:
    """One backfill: everyone is evaluated at each instant, the instants that are in the log already left out.

    Args:
        engine: the project's engine.
        inputs: what the tables are built from.
        run_id: the run's number in the store.
        now: when it was started, naive UTC.
        snapshot_at: gives the snapshot of an instant.
        step: called with (name of a finished step, what to note of it).
        progress: called with (what is being done, steps done, steps in all).
        cluster: where the rows are read and everyone is evaluated, when that is not the engine itself.
    """

    engine: DuckEngine
    inputs: Inputs
    run_id: int
    now: datetime
    snapshot_at: Callable[[datetime], Snapshot]
    step: Callable[[str, dict[str, Any]], None]
    progress: Progress
    cluster: Cluster | None = None

    def run(self, instants: Sequence[datetime]) -> dict[str, Any]:
        """Write the history of the instants, ascending; return the report.

        Each instant is a manifest of its own, so a backfill that dies goes on where it was.

        Raises:
            BadRequest: when there is history of one of the instants or after it.
        """
        lake = self.inputs.lake
        first, done = first_recorded(lake), self.filled()
        self.refuse(instants, first, done)
        (self.cluster.build if self.cluster else partial(build_tables, self.engine))(self.inputs, self.progress)
        if self.cluster:
            keep_former(self.engine, self.inputs)
        dates = []
        for number, at in enumerate(instants):
            self.progress(f"backfill {at:%Y-%m-%d}", number, len(instants))
            if at.isoformat() in done:
                dates.append({"at": at, "state": "there", "memberships_written": 0})
                continue
            written = self.fill(at)
            dates.append({"at": at, "state": "written", "memberships_written": written})
            self.step(f"backfill {at.isoformat()}", {"memberships_written": written})
        return {"dates": dates, "first_recorded": first, "memberships_closed": self.close()}

    def filled(self) -> set[str]:
        """Return the instants that were backfilled before."""
        return {
            entry.about["at"]
            for entry in self.inputs.lake.entries("memberships")
            if entry.about.get("backfill") and not entry.about.get("closes")
        }

    def refuse(self, instants: Sequence[datetime], first: datetime | None, done: set[str]) -> None:
        """Refuse instants of which, or after which, history was written: it is never rewritten."""
        late = [at for at in instants if first is not None and at >= first]
        if late:
            raise BadRequest(
                f"there is history from {first} UTC on: {late[0]} is not before it",
                "backfill ends before the first recorded run; give an earlier --to",
            )
        last = max(done, default="")
        inside = [at for at in instants if at.isoformat() < last and at.isoformat() not in done]
        if inside:
            raise BadRequest(
                f"history was backfilled up to {last} UTC: {inside[0]} would be written into it",
                "history is only added after what is there; name the dates that were given before, or later ones",
            )

    def fill(self, at: datetime) -> int:
        """Evaluate everyone at one instant and append who is another than at the one before."""
        catalogue = self.inputs.catalogue
        evaluate = self.cluster.evaluate_everyone if self.cluster else evaluate_everyone
        evaluate(self.engine, catalogue, self.snapshot_at(at), _RESULTS, self.progress)
        try:
            log = membership_changes(
                self.engine, catalogue, _RESULTS, self.inputs.lake, self.entry(at), self.inputs.ids
            )
        finally:
            for name in (_RESULTS, f"{PROGRAMMES}$new", f"{BY_HAND}$new"):
                self.engine.drop(name)
        self.append(log, at, f"backfill-{at:%Y%m%dT%H%M%S%f}", {})
        return int(log.num_rows)

    def close(self) -> int:
        """Say of the runs that recorded a segment first who had left it by then: such a run records who is in."""
        begun: dict[int, list[str]] = {}
        seen: set[str] = set()
        entries = self.inputs.lake.entries("memberships")
        for entry in entries:
            if not entry.about.get("backfill"):
                begun[entry.number] = [name for name in entry.about["digests"] if name not in seen]
                seen |= set(entry.about["digests"])
        written = 0
        for entry in entries:
            names = begun.get(entry.number)
            if names:
                at = datetime.fromisoformat(entry.about["at"])
                log = closing_changes(self.engine, self.inputs.lake, self.entry(at), names, entry.number)
                written += log.num_rows
                if log.num_rows:
                    self.append(log, at, f"backfill-{self.run_id:08d}-closes-{entry.number:08d}", {"closes": True})
        return written

    def entry(self, at: datetime) -> LogEntry:
        """Return what stands on every row of one instant."""
        digest = self.inputs.catalogue.definitions.digest
        version = self.inputs.lake_version
        return LogEntry(self.run_id, at, self.now, digest, {}, frozenset(), version, backfills=True)

    def append(self, log: pa.Table, at: datetime, name: str, more: dict[str, Any]) -> None:
        """Append the rows of one instant, in a manifest of their own."""
        lake = self.inputs.lake
        newest = max((int(entry.about.get("last_seq", 0)) for entry in lake.entries("memberships")), default=0)
        about = {
            "run_id": self.run_id,
            "at": at.isoformat(),
            "backfill": True,
            "recorded_at": self.now.isoformat(),
            "lake_version": self.inputs.lake_version,
            "digests": {} if more else dict(self.inputs.catalogue.digests),
            "last_seq": log["seq"][-1].as_py() if log.num_rows else newest,
            "definitions_hash": self.inputs.catalogue.definitions.digest,
            **more,
        }
        lake.append("memberships", {"memberships": log} if log.num_rows else {}, name, about)
