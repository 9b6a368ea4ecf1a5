"""Programmes in a project: what runs record, what `programmes` and `explain` say, and that leaving runs out changes nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.projects import ORDERS, REFUNDS, Brand, csv
from tierwise.engine import remembering
from tierwise.errors import EngineRefused

HEAD = "id,customer,time,amount"
TIERS = """\
tierings:
  grade:
    tiers: {gold: 'sum(orders.kept_amount, within="30d") >= 100', member: otherwise}
    keep: {term: 60d, grace: 10d}
  pace:
    tiers:
      busy: {rule: 'count(orders, within="30d") >= 2', stay: 'count(orders, within="60d") >= 1'}
      quiet: otherwise
"""
ROWS = ("1,a,2026-05-20,200", "2,b,2026-05-20,50", "3,b,2026-05-21,60", "4,c,2026-05-22,20")


@pytest.fixture
def shop(tmp_path: Path) -> Brand:
    files = {"sources/orders.yaml": ORDERS, "sources/refunds.yaml": REFUNDS, "definitions/tiers.yaml": TIERS}
    data = {"data/orders.csv": csv(HEAD, *ROWS), "data/refunds.csv": csv(HEAD, "1,a,2026-05-30,150")}
    return Brand(tmp_path / "shop", {**files, **data})


def states(brand: Brand) -> dict[str, tuple[str, str, str]]:
    keys = dict(brand.values("known_customers", "customer_id", "customer_key"))
    rows = brand.rows("programmes")
    assert {row["tiering"] for row in rows} == {"grade"}
    return {keys[row["customer_id"]]: (row["tier"], str(row["since"]), str(row["term_ends"])) for row in rows}


def test_where_a_programme_has_everyone(shop: Brand) -> None:
    shop.run()
    assert states(shop) == {
        "a": ("member", "2026-05-29 16:00:00", "None"),  # a refund took the gold of 20 May
        "b": ("gold", "2026-05-20 16:00:00", "2026-07-19 16:00:00"),
        "c": ("member", "2026-05-21 16:00:00", "None"),
    }
    assert shop.values("customers", "customer_key", "pace") == [("a", "quiet"), ("b", "busy"), ("c", "quiet")]


def test_runs_that_are_left_out_change_nothing(shop: Brand, tmp_path: Path) -> None:
    often = shop.copy(tmp_path / "often")
    for day in range(0, 90, 15):
        often.run(day)
    seldom = shop.copy(tmp_path / "seldom")
    seldom.run(75)
    assert often.rows("programmes") == seldom.rows("programmes")
    columns = ("customer_key", "grade", "pace")
    assert often.values("customers", *columns) == seldom.values("customers", *columns)
    moves = [(r["was"], r["is"], r["cause"]) for r in often.rows("memberships") if r["name"] == "grade" and r["was"]]
    assert moves == [("gold", "member", "time")], "the grace of b ended between two runs"


def test_a_row_that_comes_late_is_as_if_it_had_come_in_time(shop: Brand, tmp_path: Path) -> None:
    shop.run()
    shop.write({"data/orders.csv": csv(HEAD, *ROWS, "5,c,2026-05-23,90")})
    report = shop.run(1)
    assert states(shop)["c"] == ("gold", "2026-05-22 16:00:00", "2026-07-21 16:00:00")
    assert report["changes"] == {"event": 2}


def test_explain_says_until_when(shop: Brand) -> None:
    shop.run()
    with shop.open() as project:
        found = project.explain("b")
    grade, pace = found["tierings"]
    assert str(grade["programme"]["term_ends"]) == "2026-07-19 16:00:00"
    assert grade["programme"]["sentence"]["en"].startswith("a tier is kept for 60d")
    assert (grade["next_change"]["tier"], grade["next_change"]["at"]) == ("member", "2026-07-29T16:00:00Z")
    busy = pace["tiers"][0]
    assert (busy["chosen"], busy["stay"]["holds"]) == (True, True)
    assert pace["next_change"]["at"] == "2026-07-19T16:00:00Z", "both orders are older than 60 days"


def test_a_programme_over_too_many_rows_is_refused(shop: Brand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembering, "_MOST_PAIRS", 3)
    with pytest.raises(EngineRefused, match="`grade` remembers, and one customer has up to 2 rows") as refused:
        shop.run()
    assert "fewer rows" in refused.value.hint
