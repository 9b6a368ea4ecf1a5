"""A store is looked over: a good one has no findings, and each thing that is broken is found."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tierwise.errors import EngineRefused
from tierwise.store import Actor, Store

Raw = Callable[..., list[tuple[Any, ...]]]
AT = datetime(2026, 3, 1, 9, 30, tzinfo=UTC)
ANN = Actor("cli", "ann")


@pytest.fixture
def used(store: Store) -> Store:
    """A store in which something has happened."""
    for names in (["a", "b"], ["c", "d"]):
        store.ids.assign(pa.table({"key_space": ["crm"] * 2, "source_key": names}), actor=ANN, at=AT)
    store.runs.finish(store.runs.begin("run", ANN, AT), AT)
    store.jobs.enqueue("run", {}, ANN, AT)
    store.audit.seal()
    assert store.check() == []
    return store


@pytest.mark.parametrize(
    ("statement", "what", "says"),
    [
        ("DELETE FROM identities WHERE source_record_id = 2", "ids", "record 2 belongs to no customer"),
        ("UPDATE identities SET to_version = 9 WHERE source_record_id = 1", "ids", "in a version that never was"),
        (
            "INSERT INTO identities (source_record_id, from_version, to_version, customer_id) VALUES (3, 1, NULL, 9)",
            "ids",
            "record 3 has two customers",
        ),
        ("UPDATE sequences SET next_id = 3 WHERE name = 'customer_id'", "numbers", "next customer_id would be 3"),
        ("DELETE FROM sequences WHERE name = 'job_id'", "numbers", "next job_id would be None"),
        ("DROP INDEX ix_jobs_state_run_at", "schema", "ix_jobs_state_run_at"),
        ("ALTER TABLE jobs ADD COLUMN more TEXT", "schema", "more"),
        ("DROP TABLE run_steps", "schema", "run_steps"),
    ],
)
def test_what_is_broken_is_found(used: Store, raw: Raw, statement: str, what: str, says: str) -> None:
    prepare = ["DROP INDEX uq_identities_current"] if "INSERT" in statement else []
    raw(*prepare, statement)
    findings = used.check()
    if prepare:  # the schema stands in front of what its index would have refused
        assert [finding.what for finding in findings] == ["schema"]
        raw(
            "CREATE UNIQUE INDEX uq_identities_current ON identities (source_record_id) "
            "WHERE to_version IS NULL AND from_version > 1"
        )
        findings = used.check()
    assert any(finding.what == what and says in finding.message for finding in findings), findings


@pytest.mark.parametrize("part", [0.1, 0.5, 0.9])
def test_a_page_that_was_overwritten_is_found(path: Path, part: float) -> None:
    with Store.open(path) as store:
        names = [f"c{number}" for number in range(2_000)]
        store.ids.assign(pa.table({"key_space": ["crm"] * len(names), "source_key": names}))
    page = int(path.stat().st_size * part) // 4096
    with path.open("r+b") as file:
        file.seek(page * 4096)
        file.write(b"\xff" * 4096)
    try:
        with Store.open(path) as store:
            assert "file" in [finding.what for finding in store.check()]
    except EngineRefused as refused:
        assert "not a readable store" in refused.message


def test_the_audit_is_looked_over_too(used: Store) -> None:
    assert used.audit.anchor is None or used.audit.anchor.exists()
    if used.audit.anchor is not None:
        used.audit.anchor.unlink()
        assert [finding.what for finding in used.check()] == ["anchor"]
