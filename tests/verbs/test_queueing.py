"""Asking for work: only what a worker can do, with the parameters it takes."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.projects import NOW, Brand
from tierwise.errors import BadRequest, UnknownName


def test_jobs_hang_on_the_facade_with_clock_and_actor(tmp_path: Path) -> None:
    with Brand(tmp_path).open() as project:
        job = project.jobs.add("run", {"as_of": "2026-05-31"}, run_at=NOW + timedelta(hours=1))
        assert (job.enqueued_at, job.run_at, str(job.actor)) == (NOW, NOW + timedelta(hours=1), "system")
        assert project.jobs.list(state="queued") == [project.jobs.get(job.job_id)] == [job]
        assert project.jobs.cancel(job.job_id).state == "cancelled"
        assert project.jobs.retry(job.job_id).state == "queued"


def test_what_no_worker_does_is_refused(tmp_path: Path) -> None:
    with Brand(tmp_path).open() as project:
        with pytest.raises(UnknownName, match="did you mean `run`"):
            project.jobs.add("rum")
        with pytest.raises(BadRequest, match="did you mean `as_of`"):
            project.jobs.add("run", {"asof": "now"})
        with pytest.raises(BadRequest, match="it takes none"):
            project.jobs.add("store.check", {"deep": True})
        assert project.jobs.list() == []
