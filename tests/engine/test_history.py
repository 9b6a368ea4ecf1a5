"""The membership log: what was believed of whom, why it changed, and that nothing in it is ever written again."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.projects import NOW, ORDERS, TIERS, Brand, csv

HEAD = "id,customer,time,amount"
FIRST = ("1,a,2026-05-20,200", "2,b,2026-05-20,50", "3,c,2026-01-02,0")


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    source = ORDERS + "row_key: id\n"
    brand = Brand(tmp_path_factory.mktemp("first"), {"sources/orders.yaml": source, "definitions/tiers.yaml": TIERS})
    brand.write({"data/orders.csv": csv(HEAD, *FIRST)})
    report = brand.run()
    assert (report["memberships_written"], report["changes"]) == (5, {"first_run": 5})
    return brand


@pytest.fixture
def shop(first: Brand, tmp_path: Path) -> Brand:
    """A project that has been run once."""
    return first.copy(tmp_path / "shop")


def changes(brand: Brand, run: int) -> set[tuple[str, str, str | None, str, str]]:
    """Return (customer, name, was, is, cause) of the rows one run wrote."""
    keys = dict(brand.values("known_customers", "customer_id", "customer_key"))
    rows = [row for row in brand.rows("memberships") if row["run_id"] == run]
    return {(keys[row["customer_id"]], row["name"], row["was"], row["is"], row["cause"]) for row in rows}


def test_the_first_run(shop: Brand) -> None:
    assert changes(shop, 1) == {
        ("a", "value", None, "high", "first_run"), ("a", "recent", None, "in", "first_run"),
        ("b", "value", None, "some", "first_run"), ("b", "recent", None, "in", "first_run"),
        ("c", "value", None, "none", "first_run"),
    }  # fmt: skip
    row = shop.rows("memberships")[0]
    assert (row["seq"], row["kind"], row["clause"], row["run_id"]) == (1, "segment", "rule", 1)
    assert row["at"] == row["recorded_at"] == NOW.replace(tzinfo=None)
    with shop.open() as project:
        assert row["definitions_hash"] == project.definitions.digest


def test_a_run_that_finds_nothing_new_writes_nothing(shop: Brand) -> None:
    assert shop.run()["memberships_written"] == 0
    assert shop.run(1)["memberships_written"] == 0


def test_causes(shop: Brand) -> None:
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, "4,b,2026-06-01,70", "5,d,2026-06-01,1")})
    shop.run(1)
    assert changes(shop, 2) == {
        ("b", "value", "some", "high", "event"), ("d", "value", None, "some", "event"), ("d", "recent", None, "in", "event"),
    }  # fmt: skip
    shop.write({"data/orders.csv": csv(HEAD, "1,a,2026-05-20,2", *FIRST[1:], "4,b,2026-06-01,70", "5,d,2026-06-01,1")})
    shop.run(2)
    assert changes(shop, 3) == {("a", "value", "high", "some", "correction")}
    shop.run(25)
    assert changes(shop, 4) == {("a", "recent", "in", "out", "time")}
    shop.write({"definitions/tiers.yaml": TIERS.replace("spend >= 100", "spend >= 1000")})
    report = shop.run(26)
    assert changes(shop, 5) == {("b", "value", "high", "some", "definition")}
    assert report["changes"] == {"definition": 1}


def test_a_definition_that_changes_only_its_label_moves_nobody(shop: Brand) -> None:
    shop.write({"definitions/tiers.yaml": TIERS.replace("  value:\n", "  value:\n    label: 价值\n")})
    assert shop.run(1)["memberships_written"] == 0


def test_a_new_tiering_is_a_first_run_of_its_own(shop: Brand) -> None:
    shop.write({"definitions/more.yaml": "segments: {spender: spend > 10}\n"})
    shop.run(1)
    assert {(name, cause) for _, name, _, _, cause in changes(shop, 2)} == {("spender", "first_run")}


def test_a_tier_that_compares_with_a_distribution(shop: Brand) -> None:
    tiers = "tags: {spend: sum(orders.amount)}\nsegments: {best: 'in_top(spend, n=1)'}\n"
    shop.write({"definitions/tiers.yaml": tiers})
    shop.run(0.5)
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, "4,b,2026-06-01,700")})
    report = shop.run(1)
    assert changes(shop, 3) == {("b", "best", None, "in", "event"), ("a", "best", "in", "out", "distribution")}
    assert report["distributions"] == 1
    assert len(shop.rows("distributions")) == 2, "each run publishes its own"


def test_a_run_in_the_past_writes_no_memberships(shop: Brand) -> None:
    before = shop.rows("memberships")
    report = shop.run(1, as_of="2026-05-01")
    assert (report["recorded"], report["memberships_written"]) == (False, 0)
    assert report["tierings"]["value"] == {"high": 0, "some": 0, "none": 1}
    assert shop.rows("memberships") == before
    assert shop.run(1)["memberships_written"] == 0, "the present is as it was"


def test_the_log_is_only_ever_appended_to(shop: Brand) -> None:
    seen: list[dict[str, Any]] = shop.rows("memberships")
    for day in range(1, 3):
        rows = [f"{n},c,2026-05-{20 + n:02},60" for n in range(4, 4 + day)]
        shop.write({"data/orders.csv": csv(HEAD, *FIRST, *rows)})
        shop.run(day)
        now = shop.rows("memberships")
        assert now[: len(seen)] == seen
        assert len(now) > len(seen)
        seen = now
    assert [row["seq"] for row in seen] == list(range(1, len(seen) + 1))


def test_a_customer_whose_rows_are_gone_leaves_the_segments(shop: Brand) -> None:
    shop.write({"sources/orders.yaml": ORDERS + "row_key: id\nexclude: {test: 'customer == \"a\"'}\n"})
    report = shop.run(1)
    assert report["customers"] == 2
    rows = [(row["name"], row["was"], row["is"]) for row in shop.rows("memberships") if row["run_id"] == 2]
    assert rows == [("recent", "in", "out")]
    assert shop.run(2)["memberships_written"] == 0


# -- rules that read the log -------------------------------------------------------------------------------------------

REMEMBERING = """
tags:
  was_high: 'was_tier("value", "high")'
  since_: 'tier_since("value")'
  left_recent: 'left("recent")'
  to_go: 'to_next("value")'
