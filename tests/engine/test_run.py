"""A run can be repeated, killed at any moment and resumed, and the engine deleted: the answers are the same."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.projects import EVENTS, NOW, ORDERS, REFUNDS, TIERS, Brand, csv
from tierwise.errors import BadRequest, UnknownName

HEAD = "id,customer,time,amount"
FIRST = ("1,a,2026-05-20,200", "2,b,2026-05-20,50")
LATER = ("3,b,2026-05-21,70", "4,c,2026-05-22,x", "5,d,2026-05-22,5")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    files = {"sources/orders.yaml": ORDERS, "sources/refunds.yaml": REFUNDS, "sources/events.yaml": EVENTS}
    brand = Brand(tmp_path_factory.mktemp("first"), {**files, "definitions/tiers.yaml": TIERS})
    brand.write({"data/orders.csv": csv(HEAD, *FIRST), "data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20")})
    brand.write({"data/events.csv": csv("customer,time,type", "e,2026-05-02,view")})
    brand.run()
    return brand


@pytest.fixture
def shop(first: Brand, tmp_path: Path) -> Brand:
    """A project that has been run once."""
    return first.copy(tmp_path / "shop")


def answers(brand: Brand) -> dict[str, list[dict[str, Any]]]:
    """Return what a run leaves behind, without the numbers of runs and the ids the engine gives."""
    tables = ("customers", "known_customers", "orders", "refunds", "events", "memberships", "quarantine")
    drop = {"run_id", "import_id", "received_at"}
    with brand.open() as project:
        found = {name: project.table(name).to_pylist() for name in tables}
    return {name: [{k: v for k, v in row.items() if k not in drop} for row in rows] for name, rows in found.items()}


# -- again, and without the engine -------------------------------------------------------------------------------------


def test_without_the_engine_the_answers_are_the_same(shop: Brand) -> None:
    before = answers(shop)
    shutil.rmtree(shop.folder / "engine")
    with shop.open() as project, pytest.raises(UnknownName, match="no results yet"):
        project.show("tiers")
    report = shop.run()
    assert report["memberships_written"] == 0
    assert [one["state"] for one in report["imports"]] == ["unchanged"] * 3
    assert answers(shop) == before
    assert shop.run()["built"] == {}, "what nothing has changed for is not built again"


def test_a_damaged_engine_says_what_to_do(shop: Brand) -> None:
    (shop.folder / "engine/tierwise.duckdb").write_bytes(b"no database" * 1000)
    with pytest.raises(Exception, match="delete the engine/ folder"):
        shop.run()


def test_one_run_gives_what_many_give(shop: Brand, tmp_path: Path) -> None:
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, *LATER)})
    shop.run(1)
    files = {
        str(path.relative_to(shop.folder)): path.read_bytes()
        for path in shop.folder.rglob("*")
        if path.suffix in (".yaml", ".csv")
    }
    fresh = Brand(tmp_path / "fresh", files)
    fresh.run(1)
    many, once = answers(shop), answers(fresh)
    for name in ("customers", "orders", "refunds", "events", "quarantine"):
        ids = {"customer_id", "source_record_id", "pos"}
        plain = [[{k: v for k, v in row.items() if k not in ids} for row in found[name]] for found in (many, once)]
        assert sorted(map(str, plain[0])) == sorted(map(str, plain[1])), name


def test_the_instant_of_the_answers(shop: Brand) -> None:
    naive = NOW.replace(tzinfo=None)
    asked = {
        None: naive,
        "latest row": naive.replace(month=5, day=24, hour=16),
        "2026-05-20 08:00": naive.replace(month=5, day=20, hour=0),
    }
    for as_of, instant in asked.items():
        assert shop.run(as_of=as_of)["as_of"] == instant
    assert str(shop.run(as_of="2026-05-20")["as_of"]) == "2026-05-20 15:59:59.999999", "a day is its end"
    with pytest.raises(BadRequest, match="'soon' is not an instant"):
        shop.run(as_of="soon")
    shop.write({"tierwise.yaml": "name: test\nas_of: 2026-05-21\n"})
    assert str(shop.run()["as_of"]) == "2026-05-21 15:59:59.999999"


def test_latest_row_of_nothing(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"tierwise.yaml": "name: test\nas_of: latest row\n"})
    with pytest.raises(BadRequest, match="no row yet") as refused:
        brand.run()
    assert "set as_of" in refused.value.hint


def test_progress_names_every_step(shop: Brand) -> None:
    steps: list[tuple[str, int, int]] = []
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, *LATER)})
    shop.run(1, progress=lambda *step: steps.append(step))
    counted = ("import orders: orders.csv, 5 rows", 1, 3)  # on the way, what has been read so far
    assert counted in steps
    assert [step for step in steps if not step[0].endswith(" rows")][:4] == [
        ("run 2", 0, 1),
        ("import events: events.csv", 0, 3),
        ("import orders: orders.csv", 1, 3),
        ("import refunds: refunds.csv", 2, 3),
    ]
    assert all(0 <= done <= total for _, done, total in steps)


# -- killed ------------------------------------------------------------------------------------------------------------

KILLED = """\
import json, os, signal, sys
from pathlib import Path
from tests.projects import Brand
from tierwise.engine.backends.duckdb.engine import DuckEngine

def killing(call, at):
    def wrapper(*args, **options):
        nonlocal at
        at -= 1
        if not at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)
    return wrapper

for folder, what, at in json.loads(sys.argv[1]):
    child = os.fork()  # from here, where the imports are done once and no thread runs yet
    if not child:
        progress = killing(lambda *step: None, at if what == "step" else -1)
        os.replace = killing(os.replace, at if what == "file" else -1)
        DuckEngine.swap = killing(DuckEngine.swap, at if what == "swap" else -1)
        DuckEngine.settle = killing(DuckEngine.settle, at if what == "settle" else -1)
        Brand(Path(folder)).run(1, progress=progress)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
#: Killed at the n-th step shown, before the n-th file is put in its place, before the n-th swap of tables, before
#: the results are put in place.
MOMENTS = [("step", 2), ("file", 1), ("file", 4), ("swap", 1), ("swap", 3), ("swap", 4), ("settle", 1)]


def test_a_run_that_is_killed_leaves_the_last_good_state_and_is_resumed(shop: Brand, tmp_path: Path) -> None:
    good = shop.rows("customers")
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, *LATER)})
    shop.write({"data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20", "1,a,2026-05-26,150")})
    copies = {moment: shop.copy(tmp_path / f"{moment[0]}{moment[1]}") for moment in MOMENTS}
    shop.run(1)
    expected = answers(shop)
    asked = json.dumps([(str(brand.folder), *moment) for moment, brand in copies.items()])
    command = [sys.executable, "-c", KILLED, asked]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS), done
    for moment, brand in copies.items():
        with brand.open(1) as project:
            assert project.table("customers").to_pylist() == good, f"{moment}: the last results are still there"
            tiers = project.show("tiers")
            assert tiers.num_rows == 3
            assert moment[0] != "settle" or set(tiers.column("state").to_pylist()) == {"stale"}
        brand.run(1)
        assert answers(brand) == expected, moment
