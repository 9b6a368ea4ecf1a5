"""Who is one person, through a whole project: linked after the import, followed by everything computed."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.projects import Brand, csv
from tierwise.errors import Erased

CRM = """\
file: data/crm.csv
customer: id
streams:
  customers: {columns: {phone: phone}}
"""
APP = """\
file: data/app.csv
customer: uid
key_space: app
streams:
  customers: {columns: {phone: phone}}
"""
ORDERS = """\
file: data/orders.csv
customer: id
streams:
  orders: {time: time, columns: {order_id: order, amount: amount}}
"""
APP_ORDERS = """\
file: data/app_orders.csv
customer: uid
key_space: app
streams:
  orders: {time: time, columns: {order_id: order, amount: amount}}
"""
RULES = """\
identity: {}
tags:
  n: count(orders)
  spend: sum(orders.kept_amount)
tierings:
  value:
    tiers: {high: spend >= 100, some: spend > 0, none: otherwise}
segments:
  buyers: exists(orders)
"""
FILES = {
    "sources/crm.yaml": CRM,
    "sources/app.yaml": APP,
    "sources/orders.yaml": ORDERS,
    "sources/app_orders.yaml": APP_ORDERS,
    "definitions/rules.yaml": RULES,
    "data/crm.csv": csv("id,phone", "c-1,138-2468-0135", "c-2,13924680135"),
    "data/app.csv": csv("uid,phone", "u-1,+86 13824680135", "u-2,13724680135"),
    "data/orders.csv": csv("id,order,time,amount", "c-1,o1,2026-05-01,60", "c-2,o2,2026-05-02,10"),
    "data/app_orders.csv": csv("uid,order,time,amount", "u-1,p1,2026-05-03,50", "u-2,p2,2026-05-04,5"),
}


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    return Brand(tmp_path, FILES)


def answers(brand: Brand) -> list[tuple[int, int, str, str]]:
    rows = brand.rows("customers", "customer_id", "n", "spend", "value")
    return sorted((row["customer_id"], row["n"], str(row["spend"]), row["value"]) for row in rows)


def total(brand: Brand) -> float:
    return sum(float(spend) for _, _, spend, _ in answers(brand))


def test_orders_of_one_person_are_summed_over_their_records(brand: Brand) -> None:
    report = brand.run()
    assert report["identity"]["moved"] == 1
    assert answers(brand) == [(1, 2, "110.00", "high"), (2, 1, "5.00", "some"), (4, 1, "10.00", "some")]


@pytest.mark.parametrize("how", ["run", "refresh"])
def test_what_is_computed_follows_a_merge_and_a_split(brand: Brand, how: str) -> None:
    brand.run()
    before = answers(brand)
    with brand.open(1) as project:
        done = project.identity.merge("c-2", "u-2", reason="asked in the shop")
        assert (done["customers_before"], done["customers"]) == (2, 1)
        report = getattr(project, how)()
    assert report["identity_version"] == done["identity_version"]
    assert answers(brand) == [(1, 2, "110.00", "high"), (2, 2, "15.00", "some")]
    assert total(brand) == 125
    with brand.open(2) as project:
        assert project.explain("id:4")["customer_id"] == 2, "the number that went is still understood"
        project.identity.split("c-2", ["u-2"], reason="it was her sister")
        getattr(project, how)()
    assert answers(brand) == before
    assert total(brand) == 125


def test_a_new_record_is_linked_by_a_refresh_and_nobody_else_is_looked_at(brand: Brand) -> None:
    more = [f"c-{n},1592468{n:04}" for n in range(100, 140)]
    brand.write({"data/crm.csv": csv("id,phone", "c-1,138-2468-0135", "c-2,13924680135", *more)})
    brand.run()
    brand.write({"data/app.csv": csv("uid,phone", "u-1,+86 13824680135", "u-2,13724680135", "u-3,13924680135")})
    with brand.open(1) as project:
        report = project.refresh()
    assert report["identity"]["everybody"] is False
    assert report["identity"]["records"] == 2
    with brand.open(1) as project:
        assert project.identity.why("c-2", "u-3")["same"]
        assert project.identity.report()["merged"] == 2


def test_without_a_declaration_every_record_is_a_customer(brand: Brand) -> None:
    brand.write({"definitions/rules.yaml": RULES.replace("identity: {}\n", "")})
    report = brand.run()
    assert report["identity"] is None
    assert len(answers(brand)) == 4
    with brand.open() as project:
        assert project.identity.report()["declared"] is False


def test_a_wrong_declaration_is_a_problem_with_its_line(brand: Brand) -> None:
    brand.write({"definitions/rules.yaml": "identity:\n  identifiers:\n    phone: {strength: mighty}\n"})
    (problem,) = brand.problems()
    assert str(problem).startswith("definitions/rules.yaml:3:")
    assert "strong" in problem.hint


def test_erasing_a_person_erases_all_their_records_and_nobody_who_was_taken_out(brand: Brand) -> None:
    brand.run()
    with brand.open(1) as project:
        project.identity.merge("c-2", "u-2", reason="asked in the shop")
        project.identity.split("c-2", ["u-2"], reason="it was her sister")
        project.people.erase("c-1")
        project.people.erase("c-2")
        assert [row["source_key"] for row in project.store.ids.customers().to_pylist()] == ["u-2"]
        for gone in ("c-1", "u-1", "c-2"):
            with pytest.raises(Erased):
                project.people.find(gone)
        assert project.people.show("u-2")["customer_id"] == 2


REMEMBERED = """\
identity: {}
tags:
  spend: sum(orders.kept_amount)
