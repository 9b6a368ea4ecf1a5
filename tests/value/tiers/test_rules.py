"""The numbers in a tiering's rules: which they are, who is where for other ones, and the text with them in place."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pytest

from tierwise.definitions.language.parser import parse
from tierwise.value.tiers import Rules

RULE = 'spend >= 100 and (orders < 5 or not 2 <= visits) and segment("vip")'


def _rules(*texts: str, **parameters: int) -> Rules:
    tiers = {f"t{place}": parse(text) for place, text in enumerate(texts)}
    return Rules({**tiers, "rest": None}, parameters)


def test_numbers_on_either_side_are_found_with_what_they_are_compared_with() -> None:
    rules = _rules(RULE, "5 > orders")
    assert [threshold.number for threshold in rules.thresholds] == [100, 5, 2, 5]
    names = ["measured0$", "measured1$", "measured2$", "measured1$"]
    assert [threshold.measured for threshold in rules.thresholds] == names
    assert list(rules.given) == ["given0$"]


@pytest.mark.parametrize(
    ("spend", "orders", "visits", "vip", "place"),
    [
        (100, 4, 9, True, 0),
        (99.99, 4, 9, True, 1),
        (100, 5, 1.9, True, 0),
        (100, 5, 2, True, 1),
        (100, 5, float("nan"), True, 0),  # nothing is at least 2 visits, and `not` is its exact negation
        (100, 4, 9, False, 1),
        (float("nan"), 4, 9, True, 1),
    ],
)
def test_places_are_those_of_the_language(spend: float, orders: float, visits: float, vip: bool, place: int) -> None:
    rules = _rules(RULE)
    columns = {"measured0$": [spend], "measured1$": [orders], "measured2$": [visits], "given0$": [vip]}
    given = {name: np.array(values) for name, values in columns.items()}
    assert rules.place(given, [100, 5, 2]).tolist() == [place]


def test_the_text_is_the_one_that_was_written_but_for_the_numbers() -> None:
    rules = _rules("spend  >=  1_000 and orders > 2")
    assert rules.text("t0", "spend  >=  1_000 and orders > 2", [Decimal("1500.50"), 2]) == (
        "spend  >=  1500.50 and orders > 2"
    )


def test_a_parameter_is_one_number_wherever_it_stands() -> None:
    rules = _rules("spend >= param.gold", "spend >= param.gold / 2", "param.gold <= spend", gold=100)
    assert [(threshold.number, threshold.parameter) for threshold in rules.thresholds] == [(100, "gold")]
    assert [tier for tier, _ in rules.thresholds[0].at] == ["t0", "t2"]
    assert rules.text("t0", "spend >= param.gold", [80]) == "spend >= 80"
    assert rules.text("t0", "spend >= param.gold", [80], parameters=False) == "spend >= param.gold"


def test_texts_dates_and_sums_are_no_numbers_to_change() -> None:
    rules = _rules('level == 3 and city == "sh"', 'last_order_at > "2026-01-01"', "a + 5 > b")
    assert rules.thresholds == []
    assert len(rules.given) == 4
