"""Plan: what it says of an edit is what the next run records, at any past date too; nothing is written by saying it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tierwise
from tests.projects import NOW, ORDERS, RECORDS, Brand, csv, said
from tierwise.errors import BadRequest, TierwiseError, UnknownName
from tierwise.project import Project

HEAD = "id,customer,time,amount"
ROWS = [
    "1,a,2026-05-20,200", "2,b,2026-01-20,150", "3,c,2026-05-20,0", "4,d,2026-05-20,7", "5,e,2026-03-02,60",
    "6,e,2026-04-30,55", "7,f,2026-02-10,90", "8,f,2026-05-31,5", "9,g,2025-12-31,30",
]  # fmt: skip
BEFORE = """\
parameters: {large: {type: money, default: 100}}
tags:
  n: count(orders)
  spend: sum(orders.kept_amount)
  spread: 'quintile(spend)'
tierings:
  value:
    label: {zh: 等级, en: Grade}
    ordered: true
    tiers: {high: spend >= param.large, some: spend > 0, none: otherwise}
  old:
    tiers: {many: n > 1, few: otherwise}
segments:
  recent: 'exists(orders, within="30d")'
  best: spread >= 4
  gone: n == 1
"""
AFTER = """\
parameters: {large: {type: money, default: 60}}
tags:
  n: count(orders)
  spend: 'sum(orders.kept_amount, within="120d")'
  spread: 'quintile(spend)'
tierings:
  value:
    label: {zh: 等级, en: Grade}
    ordered: true
    tiers: {high: spend >= param.large, middle: spend > 30, some: spend > 0, none: otherwise}
  fresh:
    tiers: {yes_: n > 1, no_: otherwise}
segments:
  recent: 'exists(orders, within="90d")'
  best: spread >= 4
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    files = {"sources/orders.yaml": ORDERS, "definitions/all.yaml": BEFORE, "data/orders.csv": csv(HEAD, *ROWS)}
    brand = Brand(tmp_path_factory.mktemp("ran"), files)
    brand.run()
    return brand


@pytest.fixture
def shop(ran: Brand, tmp_path: Path) -> Brand:
    return ran.copy(tmp_path / "shop")


def named(plan: Mapping[str, Any]) -> dict[str, Any]:
    return {one["name"]: one for one in plan["edit"]["names"]}


def left_behind(project: Project) -> tuple[Any, ...]:
    """Everything a verb could have written."""
    tables = project.show("tables").select(["table", "rows"]).to_pylist()
    return project.lake.version, tables, [run.run_id for run in project.store.runs.list()]


def test_a_plan_is_what_the_next_run_records(shop: Brand) -> None:
    shop.write({"definitions/all.yaml": AFTER})
    with shop.open() as project:
        before = left_behind(project)
        plan, people = project.plan(), project.concerned()
        assert left_behind(project) == before
        project.run()
        log = [row for row in project.table("memberships").to_pylist() if row["run_id"] == 2]
    assert plan["edit"]["compared"], plan["edit"]["why_not"]
    names = named(plan)
    for name in ("value", "recent", "best"):
        planned = {
            (row["was"], row["is"]): row["customers"] for row in names[name]["matrix"] if row["was"] != row["is"]
        }
        # the log says nothing where the plan says out: somebody who was in no segment has no row to begin with
        recorded = Counter((row["was"] or "out", row["is"]) for row in log if row["name"] == name)
        assert planned == recorded and planned, name
    moved = {row["customer_id"] for row in log if row["name"] in ("value", "recent", "best")}
    assert plan["edit"]["moved"] == len(moved) == people.num_rows
    assert set(people["customer_id"].to_pylist()) == moved
    assert {row["cause"] for row in log if row["name"] in names} == {"definition", "first_run"}


