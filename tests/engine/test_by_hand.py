"""By hand in a project: what is said overrules the rule from the next run on, and everything says so."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from tests.projects import ORDERS, Brand, csv
from tierwise.engine.snapshot import moments
from tierwise.errors import BadRequest, UnknownName

HEAD = "id,customer,time,amount"
ROWS = ("1,a,2026-05-20,200", "2,b,2026-05-20,50", "3,c,2026-01-02,1")
TIERS = """\
tags:
  spend: sum(orders.amount)
  doubled: spend * 2
tierings:
  grade:
    tiers: {gold: spend >= 100, member: otherwise}
    keep: {term: 365d}
  value: {tiers: {high: spend >= 100, low: otherwise}}
segments:
  recent: 'exists(orders, within="30d")'
  golden: 'tier("grade") == "gold"'
  invited: {list: spring}
"""


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    files = {"sources/orders.yaml": ORDERS, "definitions/tiers.yaml": TIERS, "data/orders.csv": csv(HEAD, *ROWS)}
    brand = Brand(tmp_path_factory.mktemp("first"), files)
    brand.run()
    return brand


@pytest.fixture
def shop(first: Brand, tmp_path: Path) -> Brand:
    return first.copy(tmp_path / "shop")


def answers(brand: Brand, *names: str) -> dict[str, tuple[object, ...]]:
    return {str(row[0]): row[1:] for row in brand.values("customers", "customer_key", *names)}


def moves(brand: Brand, run: int) -> set[tuple[str, str, str | None, str, str]]:
    keys = dict(brand.values("known_customers", "customer_id", "customer_key"))
    rows = [row for row in brand.rows("memberships") if row["run_id"] == run]
    return {(keys[row["customer_id"]], row["name"], row["was"], row["is"], row["cause"]) for row in rows}


def test_everything_that_can_be_said(shop: Brand) -> None:
    with shop.open(1) as project:
        facts = project.facts
        facts.pin("b", "grade", "gold", reason="promised", until="2026-06-30")
        facts.pin("c", "value", "high", reason="a friend of the house")
        facts.exclude("a", "recent", reason="asked not to be")
        facts.include("c", "recent", reason="came by")
        facts.set("c", "spend", "70.5", reason="paid in cash")
        assert facts.upload("spring", ["a", "c", "nobody"], reason="the spring list")["unknown"] == ["nobody"]
    report = shop.run(2)
    assert answers(shop, "grade", "value", "recent", "golden", "invited", "doubled") == {
        "a": ("gold", "high", False, True, True, 400),
        "b": ("gold", "low", True, True, False, 100),
        "c": ("member", "high", True, False, True, 141),
    }
    assert moves(shop, 2) == {
        ("b", "grade", "member", "gold", "manual"), ("b", "golden", None, "in", "time"),
        ("c", "value", "low", "high", "manual"), ("a", "recent", "in", "out", "manual"),
        ("c", "recent", None, "in", "manual"), ("a", "invited", None, "in", "manual"),
        ("c", "invited", None, "in", "manual"),
    }  # fmt: skip
    by_hand = report["by_hand"]
    assert (by_hand["facts"], by_hand["contradicting"]) == (7, 5), "a list has no rule to contradict"
    assert by_hand["contradictions"][0] == {
        "customer_key": "b",
        "name": "grade",
        "by_hand": "gold",
        "by_rule": "member",
    }
    with shop.open(3) as project:
        found = project.explain("b")
        assert project.estimate('segment("golden")')["count"] == 2
    assert [(one["kind"], one["name"], one["value"], one["reason"]) for one in found["by_hand"]] == [
        ("pin", "grade", "gold", "promised")
    ]
    assert found["tierings"][0]["tier"] == "gold"


def test_what_is_said_ends(shop: Brand) -> None:
    with shop.open(1) as project:
        number = project.facts.pin("b", "grade", "gold", reason="promised")
        project.facts.include("c", "recent", reason="came by", until="2026-06-05")
    before = shop.run(2)["snapshot_id"]
    with shop.open(3) as project:
        project.facts.revoke(number, reason="a slip")
        with pytest.raises(BadRequest, match="revoked already"):
            project.facts.revoke(number, reason="a slip")
    assert shop.run(2)["snapshot_id"] != before, "what is said is a part of the snapshot"
    shop.run(6)
    assert answers(shop, "grade", "recent")["b"] == ("member", True)
    assert answers(shop, "grade", "recent")["c"] == ("member", False)
    assert ("b", "grade", "gold", "member", "manual") in moves(shop, 4)
    assert ("c", "recent", "in", "out", "manual") in moves(shop, 4)
    assert shop.run(7)["by_hand"]["facts"] == 0


def test_at_any_moment_what_held_then_holds(shop: Brand) -> None:
    with shop.open(1) as project:
        project.facts.pin("b", "grade", "gold", reason="promised", until="2026-06-30")
        (b,) = project.store.ids.find("b")
        days = [datetime(2026, 5, 30), datetime(2026, 6, 15), datetime(2026, 7, 2)]
        asked = pa.table({"customer_id": [b] * 3, "as_of": pa.array(days, pa.timestamp("us"))})
        found = project.evaluate(moments(asked), ["grade", "golden"]).to_pylist()
    assert [(row["grade"], row["golden"]) for row in found] == [("member", False), ("gold", True), ("member", False)]


def test_what_cannot_be_said_is_refused(shop: Brand) -> None:
    with shop.open(1) as project:
        facts = project.facts
        with pytest.raises(UnknownName, match="no customer `z`"):
            facts.pin("z", "grade", "gold", reason="r")
        with pytest.raises(UnknownName, match="no tiering `grad`"):
            facts.pin("a", "grad", "gold", reason="r")
        with pytest.raises(UnknownName, match="has no tier `gould`"):
            facts.pin("a", "grade", "gould", reason="r")
        with pytest.raises(BadRequest, match="is not money, which `spend` is"):
            facts.set("a", "spend", "1.234", reason="r")
        with pytest.raises(UnknownName, match="no segment is the list `autumn`") as refused:
            facts.upload("autumn", ["a"], reason="r")
        assert "list: autumn" in refused.value.hint
        with pytest.raises(UnknownName, match="none of the 1 customers"):
            facts.upload("spring", ["nobody"], reason="r")
        with pytest.raises(BadRequest, match="needs a reason"):
            facts.exclude("a", "recent", reason="")
        assert facts.list() == []
