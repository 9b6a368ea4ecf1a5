"""History: what was believed when, asked of the log through intervals; and what backfill adds before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.projects import ORDERS, Brand, csv
from tierwise.engine.intervals import Intervals
from tierwise.errors import BadRequest, UnknownName
from tierwise.lake import Entry
from tierwise.project import Project

HEAD = "id,customer,time,amount"
ROWS = ("1,a,2026-01-10,200", "2,b,2026-01-20,50", "3,b,2026-03-05,60", "4,c,2026-05-22,20", "5,a,2026-05-30,1")
TIERS = """\
tierings:
  grade:
    ordered: true
    tiers: {gold: 'sum(orders.amount, within="90d") >= 100', member: otherwise}
segments:
  recent: 'exists(orders, within="30d")'
  nobody: count(orders) > 99
"""


def brand(folder: Path) -> Brand:
    files = {"sources/orders.yaml": ORDERS, "definitions/tiers.yaml": TIERS, "data/orders.csv": csv(HEAD, *ROWS)}
    return Brand(folder, files)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    """A project with runs on 1 June, 21 June and 1 July."""
    found = brand(tmp_path_factory.mktemp("recorded"))
    for day in (0, 20, 30):
        found.run(day)
    return found


@pytest.fixture
def shop(recorded: Brand, tmp_path: Path) -> Brand:
    return recorded.copy(tmp_path / "shop")


def keys(project: Project, what: str, on: str) -> list[str]:
    found: list[str] = project.history.who(what, on)["customer_key"].to_pylist()
    return found


def test_who_was_in_a_segment_on_a_day(recorded: Brand) -> None:
    with recorded.open(40) as project:
        assert keys(project, "segment:recent", "2026-06-02") == ["a", "c"]
        assert keys(project, "recent", "2026-06-21") == ["a"], "the order of c was a month ago"
        assert keys(project, "recent", "now") == []
        assert keys(project, "nobody", "2026-06-02") == []
        assert keys(project, "grade.member", "2026-06-02") == ["a", "b", "c"]
        assert project.history.count("recent", "2026-06-02") == 2
        row = project.history.who("recent", "2026-06-02").to_pylist()[1]
    assert [str(row[name]) for name in ("since", "until")] == ["2026-06-01 04:00:00", "2026-06-21 04:00:00"]


def test_what_cannot_be_answered_is_refused(recorded: Brand, tmp_path: Path) -> None:
    with recorded.open(40) as project:
        with pytest.raises(BadRequest, match="the history of `recent` begins at 2026-06-01 04:00:00 UTC") as refused:
            project.history.who("recent", "2026-05-31")
        assert "backfill" in refused.value.hint
        with pytest.raises(UnknownName, match="nothing of the name `recnt` was ever recorded") as unknown:
            project.history.who("recnt", "2026-06-02")
        assert "did you mean `recent`?" in unknown.value.hint
        with pytest.raises(UnknownName, match="nobody was ever in the tier `gold`"):
            project.history.who("grade.gold", "2026-06-02")
        with pytest.raises(BadRequest, match="is a tiering"):
            project.history.who("grade", "2026-06-02")
        with pytest.raises(BadRequest, match="is not a tiering"):
            project.history.migration("recent", "2026-06-02", "2026-06-30")
        with pytest.raises(BadRequest, match="not a length of time"):
            project.history.sizes("recent", "2026-06-02", "often", "2026-06-30")
    with brand(tmp_path).open() as project, pytest.raises(UnknownName, match="there is no history yet"):
        project.history.who("recent", "2026-06-02")


def test_sizes_over_time(recorded: Brand) -> None:
    with recorded.open(40) as project:
        found = project.history.sizes("recent", "2026-06-01", "10d", "2026-07-05").to_pylist()
    assert [(f"{row['at']:%m-%d}", row["customers"]) for row in found] == [
        ("06-01", 2), ("06-11", 2), ("06-21", 1), ("07-01", 0),
    ]  # fmt: skip


def test_the_intervals_follow_the_log(shop: Brand) -> None:
    with shop.open(40) as project:
        assert keys(project, "recent", "now") == []
    shop.write({"data/orders.csv": csv(HEAD, *ROWS, "6,b,2026-07-10,5")})
    shop.run(41)
    with shop.open(42) as project:
        assert keys(project, "recent", "now") == ["b"]


def test_what_is_added_is_what_would_be_made(recorded: Brand, shop: Brand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tierwise.engine.intervals._UNSORTED", 9.0)
    add, adding = Intervals.add, list[int]()

    def counted(self: Intervals, built: Mapping[str, Any], added: Sequence[Entry], newest: int) -> None:
        adding.append(len(added))
        add(self, built, added, newest)

    monkeypatch.setattr(Intervals, "add", counted)
    rows = list(ROWS)
    for day, row in ((41, "6,b,2026-07-10,500"), (42, "7,c,2026-07-12,5"), (80, "8,d,2026-08-01,5")):
        with shop.open(day) as project:
            keys(project, "recent", "now")  # makes the intervals, or adds to them
        rows.append(row)
        shop.write({"data/orders.csv": csv(HEAD, *rows)})
        shop.run(day)
    with shop.open(81) as project:
        assert keys(project, "recent", "now") == ["d"], "found in the order of customers"
        assert keys(project, "recent", "2026-07-15") == ["b", "c"]
    table = "membership_intervals"
    added = sorted(map(str, shop.rows(table)))
    assert adding == [1, 1, 1]
    monkeypatch.setattr("tierwise.engine.intervals._UNSORTED", 0.0)
    shop.run(100)  # nobody is recent any more
    with shop.open(101) as project:
        assert keys(project, "recent", "now") == []
        assert keys(project, "recent", "2026-07-15") == ["b", "c"]
    assert adding == [1, 1, 1]
    before = [
        str({**row, "valid_to": None}) if row["valid_to"] and row["valid_to"].month == 9 else str(row)
        for row in shop.rows(table)
    ]
    assert sorted(before) == added, "made anew they are the same, but for who has left since"


# -- backfill ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def filled(recorded: Brand, tmp_path_factory: pytest.TempPathFactory) -> Brand:
    found = recorded.copy(tmp_path_factory.mktemp("filled") / "shop")
    with found.open(40) as project:
        report = project.backfill("2026-01-31", "1mo")
    assert [f"{one['at']:%m-%d} {one['memberships_written']}" for one in report["dates"]] == [
        "01-31 4", "02-28 2", "03-31 2", "04-30 3", "05-31 3",
    ], report  # fmt: skip
    return found


def test_backfill_is_what_a_run_would_have_said(filled: Brand) -> None:
    with filled.open(40) as project:
        assert keys(project, "grade.gold", "2026-01-31") == ["a"]
        assert keys(project, "recent", "2026-02-15") == ["a", "b"]
        assert keys(project, "recent", "2026-03-31") == ["b"]
        assert keys(project, "grade.gold", "2026-04-15") == ["a", "b"], "as on 31 March"
        assert keys(project, "recent", "2026-06-02") == ["a", "c"], "what was recorded is as it was"
        moved = project.history.migration("grade", "2026-01-31", "2026-04-01").to_pylist()
        history = project.history.of("a").to_pylist()
        kept = project.history.retention("grade", "2026-01-31", "1mo", "2026-03-31").to_pylist()
    assert [(row["was"], row["is"], row["customers"]) for row in moved] == [("gold", "gold", 1), ("member", "gold", 1)]
    assert {row["cause"] for row in history if row["valid_from"].year == 2026 and row["valid_from"].month < 6} == {
        "backfill"
    }
    assert [(row["tier"], row["share"]) for row in kept if f"{row['cohort_at']:%m} {row['at']:%m}" == "01 03"] == [
        ("gold", 1.0), ("member", 0.0),
    ]  # fmt: skip


def test_the_log_is_appended_to_and_the_present_is_as_it_was(recorded: Brand, filled: Brand) -> None:
    before, after = recorded.rows("memberships"), filled.rows("memberships")
    assert after[: len(before)] == before
    assert [row["seq"] for row in after] == list(range(1, len(after) + 1))
    copy = filled.copy(filled.folder.parent / "again")
    assert copy.run(30)["memberships_written"] == 0
    with copy.open(40) as project:
        report: dict[str, Any] = project.backfill("2026-01-31", "1mo")
    assert {one["state"] for one in report["dates"]} == {"there"}, "a second time there is nothing to do"
    assert copy.rows("memberships") == after


def test_who_left_before_the_first_run_is_not_in_for_ever(shop: Brand) -> None:
    with shop.open(40) as project:
        project.backfill("2026-02-05", "1mo", "2026-02-28")
        assert keys(project, "recent", "2026-02-06") == ["a", "b"]
        assert keys(project, "recent", "2026-06-01") == ["a", "c"]


def test_history_is_never_written_twice(filled: Brand) -> None:
    with filled.open(40) as project:
        with pytest.raises(BadRequest, match="there is history from 2026-06-01"):
            project.backfill("2026-01-31", "1mo", "2026-07-01")
        with pytest.raises(BadRequest, match="would be written into it"):
            project.backfill("2026-02-10", "1mo")


def test_backfill_before_any_run(tmp_path: Path) -> None:
    found = brand(tmp_path)
    found.receive()
    with found.open() as project:
        project.backfill("2026-01-31", "1mo", "2026-04-30")
    assert found.run()["changes"] == {"first_run": 3}
    with found.open(1) as project:
        assert keys(project, "recent", "2026-06-01") == ["a", "c"]
        assert keys(project, "recent", "2026-05-15") == []
        assert project.history.migration("grade", "2026-04-30", "2026-06-01")["customers"].to_pylist() == [2, 1]