def test_sizes_are_those_of_the_run_after(shop: Brand) -> None:
    shop.write({"definitions/all.yaml": AFTER})
    with shop.open() as project:
        names, report = named(project.plan()), project.run()
    assert names["value"]["sizes_after"] == report["tierings"]["value"]
    assert names["fresh"]["sizes_after"] == report["tierings"]["fresh"]
    assert names["recent"]["sizes_after"]["in"] == report["segments"]["recent"]
    assert names["fresh"]["sizes_before"] is None and names["fresh"]["customers"] == 0, "a new one moves nobody"
    assert names["old"]["sizes_before"] == {"many": 2, "few": 5} and names["old"]["sizes_after"] is None
    assert names["gone"]["change"] == "deleted"
    assert (names["spend"]["change"], names["spread"]["change"]) == ("changed", "affected")
    assert names["spread"]["because"] == names["best"]["because"] or names["best"]["because"] == ["spread"]


def test_nothing_edited_moves_nobody(shop: Brand) -> None:
    spaced = BEFORE.replace("spend >= param.large", "spend>=param.large").replace("en: Grade", "en: Level")
    shop.write({"definitions/all.yaml": spaced})
    with shop.open() as project:
        edit = project.plan()["edit"]
        assert (edit["moved"], edit["names"]) == (0, [])
        assert edit["sentence"] == {"zh": "本次修改不会使任何客户变动", "en": "this edit moves nobody"}
        assert [(one["name"], one["recomputes"]) for one in project.diff()] == [("value", False)]


def test_what_is_at_stake(shop: Brand) -> None:
    shop.write({"definitions/all.yaml": BEFORE.replace("default: 100", "default: 85")})
    with shop.open() as project:
        edit = project.plan()["edit"]
    assert (edit["moved"], edit["value_moved"], edit["value"]["tag"]) == (1, Decimal("95.00"), "spend")
    assert edit["sentence"]["en"] == "this edit moves 1 customer, worth CNY 95 by spend"
    assert edit["concerned"][0]["customer_key"] == "f"
    assert edit["concerned"][0]["moves"] == {"value": {"was": "some", "is": "high"}}
    shop.write({"tierwise.yaml": "name: test\nvalue: n\n"})
    with shop.open() as project:
        edit = project.plan(top=0)["edit"]
    assert (edit["value_moved"], edit["value"]["tag"], edit["concerned"]) == (Decimal("2.00"), "n", [])
    shop.write({"tierwise.yaml": "name: test\nvalue: spnd\n"})
    assert "value: there is no tag `spnd`" in said(shop.problems()) and "`spend`" in said(shop.problems())
    shop.write(
        {"tierwise.yaml": "name: test\nvalue: city\n", "definitions/c.yaml": "tags: {city: 'top(orders.channel)'}"}
    )
    assert "`city` is text, not a number" in said(shop.problems())


def test_those_worth_most_come_first(shop: Brand) -> None:
    shop.write({"definitions/all.yaml": BEFORE.replace('"30d"', '"365d"')})
    with shop.open() as project:
        worth = [one["value"] for one in project.plan(top=3)["edit"]["concerned"]]
        everyone = project.concerned()["value"].to_pylist()
    assert worth == [Decimal("150.00"), Decimal("115.00"), Decimal("30.00")] == sorted(everyone, reverse=True)[:3]


def test_the_results_may_be_of_another_edit(shop: Brand) -> None:
    """A run for an earlier instant records nothing: what was acted on is still what was declared before it."""
    shop.write({"definitions/all.yaml": AFTER})
    shop.run(as_of="2026-04-01")
    with shop.open() as project:
        then = project.plan()
        after = project.evaluate(tierwise.everyone(then["edit"]["as_of"]), ["value"])["value"].to_pylist()
    counted = Counter(after)
    assert named(then)["value"]["sizes_after"] == {t: counted[t] for t in ("high", "middle", "some", "none")}
    assert sum(named(then)["value"]["sizes_before"].values()) == len(after)
    assert named(then)["value"]["sizes_before"]["high"] == 1, "b, by what was declared before"


