"""Asking: one id for one state, and nothing remembered that no longer holds."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.projects import ORDERS, Brand, csv
from tierwise.errors import DefinitionsInvalid
from tierwise.project import Project

HEAD = "id,customer,time,amount"
FIRST = ("1,a,2026-05-20,200", "2,b,2026-05-20,50", "3,c,2026-04-01,80")
RULES = """\
tags: {spend: sum(orders.amount), half: 'ntile(spend, 2)'}
tierings:
  value: {tiers: {best: half == 2, rest: otherwise}}
segments:
  invited: spend > 1000
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Brand:
    files = {"sources/orders.yaml": ORDERS, "definitions/t.yaml": RULES, "data/orders.csv": csv(HEAD, *FIRST)}
    brand = Brand(tmp_path_factory.mktemp("ran"), files)
    brand.run()
    return brand


@pytest.fixture
def shop(ran: Brand, tmp_path: Path) -> Brand:
    return ran.copy(tmp_path / "shop")


def ids(project: Project) -> set[str]:
    """Return the ids that the questions about the newest results name."""
    asked = (project.estimate("spend > 60"), project.estimate("percent_rank(spend) > 0.5"), project.explain("a"))
    return {str(answer["snapshot_id"]) for answer in asked}


def test_one_state_has_one_id_whatever_is_asked(shop: Brand) -> None:
    with shop.open() as project:
        first = project.run()
        assert ids(project) == {first["snapshot_id"]} == {project.store.runs.get(first["run_id"]).snapshot_id}
    with shop.open() as project:
        assert ids(project) == {first["snapshot_id"]}, "another owner says the same"
    shop.write({"definitions/t.yaml": RULES.replace("ntile(spend, 2)", "ntile(spend + 1, 2)")})
    with shop.open() as project:
        stale = ids(project)
        second = project.run()
        assert stale == {second["snapshot_id"]} != {first["snapshot_id"]}, "what a run will compare with is in its id"
        assert ids(project) == {second["snapshot_id"]}, "what nothing is compared with any more is not"
    shop.write({"definitions/t.yaml": RULES})
    assert shop.run()["snapshot_id"] == first["snapshot_id"]


def test_a_refresh_has_an_id_of_its_own_only_where_it_compares_with_others(shop: Brand) -> None:
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, "4,c,2026-05-22,900")})
    with shop.open(1) as project:
        believed = project.refresh()
        assert ids(project) == {believed["snapshot_id"]}
        anew = project.run()
        assert ids(project) == {anew["snapshot_id"]} != {believed["snapshot_id"]}


def test_results_that_were_not_recorded_are_explained_by_what_they_were_compared_with(shop: Brand) -> None:
    shop.write({"data/orders.csv": csv(HEAD, *FIRST, "4,c,2026-05-22,100")})
    shop.run(2)
    with shop.open(2) as project:
        between = project.run(as_of=datetime(2026, 6, 2, 4, tzinfo=UTC))
        assert between["recorded"] is False
        assert ids(project) == {between["snapshot_id"]}
        of_results = {row["customer_key"]: row["value"] for row in project.table("customers").to_pylist()}
        told = {key: project.explain(key)["tierings"][0]["tier"] for key in of_results}
        assert told == of_results == {"a": "best", "b": "rest", "c": "rest"}, "not by the cut of the first run, 80"


def test_the_next_question_sees_what_was_changed_in_between(shop: Brand) -> None:
    with shop.open(1) as project:

        def asked(rule: str) -> tuple[int, int]:
            found = project.estimate(rule)
            return found["count"], found["of"]

        assert asked("spend >= 80") == (2, 3)
        assert asked('segment("invited")') == (0, 3)
        project.facts.include("b", "invited", reason="a friend", since="2026-05-01")
        assert asked('segment("invited")') == (1, 3), "a fact by hand"
        shop.write({"definitions/t.yaml": RULES.replace("sum(orders.amount)", "2 * sum(orders.amount)")})
        assert asked("spend >= 80") == (3, 3), "an edit"
        shop.write({"definitions/t.yaml": "tags: {spend: sum(orders.amounts)}"})
        with pytest.raises(DefinitionsInvalid):
            asked("spend >= 80")
        shop.write({"definitions/t.yaml": RULES})
        assert asked("spend >= 80") == (2, 3), "and its undoing"
        shop.write({"data/orders.csv": csv(HEAD, *FIRST, "4,d,2026-05-22,900")})
        before = project.estimate("spend >= 80")
        run = project.run()
        after = project.estimate("spend >= 80")
        assert (before["of"], after["of"], after["count"]) == (3, 4, 3), "an import and a run"
        assert after["snapshot_id"] == run["snapshot_id"] != before["snapshot_id"]
