"""Points of a whole project: declared, earned from files, refunded, spent, adjusted by two, reported; from the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tierwise
from tests.projects import NOW, ORDERS, RECORDS, REFUNDS, Brand, csv, said
from tierwise.cli import main
from tierwise.errors import NotEnough, UnknownName
from tierwise.store import Actor, Proposal

CLUB = """\
tags:
  spend: sum(orders.kept_amount)
tierings:
  grade: {tiers: {gold: spend >= 1000, member: otherwise}, ordered: true}
points:
  club:
    pending: 7d
    expires: 1y
    worth: 0.01
    adjust_alone: 100
    earn:
      purchases: {from: orders, where: kept, amount: kept_amount, per: 10, points: 1}
      big: {from: orders, where: 'kept_amount >= 500', each: order, points: 25}
      visits: {from: orders, each: day, points: 2}
    multiply:
      gold: {by: 1.5, when: 'tier("grade") == "gold"', rules: [purchases]}
"""


@pytest.fixture
def brand(tmp_path: Path) -> Brand:
    made = Brand(
        tmp_path,
        {
            "definitions/club.yaml": CLUB,
            "sources/orders.yaml": ORDERS,
            "sources/refunds.yaml": REFUNDS,
            "sources/customers.yaml": RECORDS,
            "data/customers.csv": csv("id,city", "a,x", "b,y"),
            "data/orders.csv": csv(
                "id,customer,time,amount",
                "A1,a,2026-05-01 10:00,999.90",
                "A2,a,2026-05-10 10:00,100",
                "A3,a,2026-05-31 10:00,100",
                "A4,b,2026-05-31 11:00,19.90",
                "A5,b,2026-05-31 12:00,5",
            ),
            "data/refunds.csv": csv("order_id,id,customer,time,amount"),
        },
    )
    made.write({"data/refunds.csv": csv("id,customer,time,amount", "A9,b,2026-05-31 12:00,1")})
    made.run()
    return made


def balances(brand: Brand, day: float = 0) -> dict[str, tuple[int, int, int]]:
    with brand.open(day) as project:
        found = {name: project.points.balance(name) for name in ("a", "b")}
    return {name: (one.available, one.pending, one.owed) for name, one in found.items()}


def earn(brand: Brand, day: float = 0) -> dict[str, Any]:
    with brand.open(day) as project:
        return project.points.earn()


def test_orders_earn_and_refunds_take_back(brand: Brand) -> None:
    done = earn(brand)
    # A1: 99 + 25; A2 and A3 as gold: 15 each; a day each: 2, 2, 2. B: 1 + 0, and one day.
    assert balances(brand) == {"a": (99 + 25 + 15 + 4, 15 + 2, 0), "b": (0, 1 + 2, 0)}
    assert (done["earned"], done["taken_back"], done["refused"]) == (163, 0, 0)
    assert earn(brand) | {"rows": 0} == {**done, "rows": 0, "earned": 0}, "what was earned is not earned again"
    assert balances(brand, 7)["a"] == (99 + 25 + 15 + 4 + 17, 0, 0)
    brand.write({"data/refunds.csv": csv("id,customer,time,amount", "A1,a,2026-06-01 10:00,599.90")})
    brand.run()
    assert earn(brand)["taken_back"] == (99 - 40) + 25, "A1 earns less; who was gold at A2's time was"
    with brand.open() as project:
        assert project.store.check() == []
        assert project.points.report()["difference"] == 0


def test_spending_and_the_second_person(brand: Brand) -> None:
    earn(brand)
    with tierwise.open(brand.folder, clock=lambda: NOW, actor=Actor("cli", "ann")) as project:
        spent = project.points.redeem("a", 100, key="basket 1", reference="B1")
        assert project.points.redeem("a", 100, key="basket 1", reference="B1").replayed
        with pytest.raises(NotEnough):
            project.points.redeem("a", 1_000, key="basket 2")
        project.points.give_back(spent.entry_id, 40, key="back 1")
        assert project.points.balance("a").available == 83
        assert project.points.adjust("a", -3, reason="a slip", key="s1").points == -3
        waiting = project.points.adjust("a", 500, reason="a complaint", key="c1")
        assert isinstance(waiting, Proposal) and project.points.proposals() == [waiting]
    with tierwise.open(brand.folder, clock=lambda: NOW, actor=Actor("cli", "bob")) as project:
        assert project.points.approve(waiting.proposal_id).points == 500
        assert project.points.balance("a").available == 580
        assert [one.kind for one in project.points.statement("a", 3)] == ["adjust", "adjust", "give_back"]
        report = project.points.report()
        assert report["outstanding"] == 600 and report["worth"] == "6.00"
        with pytest.raises(UnknownName):
            project.points.balance("nobody")
        project.people.export("a", brand.folder / "a.json")
    held = json.loads((brand.folder / "a.json").read_text())
    assert [one["kind"] for one in held["points"]["entries"]][-1] == "adjust"
    assert held["points"]["proposals"][0]["reason"] == "a complaint"


def test_who_is_erased_leaves_only_numbers(brand: Brand) -> None:
    earn(brand)
    with brand.open() as project:
        customer_id = project.people.find("a")
        project.points.adjust("a", 5, reason="Frau Canary called", key="s1")
        project.people.erase("a")
        entries = project.store.points.statement(customer_id)
        assert entries and {(one.reference, one.reason) for one in entries} == {(None, None)}
        assert project.store.check() == []
        assert project.points.report()["difference"] == 0
    assert b"Canary" not in (brand.folder / "store" / "tierwise.db").read_bytes()


def run(capsys: pytest.CaptureFixture[str], brand: Brand, *words: str) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["points", *words, "--project", str(brand.folder)])
    out = capsys.readouterr()
    return int(str(ended.value.code)), out.out, out.err


def test_the_commands(brand: Brand, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, brand, "earn", "--lang", "en")
    assert code == 0 and "points earned, 0 taken back" in out
    _, out, _ = run(capsys, brand, "show", "a", "--json")
    has = json.loads(out)["available"]
    code, out, _ = run(capsys, brand, "redeem", "a", "20", "--key", "k1", "--json")
    assert (code, json.loads(out)[0]["points"]) == (0, -20)
    entry = str(json.loads(out)[0]["entry_id"])
    code, _, err = run(capsys, brand, "redeem", "a", "21", "--key", "k1")
    assert (code, "was used for something else" in err) == (1, True)
    assert run(capsys, brand, "give-back", entry, "5")[0] == 0
    code, out, _ = run(capsys, brand, "adjust", "a", "101", "--reason", "a gift", "--lang", "zh")
    assert code == 0 and "等待第二人批准" in out
    code, out, err = run(capsys, brand, "approve", "1")
    assert code == 1 and "somebody else has to decide" in err
    _, out, _ = run(capsys, brand, "proposals")
    assert "a gift" in out
    assert run(capsys, brand, "decline", "1")[0] == 1
    code, out, _ = run(capsys, brand, "settle", "--lang", "en")
    assert code == 0 and "points released" in out
    _, out, _ = run(capsys, brand, "show", "a", "--json")
    assert json.loads(out)["available"] >= has - 15
    _, out, _ = run(capsys, brand, "statement", "a", "--json")
    lots = [one["entry_id"] for one in json.loads(out) if one["kind"] == "earn"]
    assert run(capsys, brand, "reverse", str(lots[0]), "1")[0] == 0
    code, out, _ = run(capsys, brand, "report", "--lang", "en")
    assert code == 0 and "the outstanding points are worth" in out
    code, _, err = run(capsys, brand, "redeem", "a", "0")
    assert code == 1 and "the number is whole" in err


def test_what_is_declared_wrongly_is_told(brand: Brand) -> None:
    wrong = CLUB.replace("where: kept,", "where: 'customer.spend > 5',").replace('"gold"\'', '"bronze"\'')
    brand.write({"definitions/club.yaml": wrong + "  other: {earn: {x: {from: nothing}}}\n"})
    told = said(brand.problems())
    assert "asks something of the customer" in told
    assert "bronze" in told
    assert "`other` is a second programme of points" in told
    assert "nothing" in told
    brand.write({"definitions/club.yaml": CLUB.replace("per: 10", "per: 0").replace("[purchases]", "[sales]")})
    told = said(brand.problems())
    assert "not between 0 and" in told
