"""Runs: begun, stepped through, ended once; what a killed run leaves lets the next one resume."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.store import Actor, Store

AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
ANN = Actor("cli", "ann")


def test_a_run_from_beginning_to_end(store: Store) -> None:
    run_id = store.runs.begin("run", ANN, AT, as_of=AT - timedelta(days=1), definitions_hash="d1", lake_version="7")
    store.runs.step(run_id, "import", {"rows": 10})
    store.runs.step(run_id, "tags")
    store.runs.finish(run_id, AT + timedelta(seconds=3), {"顾客": 42}, snapshot_id="s1")
    run = store.runs.get(run_id)
    assert (run.run_id, run.kind, run.state, run.step) == (1, "run", "done", "tags")
    assert (run.as_of, run.started_at, run.ended_at) == (AT - timedelta(days=1), AT, AT + timedelta(seconds=3))
    assert (run.snapshot_id, run.definitions_hash, run.lake_version) == ("s1", "d1", "7")
    assert (run.actor, run.report, run.error) == (ANN, {"顾客": 42}, None)
    assert list(run.steps.items()) == [("import", {"rows": 10}), ("tags", None)]


def test_a_killed_run_is_found_with_its_steps(where: str) -> None:
    with Store.open(where) as store:
        run_id = store.runs.begin("run", ANN, AT)
        store.runs.step(run_id, "import", [1, 2])
    with Store.open(where) as store:
        found = store.runs.latest(state="running", kind="run")
        assert found is not None
        assert (found.run_id, found.step, dict(found.steps)) == (run_id, "import", {"import": [1, 2]})
        store.runs.fail(run_id, AT, "killed")
        assert store.runs.latest(state="running") is None
        failed = store.runs.latest()
        assert failed is not None
        assert (failed.state, failed.error) == ("failed", "killed")


def test_a_step_done_again_replaces_its_note(store: Store) -> None:
    run_id = store.runs.begin("run", ANN, AT)
    for payload in (1, 2):
        store.runs.step(run_id, "tags", payload)
    assert dict(store.runs.get(run_id).steps) == {"tags": 2}


def test_the_newest_first(store: Store) -> None:
    assert store.runs.latest() is None
    for kind in ("run", "refresh", "run"):
        store.runs.begin(kind, ANN, AT)
    assert [run.run_id for run in store.runs.list()] == [3, 2, 1]
    assert [run.run_id for run in store.runs.list(2)] == [3, 2]
    assert [run.run_id for run in store.runs.list(kind="run")] == [3, 1]


def test_what_has_ended_is_not_changed(store: Store) -> None:
    run_id = store.runs.begin("run", ANN, AT)
    store.runs.finish(run_id, AT)
    with pytest.raises(BadRequest, match="has ended"):
        store.runs.fail(run_id, AT, "too late")
    with pytest.raises(BadRequest, match="has ended"):
        store.runs.step(run_id, "tags")
    assert not store.runs.get(run_id).steps


def test_unknown_runs_and_states_are_refused(store: Store) -> None:
    with pytest.raises(UnknownName, match="no run 9"):
        store.runs.get(9)
    with pytest.raises(UnknownName, match="no run 9"):
        store.runs.finish(9, AT)
    with pytest.raises(BadRequest, match="never `finished`"):
        store.runs.latest(state="finished")


def test_instants_are_utc_and_need_a_zone(store: Store) -> None:
    shanghai = timezone(timedelta(hours=8))
    run_id = store.runs.begin("run", ANN, datetime(2026, 3, 1, 8, tzinfo=shanghai))
    assert store.runs.get(run_id).started_at == datetime(2026, 3, 1, tzinfo=UTC)
    with pytest.raises(Exception, match="needs a time zone"):
        store.runs.begin("run", ANN, datetime(2026, 3, 1))