"""


def test_rules_read_what_earlier_runs_recorded_and_the_run_itself_does_not_count(shop: Brand) -> None:
    shop.write(
        {
            "definitions/tiers.yaml": TIERS.replace("  value:\n", "  value:\n    ordered: true\n"),
            "definitions/past.yaml": REMEMBERING,
        }
    )
    shop.run()  # as of the first run: nothing had been recorded before it
    names = ("customer_key", "was_high", "since_", "left_recent")
    assert {row[1:] for row in shop.values("customers", *names)} == {(False, None, False)}
    shop.run(25)
    at, moved = NOW.replace(tzinfo=None), (NOW + timedelta(days=25)).replace(tzinfo=None)
    assert set(shop.values("customers", *names)) == {
        ("a", True, at, False),
        ("b", False, at, False),
        ("c", False, at, False),
    }
    shop.run(26)
    found = {row[0]: row[1:] for row in shop.values("customers", *names)}
    assert found == {"a": (True, at, True), "b": (False, at, True), "c": (False, at, False)}
    assert {row["at"] for row in shop.rows("memberships") if row["is"] == "out"} == {moved}
    assert dict(shop.values("customers", "customer_key", "to_go")) == {"a": None, "b": 50, "c": 0}
    with shop.open(26) as project:
        assert project.explain("a")["snapshot_id"] == project.show("runs").to_pylist()[0]["snapshot_id"]
