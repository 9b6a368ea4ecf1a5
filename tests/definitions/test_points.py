"""What is declared about points: exact rounding, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from tierwise.definitions.points import EarnRule, PointsProgramme


@pytest.mark.parametrize(
    ("rule", "amount", "factor", "points"),
    [
        ({"per": 10}, "99.99", "1", 9),
        ({"per": 10, "round": "up"}, "90.01", "1", 10),
        ({"per": 10, "round": "nearest"}, "95", "1", 10),
        ({"per": "0.1"}, "0.30", "1", 3),
        ({"per": 3, "points": 2}, "10", "1.5", 10),
        ({"points": 20}, "0", "1", 0),
        ({"points": 20}, "-5", "1", 0),
    ],
)
def test_points_are_worked_out_exactly_and_rounded_once(
    rule: dict[str, Any], amount: str, factor: str, points: int
) -> None:
    form = EarnRule.model_validate({"from": "orders", **rule})
    assert form.earned(Decimal(amount), Decimal(factor)) == points


def test_a_rule_says_what_it_adds_up() -> None:
    form = EarnRule.model_validate(
        {
            "from": "items",
            "amount": "amount",
            "where": 'category == "tea"',
            "since": "2026-11-01",
            "until": "2026-11-11",
        }
    )
    assert form.text == 'sum(items.amount, where=category == "tea", since="2026-11-01", until="2026-11-11")'


@pytest.mark.parametrize(
    ("form", "says"),
    [
        ({"pending": "soon"}, "not a length of time"),
        ({"worth": "-1"}, "not between 0 and"),
        ({"worth": True}, "a number is meant"),
        ({"worth": "much"}, "is no number"),
        ({"adjust_alone": -1}, "greater than or equal"),
        ({"multiply": {"x": {"by": 2, "when": "True", "rules": ["y"]}}}, "names the rule `y`"),
        ({"earn": {"x": {"from": "orders", "since": "someday"}}}, "is not a date"),
    ],
)
def test_what_has_no_meaning_is_refused(form: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        PointsProgramme.model_validate(form)
