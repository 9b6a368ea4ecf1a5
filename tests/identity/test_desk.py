"""Decisions by hand: merged, taken apart, explained; and what is not decided is left alone."""

from __future__ import annotations

import pytest

from tests.identity.people import AT, Town, groups
from tierwise.errors import BadRequest, UnknownName
from tierwise.identity.desk import IdentityDesk
from tierwise.store import Actor


def desk(town: Town) -> IdentityDesk:
    def find(key: str) -> int:
        found = town.store.ids.find(key)
        if not found:
            raise UnknownName(f"there is no customer `{key}`")
        return found[0]

    return IdentityDesk(town.store, town.declared, find, Actor("cli", "ann"), AT)


def test_merged_and_taken_apart_is_as_before(town: Town) -> None:
    town.add({"a": {"phone": "13824680131"}, "b": {"phone": "13824680132"}, "c": {"phone": "13824680132"}})
    town.link()
    before = town.customers()
    desk(town).merge("a", "c", reason="same person at the counter")
    assert town.together() == groups("a b c")
    assert town.customers()["c"] == before["a"], "the older number survives"
    assert town.store.ids.find("id:2") == [1], "the number that went is still understood"
    former = [(row["former_id"], row["customer_id"]) for row in town.store.ids.aliases().to_pylist()]
    assert (2, 1) in former
    desk(town).split("a", ["a"], reason="another person after all")
    assert town.customers() == before
    town.link()
    assert town.customers() == before, "what was decided stays"


def test_what_was_taken_out_stays_out_and_the_others_stay_together(town: Town) -> None:
    town.add({name: {"phone": "13824680131"} for name in "abcd"})
    town.link()
    desk(town).split("a", ["c", "d"], reason="father and mother")
    assert town.together() == groups("a b", "c d")
    town.link(town.add({"e": {"phone": "13824680131"}}))
    assert town.together() == groups("a b e", "c d"), "whoever comes later comes to those who stayed"
    town.link(town.add({"f": {"email": "f@x.cn"}, "g": {"email": "f@x.cn", "phone": "13824680139"}}))
    town.link()
    assert town.together() == groups("a b e", "c d", "f g")


def test_the_larger_part_keeps_the_number(town: Town) -> None:
    town.add({name: {"phone": "13824680131"} for name in "abcd"})
    town.link()
    desk(town).split("b", ["a"], reason="the till's telephone")
    assert town.customers() == {"a": 5, "b": 1, "c": 1, "d": 1}
    assert town.store.ids.find("id:5") == [5]


def test_a_merge_against_verified_numbers_is_refused(town: Town) -> None:
    town.add({"a": {"id_number": "ID-1"}, "b": {"id_number": "ID-2"}})
    town.link()
    before = town.store.ids.version()
    with pytest.raises(BadRequest, match="different numbers"):
        desk(town).merge("a", "b", reason="they look alike")
    assert town.store.ids.version() == before
    assert town.together() == groups("a", "b")


def test_why_names_the_way_from_one_to_the_other(town: Town) -> None:
    town.add({"a": {"phone": "13824680131"}, "b": {"phone": "13824680131", "email": "b@x.cn"}})
    town.add({"c": {"email": "b@x.cn"}, "d": {}}, space="app")
    town.link()
    desk(town).merge("d", "a", reason="asked at the counter")
    found = desk(town).why("d", "c")
    assert found["same"]
    assert [step["method"] for step in found["way"]] == ["person", "phone", "email"]
    assert found["way"][0]["reason"] == "asked at the counter"
    assert {found["way"][2]["record"], found["way"][2]["other"]} == {"crm:b", "app:c"}
    desk(town).split("a", ["d"], reason="it was her sister")
    apart = desk(town).why("d", "a")
    assert not apart["same"]
    assert not apart["way"]
    assert [(one["kind"], one["retracted_by"]) for one in apart["history"]] == [("different", ""), ("same", "cli:ann")]


def test_everything_that_cannot_be_decided_is_refused(town: Town) -> None:
    town.add({"a": {"phone": "13824680131"}, "b": {"phone": "13824680131"}, "c": {}})
    town.link()
    refused = desk(town)
    with pytest.raises(BadRequest, match="one customer already"):
        refused.merge("a", "a", reason="oops")
    with pytest.raises(BadRequest, match="one customer already"):
        refused.merge("a", "b", reason="oops")
    with pytest.raises(BadRequest, match="never merged"):
        refused.split("c", ["c"], reason="oops")
    with pytest.raises(BadRequest, match="not all"):
        refused.split("a", ["a", "b"], reason="oops")
    with pytest.raises(UnknownName, match="no record"):
        refused.split("a", ["c"], reason="oops")
    with pytest.raises(BadRequest, match="reason"):
        refused.merge("a", "c", reason=" ")
    with pytest.raises(BadRequest, match="one record"):
        refused.why("c", "c")
    with pytest.raises(BadRequest, match="declares no identity"):
        IdentityDesk(town.store, None, lambda key: 1, Actor("cli"), AT).merge("a", "c", reason="x")


def test_every_decision_is_in_the_audit(town: Town) -> None:
    town.add({"a": {}, "b": {}})
    desk(town).merge("a", "b", reason="Ms Wang said so")
    entry = town.store.audit.list(1)[0]
    assert (entry.action, str(entry.actor)) == ("identity.merge", "cli:ann")
    assert "Wang" not in str(entry.details)


def test_a_retracted_edge_that_held_many_together(town: Town) -> None:
    people = {f"l{n}": {"phone": "13824680131"} for n in range(4)} | {f"r{n}": {"email": "r@x.cn"} for n in range(4)}
    town.add({**people, "x": {"phone": "13824680131", "email": "r@x.cn"}})
    town.link()
    assert len(town.together()) == 1
    desk(town).split("x", ["x"], reason="two families")
    assert town.together() == groups("l0 l1 l2 l3", "r0 r1 r2 r3", "x")
    assert town.customers()["l0"] == 1, "of two equal parts the one with the first record keeps the number"


def test_the_report_counts_records_customers_and_edges(town: Town) -> None:
    town.add({"a": {"phone": "13824680131"}, "b": {"phone": "13824680131"}, "c": {}})
    town.link()
    report = desk(town).report()
    counted = {name: report[name] for name in ("records", "customers", "merged", "largest", "edges:phone:same")}
    assert counted == {"records": 3, "customers": 2, "merged": 1, "largest": 2, "edges:phone:same": 1}
    assert report["last_linking"]["moved"] == 1
