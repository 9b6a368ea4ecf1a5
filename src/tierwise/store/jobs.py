"""Jobs: work that a worker does later; a row is queued, claimed for a while, and ends as done, failed or cancelled.

A claim is a lease: it holds until `lease_until` and is prolonged by the worker's heartbeat. A worker that dies lets it
run out, and the next claim takes the job over as another attempt. Number and attempt together are the claim: whoever
comes back after its lease was taken over can no longer change the row. Instants are arguments: leases are compared
with the clocks of the workers, so they are long against what those may differ by.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, Connection, Row, and_, delete, insert, or_, select, update

from tierwise.errors import BadRequest, LeaseLost, UnknownName, near_name
from tierwise.store.actors import Actor
from tierwise.store.audit import note
from tierwise.store.schema import jobs
from tierwise.store.sequences import take
from tierwise.store.transactions import Transactions

__all__ = ["JOB_STATES", "MAX_ATTEMPTS", "Job", "Jobs", "backoff"]

#: What a job can be: waiting, worked on (or its worker died), ended in one of three ways.
JOB_STATES: Final = ("queued", "running", "done", "failed", "cancelled")
#: How often a job is tried before it is left failed.
MAX_ATTEMPTS: Final = 3
_BACKOFF_FIRST: Final = timedelta(seconds=30)
_BACKOFF_LONGEST: Final = timedelta(hours=1)


def backoff(attempt: int) -> timedelta:
    """Return how long to wait after an attempt that failed: 30 s, 2 min, 8 min … at most an hour.

    Example:
        >>> [backoff(attempt).total_seconds() for attempt in (1, 2, 3, 9)]
        [30.0, 120.0, 480.0, 3600.0]
    """
    assert attempt >= 1
    waits: timedelta = _BACKOFF_FIRST * 4 ** min(attempt - 1, 8)
    return min(waits, _BACKOFF_LONGEST)


@dataclass(frozen=True, slots=True)
class Job:
    """One job as recorded; `attempt` counts the attempts begun."""

    job_id: int
    kind: str
    payload: Mapping[str, Any]
    idempotency_key: str | None
    actor: Actor
    enqueued_at: datetime
    state: str
    run_at: datetime
    attempt: int
    max_attempts: int
    worker: str | None
    lease_until: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    cancel_asked_at: datetime | None
    progress: Mapping[str, Any] | None
    result: Mapping[str, Any] | None
    error: str | None


class Jobs:
    """The verbs of jobs, on one store. No verb reads the clock: the caller says when."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    # -- what is over -----------------------------------------------------------------------------------------------

    def forget(self, ended_before: datetime) -> int:
        """Delete the jobs that ended before an instant; return how many. What they did stays in the audit."""
        over = jobs.c.ended_at < ended_before
        with self._transactions.write() as connection:
            return int(connection.execute(delete(jobs).where(over)).rowcount)

    # -- asking for work --------------------------------------------------------------------------------------------

    def enqueue(
        self,
        kind: str,
        payload: Mapping[str, Any],
        actor: Actor,
        at: datetime,
        *,
        run_at: datetime | None = None,
        key: str | None = None,
        max_attempts: int = MAX_ATTEMPTS,
    ) -> Job:
        """Put a job in the queue; with a `key` that was used before, return the job it made then.

        Args:
            kind: What to do.
            payload: With what; plain values, no personal data.
            actor: Who asks.
            at: Now.
            run_at: When it may begin at the earliest; by default now.
            key: The caller's name for this one wish, so that asking twice is asking once.
            max_attempts: How often it is tried.

        Raises:
            BadRequest: when the key stands for another job.
        """
        values: dict[str, Any] = {"kind": kind, "payload": dict(payload), "idempotency_key": key, "actor": str(actor)}
        values |= {"enqueued_at": at, "state": "queued", "run_at": run_at or at}
        values |= {"attempt": 0, "max_attempts": max_attempts}
        with self._transactions.write() as connection:
            job_id = take(connection, "job_id")  # also makes two who come with one key wait for each other
            if key is not None:
                known = connection.execute(select(jobs).where(jobs.c.idempotency_key == key)).one_or_none()
                if known is not None:
                    return _same(_job(known), kind, payload)
            connection.execute(insert(jobs).values(job_id=job_id, **values))
            note(connection, at, actor, "job.enqueue", f"job:{job_id}", {"kind": kind})
            return _get(connection, job_id)

    def cancel(self, job_id: int, actor: Actor, at: datetime) -> Job:
        """Cancel a job: one that waits ends at once, one that is worked on is asked to stop at its next step.

        Raises:
            BadRequest: when it has ended.
        """
        with self._transactions.write() as connection:
            job = _get(connection, job_id, lock=True)
            if job.state == "queued":
                _change(connection, job_id, state="cancelled", ended_at=at)
            elif job.state == "running":
                _change(connection, job_id, cancel_asked_at=at)
            else:
                raise BadRequest(f"job {job_id} has ended ({job.state})")
            note(connection, at, actor, "job.cancel", f"job:{job_id}", {"kind": job.kind})
            return _get(connection, job_id)

    def retry(self, job_id: int, actor: Actor, at: datetime) -> Job:
        """Put a job that failed or was cancelled back in the queue, with all its attempts.

        Raises:
            BadRequest: when it is neither.
        """
        with self._transactions.write() as connection:
            job = _get(connection, job_id, lock=True)
            if job.state not in ("failed", "cancelled"):
                raise BadRequest(f"job {job_id} is {job.state}; only a failed or cancelled one is tried again")
            again = {"state": "queued", "run_at": at, "attempt": 0, "ended_at": None, "cancel_asked_at": None}
            _change(connection, job_id, **again, error=None, progress=None)
            note(connection, at, actor, "job.retry", f"job:{job_id}", {"kind": job.kind})
            return _get(connection, job_id)

    def get(self, job_id: int) -> Job:
        """Return one job."""
        with self._transactions.read() as connection:
            return _get(connection, job_id)

    def list(self, limit: int = 20, *, state: str | None = None) -> list[Job]:
        """Return the newest jobs, newest first, if need be only those in a state."""
        if state is not None and state not in JOB_STATES:
            raise BadRequest(f"a job is never `{state}`", hint=near_name(state, JOB_STATES))
        chosen = select(jobs).order_by(jobs.c.job_id.desc()).limit(limit)
        if state is not None:
            chosen = chosen.where(jobs.c.state == state)
        with self._transactions.read() as connection:
            return [_job(row) for row in connection.execute(chosen)]

    # -- working ----------------------------------------------------------------------------------------------------

    def claim(self, worker: str, at: datetime, lease: timedelta, kinds: Sequence[str]) -> Job | None:
        """Take the job that is due longest, or whose worker died, for the time of a lease; nothing when there is none.

        A job whose last attempt died with its worker is left failed, and a dead one that was to be cancelled is
        cancelled.
        """
        waiting = and_(jobs.c.state == "queued", jobs.c.run_at <= at)
        abandoned = and_(jobs.c.state == "running", jobs.c.lease_until < at)
        due = select(jobs).where(or_(waiting, abandoned), jobs.c.kind.in_(kinds))
        # On PostgreSQL a row that another worker is claiming is passed over; SQLite has one writer at a time anyway.
        first = due.order_by(jobs.c.run_at, jobs.c.job_id).limit(1).with_for_update(skip_locked=True)
        while True:
            with self._transactions.write() as connection:
                row = connection.execute(first).one_or_none()
                if row is None:
                    return None
                job = _job(row)
                if job.cancel_asked_at is not None:
                    self._end(connection, job, at, "cancelled")
                elif job.attempt >= job.max_attempts:
                    self._end(connection, job, at, "failed", error=f"its worker died ({job.worker})")
                else:
                    taken = {"worker": worker, "lease_until": at + lease, "attempt": job.attempt + 1}
                    _change(connection, job.job_id, state="running", started_at=at, progress=None, **taken)
                    return _get(connection, job.job_id)

    def heartbeat(self, job: Job, at: datetime, lease: timedelta, progress: Mapping[str, Any] | None = None) -> Job:
        """Prolong the lease of a claimed job and show how far it is; return the job as it is now.

        Raises:
            LeaseLost: when another worker has taken it over.
        """
        values: dict[str, Any] = {"lease_until": at + lease}
        values |= {"progress": dict(progress)} if progress is not None else {}
        with self._transactions.write() as connection:
            self._mine(connection, job, values)
            return _get(connection, job.job_id)

    def finish(self, job: Job, at: datetime, result: Mapping[str, Any] | None = None) -> None:
        """Record that a claimed job is done.

        Raises:
            LeaseLost: when another worker has taken it over.
        """
        with self._transactions.write() as connection:
            self._end(connection, job, at, "done", result=result)

    def fail(self, job: Job, at: datetime, error: str, *, again: bool) -> None:
        """Record that an attempt failed; if `again` makes sense and attempts are left, the next one waits a while.

        Raises:
            LeaseLost: when another worker has taken it over.
        """
        with self._transactions.write() as connection:
            if again and job.attempt < job.max_attempts:
                self._requeue(connection, job, at + backoff(job.attempt), error=error)
            else:
                self._end(connection, job, at, "failed", error=error)

    def release(self, job: Job, at: datetime) -> None:
        """Give a claimed job back, because its worker is to stop; the attempt does not count.

        Raises:
            LeaseLost: when another worker has taken it over.
        """
        with self._transactions.write() as connection:
            self._requeue(connection, job, at, attempt=job.attempt - 1)

    def stop(self, job: Job, at: datetime) -> None:
        """Record that a claimed job has stopped because somebody cancelled it.

        Raises:
            LeaseLost: when another worker has taken it over.
        """
        with self._transactions.write() as connection:
            self._end(connection, job, at, "cancelled")

    def _requeue(self, connection: Connection, job: Job, run_at: datetime, **values: Any) -> None:
        self._mine(connection, job, {"state": "queued", "run_at": run_at, "worker": None, "lease_until": None} | values)

    def _end(self, connection: Connection, job: Job, at: datetime, state: str, **values: Any) -> None:
        ended = {"state": state, "ended_at": at, "worker": None, "lease_until": None}
        self._mine(connection, job, ended | values)
        actor = Actor("worker", job.worker or "")
        note(connection, at, actor, "job.end", f"job:{job.job_id}", {"kind": job.kind, "state": state})

    def _mine(self, connection: Connection, job: Job, values: Mapping[str, Any]) -> None:
        """Change a job while this claim of it holds."""
        held = (jobs.c.job_id == job.job_id, jobs.c.state == "running", jobs.c.attempt == job.attempt)
        mine: tuple[ColumnElement[bool], ...] = (*held, jobs.c.worker == job.worker)
        if not connection.execute(update(jobs).where(*mine).values(values)).rowcount:
            raise LeaseLost(
                f"job {job.job_id} is no longer worked on by {job.worker} (attempt {job.attempt})",
                hint="its lease ran out; whoever took it over does the work",
            )


def _get(connection: Connection, job_id: int, lock: bool = False) -> Job:
    chosen = select(jobs).where(jobs.c.job_id == job_id)
    row = connection.execute(chosen.with_for_update() if lock else chosen).one_or_none()
    if row is None:
        raise UnknownName(f"there is no job {job_id}", "`tierwise jobs list` shows them")
    return _job(row)


def _change(connection: Connection, job_id: int, **values: Any) -> None:
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(values))


def _same(job: Job, kind: str, payload: Mapping[str, Any]) -> Job:
    if (job.kind, job.payload) != (kind, json.loads(json.dumps(payload))):
        raise BadRequest(
            f"the key `{job.idempotency_key}` already stands for job {job.job_id} ({job.kind})",
            hint="a key is for one wish; use another one",
        )
    return job


def _job(row: Row[Any]) -> Job:
    return Job(**{**row._mapping, "actor": Actor.parse(row.actor)})
