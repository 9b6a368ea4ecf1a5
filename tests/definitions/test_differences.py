"""Differences: what is written otherwise is told part by part, what only looks otherwise is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tierwise.definitions.check import Catalogue, check
from tierwise.definitions.differences import differences
from tierwise.definitions.load import define, load
from tierwise.definitions.written import read_back
from tierwise.packs import pack_folder, pack_names

FORM: dict[str, Any] = {
    "tags": {"n": {"value": "count(orders)", "label": {"zh": "订单数", "en": "Orders"}}},
    "tierings": {"grade": {"ordered": True, "tiers": {"gold": "n > 9", "silver": "n >= param.few", "rest": "otherwise"}}},
    "segments": {"busy": "n > 3"},
    "parameters": {"few": {"type": "integer", "default": 2}},
}  # fmt: skip


def checked(**sections: Any) -> Catalogue:
    definitions, problems = define({"name": "shop"}, **{**FORM, **sections})
    assert definitions is not None and not problems
    catalogue, problems = check(definitions)
    assert catalogue is not None, problems
    return catalogue


def told(new: Catalogue) -> list[tuple[str, str, str]]:
    return [(one.name, one.change, ", ".join(one.because)) for one in differences(checked(), new)]


def test_nothing_differs_from_itself() -> None:
    assert differences(checked(), checked()) == []
    assert told(checked(segments={"busy": " ( n>3 ) "})) == []


def test_what_reads_something_edited_is_affected() -> None:
    edited = checked(tags={"n": {"value": "count(orders, where=kept)", "label": {"zh": "订单数", "en": "Orders"}}})
    assert told(edited) == [("n", "changed", ""), ("grade", "affected", "n"), ("busy", "affected", "n")]
    assert told(checked(parameters={"few": {"type": "integer", "default": 3}})) == [
        ("grade", "affected", "few"),
        ("few", "changed", ""),
    ]


def test_new_and_deleted() -> None:
    assert told(checked(segments={"idle": "n == 0"})) == [("idle", "new", ""), ("busy", "deleted", "")]


def test_a_label_changes_no_answer() -> None:
    (found,) = differences(checked(), checked(segments={"busy": {"rule": "n > 3", "label": "Busy"}}))
    assert (found.change, found.recomputes) == ("changed", False)
    assert [(part.path, part.was, part.text) for part in found.parts] == [
        ("label.zh", "", "Busy"),
        ("label.en", "", "Busy"),
    ]


def test_the_order_of_tiers_is_a_part() -> None:
    tiers = {"silver": "n >= param.few", "gold": "n > 9", "rest": "otherwise"}
    (found,) = differences(checked(), checked(tierings={"grade": {"ordered": True, "tiers": tiers}}))
    assert [(part.path, part.was, part.text) for part in found.parts] == [
        ("tiers", "gold, silver, rest", "silver, gold, rest")
    ]
    assert found.recomputes


@pytest.mark.parametrize("pack", pack_names())
def test_a_whole_project_is_read_back_as_it_was(pack: str) -> None:
    definitions, _ = load(pack_folder(pack))
    assert definitions is not None
    again, problems = read_back(definitions.written, pack_folder(pack))
    assert again is not None and not problems
    assert (again.digest, again.tags, again.tierings) == (definitions.digest, definitions.tags, definitions.tierings)


def test_what_is_no_longer_known_is_a_problem() -> None:
    written = checked().definitions.written
    written["tags"] = [["n", {"value": "count(orders)", "colour": "red"}]]
    _, problems = read_back(written, Path())
    assert [problem.code for problem in problems] == ["shape"]
