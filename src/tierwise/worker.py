"""Works off jobs: claims one, does it through the façade, prolongs its lease meanwhile; also begins what is scheduled.

The rows of the store decide: a schedule that fires only puts a job in the queue, under a key made of its kind and its
slot, so that several workers queue it once. APScheduler only wakes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.interval import IntervalTrigger

from tierwise.definitions.language.times import parse_duration
from tierwise.definitions.schedules import latest_slot
from tierwise.entry import open as open_project
from tierwise.errors import EngineRefused, LeaseLost, ProjectBusy, TierwiseError
from tierwise.project import Project
from tierwise.store import Actor, Job, Jobs, Store

__all__ = ["Worker", "working_on"]

_Show = Callable[[str, int, int], None]
_Work = Callable[[Project, Mapping[str, Any], _Show], Mapping[str, Any]]
#: A slot that passed while no worker was there is made up for within this time.
_MADE_UP_FOR: Final = timedelta(hours=12)
#: How often the list of jobs is looked through for those that ended long ago.
_FORGETS_EVERY: Final = timedelta(hours=1)


def _run(project: Project, payload: Mapping[str, Any], show: _Show) -> Mapping[str, Any]:
    report = project.run(payload.get("as_of"), show, payload.get("import_sources", True))
    return {name: report[name] for name in ("run_id", "customers", "snapshot_id", "memberships_written")}


def _purge(project: Project, payload: Mapping[str, Any], show: _Show) -> Mapping[str, Any]:
    return project.people.purge()


def _check(project: Project, payload: Mapping[str, Any], show: _Show) -> Mapping[str, Any]:
    findings = project.store.check()
    if findings:
        raise EngineRefused(f"the store has {len(findings)} findings: {findings[0].message}", "tierwise store check")
    return {"findings": 0}


def _earn(project: Project, payload: Mapping[str, Any], show: _Show) -> Mapping[str, Any]:
    return project.points.earn(show)


def _settle(project: Project, payload: Mapping[str, Any], show: _Show) -> Mapping[str, Any]:
    return project.points.settle(show)


#: What is done for each kind of job.
_WORK: Final[Mapping[str, _Work]] = MappingProxyType(
    {"run": _run, "people.purge": _purge, "points.earn": _earn, "points.settle": _settle, "store.check": _check}
)


class _Interrupted(Exception):
    """The job in hand is to stop at this step."""


@dataclass
class _InHand:
    """The job a worker has in hand: its lease is prolonged by a thread of its own, its steps ask whether to go on."""

    jobs: Jobs
    job: Job
    lease: timedelta
    clock: Callable[[], datetime]
    stopping: threading.Event
    progress: dict[str, Any] | None = None
    cancelled: bool = False
    lost: bool = False
    _done: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> _InHand:
        self._thread = threading.Thread(target=self._prolong, name=f"lease of job {self.job.job_id}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def step(self, step: str, done: int, total: int) -> None:
        """Note a step, and stop here if the job was cancelled, was lost, or its worker is to stop."""
        self.progress = {"step": step, "done": done, "total": total}
        if self.cancelled or self.lost or self.stopping.is_set():
            raise _Interrupted

    def _prolong(self) -> None:
        """Prolong the lease three times in its length; without the store for its whole length it is lost."""
        held_until = time.monotonic() + self.lease.total_seconds()
        while not self._done.wait(self.lease.total_seconds() / 3):
            try:
                beat = self.jobs.heartbeat(self.job, self.clock(), self.lease, self.progress)
                held_until = time.monotonic() + self.lease.total_seconds()
                self.cancelled = beat.cancel_asked_at is not None
            except LeaseLost:
                self.lost = True
                return
            except TierwiseError:
                self.lost = time.monotonic() > held_until


class Worker:
    """Works off the jobs of one project.

    Args:
        folder: the project's folder.
        name: what tells this worker from every other one, also from the next of the same machine.
        clock: gives the current instant with its zone.
        lease: for how long a job is claimed; a worker that dies keeps its job as long.
        poll: how often the queue is looked at when it was empty.
        tell: called with a sentence when something begins, ends or goes wrong.
    """

    def __init__(
        self,
        folder: Path,
        name: str,
        clock: Callable[[], datetime],
        *,
        lease: timedelta = timedelta(seconds=60),
        poll: timedelta = timedelta(seconds=2),
        tell: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.folder = folder
        self.name = name
        self._clock = clock
        self._lease = lease
        self._poll = poll
        self._tell = tell
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._forgot: datetime | None = None

    def stop(self) -> None:
        """Ask the worker to stop: the job in hand stops at its next step and goes back to the queue.

        A waiting worker notices at its next look at the queue. Safe in a signal's handler: nothing waits for this
        event, so its lock is free, which that of the other one might not be.
        """
        self._stopping.set()

    def work_off(self) -> int:
        """Queue what is scheduled and due, do every job that is due, and return how many there were."""
        with self._open() as project:
            return self._work_off(project)

    def work(self) -> None:
        """Work until `stop`; wait for jobs when there is none."""
        scheduler = BackgroundScheduler(timezone=UTC)
        scheduler.add_job(self._wake.set, IntervalTrigger(seconds=self._poll.total_seconds(), timezone=UTC))
        scheduler.start()
        try:
            with self._open() as project:
                trouble = ""
                while not self._stopping.is_set():
                    self._wake.clear()
                    try:
                        self._work_off(project)
                        trouble = ""
                    except TierwiseError as error:  # a server that restarts, a file being edited: the next tick tries
                        if error.message != trouble:
                            self._tell(error.message)
                        trouble = error.message
                    self._wake.wait()
        finally:
            scheduler.shutdown(wait=False)

    def _open(self) -> Project:
        return open_project(self.folder, self._clock, Actor("worker", self.name))

    def _work_off(self, project: Project) -> int:
        self._queue_scheduled(project)
        self._forget_old(project)
        count = 0
        while not self._stopping.is_set() and self._next(project.store):
            count += 1
        return count

    def _queue_scheduled(self, project: Project) -> None:
        """Queue the newest slot of each schedule that has passed; one that is queued or done already stays so."""
        now, settings = self._clock(), project.definitions.settings
        for kind, line in settings.schedules.items():
            slot = latest_slot(line, settings.timezone, now - _MADE_UP_FOR, now)
            if slot is not None:
                project.jobs.add(kind, key=f"schedule:{kind}:{slot.astimezone(UTC).isoformat()}")

    def _forget_old(self, project: Project) -> None:
        """Take the jobs that ended long ago out of the list, now and then."""
        now, kept = self._clock(), parse_duration(project.definitions.settings.jobs_kept)
        assert kept is not None, "the settings have been checked"
        if self._forgot is None or now - self._forgot >= _FORGETS_EVERY:
            project.store.jobs.forget(now - timedelta(microseconds=kept.micros))
            self._forgot = now

    def _next(self, store: Store) -> bool:
        """Do the next job that is due; say whether there was one."""
        job = store.jobs.claim(self.name, self._clock(), self._lease, list(_WORK))
        if job is None:
            return False
        self._tell(f"job {job.job_id} ({job.kind}): begun, attempt {job.attempt} of {job.max_attempts}")
        self._tell(f"job {job.job_id} ({job.kind}): {self._do(store.jobs, job)}")
        store.audit.seal()
        return True

    def _do(self, jobs: Jobs, job: Job) -> str:
        """Do one job and record how it ended; return the words for it."""
        result: Mapping[str, Any] = {}
        failure: Exception | None = None
        with _InHand(jobs, job, self._lease, self._clock, self._stopping) as hand:
            try:
                with self._open() as project:  # of its own, so that the engine is let go of afterwards
                    result = _WORK[job.kind](project, job.payload, hand.step)
            except Exception as error:  # whatever happened, the row says how the job ended
                failure = error
        now = self._clock()
        try:
            if failure is None:
                jobs.finish(job, now, result)
                return "done"
            if not isinstance(failure, _Interrupted):
                jobs.fail(job, now, _spoken(failure), again=_again(failure))
                return f"failed: {_spoken(failure)}"
            if hand.cancelled:
                jobs.stop(job, now)
                return "cancelled"
            jobs.release(job, now)
            return "given back to the queue"
        except LeaseLost as lost:
            return lost.message


def _spoken(error: Exception) -> str:
    """Return what is written down of an error; of one that is a bug only its name: the text could be personal."""
    return error.message if isinstance(error, TierwiseError) else type(error).__name__


def _again(error: Exception) -> bool:
    """Whether another attempt may go better: somebody was in the way, or something of ours was short or away."""
    return isinstance(error, ProjectBusy) or not isinstance(error, TierwiseError) or error.status >= 500


def working_on() -> tuple[str, ...]:
    """Return the kinds of jobs a worker does; the definitions name the same ones.

    Example:
        >>> from tierwise.definitions.schedules import JOB_KINDS
        >>> set(working_on()) == set(JOB_KINDS)
        True
    """
    return tuple(_WORK)
