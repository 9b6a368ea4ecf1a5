"""Asking for work that a worker does later: add, list, get, cancel, retry; it needs the store only."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tierwise.definitions.schedules import JOB_KINDS
from tierwise.errors import BadRequest, UnknownName, near_name
from tierwise.store import Job
from tierwise.verbs.opened import Opened

__all__ = ["Queueing"]


class Queueing:
    """The verbs of jobs; hangs on the façade as `project.jobs`."""

    def __init__(self, opened: Opened) -> None:
        self.opened = opened

    def add(
        self,
        kind: str,
        payload: Mapping[str, Any] | None = None,
        *,
        run_at: datetime | None = None,
        key: str | None = None,
    ) -> Job:
        """Put a job in the queue; with a `key` that was used before, return the job it made then.

        Args:
            kind: one of `tierwise.definitions.schedules.JOB_KINDS`.
            payload: the parameters of that kind.
            run_at: when it may begin at the earliest, with its zone; by default at once.
            key: a name for this one wish, so that asking twice is asking once.

        Raises:
            UnknownName: when there is no such kind.
            BadRequest: when it takes no such parameter, or the key stands for another job.
        """
        if kind not in JOB_KINDS:
            raise UnknownName(f"there is no job `{kind}`", near_name(kind, JOB_KINDS))
        given = dict(payload or {})
        for name in given:
            if name not in JOB_KINDS[kind]:
                hint = near_name(name, JOB_KINDS[kind]) or "it takes none"
                raise BadRequest(f"the job `{kind}` takes no parameter `{name}`", hint)
        opened = self.opened
        return opened.store.jobs.enqueue(kind, given, opened.actor, opened.clock(), run_at=run_at, key=key)

    def list(self, limit: int = 20, *, state: str | None = None) -> list[Job]:
        """Return the newest jobs, newest first, if need be only those in a state."""
        return self.opened.store.jobs.list(limit, state=state)

    def get(self, job_id: int) -> Job:
        """Return one job.

        Raises:
            UnknownName: when there is none.
        """
        return self.opened.store.jobs.get(job_id)

    def cancel(self, job_id: int) -> Job:
        """Cancel a job: one that waits ends at once, one that is worked on stops at its next step.

        Raises:
            BadRequest: when it has ended.
        """
        return self.opened.store.jobs.cancel(job_id, self.opened.actor, self.opened.clock())

    def retry(self, job_id: int) -> Job:
        """Put a job that failed or was cancelled back in the queue.

        Raises:
            BadRequest: when it is neither.
        """
        return self.opened.store.jobs.retry(job_id, self.opened.actor, self.opened.clock())
