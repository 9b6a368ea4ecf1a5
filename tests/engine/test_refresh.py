"""A refresh gives what a full run gives, cell by cell, whatever came and however much time went by."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from tests.projects import EVENTS, NOW, ORDERS, RECORDS, REFUNDS, Brand, csv
from tierwise.errors import BadRequest

ITEMS = """\
file: data/items.csv
customer: customer
streams:
  items: {time: time, columns: {order_id: id, sku: sku, amount: amount}}
"""
#: Every kind of boundary: windows, thresholds, calendars, days, populations, history, a programme.
DEFINITIONS = """\
tags:
  last_at: last(orders.time, where=kept)
  spend: sum(orders.kept_amount)
  spend_30d: sum(orders.kept_amount, within="30d")
  before: sum(orders.amount, ago="7d..30d")
  this_month: count(orders, on="this month")
  since_last: days_since(last_at)
  warmth: score(events, half_life="7d")
  weeks: streak(events, every="1w")
  top_sku: top(items.sku, by=sum(items.amount), within="60d")
  fifth: quintile(spend, among=spend > 0)
  place: city
  bought_after: 'followed(events(type == "view"), orders(), within="3d")'
tierings:
  value:
    tiers: {high: spend >= 100, some: spend > 0, none: otherwise}
  grade:
    tiers: {gold: spend_30d >= 100, member: otherwise}
    keep: {term: 20d, downgrade: one_step, grace: 5d, on_refund: reassess}
segments:
  recent: 'exists(orders, within="7d")'
  sleeping: since_last > 20
  best: in_top(spend, percent=40)
  rose: 'entered("value", "high", within="10d")'
  shanghai: 'place == "sh"'
"""
HEAD = "id,customer,time,amount"
FIRST = (
    "1,a,2026-05-03,200", "2,b,2026-05-20,50", "3,c,2026-05-26,90", "4,d,2026-05-31,10",
)  # fmt: skip
DAY = timedelta(days=1)
TABLES = ("customers", "known_customers", "orders", "refunds", "events", "items", "customer_records", "programmes")


def _start(folder: Path) -> Brand:
    orders, refunds = f"{ORDERS}row_key: id\n", f"{REFUNDS}row_key: id\n"
    sources = {"orders": orders, "refunds": refunds, "events": EVENTS, "customers": RECORDS, "items": ITEMS}
    brand = Brand(folder, {f"sources/{name}.yaml": text for name, text in sources.items()})
    brand.write({"definitions/all.yaml": DEFINITIONS})
    brand.write(
        {
            "data/orders.csv": csv(HEAD, *FIRST),
            "data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20"),
            "data/events.csv": csv("customer,time,type", "e,2026-05-02,view", "c,2026-05-25,view"),
            "data/customers.csv": csv("id,city", "a,sh", "b,bj", "z,sh"),
            "data/items.csv": csv("id,customer,time,sku,amount", "1,a,2026-05-03,x,200", "3,c,2026-05-26,y,90"),
        }
    )
    brand.run()
    return brand


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    return _start(tmp_path_factory.mktemp("first"))


@pytest.fixture
def shop(first: Brand, tmp_path: Path) -> Brand:
    """A project that has been run once."""
    return first.copy(tmp_path / "shop")


#: What comes, in the order it comes: (days after the first run, files written before the refresh).
STEPS: Mapping[str, tuple[float, Mapping[str, str]]] = {
    "nothing but a second": (1 / 86_400, {}),
    "nothing but a day": (1, {}),
    "nothing but a month": (31, {}),
    "orders of somebody known and of somebody new": (
        2,
        {"data/orders.csv": csv(HEAD, *FIRST, "5,b,2026-06-02,70", "6,f,2026-06-02,15")},
    ),
    "a late order": (0.5, {"data/orders.csv": csv(HEAD, *FIRST, "7,a,2026-05-29,31")}),
    "a late order beside one in time": (
        2,
        {"data/orders.csv": csv(HEAD, *FIRST, "5,a,2026-06-02,31", "6,b,2026-05-19,9", "7,b,2026-06-02,8")},
    ),
    "rows of one time, and a refund that came before its order": (
        2,
        {
            "data/orders.csv": csv(HEAD, *FIRST, "9,d,2026-06-02,7", "8,d,2026-06-02,8", "7,d,2026-06-01,8"),
            "data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20", "9,d,2026-06-01,3"),
        },
    ),
    "a corrected order": (1, {"data/orders.csv": csv(HEAD, "1,a,2026-05-03,20", *FIRST[1:])}),
    "an order of somebody else": (1, {"data/orders.csv": csv(HEAD, "1,g,2026-05-03,200", *FIRST[1:])}),
    "a refund": (1, {"data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20", "1,a,2026-06-01,200")}),
    "a refund by somebody else": (1, {"data/refunds.csv": csv(HEAD, "2,b,2026-05-25,20", "3,a,2026-05-30,90")}),
    "a refund corrected": (1, {"data/refunds.csv": csv(HEAD, "2,b,2026-05-26,50")}),
    "a city": (1, {"data/customers.csv": csv("id,city", "a,sh", "b,sh", "z,sh", "y,sh")}),
    "events and items": (
        1,
        {
            "data/events.csv": csv("customer,time,type", "e,2026-05-02,view", "c,2026-05-25,view", "e,2026-06-01,view"),
            "data/items.csv": csv("id,customer,time,sku,amount", "1,a,2026-05-03,x,200", "4,a,2026-05-31,y,900"),
        },
    ),
}  # fmt: skip


def _rows(brand: Brand, table: str) -> list[str]:
    """The rows of a table without what numbers its rows or says how they came."""
    drop = {"pos", "import_id", "received_at", "run_id", "recorded_at", "seq"}
    return sorted(str({k: v for k, v in sorted(row.items()) if k not in drop}) for row in brand.rows(table))


def _in_order(brand: Brand, table: str) -> list[str]:
    """Whose row comes after whose, by `pos` inside each customer."""
    rows = sorted(brand.rows(table), key=lambda row: (row["customer_id"], row["pos"]))
    return [f"{row['customer_id']} {row['time']} {row['row_key']}" for row in rows]


def _rebuilt(brand: Brand, day: float, folder: Path) -> Brand:
    """A copy as it was, with the engine deleted and everything computed again as the refresh was asked to."""
    copy = brand.copy(folder)
    shutil.rmtree(copy.folder / "engine")
    with copy.open(day) as project:
        report = project.refresh()
        assert report["everyone_because"] == "there are no results yet"
    return copy


def _agree(refreshed: Brand, full: Brand) -> None:
    for table in TABLES:
        assert _rows(refreshed, table) == _rows(full, table), table
    for table in ("orders", "refunds", "events", "items", "customer_records"):
        assert _in_order(refreshed, table) == _in_order(full, table), table
    assert _rows(refreshed, "memberships") == _rows(full, "memberships")


@pytest.mark.parametrize("what", STEPS)
def test_a_refresh_is_a_full_run(shop: Brand, tmp_path: Path, what: str) -> None:
    day, files = STEPS[what]
    shop.write(files)
    full = _rebuilt(shop, day, tmp_path / "full")
    with shop.open(day) as project:
        report = project.refresh()
    assert not report["everyone_because"]
    _agree(shop, full)
    assert shop.run(day)["built"] == {}, "the tables are those that would be built"


@pytest.fixture(autouse=True)
def _however_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a brand of six customers the touched are most of them; they are evaluated apart all the same."""
    monkeypatch.setattr("tierwise.engine.refresh._SHARE_OF_EVERYONE", 2.0)
    monkeypatch.setattr("tierwise.engine.crossing._FEW", 0)


