"""Better numbers: found where they are known, never by emptying a tier, refused where there is nothing to go by."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from tierwise.definitions.language.parser import parse
from tierwise.errors import TooLittleData
from tierwise.value.tiers import Rules, better_thresholds


def _rules(gold: str, silver: str) -> Rules:
    return Rules({"gold": parse(gold), "silver": parse(silver), "rest": None}, {})


def _columns(size: int = 4_000) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.float64]]:
    """What was spent decides what comes, in steps at 1,000 and 5,000."""
    rng = np.random.default_rng(1)
    spend = np.round(rng.lognormal(6, 1.5, size), 2)
    value = rng.gamma(2.0, np.select([spend >= 5_000, spend >= 1_000], [200.0, 40.0], 1.0))
    return {"measured0$": spend}, value


def test_the_steps_that_are_there_are_found() -> None:
    columns, value = _columns()
    found = better_thresholds(_rules("spend >= 400", "spend >= 100"), columns, value, [0, 1, 2])
    gold, silver = (float(number) for number in found.numbers)
    assert 3_000 <= gold <= 6_500
    assert 800 <= silver <= 1_300
    assert found.is_ > found.was + 0.1


def test_no_tier_is_emptied_for_it() -> None:
    columns, value = _columns()
    rules = _rules("spend >= 20", "spend >= 10")
    placed = rules.place(
        columns, [float(number) for number in better_thresholds(rules, columns, value, [0, 1, 2]).numbers]
    )
    shares = np.bincount(placed, minlength=3) / value.size
    before = np.bincount(rules.place(columns, [20, 10]), minlength=3) / value.size
    assert (shares >= np.minimum(0.01, before / 2)).all()


def test_chance_is_no_reason_to_change() -> None:
    columns, _ = _columns()
    value = np.random.default_rng(3).gamma(1.0, 1.0, 4_000)
    rules = _rules("spend >= 2000", "spend >= 500")
    found = better_thresholds(rules, columns, value, [0, 1, 2])
    assert found.is_ - found.was < 0.03


def test_what_is_refused() -> None:
    columns, value = _columns(100)
    with pytest.raises(TooLittleData, match="compares something with a number"):
        better_thresholds(_rules('segment("a")', 'segment("b")'), {}, value, [0, 1, 2])
    with pytest.raises(TooLittleData, match="nobody brought anything"):
        better_thresholds(_rules("spend >= 400", "spend >= 100"), columns, np.zeros(100), [0, 1, 2])
