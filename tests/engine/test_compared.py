"""Answers from a published population: written out, found by equal values, or placed between steps, they are the same."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pytest

from tierwise.definitions.language.typed import Population, walk_typed
from tierwise.engine.build import source_of
from tierwise.engine.compared import group_rows, step_rows
from tierwise.engine.distributions import Distribution
from tierwise.engine.evaluate import Evaluator
from tierwise.engine.snapshot import Snapshot, everyone
from tierwise.testing.worlds import Case, catalogue_of, engine_of, row

AS_OF = datetime(2026, 6, 30, 16)
SPENT = 'sum(orders.amount, within="365d")'
TAGS = {
    "fifth": f"quintile({SPENT})",
    "fifth_low": f'quintile({SPENT}, best="low", among=count(orders) > 0)',
    "hundredth": f"ntile({SPENT}, 100)",
    "part": f"percent_rank({SPENT}, by=city)",
    "part_low": f'percent_rank({SPENT}, best="low")',
    "place": f"rank({SPENT}, by=city)",
    "place_low": f'rank({SPENT}, best="low")',
    "best": f"in_top({SPENT}, n=5, by=city)",
    "best_tenth": f"in_top({SPENT}, percent=10)",
    "gap": "quintile(avg_gap(orders))",
    "above": f"above_mean({SPENT}, by=city)",
    "recent": 'ntile(last(orders.time), 4, best="low")',
}


def world() -> Case:
    """Sixty customers in three cities and none, a third without an order, many with equal sums."""
    people = range(1, 61)
    orders = {
        who: [
            row(
                f"{AS_OF - timedelta(days=3 * n + who % 5):%Y-%m-%d %H:%M}",
                f"o-{who}-{n}",
                order_id=f"o-{who}-{n}",
                amount=pa.scalar(10 * (who % 7) + n, pa.decimal128(18, 2)).as_py(),
            )
            for n in range(who % 4)
        ]
        for who in people
        if who % 3
    }
    towns = {who: [row("2020-01-01", city=["北京", "上海", "广州", None][who % 4])] for who in people}
    return Case(tags=TAGS, as_of=AS_OF, customers=list(people), streams={"orders": orders}, records=towns)


def test_those_who_are_published_and_those_who_come_later_are_answered_alike() -> None:
    case = world()
    catalogue = catalogue_of(case)
    snapshot = Snapshot(AS_OF, catalogue.definitions.digest, {}, 1, 1)
    with engine_of(case, catalogue) as engine:
        first = Evaluator(engine, catalogue, source_of(catalogue), snapshot)
        published = first.evaluate(everyone(AS_OF), list(TAGS))
        frozen = {known: tuple(versions) for known, versions in first.published.items()}
        assert len(frozen) >= 4
        later = Snapshot(AS_OF, catalogue.definitions.digest, {}, 1, 1, distributions=frozen)
        placed = Evaluator(engine, catalogue, source_of(catalogue), later).evaluate(everyone(AS_OF), list(TAGS))
    assert placed.to_pylist() == published.to_pylist()
    for name in TAGS:
        assert len(published.column(name).unique()) > 1, f"{name} tells customers apart"


@pytest.mark.parametrize("name", ["fifth", "hundredth", "part_low", "place", "best_tenth"])
def test_each_value_of_the_population_has_the_place_of_the_step_it_passes(name: str) -> None:
    case = world()
    catalogue = catalogue_of(case)
    expr = catalogue.tags[name].expr
    assert expr is not None
    (node,) = (part for part in walk_typed(expr) if isinstance(part, Population))
    with engine_of(case, catalogue) as engine:
        evaluator = Evaluator(
            engine, catalogue, source_of(catalogue), Snapshot(AS_OF, catalogue.definitions.digest, {}, 1, 1)
        )
        evaluator.evaluate(everyone(AS_OF), [name])
        ((version,),) = evaluator.published.values()
    steps = step_rows(node, [version], of_each=False).to_pylist()
    at_or_below = node.best == "high" if node.function in ("rank", "in_top") else node.function == "percent_rank"
    for one in step_rows(node, [version], of_each=True).to_pylist():
        passed = [
            step["position"]
            for step in steps
            if step["by_value"] == one["by_value"]
            and (step["value"] <= one["value"] if at_or_below else step["value"] < one["value"])
        ]
        assert one["position"] == (passed[-1] if passed else 0)


def test_a_group_without_a_number_has_no_mean() -> None:
    rows = group_rows([Distribution("d", "", "ntile", AS_OF, {})])
    assert rows.num_rows == 0
    assert rows.schema.names == ["version", "by_value", "size", "mean", "deviation"]
