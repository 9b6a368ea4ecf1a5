"""The audit: written with the deed, chained afterwards, and whatever is done to it behind its back shows."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tierwise.store import Actor, Audit, Store, Vault
from tierwise.store.transactions import Transactions

Raw = Callable[..., list[tuple[Any, ...]]]
AT = datetime(2026, 3, 1, 9, 30, 0, 123456, tzinfo=UTC)
ANN = Actor("cli", "ann")
COUNT = 9


@pytest.fixture
def anchor(tmp_path: Path) -> Path:
    """Where the anchor is."""
    return tmp_path / "audit.anchor"


@pytest.fixture
def audit(store: Store, where: str, anchor: Path) -> Audit:
    """The audit of a new store, with an anchor also on PostgreSQL."""
    return Audit(store._transactions, anchor)


@pytest.fixture
def sealed(audit: Audit) -> Audit:
    """Nine entries in three batches."""
    for number in range(COUNT):
        audit.record(AT + timedelta(seconds=number), ANN, "test.do", f"thing:{number}", {"顾客": number, "share": 0.1})
        if number % 3 == 2:
            assert audit.seal() == 3
    assert audit.verify().findings == []
    return audit


def _thaw(where: str) -> list[str]:
    """Return what an intruder does first: take away the triggers that refuse changes."""
    tables = ("audit_entries", "audit_seals")
    if "://" in where:
        return [f"DROP TRIGGER {table}_frozen ON {table}" for table in tables]
    return [f"DROP TRIGGER {table}_{event}" for table in tables for event in ("UPDATE", "DELETE")]


def test_an_entry_is_kept_as_written(audit: Audit) -> None:
    audit.record(AT, ANN, "test.do", "thing:1", {"顾客": 3})
    (entry,) = audit.list()
    assert (entry.at, entry.actor, entry.action, entry.object) == (AT, ANN, "test.do", "thing:1")
    assert (entry.details, entry.seq, entry.hash) == ({"顾客": 3}, None, None)
    assert audit.seal() == 1
    (entry,) = audit.list(on="thing:1")
    assert entry.seq == 1 and entry.hash
    assert audit.list(on="thing:2") == []


def test_sealing_twice_is_sealing_once(sealed: Audit) -> None:
    assert sealed.seal() == 0
    report = sealed.verify()
    assert (report.entries, report.sealed, report.anchored) == (COUNT, COUNT, COUNT)


def test_what_is_not_sealed_yet_is_counted(sealed: Audit) -> None:
    sealed.record(AT, ANN, "test.do", "thing:9")
    report = sealed.verify()
    assert (report.entries, report.sealed, report.findings) == (COUNT + 1, COUNT, [])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'cli:bob' WHERE entry_id = 5",
        "DELETE FROM audit_entries WHERE entry_id = 5",
        "UPDATE audit_seals SET hash = 'x'",
        "DELETE FROM audit_seals",
    ],
)
def test_the_database_refuses_changes(sealed: Audit, raw: Raw, statement: str) -> None:
    with pytest.raises(Exception, match="append-only"):
        raw(statement)
    assert sealed.verify().findings == []


EDITS = [
    f"UPDATE audit_entries SET {column} = {value} WHERE entry_id = 5"
    for column, value in {
        "actor": "'cli:bob'",
        "action": "'test.undo'",
        "object": "'thing:99'",
        "details": "'{}'",
        "at": "'2026-03-01 09:30:04.123457'",
    }.items()
]


@pytest.mark.parametrize(
    ("statements", "what"),
    [
        *(([edit], "edited") for edit in EDITS),
        (["UPDATE audit_seals SET hash = 'f' WHERE seq = 5"], "edited"),
        (["UPDATE audit_seals SET prev_hash = 'f' WHERE seq = 5"], "chain"),
        (["DELETE FROM audit_seals WHERE seq = 5", "DELETE FROM audit_entries WHERE entry_id = 5"], "removed"),
        (["DELETE FROM audit_seals WHERE seq = 1", "DELETE FROM audit_entries WHERE entry_id = 1"], "removed"),
        (
            [
                "DELETE FROM audit_seals WHERE seq = 5",
                "UPDATE audit_seals SET seq = 100 + seq WHERE seq > 5",
                "UPDATE audit_seals SET seq = seq - 101 WHERE seq > 100",
            ],
            "chain",
        ),
        (
            [
                "DELETE FROM audit_seals WHERE seq IN (4, 5)",
                "INSERT INTO audit_seals SELECT 4, 5, method, prev_hash, hash FROM audit_seals WHERE seq = 3",
                "INSERT INTO audit_seals SELECT 5, 4, method, prev_hash, hash FROM audit_seals WHERE seq = 3",
            ],
            "chain",
        ),
        (["DELETE FROM audit_seals WHERE seq > 7", "DELETE FROM audit_entries WHERE entry_id > 7"], "truncated"),
        (["DELETE FROM audit_seals", "DELETE FROM audit_entries"], "truncated"),
    ],
)
def test_every_change_shows(sealed: Audit, raw: Raw, where: str, statements: list[str], what: str) -> None:
    raw(*_thaw(where), *statements)
    found = {finding.what for finding in sealed.verify().findings}
    assert what in found


def test_an_entry_slipped_in_later_shows(sealed: Audit, raw: Raw, where: str) -> None:
    """A row of the past with a seal of its own breaks the chain; without one it is told by its number."""
    numbers = "entry_id, at, actor, action, object"
    raw(f"INSERT INTO audit_entries ({numbers}) VALUES (-1, '2026-03-01 09:30:00', 'cli:bob', 'test.do', 'thing:1')")
    sealed.seal()
    found = [finding.what for finding in sealed.verify().findings]
    assert found == ([] if "://" in where else ["inserted"]), "on a server entries may be committed out of order"
    raw(*_thaw(where), "UPDATE audit_seals SET hash = 'f' WHERE entry_id = -1")
    assert "edited" in {finding.what for finding in sealed.verify().findings}


def test_a_chain_that_was_written_anew_shows(sealed: Audit, raw: Raw, where: str) -> None:
    """The intruder edits an entry, removes all seals and lets the program seal again: the chain is whole."""
    raw(*_thaw(where), EDITS[0], "DELETE FROM audit_seals", "UPDATE sequences SET next_id = 1 WHERE name = 'audit_seq'")
    with closing(Transactions(where)) as transactions:
        Audit(transactions, None).seal()
        assert Audit(transactions, None).verify().findings == []
    assert "anchor" in {finding.what for finding in sealed.verify().findings}


def test_a_chain_and_an_anchor_that_were_both_written_anew_show(
    store: Store, raw: Raw, where: str, anchor: Path
) -> None:
    """Once there is a vault the intruder needs its key: lines without a code show, and so do those under another."""
    keyed = Audit(store._transactions, anchor, store.vault)
    store.vault.hasher("index", "phone")  # somebody's telephone number has come
    for number in range(COUNT):
        keyed.record(AT, ANN, "test.do", f"thing:{number}")
    assert (keyed.seal(), keyed.verify().findings) == (COUNT, [])
    honest = anchor.read_text(encoding="utf-8")
    raw(*_thaw(where), EDITS[0], "DELETE FROM audit_seals", "UPDATE sequences SET next_id = 1 WHERE name = 'audit_seq'")
    anchor.unlink()
    with closing(Transactions(where)) as transactions:
        Audit(transactions, anchor).seal()
        assert Audit(transactions, anchor).verify().findings == [], "to those who know no key all is well"
    (finding,) = keyed.verify().findings
    assert (finding.what, "vault's key" in finding.message) == ("anchor", True)
    code = json.loads(honest.strip().splitlines()[-1])["code"]
    (line,) = (line for line in anchor.read_text(encoding="utf-8").splitlines() if line)
    anchor.write_text(json.dumps({**json.loads(line), "code": code}), encoding="utf-8")
    assert [finding.what for finding in keyed.verify().findings] == ["anchor"], "a code is good for its own line only"


def test_the_anchors_codes_outlive_another_master_key(store: Store, anchor: Path, tmp_path: Path) -> None:
    keyed = Audit(store._transactions, anchor, store.vault)
    store.vault.hasher("index", "phone")
    keyed.record(AT, ANN, "test.do", "thing:1")
    keyed.seal()
    assert sum(store.vault.rotate()) > 0
    keyed.record(AT, ANN, "test.do", "thing:2")
    keyed.seal()
    assert keyed.verify().findings == []
    file = store.vault.key_file
    assert file is not None
    file.rename(tmp_path / "elsewhere.key")
    locked = Audit(store._transactions, anchor, Vault(store._transactions, file))
    locked.record(AT, ANN, "test.do", "thing:3")
    assert locked.seal() == 1, "who has no key seals all the same"
    assert "cannot be told" in locked.verify().findings[0].message
    (tmp_path / "elsewhere.key").rename(file)
    assert [finding.what for finding in keyed.verify().findings] == ["anchor"], "and it shows until the next seal"
    keyed.record(AT, ANN, "test.do", "thing:4")
    keyed.seal()
    assert keyed.verify().findings == []


def test_a_tail_that_was_cut_off_shows_also_when_the_chain_has_grown_again(sealed: Audit, raw: Raw, where: str) -> None:
    raw(*_thaw(where), "DELETE FROM audit_seals WHERE seq > 7", "DELETE FROM audit_entries WHERE entry_id > 7")
    for number in range(5):
        sealed.record(AT, ANN, "test.do", f"thing:{number}")
    assert sealed.seal() == 5
    assert "removed" in {finding.what for finding in sealed.verify().findings}


def test_a_missing_anchor_shows_and_a_new_one_leaves_a_trace(sealed: Audit, anchor: Path) -> None:
    anchor.unlink()
    assert [finding.what for finding in sealed.verify().findings] == ["anchor"]
    sealed.record(AT, ANN, "test.do", "thing:9")
    assert sealed.seal() == 2
    assert sealed.list(1)[0].action == "audit.anchor"
    assert sealed.verify().findings == []


def test_half_a_line_in_the_anchor_is_gone_on_from(sealed: Audit, anchor: Path) -> None:
    """The power went while the anchor was written: the chain is one batch ahead."""
    whole = anchor.read_bytes()
    anchor.write_bytes(whole[: len(whole) - 40])
    assert sealed.verify().anchored == 6
    sealed.record(AT, ANN, "test.do", "thing:9")
    sealed.seal()
    assert (sealed.verify().anchored, sealed.verify().findings) == (10, [])


def test_two_who_seal_at_once_make_one_chain(audit: Audit, where: str, anchor: Path) -> None:
    def work(name: str) -> None:
        with closing(Transactions(where)) as transactions:
            mine = Audit(transactions, anchor)
            for number in range(20):
                mine.record(AT, Actor("cli", name), "test.do", f"thing:{number}")
                mine.seal()

    threads = [threading.Thread(target=work, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    audit.seal()
    report = audit.verify()
    assert (report.sealed, report.findings) == (report.entries, [])
    # Both may have begun the anchor, which leaves a trace of its own.
    assert [entry.action for entry in audit.list(100)].count("test.do") == 40


def test_runs_and_jobs_are_recorded_and_sealed_on_closing(where: str, anchor: Path) -> None:
    with Store.open(where, anchor=anchor) as store:
        done = store.runs.begin("run", ANN, AT, definitions_hash="d1")
        store.runs.finish(done, AT, snapshot_id="s1")
        store.runs.fail(store.runs.begin("run", ANN, AT), AT, "killed")
        store.jobs.cancel(store.jobs.enqueue("run", {}, ANN, AT).job_id, ANN, AT)
    with Store.open(where, anchor=anchor) as store:
        entries = store.audit.list()[::-1]
        told = [(entry.action, entry.object, entry.seq) for entry in entries]
        assert told == [
            ("run.begin", "run:1", 1),
            ("run.end", "run:1", 2),
            ("run.begin", "run:2", 3),
            ("run.end", "run:2", 4),
            ("job.enqueue", "job:1", 5),
            ("job.cancel", "job:1", 6),
        ]
        assert entries[1].details == {"state": "done", "snapshot_id": "s1", "lake_version": None}
        assert store.audit.verify().findings == []


def test_a_deed_that_is_rolled_back_leaves_no_entry(store: Store) -> None:
    with pytest.raises(Exception, match="needs a time zone"):
        store.runs.begin("run", ANN, datetime(2026, 3, 1))
    assert store.audit.list() == []


@pytest.mark.slow
def test_many_entries_are_verified(audit: Audit, raw: Raw, where: str) -> None:
    """A chain of many batches: the same entry numbers, and one change in the middle is found."""
    many = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)"
    columns = "at, actor, action, object"
    raw(f"INSERT INTO audit_entries ({columns}) {many} SELECT '2026-03-01 00:00:00', 'cli:ann', 'do', 'x:1' FROM n")
    assert audit.seal() == 12_000
    assert audit.verify().findings == []
    raw(*_thaw(where), "UPDATE audit_entries SET actor = 'cli:bob' WHERE entry_id = 7777")
    assert [finding.message for finding in audit.verify().findings] == ["entry 7777 (seal 7777) is not what was sealed"]
