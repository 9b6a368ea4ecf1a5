"""What was run, when, on what, and how it ended; the steps already done let the next attempt resume."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, func, insert, select, update

from tierwise.errors import BadRequest, UnknownName
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.schema import run_steps, runs
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["STATES", "Run", "Runs"]

#: What a run can be: at work (or killed), finished, refused.
STATES: Final = ("running", "done", "failed")


@dataclass(frozen=True, slots=True)
class Run:
    """One run as recorded; `step` is the last step done, `steps` all of them with what they noted."""

    run_id: int
    kind: str
    state: str
    step: str
    as_of: datetime | None
    started_at: datetime
    ended_at: datetime | None
    snapshot_id: str | None
    definitions_hash: str | None
    lake_version: str | None
    actor: Actor
    report: Mapping[str, Any] | None
    error: str | None
    steps: Mapping[str, Any] = field(default_factory=dict)


class Runs:
    """The verbs of runs, on one store. No verb reads the clock: the caller says when."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def begin(
        self,
        kind: str,
        actor: Actor,
        at: datetime,
        *,
        as_of: datetime | None = None,
        snapshot_id: str | None = None,
        definitions_hash: str | None = None,
        lake_version: str | None = None,
    ) -> int:
        """Record that a run has begun and return its number."""
        with self._transactions.write() as connection:
            run_id = take(connection, "run_id")
            row = {"run_id": run_id, "kind": kind, "state": "running", "step": "", "as_of": as_of, "started_at": at}
            row |= {"snapshot_id": snapshot_id, "definitions_hash": definitions_hash}
            row |= {"lake_version": lake_version, "actor": str(actor)}
            connection.execute(insert(runs).values(row))
            note(connection, at, actor, f"{kind}.begin", f"run:{run_id}", {"definitions_hash": definitions_hash})
        return run_id

    def step(self, run_id: int, step: str, payload: Any = None) -> None:
        """Record that a step is done, with what a later attempt needs to know; doing it again replaces the note."""
        mine = (run_steps.c.run_id == run_id, run_steps.c.step == step)
        with self._transactions.write() as connection:
            self._change(connection, run_id, {"step": step})
            if connection.execute(update(run_steps).where(*mine).values(payload=payload)).rowcount:
                return
            count = select(func.count()).select_from(run_steps).where(run_steps.c.run_id == run_id)
            position = connection.execute(count).scalar_one()
            connection.execute(insert(run_steps).values(run_id=run_id, step=step, position=position, payload=payload))

    def finish(
        self,
        run_id: int,
        at: datetime,
        report: Mapping[str, Any] | None = None,
        *,
        snapshot_id: str | None = None,
        lake_version: str | None = None,
    ) -> None:
        """Record that the run is done, with its report and, when they were not known before, its inputs."""
        values: dict[str, Any] = {"state": "done", "ended_at": at, "report": report}
        values |= {"snapshot_id": snapshot_id} if snapshot_id is not None else {}
        values |= {"lake_version": lake_version} if lake_version is not None else {}
        with self._transactions.write() as connection:
            self._end(connection, run_id, values)

    def fail(self, run_id: int, at: datetime, error: str, report: Mapping[str, Any] | None = None) -> None:
        """Record that the run has failed, and why."""
        with self._transactions.write() as connection:
            self._end(connection, run_id, {"state": "failed", "ended_at": at, "error": error, "report": report})

    def get(self, run_id: int) -> Run:
        """Return one run."""
        with self._transactions.read() as connection:
            row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one_or_none()
            if row is None:
                raise UnknownName(f"there is no run {run_id}")
            return _run(connection, row)

    def latest(self, *, state: str | None = None, kind: str | None = None) -> Run | None:
        """Return the newest run, if need be the newest in a state or of a kind, or nothing."""
        found = self.list(1, state=state, kind=kind)
        return found[0] if found else None

    def list(self, limit: int = 20, *, state: str | None = None, kind: str | None = None) -> list[Run]:
        """Return the newest runs, newest first."""
        if state is not None and state not in STATES:
            raise BadRequest(f"a run is never `{state}`", hint="states: " + ", ".join(STATES))
        chosen = select(runs).order_by(runs.c.run_id.desc()).limit(limit)
        if state is not None:
            chosen = chosen.where(runs.c.state == state)
        if kind is not None:
            chosen = chosen.where(runs.c.kind == kind)
        with self._transactions.read() as connection:
            return [_run(connection, row) for row in connection.execute(chosen).all()]

    def _end(self, connection: Connection, run_id: int, values: Mapping[str, Any]) -> None:
        self._change(connection, run_id, values)
        row = connection.execute(select(runs).where(runs.c.run_id == run_id)).one()
        details = {"state": row.state, "snapshot_id": row.snapshot_id, "lake_version": row.lake_version}
        note(connection, row.ended_at, Actor.parse(row.actor), f"{row.kind}.end", f"run:{run_id}", details)

    def _change(self, connection: Connection, run_id: int, values: Mapping[str, Any]) -> None:
        """Change a run that is at work; one that has ended is never written again."""
        still = update(runs).where(runs.c.run_id == run_id, runs.c.state == "running").values(values)
        if connection.execute(still).rowcount:
            return
        state = connection.execute(select(runs.c.state).where(runs.c.run_id == run_id)).scalar()
        if state is None:
            raise UnknownName(f"there is no run {run_id}")
        raise BadRequest(f"run {run_id} has ended ({state}) and is not changed any more")


def _run(connection: Connection, row: Row[Any]) -> Run:
    values = dict(row._mapping)
    noted = select(run_steps.c.step, run_steps.c.payload).where(run_steps.c.run_id == values["run_id"])
    steps = {note.step: note.payload for note in connection.execute(noted.order_by(run_steps.c.position))}
    return Run(**{**values, "actor": Actor.parse(values["actor"]), "steps": steps})
