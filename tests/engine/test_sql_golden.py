"""Compiled SQL as text that people have read; after a change on purpose: TIERWISE_GOLDEN=1 pytest tests/engine/test_sql_golden.py."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest
from sqlglot import exp

from tierwise.engine.build import source_of
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.snapshot import Snapshot, Spine, customers, everyone, moments
from tierwise.testing.worlds import Case, catalogue_of

GOLDEN = Path(__file__).parents[1] / "golden"
AS_OF = datetime(2026, 6, 30, 16)
ASKED = pa.table({"customer_id": [1], "as_of": pa.array([AS_OF], pa.timestamp("us"))})


@dataclass
class Recorder:
    """A backend that only writes down what it is asked to do."""

    written: list[str] = field(default_factory=list)
    at_once: int | None = None

    def create(self, name: str, select: exp.Expression, *, temporary: bool = False) -> int:
        self.written.append(f"-- {name}\n{select.sql('duckdb', pretty=True)};\n")
        return 0

    def view(self, name: str, select: exp.Expression) -> None:
        self.written.append(f"-- {name} is a view\n{select.sql('duckdb', pretty=True)};\n")

    def insert(self, name: str, select: exp.Expression) -> int:
        self.written.append(f"-- more of {name}\n{select.sql('duckdb', pretty=True)};\n")
        return 0

    def register(self, name: str, table: pa.Table) -> None:
        self.written.append(f"-- {name}: {', '.join(table.schema.names)}\n")

    def define(self, name: str, body: exp.Expression) -> None:
        self.written.append(f"-- {name}(w) is defined\n")

    def drop(self, name: str) -> None:
        """Dropping is left out: it says nothing."""

    def arrow(self, select: exp.Expression) -> pa.Table:
        self.written.append(f"-- asked\n{select.sql('duckdb', pretty=True)};\n")
        numbers = pa.array([], pa.int64())
        return pa.table({"by_value": pa.array([], pa.string()), "x": numbers, "n": numbers})


def compiled(tags: Mapping[str, str], spine: Spine, zone: str = "Asia/Shanghai", **more: object) -> str:
    case = Case(tags=tags, as_of=AS_OF, zone=zone, **more)  # type: ignore[arg-type]
    catalogue = catalogue_of(case)
    parameters = {name: value for name, (_, value) in catalogue.parameters.items()}
    recorder = Recorder()
    snapshot = Snapshot(AS_OF, "golden", parameters, 1, 1)
    Evaluator(recorder, catalogue, source_of(catalogue), snapshot).evaluate(spine, case.names)
    return "\n".join(recorder.written)


CASES = {
    # one pass for each stream and length of window, whatever is asked of it
    "shared_passes": compiled(
        {
            "orders_90d": 'count(orders, within="90d", where=kept)',
            "spend_90d": 'sum(orders.kept_amount, within="90d")',
            "spend_before": 'sum(orders.kept_amount, ago="90d..180d")',
            "last_month": 'count(orders, on="last month")',
            "first_channel": "first(orders.channel)",
            "views": 'count(events, where=type == "view", within="1mo")',
            "halved": "spend_90d < 0.5 * spend_before",
        },
        everyone(AS_OF),
    ),
    # what needs its rows ranked, grouped or paired has a pass of its own
    "own_passes": compiled(
        {
            "favourite": "top(orders.channel, by=sum(orders.amount))",
            "months": 'streak(orders, every="1mo")',
            "longest": "max_gap(orders)",
            "last_three": "sum(orders.amount, where=kept, latest=3)",
        },
        customers([1, 2], AS_OF),
    ),
    # conditions on rows may read tags and attributes: they are computed in an earlier stage
    "stages": compiled(
        {
            "ticket": "avg(orders.amount)",
            "large": "count(orders, where=amount > 3 * customer.ticket)",
            "young": 'age(birth_date) < 30 and city != "Wuhan"',
        },
        everyone(AS_OF),
        segments={"big": 'large > 0 and not (city in ("Wuhan", "Paris"))'},
        tierings={"grade": {"tiers": {"gold": 'segment("big")', "silver": "ticket >= 19.90", "none": "otherwise"}}},
    ),
    # steps are rows of one order, each carrying the latest beginning that leads up to it; parts of rows are joined
    "sequences": compiled(
        {
            "abandoned": 'followed(events(type == "add_to_cart"), within="2d", same=sku, without=items())',
            "on_the_way": 'followed(events(type == "view"), events(type == "add_to_cart"), orders(), gap="7d")',
            "with_a_line": 'exists(orders, where=amount > 100 and exists(items, where=sku == "x"))',
            "held": 'time_avg(s.m, within="30d")',
            "months_": 'periods(orders, every="1mo", n=6)',
        },
        everyone(AS_OF),
    ),
    # the log is read strictly before as_of, groups are everyone's
    "others": compiled(
        {
            "was_gold": 'was_tier("grade", "gold", within="90d")',
            "entered_": 'entered("many", within="7d")',
            "household": "group_sum(last(s.n), by=city)",
            "drawn": 'sample(0.1, salt="spring")',
            "missing_": 'to_next("grade")',
            "new_year": 'anniversary(birth_date, within="7d", calendar="lunar")',
        },
        customers([1, 2], AS_OF),
        segments={"many": "count(s) > 9"},
        tierings={"grade": {"ordered": True, "tiers": {"gold": "last(s.n) >= 40", "none": "otherwise"}}},
    ),
    # a population function publishes, then places
    "populations": compiled(
        {
            "spend": "sum(orders.amount)",
            "r": "quintile(spend, by=city, among=spend > 0)",
            "best": "in_top(spend, percent=20)",
        },
        everyone(AS_OF),
    ),
    # every moment has its own as_of, and New York changes its clocks
    "moments": compiled(
        {
            "month_": 'count(orders, within="1mo")',
            "day_": 'count(orders, on="today")',
            "since": "days_since(last(orders.time))",
            "city_then": "city",
        },
        moments(ASKED),
        zone="America/New_York",
    ),
    # exact kinds stay exact, floats are rounded where they meet a threshold, nothing overflows
    "arithmetic": compiled(
        {
            "sum_": "income + weight + children + 1",
            "product": "income * 0.85 * children",
            "share_": "income / children",
            "met": "income / children >= 9.95",
            "nested": "(income / children) * ratio + 1",
            "chosen": "case(children > 2, income, weight)",
            "banded": "band(income, 19.90, 100)",
        },
        everyone(AS_OF),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_compiled(name: str) -> None:
    path = GOLDEN / f"{name}.sql"
    if os.environ.get("TIERWISE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(CASES[name], encoding="utf-8")
    assert CASES[name] == path.read_text(encoding="utf-8"), (
        f"{path.name}: read what changed, then write it again with TIERWISE_GOLDEN=1"
    )


def test_no_file_is_left_over() -> None:
    assert {path.stem for path in GOLDEN.glob("*.sql")} == set(CASES)