def test_what_cannot_be_compared_says_why(shop: Brand, tmp_path: Path) -> None:
    shop.write({"tierwise.yaml": "name: test\ntimezone: Europe/London\n"})
    with shop.open() as project:
        edit = project.plan()["edit"]
        assert not edit["compared"] and "timezone" in edit["why_not"]
        with pytest.raises(BadRequest, match="timezone"):
            project.concerned()
    wider = ORDERS.replace("amount: amount", "amount: amount, shade: id")
    rule = "segments: {dark: 'exists(orders, where=shade == \"x\")'}"
    shop.write({"tierwise.yaml": "name: test\n", "sources/orders.yaml": wider, "definitions/dark.yaml": rule})
    with shop.open() as project:
        edit = project.plan()["edit"]
        assert "`orders.shade` is new" in edit["why_not"] and edit["sources_changed"] == ["orders"]
    new = Brand(tmp_path / "new", {"definitions/all.yaml": BEFORE})
    with new.open() as project:
        assert project.plan()["edit"] == {"compared": False, "why_not": "there are no recorded results yet"}
        assert project.diff() == []
        with pytest.raises(UnknownName):
            project.concerned()


@pytest.mark.parametrize("name", ["value", "recent", "best"])
def test_a_replay_is_both_states_evaluated_at_each_month_end(shop: Brand, name: str) -> None:
    with shop.open() as project:
        shop.write({"definitions/all.yaml": AFTER})
        steps: list[str] = []
        before = left_behind(project)
        found = project.replay(name, 5, lambda step, done, total: steps.append(step))
        assert left_behind(project) == before
        shop.write({"definitions/all.yaml": BEFORE})
        as_declared = [_told(project, name, month["as_of"]) for month in found["months"]]
        shop.write({"definitions/all.yaml": AFTER})
        as_edited = [_told(project, name, month["as_of"]) for month in found["months"]]
    ends = [datetime(2026, month, day, 15, 59, 59, 999999) for month, day in ((1, 31), (2, 28), (3, 31), (4, 30))]
    assert [month["as_of"] for month in found["months"]] == [*ends, datetime(2026, 5, 31, 15, 59, 59, 999999)]
    assert any("2026-05" in step for step in steps)
    for index, month in enumerate(found["months"]):
        was, is_ = as_declared[index], as_edited[index]
        for sizes, told in ((month["sizes_before"], was), (month["sizes_after"], is_)):
            assert {tier: count for tier, count in sizes.items() if count} == Counter(told.values())
        flows = Counter((was[key], is_[key]) for key in was if was[key] != is_[key])
        assert {(row["was"], row["is"]): row["customers"] for row in month["flows"]} == flows
        assert month["differ"] == flows.total()
        if index:
            for key, states in (("moved_since_before", as_declared), ("moved_since_after", as_edited)):
                assert month[key] == sum(states[index - 1].get(k, v) != v for k, v in states[index].items())
    assert any(month["differ"] for month in found["months"])


def _told(project: Project, name: str, as_of: datetime) -> dict[int, str]:
    rows = project.evaluate(tierwise.everyone(as_of), [name]).to_pylist()
    return {
        row["customer_id"]: row[name] if isinstance(row[name], str) else "in" if row[name] else "out" for row in rows
    }


def test_an_edit_that_reads_attributes_and_other_customers(tmp_path: Path) -> None:
    """What is evaluated starts from the results, which hold neither."""
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "sources/people.yaml": RECORDS})
    brand.write({"data/orders.csv": csv(HEAD, *ROWS), "data/customers.csv": csv("id,city", "a,x", "b,x", "c,y")})
    rules = "tags: {spend: sum(orders.kept_amount)}\nsegments: {near: 'city == \"x\"', rich: 'spend > 100'}\n"
    brand.write({"definitions/all.yaml": rules})
    brand.run()
    with brand.open() as project:
        assert project.estimate('city == "x" and spend > 190')["count"] == 1
    edited = rules.replace('city == "x"', 'city == "y"').replace("spend > 100", "in_top(spend, percent=20, by=city)")
    brand.write({"definitions/all.yaml": edited})
    with brand.open() as project:
        names, report = named(project.plan()), project.run()
    for name in ("near", "rich"):
        assert names[name]["sizes_after"]["in"] == report["segments"][name]
    assert names["near"]["customers"] == 3


