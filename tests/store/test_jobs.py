"""Jobs: asked for once, claimed by one, taken over when a worker dies, ended once."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from tierwise.errors import BadRequest, LeaseLost, UnknownName
from tierwise.store import Actor, Job, Store

AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANN = Actor("cli", "ann")
LEASE = timedelta(minutes=1)
KINDS = ("run",)


def _add(store: Store, payload: dict[str, object] | None = None, **options: object) -> Job:
    return store.jobs.enqueue("run", payload or {}, ANN, AT, **options)  # type: ignore[arg-type]


def _claim(store: Store, worker: str = "w1", at: datetime = AT) -> Job | None:
    return store.jobs.claim(worker, at, LEASE, KINDS)


def _claimed(store: Store, worker: str = "w1", at: datetime = AT) -> Job:
    job = _claim(store, worker, at)
    assert job is not None
    return job


def test_a_job_from_beginning_to_end(store: Store) -> None:
    job = _add(store, {"as_of": "now", "顾客": 1})
    assert (job.job_id, job.state, job.attempt, job.run_at, job.actor) == (1, "queued", 0, AT, ANN)
    claimed = _claimed(store)
    assert (claimed.job_id, claimed.state, claimed.worker, claimed.attempt) == (1, "running", "w1", 1)
    assert (claimed.lease_until, claimed.payload) == (AT + LEASE, {"as_of": "now", "顾客": 1})
    later = store.jobs.heartbeat(claimed, AT + timedelta(seconds=20), LEASE, {"step": "tags", "done": 1, "total": 3})
    assert later.lease_until == AT + timedelta(seconds=80)
    assert store.jobs.get(1).progress == {"step": "tags", "done": 1, "total": 3}
    store.jobs.finish(claimed, AT + timedelta(seconds=30), {"run_id": 7})
    done = store.jobs.get(1)
    assert (done.state, done.result, done.worker, done.lease_until) == ("done", {"run_id": 7}, None, None)
    assert _claim(store) is None


def test_asking_twice_with_a_key_is_asking_once(store: Store) -> None:
    first = _add(store, {"n": 1}, key="nightly")
    assert _add(store, {"n": 1}, key="nightly") == first
    store.jobs.finish(_claimed(store), AT)
    assert _add(store, {"n": 1}, key="nightly").state == "done"
    assert len(store.jobs.list()) == 1
    with pytest.raises(BadRequest, match="already stands for job 1"):
        _add(store, {"n": 2}, key="nightly")


def test_many_who_ask_at_once_with_a_key_make_one_job(store: Store, where: str) -> None:
    made: list[int] = []

    def ask() -> None:
        with Store.open(where) as mine:
            made.append(_add(mine, key="slot").job_id)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 6
    assert len(set(made)) == len(store.jobs.list()) == 1


def test_what_is_due_longest_comes_first_and_nothing_before_its_time(store: Store) -> None:
    _add(store, run_at=AT + timedelta(hours=2))
    _add(store, run_at=AT + timedelta(hours=1))
    store.jobs.enqueue("other", {}, ANN, AT)
    assert _claim(store) is None
    assert _claimed(store, at=AT + timedelta(hours=3)).job_id == 2
    assert _claimed(store, at=AT + timedelta(hours=3)).job_id == 1


def test_two_workers_never_have_one_job(store: Store, where: str) -> None:
    count = 24
    for _ in range(count):
        _add(store)
    taken: list[tuple[int, int]] = []

    def work(name: str) -> None:
        with Store.open(where) as mine:
            while (job := _claim(mine, name)) is not None:
                taken.append((job.job_id, job.attempt))
                mine.jobs.finish(job, AT)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [(number, 1) for number in range(1, count + 1)]


def test_a_lease_that_ran_out_is_taken_over_and_the_first_worker_is_locked_out(store: Store) -> None:
    _add(store)
    first = _claimed(store, "w1")
    assert _claim(store, "w2", AT + LEASE) is None, "the lease holds up to its last moment"
    second = _claimed(store, "w2", AT + LEASE + timedelta(seconds=1))
    assert (second.job_id, second.attempt, second.worker) == (1, 2, "w2")
    for late in (
        lambda: store.jobs.heartbeat(first, AT + LEASE * 2, LEASE),
        lambda: store.jobs.finish(first, AT + LEASE * 2),
        lambda: store.jobs.fail(first, AT + LEASE * 2, "late", again=True),
        lambda: store.jobs.release(first, AT + LEASE * 2),
        lambda: store.jobs.stop(first, AT + LEASE * 2),
    ):
        with pytest.raises(LeaseLost, match="no longer worked on by w1"):
            late()
    store.jobs.finish(second, AT + LEASE * 2)


def test_a_worker_that_comes_back_late_but_first_still_ends_its_job(store: Store) -> None:
    _add(store)
    job = _claimed(store)
    store.jobs.finish(job, AT + LEASE * 5)
    assert store.jobs.get(1).state == "done"


def test_a_job_whose_workers_all_die_is_left_failed(store: Store) -> None:
    _add(store, max_attempts=2)
    at = AT
    for number in (1, 2):
        assert _claimed(store, f"w{number}", at).attempt == number
        at += LEASE * 2
    assert _claim(store, "w3", at) is None
    failed = store.jobs.get(1)
    assert (failed.state, failed.error, failed.ended_at) == ("failed", "its worker died (w2)", at)


def test_a_failed_attempt_waits_before_the_next(store: Store) -> None:
    _add(store)
    at = AT
    for pause in (30, 120):
        store.jobs.fail(_claimed(store, at=at), at, "project busy", again=True)
        waiting = store.jobs.get(1)
        assert (waiting.state, waiting.error) == ("queued", "project busy")
        assert _claim(store, at=at) is None
        at += timedelta(seconds=pause)
        assert waiting.run_at == at
    store.jobs.fail(_claimed(store, at=at), at, "still busy", again=True)
    assert (store.jobs.get(1).state, store.jobs.get(1).error) == ("failed", "still busy")


def test_what_no_other_attempt_would_change_fails_at_once(store: Store) -> None:
    _add(store)
    store.jobs.fail(_claimed(store), AT, "definitions invalid", again=False)
    assert (store.jobs.get(1).state, store.jobs.get(1).attempt) == ("failed", 1)


def test_a_job_given_back_has_lost_no_attempt(store: Store) -> None:
    _add(store)
    store.jobs.release(_claimed(store), AT)
    assert (store.jobs.get(1).state, store.jobs.get(1).attempt) == ("queued", 0)
    assert _claimed(store, "w2").attempt == 1


def test_cancelling(store: Store) -> None:
    for _ in range(3):
        _add(store)
    assert store.jobs.cancel(1, ANN, AT).state == "cancelled"
    running = _claimed(store)
    assert running.job_id == 2
    assert store.jobs.cancel(2, ANN, AT).state == "running"
    assert store.jobs.heartbeat(running, AT, LEASE).cancel_asked_at == AT
    store.jobs.stop(running, AT)
    assert store.jobs.get(2).state == "cancelled"
    with pytest.raises(BadRequest, match=r"has ended \(cancelled\)"):
        store.jobs.cancel(2, ANN, AT)
    _claimed(store)
    store.jobs.cancel(3, ANN, AT)
    assert _claim(store, "w2", AT + LEASE * 2) is None, "its worker died, and nobody wants it any more"
    assert store.jobs.get(3).state == "cancelled"


def test_trying_again(store: Store) -> None:
    _add(store, max_attempts=1)
    with pytest.raises(BadRequest, match="is queued"):
        store.jobs.retry(1, ANN, AT)
    store.jobs.fail(_claimed(store), AT, "no room", again=True)
    later = AT + timedelta(hours=1)
    again = store.jobs.retry(1, ANN, later)
    assert (again.state, again.attempt, again.run_at, again.error) == ("queued", 0, later, None)
    store.jobs.finish(_claimed(store, at=later), later)
    with pytest.raises(BadRequest, match="is done"):
        store.jobs.retry(1, ANN, later)


def test_jobs_that_ended_long_ago_are_forgotten(store: Store) -> None:
    for key in ("done", "failed", "cancelled", "later"):
        store.jobs.enqueue("run", {}, ANN, AT, key=key)
    done, failed = (store.jobs.claim("w1", AT, LEASE, ["run"]) for _ in range(2))
    assert done is not None and failed is not None
    store.jobs.finish(done, AT)
    store.jobs.fail(failed, AT, "wrong", again=False)
    store.jobs.cancel(3, ANN, AT + timedelta(days=2))
    assert store.jobs.forget(AT) == 0
    assert store.jobs.forget(AT + timedelta(days=1)) == 2
    assert [(job.job_id, job.state) for job in store.jobs.list()] == [(4, "queued"), (3, "cancelled")]
    assert store.jobs.enqueue("run", {}, ANN, AT, key="done").job_id == 5, "a number is never given again"


def test_unknown_jobs_and_states_are_refused(store: Store) -> None:
    with pytest.raises(UnknownName, match="no job 9"):
        store.jobs.get(9)
    with pytest.raises(UnknownName, match="no job 9"):
        store.jobs.cancel(9, ANN, AT)
    with pytest.raises(BadRequest, match="did you mean `queued`"):
        store.jobs.list(state="qeued")
    _add(store)
    assert [job.job_id for job in store.jobs.list(state="queued")] == [1]
    assert store.jobs.list(state="failed") == []
