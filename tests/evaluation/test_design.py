"""Metrics as they are written: columns, sums over sums, what was known before; a column's own name wins."""

from __future__ import annotations

import pytest

from tierwise.errors import BadRequest, UnknownName
from tierwise.evaluation import Metric, read_metric

COLUMNS = ["spend", "orders", "spend_before", "orders_before", "a/b", "c ~ d"]


@pytest.mark.parametrize(
    ("text", "metric"),
    [
        ("spend", Metric("spend")),
        (" spend/orders ", Metric("spend", "orders")),
        ("spend ~ spend_before", Metric("spend", covariate="spend_before")),
        ("spend/orders~spend_before/orders_before", Metric("spend", "orders", "spend_before", "orders_before")),
        ("a/b", Metric("a/b")),
        ("c ~ d", Metric("c ~ d")),
        ("spend ~ a/b", Metric("spend", covariate="a/b")),
    ],
)
def test_what_is_written(text: str, metric: Metric) -> None:
    assert read_metric(text, COLUMNS) == metric


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("spend ~ orders ~ orders", "more than one `~`"),
        ("spend/orders ~ spend_before", "one side is a ratio"),
        ("spend/orders/orders", "is no metric"),
        ("spend ~", "is no metric"),
        ("", "is no metric"),
    ],
)
def test_what_has_no_meaning(text: str, said: str) -> None:
    with pytest.raises(BadRequest, match=said):
        read_metric(text, COLUMNS)


def test_a_column_that_is_not_there() -> None:
    with pytest.raises(UnknownName) as caught:
        read_metric("spent/orders", COLUMNS)
    assert caught.value.hint == "did you mean `spend`?"