def test_a_replay_of_what_is_not_there_or_without_end(shop: Brand) -> None:
    with shop.open() as project:
        assert project.replay("value", 1)["change"] == "unchanged"
        for name, months in (("valeu", 12), ("value", 0), ("value", 61)):
            with pytest.raises(TierwiseError) as refused:
                project.replay(name, months)
            assert refused.value.hint


def test_diff_in_text_and_in_words(shop: Brand) -> None:
    shop.write({"definitions/all.yaml": AFTER})
    with shop.open() as project:
        found = {(one["kind"], one["name"]): one for one in project.diff()}
    changed = {key: one["change"] for key, one in found.items()}
    assert changed == {
        ("tag", "spend"): "changed", ("tag", "spread"): "affected", ("tiering", "value"): "changed",
        ("tiering", "fresh"): "new", ("tiering", "old"): "deleted", ("segment", "recent"): "changed",
        ("segment", "best"): "affected", ("segment", "gone"): "deleted", ("parameter", "large"): "changed",
    }  # fmt: skip
    (recent,) = found["segment", "recent"]["parts"]
    assert (recent["was"], recent["is"]) == ('exists(orders, within="30d")', 'exists(orders, within="90d")')
    assert recent["sentence_is"] == {"zh": "近90天内有订单", "en": "has orders in the last 90 days"}
    assert [(part["path"], part["was"], part["is"]) for part in found["tiering", "value"]["parts"]] == [
        ("tiers.middle.rule", "", "spend > 30")
    ]


def test_what_was_declared_stays_known(shop: Brand) -> None:
    """Each state is written once, and later runs with another one do not lose it."""
    shop.run(1)
    shop.write({"definitions/all.yaml": AFTER})
    shop.run(2)
    with shop.open(2) as project:
        assert project.diff() == []
        declared = [entry.about for entry in project.lake.entries("memberships") if "declared" in entry.about]
    assert len(declared) == 2 and NOW.tzinfo is not None
    assert dict(declared[0]["declared"]["tags"])["spend"]["value"] == "sum(orders.kept_amount)"


def test_programmes_and_what_is_said_by_hand(shop: Brand) -> None:
    """Who is where by hand stays there whatever the rule says; a tiering that remembers is replayed under both."""
    kept = BEFORE.replace(
        "    ordered: true\n", "    keep: {term: 365d, downgrade: one_step, grace: 30d, on_refund: reassess}\n"
    )
    shop.write({"definitions/all.yaml": kept})
    with shop.open() as project:
        project.facts.pin("b", "value", "some", reason="agreed by telephone", since="2026-05-01")
        project.facts.pin("g", "old", "many", reason="agreed by telephone", since="2026-05-01")
        project.run()
    edited = kept.replace("spend >= param.large", "spend >= 50").replace("many: n > 1", "many: n > 2")
    shop.write({"definitions/all.yaml": edited})
    with shop.open() as project:
        edit = project.plan()["edit"]
        replayed = project.replay("value", 2)["months"][-1]
        project.run()
        log = [row for row in project.table("memberships").to_pylist() if row["run_id"] == 3]
        told = _told(project, "value", replayed["as_of"])
    assert edit["moved"] == len({row["customer_id"] for row in log}) > 0
    for name in ("value", "old"):
        (one,) = (one for one in edit["names"] if one["name"] == name)
        planned = {(row["was"], row["is"]): row["customers"] for row in one["matrix"] if row["was"] != row["is"]}
        assert planned == Counter((row["was"], row["is"]) for row in log if row["name"] == name)
    assert {tier: count for tier, count in replayed["sizes_after"].items() if count} == Counter(told.values())
