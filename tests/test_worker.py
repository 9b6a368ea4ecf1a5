"""The worker on a real project: jobs done, schedules queued once, a killed worker's job taken over, a graceful stop."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.projects import NOW, ORDERS, TIERS, Brand, csv
from tierwise.definitions.schedules import JOB_KINDS
from tierwise.store import Actor, Job, Store
from tierwise.worker import Worker, working_on

FILES = {
    "sources/orders.yaml": ORDERS,
    "definitions/tiers.yaml": TIERS,
    "data/orders.csv": csv("customer,time,id,amount", "c1,2026-05-01,1,120", "c2,2026-05-02,2,30"),
}

POINTS = "points:\n  club: {expires: 1y, earn: {purchases: {from: orders, amount: kept_amount, per: 10, points: 1}}}\n"


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path, FILES)


@pytest.fixture
def store(brand: Brand) -> Iterator[Store]:
    """The brand's store, as another process sees it."""
    with Store.open(brand.folder / "store" / "tierwise.db") as opened:
        yield opened


def _worker(brand: Brand, name: str = "w1", at: datetime = NOW, **options: Any) -> Worker:
    return Worker(brand.folder, name, lambda: at, **options)


def _wait(condition: Callable[[], bool], what: str, seconds: float = 120) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited for: {what}"
        time.sleep(0.05)


def test_the_kinds_are_the_declared_ones() -> None:
    assert set(working_on()) == set(JOB_KINDS)


def test_a_run_is_done_and_told(brand: Brand, store: Store) -> None:
    with brand.open() as project:
        job = project.jobs.add("run", {"as_of": "2026-05-31"}, key="first")
        assert project.jobs.add("run", {"as_of": "2026-05-31"}, key="first").job_id == job.job_id
    told: list[str] = []
    assert _worker(brand, tell=told.append).work_off() == 1
    done = store.jobs.get(job.job_id)
    assert (done.state, done.attempt, done.result and done.result["customers"]) == ("done", 1, 2)
    assert told == ["job 1 (run): begun, attempt 1 of 3", "job 1 (run): done"]
    assert brand.values("customers", "customer_key", "value") == [("c1", "high"), ("c2", "some")]
    run = store.runs.latest()
    assert run is not None
    assert str(run.actor) == "worker:w1"
    assert store.check() == []


def test_every_kind_is_done(brand: Brand, store: Store) -> None:
    brand.write({"definitions/points.yaml": POINTS})
    with brand.open() as project:
        jobs = [project.jobs.add(kind).job_id for kind in JOB_KINDS]
    assert _worker(brand).work_off() == len(jobs)
    assert [store.jobs.get(job_id).state for job_id in jobs] == ["done"] * len(jobs)


def test_what_another_attempt_would_not_change_fails_at_once(brand: Brand, store: Store) -> None:
    with brand.open() as project:
        project.jobs.add("run", {"as_of": "tomorrow"})
    _worker(brand).work_off()
    failed = store.jobs.get(1)
    assert (failed.state, failed.attempt) == ("failed", 1)
    assert "is not an instant" in str(failed.error)


def test_a_store_with_findings_fails_its_check_and_is_tried_again(brand: Brand, store: Store) -> None:
    with brand.open() as project:
        project.jobs.add("store.check")
    store.audit.seal()
    assert store.audit.anchor is not None
    store.audit.anchor.unlink()
    assert _worker(brand).work_off() == 1
    waiting = store.jobs.get(1)
    assert (waiting.state, waiting.attempt, waiting.run_at) == ("queued", 1, NOW + timedelta(seconds=30))
    assert "1 findings" in str(waiting.error)


def test_a_bug_is_named_without_its_words(brand: Brand, store: Store) -> None:
    """The text of an unexpected error may hold a customer's data."""
    store.jobs.enqueue("run", {"as_of": ["13800138000"]}, Actor("cli", "ann"), NOW)
    _worker(brand).work_off()
    job = store.jobs.get(1)
    assert job.state == "queued"
    assert str(job.error).endswith("Error")
    assert "13800138000" not in str(job.error)


def test_a_job_is_cancelled_at_its_next_step(brand: Brand, store: Store) -> None:
    with brand.open() as project:
        project.jobs.add("run")

    def cancel(sentence: str) -> None:
        if "begun" in sentence:
            with brand.open() as project:
                project.jobs.cancel(1)

    # The lease is so short that the worker hears of it within ten milliseconds, long before the last step.
    _worker(brand, lease=timedelta(seconds=0.03), tell=cancel).work_off()
    assert store.jobs.get(1).state == "cancelled"
    assert [entry.action for entry in store.audit.list(2)] == ["job.end", "run.end"]


