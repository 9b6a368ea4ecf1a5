"""Groups of equal rows: the same rows come back, whatever the columns look like."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tierwise.value.btyd.groups import coded, grouped

NUMBERS = st.one_of(
    st.integers(0, 400).map(float),
    st.integers(0, 400).map(lambda days: days / 7),
    st.floats(0, 1e9),
    st.floats(-50, 50),
)


@given(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS, st.floats(0, 9)), min_size=1, max_size=60))
def test_rows_come_back_and_weights_add_up(rows: list[tuple[float, float, float, float]]) -> None:
    columns = [np.array(values) for values in zip(*rows, strict=True)]
    groups = grouped(columns[:3], columns[3])
    for number in range(3):
        assert groups.column(number)[groups.of_row].tolist() == columns[number].tolist()
    assert groups.count.size == len({row[:3] for row in rows})
    assert groups.count.sum() == pytest.approx(columns[3].sum())


@given(st.lists(NUMBERS, min_size=1, max_size=60))
def test_codes_are_the_places_among_the_distinct_values(values: list[float]) -> None:
    found = coded(np.array(values))
    assert found.values.tolist() == sorted(set(values))
    assert found.values[found.at].tolist() == values


def test_many_wide_columns_are_grouped_by_sorting() -> None:
    rng = np.random.default_rng(1)
    columns = [np.tile(rng.random(5_000), 2) for _ in range(6)]
    groups = grouped(columns)
    assert groups.count.tolist() == [2.0] * 5_000
    assert groups.column(5)[groups.of_row].tolist() == columns[5].tolist()