tierings:
  value:
    tiers: {top: spend >= 150, high: spend >= 100, some: otherwise}
segments:
  was_top: 'was_tier("value", "top", within="30d")'
  was_some: 'was_tier("value", "some", within="30d")'
  fell: 'left("was_top")'
"""


def test_history_and_what_was_said_are_of_the_customer_they_went_into(brand: Brand) -> None:
    brand.write(
        {
            "definitions/rules.yaml": REMEMBERED,
            "data/app_orders.csv": csv("uid,order,time,amount", "u-1,p1,2026-05-03,50", "u-2,p2,2026-05-04,200"),
        }
    )
    brand.run()
    with brand.open(1) as project:
        project.facts.include("u-2", "fell", reason="asked for it")
        project.identity.merge("c-1", "u-2", reason="asked in the shop")
        report = project.refresh()
    assert report["changes"] == {"manual": 1, "merge": 2, "time": 1}, "the fourth's tier lies before now, by time alone"
    rows = {row["customer_id"]: row for row in brand.rows("customers")}
    assert [*rows] == [1, 4]
    assert rows[1]["value"] == "top"
    assert rows[1]["was_top"], "the customer who went into this one was"
    assert not rows[1]["was_some"]
    assert rows[1]["fell"], "what was said by hand of the one holds of both"
    with brand.open(2) as project:
        project.people.export("c-1", brand.folder / "person.json")
        told = project.history.of("c-1").to_pylist()
        assert {"top", "high"} <= {row["value"] for row in told}
        everything = json.loads((brand.folder / "person.json").read_text())
        assert {row["customer_id"] for row in everything["memberships"]} == {1, 2}
        project.identity.split("c-1", ["u-2"], reason="two people after all")
        project.run()
    rows = {row["customer_id"]: row for row in brand.rows("customers")}
    assert [rows[number]["value"] for number in (1, 2, 4)] == ["high", "top", "some"]
    assert rows[2]["fell"]
    assert not rows[1]["fell"]


def test_what_is_doubtful_is_reviewed_and_what_was_decided_stays(tmp_path: Path) -> None:
    brand = Brand(tmp_path, matched_files())
    brand.run()
    with brand.open(1) as project:
        done = project.identity.match()
        assert done["linked"] > 10
        queue = project.identity.reviews()
        assert queue
        first, second = queue[0]["review_id"], queue[-1]["review_id"]
        beside = project.identity.review(first)
        assert {row["field"] for row in beside["said"]} == {"name", "email"}
        assert project.store.audit.list(1)[0].action == "identity.look"
        project.identity.decide(first, "same", reason="asked")
        assert project.identity.why(*(queue[0][side].partition(":")[2] for side in ("record", "other")))["same"]
        if first != second:
            project.identity.decide(second, "different", reason="asked")
        again = project.identity.match()
        assert (again["linked"], again["reviews_opened"], again["moved"]) == (0, 0, 0)
        assert not {first, second} & {one["review_id"] for one in project.identity.reviews()}


def matched_files() -> dict[str, str]:
    drawn = random.Random(3)
    rows = []
    for number in range(200):
        name = (
            drawn.choice("王李张刘陈杨黄赵吴周徐孙") + drawn.choice("伟芳娜敏静丽") + drawn.choice("强磊军洋勇艳杰涛")
        )
        born = f"{drawn.randint(1960, 2004)}-{drawn.randint(1, 12):02}-{drawn.randint(10, 28)}"
        city = drawn.choice(("上海", "北京", "广州", "成都"))
        rows.append(f"a{number},{name},{born},{city},u{number}@x.cn")
        if number % 3 == 0:
            other = born if drawn.random() < 0.7 else born[:-1] + str((int(born[-1]) + 1) % 10)
            there = city if drawn.random() < 0.7 else "西安"
            rows.append(f"b{number},{name},{other},{there},{drawn.choice(('', f'u{number}@x.cn'))}")
    return {
        "sources/c.yaml": "file: data/c.csv\ncustomer: id\nstreams:\n  customers: {columns: {name: name, "
        "birth_date: birth, city: city, email: email}}\n",
        "definitions/i.yaml": "identity:\n  identifiers: {phone: {}}\n  matching:\n    fields: {name: name, "
        "birth_date: date, city: category, email: email}\ntags:\n  n: count(orders)\n",
        "data/c.csv": csv("id,name,birth,city,email", *rows),
    }