def test_a_worker_that_is_to_stop_gives_its_job_back(brand: Brand, store: Store) -> None:
    with brand.open() as project:
        project.jobs.add("run")
    told: list[str] = []

    def tell(sentence: str) -> None:
        told.append(sentence)
        worker.stop()

    worker = _worker(brand, tell=tell)
    worker.work()
    assert told[-1] == "job 1 (run): given back to the queue"
    assert (store.jobs.get(1).state, store.jobs.get(1).attempt) == ("queued", 0)
    assert _worker(brand, "w2").work_off() == 1
    assert store.jobs.get(1).state == "done"


# -- schedules ----------------------------------------------------------------------------------------------------------

SCHEDULED = "name: test\ntimezone: Asia/Shanghai\nschedules: {store.check: '0 3 * * *'}\n"
THREE = datetime(2026, 5, 31, 19, tzinfo=UTC)  # three o'clock on 1 June in Shanghai


def test_a_worker_forgets_jobs_as_declared(brand: Brand, store: Store) -> None:
    with brand.open() as project:
        project.jobs.cancel(project.jobs.add("store.check").job_id)
    _worker(brand, at=NOW + timedelta(days=89)).work_off()
    assert len(store.jobs.list()) == 1
    brand.write({"tierwise.yaml": "name: test\njobs_kept: 88d\n"})
    _worker(brand, at=NOW + timedelta(days=89)).work_off()
    assert store.jobs.list() == []


@pytest.mark.parametrize("length", ["5", "12h", "1mo", "soon"])
def test_a_wrong_length_for_jobs_is_a_problem(brand: Brand, length: str) -> None:
    brand.write({"tierwise.yaml": f"name: test\njobs_kept: '{length}'\n"})
    (problem,) = brand.problems()
    assert (problem.where.line, "at least a day" in problem.message) == (2, True)


def test_a_slot_is_queued_once_whoever_comes(brand: Brand, store: Store) -> None:
    brand.write({"tierwise.yaml": SCHEDULED})
    workers = [_worker(brand, f"w{number}", NOW) for number in range(3)]
    threads = [threading.Thread(target=worker.work_off) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (job,) = store.jobs.list()
    assert (job.kind, job.idempotency_key, job.state) == (
        "store.check",
        f"schedule:store.check:{THREE.isoformat()}",
        "done",
    )
    assert _worker(brand, at=NOW + timedelta(hours=5)).work_off() == 0
    assert _worker(brand, at=THREE + timedelta(days=1, minutes=1)).work_off() == 1


def test_a_slot_long_past_is_not_made_up_for(brand: Brand, store: Store) -> None:
    brand.write({"tierwise.yaml": SCHEDULED})
    assert _worker(brand, at=THREE + timedelta(hours=13)).work_off() == 0
    assert store.jobs.list() == []


@pytest.mark.parametrize(
    ("schedules", "says"),
    [
        ("{rum: '0 3 * * *'}", "there is no job `rum`"),
        ("{run: '0 3 * *'}", "has five fields"),
        ("{run: '61 3 * * *'}", "is no cron line"),
        ("{run: '0 3 * * 1'}", "a weekday is written mon, tue"),
    ],
)
def test_a_wrong_schedule_is_a_problem_with_its_place(brand: Brand, schedules: str, says: str) -> None:
    brand.write({"tierwise.yaml": f"name: test\nschedules: {schedules}\n"})
    with brand.open() as project:
        (problem,) = project.check()
    assert says in problem.message
    assert str(problem.where).startswith("tierwise.yaml:2")


def test_a_schedule_changes_no_answer(brand: Brand) -> None:
    with brand.open() as project:
        before = project.definitions.digest
    brand.write({"tierwise.yaml": "name: test\nschedules: {run: '0 3 * * *'}\n"})
    with brand.open() as project:
        assert project.definitions.digest == before


# -- processes ----------------------------------------------------------------------------------------------------------


def _start(brand: Brand, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", "from tierwise.cli import main; main()", "--project", str(brand.folder), "worker"]
    environment = {**os.environ, "LANG": "en_US.UTF-8"}
    return subprocess.Popen(
        [*command, *words], stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    )


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_a_killed_workers_job_is_taken_over_and_sigterm_ends_a_worker(brand: Brand, store: Store) -> None:
    """The first worker is stopped dead in the middle of its job; the second waits for the lease, and does it."""
    brand.write({"data/orders.csv": csv("customer,time,id,amount", *(f"c{n},2026-05-01,{n},9" for n in range(30_000)))})
    with brand.open() as project:
        project.jobs.add("run")

    def job() -> Job:
        return store.jobs.get(1)

    first = _start(brand, "--lease", "3")
    _wait(lambda: job().state == "running", "the first worker has the job")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert job().state == "running", "nobody has heard of the death"
    second = _start(brand, "--lease", "3")
    _wait(lambda: job().state == "done", "the second worker has done it")
    assert job().attempt == 2
    second.send_signal(signal.SIGTERM)
    _, told = second.communicate(timeout=60)
    assert second.returncode == 0, told
    assert "job 1 (run): begun, attempt 2 of 3" in told
    assert store.check() == []
