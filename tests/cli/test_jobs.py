"""The commands about jobs and the store, for people and as JSON, with their exit codes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.projects import ORDERS, TIERS, Brand, csv
from tierwise.cli import main
from tierwise.store import Store

Ask = Callable[..., Any]


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    rows = csv("customer,time,id,amount", "c1,2026-05-01,1,120")
    return Brand(tmp_path, {"sources/o.yaml": ORDERS, "definitions/t.yaml": TIERS, "data/orders.csv": rows})


@pytest.fixture
def ask(brand: Brand, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Ask:
    """Runs a command on the project: its JSON when asked for, else what it printed."""
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.delenv("LC_ALL", raising=False)

    def run(*words: str, code: int = 0) -> Any:
        with pytest.raises(SystemExit) as ended:
            main(["--project", str(brand.folder), *words])
        found = capsys.readouterr()
        assert ended.value.code == code, found.out + found.err
        return json.loads(found.out) if "--json" in words else found.out + found.err

    return run


def test_a_job_from_the_queue_to_its_end(ask: Ask) -> None:
    assert ask("jobs", "list", "--json") == []
    made = ask("jobs", "add", "run", "--key", "mine", "--json")
    assert (made["job_id"], made["state"], made["kind"]) == (1, "queued", "run")
    assert made["actor"].startswith("cli")
    assert ask("jobs", "add", "run", "--key", "mine", "--json")["job_id"] == 1
    assert ask("worker", "--once", "--json")["jobs"] == 1
    assert ask("jobs", "show", "1", "--json")["result"]["customers"] == 1
    assert "done" in ask("jobs", "list")
    assert "snapshot_id" in ask("jobs", "show", "1")
    assert ask("jobs", "list", "--state", "failed", "--json") == []


def test_cancelling_and_trying_again(ask: Ask) -> None:
    ask("jobs", "add", "run", "--as-of", "tomorrow")
    ask("jobs", "add", "run", "--no-import")
    assert "cancelled" in ask("jobs", "cancel", "2")
    assert "has ended (cancelled)" in ask("jobs", "cancel", "2", code=1)
    assert "is not an instant" in ask("worker", "--once")
    assert ask("jobs", "show", "1", "--json")["state"] == "failed"
    assert ask("jobs", "retry", "1", "--json")["state"] == "queued"
    assert "no job 9" in ask("jobs", "show", "9", code=1)
    assert "a job is never `over`" in ask("jobs", "list", "--state", "over", code=1)


def test_the_store_is_checked_and_its_audit_verified(ask: Ask, brand: Brand) -> None:
    ask("run")
    assert ask("store", "check") == "nothing is wrong\n"
    report = ask("store", "audit", "verify", "--json")
    assert (report["entries"], report["sealed"], report["anchored"], report["findings"]) == (2, 2, 2, [])
    entries = ask("store", "audit", "list", "--json")
    assert [(entry["action"], entry["object"]) for entry in entries] == [("run.end", "run:1"), ("run.begin", "run:1")]
    assert "run.begin" in ask("store", "audit", "list", "--on", "run:1")
    assert "0 entries sealed" in ask("store", "audit", "seal")
    assert "the newest" in ask("store", "upgrade")
    with Store.open(brand.folder / "store" / "tierwise.db") as store:
        assert store.audit.anchor is not None
        store.audit.anchor.unlink()
    assert "anchor:" in ask("store", "audit", "verify", code=1)
    assert [finding["what"] for finding in ask("store", "check", "--json", code=1)["findings"]] == ["anchor"]