def test_most_of_all_customers_are_everyone(shop: Brand, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    day, files = STEPS["an order of somebody else"]
    shop.write(files)
    full = _rebuilt(shop, day, tmp_path / "full")
    monkeypatch.setattr("tierwise.engine.refresh._SHARE_OF_EVERYONE", 0.0)
    with shop.open(day) as project:
        report = project.refresh()
    assert report["everyone_because"] == "most customers are touched"
    _agree(shop, full)


def test_one_refresh_after_another_in_any_order(shop: Brand, tmp_path: Path) -> None:
    """Rows that come in three refreshes, with a correction and a refund between, are those of one full run."""
    names = ("a refund", "an order of somebody else", "a city", "events and items")
    for step, name in enumerate(names, 1):
        shop.write(STEPS[name][1])
        with shop.open(step) as project:
            assert not project.refresh()["everyone_because"]
            assert project.refresh()["memberships_written"] == 0, "the same rows again change nothing"
    full = _rebuilt(shop, len(names), tmp_path / "full")
    _agree(shop, full)


def test_causes(shop: Brand) -> None:
    shop.write({"data/orders.csv": csv(HEAD, "1,a,2026-05-03,20", *FIRST[1:], "8,e,2026-06-01,300")})
    with shop.open(1) as project:
        assert project.refresh()["everyone_because"] == ""
        log = [row for row in project.table("memberships").to_pylist() if row["cause"] != "first_run"]
    causes = {(row["name"], row["is"]): row["cause"] for row in log}
    assert causes["value", "some"] == "correction"
    assert causes["value", "high"] == "event"
    with shop.open(8) as project:
        project.refresh()
        now = (NOW + 8 * DAY).replace(tzinfo=None)
        log = [row for row in project.table("memberships").to_pylist() if row["at"] == now]
    assert {row["cause"] for row in log if row["name"] == "recent" and row["is"] == "out"} == {"time"}
    shop.write(
        {"data/orders.csv": csv(HEAD, "1,a,2026-05-03,20", *FIRST[1:], "8,e,2026-06-01,300", "9,d,2026-06-10,1")}
    )
    with shop.open(9) as project:
        project.refresh()
        now = (NOW + 9 * DAY).replace(tzinfo=None)
        log = [row for row in project.table("memberships").to_pylist() if row["at"] == now]
    assert [(row["was"], row["is"]) for row in log if row["name"] == "recent"] == [("out", "in")], (
        "who had left comes back"
    )


def test_everyone_is_computed_when_that_is_needed(shop: Brand, tmp_path: Path) -> None:
    edited = DEFINITIONS.replace("spend >= 100", "spend >= 60")
    shop.write({"definitions/all.yaml": edited})
    full = _rebuilt(shop, 1, tmp_path / "full")
    with shop.open(1) as project:
        report = project.refresh()
        assert report["everyone_because"] == "the definitions have changed"
        assert report["changes"]["definition"]
    _agree(shop, full)
    with shop.open(2) as project:
        assert not project.refresh()["distributions"], "what was published is compared with"
        report = project.refresh(publish=True)
        assert (report["distributions"], report["everyone_because"]) == (2, "the distributions are published anew")
        assert not project.refresh()["everyone_because"]
    run = shop.copy(tmp_path / "run")
    run.run(2)
    assert _rows(shop, "customers") == _rows(run, "customers")


@pytest.mark.parametrize("days", [1 / 86_400, 1, 31])
def test_a_plan_says_whom_a_refresh_computes(shop: Brand, days: float) -> None:
    with shop.open(days) as project:
        said = project.plan()["refresh"]
        report = project.refresh()
        again = project.plan()["refresh"]
    assert said == {"everyone_because": "", "due": report["touched"], "why": report["why"], "new_rows": 0}
    assert again["everyone_because"] == "" and again["due"] <= said["due"]
    shop.write({"definitions/all.yaml": DEFINITIONS.replace("spend >= 100", "spend >= 60")})
    with shop.open(days) as project:
        assert project.plan()["refresh"]["everyone_because"] == "the definitions have changed"


def test_rows_that_a_source_declared_otherwise_no_longer_brings(shop: Brand, tmp_path: Path) -> None:
    shop.write({"sources/orders.yaml": f"{ORDERS}row_key: id\nexclude: {{small: amount < 60}}\n"})
    full = _rebuilt(shop, 1, tmp_path / "full")
    with shop.open(1) as project:
        assert project.refresh()["everyone_because"] == "the definitions have changed"
    assert shop.values("orders", "row_key") == [("1",), ("3",)], "the small ones are withdrawn"
    _agree(shop, full)


def test_a_refresh_goes_on_from_the_newest_results(shop: Brand) -> None:
    with shop.open(1) as project, pytest.raises(BadRequest, match="before the newest results"):
        project.refresh(as_of="2026-05-31")
    with shop.open(1) as project:
        assert project.refresh(as_of="latest row")["everyone_because"] == "as_of is the time of the newest row"


# -- killed ------------------------------------------------------------------------------------------------------------

KILLED = """\
import json, os, signal, sys
from pathlib import Path
from tests.projects import Brand
from tierwise.engine import refresh
from tierwise.engine.backends.duckdb.engine import DuckEngine

def killing(call, at):
    def wrapper(*args, **options):
        nonlocal at
        at -= 1
        if not at:
            os.kill(os.getpid(), signal.SIGKILL)
        return call(*args, **options)
    return wrapper

refresh._SHARE_OF_EVERYONE = 2.0
for folder, what, at in json.loads(sys.argv[1]):
    child = os.fork()  # from here, where the imports are done once and no thread runs yet
    if not child:
        os.replace = killing(os.replace, at if what == "file" else -1)
        DuckEngine.create = killing(DuckEngine.create, at if what == "create" else -1)
        DuckEngine.exchange = killing(DuckEngine.exchange, at if what == "exchange" else -1)
        refresh.Refresh.put_some = killing(refresh.Refresh.put_some, at if what == "put" else -1)
        with Brand(Path(folder)).open(1) as project:
            project.refresh()
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
#: Killed before the n-th file is put in its place, the n-th table is made, the n-th table of answers is changed, and
#: before the engine says what the tables are of, the log being written.
MOMENTS = [
    ("file", 1), ("file", 3), ("create", 2), ("create", 12), ("create", 30), ("put", 1), ("put", 3), ("exchange", 1),
]  # fmt: skip


def test_a_refresh_that_is_killed_leaves_the_last_good_state_and_is_done_again(shop: Brand, tmp_path: Path) -> None:
    good = {table: shop.rows(table) for table in TABLES}
    for name in ("an order of somebody else", "a refund"):
        shop.write(STEPS[name][1])
    copies = {moment: shop.copy(tmp_path / f"{moment[0]}{moment[1]}") for moment in MOMENTS}
    full = _rebuilt(shop, 1, tmp_path / "full")
    asked = json.dumps([(str(brand.folder), *moment) for moment, brand in copies.items()])
    command = [sys.executable, "-c", KILLED, asked]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=False)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(MOMENTS), done
    for moment, brand in copies.items():
        with brand.open(1) as project:
            for table, rows in good.items():
                assert project.table(table).to_pylist() == rows, f"{moment}: {table} is half changed"
            said = project.refresh()["everyone_because"]
            assert said in ("", "the membership log has grown otherwise"), f"{moment}: the log may be written by then"
        _agree(brand, full)
