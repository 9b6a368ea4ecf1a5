"""Tiers of CDNOW against the half year after them: how much they tell, and that ranks and spend tell about as much."""

from __future__ import annotations

import gzip
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from tierwise.value.tiers import compare, judge

pytestmark = pytest.mark.real

BEGIN = date(1997, 1, 1)
#: The last day of 1997; 180 days later.
CUT, END = 364, 544
NAMES = ["top", "good", "some", "rest"]


@pytest.fixture(scope="module")
def cdnow(real_data: Path) -> dict[str, NDArray[np.float64]]:
    """Of each of the 23,570 customers: recency, frequency and spend at the end of 1997, and what came after it."""
    with gzip.open(real_data / "cdnow" / "CDNOW_master.txt.gz", "rt") as lines:
        rows = [line.split() for line in lines][1:]
    who = np.array([int(row[0]) for row in rows]) - 1
    days = np.array([(date(int(row[1][:4]), int(row[1][4:6]), int(row[1][6:])) - BEGIN).days for row in rows])
    amount = np.array([float(row[3]) for row in rows])
    past, later = days <= CUT, (days > CUT) & (days <= END)
    size = int(who.max()) + 1
    last = np.zeros(size)
    np.maximum.at(last, who[past], days[past])
    return {
        "recency": last,
        "frequency": np.bincount(who[past], minlength=size).astype(float),
        "spend": np.bincount(who[past], amount[past], minlength=size),
        "came": np.bincount(who[later], amount[later], minlength=size),
    }


def _tiers(ranked: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return tiers of 5, 10, 25 and 60 of a hundred, the highest values first."""
    place = np.argsort(np.argsort(-ranked, kind="stable"), kind="stable")
    return np.searchsorted(np.array([0.05, 0.15, 0.40]) * ranked.size, place, side="right").astype(np.int64)


def _rank(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.argsort(np.argsort(values, kind="stable"), kind="stable").astype(float)


def test_tiers_by_spend_tell_two_thirds_of_what_can_be_told(cdnow: dict[str, NDArray[np.float64]]) -> None:
    found = judge(_tiers(cdnow["spend"]), cdnow["came"], NAMES, np.random.default_rng(1))
    assert found.score >= 0.68
    assert found.is_monotone
    assert found.tiers[0].value_share > 0.38
    assert found.tiers[0].lift is not None and found.tiers[0].lift > 7.5
    shuffled = np.random.default_rng(2).permutation(_tiers(cdnow["spend"]))
    assert judge(shuffled, cdnow["came"], NAMES, np.random.default_rng(1)).score < 0.03


def test_ranks_of_three_tell_a_little_more(cdnow: dict[str, NDArray[np.float64]]) -> None:
    by_ranks = _tiers(sum((_rank(cdnow[name]) for name in ("recency", "frequency", "spend")), np.zeros(1)))
    by_spend = _tiers(cdnow["spend"])
    assert judge(by_ranks, cdnow["came"], NAMES, np.random.default_rng(1)).score >= 0.68
    told = compare(by_ranks, by_spend, cdnow["came"], (4, 4), np.random.default_rng(1))
    assert -0.02 < told.low < told.difference < told.high < 0.05
