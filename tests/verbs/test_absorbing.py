"""Absorbing: rows that are sent are in the lake, their customers computed, and sending them again is harmless."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tests.engine.owner.processes import ROOT, session
from tests.projects import EVENTS, NOW, REFUNDS, TIERS, Brand, csv
from tierwise.errors import BadRequest

TILL = """\
live: true
customer: customer
row_key: id
streams:
  orders: {time: time, columns: {order_id: id, amount: amount}}
"""
TABLES = ("customers", "known_customers", "orders", "refunds", "events", "programmes")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    brand = Brand(tmp_path_factory.mktemp("first"), {"sources/till.yaml": TILL, "definitions/tiers.yaml": TIERS})
    brand.write({"sources/refunds.yaml": REFUNDS + "row_key: id\n", "sources/events.yaml": EVENTS})
    brand.write({"data/refunds.csv": csv("id,customer,time,amount", "1,a,2026-05-30,150")})
    brand.write({"data/events.csv": csv("customer,time,type", *(f"{who},2026-05-02,view" for who in "efghijkl"))})
    with brand.open() as project:
        project.absorb("till", [order("1", 200), order("2", 50, "b")], 0, compute=False)
        project.run()
    return brand


@pytest.fixture
def shop(first: Brand, tmp_path: Path) -> Brand:
    return first.copy(tmp_path / "shop")


def order(number: str, amount: float, customer: str = "a", time: str = "2026-05-31") -> dict[str, Any]:
    return {"id": number, "customer": customer, "time": time, "amount": amount}


def moved(answer: dict[str, Any]) -> set[tuple[Any, ...]]:
    changes: pa.Table = answer["changes"]
    return {(row["name"], row["was"], row["is"], row["cause"]) for row in changes.to_pylist()}


def agree(absorbed: Brand, folder: Path, day: float) -> None:
    """The tables are those that a full run over the same lake makes."""
    full = absorbed.copy(folder)
    shutil.rmtree(full.folder / "engine")
    full.run(day, import_sources=False)
    for table in TABLES:
        one, other = ([{**row, "pos": 0} for row in brand.rows(table)] for brand in (absorbed, full))
        assert sorted(map(str, one)) == sorted(map(str, other)), table


def test_who_moved_is_told_and_everything_is_as_a_full_run_has_it(shop: Brand, tmp_path: Path) -> None:
    with shop.open(1) as project:
        answer = project.absorb("till", [order("3", 60, "b", "2026-06-01"), order("4", 5, "z", "2026-06-01")], 1)
        assert (answer["state"], answer["new"], answer["lake_version"]) == ("accepted", 2, project.lake.version - 1)
        assert moved(answer) == {
            ("value", "some", "high", "event"), ("value", None, "some", "event"), ("recent", None, "in", "event"),
        }  # fmt: skip
        again = project.absorb("till", [order("3", 60, "b", "2026-06-01"), order("4", 5, "z", "2026-06-01")], 1)
        assert again["state"] == "known"
        assert (again["run_id"], again["changes"]) == (answer["run_id"], answer["changes"]), "the same answer"
        correction = project.absorb("till", [order("3", 10, "b", "2026-06-01")], 2)
        assert (correction["replaced"], moved(correction)) == (1, {("value", "high", "some", "correction")})
        nothing = project.absorb("till", [order("3", 10, "b", "2026-06-01")], 3)
        assert (nothing["duplicate"], moved(nothing)) == (1, set())
        late = project.absorb("till", [order("5", 500, "b", "2026-01-01")], 4)
        assert moved(late) == {("value", "some", "high", "event")}
    agree(shop, tmp_path / "full", 1)


def test_many_batches_are_computed_together(shop: Brand, tmp_path: Path) -> None:
    with shop.open(1) as project:
        for place in range(5):
            answer = project.absorb("till", [order(f"g{place}", 30, "b", "2026-06-01")], f"g{place}", compute=False)
            assert (answer["run_id"], answer["changes"].num_rows) == (None, 0)
        assert project.table("customers").num_rows == 10
        assert project.plan()["refresh"]["new_rows"] == 5
        last = project.absorb("till", [order("h", 1, "c", "2026-06-01")], "h")
        assert moved(last) >= {("value", "some", "high", "event")}
        first = project.absorb("till", [order("g0", 30, "b", "2026-06-01")], "g0")
        assert (first["run_id"], first["changes"]) == (last["run_id"], last["changes"]), "of the whole group"
        report = project.store.runs.get(last["run_id"]).report
        assert report is not None and (report["touched"], report["everyone_because"]) == (2, "")
    agree(shop, tmp_path / "full", 1)


def test_small_files_are_put_together_while_rows_are_sent(
    shop: Brand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tierwise.verbs.running._FILES_OF_SENT_ROWS", 4)
    with shop.open(1) as project:
        answers = [
            project.absorb("till", [order(f"s{n}", 90, "b", f"2026-06-01 {n:02d}:00")], f"s{n}") for n in range(7)
        ]
        assert len(project.lake.paths("orders")) < 5
        again = [project.absorb("till", [order(f"s{n}", 90, "b", f"2026-06-01 {n:02d}:00")], f"s{n}") for n in range(7)]
        assert [(one["run_id"], one["changes"]) for one in again] == [
            (one["run_id"], one["changes"]) for one in answers
        ]
        assert project.absorb("till", [order("s2", 91, "b", "2026-06-01 02:00"), order("s8", 1)], "t")["replaced"] == 1
        assert project.compact()["files"] > 0
        assert project.run()["built"] == {}, "the tables are still those of the lake"
    agree(shop, tmp_path / "full", 1)


def test_before_the_first_run_and_before_the_newest_results(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/till.yaml": TILL, "definitions/tiers.yaml": TIERS})
    with brand.open(1) as project:
        answer = project.absorb("till", [order("1", 200)], 1)
        assert ("value", None, "high", "first_run") in moved(answer)
    with brand.open() as project:
        with pytest.raises(BadRequest, match="before the newest results"):
            project.absorb("till", [order("2", 200, "b")], 2)
        with pytest.raises(BadRequest, match="before the newest results"):
            project.absorb("till", [order("2", 200, "b")], 2)
    with brand.open(2) as project:
        answer = project.absorb("till", [order("2", 200, "b")], 2)
        assert answer["state"] == "known", "they were safe, and are computed when that can be done"
        assert ("value", None, "high", "event") in moved(answer)


def test_definitions_edited_between_two_batches(shop: Brand, tmp_path: Path) -> None:
    shop.write({"definitions/tiers.yaml": TIERS.replace("spend >= 100", "spend >= 40")})
    with shop.open(1) as project:
        answer = project.absorb("till", [order("3", 60, "z", "2026-06-01")], 1)
    assert moved(answer) == {
        ("value", "some", "high", "definition"), ("value", None, "high", "definition"), ("recent", None, "in", "event"),
    }  # fmt: skip
    agree(shop, tmp_path / "full", 1)


def test_through_the_door_of_another_process(shop: Brand, tmp_path: Path) -> None:
    with session(shop.folder) as owner, shop.open(1) as project:
        answer = project.absorb("till", [order("3", 60, "b", "2026-06-01")], 1)
        assert project.owner()["pid"] == owner.pid
    assert moved(answer) == {("value", "some", "high", "event")}
    assert {row["at"] for row in answer["changes"].to_pylist()} == {(NOW + timedelta(days=1)).replace(tzinfo=None)}
    agree(shop, tmp_path / "full", 1)


KILLED = """\
import json, os, signal, sys
from pathlib import Path
from tests.projects import Brand
from tierwise.verbs.running import Running

rows = json.loads(sys.argv[2])
def killed(*args, **options):
    os.kill(os.getpid(), signal.SIGKILL)
Running._refreshed = killed
with Brand(Path(sys.argv[1])).open(1) as project:
    project.absorb("till", rows, 1)
"""


def test_killed_between_the_lake_and_the_answer(shop: Brand, tmp_path: Path) -> None:
    rows = [order("3", 60, "b", "2026-06-01")]
    good = shop.rows("customers")
    command = [sys.executable, "-c", KILLED, str(shop.folder), json.dumps(rows)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert shop.rows("customers") == good
    with shop.open(1) as project:
        answer = project.absorb("till", rows, 1)
    assert answer["state"] == "known", "they are in the lake"
    assert moved(answer) == {("value", "some", "high", "event")}
    agree(shop, tmp_path / "full", 1)


def test_the_time_of_the_newest_row(shop: Brand) -> None:
    shop.write({"tierwise.yaml": "name: test\nas_of: latest row\n"})
    with shop.open(3) as project:
        answer = project.absorb("till", [order("3", 60, "b", "2026-06-02")], 1)
        assert {row["at"] for row in answer["changes"].to_pylist()} == {datetime(2026, 6, 1, 16)}
