"""The rows of an experiment: texts are read strictly, and what is missing is never taken for nothing."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.evaluation.columns import arms_of, flags, instants, numbers


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ([1, 0, 2], [1, 0, 2]),
        ([True, False], [1, 0]),
        ([Decimal("1.50"), Decimal("-2.00")], [1.5, -2]),
        (["1.5", " -2 ", "1e3"], [1.5, -2, 1000]),
        (["True", "false"], [1, 0]),
    ],
)
def test_numbers(given: list[Any], read: list[float]) -> None:
    assert numbers(pa.table({"x": given}), "x").tolist() == read
    assert numbers(pa.table({"x": pa.array(given).dictionary_encode()}), "x").tolist() == read


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([1, None], "1 row has no `x`"),
        (["1", "  ", ""], "2 rows have no `x`"),
        ([1.0, float("nan"), float("inf")], "2 rows have a `x` that is infinite or no number"),
        (["1", "1e400"], "infinite or no number"),
        (["1", "1,200"], "is not everywhere a number: '1,200'"),
        (["1", "true", "yes"], "is not everywhere a number: 'true'"),
        ([datetime(2026, 1, 1)], "is timestamp"),
    ],
)
def test_what_is_no_number(given: list[Any], said: str) -> None:
    with pytest.raises(BadRequest, match=said.replace("(", "\\(")):
        numbers(pa.table({"x": given}), "x")


def test_arms_are_in_order_and_complete() -> None:
    codes, names = arms_of(pa.table({"arm": ["b", "a", " b", "c"]}), "arm")
    assert (codes.tolist(), names) == ([1, 0, 1, 2], ["a", "b", "c"])
    codes, names = arms_of(pa.table({"arm": pa.chunked_array([[10], [9, 10]])}), "arm")
    assert [names[code] for code in codes] == ["10", "9", "10"]
    with pytest.raises(BadRequest, match="1 row has no `arm`"):
        arms_of(pa.table({"arm": ["a", ""]}), "arm")
    with pytest.raises(BadRequest, match="60 different values"):
        arms_of(pa.table({"arm": [str(arm) for arm in range(60)]}), "arm")
    with pytest.raises(UnknownName) as caught:
        arms_of(pa.table({"arm": ["a"]}), "arms")
    assert caught.value.hint == "did you mean `arm`?"


def test_yes_and_no() -> None:
    assert flags(pa.table({"x": ["1", "0", None, "true"]}), "x").tolist() == [True, False, False, True]
    assert flags(pa.table({"x": [1, 0, None]}), "x").tolist() == [True, False, False]
    with pytest.raises(BadRequest, match="0 or 1"):
        flags(pa.table({"x": [1, 2]}), "x")
    with pytest.raises(BadRequest, match="yes or no: 'maybe'"):
        flags(pa.table({"x": ["true", "maybe"]}), "x")


def test_instants() -> None:
    wanted = np.array(["2026-03-01T10:00:00", "NaT"], "datetime64[us]")
    for given in (["2026-03-01 10:00:00", ""], ["2026-03-01T10:00:00Z", None], [datetime(2026, 3, 1, 10), None]):
        assert np.array_equal(instants(pa.table({"at": given}), "at"), wanted, equal_nan=True)
    for odd in (["2026-03-01 10:00", "soon"], ["2026-03-01 10:00:00", "2026-03-01 10:00:00Z"], [5]):
        with pytest.raises(BadRequest, match="not everywhere an instant"):
            instants(pa.table({"at": odd}), "at")
