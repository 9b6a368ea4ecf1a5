"""Explain and estimate on a project small enough to work out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

import tierwise
from tierwise.errors import DefinitionsInvalid, UnknownName
from tierwise.project import Project

FILES = {
    "tierwise.yaml": "name: t\ntimezone: Asia/Shanghai\nas_of: '2026-06-30 20:00'\n",
    "sources/orders.yaml": (
        "{file: orders.csv, customer: who, row_key: no, "
        "streams: {orders: {time: at, columns: {order_id: no, amount: paid}}}}"
    ),
    "definitions/all.yaml": (
        "tags:\n"
        "  spend: {value: 'sum(orders.amount, within=\"365d\")', label: {zh: 消费, en: Spend}}\n"
        "  last_order_at: last(orders.time)\n"
        "  r: quintile(spend)\n"
        "tierings:\n"
        "  life:\n"
        "    tiers:\n"
        "      active: days_since(last_order_at) <= 90\n"
        "      asleep: days_since(last_order_at) <= 365\n"
        "      gone: otherwise\n"
        "  grade:\n"
        "    ordered: true\n"
        "    tiers: {gold: 'spend >= 200 and r >= 3', silver: spend >= 50, member: otherwise}\n"
        "segments:\n"
        "  both: spend >= 50 and 1 <= count(orders) < 3\n"
    ),
    "orders.csv": (
        "no,who,at,paid\n1,ann,2026-06-01 09:00,150.00\n2,ann,2026-04-02 09:00,30.00\n"
        "3,bob,2025-10-01 09:00,60.00\n4,cat,2024-10-01 09:00,900.00\n5,dan,2026-06-20 09:00,400.00\n"
    ),
}


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """The project, run."""
    for name, text in FILES.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
    with tierwise.open(tmp_path, clock=lambda: datetime(2026, 7, 1, tzinfo=UTC)) as project:
        project.run()
        yield project


def tiering(found: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in found["tierings"] if one["tiering"] == name)


def test_why_and_what_is_missing(project: Project) -> None:
    found = project.explain("ann")
    grade = tiering(found, "grade")
    assert (grade["tier"], grade["clause"]) == ("silver", "tiers.silver")
    gold = grade["up"][0]
    assert gold["tier"] == "gold"
    assert [(one["text"], one["value"], one["short_by"]) for one in gold["missing"]] == [
        ("spend >= 200", Decimal("180.00"), Decimal("20.00"))
    ]
    assert next(tag["value"] for tag in found["tags"] if tag["tag"] == "spend") == Decimal("180.00")
    segment = found["segments"][0]
    assert segment["member"] is True
    assert [(one["address"], one["holds"]) for one in segment["conditions"]] == [("args.0", True), ("args.1", True)]


def test_when_time_alone_moves_them(project: Project) -> None:
    life = tiering(project.explain("ann"), "life")
    # last order on 1 June: 90 days later is 30 August; the tier changes with the next local midnight
    assert life["next_change"] == {"at": "2026-08-30T16:00:00Z", "tier": "asleep", "days": 62}
    # 150 of the 180 stay until 1 June 2027; 30 leave the window 365 days after 2 April, 09:00 wall time
    grade = tiering(project.explain("bob"), "grade")
    assert grade["next_change"]["tier"] == "member"
    assert "2026-10-01T01:00" <= grade["next_change"]["at"] <= "2026-10-01T01:01"
    assert tiering(project.explain("cat"), "life")["next_change"] is None


def test_explain_agrees_with_the_run(project: Project) -> None:
    rows = project.table("customers").to_pylist()
    for row in rows:
        found = project.explain(f"id:{row['customer_id']}")
        assert {one["tiering"]: one["tier"] for one in found["tierings"]} == {
            "life": row["life"],
            "grade": row["grade"],
        }
        assert {one["tag"]: one["value"] for one in found["tags"]} == {
            name: row[name] for name in ("spend", "last_order_at", "r")
        }


def test_nobody_of_that_name(project: Project) -> None:
    with pytest.raises(UnknownName, match="there is no customer `zoe`"):
        project.explain("zoe")


def test_estimate_counts_part_by_part(project: Project) -> None:
    found = project.estimate('spend >= 50 and tier("life") == "active" and count(orders) == 1')
    assert [step["count"] for step in found["waterfall"]] == [4, 3, 2, 1]
    assert (found["count"], found["of"], found["share"]) == (1, 4, 0.25)
    assert found["sentence"]["zh"].startswith("消费 ≥ 50")


def test_estimate_equals_the_run(project: Project) -> None:
    for name, count in {"both": 3}.items():
        rule = project.definitions.segments[name].rule
        assert project.estimate(rule)["count"] == count == sum(project.table("customers").column(name).to_pylist())


def test_estimate_of_a_new_population_function(project: Project) -> None:
    assert project.estimate("in_top(spend, n=1)")["count"] == 1


def test_estimate_refuses_what_is_no_condition(project: Project) -> None:
    with pytest.raises(DefinitionsInvalid, match="a condition is needed"):
        project.estimate("spend")
