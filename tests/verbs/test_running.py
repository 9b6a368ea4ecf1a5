"""Any old number again: what was known at a time, and what was believed then."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.projects import NOW, ORDERS, Brand, csv
from tierwise.errors import BadRequest

HEAD = "id,customer,time,amount"
FIRST = ("1,a,2026-05-20,200", "2,b,2026-05-20,50")
TIERS = """\
tags: {spend: sum(orders.amount)}
tierings:
  value: {tiers: {best: 'in_top(spend, n=1)', rest: otherwise}}
segments:
  invited: spend > 1000
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    """Run on three days; on the second a late row came and somebody was invited by hand, on the third one more."""
    brand = Brand(tmp_path_factory.mktemp("recorded"), {"sources/orders.yaml": ORDERS, "definitions/t.yaml": TIERS})
    brand.write({"data/orders.csv": csv(HEAD, *FIRST)})
    brand.run()
    brand.write({"data/orders.csv": csv(HEAD, *FIRST, "3,b,2026-05-21,500")})
    with brand.open(1) as project:
        project.facts.include("a", "invited", reason="a friend", since="2026-05-01")
    brand.run(1)
    brand.write({"data/orders.csv": csv(HEAD, *FIRST, "3,b,2026-05-21,500", "4,c,2026-05-22,900")})
    brand.run(2)
    return brand


@pytest.fixture
def shop(recorded: Brand, tmp_path: Path) -> Brand:
    return recorded.copy(tmp_path / "shop")


def answers(brand: Brand) -> list[tuple[object, ...]]:
    return brand.values("customers", "customer_key", "value", "invited")


def test_an_old_number_again(shop: Brand) -> None:
    with shop.open() as project:
        first, second = sorted(project.store.runs.list(), key=lambda run: run.run_id)[:2]
    written = len(shop.rows("memberships"))
    report = shop.run(3, as_of=NOW, known_at="2026-06-01 12:00")
    assert answers(shop) == [("a", "best", False), ("b", "rest", False)]
    assert (report["snapshot_id"], report["recorded"]) == (first.snapshot_id, False)
    assert report["definitions_then"] == report["definitions_hash"]
    again = shop.run(3, as_of=datetime(2026, 6, 2, 4, tzinfo=UTC), known_at="2026-06-02 12:00")
    assert answers(shop) == [("a", "rest", True), ("b", "best", False)]
    assert again["snapshot_id"] == second.snapshot_id
    assert len(shop.rows("memberships")) == written
    with shop.open(3) as project:
        assert set(project.show("tiers")["state"].to_pylist()) == {"stale"}
    shop.run(2)
    assert answers(shop) == [("a", "rest", True), ("b", "rest", False), ("c", "best", False)], "and back to now"


def test_with_the_rows_of_now_at_an_instant_of_then(shop: Brand) -> None:
    shop.run(3, as_of=NOW)
    assert answers(shop) == [("a", "rest", True), ("b", "rest", False), ("c", "best", False)]


def test_as_it_was_believed(shop: Brand) -> None:
    report = shop.run(3, as_of=datetime(2026, 6, 2, 4, tzinfo=UTC), as_believed=True)
    assert (report["distributions"], report["recorded"]) == (0, False), "it publishes none of its own"
    # placed among the two customers of the second run: both b and c are at least as good as its best
    assert answers(shop) == [("a", "rest", True), ("b", "best", False), ("c", "best", False)]


def test_nothing_is_imported_of_another_time(shop: Brand) -> None:
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, "5,d,2026-05-21,1")})
    assert shop.run(3, as_of=NOW, known_at="2026-06-01 12:00")["imports"] == []


def test_an_old_number_again_after_the_rules_were_edited(shop: Brand) -> None:
    with shop.open() as project:
        first = min(project.store.runs.list(), key=lambda run: run.run_id)
    text = (shop.folder / "definitions/t.yaml").read_text(encoding="utf-8")
    shop.write({"definitions/t.yaml": "tags: {n: count(orders)}\n"})
    shop.run(3)
    written = len(shop.rows("memberships"))
    report = shop.run(4, as_of=NOW, known_at="2026-06-01 12:00", as_declared=True)
    assert answers(shop) == [("a", "best", False), ("b", "rest", False)]
    assert (report["snapshot_id"], report["recorded"]) == (first.snapshot_id, False)
    assert report["definitions_then"] == report["definitions_hash"]
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, "5,d,2026-05-21,1")})
    assert shop.run(4, as_declared=True)["imports"] == [], "what is declared may have had other sources"
    assert "value" not in shop.rows("customers")[0] and len(shop.rows("memberships")) == written
    with pytest.raises(BadRequest, match="no run had been recorded by then"):
        shop.run(4, known_at="2026-05-01", as_declared=True)
    shop.write({"definitions/t.yaml": text})
    assert "value" in shop.run(5)["tierings"]
