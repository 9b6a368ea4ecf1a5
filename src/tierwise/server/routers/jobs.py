"""Runs, and the jobs that do them: asked for, watched, cancelled, tried again."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Any, Final

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import Field
from starlette.concurrency import run_in_threadpool

from tierwise.definitions.plain import plain
from tierwise.server.access import Caller, who_may
from tierwise.server.routers.answering import Body
from tierwise.store import Job, Run

__all__ = ["RunAsked", "cancel", "job", "jobs", "retry", "router", "run", "runs", "start_run", "watch"]

router = APIRouter(prefix="/v1", tags=["runs and jobs"])
_READ, _WRITE = who_may("jobs.read"), who_may("jobs.write")
_LOOK_SECONDS: Final = 0.5
#: So that no proxy takes a quiet stream for a dead one.
_SIGN_OF_LIFE_SECONDS: Final = 15.0
_ENDED: Final = ("done", "failed", "cancelled")


class RunAsked(Body):
    """What a run is to be."""

    as_of: str | None = Field(None, max_length=40, examples=["2026-03-01"])
    import_sources: bool = True


@router.post("/runs", status_code=202)
def start_run(
    asked: RunAsked,
    response: Response,
    idempotency_key: str | None = Header(None, max_length=255),
    caller: Caller = _WRITE,
) -> dict[str, Any]:
    """Ask for a run; a worker does it. The same `Idempotency-Key` asks for the same one."""
    payload: dict[str, Any] = {"as_of": asked.as_of} if asked.as_of is not None else {}
    payload |= {} if asked.import_sources else {"import_sources": False}
    key = None if idempotency_key is None else f"{caller.actor}:{idempotency_key}"
    job = caller.project.jobs.add("run", payload, key=key)
    response.headers["Location"] = f"/v1/jobs/{job.job_id}"
    return _job(job)


@router.get("/runs")
def runs(limit: int = Query(20, ge=1, le=1000), caller: Caller = _READ) -> dict[str, Any]:
    """Return the newest runs, newest first."""
    return {"items": [_run(run) for run in caller.project.store.runs.list(limit)]}


@router.get("/runs/{run_id}")
def run(run_id: int, caller: Caller = _READ) -> dict[str, Any]:
    """Return one run with its report."""
    return _run(caller.project.store.runs.get(run_id))


@router.get("/jobs")
def jobs(state: str | None = None, limit: int = Query(20, ge=1, le=1000), caller: Caller = _READ) -> dict[str, Any]:
    """Return the newest jobs, newest first, if need be only those in a state."""
    return {"items": [_job(job) for job in caller.project.jobs.list(limit, state=state)]}


@router.get("/jobs/{job_id}")
def job(job_id: int, caller: Caller = _READ) -> dict[str, Any]:
    """Return one job with how far it is."""
    return _job(caller.project.jobs.get(job_id))


@router.post("/jobs/{job_id}/cancel")
def cancel(job_id: int, caller: Caller = _WRITE) -> dict[str, Any]:
    """Cancel a job: one that waits ends at once, one that is worked on stops at its next step."""
    return _job(caller.project.jobs.cancel(job_id))


@router.post("/jobs/{job_id}/retry")
def retry(job_id: int, caller: Caller = _WRITE) -> dict[str, Any]:
    """Put a job that failed or was cancelled back in the queue."""
    return _job(caller.project.jobs.retry(job_id))


@router.get("/jobs/{job_id}/events", response_class=StreamingResponse)
async def watch(job_id: int, request: Request, caller: Caller = _READ) -> StreamingResponse:
    """Stream a job's state as server-sent events whenever it changes, until it has ended."""
    first = await run_in_threadpool(caller.project.jobs.get, job_id)

    async def told() -> AsyncIterator[str]:
        said, quiet, found = "", 0.0, first
        stopping: threading.Event = request.app.state.stopping
        while not stopping.is_set() and not await request.is_disconnected():
            text = json.dumps(_job(found), ensure_ascii=False)
            if text != said:
                said, quiet = text, 0.0
                yield f"event: job\ndata: {text}\n\n"
            elif quiet >= _SIGN_OF_LIFE_SECONDS:
                quiet = 0.0
                yield ": still here\n\n"
            if found.state in _ENDED:
                return
            await asyncio.sleep(_LOOK_SECONDS)
            quiet += _LOOK_SECONDS
            found = await run_in_threadpool(caller.project.jobs.get, job_id)

    return StreamingResponse(told(), media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _job(found: Job) -> dict[str, Any]:
    row: dict[str, Any] = plain({**asdict(found), "actor": str(found.actor)})
    return row


def _run(found: Run) -> dict[str, Any]:
    row: dict[str, Any] = plain({**asdict(found), "actor": str(found.actor)})
    return row
