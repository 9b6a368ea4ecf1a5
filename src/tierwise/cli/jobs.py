"""Work done later: jobs (list, show, add, cancel, retry) and the worker that does it."""

from __future__ import annotations

import os
import signal
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tierwise.cli.context import CONTEXT
from tierwise.cli.tied import TIED, end_with_input

if TYPE_CHECKING:
    from tierwise.store import Job

__all__ = ["add_check", "add_purge", "add_run", "cancel", "list_jobs", "register", "retry", "show_job", "worker"]

_jobs = typer.Typer(no_args_is_help=True, help="Work that a worker does later.")
_add = typer.Typer(no_args_is_help=True, help="Put a job in the queue.")


def register(app: typer.Typer) -> None:
    """Add the commands."""
    _jobs.command("list")(list_jobs)
    _jobs.command("show")(show_job)
    _jobs.command()(cancel)
    _jobs.command()(retry)
    _add.command("run")(add_run)
    _add.command("people.purge")(add_purge)
    _add.command("store.check")(add_check)
    _jobs.add_typer(_add, name="add")
    app.add_typer(_jobs, name="jobs")
    app.command()(worker)


def list_jobs(
    state: str = typer.Option("", help="Only those in a state: queued, running, done, failed, cancelled."),
    limit: int = typer.Option(20, min=1, help="At most so many, the newest."),
) -> None:
    """List the jobs, newest first, with how far they are."""
    context = CONTEXT.get()
    with context.open() as project:
        found = [_as_row(job) for job in project.jobs.list(limit, state=state or None)]
    if context.json:
        context.print_json(found)
        return
    shown = [{**row, "progress": _progress(row["progress"])} for row in found]
    context.rows(shown, ["job_id", "kind", "state", "attempt", "run_at", "progress", "actor", "error"], {})


def show_job(job_id: int = typer.Argument(..., help="The job's number.")) -> None:
    """Show one job with everything that is known of it."""
    context = CONTEXT.get()
    with context.open() as project:
        row = _as_row(project.jobs.get(job_id))
    _print(row)


def cancel(job_id: int = typer.Argument(..., help="The job's number.")) -> None:
    """Cancel a job: one that waits ends at once, one that is worked on stops at its next step."""
    context = CONTEXT.get()
    with context.open() as project:
        row = _as_row(project.jobs.cancel(job_id))
    _print(row)


def retry(job_id: int = typer.Argument(..., help="The job's number.")) -> None:
    """Put a job that failed or was cancelled back in the queue."""
    context = CONTEXT.get()
    with context.open() as project:
        row = _as_row(project.jobs.retry(job_id))
    _print(row)


_KEY = typer.Option("", help="A name for this one wish: asking twice with it is asking once.")


def add_run(
    as_of: str = typer.Option("", help="now, latest row, a date or an instant; by default what tierwise.yaml says."),
    no_import: bool = typer.Option(False, "--no-import", help="Compute from what the lake has; read no file."),
    key: str = _KEY,
) -> None:
    """Import what is new and put every customer in their tiers."""
    _put("run", ({"as_of": as_of} if as_of else {}) | ({"import_sources": False} if no_import else {}), key)


def add_purge(key: str = _KEY) -> None:
    """Destroy the keys of quarantined originals that are older than 90 days."""
    _put("people.purge", {}, key)


def add_check(key: str = _KEY) -> None:
    """Look over everything that must always hold in the store."""
    _put("store.check", {}, key)


def _put(kind: str, payload: dict[str, Any], key: str) -> None:
    with CONTEXT.get().open() as project:
        row = _as_row(project.jobs.add(kind, payload, key=key or None))
    _print(row)


def worker(
    once: bool = typer.Option(False, "--once", help="Do what is due now, then end."),
    lease: int = typer.Option(60, min=3, help="Seconds after which the job of a worker that died is taken over."),
    tied: bool = typer.Option(False, "--tied", help=TIED),
) -> None:
    """Work off jobs and what tierwise.yaml schedules, until it is told to stop (Ctrl-C, SIGTERM)."""
    # Imported late: only this command needs a scheduler.
    from tierwise.worker import Worker

    context = CONTEXT.get()
    with context.open() as project:
        folder: Path = project.folder
        project.store.revision()  # a project or store that cannot be opened is refused before anything is claimed
    begun = _now()
    name = f"{socket.gethostname()}.{os.getpid()}.{begun:%Y%m%dT%H%M%S}"
    seconds = timedelta(seconds=lease)
    working = Worker(folder, name, _now, lease=seconds, tell=context.tell)
    for stop in (signal.SIGTERM, signal.SIGINT):
        signal.signal(stop, lambda number, frame: working.stop())
    if tied:
        end_with_input()
    if not once:
        context.tell(f"worker {name}")
        working.work()
        return
    count = working.work_off()
    if context.json:
        context.print_json({"worker": name, "jobs": count})


def _now() -> datetime:
    return datetime.now(UTC)


def _as_row(job: Job) -> dict[str, Any]:
    return {name: getattr(job, name) for name in job.__dataclass_fields__} | {"actor": str(job.actor)}


def _print(row: dict[str, Any]) -> None:
    context = CONTEXT.get()
    if context.json:
        context.print_json(row)
        return
    shown = [{"": name, " ": str(value)} for name, value in row.items() if value not in (None, {})]
    context.rows(shown, ["", " "], {})


def _progress(progress: Any) -> str:
    return f"{progress['step']} {progress['done']}/{progress['total']}" if progress else ""
