"""Tierings are judged on a brand's own rows: by past instants, against what came, with an edit that can be taken over."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.projects import NOW, ORDERS, Brand, csv
from tierwise.errors import BadRequest, DefinitionsInvalid, TierwiseError, TooLittleData, UnknownName

TIERS = """\
parameters:
  gold: {type: money, default: 30}  # once thought to be much
tags:
  spend: 'sum(orders.kept_amount, where=kept, within="180d")'
  last_at: last(orders.time, where=kept)
tierings:
  grade:  # the programme's steps
    ordered: true
    tiers: {gold: spend >= param.gold, silver: 'spend >= 20', member: otherwise}
  unnamed_order:
    tiers: {away: days_since(last_at) > 90, rest: otherwise}
  shuffled:
    ordered: true
    tiers: {a: 'sample(0.2, salt="x")', b: 'sample(0.4, salt="y")', c: otherwise}
  everybody:
    tiers: {one: otherwise}
"""
_DAYS = 540


def _rows() -> list[str]:
    """Orders of 400 customers at rates of their own, each for about as much as is usual for them."""
    rng = np.random.default_rng(11)
    rates, tickets = rng.gamma(0.7, 1 / 60, 400), rng.lognormal(4, 0.8, 400)
    rows: list[str] = []
    for customer, (rate, ticket) in enumerate(zip(rates, tickets, strict=True)):
        for day in np.sort(rng.uniform(0, _DAYS, rng.poisson(rate * _DAYS) + 1)):
            at = NOW.replace(tzinfo=None) - timedelta(days=float(day))
            rows.append(f"{len(rows)},c{customer},{at:%Y-%m-%d %H:%M},{ticket * rng.lognormal(0, 0.2):.2f}")
    return rows


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    """A brand of 400 customers, after a run and with a history of half a year."""
    files = {
        "sources/orders.yaml": ORDERS,
        "definitions/tiers.yaml": TIERS,
        "data/orders.csv": csv("id,customer,time,amount", *_rows()),
    }
    brand = Brand(tmp_path_factory.mktemp("shop"), files)
    brand.run()
    with brand.open() as project:
        project.backfill("2026-02-01", "1mo", "2026-03-03")
    return brand


def test_a_sensible_tiering_is_above_a_shuffled_one_and_above_one_for_everybody(shop: Brand) -> None:
    with shop.open() as project:
        good = project.tierings.quality("grade", against="shuffled")
        shuffled, one = (project.tierings.quality(name) for name in ("shuffled", "everybody"))
        assert project.tierings.quality("grade", against="shuffled") == good
    assert good["score_low"] > 0.2
    assert good["score_low"] > max(shuffled["score"], one["score"])
    assert one["score"] == 0
    assert good["against"]["tiering"] == "shuffled"
    assert good["against"]["low"] > 0
    assert {gate["gate"]: gate["passed"] for gate in good["gates"]}["steps"] is not None
    assert not {gate["gate"]: gate["passed"] for gate in one["gates"]}["sizes"]
    assert good["curve"][0] == {"customers": 0, "value": 0}
    assert good["curve"][-1] == {"customers": pytest.approx(1), "value": pytest.approx(1)}
    assert good["curve"][1]["value"] < good["curve"][1]["customers"]


def test_the_numbers_are_those_of_the_rows(shop: Brand) -> None:
    """Worked out from the file: who was in which tier 90 days ago, and what they brought since."""
    at = NOW.replace(tzinfo=None) - timedelta(days=90)
    spent, since = dict[str, float](), dict[str, float]()
    for row in _rows():
        _, customer, time, amount = row.split(",")
        local = np.datetime64(time) - np.timedelta64(8, "h")
        if local <= np.datetime64(at):
            spent.setdefault(customer, 0)
            if local > np.datetime64(at - timedelta(days=180)):
                spent[customer] += float(amount)
        else:
            since[customer] = since.get(customer, 0) + float(amount)
    with shop.open() as project:
        found = project.tierings.quality("grade")
    assert (found["at"], found["end"]) == (at, NOW.replace(tzinfo=None))
    gold = [customer for customer, spend in spent.items() if spend >= 30]
    told = {one["tier"]: one for one in found["tiers"]}
    assert sum(one["customers"] for one in found["tiers"]) == len(spent)
    assert told["gold"]["customers"] == len(gold)
    assert told["gold"]["value"] == pytest.approx(sum(since.get(customer, 0) for customer in gold))


def test_tiers_without_an_order_are_ordered_by_what_was_brought_before(shop: Brand) -> None:
    with shop.open() as project:
        found = project.tierings.quality("unnamed_order")
    assert found["ordered_by"] == "value before"
    assert [one["tier"] for one in found["tiers"]] == ["rest", "away"]
    assert [one["measured"] for one in found["stability"]["inputs"]] == ["days_since(last_at)"]


def test_who_moved_is_told_by_the_log_where_there_is_one(shop: Brand) -> None:
    with shop.open() as project:
        recorded = project.tierings.quality("grade", "2026-02-01", "30d")["stability"]["migration"]
        computed = project.tierings.quality("grade", "2025-11-01", "30d")["stability"]["migration"]
    assert (recorded["basis"], computed["basis"]) == ("recorded", "computed")
    for moved in (recorded, computed):
        assert 0 < moved["entropy"] < 1
        assert 0 < moved["kappa"] < 1


def test_better_numbers_are_found_and_given_as_an_edit(shop: Brand, tmp_path: Path) -> None:
    with shop.open() as project:
        found = project.tierings.suggest("grade")
    assert found["improves"]
    assert found["score_is"] > found["score_was"]
    assert found["sought_from"] == found["at"] - timedelta(days=90)
    paths = {edit["path"]: edit for edit in found["edits"]}
    assert set(paths) == {"parameters.gold.default", "tierings.grade.tiers.silver"}
    assert found["diff"].startswith("--- a/definitions/tiers.yaml\n+++ b/definitions/tiers.yaml\n")
    text = found["files"]["definitions/tiers.yaml"]
    assert "# once thought to be much" in text and "# the programme's steps" in text
    copy = shop.copy(tmp_path / "edited")
    copy.write({"definitions/tiers.yaml": text})
    assert copy.problems() == []
    with copy.open() as project:
        scored = project.tierings.quality("grade")
    assert scored["score"] == pytest.approx(found["score_is"])
    assert {one["tier"]: one["customers"] for one in scored["tiers"]} == {
        one["tier"]: one["is"] for one in found["tiers"]
    }


@pytest.mark.parametrize(
    ("name", "options", "error", "said"),
    [
        ("grad", {}, UnknownName, "no tiering `grad`"),
        ("grade", {"against": "shufled"}, UnknownName, "no tiering `shufled`"),
        ("grade", {"horizon": "soon"}, BadRequest, "no length of time"),
        ("grade", {"at": "2026-05-01"}, BadRequest, "is known only after"),
        ("grade", {"at": "yesterday"}, BadRequest, "not an instant"),
        ("grade", {"value": "orders.channel"}, DefinitionsInvalid, "1 problem"),
        ("grade", {"value": "order.amount"}, DefinitionsInvalid, "problem"),
        ("grade", {"at": "2020-01-01"}, TooLittleData, "at least 50 customers"),
    ],
)
def test_what_cannot_be_asked(
    shop: Brand, name: str, options: dict[str, str], error: type[TierwiseError], said: str
) -> None:
    with shop.open() as project, pytest.raises(error, match=said):
        project.tierings.quality(name, **options)  # type: ignore[arg-type]


def test_a_tiering_without_numbers_has_no_better_ones(shop: Brand) -> None:
    with shop.open() as project, pytest.raises(TooLittleData, match="no rule of it compares"):
        project.tierings.suggest("shuffled")


def test_before_a_run_there_is_nothing_to_judge(tmp_path: Path) -> None:
    brand = Brand(tmp_path, {"sources/orders.yaml": ORDERS, "definitions/tiers.yaml": TIERS})
    with brand.open() as project, pytest.raises(UnknownName, match="no results yet"):
        project.tierings.quality("grade")
