"""Everyone evaluated in portions: every customer in exactly one of them, and the answers those of all at once."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tierwise.engine.backends.duckdb.engine import DuckEngine
from tierwise.engine.build import source_of
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.portions import ranges_of
from tierwise.engine.snapshot import Snapshot, everyone, moments
from tierwise.testing.worlds import Case, at, catalogue_of, engine_of, row

CUSTOMERS = (3, 4, 5, 90, 91, 2_000_000)
CASE = Case(
    tags={
        "n": "count(s)",
        "places": "distinct(s.t)",
        "place": "rank(n)",
        "best": "place <= 2",
        "of_the_best": "count(s, where=n >= 1 and customer.best)",
        "all_places": "group_sum(place, by=case(best, 'best', 'other'))",
    },
    as_of=at("2026-06-01"),
    customers=CUSTOMERS,
    streams={
        "s": {
            customer: [
                row(f"2026-05-{day:02}", f"{customer}-{day}", n=day, t=f"{day % 3}") for day in range(1, 2 + nth)
            ]
            for nth, customer in enumerate(CUSTOMERS)
        }
    },
)
SNAPSHOT = Snapshot(CASE.as_of, "case", {}, 1, 1, None)


def test_every_customer_is_in_exactly_one_portion() -> None:
    with DuckEngine(None, threads=1) as engine:

        @settings(max_examples=40)
        @given(st.sets(st.integers(1, 10**12), min_size=1, max_size=30), st.integers(1, 40))
        def is_in_one(customers: set[int], at_once: int) -> None:
            engine.at_once = at_once
            engine.register("spine", pa.table({"customer_id": sorted(customers)}))
            ranges = ranges_of(engine, "spine")
            assert bool(ranges) == (len(customers) > at_once)
            assert not ranges or all(sum(low <= one <= high for low, high in ranges) == 1 for one in customers)

        is_in_one()


def test_how_many_are_taken_at_once_follows_the_memory() -> None:
    with DuckEngine(None, memory_limit_mb=2_500) as engine, engine.cursor() as other:
        assert engine.at_once == other.at_once == 1_000_000


def test_no_limit_no_portions() -> None:
    with DuckEngine(None, threads=1) as engine:
        engine.at_once = None
        engine.register("spine", pa.table({"customer_id": [1, 2, 3]}))
        assert ranges_of(engine, "spine") == []


def _answers(at_once: int | None) -> tuple[list[dict[str, Any]], list[tuple[str, int, int]]]:
    """Everyone's answers, and the steps that were told of."""
    catalogue, told = catalogue_of(CASE), list[tuple[str, int, int]]()
    with engine_of(CASE, catalogue) as engine:
        engine.at_once = at_once
        evaluator = Evaluator(engine, catalogue, source_of(catalogue), SNAPSHOT, lambda *step: told.append(step))
        found = evaluator.evaluate(everyone(CASE.as_of), list(CASE.tags)).sort_by("customer_id").to_pylist()
        assert not [name for name in engine.tables() if "$" in name], "nothing stays behind"
    return found, told


@pytest.mark.parametrize("at_once", [1, 2, 5])
def test_the_answers_are_those_of_all_at_once(at_once: int) -> None:
    (whole, _), (found, told) = _answers(None), _answers(at_once)
    assert found == whole and [line["n"] for line in found] == [1, 2, 3, 4, 5, 6]
    portions = {total for step, _, total in told if step == "customers"}
    assert portions == {-(-len(CUSTOMERS) // at_once)}, "progress tells each of them"


def test_moments_are_not_divided() -> None:
    catalogue = catalogue_of(CASE)
    with engine_of(CASE, catalogue) as engine:
        engine.at_once = 1
        table = pa.table({"customer_id": [3, 90], "as_of": pa.array([datetime(2026, 6, 1)] * 2, pa.timestamp("us"))})
        found = Evaluator(engine, catalogue, source_of(catalogue), SNAPSHOT).evaluate(moments(table), ["n"])
    assert found["n"].to_pylist() == [1, 4]
